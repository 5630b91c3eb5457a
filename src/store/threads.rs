//! Text threads: at most one open for each number.
//!
//! `row`: what lists show of one, kept in step with what is written in it. `seen`: who has looked at one. `work`: what
//! people do with one. `due`: what time finds due.

mod due;
mod row;
mod seen;
mod work;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::audit::{self, Entry};
use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{
    CallId, Language, LatestThread, OpenedBy, PhoneNumber, Resolution, StaffName, Standing, ThreadId, ThreadState,
};

pub use due::*;
pub use row::*;
pub use seen::*;
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
