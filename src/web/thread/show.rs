//! The page and its parts. Opening the page is put on record; a script that refreshes a part of it is not.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::opened::{Opened, read};
use super::text::Times;
use super::timeline::{Around, others, timeline as draw};
use super::{Answer, side, told};
use crate::conversation::permission::Act;
use crate::model::{ThreadId, ThreadState};
use crate::store::timeline::{self as store_timeline, Place, Timeline};
use crate::store::{Connection, drafts, threads};
use crate::web::compose::{Compose, InThread, Place as Writing, compose, offered, refused};
use crate::web::form::{Path, Query};
use crate::web::page::{self, Section, is_fragment};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::theirs::{plain, theirs};
use crate::web::words::refusal::reason;
use crate::web::words::{compose as sentences, thread, thread_work};
use crate::web::{Files, Web};

/// The box as it shall be shown: by itself, or after a try that failed.
#[derive(Debug, Default)]
pub struct Shown {
    /// What is in it instead of the kept draft.
    pub words: Option<String>,
    /// What is to be said.
    pub notice: Option<Markup>,
    /// A note was being written.
    pub note: bool,
}

/// `GET /threads/{id}`
pub async fn thread(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    if is_fragment(&headers) {
        return Ok(compose_part(&web, &person, id, Shown::default()).await.map_err(told(&person))?.into_response());
    }
    let (opened, page) = whole(&web, &person, id, Shown::default()).await.map_err(told(&person))?;
    if let Some(into) = opened.thread.merged_into {
        return Ok(Redirect::to(&format!("/threads/{into}")).into_response());
    }
    let (name, now) = (person.name, web.clock.now().wall);
    web.store.try_write_detached("thread.viewed", move |tx| threads::viewed(tx, id, &name, now));
    Ok(page.into_response())
}

/// The page with the box as it shall be: after a try that failed, with its `status`.
pub async fn again(
    web: &Web,
    person: &Person,
    headers: &HeaderMap,
    id: ThreadId,
    status: StatusCode,
    shown: Shown,
) -> Response {
    if is_fragment(headers) {
        return match compose_part(web, person, id, shown).await {
            Ok(part) => (status, part).into_response(),
            Err(problem) => problem.for_person(person),
        };
    }
    match whole(web, person, id, shown).await {
        Ok((_, page)) => {
            looked(web, person, id);
            (status, page).into_response()
        }
        Err(problem) => problem.for_person(person),
    }
}

async fn whole(web: &Web, person: &Person, id: ThreadId, shown: Shown) -> Result<(Opened, Markup), Problem> {
    let files = (web.files)();
    let times = times(web, person, &files);
    let name = person.name.clone();
    let (opened, timeline, draft) = read(web, &files, id, move |conn, thread| {
        Ok((store_timeline::page(conn, thread, None)?, drafts::find(conn, &name, thread.id)?))
    })
    .await
    .map(|(opened, (timeline, draft))| (opened, timeline, draft))?;
    let words = thread::words(person.ui);
    let draft = shown.words.unwrap_or_else(|| draft.map(|draft| draft.into_inner()).unwrap_or_default());
    let body = html! {
        article #thread data-thread=(id) {
            div #head { (heading(&opened, person, &files, &times)) }
            div.columns {
                div {
                    (earlier_threads(&opened, person, &times))
                    section aria-labelledby="what" {
                        h2.hidden #what { (words.timeline) }
                        div #timeline { (drawn(&opened, person, &files, &times, &timeline, &format!("/threads/{id}/timeline"))) }
                    }
                    section #compose.card aria-label=(words.answer) {
                        (answer_box(&opened, person, &files, &times, timeline.version, &draft, shown.note, shown.notice))
                    }
                }
                aside #side { (side::side(&opened, person, &files.settings, &times)) }
            }
        }
    };
    Ok((opened, page::page(person, Section::Inbox, words.title, body)))
}

/// The box alone.
async fn compose_part(web: &Web, person: &Person, id: ThreadId, shown: Shown) -> Result<Markup, Problem> {
    let files = (web.files)();
    let times = times(web, person, &files);
    let name = person.name.clone();
    let (opened, (version, draft)) = read(web, &files, id, move |conn, thread| {
        Ok((store_timeline::version(conn, thread.id)?, drafts::find(conn, &name, thread.id)?))
    })
    .await?;
    let draft = shown.words.unwrap_or_else(|| draft.map(|draft| draft.into_inner()).unwrap_or_default());
    Ok(answer_box(&opened, person, &files, &times, version, &draft, shown.note, shown.notice))
}

