//! What time itself brings about. In threads: what was put off comes back, whoever is silent is asked whether there is
//! anything else before their thread closes, and who is not at work gives back what waits. In the store's folder: what was
//! kept for long enough is deleted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::call::trace::file as traces;
use crate::call::{Book, Line};
use crate::conversation::attendance::absence;
use crate::conversation::closing::{self, Ending, ending, people_about};
use crate::conversation::promise::opening_hours;
use crate::model::{Resolution, StaffName};
use crate::settings::Retention;
use crate::sms::ask_else::{self, Question};
use crate::store::audio::AudioFiles;
use crate::store::threads::Silent;
use crate::store::{StoreError, Tx, recordings, staff, threads, voicemails};
use crate::tree::Hours;

/// The chores are looked at so often at least: the clock may have been set, somebody may have gone on leave.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// So many threads of a kind are touched in one transaction: nobody waits long for the writer.
const MOST: usize = 100;
/// So many files of a kind are deleted at once: the writer waits for the disk meanwhile.
const MOST_FILES: usize = 20;

/// What the chores go by, as the clinic's files have it now.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `[desk] close_silent_after`
    pub close_silent_after: Duration,
    /// When the clinic is open; none: always.
    pub hours: Option<Hours>,
    /// On which clock.
    pub zone: TimeZone,
    /// What is asked before a silent thread closes.
    pub question: Question,
}

impl Rules {
    fn of(book: &Book) -> Rules {
        let settings = &book.settings;
        Rules {
            close_silent_after: settings.desk.close_silent_after,
            hours: opening_hours(&book.tree).cloned(),
            zone: settings.clinic.timezone.clone(),
            question: Question {
                from: settings.sms.from.clone(),
                templates: book.templates.clone(),
                values: book.values(&[]),
                language: settings.clinic.language.clone(),
                expire_after: settings.sms.expire_after,
            },
        }
    }
}

/// Does what is due until `stop`.
pub async fn run(line: Arc<Line>, stop: CancellationToken) {
    loop {
        let now = line.clock.now().wall;
        let rules = Rules::of(&line.book());
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
    for (name, attendance) in staff::attendance(tx)? {
        if absence(&attendance, rules.hours.as_ref(), &rules.zone, now).is_some() {
            touched += give_back(tx, &name, now)?;
        }
    }
    let cutoffs = closing::cutoffs(now, rules.close_silent_after);
    let about = people_about(rules.hours.as_ref(), &rules.zone, now);
    for Silent { thread, asked, conversed } in threads::silent(tx, cutoffs.offered, cutoffs.silent, MOST)? {
        let question = ask_else::ready(tx, thread, &rules.question)?;
        touched += match (ending(asked, conversed, question.is_some(), about), question) {
            (Ending::Later, _) => 0,
            (Ending::Ask, Some(question)) => {
                ask_else::ask(tx, question, &rules.question, now)?;
                1
            }
            _ => usize::from(threads::close(tx, thread, Resolution::Silent, "system", now)?),
        };
    }
    Ok(touched)
}

/// What waits for somebody who is not at work goes back to their team's queue; how many threads did.
fn give_back(tx: &Tx<'_>, owner: &StaffName, now: Timestamp) -> Result<usize, StoreError> {
    let waiting = threads::waiting_for(tx, owner, MOST)?;
    let team = if waiting.is_empty() { None } else { staff::find(tx, owner)?.and_then(|staff| staff.team) };
    for thread in &waiting {
        threads::assign(tx, *thread, None, "system", now)?;
        if team.is_some() && threads::find(tx, *thread)?.is_some_and(|thread| thread.team.is_none()) {
            threads::set_team(tx, *thread, team.as_deref(), "system", now)?;
        }
    }
    Ok(waiting.len())
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
