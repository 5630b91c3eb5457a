//! Who is on the phone now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::CallId;

/// A call in progress, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProgress {
    /// Its id; the rest of it is in the store.
    pub id: CallId,
    /// The trunk that it came by.
    pub trunk: String,
    /// When it came.
    pub since: Timestamp,
}

/// The calls in progress. Cloning gives another handle on the same list.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<HashMap<CallId, InProgress>>,
    left: Notify,
}

impl Registry {
    /// Puts a call on the list for as long as the answer lives.
    #[must_use]
    pub fn enter(&self, call: InProgress) -> Presence {
        let id = call.id;
        self.calls().insert(id, call);
        Presence { registry: self.clone(), id }
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
        let place = registry.enter(InProgress { id, trunk: "carrier".into(), since: at });
        assert_eq!(registry.list().len(), 1);
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
