//! What becomes of a message after the gateway's answer: plain functions over plain data.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::gateway::{Accepted, Lookup, Refusal, SendOutcome};

/// The first wait after a temporary failure.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// The longest `Retry-After` that is honoured: a gateway that names a day is asked again in an hour.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// A message's next state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The gateway has it.
    Accepted(Accepted),
    /// Try again then.
    Retry {
        /// When.
        at: Timestamp,
        /// Why, for the outbox.
        reason: String,
    },
    /// Never.
    Failed(Refusal),
    /// Ask the gateway whether it has it.
    Ask {
        /// Why, for the outbox.
        reason: String,
    },
    /// Nobody can tell whether it was sent: a person decides.
    Unknown {
        /// Why, for the thread.
        reason: String,
    },
}

/// What follows from `outcome` of try number `attempt` (from 1) at `now`, for a text of no use after `expires`.
///
/// `chance`, 0 to 1, spreads the retries of texts that failed together.
pub fn after_send(outcome: SendOutcome, attempt: u32, now: Timestamp, expires: Timestamp, chance: f64) -> Next {
    match outcome {
        SendOutcome::Accepted(accepted) => Next::Accepted(accepted),
        SendOutcome::Permanent(refusal) => Next::Failed(refusal),
        SendOutcome::Unknown { reason } => Next::Ask { reason },
        SendOutcome::Temporary { reason, retry_after } => {
            Next::Retry { at: retry_at(attempt, retry_after, now, expires, chance), reason }
        }
    }
}

/// What follows when the gateway was asked whether it has a text whose try number `attempt` got no usable answer.
pub fn after_lookup(lookup: Lookup, attempt: u32, now: Timestamp, expires: Timestamp, chance: f64) -> Next {
    match lookup {
        Lookup::Sent(accepted) => Next::Accepted(accepted),
        Lookup::NotSent => Next::Retry {
            at: retry_at(attempt, None, now, expires, chance),
            reason: "the gateway did not get it; it is sent again".into(),
        },
        Lookup::CannotSay { reason } => {
            Next::Unknown { reason: format!("nobody can tell whether it was sent: {reason}; resend it if need be") }
        }
    }
}

/// How long to wait after try number `attempt` (from 1): doubling from 2 s to 10 min, the upper half of it by `chance`.
pub fn backoff(attempt: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = if attempt > 31 { LONGEST_WAIT } else { doubled.min(LONGEST_WAIT) };
    whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// Never later than `expires`: then it is taken once more, to be marked as expired.
fn retry_at(attempt: u32, retry_after: Option<Duration>, now: Timestamp, expires: Timestamp, chance: f64) -> Timestamp {
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    let at = later(now, backoff(attempt, chance).max(asked));
    at.min(expires.max(now))
}

/// `at`, `by` later, or the end of time.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-02T15:00:00Z".parse().unwrap()
    }

    fn temporary(retry_after: Option<u64>) -> SendOutcome {
        SendOutcome::Temporary { reason: "busy".into(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn waits_double_up_to_ten_minutes() {
        let waits: Vec<u64> = (1..=12).map(|n| backoff(n, 1.0).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        assert_eq!(backoff(3, 0.0), Duration::from_secs(4));
    }

    #[test]
    fn retry_after_is_honoured_and_bounded() {
        let expires = later(now(), Duration::from_secs(86_400));
        let at = |retry_after| match after_send(temporary(retry_after), 1, now(), expires, 0.0) {
            Next::Retry { at, .. } => at.duration_since(now()).as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(None), 1);
        assert_eq!(at(Some(30)), 30);
        assert_eq!(at(Some(1_000_000)), 3600);
        assert_eq!(at(Some(u64::MAX)), 3600);
    }

    #[test]
    fn an_unclear_send_is_asked_about_and_only_a_clear_no_sends_it_again() {
        let expires = later(now(), Duration::from_secs(3600));
        let unknown = SendOutcome::Unknown { reason: "timed out".into() };
        assert!(matches!(after_send(unknown, 1, now(), expires, 0.5), Next::Ask { .. }));
        assert!(matches!(after_lookup(Lookup::NotSent, 1, now(), expires, 0.5), Next::Retry { .. }));
        let cannot = Lookup::CannotSay { reason: "it is down".into() };
        assert!(matches!(after_lookup(cannot, 1, now(), expires, 0.5), Next::Unknown { .. }));
    }

    proptest! {
        #[test]
        fn a_retry_is_never_in_the_past_and_never_after_expiry(
            attempt in 0u32..=u32::MAX,
            retry_after in proptest::option::of(0u64..=u64::MAX),
            lives in -100i64..100_000,
            chance in -1.0f64..2.0,
        ) {
            let expires = now() + SignedDuration::from_secs(lives);
            match after_send(temporary(retry_after), attempt, now(), expires, chance) {
                Next::Retry { at, .. } => prop_assert!(at >= now() && at <= expires.max(now())),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn backoff_is_bounded_and_grows(attempt in 0u32..=u32::MAX, chance in 0.0f64..1.0) {
            let wait = backoff(attempt, chance);
            prop_assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT);
            prop_assert!(backoff(attempt.saturating_add(1), chance) >= wait);
        }
    }
}
