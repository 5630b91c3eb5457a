//! `/search`: threads by their words, people by their names, numbers by their digits.
//!
//! What is looked for is posted, so that no patient's name stands in an address, a history or a log. That somebody
//! searched is on record, and how much they found; not for what.

use axum::extract::State;
use axum::http::HeaderMap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::page::{Section, is_fragment, page};
use super::person::Person;
use super::problem::Problem;
use super::record::record;
use super::route::{Access, Route};
use super::theirs::{safe, theirs};
use super::words::queue::moment;
use super::words::search::{Words, words};
use super::words::{Ui, thread};
use super::{Files, Web};
use crate::conversation::permission::Act;
use crate::model::{MessageDirection, PhoneNumber, ThreadState};
use crate::store::search::{self, CONTACTS, Contact, Filters, Found, Hit, Piece, Rest, Terms};
use crate::store::staff::{self, Staff};
use crate::web::form::Form;

/// Its routes.
pub fn routes() -> Vec<Route> {
    let access = Access::May(Act::ReadThreads);
    vec![Route::get("/search", access, blank), Route::post("/search", access, find)]
}

/// What was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    state: String,
    owner: String,
    team: String,
    tag: String,
    from: String,
    to: String,
    direction: String,
    undeliverable: String,
    before: String,
}

/// `GET /search`
async fn blank(State(web): State<Web>, person: Person) -> Result<Markup, Problem> {
    let staff = web.store.read(staff::list).await?;
    let words = words(person.ui);
    let start = html! { p.empty { (words.start) } };
    Ok(whole(&person, &(web.files)(), &staff, &Asked::default(), start))
}

/// `POST /search`
async fn find(
    State(web): State<Web>,
    person: Person,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Result<Markup, Problem> {
    let files = (web.files)();
    let filters =
        filters(&asked, &files.settings.clinic.timezone).ok_or_else(|| Problem::refused(words(person.ui).bad_date))?;
    let staff = web.store.read(staff::list).await?;
    let terms = Terms::parse(&asked.q);
    let before: Option<i64> = asked.before.parse().ok();
    let answer = if terms.is_empty() && filters.is_empty() {
        html! { p.empty { (words(person.ui).start) } }
    } else {
        let (found, contacts) = web
            .store
            .read(move |conn| {
                let found = search::texts(conn, &terms, &filters, before)?;
                let contacts = if before.is_none() { search::contacts(conn, &terms)? } else { Vec::new() };
                Ok((found, contacts))
            })
            .await?;
        let seen = found.hits.len() + contacts.len();
        record(&web, &person, "threads.searched", "search", json!({ "found": seen }));
        let look =
            Look { words: words(person.ui), ui: person.ui, files: &files, staff: &staff, now: web.clock.now().wall };
        look.results(&asked, &found, &contacts)
    };
    if is_fragment(&headers) {
        return Ok(answer);
    }
    Ok(whole(&person, &files, &staff, &asked, answer))
}

/// None if a date is none.
fn filters(asked: &Asked, zone: &TimeZone) -> Option<Filters> {
    let word = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(Filters {
        state: match asked.state.as_str() {
            "open" => Some(ThreadState::Open),
            "snoozed" => Some(ThreadState::Snoozed),
            "closed" => Some(ThreadState::Closed),
            _ => None,
        },
        owner: word(&asked.owner),
        team: word(&asked.team),
        tag: word(&asked.tag),
        from: midnight(&asked.from, zone, 0)?,
        to: midnight(&asked.to, zone, 1)?,
        direction: match asked.direction.as_str() {
            "inbound" => Some(MessageDirection::Inbound),
            "outbound" => Some(MessageDirection::Outbound),
            _ => None,
        },
        undeliverable: !asked.undeliverable.is_empty(),
    })
}

/// When a day begins at the clinic, `days` later. `Some(None)` if no day was given, none if it is no day.
pub(super) fn midnight(text: &str, zone: &TimeZone, days: i32) -> Option<Option<Timestamp>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let date: Date = text.parse().ok()?;
    let start = date.checked_add(days.days()).ok()?.to_zoned(zone.clone()).ok()?;
    Some(Some(start.timestamp()))
}

