//! What we say that we can do.

use rsipstack::sip::{Header, Request};

use super::message::{self, all};

/// Methods that we serve.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY";
/// Extensions that we know (RFC 3262, RFC 3891, RFC 4028).
pub(super) const SUPPORTED: [&str; 3] = ["100rel", "replaces", "timer"];

/// Option tags of Require that we do not know.
pub(super) fn unsupported(request: &Request) -> Option<String> {
    let unknown: Vec<&str> = message::tokens(all!(request, Require))
        .filter(|tag| !SUPPORTED.contains(&tag.to_ascii_lowercase().as_str()))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// Retry-After, for 503.
pub(super) fn busy() -> Vec<Header> {
    vec![Header::RetryAfter("10".into())]
}

/// What OPTIONS tells (RFC 3261 section 11.2).
pub(super) fn capabilities() -> Vec<Header> {
    vec![
        Header::Allow(ALLOW.into()),
        Header::Accept("application/sdp, application/dtmf-relay, application/dtmf".into()),
        Header::Supported(SUPPORTED.join(", ").into()),
    ]
}
