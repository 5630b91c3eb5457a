//! Work on several threads at once.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::clock::Now;
use crate::conversation::deeds::{self, Deed, NotDone};
use crate::conversation::promise::opening_hours;
use crate::model::{Resolution, StaffName, ThreadId};
use crate::store::threads;
use crate::web::form::Form;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::Ui;
use crate::web::words::queue::{self as words, Words};
use crate::web::words::thread_work;
use crate::web::{Files, Web, page};

/// Threads at once: two pages of the list. What was selected beyond is left as it is.
const MOST: usize = 100;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Take,
    Close(Resolution),
    Snooze(Timestamp),
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// So many threads are changed, or were so already.
    pub done: usize,
    /// So many were left because words in them call for a person at once.
    pub flagged: usize,
    /// So many were left because the patient waits.
    pub waiting: usize,
    /// So many were left because they are somebody's since the list was read.
    pub taken: usize,
    /// So many were closed or merged meanwhile.
    pub gone: usize,
}

/// How a row's box names its thread, and whose it is on this page.
pub fn row(thread: ThreadId, owner: Option<&StaffName>) -> String {
    owner.map_or_else(|| thread.to_string(), |owner| format!("{thread}/{owner}"))
}

fn read_row(text: &str) -> Option<(ThreadId, Option<StaffName>)> {
    let (thread, owner) = text.split_once('/').unwrap_or((text, ""));
    Some((thread.parse().ok()?, StaffName::parse(owner).ok()))
}

/// What can be done with the rows that are selected.
pub fn bar(ui: Ui, words: &Words) -> Markup {
    html! {
        div.bar.bulk role="group" aria-label=(words.with_selected) {
            span.small { (words.with_selected) }
            button.second type="submit" name="do" value="take" { (words.take) }
            button.second type="submit" name="do" value="close" { (words.close) }
            label.hidden for="resolution" { (words.close_as) }
            select #resolution name="resolution" {
                @for how in Resolution::CHOICES { option value=(how.as_str()) { (thread_work::resolution(ui, how)) } }
            }
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

/// `POST /threads/bulk`: `thread` once for each, `do` and with it `resolution` or `until`; back to the list. What must
/// not be done with a thread is left, and said.
pub async fn work(
    State(web): State<Web>,
    person: Person,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let selected = fields.iter().filter(|(name, _)| name == "thread");
    let threads: Vec<_> = selected.filter_map(|(_, row)| read_row(row)).take(MOST).collect();
    if threads.is_empty() {
        return Err(Problem::refused(words.nothing_selected));
    }
    let now = web.clock.now();
    let work = match field("do") {
        "take" => Work::Take,
        "close" => match Resolution::chosen(field("resolution")) {
            Some(how) => Work::Close(how),
            None => return Err(Problem::refused(thread_work::words(person.ui).bad_resolution)),
        },
        "snooze" => Work::Snooze(until(field("until"), &(web.files)(), now)),
        _ => return Err(Problem::refused(words.nothing_selected)),
    };
    let (actor, at) = (person.name.clone(), now.wall);
    let outcome = web
        .store
        .write(move |tx| {
            let mut outcome = Outcome::default();
            for (thread, seen) in threads {
                let Some(found) = threads::find(tx, thread)? else { continue };
                let deed = match work {
                    Work::Take => Deed::Take { by: &actor, seen: seen.as_ref() },
                    Work::Close(_) => Deed::CloseUnseen,
                    Work::Snooze(_) => Deed::Snooze,
                };
                match deeds::may(deed, &found.standing()) {
                    Ok(()) => outcome.done += 1,
                    Err(why) => {
                        match why {
                            NotDone::Flagged => outcome.flagged += 1,
                            NotDone::Waiting => outcome.waiting += 1,
                            NotDone::Taken(_) => outcome.taken += 1,
                            NotDone::Merged | NotDone::Closed | NotDone::OtherOpen | NotDone::Unexplained => {
                                outcome.gone += 1;
                            }
                        }
                        continue;
                    }
                }
                match work {
                    Work::Take => threads::assign(tx, thread, Some(&actor), actor.as_str(), at)?,
                    Work::Close(how) => threads::close(tx, thread, how, actor.as_str(), at)?,
                    Work::Snooze(until) => threads::snooze(tx, thread, until, actor.as_str(), at)?,
                };
            }
            Ok(outcome)
        })
        .await?;
    let said = words::done(person.ui, &outcome);
    if page::is_fragment(&headers) {
        return Ok((StatusCode::OK, said).into_response());
    }
    // Only a list of ours: an address from a form leads nowhere else.
    let back = Some(field("back")).filter(|back| back.starts_with("/?")).unwrap_or("/");
    if outcome == (Outcome { done: outcome.done, ..Outcome::default() }) {
        return Ok(Redirect::to(back).into_response());
    }
    // Without a script, what was left is said on a page of its own.
    let body = html! { p.notice.warn role="alert" { (said) } p { a href=(back) { (words.title) } } };
    Ok(page::page(&person, page::Section::Inbox, words.title, body).into_response())
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
