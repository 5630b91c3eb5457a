//! Signalling: SIP behind a wall of our own. Nothing outside this module names the SIP library.
//!
//! A message goes `guard` (who may speak) → `wire` (repaired, or refused) → the library's transactions → `endpoint`
//! (which call is it for?) → `inbound` (a new call) or `dialog` (one that runs) or `registrar` (a phone of ours).
//! `authentication` says which of our phones it is; `trace` keeps what was said.

mod authentication;
mod capabilities;
mod dialog;
pub mod digest;
mod endpoint;
mod guard;
mod header;
pub mod identity;
mod inbound;
mod message;
pub mod outbound;
mod registrar;
mod resolve;
#[cfg(test)]
mod rig;
pub mod sdp;
mod session_timer;
mod stream;
mod trace;
pub mod trunk;
mod wire;

pub use dialog::{Dialog, DialogEvent, Ended, OfferError, OfferReply, ReferError, ReferReply, Replaces};
pub use endpoint::{Endpoint, SipCounters, SipError, Timers};
pub use inbound::{AnswerError, Incoming};
pub use outbound::Outbound;
pub use registrar::{PhoneState, Phones};
pub use trace::{TraceDirection, TraceMessage};
pub use trunk::{TrunkState, Trunks};

/// To be put into every log filter, whatever the user's says: the library logs whole messages, numbers and credentials
/// included, at INFO.
pub const LOG_FILTER: &str = "rsipstack=warn";

/// How we name ourselves.
const AGENT: &str = concat!("Threadline/", env!("CARGO_PKG_VERSION"));

/// Whether something may be logged at all: a filter to stand beside the user's, which could otherwise name a part of the
/// library and so undo [`LOG_FILTER`].
pub fn may_log(metadata: &tracing::Metadata<'_>) -> bool {
    !metadata.target().starts_with("rsipstack") || *metadata.level() <= tracing::Level::WARN
}

/// For the fuzzer and its corpus: takes `data` through all that is done to a message before a transaction sees it, and
/// its headers through all that reads them.
pub fn exercise(data: &[u8]) {
    use rsipstack::sip::SipMessage;
    let source = std::net::SocketAddr::from(([192, 0, 2, 1], 5060));
    if let Ok(Some(length)) = wire::frame(data) {
        assert!(length <= data.len(), "a frame lies within what was read");
    }
    let _ = wire::forbidden(data, source);
    trace::exercise(data);
    for stream in [false, true] {
        let message = match wire::examine(data, source, stream) {
            wire::Verdict::Message(message) => message,
            wire::Verdict::Answer(answer) => {
                assert!(answer.starts_with(b"SIP/2.0 "), "a refusal is a response");
                continue;
            }
            wire::Verdict::Nothing => continue,
        };
        let Ok(message) = SipMessage::try_from(message.as_ref()) else {
            let _ = wire::unreadable(&message, source);
            continue;
        };
        let headers = match &message {
            SipMessage::Request(request) => {
                registrar::exercise(request);
                dialog::exercise(request);
                &request.headers
            }
            SipMessage::Response(response) => &response.headers,
        };
        for header in headers.iter() {
            let value = header.value();
            let country = "US".parse().expect("a country");
            identity::caller(value, &[value], &[value], country);
            identity::dialled(value, value, country);
            identity::diversions(&[value], &[value]);
            digest::challenges(&[value]);
            digest::Answer::parse(value);
            session_timer::SessionExpires::parse(value);
            for part in header::list(value) {
                header::parameter(part, "tag");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{EnvFilter, Layer, filter, fmt};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Whoever weakens this puts patients' numbers into the log.
    #[test]
    fn the_library_is_silenced_whatever_the_users_filter_says() {
        let lines = Lines::default();
        let to = lines.clone();
        let user: EnvFilter = "trace,rsipstack::transport=trace".parse().unwrap();
        let layer = fmt::layer()
            .with_writer(move || to.clone())
            .with_filter(user.add_directive(super::LOG_FILTER.parse().unwrap()))
            .with_filter(filter::filter_fn(super::may_log));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "rsipstack::transport::udp", "INVITE sip:+16462530142");
            tracing::info!(target: "rsipstack::transaction", "INVITE sip:+16462530142");
            tracing::warn!(target: "rsipstack::transport::udp", "socket gone");
            tracing::info!("ours");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("INVITE") && text.contains("socket gone") && text.contains("ours"), "{text}");
    }
}
