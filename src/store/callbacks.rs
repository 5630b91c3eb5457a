//! Call backs that were promised: booked in a call, kept until somebody has spoken with the patient or it has failed.
//!
//! `waiting` → `ringing` → `done`, or back to `waiting` after a first attempt that failed, or `failed` after the last;
//! `cancelled` by somebody of the clinic at any time before, and `done` without an attempt where the patient has called.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::{self, Entry};
use super::column::{At, Word};
use super::threads::{self, Spoken};
use super::{StoreError, Tx, calls};
use crate::events::Event;
use crate::model::{CallId, CallbackId, Language, PhoneNumber, ThreadId};

/// A patient is called back so often at most.
pub const MOST_ATTEMPTS: u32 = 2;

/// Where a call back stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    /// It is not its turn yet.
    Waiting,
    /// The patient is being called.
    Ringing,
    /// Somebody has spoken with them.
    Done,
    /// They could not be reached.
    Failed,
    /// Somebody of the clinic has called it off.
    Cancelled,
}

/// A call back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its id.
    pub id: CallbackId,
    /// The call in which it was asked for.
    pub call: CallId,
    /// The node: `callback:front_desk`. It says who calls them.
    pub node: String,
    /// The thread of their number.
    pub thread: ThreadId,
    /// Who is called.
    pub number: PhoneNumber,
    /// In which language.
    pub language: Language,
    /// What it is about.
    pub reason: Option<String>,
    /// The line whose place it keeps; none: it is due at a time.
    pub line: Option<String>,
    /// The place's priority.
    pub priority: u8,
    /// Since when they wait.
    pub since: Timestamp,
    /// The node whose hours say when it may be made; none: at any hour.
    pub hours: Option<String>,
    /// Not before.
    pub due_at: Timestamp,
    /// Then that opening is over, and the next one's turn comes. None: somebody wants it now, whatever the hour.
    pub due_until: Option<Timestamp>,
    /// It has failed if it was not made by then.
    pub last_at: Timestamp,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Where it stands.
    pub state: CallbackState,
    /// How often they were called.
    pub attempts: u32,
    /// When they were called last.
    pub last_attempt_at: Option<Timestamp>,
    /// The call by which they were called last.
    pub last_call: Option<CallId>,
    /// When it was done, failed or called off.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, or the last attempt did.
    pub cause: Option<String>,
}

/// When a call back is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Not before.
    pub from: Timestamp,
    /// Not from then on.
    pub until: Timestamp,
}

/// Why no call back is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBooked {
    /// One is booked for this number.
    Already,
    /// As many are booked as may be.
    Full,
}

const COLUMNS: &str =
    "id, call, node, thread, number, language, reason, line, priority, since, due_at, asked_at, state,
    attempts, last_attempt_at, last_call, ended_at, cause, hours, due_until, last_at";
const WAITING: &str = "state = 'waiting' ORDER BY due_at, id LIMIT ?";
const RINGING: &str = "state = 'ringing' ORDER BY last_attempt_at LIMIT ?";
const DUE: &str = "state = 'waiting' AND due_at <= ? ORDER BY due_at, id LIMIT ?";

/// Whether a call back to `number` may be booked where `most` may wait.
pub fn may_book(conn: &Connection, number: &PhoneNumber, most: usize) -> Result<Result<(), NotBooked>, StoreError> {
    let (already, waiting): (bool, i64) = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM callbacks WHERE number = ?1 AND state IN ('waiting', 'ringing')),
                 (SELECT count(*) FROM (SELECT 1 FROM callbacks WHERE state = 'waiting' LIMIT ?2))",
        )?
        .query_row(params![number, limit(most)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match already {
        true => Err(NotBooked::Already),
        false if waiting >= limit(most) => Err(NotBooked::Full),
        false => Ok(()),
    })
}

/// Books a call back that [`may_book`] allows. Its thread waits for a person.
pub fn add(tx: &Tx<'_>, callback: &Callback) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO callbacks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, NULL, NULL, NULL, NULL, ?, ?, ?)"
    );
    tx.prepare_cached(&sql)?.execute(params![
        callback.id,
        callback.call,
        callback.node,
        callback.thread,
        callback.number,
        callback.language,
        callback.reason,
        callback.line,
        callback.priority,
        At(callback.since),
        At(callback.due_at),
        At(callback.asked_at),
        callback.hours,
        callback.due_until.map(At),
        At(callback.last_at),
    ])?;
    calls::set_thread(tx, callback.call, callback.thread)?;
    threads::spoke(tx, callback.thread, Spoken::Callback, callback.asked_at)?;
    let detail = json!({ "line": callback.line, "due_at": callback.due_at.to_string() });
    record(tx, callback, "callback.booked", "caller", detail, callback.asked_at)
}

/// A call back; `None` if there is none with that id.
pub fn find(conn: &Connection, id: CallbackId) -> Result<Option<Callback>, StoreError> {
    one(conn, "id = ?", params![id])
}

