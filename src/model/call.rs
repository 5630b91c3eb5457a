//! A call as it is recorded.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CallId, Caller, Language, MediaQuality, PhoneNumber, Private, ThreadId};

/// Who placed the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A patient called us.
    Inbound,
    /// We called out.
    Outbound,
}

/// What became of a call: exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The caller chose a text and it is on its way.
    Texted,
    /// A person spoke with the caller.
    Served,
    /// A message was recorded.
    Voicemail,
    /// A call back was booked.
    Callback,
    /// Handed to another number.
    Transferred,
    /// The caller heard what they asked for.
    Informed,
    /// The caller hung up before being served.
    Abandoned,
    /// The tree ended without serving the caller: after hours, nobody answered, nothing chosen.
    Missed,
    /// We refused the call.
    Rejected,
    /// Something broke.
    Failed,
    /// The daemon stopped during the call.
    Interrupted,
}

impl Outcome {
    /// Whether the caller left without what they came for and is owed the missed-call text.
    pub fn unserved(self) -> bool {
        matches!(self, Outcome::Abandoned | Outcome::Missed | Outcome::Failed | Outcome::Interrupted)
    }
}

/// How a caller was left unserved: the last that was tried for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Nothing yet: they were in a menu, or heard something.
    InMenu,
    /// They hung up while waiting in a line.
    InLine {
        /// From 1, as last told; none: they left before it was known.
        position: Option<usize>,
        /// How long they have waited for a person in all.
        waited: Duration,
    },
    /// Phones rang and nobody came, or nobody was there to be rung.
    Unanswered,
    /// They left a message too short to be kept.
    VoicemailTooShort,
    /// No call back could be booked, or they were called back in vain.
    CallbackFailed,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The person who called.
    Caller,
    /// Our tree, when it was done.
    System,
    /// A person of the clinic.
    Staff,
    /// The network: RTP fell silent, a refresh failed, the trunk gave up.
    Network,
}

/// Whom a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A number: the clinic's own, or a patient's.
    Number(PhoneNumber),
    /// An emergency number, as it is dialled: `911`.
    Emergency(Private<String>),
}

impl Callee {
    /// As it was dialled: for the record and the page, never for a log.
    pub fn as_str(&self) -> &str {
        match self {
            Callee::Number(number) => number.as_str(),
            Callee::Emergency(digits) => digits.expose(),
        }
    }
}

/// A call's first row: what is known when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStart {
    /// Our id.
    pub id: CallId,
    /// Who placed it.
    pub direction: Direction,
    /// The trunk's name.
    pub trunk: String,
    /// Who is calling.
    pub from: Caller,
    /// The number that was dialled, as far as it is one.
    pub to: Option<Callee>,
    /// Numbers that the call was diverted from, last first (RFC 5806, RFC 7044).
    pub diversion: Vec<Private<String>>,
    /// The SIP Call-ID, for finding it in the carrier's logs.
    pub sip_call_id: String,
    /// When the INVITE came.
    pub at: Timestamp,
}

/// A call's last words: what is known when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEnd {
    /// Our id.
    pub id: CallId,
    /// When it was answered, if it was.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub at: Timestamp,
    /// The nodes it went through, in order: `hours:clinic`, `menu:welcome`, …
    pub path: Vec<String>,
    /// The keys pressed, in order; those of a `number` node as `•`.
    pub digits: String,
    /// The language at the end.
    pub language: Language,
    /// What became of it.
    pub outcome: Outcome,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Why, in a word or a SIP status: `hangup`, `rtp_timeout`, `488 Not Acceptable Here`.
    pub cause: String,
    /// How long the caller waited for a person, not counting the menu.
    pub waited: Duration,
    /// The thread that it opened or continued.
    pub thread: Option<ThreadId>,
    /// How it sounded.
    pub quality: Option<MediaQuality>,
}
