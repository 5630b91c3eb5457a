//! A text that a person of the clinic writes first, and consent that was given to them at the desk.

use std::time::Duration;

use jiff::Timestamp;

use super::compose::{Composed, after, into_thread};
use crate::conversation::consent::{Purpose, Refusal, may_text};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{
    Consent, ConsentMethod, ConsentState, MessageId, OpenedBy, PhoneNumber, Private, StaffName, ThreadId, ThreadState,
};
use crate::store::messages::{self, MessageKind, NewMessage};
use crate::store::threads::NewThread;
use crate::store::{Connection, StoreError, Tx, consents, outbox, threads};

/// A text to somebody who has not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewText {
    /// To whom.
    pub to: PhoneNumber,
    /// The clinic's number.
    pub from: PhoneNumber,
    /// Who writes.
    pub author: StaffName,
    /// Their words.
    pub body: Private<String>,
    /// What the form is known by: sent twice, it is one text.
    pub form: String,
    /// For so long it can be taken back: `settings.desk.undo`.
    pub undo: Duration,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// A thread that was closed less than so long ago opens again: `settings.desk.reopen_within`.
    pub reopen_within: Duration,
    /// When "send" was pressed.
    pub now: Timestamp,
}

/// Why it was not sent. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It has no words.
    Empty,
    /// It has more than [`MOST_CHARACTERS`].
    TooLong(usize),
    /// The number takes no texts, or is the clinic's own.
    Untextable,
    /// The patient may not be texted.
    Consent(Refusal),
}

/// Whether the clinic may text this number.
pub fn may_write(conn: &Connection, to: &PhoneNumber, from: &PhoneNumber) -> Result<Result<(), NotSent>, StoreError> {
    if !to.can_text() || to == from {
        return Ok(Err(NotSent::Untextable));
    }
    Ok(may_text(consents::state(conn, to)?, Purpose::Conversation).map_err(NotSent::Consent))
}

/// The thread in which they are being written with already: an answer there is sent by whoever sees what was said, and
/// two people do not answer at once. None for a text that has been sent by this form.
pub fn elsewhere(conn: &Connection, text: &NewText) -> Result<Option<ThreadId>, StoreError> {
    if messages::written_once(conn, &once(text))?.is_some() {
        return Ok(None);
    }
    let latest = threads::latest(conn, &text.to)?;
    Ok(latest.filter(|latest| latest.state != ThreadState::Closed).map(|latest| latest.id))
}

/// What the text of one form is known by.
fn once(text: &NewText) -> String {
    format!("new:{}:{}", text.author, text.form)
}

/// Sends a text into the number's open thread, or opens one. A thread that is nobody's becomes the author's.
pub fn send(tx: &Tx<'_>, text: &NewText) -> Result<Result<Composed, NotSent>, StoreError> {
    let once = once(text);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Composed { thread, message }));
    }
    let length = text.body.expose().chars().count();
    if text.body.expose().trim().is_empty() {
        return Ok(Err(NotSent::Empty));
    }
    if length > MOST_CHARACTERS {
        return Ok(Err(NotSent::TooLong(length)));
    }
    if let Err(why) = may_write(tx, &text.to, &text.from)? {
        return Ok(Err(why));
    }
    let opening = NewThread {
        id: ThreadId::new(text.now),
        number: text.to.clone(),
        reason: None,
        language: None,
        opened_by: OpenedBy::Staff,
        call: None,
        at: text.now,
    };
    let thread = into_thread(tx, &opening, text.reopen_within)?;
    if threads::find(tx, thread)?.is_some_and(|found| found.owner.is_none()) {
        threads::assign(tx, thread, Some(&text.author), text.author.as_str(), text.now)?;
    }
    let message = NewMessage {
        id: MessageId::new(text.now),
        thread,
        kind: MessageKind::Chat,
        author: text.author.to_string(),
        from: text.from.clone(),
        to: text.to.clone(),
        body: text.body.clone(),
        media: Vec::new(),
        call: None,
        once: Some(once),
        at: text.now,
    };
    let due_at = after(text.now, text.undo);
    outbox::enqueue_later(tx, &message, due_at, after(due_at, text.expire_after))?;
    Ok(Ok(Composed { thread, message: message.id }))
}

/// Records that somebody heard `disclosure`, read aloud by `actor`, and agreed. Not for a number that has opted out:
/// only its own START lifts that.
pub fn consent_at_desk(
    tx: &Tx<'_>,
    number: &PhoneNumber,
    disclosure: &str,
    actor: &StaffName,
    now: Timestamp,
) -> Result<Result<(), Refusal>, StoreError> {
    match consents::state(tx, number)? {
        Some(ConsentState::Revoked) => return Ok(Err(Refusal::OptedOut)),
        Some(ConsentState::Granted) => return Ok(Ok(())),
        None => {}
    }
    let consent = Consent {
        number: number.clone(),
        state: ConsentState::Granted,
        method: ConsentMethod::Staff,
        disclosure: Some(disclosure.to_owned()),
        prompt_sha256: None,
        digit: None,
        call: None,
        message: None,
        at: now,
        actor: actor.to_string(),
    };
    consents::append(tx, &consent)?;
    Ok(Ok(()))
}
