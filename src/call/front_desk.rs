//! What the front desk's pages see and do of calls: who waits, what the phones do, and four things to ask for. They know
//! nothing of signalling and audio; [`Desk`] is the clinic's line behind it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Line;
use super::call_out;
use super::waiting::WaiterView;
use crate::ivr::Place;
use crate::model::{CallId, CallbackId, Phone};

pub use super::call_out::{CallOut, NotCalled};
pub use super::waiting::{NoAnswering, PhoneDoing, Who};

/// What comes in a moment.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somebody for whom a person is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The line; none: phones ring for them alone.
    pub line: Option<String>,
    /// The call.
    pub call: CallId,
    /// On the phone, or to be called back.
    pub who: Who,
    /// Since when they wait.
    pub since: Timestamp,
    /// Where in the line.
    pub place: Place,
    /// What rings for them.
    pub ringing: Vec<Phone>,
}

/// Who waits, line by line and the next one first, and what the phones do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Who waits.
    pub waiters: Vec<Waiter>,
    /// Every phone that is registered, rings or is on a call.
    pub phones: Vec<(Phone, PhoneDoing)>,
}

impl Waiting {
    /// What a phone does.
    pub fn doing(&self, phone: &Phone) -> PhoneDoing {
        let found = self.phones.iter().find(|(known, _)| known == phone);
        found.map_or(PhoneDoing::Unreachable, |(_, doing)| *doing)
    }
}

/// The clinic's line, as pages see it.
pub trait FrontDesk: Send + Sync {
    /// Who waits now.
    fn waiting(&self) -> Soon<'_, Waiting>;

    /// Rings `phone` for somebody who waits, out of their turn.
    fn answer(&self, call: CallId, phone: Phone) -> Soon<'_, Result<(), NoAnswering>>;

    /// Has a caller who waits hear their queue's offer of a text now. False: they wait no longer.
    fn offer_text(&self, call: CallId) -> Soon<'_, bool>;

    /// Rings somebody's phone, then a patient's.
    fn call_out(&self, wanted: CallOut) -> Soon<'_, Result<(), NotCalled>>;

    /// The call backs have changed in the store: one is due now.
    fn callback_due(&self);

    /// A call back was called off: whoever holds its place lets go of it.
    fn callback_cancelled(&self, id: CallbackId);
}

/// The clinic's line.
pub struct Desk(pub Arc<Line>);

impl Desk {
    async fn now(&self) -> Waiting {
        let now = self.0.clock.now();
        let snapshot = self.0.switchboard.snapshot().await;
        let waiter = |line: Option<&str>, view: WaiterView| {
            let waited = SignedDuration::try_from(now.mono.saturating_sub(view.since)).unwrap_or_default();
            Waiter {
                line: line.map(str::to_owned),
                call: view.call,
                who: view.who,
                since: now.wall.checked_sub(waited).unwrap_or(now.wall),
                place: view.place,
                ringing: view.ringing,
            }
        };
        let mut waiters = Vec::new();
        for line in snapshot.lines {
            waiters.extend(line.waiting.into_iter().map(|view| waiter(Some(&line.line), view)));
        }
        waiters.extend(snapshot.alone.into_iter().map(|view| waiter(None, view)));
        let phones = snapshot.phones.into_iter().map(|view| (view.phone, view.doing)).collect();
        Waiting { waiters, phones }
    }
}

impl FrontDesk for Desk {
    fn waiting(&self) -> Soon<'_, Waiting> {
        Box::pin(self.now())
    }

    fn answer(&self, call: CallId, phone: Phone) -> Soon<'_, Result<(), NoAnswering>> {
        Box::pin(self.0.switchboard.answer(call, phone))
    }

    fn offer_text(&self, call: CallId) -> Soon<'_, bool> {
        Box::pin(self.0.switchboard.offer_text(call))
    }

    fn call_out(&self, wanted: CallOut) -> Soon<'_, Result<(), NotCalled>> {
        Box::pin(call_out::call_out(&self.0, wanted))
    }

    fn callback_due(&self) {
        self.0.callbacks.look();
    }

    fn callback_cancelled(&self, id: CallbackId) {
        self.0.callbacks.let_go(id);
    }
}
