//! Calls: a row when one begins, filled when it is over.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{
    CallEnd, CallId, CallStart, Callee, Caller, Direction, EndedBy, Outcome, Phone, PhoneNumber, Private, StaffName,
    ThreadId,
};

/// Writes the row of a call that begins. One whose end was written first keeps its end.
pub fn start(tx: &Tx<'_>, call: &CallStart) -> Result<(), StoreError> {
    let diversion: Vec<&str> = call.diversion.iter().map(|name| name.expose().as_str()).collect();
    tx.prepare_cached(
        "INSERT INTO calls (id, direction, trunk, caller, callee, emergency, diversion, sip_call_id, started_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET direction = excluded.direction, trunk = excluded.trunk,
             caller = excluded.caller, callee = excluded.callee, emergency = excluded.emergency,
             diversion = excluded.diversion, sip_call_id = excluded.sip_call_id, started_at = excluded.started_at",
    )?
    .execute(params![
        call.id,
        Word(call.direction),
        call.trunk,
        call.from,
        call.to.as_ref().map(Callee::as_str),
        matches!(call.to, Some(Callee::Emergency(_))),
        Json(diversion),
        call.sip_call_id,
        At(call.at),
    ])?;
    tx.announce(Event::Call(call.id));
    Ok(())
}

/// Writes how a call ended. A call whose start could not be recorded gets its row now, without what only the start knew.
pub fn end(tx: &Tx<'_>, call: &CallEnd) -> Result<(), StoreError> {
    let quality = call.quality;
    tx.prepare_cached(
        "INSERT INTO calls (id, answered_at, ended_at, path, digits, language, outcome, ended_by, cause, waited_ms,
             thread, sent, received, lost, remote_lost, jitter_ms, round_trip_ms, mos)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET answered_at = excluded.answered_at, ended_at = excluded.ended_at,
             path = excluded.path, digits = excluded.digits, language = excluded.language, outcome = excluded.outcome,
             ended_by = excluded.ended_by, cause = excluded.cause, waited_ms = excluded.waited_ms,
             thread = coalesce(excluded.thread, thread), sent = excluded.sent, received = excluded.received,
             lost = excluded.lost, remote_lost = excluded.remote_lost, jitter_ms = excluded.jitter_ms,
             round_trip_ms = excluded.round_trip_ms, mos = excluded.mos",
    )?
    .execute(params![
        call.id,
        call.answered_at.map(At),
        At(call.at),
        Json(&call.path),
        call.digits,
        call.language,
        Word(call.outcome),
        Word(call.ended_by),
        call.cause,
        millis(call.waited),
        call.thread,
        quality.map(|q| count(q.sent)),
        quality.map(|q| count(q.received)),
        quality.map(|q| count(q.lost)),
        quality.map(|q| count(q.remote_lost)),
        quality.map(|q| q.jitter_ms),
        quality.and_then(|q| q.round_trip_ms),
        quality.and_then(|q| q.mos),
    ])?;
    tx.announce(Event::Call(call.id));
    Ok(())
}

/// Notes the thread that a call opened or continued, at once: the call's end may never be written.
pub fn set_thread(tx: &Tx<'_>, call: CallId, thread: ThreadId) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE calls SET thread = ? WHERE id = ?")?.execute(params![thread, call])?;
    Ok(())
}

/// Who of the clinic spoke on a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Who placed or answered it, where that is known.
    pub staff: Option<StaffName>,
    /// The phone of the clinic that placed it.
    pub extension: Option<String>,
    /// The phone of the clinic that answered it.
    pub answered_by: Option<Phone>,
}

/// Notes who of the clinic is on a call, at once. What is not said stays as it was.
pub fn served(tx: &Tx<'_>, call: CallId, by: &Served) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO calls (id, staff, extension, answered_by) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET staff = coalesce(excluded.staff, staff),
             extension = coalesce(excluded.extension, extension),
             answered_by = coalesce(excluded.answered_by, answered_by)",
    )?
    .execute(params![call, by.staff, by.extension, by.answered_by.as_ref().map(Phone::to_string)])?;
    tx.announce(Event::Call(call));
    Ok(())
}

/// Notes the trunk that carries a call that the clinic has placed, and the number that it shows there.
pub fn carried(tx: &Tx<'_>, call: CallId, trunk: &str, from: &PhoneNumber) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO calls (id, trunk, caller) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET trunk = excluded.trunk, caller = excluded.caller",
    )?
    .execute(params![call, trunk, from])?;
    Ok(())
}

/// So many legs out are on record of one call.
const MOST_LEGS_OUT: usize = 20;

/// A leg of a call to a number out in the world, beside that by which the call came in or was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegOut {
    /// Who picked up there.
    pub to: PhoneNumber,
    /// The trunk that carries it.
    pub trunk: String,
    /// The phone of the clinic that sent the other party there; none: the phone tree did.
    pub by: Option<Phone>,
}