fn whole(person: &Person, files: &Files, staff: &[Staff], asked: &Asked, answer: Markup) -> Markup {
    let words = words(person.ui);
    let body = html! {
        h1 { (words.title) }
        form #search .card method="post" action="/search" role="search" {
            div.inline {
                div.wide {
                    label for="q" { (words.look_for) }
                    input #q type="search" name="q" value=(asked.q) maxlength="200" autocomplete="off" autofocus
                        aria-describedby="q-hint";
                }
                button type="submit" { (words.find) }
            }
            p #q-hint .hint { (words.hint) }
            (narrowing(words, files, staff, asked))
        }
        section #results aria-label=(words.results) aria-live="polite" { (answer) }
    };
    page(person, Section::Search, words.title, body)
}

fn narrowing(words: &Words, files: &Files, staff: &[Staff], asked: &Asked) -> Markup {
    let Asked { state, owner, team, tag, from, to, direction, undeliverable, .. } = asked;
    let used = [state, owner, team, tag, from, to, direction, undeliverable].into_iter().any(|field| !field.is_empty());
    let choice = |name: &str, label: &str, chosen: &str, options: &[(&str, &str)]| {
        html! {
            div {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    option value="" { (words.any) }
                    @for (value, text) in options {
                        option value=(value) selected[*value == chosen] { (text) }
                    }
                }
            }
        }
    };
    let people: Vec<_> = staff.iter().map(|one| (one.name.as_str(), one.shown_as.as_str())).collect();
    let teams: Vec<_> = files.settings.teams.iter().map(|team| (team.name.as_str(), team.shown_as.as_str())).collect();
    let states = [("open", words.open), ("snoozed", words.snoozed), ("closed", words.closed)];
    html! {
        details open[used] {
            summary { (words.narrow) }
            div.filters {
                (choice("state", words.state, state, &states))
                (choice("owner", words.owner, owner, &people))
                @if !teams.is_empty() { (choice("team", words.team, team, &teams)) }
                div {
                    label for="tag" { (words.tag) }
                    input #tag name="tag" value=(tag) maxlength="60" autocomplete="off";
                }
                div { label for="from" { (words.from) } input #from type="date" name="from" value=(from); }
                div { label for="to" { (words.to) } input #to type="date" name="to" value=(to); }
                (choice("direction", words.direction, direction, &[("inbound", words.inbound), ("outbound", words.outbound)]))
                div.tick {
                    label {
                        input type="checkbox" name="undeliverable" value="yes" checked[!undeliverable.is_empty()];
                        " " (words.undeliverable)
                    }
                }
            }
        }
    }
}

/// What all results of a page have in common.
struct Look<'a> {
    words: &'a Words,
    ui: Ui,
    files: &'a Files,
    staff: &'a [Staff],
    now: Timestamp,
}

