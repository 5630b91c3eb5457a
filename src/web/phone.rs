//! `/phone`: a patient's phone, for trying things out. It is there only where the embedded gateway is in use, which
//! sends nothing anywhere; texts to a number appear as its owner would see them, and answers come in as its gateway's
//! webhook would bring them.
//!
//! On a listener of this machine alone anybody may use it; elsewhere one has to be signed in.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::page::{bare, is_fragment};
use super::problem::Problem;
use super::route::{Access, Route};
use super::words::Ui;
use super::words::phone::{Words, words};
use super::words::queue::moment;
use super::{Files, Web, session};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{Country, MessageId, PhoneNumber};
use crate::sms::{Gateway, HookEvent, InboundText};
use crate::store::sandbox::{self, Shown};
use crate::web::form::Form;

/// Texts that a phone shows.
const SHOWN: u32 = 100;
/// Of so many texts the recipients are offered.
const AMONG: u32 = 300;
/// Phones that are offered.
const OFFERED: usize = 8;
/// A proxy in front of us would make everybody look like this machine.
const FORWARDED: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// Its routes.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/phone", Access::Anybody, pick), Route::post("/phone", Access::Anybody, hold)]
}

/// What was chosen and written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    number: String,
    body: String,
    /// Makes a form that is sent twice one text.
    once: String,
}

/// `GET /phone`
async fn pick(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Markup, Problem> {
    let ui = allowed(&web, peer, &headers).await?;
    show(&web, ui, None, None).await
}

/// `POST /phone`: takes a phone, and sends a text from it if there is one.
async fn hold(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let ui = allowed(&web, peer, &headers).await?;
    let (words, files) = (words(ui), (web.files)());
    let number = match PhoneNumber::parse(&asked.number, files.settings.clinic.country) {
        Ok(number) if number == files.settings.sms.from => Err(words.own_number),
        Ok(number) => Ok(number),
        Err(_) => Err(words.bad_number),
    };
    let number = match number {
        Ok(number) => number,
        Err(why) if is_fragment(&headers) => return Err(Problem::refused(why)),
        Err(why) => return Ok(show(&web, ui, None, Some(why)).await?.into_response()),
    };
    if !asked.body.trim().is_empty() {
        if asked.body.chars().count() > MOST_CHARACTERS {
            return Err(Problem::refused(words.too_long));
        }
        send(&web, &files, &number, &asked).await?;
    }
    if is_fragment(&headers) {
        let texts = texts(&web, &number).await?;
        return Ok(log(&web, ui, &files, &texts).into_response());
    }
    Ok(show(&web, ui, Some(&number), None).await?.into_response())
}

/// Whether the page is there for whoever asks, and in which language.
async fn allowed(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Result<Ui, Problem> {
    if !matches!(*web.gateway, Gateway::Sandbox(_)) {
        return Err(Problem::NotFound);
    }
    let files = (web.files)();
    if let Some(person) = session::person(web, headers).await? {
        return Ok(person.ui);
    }
    let here = files.settings.web.listen.ip().is_loopback()
        && peer.ip().to_canonical().is_loopback()
        && !FORWARDED.iter().any(|name| headers.contains_key(*name));
    if here { Ok(Ui::of(&files.settings.clinic.language)) } else { Err(Problem::SignedOut) }
}

/// As the gateway's webhook would bring it.
async fn send(web: &Web, files: &Files, number: &PhoneNumber, asked: &Asked) -> Result<(), Problem> {
    let now = web.clock.now().wall;
    let once = if asked.once.is_empty() { MessageId::new(now).to_string() } else { asked.once.clone() };
    let text = InboundText {
        gateway_id: format!("PH{}", once.chars().take(64).collect::<String>()),
        from: number.clone(),
        to: files.settings.sms.from.clone(),
        body: asked.body.trim().to_owned().into(),
        media: Vec::new(),
        answered: None,
    };
    web.inbound.apply(web.gateway.name(), HookEvent::Inbound(text), now).await?;
    Ok(())
}

async fn texts(web: &Web, number: &PhoneNumber) -> Result<Vec<Shown>, Problem> {
    let number = number.clone();
    Ok(web.store.read(move |conn| sandbox::phone(conn, &number, SHOWN)).await?)
}

async fn show(
    web: &Web,
    ui: Ui,
    number: Option<&PhoneNumber>,
    problem: Option<&'static str>,
) -> Result<Markup, Problem> {
    let (words, files) = (words(ui), (web.files)());
    let country = files.settings.clinic.country;
    let recent = web.store.read(|conn| sandbox::phones(conn, AMONG)).await?;
    let texts = match number {
        Some(number) => texts(web, number).await?,
        None => Vec::new(),
    };
    let once = MessageId::new(web.clock.now().wall).to_string();
    let body = html! {
        main.phone-page {
            div.phone {
                header {
                    h1.small { (words.title) }
                    strong { (files.settings.clinic.name) }
                    span.small.number { (files.settings.sms.from.shown_in(country)) }
                }
                @match number {
                    Some(number) => {
                        div #texts .texts tabindex="0" role="log" aria-label=(words.texts) {
                            (log(web, ui, &files, &texts))
                        }
                        form #answer method="post" action="/phone" autocomplete="off" {
                            input type="hidden" name="number" value=(number.as_str());
                            input type="hidden" name="once" value=(once);
                            label.hidden for="body" { (words.write) }
                            textarea #body name="body" rows="1" maxlength=(MOST_CHARACTERS) placeholder=(words.write) required {}
                            button type="submit" { (words.send) }
                        }
                    }
                    None => p.empty { (words.choose) },
                }
            }
            (beside(words, country, &recent, number, problem))
        }
        script type="module" src="/assets/phone.js" {}
    };
    Ok(bare(ui, words.title, body))
}

fn log(web: &Web, ui: Ui, files: &Files, texts: &[Shown]) -> Markup {
    let (words, zone, now) = (words(ui), &files.settings.clinic.timezone, web.clock.now().wall);
    html! {
        @if texts.is_empty() { p.empty { (words.no_texts) } }
        @for text in texts {
            div class=(if text.own { "text own" } else { "text" }) {
                @if text.own { span.hidden { (words.you) ": " } }
                p { (text.body.expose()) }
                time.small datetime=(text.at) { (moment(ui, text.at, now, zone)) }
            }
        }
    }
}

fn beside(
    words: &Words,
    country: Country,
    recent: &[PhoneNumber],
    number: Option<&PhoneNumber>,
    problem: Option<&str>,
) -> Markup {
    html! {
        div.beside {
            p { (words.about) }
            form method="post" action="/phone" {
                label for="number" { (words.whose) }
                div.inline {
                    input #number type="tel" name="number" inputmode="tel" required maxlength="40" placeholder="+12125550142"
                        value=[number.map(PhoneNumber::as_str)] aria-invalid=[problem.map(|_| "true")]
                        aria-describedby=[problem.map(|_| "number-error")];
                    button type="submit" { (words.use_it) }
                }
                @if let Some(problem) = problem { p #number-error .error role="alert" { (problem) } }
            }
            @if !recent.is_empty() {
                h2 { (words.recent) }
                form.bar method="post" action="/phone" {
                    @for number in recent.iter().take(OFFERED) {
                        button.second.number type="submit" name="number" value=(number.as_str()) { (number.shown_in(country)) }
                    }
                }
            }
            p.hint { (words.keywords) }
            details {
                summary { (words.endings) }
                p.small { (words.endings_about) }
                dl.facts.small {
                    @for (ending, fate) in words.fates { dt.number { "…" (ending) } dd { (fate) } }
                }
            }
        }
    }
}
