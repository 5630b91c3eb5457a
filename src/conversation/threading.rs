//! Which thread a text belongs to: one conversation with a person is one thread.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{LatestThread, OpenedBy, ThreadId, ThreadState};

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

/// Where the next text of or to a number goes; `by` says what brings it.
///
/// What is open goes on. What is closed is opened again by the patient's or the clinic's next text within
/// `reopen_within` ("thanks, one more question"). After that, and after a new call, it is another matter.
pub fn place(latest: Option<LatestThread>, by: OpenedBy, reopen_within: Duration, now: Timestamp) -> Place {
    let Some(latest) = latest else { return Place::New };
    let goes_on = match by {
        OpenedBy::Text | OpenedBy::Staff => latest.closed_at.is_some_and(|at| within(at, reopen_within, now)),
        OpenedBy::Call | OpenedBy::MissedCall => false,
    };
    match latest.state {
        ThreadState::Open | ThreadState::Snoozed => Place::Continue(latest.id),
        ThreadState::Closed if goes_on => Place::Reopen(latest.id),
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

    const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

    #[test]
    fn one_conversation_is_one_thread() {
        let id = ThreadId::new(at("2026-03-01T09:00:00Z"));
        let closed_at = Some(at("2026-03-01T12:00:00Z"));
        let place = |state, closed_at, by, now| {
            super::place(Some(LatestThread { id, state, closed_at }), by, THREE_DAYS, at(now))
        };
        let (soon, last, late) = ("2026-03-02T09:00:00Z", "2026-03-04T11:59:59Z", "2026-03-04T12:00:00Z");
        for by in [OpenedBy::Text, OpenedBy::Staff, OpenedBy::Call, OpenedBy::MissedCall] {
            assert_eq!(super::place(None, by, THREE_DAYS, at(soon)), Place::New);
            assert_eq!(place(ThreadState::Open, None, by, soon), Place::Continue(id), "{by:?}");
            assert_eq!(place(ThreadState::Snoozed, None, by, soon), Place::Continue(id), "{by:?}");
            assert_eq!(place(ThreadState::Closed, closed_at, by, late), Place::New, "{by:?}");
            assert_eq!(place(ThreadState::Closed, None, by, soon), Place::New, "{by:?}");
        }
        for by in [OpenedBy::Text, OpenedBy::Staff] {
            assert_eq!(place(ThreadState::Closed, closed_at, by, soon), Place::Reopen(id));
            assert_eq!(place(ThreadState::Closed, closed_at, by, last), Place::Reopen(id));
        }
        for by in [OpenedBy::Call, OpenedBy::MissedCall] {
            assert_eq!(place(ThreadState::Closed, closed_at, by, soon), Place::New, "a new call is a new matter");
        }
    }

    #[test]
    fn a_clock_set_back_does_not_tear_a_thread() {
        assert!(within(at("2026-03-01T12:00:00Z"), THREE_DAYS, at("2026-02-27T12:00:00Z")));
    }
}
