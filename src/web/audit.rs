//! `/admin/audit`: the audit chain, to be read, checked and exported. Reading it is on record, too.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Web;
use super::live::Connection;
use super::page::{Section, page};
use super::person::Person;
use super::problem::Problem;
use super::record::record;
use super::route::{Access, Route};
use super::search::midnight;
use super::theirs::theirs;
use super::words::audit::{Words, words};
use crate::conversation::permission::Act;
use crate::model::ThreadId;
use crate::store::audit::{self, Check, Entry, Filter, Page, Row, VerifyError};
use crate::store::{Store, StoreError};
use crate::web::form::Form;

/// Rows on a page.
const ROWS: usize = 50;
/// Rows that a check or an export reads at once; between two, others may read.
const PIECE: u32 = 10_000;
/// An export of which nothing has been taken for so long is over.
const STALLED: Duration = Duration::from_secs(60);
/// Pieces of an export that wait for the browser.
const AHEAD: usize = 2;

/// Its routes.
pub fn routes() -> Vec<Route> {
    let access = Access::May(Act::ReadAudit);
    vec![
        Route::get("/admin/audit", access, newest),
        Route::post("/admin/audit", access, filtered),
        Route::post("/admin/audit/check", access, check),
        Route::post("/admin/audit/export", access, export),
    ]
}

/// The filters. They are posted: what somebody types may be a patient's number, which stands in no address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    actor: String,
    action: String,
    subject: String,
    from: String,
    to: String,
    before: String,
    format: String,
}

impl Asked {
    fn filter(&self, zone: &TimeZone) -> Option<Filter> {
        let word = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let subject = word(&self.subject).map(|subject| match subject.parse::<ThreadId>() {
            Ok(thread) => format!("thread:{thread}"),
            Err(_) => subject,
        });
        let (from, to) = (midnight(&self.from, zone, 0)?, midnight(&self.to, zone, 1)?);
        Some(Filter { actor: word(&self.actor), action: word(&self.action), subject, from, to })
    }

    /// What the record says of a filter: whether it was set, not what a person typed.
    fn used(&self) -> Vec<&'static str> {
        let all = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("subject", &self.subject),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect()
    }
}

/// `GET /admin/audit`
async fn newest(State(web): State<Web>, person: Person) -> Result<Markup, Problem> {
    list(&web, &person, &Asked::default()).await
}

/// `POST /admin/audit`
async fn filtered(State(web): State<Web>, person: Person, Form(asked): Form<Asked>) -> Result<Markup, Problem> {
    list(&web, &person, &asked).await
}

async fn list(web: &Web, person: &Person, asked: &Asked) -> Result<Markup, Problem> {
    let files = (web.files)();
    let zone = &files.settings.clinic.timezone;
    let filter = asked.filter(zone).ok_or_else(|| Problem::refused(words(person.ui).bad_date))?;
    let before = asked.before.parse().ok();
    let (found, actors, actions) = web
        .store
        .read(move |conn| Ok((audit::page(conn, &filter, before, ROWS)?, audit::actors(conn)?, audit::actions(conn)?)))
        .await?;
    record(web, person, "audit.viewed", "audit", json!({ "rows": found.rows.len(), "filters": asked.used() }));
    Ok(whole(person, zone, asked, &found, &actors, &actions))
}

/// `POST /admin/audit/check`
async fn check(State(web): State<Web>, person: Person) -> Result<Markup, Problem> {
    let words = words(person.ui);
    let mut check = Check::default();
    let broken = loop {
        let mut next = check.clone();
        let step = web.store.read(move |conn| Ok(next.go_on(conn, PIECE).map(|more| (next, more)))).await?;
        match step {
            Ok((done, more)) => {
                check = done;
                if !more {
                    break None;
                }
            }
            Err(VerifyError::Broken(at)) => break Some(at.seq),
            Err(VerifyError::Store(error)) => return Err(error.into()),
        }
    };
    record(&web, &person, "audit.checked", "audit", json!({ "holds": check.holds(), "broken_at": broken }));
    let body = html! {
        h1 { (words.title) }
        @match broken {
            None => p.notice.good role="status" { (words.holds) " " strong.number { (check.holds()) } " " (words.rows) },
            Some(seq) => p.notice.bad role="alert" {
                (words.broken) " " strong.number { (seq) } ". " (words.broken_cure)
            },
        }
        p { a href="/admin/audit" { (words.title) } }
    };
    Ok(page(&person, Section::Admin, words.title, body))
}

