//! Signing in and out: `/sign-in`, its second step, and what both end in, a new session.
//!
//! [`passkey`]: without a password. [`welcome`]: by a link that works once.

pub mod passkey;
pub mod webauthn;
pub mod welcome;

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use ring::digest;
use serde::Deserialize;

use super::client::{self, Client};
use super::door::Step;
use super::problem::{Problem, seconds};
use super::route::{Access, Route};
use super::words::{Ui, sign_in};
use super::{Web, gate, page, password, session, unsent};
use crate::conversation::permission::{Act, may};
use crate::conversation::sign_in::{LONGEST, Leave, Whose};
use crate::conversation::totp;
use crate::model::{Private, Roles, StaffName};
use crate::store::credentials::{self, Credentials};
use crate::store::sessions::{self, NewSession};
use crate::store::{StoreError, passkeys, staff};
use crate::web::form::{Form, Query};

/// All routes of signing in and out; they are open, for who takes them is not signed in yet.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/sign-in", Access::Anybody, form),
        Route::post("/sign-in", Access::Anybody, by_password),
        Route::post("/sign-in/code", Access::Anybody, by_code),
        Route::post("/sign-in/passkey/begin", Access::Anybody, passkey::begin),
        Route::post("/sign-in/passkey", Access::Anybody, passkey::by_passkey),
        Route::post("/sign-out", Access::Anybody, sign_out),
        Route::get("/welcome/{secret}", Access::Anybody, welcome::form),
        Route::post("/welcome/{secret}", Access::Anybody, welcome::set_up),
    ]
}

/// Where to go afterwards.
#[derive(Debug, Deserialize)]
pub(super) struct Then {
    #[serde(default)]
    then: String,
}

/// The path, if it is one of ours: whoever writes the link shall not lead a person to a page that looks like this one.
fn local(then: &str) -> Option<&str> {
    let path = then.starts_with('/') && !then.starts_with("//") && !then.contains('\\');
    let plain = !then.chars().any(char::is_control) && then.len() <= 1024;
    let useful = !["/sign-in", "/sign-out", "/welcome"].iter().any(|open| then.starts_with(open));
    (path && plain && useful).then_some(then)
}

/// The first page of somebody with these roles.
fn home(roles: &Roles) -> &'static str {
    let first = [(Act::ReadThreads, "/"), (Act::SeeDay, "/day"), (Act::ReadAudit, "/admin")];
    first.into_iter().find(|(act, _)| may(roles, *act)).map_or("/account", |(_, page)| page)
}

/// `GET /sign-in?then=PATH`
async fn form(
    State(web): State<Web>,
    client: Client,
    Query(Then { then }): Query<Then>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let then = local(&then);
    if let Some(person) = session::person(&web, &headers).await? {
        return Ok(Redirect::to(then.unwrap_or_else(|| home(&person.roles))).into_response());
    }
    let words = sign_in::words(Ui::here());
    let kept = then.is_some_and(|then| then.starts_with("/threads/"));
    let notice = html! { @if kept { p.notice { (words.kept) } } };
    Ok(first_step(notice, "", then.unwrap_or_default()).into_response())
}

fn first_step(notice: Markup, name: &str, then: &str) -> Markup {
    let (ui, most) = (Ui::here(), LONGEST);
    let words = sign_in::words(ui);
    let body = html! {
        main.alone {
            h1 { (words.title) }
            (notice)
            form method="post" action="/sign-in" {
                input type="hidden" name="then" value=(then);
                div.field {
                    label for="name" { (words.name) }
                    input #name name="name" value=(name) autocomplete="username webauthn" autocapitalize="none" spellcheck="false"
                        maxlength="64" required autofocus[name.is_empty()];
                }
                div.field {
                    label for="password" { (words.password) }
                    input #password name="password" type="password" autocomplete="current-password" maxlength=(most)
                        required autofocus[!name.is_empty()];
                }
                p { button type="submit" { (words.sign_in) } }
            }
            (passkey::offer(then, false))
            p.faint.small { (words.forgotten) }
        }
    };
    page::bare(ui, words.title, body)
}

/// The second step: a code, or a passkey, as the person has them.
fn second_step(notice: Markup, ticket: &str, then: &str, has_codes: bool, has_passkeys: bool) -> Markup {
    let ui = Ui::here();
    let words = sign_in::words(ui);
    let body = html! {
        main.alone {
            h1 { (words.factor_title) }
            (notice)
            @if has_codes {
                form method="post" action="/sign-in/code" {
                    input type="hidden" name="then" value=(then);
                    input type="hidden" name="ticket" value=(ticket);
                    div.field {
                        label for="code" { (words.code) " " span.hint { (words.code_hint) } }
                        input #code name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false"
                            maxlength="32" required autofocus;
                    }
                    p { button type="submit" { (words.sign_in) } }
                }
            }
            @if !has_codes { p { (words.factor_passkey) } }
            @if has_passkeys { (passkey::offer(then, !has_codes)) }
            p { a href="/sign-in" { (words.start_over) } }
            p.faint.small { (words.forgotten) }
        }
    };
    page::bare(ui, words.factor_title, body)
}

