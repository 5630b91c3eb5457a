//! A call, written down. The phone never waits for the disk: what a call has to say is queued for the store's writer,
//! which says in the log and in its counters what it could not keep.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::warn;

use crate::events::Event;
use crate::ivr::TextRequest;
use crate::model::{CallEnd, CallId, CallStart, Caller, Language, Outcome, Private, ThreadId};
use crate::sms::compose::{self, MissedCallText, OfferText};
use crate::store::{Store, calls};

use super::{Book, Line};

/// Writes the call's first row.
pub fn started(store: &Store, start: &CallStart) {
    let start = start.clone();
    store.try_write_detached("call start", move |tx| {
        calls::start(tx, &start)?;
        tx.announce(Event::Call(start.id));
        Ok(())
    });
}

/// Writes the call's last row and, in the same transaction, the missed-call text if one is owed.
pub fn ended(store: &Store, book: &Book, start: &CallStart, end: CallEnd) {
    let missed = missed_call(book, start.id, &start.from, &end.language, end.outcome, end.at);
    store.try_write_detached("call end", move |tx| {
        calls::end(tx, &end)?;
        if let Some(missed) = &missed {
            // Why nothing is owed (opted out, texted today) is no fault and nothing to say.
            let _ = compose::missed_call_text(tx, missed)?;
        }
        tx.announce(Event::Call(end.id));
        Ok(())
    });
}

/// For the start of the daemon: ends the calls that the last run left open, and queues what their callers are owed.
pub async fn interrupted(store: &Store, book: &Book, at: Timestamp) {
    let calls = match store.write(move |tx| calls::interrupt_unfinished(tx, at)).await {
        Ok(calls) => calls,
        Err(error) => return warn!(%error, "the calls of the last run could not be closed"),
    };
    if !calls.is_empty() {
        warn!(calls = calls.len(), "calls were in progress when the last run ended");
    }
    let language = &book.settings.clinic.language;
    for call in calls {
        let outcome = Outcome::Interrupted;
        let missed = missed_call(book, call.call, &call.from, language, outcome, at);
        if let Some(missed) = missed {
            store.try_write_detached("missed-call text", move |tx| compose::missed_call_text(tx, &missed).map(drop));
        }
    }
}

/// Why the caller gets no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoText {
    /// They may not get one.
    Refused(String),
    /// They should, but something of ours is broken.
    Failed(String),
}

/// Writes consent, thread, message and outbox row for a text that the caller asked for; answers its thread.
///
/// # Errors
/// Why there will be no text.
pub fn text(
    line: &Line,
    book: &Arc<Book>,
    start: &CallStart,
    request: TextRequest,
) -> impl Future<Output = Result<ThreadId, NoText>> + Send + use<> {
    let offer = offer(book, start, request, line.clock.now().wall);
    let store = line.store.clone();
    async move {
        let offer = offer?;
        match store.write(move |tx| compose::offer_text(tx, &offer)).await {
            Ok(Ok(composed)) => Ok(composed.thread),
            Ok(Err(untextable)) => Err(NoText::Refused(untextable.to_string())),
            Err(error) => Err(NoText::Failed(error.to_string())),
        }
    }
}

fn offer(book: &Book, start: &CallStart, request: TextRequest, now: Timestamp) -> Result<OfferText, NoText> {
    // The tree led here by itself: without a key there is no consent to record, and so no text.
    let digit = request.evidence.digit.ok_or_else(|| NoText::Refused("the caller pressed no key".to_owned()))?;
    let body = book
        .templates
        .render(&request.template, &request.language, &Book::values(&book.settings))
        .map_err(|error| NoText::Failed(error.to_string()))?;
    let heard: Vec<_> = request.evidence.prompts.iter().filter_map(|key| book.catalog.0.get(key)).collect();
    Ok(OfferText {
        call: start.id,
        node: request.node,
        from: book.settings.sms.from.clone(),
        to: request.to,
        body: Private::new(body),
        language: request.language,
        reason: request.reason,
        disclosure: heard.iter().map(|prompt| prompt.words.as_str()).collect::<Vec<_>>().join(" "),
        prompt_sha256: heard.iter().map(|prompt| prompt.sha256.as_str()).collect::<Vec<_>>().join(" "),
        digit,
        expire_after: book.settings.sms.expire_after,
        now,
    })
}

fn missed_call(
    book: &Book,
    call: CallId,
    caller: &Caller,
    language: &Language,
    outcome: Outcome,
    now: Timestamp,
) -> Option<MissedCallText> {
    if !outcome.unserved() {
        return None;
    }
    let missed = book.tree.missed_call()?;
    let body = match book.templates.render(&missed.message, language, &Book::values(&book.settings)) {
        Ok(body) => body,
        Err(error) => {
            warn!(%error, "no missed-call text can be written");
            return None;
        }
    };
    Some(MissedCallText {
        call,
        outcome,
        caller: caller.clone(),
        from: book.settings.sms.from.clone(),
        own: book.own_numbers(),
        body: Private::new(body),
        language: language.clone(),
        at_most_every: missed.at_most_every,
        expire_after: book.settings.sms.expire_after,
        now,
    })
}
