//! What time itself brings about. In threads: what was put off comes back, what is silent closes, and who is away gives
//! back what waits. In the store's folder: what was kept for long enough is deleted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::call::Line;
use crate::call::trace::file as traces;
use crate::conversation::closing;
use crate::model::Resolution;
use crate::settings::Retention;
use crate::store::audio::AudioFiles;
use crate::store::{StoreError, Tx, recordings, threads, voicemails};

/// The chores are looked at so often at least: the clock may have been set, somebody may have gone on leave.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// So many threads of a kind are touched in one transaction: nobody waits long for the writer.
const MOST: usize = 100;
/// So many files of a kind are deleted at once: the writer waits for the disk meanwhile.
const MOST_FILES: usize = 20;

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
        let retention = line.book().settings.retention;
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
        let wait = if clear_away(&line, now, retention).await { Duration::ZERO } else { wait };
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
        touched += usize::from(threads::close(tx, thread, Resolution::Silent, "system", now)?);
    }
    Ok(touched)
}

/// Deletes what was kept for long enough; whether there may be more.
async fn clear_away(line: &Line, now: Timestamp, retention: Retention) -> bool {
    let (files, folder) = (line.store.audio().clone(), line.store.folder().to_owned());
    let audio = line.store.write(move |tx| delete_audio(tx, &files, now, retention)).await;
    let traces = tokio::task::spawn_blocking(move || delete_traces(&folder, now, retention)).await;
    let mut more = false;
    for deleted in [audio.map_err(|error| error.to_string()), traces.unwrap_or_else(|error| Err(error.to_string()))] {
        match deleted {
            Ok(0) => {}
            Ok(count) => {
                info!(count, "deleted what was kept for long enough");
                more |= count >= MOST_FILES;
            }
            Err(error) => error!(error, "what is to be kept no longer could not be deleted; it is tried again"),
        }
    }
    more
}

/// Deletes messages and recorded conversations whose time is over at `now`; how many it were.
pub fn delete_audio(
    tx: &Tx<'_>,
    files: &AudioFiles,
    now: Timestamp,
    retention: Retention,
) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for id in recordings::due_for_deletion(tx, now, MOST_FILES)? {
        deleted += usize::from(recordings::delete(tx, files, id, "system", now)?);
    }
    for id in voicemails::due_for_deletion(tx, before(now, retention.voicemails), MOST_FILES)? {
        deleted += usize::from(voicemails::delete(tx, files, id, "system", now)?);
    }
    Ok(deleted)
}

fn delete_traces(store: &Path, now: Timestamp, retention: Retention) -> Result<usize, String> {
    traces::delete(store, before(now, retention.traces)).map_err(|error| format!("traces: {error}"))
}

fn before(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(time).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
