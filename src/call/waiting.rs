//! Who waits for a person, and which phones ring for them: the waiting lines and the phones of the whole clinic as one
//! machine. It is handed the time and what happened, and says what to do. No I/O, no clock.
//!
//! **The contract.** Hand [`Waiting::handle`] everything that happens and do what it answers, in order; hand it
//! [`Happened::Deadline`] when [`Waiting::next_deadline`] has come, an early one does nothing. Who has asked with
//! [`Happened::Ring`] or [`Happened::Join`] gets exactly one end: [`Do::Connect`], [`Do::HandOver`],
//! [`Do::Unanswered`], or none after their own [`Happened::Leave`]. A [`Do::Ring`] ends with [`Happened::PickedUp`] or
//! [`Happened::RingFailed`]; nothing needs to be told about one that was cancelled, except that it was picked up all
//! the same. After [`Do::Connect`] and [`Do::HandOver`] the phone is on a call until [`Happened::HungUp`]; a phone
//! that picked up for [`Do::HangUp`] is not.
//!
//! **The rules.** Callers come in the order of their priority, then of their waiting, over all lines that share phones.
//! A phone rings for one caller at a time and never while it is on a call. Each caller in their order takes the free
//! phones that they may ring: all, or one after the other. The first to be picked up wins. A phone that did not
//! come to anything rests a little before it rings for a line again. For a call back, whose patient is not on the line,
//! nobody is rung over and over: who is busy is waited for, and once each has been rung the round is over.
//!
//! `contract` is what it hears and says, `phones` knows each phone's state, `seek` finds phones for a caller, `pace`
//! guesses how long the wait is, `view` shows all of it.

mod contract;
mod pace;
mod phones;
mod seek;
#[cfg(test)]
mod tests;
mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::ivr::Place;
use crate::model::{CallId, Member, Phone, Strategy, Unanswered};

pub use contract::{Do, Failure, Happened, NoAnswering, RingId, Who};
use pace::Paces;
use phones::{Phones, Status};
pub use view::{LineView, PhoneDoing, PhoneView, Snapshot, WaiterView};

/// So many wait in all lines together; a further one is [`Unanswered::Full`].
pub const MOST_WAITERS: usize = 2_000;
/// A line whose last phone is gone keeps its callers for so long: phones register anew after a moment without network.
pub const NOBODY_GRACE: Duration = Duration::from_secs(10);
/// A phone that nobody picked up does not ring for a line again before so long.
pub const REST_AFTER_NO_ANSWER: Duration = Duration::from_secs(5);
/// A phone that was busy, refused or could not be reached does not ring for a line again before so long.
pub const REST_AFTER_REFUSAL: Duration = Duration::from_secs(15);
/// A ring whose end nobody has told so long after its time is taken back.
pub const RING_SLACK: Duration = Duration::from_secs(5);
/// How long a phone rings that somebody asked for and that is no member of the caller's group.
pub const ANSWER_RING: Duration = Duration::from_secs(30);

/// Who comes before whom: the smaller, the sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    priority: Reverse<u8>,
    since: Duration,
    /// In the order of their coming.
    number: u64,
}

/// Somebody who waits for a person.
#[derive(Debug)]
struct Waiter {
    call: CallId,
    members: Vec<Member>,
    strategy: Strategy,
    /// When they came; the members' delays begin here.
    began: Duration,
    /// Which members were tried: for good, or in this round.
    tried: Vec<bool>,
    /// What rings for them.
    rings: BTreeSet<RingId>,
    waits: Waits,
}

/// What somebody waits for.
#[derive(Debug)]
enum Waits {
    /// Any of these phones.
    ForPhones {
        give_up_at: Duration,
        /// A phone has rung.
        rang: bool,
        /// A phone was busy or refused.
        busy: bool,
    },
    /// Their turn in a line.
    InLine {
        line: Arc<str>,
        who: Who,
        /// Since when no phone of theirs is reachable.
        nobody_since: Option<Duration>,
        /// What they were told.
        told: Option<Place>,
    },
}

/// A phone that rings.
#[derive(Debug)]
struct Ring {
    phone: Phone,
    turn: Turn,
    /// As which member; none: somebody asked for it.
    member: Option<usize>,
    /// Its end must have been told by then.
    ends_by: Duration,
}

/// The machine. See the module's contract.
#[derive(Debug, Default)]
pub struct Waiting {
    now: Duration,
    waiters: BTreeMap<Turn, Waiter>,
    turns: HashMap<CallId, Turn>,
    rings: BTreeMap<RingId, Ring>,
    phones: Phones,
    paces: Paces,
    /// Given out so far, of rings and turns alike.
    numbers: u64,
}

