//! A call, written down. The phone never waits for the disk: what a call has to say is queued for the store's writer,
//! which says in the log and in its counters what it could not keep.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tracing::warn;

use crate::conversation::missed_call;
use crate::events::Event;
use crate::ivr::TextRequest;
use crate::model::{
    CallEnd, CallId, CallStart, Callee, Caller, Language, Outcome, Phone, PhoneNumber, Private, StaffName, ThreadId,
    ThreadState, Unserved,
};
use crate::settings::Settings;
use crate::sms::compose::{self, DeskText, MissedCallText, OfferText};
use crate::store::audit::{self, Entry};
use crate::store::callbacks::Callback;
use crate::store::calls::LegOut;
use crate::store::emergencies;
use crate::store::{Store, calls, staff, threads};

use super::switchboard::Connected;
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

/// Who carries a call that the clinic places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The trunk; empty: there is none.
    pub trunk: String,
    /// The clinic's number that it shows.
    pub from: PhoneNumber,
}

impl Carrier {
    /// The trunk of this name, or else the first.
    pub fn of(settings: &Settings, trunk: Option<&str>) -> Carrier {
        let named = trunk.and_then(|name| settings.trunks.iter().find(|trunk| trunk.name == name));
        match named.or(settings.trunks.first()) {
            Some(trunk) => Carrier { trunk: trunk.name.clone(), from: settings.shown_by(trunk).clone() },
            None => Carrier { trunk: String::new(), from: settings.sms.from.clone() },
        }
    }
}

/// Writes the first row of a call that the clinic places, with the thread that it belongs to.
pub fn placed(store: &Store, start: &CallStart, thread: Option<ThreadId>) {
    started(store, start);
    let call = start.id;
    if let Some(thread) = thread {
        store.try_write_detached("thread of a call", move |tx| calls::set_thread(tx, call, thread));
    }
}

/// Writes the call's last row and, in the same transaction, the missed-call text if one is owed, in the words for how its
/// caller was left.
pub fn ended(store: &Store, book: &Book, start: &CallStart, end: CallEnd, unserved: Option<Unserved>) {
    let left = unserved.unwrap_or(Unserved::InMenu);
    let missed = missed_call(book, start.id, &start.from, &end.language, &end.path, end.outcome, left, end.at);
    store.try_write_detached("call end", move |tx| {
        calls::end(tx, &end)?;
        if let Some(Unserved::InLine { position: Some(position), .. }) = unserved {
            calls::left_line(tx, end.id, position)?;
        }
        if let Some(missed) = &missed {
            // Why nothing is owed (opted out, texted today) is no fault and nothing to say.
            let _ = compose::missed_call_text(tx, missed)?;
        }
        tx.announce(Event::Call(end.id));
        Ok(())
    });
}

/// Notes the phone of the clinic that has picked up, and whose it is.
pub fn answered_by(store: &Store, call: CallId, phone: &Phone) {
    let phone = phone.clone();
    store.try_write_detached("who answered", move |tx| {
        let staff = match &phone {
            Phone::Extension(name) | Phone::Uri(name) => staff::of_extension(tx, name)?,
            Phone::Number(_) | Phone::Emergency(_) => None,
        };
        calls::served(tx, call, &calls::Served { staff, extension: None, answered_by: Some(phone.clone()) })
    });
}

