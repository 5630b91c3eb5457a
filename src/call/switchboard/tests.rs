//! What a ticket is worth: to whom answers go, and who has left.

use super::*;
use crate::model::{Caller, Strategy};

fn rings(switchboard: &Switchboard, call: CallId) -> Ticket {
    let request = RingRequest {
        node: "ring:desk".to_owned(),
        members: vec![],
        strategy: Strategy::All,
        give_up_after: Duration::from_secs(30),
        reason: None,
        record: false,
    };
    switchboard.ring(call, request, Shown::patient(Caller::Anonymous))
}

/// The switchboard's own side, as far as it needs no phones.
struct Side {
    inbox: Inbox,
    waiters: Waiters,
}

impl Side {
    /// Takes what was asked; whether somebody has left by it.
    async fn hears(&mut self) -> bool {
        match self.inbox.0.recv().await {
            Some(Ask::Ring { call, shown, told, .. }) => {
                self.waiters.0.insert(call, Waiter { shown, told });
                false
            }
            Some(Ask::Leave(call)) => self.waiters.leave(call),
            _ => panic!("nothing else was asked"),
        }
    }

    fn says(&self, call: CallId, why: Unanswered) -> bool {
        self.waiters.0.get(&call).is_some_and(|waiter| waiter.told.send(Told::Unanswered(why)).is_ok())
    }
}

#[tokio::test]
async fn an_answer_to_what_was_asked_before_reaches_nobody() {
    let (switchboard, inbox) = Switchboard::new();
    let mut side = Side { inbox, waiters: Waiters::default() };
    let call = CallId::new(jiff::Timestamp::UNIX_EPOCH);
    let first = rings(&switchboard, call);
    assert!(!side.hears().await);
    // It crosses with the caller, who gives up and asks for something else.
    assert!(side.says(call, Unanswered::NoAnswer));
    drop(first);
    assert!(!side.says(call, Unanswered::NoAnswer), "who has left is told nothing");
    let mut second = rings(&switchboard, call);
    assert!(side.hears().await);
    assert!(!side.hears().await);
    assert!(side.says(call, Unanswered::Busy));
    assert!(matches!(second.told().await, Told::Unanswered(Unanswered::Busy)));
}

#[tokio::test]
async fn who_has_asked_anew_does_not_leave_by_the_word_of_before() {
    let (switchboard, inbox) = Switchboard::new();
    let mut side = Side { inbox, waiters: Waiters::default() };
    let call = CallId::new(jiff::Timestamp::UNIX_EPOCH);
    let first = rings(&switchboard, call);
    let second = rings(&switchboard, call);
    drop(first);
    for _ in 0..3 {
        assert!(!side.hears().await);
    }
    drop(second);
    assert!(side.hears().await);
}

#[tokio::test]
async fn a_call_that_falls_over_leaves_no_ghost_in_the_line() {
    let (switchboard, inbox) = Switchboard::new();
    let mut side = Side { inbox, waiters: Waiters::default() };
    let ticket = rings(&switchboard, CallId::new(jiff::Timestamp::UNIX_EPOCH));
    let task = tokio::spawn(async move {
        let _ticket = ticket;
        panic!("a bug");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(!side.hears().await);
    assert!(side.hears().await);
    assert!(side.waiters.0.is_empty());
}
