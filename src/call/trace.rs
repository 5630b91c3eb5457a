//! The signalling of each call, of all its legs: collected while it goes on, written beside the store when it is over.
//!
//! What was said is in memory already ([`Endpoint::trace`](crate::sip::Endpoint::trace)), without credentials, keys and
//! digits; here is only which of it belongs together. [`mod@file`] keeps it.

pub mod file;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Line;
use crate::model::CallId;
use crate::settings::Transport;
use crate::sip::TraceDirection;
use crate::sip::outbound::CallIds;

/// What is still said after a call's end, such as the answers to BYE and CANCEL, comes within this time.
const LINGER: Duration = Duration::from_secs(2);
/// Calls that are traced at once; further ones are not.
const MOST_CALLS: usize = 4_096;
/// Legs of one call; the phones of further rings are not traced.
const MOST_LEGS: usize = 256;

/// What the caller's own leg is called.
pub const CALLER: &str = "caller";

/// One message of a call's signalling, as a line of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLine {
    /// When it was read or written.
    pub at: Timestamp,
    /// Whose leg: `caller`, or the phone: `extension:201`.
    pub leg: String,
    /// Which way it went.
    pub direction: Way,
    /// The other end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// The leg's Call-ID.
    pub call_id: String,
    /// Digits were blanked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// The message, without credentials, keys of media and digits.
    pub message: String,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To us.
    Received,
    /// From us.
    Sent,
}

/// The legs of one call. Cloning it gives another handle on the same list.
#[derive(Clone, Debug, Default)]
pub(super) struct Legs(Arc<Mutex<Vec<(String, CallIds)>>>);

impl Legs {
    /// Adds a leg, unless it is known.
    pub fn add(&self, name: &str, call_ids: CallIds) {
        let mut legs = lock(&self.0);
        let new = call_ids.list();
        let known = !new.is_empty() && legs.iter().any(|(_, ids)| ids.list().iter().any(|id| new.contains(id)));
        if !known && legs.len() < MOST_LEGS {
            legs.push((name.to_owned(), call_ids));
        }
    }

    /// The trunk by which this phone was tried last.
    pub fn trunk_to(&self, name: &str) -> Option<String> {
        lock(&self.0).iter().rev().find(|(known, _)| known == name).and_then(|(_, ids)| ids.trunk())
    }

    /// Each Call-ID with the name of its leg.
    fn list(&self) -> Vec<(String, String)> {
        let legs = lock(&self.0).clone();
        legs.into_iter().flat_map(|(name, ids)| ids.list().into_iter().map(move |id| (name.clone(), id))).collect()
    }
}

/// The calls whose legs are known. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Traces(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<HashMap<CallId, Legs>>,
    over: Mutex<Vec<CallId>>,
    ended: Notify,
}

/// A call is traced for as long as this lives, and written afterwards.
#[derive(Debug)]
pub(super) struct Traced(Traces, CallId);

impl Drop for Traced {
    fn drop(&mut self) {
        let inner = &self.0.0;
        if lock(&inner.calls).contains_key(&self.1) {
            lock(&inner.over).push(self.1);
            inner.ended.notify_one();
        }
    }
}

impl Traces {
    /// Traces a call, by the legs that it has and will have.
    #[must_use]
    pub(super) fn begin(&self, call: CallId, legs: Legs) -> Traced {
        let mut calls = lock(&self.0.calls);
        if calls.len() < MOST_CALLS {
            calls.insert(call, legs);
        }
        Traced(self.clone(), call)
    }

    /// The legs of a call; of one that is not traced, a list that nobody reads.
    pub(super) fn of(&self, call: CallId) -> Legs {
        lock(&self.0.calls).get(&call).cloned().unwrap_or_default()
    }

    /// The calls that `wanted` means: the beginning of an id, or the Call-ID of one of their legs.
    fn meant(&self, wanted: &str) -> Vec<CallId> {
        let calls = lock(&self.0.calls).clone();
        let is_meant = |id: &CallId, legs: &Legs| {
            id.to_string().starts_with(wanted) || legs.list().iter().any(|(_, call_id)| call_id == wanted)
        };
        calls.into_iter().filter(|(id, legs)| is_meant(id, legs)).map(|(id, _)| id).collect()
    }

