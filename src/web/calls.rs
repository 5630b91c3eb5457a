//! Who is on the phone: who waits for a person and what rings for them, who speaks with whom. A caller who waits can be
//! answered out of turn, or offered a text; a patient can be called from their thread.
//!
//! `actions`: what is asked for from the page. `phones`: the clinic's phones, and whose they are. `placed`: a call that the
//! clinic places.
//!
//! Nothing here knows signalling or audio: all of it is asked of [`FrontDesk`](crate::call::front_desk::FrontDesk).

mod actions;
mod phones;
pub mod placed;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use super::page::{self, Section, is_fragment};
use super::person::Person;
use super::problem::Problem;
use super::record::looked;
use super::route::{Access, Route};
use super::theirs::{plain, theirs};
use super::words::calls::{self as words, Words};
use super::words::queue::length;
use super::words::{day, thread};
use super::{Files, Web};
use crate::call::front_desk::{PhoneDoing, Waiter, Waiting, Who};
use crate::call::registry::{CameIn, InProgress, Way};
use crate::conversation::permission::Act;
use crate::model::{CallId, CallbackId, Caller, Phone, PhoneNumber, StaffName, ThreadId};
use crate::store::{Connection, StoreError, callbacks, people, staff, threads};
use crate::tree::Kind;

pub use phones::{Chosen, is_ours, my_phone, owners, phone_choice, phone_name, phones};

/// Calls shown at once.
const MOST: usize = 60;

/// Its routes.
pub fn routes() -> Vec<Route> {
    let handle = Access::May(Act::HandleCalls);
    vec![
        Route::get("/calls", Access::May(Act::SeeDay), show),
        Route::post("/calls/{id}/answer", handle, actions::answer),
        Route::post("/calls/{id}/offer-text", handle, actions::offer_text),
        Route::post("/threads/{id}/call", handle, actions::call_out),
        Route::post("/callbacks/{id}/now", handle, actions::call_back_now),
        Route::post("/callbacks/{id}/cancel", handle, actions::cancel_callback),
    ]
}

/// What the store knows of those who are on the phone.
#[derive(Default)]
struct Known {
    /// Names and thread by number.
    callers: BTreeMap<PhoneNumber, (Vec<String>, Option<ThreadId>)>,
    /// Who is to be called back.
    callbacks: BTreeMap<CallbackId, callbacks::Callback>,
    /// Whose the phones are.
    owners: BTreeMap<String, (StaffName, String)>,
    /// The person's own.
    mine: Option<String>,
}

fn know(
    conn: &Connection,
    numbers: Vec<PhoneNumber>,
    waiting: Vec<CallbackId>,
    files: &Files,
    person: &Person,
) -> Result<Known, StoreError> {
    let mut known = Known { mine: staff::extension(conn, &person.name)?, ..Known::default() };
    for id in waiting {
        if let Some(callback) = callbacks::find(conn, id)? {
            known.callbacks.insert(id, callback);
        }
    }
    let called_back = known.callbacks.values().map(|callback| callback.number.clone());
    for number in numbers.into_iter().chain(called_back.collect::<Vec<_>>()) {
        let names = people::of_number(conn, &number)?.into_iter().map(|contact| contact.name).collect();
        let thread = threads::latest(conn, &number)?.map(|latest| latest.id);
        known.callers.insert(number, (names, thread));
    }
    known.owners = owners(conn, files)?;
    Ok(known)
}

/// `GET /calls`
async fn show(State(web): State<Web>, person: Person, headers: HeaderMap) -> Result<Response, Problem> {
    let (files, now) = ((web.files)(), web.clock.now().wall);
    let waiting = web.desk.waiting().await;
    let calls: Vec<_> = web.registry.list().into_iter().take(MOST).collect();
    let reads = person.may(Act::ReadThreads);
    let outside = calls.iter().filter_map(InProgress::outside);
    let numbers = outside.filter_map(|caller| caller.number().cloned()).filter(|_| reads).collect();
    let to_call = waiting.waiters.iter().filter(|waiter| waiter.who == Who::Callback).take(MOST);
    let to_call = to_call.map(|waiter| waiter.call.into()).collect();
    let (asker, theirs) = (person.clone(), files.clone());
    let known = web.store.read(move |conn| know(conn, numbers, to_call, &theirs, &asker)).await?;
    let look = Look { words: words::words(person.ui), person: &person, files: &files, known: &known, now };
    let part = look.page(&waiting, &calls);
    let (is_part, rows) = (is_fragment(&headers), calls.len() + waiting.waiters.len());
    looked(&web, &person, is_part, "calls.viewed", "calls", json!({ "rows": rows }));
    if is_part {
        return Ok(part.into_response());
    }
    let body = html! {
        h1 { (look.words.title) }
        div #calls { (part) }
    };
    Ok(page::page(&person, Section::Calls, look.words.title, body).into_response())
}

