//! The day: who is here, what waits, who is on the phone, and what today came to.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::calls::placed::{party, stage};
use super::page::{self, Section};
use super::people;
use super::person::Person;
use super::problem::Problem;
use super::record::looked;
use super::route::{Access, Route};
use super::theirs::theirs;
use super::words::day::{self as words, Words};
use super::words::people as people_words;
use super::words::queue::{length, moment, open_length};
use super::{Files, Web};
use crate::call::registry::{InProgress, Way};
use crate::conversation::permission::Act;
use crate::conversation::promise::Promise;
use crate::model::Caller;
use crate::report::chart::{Bar, Bars};
use crate::report::today::{self, HourOfWaits, Share};
use crate::store::staff;
use crate::store::today::{self as rows, SignedIn, TeamWaits};

/// Whoever has done something within this is active now.
const ACTIVE: Duration = Duration::from_secs(5 * 60);
/// Whoever has done something within this is named.
const NAMED: Duration = Duration::from_secs(3600);
/// Calls shown at once.
const MOST_CALLS: usize = 50;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/day", Access::May(Act::SeeDay), show)]
}

/// What the page shows.
struct Day {
    people: Vec<SignedIn>,
    waits: Vec<TeamWaits>,
    chose_text: Share,
    closed: usize,
    resolve: Option<Duration>,
    voice: Share,
    hours: Vec<HourOfWaits>,
}

/// `GET /day`
async fn show(State(web): State<Web>, person: Person, headers: HeaderMap) -> Result<Response, Problem> {
    let (files, now) = ((web.files)(), web.clock.now().wall);
    let day = read(&web, files.clone(), now).await?;
    let part = draw(&person, &files, &day, &web.registry.list(), now);
    let is_part = page::is_fragment(&headers);
    // The numbers of whoever is on the phone.
    looked(&web, &person, is_part, "calls.viewed", "day", json!({ "rows": web.registry.count() }));
    if is_part {
        return Ok(part.into_response());
    }
    let words = words::words(person.ui);
    let body = html! {
        h1 { (words.title) }
        div #day { (part) }
        (leave(&web, &person, &files, now).await?)
    };
    Ok(page::page(&person, Section::Day, words.title, body).into_response())
}

/// Who is away, for those who may say so; not a part that renews itself, as one types in it.
async fn leave(web: &Web, person: &Person, files: &Files, now: Timestamp) -> Result<Markup, Problem> {
    if !person.may(Act::ManageDesk) {
        return Ok(html! {});
    }
    let staff = web.store.read(staff::list).await?;
    Ok(html! {
        section.card aria-labelledby="leave" {
            h2 #leave { (people_words::words(person.ui).leave) }
            @for one in staff.iter().filter(|one| one.disabled_at.is_none()) {
                details {
                    summary { (one.shown_as) }
                    (people::leave(one, &files.settings.clinic.timezone, person.ui, now))
                }
            }
        }
    })
}

async fn read(web: &Web, files: Files, now: Timestamp) -> Result<Day, Problem> {
    let read = web.store.read(move |conn| {
        let zone = &files.settings.clinic.timezone;
        let promise = Promise::new(files.settings.desk.answer_within, &files.tree);
        let midnight = now.to_zoned(zone.clone()).start_of_day().map_or(now, |start| start.timestamp());
        let closed = rows::closed(conn, midnight)?;
        Ok(Day {
            people: rows::signed_in(conn, before(now, NAMED))?,
            waits: rows::waits(conn, promise.late_since(now))?,
            chose_text: today::chose_text(&rows::calls(conn, midnight)?),
            resolve: today::time_to_resolve(&closed),
            voice: today::moved_to_voice(&closed),
            closed: closed.len(),
            hours: today::waits_by_hour(&rows::answered(conn, midnight)?, &promise, zone),
        })
    });
    Ok(read.await?)
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

fn draw(person: &Person, files: &Files, day: &Day, calls: &[InProgress], now: Timestamp) -> Markup {
    let words = words::words(person.ui);
    html! {
        div.numbers { (numbers(person, words, day)) }
        div.columns {
            div {
                (waits(person, words, files, &day.waits, now))
                (answers(words, files, &day.hours))
            }
            div {
                (on_the_phone(person, words, files, calls, now))
                (who(person, words, files, &day.people, now))
            }
        }
    }
}

fn numbers(person: &Person, words: &Words, day: &Day) -> Markup {
    let share = |share: Share| share.percent().map(|percent| format!("{percent}%"));
    let part = |share: Share, what: &str| format!("{} / {} {what}", share.part, share.of);
    let all = [
        (words.chose_text, share(day.chose_text), part(day.chose_text, words.of_callers), words.chose_text_how),
        (
            words.resolve,
            day.resolve.map(|time| length(person.ui, time)),
            format!("{} {}", day.closed, words.threads),
            words.resolve_how,
        ),
        (words.voice, share(day.voice), part(day.voice, words.of_threads), words.voice_how),
    ];
    html! {
        @for (name, value, of, how) in all {
            section.card.figure {
                h2 { (name) }
                @match value {
                    Some(value) => p.big { (value) },
                    None => p.big.faint { (words.nothing_yet) },
                }
                p.faint.small { (of) }
                details.small { summary { (words.how) } p { (how) } }
            }
        }
    }
}

fn waits(person: &Person, words: &Words, files: &Files, waits: &[TeamWaits], now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { (words.waits) }
            @if waits.is_empty() { p.faint { (words.nothing_waits) } } @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (words.team) } th scope="col" { (words.late) } th scope="col" { (words.oldest) }
                        th scope="col" { (words.waiting) } th scope="col" { (words.unassigned) }
                    } }
                    tbody { @for team in waits { tr {
                        th scope="row" { (team_name(files, words, team.team.as_deref())) }
                        td.number { @if team.late > 0 { span.badge.bad { (team.late) " " (words.of_them_late) } } @else { "0" } }
                        td.number { (length(person.ui, since(team.oldest, now))) }
                        td.number { (team.waiting) }
                        td.number { (team.unassigned) }
                    } } }
                } }
            }
        }
    }
}

