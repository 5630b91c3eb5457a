//! `Server-Timing` (W3C Server Timing): how long the house took over an answer, told to whoever is signed in.
//!
//! Counted from when the request's head has arrived until the answer is whole, so that the network, the browser and other
//! programs on the machine are not in it; of a stream, until it begins. Nobody else is told: how long a refusal takes is
//! no stranger's business.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::clock::monotonic;

/// Put on the answers that somebody signed in gets.
#[derive(Clone, Copy, Debug)]
pub struct Told;

const HEADER: HeaderName = HeaderName::from_static("server-timing");

/// Says how long it took.
pub async fn measure(request: Request, next: Next) -> Response {
    let began = monotonic();
    let mut response = next.run(request).await;
    if response.extensions().get::<Told>().is_some() {
        let took = monotonic().saturating_duration_since(began).as_secs_f64() * 1000.0;
        if let Ok(value) = HeaderValue::try_from(format!("house;dur={took:.2}")) {
            response.headers_mut().insert(HEADER, value);
        }
    }
    response
}
