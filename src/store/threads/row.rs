//! What lists show of a thread and sort it by: its newest words, since when its patient waits, whether a text arrived. It
//! is kept in the thread's row, so that no list reads the messages.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::clear_flag;
use crate::events::Event;
use crate::model::{MessageDirection, MessageId, MessageStatus, StaffName, ThreadId};
use crate::store::column::{At, Word};
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::{StoreError, Tx};

/// What a patient said in a call that staff have still to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// A recorded message.
    Voicemail,
    /// That they want to be called back.
    Callback,
}

/// Keeps what the queue shows of a thread in step with what a patient said in a call: they wait for a person.
pub(in crate::store) fn spoke(tx: &Tx<'_>, thread: ThreadId, what: Spoken, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE threads SET last_at = ?2, last_author = 'patient', last_words = NULL, last_spoken = ?3,
             waiting_since = coalesce(waiting_since, ?2), close_offered_at = NULL
         WHERE id = ?1",
    )?
    .execute(params![thread, At(at), Word(what)])?;
    tx.announce(Event::Thread(thread));
    Ok(())
}

/// So many characters of a message are shown in the queue.
const PREVIEW: usize = 160;

/// Keeps what the queue shows of a thread in step with its newest message: its first words, and whether the patient
/// waits for a person. Keywords are obeyed by the house and wait for nobody; only a person's answer ends a wait.
pub(in crate::store) fn heard(
    tx: &Tx<'_>,
    message: &NewMessage,
    direction: MessageDirection,
) -> Result<(), StoreError> {
    let by_person = StaffName::parse(&message.author).is_ok();
    let waits = direction == MessageDirection::Inbound && message.kind != MessageKind::Keyword;
    let preview: String = message.body.expose().chars().take(PREVIEW).collect();
    tx.prepare_cached(
        "UPDATE threads SET last_at = ?2, last_author = ?3, last_words = ?4, last_spoken = NULL,
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
    tx.announce(Event::Thread(message.thread));
    Ok(())
}

/// Who waits in a thread, as far as an answer changes it.
#[derive(Clone, Copy)]
pub(in crate::store) struct Waits {
    since: Option<At>,
    opened_since: Option<At>,
    first_reply_at: Option<At>,
}

/// Who waits, before something is written that is no answer yet.
pub(in crate::store) fn waits(conn: &Connection, thread: ThreadId) -> Result<Option<Waits>, StoreError> {
    let sql = "SELECT waiting_since, opened_since, first_reply_at FROM threads WHERE id = ?";
    let read = |row: &Row<'_>| Ok(Waits { since: row.get(0)?, opened_since: row.get(1)?, first_reply_at: row.get(2)? });
    Ok(conn.prepare_cached(sql)?.query_row([thread], read).optional()?)
}

/// An answer that goes out later answers nobody now: whoever waited still does.
pub(in crate::store) fn still_waits(tx: &Tx<'_>, thread: ThreadId, waits: Waits) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE threads SET waiting_since = ?2, opened_since = ?3, first_reply_at = ?4 WHERE id = ?1")?
        .execute(params![thread, waits.since, waits.opened_since, waits.first_reply_at])?;
    Ok(())
}

/// An answer goes out: it ends the wait of whatever was written before it.
pub(in crate::store) fn answer_goes(tx: &Tx<'_>, message: MessageId, now: Timestamp) -> Result<(), StoreError> {
    let ended = tx
        .prepare_cached(
            "UPDATE threads SET opened_since = NULL, first_reply_at = coalesce(first_reply_at, ?2), waiting_since =
                 (SELECT min(w.created_at) FROM messages w WHERE w.thread = threads.id AND w.direction = 'inbound'
                  AND w.kind <> 'keyword' AND w.created_at > m.created_at)
             FROM (SELECT thread, created_at FROM messages
                   WHERE id = ?1 AND author NOT IN ('system', 'automation')) m
             WHERE threads.id = m.thread AND threads.waiting_since <= m.created_at RETURNING threads.id",
        )?
        .query_row(params![message, At(now)], |row| row.get(0))
        .optional()?;
    ended.into_iter().for_each(|thread| tx.announce(Event::Thread(thread)));
    Ok(())
}

/// A person's answer is with the gateway: it has seen to the red flag, unless the patient wrote again since it was
/// written. Not sooner: an answer may be taken back, wait for days, or never be sent.
pub(in crate::store) fn answer_went(tx: &Tx<'_>, message: MessageId, at: Timestamp) -> Result<(), StoreError> {
    let flagged: Option<(ThreadId, String)> = tx
        .prepare_cached(
            "SELECT t.id, m.author FROM messages m JOIN threads t ON t.id = m.thread
             WHERE m.id = ? AND t.red_flag IS NOT NULL AND m.author NOT IN ('system', 'automation')
                 AND NOT EXISTS (SELECT 1 FROM messages w WHERE w.thread = m.thread AND w.created_at > m.created_at
                     AND w.direction = 'inbound' AND w.kind <> 'keyword')",
        )?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((thread, author)) = flagged {
        clear_flag(tx, thread, &author, at)?;
    }
    Ok(())
}

/// Keeps in a thread's row whether its newest text to the patient arrived.
pub(in crate::store) fn delivery(
    tx: &Tx<'_>,
    message: MessageId,
    status: MessageStatus,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let problem = match status {
        MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Expired | MessageStatus::Unknown => {
            Some(error.unwrap_or("the gateway gave no reason"))
        }
        MessageStatus::Sent | MessageStatus::Delivered => None,
        _ => return Ok(()),
    };
    tx.prepare_cached(
        "UPDATE threads SET undeliverable = ?2 WHERE undeliverable IS NOT ?2 AND state <> 'closed'
             AND id = (SELECT thread FROM messages WHERE id = ?1)
             AND last_at <= (SELECT created_at FROM messages WHERE id = ?1)",
    )?
    .execute(params![message, problem])?;
    Ok(())
}

/// Brings what the queue shows back in step with the messages: after one was taken back.
pub(in crate::store) fn recount(tx: &Tx<'_>, thread: ThreadId) -> Result<(), StoreError> {
    let by_person = "m.direction = 'outbound' AND m.status <> 'cancelled'
        AND m.author NOT IN ('system', 'automation')";
    let sql = format!(
        "UPDATE threads SET
             (last_at, last_author, last_words, last_spoken) = (SELECT * FROM (
                 SELECT * FROM (SELECT m.created_at AS at, m.author, substr(m.body, 1, {PREVIEW}), NULL
                     FROM messages m WHERE m.thread = ?1 AND m.status <> 'cancelled'
                     ORDER BY m.created_at DESC, m.id DESC LIMIT 1)
                 UNION ALL SELECT max(recorded_at), 'patient', NULL, 'voicemail' FROM voicemails
                     WHERE thread = ?1 HAVING count(*) > 0
                 UNION ALL SELECT max(asked_at), 'patient', NULL, 'callback' FROM callbacks
                     WHERE thread = ?1 HAVING count(*) > 0
                 ORDER BY at DESC) LIMIT 1),
             first_reply_at = (SELECT min(m.created_at) FROM messages m WHERE m.thread = ?1 AND {by_person}),
             waiting_since = (SELECT min(at) FROM (
                 SELECT w.created_at AS at FROM messages w
                     WHERE w.thread = ?1 AND w.direction = 'inbound' AND w.kind <> 'keyword'
                 UNION ALL SELECT recorded_at FROM voicemails WHERE thread = ?1
                 UNION ALL SELECT asked_at FROM callbacks WHERE thread = ?1
                 UNION ALL SELECT e.at FROM thread_events e
                     WHERE e.thread = ?1 AND e.what IN ('escalated', 'follow_up_due'))
                 WHERE at >= coalesce(
                     (SELECT max(m.created_at) FROM messages m WHERE m.thread = ?1 AND {by_person}), 0))
         WHERE id = ?1"
    );
    tx.prepare_cached(&sql)?.execute([thread])?;
    tx.announce(Event::Thread(thread));
    Ok(())
}
