//! What a person of the clinic texts, and all that belongs to it, in one transaction: the thread is theirs, the text is
//! queued, its draft is forgotten.
//!
//! A text can be taken back until its moment comes: a few seconds after "send", or the time that was chosen for it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::compose::after;
use crate::conversation::consent::{Purpose, Refusal, may_text};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{
    ConsentState, MessageDirection, MessageId, MessageStatus, PhoneNumber, Private, StaffName, ThreadId, ThreadState,
};
use crate::store::messages::{self, MessageKind, NewMessage};
use crate::store::threads::Thread;
use crate::store::{Connection, StoreError, Tx, consents, drafts, outbox, threads};

/// An answer to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// In which thread.
    pub thread: ThreadId,
    /// Who writes.
    pub author: StaffName,
    /// The clinic's number.
    pub from: PhoneNumber,
    /// Their words.
    pub body: Private<String>,
    /// The number of the newest deed that the author's page showed ([`crate::store::timeline::Timeline::version`]).
    pub seen: i64,
    /// What the form is known by: sent twice, it is one text.
    pub form: String,
    /// When it shall go; `None`: at once, but for the time in which it can be taken back.
    pub send_at: Option<Timestamp>,
    /// `settings.desk.undo`
    pub undo: Duration,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// When "send" was pressed.
    pub now: Timestamp,
}

/// An answer that is in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replied {
    /// The message.
    pub message: MessageId,
    /// When it goes.
    pub due_at: Timestamp,
}

/// Why what somebody wrote was not sent, in a thread or to somebody new. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// There is no such thread.
    Missing,
    /// The thread has become a part of another.
    Merged(ThreadId),
    /// The number has another thread that is open.
    Elsewhere(ThreadId),
    /// It has no words.
    Empty,
    /// It has more characters than a text may.
    TooLong(usize),
    /// The patient may not be texted.
    Consent(Refusal),
    /// The number takes no texts, or is the clinic's own.
    Untextable,
    /// Somebody else has answered what the author saw.
    Overtaken {
        /// Who.
        by: String,
        /// Their words.
        body: Private<String>,
        /// When.
        at: Timestamp,
    },
    /// The form was sent by somebody else, or belongs to another thread.
    Forged,
}

/// Sends an answer. Sending the same form twice sends one text.
pub fn reply(tx: &Tx<'_>, reply: &Reply) -> Result<Result<Replied, NotSent>, StoreError> {
    let once = once(&reply.author, &reply.form);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        let replied = Replied { message, due_at: reply.now };
        return Ok(if thread == reply.thread { Ok(replied) } else { Err(NotSent::Forged) });
    }
    let thread = match open_thread(tx, reply.thread)? {
        Ok(thread) => thread,
        Err(why) => return Ok(Err(why)),
    };
    if let Err(why) = fits(reply.body.expose()) {
        return Ok(Err(why));
    }
    if let Some(overtaken) = overtaken(tx, reply)? {
        return Ok(Err(overtaken));
    }
    if let Err(why) = may(tx, &thread.number, &reply.from)? {
        return Ok(Err(why));
    }
    // Before the thread opens again: what its author has begun to write to the number is no part of this answer.
    drafts::clear(tx, &reply.author, thread.id)?;
    Ok(Ok(put(tx, &thread, reply, once)?))
}

/// What the text of one form is known by.
pub(super) fn once(author: &StaffName, form: &str) -> String {
    format!("answer:{author}:{form}")
}

/// Whether the text of a form was sent: a draft of it that comes late is none any more.
pub fn is_sent(conn: &Connection, author: &StaffName, form: &str) -> Result<bool, StoreError> {
    Ok(messages::written_once(conn, &once(author, form))?.is_some())
}

/// Puts an answer into the outbox: the thread is open and its author's, and whoever writes next is told of it.
fn put(tx: &Tx<'_>, thread: &Thread, reply: &Reply, once: String) -> Result<Replied, StoreError> {
    let author = reply.author.as_str();
    if thread.state == ThreadState::Closed {
        threads::reopen(tx, thread.id, author, reply.now)?;
    }
    threads::assign(tx, thread.id, Some(&reply.author), author, reply.now)?;
    threads::touch(tx, thread.id, reply.now)?;
    let message = text(thread, reply, MessageKind::Chat, once);
    let due_at = reply.send_at.unwrap_or_else(|| after(reply.now, reply.undo));
    outbox::enqueue_later(tx, &message, due_at, after(due_at, reply.expire_after))?;
    threads::note(tx, thread.id, "answered", author, &json!({ "message": message.id }), reply.now)?;
    Ok(Replied { message: message.id, due_at })
}

/// The thread, if it is open or can be.
fn open_thread(tx: &Tx<'_>, thread: ThreadId) -> Result<Result<Thread, NotSent>, StoreError> {
    let Some(thread) = threads::find(tx, thread)? else { return Ok(Err(NotSent::Missing)) };
    if let Some(into) = thread.merged_into {
        return Ok(Err(NotSent::Merged(into)));
    }
    if thread.state == ThreadState::Closed
        && let Some(open) = threads::open_of(tx, &thread.number)?
    {
        return Ok(Err(NotSent::Elsewhere(open)));
    }
    Ok(Ok(thread))
}

