//! The queue: who waits, for how long, and who sees to it. `row` draws one thread, `bulk` works several at once,
//! `filter` names the words that a list is filtered by.

mod bulk;
mod filter;
mod row;

pub use bulk::Outcome;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::page::{self, Section};
use super::person::Person;
use super::problem::Problem;
use super::record::looked;
use super::route::{Access, Route};
use super::theirs::theirs;
use super::words::Ui;
use super::words::queue::{self as words, Words};
use crate::conversation::permission::Act;
use crate::settings::Team;
use crate::store::labels::{self, Labels};
use crate::store::queue::{self, Filter, MOST_COUNTED, Page, Place, View};
use crate::store::staff::{self, Wishes};
use crate::web::form::{Form, Query};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/", Access::SignedIn, show),
        Route::get("/queue/needs", Access::May(Act::ReadThreads), needs),
        Route::post("/queue/wishes", Access::May(Act::ReadThreads), wishes),
        Route::post("/threads/bulk", Access::May(Act::WorkThreads), bulk::work),
    ]
}

/// What is asked for in the address: names of views and teams, and a place in a list; tags and reasons, which somebody
/// typed, as [`filter`] names them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    view: String,
    tag: Option<String>,
    reason: Option<String>,
    team: Option<String>,
    after: Option<String>,
}

/// A view as the address names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Mine,
    Unassigned,
    Team,
    All,
    Snoozed,
    Closed,
}

impl Tab {
    const ALL: [Tab; 6] = [Tab::Mine, Tab::Unassigned, Tab::Team, Tab::All, Tab::Snoozed, Tab::Closed];

    fn name(self) -> &'static str {
        match self {
            Tab::Mine => "mine",
            Tab::Unassigned => "unassigned",
            Tab::Team => "team",
            Tab::All => "all",
            Tab::Snoozed => "snoozed",
            Tab::Closed => "closed",
        }
    }

    fn shown(self, words: &Words) -> &'static str {
        match self {
            Tab::Mine => words.mine,
            Tab::Unassigned => words.unassigned,
            Tab::Team => words.team,
            Tab::All => words.all,
            Tab::Snoozed => words.snoozed,
            Tab::Closed => words.closed,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Tab::Mine => "g m",
            Tab::Unassigned => "g u",
            Tab::Team => "g t",
            Tab::All => "g l",
            Tab::Snoozed => "g s",
            Tab::Closed => "g c",
        }
    }

    fn empty(self, words: &Words) -> &'static str {
        match self {
            Tab::Mine => words.empty_mine,
            Tab::Unassigned => words.empty_unassigned,
            Tab::Team => words.empty_team,
            Tab::All => words.empty_all,
            Tab::Snoozed => words.empty_snoozed,
            Tab::Closed => words.empty_closed,
        }
    }

    /// What it lists for `person`; none: they are in no team.
    fn view(self, person: &Person) -> Option<View> {
        Some(match self {
            Tab::Mine => View::Of(person.name.clone()),
            Tab::Unassigned => View::Unassigned,
            Tab::Team => View::Team(person.team.clone()?),
            Tab::All => View::All,
            Tab::Snoozed => View::Snoozed,
            Tab::Closed => View::Closed,
        })
    }
}

/// What the page shows.
struct List {
    tab: Tab,
    filter: Filter,
    /// A filter was asked for that fits no thread any more.
    is_gone: bool,
    /// Whose addresses they are.
    session: String,
    counts: Vec<(Tab, u32)>,
    choices: Labels,
    page: Page,
    wishes: Wishes,
    is_first: bool,
}

impl List {
    /// The address of the list's first page, filtered so.
    fn address(&self, filter: &Filter) -> String {
        let (view, query) = (self.tab.name(), filter::query(&self.session, filter));
        format!("/?view={view}{}{query}", if query.is_empty() { "" } else { "&" })
    }

    /// As it is.
    fn here(&self) -> String {
        self.address(&self.filter)
    }
}

/// `GET /`
async fn show(
    State(web): State<Web>,
    person: Person,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !person.may(Act::ReadThreads) {
        // An admin's work begins elsewhere.
        return Ok(Redirect::to("/day").into_response());
    }
    let list = read(&web, &person, asked).await?;
    let part = draw(&web, &person, &list);
    let is_part = page::is_fragment(&headers);
    let seen = json!({ "view": list.tab.name(), "rows": list.page.rows.len() });
    looked(&web, &person, is_part, "queue.viewed", "queue", seen);
    if is_part {
        return Ok(part.into_response());
    }
    let words = words::words(person.ui);
    let body = html! {
        h1.hidden { (words.title) }
        section #queue data-url=(list.here()) data-first[list.is_first] aria-label=(words.title) { (part) }
    };
    Ok(page::page(&person, Section::Inbox, words.title, body).into_response())
}