fn bad(sentence: &str) -> Markup {
    html! { p.notice.bad role="alert" { (sentence) } }
}

#[derive(Deserialize)]
struct Password {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    then: String,
}

/// What is known of a name before the password is looked at.
struct Known {
    credentials: Option<Credentials>,
    passkeys: bool,
    device: bool,
}

async fn look_up(web: &Web, name: Option<StaffName>, headers: &HeaderMap) -> Result<Known, StoreError> {
    let device = session::device_secret(headers).map(session::id_of);
    web.store
        .read(move |conn| {
            let Some(name) = name else { return Ok(Known { credentials: None, passkeys: false, device: false }) };
            let credentials = credentials::find(conn, &name)?;
            let passkeys = !passkeys::of(conn, &name)?.is_empty();
            let device = match &device {
                Some(device) => sessions::knows_device(conn, &name, device)?,
                None => false,
            };
            Ok(Known { credentials, passkeys, device })
        })
        .await
}

/// By what a try is counted.
fn whose(name: &str, known: &Known, client: &Client, headers: &HeaderMap) -> Vec<Whose> {
    let hash = |text: &str| {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        hash
    };
    match session::device_secret(headers).filter(|_| known.device) {
        Some(device) => vec![Whose::Device(hash(&format!("{name}\n{device}")))],
        None => vec![Whose::Name(hash(name)), Whose::address(client.address)],
    }
}

/// `POST /sign-in`
async fn by_password(
    State(web): State<Web>,
    client: Client,
    headers: HeaderMap,
    Form(typed): Form<Password>,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let words = sign_in::words(Ui::here());
    let then = local(&typed.then).unwrap_or_default();
    let name = StaffName::parse(&typed.name).ok();
    let counted = name.as_ref().map_or_else(|| typed.name.trim().to_lowercase(), StaffName::to_string);
    let known = look_up(&web, name.clone(), &headers).await?;
    let whose = whose(&counted, &known, &client, &headers);
    let leave = web.door.throttle().ask(&whose, web.clock.now().mono);
    if let Leave::Wait(wait) = leave {
        return Ok(too_soon(wait, |notice| first_step(notice, &typed.name, then)));
    }
    let kept = known.credentials.as_ref().and_then(|credentials| credentials.password.clone());
    let long = typed.password.len() > LONGEST;
    // What is too long to be one is not computed, but takes as long.
    let password = Private::new(if long { String::new() } else { typed.password });
    let right = password::verify(&web.door, password, kept).await? && !long;
    match (right, name, known.credentials) {
        (true, Some(name), Some(credentials)) => {
            if credentials.totp.is_some() || known.passkeys {
                let ticket = web.door.ticket(Step::Factor(name), web.clock.now().mono);
                let page = second_step(html! {}, &ticket, then, credentials.totp.is_some(), known.passkeys);
                return Ok(page.into_response());
            }
            web.door.throttle().succeeded(&whose);
            start(&web, &client, &headers, name, then).await
        }
        (_, name, credentials) => {
            failed(&web, &client, name.filter(|_| credentials.is_some()), leave, "password").await?;
            let page = first_step(bad(words.wrong), &typed.name, then);
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    ticket: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    then: String,
}

/// `POST /sign-in/code`
async fn by_code(
    State(web): State<Web>,
    client: Client,
    headers: HeaderMap,
    Form(typed): Form<Code>,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let words = sign_in::words(Ui::here());
    let then = local(&typed.then).unwrap_or_default();
    let now = web.clock.now();
    let Some(Step::Factor(name)) = web.door.redeem(&typed.ticket, now.mono) else {
        return Ok((StatusCode::UNAUTHORIZED, first_step(bad(words.step_over), "", then)).into_response());
    };
    let known = look_up(&web, Some(name.clone()), &headers).await?;
    let whose = whose(name.as_str(), &known, &client, &headers);
    let again = |notice: Markup| {
        let ticket = web.door.ticket(Step::Factor(name.clone()), now.mono);
        second_step(notice, &ticket, then, true, known.passkeys)
    };
    let leave = web.door.throttle().ask(&whose, now.mono);
    if let Leave::Wait(wait) = leave {
        return Ok(too_soon(wait, again));
    }
    let right = match &known.credentials {
        Some(credentials) => use_code(&web, &name, credentials, &typed.code).await?,
        None => false,
    };
    if !right {
        failed(&web, &client, Some(name.clone()), leave, "code").await?;
        return Ok((StatusCode::UNAUTHORIZED, again(bad(words.wrong_code))).into_response());
    }
    web.door.throttle().succeeded(&whose);
    start(&web, &client, &headers, name, then).await
}

/// Uses up a code of the app, or else a recovery code; false if it is none, or was used.
pub async fn use_code(web: &Web, name: &StaffName, of: &Credentials, typed: &str) -> Result<bool, StoreError> {
    let (now, name) = (web.clock.now().wall, name.clone());
    let Some(secret) = of.totp.as_ref().and_then(|secret| totp::from_base32(secret.expose())) else { return Ok(false) };
    if let Some(step) = totp::matching(&secret, typed, now, of.totp_step) {
        return web.store.write(move |tx| credentials::use_step(tx, &name, step)).await;
    }
    let hash = recovery_hash(typed);
    web.store.write(move |tx| credentials::use_recovery(tx, &name, &hash, now)).await
}

/// What the store knows a recovery code by; capitals, spaces and dashes do not count.
pub fn recovery_hash(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    session::id_of(&plain)
}

/// 429, and when to try again.
fn too_soon(wait: Duration, page: impl FnOnce(Markup) -> Markup) -> Response {
    let words = sign_in::words(Ui::here());
    let wait = seconds(wait);
    let told = match wait {
        0..=119 => format!("{wait} s"),
        _ => format!("{} min", wait.div_ceil(60)),
    };
    let page = page(bad(&format!("{} {told}.", words.wait)));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)], page).into_response()
}

