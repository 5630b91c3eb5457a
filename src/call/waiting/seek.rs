//! Finding phones for one caller.

use std::time::Duration;

use crate::model::{Phone, Strategy, Unanswered};

use super::phones::Status;
use super::{ANSWER_RING, Do, RING_SLACK, Ring, RingId, Turn, Waiter, Waiting, Waits};

/// What has become of trying phones.
pub(super) fn verdict(rang: bool, busy: bool) -> Unanswered {
    match (rang, busy) {
        (true, _) => Unanswered::NoAnswer,
        (false, true) => Unanswered::Busy,
        (false, false) => Unanswered::Nobody,
    }
}

impl Waiting {
    /// Rings what may ring for a caller now. Those before them have taken what they could.
    pub(super) fn seek(&mut self, turn: Turn, out: &mut Vec<Do>) {
        match self.waiters.get(&turn).map(|waiter| &waiter.waits) {
            Some(Waits::ForPhones { .. }) => self.seek_once(turn, out),
            Some(Waits::InLine { .. }) => self.seek_in_line(turn, out),
            None => {}
        }
    }

    /// A phone in a line rings as often as it is free and has rested; for a call back once.
    fn seek_in_line(&mut self, turn: Turn, out: &mut Vec<Do>) {
        let Some(waiter) = self.waiters.get(&turn) else { return };
        let one_by_one = waiter.strategy != Strategy::All;
        if one_by_one && !waiter.rings.is_empty() {
            return;
        }
        let order = self.order(waiter);
        let free = |member: &usize| {
            waiter.may_ring(*member, self.now)
                && !(waiter.is_callback() && waiter.was_asked(&waiter.members[*member].phone))
                && self.phones.status(&waiter.members[*member].phone, self.now) == Status::Free
        };
        let mut found: Vec<_> = order.into_iter().filter(free).collect();
        if one_by_one {
            let fresh = found.iter().copied().find(|&member| !waiter.tried[member]);
            let next = fresh.or(found.first().copied());
            found = next.into_iter().collect();
            // All that are free were tried: the round begins anew.
            if fresh.is_none()
                && next.is_some()
                && let Some(waiter) = self.waiters.get_mut(&turn)
            {
                waiter.tried.fill(false);
            }
        }
        for member in found {
            self.ring_member(turn, member, out);
        }
    }

    /// For one caller alone each phone is tried once; whoever is on a call or out of reach at their turn has been.
    fn seek_once(&mut self, turn: Turn, out: &mut Vec<Do>) {
        let Some(waiter) = self.waiters.get(&turn) else { return };
        let one_by_one = waiter.strategy != Strategy::All;
        let mut hope = !waiter.rings.is_empty();
        for member in self.order(waiter) {
            let Some(waiter) = self.waiters.get_mut(&turn) else { return };
            if waiter.tried[member] {
                continue;
            }
            if !waiter.may_ring(member, self.now) || one_by_one && !waiter.rings.is_empty() {
                hope = true;
                continue;
            }
            match self.phones.status(&waiter.members[member].phone, self.now) {
                Status::Free | Status::Resting(_) => {
                    self.ring_member(turn, member, out);
                    hope = true;
                }
                // It rings for somebody else, and may be free in a moment.
                Status::Ringing(_) => hope = true,
                Status::Unreachable => waiter.tried[member] = true,
                Status::OnCall => {
                    waiter.tried[member] = true;
                    if let Waits::ForPhones { busy, .. } = &mut waiter.waits {
                        *busy = true;
                    }
                }
            }
        }
        if !hope && let Some(Waits::ForPhones { rang, busy, .. }) = self.waiters.get(&turn).map(|waiter| &waiter.waits)
        {
            self.unanswered(turn, verdict(*rang, *busy), out);
        }
    }

    /// The members in the order in which they are tried.
    fn order(&self, waiter: &Waiter) -> Vec<usize> {
        let mut order: Vec<_> = (0..waiter.members.len()).collect();
        if waiter.strategy == Strategy::LongestIdle {
            order.sort_by_key(|&member| self.phones.idle_since(&waiter.members[member].phone));
        }
        order
    }

    fn ring_member(&mut self, turn: Turn, member: usize, out: &mut Vec<Do>) {
        let Some(waiter) = self.waiters.get(&turn) else { return };
        let phone = waiter.members[member].phone.clone();
        // The same phone twice in one group rings once.
        if self.phones.ringing(&phone).is_none() {
            self.ring(turn, phone, Some(member), out);
        }
    }

    /// Rings a phone, which rings for nobody now.
    pub(super) fn ring(&mut self, turn: Turn, phone: Phone, member: Option<usize>, out: &mut Vec<Do>) {
        let ring = RingId(self.number());
        let Some(waiter) = self.waiters.get_mut(&turn) else { return };
        if let Some(member) = member {
            waiter.tried[member] = true;
        }
        waiter.rings.insert(ring);
        let ring_for = member.map_or(ANSWER_RING, |member| waiter.members[member].ring_for);
        let ends_by = self.now.saturating_add(ring_for).saturating_add(RING_SLACK);
        out.push(Do::Ring { ring, phone: phone.clone(), call: waiter.call, ring_for });
        self.phones.rings(&phone, ring);
        self.rings.insert(ring, Ring { phone, turn, member, ends_by });
    }
}

impl Waiter {
    /// Whether a member's delay is over.
    fn may_ring(&self, member: usize, now: Duration) -> bool {
        self.began.saturating_add(self.members[member].delay) <= now
    }
}
