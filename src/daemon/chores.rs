//! What time itself brings about in threads: what was put off comes back, what is silent closes, and who is away gives
//! back what waits.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::call::Line;
use crate::conversation::closing;
use crate::store::{StoreError, Tx, threads};

/// The chores are looked at so often at least: the clock may have been set, somebody may have gone on leave.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// So many threads of a kind are touched in one transaction: nobody waits long for the writer.
const MOST: usize = 100;

/// What the chores go by: `[desk]` of the box's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `close_silent_after`
    pub close_silent_after: Duration,
}

/// Does what is due until `stop`.
pub async fn run(line: Arc<Line>, stop: CancellationToken) {
    loop {
        let now = line.clock.now().wall;
        let rules = Rules { close_silent_after: line.book().settings.desk.close_silent_after };
        let wait = match line.store.write(move |tx| Ok((run_due(tx, now, &rules)?, threads::next_due(tx)?))).await {
            // A full turn may have left something.
            Ok((touched, _)) if touched >= MOST => Duration::ZERO,
            Ok((_, next)) => {
                next.map_or(LONGEST_SLEEP, |at| Duration::try_from(at.duration_since(now)).unwrap_or_default())
            }
            Err(error) => {
                error!(%error, "what is due in threads could not be done; it is tried again");
                LONGEST_SLEEP
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            // Never at once without end, should a row stay due.
            () = tokio::time::sleep(wait.clamp(Duration::from_millis(200), LONGEST_SLEEP)) => {}
        }
    }
}

/// Does what is due at `now`; how many threads were touched.
pub fn run_due(tx: &Tx<'_>, now: Timestamp, rules: &Rules) -> Result<usize, StoreError> {
    let mut touched = 0;
    for thread in threads::snoozed_until(tx, now, MOST)? {
        touched += usize::from(threads::wake(tx, thread, "system", now)?);
    }
    for thread in threads::follow_ups_due(tx, now, MOST)? {
        touched += usize::from(threads::follow_up_due(tx, thread, now)?);
    }
    for thread in threads::of_absent(tx, now, MOST)? {
        touched += usize::from(threads::assign(tx, thread, None, "system", now)?);
    }
    let cutoffs = closing::cutoffs(now, rules.close_silent_after);
    for thread in threads::silent(tx, cutoffs.offered, cutoffs.silent, MOST)? {
        touched += usize::from(threads::close(tx, thread, closing::SILENT, "system", now)?);
    }
    Ok(touched)
}

#[cfg(test)]
mod tests;