impl Waiting {
    /// Says what to do now that `what` happened.
    pub fn handle(&mut self, now: Duration, what: Happened) -> Vec<Do> {
        self.now = self.now.max(now);
        let mut out = Vec::new();
        match what {
            Happened::Ring { call, members, strategy, give_up_after } => {
                self.forget(call, &mut out);
                let give_up_at = self.now.saturating_add(give_up_after);
                let waits = Waits::ForPhones { give_up_at, rang: false, busy: false };
                self.enter(call, 0, self.now, members, strategy, waits, &mut out);
            }
            Happened::Join { call, line, priority, members, strategy, most_waiting, since, who } => {
                self.forget(call, &mut out);
                if who == Who::Caller
                    && let Some(why) = self.no_place(&line, &members, most_waiting)
                {
                    out.push(Do::Unanswered { call, why });
                } else {
                    let waits = Waits::InLine { line: line.into(), who, nobody_since: None, told: None };
                    let since = since.unwrap_or(self.now).min(self.now);
                    self.enter(call, priority, since, members, strategy, waits, &mut out);
                }
            }
            Happened::Leave { call } => self.forget(call, &mut out),
            Happened::RingFailed { ring, why } => self.failed(ring, why),
            Happened::PickedUp { ring } => self.picked_up(ring, &mut out),
            Happened::HungUp { phone } => self.phones.hung_up(&phone, self.now),
            Happened::Taken { phone } => self.taken(&phone, &mut out),
            Happened::Reachable(extensions) => self.phones.reachable(extensions),
            Happened::Answer { call, phone } => self.answer(call, phone, &mut out),
            Happened::PickUp { phone } => self.pick_up(phone, &mut out),
            Happened::Deadline => {}
        }
        self.settle(&mut out);
        out
    }

    /// When to hand in [`Happened::Deadline`]; none: nothing changes by itself.
    pub fn next_deadline(&self) -> Option<Duration> {
        let waiters = self.waiters.values().flat_map(|waiter| {
            let of_its_own = match &waiter.waits {
                Waits::ForPhones { give_up_at, .. } => Some(*give_up_at),
                Waits::InLine { nobody_since, .. } => nobody_since.map(|since| since.saturating_add(NOBODY_GRACE)),
            };
            waiter.members.iter().map(|member| waiter.began.saturating_add(member.delay)).chain(of_its_own)
        });
        let rings = self.rings.values().map(|ring| ring.ends_by);
        // Whatever is not later has been settled already.
        let rests = self.phones.rests().filter(|_| !self.waiters.is_empty());
        waiters.chain(rings).chain(rests).filter(|&at| at > self.now).min()
    }

    /// Where a caller is in their line, as of the last [`Waiting::handle`].
    pub fn place(&self, call: CallId) -> Option<Place> {
        let turn = self.turns.get(&call)?;
        let Waits::InLine { line, .. } = &self.waiters.get(turn)?.waits else { return None };
        let position = self.waiters.range(..=turn).filter(|(_, waiter)| waiter.is_in(line)).count();
        Some(Place { position, wait: self.paces.wait(line, position, self.now) })
    }

    /// Why a caller gets no place in a line.
    fn no_place(&self, line: &str, members: &[Member], most_waiting: usize) -> Option<Unanswered> {
        if !members.iter().any(|member| self.serves(&member.phone)) {
            return Some(Unanswered::Nobody);
        }
        let callers = self.waiters.values().filter(|waiter| waiter.is_caller_in(line)).count();
        (callers >= most_waiting).then_some(Unanswered::Full)
    }

    /// Takes in somebody who has no place.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the waiter")]
    fn enter(
        &mut self,
        call: CallId,
        priority: u8,
        since: Duration,
        members: Vec<Member>,
        strategy: Strategy,
        waits: Waits,
        out: &mut Vec<Do>,
    ) {
        if self.waiters.len() >= MOST_WAITERS {
            out.push(Do::Unanswered { call, why: Unanswered::Full });
            return;
        }
        let turn = Turn { priority: Reverse(priority), since, number: self.number() };
        let tried = vec![false; members.len()];
        let waiter = Waiter { call, members, strategy, began: self.now, tried, rings: BTreeSet::new(), waits };
        self.turns.insert(call, turn);
        self.waiters.insert(turn, waiter);
    }

    /// Takes somebody out, and back what rings for them.
    fn forget(&mut self, call: CallId, out: &mut Vec<Do>) {
        if let Some(turn) = self.turns.get(&call).copied() {
            self.remove(turn, false, out);
        }
    }

