//! What one signs in with besides the password: codes from an app, recovery codes, passkeys.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use maud::{Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;
use ring::digest;
use serde::Deserialize;
use serde_json::json;

use super::{done, prove};
use crate::conversation::totp;
use crate::model::Private;
use crate::store::credentials;
use crate::store::passkeys::{self, Passkey};
use crate::web::client::Client;
use crate::web::door::Step;
use crate::web::form::{Form, Path};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::sign_in::passkey::site;
use crate::web::sign_in::{recovery_hash, webauthn};
use crate::web::words::account;
use crate::web::{Web, session};

/// Recovery codes that are made at once.
const CODES: usize = 8;

/// `POST /account/factor`: shows a new secret. It counts once a code of it was typed.
pub(super) async fn enrol(State(web): State<Web>, person: Person) -> Result<Response, Problem> {
    let secret = totp::base32(&session::random::<20>());
    offer(&web, &person, secret, None)
}

fn offer(web: &Web, person: &Person, secret: String, wrong: Option<&str>) -> Result<Response, Problem> {
    let words = account::words(person.ui);
    let clinic = (web.files)().settings.clinic.name.clone();
    let uri = totp::uri(&secret, &clinic, person.name.as_str());
    let code = QrCode::new(uri.as_bytes()).map_err(|_| Problem::Broken("a QR code cannot be drawn"))?;
    // The library writes its XML declaration first, which HTML has no place for.
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(220, 220).build();
    let drawn = drawn.find("<svg").map_or("", |at| &drawn[at..]);
    let grouped: Vec<&str> = (0..secret.len()).step_by(4).filter_map(|at| secret.get(at..at + 4)).collect();
    let grouped = grouped.join(" ");
    let ticket = web.door.ticket(Step::Enrol(person.name.clone(), Private::new(secret)), web.clock.now().mono);
    let body = html! {
        h1 { (words.app_title) }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        section.card {
            p { (words.app_scan) }
            div.qr role="img" aria-label=(words.app_alt) { (PreEscaped(drawn)) }
            p { (words.app_type) br; code { (grouped) } }
            form method="post" action="/account/factor/confirm" {
                input type="hidden" name="ticket" value=(ticket);
                div.field {
                    label for="code" { (words.app_code) }
                    input #code name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="8" required autofocus;
                }
                button type="submit" { (words.app_confirm) }
            }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, page::page(person, Section::Account, words.app_title, body)).into_response())
}

#[derive(Deserialize)]
pub(super) struct Confirm {
    #[serde(default)]
    ticket: String,
    #[serde(default)]
    code: String,
}

/// `POST /account/factor/confirm`
pub(super) async fn confirm(
    State(web): State<Web>,
    person: Person,
    Form(typed): Form<Confirm>,
) -> Result<Response, Problem> {
    let now = web.clock.now();
    let secret = match web.door.redeem(&typed.ticket, now.mono) {
        Some(Step::Enrol(name, secret)) if name == person.name => secret.into_inner(),
        _ => return Err(Problem::refused(crate::web::words::sign_in::words(person.ui).step_over)),
    };
    let bytes = totp::from_base32(&secret).unwrap_or_default();
    let Some(step) = totp::matching(&bytes, &typed.code, now.wall, None) else {
        return offer(&web, &person, secret, Some(account::words(person.ui).app_wrong));
    };
    let (codes, hashes) = recovery_codes();
    let name = person.name.clone();
    web.store.write(move |tx| credentials::set_totp(tx, &name, &secret, step, &hashes, now.wall)).await?;
    Ok(show_codes(&person, &codes).into_response())
}

/// Fresh codes, and what the store keeps of them. Without the letters that look like digits.
fn recovery_codes() -> (Vec<String>, Vec<String>) {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567899";
    let code = || {
        let letters = session::random::<12>().map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
        let all: String = letters.iter().collect();
        format!("{}-{}-{}", &all[..4], &all[4..8], &all[8..])
    };
    let codes: Vec<String> = (0..CODES).map(|_| code()).collect();
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    (codes, hashes)
}

fn show_codes(person: &Person, codes: &[String]) -> Markup {
    let words = account::words(person.ui);
    let body = html! {
        h1 { (words.recovery) }
        section.card {
            p { (words.recovery_why) }
            ul.codes { @for code in codes { li { code { (code) } } } }
            p { a.button href="/account" { (words.recovery_done) } }
        }
    };
    page::page(person, Section::Account, words.recovery, body)
}

