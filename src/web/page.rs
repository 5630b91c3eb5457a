//! What stands around every page: head, navigation, the place for announcements.

use axum::http::HeaderMap;
use maud::{DOCTYPE, Markup, html};

use super::FRAGMENT;
use super::notices;
use super::palette;
use super::person::Person;
use super::words::{Ui, shell};
use crate::conversation::permission::Act;

/// Which section a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The queue and its threads.
    Inbox,
    /// Search.
    Search,
    /// Presence, numbers, calls.
    Day,
    /// Who is on the phone.
    Calls,
    /// Voice messages without a thread.
    Voicemails,
    /// Files, people, gateways, audit.
    Admin,
    /// How things work.
    Help,
    /// One's own account.
    Account,
}

/// A page for somebody who is signed in. `title` is shown in the tab: no patient's name or number, ever.
pub fn page(person: &Person, section: Section, title: &str, body: Markup) -> Markup {
    let words = shell::words(person.ui);
    let link = |here: Section, href: &str, text: &str, key: Option<&str>| {
        html! {
            a href=(href) data-key=[key] data-does=[key.map(|_| text)]
                aria-current=[(here == section).then_some("page")] { (text) }
        }
    };
    let whole = html! {
        a.skip href="#content" { (words.skip) }
        header.shell {
            a.brand href="/" aria-label="Threadline" { "Threadline" }
            nav aria-label=(words.sections) {
                @if person.may(Act::ReadThreads) {
                    (link(Section::Inbox, "/", words.inbox, Some("g i")))
                    (link(Section::Search, "/search", words.search, Some("/")))
                }
                @if person.may(Act::WorkThreads) {
                    a href="/new" data-key="g n" data-does=(words.new_text) { (words.new_text) }
                }
                @if person.may(Act::SeeDay) {
                    (link(Section::Calls, "/calls", words.calls, Some("g p")))
                    (link(Section::Day, "/day", words.day, Some("g d")))
                }
                @if person.notices.loose > 0 {
                    a href="/voicemails" data-key="g v" data-does=(words.voicemails)
                        aria-current=[(section == Section::Voicemails).then_some("page")] {
                        (words.voicemails) " " span.badge { (person.notices.loose) }
                    }
                }
                @if person.may(Act::SeeTree) || person.may(Act::ReadAudit) { (link(Section::Admin, "/admin", words.admin, Some("g a"))) }
                (link(Section::Help, "/help", words.help, Some("g h")))
            }
            (palette::button(person))
            div.who {
                (link(Section::Account, "/account", &person.shown_as, None))
                form method="post" action="/sign-out" { button.quiet type="submit" { (words.sign_out) } }
            }
        }
        @if person.may(Act::SeeDay) { div #notices { (notices::notices(person)) } }
        p #offline .notice.warn hidden { (words.offline) }
        main #content tabindex="-1" { (body) }
        div #announce .hidden role="status" aria-live="polite" {}
        div #toasts data-unreached=(words.unreached) {}
        (palette::dialogs(person))
    };
    document(person.ui, title, Some(person), whole)
}

/// A page for anybody: sign-in, problems.
pub fn bare(ui: Ui, title: &str, body: Markup) -> Markup {
    document(ui, title, None, body)
}

/// Whether a script asks for a part of a page, to put it in place of the old one.
pub fn is_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key(FRAGMENT)
}

fn document(ui: Ui, title: &str, person: Option<&Person>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(ui.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (title) " · Threadline" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                @for sheet in super::assets::sheets() { link rel="stylesheet" href={ "/assets/" (sheet) }; }
                @if person.is_some() {
                    @for script in super::assets::scripts() { script type="module" src={ "/assets/" (script) } {} }
                }
            }
            body data-person=[person.map(|person| person.name.as_str())] { (body) }
        }
    }
}
