//! The command palette and the list of keys: their empty windows on every page, and what the palette finds.
//!
//! `palette.js` and `keys.js` fill them. What they offer is also there without scripts: links, buttons, `/search`.

use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::search::marked;
use super::theirs::theirs;
use super::words::palette::{Words, words};
use crate::conversation::permission::Act;
use crate::conversation::snippets;
use crate::model::Country;
use crate::store::audit::{self, Entry};
use crate::store::search::{self, Contact, Hit, Terms};
use crate::web::form::Form;

/// What is typed within this is on record as one search.
const ONE_GO: Duration = Duration::from_secs(3);
/// Messages that are offered, and people.
const OFFERED: usize = 6;

/// Its routes.
pub fn routes() -> Vec<Route> {
    vec![Route::post("/palette", Access::SignedIn, find)]
}

/// What was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
}

/// `POST /palette`: options for the list.
async fn find(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Markup, Problem> {
    let words = words(person.ui);
    let terms = Terms::parse(&asked.q);
    let reads = person.may(Act::ReadThreads) && !terms.is_empty();
    let (hits, contacts) = if reads {
        web.store
            .read(move |conn| Ok((search::newest(conn, &terms, OFFERED)?, search::contacts(conn, &terms)?)))
            .await?
    } else {
        (Vec::new(), Vec::new())
    };
    if reads {
        record(&web, &person, hits.len() + contacts.len());
    }
    let country = (web.files)().settings.clinic.country;
    let templates = if person.may(Act::WorkThreads) { templates(&web, &asked.q) } else { Vec::new() };
    Ok(options(words, &person, country, &asked.q, &hits, &contacts, &templates))
}

/// That somebody searched, and how much they saw: once for what is typed in one go, since every letter asks anew.
fn record(web: &Web, person: &Person, found: usize) {
    if !web.door.searched(&person.name, found) {
        return;
    }
    let (web, actor, at) = (web.clone(), person.name.clone(), web.clock.now().wall);
    tokio::spawn(async move {
        tokio::time::sleep(ONE_GO).await;
        let searches = web.door.searches(&actor);
        web.store.try_write_detached("a search", move |tx| {
            let detail = json!({ "found": searches.found, "times": searches.times, "by": "palette" });
            let entry = Entry { at, actor: actor.as_str(), action: "threads.searched", subject: "search", detail };
            audit::append(tx, entry)?;
            Ok(())
        });
    });
}

/// The templates whose names have what was typed.
fn templates(web: &Web, typed: &str) -> Vec<String> {
    let typed = typed.trim().to_lowercase().replace(' ', "_");
    let files = (web.files)();
    let names = snippets::for_people(&files.templates, &files.tree).into_iter();
    names.filter(|name| !typed.is_empty() && name.to_lowercase().contains(&typed)).take(OFFERED).collect()
}

fn options(
    words: &Words,
    person: &Person,
    country: Country,
    typed: &str,
    hits: &[Hit],
    contacts: &[Contact],
    templates: &[String],
) -> Markup {
    html! {
        @if !contacts.is_empty() {
            (group("palette-people", words.people, html! {
                @for contact in contacts.iter().take(OFFERED) { (contact_option(words, person, country, contact)) }
            }))
        }
        @if !templates.is_empty() {
            (group("palette-templates", words.templates, html! {
                @for name in templates { div role="option" data-template=(name) { (name.replace('_', " ")) } }
            }))
        }
        @if !hits.is_empty() {
            (group("palette-threads", words.threads, html! {
                @for hit in hits.iter().take(OFFERED) {
                    div role="option" data-href={ "/threads/" (hit.thread) } {
                        strong {
                            @match &hit.name {
                                Some(name) => (theirs(name.expose(), person.ui)),
                                None => (hit.number.shown_in(country)),
                            }
                        }
                        span.small { (marked(&hit.words, person.ui)) }
                    }
                }
            }))
        }
        @if person.may(Act::ReadThreads) && !typed.trim().is_empty() {
            div role="option" data-post="/search" data-field="q" data-value=(typed) { (words.everything) }
        }
    }
}

fn group(id: &str, name: &str, options: Markup) -> Markup {
    html! {
        div role="group" aria-labelledby=(id) { span id=(id) { (name) } (options) }
    }
}

fn contact_option(words: &Words, person: &Person, country: Country, contact: &Contact) -> Markup {
    let number = contact.number.as_str();
    let who = html! {
        @if let Some(name) = &contact.name { strong { (theirs(name.expose(), person.ui)) } }
        span.number { (contact.number.shown_in(country)) }
    };
    match contact.thread {
        Some(thread) => html! { div role="option" data-href={ "/threads/" (thread) } { (who) } },
        None if person.may(Act::WorkThreads) => html! {
            div role="option" data-post="/new" data-field="to" data-value=(number) {
                (who) span.faint.small { (words.no_thread) }
            }
        },
        None => html! {},
    }
}

/// The button in the shell that opens the palette.
pub fn button(person: &Person) -> Markup {
    let words = words(person.ui);
    html! {
        button #open-palette .open-palette type="button" aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K" hidden {
            (words.open) " " kbd { "Ctrl K" }
        }
    }
}

/// Both windows, closed.
pub fn dialogs(person: &Person) -> Markup {
    let words = words(person.ui);
    html! {
        dialog #palette aria-label=(words.title) data-here=(words.here) data-go=(words.go) data-results=(words.results)
            data-nothing=(words.nothing) {
            input #palette-field type="text" role="combobox" aria-expanded="true" aria-controls="palette-list"
                aria-autocomplete="list" aria-label=(words.look_for) placeholder=(words.look_for) autocomplete="off"
                spellcheck="false" maxlength="200";
            div #palette-list role="listbox" aria-label=(words.title) {}
            p #palette-count .hidden role="status" {}
            p.hint { (words.hint) }
        }
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { (words.keys) }
            p.hint { (words.keys_about) }
            dl.keys-list #keys-here data-none=(words.keys_none) {}
            hr;
            dl.keys-list {
                dt { kbd { "Ctrl" } " " kbd { "K" } } dd { (words.show_palette) }
                dt { kbd { "Ctrl" } " " kbd { "Enter" } } dd { (words.send) }
                dt { kbd { "Esc" } } dd { (words.leave) }
                dt { kbd { "?" } } dd { (words.show_keys) }
            }
            p { label { input #keys-on type="checkbox" checked; " " (words.on) } }
            form method="dialog" { button.second { (words.close) } }
        }
    }
}
