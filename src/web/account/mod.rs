//! One's own account: how one is shown, when one works, how one signs in, where one is signed in.
//!
//! `factor`: codes from an app, recovery codes, passkeys. `idle`: the end of a session that nobody uses.

mod factor;
mod idle;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::calls::{self, Chosen};
use super::page::{self, Section};
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::sign_in::welcome;
use super::sign_in::welcome::{languages, new_password, refuse};
use super::words::{account, people, queue};
use super::{Files, Web, password};
use crate::conversation::attendance;
use crate::conversation::permission::Act;
use crate::conversation::sign_in::{LONGEST, Leave, Whose};
use crate::model::{Attendance, Private, StaffName};
use crate::store::credentials::{self, Credentials};
use crate::store::passkeys::{self, Passkey};
use crate::store::sessions::{self, Session};
use crate::store::staff::{self, Wishes};
use crate::web::form::{Form, Path, Query};

pub use idle::STAY;

/// The routes of one's own account, for whoever is signed in.
pub fn routes() -> Vec<Route> {
    let mine = Access::SignedIn;
    vec![
        Route::get("/account", mine, show),
        Route::post("/account/profile", mine, set_profile),
        Route::post("/account/phone", Access::May(Act::HandleCalls), set_phone),
        Route::post("/account/away", mine, set_away),
        Route::post("/account/hours", mine, set_hours),
        Route::post("/account/password", mine, change_password),
        Route::post("/account/factor", mine, factor::enrol),
        Route::post("/account/factor/confirm", mine, factor::confirm),
        Route::post("/account/factor/remove", mine, factor::remove),
        Route::post("/account/recovery", mine, factor::renew),
        Route::post("/account/passkeys/begin", mine, factor::begin_passkey),
        Route::post("/account/passkeys", mine, factor::add_passkey),
        Route::post("/account/passkeys/{id}/remove", mine, factor::remove_passkey),
        Route::post("/account/sessions/end-others", mine, end_others),
        Route::post("/account/sessions/{id}/end", mine, end_one),
        Route::get("/session", mine, idle::left),
        Route::post(STAY, mine, idle::stay),
    ]
}

/// What the page shows.
struct Account {
    attendance: Attendance,
    wishes: Wishes,
    phones: BTreeMap<String, (StaffName, String)>,
    credentials: Credentials,
    passkeys: Vec<Passkey>,
    sessions: Vec<Session>,
}

async fn load(web: &Web, person: &Person) -> Result<Account, Problem> {
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    let files = (web.files)();
    let idle = files.settings.desk.sign_out_after;
    let oldest = now.checked_sub(idle).unwrap_or(Timestamp::MIN);
    let found = web
        .store
        .read(move |conn| {
            let Some(credentials) = credentials::find(conn, &name)? else { return Ok(None) };
            Ok(Some(Account {
                attendance: staff::attendance(conn)?.remove(&name).unwrap_or_default(),
                wishes: staff::wishes(conn, &name)?,
                phones: calls::owners(conn, &files)?,
                credentials,
                passkeys: passkeys::of(conn, &name)?,
                sessions: sessions::of(conn, &name, oldest)?,
            }))
        })
        .await?;
    found.ok_or(Problem::SignedOut)
}

#[derive(Deserialize)]
struct Done {
    done: Option<String>,
}

