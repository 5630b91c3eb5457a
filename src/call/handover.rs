//! Calls that somebody speaks in, or rings for, and may hand on: the other party of a person's own call, for a transfer
//! that they have announced there first (RFC 3891, RFC 5589 section 7).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::switchboard::Connected;
use crate::model::Phone;
use crate::sip::Replaces;

/// A call that has not said anything by then gives nobody away: it is itself being handed on.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a call gives away.
#[derive(Debug)]
pub(super) enum Given {
    /// The other party.
    Party(Box<Connected>),
    /// The other party has not picked up yet: this is who rings.
    Rings(Phone, PickedUp),
}

/// Tells the call that has given away who rings that they have picked up; dropped, that they will not.
pub(super) type PickedUp = oneshot::Sender<()>;

/// Asks a call for the other party of one of its sides. Dropped, it is refused.
#[derive(Debug)]
pub(super) struct Request {
    /// The side of whoever asks, who leaves.
    pub leaves: usize,
    give: oneshot::Sender<Given>,
}

impl Request {
    /// Gives it; back, if whoever asked is gone.
    pub fn give(self, given: Given) -> Result<(), Given> {
        self.give.send(given)
    }
}

/// The calls that can be asked, each by the legs of those who may. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Handovers(Arc<Mutex<HashMap<Replaces, Leg>>>);

/// A leg whose phone may ask for the other party.
#[derive(Debug)]
struct Leg {
    phone: Phone,
    side: usize,
    ask: mpsc::Sender<Request>,
}

/// A call that can be asked.
#[derive(Debug)]
pub(super) struct Asked {
    handovers: Handovers,
    ask: mpsc::Sender<Request>,
    requests: mpsc::Receiver<Request>,
}

/// What lets a leg's phone ask; it no longer may when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    handovers: Handovers,
    leg: Replaces,
    ask: mpsc::Sender<Request>,
}

impl Handovers {
    /// For a call that begins; nobody may ask it yet.
    pub(super) fn open(&self) -> Asked {
        let (ask, requests) = mpsc::channel(1);
        Asked { handovers: self.clone(), ask, requests }
    }

    /// Whether `leg` is one of `phone`'s own.
    pub(super) fn knows(&self, leg: &Replaces, phone: &Phone) -> bool {
        self.ask(leg, phone).is_some()
    }

    /// Asks for the other party of a leg, both of whose tags must fit (RFC 3891 section 3) and which must be `phone`'s own;
    /// `None`: there is no such leg, or its call is over or being handed on.
    pub(super) async fn take_over(&self, leg: &Replaces, phone: &Phone) -> Option<Given> {
        let (ask, leaves) = self.ask(leg, phone)?;
        let (give, given) = oneshot::channel();
        let asked = async {
            ask.send(Request { leaves, give }).await.ok()?;
            given.await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
    }

    fn ask(&self, leg: &Replaces, phone: &Phone) -> Option<(mpsc::Sender<Request>, usize)> {
        let calls = self.calls();
        calls.get(leg).filter(|leg| leg.phone == *phone).map(|leg| (leg.ask.clone(), leg.side))
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Replaces, Leg>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Lets `phone` ask for the party that is not on its `side`, by its leg. Who is out in the world may not.
    pub fn by(&self, leg: Replaces, phone: &Phone, side: usize) -> Option<Entry> {
        if matches!(phone, Phone::Number(_) | Phone::Emergency(_)) {
            return None;
        }
        let ask = self.ask.clone();
        self.handovers.calls().insert(leg.clone(), Leg { phone: phone.clone(), side, ask: ask.clone() });
        Some(Entry { handovers: self.handovers.clone(), leg, ask })
    }

    /// The next request. Cancel-safe.
    pub async fn next(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.handovers.calls();
        if calls.get(&self.leg).is_some_and(|leg| leg.ask.same_channel(&self.ask)) {
            calls.remove(&self.leg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(call_id: &str, tag: &str) -> Replaces {
        Replaces { call_id: call_id.to_owned(), to_tag: "ours".to_owned(), from_tag: tag.to_owned() }
    }

    fn extension(name: &str) -> Phone {
        Phone::Extension(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_leg_is_asked_by_its_own_phone_with_both_tags() {
        let handovers = Handovers::default();
        let mut call = handovers.open();
        let entry = call.by(leg("a@b", "x"), &extension("201"), 0).unwrap();
        for (named, by) in [(leg("a@b", "y"), "201"), (leg("c", "x"), "201"), (leg("a@b", "x"), "202")] {
            assert!(handovers.take_over(&named, &extension(by)).await.is_none(), "{named:?} by {by}");
        }
        let asking = async { handovers.take_over(&leg("a@b", "x"), &extension("201")).await };
        let giving = async {
            let request = call.next().await;
            assert_eq!(request.leaves, 0);
            request.give(Given::Rings(extension("203"), oneshot::channel().0)).unwrap();
        };
        let (given, ()) = tokio::join!(asking, giving);
        assert!(matches!(given, Some(Given::Rings(phone, _)) if phone == extension("203")));
        drop(entry);
        assert!(!handovers.knows(&leg("a@b", "x"), &extension("201")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_busy_with_itself_keeps_nobody_waiting() {
        let handovers = Handovers::default();
        let call = handovers.open();
        let _entry = call.by(leg("a", "x"), &extension("201"), 0);
        assert!(handovers.take_over(&leg("a", "x"), &extension("201")).await.is_none());
    }

    #[test]
    fn two_calls_of_one_call_id_do_not_touch_each_other() {
        let handovers = Handovers::default();
        let (one, other) = (handovers.open(), handovers.open());
        let first = one.by(leg("same", "x"), &extension("201"), 0);
        let second = other.by(leg("same", "y"), &extension("201"), 0);
        drop(first);
        assert!(handovers.knows(&leg("same", "y"), &extension("201")));
        let third = handovers.open();
        let taken = third.by(leg("same", "y"), &extension("201"), 0);
        drop(second);
        assert!(handovers.knows(&leg("same", "y"), &extension("201")), "whoever came last has it");
        drop(taken);
        assert!(!handovers.knows(&leg("same", "y"), &extension("201")));
    }

    #[test]
    fn nobody_out_in_the_world_may_ask() {
        let handovers = Handovers::default();
        let number = Phone::Number(crate::model::PhoneNumber::e164("+16462530142").unwrap());
        assert!(handovers.open().by(leg("a", "x"), &number, 1).is_none());
        assert!(!handovers.knows(&leg("a", "x"), &number));
    }
}
