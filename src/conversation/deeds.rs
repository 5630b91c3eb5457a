//! What may be done with a thread as it stands: one table. Whichever page a wish comes from, it is refused here.

use crate::model::{StaffName, Standing, ThreadState};

/// What somebody wants to do with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed<'a> {
    /// Make it theirs, having seen whose it was.
    Take {
        /// Who wants it.
        by: &'a StaffName,
        /// Whose it was on their page.
        seen: Option<&'a StaffName>,
    },
    /// Put it out of sight until a time.
    Snooze,
    /// Say when somebody must come back to it.
    FollowUp,
    /// Hand it to clinical staff.
    Escalate {
        /// Whether they say what there is to know.
        explained: bool,
    },
    /// Take its red flag off.
    ClearFlag {
        /// Whether they say what was done.
        explained: bool,
    },
    /// Ask "anything else I can help with?", upon which silence closes it.
    Offer,
    /// Note that the matter was taken to the phone.
    MoveToVoice,
    /// Close it.
    Close {
        /// Whether they say what was done, besides how it was resolved.
        explained: bool,
    },
    /// Close it among others, without a look at each.
    CloseUnseen,
    /// Open it again.
    Reopen {
        /// Whether its number has another open one.
        other_open: bool,
    },
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It has become a part of another.
    Merged,
    /// It is closed.
    Closed,
    /// Words in it call for a person at once, so it stays in sight.
    Flagged,
    /// It takes a few words on why, or on what was done.
    Unexplained,
    /// The patient waits for an answer.
    Waiting,
    /// It has become somebody's since they looked.
    Taken(StaffName),
    /// The number has another open one.
    OtherOpen,
}

/// Whether it may be done.
///
/// A red flag is never lost without a word: what is flagged is not put out of sight, asked to end or closed unseen, and
/// whoever closes it says what was done. Moved to the phone it may be without: then somebody speaks with them.
pub fn may(deed: Deed<'_>, thread: &Standing) -> Result<(), NotDone> {
    let refuse = |when: bool, why: NotDone| if when { Err(why) } else { Ok(()) };
    let closed = thread.state == ThreadState::Closed;
    refuse(thread.merged, NotDone::Merged)?;
    match deed {
        Deed::Take { by, seen } => match &thread.owner {
            Some(owner) if owner != by && Some(owner) != seen => Err(NotDone::Taken(owner.clone())),
            _ => Ok(()),
        },
        Deed::Reopen { other_open } => refuse(closed && other_open, NotDone::OtherOpen),
        _ if closed => Err(NotDone::Closed),
        Deed::FollowUp | Deed::MoveToVoice => Ok(()),
        Deed::Snooze | Deed::Offer => refuse(thread.flagged, NotDone::Flagged),
        Deed::Escalate { explained } | Deed::ClearFlag { explained } => refuse(!explained, NotDone::Unexplained),
        Deed::Close { explained } => refuse(thread.flagged && !explained, NotDone::Flagged),
        Deed::CloseUnseen => {
            refuse(thread.flagged, NotDone::Flagged)?;
            refuse(thread.waits, NotDone::Waiting)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Standing {
        Standing { state: ThreadState::Open, merged: false, flagged: false, waits: true, owner: None }
    }

    const EXPLAINED: [Deed<'_>; 3] =
        [Deed::Close { explained: true }, Deed::Escalate { explained: true }, Deed::ClearFlag { explained: true }];

    #[test]
    fn a_red_flag_is_not_lost_without_a_word() {
        let flagged = Standing { flagged: true, ..open() };
        for deed in [Deed::Snooze, Deed::Offer, Deed::Close { explained: false }, Deed::CloseUnseen] {
            assert_eq!(may(deed, &flagged), Err(NotDone::Flagged), "{deed:?}");
        }
        assert_eq!(may(Deed::ClearFlag { explained: false }, &flagged), Err(NotDone::Unexplained));
        for deed in EXPLAINED.into_iter().chain([Deed::MoveToVoice, Deed::FollowUp]) {
            assert_eq!(may(deed, &flagged), Ok(()), "{deed:?}");
        }
    }

    #[test]
    fn who_waits_is_closed_upon_by_a_look_only() {
        assert_eq!(may(Deed::Close { explained: false }, &open()), Ok(()));
        assert_eq!(may(Deed::CloseUnseen, &open()), Err(NotDone::Waiting));
        assert_eq!(may(Deed::CloseUnseen, &Standing { waits: false, ..open() }), Ok(()));
    }

    #[test]
    fn what_is_closed_or_a_part_of_another_takes_no_work() {
        let closed = Standing { state: ThreadState::Closed, waits: false, ..open() };
        let part = Standing { merged: true, ..closed.clone() };
        let reopen = |other_open| Deed::Reopen { other_open };
        for deed in EXPLAINED.into_iter().chain([Deed::Snooze, Deed::Offer, Deed::MoveToVoice, Deed::CloseUnseen]) {
            assert_eq!(may(deed, &closed), Err(NotDone::Closed), "{deed:?}");
        }
        assert_eq!(may(reopen(false), &closed), Ok(()));
        assert_eq!(may(reopen(true), &closed), Err(NotDone::OtherOpen));
        assert_eq!(may(reopen(false), &part), Err(NotDone::Merged));
    }

    #[test]
    fn nobody_takes_what_has_become_somebodys_since_they_looked() {
        let [ana, bo] = ["ana", "bo"].map(|name| StaffName::parse(name).unwrap());
        let bos = Standing { owner: Some(bo.clone()), ..open() };
        let take = |seen| Deed::Take { by: &ana, seen };
        assert_eq!(may(take(None), &open()), Ok(()));
        assert_eq!(may(take(None), &bos), Err(NotDone::Taken(bo.clone())));
        assert_eq!(may(take(Some(&bo)), &bos), Ok(()), "they knew, and want it");
        assert_eq!(may(take(None), &Standing { owner: Some(ana.clone()), ..open() }), Ok(()), "pressed twice");
    }
}
