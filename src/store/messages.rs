//! Text messages, in and out. What is still to be sent is also in [`super::outbox`].

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::column::{At, Json, Word};
use super::{StoreError, Tx, threads};
use crate::events::Event;
use crate::model::{CallId, MessageDirection, MessageId, MessageStatus, PhoneNumber, Private, ThreadId};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// The greeting that a caller asked for by a key.
    Offer,
    /// To a caller who left unserved.
    MissedCall,
    /// The answer to STOP.
    StopReply,
    /// The answer to START.
    StartReply,
    /// The answer to HELP.
    HelpReply,
    /// A STOP, START or HELP that came in and has been obeyed: nobody need answer it.
    Keyword,
    /// What people write to each other.
    Chat,
}

/// A message to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// Where it belongs.
    pub thread: ThreadId,
    /// What it is for.
    pub kind: MessageKind,
    /// Who wrote it: `system`, `patient`, a user's name.
    pub author: String,
    /// The sending number.
    pub from: PhoneNumber,
    /// The receiving number.
    pub to: PhoneNumber,
    /// Its words.
    pub body: Private<String>,
    /// Addresses of pictures and the like.
    pub media: Vec<Private<String>>,
    /// The call that it follows.
    pub call: Option<CallId>,
    /// What may be written once only: a second message with the same key is refused by the database.
    pub once: Option<String>,
    /// When.
    pub at: Timestamp,
}

pub(super) fn insert(
    tx: &Tx<'_>,
    message: &NewMessage,
    direction: MessageDirection,
    status: MessageStatus,
    gateway: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO messages (id, thread, direction, kind, author, sender, recipient, body, media, status,
             gateway, gateway_id, created_at, call, once)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        message.id,
        message.thread,
        Word(direction),
        Word(message.kind),
        message.author,
        message.from,
        message.to,
        message.body.expose(),
        Json(&message.media),
        Word(status),
        gateway.map(|(name, _)| name),
        gateway.map(|(_, id)| id),
        At(message.at),
        message.call,
        message.once,
    ])?;
    threads::heard(tx, message, direction)?;
    tx.announce(Event::Message(message.id));
    Ok(())
}

/// The message that was written under a once-only key, and its thread.
pub fn written_once(conn: &Connection, once: &str) -> Result<Option<(ThreadId, MessageId)>, StoreError> {
    let found = conn
        .prepare_cached("SELECT thread, id FROM messages WHERE once = ?")?
        .query_row([once], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found)
}

/// Whether a text has been written that follows this call.
pub fn any_of_call(conn: &Connection, call: CallId) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM messages WHERE call = ?")?.exists([call])?)
}

/// When `number` was last sent a message of this kind.
pub fn last_to(conn: &Connection, number: &PhoneNumber, kind: MessageKind) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn
        .prepare_cached("SELECT max(created_at) FROM messages WHERE recipient = ? AND kind = ?")?
        .query_row(params![number, Word(kind)], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

/// When `number` last texted us.
pub fn last_from(conn: &Connection, number: &PhoneNumber) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn
        .prepare_cached("SELECT max(created_at) FROM messages WHERE sender = ? AND direction = 'inbound'")?
        .query_row([number], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

/// Where a message stands; `None` if there is none with that id.
pub fn status(conn: &Connection, message: MessageId) -> Result<Option<MessageStatus>, StoreError> {
    let found: Option<Word<MessageStatus>> = conn
        .prepare_cached("SELECT status FROM messages WHERE id = ?")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    Ok(found.map(|word| word.0))
}

/// What a message is for; `None` if there is none with that id.
pub fn kind(conn: &Connection, message: MessageId) -> Result<Option<MessageKind>, StoreError> {
    let found: Option<Word<MessageKind>> = conn
        .prepare_cached("SELECT kind FROM messages WHERE id = ?")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    Ok(found.map(|word| word.0))
}

/// A message as it was written, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it belongs.
    pub thread: ThreadId,
    /// Which way it goes.
    pub direction: MessageDirection,
    /// Who wrote it.
    pub author: String,
    /// Its words.
    pub body: Private<String>,
    /// Where it stands.
    pub status: MessageStatus,
}

/// A message; `None` if there is none with that id.
pub fn find(conn: &Connection, message: MessageId) -> Result<Option<Written>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT thread, direction, author, body, status FROM messages WHERE id = ?")?
        .query_row([message], |row| {
            Ok(Written {
                thread: row.get(0)?,
                direction: row.get::<_, Word<_>>(1)?.0,
                author: row.get(2)?,
                body: Private::new(row.get(3)?),
                status: row.get::<_, Word<_>>(4)?.0,
            })
        })
        .optional()?)
}

