//! A text that came in: kept once, put into its thread, its keyword obeyed and answered; and what a gateway says of a
//! patient who has opted out there. One transaction each, as in [`super::compose`].

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::compose::{after, into_thread};
use crate::conversation::consent::{Purpose, Refusal, may_text};
use crate::conversation::keywords::{self, Keyword};
use crate::conversation::red_flags;
use crate::conversation::templates::{Templates, Values};
use crate::model::{
    Consent, ConsentMethod, ConsentState, Language, MessageId, OpenedBy, PhoneNumber, Private, Resolution, ThreadId,
};
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::threads::NewThread;
use crate::store::{StoreError, Tx, consents, inbound, messages, outbox, threads};

/// One answer to HELP in so long: two machines must not keep each other busy.
const HELP_AT_MOST_EVERY: Duration = Duration::from_secs(10 * 60);

/// A text that a gateway brought, its origin proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextIn {
    /// The gateway's name.
    pub gateway: String,
    /// Its id of the text: with its name, what a duplicate is known by.
    pub gateway_id: String,
    /// Who wrote.
    pub from: PhoneNumber,
    /// Which of the clinic's numbers they wrote to.
    pub to: PhoneNumber,
    /// What they wrote.
    pub body: Private<String>,
    /// Addresses of pictures and the like.
    pub media: Vec<Private<String>>,
    /// The keyword that the gateway found and has answered itself (Twilio: `OptOutType`): we obey and stay silent.
    pub answered: Option<Keyword>,
    /// The clinic's messages, and so its answers to keywords.
    pub templates: Arc<Templates>,
    /// What their variables say.
    pub values: Values,
    /// The clinic's language, for a thread whose own is not known.
    pub language: Language,
    /// After so long an answer is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
    /// A thread that was closed less than so long ago opens again: `settings.desk.reopen_within`.
    pub reopen_within: Duration,
    /// When it came.
    pub now: Timestamp,
}

/// What became of a text that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was here before: the gateway's retry.
    Duplicate(MessageId),
    /// It is in the store.
    Stored {
        /// Its thread.
        thread: ThreadId,
        /// The message.
        message: MessageId,
        /// The keyword that it was, already obeyed: neither people nor automation need act.
        keyword: Option<Keyword>,
        /// The answer to the keyword that was queued.
        reply: Option<MessageId>,
    },
}

/// Stores a text and obeys its keyword.
pub fn receive_text(tx: &Tx<'_>, text: &TextIn) -> Result<Received, StoreError> {
    if let Some(message) = inbound::known(tx, &text.gateway, &text.gateway_id)? {
        return Ok(Received::Duplicate(message));
    }
    let consent = consents::state(tx, &text.from)?;
    let keyword = text.answered.or_else(|| Keyword::of(text.body.expose(), consent));
    let opening = NewThread {
        id: ThreadId::new(text.now),
        number: text.from.clone(),
        reason: None,
        language: None,
        opened_by: OpenedBy::Text,
        call: None,
        at: text.now,
    };
    let thread = match keyword {
        Some(_) => beside_thread(tx, &opening)?,
        None => into_thread(tx, &opening, text.reopen_within)?,
    };
    let message = NewMessage {
        id: MessageId::new(text.now),
        thread,
        kind: if keyword.is_some() { MessageKind::Keyword } else { MessageKind::Chat },
        author: "patient".into(),
        from: text.from.clone(),
        to: text.to.clone(),
        body: text.body.clone(),
        media: text.media.clone(),
        call: None,
        once: None,
        at: text.now,
    };
    inbound::store(tx, &message, &text.gateway, &text.gateway_id)?;
    let reply = match keyword {
        Some(keyword) => obey(tx, text, keyword, consent, &message)?,
        None => {
            if let Some(words) = red_flags::find(text.body.expose()) {
                threads::flag(tx, thread, words, text.now)?;
            }
            // Whoever texts first may be answered. After STOP it takes a START.
            if may_text(consent, Purpose::Conversation) == Err(Refusal::NoConsent) {
                agree(tx, text, ConsentState::Granted, message.id)?;
            }
            None
        }
    };
    Ok(Received::Stored { thread, message: message.id, keyword, reply })
}

/// Does what a keyword says; the answer that was queued, if one is due.
fn obey(
    tx: &Tx<'_>,
    text: &TextIn,
    keyword: Keyword,
    consent: Option<ConsentState>,
    message: &NewMessage,
) -> Result<Option<MessageId>, StoreError> {
    let (kind, due) = match keyword {
        Keyword::Stop => {
            outbox::cancel_for(tx, &text.from, text.now)?;
            let news = consent != Some(ConsentState::Revoked);
            if news {
                agree(tx, text, ConsentState::Revoked, message.id)?;
            }
            (MessageKind::StopReply, news)
        }
        Keyword::Start => {
            let news = consent != Some(ConsentState::Granted);
            if news {
                agree(tx, text, ConsentState::Granted, message.id)?;
            }
            (MessageKind::StartReply, news)
        }
        Keyword::Help => {
            let last = messages::last_to(tx, &text.from, MessageKind::HelpReply)?;
            (MessageKind::HelpReply, last.is_none_or(|at| after(at, HELP_AT_MOST_EVERY) <= text.now))
        }
    };
    if !due || text.answered.is_some() {
        return Ok(None);
    }
    let spoken = threads::language(tx, message.thread)?;
    let language = spoken.as_ref().unwrap_or(&text.language);
    let reply = NewMessage {
        id: MessageId::new(text.now),
        thread: message.thread,
        kind,
        author: "system".into(),
        from: text.to.clone(),
        to: text.from.clone(),
        body: keywords::reply(keyword, &text.templates, &text.values, language).into(),
        media: Vec::new(),
        call: None,
        once: Some(format!("reply:{}", message.id)),
        at: text.now,
    };
    outbox::enqueue(tx, &reply, after(text.now, text.expire_after))?;
    Ok(Some(reply.id))
}

/// Records what a text says of its writer's consent.
fn agree(tx: &Tx<'_>, text: &TextIn, state: ConsentState, message: MessageId) -> Result<(), StoreError> {
    let consent = Consent {
        message: Some(message),
        ..Consent::new(text.from.clone(), state, ConsentMethod::Text, "patient", text.now)
    };
    consents::append(tx, &consent)
}

/// The gateway says that a number has opted out there: our record follows, and nothing more is tried.
pub fn opted_out_at_gateway(
    tx: &Tx<'_>,
    gateway: &str,
    number: &PhoneNumber,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    outbox::cancel_for(tx, number, now)?;
    if consents::state(tx, number)? == Some(ConsentState::Revoked) {
        return Ok(());
    }
    let consent = Consent {
        message,
        ..Consent::new(number.clone(), ConsentState::Revoked, ConsentMethod::Gateway, format!("gateway:{gateway}"), now)
    };
    consents::append(tx, &consent)
}

/// The thread where a keyword is kept: the newest one as it stands, or a closed one of its own. Nobody need read it.
fn beside_thread(tx: &Tx<'_>, opening: &NewThread) -> Result<ThreadId, StoreError> {
    if let Some(latest) = threads::latest(tx, &opening.number)? {
        return Ok(latest.id);
    }
    threads::open(tx, opening)?;
    threads::close(tx, opening.id, Resolution::Keyword, "system", opening.at)?;
    Ok(opening.id)
}
