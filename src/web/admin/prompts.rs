//! `/admin/prompts`: what is said on the phone, heard and replaced.

use std::collections::BTreeMap;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::work;
use super::workshop::RecordingError;
use crate::conversation::permission::Act;
use crate::model::{Language, PromptKey};
use crate::store::audit::{self, Entry};
use crate::web::audio;
use crate::web::form::{Form, Path, Query, parts};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::words::admin_prompts::{self, Words};
use crate::web::words::{Ui, admin};
use crate::web::{Files, Web};

/// A larger upload is refused.
const LARGEST: usize = 10 << 20;
/// What a form around a file may take. Also a file that is a little too large is read to its end, so that the browser
/// shows our answer and not a broken connection.
const ENVELOPE: usize = 1 << 20;
/// Characters of what a recording says: two minutes of talk.
const MOST_WORDS: usize = 4_000;

/// The routes of the prompts.
pub fn routes() -> Vec<Route> {
    let hear = Access::May(Act::SeeTree);
    let edit = Access::May(Act::EditFiles);
    vec![
        Route::get("/admin/prompts", hear, list),
        Route::get("/admin/prompts/{language}/{name}", hear, wav),
        Route::get("/admin/prompts/{language}/{name}/edit", edit, show),
        Route::post(
            "/admin/prompts/{language}/{name}/recording",
            edit,
            upload.layer(DefaultBodyLimit::max(LARGEST + ENVELOPE)),
        ),
        Route::post("/admin/prompts/{language}/{name}/words", edit, set_words),
        Route::get("/admin/prompts/{language}/{name}/versions/{id}", edit, old_wav),
        Route::post("/admin/prompts/{language}/{name}/versions/{id}", edit, put_back),
    ]
}

/// What plays a prompt, and fetches it only when asked to.
pub fn player(language: &Language, name: &str, listen: &str) -> Markup {
    html! {
        audio controls preload="none" aria-label={ (listen) ": " (name) } src={ "/admin/prompts/" (language) "/" (name) } {}
    }
}

/// The prompt of these names, if there is one: so no path leads anywhere else.
fn known(files: &Files, language: &str, name: &str) -> Result<PromptKey, Problem> {
    let language = Language::parse(language).map_err(|_| Problem::NotFound)?;
    let key = PromptKey { language, name: name.to_owned() };
    if files.catalog.0.contains_key(&key) { Ok(key) } else { Err(Problem::NotFound) }
}

/// `GET /admin/prompts/{language}/{name}`: the recording.
async fn wav(
    State(web): State<Web>,
    _: Person,
    Path((language, name)): Path<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let files = (web.files)();
    let key = known(&files, &language, &name)?;
    let file = files.settings.clinic.prompts.join(key.language.as_str()).join(format!("{}.wav", key.name));
    let bytes = tokio::fs::read(&file).await.map_err(|_| Problem::NotFound)?;
    Ok(audio::wav(&asked, bytes))
}

/// `GET /admin/prompts`
async fn list(State(web): State<Web>, person: Person) -> Markup {
    let (words, files) = (admin::words(person.ui), (web.files)());
    let used: BTreeMap<&str, Vec<&str>> = files.tree.prompts_used();
    let body = html! {
        h1 { (words.prompts) }
        p.faint { (words.prompts_why) }
        @for (key, info) in &files.catalog.0 {
            section.card.prompt id={ (key.language) "-" (key.name) } {
                h2 { (key.name) " " span.badge.plain { (key.language) } " " span.faint.small.number { (format!("{:.1} s", info.length.as_secs_f64())) } }
                p { q lang=(key.language) { (info.words) } }
                (player(&key.language, &key.name, words.play_it))
                @if person.may(Act::EditFiles) {
                    p { a href={ "/admin/prompts/" (key.language) "/" (key.name) "/edit" } { (admin_prompts::words(person.ui).replace) } }
                }
                p.faint.small {
                    @match used.get(key.name.as_str()) {
                        Some(nodes) => {
                            (words.used_by) ": "
                            @for (at, node) in nodes.iter().enumerate() {
                                @if at > 0 { ", " }
                                a href={ "/admin/tree#" (super::tree::anchor(node)) } { (node) }
                            }
                        },
                        None => (words.never_used),
                    }
                }
            }
        }
    };
    page::page(&person, Section::Admin, words.prompts, body)
}

/// What was done last.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    done: bool,
}