#[allow(clippy::too_many_arguments)] // The page's parts, each once.
fn answer_box(
    opened: &Opened,
    person: &Person,
    files: &Files,
    times: &Times,
    version: i64,
    draft: &str,
    note: bool,
    notice: Option<Markup>,
) -> Markup {
    let words = thread::words(person.ui);
    if !person.may(Act::WorkThreads) {
        return html! { p.faint { (words.read_only) } };
    }
    let sentences = sentences::words(person.ui);
    let refusal = opened.refusal(&files.settings.sms.from);
    html! {
        @if let Some(notice) = notice { (notice) }
        @if let Some(refusal) = &refusal {
            p.notice.warn { strong { (words.cannot_text) } " " (refused(refusal, sentences)) }
        }
        (compose(&Compose {
            place: Writing::Thread(opened.thread.id),
            draft,
            in_thread: Some(InThread { version, note, shut: refusal.is_some() }),
            does: words.answer,
            templates: &offered(files, false),
            times,
            words: sentences,
        }))
    }
}

/// `GET /threads/{id}/timeline`, and with `?before=` the page before.
pub async fn timeline(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    Query(query): Query<Before>,
    headers: HeaderMap,
) -> Answer {
    let before: Option<Place> = match query.before.as_deref().map(str::parse).transpose() {
        Ok(before) => before,
        Err(_) => return Err(told(&person)(Problem::NotFound)),
    };
    let whole_page = !is_fragment(&headers);
    let part = entries(&web, &person, id, before, &format!("/threads/{id}/timeline")).await.map_err(told(&person))?;
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    web.store.try_write_detached("thread.viewed", move |tx| match whole_page {
        true => threads::viewed(tx, id, &name, now),
        false => threads::refreshed(tx, id, &name, now),
    });
    if !whole_page {
        return Ok(part.into_response());
    }
    // Without a script: the earlier page stands alone, with the way back.
    let words = thread::words(person.ui);
    let body = html! {
        p { a href={ "/threads/" (id) } { (words.newest) } }
        section aria-label=(words.timeline) { (part) }
    };
    Ok(page::page(&person, Section::Inbox, words.title, body).into_response())
}

/// What comes before which place.
#[derive(Debug, Deserialize)]
pub struct Before {
    before: Option<String>,
}

/// `GET /threads/{id}/earlier/{other}`: an earlier conversation of the same number, in its place on the page.
pub async fn earlier(
    State(web): State<Web>,
    person: Person,
    Path((id, other)): Path<(ThreadId, ThreadId)>,
    headers: HeaderMap,
) -> Answer {
    if !is_fragment(&headers) {
        return Ok(Redirect::to(&format!("/threads/{other}")).into_response());
    }
    let same = move |conn: &Connection| {
        let (this, that) = (threads::find(conn, id)?, threads::find(conn, other)?);
        Ok(this.zip(that).is_some_and(|(this, that)| this.number == that.number))
    };
    if !web.store.read(same).await.map_err(Problem::from).map_err(told(&person))? {
        return Err(told(&person)(Problem::NotFound));
    }
    let path = format!("/threads/{other}/timeline");
    let part = entries(&web, &person, other, None, &path).await.map_err(told(&person))?;
    let (name, now) = (person.name, web.clock.now().wall);
    web.store.try_write_detached("thread.viewed", move |tx| threads::viewed(tx, other, &name, now));
    Ok(part.into_response())
}

async fn entries(
    web: &Web,
    person: &Person,
    id: ThreadId,
    before: Option<Place>,
    path: &str,
) -> Result<Markup, Problem> {
    let files = (web.files)();
    let times = times(web, person, &files);
    let (opened, timeline): (Opened, Timeline) =
        read(web, &files, id, move |conn, thread| store_timeline::page(conn, thread, before.as_ref())).await?;
    Ok(drawn(&opened, person, &files, &times, &timeline, path))
}

/// `GET /threads/{id}/side`
pub async fn side(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>) -> Answer {
    let files = (web.files)();
    let times = times(&web, &person, &files);
    let (opened, ()) = read(&web, &files, id, |_, _| Ok(())).await.map_err(told(&person))?;
    looked(&web, &person, id);
    Ok(side::side(&opened, &person, &files.settings, &times).into_response())
}

