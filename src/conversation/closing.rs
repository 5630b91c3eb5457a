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

/// What is known of an open thread that may close by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Since when the patient waits for a person.
    pub waiting_since: Option<Timestamp>,
    /// When the newest message was written.
    pub last_at: Option<Timestamp>,
    /// When "anything else?" was asked and not answered.
    pub close_offered_at: Option<Timestamp>,
    /// Something keeps it open: a red flag, a follow-up, a text that did not arrive or is still to be sent.
    pub held: bool,
}

/// When an open thread closes by itself: never while the patient waits or something holds it; after an unanswered
/// "anything else?" soon; else when the patient has owed an answer for `silent_after`.
pub fn closes_at(silence: &Silence, silent_after: Duration) -> Option<Timestamp> {
    if silence.waiting_since.is_some() || silence.held {
        return None;
    }
    let after = |at: Timestamp, span: Duration| {
        SignedDuration::try_from(span).ok().and_then(|span| at.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
    };
    let offered = silence.close_offered_at.map(|at| after(at, OFFER_STANDS));
    let silent = silence.last_at.map(|at| after(at, silent_after));
    offered.into_iter().chain(silent).min()
}

/// Whether it has come to that.
pub fn is_silent(silence: &Silence, silent_after: Duration, now: Timestamp) -> bool {
    closes_at(silence, silent_after).is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const THREE_DAYS: Duration = Duration::from_secs(72 * 3600);

    #[test]
    fn a_thread_closes_when_the_patient_owes_an_answer_for_too_long() {
        let last_at = Some(at("2026-03-01T09:00:00Z"));
        let silence = Silence { waiting_since: None, last_at, close_offered_at: None, held: false };
        assert_eq!(closes_at(&silence, THREE_DAYS), Some(at("2026-03-04T09:00:00Z")));
        assert!(!is_silent(&silence, THREE_DAYS, at("2026-03-04T08:59:59Z")));
        assert!(is_silent(&silence, THREE_DAYS, at("2026-03-04T09:00:00Z")));
    }

    #[test]
    fn an_unanswered_offer_closes_it_sooner() {
        let (asked, last_at) = (Some(at("2026-03-01T09:00:00Z")), Some(at("2026-03-01T09:00:00Z")));
        let silence = Silence { waiting_since: None, last_at, close_offered_at: asked, held: false };
        assert_eq!(closes_at(&silence, THREE_DAYS), Some(at("2026-03-01T13:00:00Z")));
    }

    #[test]
    fn who_waits_is_never_closed_upon_nor_what_is_held() {
        let time = Some(at("2026-03-01T09:00:00Z"));
        let silence = Silence { waiting_since: None, last_at: time, close_offered_at: time, held: false };
        assert_eq!(closes_at(&Silence { waiting_since: time, ..silence }, THREE_DAYS), None);
        assert_eq!(closes_at(&Silence { held: true, ..silence }, THREE_DAYS), None);
        assert_eq!(closes_at(&Silence { last_at: None, close_offered_at: None, ..silence }, THREE_DAYS), None);
    }

    #[test]
    fn resolutions_read_back() {
        for resolution in Resolution::ALL {
            assert_eq!(resolution.as_str().parse(), Ok(resolution));
        }
        assert!("merged".parse::<Resolution>().is_err() && "".parse::<Resolution>().is_err());
    }
}