fn team_name<'a>(files: &'a Files, words: &'a Words, team: Option<&'a str>) -> &'a str {
    let Some(name) = team else { return words.no_team };
    files.settings.teams.iter().find(|team| team.name == name).map_or(name, |team| &team.shown_as)
}

fn answers(words: &Words, files: &Files, hours: &[HourOfWaits]) -> Markup {
    let promised = files.settings.desk.answer_within;
    let in_minutes = |time: Duration| time.as_secs_f64() / 60.0;
    let (answered, in_time) = hours.iter().fold((0, 0), |(all, good), hour| (all + hour.answered, good + hour.in_time));
    let bars: Vec<Bar> = hours
        .iter()
        .map(|hour| Bar {
            label: format!("{}:00", hour.hour),
            value: in_minutes(hour.median),
            most: in_minutes(hour.longest),
        })
        .collect();
    let title = format!("{} ({})", words.answers, words.minutes);
    let in_time_words = format!("{}: {in_time} / {answered}", words.in_time);
    let line_label = format!("{} {}", open_length(promised), words.promise);
    let chart = Bars {
        title: &title,
        description: &in_time_words,
        line_label: &line_label,
        line: in_minutes(promised),
        bars: &bars,
    };
    html! {
        section.card {
            h2 { (words.answers) }
            @if hours.is_empty() { p.faint { (words.no_answers) } } @else {
                p { (in_time_words) }
                // Made by `report::chart`, which escapes its words.
                div.scroll { (PreEscaped(chart.svg())) }
                div.scroll { table.small {
                    thead { tr {
                        th scope="col" { (words.hour) } th scope="col" { (words.answered) } th scope="col" { (words.in_time) }
                        th scope="col" { (words.median) } th scope="col" { (words.longest) }
                    } }
                    tbody { @for hour in hours { tr {
                        th scope="row" { (hour.hour) ":00" }
                        td.number { (hour.answered) } td.number { (hour.in_time) }
                        td.number { (open_length(hour.median)) } td.number { (open_length(hour.longest)) }
                    } } }
                } }
            }
            details.small { summary { (words.how) } p { (words.answers_how) } }
        }
    }
}

fn on_the_phone(person: &Person, words: &Words, files: &Files, calls: &[InProgress], now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { a href="/calls" { (words.calls) } " " span.count { (calls.len()) } }
            @if calls.is_empty() { p.faint { (words.no_calls) } } @else {
                ul.calls role="list" { @for call in calls.iter().take(MOST_CALLS) {
                    li {
                        @match &call.way {
                            Way::In(inbound) => {
                                span.number { (theirs(&caller(person, words, files, &inbound.from), person.ui)) }
                                " " span.faint.small { (length(person.ui, since(call.since, now))) }
                                br;
                                @match &inbound.node {
                                    Some(node) => { code { (node) } " " span.faint.small { (length(person.ui, since(inbound.node_since, now))) } }
                                    None => span.faint { (words.answering) },
                                }
                            }
                            Way::Out(placed) => {
                                span.number { (theirs(&party(person, files, &placed.by), person.ui)) " → " (theirs(&party(person, files, &placed.to), person.ui)) }
                                " " span.faint.small { (length(person.ui, since(call.since, now))) }
                                br;
                                span.faint { (stage(person.ui, placed)) }
                                " " span.faint.small { (length(person.ui, since(placed.stage_since, now))) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Who is calling; whoever may not read threads sees the last two digits.
pub(super) fn caller(person: &Person, words: &Words, files: &Files, caller: &Caller) -> String {
    let full = person.may(Act::ReadThreads);
    match caller {
        Caller::Number(number) if full => number.shown_in(files.settings.clinic.country),
        Caller::Number(number) => {
            let digits = number.as_str();
            format!("…{}", digits.get(digits.len().saturating_sub(2)..).unwrap_or_default())
        }
        Caller::Other(name) if full => name.expose().clone(),
        Caller::Other(_) | Caller::Anonymous => words.hidden_caller.to_owned(),
    }
}

fn who(person: &Person, words: &Words, files: &Files, people: &[SignedIn], now: Timestamp) -> Markup {
    let zone = &files.settings.clinic.timezone;
    html! {
        section.card {
            h2 { (words.people) " " span.count { (people.len()) } }
            @if people.is_empty() { p.faint { (words.nobody_here) } } @else {
                ul.people role="list" { @for one in people {
                    li {
                        (one.shown_as)
                        @if let Some(team) = &one.team { span.faint.small { " · " (team_name(files, words, Some(team))) } }
                        " "
                        @if let Some(until) = one.away_until.filter(|until| now < *until) {
                            span.badge.warn { (words.away) " " (moment(person.ui, until, now, zone)) }
                        } @else if since(one.seen_at, now) <= ACTIVE {
                            span.badge.good { (words.active_now) }
                        } @else {
                            span.badge.plain { (words.last_active) " " (moment(person.ui, one.seen_at, now, zone)) }
                        }
                    }
                } }
            }
        }
    }
}
