//! Text threads: at most one open for each number. What people do with one is in `work`; what time finds due, in `due`.

mod due;
mod work;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::{self, Entry};
use super::column::{At, Json, Word};
use super::messages::{MessageKind, NewMessage};
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{
    CallId, Language, LatestThread, MessageDirection, MessageId, MessageStatus, OpenedBy, PhoneNumber, Private,
    Resolution, StaffName, Standing, ThreadId, ThreadState,
};

pub use due::*;
pub use work::*;

/// A thread as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// With whom.
    pub number: PhoneNumber,
    /// Who they are, as far as people of the clinic have written it down.
    pub name: Option<String>,
    /// Where it stands.
    pub state: ThreadState,
    /// Who works it.
    pub owner: Option<StaffName>,
    /// The team that it was given to.
    pub team: Option<String>,
    /// Its tags, in the order they were put on.
    pub tags: Vec<String>,
    /// About what.
    pub reason: Option<String>,
    /// In which language.
    pub language: Option<Language>,
    /// What opened it.
    pub opened_by: OpenedBy,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How it was resolved.
    pub resolution: Option<Resolution>,
    /// When it was taken to the phone.
    pub moved_to_voice: Option<Timestamp>,
    /// Since when the patient waits for a person's answer.
    pub waiting_since: Option<Timestamp>,
    /// Which words ask for a person at once.
    pub red_flag: Option<String>,
    /// When it was handed to clinical staff.
    pub escalated_at: Option<Timestamp>,
    /// Why the newest text to the patient did not arrive.
    pub undeliverable: Option<String>,
    /// Out of sight until then.
    pub snoozed_until: Option<Timestamp>,
    /// When somebody must come back to it.
    pub follow_up_at: Option<Timestamp>,
    /// When "anything else I can help with?" was asked.
    pub close_offered_at: Option<Timestamp>,
    /// The thread that it has become a part of.
    pub merged_into: Option<ThreadId>,
}

impl Thread {
    /// What decides about what may be done with it.
    pub fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            merged: self.merged_into.is_some(),
            flagged: self.red_flag.is_some(),
            waits: self.waiting_since.is_some(),
            owner: self.owner.clone(),
        }
    }
}

const COLUMNS: &str = "id, number, name, state, owner, team, tags, reason, language, opened_by, opened_at, closed_at,
    resolution, moved_to_voice, waiting_since, red_flag, escalated_at, undeliverable, snoozed_until, follow_up_at,
    close_offered_at, merged_into";

/// A thread; `None` if there is none with that id.
pub fn find(conn: &Connection, thread: ThreadId) -> Result<Option<Thread>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM threads WHERE id = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([thread], read).optional()?)
}

/// The threads of `number`, the one that was active last first: `most` of them.
pub fn of_number(conn: &Connection, number: &PhoneNumber, most: usize) -> Result<Vec<Thread>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM threads WHERE number = ? ORDER BY active_at DESC LIMIT ?");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = conn.prepare_cached(&sql)?.query_map(params![number, most], read)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// The threads that have become a part of `thread`, oldest first.
pub fn merged_into(conn: &Connection, thread: ThreadId) -> Result<Vec<Thread>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM threads WHERE merged_into = ? ORDER BY opened_at LIMIT ?");
    let most = i64::try_from(MOST_MERGED).unwrap_or(i64::MAX);
    let found = conn.prepare_cached(&sql)?.query_map(params![thread, most], read)?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Thread> {
    let at = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<At>>(column)?.map(|at| at.0));
    Ok(Thread {
        id: row.get(0)?,
        number: row.get(1)?,
        name: row.get(2)?,
        state: row.get::<_, Word<_>>(3)?.0,
        owner: row.get(4)?,
        team: row.get(5)?,
        tags: row.get::<_, Json<_>>(6)?.0,
        reason: row.get(7)?,
        language: row.get(8)?,
        opened_by: row.get::<_, Word<_>>(9)?.0,
        opened_at: row.get::<_, At>(10)?.0,
        closed_at: at(11)?,
        resolution: row.get::<_, Option<Word<_>>>(12)?.map(|word| word.0),
        moved_to_voice: at(13)?,
        waiting_since: at(14)?,
        red_flag: row.get(15)?,
        escalated_at: at(16)?,
        undeliverable: row.get(17)?,
        snoozed_until: at(18)?,
        follow_up_at: at(19)?,
        close_offered_at: at(20)?,
        merged_into: row.get(21)?,
    })
}

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

/// The open thread of `number`, or else the one closed last. One that has become a part of another counts no more.
pub fn latest(conn: &Connection, number: &PhoneNumber) -> Result<Option<LatestThread>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT id, state, closed_at FROM threads WHERE number = ? AND merged_into IS NULL
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
        "INSERT INTO threads (id, number, name, state, reason, language, opened_by, call, opened_at, active_at)
         VALUES (?1, ?2, (SELECT group_concat(name, ', ') FROM people WHERE number = ?2), 'open', ?3, ?4, ?5, ?6, ?7, ?7)",
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