/// `POST /admin/audit/export`
async fn export(
    State(web): State<Web>,
    person: Person,
    Extension(connection): Extension<Connection>,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let files = (web.files)();
    let filter = asked.filter(&files.settings.clinic.timezone);
    let filter = filter.ok_or_else(|| Problem::refused(words(person.ui).bad_date))?;
    let csv = asked.format == "csv";
    let format = if csv { "csv" } else { "json" };
    // On record before the first row leaves.
    let (actor, at, used) = (person.name.clone(), web.clock.now().wall, asked.used());
    let upto = web
        .store
        .write(move |tx| {
            let detail = json!({ "format": format, "filters": used });
            let entry = Entry { at, actor: actor.as_str(), action: "audit.exported", subject: "audit", detail };
            audit::append(tx, entry)
        })
        .await?;
    let (lines, body) = mpsc::channel(AHEAD);
    // A long chain takes longer than a connection may otherwise last.
    let (store, place) = (web.store.clone(), connection.stream());
    tokio::spawn(async move {
        send(store, filter, upto, csv, lines).await;
        drop(place);
    });
    let kind = if csv { "text/csv; charset=utf-8" } else { "application/jsonl; charset=utf-8" };
    let name = format!("attachment; filename=\"audit.{}\"", if csv { "csv" } else { "jsonl" });
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], Body::new(Lines(body)))
        .into_response())
}

/// Reads piece by piece, as fast as the browser takes it. A browser that goes away, or takes nothing for a minute, ends it.
async fn send(store: Store, filter: Filter, upto: i64, csv: bool, lines: mpsc::Sender<Bytes>) {
    let mut after = 0;
    let taken = async |piece: Bytes| matches!(timeout(STALLED, lines.send(piece)).await, Ok(Ok(())));
    if csv && !taken(Bytes::from_static(b"seq,at,actor,action,subject,detail,prev,hash\r\n")).await {
        return;
    }
    loop {
        let wanted = filter.clone();
        let read = store.read(move |conn| audit::after(conn, &wanted, after, upto, PIECE)).await;
        let (rows, next): (Vec<Row>, Option<i64>) = match read {
            Ok(read) => read,
            Err(error) => return broke_off(&error),
        };
        let text: String = rows.iter().map(|row| if csv { csv_line(row) } else { json_line(row) }).collect();
        if !text.is_empty() && !taken(text.into()).await {
            return;
        }
        match next {
            Some(next) => after = next,
            None => return,
        }
    }
}

fn broke_off(error: &StoreError) {
    tracing::error!(%error, "an export of the audit chain broke off");
}

/// As `threadline export audit` writes it.
fn json_line(row: &Row) -> String {
    let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let line = json!({
        "seq": row.seq, "at": row.at.to_string(), "actor": row.actor, "action": row.action, "subject": row.subject,
        "detail": detail, "prev": row.prev, "hash": row.hash,
    });
    format!("{line}\n")
}

fn csv_line(row: &Row) -> String {
    let (seq, at) = (row.seq.to_string(), row.at.to_string());
    let fields = [&seq, &at, &row.actor, &row.action, &row.subject, &row.detail, &row.prev, &row.hash];
    fields.map(|field| csv_field(field)).join(",") + "\r\n"
}