    fn take_over(&self) -> Vec<CallId> {
        std::mem::take(&mut *lock(&self.0.over))
    }

    fn forget(&self, call: CallId) {
        lock(&self.0.calls).remove(&call);
    }
}

/// The signalling so far of the one call that `wanted` means and that is in progress, or was until a moment ago; none:
/// there is no such call.
///
/// # Errors
/// It means so many calls.
pub fn in_progress(line: &Line, wanted: &str) -> Result<Option<(CallId, Vec<TraceLine>)>, usize> {
    match line.traces.meant(wanted)[..] {
        [] => Ok(None),
        [call] => Ok(Some((call, lines(line, call)))),
        ref several => Err(several.len()),
    }
}

fn lines(line: &Line, call: CallId) -> Vec<TraceLine> {
    let mut lines = vec![];
    for (leg, call_id) in line.traces.of(call).list() {
        for message in line.endpoint.trace(&call_id) {
            lines.push(TraceLine {
                at: message.at,
                leg: leg.clone(),
                direction: match message.direction {
                    TraceDirection::Received => Way::Received,
                    TraceDirection::Sent => Way::Sent,
                },
                local: line.endpoint.local_towards(message.transport, message.peer),
                peer: message.peer,
                transport: match message.transport {
                    Transport::Udp => "udp",
                    Transport::Tcp => "tcp",
                    Transport::Tls => "tls",
                }
                .to_owned(),
                call_id: call_id.clone(),
                masked: message.masked,
                message: String::from_utf8_lossy(&message.bytes).into_owned(),
            });
        }
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// Writes the signalling of the calls that are over, until `stop`; those that ended before are written then.
pub async fn run(line: Arc<Line>, stop: CancellationToken) {
    loop {
        let over = line.traces.take_over();
        if over.is_empty() {
            tokio::select! {
                biased;
                // First: what ended before the stop is written.
                () = line.traces.0.ended.notified() => continue,
                () = stop.cancelled() => return,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = stop.cancelled() => {}
        }
        for call in over {
            keep(&line, call).await;
        }
    }
}

async fn keep(line: &Line, call: CallId) {
    let (lines, store) = (lines(line, call), line.book().settings.store.path.clone());
    let today = line.clock.now().wall;
    match tokio::task::spawn_blocking(move || file::write(&store, call, &lines, today)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%call, %error, "the signalling of a call could not be kept"),
        Err(error) => error!(%call, %error, "the signalling of a call could not be kept"),
    }
    line.traces.forget(call);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_id_or_by_any_of_its_legs() {
        let traces = Traces::default();
        let (first, second) = (
            CallId::new("2026-11-02T14:00:00Z".parse().unwrap()),
            CallId::new("2026-11-03T14:00:00Z".parse().unwrap()),
        );
        let traced = traces.begin(first, Legs::default());
        let _other = traces.begin(second, Legs::default());
        let legs = traces.of(first);
        legs.add(CALLER, CallIds::one("a@b"));
        legs.add("extension:201", CallIds::one("c"));
        legs.add("extension:201", CallIds::one("c"));
        let named = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        assert_eq!(traces.of(first).list(), [named(CALLER, "a@b"), named("extension:201", "c")]);
        for wanted in [first.to_string().as_str(), "a@b", "c", &first.to_string()[..13]] {
            assert_eq!(traces.meant(wanted), [first], "{wanted}");
        }
        assert_eq!(traces.meant("01").len(), 2);
        assert_eq!(traces.meant("a"), []);
        drop(traced);
        assert_eq!(traces.meant("c"), [first], "until it is written");
        assert_eq!(traces.take_over(), [first]);
        traces.forget(first);
        assert_eq!(traces.meant("c"), []);
    }

    #[test]
    fn what_is_traced_is_bounded() {
        let traces = Traces::default();
        let at: Timestamp = "2026-11-02T14:00:00Z".parse().unwrap();
        let all: Vec<_> = (0..MOST_CALLS + 10).map(|_| traces.begin(CallId::new(at), Legs::default())).collect();
        drop(all);
        assert_eq!(traces.take_over().len(), MOST_CALLS);
        let legs = Legs::default();
        for n in 0..MOST_LEGS + 10 {
            legs.add("extension:201", CallIds::one(&n.to_string()));
        }
        assert_eq!(legs.list().len(), MOST_LEGS);
    }
}