struct Look<'a> {
    words: &'static Words,
    person: &'a Person,
    files: &'a Files,
    known: &'a Known,
    now: Timestamp,
}

impl Look<'_> {
    fn page(&self, waiting: &Waiting, calls: &[InProgress]) -> Markup {
        let words = self.words;
        let call = |id: CallId| calls.iter().find(|call| call.id == id);
        let mut lines: Vec<(Option<&str>, Vec<&Waiter>)> = Vec::new();
        for waiter in waiting.waiters.iter().take(MOST) {
            match lines.last_mut() {
                Some((line, waiters)) if *line == waiter.line.as_deref() => waiters.push(waiter),
                _ => lines.push((waiter.line.as_deref(), vec![waiter])),
            }
        }
        let waits = |call: &InProgress| waiting.waiters.iter().any(|waiter| waiter.call == call.id);
        let (mut talking, mut others, mut placed) = (Vec::new(), Vec::new(), Vec::new());
        for call in calls.iter().filter(|call| !waits(call)) {
            match &call.way {
                Way::In(inbound) if inbound.with.is_some() => talking.push((call.since, inbound)),
                Way::In(inbound) => others.push((call.since, inbound)),
                Way::Out(call) => placed.push(call),
            }
        }
        html! {
            div.columns {
                div {
                    @if lines.is_empty() { section.card { p.faint { (words.nobody_waits) } } }
                    @for (line, waiters) in &lines {
                        section.card {
                            h2 {
                                @match line { Some(line) => ((words.line)(&line.replace('_', " "))), None => (words.alone) }
                                " " span.count { (waiters.len()) }
                            }
                            ol.waiters role="list" { @for waiter in waiters { (self.waiter(waiter, call(waiter.call))) } }
                        }
                    }
                    section.card {
                        h2 { (words.talking) " " span.count { (talking.len()) } }
                        @if talking.is_empty() { p.faint { (words.nobody_talks) } }
                        ul.waiters role="list" { @for (since, call) in talking { (self.other(since, call)) } }
                    }
                    @if !others.is_empty() {
                        section.card {
                            h2 { (words.elsewhere) " " span.count { (others.len()) } }
                            ul.waiters role="list" { @for (since, call) in others { (self.other(since, call)) } }
                        }
                    }
                    @if !placed.is_empty() {
                        section.card {
                            h2 { (words.placed) " " span.count { (placed.len()) } }
                            ul.waiters role="list" { @for call in placed { (self.placed(call)) } }
                        }
                    }
                }
                div { (self.phones(waiting)) }
            }
        }
    }

    fn waiter(&self, waiter: &Waiter, call: Option<&InProgress>) -> Markup {
        let words = self.words;
        let callback = self.known.callbacks.get(&waiter.call.into());
        let number = callback.map(|callback| Caller::Number(callback.number.clone()));
        let call = call.and_then(InProgress::inbound);
        let caller = number.as_ref().or(call.map(|call| &call.from));
        let who = self.caller(caller);
        let reason = match (callback, call) {
            (Some(callback), _) => callback.reason.clone(),
            (None, Some(call)) => call.node.as_deref().and_then(|node| self.reason(node)),
            (None, None) => None,
        };
        let ringing: Vec<_> = waiter.ringing.iter().map(|phone| self.phone(phone)).collect();
        let button = |to: &str, class: &str, text: &str, label: String, said: &str| {
            html! {
                form method="post" action={ "/calls/" (waiter.call) "/" (to) } data-said=(said) {
                    button.(class) #{ (to) "-" (waiter.call) } type="submit" aria-label=(label) { (text) }
                }
            }
        };
        html! {
            li {
                div.what {
                    p {
                        @if waiter.line.is_some() { span.badge { ((words.position)(waiter.place.position)) } " " }
                        (self.linked(&who))
                        @if let Some(reason) = &reason { span.faint { " · " (theirs(reason, self.person.ui)) } }
                        @if waiter.who == Who::Callback { " " span.badge.plain { (words.to_be_called_back) } }
                    }
                    p.small {
                        ((words.waits_for)(&self.since(waiter.since))) " · "
                        @if ringing.is_empty() { span.faint { (words.nothing_rings) } }
                        @else { ((words.rings)(&ringing.join(", "))) }
                    }
                    @if let Some(call) = call { (self.way(call)) }
                }
                @if self.person.may(Act::HandleCalls) {
                    div.bar {
                        @if call.is_some_and(|call| offers(self.files, call)) {
                            (button("offer-text", "second", words.offer, (words.offer_whom)(&who.plain()), words.offered))
                        }
                        (button("answer", "first", words.answer, (words.answer_whom)(&who.plain()), words.my_phone_rings))
                    }
                }
            }
        }
    }

    /// Somebody who does not wait.
    fn other(&self, since: Timestamp, call: &CameIn) -> Markup {
        let who = self.caller(Some(&call.from));
        html! {
            li {
                div.what {
                    p {
                        (self.linked(&who))
                        @if let Some(phone) = &call.with { " " ((self.words.with)(&self.phone(phone))) }
                        " " span.faint.small { (self.since(since)) }
                    }
                    @if call.node.is_none() && call.with.is_none() { p.small.faint { (self.words.in_menu) } }
                    (self.way(call))
                }
            }
        }
    }

    fn way(&self, call: &CameIn) -> Markup {
        html! {
            @if !call.path.is_empty() {
                p.small.faint { (super::thread::way(&call.path, thread::words(self.person.ui))) }
            }
        }
    }

    fn phones(&self, waiting: &Waiting) -> Markup {
        let (words, extensions) = (self.words, &self.files.settings.extensions);
        html! {
            section.card {
                h2 { (words.phones) }
                @if extensions.is_empty() { p.faint { (words.no_phones) } }
                ul.waiters role="list" {
                    @for extension in extensions {
                        @let doing = waiting.doing(&Phone::Extension(extension.name.clone()));
                        li {
                            div.what {
                                p {
                                    (extension.shown_as) " " span.faint.small { (extension.name) }
                                    @if self.known.mine.as_deref() == Some(extension.name.as_str()) { " " span.badge { (words.mine) } }
                                    @else if let Some((_, owner)) = self.known.owners.get(&extension.name) { span.faint.small { " · " (owner) } }
                                }
                            }
                            span.badge.(colour(doing)) { (words::doing(self.person.ui, doing)) }
                        }
                    }
                }
            }
        }
    }

    fn phone(&self, phone: &Phone) -> String {
        let name = phone_name(self.files, &phone.to_string());
        match phone {
            Phone::Extension(known) | Phone::Uri(known) => match self.known.owners.get(known) {
                Some((_, owner)) => format!("{name} ({owner})"),
                None => name,
            },
            Phone::Number(number) => number.shown_in(self.files.settings.clinic.country),
            Phone::Emergency(_) => name,
        }
    }

    /// Who is calling; whoever may not read threads sees the last two digits.
    fn caller(&self, caller: Option<&Caller>) -> Whoever {
        let Some(caller) = caller else {
            return Whoever { number: self.words.number_hidden.to_owned(), names: None, thread: None };
        };
        let number = super::day::caller(self.person, day::words(self.person.ui), self.files, caller);
        let known = caller.number().and_then(|number| self.known.callers.get(number));
        let names = known.map(|(names, _)| names.join(" / ")).filter(|names| !names.is_empty());
        Whoever { number, names, thread: known.and_then(|(_, thread)| *thread) }
    }

    fn linked(&self, who: &Whoever) -> Markup {
        let shown = html! {
            strong {
                @if let Some(names) = &who.names { (theirs(names, self.person.ui)) " · " }
                (theirs(&who.number, self.person.ui))
            }
        };
        html! {
            @match who.thread.filter(|_| self.person.may(Act::ReadThreads)) {
                Some(thread) => a href={ "/threads/" (thread) } title=(self.words.open_thread) { (shown) },
                None => (shown),
            }
        }
    }

    /// What whoever waits at a node has chosen.
    fn reason(&self, node: &str) -> Option<String> {
        let (_, node) = self.files.tree.nodes().find(|(_, known)| known.name == node)?;
        match &node.kind {
            Kind::Queue(queue) => queue.reason.clone(),
            Kind::Ring(ring) => ring.reason.clone(),
            _ => None,
        }
    }

    fn since(&self, at: Timestamp) -> String {
        length(self.person.ui, Duration::try_from(self.now.duration_since(at)).unwrap_or_default())
    }
}

/// Somebody on the phone, as the clinic knows them.
struct Whoever {
    /// Their number, or what stands for it.
    number: String,
    names: Option<String>,
    thread: Option<ThreadId>,
}

impl Whoever {
    /// For a label.
    fn plain(&self) -> String {
        let number = plain(&self.number);
        self.names.as_ref().map_or(number.clone(), |names| format!("{} · {number}", plain(names)))
    }
}

fn colour(doing: PhoneDoing) -> &'static str {
    match doing {
        PhoneDoing::Free => "good",
        PhoneDoing::Ringing(_) | PhoneDoing::Resting(_) => "warn",
        PhoneDoing::OnCall | PhoneDoing::Unreachable => "plain",
    }
}

/// Whether a call waits in a queue that offers texts.
fn offers(files: &Files, call: &CameIn) -> bool {
    let node = call.node.as_deref().and_then(|name| files.tree.nodes().find(|(_, node)| node.name == name));
    node.is_some_and(|(_, node)| matches!(&node.kind, Kind::Queue(queue) if queue.offer_text.is_some()))
}
