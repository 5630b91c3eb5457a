//! `/admin/templates`: each message in each language, what it costs, and when it is sent.

use std::collections::BTreeMap;

use axum::extract::State;
use maud::{Markup, html};

use super::tree::anchor;
use crate::conversation::keywords::Keyword;
use crate::conversation::permission::Act;
use crate::conversation::segments::{Encoding, segments};
use crate::conversation::templates::{Values, Variable};
use crate::conversation::{closing, snippets};
use crate::model::Language;
use crate::tree::{Kind, Tree};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::route::{Access, Route};
use crate::web::words::{Ui, admin};
use crate::web::{Files, Web};

/// The routes of the messages.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/admin/templates", Access::May(Act::SeeTree), list)]
}

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender<'a> {
    /// A node of the tree.
    Node(&'a str),
    /// `[missed_call]`
    Missed,
    /// The answer to a patient's word.
    Keyword,
    /// The question before a thread is closed.
    Closing,
    /// People, who put it into an answer.
    Staff,
}

/// Each message with who sends it.
fn senders<'t>(tree: &'t Tree, for_people: &'t [String]) -> BTreeMap<&'t str, Vec<Sender<'t>>> {
    let mut all: BTreeMap<&str, Vec<Sender<'_>>> = BTreeMap::new();
    for (_, node) in tree.nodes() {
        if let Kind::Text(text) = &node.kind {
            all.entry(&text.message).or_default().push(Sender::Node(&node.name));
        }
    }
    if let Some(missed) = tree.missed_call() {
        for message in missed.messages() {
            all.entry(message).or_default().push(Sender::Missed);
        }
    }
    for keyword in Keyword::ALL {
        all.entry(keyword.template()).or_default().push(Sender::Keyword);
    }
    all.entry(closing::OFFER).or_default().push(Sender::Closing);
    for name in for_people {
        all.entry(name).or_default().push(Sender::Staff);
    }
    all
}

/// What variables say in a text to somebody whose name is not known.
fn values(files: &Files) -> Values {
    let (clinic, sms) = (&files.settings.clinic, &files.settings.sms);
    let sure = [(Variable::Clinic, clinic.name.clone()), (Variable::Number, sms.from.as_str().to_owned())];
    let target = clinic.response_target.clone().map(|target| (Variable::ResponseTarget, target));
    sure.into_iter().chain(target).collect::<Values>().with_hours(files.tree.hours(&[]))
}

/// `GET /admin/templates`
async fn list(State(web): State<Web>, person: Person) -> Markup {
    let (words, files) = (admin::words(person.ui), (web.files)());
    let for_people = snippets::for_people(&files.templates, &files.tree);
    let (senders, values) = (senders(&files.tree, &for_people), values(&files));
    let body = html! {
        h1 { (words.templates) }
        p.faint { (words.templates_why) }
        @for (name, languages) in files.templates.names() {
            section.card id=(name) {
                h2 { (name) }
                @if person.may(Act::EditFiles) { p { a href={ "/admin/files/messages?at=" (name) } { (words.edit) } } }
                p.faint.small {
                    @match senders.get(name.as_str()) {
                        Some(all) => { (words.used_by) ": " @for (at, sender) in all.iter().enumerate() { @if at > 0 { ", " } (sent_by(person.ui, *sender)) } },
                        None => (words.never_used),
                    }
                    @let variables = files.templates.variables(&name);
                    @if !variables.is_empty() {
                        " · " (words.variables) ": "
                        @for variable in variables.keys() { code { (variable) } " " }
                    }
                }
                @for language in &languages { (text(person.ui, &files, &values, &name, language)) }
            }
        }
    };
    page::page(&person, Section::Admin, words.templates, body)
}

fn sent_by(ui: Ui, sender: Sender<'_>) -> Markup {
    let words = admin::words(ui);
    html! {
        @match sender {
            Sender::Node(name) => a href={ "/admin/tree#" (anchor(name)) } { (name) },
            Sender::Missed => code { "[missed_call]" },
            Sender::Keyword => (words.keyword),
            Sender::Closing => (words.closing),
            Sender::Staff => (words.staff),
        }
    }
}

fn text(ui: Ui, files: &Files, values: &Values, name: &str, language: &Language) -> Markup {
    let words = admin::words(ui);
    html! {
        div.message lang=(language) {
            span.badge.plain { (language) } " "
            @match files.templates.render(name, language, values) {
                Ok(text) => {
                    @let cost = segments(&text);
                    span.small.faint lang=(ui.tag()) {
                        (cost.segments) " " (if cost.segments == 1 { words.segment } else { words.segments }) " · "
                        (cost.units) " · " (match cost.encoding { Encoding::Gsm7 => words.plain, Encoding::Ucs2 => words.unicode })
                    }
                    p { (text) }
                },
                Err(error) => p.notice.warn lang=(ui.tag()) { (words.unfilled) " " (error) },
            }
        }
    }
}
