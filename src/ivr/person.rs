//! Reaching a person: what `ring`, `queue` and `transfer` share, from the first ringing to the end of the conversation.

use std::sync::Arc;
use std::time::Duration;

use super::Action;
use super::Place;
use super::engine::{Engine, State, Step};
use super::queue::Waiting;
use crate::clock::Now;
use crate::model::{Unanswered, Unserved};
use crate::tree::{Kind, NodeId};

/// An answer about ringing phones that has not come so long after it should have is taken as nobody's.
pub(super) const RING_GRACE: Duration = Duration::from_secs(5);
/// Nobody is served in less: whoever has picked up and hung up within it has said nothing.
pub const BRIEF: Duration = Duration::from_secs(2);
/// So often phones ring again for a caller who was hung up on so soon.
const MOST_AGAIN: u8 = 2;

/// A person speaks with the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    /// Then the call goes on there.
    then: NodeId,
    since: Duration,
    /// Whether somebody was served, and handed over, before.
    before: (bool, bool),
}

/// How the caller has waited for a person so far.
#[derive(Debug)]
pub(super) struct Wait {
    /// Since when phones ring for them or they have a place in a line.
    holding: Option<Duration>,
    /// All waits before.
    before: Duration,
    /// The lines that they joined, each with the first time.
    lines: Vec<(String, Duration)>,
    /// What became of the last attempt.
    pub(super) attempt: Unserved,
    /// Nobody came, or the waiting was given up for them.
    pub(super) in_vain: bool,
    /// How often phones rang again.
    again: u8,
}

impl Default for Wait {
    fn default() -> Self {
        Wait {
            holding: None,
            before: Duration::ZERO,
            lines: vec![],
            attempt: Unserved::InMenu,
            in_vain: false,
            again: 0,
        }
    }
}

impl Wait {
    /// Phones ring, or a place is taken, from now on. `attempt` is what it was if the caller left now.
    pub(super) fn begin(&mut self, now: Now, attempt: Unserved) {
        self.holding = Some(now.mono);
        self.attempt = attempt;
    }

    /// The end of it; false if there was none.
    fn end(&mut self, now: Now) -> bool {
        let Some(since) = self.holding.take() else { return false };
        self.before = self.before.saturating_add(now.mono.saturating_sub(since));
        true
    }

    /// All of it until `mono`.
    pub(super) fn until(&self, mono: Duration) -> Duration {
        let current = self.holding.map_or(Duration::ZERO, |since| mono.saturating_sub(since));
        self.before.saturating_add(current)
    }

    /// Since when the caller has waited in `line`, whether or not they left it in between; none: they never did.
    pub(super) fn in_line_since(&self, line: &str) -> Option<Duration> {
        self.lines.iter().find(|(known, _)| known == line).map(|(_, since)| *since)
    }

    /// As [`Wait::in_line_since`], for who joins it now.
    pub(super) fn join(&mut self, line: &str, now: Now) -> Duration {
        self.in_line_since(line).unwrap_or_else(|| {
            self.lines.push((line.to_owned(), now.mono));
            now.mono
        })
    }
}

impl Engine {
    /// How long the caller has waited for a person until the last input: in lines and while phones rang, not in menus.
    pub fn waited(&self) -> Duration {
        self.wait.until(self.seen)
    }

    /// How the caller was left unserved; of a running call, how they would be if they hung up now.
    pub fn unserved(&self) -> Option<Unserved> {
        self.outcome().unserved().then(|| match self.wait.attempt {
            Unserved::InLine { position, .. } => Unserved::InLine { position, waited: self.waited() },
            other => other,
        })
    }

    /// Gives up the ringing or the place, if there is one.
    pub(super) fn let_go(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.wait.end(now) {
            out.push(Action::Leave);
        }
    }

    pub(super) fn connected(&mut self, now: Now) {
        let State::At(id, _) = self.state else { return };
        let then = match &self.tree.node(id).kind {
            Kind::Ring(ring) => ring.then,
            Kind::Queue(queue) => queue.then,
            Kind::Transfer(transfer) => transfer.then,
            _ => return,
        };
        if !self.wait.end(now) {
            return;
        }
        let before = (self.served, self.transferred);
        match &self.tree.node(id).kind {
            Kind::Transfer(_) => self.transferred = true,
            _ => self.served = true,
        }
        self.fall_silent();
        self.at(id, Step::Talking(Talk { then, since: now.mono, before }));
    }

    /// Nobody came to the phone: to that of the node, or, once somebody has spoken with the caller, to the one that they
    /// were handed on to.
    pub(super) fn unanswered(&mut self, why: Unanswered, now: Now, out: &mut Vec<Action>) {
        let State::At(id, ref step) = self.state else { return };
        let handed_on = matches!(step, Step::Talking(_));
        let to = match (&self.tree.node(id).kind, why) {
            (Kind::Ring(ring), Unanswered::Busy) => ring.when_busy,
            (Kind::Ring(ring), _) => ring.when_unanswered,
            (Kind::Queue(queue), Unanswered::Full) => queue.when_full,
            (Kind::Queue(queue), Unanswered::Nobody) => queue.when_nobody,
            (Kind::Queue(queue), _) => queue.when_unanswered,
            (Kind::Transfer(transfer), _) => transfer.when_failed,
            _ => return,
        };
        if self.wait.end(now) || handed_on {
            self.wait.attempt = Unserved::Unanswered;
            self.wait.in_vain = true;
            self.go(to, false, now, out);
        }
    }

    /// As if nobody had come: the waiting has lasted too long.
    pub(super) fn give_up(&mut self, now: Now, out: &mut Vec<Action>) {
        out.push(Action::Leave);
        self.unanswered(Unanswered::NoAnswer, now, out);
    }

    pub(super) fn conversation_over(&mut self, now: Now, out: &mut Vec<Action>) {
        let State::At(id, Step::Talking(Talk { then, since, before })) = self.state else { return };
        if now.mono.saturating_sub(since) >= BRIEF {
            return self.go(then, false, now, out);
        }
        (self.served, self.transferred) = before;
        if self.wait.again >= MOST_AGAIN {
            return self.unanswered(Unanswered::NoAnswer, now, out);
        }
        self.wait.again += 1;
        let tree = Arc::clone(&self.tree);
        match &tree.node(id).kind {
            Kind::Ring(ring) => self.start_ringing(id, ring, now, out),
            // In their old place: the line knows since when they wait.
            Kind::Queue(queue) => self.join(id, queue, Waiting::default(), now, out),
            Kind::Transfer(transfer) => self.start_transfer(id, transfer, now, out),
            _ => {}
        }
    }

    /// The caller is in other hands.
    pub(super) fn handed_over(&mut self, now: Now, out: &mut Vec<Action>) {
        let State::At(id, _) = self.state else { return };
        if matches!(self.tree.node(id).kind, Kind::Transfer(_)) && self.wait.end(now) {
            self.transferred = true;
            self.over(now, out);
        }
    }

    pub(super) fn placed(&mut self, place: Place) {
        if let State::At(_, Step::Queue(waiting)) = &mut self.state
            && self.wait.holding.is_some()
        {
            waiting.place = Some(place);
            self.wait.attempt = Unserved::InLine { position: Some(place.position), waited: Duration::ZERO };
        }
    }
}
