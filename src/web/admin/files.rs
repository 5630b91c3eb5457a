//! `/admin/files/{file}`: a file of the clinic's, edited, checked, compared, tried, published, and put back.
//!
//! `typed`: what somebody sends, as a text or as a file. `said`: what the page answers to it. `versions`: what the file
//! said before.

mod said;
mod typed;
mod versions;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::work;
use super::workshop::{PublishError, Published};
use crate::conversation::permission::Act;
use crate::model::{ClinicFile, Severity};
use crate::store::file_versions::{self, NewVersion, fingerprint};
use crate::store::timeline::weight;
use crate::web::Web;
use crate::web::form::{Form, Path, Query};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::words::admin;
use crate::web::words::admin_files;
use said::Said;
use typed::{By, Typed};

/// Bytes that a file's text may fill on a page. A larger one is downloaded, changed and uploaded. Ours fill a quarter.
const LARGEST_SHOWN: usize = 36_000;

/// The routes of the files.
pub fn routes() -> Vec<Route> {
    let edit = Access::May(Act::EditFiles);
    vec![
        Route::get("/admin/files/{file}", edit, show),
        Route::post("/admin/files/{file}", edit, act),
        Route::post("/admin/files/{file}/upload", edit, upload),
        Route::get("/admin/files/{file}/text", edit, download),
        Route::get("/admin/files/{file}/versions/{id}", edit, versions::show),
        Route::get("/admin/files/{file}/versions/{id}/text", edit, versions::download),
        Route::post("/admin/files/{file}/versions/{id}", edit, versions::put_back),
    ]
}

/// Where in the file to begin, and what has just been done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The table to show: `greeting`.
    at: String,
    done: String,
    /// `upload`: a file shall be chosen.
    by: String,
}

fn known(file: &str) -> Result<ClinicFile, Problem> {
    file.parse().map_err(|_| Problem::NotFound)
}

async fn on_disk(web: &Web, person: &Person, file: ClinicFile) -> Result<String, Problem> {
    let words = admin_files::words(person.ui);
    let read = work(web, move |shop| shop.read(file)).await?;
    read.map_err(|error| Problem::refused(format!("{} {error}", words.unreadable)))
}

/// `GET /admin/files/{file}`
async fn show(
    State(web): State<Web>,
    person: Person,
    Path(file): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Problem> {
    let file = known(&file)?;
    let words = admin_files::words(person.ui);
    let text = on_disk(&web, &person, file).await?;
    let by = if asked.by == "upload" || !fits(&text) { By::Upload } else { By::Page };
    let typed = Typed { base: fingerprint(&text), text, by, ..Typed::default() };
    let said = html! { @if asked.done == "published" { p.notice.good role="status" { (words.published) } } };
    editor(&web, &person, file, &typed, line_of(&typed.text, &asked.at), said).await
}

/// Whether a page can show a text whole.
fn fits(text: &str) -> bool {
    weight(text) <= LARGEST_SHOWN
}

/// The line of a table's header, counted from 1.
fn line_of(text: &str, table: &str) -> Option<usize> {
    let header = format!("[{table}]");
    text.lines().position(|line| !table.is_empty() && line.trim() == header).map(|line| line + 1)
}

/// `GET /admin/files/{file}/text`
async fn download(State(web): State<Web>, person: Person, Path(file): Path<String>) -> Result<Response, Problem> {
    let file = known(&file)?;
    let text = on_disk(&web, &person, file).await?;
    Ok(as_file(&web, file, text))
}

/// A text to be kept as a file, under the name of the clinic's.
fn as_file(web: &Web, file: ClinicFile, text: String) -> Response {
    let path = web.workshop.path(file);
    let name = path.file_name().map(|name| name.to_string_lossy().replace(['"', '\\'], "_")).unwrap_or_default();
    let name = name.chars().filter(char::is_ascii_graphic).collect::<String>();
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, text).into_response()
}

