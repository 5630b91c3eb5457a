//! A text and all that belongs to it, in one transaction each: the text that a caller asked for, the missed-call text,
//! one that staff write. What a caller says instead of texting is in [`spoken`]; what comes in, in [`super::receive`].
//!
//! The functions take a [`Tx`] and run inside [`crate::store::Store::write`]. Running one twice for the same call or
//! the same gateway's id writes once.

pub mod spoken;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::conversation::consent::Refusal;
use crate::conversation::missed_call::{self, Facts, NotOwed};
use crate::conversation::threading::{self, Place};
use crate::model::{
    CallId, Caller, Consent, ConsentMethod, ConsentState, Digit, Language, MessageId, OpenedBy, Outcome, PhoneNumber,
    Private, ThreadId,
};
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::threads::NewThread;
use crate::store::{StoreError, Tx, calls, consents, messages, outbox, threads};

/// The text that a caller asked for by a key, with the evidence that they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferText {
    /// The call.
    pub call: CallId,
    /// The `text` node: one call may pass several, each sends once.
    pub node: String,
    /// The patient's number: the caller's, or the one they keyed in.
    pub to: PhoneNumber,
    /// The clinic's number.
    pub from: PhoneNumber,
    /// The greeting, with its variables filled in.
    pub body: Private<String>,
    /// In which language.
    pub language: Language,
    /// What the node says that it is about.
    pub reason: Option<String>,
    /// The exact words that the caller heard before the key.
    pub disclosure: String,
    /// SHA-256 of the prompts that said them, in order, separated by spaces.
    pub prompt_sha256: String,
    /// The key.
    pub digit: Digit,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// When the key was pressed.
    pub now: Timestamp,
}

/// A text that is in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composed {
    /// Its thread.
    pub thread: ThreadId,
    /// The message.
    pub message: MessageId,
}

/// Records consent with its evidence, opens or continues the number's thread, and queues the text.
///
/// A key pressed after the offer is consent given anew, also by somebody who said STOP before: it is refused only for
/// a number that takes no texts.
pub fn offer_text(tx: &Tx<'_>, offer: &OfferText) -> Result<Result<Composed, Untextable>, StoreError> {
    let once = format!("offer:{}:{}", offer.call, offer.node);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Composed { thread, message }));
    }
    if !offer.to.can_text() || offer.to == offer.from {
        return Ok(Err(Untextable));
    }
    let consent = Consent {
        disclosure: Some(offer.disclosure.clone()),
        prompt_sha256: Some(offer.prompt_sha256.clone()),
        digit: Some(offer.digit),
        call: Some(offer.call),
        ..Consent::new(offer.to.clone(), ConsentState::Granted, ConsentMethod::Keypress, "caller", offer.now)
    };
    consents::append(tx, &consent)?;
    let opening = NewThread {
        id: ThreadId::new(offer.now),
        number: offer.to.clone(),
        reason: offer.reason.clone(),
        language: Some(offer.language.clone()),
        opened_by: OpenedBy::Call,
        call: Some(offer.call),
        at: offer.now,
    };
    let text = OfCall {
        call: offer.call,
        kind: MessageKind::Offer,
        once,
        from: &offer.from,
        body: &offer.body,
        expire_after: offer.expire_after,
    };
    Ok(Ok(queue(tx, &opening, text)?))
}

/// A text that somebody of the clinic sends by a key while they speak with the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskText {
    /// The call.
    pub call: CallId,
    /// How many were sent in it before: each is sent once.
    pub count: usize,
    /// The phone that the key was pressed on, as the files write it.
    pub by: String,
    /// The caller's number.
    pub to: PhoneNumber,
    /// The clinic's number.
    pub from: PhoneNumber,
    /// The text, with its variables filled in.
    pub body: Private<String>,
    /// In which language.
    pub language: Language,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// When the key was pressed.
    pub now: Timestamp,
}

/// Why a text from the desk is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDeskText {
    /// See [`Untextable`].
    #[error(transparent)]
    Untextable(#[from] Untextable),
    /// See [`Refusal`].
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Queues a text that was announced to the caller in words: their agreement is recorded as given at the desk, in this
/// call. Not against their own STOP, which only their own START lifts.
pub fn desk_text(tx: &Tx<'_>, text: &DeskText) -> Result<Result<Composed, NoDeskText>, StoreError> {
    let once = format!("desk:{}:{}", text.call, text.count);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Composed { thread, message }));
    }
    if !text.to.can_text() || text.to == text.from {
        return Ok(Err(Untextable.into()));
    }
    match consents::state(tx, &text.to)? {
        Some(ConsentState::Revoked) => return Ok(Err(Refusal::OptedOut.into())),
        Some(ConsentState::Granted) => {}
        None => {
            let consent = Consent {
                call: Some(text.call),
                ..Consent::new(text.to.clone(), ConsentState::Granted, ConsentMethod::Staff, text.by.clone(), text.now)
            };
            consents::append(tx, &consent)?;
        }
    }
    let opening = NewThread {
        id: ThreadId::new(text.now),
        number: text.to.clone(),
        reason: None,
        language: Some(text.language.clone()),
        opened_by: OpenedBy::Call,
        call: Some(text.call),
        at: text.now,
    };
    let sent = OfCall {
        call: text.call,
        kind: MessageKind::Offer,
        once,
        from: &text.from,
        body: &text.body,
        expire_after: text.expire_after,
    };
    Ok(Ok(queue(tx, &opening, sent)?))
}