#[derive(Deserialize)]
pub(super) struct Proof {
    #[serde(default)]
    current: String,
}

/// `POST /account/factor/remove`
pub(super) async fn remove(
    State(web): State<Web>,
    person: Person,
    Form(typed): Form<Proof>,
) -> Result<Response, Problem> {
    prove(&web, &person, typed.current).await?;
    let now = web.clock.now().wall;
    web.store.write(move |tx| credentials::clear_totp(tx, &person.name, person.name.as_str(), now)).await?;
    Ok(done("factor"))
}

/// `POST /account/recovery`
pub(super) async fn renew(
    State(web): State<Web>,
    person: Person,
    Form(typed): Form<Proof>,
) -> Result<Response, Problem> {
    prove(&web, &person, typed.current).await?;
    let (codes, hashes) = recovery_codes();
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    web.store.write(move |tx| credentials::renew_recovery(tx, &name, &hashes, now)).await?;
    Ok(show_codes(&person, &codes).into_response())
}

/// `POST /account/passkeys/begin`: what the browser makes a key by.
pub(super) async fn begin_passkey(
    State(web): State<Web>,
    person: Person,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let site = site(&web, &client, &headers).ok_or(Problem::NotFound)?;
    let name = person.name.clone();
    let known = web.store.read(move |conn| passkeys::of(conn, &name)).await?;
    let challenge = web.door.ticket(Step::NewPasskey(person.name.clone()), web.clock.now().mono);
    // The key keeps this id, and it shall say nothing of the person.
    let user = digest::digest(&digest::SHA256, format!("passkey of {}", person.name).as_bytes());
    let kind = |algorithm| json!({ "type": "public-key", "alg": algorithm });
    Ok(Json(json!({
        "challenge": challenge,
        "rp": { "id": site.id, "name": (web.files)().settings.clinic.name },
        "user": { "id": B64.encode(user), "name": person.name, "displayName": person.shown_as },
        "pubKeyCredParams": webauthn::ALGORITHMS.map(kind),
        "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
        "attestation": "none",
        "excludeCredentials": known.iter().map(|key| json!({ "type": "public-key", "id": key.id })).collect::<Vec<_>>(),
        "timeout": 300_000,
    }))
    .into_response())
}

#[derive(Deserialize)]
pub(super) struct NewPasskey {
    #[serde(default)]
    label: String,
    #[serde(default)]
    client_data: String,
    #[serde(default)]
    authenticator_data: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    algorithm: i64,
}

/// `POST /account/passkeys`
pub(super) async fn add_passkey(
    State(web): State<Web>,
    person: Person,
    client: Client,
    headers: HeaderMap,
    Form(sent): Form<NewPasskey>,
) -> Result<Response, Problem> {
    let words = account::words(person.ui);
    let refused = || Problem::refused(words.passkey_failed);
    let bytes = |text: &str| B64.decode(text).map_err(|_| refused());
    let (client_data, data, key) = (bytes(&sent.client_data)?, bytes(&sent.authenticator_data)?, bytes(&sent.key)?);
    let now = web.clock.now();
    let challenge = webauthn::challenge(&client_data).ok_or_else(refused)?;
    match web.door.redeem(&challenge, now.mono) {
        Some(Step::NewPasskey(name)) if name == person.name => {}
        _ => return Err(refused()),
    }
    let site = site(&web, &client, &headers).ok_or(Problem::NotFound)?;
    let (id, credential) = webauthn::registration(&site, &challenge, &client_data, &data, &key, sent.algorithm)
        .map_err(|why| {
            tracing::info!(%why, "a new passkey was refused");
            refused()
        })?;
    let label: String = sent.label.trim().chars().filter(|c| !c.is_control()).take(40).collect();
    let label = if label.is_empty() { words.passkeys.to_owned() } else { label };
    let passkey = Passkey { id, staff: person.name.clone(), label, credential, created_at: now.wall, used_at: None };
    if !web.store.write(move |tx| passkeys::add(tx, &passkey)).await? {
        return Err(Problem::conflict(words.passkey_full));
    }
    Ok(done("passkey"))
}

/// `POST /account/passkeys/{id}/remove`
pub(super) async fn remove_passkey(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let now = web.clock.now().wall;
    let removed = web.store.write(move |tx| passkeys::remove(tx, &person.name, &id, person.name.as_str(), now)).await?;
    if removed { Ok(done("passkey")) } else { Err(Problem::NotFound) }
}
