//! How a thread ends: by a person with a word on how it was resolved, or by rule when the patient stays silent.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::tree::{Hours, Status};

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

/// What becomes of a thread whose patient has been silent for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// "Anything else?" is asked first.
    Ask,
    /// It is asked when the clinic opens.
    Later,
    /// It closes.
    Close,
}

/// How it ends. Whoever wrote with a person is asked once, while people are about; whoever only got the house's own
/// texts, or cannot be asked, is not.
pub fn ending(asked: bool, conversed: bool, can_ask: bool, people_about: bool) -> Ending {
    match (asked || !conversed || !can_ask, people_about) {
        (true, _) => Ending::Close,
        (false, true) => Ending::Ask,
        (false, false) => Ending::Later,
    }
}

/// Whether a text of the house's own accord is welcome: while the clinic is open, whose `hours` these are. One without
/// hours writes from 8 to 20 on its own clock, within what 47 CFR 64.1200(c)(1) calls reasonable.
pub fn people_about(hours: Option<&Hours>, zone: &TimeZone, now: Timestamp) -> bool {
    match hours {
        Some(hours) => hours.status(now, zone) == Status::Open,
        None => (8..20).contains(&now.to_zoned(zone.clone()).hour()),
    }
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

    #[test]
    fn who_wrote_with_a_person_is_asked_once_and_by_day() {
        assert_eq!(ending(false, true, true, true), Ending::Ask);
        assert_eq!(ending(false, true, true, false), Ending::Later);
        for (asked, conversed, can_ask) in [(true, true, true), (false, false, true), (false, true, false)] {
            assert_eq!(ending(asked, conversed, can_ask, false), Ending::Close);
        }
        let about = |at: &str| people_about(None, &TimeZone::UTC, at.parse().unwrap());
        assert_eq!(
            ["2026-03-04T07:59:59Z", "2026-03-04T08:00:00Z", "2026-03-04T20:00:00Z"].map(about),
            [false, true, false]
        );
    }
}
