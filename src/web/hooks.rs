//! What gateways report: a text that came in, and what became of one that went out.
//!
//! Signature first, then the meaning, then the duplicate is dropped, then commit, and only then 2xx: a gateway that got
//! anything else tries again.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::body::{NoBody, whole};
use super::client::Client;
use super::{Family, Web};
use crate::sms::{Hook, HookError, HookRequest};

/// A webhook's body is a few KB; more gets 413.
const LONGEST_BODY: usize = 64 * 1024;
/// A body must arrive within this, else 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What a gateway that honours it is told when the store cannot commit.
const RETRY_AFTER: &str = "5";

/// What webhooks came to, since the start.
#[derive(Debug, Default)]
pub struct HookCounters {
    accepted: AtomicU64,
    unproven: AtomicU64,
    malformed: AtomicU64,
    too_large: AtomicU64,
    too_slow: AtomicU64,
    unavailable: AtomicU64,
}

impl HookCounters {
    /// For `/metrics`.
    pub fn family(&self) -> Family {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Family::counters(
            "threadline_webhooks",
            "Webhooks by what came of them",
            "result",
            [
                ("accepted", of(&self.accepted)),
                ("unproven", of(&self.unproven)),
                ("malformed", of(&self.malformed)),
                ("too_large", of(&self.too_large)),
                ("too_slow", of(&self.too_slow)),
                ("unavailable", of(&self.unavailable)),
            ],
        )
    }
}

/// `POST /hooks/{gateway}/inbound`
pub(super) async fn inbound(State(web): State<Web>, came: Came, body: Body) -> Response {
    answer(&web, handle(&web, Hook::Inbound, came, body).await)
}

/// `POST /hooks/{gateway}/status`
pub(super) async fn status(State(web): State<Web>, came: Came, body: Body) -> Response {
    answer(&web, handle(&web, Hook::Status, came, body).await)
}

/// A webhook without its body.
pub(super) struct Came {
    gateway: String,
    peer: IpAddr,
    uri: Uri,
    headers: HeaderMap,
}

impl FromRequestParts<Web> for Came {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let Path(gateway) = Path::from_request_parts(parts, web).await.map_err(IntoResponse::into_response)?;
        let client = Client::from_request_parts(parts, web).await.map_err(IntoResponse::into_response)?;
        Ok(Came { gateway, peer: client.address, uri: parts.uri.clone(), headers: std::mem::take(&mut parts.headers) })
    }
}

/// Why a webhook gets no 2xx.
enum Refused {
    OtherGateway,
    TooLarge,
    TooSlow,
    Hook(HookError),
    Store(crate::store::StoreError),
}

async fn handle(web: &Web, hook: Hook, came: Came, body: Body) -> Result<(), Refused> {
    if came.gateway != web.gateway.name() {
        return Err(Refused::OtherGateway);
    }
    let body = tokio::time::timeout(BODY_TIMEOUT, whole(&came.headers, body, LONGEST_BODY))
        .await
        .map_err(|_| Refused::TooSlow)?;
    let body = body.map_err(|error| match error {
        NoBody::TooLong => Refused::TooLarge,
        // Nobody is left to read the answer.
        NoBody::Broken => Refused::Hook(HookError::Malformed("its body broke off")),
    })?;
    let path = came.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = web.public_url.as_deref().map(|base| format!("{}{path}", base.trim_end_matches('/')));
    let request = HookRequest { hook, url: url.as_deref(), headers: &came.headers, body: &body, peer: came.peer };
    let event = web.gateway.hook(&request).map_err(Refused::Hook)?;
    web.inbound.apply(web.gateway.name(), event, web.clock.now().wall).await.map_err(Refused::Store)
}

fn answer(web: &Web, result: Result<(), Refused>) -> Response {
    let counters = &web.hooks;
    let gateway = web.gateway.name();
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match result {
        Ok(()) => {
            count(&counters.accepted);
            // Empty: a gateway that expects TwiML then sends no reply of its own.
            StatusCode::NO_CONTENT.into_response()
        }
        Err(Refused::OtherGateway) => (StatusCode::NOT_FOUND, "no such gateway is in use\n").into_response(),
        Err(Refused::TooLarge) => {
            count(&counters.too_large);
            (StatusCode::PAYLOAD_TOO_LARGE, "at most 64 KB\n").into_response()
        }
        Err(Refused::TooSlow) => {
            count(&counters.too_slow);
            StatusCode::REQUEST_TIMEOUT.into_response()
        }
        Err(Refused::Hook(HookError::Unproven(why))) => {
            // Anybody may knock: one line for the first and for each doubling, so that knocking does not fill the log.
            let before = count(&counters.unproven);
            if (before + 1).is_power_of_two() {
                tracing::warn!(gateway, so_far = before + 1, "a webhook was refused: {why}");
            }
            StatusCode::FORBIDDEN.into_response()
        }
        Err(Refused::Hook(error @ HookError::MediaType)) => {
            count(&counters.malformed);
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{error}\n")).into_response()
        }
        Err(Refused::Hook(HookError::Malformed(why))) => {
            count(&counters.malformed);
            tracing::warn!(gateway, "a webhook from the gateway was not understood: {why}");
            (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
        }
        Err(Refused::Store(error)) => {
            count(&counters.unavailable);
            tracing::error!(gateway, %error, "a webhook could not be kept; the gateway is asked to send it again");
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
        }
    }
}
