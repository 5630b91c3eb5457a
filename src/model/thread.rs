//! A text thread as it is recorded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StaffName, ThreadId};

/// Where a thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Somebody owes somebody an answer.
    Open,
    /// Out of sight until a time.
    Snoozed,
    /// Done.
    Closed,
}

/// What opened a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenedBy {
    /// The caller chose to text, left a message, or wants to be called back.
    Call,
    /// The caller left unserved and got the missed-call text.
    MissedCall,
    /// A text came in.
    Text,
    /// A person of the clinic wrote first.
    Staff,
}

/// A number's newest thread: its open one, or else the one closed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestThread {
    /// Which.
    pub id: ThreadId,
    /// Where it stands.
    pub state: ThreadState,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// How a thread was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// By rule: the patient stayed silent.
    Silent,
    /// It has become a part of another thread.
    Merged,
    /// By rule: it holds nothing but a keyword, which the house obeyed.
    Keyword,
}

impl Resolution {
    /// What a person can say, the usual one first. The others are the house's.
    pub const CHOICES: [Resolution; 6] = [
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
            Resolution::Silent => "silent",
            Resolution::Merged => "merged",
            Resolution::Keyword => "keyword",
        }
    }

    /// What a person chose; none if it is not theirs to say.
    pub fn chosen(text: &str) -> Option<Resolution> {
        Resolution::CHOICES.into_iter().find(|resolution| resolution.as_str() == text)
    }
}

/// What becomes of a thread as another becomes a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It stays where it stands.
    AsItIs,
    /// It was closed: what was open goes on in it.
    Reopened,
    /// It was out of sight: somebody waits in it now, or must be seen to at once.
    Woken,
}

/// A thread, as far as it decides what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: ThreadState,
    /// Whether it has become a part of another.
    pub merged: bool,
    /// Whether words in it call for a person at once.
    pub flagged: bool,
    /// Whether the patient waits for a person.
    pub waits: bool,
    /// Who works it.
    pub owner: Option<StaffName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_read_as_it_is_written_and_people_choose_among_theirs() {
        use Resolution::*;
        for how in Resolution::CHOICES.into_iter().chain([Silent, Merged, Keyword]) {
            assert_eq!(serde_json::to_value(how).unwrap(), how.as_str());
            assert_eq!(Resolution::chosen(how.as_str()).is_some(), !matches!(how, Silent | Merged | Keyword));
        }
        assert_eq!(Resolution::chosen("closed"), None);
    }
}
