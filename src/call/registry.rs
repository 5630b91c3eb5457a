//! Who is on the phone now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::ivr::Place;
use crate::model::{CallId, Caller, Phone, PhoneNumber};

/// A call in progress, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProgress {
    /// Its id; the rest of it is in the store.
    pub id: CallId,
    /// When it began.
    pub since: Timestamp,
    /// Which way it goes, and where it is.
    pub way: Way,
}

/// Which way a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Somebody has called the clinic.
    In(CameIn),
    /// A phone of the clinic calls.
    Out(Placed),
}

/// A call that has come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameIn {
    /// The trunk that it came by.
    pub trunk: String,
    /// Who is calling.
    pub from: Caller,
    /// The node of the phone tree that it is at; none before it was answered.
    pub node: Option<String>,
    /// Since when it is there.
    pub node_since: Timestamp,
    /// The nodes that it went through, that one last.
    pub path: Vec<String>,
    /// Who of the clinic speaks with them, or whom out in the world they are connected to.
    pub with: Option<Phone>,
    /// The trunk that carries that leg, where it goes out through one.
    pub with_trunk: Option<String>,
    /// Their place in the line that they wait in.
    pub place: Option<Place>,
}

/// A call that a phone of the clinic places, or that is placed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The phone of the clinic.
    pub by: Phone,
    /// Whom it calls: a patient, a colleague, the emergency services.
    pub to: Phone,
    /// How far it is.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Timestamp,
    /// The node of the phone tree at which the patient has asked to be called back.
    pub node: Option<String>,
    /// The trunk that carries it, as far as that is known.
    pub trunk: Option<String>,
    /// The trunk that carries the leg to `by`, once somebody out in the world is there.
    pub by_trunk: Option<String>,
}

/// How far a call is that the clinic places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The phone of whoever wants the call rings; nobody has been called yet.
    OwnRings,
    /// Whoever is called rings.
    Rings,
    /// The two speak.
    Speaks,
}

impl InProgress {
    /// A call that has come in and is not answered yet.
    pub fn came_in(id: CallId, trunk: String, from: Caller, at: Timestamp) -> InProgress {
        let way = Way::In(CameIn {
            trunk,
            from,
            node: None,
            node_since: at,
            path: vec![],
            with: None,
            with_trunk: None,
            place: None,
        });
        InProgress { id, since: at, way }
    }

    /// What it is of one that has come in.
    pub fn inbound(&self) -> Option<&CameIn> {
        match &self.way {
            Way::In(call) => Some(call),
            Way::Out(_) => None,
        }
    }

    /// The numbers of all out in the world who are on it, or are called.
    pub fn numbers(&self) -> impl Iterator<Item = &PhoneNumber> {
        let (caller, phones) = match &self.way {
            Way::In(call) => (call.from.number(), [call.with.as_ref(), None]),
            Way::Out(call) => (None, [Some(&call.to), Some(&call.by)]),
        };
        let phones = phones.into_iter().flatten().filter_map(|phone| match phone {
            Phone::Number(number) => Some(number),
            _ => None,
        });
        caller.into_iter().chain(phones)
    }

    /// Whoever out in the world is on it, or is called.
    pub fn outside(&self) -> Option<Caller> {
        match &self.way {
            Way::In(call) => Some(call.from.clone()),
            Way::Out(call) => call.outside().cloned().map(Caller::Number),
        }
    }
}

impl Placed {
    /// The number of whoever out in the world is on it; none: it goes to a colleague, or to the emergency services.
    pub fn outside(&self) -> Option<&PhoneNumber> {
        [&self.to, &self.by].into_iter().find_map(|phone| match phone {
            Phone::Number(number) => Some(number),
            _ => None,
        })
    }
}

/// The calls in progress. Cloning gives another handle on the same list.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<HashMap<CallId, InProgress>>,
    left: Notify,
    /// Sent when a call comes, moves or leaves; listeners read the list.
    changed: watch::Sender<()>,
}

