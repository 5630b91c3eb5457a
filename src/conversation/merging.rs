//! Whether two threads can become one, and what becomes of the one that stays.

use crate::model::{Kept, Standing, ThreadState};

/// Why they cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMerged {
    /// They are one already.
    Same,
    /// The one to stay has as many parts as it can have.
    Full,
    /// What is open would go on in a closed thread whose number has another open one: in a closed thread nobody sees who
    /// waits, and a number has one open thread at most.
    OtherOpen,
}

/// What surrounds two threads that shall become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// They are the same thread.
    pub same: bool,
    /// The one that stays would have more parts than it can have.
    pub full: bool,
    /// The number of the one that stays has an open thread that is neither.
    pub other_open: bool,
}

/// Makes `gone` a part of `kept`. Whoever waits, and every red flag, stays in sight: what was open goes on in an open
/// thread; what nobody waits in leaves a thread that is out of sight where it is.
pub fn merge(gone: &Standing, kept: &Standing, around: Around) -> Result<Kept, NotMerged> {
    if around.same || gone.merged || kept.merged {
        return Err(NotMerged::Same);
    }
    if around.full {
        return Err(NotMerged::Full);
    }
    match kept.state {
        _ if gone.state == ThreadState::Closed => Ok(Kept::AsItIs),
        ThreadState::Open => Ok(Kept::AsItIs),
        ThreadState::Snoozed if gone.waits || gone.flagged => Ok(Kept::Woken),
        ThreadState::Snoozed => Ok(Kept::AsItIs),
        ThreadState::Closed if around.other_open => Err(NotMerged::OtherOpen),
        ThreadState::Closed => Ok(Kept::Reopened),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(state: ThreadState, waits: bool, flagged: bool) -> Standing {
        Standing { state, merged: false, flagged, waits, owner: None }
    }

    const NOTHING: Around = Around { same: false, full: false, other_open: false };

    #[test]
    fn who_waits_or_is_flagged_ends_in_an_open_thread_or_nothing_is_done() {
        use ThreadState::{Closed, Open, Snoozed};
        for state in [Open, Snoozed] {
            for (waits, flagged) in [(true, false), (false, true), (true, true)] {
                let gone = standing(state, waits, flagged);
                let into = |kept, around| merge(&gone, &standing(kept, false, false), around);
                assert_eq!(into(Open, NOTHING), Ok(Kept::AsItIs));
                assert_eq!(into(Snoozed, NOTHING), Ok(Kept::Woken));
                assert_eq!(into(Closed, NOTHING), Ok(Kept::Reopened));
                let other_open = Around { other_open: true, ..NOTHING };
                assert_eq!(into(Closed, other_open), Err(NotMerged::OtherOpen));
            }
        }
        // Nobody waits: it goes on, in or out of sight, as it was.
        let quiet = standing(Open, false, false);
        assert_eq!(merge(&quiet, &standing(Snoozed, true, false), NOTHING), Ok(Kept::AsItIs));
        assert_eq!(merge(&quiet, &standing(Closed, false, false), NOTHING), Ok(Kept::Reopened));
        let over = standing(Closed, false, false);
        let other_open = Around { other_open: true, ..NOTHING };
        assert_eq!(merge(&over, &standing(Closed, false, false), other_open), Ok(Kept::AsItIs));
    }

    #[test]
    fn what_is_one_already_or_full_takes_nothing() {
        let open = standing(ThreadState::Open, true, false);
        let part = Standing { merged: true, ..open.clone() };
        for (gone, kept) in [(&part, &open), (&open, &part)] {
            assert_eq!(merge(gone, kept, NOTHING), Err(NotMerged::Same));
        }
        assert_eq!(merge(&open, &open, Around { same: true, ..NOTHING }), Err(NotMerged::Same));
        assert_eq!(merge(&open, &open, Around { full: true, ..NOTHING }), Err(NotMerged::Full));
    }
}
