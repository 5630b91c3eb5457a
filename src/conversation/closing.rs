//! How a thread ends: by a person with a word on how it was resolved, or by rule when the patient stays silent.

use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// "Anything else I can help with?" stands for so long; then the thread closes.
pub const OFFER_STANDS: Duration = Duration::from_secs(4 * 3600);

/// The template that asks it.
pub const OFFER: &str = "anything_else";

/// How a thread was resolved when nobody had to say so: the patient stayed silent.
pub const SILENT: &str = "silent";

/// How a person says that a thread was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Their question was answered.
    Answered,
    /// They have an appointment.
    AppointmentBooked,
    /// It was settled on the phone.
    MovedToVoice,
    /// There was nothing to answer.
    NoReplyNeeded,
    /// Spam, or a wrong number.
    WrongNumber,
    /// Anything else.
    Other,
}

impl Resolution {
    /// All of them, the usual one first.
    pub const ALL: [Resolution; 6] = [
        Resolution::Answered,
        Resolution::AppointmentBooked,
        Resolution::MovedToVoice,
        Resolution::NoReplyNeeded,
        Resolution::WrongNumber,
        Resolution::Other,
    ];

    /// As records write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Resolution::Answered => "answered",
            Resolution::AppointmentBooked => "appointment_booked",
            Resolution::MovedToVoice => "moved_to_voice",
            Resolution::NoReplyNeeded => "no_reply_needed",
            Resolution::WrongNumber => "wrong_number",
            Resolution::Other => "other",
        }
    }
}

impl FromStr for Resolution {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Resolution::ALL.into_iter().find(|resolution| resolution.as_str() == text).ok_or(())
    }
}

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

    #[test]
    fn resolutions_read_back() {
        for resolution in Resolution::ALL {
            assert_eq!(resolution.as_str().parse(), Ok(resolution));
        }
        assert!("merged".parse::<Resolution>().is_err() && "".parse::<Resolution>().is_err());
    }
}