/// Notes that a party of the call is connected to a number out in the world.
pub fn leg_out(tx: &Tx<'_>, call: CallId, leg: &LegOut) -> Result<(), StoreError> {
    let leg = json!({ "to": leg.to, "trunk": leg.trunk, "by": leg.by.as_ref().map(Phone::to_string) });
    tx.prepare_cached(
        "UPDATE calls SET legs_out = json_insert(legs_out, '$[#]', json(?2))
         WHERE id = ?1 AND json_array_length(legs_out) < ?3",
    )?
    .execute(params![call, leg.to_string(), i64::try_from(MOST_LEGS_OUT).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// Notes at which position, from 1, a caller has left a line unserved.
pub fn left_line(tx: &Tx<'_>, call: CallId, position: usize) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO calls (id, place) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place",
    )?
    .execute(params![call, i64::try_from(position).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// The call back that was booked in a call has failed: its caller was missed after all. `waited`: since they have waited
/// for a person.
pub fn callback_failed(tx: &Tx<'_>, call: CallId, waited: Duration) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE calls SET outcome = ?2, cause = 'callback_failed', waited_ms = ?3 WHERE id = ?1 AND outcome = ?4",
    )?
    .execute(params![call, Word(Outcome::Missed), millis(waited), Word(Outcome::Callback)])?;
    Ok(())
}

/// A call that had come in, and was running when the daemon stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Which.
    pub call: CallId,
    /// Who was calling.
    pub from: Caller,
    /// When it had come in.
    pub started_at: Option<Timestamp>,
    /// The thread that it had opened or continued: then its caller has got their text.
    pub thread: Option<ThreadId>,
}

/// For the start of the daemon, before the first call: ends every call that has no end as [`Outcome::Interrupted`],
/// and says which of them had come in, oldest first, since their callers may be owed a text.
pub fn interrupt_unfinished(tx: &Tx<'_>, at: Timestamp) -> Result<Vec<Interrupted>, StoreError> {
    let found = tx
        .prepare("SELECT id, caller, started_at, thread, direction FROM calls WHERE ended_at IS NULL ORDER BY id")?
        .query_map([], |row| {
            let call = Interrupted {
                call: row.get(0)?,
                from: row.get::<_, Option<Caller>>(1)?.unwrap_or(Caller::Anonymous),
                started_at: row.get::<_, Option<At>>(2)?.map(|at| at.0),
                thread: row.get(3)?,
            };
            let placed = row.get::<_, Option<Word<Direction>>>(4)?.is_some_and(|word| word.0 == Direction::Outbound);
            Ok((call, placed))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    tx.execute(
        "UPDATE calls SET ended_at = ?, outcome = ?, ended_by = 'system', cause = 'restart' WHERE ended_at IS NULL",
        params![At(at), Word(Outcome::Interrupted)],
    )?;
    found.iter().for_each(|(call, _)| tx.announce(Event::Call(call.call)));
    Ok(found.into_iter().filter(|(_, placed)| !placed).map(|(call, _)| call).collect())
}

/// What is on record of a call's way, without who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The trunk that it came by.
    pub trunk: Option<String>,
    /// When it came in; not known where that could not be recorded.
    pub started_at: Option<Timestamp>,
    /// When it was answered, if it was.
    pub answered_at: Option<Timestamp>,
    /// When it was over; none while it runs.
    pub ended_at: Option<Timestamp>,
    /// The nodes it went through, in order.
    pub path: Vec<String>,
    /// The keys pressed, in order; those of a `number` node as `•`.
    pub digits: String,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// Why, in a word or a SIP status.
    pub cause: Option<String>,
    /// The thread that it opened or continued.
    pub thread: Option<ThreadId>,
}

/// The calls, two at most, whose id begins so, or else the one whose SIP Call-ID this is, of which every row is read:
/// each with the moment of its end.
pub fn meant(conn: &Connection, wanted: &str) -> Result<Vec<(CallId, Option<Timestamp>)>, StoreError> {
    let list = |condition: &str| -> Result<Vec<_>, StoreError> {
        let sql = format!("SELECT id, ended_at FROM calls WHERE {condition} LIMIT 2");
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<At>>(1)?.map(|at| at.0)));
        Ok(conn.prepare(&sql)?.query_map([wanted], read)?.collect::<Result<_, _>>()?)
    };
    // An id is of 0-9, a-f and "-".
    let by_id = list("id >= ?1 AND id < ?1 || 'g'")?;
    if by_id.is_empty() { list("sip_call_id = ?1") } else { Ok(by_id) }
}

/// A call's record.
pub fn find(conn: &Connection, call: CallId) -> Result<Option<Recorded>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT trunk, started_at, answered_at, ended_at, path, digits, outcome, ended_by, cause, thread
         FROM calls WHERE id = ?",
    )?;
    let found = query.query_row([call], |row| {
        let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<At>>(column)?.map(|at| at.0));
        Ok(Recorded {
            trunk: row.get(0)?,
            started_at: at(1)?,
            answered_at: at(2)?,
            ended_at: at(3)?,
            path: row.get::<_, Json<Vec<String>>>(4)?.0,
            digits: row.get(5)?,
            outcome: row.get::<_, Option<Word<_>>>(6)?.map(|word| word.0),
            ended_by: row.get::<_, Option<Word<_>>>(7)?.map(|word| word.0),
            cause: row.get(8)?,
            thread: row.get(9)?,
        })
    });
    Ok(found.optional()?)
}

/// What became of a call; `None` while it runs or if it is not known.
pub fn outcome(conn: &Connection, call: CallId) -> Result<Option<Outcome>, StoreError> {
    let found: Option<Option<Word<Outcome>>> = conn
        .prepare_cached("SELECT outcome FROM calls WHERE id = ?")?
        .query_row([call], |row| row.get(0))
        .optional()?;
    Ok(found.flatten().map(|word| word.0))
}

/// The caller's name as it was recorded, for a call's page.
pub fn caller(conn: &Connection, call: CallId) -> Result<Option<Private<String>>, StoreError> {
    let found: Option<Option<String>> =
        conn.prepare_cached("SELECT caller FROM calls WHERE id = ?")?.query_row([call], |row| row.get(0)).optional()?;
    Ok(found.flatten().map(Private::new))
}

pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn length(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn count(packets: u64) -> i64 {
    i64::try_from(packets).unwrap_or(i64::MAX)
}
