//! What waits to be sent: leased in a short transaction, sent outside any, settled in another.
//!
//! A message is in the outbox from [`enqueue`] until its fate is known. A lease survives a crash: the rows that
//! [`recover`] gives were handed to the gateway, or were just about to be.
//!
//! Settling a message that is not leased does nothing and says `false`: an answer that comes late changes nothing.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Json};
use super::messages::{self, NewMessage};
use super::{StoreError, Tx, threads};
use crate::events::Event;
use crate::model::{MessageDirection, MessageId, MessageStatus, PhoneNumber, Private, ThreadId};

/// A message in the worker's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Which.
    pub message: MessageId,
    /// The sending number.
    pub from: PhoneNumber,
    /// The receiving number.
    pub to: PhoneNumber,
    /// Its words.
    pub body: Private<String>,
    /// Addresses of pictures and the like.
    pub media: Vec<Private<String>>,
    /// Which try this is: 1 for the first.
    pub attempt: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// After this it is of no use.
    pub expires_at: Timestamp,
    /// When it was leased.
    pub leased_at: Timestamp,
}

/// Writes an outbound message, its outbox row and its audit row. It is due at once, and of no use after `expires_at`.
pub fn enqueue(tx: &Tx<'_>, message: &NewMessage, expires_at: Timestamp) -> Result<(), StoreError> {
    enqueue_later(tx, message, message.at, expires_at)
}

/// What is due so long after it was written, or sooner, is on its way: it only can still be undone.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(60);

