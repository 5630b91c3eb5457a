//! `/admin/people`: who works here, what they may do, and help for who cannot sign in.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::account::Away;
use super::calls::{self, Chosen, phone_choice};
use super::client::{Client, Wire};
use super::page::{self, Section};
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::sign_in::welcome::{self, languages};
use super::words::{Ui, people, sign_in};
use super::{Web, session};
use crate::conversation::permission::{Act, role_may};
use crate::model::{Role, Roles, StaffName};
use crate::settings::Team;
use crate::store::staff::{self, Change, Staff};
use crate::store::{StoreError, Tx, credentials, passkeys, sessions, sign_in_links};
use crate::web::form::{Form, Path, Query};

/// The routes of everybody's accounts.
pub fn routes() -> Vec<Route> {
    let admins = Access::May(Act::ManagePeople);
    vec![
        Route::get("/admin/people", admins, list),
        Route::post("/admin/people", admins, add),
        Route::get("/admin/people/{name}", admins, show),
        Route::post("/admin/people/{name}", admins, change),
        Route::post("/admin/people/{name}/phone", admins, set_phone),
        Route::post("/admin/people/{name}/link", admins, make_link),
        Route::post("/admin/people/{name}/disable", admins, disable),
        Route::post("/admin/people/{name}/enable", admins, enable),
        Route::post("/admin/people/{name}/reset-factor", admins, reset_factor),
        Route::post("/admin/people/{name}/end-sessions", admins, end_sessions),
        Route::post("/people/{name}/away", Access::May(Act::ManageDesk), set_away),
    ]
}

