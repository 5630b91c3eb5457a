//! Who waits and what the phones do, for people to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ivr::Place;
use crate::model::{CallId, Phone};

use super::phones::Status;
use super::{NoAnswering, Waiter, Waiting, Waits, Who};

/// All of it at one moment. Times are on the clock of [`Now::mono`](crate::clock::Now).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The lines in which somebody waits, by name.
    pub lines: Vec<LineView>,
    /// Those for whom phones ring without a line, first come first.
    pub alone: Vec<WaiterView>,
    /// Every phone that is registered, rings, is on a call or has been.
    pub phones: Vec<PhoneView>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// Its name.
    pub line: String,
    /// The next one first.
    pub waiting: Vec<WaiterView>,
}

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterView {
    /// The call.
    pub call: CallId,
    /// On the phone, or to be called back.
    pub who: Who,
    /// Since when.
    pub since: Duration,
    /// The higher the sooner.
    pub priority: u8,
    /// In their line; of one without a line, the first.
    pub place: Place,
    /// What rings for them.
    pub ringing: Vec<Phone>,
}

/// A phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneView {
    /// Which.
    pub phone: Phone,
    /// What it does.
    pub doing: PhoneDoing,
    /// When its last call ended, if it has had one.
    pub idle_since: Option<Duration>,
}

/// What a phone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneDoing {
    /// It could ring.
    Free,
    /// It rings for this caller.
    Ringing(CallId),
    /// It is on a call.
    OnCall,
    /// It did not come to anything, and is left in peace until then.
    Resting(Duration),
    /// Not registered, or found out of reach.
    Unreachable,
}

impl Waiting {
    /// How it is now.
    pub fn snapshot(&self) -> Snapshot {
        let mut lines: BTreeMap<&str, Vec<WaiterView>> = BTreeMap::new();
        let mut alone = Vec::new();
        for (turn, waiter) in &self.waiters {
            let view = |who, place| WaiterView {
                call: waiter.call,
                who,
                since: turn.since,
                priority: turn.priority.0,
                place,
                ringing: self.ringing_for(waiter),
            };
            match &waiter.waits {
                Waits::ForPhones { .. } => alone.push(view(Who::Caller, Place { position: 1, wait: None })),
                Waits::InLine { line, who, .. } => {
                    let waiting = lines.entry(line).or_default();
                    let position = waiting.len() + 1;
                    waiting.push(view(*who, Place { position, wait: self.paces.wait(line, position, self.now) }));
                }
            }
        }
        let lines = lines.into_iter().map(|(line, waiting)| LineView { line: line.to_owned(), waiting }).collect();
        Snapshot { lines, alone, phones: self.phone_views() }
    }

    fn ringing_for(&self, waiter: &Waiter) -> Vec<Phone> {
        waiter.rings.iter().filter_map(|ring| self.rings.get(ring)).map(|ring| ring.phone.clone()).collect()
    }

    fn phone_views(&self) -> Vec<PhoneView> {
        let members = self.waiters.values().flat_map(|waiter| &waiter.members).map(|member| &member.phone);
        let all: BTreeSet<&Phone> = self.phones.all().into_iter().chain(members).collect();
        let view = |phone: &Phone| PhoneView {
            phone: phone.clone(),
            doing: self.doing(phone),
            idle_since: self.phones.idle_since(phone),
        };
        all.into_iter().map(view).collect()
    }

    /// Whether a phone can ring for something else now. One that was not picked up, or was out of reach, a moment ago may
    /// be tried again.
    pub fn can_take(&self, phone: &Phone, now: Duration) -> Result<(), NoAnswering> {
        match self.phones.status(phone, now) {
            Status::OnCall | Status::Ringing(_) => Err(NoAnswering::OnACall),
            _ if !self.phones.is_registered(phone) => Err(NoAnswering::Unreachable),
            _ => Ok(()),
        }
    }

    fn doing(&self, phone: &Phone) -> PhoneDoing {
        match self.phones.status(phone, self.now) {
            Status::Free => PhoneDoing::Free,
            Status::OnCall => PhoneDoing::OnCall,
            Status::Resting(until) => PhoneDoing::Resting(until),
            Status::Unreachable => PhoneDoing::Unreachable,
            Status::Ringing(ring) => {
                let waiter = self.rings.get(&ring).and_then(|ring| self.waiters.get(&ring.turn));
                waiter.map_or(PhoneDoing::Free, |waiter| PhoneDoing::Ringing(waiter.call))
            }
        }
    }
}