/// Tells a patient that they were called back in vain, if they are owed a text: under the call in which they asked.
pub fn callback_failed(line: &Line, callback: &Callback) {
    let book = line.book();
    let caller = Caller::Number(callback.number.clone());
    let now = line.clock.now().wall;
    let (outcome, left) = (Outcome::Missed, Unserved::CallbackFailed);
    // Their hours are those that the call came through.
    let path: Vec<_> = callback.hours.iter().cloned().collect();
    let missed = missed_call(&book, callback.call, &caller, &callback.language, &path, outcome, left, now);
    if let Some(missed) = missed {
        line.store.try_write_detached("missed-call text", move |tx| compose::missed_call_text(tx, &missed).map(drop));
    }
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
        let missed = missed_call(book, call.call, &call.from, language, &[], outcome, Unserved::InMenu, at);
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

/// The template that `*1` sends, pressed on a phone of the clinic during a call.
pub const DESK_TEXT: &str = "desk_text";

/// Writes the text that somebody of the clinic sends while they speak with the caller, or with whom they have called;
/// answers its thread. `count`: how many they have sent in this call before.
///
/// # Errors
/// Why there will be no text.
#[expect(clippy::too_many_arguments, reason = "all that decides who is told what")]
pub fn desk_text(
    line: &Line,
    book: &Arc<Book>,
    call: CallId,
    to: &Caller,
    count: usize,
    path: &[String],
    language: &Language,
    by: &Phone,
) -> impl Future<Output = Result<ThreadId, NoText>> + Send + use<> {
    let text = || {
        let to = to.number().ok_or_else(|| NoText::Refused("the caller's number is withheld".to_owned()))?;
        let body = book.templates.render(DESK_TEXT, language, &book.values(path));
        Ok(DeskText {
            call,
            count,
            by: by.to_string(),
            to: to.clone(),
            from: book.settings.sms.from.clone(),
            body: Private::new(body.map_err(|error| NoText::Failed(error.to_string()))?),
            language: language.clone(),
            expire_after: book.settings.sms.expire_after,
            now: line.clock.now().wall,
        })
    };
    let (text, store) = (text(), line.store.clone());
    async move {
        let text = text?;
        match store.write(move |tx| compose::desk_text(tx, &text)).await {
            Ok(Ok(composed)) => Ok(composed.thread),
            Ok(Err(why)) => Err(NoText::Refused(why.to_string())),
            Err(error) => Err(NoText::Failed(error.to_string())),
        }
    }
}

/// Notes the trunk that carries a call that the clinic has placed, and the number that it shows there.
pub fn carried(store: &Store, call: CallId, carrier: &Carrier) {
    let Carrier { trunk, from } = carrier.clone();
    store.try_write_detached("trunk of a call", move |tx| calls::carried(tx, call, &trunk, &from));
}

/// Writes the last row of a call that the clinic has placed, by the trunk that was tried last. It belongs to the thread
/// that it was placed from, or to its number's open one; a call that was answered moves the thread to voice.
pub fn called_out(
    line: &Line,
    to: Callee,
    carrier: Carrier,
    staff: Option<StaffName>,
    phone: &Phone,
    mut end: CallEnd,
) {
    let actor = staff.as_ref().map_or_else(|| phone.to_string(), ToString::to_string);
    let extension = match phone {
        Phone::Extension(name) => Some(name.clone()),
        _ => None,
    };
    let by = calls::Served { staff, extension, answered_by: None };
    line.store.try_write_detached("call end", move |tx| {
        if let (None, Callee::Number(number)) = (end.thread, &to) {
            let latest = threads::latest(tx, number)?;
            end.thread = latest.filter(|latest| latest.state != ThreadState::Closed).map(|latest| latest.id);
        }
        calls::end(tx, &end)?;
        calls::carried(tx, end.id, &carrier.trunk, &carrier.from)?;
        calls::served(tx, end.id, &by)?;
        if let (Some(thread), Outcome::Served) = (end.thread, end.outcome) {
            threads::moved_to_voice(tx, thread, &actor, end.at)?;
        }
        tx.announce(Event::Call(end.id));
        Ok(())
    });
}

/// Puts on record that somebody out in the world is connected to a party of `call`: on the call, and as the deed of the
/// phone that sent the party there, if one did (`by`). Of who is in the house nothing is noted.
pub(super) fn leg_out(line: &Line, call: CallId, connected: &Connected, by: Option<&Phone>) {
    let (Phone::Number(to), Some(trunk)) = (&connected.phone, connected.leg.trunk()) else { return };
    let leg = LegOut { to: to.clone(), trunk: trunk.to_owned(), by: by.cloned() };
    let at = line.clock.now().wall;
    line.store.try_write_detached("leg out", move |tx| {
        if let Some(by) = &leg.by {
            let detail = json!({ "to": leg.to, "trunk": leg.trunk });
            let subject = format!("call:{call}");
            audit::append(
                tx,
                Entry { at, actor: &by.to_string(), action: "call.sent_out", subject: &subject, detail },
            )?;
        }
        calls::leg_out(tx, call, &leg)
    });
}

/// Puts into a thread that somebody wanted to call from it and did not pick up their own phone.
pub fn own_phone_unanswered(line: &Line, thread: ThreadId, staff: StaffName, phone: &Phone) {
    let (at, phone) = (line.clock.now().wall, phone.to_string());
    line.store.try_write_detached("own phone unanswered", move |tx| {
        threads::own_phone_unanswered(tx, thread, &phone, staff.as_str(), at)
    });
}

/// Notes that an extension has called the emergency services.
pub fn emergency_called(line: &Line, extension: &str, digits: &Private<String>) {
    let (at, actor, digits) = (line.clock.now().wall, format!("extension:{extension}"), digits.expose().clone());
    line.store.try_write_detached("emergency call", move |tx| {
        let detail = json!({ "dialled": digits });
        audit::append(tx, Entry { at, actor: &actor, action: emergencies::CALLED, subject: &actor, detail })?;
        tx.announce(Event::Emergency);
        Ok(())
    });
}

fn offer(book: &Book, start: &CallStart, request: TextRequest, now: Timestamp) -> Result<OfferText, NoText> {
    // The tree led here by itself: without a key there is no consent to record, and so no text.
    let digit = request.evidence.digit.ok_or_else(|| NoText::Refused("the caller pressed no key".to_owned()))?;
    let body = book
        .templates
        .render(&request.template, &request.language, &book.values(&request.path))
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

#[expect(clippy::too_many_arguments, reason = "all that decides who is told what")]
fn missed_call(
    book: &Book,
    call: CallId,
    caller: &Caller,
    language: &Language,
    path: &[String],
    outcome: Outcome,
    unserved: Unserved,
    now: Timestamp,
) -> Option<MissedCallText> {
    if !outcome.unserved() {
        return None;
    }
    let missed = book.tree.missed_call()?;
    let body = match missed_call::text(&book.templates, missed, unserved, language, &book.values(path)) {
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

#[cfg(test)]
mod tests;