async fn read(web: &Web, person: &Person, asked: Asked) -> Result<List, Problem> {
    let person = person.clone();
    let read = web.store.read(move |conn| {
        let mut counts = Vec::new();
        for tab in Tab::ALL {
            // What is closed is without end: nobody counts it.
            if let Some(view) = tab.view(&person).filter(|_| tab != Tab::Closed) {
                counts.push((tab, queue::count(conn, &view)?));
            }
        }
        let named = Tab::ALL.into_iter().find(|tab| tab.name() == asked.view);
        let has_own = counts.iter().any(|(tab, count)| *tab == Tab::Mine && *count > 0);
        let tab = named.unwrap_or(if has_own { Tab::Mine } else { Tab::Unassigned });
        // Without a team, a team's list is the list of all.
        let view = tab.view(&person).unwrap_or(View::All);
        let after = asked.after.as_deref().and_then(Place::parse);
        // What is closed is searched, not filtered.
        let (choices, (filter, is_gone)) = if tab == Tab::Closed {
            (Labels::default(), (NO_FILTER, false))
        } else {
            let choices = labels::of_view(conn, &view)?;
            let words = filter::Asked {
                tag: asked.tag.as_deref(),
                reason: asked.reason.as_deref(),
                team: asked.team.as_deref(),
            };
            let chosen = filter::chosen(&person.session, words, &choices);
            (choices, chosen)
        };
        Ok(List {
            tab,
            choices,
            page: queue::page(conn, &view, &filter, &person.name, after)?,
            wishes: staff::wishes(conn, &person.name)?,
            counts,
            filter,
            is_gone,
            session: person.session,
            is_first: after.is_none(),
        })
    });
    Ok(read.await?)
}

const NO_FILTER: Filter = Filter { tag: None, reason: None, team: None };

fn draw(web: &Web, person: &Person, list: &List) -> Markup {
    let (words, files) = (words::words(person.ui), (web.files)());
    let works = person.may(Act::WorkThreads);
    let rows = row::rows(web, person, &files, &list.page.rows);
    html! {
        (tabs(words, list))
        (bar(person.ui, words, list, &files.settings.teams))
        @if list.is_gone { p.notice role="status" { (words.filter_gone) } }
        @if list.page.rows.is_empty() {
            p.empty { (if list.filter == NO_FILTER { list.tab.empty(words) } else { words.empty_filter }) }
        } @else if works && list.tab != Tab::Closed {
            form #bulk method="post" action="/threads/bulk" {
                input type="hidden" name="back" value=(list.here());
                (rows)
                (bulk::bar(person.ui, words))
            }
        } @else {
            (rows)
        }
        nav.bar {
            @if !list.is_first { a.button.second #first href=(list.here()) { (words.first) } }
            @if let Some(next) = list.page.next {
                a.button.second.push #more rel="next" href={ (list.here()) "&after=" (next) } { (words.more) }
            }
        }
    }
}