    /// As [`Waiting::forget`]; `elsewhere`: because a phone was picked up.
    fn remove(&mut self, turn: Turn, elsewhere: bool, out: &mut Vec<Do>) -> Option<Waiter> {
        let waiter = self.waiters.remove(&turn)?;
        self.turns.remove(&waiter.call);
        for &ring in &waiter.rings {
            if let Some(ended) = self.rings.remove(&ring) {
                self.phones.silent(&ended.phone);
                out.push(Do::Cancel { ring, elsewhere });
            }
        }
        Some(waiter)
    }

    /// Takes a ring out; answers it.
    fn end_ring(&mut self, ring: RingId) -> Option<Ring> {
        let ended = self.rings.remove(&ring)?;
        self.phones.silent(&ended.phone);
        if let Some(waiter) = self.waiters.get_mut(&ended.turn) {
            waiter.rings.remove(&ring);
        }
        Some(ended)
    }

    fn failed(&mut self, ring: RingId, why: Failure) {
        let Some(ended) = self.end_ring(ring) else { return };
        self.phones.rest(&ended.phone, why, self.now);
        if matches!(why, Failure::Busy | Failure::Unreachable) {
            self.not_asked(&ended);
        }
        if let Some(Waits::ForPhones { rang, busy, .. }) = self.waits_mut(ended.turn) {
            match why {
                Failure::NoAnswer => *rang = true,
                Failure::Busy | Failure::Refused => *busy = true,
                Failure::Unreachable => {}
            }
        }
    }

    /// Nobody has let a phone ring that was busy or out of reach: for a call back it is as if it had not been tried.
    fn not_asked(&mut self, ended: &Ring) {
        if let Some(waiter) = self.waiters.get_mut(&ended.turn).filter(|waiter| waiter.is_callback()) {
            let of_phone =
                waiter.members.iter().zip(&mut waiter.tried).filter(|(member, _)| member.phone == ended.phone);
            of_phone.for_each(|(_, tried)| *tried = false);
        }
    }

    fn picked_up(&mut self, ring: RingId, out: &mut Vec<Do>) {
        let Some(Ring { phone, turn, .. }) = self.end_ring(ring) else {
            out.push(Do::HangUp { ring });
            return;
        };
        self.phones.taken(&phone);
        if let Some(call) = self.waiters.get(&turn).map(|waiter| waiter.call) {
            out.push(Do::Connect { call, ring, phone });
            self.served(turn, out);
        }
    }

    /// The caller has somebody.
    fn served(&mut self, turn: Turn, out: &mut Vec<Do>) {
        if let Some(Waits::InLine { line, .. }) = self.remove(turn, true, out).map(|waiter| waiter.waits) {
            self.paces.served(&line, turn.since, self.now);
        }
    }

    fn taken(&mut self, phone: &Phone, out: &mut Vec<Do>) {
        if let Some(ring) = self.phones.ringing(phone) {
            out.push(Do::Cancel { ring, elsewhere: false });
            if let Some(ended) = self.end_ring(ring) {
                self.not_asked(&ended);
                if let Some(Waits::ForPhones { busy, .. }) = self.waits_mut(ended.turn) {
                    *busy = true;
                }
            }
        }
        self.phones.taken(phone);
    }

    fn answer(&mut self, call: CallId, phone: Phone, out: &mut Vec<Do>) {
        let Some(turn) = self.turns.get(&call).copied() else {
            out.push(Do::Refused { call, phone, why: NoAnswering::Gone });
            return;
        };
        match self.phones.status(&phone, self.now) {
            Status::OnCall => out.push(Do::Refused { call, phone, why: NoAnswering::OnACall }),
            // A ring that failed a moment ago does not keep anybody from asking for another.
            _ if !self.phones.is_registered(&phone) => {
                out.push(Do::Refused { call, phone, why: NoAnswering::Unreachable });
            }
            Status::Ringing(ring) if self.rings.get(&ring).is_some_and(|ring| ring.turn == turn) => {}
            status => {
                if let Status::Ringing(ring) = status {
                    self.take_back(ring, out);
                }
                let member = self.waiters.get(&turn).and_then(|waiter| waiter.member(&phone));
                self.ring(turn, phone, member, out);
            }
        }
    }

    /// Takes a ring from a caller who loses nothing by it: the phone is as if it had not been tried.
    fn take_back(&mut self, ring: RingId, out: &mut Vec<Do>) {
        let Some(Ring { turn, member, .. }) = self.end_ring(ring) else { return };
        out.push(Do::Cancel { ring, elsewhere: false });
        if let (Some(waiter), Some(member)) = (self.waiters.get_mut(&turn), member) {
            waiter.tried[member] = false;
        }
    }

