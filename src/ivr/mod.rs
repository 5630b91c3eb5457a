//! The phone menu's engine: it is handed the time and what happened, and says what to do. No I/O, no clock.
//!
//! **The contract.** Hand [`Input::Answered`] first. Perform the [`Action`]s of each answer in order. Call again with
//! whatever happens next, and with [`Input::Deadline`] when [`Engine::next_deadline`] has come; a deadline that comes
//! early does nothing. [`Input::PlayEnded`] belongs to the newest [`Action::Play`] alone: the end of one that was
//! replaced or stopped is not reported. After [`Action::Hangup`] or [`Input::HungUp`] the call is over and nothing
//! more is asked for; a late [`Input::TextResult`] still counts for the outcome.
//!
//! One file per kind of node: `menu`, `play`, `text`, `number`, `hangup`; `hours` is decided on the way (`engine`).

mod engine;
mod hangup;
mod menu;
mod number;
mod play;
mod text;

use std::fmt;

use crate::model::{Caller, Digit, Language, PhoneNumber, Pressed, PromptKey};

pub use engine::Engine;

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerFacts {
    /// As the trunk tells.
    pub caller: Caller,
    /// The language that they are known to prefer; else the clinic's.
    pub language: Option<Language>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Audio flows: begin.
    Answered,
    /// A key was pressed.
    Digit(Pressed),
    /// Everything of the newest [`Action::Play`] was said.
    PlayEnded,
    /// The deadline has come.
    Deadline,
    /// The caller is gone.
    HungUp,
    /// What became of an [`Action::Text`].
    TextResult(TextResult),
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextResult {
    /// It is in the outbox.
    Queued,
    /// It may not be sent, and why: the number takes no texts, say.
    Refused(String),
    /// It should be sent, but something of ours is broken: the store is locked or full, say.
    Failed(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say these, one after the other, instead of whatever is being said.
    Play(Vec<PromptKey>),
    /// Be silent.
    StopPlaying,
    /// Send a text.
    Text(TextRequest),
    /// End the call.
    Hangup {
        /// Why.
        cause: HangupCause,
    },
}

/// Why the engine ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangupCause {
    /// The tree came to its end.
    TreeEnded,
    /// The call went through more nodes than any caller would: a tree that goes round in circles.
    TooManyNodes,
}

impl HangupCause {
    /// For the call's record.
    pub fn as_str(self) -> &'static str {
        match self {
            HangupCause::TreeEnded => "hangup",
            HangupCause::TooManyNodes => "too_many_nodes",
        }
    }
}

impl fmt::Display for HangupCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text to send, with what the consent record needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRequest {
    /// The node that sends it: `text:general`.
    pub node: String,
    /// The caller's number, or the one that they typed and confirmed.
    pub to: PhoneNumber,
    /// The template's name.
    pub template: String,
    /// What the thread is about.
    pub reason: Option<String>,
    /// The caller's language.
    pub language: Language,
    /// How they asked for it.
    pub evidence: Evidence,
    /// The nodes that the call went through until here.
    pub path: Vec<String>,
}

/// How the caller asked for a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The key; none when the tree led here by itself.
    pub digit: Option<Digit>,
    /// The prompts that were played to offer the key, in order, and to confirm a typed number. A key pressed
    /// during them ends them early.
    pub prompts: Vec<PromptKey>,
}
