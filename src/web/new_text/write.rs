//! The page of one new text: what to write, or why nothing may be written, with the way to record consent that is given
//! at the desk.
//!
//! Once the number has an open thread, the text is written there: what was written here is a draft in it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::{named, searched, whole};
use crate::conversation::consent::Refusal;
use crate::conversation::permission::Act;
use crate::model::{NewTextId, ThreadId};
use crate::sms::addressee::{self, Addressee};
use crate::sms::new_text;
use crate::sms::reply::{self, NotSent};
use crate::store::new_texts::{self, NewText};
use crate::store::search::{self, Contact};
use crate::store::threads;
use crate::web::compose::{Compose, Place, Typed, alert, behind, compose, fill, offered, refused, unfilled};
use crate::web::form::{Form, Path};
use crate::web::page::is_fragment;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::theirs::safe;
use crate::web::thread::text::Times;
use crate::web::words::new_text::words;
use crate::web::words::{Ui, compose as sentences, thread};
use crate::web::{Files, Web};

/// What a handler answers.
type Answer = Result<Response, Problem>;

/// A text that is being written, and to whom.
pub(super) struct Begun {
    id: NewTextId,
    pub text: NewText,
    contact: Contact,
    addressee: Addressee,
    /// Whether they may be texted.
    may: Result<(), NotSent>,
    /// Where they are being written with by now.
    thread: Option<ThreadId>,
}

/// Reads one of this person's own; of another's there is no page.
pub(super) async fn begun(web: &Web, person: &Person, id: NewTextId) -> Result<Begun, Problem> {
    let (author, from) = (person.name.clone(), (web.files)().settings.sms.from.clone());
    let begun = web
        .store
        .read(move |conn| {
            let Some(text) = new_texts::find(conn, &author, id)? else { return Ok(None) };
            Ok(Some(Begun {
                id,
                contact: search::contact(conn, &text.number)?,
                addressee: addressee::of_number(conn, &text.number)?,
                may: reply::may(conn, &text.number, &from)?,
                thread: threads::open_of(conn, &text.number)?,
                text,
            }))
        })
        .await?;
    begun.ok_or(Problem::NotFound)
}

impl Begun {
    /// The thread that it is to be written in.
    fn elsewhere(&self) -> Option<ThreadId> {
        self.thread.filter(|_| self.may.is_ok())
    }

    /// Where it is written.
    pub fn page(&self) -> String {
        self.elsewhere().map_or(Place::New(self.id).to_string(), there)
    }
}

/// Where one writes in a thread.
fn there(thread: ThreadId) -> String {
    format!("{}#compose", Place::Thread(thread))
}

/// What is shown besides what was kept: after a try that failed, or something that was done.
#[derive(Default)]
struct Shown {
    /// What is in the box instead.
    words: Option<String>,
    problem: Option<String>,
    done: Option<&'static str>,
}

/// `GET /new/{id}`
pub async fn text(State(web): State<Web>, person: Person, Path(id): Path<NewTextId>) -> Answer {
    let begun = begun(&web, &person, id).await?;
    if let Some(thread) = begun.elsewhere() {
        return Ok(Redirect::to(&there(thread)).into_response());
    }
    searched(&web, &person, 1, true);
    Ok(shown(&web, &person, &begun, Shown::default()).into_response())
}

/// `POST /new/{id}/answer`
pub async fn answer(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<NewTextId>,
    Form(typed): Form<Typed>,
) -> Answer {
    let (files, sentences, now) = ((web.files)(), sentences::words(person.ui), web.clock.now().wall);
    let (begun, words) = (begun(&web, &person, id).await?, typed.words());
    let (form, send_at) = match typed.order(now, &files.settings.clinic.timezone, sentences) {
        Ok(order) => order,
        Err(why) => return refuse(&web, &person, &begun, words, why.to_owned()).await,
    };
    let text = new_text::NewText {
        to: begun.text.number.clone(),
        from: files.settings.sms.from.clone(),
        author: person.name.clone(),
        body: words.trim().to_owned().into(),
        form,
        send_at,
        undo: files.settings.desk.undo,
        expire_after: files.settings.sms.expire_after,
        reopen_within: files.settings.desk.reopen_within,
        now,
    };
    match web.store.write(move |tx| new_text::begin(tx, &text)).await? {
        Ok(sent) => Ok(Redirect::to(&Place::Thread(sent.thread).to_string()).into_response()),
        // Somebody has begun to write with them meanwhile: the words are kept, and it is seen first what was said.
        Err(NotSent::Elsewhere(thread)) => {
            save(&web, &person, id, words, None).await?;
            Ok(Redirect::to(&there(thread)).into_response())
        }
        Err(why) => refuse(&web, &person, &begun, words, refused(&why, sentences)).await,
    }
}

/// `POST /new/{id}/draft`
pub async fn draft(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<NewTextId>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Answer {
    let (words, form) = (typed.words(), typed.form);
    save(&web, &person, id, words, Some(form)).await?;
    if is_fragment(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Redirect::to(&Place::New(id).to_string()).into_response())
}

/// `POST /new/{id}/template`: the words of a ready message. A script puts them where one types; without one they are
/// put behind what is written.
pub async fn template(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<NewTextId>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Answer {
    let begun = begun(&web, &person, id).await?;
    if !is_fragment(&headers) {
        return put_behind(&web, &person, &begun, &typed.words(), &typed.template).await;
    }
    Ok(match fill(&(web.files)(), &typed.template, &begun.addressee) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Err(why) => {
            let why = unfilled(&why, sentences::words(person.ui));
            (StatusCode::UNPROCESSABLE_ENTITY, alert(&why)).into_response()
        }
    })
}

/// Puts a ready message behind what is written.
pub(super) async fn put_behind(web: &Web, person: &Person, begun: &Begun, written: &str, template: &str) -> Answer {
    match fill(&(web.files)(), template, &begun.addressee) {
        Ok(text) => {
            save(web, person, begun.id, behind(written, text), None).await?;
            Ok(Redirect::to(&begun.page()).into_response())
        }
        Err(why) => {
            let why = unfilled(&why, sentences::words(person.ui));
            refuse(web, person, begun, written.to_owned(), why).await
        }
    }
}

/// Whether they said yes, and to the words in which language.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Agreed {
    language: String,
    agreed: String,
}

