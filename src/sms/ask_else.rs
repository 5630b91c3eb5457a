//! "Anything else I can help with?", asked by the house before it closes a thread in which nobody writes any more.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::addressee;
use super::compose::after;
use crate::conversation::closing::OFFER;
use crate::conversation::consent::{Purpose, may_text};
use crate::conversation::templates::{Templates, Values};
use crate::model::{Language, MessageId, PhoneNumber, ThreadId};
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::threads::Thread;
use crate::store::{Connection, StoreError, Tx, consents, outbox, threads};

/// What the question is made of.
#[derive(Clone, Debug)]
pub struct Question {
    /// The clinic's number.
    pub from: PhoneNumber,
    /// The clinic's messages.
    pub templates: Arc<Templates>,
    /// What their variables say.
    pub values: Values,
    /// The clinic's language.
    pub language: Language,
    /// After so long it is of no use: `settings.sms.expire_after`.
    pub expire_after: Duration,
}

/// A question that can be asked.
#[derive(Clone, Debug)]
pub struct Ready {
    thread: Thread,
    body: String,
}

/// The question in this thread, if it can be asked: they may be texted, and the clinic has words for it.
pub fn ready(conn: &Connection, thread: ThreadId, question: &Question) -> Result<Option<Ready>, StoreError> {
    let Some(thread) = threads::find(conn, thread)? else { return Ok(None) };
    if !thread.number.can_text()
        || thread.number == question.from
        || may_text(consents::state(conn, &thread.number)?, Purpose::Conversation).is_err()
    {
        return Ok(None);
    }
    let Some(addressee) = addressee::of_thread(conn, thread.id)? else { return Ok(None) };
    let filled = addressee.fill(&question.templates, OFFER, question.values.clone(), &question.language);
    Ok(filled.ok().map(|body| Ready { thread, body }))
}

/// Asks it.
pub fn ask(tx: &Tx<'_>, ready: Ready, question: &Question, now: Timestamp) -> Result<(), StoreError> {
    let message = NewMessage {
        id: MessageId::new(now),
        thread: ready.thread.id,
        kind: MessageKind::Chat,
        author: "system".into(),
        from: question.from.clone(),
        to: ready.thread.number,
        body: ready.body.into(),
        media: Vec::new(),
        call: None,
        once: None,
        at: now,
    };
    outbox::enqueue(tx, &message, after(now, question.expire_after))?;
    threads::close_offered(tx, ready.thread.id, "system", now)?;
    Ok(())
}
