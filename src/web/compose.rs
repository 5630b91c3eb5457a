//! `/new`: a text to somebody who has not written. To whom, then what; refused with the reason where there is no
//! consent, with the way to record consent that is given at the desk.
//!
//! Numbers and names are posted, never part of an address.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::page::{Section, page};
use super::person::Person;
use super::problem::Problem;
use super::record::record;
use super::route::{Access, Route};
use super::theirs::{plain, theirs};
use super::words::Ui;
use super::words::compose::{Words, words};
use super::{Files, Web};
use crate::conversation::consent::Refusal;
use crate::conversation::permission::Act;
use crate::conversation::segments::{Encoding, Segments, segments};
use crate::conversation::snippets;
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{Language, MessageId, PhoneNumber, StaffName, ThreadId, ThreadState};
use crate::sms::addressee::{self, Addressee};
use crate::sms::new_text::{self, NewText, NotSent};
use crate::store::search::{self, Contact, Terms};
use crate::store::{StoreError, Tx, drafts};
use crate::web::form::{Form, Query};

/// Its routes.
pub fn routes() -> Vec<Route> {
    let access = Access::May(Act::WorkThreads);
    vec![
        Route::get("/new", access, blank),
        Route::post("/new", access, look),
        Route::post("/new/people", access, people),
        Route::post("/new/count", access, count),
        Route::post("/new/send", access, send),
        Route::post("/new/consent", Access::May(Act::ChangeConsent), consent),
    ]
}

/// What was written so far.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    to: String,
    body: String,
    /// `greeting/es`
    template: String,
    /// Whether the template shall be filled in.
    fill: String,
    /// What the form is known by.
    form: String,
    /// The language that consent was asked in.
    language: String,
    /// Whether they said yes.
    agreed: String,
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

/// `POST /new`: to whom; and a template filled in.
async fn look(State(web): State<Web>, person: Person, Form(mut asked): Form<Asked>) -> Result<Response, Problem> {
    let (words, files) = (words(person.ui), (web.files)());
    let contact = match find(&web, &files, &asked.to).await? {
        Known::One(contact) => {
            searched(&web, &person, 1);
            contact
        }
        Known::Several(contacts) => {
            searched(&web, &person, contacts.len());
            return Ok(whole(&person, to_whom(person.ui, words, &files, &asked, &contacts, None)).into_response());
        }
        Known::Nobody => {
            let why = (!asked.to.trim().is_empty()).then_some(words.nobody);
            return Ok(whole(&person, to_whom(person.ui, words, &files, &asked, &[], why)).into_response());
        }
    };
    let mut problem = None;
    let number = contact.number.clone();
    let addressee = web.store.read(move |conn| addressee::of_number(conn, &number)).await?;
    if !asked.template.is_empty() && (!asked.fill.is_empty() || asked.body.is_empty()) {
        match filled_in(&files, &asked.template, addressee) {
            Some(body) => asked.body = body,
            None => problem = Some(words.no_value),
        }
    }
    let open = contact.thread.filter(|_| contact.state.is_some_and(|state| state != ThreadState::Closed));
    if let (Some(thread), None, true) = (open, problem, may_write(&web, &files, &contact.number).await?.is_ok()) {
        let (author, now) = (person.name.clone(), web.clock.now().wall);
        web.store.write(move |tx| add_to_draft(tx, &author, thread, &asked.body, now)).await?;
        return Ok(Redirect::to(&format!("/threads/{thread}#compose")).into_response());
    }
    asked.form = MessageId::new(web.clock.now().wall).to_string();
    what(&web, &person, &files, &asked, &contact, problem, None).await
}

