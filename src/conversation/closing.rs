//! How a thread ends: by a person with a word on how it was resolved, or by rule when the patient stays silent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// "Anything else I can help with?" stands for so long; then the thread closes.
pub const OFFER_STANDS: Duration = Duration::from_secs(4 * 3600);

/// The template that asks it.
pub const OFFER: &str = "anything_else";

/// What an open thread closes by when nobody waits in it and nothing holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// "Anything else?" was asked before this, and not answered.
    pub offered: Timestamp,
    /// The newest message was written before this, and the patient owes an answer.
    pub silent: Timestamp,
}

/// What closes by itself at `now`.
pub fn cutoffs(now: Timestamp, silent_after: Duration) -> Cutoffs {
    let before = |span: Duration| {
        SignedDuration::try_from(span).ok().and_then(|span| now.checked_sub(span).ok()).unwrap_or(Timestamp::MIN)
    };
    Cutoffs { offered: before(OFFER_STANDS), silent: before(silent_after) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_stands_for_hours_and_silence_for_days() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let cutoffs = cutoffs(at("2026-03-04T09:00:00Z"), Duration::from_secs(72 * 3600));
        assert_eq!(cutoffs.offered, at("2026-03-04T05:00:00Z"));
        assert_eq!(cutoffs.silent, at("2026-03-01T09:00:00Z"));
    }
}
