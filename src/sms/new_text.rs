//! A text that a person of the clinic writes first, and consent that was given to them at the desk.

use std::time::Duration;

use jiff::Timestamp;

use super::compose::{Composed, after, into_thread};
use super::reply::{NotSent, fits, is_sent, may, once};
use crate::conversation::consent::Refusal;
use crate::model::{
    Consent, ConsentMethod, ConsentState, MessageId, OpenedBy, PhoneNumber, Private, StaffName, ThreadId,
};
use crate::store::messages::{self, MessageKind, NewMessage};
use crate::store::threads::NewThread;
use crate::store::{StoreError, Tx, consents, new_texts, outbox, threads};

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
    /// When it shall go; `None`: at once, but for the time in which it can be taken back.
    pub send_at: Option<Timestamp>,
    /// For so long it can be taken back: `settings.desk.undo`.
    pub undo: Duration,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// A thread that was closed less than so long ago opens again: `settings.desk.reopen_within`.
    pub reopen_within: Duration,
    /// When "send" was pressed.
    pub now: Timestamp,
}

/// Sends what somebody has written to a number that nobody is writing with; it is their draft no more.
///
/// # Errors
/// [`NotSent::Elsewhere`]: somebody is. An answer there is sent by whoever sees what was said, and two people do not
/// answer at once.
pub fn begin(tx: &Tx<'_>, text: &NewText) -> Result<Result<Composed, NotSent>, StoreError> {
    if let (Some(open), Ok(()), false) =
        (threads::open_of(tx, &text.to)?, may(tx, &text.to, &text.from)?, is_sent(tx, &text.author, &text.form)?)
    {
        return Ok(Err(NotSent::Elsewhere(open)));
    }
    let sent = send(tx, text)?;
    if sent.is_ok() {
        new_texts::clear(tx, &text.author, &text.to)?;
    }
    Ok(sent)
}

/// Sends a text into the number's open thread, or opens one. A thread that is nobody's becomes the author's.
pub fn send(tx: &Tx<'_>, text: &NewText) -> Result<Result<Composed, NotSent>, StoreError> {
    let once = once(&text.author, &text.form);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Composed { thread, message }));
    }
    if let Err(why) = fits(text.body.expose()) {
        return Ok(Err(why));
    }
    if let Err(why) = may(tx, &text.to, &text.from)? {
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
    let due_at = text.send_at.unwrap_or_else(|| after(text.now, text.undo));
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
        disclosure: Some(disclosure.to_owned()),
        ..Consent::new(number.clone(), ConsentState::Granted, ConsentMethod::Staff, actor.to_string(), now)
    };
    consents::append(tx, &consent)?;
    Ok(Ok(()))
}
