//! `/healthz`: whether calls can be taken.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Web;

/// Whether calls can be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Health {
    /// Yes: 200.
    Ok {
        /// Calls in progress.
        calls: usize,
    },
    /// No: 503.
    Unavailable {
        /// Why, and what helps.
        reason: String,
    },
}

/// `GET /healthz`
pub(super) async fn healthz(State(web): State<Web>) -> Response {
    let health = (web.health)();
    let status = match health {
        Health::Ok { .. } => StatusCode::OK,
        Health::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}
