//! Work on several threads at once.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::clock::Now;
use crate::conversation::promise::opening_hours;
use crate::model::ThreadId;
use crate::store::threads;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::queue::{self as words, Words};
use crate::web::{Files, Web, page};

/// Threads at once: two pages of the list. What was selected beyond is left as it is.
const MOST: usize = 100;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Take,
    Close,
    Snooze(Timestamp),
}

/// What can be done with the rows that are selected.
pub fn bar(words: &Words) -> Markup {
    html! {
        div.bar.bulk role="group" aria-label=(words.with_selected) {
            span.small { (words.with_selected) }
            button.second type="submit" name="do" value="take" { (words.take) }
            button.second type="submit" name="do" value="close" { (words.close) }
            button.second type="submit" name="do" value="snooze" { (words.snooze) }
            label.hidden for="until" { (words.snooze_until) }
            select #until name="until" {
                option value="hour" { (words.in_an_hour) }
                option value="open" { (words.next_opening) }
                option value="week" { (words.in_a_week) }
            }
        }
    }
}

/// `POST /threads/bulk`: `thread` once for each, `do` and, to snooze, `until`; back to the list.
pub async fn work(
    State(web): State<Web>,
    person: Person,
    headers: HeaderMap,
    form: String,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let fields: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let selected = fields.iter().filter(|(name, _)| name == "thread");
    let threads: Vec<ThreadId> = selected.filter_map(|(_, id)| id.parse().ok()).take(MOST).collect();
    if threads.is_empty() {
        return Err(Problem::refused(words.nothing_selected));
    }
    let now = web.clock.now();
    let work = match field("do") {
        "take" => Work::Take,
        "close" => Work::Close,
        "snooze" => Work::Snooze(until(field("until"), &(web.files)(), now)),
        _ => return Err(Problem::refused(words.nothing_selected)),
    };
    let (actor, at) = (person.name.clone(), now.wall);
    let done = web
        .store
        .write(move |tx| {
            let mut done = 0;
            for thread in threads {
                let changed = match work {
                    Work::Take => threads::assign(tx, thread, Some(&actor), actor.as_str(), at)?,
                    Work::Close => threads::close(tx, thread, "closed", actor.as_str(), at)?,
                    Work::Snooze(until) => threads::snooze(tx, thread, until, actor.as_str(), at)?,
                };
                done += usize::from(changed);
            }
            Ok(done)
        })
        .await?;
    if page::is_fragment(&headers) {
        return Ok((StatusCode::OK, words::done(person.ui, done)).into_response());
    }
    // Only a list of ours: an address from a form leads nowhere else.
    let back = Some(field("back")).filter(|back| back.starts_with("/?")).unwrap_or("/");
    Ok(Redirect::to(back).into_response())
}

fn until(asked: &str, files: &Files, now: Now) -> Timestamp {
    let hour = Duration::from_secs(3600);
    let opening = || {
        let zone = &files.settings.clinic.timezone;
        let mut stretches = opening_hours(&files.tree)?.stretches(now.wall, zone);
        stretches.find(|stretch| stretch.from > now.wall).map(|stretch| stretch.from)
    };
    match asked {
        "open" => opening().unwrap_or(now.later(12 * hour).wall),
        "week" => now.later(7 * 24 * hour).wall,
        _ => now.later(hour).wall,
    }
}
