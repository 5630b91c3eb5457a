//! `/welcome/SECRET`: a link that works once. It makes the first person, or sets the password of one who is there.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::conversation::sign_in::{LONGEST, SHORTEST, judge};
use crate::model::{Language, Role, Roles, StaffName};
use crate::store::sign_in_links::{self, Link};
use crate::store::staff::{self, Staff};
use crate::store::{Store, StoreError, credentials, passkeys, sessions};
use crate::web::client::Client;
use crate::web::form::{Form, Path};
use crate::web::problem::Problem;
use crate::web::words::{Ui, sign_in};
use crate::web::{Web, gate, page, password, session};

/// What is typed.
#[derive(Default, Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    shown_as: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

async fn find(store: &Store, secret: &str, now: jiff::Timestamp) -> Result<Option<Link>, StoreError> {
    let id = session::id_of(secret);
    store.read(move |conn| sign_in_links::find(conn, &id, now)).await
}

/// `GET /welcome/{secret}`: looking does not use it up, for mail programs and chats look at links.
pub(super) async fn form(
    State(web): State<Web>,
    client: Client,
    Path(secret): Path<String>,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    match find(&web.store, &secret, web.clock.now().wall).await? {
        Some(link) => Ok(page_of(&secret, &link, &Typed::default(), None).into_response()),
        None => Ok(over()),
    }
}

fn over() -> Response {
    let words = sign_in::words(Ui::here());
    Problem::Refused(StatusCode::GONE, words.link_over.to_owned()).into_response()
}

fn page_of(secret: &str, link: &Link, typed: &Typed, wrong: Option<&str>) -> Markup {
    let ui = Ui::here();
    let words = sign_in::words(ui);
    let first = *link == Link::First;
    let title = if first { words.welcome_first } else { words.welcome };
    let body = html! {
        main.alone {
            h1 { (title) @if let Link::Person(name) = link { ", " (name) } }
            p { (if first { words.welcome_first_why } else { words.welcome_why }) }
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
            form method="post" action={ "/welcome/" (secret) } {
                @if first {
                    div.field {
                        label for="name" { (words.sign_in_name) " " span.hint { (words.sign_in_name_hint) } }
                        input #name name="name" value=(typed.name) autocomplete="username" autocapitalize="none"
                            spellcheck="false" maxlength="32" required autofocus;
                    }
                    div.field {
                        label for="shown_as" { (words.shown_as) " " span.hint { (words.shown_as_hint) } }
                        input #shown_as name="shown_as" value=(typed.shown_as) autocomplete="name" maxlength="60" required;
                    }
                    div.field {
                        label for="language" { (words.language) }
                        (languages(if typed.language.is_empty() { ui.tag() } else { &typed.language }))
                    }
                } @else if let Link::Person(name) = link {
                    // For the browser's password store.
                    input.hidden name="name" value=(name) autocomplete="username" tabindex="-1" aria-hidden="true" readonly;
                }
                (new_password(ui))
                p { button type="submit" { (words.set) } }
            }
        }
    };
    page::bare(ui, title, body)
}

/// The choice of a language for pages.
pub fn languages(chosen: &str) -> Markup {
    html! {
        select #language name="language" {
            @for (tag, name) in [("en", "English"), ("es", "Español")] {
                option value=(tag) selected[chosen == tag] lang=(tag) { (name) }
            }
        }
    }
}

/// The two fields of a new password.
pub fn new_password(ui: Ui) -> Markup {
    let words = sign_in::words(ui);
    html! {
        div.field {
            label for="new_password" { (words.new_password) }
            input #new_password name="password" type="password" autocomplete="new-password" minlength=(SHORTEST)
                maxlength=(LONGEST) required aria-describedby="password-hint";
            p #password-hint .hint { (words.new_password_hint) }
        }
        div.field {
            label for="again" { (words.again) }
            input #again name="again" type="password" autocomplete="new-password" minlength=(SHORTEST)
                maxlength=(LONGEST) required;
        }
    }
}

/// Reads the language of a form: one of those that pages have.
pub fn language(tag: &str) -> Option<Language> {
    Language::parse(tag).ok().filter(|language| ["en", "es"].contains(&language.as_str()))
}

/// Reads a name as others see it.
pub fn shown_as(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=60).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Why a new password will not do; none if it will.
pub fn refuse(web: &Web, password: &str, again: &str, names: &[&str]) -> Option<&'static str> {
    let words = sign_in::words(Ui::here());
    if password != again {
        return Some(words.not_the_same);
    }
    let clinic = (web.files)().settings.clinic.name.clone();
    let names: Vec<&str> = names.iter().copied().chain([clinic.as_str()]).collect();
    judge(password, &names).err().map(|weak| words.weak(weak))
}

/// `POST /welcome/{secret}`
pub(super) async fn set_up(
    State(web): State<Web>,
    client: Client,
    Path(secret): Path<String>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let words = sign_in::words(Ui::here());
    let now = web.clock.now().wall;
    let Some(link) = find(&web.store, &secret, now).await? else { return Ok(over()) };
    let again = |wrong: &str| {
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page_of(&secret, &link, &typed, Some(wrong))).into_response())
    };
    let (name, first) = match &link {
        Link::Person(name) => (name.clone(), None),
        Link::First => {
            let Ok(name) = StaffName::parse(&typed.name) else { return again(words.bad_name) };
            let Some(shown_as) = shown_as(&typed.shown_as) else { return again(words.no_shown_as) };
            let staff = Staff {
                name: name.clone(),
                shown_as,
                roles: first_roles(),
                team: None,
                language: language(&typed.language).unwrap_or_default(),
                away_until: None,
                disabled_at: None,
            };
            (name, Some(staff))
        }
    };
    if let Some(wrong) = refuse(&web, &typed.password, &typed.again, &[name.as_str(), &typed.shown_as]) {
        return again(wrong);
    }
    let hash = password::hash(&web.door, typed.password.into()).await?;
    let (id, theirs) = (session::id_of(&secret), name.clone());
    let owes_factor = web
        .store
        .write(move |tx| {
            // Taken up inside the transaction: of two who use it at once, one was first.
            if sign_in_links::take(tx, &id, now)? != Some(link) {
                return Ok(None);
            }
            let actor = theirs.as_str();
            if let Some(staff) = &first {
                staff::add(tx, staff, actor, now)?;
            }
            credentials::set_password(tx, &theirs, &hash, actor, now)?;
            sessions::end_all(tx, &theirs, None, actor, now)?;
            let codes = credentials::find(tx, &theirs)?.is_some_and(|credentials| credentials.totp.is_some());
            Ok(Some(codes || !passkeys::of(tx, &theirs)?.is_empty()))
        })
        .await?;
    match owes_factor {
        None => Ok(over()),
        Some(true) => Ok(Redirect::to("/sign-in").into_response()),
        Some(false) => super::start(&web, &client, &headers, name, "").await,
    }
}

/// What the first person is: who sets the house up and sees to it that the queue is worked.
fn first_roles() -> Roles {
    Roles::new([Role::Admin, Role::Manager]).unwrap_or_else(|| Role::Admin.into())
}