/// `GET /threads/{id}/head`
pub async fn head(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>) -> Answer {
    let files = (web.files)();
    let times = times(&web, &person, &files);
    let (opened, ()) = read(&web, &files, id, |_, _| Ok(())).await.map_err(told(&person))?;
    looked(&web, &person, id);
    Ok(heading(&opened, &person, &files, &times).into_response())
}

/// A part of a thread was shown.
pub(super) fn looked(web: &Web, person: &Person, id: ThreadId) {
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    web.store.try_write_detached("thread.viewed", move |tx| threads::refreshed(tx, id, &name, now));
}

/// How this person's page writes times.
pub fn times(web: &Web, person: &Person, files: &Files) -> Times {
    Times { zone: files.settings.clinic.timezone.clone(), ui: person.ui, now: web.clock.now().wall }
}

fn drawn(opened: &Opened, person: &Person, files: &Files, times: &Times, timeline: &Timeline, path: &str) -> Markup {
    let around = Around {
        thread: opened.thread.id,
        version: timeline.version,
        times,
        words: thread::words(person.ui),
        names: &opened.names(),
        others: &others(
            opened.merged.iter().filter(|part| part.number != opened.thread.number),
            files.settings.clinic.country,
        ),
        works: person.may(Act::WorkThreads),
        hears: person.may(Act::HearMessages),
        deletes: person.may(Act::DeleteMessages),
        listens: person.may(Act::HearRecordings),
        files,
    };
    draw(&around, timeline, path)
}

fn heading(opened: &Opened, person: &Person, files: &Files, times: &Times) -> Markup {
    let words = thread::words(person.ui);
    let thread = &opened.thread;
    let state = match thread.state {
        ThreadState::Open => html! { span.badge.good { (words.open) } },
        ThreadState::Snoozed => {
            let until = thread.snoozed_until.map(|at| times.short(at)).unwrap_or_default();
            html! { span.badge.warn { ((words.snoozed)(&until)) } }
        }
        ThreadState::Closed => {
            let how = thread.resolution.map(|how| thread_work::resolution(person.ui, how));
            html! { span.badge.plain { ((words.closed)(how.unwrap_or_default())) } }
        }
    };
    html! {
        h1 {
            @if opened.people.is_empty() { span.faint { (words.unnamed) } }
            @for (index, contact) in opened.people.iter().enumerate() {
                @if index > 0 { (words.and) }
                (theirs(&contact.name, person.ui))
                @if let Some(whom) = &contact.on_behalf_of { " " span.faint { ((words.for_whom)(&plain(whom))) } }
            }
            " " bdi.number.faint { (thread.number.shown_in(files.settings.clinic.country)) }
        }
        p.bar {
            (state)
            @if let Some(owner) = &thread.owner { span.badge { (theirs(&opened.name(owner), person.ui)) } }
            @if thread.escalated_at.is_some() && thread.state != ThreadState::Closed { span.badge.bad { (words.escalated) } }
            @if let Some(at) = thread.follow_up_at { span.badge.warn { ((words.follow_up)(&times.short(at))) } }
            @if let Some(since) = thread.waiting_since { span.faint { ((words.waiting)(&times.short(since))) } }
        }
        @if let Some(flag) = &thread.red_flag { p.notice.bad role="alert" { ((words.red_flag)(&plain(flag))) } }
        @if let Some(why) = &thread.undeliverable { p.notice.bad { (words.undeliverable) " " (reason(person.ui, why)) } }
        @if thread.close_offered_at.is_some() { p.notice { (words.offered) } }
    }
}

fn earlier_threads(opened: &Opened, person: &Person, times: &Times) -> Markup {
    let words = thread::words(person.ui);
    html! {
        @if !opened.earlier.is_empty() {
            section aria-label=(words.earlier_threads) {
                @for other in opened.earlier.iter().rev() {
                    details.before data-part={ "/threads/" (opened.thread.id) "/earlier/" (other.id) } {
                        @let how = other.resolution.map_or(words.open, |how| thread_work::resolution(person.ui, how));
                        summary { ((words.earlier_thread)(&times.date(other.opened_at), how)) }
                        div { p { a href={ "/threads/" (other.id) } { (words.open_it) } } }
                    }
                }
            }
        }
    }
}