/// The number takes no texts, or is the clinic's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this number takes no texts; ask for a mobile number")]
pub struct Untextable;

/// The text to a caller who left unserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedCallText {
    /// The call.
    pub call: CallId,
    /// What became of it.
    pub outcome: Outcome,
    /// Who called.
    pub caller: Caller,
    /// The clinic's number that the text comes from.
    pub from: PhoneNumber,
    /// All numbers of the clinic.
    pub own: Vec<PhoneNumber>,
    /// The text, with its variables filled in.
    pub body: Private<String>,
    /// In which language.
    pub language: Language,
    /// `[missed_call] at_most_every`.
    pub at_most_every: Duration,
    /// After so long the text is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// When the call was over.
    pub now: Timestamp,
}

/// Queues the missed-call text if its caller is owed one ([`missed_call::owed`]).
pub fn missed_call_text(tx: &Tx<'_>, text: &MissedCallText) -> Result<Result<Composed, NotOwed>, StoreError> {
    let once = format!("missed:{}", text.call);
    if let Some((thread, message)) = messages::written_once(tx, &once)? {
        return Ok(Ok(Composed { thread, message }));
    }
    let number = text.caller.number();
    let consent = number.map(|number| consents::state(tx, number)).transpose()?.flatten();
    let last_missed_call =
        number.map(|number| messages::last_to(tx, number, MessageKind::MissedCall)).transpose()?.flatten();
    let last_inbound = number.map(|number| messages::last_from(tx, number)).transpose()?.flatten();
    let owed = missed_call::owed(&Facts {
        outcome: text.outcome,
        caller: &text.caller,
        own: &text.own,
        consent,
        last_missed_call,
        last_inbound,
        texted_in_call: messages::any_of_call(tx, text.call)?,
        at_most_every: text.at_most_every,
        now: text.now,
    });
    let number = match owed {
        Ok(number) if *number != text.from => number,
        Ok(_) => return Ok(Err(NotOwed::Own)),
        Err(why) => return Ok(Err(why)),
    };
    let opening = NewThread {
        id: ThreadId::new(text.now),
        number: number.clone(),
        reason: None,
        language: Some(text.language.clone()),
        opened_by: OpenedBy::MissedCall,
        call: Some(text.call),
        at: text.now,
    };
    let missed = OfCall {
        call: text.call,
        kind: MessageKind::MissedCall,
        once,
        from: &text.from,
        body: &text.body,
        expire_after: text.expire_after,
    };
    Ok(Ok(queue(tx, &opening, missed)?))
}

/// A text that a call brings about.
struct OfCall<'a> {
    call: CallId,
    kind: MessageKind,
    /// What a second one for the same reason is known by.
    once: String,
    from: &'a PhoneNumber,
    body: &'a Private<String>,
    expire_after: Duration,
}

/// Puts the text into the thread of its number, and the thread on the call's record.
fn queue(tx: &Tx<'_>, opening: &NewThread, text: OfCall<'_>) -> Result<Composed, StoreError> {
    // A call that brings a text is another matter than what was closed before it.
    let thread = into_thread(tx, opening, Duration::ZERO)?;
    calls::set_thread(tx, text.call, thread)?;
    let message = NewMessage {
        id: MessageId::new(opening.at),
        thread,
        kind: text.kind,
        author: "system".into(),
        from: text.from.clone(),
        to: opening.number.clone(),
        body: text.body.clone(),
        media: Vec::new(),
        call: Some(text.call),
        once: Some(text.once),
        at: opening.at,
    };
    outbox::enqueue(tx, &message, after(opening.at, text.expire_after))?;
    Ok(Composed { thread, message: message.id })
}

/// The open thread that the next text goes into: opened, reopened or continued.
pub(super) fn into_thread(tx: &Tx<'_>, opening: &NewThread, reopen_within: Duration) -> Result<ThreadId, StoreError> {
    let latest = threads::latest(tx, &opening.number)?;
    let thread = match threading::place(latest, opening.opened_by, reopen_within, opening.at) {
        Place::Continue(thread) => {
            threads::touch(tx, thread, opening.at)?;
            thread
        }
        Place::Reopen(thread) => {
            threads::reopen(tx, thread, "system", opening.at)?;
            thread
        }
        Place::New => {
            threads::open(tx, opening)?;
            return Ok(opening.id);
        }
    };
    // What they chose on the phone now is what they speak.
    if let Some(language) = &opening.language {
        threads::set_language(tx, thread, language)?;
    }
    Ok(thread)
}

pub(super) fn after(at: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| at.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
