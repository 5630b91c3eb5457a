//! The phone menu's engine: it is handed the time and what happened, and says what to do. No I/O, no clock.
//!
//! **The contract.** Hand [`Input::Answered`] first. Perform the [`Action`]s of each answer in order. Call again with
//! whatever happens next, and with [`Input::Deadline`] when [`Engine::next_deadline`] has come; a deadline that comes
//! early does nothing. [`Input::PlayEnded`] belongs to the newest [`Action::Play`] alone: the end of one that was
//! replaced or stopped is not reported. With [`Action::Hangup`], [`Input::HungUp`] or [`Input::Transferred`] the call is
//! over; what is left to do then ([`Action::Leave`], [`Action::Keep`], [`Action::Discard`]) is in that answer, and nothing
//! more is asked for. A late [`Input::TextResult`], [`Input::Kept`] or [`Input::CallbackBooked`] still counts for the
//! outcome. What phones do after [`Action::Leave`] is not reported.
//!
//! One file per kind of node: `menu`, `play`, `text`, `number`, `ring`, `queue`, `voicemail`, `callback`, `transfer`,
//! `hangup`; `hours` is decided on the way (`engine`). `person` is what the kinds share that wait for one.

mod callback;
mod engine;
mod hangup;
mod menu;
mod number;
mod person;
mod play;
mod queue;
mod requests;
mod ring;
mod text;
mod transfer;
mod voicemail;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Caller, Digit, Language, Member, Phone, PhoneNumber, Pressed, PromptKey, Strategy, Unanswered};

pub use engine::Engine;
pub use person::BRIEF;
pub use voicemail::TONE;

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
    /// The caller's place in the line of an [`Action::Join`], told at its beginning and when it changes.
    Place(Place),
    /// Somebody of the clinic wants the caller to be offered a text now: the offer of the queue in which they wait, if it
    /// has one. While it is being said, or the caller waits in no queue, nothing happens.
    OfferText,
    /// A person has picked up after an [`Action::Ring`], [`Action::Join`] or [`Action::Transfer`] and speaks with the
    /// caller: nothing is played from now on, and keys are theirs.
    Connected,
    /// Nobody has, and nobody will: the ringing, the waiting or the transfer is over. After [`Input::Connected`]: whoever
    /// the person has handed the caller on to has not picked up, and the person is gone.
    Unanswered(Unanswered),
    /// The person has hung up, the caller has not. Where they had hardly picked up, phones ring for the caller again.
    ConversationOver,
    /// An [`Action::Transfer`] has put the caller into other hands: the call is over for us.
    Transferred,
    /// How much the caller has said since an [`Action::Record`]. Told before anything else that happens while it records:
    /// it is what makes a message long enough.
    Spoken(Duration),
    /// An [`Action::Record`] ended by itself: silence, or its longest time.
    RecordingEnded,
    /// What became of the recording after [`Action::Keep`]: how long it is; none: the store could not keep it.
    Kept(Option<Duration>),
    /// What became of an [`Action::BookCallback`].
    CallbackBooked(Result<(), NoCallback>),
}

/// A place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1: the next.
    pub position: usize,
    /// How long it will probably take; none as long as nobody can tell.
    pub wait: Option<Duration>,
}

/// Why no call back is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCallback {
    /// One is booked for this number already.
    Already,
    /// As many are booked as the clinic can serve.
    Full,
    /// Something of ours is broken.
    Failed,
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
    /// Play these again and again, until something else is said: music. None: the ringing of a telephone. It never ends
    /// by itself.
    Loop(Vec<PromptKey>),
    /// Ring phones for this caller alone. Ends with [`Input::Connected`] or [`Input::Unanswered`], or by
    /// [`Action::Leave`].
    Ring(RingRequest),
    /// Take a place in a line. Ends as [`Action::Ring`] does.
    Join(JoinRequest),
    /// Give up the place, the ringing, or the transfer that nobody has answered.
    Leave,
    /// Record what the caller says, after a tone of [`TONE`].
    Record(RecordRequest),
    /// End the recording and keep it as a message for the staff.
    Keep(MessageRequest),
    /// End the recording and forget it.
    Discard,
    /// Book a call back.
    BookCallback(CallbackRequest),
    /// Hand the caller to another phone.
    Transfer(TransferRequest),
    /// End the call.
    Hangup {
        /// Why.
        cause: HangupCause,
    },
}

