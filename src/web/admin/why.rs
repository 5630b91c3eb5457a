//! `/calls/{id}`: why a call went where it went, step by step.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use super::retrace::{Step, Why, retrace};
use super::tree::{anchor, kind_name};
use crate::conversation::permission::Act;
use crate::model::{CallId, ClinicFile};
use crate::store::audit::{self, Entry};
use crate::store::calls::{self, Recorded};
use crate::store::file_versions;
use crate::tree::{Context, Kind, Tree};
use crate::web::form::Path;
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::theirs::theirs;
use crate::web::words::{Ui, admin_why};
use crate::web::{Files, Web};

/// The routes of a call's page.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/calls/{id}", Access::May(Act::ReadThreads), show)]
}

/// The tree that a call is told by.
struct Told {
    tree: Arc<Tree>,
    remark: &'static str,
}

/// `GET /calls/{id}`
async fn show(State(web): State<Web>, person: Person, Path(id): Path<String>) -> Result<Markup, Problem> {
    let id: CallId = id.parse().map_err(|_| Problem::NotFound)?;
    let words = admin_why::words(person.ui);
    let (call, then, newest) = web
        .store
        .read(move |conn| {
            let Some(call) = calls::find(conn, id)? else { return Ok((None, None, None)) };
            let then = match call.started_at {
                Some(at) => file_versions::in_force(conn, ClinicFile::Tree, at)?,
                None => None,
            };
            Ok((Some(call), then, file_versions::newest(conn, ClinicFile::Tree)?))
        })
        .await?;
    let Some(call) = call else { return Err(Problem::NotFound) };
    let (actor, at) = (person.name.clone(), web.clock.now().wall);
    web.store.try_write_detached("a call's viewing", move |tx| {
        let subject = format!("call:{id}");
        let entry = Entry { at, actor: actor.as_str(), action: "call.viewed", subject: &subject, detail: json!({}) };
        audit::append(tx, entry).map(drop)
    });

    let files = (web.files)();
    let told = match (then, newest) {
        (Some((then, _)), Some(newest)) if then.sha256 == newest.sha256 => {
            Told { tree: files.tree.clone(), remark: words.tree_same }
        }
        (Some((_, text)), _) => match as_it_was(&files, &text, at) {
            Some(tree) => Told { tree, remark: words.tree_changed },
            None => Told { tree: files.tree.clone(), remark: words.tree_lost },
        },
        (None, _) => Told { tree: files.tree.clone(), remark: words.tree_unknown },
    };
    let steps = retrace(&told.tree, &call.path, &call.digits, call.started_at.unwrap_or(at));
    let body = html! {
        h1 { (words.title) }
        (facts(person.ui, &files, &call))
        @if let Some(thread) = call.thread { p { a.button.second href={ "/threads/" (thread) } { (words.thread) } } }
        @if steps.is_empty() {
            @if call.ended_at.is_some() { p.notice { (words.no_path) } }
        } @else {
            p.notice { (told.remark) " " (words.words_today) }
            ol.way { @for one in &steps { (step(person.ui, &told.tree, &files, one)) } }
        }
    };
    Ok(page::page(&person, Section::Inbox, words.title, body))
}

/// An older tree, if it can be read with what there is today.
fn as_it_was(files: &Files, text: &str, now: Timestamp) -> Option<Arc<Tree>> {
    let clinic = &files.settings.clinic;
    let context = Context {
        zone: clinic.timezone.clone(),
        country: clinic.country,
        language: clinic.language.clone(),
        prompts: &files.catalog,
        messages: &files.templates.names(),
        today: now.to_zoned(clinic.timezone.clone()).date(),
    };
    Tree::parse(&clinic.phone_tree, text, &context).ok().map(|(tree, _)| tree)
}

