//! The state of each phone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::Phone;

use super::{Failure, REST_AFTER_NO_ANSWER, REST_AFTER_REFUSAL, RingId};

/// Phones remembered; with more, those that are idle are forgotten, and with them since when.
const MOST_PHONES: usize = 4_096;

/// What is known of the phones. One that is not in `known` is idle and has been for ever.
#[derive(Debug, Default)]
pub(super) struct Phones {
    known: BTreeMap<Phone, State>,
    registered: BTreeSet<Phone>,
}

#[derive(Debug, Default)]
struct State {
    ringing: Option<RingId>,
    /// How many calls it is on: a consultation beside a held call is two.
    calls: usize,
    /// When its last call ended.
    idle_since: Option<Duration>,
    rest: Option<Rest>,
}

/// A phone is left in peace for a while.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Duration,
    after: Failure,
}

/// What a phone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    OnCall,
    Ringing(RingId),
    /// Not registered, or found to be out of reach a moment ago.
    Unreachable,
    /// Until then.
    Resting(Duration),
    Free,
}

impl Phones {
    pub(super) fn status(&self, phone: &Phone, now: Duration) -> Status {
        let rest = match self.known.get(phone) {
            Some(state) if state.calls > 0 => return Status::OnCall,
            Some(State { ringing: Some(ring), .. }) => return Status::Ringing(*ring),
            Some(state) => state.rest.filter(|rest| rest.until > now),
            None => None,
        };
        match rest {
            _ if !self.is_registered(phone) => Status::Unreachable,
            Some(Rest { after: Failure::Unreachable, .. }) => Status::Unreachable,
            Some(rest) => Status::Resting(rest.until),
            None => Status::Free,
        }
    }

    pub(super) fn is_registered(&self, phone: &Phone) -> bool {
        !matches!(phone, Phone::Extension(_)) || self.registered.contains(phone)
    }

    pub(super) fn ringing(&self, phone: &Phone) -> Option<RingId> {
        self.known.get(phone)?.ringing
    }

    /// When its last call ended; none: it has had none. The smaller, the longer idle.
    pub(super) fn idle_since(&self, phone: &Phone) -> Option<Duration> {
        self.known.get(phone)?.idle_since
    }

    /// When each rest ends.
    pub(super) fn rests(&self) -> impl Iterator<Item = Duration> {
        self.known.values().filter_map(|state| state.rest).map(|rest| rest.until)
    }

    /// Every phone of which something is known.
    pub(super) fn all(&self) -> BTreeSet<&Phone> {
        self.known.keys().chain(&self.registered).collect()
    }

    pub(super) fn rings(&mut self, phone: &Phone, ring: RingId) {
        self.state(phone).ringing = Some(ring);
    }

    pub(super) fn silent(&mut self, phone: &Phone) {
        if let Some(state) = self.known.get_mut(phone) {
            state.ringing = None;
        }
    }

    pub(super) fn rest(&mut self, phone: &Phone, after: Failure, now: Duration) {
        let rest = if after == Failure::NoAnswer { REST_AFTER_NO_ANSWER } else { REST_AFTER_REFUSAL };
        self.state(phone).rest = Some(Rest { until: now.saturating_add(rest), after });
    }

    pub(super) fn taken(&mut self, phone: &Phone) {
        let state = self.state(phone);
        state.calls += 1;
        state.rest = None;
    }

    pub(super) fn hung_up(&mut self, phone: &Phone, now: Duration) {
        if let Some(state) = self.known.get_mut(phone).filter(|state| state.calls > 0) {
            state.calls -= 1;
            if state.calls == 0 {
                state.idle_since = Some(now);
            }
        }
    }

    /// A phone that has come back is no longer out of reach.
    pub(super) fn reachable(&mut self, extensions: BTreeSet<Phone>) {
        for phone in extensions.difference(&self.registered) {
            if let Some(state) = self.known.get_mut(phone)
                && state.rest.is_some_and(|rest| rest.after == Failure::Unreachable)
            {
                state.rest = None;
            }
        }
        self.registered = extensions;
    }

    fn state(&mut self, phone: &Phone) -> &mut State {
        if self.known.len() >= MOST_PHONES && !self.known.contains_key(phone) {
            self.known.retain(|_, state| state.calls > 0 || state.ringing.is_some());
        }
        self.known.entry(phone.clone()).or_default()
    }
}