/// What was asked for in a call.
pub fn of_call(conn: &Connection, call: CallId) -> Result<Option<Callback>, StoreError> {
    one(conn, "call = ? ORDER BY asked_at DESC LIMIT 1", params![call])
}

/// What a thread's patient asked for last.
pub fn of_thread(conn: &Connection, thread: ThreadId) -> Result<Option<Callback>, StoreError> {
    one(conn, "thread = ? ORDER BY asked_at DESC LIMIT 1", params![thread])
}

/// How many are booked and not begun.
pub fn booked(conn: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM callbacks INDEXED BY callbacks_due WHERE state = 'waiting'";
    let count: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// What waits, the next first, `most` of them; those that keep a place in a line as well as those with a time.
pub fn waiting(conn: &Connection, most: usize) -> Result<Vec<Callback>, StoreError> {
    list(conn, WAITING, params![limit(most)])
}

/// The patients who are being called now, `most` of them.
pub fn ringing(conn: &Connection, most: usize) -> Result<Vec<Callback>, StoreError> {
    list(conn, RINGING, params![limit(most)])
}

/// What may begin now, the longest due first, `most` of them. One that keeps a place in a line takes it then.
pub fn due(conn: &Connection, now: Timestamp, most: usize) -> Result<Vec<Callback>, StoreError> {
    list(conn, DUE, params![At(now), limit(most)])
}

/// When the next one is due that is not due at `now`.
pub fn next_due(conn: &Connection, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn
        .prepare_cached("SELECT min(due_at) FROM callbacks WHERE state = 'waiting' AND due_at > ?")?
        .query_row([At(now)], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

/// The patient is called, by `call`. False: it is not waiting, or they were called as often as they may be.
pub fn attempt(tx: &Tx<'_>, id: CallbackId, call: CallId, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE callbacks SET state = 'ringing', attempts = attempts + 1, last_attempt_at = ?2, last_call = ?3
         WHERE id = ?1 AND state = 'waiting' AND attempts < ?4";
    let done = change(tx, id, sql, params![id, At(at), call, MOST_ATTEMPTS], "callback.attempted", "system", at)?;
    if let Some(callback) = done {
        calls::set_thread(tx, call, callback.thread)?;
        return Ok(true);
    }
    Ok(false)
}

/// The patient could not be reached: they are called once more, or it has failed: they have been called as often as may
/// be, or there is no other time at which they may be. Answers how it stands now; none: it was not ringing.
pub fn not_reached(
    tx: &Tx<'_>,
    id: CallbackId,
    cause: &str,
    again: Option<Again>,
    at: Timestamp,
) -> Result<Option<Callback>, StoreError> {
    let (once_more, ended) = match again {
        Some(again) => (format!("attempts < {MOST_ATTEMPTS}"), again),
        None => ("FALSE".to_owned(), Again { from: at, until: at }),
    };
    let sql = format!(
        "UPDATE callbacks SET state = iif({once_more}, 'waiting', 'failed'), cause = ?2,
             due_at = iif({once_more}, ?3, due_at), due_until = iif({once_more}, ?4, due_until),
             ended_at = iif({once_more}, NULL, ?5)
         WHERE id = ?1 AND state = 'ringing'"
    );
    let values = params![id, cause, At(ended.from), At(ended.until), At(at)];
    change(tx, id, &sql, values, "callback.not_reached", "system", at)
}

/// Somebody has spoken with the patient: the matter is on the phone. `actor`: who, or `staff`.
pub fn done(tx: &Tx<'_>, id: CallbackId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE callbacks SET state = 'done', ended_at = ?2, cause = NULL WHERE id = ?1 AND state = 'ringing'";
    let Some(callback) = change(tx, id, sql, params![id, At(at)], "callback.done", actor, at)? else {
        return Ok(false);
    };
    threads::moved_to_voice(tx, callback.thread, actor, at)?;
    Ok(true)
}

/// Somebody speaks with a patient in another call: whatever was booked for them is done, and which. `actor`: who, or their
/// phone.
pub fn spoken_with(
    tx: &Tx<'_>,
    patient: &PhoneNumber,
    actor: &str,
    at: Timestamp,
) -> Result<Option<CallbackId>, StoreError> {
    let Some(booked) = one(tx, "number = ? AND state IN ('waiting', 'ringing')", params![patient])? else {
        return Ok(None);
    };
    let sql = "UPDATE callbacks SET state = 'done', ended_at = ?2, cause = NULL WHERE id = ?1";
    change(tx, booked.id, sql, params![booked.id, At(at)], "callback.done", actor, at)?;
    threads::moved_to_voice(tx, booked.thread, actor, at)?;
    Ok(Some(booked.id))
}

/// Whoever picked up at the clinic has hung up before the patient's phone rang: it was no attempt to reach them. Answers
/// how it stands now; none: it was not ringing.
pub fn not_called(tx: &Tx<'_>, id: CallbackId, again: Again, at: Timestamp) -> Result<Option<Callback>, StoreError> {
    let sql = "UPDATE callbacks SET state = 'waiting', attempts = attempts - 1, due_at = ?2, due_until = ?3
         WHERE id = ?1 AND state = 'ringing'";
    let values = params![id, At(again.from), At(again.until)];
    change(tx, id, sql, values, "callback.not_called", "system", at)
}

/// Nobody of the clinic is there to call: it waits for its next time, and that was no attempt to reach the patient.
pub fn postpone(tx: &Tx<'_>, id: CallbackId, again: Again) -> Result<bool, StoreError> {
    let sql = "UPDATE callbacks SET due_at = ?2, due_until = ?3 WHERE id = ?1 AND state = 'waiting'";
    Ok(tx.prepare_cached(sql)?.execute(params![id, At(again.from), At(again.until)])? > 0)
}

/// Somebody wants it to take place now, whatever the hour. False: it is due already, under way or over.
pub fn hurry(tx: &Tx<'_>, id: CallbackId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE callbacks SET due_at = ?2, due_until = NULL WHERE id = ?1 AND state = 'waiting' AND due_at > ?2";
    Ok(change(tx, id, sql, params![id, At(at)], "callback.hurried", actor, at)?.is_some())
}

/// It can no longer take place: its node is gone from the tree, or nobody of the clinic was there in its time. The thread
/// goes on waiting for a person. None: it was over already.
pub fn fail(tx: &Tx<'_>, id: CallbackId, cause: &str, at: Timestamp) -> Result<Option<Callback>, StoreError> {
    let sql = "UPDATE callbacks SET state = 'failed', ended_at = ?2, cause = ?3
         WHERE id = ?1 AND state IN ('waiting', 'ringing')";
    change(tx, id, sql, params![id, At(at), cause], "callback.failed", "system", at)
}

/// Somebody calls it off.
pub fn cancel(tx: &Tx<'_>, id: CallbackId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE callbacks SET state = 'cancelled', ended_at = ?2 WHERE id = ?1 AND state = 'waiting'";
    Ok(change(tx, id, sql, params![id, At(at)], "callback.cancelled", actor, at)?.is_some())
}

/// For the start of the daemon: the patients who were being called when it stopped.
pub fn stopped(conn: &Connection) -> Result<Vec<Callback>, StoreError> {
    list(conn, RINGING, params![i64::MAX])
}

/// Runs an `UPDATE` of one call back; if it changed the row, puts that on record and answers the row.
fn change(
    tx: &Tx<'_>,
    id: CallbackId,
    sql: &str,
    values: impl Params,
    action: &str,
    actor: &str,
    at: Timestamp,
) -> Result<Option<Callback>, StoreError> {
    if tx.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(None);
    }
    let Some(callback) = find(tx, id)? else { return Ok(None) };
    if callback.state == CallbackState::Failed {
        let waited = Duration::try_from(at.duration_since(callback.since)).unwrap_or_default();
        calls::callback_failed(tx, callback.call, waited)?;
    }
    let detail = json!({ "attempts": callback.attempts, "state": callback.state, "cause": callback.cause });
    record(tx, &callback, action, actor, detail, at)?;
    Ok(Some(callback))
}

/// In the audit chain, and in the timeline of its thread.
fn record(
    tx: &Tx<'_>,
    callback: &Callback,
    action: &str,
    actor: &str,
    mut detail: Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    detail["call"] = json!(callback.call);
    detail["thread"] = json!(callback.thread);
    audit::append(tx, Entry { at, actor, action, subject: &format!("callback:{}", callback.id), detail })?;
    tx.announce(Event::Thread(callback.thread));
    tx.announce(Event::Call(callback.call));
    Ok(())
}

fn one(conn: &Connection, condition: &str, values: impl Params) -> Result<Option<Callback>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM callbacks WHERE {condition}");
    Ok(conn.prepare_cached(&sql)?.query_row(values, read).optional()?)
}

fn list(conn: &Connection, condition: &str, values: impl Params) -> Result<Vec<Callback>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM callbacks WHERE {condition}");
    Ok(conn.prepare_cached(&sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Callback> {
    let at = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, At>(column)?.0);
    Ok(Callback {
        id: row.get(0)?,
        call: row.get(1)?,
        node: row.get(2)?,
        thread: row.get(3)?,
        number: row.get(4)?,
        language: row.get(5)?,
        reason: row.get(6)?,
        line: row.get(7)?,
        priority: row.get(8)?,
        since: at(9)?,
        due_at: at(10)?,
        asked_at: at(11)?,
        state: row.get::<_, Word<_>>(12)?.0,
        attempts: row.get(13)?,
        last_attempt_at: row.get::<_, Option<At>>(14)?.map(|at| at.0),
        last_call: row.get(15)?,
        ended_at: row.get::<_, Option<At>>(16)?.map(|at| at.0),
        cause: row.get(17)?,
        hours: row.get(18)?,
        due_until: row.get::<_, Option<At>>(19)?.map(|at| at.0),
        last_at: at(20)?,
    })
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
