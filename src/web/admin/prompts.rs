//! `/admin/prompts`: what is said on the phone.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::conversation::permission::Act;
use crate::model::{Language, PromptKey};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::words::admin;
use crate::web::{Files, Web};

/// The routes of the prompts.
pub fn routes() -> Vec<Route> {
    let hear = Access::May(Act::SeeTree);
    vec![Route::get("/admin/prompts", hear, list), Route::get("/admin/prompts/{language}/{name}", hear, wav)]
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
) -> Result<Response, Problem> {
    let files = (web.files)();
    let key = known(&files, &language, &name)?;
    let file = files.settings.clinic.prompts.join(key.language.as_str()).join(format!("{}.wav", key.name));
    let bytes = tokio::fs::read(&file).await.map_err(|_| Problem::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "audio/wav")], bytes).into_response())
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
                p { q { (info.words) } }
                (player(&key.language, &key.name, words.play_it))
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
