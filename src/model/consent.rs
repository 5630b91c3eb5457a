//! Consent to be texted, with its evidence.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CallId, Digit, MessageId, PhoneNumber};

/// Whether a number may be texted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Yes.
    Granted,
    /// They said STOP, or staff opted them out.
    Revoked,
}

/// How consent was given or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentMethod {
    /// A key pressed on the phone after hearing the offer.
    Keypress,
    /// They texted first, or wrote START or STOP.
    Text,
    /// The clinic's staff recorded it.
    Staff,
    /// The gateway says so (opted out at the carrier).
    Gateway,
}

/// One entry of a number's consent history; the newest one is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whose.
    pub number: PhoneNumber,
    /// Granted or revoked.
    pub state: ConsentState,
    /// How.
    pub method: ConsentMethod,
    /// The exact words that were heard or read before it.
    pub disclosure: Option<String>,
    /// SHA-256 of the prompts' WAV files that said them, in order, separated by spaces.
    pub prompt_sha256: Option<String>,
    /// The key pressed.
    pub digit: Option<Digit>,
    /// The call it was pressed in.
    pub call: Option<CallId>,
    /// The message that said it.
    pub message: Option<MessageId>,
    /// When.
    pub at: Timestamp,
    /// Who recorded it: `caller`, `patient`, `gateway:twilio`, a user's name.
    pub actor: String,
}

impl Consent {
    /// Without words, key, call or message as evidence.
    pub fn new(
        number: PhoneNumber,
        state: ConsentState,
        method: ConsentMethod,
        actor: impl Into<String>,
        at: Timestamp,
    ) -> Consent {
        let (disclosure, prompt_sha256, digit, call, message) = (None, None, None, None, None);
        Consent { number, state, method, disclosure, prompt_sha256, digit, call, message, at, actor: actor.into() }
    }
}
