//! `/help`: how things work, in one page: the queue, states, keys, roles, numbers, privacy.

use maud::{Markup, html};

use super::page::{Section, page};
use super::people::permission_table;
use super::person::Person;
use super::route::{Access, Route};
use super::words::help::{Words, words};

/// Its routes.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/help", Access::SignedIn, help)]
}

/// `GET /help`
async fn help(person: Person) -> Markup {
    let words = words(person.ui);
    let parts = [
        ("queue", words.queue, points(words.queue_says)),
        ("states", words.states, facts(words.states_are)),
        ("keys-help", words.keys, keys(words)),
        ("calls-help", words.calls, points(words.calls_say)),
        ("search-help", words.search, points(words.search_says)),
        ("roles", words.roles, roles(&person, words)),
        ("numbers", words.numbers, facts(words.numbers_are)),
        ("privacy", words.privacy, points(words.privacy_says)),
    ];
    let body = html! {
        div.prose {
            h1 { (words.title) }
            nav aria-label=(words.contents) {
                ul.tabs { @for (id, title, _) in &parts { li { a href={ "#" (id) } { (title) } } } }
            }
            @for (id, title, part) in &parts {
                section aria-labelledby=(id) { h2 id=(id) tabindex="-1" { (title) } (part) }
            }
        }
    };
    page(&person, Section::Help, words.title, body)
}

fn points(all: &[&str]) -> Markup {
    html! { ul { @for point in all { li { (point) } } } }
}

fn facts(all: &[(&str, &str)]) -> Markup {
    html! { dl.facts { @for (name, says) in all { dt { (name) } dd { (says) } } } }
}

fn keys(words: &Words) -> Markup {
    html! {
        p { (words.keys_say) }
        dl.keys-list {
            @for (keys, does) in words.keys_are {
                dt { @for (at, key) in keys.split(' ').enumerate() { @if at > 0 { " " } kbd { (key) } } }
                dd { (does) }
            }
        }
        p { button.second type="button" data-opens="keys" { (words.show_keys) } }
    }
}

fn roles(person: &Person, words: &Words) -> Markup {
    html! {
        p { (words.roles_say) }
        (permission_table(person.ui, Some(&person.roles)))
    }
}
