//! `/admin/system`: the text gateway, the trunks, the calls in progress and the box, with a text to test the gateway by.

use std::pin::Pin;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::call::registry::Way;
use crate::conversation::permission::Act;
use crate::model::{MessageId, PhoneNumber};
use crate::sms::Gateway;
use crate::sms::new_text::{self, NewText};
use crate::store::audit::{self, Entry};
use crate::store::{outbox, threads};
use crate::web::calls::placed::stage;
use crate::web::form::{Form, Path, Query};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::words::admin_system;
use crate::web::words::queue::moment;
use crate::web::words::{Ui, admin};
use crate::web::{Files, Web};

/// The routes of the system's page.
pub fn routes() -> Vec<Route> {
    let see = Access::May(Act::SeeSystem);
    vec![
        Route::get("/admin/system", see, show),
        Route::post("/admin/system/test", see, test),
        Route::post("/admin/system/trunks/{name}/test", see, ask),
    ]
}

/// Whether a trunk can carry calls, as far as we can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Not known yet.
    Starting,
    /// Registered; or, without an account, it answers.
    Up,
    /// Neither.
    Down,
}

/// What asking a trunk (OPTIONS, RFC 3261 section 11) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The status of its answer; none: there was none.
    pub status: Option<u16>,
    /// When that was known.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// What is awaited when a trunk is asked; none: there is no such trunk.
pub type Probed = Pin<Box<dyn Future<Output = Option<Heard>> + Send>>;

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkLine {
    /// As the settings name it.
    pub name: String,
    /// Whether it can carry calls.
    pub light: Light,
    /// What asking it last came to.
    pub heard: Option<Heard>,
}

/// What pages show of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// When the daemon started.
    pub started: Timestamp,
    /// Each trunk, in the order of the settings.
    pub trunks: Vec<TrunkLine>,
    /// What became of texts since the start, by fate.
    pub texts: Vec<(&'static str, u64)>,
    /// Bytes of the database.
    pub database: Option<u64>,
    /// Bytes that are free where it is.
    pub free: Option<u64>,
}

/// What was done last.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    done: bool,
}

/// `GET /admin/system`
async fn show(State(web): State<Web>, person: Person, Query(asked): Query<Asked>) -> Result<Markup, Problem> {
    let words = admin_system::words(person.ui);
    let said = html! { @if asked.done { p.notice.good role="status" { (words.test_done) } } };
    whole(&web, &person, "", said).await
}

