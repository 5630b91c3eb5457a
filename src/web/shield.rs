//! What every answer carries and every form must prove, whoever asks.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Nothing from elsewhere, nothing inline, no frames (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses what another site sends, and puts the safe headers on every answer.
pub async fn shield(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    // Webhooks come from gateways, which prove themselves by their signature.
    let webhook = request.uri().path().starts_with("/hooks/");
    let mut response = if changes && !webhook && !from_here(request.headers()) {
        Problem::ForeignForm.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(
        header::HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    );
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a form comes from this site's own pages. Browsers say so by `Sec-Fetch-Site` (Fetch Metadata); older ones
/// by `Origin`, which must then name the host that was asked. A request that says neither is no browser's form.
fn from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else { return false };
    origin.split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_proves_that_it_is_ours() {
        for ours in [
            headers(&[("sec-fetch-site", "same-origin")]),
            headers(&[("origin", "https://clinic.example"), ("host", "clinic.example")]),
        ] {
            assert!(from_here(&ours), "{ours:?}");
        }
        for theirs in [
            headers(&[]),
            headers(&[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://clinic.example"),
                ("host", "clinic.example"),
            ]),
            headers(&[("sec-fetch-site", "same-site")]),
            headers(&[("sec-fetch-site", "none")]),
            headers(&[("origin", "https://evil.example"), ("host", "clinic.example")]),
            headers(&[("origin", "null"), ("host", "clinic.example")]),
            headers(&[("host", "clinic.example")]),
        ] {
            assert!(!from_here(&theirs), "{theirs:?}");
        }
    }
}
