//! Signalling: SIP behind a wall of our own. Nothing outside this module names the SIP library.
//!
//! A message goes `guard` (who may speak) → `wire` (repaired, or refused) → the library's transactions → `endpoint`
//! (which call is it for?) → `inbound` (a new call) or `dialog` (one that runs).

mod dialog;
pub mod digest;
mod endpoint;
mod guard;
pub mod identity;
mod inbound;
mod message;
pub mod sdp;
mod session_timer;
mod stream;
mod wire;

pub use dialog::{Dialog, DialogEvent, Ended, OfferError, OfferReply};
pub use endpoint::{Endpoint, SipCounters, SipError, Timers};
pub use inbound::{AnswerError, Incoming};

/// To be put into every log filter, whatever the user's says: the library logs whole messages, numbers and credentials
/// included, at INFO.
pub const LOG_FILTER: &str = "rsipstack=warn";

/// Methods that we serve.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// Extensions that we know (RFC 3262, RFC 4028).
const SUPPORTED: [&str; 2] = ["100rel", "timer"];
/// How we name ourselves.
const AGENT: &str = concat!("Threadline/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    /// Whoever weakens this puts patients' numbers into the log (see [`super::LOG_FILTER`]).
    #[test]
    fn the_library_is_silenced_whatever_the_users_filter_says() {
        let filter: tracing_subscriber::EnvFilter =
            "trace".parse::<tracing_subscriber::EnvFilter>().unwrap().add_directive(super::LOG_FILTER.parse().unwrap());
        let text = filter.to_string();
        assert!(text.contains("rsipstack=warn") && text.contains("trace"), "{text}");
    }
}
pub mod trunk;