async fn whole(web: &Web, person: &Person, to: &str, said: Markup) -> Result<Markup, Problem> {
    let words = admin_system::words(person.ui);
    let (waiting, oldest) = web.store.read(|conn| Ok((outbox::size(conn)?, outbox::oldest(conn)?))).await?;
    let files = (web.files)();
    let of = web.system.clone();
    // It asks the disk.
    let machine = tokio::task::spawn_blocking(move || of()).await;
    let machine = machine.map_err(|_| Problem::Broken("looking at the machine panicked"))?;
    let (title, now) = (admin::words(person.ui).system, web.clock.now().wall);
    let body = html! {
        h1 { (title) }
        (said)
        section.card { (gateway(web, person.ui, &files, &machine, waiting, oldest)) }
        section.card { h2 { (words.trunks) } (trunks(person.ui, &files, &machine, now)) }
        section.card { h2 { (words.calls) } (calls(web, person.ui, &files, now)) }
        section.card {
            h2 { (words.the_box) }
            dl.facts {
                dt { (words.version) } dd { (env!("CARGO_PKG_VERSION")) }
                dt { (words.running) } dd.number { (when(&files, machine.started)) }
                dt { (words.database) } dd.number { (machine.database.map_or(words.unknown.to_owned(), bytes)) }
                dt { (words.disk) } dd.number { (machine.free.map_or(words.unknown.to_owned(), bytes)) }
            }
        }
        form.card method="post" action="/admin/system/test" {
            h2 { (words.test) }
            p.faint { (words.test_why) }
            div.inline {
                div { label for="to" { (words.test_to) } input #to name="to" type="tel" value=(to) required autocomplete="off" maxlength="30"; }
                button type="submit" { (words.test_button) }
            }
        }
    };
    Ok(page::page(person, Section::Admin, title, body))
}

fn gateway(web: &Web, ui: Ui, files: &Files, machine: &Machine, waiting: u64, oldest: Option<Timestamp>) -> Markup {
    let embedded = matches!(*web.gateway, Gateway::Sandbox(_));
    let (words, hooks) = (admin_system::words(ui), web.hooks.family());
    html! {
        h2 { (words.gateway) }
        dl.facts {
            dt { (words.in_use) } dd { code { (web.gateway.name()) } @if embedded { " " span.faint { (words.embedded) } } }
            dt { (words.sends_from) } dd.number { (files.settings.sms.from.shown_in(files.settings.clinic.country)) }
            @if !embedded {
                dt { (words.webhooks_at) }
                dd {
                    @match &web.public_url {
                        Some(url) => code { (url) "/hooks/" (web.gateway.name()) "/…" },
                        None => (words.no_public_url),
                    }
                }
            }
            dt { (words.waiting) }
            dd.number { (waiting) @if let Some(oldest) = oldest { ", " (words.oldest) " " (when(files, oldest)) } }
            dt { (words.fates) " " span.small { (words.since_start) } }
            dd { @for (fate, count) in &machine.texts { span.badge.plain { (admin_system::fate(ui, fate)) " " (count) } " " } }
            dt { (words.webhooks) " " span.small { (words.since_start) } }
            dd {
                @for (labels, count) in &hooks.samples {
                    span.badge.plain { @for (_, result) in labels { (admin_system::fate(ui, result)) " " } (count) } " "
                }
            }
        }
    }
}

fn trunks(ui: Ui, files: &Files, machine: &Machine, now: Timestamp) -> Markup {
    let (words, zone) = (admin_system::words(ui), &files.settings.clinic.timezone);
    let registers =
        |name: &str| files.settings.trunks.iter().any(|trunk| trunk.name == name && trunk.register.is_some());
    html! {
        @if machine.trunks.is_empty() { p.notice.warn { (words.no_trunks) } }
        ul {
            @for trunk in &machine.trunks {
                @let class = match trunk.light { Light::Up => "good", Light::Down => "bad", Light::Starting => "plain" };
                li {
                    form.bar method="post" action={ "/admin/system/trunks/" (encoded(&trunk.name)) "/test" } {
                        strong { (trunk.name) } span.badge.(class) { (admin_system::light(ui, trunk.light)) }
                        span.faint.small { (if registers(&trunk.name) { words.registers } else { words.by_address }) }
                        span.small {
                            @match &trunk.heard {
                                Some(heard) => (admin_system::heard(ui, heard, &moment(ui, heard.at, now, zone))),
                                None => (words.not_asked),
                            }
                        }
                        button.second type="submit" aria-label={ (words.ask) ": " (trunk.name) } { (words.ask) }
                    }
                }
            }
        }
    }
}

fn calls(web: &Web, ui: Ui, files: &Files, now: Timestamp) -> Markup {
    let (all, words, zone) = (web.registry.list(), admin_system::words(ui), &files.settings.clinic.timezone);
    html! {
        @if all.is_empty() { p.faint { (words.nobody) } }
        ul {
            @for call in &all {
                li {
                    @let began = moment(ui, call.since, now, zone);
                    @match &call.way {
                        Way::In(inbound) => {
                            (inbound.trunk) " " span.number.faint { (words.call_since) " " (began) } " · "
                            @match &inbound.node {
                                Some(node) => { code { (node) } " " span.number.faint { (words.call_since) " " (moment(ui, inbound.node_since, now, zone)) } },
                                None => (words.ringing),
                            }
                        }
                        Way::Out(placed) => {
                            (placed.trunk.as_deref().unwrap_or_default()) " " span.number.faint { (words.call_since) " " (began) } " · "
                            (stage(ui, placed)) " "
                            span.number.faint { (words.call_since) " " (moment(ui, placed.stage_since, now, zone)) }
                        }
                    }
                }
            }
        }
    }
}

fn when(files: &Files, at: Timestamp) -> String {
    at.to_zoned(files.settings.clinic.timezone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `1.5 GB`
fn bytes(count: u64) -> String {
    let units = [("GB", 1u64 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    match units.into_iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count as f64 / size as f64),
        None => format!("{count} B"),
    }
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// `POST /admin/system/trunks/{name}/test`: asks a trunk whether it is there, and says what it answers.
async fn ask(State(web): State<Web>, person: Person, Path(name): Path<String>) -> Result<Markup, Problem> {
    let heard = (web.probe)(name.clone()).await.ok_or(Problem::NotFound)?;
    let (actor, at, status) = (person.name.clone(), web.clock.now().wall, heard.status);
    let subject = format!("trunk:{name}");
    web.store
        .write(move |tx| {
            let detail = json!({ "status": status });
            audit::append(tx, Entry { at, actor: actor.as_str(), action: "trunk.asked", subject: &subject, detail })
        })
        .await?;
    let files = (web.files)();
    let when = moment(person.ui, heard.at, at, &files.settings.clinic.timezone);
    let class = if heard.status.is_some_and(|status| status != 503) { "good" } else { "bad" };
    let said = html! {
        p.notice.(class) role="status" { (name) ": " (admin_system::heard(person.ui, &heard, &when)) }
    };
    whole(&web, &person, "", said).await
}

/// Whom to test with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    to: String,
}

/// `POST /admin/system/test`: a text to somebody who has agreed to texts.
async fn test(State(web): State<Web>, person: Person, Form(typed): Form<Typed>) -> Result<Response, Problem> {
    let (words, files) = (admin_system::words(person.ui), (web.files)());
    let settings = &files.settings;
    let refused = async |why: &str| {
        let said = html! { p.notice.bad role="alert" { (why) } };
        let page = whole(&web, &person, &typed.to, said).await?;
        Ok::<_, Problem>((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    let Ok(to) = PhoneNumber::parse(&typed.to, settings.clinic.country) else {
        return refused(words.bad_number).await;
    };
    let now = web.clock.now().wall;
    let text = NewText {
        to,
        from: settings.sms.from.clone(),
        author: person.name.clone(),
        body: format!("{}: {}", settings.clinic.name, words.test_body).into(),
        form: MessageId::new(now).to_string(),
        send_at: None,
        undo: Duration::ZERO,
        expire_after: settings.sms.expire_after,
        reopen_within: settings.desk.reopen_within,
        now,
    };
    let (actor, gateway, works) = (person.name.clone(), web.gateway.name(), person.may(Act::WorkThreads));
    let sent = web
        .store
        .write(move |tx| {
            let sent = new_text::send(tx, &text)?;
            if let Ok(composed) = &sent {
                // A thread that they may not work must not lie with them.
                let theirs =
                    threads::find(tx, composed.thread)?.is_some_and(|found| found.owner.as_ref() == Some(&actor));
                if theirs && !works {
                    threads::assign(tx, composed.thread, None, actor.as_str(), now)?;
                }
                let detail = json!({ "thread": composed.thread });
                let subject = format!("gateway:{gateway}");
                let action = "system.test_sent";
                audit::append(tx, Entry { at: now, actor: actor.as_str(), action, subject: &subject, detail })?;
            }
            Ok(sent)
        })
        .await?;
    match sent {
        Ok(_) => Ok(Redirect::to("/admin/system?done=true").into_response()),
        Err(_) => refused(words.no_consent).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!([bytes(12), bytes(1_536), bytes(3 << 30)], ["12 B", "1.5 KB", "3.0 GB"]);
    }
}