/// `POST /admin/files/{file}`: checks, compares, tries or publishes what was typed.
async fn act(
    State(web): State<Web>,
    person: Person,
    Path(file): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, Problem> {
    deal(web, person, known(&file)?, typed).await
}

/// `POST /admin/files/{file}/upload`: the same with a file.
async fn upload(
    State(web): State<Web>,
    person: Person,
    Path(file): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let typed = Typed::uploaded(form, person.ui).await?;
    deal(web, person, known(&file)?, typed).await
}

async fn deal(web: Web, person: Person, file: ClinicFile, mut typed: Typed) -> Result<Response, Problem> {
    let text = typed.text(person.ui)?;
    typed.text.clone_from(&text);
    let path = web.workshop.path(file);
    let said = Said { words: admin_files::words(person.ui), path: &path, lines_are_links: typed.by == By::Page };
    let (status, told) = match typed.what.as_str() {
        "compare" => (StatusCode::OK, said.differences(&on_disk(&web, &person, file).await?, &text)),
        "try" => {
            let trial = typed.trial(person.ui);
            let told = work(&web, move |shop| shop.trial(file, &text, &trial)).await?;
            (if told.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, said.tried(told))
        }
        "publish" => match publish(&web, &person, file, text, &typed.base, &typed.note, "file.published").await? {
            Ok(()) => return Ok(Redirect::to(&format!("/admin/files/{file}?done=published")).into_response()),
            Err(error) => {
                if error == PublishError::Changed {
                    // Whoever has read this publishes over what is there now, knowingly.
                    typed.base = fingerprint(&on_disk(&web, &person, file).await?);
                }
                let conflict = error == PublishError::Changed;
                let status = if conflict { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
                (status, said.not_published(error))
            }
        },
        _ => {
            let found = work(&web, move |shop| shop.check(file, &text)).await?;
            let usable = found.iter().all(|problem| problem.severity == Severity::Warning);
            (if usable { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, said.findings(&found))
        }
    };
    Ok((status, editor(&web, &person, file, &typed, None, told).await?).into_response())
}

/// Publishes a text, and keeps it and the one before.
async fn publish(
    web: &Web,
    person: &Person,
    file: ClinicFile,
    text: String,
    base: &str,
    note: &str,
    action: &'static str,
) -> Result<Result<(), PublishError>, Problem> {
    let (base, wanted) = (base.to_owned(), text.clone());
    let Published { before, .. } = match work(web, move |shop| shop.publish(file, &wanted, &base)).await? {
        Ok(published) => published,
        Err(error) => return Ok(Err(error)),
    };
    let (actor, at) = (person.name.clone(), web.clock.now().wall);
    let note: String = note.trim().chars().take(200).collect();
    web.store
        .write(move |tx| {
            let found = NewVersion { file, text: &before, actor: file_versions::DISK, note: "", at };
            file_versions::keep(tx, found, "file.found")?;
            let new = NewVersion { file, text: &text, actor: actor.as_str(), note: &note, at };
            file_versions::keep(tx, new, action)
        })
        .await?;
    Ok(Ok(()))
}

async fn editor(
    web: &Web,
    person: &Person,
    file: ClinicFile,
    typed: &Typed,
    line: Option<usize>,
    said: Markup,
) -> Result<Markup, Problem> {
    let words = admin_files::words(person.ui);
    let title = admin_files::file(person.ui, file);
    let here = format!("/admin/files/{file}");
    let versions = web.store.read(move |conn| file_versions::list(conn, file, versions::SHOWN)).await?;
    let tab = |other: ClinicFile| {
        html! {
            li { a href={ "/admin/files/" (other) } aria-current=[(other == file).then_some("page")] { (admin_files::file(person.ui, other)) } }
        }
    };
    let field = |name: &str, label: &str, hint: &str, value: &str| {
        html! {
            div { label for=(name) { (label) " " span.hint { (hint) } } input id=(name) name=(name) value=(value) autocomplete="off" maxlength="60"; }
        }
    };
    let path = html! { code.hint { (web.workshop.path(file).display()) } };
    let (to, kind, text) = match typed.by {
        By::Page => {
            let text = html! {
                label for="text" { (words.text) " " (path) }
                // A browser takes away the first line's end after the tag.
                textarea #text.source name="text" rows="28" spellcheck="false" autocapitalize="none" wrap="off" data-line=[line] { "\n" (typed.text) }
            };
            (here.clone(), None, text)
        }
        By::Upload => {
            let text = html! {
                div.field {
                    label for="file" { (words.upload) " " (path) }
                    input #file type="file" name="file" accept=".toml,text/plain" required;
                }
            };
            (format!("{here}/upload"), Some("multipart/form-data"), text)
        }
    };
    let body = html! {
        h1 { (admin::words(person.ui).files) }
        ul.tabs { @for other in ClinicFile::ALL { (tab(other)) } }
        p.faint { (words.safe) }
        @if file == ClinicFile::Box { p.notice.warn { (words.restart) } p.faint { (words.secrets) } }
        (said)
        p {
            a href={ (here) "/text" } { (words.download) }
            @match typed.by {
                By::Page => { " · " a href={ (here) "?by=upload" } { (words.upload_instead) } },
                By::Upload => {
                    ". " (words.upload_why) " "
                    @if fits(&typed.text) { a href=(here) { (words.back) } } @else { (words.too_large_to_show) }
                },
            }
        }
        form method="post" action=(to) enctype=[kind] {
            input type="hidden" name="base" value=(typed.base);
            (text)
            div.bar {
                button.second type="submit" name="do" value="check" data-key="c" data-does=(words.check) { (words.check) }
                button.second type="submit" name="do" value="compare" { (words.compare) }
            }
            fieldset.card {
                legend { (words.try_it) }
                p.faint.small { (words.trial_why) }
                div.inline {
                    (field("at", words.at, words.at_hint, &typed.at))
                    (field("from", words.from, words.from_hint, &typed.from))
                }
                div.field {
                    label for="script" { (words.script) " " span.hint { (words.script_hint) } }
                    textarea #script name="script" rows="3" maxlength="2000" spellcheck="false" { "\n" (typed.script) }
                }
                button.second type="submit" name="do" value="try" { (words.try_it) }
            }
            div.inline {
                div { label for="note" { (words.note) " " span.hint { (words.note_hint) } } input #note name="note" value=(typed.note) maxlength="200" autocomplete="off"; }
                button type="submit" name="do" value="publish" { (words.publish) }
            }
        }
        h2 { (words.versions) }
        @if versions.is_empty() { p.faint { (words.no_versions) } } @else { (versions::list(web, words, file, &versions)) }
    };
    Ok(page::page(person, Section::Admin, title, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_header() {
        assert_eq!(line_of("# x\n[a]\n[b]\n", "b"), Some(3));
        assert_eq!(line_of("[a]\n", ""), None);
    }
}