/// Phones to ring for one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRequest {
    /// The node that rings: `ring:front_desk`.
    pub node: String,
    /// Whom.
    pub members: Vec<Member>,
    /// In which order.
    pub strategy: Strategy,
    /// How long all of it may take.
    pub give_up_after: Duration,
    /// What the phones show beside the caller's number: what the caller chose.
    pub reason: Option<String>,
    /// The conversation is recorded; the caller has been told.
    pub record: bool,
}

/// A place to take in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The node: `queue:front_desk`.
    pub node: String,
    /// The line: queues of the same line wait together.
    pub line: String,
    /// The higher the sooner; within the same, first in, first out.
    pub priority: u8,
    /// Since when the caller has waited in this line, on the clock of [`Now::mono`](crate::clock::Now): now, or, for who
    /// left it for a text or a call back that could not be had, since they joined it first. It decides who was first in.
    pub since: Duration,
    /// Who serves it.
    pub members: Vec<Member>,
    /// Which of them ring for the next caller.
    pub strategy: Strategy,
    /// So many may wait; a further one is [`Unanswered::Full`].
    pub most_waiting: usize,
    /// What the phones show beside the caller's number.
    pub reason: Option<String>,
    /// The conversation is recorded; the caller has been told.
    pub record: bool,
}

/// A recording to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRequest {
    /// It ends after so long.
    pub longest: Duration,
    /// It ends when the caller says nothing for so long.
    pub silence: Duration,
}

/// A recorded message for the staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRequest {
    /// The node: `voicemail:front_desk`.
    pub node: String,
    /// What the thread is about.
    pub reason: Option<String>,
    /// Who is to hear it.
    pub team: Option<String>,
    /// The caller's language.
    pub language: Language,
}

/// A call back to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackRequest {
    /// The node: `callback:front_desk`.
    pub node: String,
    /// Who is called.
    pub to: PhoneNumber,
    /// What makes it due.
    pub when: CallbackWhen,
    /// When it may be made.
    pub window: CallbackWindow,
    /// Who calls them.
    pub members: Vec<Member>,
    /// Which of them ring.
    pub strategy: Strategy,
    /// What the thread is about.
    pub reason: Option<String>,
    /// The caller's language.
    pub language: Language,
}

/// When a call back is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackWhen {
    /// When it is the caller's turn in this line, whose place they keep.
    Turn {
        /// The line.
        line: String,
        /// The place's priority.
        priority: u8,
        /// Since when they have waited in it, on the clock of [`Now::mono`](crate::clock::Now).
        since: Duration,
    },
    /// The next opening.
    Opening,
}

/// When a call back may be made: nobody is rung at night for what was asked in the daytime, nor next week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackWindow {
    /// The node whose hours decide: `hours:clinic`. None: it may be made at any hour.
    pub hours: Option<String>,
    /// Not before.
    pub from: Timestamp,
    /// Not from then on; then the next opening's turn comes.
    pub until: Timestamp,
    /// It has failed if it was not made by then.
    pub last: Timestamp,
}

/// A caller to hand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest {
    /// The node: `transfer:nurse_line`.
    pub node: String,
    /// To whom.
    pub to: Phone,
    /// How long it may ring there.
    pub ring_for: Duration,
    /// Let the trunk connect them (REFER) where it can; otherwise the box stays between them.
    pub refer: bool,
    /// What the phone shows beside the caller's number.
    pub reason: Option<String>,
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
