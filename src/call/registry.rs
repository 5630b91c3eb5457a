//! Who is on the phone now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::ivr::Place;
use crate::model::{CallId, Caller, Phone};

/// A call in progress, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProgress {
    /// Its id; the rest of it is in the store.
    pub id: CallId,
    /// The trunk that it came by.
    pub trunk: String,
    /// Who is calling.
    pub from: Caller,
    /// When it came.
    pub since: Timestamp,
    /// The node of the phone tree that it is at; none before it was answered.
    pub node: Option<String>,
    /// Since when it is there.
    pub node_since: Timestamp,
    /// The nodes that it went through, that one last.
    pub path: Vec<String>,
    /// Who of the clinic speaks with them.
    pub with: Option<Phone>,
    /// Their place in the line that they wait in.
    pub place: Option<Place>,
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

    /// Notes the nodes that a call has come through, the last of which it is at. One that is not on the list stays off
    /// it.
    pub fn moved(&self, id: CallId, path: &[String], at: Timestamp) {
        self.change(id, |call| {
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

    /// Notes who speaks with the caller; whoever does waits no longer.
    pub fn with(&self, id: CallId, phone: Option<Phone>) {
        self.change(id, |call| {
            let news = call.place.is_some() || call.with != phone;
            (call.place, call.with) = (None, phone);
            news
        });
    }

    /// Notes a caller's place in the line.
    pub fn waits(&self, id: CallId, place: Option<Place>) {
        self.change(id, |call| std::mem::replace(&mut call.place, place) != place);
    }

    /// Changes a call that is on the list; `change` says whether it did.
    fn change(&self, id: CallId, change: impl FnOnce(&mut InProgress) -> bool) {
        if self.calls().get_mut(&id).is_some_and(change) {
            self.0.changed.send_replace(());
        }
    }

    /// Is told when a call comes, moves or leaves.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
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
        let call = InProgress {
            id,
            trunk: "carrier".into(),
            from: Caller::Anonymous,
            since: at,
            node: None,
            node_since: at,
            path: vec![],
            with: None,
            place: None,
        };
        let place = registry.enter(call);
        let mut watch = registry.watch();
        registry.moved(id, &["menu:welcome".to_owned()], at);
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        registry.moved(id, &["menu:welcome".to_owned()], at);
        assert!(!watch.has_changed().unwrap(), "it is there already");
        assert_eq!(registry.list()[0].node.as_deref(), Some("menu:welcome"));
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
}