/// `POST /new/send`
async fn send(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Response, Problem> {
    let (words, files) = (words(person.ui), (web.files)());
    let Ok(to) = PhoneNumber::parse(&asked.to, files.settings.clinic.country) else {
        return Err(Problem::refused(words.nobody));
    };
    let text = NewText {
        to: to.clone(),
        from: files.settings.sms.from.clone(),
        author: person.name.clone(),
        body: asked.body.trim().to_owned().into(),
        form: asked.form.chars().take(64).collect(),
        undo: files.settings.desk.undo,
        expire_after: files.settings.sms.expire_after,
        reopen_within: files.settings.desk.reopen_within,
        now: web.clock.now().wall,
    };
    let sent = web.store.write(move |tx| {
        if let (Some(thread), Ok(())) =
            (new_text::elsewhere(tx, &text)?, new_text::may_write(tx, &text.to, &text.from)?)
        {
            add_to_draft(tx, &text.author, thread, text.body.expose(), text.now)?;
            return Ok(Err(thread));
        }
        new_text::send(tx, &text).map(Ok)
    });
    let sent = match sent.await? {
        Ok(sent) => sent,
        // Somebody has begun to write with them meanwhile: the words are kept, and it is seen first what was said.
        Err(thread) => return Ok(Redirect::to(&format!("/threads/{thread}#compose")).into_response()),
    };
    match sent {
        Ok(composed) => Ok(Redirect::to(&format!("/threads/{}", composed.thread)).into_response()),
        Err(why) => {
            let contact = web.store.read(move |conn| search::contact(conn, &to)).await?;
            let problem = Some(sentence(words, &why));
            let page = what(&web, &person, &files, &asked, &contact, problem, None).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// `POST /new/consent`: they agreed at the desk.
async fn consent(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Response, Problem> {
    let (words, files) = (words(person.ui), (web.files)());
    let Ok(number) = PhoneNumber::parse(&asked.to, files.settings.clinic.country) else {
        return Err(Problem::refused(words.nobody));
    };
    let contact = {
        let number = number.clone();
        web.store.read(move |conn| search::contact(conn, &number)).await?
    };
    if asked.agreed.is_empty() {
        let page = what(&web, &person, &files, &asked, &contact, Some(words.tick), None).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    if !number.can_text() || number == files.settings.sms.from {
        return Err(Problem::refused(words.untextable));
    }
    let disclosure = disclosure(&files, if asked.language == "es" { Ui::Es } else { Ui::En });
    let (actor, now) = (person.name.clone(), web.clock.now().wall);
    let recorded = web.store.write(move |tx| new_text::consent_at_desk(tx, &number, &disclosure, &actor, now)).await?;
    match recorded {
        Ok(()) => {
            let asked = Asked { form: MessageId::new(now).to_string(), ..asked };
            what(&web, &person, &files, &asked, &contact, None, Some(words.recorded)).await
        }
        Err(why) => Err(Problem::refused(sentence(words, &NotSent::Consent(why)))),
    }
}

/// `POST /new/people`: who may be meant, for the field's suggestions.
async fn people(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Markup, Problem> {
    let terms = Terms::parse(&asked.to);
    let found = web.store.read(move |conn| search::contacts(conn, &terms)).await?;
    if !found.is_empty() {
        searched(&web, &person, found.len());
    }
    Ok(html! {
        @for contact in found {
            option value=(contact.number.as_str()) { @if let Some(name) = &contact.name { (plain(name.expose())) } }
        }
    })
}

/// `POST /new/count`: what a text costs.
async fn count(person: Person, Form(asked): Form<Asked>) -> Markup {
    cost(words(person.ui), &asked.body)
}

/// That somebody looked for people, and how many they saw.
fn searched(web: &Web, person: &Person, found: usize) {
    record(web, person, "threads.searched", "search", json!({ "by": "new", "found": found }));
}

enum Known {
    One(Contact),
    Several(Vec<Contact>),
    Nobody,
}

async fn find(web: &Web, files: &Files, to: &str) -> Result<Known, Problem> {
    let number = PhoneNumber::parse(to, files.settings.clinic.country).ok();
    let terms = Terms::parse(to);
    let found = web
        .store
        .read(move |conn| match number {
            Some(number) => Ok(vec![search::contact(conn, &number)?]),
            None => search::contacts(conn, &terms),
        })
        .await?;
    Ok(match <[Contact; 1]>::try_from(found) {
        Ok([one]) => Known::One(one),
        Err(none) if none.is_empty() => Known::Nobody,
        Err(several) => Known::Several(several),
    })
}

fn sentence(words: &Words, why: &NotSent) -> &'static str {
    match why {
        NotSent::Empty => words.empty,
        NotSent::TooLong(_) => words.too_long,
        NotSent::Untextable => words.untextable,
        NotSent::Consent(Refusal::OptedOut) => words.opted_out,
        NotSent::Consent(_) => words.no_consent,
    }
}

/// The words that are read aloud before consent at the desk.
fn disclosure(files: &Files, ui: Ui) -> String {
    words(ui).disclosure.replace("{clinic}", &files.settings.clinic.name)
}

/// A message for whoever is behind the number, in the language that was chosen or else theirs; none if it needs what is
/// not known, or is not one that people send.
fn filled_in(files: &Files, template: &str, addressee: Addressee) -> Option<String> {
    let (name, language) = match template.split_once('/') {
        Some((name, language)) => (name, Some(Language::parse(language).ok()?)),
        None => (template, addressee.language.clone()),
    };
    let known = snippets::for_people(&files.templates, &files.tree).iter().any(|known| known == name);
    let addressee = Addressee { language, ..addressee };
    let filled = addressee.fill(&files.templates, name, files.values(), &files.settings.clinic.language);
    filled.ok().filter(|_| known)
}

/// Whether they may be texted.
async fn may_write(web: &Web, files: &Files, to: &PhoneNumber) -> Result<Result<(), NotSent>, Problem> {
    let (to, from) = (to.clone(), files.settings.sms.from.clone());
    Ok(web.store.read(move |conn| new_text::may_write(conn, &to, &from)).await?)
}

/// Puts words behind those that somebody has begun to write in a thread.
fn add_to_draft(
    tx: &Tx<'_>,
    author: &StaffName,
    thread: ThreadId,
    words: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if words.trim().is_empty() {
        return Ok(());
    }
    let begun = drafts::find(tx, author, thread)?.map(|draft| draft.expose().clone() + "\n").unwrap_or_default();
    drafts::save(tx, author, thread, &(begun + words.trim()), now)
}

fn whole(person: &Person, body: Markup) -> Markup {
    let words = words(person.ui);
    page(person, Section::Inbox, words.title, html! { div.prose #compose { h1 { (words.title) } (body) } })
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

/// What to write, or why nothing may be written.
async fn what(
    web: &Web,
    person: &Person,
    files: &Files,
    asked: &Asked,
    contact: &Contact,
    problem: Option<&str>,
    done: Option<&str>,
) -> Result<Response, Problem> {
    let words = words(person.ui);
    let may = may_write(web, files, &contact.number).await?;
    let body = html! {
        div.card {
            div.bar {
                span { (words.to) ": " (named(person.ui, files, contact)) }
                a.push href="/new" { (words.other) }
            }
            @if may.is_ok() {
                p.hint { (words.new_thread) }
            }
            @if let Some(done) = done { p.notice.good role="status" { (done) } }
            @match &may {
                Ok(()) => (text_form(words, files, asked, contact, problem)),
                Err(why) => {
                    @if let Some(problem) = problem { p.notice.bad role="alert" { (problem) } }
                    @if problem != Some(sentence(words, why)) { p.notice.warn { (sentence(words, why)) } }
                    @if *why == NotSent::Consent(Refusal::NoConsent) && person.may(Act::ChangeConsent) {
                        (consent_form(words, person, files, contact))
                    }
                }
            }
        }
    };
    Ok(whole(person, body).into_response())
}

fn text_form(words: &Words, files: &Files, asked: &Asked, contact: &Contact, problem: Option<&str>) -> Markup {
    let for_people = snippets::for_people(&files.templates, &files.tree);
    let mut templates = files.templates.names();
    templates.retain(|name, _| for_people.contains(name));
    html! {
        form method="post" action="/new" {
            input type="hidden" name="to" value=(contact.number.as_str());
            div.field {
                label for="template" { (words.template) }
                div.inline {
                    select #template name="template" {
                        option value="" { (words.no_template) }
                        @for (name, languages) in &templates {
                            @for language in languages {
                                @let value = format!("{name}/{language}");
                                option value=(value) selected[value == asked.template] {
                                    (name.replace('_', " ")) " (" (language) ")"
                                }
                            }
                        }
                    }
                    button.second type="submit" name="fill" value="yes" { (words.use_template) }
                }
            }
        }
        form method="post" action="/new/send" {
            input type="hidden" name="to" value=(contact.number.as_str());
            input type="hidden" name="form" value=(asked.form);
            div.field {
                label for="body" { (words.text) }
                textarea #body name="body" rows="5" maxlength=(MOST_CHARACTERS) required autofocus aria-describedby="cost"
                    aria-invalid=[problem.map(|_| "true")] { (asked.body) }
                @if let Some(problem) = problem { p.error role="alert" { (problem) } }
                p #cost .hint { (cost(words, &asked.body)) }
            }
            button type="submit" data-send="" { (words.send) }
        }
    }
}

fn cost(words: &Words, body: &str) -> Markup {
    let Segments { encoding, segments, .. } = segments(body);
    html! {
        (body.chars().count()) " " (words.characters) ", "
        @if segments == 1 { (words.one_text) } @else { (segments) " " (words.texts) }
        @if encoding == Encoding::Ucs2 { " · " (words.own_letters) }
    }
}

fn consent_form(words: &Words, person: &Person, files: &Files, contact: &Contact) -> Markup {
    html! {
        h2 { (words.at_desk) }
        @for ui in [person.ui, person.ui.pick(Ui::Es, Ui::En)] {
            form method="post" action="/new/consent" {
                input type="hidden" name="to" value=(contact.number.as_str());
                input type="hidden" name="language" value=(ui.tag());
                p.small { (words.read_aloud) }
                blockquote lang=(ui.tag()) { (disclosure(files, ui)) }
                p { label { input type="checkbox" name="agreed" value="yes" required; " " (words.they_said_yes) } }
                p { button.second type="submit" { (words.record) } }
            }
        }
    }
}