/// Whether the words are some, and not too many.
pub(super) fn fits(body: &str) -> Result<(), NotSent> {
    match body.chars().count() {
        _ if body.trim().is_empty() => Err(NotSent::Empty),
        length if length > MOST_CHARACTERS => Err(NotSent::TooLong(length)),
        _ => Ok(()),
    }
}

/// Whether the clinic may text this number.
pub fn may(conn: &Connection, to: &PhoneNumber, from: &PhoneNumber) -> Result<Result<(), NotSent>, StoreError> {
    Ok(allowed(to, from, consents::state(conn, to)?))
}

/// Whether it may, where the state of their consent is known.
pub fn allowed(to: &PhoneNumber, from: &PhoneNumber, state: Option<ConsentState>) -> Result<(), NotSent> {
    if !to.can_text() || to == from {
        return Err(NotSent::Untextable);
    }
    may_text(state, Purpose::Conversation).map_err(NotSent::Consent)
}

/// The first answer of somebody else that the author had not seen and that was not taken back.
fn overtaken(tx: &Tx<'_>, reply: &Reply) -> Result<Option<NotSent>, StoreError> {
    let found = threads::answered_since(tx, reply.thread, reply.seen, reply.author.as_str())?;
    Ok(found.map(|answer| NotSent::Overtaken { by: answer.by, body: answer.body, at: answer.at }))
}

fn text(thread: &Thread, reply: &Reply, kind: MessageKind, once: String) -> NewMessage {
    NewMessage {
        id: MessageId::new(reply.now),
        thread: thread.id,
        kind,
        author: reply.author.to_string(),
        from: reply.from.clone(),
        to: thread.number.clone(),
        body: reply.body.clone(),
        media: Vec::new(),
        call: None,
        once: Some(once),
        at: reply.now,
    }
}

/// Takes a text of the clinic's people back before it is sent; its words are the taker's draft again.
/// `None`: it is on its way, or no person wrote it.
pub fn take_back(
    tx: &Tx<'_>,
    message: MessageId,
    staff: &StaffName,
    now: Timestamp,
) -> Result<Option<ThreadId>, StoreError> {
    let written = messages::find(tx, message)?;
    if !written.is_some_and(|written| by_person(&written)) {
        return Ok(None);
    }
    let Some((thread, body)) = outbox::take_back(tx, message, staff.as_str(), now)? else { return Ok(None) };
    // Closed upon this answer: the patient waits for it again.
    let waits = threads::find(tx, thread)?.is_some_and(|thread| thread.waiting_since.is_some());
    if waits {
        threads::reopen(tx, thread, staff.as_str(), now)?;
    }
    let draft = drafts::find(tx, staff, thread)?;
    let words = match draft {
        Some(draft) => format!("{}\n{}", body.expose(), draft.expose()),
        None => body.into_inner(),
    };
    drafts::save(tx, staff, thread, &words, now)?;
    Ok(Some(thread))
}

/// Sends now what waits for a later time. `false`: it does not wait, or no person wrote it.
pub fn send_now(
    tx: &Tx<'_>,
    message: MessageId,
    staff: &StaffName,
    expire_after: Duration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match messages::find(tx, message)? {
        Some(written) if by_person(&written) => {
            outbox::send_now(tx, message, after(now, expire_after), staff.as_str(), now)
        }
        _ => Ok(false),
    }
}

fn by_person(message: &messages::Written) -> bool {
    message.direction == MessageDirection::Outbound && StaffName::parse(&message.author).is_ok()
}

/// Sends again a text that failed, or of which nobody knows whether it was sent: once for each, by the rule of an answer.
pub fn resend(tx: &Tx<'_>, message: MessageId, again: &Reply) -> Result<Result<Replied, NotSent>, StoreError> {
    let Some(written) = messages::find(tx, message)? else { return Ok(Err(NotSent::Missing)) };
    let can = written.direction == MessageDirection::Outbound
        && matches!(
            written.status,
            MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Unknown | MessageStatus::Expired
        );
    if !can {
        return Ok(Err(NotSent::Forged));
    }
    let again = Reply { thread: written.thread, body: written.body, send_at: None, ..again.clone() };
    // Somebody else may have sent it again, or something instead.
    if let Some(overtaken) = overtaken(tx, &again)? {
        return Ok(Err(overtaken));
    }
    let once = format!("resend:{message}");
    if let Some((_, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Replied { message, due_at: again.now }));
    }
    let thread = match open_thread(tx, written.thread)? {
        Ok(thread) => thread,
        Err(why) => return Ok(Err(why)),
    };
    if let Err(why) = may(tx, &thread.number, &again.from)? {
        return Ok(Err(why));
    }
    Ok(Ok(put(tx, &thread, &again, once)?))
}

#[cfg(test)]
mod tests;
