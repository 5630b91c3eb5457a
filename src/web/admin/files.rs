//! `/admin/files/{file}`: a file of the clinic's, edited, checked, compared, tried, published, and put back.

use std::path::Path as FilePath;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::diff::{Sign, diff};
use super::work;
use super::workshop::{PublishError, Published, Trial, TrialError};
use crate::conversation::permission::Act;
use crate::model::{self, ClinicFile, Severity};
use crate::store::file_versions::{self, NewVersion, Version, fingerprint};
use crate::web::Web;
use crate::web::form::{Form, Path, Query};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::route::{Access, Route};
use crate::web::words::Ui;
use crate::web::words::admin;
use crate::web::words::admin_files::{self, Words};

/// A larger file is refused: no clinic's is near it.
const LARGEST: usize = 256 * 1024;
/// Versions that are listed.
const SHOWN: usize = 50;

/// The routes of the files.
pub fn routes() -> Vec<Route> {
    let edit = Access::May(Act::EditFiles);
    vec![
        Route::get("/admin/files/{file}", edit, show),
        Route::post("/admin/files/{file}", edit, act),
        Route::get("/admin/files/{file}/versions/{id}", edit, version),
        Route::post("/admin/files/{file}/versions/{id}", edit, put_back),
    ]
}

/// Mistakes, and warnings, that are shown at once.
const MOST_FINDINGS: usize = 50;
/// Places with changes that are shown, and lines of each.
const MOST_HUNKS: usize = 20;
const MOST_LINES: usize = 200;
/// Characters of a line that are shown beside what is said of it.
const LONGEST_LINE: usize = 200;

/// Where in the file to begin, and what has just been done.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// The table to show: `greeting`.
    #[serde(default)]
    at: String,
    #[serde(default)]
    done: String,
}

/// The form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    text: String,
    /// What the text is known by that was opened.
    base: String,
    note: String,
    #[serde(rename = "do")]
    what: String,
    at: String,
    from: String,
    script: String,
}