/// Quoted (RFC 4180), and harmless to spreadsheets, which take a field that begins so for a formula.
fn csv_field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// The answer's body: pieces as they come.
struct Lines(mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn whole(
    person: &Person,
    zone: &TimeZone,
    asked: &Asked,
    found: &Page,
    actors: &[String],
    actions: &[String],
) -> Markup {
    let words = words(person.ui);
    let choice = |name: &str, label: &str, chosen: &str, options: &[String], shown: &dyn Fn(&str) -> String| {
        html! {
            div {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    option value="" { (words.any) }
                    @for option in options {
                        option value=(option) selected[option == chosen] { (shown(option)) }
                    }
                }
            }
        }
    };
    let body = html! {
        h1 { (words.title) }
        p.faint { (words.about) }
        form.card method="post" action="/admin/audit" {
            div.filters {
                (choice("actor", words.actor, &asked.actor, actors, &|name| name.to_owned()))
                (choice("action", words.action, &asked.action, actions, &|name| words.action_in_words(name).to_owned()))
                div {
                    label for="subject" { (words.subject) }
                    input #subject name="subject" value=(asked.subject) maxlength="120" placeholder=(words.subject_hint);
                }
                div { label for="from" { (words.from) } input #from type="date" name="from" value=(asked.from); }
                div { label for="to" { (words.to) } input #to type="date" name="to" value=(asked.to); }
            }
            p.go { button type="submit" { (words.show) } }
        }
        (tools(words, asked))
        @if found.rows.is_empty() && !found.unfinished {
            p.empty { (words.nothing) }
        } @else {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { (words.row) }
                            th scope="col" { (words.when) }
                            th scope="col" { (words.actor) }
                            th scope="col" { (words.what) }
                            th scope="col" { (words.subject) }
                        }
                    }
                    tbody { @for row in &found.rows { (line(words, person, zone, row)) } }
                }
            }
        }
        @if found.unfinished { p.notice { (words.unfinished) } }
        @if let Some(before) = found.before { (older(words, asked, before)) }
    };
    page(person, Section::Admin, words.title, body)
}

fn tools(words: &Words, asked: &Asked) -> Markup {
    html! {
        div.bar {
            form method="post" action="/admin/audit/check" {
                button.second type="submit" title=(words.check_about) { (words.check) }
            }
            form.bar.push method="post" action="/admin/audit/export" title=(words.export_about) {
                (hidden(asked))
                button.second type="submit" name="format" value="json" { (words.json) }
                button.second type="submit" name="format" value="csv" { (words.csv) }
            }
        }
    }
}

fn hidden(asked: &Asked) -> Markup {
    let fields = [
        ("actor", &asked.actor),
        ("action", &asked.action),
        ("subject", &asked.subject),
        ("from", &asked.from),
        ("to", &asked.to),
    ];
    html! {
        @for (name, value) in fields {
            @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
        }
    }
}

fn older(words: &Words, asked: &Asked, before: i64) -> Markup {
    html! {
        form.more method="post" action="/admin/audit" {
            (hidden(asked))
            input type="hidden" name="before" value=(before);
            button.second type="submit" { (words.older) }
        }
    }
}

/// To the second: what came after what is the point of a record.
fn when(at: Timestamp, zone: &TimeZone) -> Markup {
    html! {
        time.number datetime=(at) { (at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S")) }
    }
}

fn line(words: &Words, person: &Person, zone: &TimeZone, row: &Row) -> Markup {
    let thread = row.subject.strip_prefix("thread:").filter(|_| person.may(Act::ReadThreads));
    html! {
        tr.audit-row {
            td.number { (row.seq) }
            td { (when(row.at, zone)) }
            td { (row.actor) }
            td {
                (words.action_in_words(&row.action))
                @for (name, value) in facts(&row.detail) {
                    " " span.fact { span.faint { (name) ": " } (theirs(&value, person.ui)) }
                }
            }
            td.small {
                @match thread {
                    Some(id) => a href={ "/threads/" (id) } { (row.subject) },
                    None => (theirs(&row.subject, person.ui)),
                }
            }
        }
    }
}

/// What a detail says, as pairs for people: without what is empty, ids by their beginnings. The export has all of it.
fn facts(detail: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(detail) else { return Vec::new() };
    let shown = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) if text.parse::<ThreadId>().is_ok() => {
            Some(format!("{}…", text.chars().take(8).collect::<String>()))
        }
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Array(all) if all.is_empty() => None,
        other => Some(other.to_string().replace('"', "")),
    };
    fields.into_iter().filter_map(|(name, value)| Some((name.replace('_', " "), shown(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_told_in_words() {
        let detail = r#"{"opened_by":"call","call":"01a20fc7-c9ac-7f92-a113-fa9e6a5a3232","reason":null,"filters":[]}"#;
        let told: Vec<String> = facts(detail).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["call=01a20fc7…", "opened by=call"]);
        assert_eq!((facts("{}").len(), facts("broken").len()), (0, 0));
    }

    #[test]
    fn a_spreadsheet_finds_no_formula() {
        for (field, written) in [
            ("ana", "\"ana\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("{\"a\":1}", "\"{\"\"a\"\":1}\""),
        ] {
            assert_eq!(csv_field(field), written);
        }
    }
}
