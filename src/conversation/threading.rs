//! Which thread a text belongs to: one conversation with a person is one thread.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{LatestThread, ThreadId, ThreadState};

/// A thread closed less than so long ago is reopened by the next text: "thanks, one more question".
pub const REOPEN_WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the open thread.
    Continue(ThreadId),
    /// Into a closed one, which opens again.
    Reopen(ThreadId),
    /// Into a thread of its own.
    New,
}

/// Where the next text of or to a number goes.
pub fn place(latest: Option<LatestThread>, reopen_within: Duration, now: Timestamp) -> Place {
    let Some(latest) = latest else { return Place::New };
    match latest.state {
        ThreadState::Open | ThreadState::Snoozed => Place::Continue(latest.id),
        ThreadState::Closed if latest.closed_at.is_some_and(|at| within(at, reopen_within, now)) => {
            Place::Reopen(latest.id)
        }
        ThreadState::Closed => Place::New,
    }
}

/// Whether `now` is less than `span` after `at`. A time in the future (the box's clock was set back) counts as now.
pub(super) fn within(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    let passed = now.duration_since(at);
    Duration::try_from(passed).map_or(true, |passed| passed < span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn one_conversation_is_one_thread() {
        let id = ThreadId::new(at("2026-03-01T09:00:00Z"));
        let closed_at = Some(at("2026-03-01T12:00:00Z"));
        let now = at("2026-03-02T09:00:00Z");
        let place =
            |state, closed_at, now| super::place(Some(LatestThread { id, state, closed_at }), REOPEN_WITHIN, now);
        assert_eq!(super::place(None, REOPEN_WITHIN, now), Place::New);
        assert_eq!(place(ThreadState::Open, None, now), Place::Continue(id));
        assert_eq!(place(ThreadState::Snoozed, None, now), Place::Continue(id));
        assert_eq!(place(ThreadState::Closed, closed_at, now), Place::Reopen(id));
        assert_eq!(place(ThreadState::Closed, closed_at, at("2026-03-04T11:59:59Z")), Place::Reopen(id));
        assert_eq!(place(ThreadState::Closed, closed_at, at("2026-03-04T12:00:00Z")), Place::New);
        assert_eq!(place(ThreadState::Closed, None, now), Place::New);
    }

    #[test]
    fn a_clock_set_back_does_not_tear_a_thread() {
        assert!(within(at("2026-03-01T12:00:00Z"), REOPEN_WITHIN, at("2026-02-27T12:00:00Z")));
    }
}
