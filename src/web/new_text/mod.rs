//! `/new`: a text to somebody who has not written. To whom is asked here; the text has a page of its own, in `write`,
//! whose address says nothing of them.
//!
//! Numbers and names are posted, never part of an address.

mod write;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::page::{Section, page};
use super::person::Person;
use super::problem::Problem;
use super::record::looked;
use super::route::{Access, Route};
use super::theirs::{plain, theirs};
use super::words::Ui;
use super::words::new_text::{Words, words};
use super::{Files, Web};
use crate::conversation::permission::Act;
use crate::model::PhoneNumber;
use crate::store::new_texts;
use crate::store::search::{self, Contact, Terms};
use crate::web::form::{Form, Query};

/// Its routes.
pub fn routes() -> Vec<Route> {
    let access = Access::May(Act::WorkThreads);
    vec![
        Route::get("/new", access, blank),
        Route::post("/new", access, look),
        Route::post("/new/people", access, people),
        Route::get("/new/{id}", access, write::text),
        Route::post("/new/{id}/answer", access, write::answer),
        Route::post("/new/{id}/draft", access, write::draft),
        Route::post("/new/{id}/template", access, write::template),
        Route::post("/new/{id}/consent", Access::May(Act::ChangeConsent), write::consent),
    ]
}

/// Who is to be written to, and with what message to begin.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    to: String,
    template: String,
}

/// What the address may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    template: String,
}

/// `GET /new`
async fn blank(State(web): State<Web>, person: Person, Query(wanted): Query<Wanted>) -> Markup {
    let asked = Asked { template: wanted.template, ..Asked::default() };
    whole(&person, to_whom(person.ui, words(person.ui), &(web.files)(), &asked, &[], None))
}

/// `POST /new`: to whom.
async fn look(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Response, Problem> {
    let (words, files) = (words(person.ui), (web.files)());
    let (several, why) = match find(&web, &files, &asked.to).await? {
        Known::One(number) => {
            searched(&web, &person, 1, false);
            return begin(&web, &person, number, asked.template).await;
        }
        Known::Several(contacts) => {
            searched(&web, &person, contacts.len(), false);
            (contacts, None)
        }
        Known::Nobody => (Vec::new(), (!asked.to.trim().is_empty()).then_some(words.nobody)),
    };
    Ok(whole(&person, to_whom(person.ui, words, &files, &asked, &several, why)).into_response())
}

/// Leads to where the text is written, with a message behind what is there.
async fn begin(web: &Web, person: &Person, number: PhoneNumber, template: String) -> Result<Response, Problem> {
    let (author, now) = (person.name.clone(), web.clock.now().wall);
    let id = web.store.write(move |tx| new_texts::open(tx, &author, &number, now)).await?;
    let begun = write::begun(web, person, id).await?;
    if template.is_empty() {
        return Ok(Redirect::to(&begun.page()).into_response());
    }
    write::put_behind(web, person, &begun, begun.text.body.expose(), &template).await
}

/// `POST /new/people`: who may be meant, for the field's suggestions.
async fn people(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Markup, Problem> {
    let terms = Terms::parse(&asked.to);
    let found = web.store.read(move |conn| search::contacts(conn, &terms)).await?;
    if !found.is_empty() {
        searched(&web, &person, found.len(), false);
    }
    Ok(html! {
        @for contact in found {
            option value=(contact.number.as_str()) { @if let Some(name) = &contact.name { (plain(name.expose())) } }
        }
    })
}

/// That somebody looked for people, and how many they saw. What they see `again` is no new look for a while.
fn searched(web: &Web, person: &Person, found: usize, again: bool) {
    looked(web, person, again, "threads.searched", "search", json!({ "by": "new", "found": found }));
}

enum Known {
    One(PhoneNumber),
    Several(Vec<Contact>),
    Nobody,
}

async fn find(web: &Web, files: &Files, to: &str) -> Result<Known, Problem> {
    if let Ok(number) = PhoneNumber::parse(to, files.settings.clinic.country) {
        return Ok(Known::One(number));
    }
    let terms = Terms::parse(to);
    let found = web.store.read(move |conn| search::contacts(conn, &terms)).await?;
    Ok(match <[Contact; 1]>::try_from(found) {
        Ok([one]) => Known::One(one.number),
        Err(none) if none.is_empty() => Known::Nobody,
        Err(several) => Known::Several(several),
    })
}

fn whole(person: &Person, body: Markup) -> Markup {
    let words = words(person.ui);
    page(person, Section::Inbox, words.title, html! { div.prose { h1 { (words.title) } (body) } })
}

fn to_whom(ui: Ui, words: &Words, files: &Files, asked: &Asked, several: &[Contact], problem: Option<&str>) -> Markup {
    html! {
        form.card method="post" action="/new" {
            div.field {
                label for="to" { (words.to) }
                input #to name="to" value=(asked.to) list="people" required autofocus maxlength="120" autocomplete="off"
                    aria-describedby="to-hint" aria-invalid=[problem.map(|_| "true")];
                datalist #people {}
                p #to-hint .hint { (words.to_hint) }
                @if let Some(problem) = problem { p.error role="alert" { (problem) } }
            }
            @if !asked.template.is_empty() { input type="hidden" name="template" value=(asked.template); }
            button type="submit" { (words.next) }
        }
        @if !several.is_empty() {
            h2 { (words.who) }
            ul.found {
                @for contact in several {
                    li {
                        form method="post" action="/new" {
                            @if !asked.template.is_empty() { input type="hidden" name="template" value=(asked.template); }
                            button.second type="submit" name="to" value=(contact.number.as_str()) { (named(ui, files, contact)) }
                        }
                    }
                }
            }
        }
    }
}

fn named(ui: Ui, files: &Files, contact: &Contact) -> Markup {
    html! {
        @if let Some(name) = &contact.name { strong { (theirs(name.expose(), ui)) } " " }
        span.number { (contact.number.shown_in(files.settings.clinic.country)) }
    }
}
