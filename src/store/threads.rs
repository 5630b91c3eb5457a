//! Text threads: at most one open for each number.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Word};
use super::messages::{MessageKind, NewMessage};
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{CallId, Language, LatestThread, MessageDirection, OpenedBy, PhoneNumber, StaffName, ThreadId};

/// A thread to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewThread {
    /// Its id.
    pub id: ThreadId,
    /// With whom.
    pub number: PhoneNumber,
    /// About what: the `reason` of the `text` node.
    pub reason: Option<String>,
    /// In which language.
    pub language: Option<Language>,
    /// What opened it.
    pub opened_by: OpenedBy,
    /// The call that opened it.
    pub call: Option<CallId>,
    /// When.
    pub at: Timestamp,
}

/// The open thread of `number`, or else the one closed last.
pub fn latest(conn: &Connection, number: &PhoneNumber) -> Result<Option<LatestThread>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT id, state, closed_at FROM threads WHERE number = ?
             ORDER BY state <> 'closed' DESC, active_at DESC, id DESC LIMIT 1",
        )?
        .query_row([number], |row| {
            Ok(LatestThread {
                id: row.get(0)?,
                state: row.get::<_, Word<_>>(1)?.0,
                closed_at: row.get::<_, Option<At>>(2)?.map(|at| at.0),
            })
        })
        .optional()?;
    Ok(found)
}

/// The language that a thread is held in, where it is known.
pub fn language(conn: &Connection, thread: ThreadId) -> Result<Option<Language>, StoreError> {
    let language =
        conn.prepare_cached("SELECT language FROM threads WHERE id = ?")?.query_row([thread], |row| row.get(0));
    Ok(language.optional()?.flatten())
}

/// Notes the language that a thread is held in from now on.
pub fn set_language(tx: &Tx<'_>, thread: ThreadId, language: &Language) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE threads SET language = ? WHERE id = ?")?.execute(params![language, thread])?;
    Ok(())
}

/// Opens a thread. Fails if the number has an open one.
pub fn open(tx: &Tx<'_>, thread: &NewThread) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO threads (id, number, state, reason, language, opened_by, call, opened_at, active_at)
         VALUES (?1, ?2, 'open', ?3, ?4, ?5, ?6, ?7, ?7)",
    )?
    .execute(params![
        thread.id,
        thread.number,
        thread.reason,
        thread.language,
        Word(thread.opened_by),
        thread.call,
        At(thread.at),
    ])?;
    let detail = json!({ "opened_by": thread.opened_by, "call": thread.call, "reason": thread.reason });
    record(tx, thread.id, "thread.opened", "system", detail, thread.at)
}

/// Notes that something happened in a thread. One that was snoozed is open again.
pub fn touch(tx: &Tx<'_>, thread: ThreadId, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE threads SET active_at = max(active_at, ?2),
             state = CASE state WHEN 'snoozed' THEN 'open' ELSE state END WHERE id = ?1",
    )?
    .execute(params![thread, At(at)])?;
    tx.announce(Event::Thread(thread));
    Ok(())
}

/// So many characters of a message are shown in the queue.
const PREVIEW: usize = 160;

/// Keeps what the queue shows of a thread in step with its newest message: its first words, and whether the patient
/// waits for a person. Keywords are obeyed by the house and wait for nobody; only a person's answer ends a wait.
pub(super) fn heard(tx: &Tx<'_>, message: &NewMessage, direction: MessageDirection) -> Result<(), StoreError> {
    let by_person = StaffName::parse(&message.author).is_ok();
    let waits = direction == MessageDirection::Inbound && message.kind != MessageKind::Keyword;
    let preview: String = message.body.expose().chars().take(PREVIEW).collect();
    tx.prepare_cached(
        "UPDATE threads SET last_at = ?2, last_author = ?3, last_words = ?4,
             waiting_since = CASE WHEN ?5 THEN coalesce(waiting_since, ?2) WHEN ?6 THEN NULL ELSE waiting_since END,
             opened_since = CASE WHEN ?6 THEN NULL ELSE opened_since END,
             first_reply_at = CASE WHEN ?6 THEN coalesce(first_reply_at, ?2) ELSE first_reply_at END,
             undeliverable = CASE WHEN ?7 THEN NULL ELSE undeliverable END,
             close_offered_at = CASE WHEN ?5 THEN NULL ELSE close_offered_at END
         WHERE id = ?1",
    )?
    .execute(params![
        message.thread,
        At(message.at),
        message.author,
        preview,
        waits,
        by_person,
        direction == MessageDirection::Inbound,
    ])?;
    Ok(())
}

/// Gives a thread that is nobody's to `owner`.
pub fn adopt(tx: &Tx<'_>, thread: ThreadId, owner: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    let taken = tx
        .prepare_cached("UPDATE threads SET owner = ?2 WHERE id = ?1 AND owner IS NULL")?
        .execute(params![thread, owner])?;
    if taken == 0 {
        return Ok(());
    }
    record(tx, thread, "thread.assigned", owner.as_str(), json!({ "to": owner }), at)
}

/// Opens a closed thread again.
pub fn reopen(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE threads SET state = 'open', closed_at = NULL, resolution = NULL, active_at = max(active_at, ?2)
         WHERE id = ?1",
    )?
    .execute(params![thread, At(at)])?;
    record(tx, thread, "thread.reopened", actor, json!({}), at)
}

/// Closes a thread, with a word on how it was resolved. Closing a closed one changes nothing.
pub fn close(tx: &Tx<'_>, thread: ThreadId, resolution: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    let closed = tx
        .prepare_cached(
            "UPDATE threads SET state = 'closed', closed_at = ?2, resolution = ?3, active_at = max(active_at, ?2)
             WHERE id = ?1 AND state <> 'closed'",
        )?
        .execute(params![thread, At(at), resolution])?;
    if closed == 0 {
        return Ok(());
    }
    record(tx, thread, "thread.closed", actor, json!({ "resolution": resolution }), at)
}

fn record(
    tx: &Tx<'_>,
    thread: ThreadId,
    action: &str,
    actor: &str,
    detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("thread:{thread}"), detail })?;
    tx.announce(Event::Thread(thread));
    Ok(())
}
