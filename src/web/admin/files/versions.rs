//! What a file said before: listed, compared with what it says now, and put back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::said::{Said, beginning, differences};
use super::typed::{By, Typed};
use super::{as_file, editor, fits, known, on_disk, publish};
use crate::model::ClinicFile;
use crate::store::file_versions::{self, Version, fingerprint};
use crate::web::Web;
use crate::web::form::{Form, Path};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::admin_files::{self, Words};

/// Versions that are listed.
pub const SHOWN: usize = 40;
/// Characters of a version's note in the list.
const LONGEST_NOTE: usize = 60;

/// `GET /admin/files/{file}/versions/{id}`
pub async fn show(
    State(web): State<Web>,
    person: Person,
    Path((file, id)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    let (file, words) = (known(&file)?, admin_files::words(person.ui));
    let (version, text) = kept(&web, file, &id).await?;
    let now = on_disk(&web, &person, file).await?;
    let title = format!("{}: {} {}", admin_files::file(person.ui, file), words.version.to_lowercase(), version.id);
    let here = format!("/admin/files/{file}/versions/{}", version.id);
    let body = html! {
        h1 { (title) }
        p { a href={ "/admin/files/" (file) } { (words.back) } }
        p.faint { (words.since) " " (when(&web, &version)) " " (words.by) " " (author(words, &version)) " " (version.note) }
        h2 { (words.version_diff) }
        (differences(words, &now, &text))
        @if text != now {
            form method="post" action=(here) {
                input type="hidden" name="base" value=(fingerprint(&now));
                button type="submit" { (words.put_back) }
            }
        }
        h2 { (words.version_text) }
        p { a href={ (here) "/text" } { (words.download) } }
        @if fits(&text) { pre { (text) } } @else { p.faint { (words.too_large_to_show) } }
    };
    Ok(page::page(&person, Section::Admin, &title, body))
}

/// `GET /admin/files/{file}/versions/{id}/text`
pub async fn download(State(web): State<Web>, Path((file, id)): Path<(String, String)>) -> Result<Response, Problem> {
    let file = known(&file)?;
    let (_, text) = kept(&web, file, &id).await?;
    Ok(as_file(&web, file, text))
}

async fn kept(web: &Web, file: ClinicFile, id: &str) -> Result<(Version, String), Problem> {
    let id: i64 = id.parse().map_err(|_| Problem::NotFound)?;
    web.store.read(move |conn| file_versions::find(conn, file, id)).await?.ok_or(Problem::NotFound)
}

/// `POST /admin/files/{file}/versions/{id}`: the version is in force again, as a new one.
pub async fn put_back(
    State(web): State<Web>,
    person: Person,
    Path((file, id)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Problem> {
    let (file, words) = (known(&file)?, admin_files::words(person.ui));
    let (version, text) = kept(&web, file, &id).await?;
    let note = format!("{} {}", words.put_back_note, version.id);
    match publish(&web, &person, file, text.clone(), &typed.base, &note, "file.rolled_back").await? {
        Ok(()) => Ok(Redirect::to(&format!("/admin/files/{file}?done=published")).into_response()),
        Err(error) => {
            let base = fingerprint(&on_disk(&web, &person, file).await?);
            let by = if fits(&text) { By::Page } else { By::Upload };
            let (path, typed) = (web.workshop.path(file), Typed { text, base, note, by, ..Typed::default() });
            let said = Said { words, path: &path, lines_are_links: by == By::Page }.not_published(error);
            let page = editor(&web, &person, file, &typed, None, said).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

/// The newest versions.
pub fn list(web: &Web, words: &Words, file: ClinicFile, versions: &[Version]) -> Markup {
    html! {
        div.scroll.card {
            table {
                thead { tr { th { (words.version) } th { (words.since) } th { (words.by) } th { (words.note) } } }
                tbody {
                    @for (at, version) in versions.iter().enumerate() {
                        tr {
                            td.number {
                                a href={ "/admin/files/" (file) "/versions/" (version.id) } { (version.id) }
                                @if at == 0 { " " span.badge.good { (words.in_force) } }
                            }
                            td.number { (when(web, version)) }
                            td { (author(words, version)) }
                            td { (beginning(&version.note, LONGEST_NOTE)) }
                        }
                    }
                }
            }
        }
    }
}

fn when(web: &Web, version: &Version) -> String {
    let zone = (web.files)().settings.clinic.timezone.clone();
    version.at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

fn author<'v>(words: &'v Words, version: &'v Version) -> &'v str {
    if version.actor == file_versions::DISK { words.disk } else { &version.actor }
}