/// `GET /admin/people`
async fn list(State(web): State<Web>, person: Person) -> Result<Markup, Problem> {
    let words = people::words(person.ui);
    let settings = (web.files)().settings;
    let all = web
        .store
        .read(|conn| {
            let with_password = |staff: Staff| {
                let password = credentials::find(conn, &staff.name)?.is_some_and(|kept| kept.password.is_some());
                Ok((staff, password))
            };
            staff::list(conn)?.into_iter().map(with_password).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let now = web.clock.now().wall;
    let body = html! {
        h1 { (words.title) }
        p.faint { (words.why) }
        div.scroll.card {
            table {
                thead { tr { th { (words.name) } th { (words.roles) } th { (words.team) } th { (words.state) } } }
                tbody {
                    @for (staff, password) in &all {
                        tr {
                            td { a href={ "/admin/people/" (staff.name) } { (staff.shown_as) } br; span.faint.small { (staff.name) } }
                            td { (people::roles(person.ui, &staff.roles)) }
                            td { (team_name(&settings.teams, staff.team.as_deref()).unwrap_or(words.no_team)) }
                            td { (state(person.ui, staff, *password, now)) }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { (words.add) }
            form method="post" action="/admin/people" {
                div.field {
                    label for="name" { (sign_in::words(person.ui).sign_in_name) " " span.hint { (sign_in::words(person.ui).sign_in_name_hint) } }
                    input #name name="name" autocapitalize="none" spellcheck="false" autocomplete="off" maxlength="32" required;
                }
                (fields(person.ui, &settings.teams, None))
                button type="submit" { (words.add_button) }
            }
        }
        details.card {
            summary { (words.table) }
            (permission_table(person.ui, None))
        }
    };
    Ok(page::page(&person, Section::Admin, words.title, body))
}

fn state(ui: Ui, staff: &Staff, password: bool, now: Timestamp) -> Markup {
    let words = people::words(ui);
    html! {
        @if staff.disabled_at.is_some() { span.badge.plain { (words.disabled) } }
        @else if !password { span.badge.warn { (words.no_password) } }
        @else if staff.away_until.is_some_and(|until| until > now) { span.badge { (words.set_away) } }
        @else { span.badge.good { (words.active) } }
    }
}

fn team_name<'t>(teams: &'t [Team], team: Option<&'t str>) -> Option<&'t str> {
    let team = team?;
    Some(teams.iter().find(|known| known.name == team).map_or(team, |known| known.shown_as.as_str()))
}

/// What can be changed of somebody.
fn fields(ui: Ui, teams: &[Team], of: Option<&Staff>) -> Markup {
    let (words, shared) = (people::words(ui), sign_in::words(ui));
    let chosen = of.and_then(|staff| staff.team.as_deref());
    html! {
        div.field {
            label for="shown_as" { (shared.shown_as) " " span.hint { (shared.shown_as_hint) } }
            input #shown_as name="shown_as" value=[of.map(|staff| &staff.shown_as)] maxlength="60" required autocomplete="off";
        }
        fieldset {
            legend { (words.roles) }
            div.choices {
                @for role in Role::ALL {
                    label {
                        input type="checkbox" name=(role.as_str()) value="on" checked[of.is_some_and(|staff| staff.roles.contains(role))];
                        " " (people::role(ui, role))
                    }
                }
            }
        }
        div.field {
            label for="team" { (words.team) }
            select #team name="team" {
                option value="" { (words.no_team) }
                @for team in teams { option value=(team.name) selected[chosen == Some(team.name.as_str())] { (team.shown_as) } }
            }
        }
        div.field { label for="language" { (shared.language) } (languages(of.map_or("en", |staff| Ui::of(&staff.language).tag()))) }
    }
}

/// What is written of somebody.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    name: String,
    #[serde(default)]
    shown_as: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    language: String,
    front_desk: Option<String>,
    clinical: Option<String>,
    manager: Option<String>,
    admin: Option<String>,
    auditor: Option<String>,
}

impl Written {
    fn roles(&self) -> Option<Roles> {
        let ticked = |role: &Role| match role {
            Role::FrontDesk => self.front_desk.is_some(),
            Role::Clinical => self.clinical.is_some(),
            Role::Manager => self.manager.is_some(),
            Role::Admin => self.admin.is_some(),
            Role::Auditor => self.auditor.is_some(),
        };
        Roles::new(Role::ALL.into_iter().filter(ticked))
    }

    fn staff(&self, ui: Ui, name: StaffName, teams: &[Team]) -> Result<Staff, Problem> {
        let (words, shared) = (people::words(ui), sign_in::words(ui));
        let team = Some(self.team.clone()).filter(|team| !team.is_empty());
        if team.as_ref().is_some_and(|team| !teams.iter().any(|known| known.name == *team)) {
            return Err(Problem::refused(words.no_such_team));
        }
        Ok(Staff {
            name,
            shown_as: welcome::shown_as(&self.shown_as).ok_or_else(|| Problem::refused(shared.no_shown_as))?,
            roles: self.roles().ok_or_else(|| Problem::refused(words.no_role))?,
            team,
            language: welcome::language(&self.language).unwrap_or_default(),
            away_until: None,
            disabled_at: None,
        })
    }
}

/// `POST /admin/people`: adds somebody and shows the link to hand over.
async fn add(
    State(web): State<Web>,
    person: Person,
    client: Client,
    headers: HeaderMap,
    Form(written): Form<Written>,
) -> Result<Response, Problem> {
    let shared = sign_in::words(person.ui);
    let name = StaffName::parse(&written.name).map_err(|_| Problem::refused(shared.bad_name))?;
    let staff = written.staff(person.ui, name.clone(), &(web.files)().settings.teams)?;
    let (secret, now) = (session::fresh(), web.clock.now().wall);
    let (id, actor, theirs) = (session::id_of(&secret), person.name.clone(), name.clone());
    let added = web
        .store
        .write(move |tx| {
            if staff::find(tx, &theirs)?.is_some() {
                return Ok(false);
            }
            staff::add(tx, &staff, actor.as_str(), now)?;
            sign_in_links::make(tx, &id, &theirs, actor.as_str(), now)?;
            Ok(true)
        })
        .await?;
    if !added {
        return Err(Problem::conflict(shared.name_taken));
    }
    Ok(link_page(&web, &person, &client, &headers, &name, &secret).into_response())
}

fn link_page(
    web: &Web,
    person: &Person,
    client: &Client,
    headers: &HeaderMap,
    name: &StaffName,
    secret: &str,
) -> Markup {
    let words = people::words(person.ui);
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = if client.wire == Wire::Tls { "https" } else { "http" };
    let base = web.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"));
    let body = html! {
        h1 { (words.link_title) ": " (name) }
        section.card {
            p { (words.link_why) }
            p { code.link { (base) "/welcome/" (secret) } }
            p { a.button.second href="/admin/people" { (words.back) } }
        }
    };
    page::page(person, Section::Admin, words.link_title, body)
}

#[derive(Deserialize)]
struct Done {
    done: Option<String>,
}

/// `GET /admin/people/{name}`
async fn show(
    State(web): State<Web>,
    person: Person,
    Path(name): Path<String>,
    Query(Done { done }): Query<Done>,
) -> Result<Markup, Problem> {
    let words = people::words(person.ui);
    let staff = find(&web, &name).await?;
    let (files, calls) = ((web.files)(), super::words::calls::words(person.ui));
    let settings = &files.settings;
    let asked = files.clone();
    let owners = web.store.read(move |conn| calls::owners(conn, &asked)).await?;
    let action = |what: &str, text: &str, hint: &str, class: &str| {
        html! {
            form.bar method="post" action={ "/admin/people/" (staff.name) "/" (what) } {
                button class=(class) type="submit" { (text) }
                span.hint { (hint) }
            }
        }
    };
    let body = html! {
        p { a href="/admin/people" { (words.back) } }
        h1 { (staff.shown_as) " " @if staff.disabled_at.is_some() { span.badge.plain { (words.disabled) } } }
        @if done.is_some() { p.notice.good role="status" { (words.saved) } }
        div.columns {
            section.card {
                h2 { (staff.name) }
                form method="post" action={ "/admin/people/" (staff.name) } {
                    (fields(person.ui, &settings.teams, Some(&staff)))
                    button type="submit" { (words.save) }
                }
            }
            section.card {
                h2 { (words.sign_in) }
                @if staff.disabled_at.is_some() {
                    (action("enable", words.enable, "", ""))
                } @else {
                    (action("link", words.link_make, words.link_hint, "second"))
                    (action("end-sessions", words.end_sessions, words.end_sessions_hint, "second"))
                    (action("reset-factor", words.reset_factor, words.reset_factor_hint, "danger"))
                    (action("disable", words.disable, words.disable_hint, "danger"))
                }
                @if !calls::phones(&files).is_empty() {
                    h2 { (calls.their_phone) }
                    form.inline method="post" action={ "/admin/people/" (staff.name) "/phone" } {
                        div {
                            label for="phone" { (calls.their_phone) }
                            (phone_choice(person.ui, &files, &owners, &staff.name))
                        }
                        button.second type="submit" { (words.save) }
                    }
                }
                @if person.may(Act::ManageDesk) {
                    h2 { (words.leave) }
                    (leave(&staff, &settings.clinic.timezone, person.ui, web.clock.now().wall))
                }
            }
        }
    };
    Ok(page::page(&person, Section::Admin, words.title, body))
}

/// The form by which a manager sets somebody away, or back; also for other pages.
pub fn leave(staff: &Staff, zone: &jiff::tz::TimeZone, ui: Ui, now: Timestamp) -> Markup {
    let words = people::words(ui);
    let away = staff.away_until.filter(|until| *until > now);
    html! {
        form.inline method="post" action={ "/people/" (staff.name) "/away" } {
            @if let Some(until) = away {
                p { (words.away_until) " " (until.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M")) }
                button.second type="submit" { (words.back_at_work) }
            } @else {
                div {
                    label for={ "away-" (staff.name) } { (words.set_away) }
                    input id={ "away-" (staff.name) } type="datetime-local" name="until" required;
                }
                button.second type="submit" { (words.save) }
            }
        }
    }
}

async fn find(web: &Web, name: &str) -> Result<Staff, Problem> {
    let name = StaffName::parse(name).map_err(|_| Problem::NotFound)?;
    web.store.read(move |conn| staff::find(conn, &name)).await?.ok_or(Problem::NotFound)
}

fn back(name: &StaffName) -> Response {
    Redirect::to(&format!("/admin/people/{name}?done=1")).into_response()
}

fn outcome(ui: Ui, name: &StaffName, change: Change) -> Result<Response, Problem> {
    match change {
        Change::Made => Ok(back(name)),
        Change::Nobody => Err(Problem::NotFound),
        Change::LastAdmin => Err(Problem::conflict(people::words(ui).last_admin)),
    }
}

/// `POST /admin/people/{name}`
async fn change(
    State(web): State<Web>,
    person: Person,
    Path(name): Path<String>,
    Form(written): Form<Written>,
) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let staff = written.staff(person.ui, name.clone(), &(web.files)().settings.teams)?;
    let (actor, now) = (person.name.clone(), web.clock.now().wall);
    let change = web.store.write(move |tx| staff::change(tx, &staff, actor.as_str(), now)).await?;
    outcome(person.ui, &name, change)
}

/// `POST /admin/people/{name}/phone`
async fn set_phone(
    State(web): State<Web>,
    person: Person,
    Path(name): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    chosen.keep(&web, &person, name.clone()).await?;
    Ok(back(&name))
}

/// `POST /admin/people/{name}/link`
async fn make_link(
    State(web): State<Web>,
    person: Person,
    client: Client,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let (secret, now) = (session::fresh(), web.clock.now().wall);
    let (id, actor, theirs) = (session::id_of(&secret), person.name.clone(), name.clone());
    web.store.write(move |tx| sign_in_links::make(tx, &id, &theirs, actor.as_str(), now)).await?;
    Ok(link_page(&web, &person, &client, &headers, &name, &secret).into_response())
}

async fn set_disabled(web: Web, person: Person, name: String, disabled: bool) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let (actor, theirs, now) = (person.name.clone(), name.clone(), web.clock.now().wall);
    let change = web.store.write(move |tx| staff::set_disabled(tx, &theirs, disabled, actor.as_str(), now)).await?;
    outcome(person.ui, &name, change)
}

/// `POST /admin/people/{name}/disable`
async fn disable(State(web): State<Web>, person: Person, Path(name): Path<String>) -> Result<Response, Problem> {
    set_disabled(web, person, name, true).await
}

/// `POST /admin/people/{name}/enable`
async fn enable(State(web): State<Web>, person: Person, Path(name): Path<String>) -> Result<Response, Problem> {
    set_disabled(web, person, name, false).await
}

/// Removes whatever somebody has besides the password, and signs them out.
pub fn forget_factors(tx: &Tx<'_>, name: &StaffName, actor: &str, now: Timestamp) -> Result<(), StoreError> {
    credentials::clear_totp(tx, name, actor, now)?;
    passkeys::remove_all(tx, name, actor, now)?;
    sessions::end_all(tx, name, None, actor, now)?;
    Ok(())
}

/// `POST /admin/people/{name}/reset-factor`
async fn reset_factor(State(web): State<Web>, person: Person, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let (theirs, now) = (name.clone(), web.clock.now().wall);
    web.store.write(move |tx| forget_factors(tx, &theirs, person.name.as_str(), now)).await?;
    Ok(back(&name))
}

/// `POST /admin/people/{name}/end-sessions`
async fn end_sessions(State(web): State<Web>, person: Person, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let (theirs, now) = (name.clone(), web.clock.now().wall);
    web.store.write(move |tx| sessions::end_all(tx, &theirs, None, person.name.as_str(), now)).await?;
    Ok(back(&name))
}

/// `POST /people/{name}/away`
async fn set_away(
    State(web): State<Web>,
    person: Person,
    Path(name): Path<String>,
    Form(typed): Form<Away>,
) -> Result<Response, Problem> {
    let name = find(&web, &name).await?.name;
    let (until, now) = (typed.read(&web, &person)?, web.clock.now().wall);
    let admin = person.may(Act::ManagePeople);
    let theirs = name.clone();
    web.store.write(move |tx| staff::set_away(tx, &theirs, until, person.name.as_str(), now)).await?;
    Ok(if admin { back(&name) } else { Redirect::to("/day").into_response() })
}

/// What each role may see and do, from the rules themselves ([`role_may`]); the columns of `mine` are marked.
pub fn permission_table(ui: Ui, mine: Option<&Roles>) -> Markup {
    let words = people::words(ui);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(words.table) {
            table.who {
                thead {
                    tr {
                        td {}
                        @for role in Role::ALL {
                            th scope="col" {
                                (people::role(ui, role))
                                @if mine.is_some_and(|mine| mine.contains(role)) { br; span.badge { (words.yours) } }
                            }
                        }
                    }
                }
                tbody {
                    @for act in Act::ALL {
                        tr {
                            th scope="row" { (people::act(ui, act)) }
                            @for role in Role::ALL {
                                td {
                                    @if role_may(role, act) {
                                        span.good-mark aria-hidden="true" { "✓" } span.hidden { (words.yes) }
                                    } @else { span.faint aria-hidden="true" { "–" } span.hidden { (words.no) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