    fn pick_up(&mut self, phone: Phone, out: &mut Vec<Do>) {
        let rings_in_group = |waiter: &Waiter| !waiter.rings.is_empty() && waiter.member(&phone).is_some();
        let Some((&turn, waiter)) = self.waiters.iter().find(|(_, waiter)| rings_in_group(waiter)) else {
            out.push(Do::NothingRings { phone });
            return;
        };
        out.push(Do::HandOver { call: waiter.call, phone: phone.clone() });
        self.served(turn, out);
        self.taken(&phone, out);
    }

    /// Whatever follows from the time and from what has just happened.
    fn settle(&mut self, out: &mut Vec<Do>) {
        let overdue = self.rings.iter().filter(|(_, ring)| ring.ends_by <= self.now);
        for ring in overdue.map(|(&ring, _)| ring).collect::<Vec<_>>() {
            out.push(Do::Cancel { ring, elsewhere: false });
            self.failed(ring, Failure::NoAnswer);
        }
        // Whoever gives up silences phones: one of them may have been all that somebody before them could hope for.
        loop {
            let before = self.waiters.len();
            for turn in self.waiters.keys().copied().collect::<Vec<_>>() {
                self.give_up(turn, out);
            }
            if self.waiters.len() == before {
                break;
            }
        }
        for turn in self.waiters.keys().copied().collect::<Vec<_>>() {
            self.seek(turn, out);
        }
        self.tell_places(out);
    }

    /// Ends the waiting of one whose time is over, or whom nobody can serve any more.
    fn give_up(&mut self, turn: Turn, out: &mut Vec<Do>) {
        let now = self.now;
        let Some(waiter) = self.waiters.get(&turn) else { return };
        let served = !waiter.rings.is_empty() || waiter.members.iter().any(|member| self.serves(&member.phone));
        let rings = !waiter.rings.is_empty();
        let asked_all = waiter.tried.contains(&true)
            && !waiter.members.iter().any(|member| !waiter.was_asked(&member.phone) && self.serves(&member.phone));
        let why = match self.waits_mut(turn) {
            Some(Waits::ForPhones { give_up_at, rang, busy }) if *give_up_at <= now => {
                Some(seek::verdict(*rang || rings, *busy))
            }
            Some(Waits::InLine { who: Who::Caller, nobody_since, .. }) => {
                *nobody_since = if served { None } else { Some(nobody_since.unwrap_or(now)) };
                nobody_since
                    .is_some_and(|since| now >= since.saturating_add(NOBODY_GRACE))
                    .then_some(Unanswered::Nobody)
            }
            Some(Waits::InLine { who: Who::Callback, .. }) if asked_all && !rings => Some(Unanswered::NoAnswer),
            _ => None,
        };
        if let Some(why) = why {
            self.unanswered(turn, why, out);
        }
    }

    fn unanswered(&mut self, turn: Turn, why: Unanswered, out: &mut Vec<Do>) {
        if let Some(waiter) = self.remove(turn, false, out) {
            out.push(Do::Unanswered { call: waiter.call, why });
        }
    }

    /// Tells each caller their place if it is another than they know.
    fn tell_places(&mut self, out: &mut Vec<Do>) {
        let mut lengths: HashMap<Arc<str>, usize> = HashMap::new();
        for waiter in self.waiters.values_mut() {
            let Waits::InLine { line, who, told, .. } = &mut waiter.waits else { continue };
            let position = lengths.entry(Arc::clone(line)).or_default();
            *position += 1;
            let place = Place { position: *position, wait: self.paces.wait(line, *position, self.now) };
            if *who == Who::Caller && *told != Some(place) {
                *told = Some(place);
                out.push(Do::Place { call: waiter.call, place });
            }
        }
    }

    /// Whether a phone can be hoped for: it is reachable, or busy with somebody.
    fn serves(&self, phone: &Phone) -> bool {
        self.phones.status(phone, self.now) != Status::Unreachable
    }

    fn waits_mut(&mut self, turn: Turn) -> Option<&mut Waits> {
        self.waiters.get_mut(&turn).map(|waiter| &mut waiter.waits)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Waiter {
    fn is_in(&self, of: &str) -> bool {
        matches!(&self.waits, Waits::InLine { line, .. } if **line == *of)
    }

    fn is_caller_in(&self, of: &str) -> bool {
        matches!(&self.waits, Waits::InLine { line, who: Who::Caller, .. } if **line == *of)
    }

    fn is_callback(&self) -> bool {
        matches!(&self.waits, Waits::InLine { who: Who::Callback, .. })
    }

    /// Whether a phone of the group was tried.
    fn was_asked(&self, phone: &Phone) -> bool {
        self.members.iter().zip(&self.tried).any(|(member, tried)| *tried && member.phone == *phone)
    }

    fn member(&self, phone: &Phone) -> Option<usize> {
        self.members.iter().position(|member| member.phone == *phone)
    }
}