/// `GET /admin/prompts/{language}/{name}/edit`
async fn show(
    State(web): State<Web>,
    person: Person,
    Path((language, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Problem> {
    let key = known(&(web.files)(), &language, &name)?;
    let words = admin_prompts::words(person.ui);
    let said = html! { @if asked.done { p.notice.good role="status" { (words.done) } } };
    editor(&web, &person, key, None, said).await
}

async fn editor(
    web: &Web,
    person: &Person,
    key: PromptKey,
    typed: Option<&str>,
    said: Markup,
) -> Result<Markup, Problem> {
    let (words, listen) = (admin_prompts::words(person.ui), admin::words(person.ui).play_it);
    let of = key.clone();
    let old = work(web, move |shop| shop.old_recordings(&of)).await?;
    let files = (web.files)();
    let zone = &files.settings.clinic.timezone;
    let info = files.catalog.0.get(&key).ok_or(Problem::NotFound)?;
    let here = format!("/admin/prompts/{}/{}", key.language, key.name);
    let body = html! {
        h1 { (key.name) " " span.badge.plain { (key.language) } }
        p { a href={ "/admin/prompts#" (key.language) "-" (key.name) } { (words.back) } }
        (said)
        section.card {
            h2 { (words.now) }
            p { q lang=(key.language) { (info.words) } }
            (player(&key.language, &key.name, listen))
            p.faint.small { (words.consent) }
        }
        form.card method="post" action={ (here) "/recording" } enctype="multipart/form-data" {
            div.field {
                label for="recording" { (words.upload) " " span.hint { (words.upload_hint) } }
                input #recording type="file" name="recording" accept=".wav,audio/wav,audio/x-wav" required;
            }
            button type="submit" { (words.upload_button) }
        }
        form.card method="post" action={ (here) "/words" } {
            div.field {
                label for="words" { (words.words) " " span.hint { (words.words_hint) } }
                textarea #words name="words" lang=(key.language) rows="4" maxlength=(MOST_WORDS) required { "\n" (typed.unwrap_or(&info.words)) }
            }
            button type="submit" { (words.words_button) }
        }
        h2 { (words.versions) }
        @if old.is_empty() { p.faint { (words.no_versions) } }
        @for one in &old {
            @let when = one.until.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
            section.card {
                p { (words.until) " " (when) }
                audio controls preload="none" aria-label={ (listen) ": " (words.until) " " (when) } src={ (here) "/versions/" (one.id) } {}
                form method="post" action={ (here) "/versions/" (one.id) } { button.second type="submit" { (words.put_back) } }
            }
        }
    };
    Ok(page::page(person, Section::Admin, &key.name, body))
}

/// `POST /admin/prompts/{language}/{name}/recording`
async fn upload(
    State(web): State<Web>,
    person: Person,
    Path((language, name)): Path<(String, String)>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    // Read before anything is refused: a connection that is closed on what still comes in takes our answer with it.
    let mut fields = parts(form, admin_prompts::words(person.ui).upload_hint).await?;
    let wav = fields.remove("recording").unwrap_or_default();
    let key = known(&(web.files)(), &language, &name)?;
    let words = admin_prompts::words(person.ui);
    if wav.len() > LARGEST {
        return Err(Problem::Refused(StatusCode::PAYLOAD_TOO_LARGE, words.upload_hint.to_owned()));
    }
    let no = match other_format(&wav) {
        _ if wav.is_empty() => Some(words.nothing.to_owned()),
        Some(format) => Some(format!("{} {format}. {}", words.this_is, words.save_as)),
        None => None,
    };
    if let Some(why) = no {
        let said = html! { p.notice.bad role="alert" { (why) } };
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, editor(&web, &person, key, None, said).await?).into_response());
    }
    exchange(web, person, key, wav.to_vec(), "prompt.replaced").await
}

/// What an upload is that people often have instead of WAV.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2 | 0xfa, ..] => Some("MP3"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("M4A (AAC)"),
        [b'O', b'g', b'g', b'S', ..] => Some("Ogg"),
        [b'f', b'L', b'a', b'C', ..] => Some("FLAC"),
        [b'F', b'O', b'R', b'M', ..] => Some("AIFF"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("WebM"),
        _ => None,
    }
}