/// A delivery report, as a gateway's webhook brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// Its id of the message.
    pub gateway_id: &'a str,
    /// Where the message stands.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// When we were told.
    pub at: Timestamp,
}

/// What a delivery report did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The message stands elsewhere now.
    Moved {
        /// Which.
        message: MessageId,
        /// The patient's number.
        to: PhoneNumber,
    },
    /// We know better already: reports come late, twice and in any order.
    Stale,
    /// It overtook the answer to its own send, and is kept until that is recorded; or it is about no message of ours.
    Kept,
}

/// Reports that are kept for messages that we do not know yet: the newest ones.
const EARLY: i64 = 1000;

/// Takes a delivery report. A message never goes backward: what has been delivered stays delivered.
pub fn report(tx: &Tx<'_>, report: &Report<'_>) -> Result<Reported, StoreError> {
    let found: Option<(MessageId, PhoneNumber, Word<MessageStatus>)> = tx
        .prepare_cached(
            "SELECT id, recipient, status FROM messages WHERE gateway = ? AND gateway_id = ? AND direction = 'outbound'",
        )?
        .query_row([report.gateway, report.gateway_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((message, to, Word(status))) = found else {
        keep_early(tx, report)?;
        return Ok(Reported::Kept);
    };
    if rank(report.status) <= rank(status) {
        return Ok(Reported::Stale);
    }
    advance(tx, message, report.status, report.error, report.at)?;
    Ok(Reported::Moved { message, to })
}

fn keep_early(tx: &Tx<'_>, report: &Report<'_>) -> Result<(), StoreError> {
    let kept: Option<Word<MessageStatus>> = tx
        .prepare_cached("SELECT status FROM early_status WHERE gateway = ? AND gateway_id = ?")?
        .query_row([report.gateway, report.gateway_id], |row| row.get(0))
        .optional()?;
    if kept.is_some_and(|kept| rank(report.status) <= rank(kept.0)) {
        return Ok(());
    }
    tx.prepare_cached("INSERT OR REPLACE INTO early_status VALUES (?, ?, ?, ?, ?)")?.execute(params![
        report.gateway,
        report.gateway_id,
        Word(report.status),
        report.error,
        At(report.at),
    ])?;
    tx.prepare_cached(
        "DELETE FROM early_status WHERE at < (SELECT at FROM early_status ORDER BY at DESC LIMIT 1 OFFSET ?)",
    )?
    .execute([EARLY - 1])?;
    Ok(())
}

/// The report that overtook a message's own send, taken out.
pub(super) fn take_early(
    tx: &Tx<'_>,
    gateway: &str,
    gateway_id: &str,
) -> Result<Option<(MessageStatus, Option<String>, Timestamp)>, StoreError> {
    let found = tx
        .prepare_cached("DELETE FROM early_status WHERE gateway = ? AND gateway_id = ? RETURNING status, error, at")?
        .query_row([gateway, gateway_id], |row| Ok((row.get::<_, Word<_>>(0)?.0, row.get(1)?, row.get::<_, At>(2)?.0)))
        .optional()?;
    Ok(found)
}

/// Moves a message to `status`, whatever it was. Its thread says whether the newest text to the patient arrived.
pub(super) fn advance(
    tx: &Tx<'_>,
    message: MessageId,
    status: MessageStatus,
    error: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let delivered = (status == MessageStatus::Delivered).then_some(At(at));
    let thread: Option<ThreadId> = tx
        .prepare_cached(
            "UPDATE messages SET status = ?2, error = ?3, delivered_at = coalesce(?4, delivered_at) WHERE id = ?1
             RETURNING thread",
        )?
        .query_row(params![message, Word(status), error, delivered], |row| row.get(0))
        .optional()?;
    threads::delivery(tx, message, status, error)?;
    // Whoever reads the thread sees whether the text arrived.
    if let Some(thread) = thread {
        tx.announce(Event::Thread(thread));
    }
    tx.announce(Event::Message(message));
    Ok(())
}

/// How far along a status is. A carrier's failure can still be followed by a handset's receipt, not the reverse.
pub(super) fn rank(status: MessageStatus) -> u8 {
    match status {
        MessageStatus::Queued => 0,
        MessageStatus::Sending => 1,
        MessageStatus::Unknown => 2,
        MessageStatus::Sent => 3,
        MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Expired | MessageStatus::Cancelled => 4,
        MessageStatus::Delivered => 5,
        MessageStatus::Received => 6,
    }
}
