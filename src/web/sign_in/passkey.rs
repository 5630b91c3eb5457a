//! Signing in with a passkey: the key makes sure of its person, so that it counts as both factors.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::webauthn::{self, Refused, Site};
use crate::conversation::sign_in::{Leave, Whose};
use crate::model::StaffName;
use crate::store::passkeys;
use crate::web::client::{Client, Wire};
use crate::web::door::Step;
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::words::{Ui, sign_in};
use crate::web::{Web, gate};

/// The site that keys are made for: what the browser calls us, which a proxy may not repeat.
pub fn site(web: &Web, client: &Client, headers: &HeaderMap) -> Option<Site> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let public = web.public_url.as_deref().and_then(|url| url.strip_prefix("https://"));
    let public = public.map(|rest| rest.split('/').next().unwrap_or(rest));
    let scheme = if client.wire == Wire::Tls { "https" } else { "http" };
    let (host, scheme) = match public {
        // A proxy on this machine speaks plain HTTP to us and calls us by our address.
        Some(public) if host != public && !host.starts_with("localhost") => (public, "https"),
        Some(public) if host == public => (public, "https"),
        _ => (host, scheme),
    };
    let id = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Some(Site { id: id.to_owned(), origins: vec![format!("{scheme}://{host}")] })
}

/// The button, which shows once a script has found that the browser knows passkeys.
pub(super) fn offer(then: &str, first: bool) -> Markup {
    let words = sign_in::words(Ui::here());
    html! {
        form #passkey-sign-in method="post" action="/sign-in/passkey" hidden {
            input type="hidden" name="then" value=(then);
            p { button class=[(!first).then_some("second")] type="submit" { (words.with_passkey) } }
            p.notice.bad role="alert" hidden { (words.passkey_failed) }
        }
        script type="module" src="/assets/passkey.js" {}
    }
}

/// `POST /sign-in/passkey/begin`: a challenge. Which keys there are is not said: the browser knows its own.
pub(super) async fn begin(State(web): State<Web>, client: Client, headers: HeaderMap) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let site = site(&web, &client, &headers).ok_or(Problem::NotFound)?;
    let challenge = web.door.ticket(Step::Passkey, web.clock.now().mono);
    let options =
        json!({ "challenge": challenge, "rpId": site.id, "userVerification": "required", "timeout": 300_000 });
    Ok(Json(options).into_response())
}

#[derive(Deserialize)]
pub(super) struct Assertion {
    #[serde(default)]
    id: String,
    #[serde(default)]
    client_data: String,
    #[serde(default)]
    authenticator_data: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    then: String,
}

/// `POST /sign-in/passkey`
pub(super) async fn by_passkey(
    State(web): State<Web>,
    client: Client,
    headers: HeaderMap,
    Form(sent): Form<Assertion>,
) -> Result<Response, Problem> {
    gate::admit(&web, &client)?;
    let whose = [Whose::address(client.address)];
    let leave = web.door.throttle().ask(&whose, web.clock.now().mono);
    if let Leave::Wait(wait) = leave {
        return Err(Problem::TooOften(wait));
    }
    match verify(&web, &client, &headers, &sent).await? {
        Ok(name) => {
            web.door.throttle().succeeded(&whose);
            super::start(&web, &client, &headers, name, &sent.then).await
        }
        Err((name, why)) => {
            tracing::info!(%why, "a passkey was refused");
            super::failed(&web, &client, name, leave, "passkey").await?;
            let words = sign_in::words(Ui::here());
            let page = super::first_step(super::bad(words.passkey_failed), "", &sent.then);
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

type Verdict = Result<StaffName, (Option<StaffName>, Refused)>;

async fn verify(web: &Web, client: &Client, headers: &HeaderMap, sent: &Assertion) -> Result<Verdict, Problem> {
    let (Ok(client_data), Ok(data), Ok(signature)) =
        (B64.decode(&sent.client_data), B64.decode(&sent.authenticator_data), B64.decode(&sent.signature))
    else {
        return Ok(Err((None, Refused::Malformed)));
    };
    let now = web.clock.now();
    let challenge = webauthn::challenge(&client_data).unwrap_or_default();
    if !matches!(web.door.redeem(&challenge, now.mono), Some(Step::Passkey)) {
        return Ok(Err((None, Refused::Challenge)));
    }
    let id = sent.id.clone();
    let found = web.store.read(move |conn| passkeys::find(conn, &id)).await?;
    let (Some(passkey), Some(site)) = (found, site(web, client, headers)) else {
        return Ok(Err((None, Refused::Signature)));
    };
    let name = passkey.staff.clone();
    match webauthn::assertion(&site, &challenge, &passkey.credential, &client_data, &data, &signature) {
        Ok(counter) => {
            let counted = web.store.write(move |tx| passkeys::used(tx, &passkey, counter, now.wall)).await?;
            Ok(if counted { Ok(name) } else { Err((Some(name), Refused::Copied)) })
        }
        Err(why) => Ok(Err((Some(name), why))),
    }
}