/// Puts a failed try on record, and that the next one must wait.
async fn failed(
    web: &Web,
    client: &Client,
    name: Option<StaffName>,
    leave: Leave,
    why: &'static str,
) -> Result<(), StoreError> {
    let (now, address) = (web.clock.now().wall, client.address.to_string());
    web.store
        .write(move |tx| {
            credentials::record_failure(tx, name.as_ref(), "staff.sign_in_failed", why, &address, now)?;
            match leave {
                Leave::Last => {
                    credentials::record_failure(tx, name.as_ref(), "staff.sign_in_slowed", why, &address, now)
                }
                _ => Ok(()),
            }
        })
        .await
}

/// Starts a session under a new secret, so that nobody can have planted it; what session the browser had ends.
async fn start(
    web: &Web,
    client: &Client,
    headers: &HeaderMap,
    name: StaffName,
    then: &str,
) -> Result<Response, Problem> {
    let (now, secret) = (web.clock.now().wall, session::fresh());
    let device = session::device_secret(headers).map_or_else(session::fresh, str::to_owned);
    let device_hash = session::id_of(&device);
    let old = session::secret(headers).map(session::id_of);
    let session = NewSession {
        id: session::id_of(&secret),
        staff: name.clone(),
        address: client.address.to_string(),
        device: client::device(headers),
        at: now,
    };
    let staff = web
        .store
        .write(move |tx| {
            let staff = staff::find(tx, &name)?.filter(|staff| staff.disabled_at.is_none());
            if staff.is_some() {
                if let Some(old) = &old {
                    sessions::end(tx, old, now)?;
                }
                sessions::start(tx, &session)?;
                sessions::remember_device(tx, &name, &device_hash, now)?;
            }
            Ok(staff)
        })
        .await?;
    let Some(staff) = staff else { return Err(Problem::SignedOut) };
    if may(&staff.roles, Act::WorkThreads) {
        unsent::give_back(web, staff.name).await;
    }
    let cookies = AppendHeaders([
        (header::SET_COOKIE, session::cookie_of(&secret)),
        (header::SET_COOKIE, session::device_cookie_of(&device)),
    ]);
    let to = local(then).unwrap_or_else(|| home(&staff.roles));
    Ok((cookies, Redirect::to(to)).into_response())
}

/// `POST /sign-out`
async fn sign_out(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = session::secret(&headers) {
        let (id, now) = (session::id_of(secret), web.clock.now().wall);
        web.store.write(move |tx| sessions::end(tx, &id, now)).await?;
    }
    Ok(([(header::SET_COOKIE, session::no_cookie())], Redirect::to("/sign-in")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for ours in ["/", "/threads/0192", "/day?x=1"] {
            assert_eq!(local(ours), Some(ours));
        }
        for theirs in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\\/evil",
            "javascript:x",
            "/a\nb",
            "evil",
            "/sign-out",
        ] {
            assert_eq!(local(theirs), None, "{theirs}");
        }
    }

    #[test]
    fn a_recovery_code_is_read_as_people_copy_it() {
        assert_eq!(recovery_hash("AB2C-d3ef "), recovery_hash("ab2cd3ef"));
    }
}