/// `GET /account`
async fn show(State(web): State<Web>, person: Person, Query(Done { done }): Query<Done>) -> Result<Markup, Problem> {
    let words = account::words(person.ui);
    let said = match done.as_deref() {
        Some("password") => Some(words.password_changed),
        Some(_) => Some(words.saved),
        None => None,
    };
    let account = load(&web, &person).await?;
    let files = (web.files)();
    let settings = &files.settings;
    let (zone, now) = (&settings.clinic.timezone, web.clock.now().wall);
    let teams = &settings.teams;
    let team = person.team.as_ref().map(|team| {
        teams.iter().find(|known| known.name == *team).map_or(team.as_str(), |known| known.shown_as.as_str())
    });
    let body = html! {
        h1 { (words.title) }
        @if let Some(said) = said { p.notice.good role="status" { (said) } }
        div.columns {
            div {
                section.card {
                    h2 { (words.you) }
                    dl.facts {
                        dt { (words.sign_in_name) } dd { (person.name) }
                        dt { (words.roles) } dd { (people::roles(person.ui, &person.roles)) }
                        dt { (words.team) } dd { (team.unwrap_or(words.no_team)) }
                    }
                    form method="post" action="/account/profile" {
                        div.field {
                            label for="shown_as" { (words.shown_as) }
                            input #shown_as name="shown_as" value=(person.shown_as) maxlength="60" required autocomplete="name";
                        }
                        div.field { label for="language" { (words.language) } (languages(person.ui.tag())) }
                        div.field { label { input type="checkbox" name="sound" value="on" checked[account.wishes.sound]; " " (words.sound) } }
                        div.field { label { input #notifications type="checkbox" name="notifications" value="on" data-blocked=(queue::words(person.ui).notify_blocked) checked[account.wishes.notifications]; " " (words.notifications) } }
                        button type="submit" { (words.save) }
                    }
                }
                @if person.may(Act::HandleCalls) && !calls::phones(&files).is_empty() { (my_phone(&person, &files, &account)) }
                (at_work(&person, &account.attendance, zone, now))
            }
            div {
                (signing_in(&person, &account, zone))
                (devices(&person, &account.sessions, zone))
            }
        }
    };
    Ok(page::page(&person, Section::Account, words.title, body))
}

fn my_phone(person: &Person, files: &Files, account: &Account) -> Markup {
    let words = super::words::calls::words(person.ui);
    html! {
        section.card {
            h2 { (words.my_phone) }
            form.inline method="post" action="/account/phone" {
                div {
                    label for="phone" { (words.my_phone) " " span.hint { (words.my_phone_hint) } }
                    (calls::phone_choice(person.ui, files, &account.phones, &person.name))
                }
                button.second type="submit" { (words.choose_phone) }
            }
        }
    }
}

/// `POST /account/phone`
async fn set_phone(State(web): State<Web>, person: Person, Form(chosen): Form<Chosen>) -> Result<Response, Problem> {
    chosen.keep(&web, &person, person.name.clone()).await?;
    Ok(done("phone"))
}

/// A time on the clinic's wall.
fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn at_work(person: &Person, attendance: &Attendance, zone: &TimeZone, now: Timestamp) -> Markup {
    let words = account::words(person.ui);
    let away = attendance.away_until.filter(|until| *until > now);
    let today = now.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string();
    html! {
        section.card {
            h2 { (words.work) }
            @if let Some(until) = away {
                p.notice.warn { (words.away_now) " " (shown(until, zone)) "." }
                form method="post" action="/account/away" { button type="submit" { (words.back) } }
            } @else {
                form.inline method="post" action="/account/away" {
                    div {
                        label for="away" { (words.away) " " span.hint { (words.away_hint) } }
                        input #away type="datetime-local" name="until" min=(today) required;
                    }
                    button.second type="submit" { (words.save) }
                }
            }
            form method="post" action="/account/hours" {
                div.field {
                    label for="hours" { (words.hours) " " span.hint { (words.hours_hint) } }
                    textarea #hours name="hours" rows="4" spellcheck="false" maxlength="2000" { (attendance::write(&attendance.shifts)) }
                }
                button.second type="submit" { (words.save) }
            }
        }
    }
}

fn signing_in(person: &Person, account: &Account, zone: &TimeZone) -> Markup {
    let words = account::words(person.ui);
    html! {
        section.card {
            h2 { (words.security) }
            details {
                summary { (words.change_password) }
                form method="post" action="/account/password" {
                    input.hidden name="username" value=(person.name) autocomplete="username" tabindex="-1" aria-hidden="true" readonly;
                    (current_password(words, "current"))
                    (new_password(person.ui))
                    button type="submit" { (words.change_password) }
                }
            }
            h3 { (words.app) }
            @if account.credentials.totp.is_some() {
                p { (words.app_on) }
                p { (words.recovery_left) " " strong { (account.credentials.recovery_left) } }
                details {
                    summary { (words.recovery_renew) }
                    form method="post" action="/account/recovery" {
                        (current_password(words, "current_recovery"))
                        button.second type="submit" { (words.recovery_renew) }
                    }
                }
                details {
                    summary { (words.app_remove) }
                    form method="post" action="/account/factor/remove" {
                        (current_password(words, "current_factor"))
                        button.danger type="submit" { (words.app_remove) }
                    }
                }
            } @else {
                p { (words.app_off) }
                form method="post" action="/account/factor" { button.second type="submit" { (words.app_begin) } }
            }
            h3 { (words.passkeys) }
            p.faint { (words.passkeys_why) }
            @for passkey in &account.passkeys {
                form.bar method="post" action={ "/account/passkeys/" (passkey.id) "/remove" } {
                    span { (passkey.label) }
                    span.faint.small {
                        @match passkey.used_at {
                            Some(at) => { (words.last_used) " " (shown(at, zone)) }
                            None => { (words.never_used) }
                        }
                    }
                    button.danger.push type="submit" aria-label={ (words.remove) " " (passkey.label) } { (words.remove) }
                }
            }
            form #passkey-add method="post" action="/account/passkeys" hidden {
                div.inline {
                    div {
                        label for="label" { (words.passkey_name) " " span.hint { (words.passkey_name_hint) } }
                        input #label name="label" maxlength="40" required;
                    }
                    button.second type="submit" { (words.passkey_add) }
                }
                p.notice.bad role="alert" hidden { (words.passkey_failed) }
            }
        }
    }
}

fn current_password(words: &account::Words, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (words.current) }
            input id=(id) name="current" type="password" autocomplete="current-password" maxlength=(LONGEST) required;
        }
    }
}