/// As [`enqueue`], due at `due_at`: until then it can be taken back. What is due much later answers nobody yet.
pub fn enqueue_later(
    tx: &Tx<'_>,
    message: &NewMessage,
    due_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let later = due_at.duration_since(message.at) > AT_ONCE;
    let waits = if later { threads::waits(tx, message.thread)? } else { None };
    messages::insert(tx, message, MessageDirection::Outbound, MessageStatus::Queued, None)?;
    if let Some(waits) = waits {
        threads::still_waits(tx, message.thread, waits)?;
    }
    tx.prepare_cached("INSERT INTO outbox (message, sender, recipient, due_at, expires_at) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![message.id, message.from, message.to, At(due_at), At(expires_at)])?;
    let detail = json!({ "kind": message.kind, "thread": message.thread, "call": message.call });
    record(tx, message.id, "message.queued", &message.author, detail, message.at)?;
    tx.announce(Event::Outbox);
    Ok(())
}

/// The outbox comes first, here and in [`OLDEST`]: without CROSS JOIN, SQLite may walk through all messages ever written.
const LEASED: &str = "SELECT o.message, o.sender, o.recipient, m.body, m.media, o.attempts, m.created_at,
        o.expires_at, o.leased_at
    FROM outbox o CROSS JOIN messages m ON m.id = o.message";

const OLDEST: &str = "SELECT min(m.created_at) FROM outbox o CROSS JOIN messages m ON m.id = o.message";

/// Hands out up to `limit` messages that are due and not expired, the one due longest first.
pub fn lease(tx: &Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<Leased>, StoreError> {
    let due: Vec<MessageId> = tx
        .prepare_cached(
            "SELECT message FROM outbox WHERE leased_at IS NULL AND due_at <= ?1 AND expires_at > ?1
             ORDER BY due_at, message LIMIT ?2",
        )?
        .query_map(params![At(now), i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut leased = Vec::with_capacity(due.len());
    for message in due {
        tx.prepare_cached("UPDATE outbox SET leased_at = ?2, attempts = attempts + 1 WHERE message = ?1")?
            .execute(params![message, At(now)])?;
        messages::advance(tx, message, MessageStatus::Sending, None, now)?;
        threads::answer_goes(tx, message, now)?;
        leased.push(tx.prepare_cached(&format!("{LEASED} WHERE o.message = ?"))?.query_row([message], read)?);
    }
    Ok(leased)
}

/// The gateway has it: as [`MessageStatus::Sent`], or further. A report that came before this answer is applied now.
pub fn sent(
    tx: &Tx<'_>,
    message: MessageId,
    gateway: &str,
    gateway_id: &str,
    status: MessageStatus,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if !take_leased(tx, message)? {
        return Ok(false);
    }
    tx.prepare_cached("UPDATE messages SET gateway = ?2, gateway_id = ?3, sent_at = ?4 WHERE id = ?1")?
        .execute(params![message, gateway, gateway_id, At(at)])?;
    let early = messages::take_early(tx, gateway, gateway_id)?;
    match early.filter(|(early, ..)| messages::rank(*early) > messages::rank(status)) {
        Some((status, error, at)) => messages::advance(tx, message, status, error.as_deref(), at)?,
        None => messages::advance(tx, message, status, None, at)?,
    }
    record(tx, message, "message.sent", &format!("gateway:{gateway}"), json!({ "gateway_id": gateway_id }), at)?;
    threads::answer_went(tx, message, at)?;
    Ok(true)
}

/// It never will be sent; `error` says why, in plain words without number or text.
pub fn failed(tx: &Tx<'_>, message: MessageId, error: &str, at: Timestamp) -> Result<bool, StoreError> {
    settle(tx, message, MessageStatus::Failed, error, at)
}

/// The gateway may have taken it and cannot say.
pub fn unknown(tx: &Tx<'_>, message: MessageId, error: &str, at: Timestamp) -> Result<bool, StoreError> {
    settle(tx, message, MessageStatus::Unknown, error, at)
}

/// It was certainly not taken: it is due again at `due`. One that was cancelled meanwhile, or is of no use by then,
/// is settled instead.
pub fn retry_at(
    tx: &Tx<'_>,
    message: MessageId,
    due: Timestamp,
    error: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let found: Option<(bool, At)> = tx
        .prepare_cached("SELECT cancelled, expires_at FROM outbox WHERE message = ? AND leased_at IS NOT NULL")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(false),
        Some((true, _)) => settle(tx, message, MessageStatus::Failed, CANCELLED, now),
        Some((false, expires)) if expires.0 <= due => settle(tx, message, MessageStatus::Expired, error, now),
        Some(_) => {
            tx.prepare_cached("UPDATE outbox SET leased_at = NULL, due_at = ?2 WHERE message = ?1")?
                .execute(params![message, At(due)])?;
            messages::advance(tx, message, MessageStatus::Queued, Some(error), now)?;
            tx.announce(Event::Outbox);
            Ok(true)
        }
    }
}

const CANCELLED: &str = "the recipient opted out before it was sent";

/// Takes out what waits and is of no use any more; how many.
pub fn expire(tx: &Tx<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let old: Vec<MessageId> = tx
        .prepare_cached("SELECT message FROM outbox WHERE leased_at IS NULL AND expires_at <= ?")?
        .query_map([At(now)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for message in &old {
        finish(tx, *message, MessageStatus::Expired, "it was not sent in time", now)?;
    }
    Ok(old.len())
}

/// Takes out everything that waits for `number`, which has opted out; how many. What is being sent just now is not
/// tried again.
pub fn cancel_for(tx: &Tx<'_>, number: &PhoneNumber, now: Timestamp) -> Result<usize, StoreError> {
    let waiting: Vec<MessageId> = tx
        .prepare_cached("SELECT message FROM outbox WHERE recipient = ? AND leased_at IS NULL")?
        .query_map([number], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for message in &waiting {
        finish(tx, *message, MessageStatus::Failed, CANCELLED, now)?;
    }
    tx.prepare_cached("UPDATE outbox SET cancelled = 1 WHERE recipient = ?")?.execute([number])?;
    Ok(waiting.len())
}

/// Takes back a message that has not been handed to the gateway; gives its words and its thread. `None`: it is on its
/// way or gone, or there is none with that id.
pub fn take_back(
    tx: &Tx<'_>,
    message: MessageId,
    actor: &str,
    now: Timestamp,
) -> Result<Option<(ThreadId, Private<String>)>, StoreError> {
    let taken = tx.prepare_cached("DELETE FROM outbox WHERE message = ? AND leased_at IS NULL")?.execute([message])?;
    if taken == 0 {
        return Ok(None);
    }
    messages::advance(tx, message, MessageStatus::Cancelled, None, now)?;
    // The same form may be sent again.
    let (thread, body): (ThreadId, String) = tx
        .prepare_cached("UPDATE messages SET once = NULL WHERE id = ? RETURNING thread, body")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    threads::recount(tx, thread)?;
    record(tx, message, "message.cancelled", actor, json!({ "thread": thread }), now)?;
    tx.announce(Event::Outbox);
    Ok(Some((thread, Private::new(body))))
}

/// What waits for a later time is due now, and of no use after `expires_at`. `false`: it does not wait.
pub fn send_now(
    tx: &Tx<'_>,
    message: MessageId,
    expires_at: Timestamp,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let hurried = tx
        .prepare_cached(
            "UPDATE outbox SET due_at = ?2, expires_at = ?3 WHERE message = ?1 AND leased_at IS NULL AND due_at > ?2",
        )?
        .execute(params![message, At(now), At(expires_at)])?;
    if hurried > 0 {
        record(tx, message, "message.sent_now", actor, json!({}), now)?;
        tx.announce(Event::Message(message));
        tx.announce(Event::Outbox);
    }
    Ok(hurried > 0)
}

/// For the start of the worker, before its first lease: what was leased when the daemon stopped. Each is settled like
/// an answer of the gateway: [`sent`], [`failed`], [`unknown`] or [`retry_at`].
pub fn recover(conn: &Connection) -> Result<Vec<Leased>, StoreError> {
    let found = conn
        .prepare_cached(&format!("{LEASED} WHERE o.leased_at IS NOT NULL ORDER BY o.leased_at, o.message"))?
        .query_map([], read)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// When the worker must look again: the next due time or expiry of what waits.
pub fn next_due(conn: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn
        .prepare_cached("SELECT min(min(due_at, expires_at)) FROM outbox WHERE leased_at IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

/// How many messages are in the outbox, waiting or leased.
pub fn size(conn: &Connection) -> Result<u64, StoreError> {
    let count: i64 = conn.prepare_cached("SELECT count(*) FROM outbox")?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// When the message that has been in the outbox longest was written.
pub fn oldest(conn: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn.prepare_cached(OLDEST)?.query_row([], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

fn take_leased(tx: &Tx<'_>, message: MessageId) -> Result<bool, StoreError> {
    let taken =
        tx.prepare_cached("DELETE FROM outbox WHERE message = ? AND leased_at IS NOT NULL")?.execute([message])?;
    Ok(taken == 1)
}

fn settle(
    tx: &Tx<'_>,
    message: MessageId,
    status: MessageStatus,
    error: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let leased = take_leased(tx, message)?;
    if leased {
        finish(tx, message, status, error, at)?;
    }
    Ok(leased)
}

fn finish(
    tx: &Tx<'_>,
    message: MessageId,
    status: MessageStatus,
    error: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM outbox WHERE message = ?")?.execute([message])?;
    messages::advance(tx, message, status, Some(error), at)?;
    let action = match status {
        MessageStatus::Expired => "message.expired",
        MessageStatus::Unknown => "message.unknown",
        _ => "message.failed",
    };
    record(tx, message, action, "system", json!({ "error": error }), at)
}

fn record(
    tx: &Tx<'_>,
    message: MessageId,
    action: &str,
    actor: &str,
    detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("message:{message}"), detail })?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Leased> {
    Ok(Leased {
        message: row.get(0)?,
        from: row.get(1)?,
        to: row.get(2)?,
        body: Private::new(row.get(3)?),
        media: row.get::<_, Json<_>>(4)?.0,
        attempt: row.get(5)?,
        created_at: row.get::<_, At>(6)?.0,
        expires_at: row.get::<_, At>(7)?.0,
        leased_at: row.get::<_, At>(8)?.0,
    })
}

#[cfg(test)]
mod tests;