impl Registry {
    /// Puts a call on the list for as long as the answer lives.
    #[must_use]
    pub fn enter(&self, call: InProgress) -> Presence {
        let id = call.id;
        self.calls().insert(id, call);
        self.0.changed.send_replace(());
        Presence { registry: self.clone(), id }
    }

    /// Puts a call to a number on the list, unless the clinic calls that number already.
    #[must_use]
    pub fn claim(&self, call: InProgress) -> Option<Presence> {
        let number = call.outside();
        self.enter_unless(call, |other| matches!(other.way, Way::Out(_)) && other.outside() == number)
    }

    /// Puts a call on the list, as [`Registry::enter`] does, unless one on it is `in_the_way`. Of two that are asked for
    /// in the same instant one is.
    #[must_use]
    pub fn enter_unless(&self, call: InProgress, in_the_way: impl Fn(&InProgress) -> bool) -> Option<Presence> {
        let id = call.id;
        let mut calls = self.calls();
        if calls.values().any(in_the_way) {
            return None;
        }
        calls.insert(id, call);
        drop(calls);
        self.0.changed.send_replace(());
        Some(Presence { registry: self.clone(), id })
    }

    /// Notes the nodes that a call has come through, the last of which it is at. One that is not on the list stays off
    /// it.
    pub fn moved(&self, id: CallId, path: &[String], at: Timestamp) {
        self.change_inbound(id, |call| {
            let moves = call.path != path;
            if moves {
                (call.node, call.node_since, call.place) = (path.last().cloned(), at, None);
                call.path = path.to_vec();
            }
            moves
        });
    }

    /// Says that something has changed that the list itself does not hold: which phones ring.
    pub fn touch(&self) {
        self.0.changed.send_replace(());
    }

    /// Notes who speaks with the caller, and the trunk that carries that leg; whoever does waits no longer.
    pub fn with(&self, id: CallId, phone: Option<Phone>, trunk: Option<String>) {
        self.change_inbound(id, |call| {
            let news = call.place.is_some() || call.with != phone;
            (call.place, call.with, call.with_trunk) = (None, phone, trunk);
            news
        });
    }

    /// Notes a caller's place in the line.
    pub fn waits(&self, id: CallId, place: Option<Place>) {
        self.change_inbound(id, |call| std::mem::replace(&mut call.place, place) != place);
    }

    /// Notes how far a call is that the clinic places, and by which trunk.
    pub fn comes_to(&self, id: CallId, stage: Stage, trunk: Option<String>, at: Timestamp) {
        self.change_placed(id, |call| {
            if call.stage != stage {
                (call.stage, call.stage_since) = (stage, at);
            }
            call.trunk = trunk;
        });
    }

    /// Notes who speaks with whom, in a call that the clinic has placed, and the trunk of each, once one of the two has
    /// been handed on.
    pub fn speak(&self, id: CallId, [(by, by_trunk), (to, trunk)]: [(Phone, Option<String>); 2]) {
        self.change_placed(id, |call| {
            (call.by, call.by_trunk) = (by, by_trunk);
            (call.to, call.trunk) = (to, trunk);
        });
    }

    fn change_inbound(&self, id: CallId, change: impl FnOnce(&mut CameIn) -> bool) {
        self.change(id, |way| match way {
            Way::In(call) => change(call),
            Way::Out(_) => false,
        });
    }

    fn change_placed(&self, id: CallId, change: impl FnOnce(&mut Placed)) {
        self.change(id, |way| match way {
            Way::Out(call) => {
                change(call);
                true
            }
            Way::In(_) => false,
        });
    }

    /// Changes a call that is on the list; `change` says whether it did.
    fn change(&self, id: CallId, change: impl FnOnce(&mut Way) -> bool) {
        if self.calls().get_mut(&id).is_some_and(|call| change(&mut call.way)) {
            self.0.changed.send_replace(());
        }
    }

    /// Is told when a call comes, moves or leaves.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Whether a call in progress is `such`.
    pub fn any(&self, such: impl Fn(&InProgress) -> bool) -> bool {
        self.calls().values().any(such)
    }

    /// How many calls are in progress.
    pub fn count(&self) -> usize {
        self.calls().len()
    }