impl Look<'_> {
    fn results(&self, asked: &Asked, found: &Found, contacts: &[Contact]) -> Markup {
        let words = self.words;
        html! {
            @if !contacts.is_empty() {
                h2 { (words.people) }
                ul.found { @for contact in contacts { li { (self.person_row(contact)) } } }
                @if contacts.len() == CONTACTS { p.hint { (words.more_contacts) } }
            }
            @if !found.hits.is_empty() {
                @if asked.before.is_empty() { h2 { (words.messages) } }
                ul.found { @for hit in &found.hits { li { (self.row(hit)) } } }
            }
            @if found.hits.is_empty() && contacts.is_empty() && found.rest == Rest::Nothing && asked.before.is_empty() {
                div.empty { p { (words.nothing) } p.small { (words.nothing_hint) } }
            }
            @match found.rest {
                Rest::Nothing if found.hits.is_empty() && !asked.before.is_empty() => p.empty { (words.nothing_older) },
                Rest::Nothing => {}
                Rest::More(place) => (more(asked, place, words.more, false)),
                Rest::NotSearched(place, at) => {
                    p.notice { (words.not_searched) " " (self.when(at)) ". " (words.narrow_hint) }
                    (more(asked, place, words.older, found.hits.is_empty()))
                }
            }
        }
    }

    fn row(&self, hit: &Hit) -> Markup {
        let words = self.words;
        let who = match hit.direction {
            Some(MessageDirection::Inbound) => words.inbound,
            Some(MessageDirection::Outbound) => words.outbound,
            None => words.note,
        };
        html! {
            a href={ "/threads/" (hit.thread) } {
                span.head {
                    @match &hit.name {
                        Some(name) => { strong { (theirs(name.expose(), self.ui)) } " " span.number.faint { (self.number(&hit.number)) } }
                        None => strong.number { (self.number(&hit.number)) },
                    }
                    (state(words, hit.state))
                    @if let Some(owner) = &hit.owner { span.faint.small { (self.shown(owner)) } }
                    span.push.faint.small { (self.when(hit.at)) }
                }
                span.words { span.faint { (who) ": " } (marked(&hit.words, self.ui)) }
            }
        }
    }

    fn person_row(&self, contact: &Contact) -> Markup {
        let words = self.words;
        let who = html! {
            span.head {
                @match &contact.name {
                    Some(name) => { strong { (theirs(name.expose(), self.ui)) } " " span.number.faint { (self.number(&contact.number)) } }
                    None => strong.number { (self.number(&contact.number)) },
                }
                @if let Some(other) = &contact.on_behalf_of {
                    span.small { (words.on_behalf_of) " " (theirs(other.expose(), self.ui)) }
                }
                @match contact.state {
                    Some(at) => (state(words, at)),
                    None => span.faint.small { (words.no_thread) },
                }
            }
        };
        match contact.thread {
            Some(thread) => html! { a href={ "/threads/" (thread) } { (who) } },
            None => html! {
                form method="post" action="/new" {
                    (who)
                    input type="hidden" name="to" value=(contact.number.as_str());
                    button.quiet type="submit" { (words.write) }
                }
            },
        }
    }

    fn number(&self, number: &PhoneNumber) -> String {
        number.shown_in(self.files.settings.clinic.country)
    }

    /// What somebody of the clinic is called.
    fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.staff.iter().find(|staff| staff.name.as_str() == name).map_or(name, |staff| &staff.shown_as)
    }

    fn when(&self, at: Timestamp) -> Markup {
        let zone = &self.files.settings.clinic.timezone;
        html! { time.number datetime=(at) { (moment(self.ui, at, self.now, zone)) } }
    }
}

/// The same question again, from another place on. A script asks it by itself (`goes_on`) until there is something to see.
fn more(asked: &Asked, place: i64, text: &str, goes_on: bool) -> Markup {
    let fields = [
        ("q", &asked.q),
        ("state", &asked.state),
        ("owner", &asked.owner),
        ("team", &asked.team),
        ("tag", &asked.tag),
        ("from", &asked.from),
        ("to", &asked.to),
        ("direction", &asked.direction),
        ("undeliverable", &asked.undeliverable),
    ];
    html! {
        form.more method="post" action="/search" data-goes-on[goes_on] {
            @for (name, value) in fields {
                @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
            }
            input type="hidden" name="before" value=(place);
            button.second type="submit" { (text) }
        }
    }
}

fn state(words: &Words, state: ThreadState) -> Markup {
    match state {
        ThreadState::Open => html! { span.badge.good { (words.open) } },
        ThreadState::Snoozed => html! { span.badge { (words.snoozed) } },
        ThreadState::Closed => html! { span.badge.plain { (words.closed) } },
    }
}

/// The words, with what was looked for marked.
pub(super) fn marked(pieces: &[Piece], ui: Ui) -> Markup {
    let words = thread::words(ui);
    html! {
        bdi {
            @for piece in pieces {
                @if piece.found { mark { (safe(piece.text.expose(), words)) } } @else { (safe(piece.text.expose(), words)) }
            }
        }
    }
}