fn facts(ui: Ui, files: &Files, call: &Recorded) -> Markup {
    let words = admin_why::words(ui);
    let when = |at: Timestamp| {
        let there = at.to_zoned(files.settings.clinic.timezone.clone());
        there.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    };
    html! {
        dl.facts.card {
            dt { (words.came) } dd.number { (call.started_at.map_or(words.never_known.to_owned(), when)) }
            dt { (words.answered) } dd.number { (call.answered_at.map_or(words.not_answered.to_owned(), when)) }
            dt { (words.ended) } dd { (call.ended_at.map_or(words.running.to_owned(), when)) }
            @if let Some(outcome) = call.outcome { dt { (words.outcome) } dd { (admin_why::outcome(ui, outcome)) } }
            @if let Some(who) = call.ended_by {
                dt { (words.ended_by) } dd { (admin_why::ended_by(ui, who)) @if let Some(kept) = &call.cause { " (" (cause(ui, kept)) ")" } }
            }
            @if let Some(trunk) = &call.trunk { dt { (words.trunk) } dd { (trunk) } }
            dt { (words.keys) }
            dd {
                @if call.digits.is_empty() { (words.no_keys) } @else { kbd { (call.digits) } }
                @if call.digits.contains('•') { " " span.hint { (words.hidden_keys) } }
            }
        }
    }
}

/// In the reader's language, where that is known.
fn cause(ui: Ui, kept: &str) -> Markup {
    match admin_why::cause(ui, kept) {
        Some(words) => html! { (words) },
        None => html! { span lang="en" { (theirs(kept, ui)) } },
    }
}

fn step(ui: Ui, tree: &Tree, files: &Files, step: &Step) -> Markup {
    let words = admin_why::words(ui);
    let node = step.node.map(|id| tree.node(id));
    html! {
        li.card {
            h2 {
                a href={ "/admin/tree#" (anchor(&step.name)) } { (step.name) }
                @if let Some(node) = node { " " span.badge { (kind_name(ui, &node.kind)) } }
            }
            @match node {
                Some(node) => @for name in heard(&node.kind) {
                    @let key = tree.prompt(&step.language, name);
                    @if let Some(info) = files.catalog.find(&key.language, &key.name) { p { (words.heard) ": " q lang=(key.language) { (info.words) } } }
                },
                None => p.notice.warn { (words.gone) },
            }
            @if !step.wrong.is_empty() {
                p { (words.wrong) " " @for key in &step.wrong { kbd { (key) } " " } }
            }
            p { strong { (reason(ui, step.why.as_ref())) } }
        }
    }
}

/// What a node says to everybody who comes to it.
fn heard(kind: &Kind) -> &[String] {
    match kind {
        Kind::Menu(menu) => &menu.say,
        Kind::Play(play) => &play.say,
        Kind::Hours(_) => &[],
        Kind::Text(text) => &text.say,
        Kind::Number(number) => &number.say,
        Kind::Ring(ring) => &ring.say,
        Kind::Queue(queue) => &queue.say,
        Kind::Voicemail(voicemail) => &voicemail.say,
        Kind::Callback(callback) => &callback.say,
        Kind::Transfer(transfer) => &transfer.say,
        Kind::Hangup(hangup) => &hangup.say,
    }
}

fn reason(ui: Ui, why: Option<&Why>) -> Markup {
    let words = admin_why::words(ui);
    html! {
        @match why {
            Some(Why::Key(key)) => { (words.pressed) " " kbd { (key) } "." },
            Some(Why::NoKey) => (words.no_key),
            Some(Why::Hours(status)) => (admin_why::status(ui, *status)),
            Some(Why::OnlyWay) => (words.only_way),
            Some(Why::Sent) => (words.sent),
            Some(Why::Refused) => (words.refused),
            Some(Why::Asked) => (words.asked),
            Some(Why::Given) => (words.given),
            Some(Why::NotGiven) => (words.not_given),
            Some(Why::NoPerson) => (words.no_person),
            Some(Why::Unknown) => (words.unknown),
            None => (words.last),
        }
    }
}