fn tabs(words: &Words, list: &List) -> Markup {
    let count = |tab: Tab| list.counts.iter().find(|(counted, _)| *counted == tab).map(|(_, count)| *count);
    html! {
        nav aria-label=(words.views) {
            ul.tabs role="list" {
                @for tab in Tab::ALL {
                    @if tab == Tab::Closed || count(tab).is_some() {
                        li {
                            a #{ "tab-" (tab.name()) } href={ "/?view=" (tab.name()) } data-key=(tab.key()) data-does=(tab.shown(words))
                                aria-current=[(tab == list.tab).then_some("page")] {
                                (tab.shown(words))
                                @if let Some(count) = count(tab).filter(|count| *count > 0) {
                                    " " span.count {
                                        @if count >= MOST_COUNTED { (count - 1) "+" } @else { (count) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bar(ui: Ui, words: &Words, list: &List, teams: &[Team]) -> Markup {
    let filter = &list.filter;
    let set: Vec<(&str, &str)> = [
        (words.filter_tag, filter.tag.as_deref()),
        (words.filter_reason, filter.reason.as_deref()),
        (words.filter_team, filter.team.as_deref()),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some((what, value?)))
    .collect();
    let link = |filter: Filter, text: &str| html! { a.badge href=(list.address(&filter)) { (theirs(text, ui)) } };
    html! {
        div.bar.tools {
            @if list.tab != Tab::Closed {
                details.filter {
                    summary { (words.filter) }
                    div.card {
                        @for (what, values) in [(words.filter_reason, &list.choices.reasons), (words.filter_tag, &list.choices.tags)] {
                            @if !values.is_empty() {
                                p { span.faint { (what) } @for value in values {
                                    " " (link(match what == words.filter_tag {
                                        true => Filter { tag: Some(value.clone()), ..filter.clone() },
                                        false => Filter { reason: Some(value.clone()), ..filter.clone() },
                                    }, value))
                                } }
                            }
                        }
                        @if !teams.is_empty() {
                            p { span.faint { (words.filter_team) } @for team in teams {
                                " " (link(Filter { team: Some(team.name.clone()), ..filter.clone() }, &team.shown_as))
                            } }
                        }
                        @if list.choices.more { p { a href="/search" { (words.more_labels) } } }
                        @if list.choices == Labels::default() && teams.is_empty() { p.faint { (words.nothing_to_filter) } }
                    }
                }
            }
            @if !set.is_empty() {
                @for (what, value) in set { span.badge.plain { (what) ": " (theirs(value, ui)) } }
                a href=(list.address(&NO_FILTER)) { (words.no_filter) }
            }
            form.push #wishes method="post" action="/queue/wishes" data-sound[list.wishes.sound] data-notify[list.wishes.notifications]
                data-blocked=(words.notify_blocked) data-ask=(words.notify_ask) {
                (switch("sound", list.wishes.sound, words.sound_on, words.sound_off))
                (switch("notify", list.wishes.notifications, words.notify_on, words.notify_off))
            }
            // Keys without a place on the screen.
            button.hidden type="button" tabindex="-1" aria-hidden="true" data-key="j" data-does=(words.next_thread) data-queue="next" {}
            button.hidden type="button" tabindex="-1" aria-hidden="true" data-key="k" data-does=(words.previous_thread) data-queue="previous" {}
            button.hidden type="button" tabindex="-1" aria-hidden="true" data-key="x" data-does=(words.select_thread) data-queue="select" {}
        }
    }
}

/// A switch whose words say how it stands; pressing it asks for the other.
fn switch(name: &str, on: bool, when_on: &str, when_off: &str) -> Markup {
    html! {
        button.quiet.small #{ "wish-" (name) } type="submit" name=(name) value=(if on { "off" } else { "on" }) aria-pressed=(on) {
            (if on { when_on } else { when_off })
        }
    }
}

/// `GET /queue/needs`: how many wait for this person, and since when the newest; for the tab's title and the sound.
async fn needs(State(web): State<Web>, person: Person) -> Result<Response, Problem> {
    let name = person.name.clone();
    let (needs, wishes) =
        web.store.read(move |conn| Ok((queue::needs(conn, &name)?, staff::wishes(conn, &name)?))).await?;
    let newest = needs.newest.map(|at| at.as_microsecond());
    let (sound, notify) = (wishes.sound, wishes.notifications);
    Ok(Json(json!({ "waiting": needs.waiting, "newest": newest, "sound": sound, "notify": notify })).into_response())
}

/// A switch that was pressed.
#[derive(Debug, Deserialize)]
struct Pressed {
    sound: Option<String>,
    notify: Option<String>,
}

/// `POST /queue/wishes`: how this person wants to be told of what is new.
async fn wishes(
    State(web): State<Web>,
    person: Person,
    headers: HeaderMap,
    Form(pressed): Form<Pressed>,
) -> Result<Response, Problem> {
    let name = person.name.clone();
    web.store
        .write(move |tx| {
            let mut wishes = staff::wishes(tx, &name)?;
            let wanted =
                |pressed: &Option<String>, before: bool| pressed.as_ref().map_or(before, |value| value == "on");
            wishes.sound = wanted(&pressed.sound, wishes.sound);
            wishes.notifications = wanted(&pressed.notify, wishes.notifications);
            staff::set_wishes(tx, &name, wishes)
        })
        .await?;
    match page::is_fragment(&headers) {
        true => Ok(axum::http::StatusCode::NO_CONTENT.into_response()),
        false => Ok(Redirect::to("/").into_response()),
    }
}
