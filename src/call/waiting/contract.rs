//! What the machine is told and what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ivr::Place;
use crate::model::{CallId, Member, Phone, Strategy, Unanswered};

/// One phone's ringing for one caller. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingId(pub(super) u64);

/// What happened. Times are on the clock of [`Now::mono`](crate::clock::Now).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Phones are to ring for this caller alone. Each is tried once.
    Ring {
        /// The caller.
        call: CallId,
        /// Whom.
        members: Vec<Member>,
        /// In which order.
        strategy: Strategy,
        /// How long all of it may take.
        give_up_after: Duration,
    },
    /// A place in a line is wanted. One who has a place already gives it up for this one.
    Join {
        /// The caller; of a call back, the booked call.
        call: CallId,
        /// The line.
        line: String,
        /// The higher the sooner.
        priority: u8,
        /// Who serves it.
        members: Vec<Member>,
        /// Which of them ring for the next caller.
        strategy: Strategy,
        /// So many may wait on the phone.
        most_waiting: usize,
        /// Since when they wait, where that is not now: a place that was kept.
        since: Option<Duration>,
        /// Whether somebody is on the phone.
        who: Who,
    },
    /// A caller is gone, or wants something else.
    Leave {
        /// Who.
        call: CallId,
    },
    /// A ring came to nothing.
    RingFailed {
        /// Which.
        ring: RingId,
        /// How.
        why: Failure,
    },
    /// A ring was picked up.
    PickedUp {
        /// Which.
        ring: RingId,
    },
    /// A call of a phone is over.
    HungUp {
        /// Whose.
        phone: Phone,
    },
    /// A phone is on a call that did not come from here.
    Taken {
        /// Which.
        phone: Phone,
    },
    /// The extensions that are registered now. Addresses and numbers count as reachable until a ring says otherwise.
    Reachable(BTreeSet<Phone>),
    /// Somebody wants this caller on their phone, out of order.
    Answer {
        /// The caller.
        call: CallId,
        /// The phone.
        phone: Phone,
    },
    /// A phone, off the hook, wants whoever makes its group's phones ring.
    PickUp {
        /// Which.
        phone: Phone,
    },
    /// The deadline has come.
    Deadline,
}

/// Who holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A caller on the phone.
    Caller,
    /// A caller who has hung up and is to be called back: nobody is told of the place, the line is never too full for
    /// it, and it waits for phones to come back. [`Do::Connect`] says that staff are on the phone: now ring the patient.
    /// Whoever is busy is waited for, and nobody is rung twice: [`Do::Unanswered`] says that all were in vain.
    Callback,
}

/// How a ring came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It rang for its whole time.
    NoAnswer,
    /// On a call (486).
    Busy,
    /// Do not disturb (480, 603).
    Refused,
    /// The phone or its system did not answer, or cannot take calls.
    Unreachable,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Ring a phone.
    Ring {
        /// The ring's name from now on.
        ring: RingId,
        /// Which phone.
        phone: Phone,
        /// For whom.
        call: CallId,
        /// For how long; then it is [`Failure::NoAnswer`].
        ring_for: Duration,
    },
    /// Stop ringing.
    Cancel {
        /// Which.
        ring: RingId,
        /// Somebody else has picked up; otherwise the caller is gone or rings elsewhere.
        elsewhere: bool,
    },
    /// Let these two speak.
    Connect {
        /// The caller.
        call: CallId,
        /// The ring that was picked up.
        ring: RingId,
        /// The phone.
        phone: Phone,
    },
    /// Let the caller speak with the phone that asked by [`Happened::PickUp`].
    HandOver {
        /// The caller.
        call: CallId,
        /// The phone.
        phone: Phone,
    },
    /// A phone was picked up too late: nobody is left for it.
    HangUp {
        /// The ring that was picked up.
        ring: RingId,
    },
    /// Tell the caller their place.
    Place {
        /// Who.
        call: CallId,
        /// Where.
        place: Place,
    },
    /// Nobody came to the phone: this caller's waiting is over.
    Unanswered {
        /// Who.
        call: CallId,
        /// Why.
        why: Unanswered,
    },
    /// An [`Happened::Answer`] cannot be.
    Refused {
        /// The caller.
        call: CallId,
        /// The phone.
        phone: Phone,
        /// Why.
        why: NoAnswering,
    },
    /// A [`Happened::PickUp`] found nothing that rings.
    NothingRings {
        /// The phone.
        phone: Phone,
    },
}

/// Why nobody is put on a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswering {
    /// The caller does not wait any more.
    Gone,
    /// The phone is on a call.
    OnACall,
    /// The phone is not registered.
    Unreachable,
}