/// `POST /new/{id}/consent`: they agreed at the desk.
pub async fn consent(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<NewTextId>,
    Form(asked): Form<Agreed>,
) -> Answer {
    let (words, files) = (words(person.ui), (web.files)());
    let before = begun(&web, &person, id).await?;
    if asked.agreed.is_empty() {
        let shown =
            self::shown(&web, &person, &before, Shown { problem: Some(words.tick.to_owned()), ..Shown::default() });
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
    }
    let refuse = |why| Err(Problem::refused(refused(&why, sentences::words(person.ui))));
    if before.may == Err(NotSent::Untextable) {
        return refuse(NotSent::Untextable);
    }
    let disclosure = disclosure(&files, if asked.language == "es" { Ui::Es } else { Ui::En });
    let (number, actor, now) = (before.text.number, person.name.clone(), web.clock.now().wall);
    let recorded = web.store.write(move |tx| new_text::consent_at_desk(tx, &number, &disclosure, &actor, now)).await?;
    if let Err(why) = recorded {
        return refuse(NotSent::Consent(why));
    }
    let after = begun(&web, &person, id).await?;
    if let Some(thread) = after.elsewhere() {
        return Ok(Redirect::to(&there(thread)).into_response());
    }
    let shown = Shown { done: Some(words.recorded), ..Shown::default() };
    Ok(self::shown(&web, &person, &after, shown).into_response())
}

/// The words that are read aloud before consent at the desk.
fn disclosure(files: &Files, ui: Ui) -> String {
    words(ui).disclosure.replace("{clinic}", &files.settings.clinic.name)
}

/// The page with what is wrong, and what was written kept.
async fn refuse(web: &Web, person: &Person, begun: &Begun, written: String, why: String) -> Answer {
    save(web, person, begun.id, written.clone(), None).await?;
    let shown = Shown { words: Some(written), problem: Some(why), done: None };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, self::shown(web, person, begun, shown)).into_response())
}

/// Keeps what was written, but nothing of a `form` that was sent meanwhile.
async fn save(web: &Web, person: &Person, id: NewTextId, body: String, form: Option<String>) -> Result<(), Problem> {
    let (author, now) = (person.name.clone(), web.clock.now().wall);
    let saved = web.store.write(move |tx| {
        let sent = form.as_deref().map(|form| reply::is_sent(tx, &author, form)).transpose()?;
        Ok(sent == Some(true) || new_texts::save(tx, &author, id, &body, now)?)
    });
    if saved.await? { Ok(()) } else { Err(Problem::NotFound) }
}

/// What to write, or why nothing may be written.
fn shown(web: &Web, person: &Person, begun: &Begun, shown: Shown) -> Markup {
    let (ui, words, files) = (person.ui, words(person.ui), (web.files)());
    let written = shown.words.as_deref().unwrap_or(begun.text.body.expose());
    let problem = shown.problem.as_deref();
    whole(
        person,
        html! {
            div.card {
                div.bar {
                    span { (words.to) ": " (named(ui, &files, &begun.contact)) }
                    a.push href="/new" { (words.other) }
                }
                @if let Some(done) = shown.done { p.notice.good role="status" { (done) } }
                @if let Some(problem) = problem { (alert(problem)) }
                @match &begun.may {
                    Ok(()) => {
                        p.hint { (words.new_thread) }
                        section #compose aria-label=(words.write) { (text_form(web, person, &files, begun, written)) }
                    }
                    Err(why) => {
                        @let why_not = refused(why, sentences::words(ui));
                        @if problem != Some(why_not.as_str()) { p.notice.warn { (why_not) } }
                        @if !written.trim().is_empty() {
                            p.hint { (words.kept) }
                            blockquote.words dir="auto" { (safe(written, thread::words(ui))) }
                        }
                        @if *why == NotSent::Consent(Refusal::NoConsent) && person.may(Act::ChangeConsent) {
                            (consent_form(person, &files, begun.id))
                        }
                    }
                }
            }
        },
    )
}

fn text_form(web: &Web, person: &Person, files: &Files, begun: &Begun, written: &str) -> Markup {
    let zone = files.settings.clinic.timezone.clone();
    compose(&Compose {
        place: Place::New(begun.id),
        draft: written,
        in_thread: None,
        does: words(person.ui).write,
        templates: &offered(files, begun.addressee.language.is_none()),
        times: &Times { zone, ui: person.ui, now: web.clock.now().wall },
        words: sentences::words(person.ui),
    })
}

fn consent_form(person: &Person, files: &Files, id: NewTextId) -> Markup {
    let words = words(person.ui);
    html! {
        h2 { (words.at_desk) }
        @for ui in [person.ui, person.ui.pick(Ui::Es, Ui::En)] {
            form method="post" action={ (Place::New(id)) "/consent" } {
                input type="hidden" name="language" value=(ui.tag());
                p.small { (words.read_aloud) }
                blockquote lang=(ui.tag()) { (disclosure(files, ui)) }
                p { label { input type="checkbox" name="agreed" value="yes" required; " " (words.they_said_yes) } }
                p { button.second type="submit" { (words.record) } }
            }
        }
    }
}