    /// The calls in progress, oldest first.
    pub fn list(&self) -> Vec<InProgress> {
        let mut all: Vec<_> = self.calls().values().cloned().collect();
        all.sort_by_key(|call| call.id);
        all
    }

    /// Waits until no call is in progress.
    pub async fn empty(&self) {
        loop {
            let left = self.0.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallId, InProgress>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place on the list; dropping it takes the call off, also when its task panics.
#[derive(Debug)]
pub struct Presence {
    registry: Registry,
    id: CallId,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.registry.calls().remove(&self.id);
        self.registry.0.left.notify_waiters();
        self.registry.0.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_listed_until_its_place_is_dropped() {
        let registry = Registry::default();
        let at: Timestamp = "2026-11-02T14:00:00Z".parse().unwrap();
        let id = CallId::new(at);
        let call = InProgress::came_in(id, "carrier".into(), Caller::Anonymous, at);
        let place = registry.enter(call);
        let mut watch = registry.watch();
        registry.moved(id, &["menu:welcome".to_owned()], at);
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        registry.moved(id, &["menu:welcome".to_owned()], at);
        assert!(!watch.has_changed().unwrap(), "it is there already");
        assert_eq!(registry.list()[0].inbound().unwrap().node.as_deref(), Some("menu:welcome"));
        let (waiting, ()) = tokio::join!(
            tokio::spawn({
                let r = registry.clone();
                async move { r.empty().await }
            }),
            async {
                tokio::task::yield_now().await;
                drop(place);
            }
        );
        waiting.unwrap();
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn a_call_that_is_placed_says_how_far_it_is_since_when_and_with_whom() {
        let registry = Registry::default();
        let at = |second: i64| Timestamp::from_second(1_793_628_000 + second).unwrap();
        let phone = |name: &str| Phone::Extension(name.to_owned());
        let (id, by, to) = (CallId::new(at(0)), phone("201"), phone("203"));
        let placed =
            Placed { by, to, stage: Stage::Rings, stage_since: at(0), node: None, trunk: None, by_trunk: None };
        let _place = registry.enter(InProgress { id, since: at(0), way: Way::Out(placed.clone()) });
        let now = || registry.list().remove(0).way;
        registry.comes_to(id, Stage::Rings, Some("second".into()), at(2));
        assert_eq!(now(), Way::Out(Placed { trunk: Some("second".into()), ..placed.clone() }), "it rings since then");
        registry.comes_to(id, Stage::Speaks, None, at(5));
        registry.speak(id, [(phone("202"), None), (phone("203"), None)]);
        // What holds for callers in the phone tree is nothing to it.
        registry.moved(id, &["menu:welcome".to_owned()], at(6));
        registry.with(id, None, None);
        let speaks = Placed { by: phone("202"), stage: Stage::Speaks, stage_since: at(5), ..placed };
        assert_eq!(now(), Way::Out(speaks));
    }

    #[test]
    fn a_number_is_claimed_once_until_its_call_is_over() {
        let registry = Registry::default();
        let at: Timestamp = "2026-11-02T14:00:00Z".parse().unwrap();
        let number = |digits: &str| PhoneNumber::e164(digits).unwrap();
        let call = |by: &str, to: &str| {
            let (by, to) = (Phone::Extension(by.to_owned()), Phone::Number(number(to)));
            let placed =
                Placed { by, to, stage: Stage::OwnRings, stage_since: at, node: None, trunk: None, by_trunk: None };
            InProgress { id: CallId::new(at), since: at, way: Way::Out(placed) }
        };
        let calls_us = Caller::Number(number("+12125550142"));
        let _inbound = registry.enter(InProgress::came_in(CallId::new(at), "carrier".into(), calls_us, at));
        let first = registry.claim(call("201", "+12125550142")).unwrap();
        assert!(registry.claim(call("202", "+12125550142")).is_none());
        let other = registry.claim(call("202", "+12125550143"));
        assert!(other.is_some());
        assert_eq!(registry.count(), 3);
        drop(first);
        assert!(registry.claim(call("202", "+12125550142")).is_some());
    }
}
