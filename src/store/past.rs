//! A history written at once: threads, messages and calls that are over, as they would stand in the store by now.
//!
//! For the filled demo and for measuring. The daemon writes each thing as it happens.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::model::{
    CallId, Language, MessageDirection, MessageId, MessageStatus, NoteId, OpenedBy, PersonId, PhoneNumber, Resolution,
    StaffName, ThreadId, ThreadState,
};

/// A thread with all that became of it.
#[derive(Clone, Debug)]
pub struct PastThread {
    /// Its id.
    pub id: ThreadId,
    /// With whom.
    pub number: PhoneNumber,
    /// Where it stands now.
    pub state: ThreadState,
    /// Whose it is.
    pub owner: Option<StaffName>,
    /// Its team.
    pub team: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// About what.
    pub reason: Option<String>,
    /// In which language.
    pub language: Language,
    /// What opened it.
    pub opened_by: OpenedBy,
    /// The call that opened it.
    pub call: Option<CallId>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When a person first answered.
    pub first_reply_at: Option<Timestamp>,
    /// Since when the patient waits for an answer.
    pub waiting_since: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Until when it is out of sight.
    pub snoozed_until: Option<Timestamp>,
    /// When somebody wants to look at it again.
    pub follow_up_at: Option<Timestamp>,
    /// Which words ask for a person at once.
    pub red_flag: Option<String>,
    /// Why the newest text did not arrive.
    pub undeliverable: Option<String>,
    /// The newest message: when, by whom, its first words.
    pub last: (Timestamp, String, String),
}

/// Writes a thread, with what the audit chain says of its opening and closing.
pub fn thread(tx: &Tx<'_>, thread: &PastThread) -> Result<(), StoreError> {
    let (last_at, last_author, last_words) = &thread.last;
    tx.prepare_cached(
        "INSERT INTO threads (id, number, state, owner, team, tags, reason, language, opened_by, call, opened_at,
             active_at, first_reply_at, closed_at, resolution, waiting_since, last_at, last_author, last_words, red_flag,
             undeliverable, snoozed_until, follow_up_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        thread.id,
        thread.number,
        Word(thread.state),
        thread.owner,
        thread.team,
        Json(&thread.tags),
        thread.reason,
        thread.language,
        Word(thread.opened_by),
        thread.call,
        At(thread.opened_at),
        At(thread.closed_at.unwrap_or(*last_at)),
        thread.first_reply_at.map(At),
        thread.closed_at.map(At),
        thread.closed_at.map(|_| Word(Resolution::Answered)),
        thread.waiting_since.map(At),
        At(*last_at),
        last_author,
        last_words,
        thread.red_flag,
        thread.undeliverable,
        thread.snoozed_until.map(At),
        thread.follow_up_at.map(At),
    ])?;
    let subject = format!("thread:{}", thread.id);
    let detail = json!({ "opened_by": thread.opened_by, "call": thread.call, "reason": thread.reason });
    let opened = Entry { at: thread.opened_at, actor: "system", action: "thread.opened", subject: &subject, detail };
    audit::append(tx, opened)?;
    if let (Some(at), Some(owner)) = (thread.closed_at, &thread.owner) {
        let detail = json!({ "resolution": Resolution::Answered });
        audit::append(tx, Entry { at, actor: owner.as_str(), action: "thread.closed", subject: &subject, detail })?;
    }
    Ok(())
}

/// A message whose fate is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMessage {
    /// Its id.
    pub id: MessageId,
    /// Where it belongs.
    pub thread: ThreadId,
    /// Which way it went.
    pub direction: MessageDirection,
    /// Who wrote it.
    pub author: String,
    /// The patient's number.
    pub patient: PhoneNumber,
    /// The clinic's.
    pub clinic: PhoneNumber,
    /// Its words.
    pub body: String,
    /// Where it stands.
    pub status: MessageStatus,
    /// When.
    pub at: Timestamp,
}

/// Writes a message.
pub fn message(tx: &Tx<'_>, message: &PastMessage) -> Result<(), StoreError> {
    let out = message.direction == MessageDirection::Outbound;
    let (from, to) = if out { (&message.clinic, &message.patient) } else { (&message.patient, &message.clinic) };
    let delivered = (message.status == MessageStatus::Delivered).then_some(At(message.at));
    tx.prepare_cached(
        "INSERT INTO messages (id, thread, direction, kind, author, sender, recipient, body, status, created_at, sent_at,
             delivered_at) VALUES (?, ?, ?, 'chat', ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        message.id,
        message.thread,
        Word(message.direction),
        message.author,
        from,
        to,
        message.body,
        Word(message.status),
        At(message.at),
        out.then_some(At(message.at)),
        delivered,
    ])?;
    Ok(())
}

/// Writes a note beside a thread.
pub fn note(tx: &Tx<'_>, thread: ThreadId, author: &StaffName, body: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO notes (id, thread, author, body, at) VALUES (?, ?, ?, ?, ?)")?.execute(params![
        NoteId::new(at),
        thread,
        author,
        body,
        At(at)
    ])?;
    Ok(())
}

/// Writes who is behind a number.
pub fn person(
    tx: &Tx<'_>,
    number: &PhoneNumber,
    name: &str,
    language: &Language,
    by: &StaffName,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO people (id, number, name, language, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![PersonId::new(at), number, name, language, At(at), by])?;
    Ok(())
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct PastCall {
    /// Its id.
    pub id: CallId,
    /// Who called.
    pub caller: PhoneNumber,
    /// The clinic's number.
    pub clinic: PhoneNumber,
    /// In which language it was.
    pub language: Language,
    /// The nodes that it passed.
    pub path: Vec<String>,
    /// The keys that were pressed.
    pub digits: String,
    /// As `export calls` writes it.
    pub outcome: &'static str,
    /// The thread that it led to.
    pub thread: Option<ThreadId>,
    /// When it came in.
    pub at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
}

/// Writes a call.
pub fn call(tx: &Tx<'_>, call: &PastCall) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO calls (id, direction, trunk, caller, callee, sip_call_id, started_at, answered_at, ended_at, path,
             digits, language, outcome, ended_by, waited_ms, thread)
         VALUES (?1, 'inbound', 'demo', ?2, ?3, ?1, ?4, ?4, ?5, ?6, ?7, ?8, ?9, 'caller', 0, ?10)",
    )?
    .execute(params![
        call.id,
        call.caller,
        call.clinic,
        At(call.at),
        At(call.ended_at),
        Json(&call.path),
        call.digits,
        call.language,
        call.outcome,
        call.thread,
    ])?;
    Ok(())
}