impl Typed {
    /// As it goes into the file: browsers send every line's end as CR LF.
    fn text(&self) -> Result<String, ()> {
        if self.text.len() > LARGEST {
            return Err(());
        }
        let mut text = self.text.replace("\r\n", "\n");
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    fn trial(&self, ui: Ui) -> Trial {
        Trial { at: self.at.clone(), from: self.from.clone(), script: self.script.clone(), ui }
    }
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
    let typed = Typed { base: fingerprint(&text), text, ..Typed::default() };
    let said = html! { @if asked.done == "published" { p.notice.good role="status" { (words.published) } } };
    editor(&web, &person, file, &typed, line_of(&typed.text, &asked.at), said).await
}

/// The line of a table's header, counted from 1.
fn line_of(text: &str, table: &str) -> Option<usize> {
    let header = format!("[{table}]");
    text.lines().position(|line| !table.is_empty() && line.trim() == header).map(|line| line + 1)
}

/// `POST /admin/files/{file}`: checks, compares, tries or publishes what was typed.
async fn act(
    State(web): State<Web>,
    person: Person,
    Path(file): Path<String>,
    Form(mut typed): Form<Typed>,
) -> Result<Response, Problem> {
    let (file, words) = (known(&file)?, admin_files::words(person.ui));
    let Ok(text) = typed.text() else {
        return Err(Problem::Refused(StatusCode::PAYLOAD_TOO_LARGE, words.too_large.to_owned()));
    };
    typed.text.clone_from(&text);
    let path = web.workshop.path(file);
    let (status, said) = match typed.what.as_str() {
        "compare" => (StatusCode::OK, differences(words, &on_disk(&web, &person, file).await?, &text)),
        "try" => {
            let trial = typed.trial(person.ui);
            let told = work(&web, move |shop| shop.trial(file, &text, &trial)).await?;
            (if told.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, tried(words, &path, told))
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
                (status, not_published(words, &path, error))
            }
        },
        _ => {
            let found = work(&web, move |shop| shop.check(file, &text)).await?;
            let usable = found.iter().all(|problem| problem.severity == Severity::Warning);
            (if usable { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, findings(words, &path, &found))
        }
    };
    Ok((status, editor(&web, &person, file, &typed, None, said).await?).into_response())
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

/// `GET /admin/files/{file}/versions/{id}`
async fn version(
    State(web): State<Web>,
    person: Person,
    Path((file, id)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    let (file, words) = (known(&file)?, admin_files::words(person.ui));
    let (version, text) = kept(&web, file, &id).await?;
    let now = on_disk(&web, &person, file).await?;
    let title = format!("{}: {} {}", admin_files::file(person.ui, file), words.version.to_lowercase(), version.id);
    let body = html! {
        h1 { (title) }
        p { a href={ "/admin/files/" (file) } { (words.back) } }
        p.faint { (words.since) " " (when(&web, &version)) " " (words.by) " " (author(words, &version)) " " (version.note) }
        h2 { (words.version_diff) }
        (differences(words, &now, &text))
        @if text != now {
            form method="post" action={ "/admin/files/" (file) "/versions/" (version.id) } {
                input type="hidden" name="base" value=(fingerprint(&now));
                button type="submit" { (words.put_back) }
            }
        }
        h2 { (words.version_text) }
        pre { (text) }
    };
    Ok(page::page(&person, Section::Admin, &title, body))
}

async fn kept(web: &Web, file: ClinicFile, id: &str) -> Result<(Version, String), Problem> {
    let id: i64 = id.parse().map_err(|_| Problem::NotFound)?;
    web.store.read(move |conn| file_versions::find(conn, file, id)).await?.ok_or(Problem::NotFound)
}

/// `POST /admin/files/{file}/versions/{id}`: the version is in force again, as a new one.
async fn put_back(
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
            let typed = Typed { text, base, note, ..Typed::default() };
            let said = not_published(words, &web.workshop.path(file), error);
            let page = editor(&web, &person, file, &typed, None, said).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
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
    let versions = web.store.read(move |conn| file_versions::list(conn, file, SHOWN)).await?;
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
    let body = html! {
        h1 { (admin::words(person.ui).files) }
        ul.tabs { @for other in ClinicFile::ALL { (tab(other)) } }
        p.faint { (words.safe) }
        @if file == ClinicFile::Box { p.notice.warn { (words.restart) } p.faint { (words.secrets) } }
        (said)
        form method="post" action={ "/admin/files/" (file) } {
            input type="hidden" name="base" value=(typed.base);
            label for="text" { (words.text) " " code.hint { (web.workshop.path(file).display()) } }
            // A browser takes away the first line's end after the tag.
            textarea #text.source name="text" rows="28" spellcheck="false" autocapitalize="none" wrap="off" data-line=[line] { "\n" (typed.text) }
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
        @if versions.is_empty() { p.faint { (words.no_versions) } } @else { (list(web, words, file, &versions)) }
    };
    Ok(page::page(person, Section::Admin, title, body))
}

fn list(web: &Web, words: &Words, file: ClinicFile, versions: &[Version]) -> Markup {
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
                            td { (version.note) }
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

/// What the checker says, each beside its line.
fn findings(words: &Words, file: &FilePath, found: &[model::Problem]) -> Markup {
    let of = |severity| found.iter().filter(move |problem| problem.severity == severity);
    let group = |severity: Severity, class: &str, title: &str| {
        html! {
            @if of(severity).next().is_some() {
                section.notice.{ (class) } role="alert" {
                    p { strong { (title) } @if let Some(english) = words.checker_english { " " span.small { (english) } } }
                    ul.findings {
                        @for problem in of(severity).take(MOST_FINDINGS) { (finding(words, file, problem)) }
                        @if of(severity).count() > MOST_FINDINGS { li { "…" } }
                    }
                }
            }
        }
    };
    html! {
        @if found.is_empty() { p.notice.good role="status" { (words.fine) } }
        (group(Severity::Error, "bad", words.mistakes))
        (group(Severity::Warning, "warn", words.warnings))
    }
}

fn finding(words: &Words, file: &FilePath, problem: &model::Problem) -> Markup {
    let here = problem.file == file || problem.file.file_name() == file.file_name();
    html! {
        li {
            @if !here { (words.other_file) " " code { (problem.file.display()) } " " }
            @if problem.line > 0 {
                @if here { a href="#text" data-to-line=(problem.line) { (words.line) " " (problem.line) } }
                @else { (words.line) " " (problem.line) }
                ": "
            }
            span lang="en" { (problem.message) }
            @if problem.line > 0 { pre { (beginning(problem.source_line.trim_end())) } }
            @if !problem.cure.is_empty() { p { strong { (words.cure) } " " span lang="en" { (problem.cure) } } }
        }
    }
}

fn differences(words: &Words, old: &str, new: &str) -> Markup {
    let hunks = diff(old, new);
    html! {
        section.card role="region" aria-label=(words.difference) {
            h2 { (words.difference) }
            @if hunks.is_empty() { p { (words.no_difference) } }
            @for hunk in hunks.iter().take(MOST_HUNKS) {
                pre.diff {
                    span.faint { "@@ -" (hunk.old) " +" (hunk.new) "\n" }
                    @for (sign, line) in hunk.lines.iter().take(MOST_LINES) {
                        @let line = beginning(line);
                        @match sign {
                            Sign::Same => { (sign.as_str()) (line) "\n" },
                            Sign::Added => { ins { (sign.as_str()) (line) } "\n" },
                            Sign::Removed => { del { (sign.as_str()) (line) } "\n" },
                        }
                    }
                    @if hunk.lines.len() > MOST_LINES { "…\n" }
                }
            }
            @if hunks.len() > MOST_HUNKS { p { "…" } }
        }
    }
}

/// The beginning of a line, if it is a very long one.
fn beginning(line: &str) -> std::borrow::Cow<'_, str> {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{} …", &line[..end]).into(),
        None => line.into(),
    }
}

fn tried(words: &Words, file: &FilePath, told: Result<String, TrialError>) -> Markup {
    let no = |why: &str| html! { p.notice.bad role="alert" { (why) } };
    match told {
        Ok(told) => html! { section.card { h2 { (words.trial) } pre.wrap role="status" { (told) } } },
        Err(TrialError::Mistakes(found)) => findings(words, file, &found),
        Err(TrialError::Time) => no(words.bad_time),
        Err(TrialError::Caller) => no(words.bad_caller),
        Err(TrialError::TooLong) => no(words.too_long_trial),
    }
}

fn not_published(words: &Words, file: &FilePath, error: PublishError) -> Markup {
    let with = |why: &str, found: &[model::Problem]| {
        html! { p.notice.bad role="alert" { (why) } (findings(words, file, found)) }
    };
    match error {
        PublishError::Changed => html! { p.notice.warn role="alert" { (words.changed) } },
        PublishError::Mistakes(found) => with(words.not_published, &found),
        PublishError::NotTaken(found) => with(words.not_taken, &found),
        PublishError::Unwritable(why) => unwritable(words, file, &why),
    }
}

fn unwritable(words: &Words, file: &FilePath, why: &str) -> Markup {
    let folder = file.parent().unwrap_or(FilePath::new("/"));
    html! {
        div.notice.bad role="alert" {
            p { (words.unwritable) " " code { (file.display()) } ": " (why) }
            p { (words.unwritable_cure) }
            (super::let_write(folder, "", &format!("{0} {0}/*.toml", folder.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_send_becomes_a_file() {
        let typed = |text: &str| Typed { text: text.to_owned(), ..Typed::default() };
        assert_eq!(typed("a = 1\r\nb = 2").text().as_deref(), Ok("a = 1\nb = 2\n"));
        assert_eq!(typed("").text().as_deref(), Ok(""));
        assert!(typed(&"x".repeat(LARGEST + 1)).text().is_err());
    }

    #[test]
    fn a_table_is_found_by_its_header() {
        assert_eq!(line_of("# x\n[a]\n[b]\n", "b"), Some(3));
        assert_eq!(line_of("[a]\n", ""), None);
    }
}