fn devices(person: &Person, sessions: &[Session], zone: &TimeZone) -> Markup {
    let words = account::words(person.ui);
    html! {
        section.card {
            h2 { (words.devices) }
            @for session in sessions {
                form.bar method="post" action={ "/account/sessions/" (session.id) "/end" } {
                    span {
                        (session.device) " "
                        @if session.id == person.session { span.badge { (words.this_device) } }
                        br;
                        span.faint.small { (words.from) " " (session.address) ", " (words.last_used) " " (shown(session.seen_at, zone)) }
                    }
                    @if session.id != person.session { button.second.push type="submit" { (words.end) } }
                }
            }
            @if sessions.len() > 1 {
                form method="post" action="/account/sessions/end-others" { button.danger type="submit" { (words.end_others) } }
            }
        }
    }
}

fn done(what: &str) -> Response {
    Redirect::to(&format!("/account?done={what}")).into_response()
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    shown_as: String,
    #[serde(default)]
    language: String,
    sound: Option<String>,
    notifications: Option<String>,
}

/// `POST /account/profile`
async fn set_profile(State(web): State<Web>, person: Person, Form(typed): Form<Profile>) -> Result<Response, Problem> {
    let words = super::words::sign_in::words(person.ui);
    let shown_as = welcome::shown_as(&typed.shown_as).ok_or_else(|| Problem::refused(words.no_shown_as))?;
    let wishes = Wishes { sound: typed.sound.is_some(), notifications: typed.notifications.is_some() };
    let now = web.clock.now().wall;
    web.store
        .write(move |tx| {
            let Some(mut staff) = staff::find(tx, &person.name)? else { return Ok(()) };
            staff.shown_as = shown_as;
            staff.language = welcome::language(&typed.language).unwrap_or(staff.language);
            staff::change(tx, &staff, person.name.as_str(), now)?;
            staff::set_wishes(tx, &person.name, wishes)
        })
        .await?;
    Ok(done("saved"))
}

/// A form that says until when somebody is away; nothing: they are back.
#[derive(Deserialize)]
pub(super) struct Away {
    #[serde(default)]
    until: String,
}