/// Notes that something was written in a thread. One that was snoozed is open again.
pub fn touch(tx: &Tx<'_>, thread: ThreadId, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE threads SET active_at = max(active_at, ?2),
             state = CASE state WHEN 'snoozed' THEN 'open' ELSE state END, snoozed_until = NULL WHERE id = ?1",
    )?
    .execute(params![thread, At(at)])?;
    tx.announce(Event::Thread(thread));
    Ok(())
}

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
pub(super) fn spoke(tx: &Tx<'_>, thread: ThreadId, what: Spoken, at: Timestamp) -> Result<(), StoreError> {
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
pub(super) fn heard(tx: &Tx<'_>, message: &NewMessage, direction: MessageDirection) -> Result<(), StoreError> {
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
pub(super) struct Waits {
    since: Option<At>,
    opened_since: Option<At>,
    first_reply_at: Option<At>,
}

/// Who waits, before something is written that is no answer yet.
pub(super) fn waits(conn: &Connection, thread: ThreadId) -> Result<Option<Waits>, StoreError> {
    let sql = "SELECT waiting_since, opened_since, first_reply_at FROM threads WHERE id = ?";
    let read = |row: &Row<'_>| Ok(Waits { since: row.get(0)?, opened_since: row.get(1)?, first_reply_at: row.get(2)? });
    Ok(conn.prepare_cached(sql)?.query_row([thread], read).optional()?)
}

/// An answer that goes out later answers nobody now: whoever waited still does.
pub(super) fn still_waits(tx: &Tx<'_>, thread: ThreadId, waits: Waits) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE threads SET waiting_since = ?2, opened_since = ?3, first_reply_at = ?4 WHERE id = ?1")?
        .execute(params![thread, waits.since, waits.opened_since, waits.first_reply_at])?;
    Ok(())
}

/// An answer goes out: it ends the wait of whatever was written before it.
pub(super) fn answer_goes(tx: &Tx<'_>, message: MessageId, now: Timestamp) -> Result<(), StoreError> {
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
pub(super) fn answer_went(tx: &Tx<'_>, message: MessageId, at: Timestamp) -> Result<(), StoreError> {
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
pub(super) fn delivery(
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

/// Whoever has looked at a thread looks at it for so long: what their page shows anew is no new look.
const LOOK_LASTS: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);

/// Puts on record that somebody opened a thread.
pub fn viewed(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    if find(tx, thread)?.is_none() {
        return Ok(());
    }
    let (actor, subject) = (staff.as_str(), format!("thread:{thread}"));
    audit::append(tx, Entry { at, actor, action: "thread.viewed", subject: &subject, detail: json!({}) })?;
    seen(tx, thread, staff, at)
}

/// A page that somebody has open brings itself up to date, or shows more. Whoever has not looked at the thread lately
/// looks at it now.
pub fn refreshed(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    let last: Option<At> = tx
        .prepare_cached("SELECT at FROM seen WHERE thread = ? AND staff = ?")?
        .query_row(params![thread, staff], |row| row.get(0))
        .optional()?;
    let looks = last.is_some_and(|last| at.duration_since(last.0) < LOOK_LASTS);
    if looks { seen(tx, thread, staff, at) } else { viewed(tx, thread, staff, at) }
}

/// Notes how far somebody has read a thread, and that the waiting patient's words were looked at.
pub fn seen(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO seen (staff, thread, at) SELECT ?1, id, ?3 FROM threads WHERE id = ?2
         ON CONFLICT (thread, staff) DO UPDATE SET at = max(at, excluded.at)",
    )?
    .execute(params![staff, thread, At(at)])?;
    let opened = tx
        .prepare_cached(
            "UPDATE threads SET opened_since = ?2
             WHERE id = ?1 AND waiting_since IS NOT NULL AND opened_since IS NULL",
        )?
        .execute(params![thread, At(at)])?;
    // Announced once a wait: else whoever reads would refresh for ever.
    if opened > 0 {
        tx.announce(Event::Thread(thread));
    }
    Ok(())
}

/// An answer that somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub by: String,
    /// Their words.
    pub body: Private<String>,
    /// When.
    pub at: Timestamp,
}

/// The first answer after the deed `seen` that is not by `author` and was not taken back.
pub fn answered_since(
    conn: &Connection,
    thread: ThreadId,
    seen: i64,
    author: &str,
) -> Result<Option<Answer>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT e.actor, m.body, m.created_at FROM thread_events e
                 JOIN messages m ON m.id = json_extract(e.detail, '$.message')
             WHERE e.thread = ? AND e.seq > ? AND e.what = 'answered' AND e.actor <> ? AND m.status <> 'cancelled'
             ORDER BY e.seq LIMIT 1",
        )?
        .query_row(params![thread, seen, author], |row| {
            Ok(Answer { by: row.get(0)?, body: Private::new(row.get(1)?), at: row.get::<_, At>(2)?.0 })
        })
        .optional()?)
}

/// Brings what the queue shows back in step with the messages: after one was taken back.
pub(super) fn recount(tx: &Tx<'_>, thread: ThreadId) -> Result<(), StoreError> {
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

/// Puts on record what was done with a thread: in the audit chain, and in its timeline as the verb of `action`.
fn record(
    tx: &Tx<'_>,
    thread: ThreadId,
    action: &str,
    actor: &str,
    detail: Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    note(tx, thread, action.strip_prefix("thread.").unwrap_or(action), actor, &detail, at)?;
    audit::append(tx, Entry { at, actor, action, subject: &format!("thread:{thread}"), detail })?;
    Ok(())
}

/// Puts something into a thread's timeline that the audit chain has elsewhere; gives its number, by which whoever
/// answers says what they had seen.
pub fn note(
    tx: &Tx<'_>,
    thread: ThreadId,
    what: &str,
    actor: &str,
    detail: &Value,
    at: Timestamp,
) -> Result<i64, StoreError> {
    tx.prepare_cached("INSERT INTO thread_events (thread, at, actor, what, detail) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![thread, At(at), actor, what, detail.to_string()])?;
    tx.announce(Event::Thread(thread));
    Ok(tx.last_insert_rowid())
}
