//! Voice messages and recorded calls, heard; and the page of those messages that stand in no thread, because their
//! callers did not show a number.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::page::{self, Section};
use super::person::Person;
use super::problem::Problem;
use super::record::record;
use super::route::{Access, Route};
use super::theirs::theirs;
use super::words::calls::{self as words, Words};
use super::words::queue::moment;
use super::{Files, Web, audio, calls};
use crate::conversation::permission::Act;
use crate::model::{PhoneNumber, RecordingId, VoicemailId};
use crate::sms::compose::spoken;
use crate::store::voicemails::{self, Voicemail};
use crate::store::{recordings, staff};
use crate::web::form::{Form, Path, Query};

/// Messages on a page.
const PAGE: usize = 50;

/// Its routes.
pub fn routes() -> Vec<Route> {
    let hear = Access::May(Act::HearMessages);
    vec![
        Route::get("/voicemails", hear, list),
        Route::get("/voicemails/{id}", hear, play),
        Route::post("/voicemails/{id}/file", hear, file),
        Route::post("/voicemails/{id}/delete", Access::May(Act::DeleteMessages), delete),
        Route::get("/recordings/{id}", Access::May(Act::HearRecordings), play_recording),
    ]
}

/// What comes before which moment, in microseconds.
#[derive(Debug, Deserialize)]
struct Before {
    before: Option<i64>,
}

/// A message, with what its first listener is called.
type Shown = (Voicemail, Option<String>);

/// `GET /voicemails`
async fn list(
    State(web): State<Web>,
    person: Person,
    Query(Before { before }): Query<Before>,
) -> Result<Markup, Problem> {
    let words = words::words(person.ui);
    let before = before.and_then(|before| Timestamp::from_microsecond(before).ok());
    let mut loose: Vec<Shown> = web
        .store
        .read(move |conn| {
            let mut shown = Vec::new();
            for voicemail in voicemails::loose(conn, before, PAGE + 1)? {
                let heard = match &voicemail.heard {
                    Some((name, _)) => Some(staff::find(conn, name)?.map_or(name.to_string(), |staff| staff.shown_as)),
                    None => None,
                };
                shown.push((voicemail, heard));
            }
            Ok(shown)
        })
        .await?;
    let more = loose.len() > PAGE;
    loose.truncate(PAGE);
    let oldest = loose.last().map(|(voicemail, _)| voicemail.recorded_at.as_microsecond());
    // What nobody has heard comes first; each part stays in its order.
    loose.sort_by_key(|(voicemail, _)| voicemail.heard.is_some());
    record(&web, &person, "voicemails.viewed", "voicemails", json!({ "rows": loose.len() }));
    let (files, now) = ((web.files)(), web.clock.now().wall);
    let body = html! {
        h1 { (words.voicemails) }
        p.faint { (words.voicemails_about) }
        @if loose.is_empty() { p.empty { (words.no_voicemails) } }
        @for (voicemail, heard) in &loose { (card(&person, words, &files, voicemail, heard.as_deref(), now)) }
        @if let Some(oldest) = oldest.filter(|_| more) {
            p { a.button.second href={ "/voicemails?before=" (oldest) } { (words.more) } }
        }
    };
    Ok(page::page(&person, Section::Voicemails, words.voicemails, body))
}

fn card(
    person: &Person,
    words: &Words,
    files: &Files,
    voicemail: &Voicemail,
    heard: Option<&str>,
    now: Timestamp,
) -> Markup {
    let when = moment(person.ui, voicemail.recorded_at, now, &files.settings.clinic.timezone);
    let id = voicemail.id;
    html! {
        section.card.voicemail #{ "v-" (id) } {
            h2 { (when) " " span.faint.small { (clock(voicemail.length)) } }
            p.small {
                @match (heard, &voicemail.heard) {
                    (Some(name), Some((_, at))) => {
                        span.faint { ((words.heard_by)(name, &moment(person.ui, *at, now, &files.settings.clinic.timezone))) }
                    }
                    _ => span.badge.new { (words.unheard) },
                }
                @if let Some(reason) = &voicemail.reason { span.faint { " · " (theirs(reason, person.ui)) } }
            }
            audio controls preload="none" src={ "/voicemails/" (id) } aria-label=((words.play)(&when)) {}
            form.inline method="post" action={ "/voicemails/" (id) "/file" } {
                div {
                    label for={ "number-" (id) } { (words.whose) " " span.hint { (words.whose_hint) } }
                    input id={ "number-" (id) } name="number" type="tel" autocomplete="off" maxlength="30" required;
                }
                button.second type="submit" { (words.file) }
            }
            @if person.may(Act::DeleteMessages) {
                form method="post" action={ "/voicemails/" (id) "/delete" } {
                    button.danger type="submit" aria-label={ (words.delete) ": " ((words.play)(&when)) } { (words.delete) }
                }
            }
        }
    }
}

