//! The gateway port: what is sent, what can come of it, and what a gateway's webhooks say.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::conversation::keywords::Keyword;
use crate::model::{MessageId, MessageStatus, PhoneNumber, Private};

/// One text on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Our id.
    pub id: MessageId,
    /// The clinic's number.
    pub from: PhoneNumber,
    /// The patient's number.
    pub to: PhoneNumber,
    /// What it says, at most [`MOST_CHARACTERS`](crate::conversation::templates::MOST_CHARACTERS).
    pub body: Private<String>,
    /// Where the gateway shall report what became of it.
    pub status_callback: Option<String>,
    /// For how long it is of use: the gateway shall not deliver it later.
    pub valid_for: Duration,
}

/// A gateway or carrier will not take or deliver a text, and trying again will not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gateway's own code.
    pub code: Option<String>,
    /// What is wrong and what helps, in plain words without the number or the text.
    pub reason: String,
    /// The recipient has opted out at the gateway: consent is withdrawn.
    pub opted_out: bool,
}

/// What came of handing a text to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// It has it.
    Accepted(Accepted),
    /// It certainly has not taken it; later it may.
    Temporary {
        /// Why, in plain words.
        reason: String,
        /// When the gateway wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It never will.
    Permanent(Refusal),
    /// The request left and no usable answer came back: it may have taken it.
    Unknown {
        /// Why, in plain words.
        reason: String,
    },
}

/// What a gateway says of a text that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's id of it.
    pub gateway_id: String,
    /// Into how many parts it was cut.
    pub segments: Option<u32>,
    /// [`MessageStatus::Sent`], or further if the gateway is that fast.
    pub status: MessageStatus,
}

/// What a gateway says when asked whether it has a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It has it.
    Sent(Accepted),
    /// It has not: sending it anew makes no second copy.
    NotSent,
    /// It could not be asked, or it cannot tell.
    CannotSay {
        /// Why, in plain words.
        reason: String,
    },
}

/// What a text from a patient brought, as the gateway's webhook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundText {
    /// The gateway's id: with its name, what a duplicate is known by.
    pub gateway_id: String,
    /// Who wrote.
    pub from: PhoneNumber,
    /// Which of the clinic's numbers they wrote to.
    pub to: PhoneNumber,
    /// What they wrote; may be empty when there is a picture.
    pub body: Private<String>,
    /// Addresses of pictures and the like, at most ten.
    pub media: Vec<Private<String>>,
    /// The keyword that the gateway found and has answered itself.
    pub answered: Option<Keyword>,
}

/// What became of a text that the gateway took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The gateway's id.
    pub gateway_id: String,
    /// Where it stands now.
    pub status: MessageStatus,
    /// Why it failed, if it did.
    pub refusal: Option<Refusal>,
}

/// Which of a gateway's webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A text came in.
    Inbound,
    /// Something became of a text that went out.
    Status,
}

/// What a webhook says, once its origin is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// A text came in.
    Inbound(InboundText),
    /// Something became of a text that went out.
    Status(StatusReport),
    /// Nothing that we keep: a stage that says less than we know.
    Nothing,
}

/// A webhook as it came.
#[derive(Clone, Copy)]
pub struct HookRequest<'a> {
    /// Which.
    pub hook: Hook,
    /// The address that the gateway called, as it knows it: `web.public_url` with path and query.
    pub url: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, already bounded.
    pub body: &'a [u8],
    /// Who is at the other end of the connection.
    pub peer: IpAddr,
}

impl fmt::Debug for HookRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRequest").field("hook", &self.hook).field("bytes", &self.body.len()).finish()
    }
}

/// Why a webhook is refused. None of the texts holds anything that the request said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// Its origin is not proven: 403.
    #[error("{0}")]
    Unproven(&'static str),
    /// Not the media type that this gateway sends: 415.
    #[error("neither a form nor JSON that this gateway sends")]
    MediaType,
    /// From the gateway, but not to be understood: 400.
    #[error("{0}")]
    Malformed(&'static str),
}