impl Away {
    /// The time that was written, on the clinic's wall.
    pub(super) fn read(&self, web: &Web, person: &Person) -> Result<Option<Timestamp>, Problem> {
        if self.until.trim().is_empty() {
            return Ok(None);
        }
        let zone = (web.files)().settings.clinic.timezone.clone();
        let read = self.until.trim().parse::<DateTime>().ok().and_then(|there| there.to_zoned(zone).ok());
        let until = read.map(|there| there.timestamp()).filter(|until| *until > web.clock.now().wall);
        until.map(Some).ok_or_else(|| Problem::refused(account::words(person.ui).bad_time))
    }
}

/// `POST /account/away`
async fn set_away(State(web): State<Web>, person: Person, Form(typed): Form<Away>) -> Result<Response, Problem> {
    let (until, now) = (typed.read(&web, &person)?, web.clock.now().wall);
    web.store.write(move |tx| staff::set_away(tx, &person.name, until, person.name.as_str(), now)).await?;
    Ok(done("away"))
}

#[derive(Deserialize)]
struct Hours {
    #[serde(default)]
    hours: String,
}

/// `POST /account/hours`
async fn set_hours(State(web): State<Web>, person: Person, Form(typed): Form<Hours>) -> Result<Response, Problem> {
    let words = account::words(person.ui);
    let shifts =
        attendance::parse(&typed.hours).map_err(|line| Problem::refused(format!("{} {line}", words.bad_hours)))?;
    let now = web.clock.now().wall;
    web.store.write(move |tx| staff::set_hours(tx, &person.name, &shifts, person.name.as_str(), now)).await?;
    Ok(done("hours"))
}

/// Asks for the present password again, before something that would lock its owner out; slowed down like a sign-in.
async fn prove(web: &Web, person: &Person, current: String) -> Result<(), Problem> {
    let words = account::words(person.ui);
    let mut session = [0; 32];
    for (to, from) in session.iter_mut().zip(person.session.bytes()) {
        *to = from;
    }
    let whose = [Whose::Device(session)];
    if let Leave::Wait(wait) = web.door.throttle().ask(&whose, web.clock.now().mono) {
        return Err(Problem::TooOften(wait));
    }
    let name = person.name.clone();
    let kept = web.store.read(move |conn| credentials::find(conn, &name)).await?;
    let current = Private::new(if current.len() > LONGEST { String::new() } else { current });
    if !password::verify(&web.door, current, kept.and_then(|kept| kept.password)).await? {
        return Err(Problem::refused(words.wrong_password));
    }
    web.door.throttle().succeeded(&whose);
    Ok(())
}

#[derive(Deserialize)]
struct NewPassword {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// `POST /account/password`: who else may have known the old one is signed out.
async fn change_password(
    State(web): State<Web>,
    person: Person,
    Form(typed): Form<NewPassword>,
) -> Result<Response, Problem> {
    prove(&web, &person, typed.current).await?;
    if let Some(wrong) = refuse(&web, &typed.password, &typed.again, &[person.name.as_str(), &person.shown_as]) {
        return Err(Problem::refused(wrong));
    }
    let hash = password::hash(&web.door, typed.password.into()).await?;
    let now = web.clock.now().wall;
    web.store
        .write(move |tx| {
            let actor = person.name.as_str();
            credentials::set_password(tx, &person.name, &hash, actor, now)?;
            sessions::end_all(tx, &person.name, Some(&person.session), actor, now)
        })
        .await?;
    Ok(done("password"))
}

/// `POST /account/sessions/end-others`
async fn end_others(State(web): State<Web>, person: Person) -> Result<Response, Problem> {
    let now = web.clock.now().wall;
    let end = move |tx: &crate::store::Tx<'_>| {
        sessions::end_all(tx, &person.name, Some(&person.session), person.name.as_str(), now)
    };
    web.store.write(end).await?;
    Ok(done("ended"))
}

/// `POST /account/sessions/{id}/end`
async fn end_one(State(web): State<Web>, person: Person, Path(id): Path<String>) -> Result<Response, Problem> {
    let now = web.clock.now().wall;
    let ended = web.store.write(move |tx| sessions::end_one(tx, &person.name, &id, person.name.as_str(), now)).await?;
    if ended { Ok(done("ended")) } else { Ok((StatusCode::NOT_FOUND, Problem::NotFound).into_response()) }
}