/// Puts a recording in force and on record.
async fn exchange(
    web: Web,
    person: Person,
    key: PromptKey,
    wav: Vec<u8>,
    action: &'static str,
) -> Result<Response, Problem> {
    let sha256 = |web: &Web| (web.files)().catalog.0.get(&key).map(|info| info.sha256.clone());
    let before = sha256(&web);
    let of = key.clone();
    if let Err(error) = work(&web, move |shop| shop.replace_recording(&of, &wav)).await? {
        let said = not_done(person.ui, &(web.files)(), &error);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, editor(&web, &person, key, None, said).await?).into_response());
    }
    let detail = json!({ "sha256": sha256(&web), "before": before });
    record(&web, &person, &key, action, detail).await?;
    Ok(done(&key))
}

fn done(key: &PromptKey) -> Response {
    Redirect::to(&format!("/admin/prompts/{}/{}/edit?done=true", key.language, key.name)).into_response()
}

async fn record(
    web: &Web,
    person: &Person,
    key: &PromptKey,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), Problem> {
    let (actor, at) = (person.name.clone(), web.clock.now().wall);
    let subject = format!("prompt:{}/{}", key.language, key.name);
    web.store
        .write(move |tx| audit::append(tx, Entry { at, actor: actor.as_str(), action, subject: &subject, detail }))
        .await?;
    Ok(())
}

fn not_done(ui: Ui, files: &Files, error: &RecordingError) -> Markup {
    let words: &Words = admin_prompts::words(ui);
    html! {
        div.notice.bad role="alert" {
            @match error {
                RecordingError::Fault(why) => p { (words.fault) " " (why) },
                RecordingError::Unwritable(why) => {
                    p { (words.unwritable) " " (why) }
                    p { (words.unwritable_cure) }
                    @let folder = &files.settings.clinic.prompts;
                    (super::let_write(folder, "-R ", &folder.display().to_string()))
                },
                RecordingError::NotTaken(found) => {
                    p { (words.not_taken) }
                    @for problem in found { pre.wrap { (problem) } }
                },
            }
        }
    }
}

/// What a recording says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypedWords {
    words: String,
}

/// `POST /admin/prompts/{language}/{name}/words`
async fn set_words(
    State(web): State<Web>,
    person: Person,
    Path((language, name)): Path<(String, String)>,
    Form(typed): Form<TypedWords>,
) -> Result<Response, Problem> {
    let key = known(&(web.files)(), &language, &name)?;
    let new: String = typed.words.replace("\r\n", "\n").trim().chars().take(MOST_WORDS).collect();
    if new.is_empty() {
        return Err(Problem::refused(admin_prompts::words(person.ui).no_words));
    }
    let (of, text) = (key.clone(), new.clone());
    match work(&web, move |shop| shop.set_words(&of, &text)).await? {
        Ok(before) => {
            record(&web, &person, &key, "prompt.words_set", json!({ "before": before, "after": new })).await?;
            Ok(done(&key))
        }
        Err(error) => {
            let said = not_done(person.ui, &(web.files)(), &error);
            let page = editor(&web, &person, key, Some(&new), said).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

async fn old(web: &Web, key: &PromptKey, id: &str) -> Result<Vec<u8>, Problem> {
    let (of, id) = (key.clone(), id.parse().map_err(|_| Problem::NotFound)?);
    work(web, move |shop| shop.old_recording(&of, id)).await?.ok_or(Problem::NotFound)
}

/// `GET /admin/prompts/{language}/{name}/versions/{id}`
async fn old_wav(
    State(web): State<Web>,
    _: Person,
    Path((language, name, id)): Path<(String, String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let key = known(&(web.files)(), &language, &name)?;
    Ok(audio::wav(&asked, old(&web, &key, &id).await?))
}

/// `POST /admin/prompts/{language}/{name}/versions/{id}`
async fn put_back(
    State(web): State<Web>,
    person: Person,
    Path((language, name, id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let key = known(&(web.files)(), &language, &name)?;
    let wav = old(&web, &key, &id).await?;
    exchange(web, person, key, wav, "prompt.rolled_back").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_upload_instead_is_named() {
        assert_eq!(other_format(b"ID3\x03rest"), Some("MP3"));
        assert_eq!(other_format(&[0xff, 0xfb, 0x90]), Some("MP3"));
        assert_eq!(other_format(b"\0\0\0\x20ftypM4A "), Some("M4A (AAC)"));
        assert_eq!(other_format(b"RIFF....WAVE"), None);
        assert_eq!(other_format(b""), None);
    }
}