/// `0:42`
pub fn clock(length: std::time::Duration) -> String {
    let seconds = length.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

async fn sound(web: &Web, person: &Person, asked: &HeaderMap, file: &str, sha256: &str) -> Result<Response, Problem> {
    let lost = || Problem::conflict(words::words(person.ui).audio_lost);
    let path = web.store.audio().path(file).ok_or_else(lost)?;
    audio::file(asked, &path, sha256).await.map_err(|error| {
        tracing::warn!(%error, "audio that a record names could not be read");
        lost()
    })
}

/// `GET /voicemails/{id}`: its audio. That somebody listens is on record once for each person.
async fn play(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<VoicemailId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = person.name.clone();
    let found = web.store.read(move |conn| {
        let Some(voicemail) = voicemails::find(conn, id)?.filter(|voicemail| voicemail.deleted_at.is_none()) else {
            return Ok(None);
        };
        Ok(Some((voicemail, voicemails::was_heard_by(conn, id, &name)?)))
    });
    let (voicemail, was_heard) = found.await?.ok_or(Problem::NotFound)?;
    let sound = sound(&web, &person, &headers, &voicemail.file, &voicemail.sha256).await?;
    if !was_heard {
        let (name, now) = (person.name.clone(), web.clock.now().wall);
        // Before the first byte: nobody listens unrecorded. A browser asks for parts at the same time.
        let heard = web.store.write(move |tx| {
            let before = voicemails::was_heard_by(tx, id, &name)?;
            Ok(before || voicemails::heard(tx, id, &name, now)?)
        });
        if !heard.await? {
            return Err(Problem::NotFound);
        }
    }
    Ok(sound)
}

/// `GET /recordings/{id}`: its audio. Each listening from its beginning is on record.
async fn play_recording(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<RecordingId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let recording = web.store.read(move |conn| recordings::find(conn, id)).await?.ok_or(Problem::NotFound)?;
    let sound = sound(&web, &person, &headers, &recording.file, &recording.sha256).await?;
    let (name, now, anew) = (person.name.clone(), web.clock.now().wall, audio::begins(&headers));
    let heard = web.store.write(move |tx| {
        // Who begins in the middle, by hand, without having begun at the beginning, listens, too.
        let known = !anew && recordings::was_heard_by(tx, id, &name)?;
        Ok(known || recordings::heard(tx, id, name.as_str(), now)?)
    });
    if !heard.await? {
        return Err(Problem::NotFound);
    }
    Ok(sound)
}

#[derive(Deserialize)]
struct Whose {
    #[serde(default)]
    number: String,
}

/// `POST /voicemails/{id}/file`
async fn file(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<VoicemailId>,
    Form(whose): Form<Whose>,
) -> Result<Response, Problem> {
    let (words, files) = (words::words(person.ui), (web.files)());
    if web.store.read(move |conn| voicemails::find(conn, id)).await?.is_none() {
        return Err(Problem::NotFound);
    }
    let number = PhoneNumber::parse(&whose.number, files.settings.clinic.country);
    let number = number.map_err(|_| Problem::refused(words.bad_number))?;
    if calls::is_ours(&files, &number) {
        return Err(Problem::refused(words.own_number));
    }
    let now = web.clock.now().wall;
    let filed = web.store.write(move |tx| spoken::file_message(tx, id, &number, person.name.as_str(), now)).await?;
    let thread = filed.ok_or_else(|| Problem::conflict(words.filed))?;
    Ok(Redirect::to(&format!("/threads/{thread}")).into_response())
}

/// `POST /voicemails/{id}/delete`
async fn delete(State(web): State<Web>, person: Person, Path(id): Path<VoicemailId>) -> Result<Response, Problem> {
    let (files, now) = (web.store.audio().clone(), web.clock.now().wall);
    let found = web.store.read(move |conn| voicemails::find(conn, id)).await?.ok_or(Problem::NotFound)?;
    web.store.write(move |tx| voicemails::delete(tx, &files, id, person.name.as_str(), now)).await?;
    let back = found.thread.map_or("/voicemails".to_owned(), |thread| format!("/threads/{thread}"));
    Ok(Redirect::to(&back).into_response())
}
