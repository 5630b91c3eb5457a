//! Random callers, phones and times against a model of the line that remembers everything and computes all of it anew
//! after each step.

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;

use super::*;

const PHONES: usize = 5;
const LINES: [&str; 2] = ["desk", "nurses"];
const GIVE_UP_AFTER: Duration = Duration::from_secs(45);

/// A step of a day. Numbers choose among what there is, round and round.
#[derive(Clone, Debug)]
enum Step {
    Join { line: usize, priority: u8, group: Group, most_waiting: usize, kept: Option<u64>, callback: bool },
    Ring { group: Group },
    Leave(usize),
    Fail(usize, Failure),
    PickUp(usize),
    PickUpLate(usize),
    HungUp(usize),
    Taken(usize),
    Registered([bool; 3]),
    Answer(usize, usize),
    Fetch(usize),
    Pass(u64),
    ToDeadline,
}

#[derive(Clone, Debug)]
struct Group {
    strategy: Strategy,
    /// Which phones, with their delay.
    members: Vec<(usize, u64)>,
}

/// Three extensions, another system's phone, a mobile.
fn the_phone(number: usize) -> Phone {
    match number % PHONES {
        3 => "sip:201@pbx".parse().unwrap(),
        4 => "+12125550123".parse().unwrap(),
        extension => phone(&format!("20{extension}")),
    }
}

impl Group {
    fn members(&self) -> Vec<Member> {
        let member = |&(phone, delay): &(usize, u64)| Member {
            phone: the_phone(phone),
            delay: seconds(delay),
            ring_for: seconds(20),
        };
        self.members.iter().map(member).collect()
    }
}

/// A caller as the model remembers them.
#[derive(Debug)]
struct Remembered {
    call: CallId,
    /// None: phones ring for them alone.
    line: Option<&'static str>,
    priority: u8,
    since: Duration,
    began: Duration,
    group: Group,
    who: Who,
    told: Option<usize>,
    /// Since when no phone of theirs could be hoped for.
    hopeless_since: Option<Duration>,
    /// What rang for them and was not taken back.
    rung: Vec<Phone>,
    /// What may have been passed over, being busy or out of reach at a time.
    passed_over: Vec<Phone>,
    failures: Vec<Failure>,
    /// A phone of theirs began a call of its own.
    lost_one: bool,
    /// Phones that rang for them and that nobody picked up or somebody silenced.
    declined: Vec<Phone>,
}

impl Remembered {
    fn declines(&mut self, phone: &Phone, why: Failure) {
        self.declined.retain(|of| of != phone);
        if matches!(why, Failure::NoAnswer | Failure::Refused)
            && self.group.members.iter().any(|(of, _)| the_phone(*of) == *phone)
        {
            self.declined.push(phone.clone());
        }
    }

    /// Whether a phone may ring for them by the rules.
    fn spares(&self, phone: &Phone) -> bool {
        self.who == Who::Callback && self.line.is_some() && self.declined.contains(phone)
    }
}

#[derive(Debug, Default)]
struct Model {
    now: Duration,
    /// In the order of their coming.
    waiting: Vec<Remembered>,
    rings: Vec<(RingId, Phone, CallId)>,
    /// When each ring's end must have been told at the latest.
    ends_by: HashMap<RingId, Duration>,
    dead: Vec<RingId>,
    /// Once for each call that a phone is on.
    on_call: Vec<Phone>,
    registered: BTreeSet<Phone>,
    /// What failed, and when; forgotten when the phone is picked up.
    failed: Vec<(Phone, Duration, Failure)>,
    /// All ends, in order.
    ends: Vec<CallId>,
    came: usize,
    left: usize,
}

impl Model {
    fn registered(&self, phone: &Phone) -> bool {
        !matches!(phone, Phone::Extension(_)) || self.registered.contains(phone)
    }

    /// Why a phone rests, if it does.
    fn rests(&self, phone: &Phone) -> Option<Failure> {
        let last = self.failed.iter().rev().find(|(failed, ..)| failed == phone)?;
        let rest = if last.2 == Failure::NoAnswer { 5 } else { 15 };
        (last.1 + seconds(rest) > self.now).then_some(last.2)
    }

    fn rings(&self, phone: &Phone) -> bool {
        self.rings.iter().any(|(_, ringing, _)| ringing == phone)
    }

    fn free(&self, phone: &Phone) -> bool {
        self.registered(phone) && !self.on_call.contains(phone) && !self.rings(phone) && self.rests(phone).is_none()
    }

    fn hoped_for(&self, phone: &Phone) -> bool {
        let reachable = self.registered(phone) && self.rests(phone) != Some(Failure::Unreachable);
        self.on_call.contains(phone) || self.rings(phone) || reachable
    }

    fn ring_count(&self, call: CallId) -> usize {
        self.rings.iter().filter(|(.., of)| *of == call).count()
    }

    /// Who comes before whom.
    fn in_order(&self) -> Vec<&Remembered> {
        let mut order: Vec<_> = self.waiting.iter().collect();
        // Stable: equals stay in the order of their coming.
        order.sort_by(|a, b| b.priority.cmp(&a.priority).then(a.since.cmp(&b.since)));
        order
    }

    fn who(&mut self, call: CallId) -> Option<&mut Remembered> {
        self.waiting.iter_mut().find(|waiter| waiter.call == call)
    }

    fn end(&mut self, call: CallId) -> Remembered {
        let at = self.waiting.iter().position(|waiter| waiter.call == call).expect("ended without waiting");
        assert!(!self.ends.contains(&call), "ended twice");
        self.ends.push(call);
        self.waiting.remove(at)
    }

    fn end_ring(&mut self, ring: RingId) -> (Phone, CallId) {
        let at = self.rings.iter().position(|(of, ..)| *of == ring).expect("this does not ring");
        let (ring, phone, call) = self.rings.remove(at);
        self.dead.push(ring);
        (phone, call)
    }

    /// Follows what the machine says, step by step; `asked`: a phone that somebody asked for.
    fn follow(&mut self, out: &[Do], asked: Option<(CallId, &Phone)>) {
        let before = self.rings.clone();
        for what in out {
            match what {
                Do::Ring { ring, phone, call, ring_for } => {
                    self.ends_by.insert(*ring, self.now + *ring_for + RING_SLACK);
                    assert!(!self.dead.contains(ring) && self.rings.iter().all(|(of, ..)| of != ring), "a used name");
                    assert!(!self.on_call.contains(phone) && !self.rings(phone) && self.registered(phone));
                    let of_rule = asked != Some((*call, phone));
                    let (now, resting) = (self.now, self.rests(phone).is_some());
                    let waiter = self.who(*call).expect("rings for nobody");
                    if of_rule {
                        let of_group = waiter.group.members.iter().find(|(of, _)| the_phone(*of) == *phone);
                        assert!(of_group.is_some_and(|(_, delay)| waiter.began + seconds(*delay) <= now));
                        assert!(waiter.line.is_none() || !resting, "a phone is hammered");
                        assert!(waiter.line.is_some() || !waiter.rung.contains(phone), "tried twice");
                        assert!(!waiter.spares(phone), "asked twice");
                    }
                    waiter.rung.push(phone.clone());
                    self.rings.push((*ring, phone.clone(), *call));
                }
                Do::Cancel { ring, elsewhere } => {
                    let (phone, call) = self.end_ring(*ring);
                    let overdue = self.ends_by[ring] <= self.now;
                    let (now, displaced) = (self.now, asked.is_some_and(|(_, of)| *of == phone));
                    if let Some(waiter) = self.who(call) {
                        assert!(!elsewhere, "cancelled elsewhere while the caller waits");
                        if displaced {
                            waiter.rung.retain(|of| *of != phone);
                            waiter.declined.retain(|of| *of != phone);
                        } else if overdue {
                            waiter.failures.push(Failure::NoAnswer);
                            waiter.declines(&phone, Failure::NoAnswer);
                            self.failed.push((phone, now, Failure::NoAnswer));
                        } else {
                            waiter.lost_one = true;
                            waiter.declines(&phone, Failure::Busy);
                        }
                    }
                }
                Do::Connect { call, ring, phone } => {
                    assert_eq!(self.end_ring(*ring), (phone.clone(), *call));
                    self.taken(phone);
                    self.end(*call);
                }
                Do::HandOver { call, phone } => {
                    self.taken(phone);
                    self.end(*call);
                }
                Do::Unanswered { call, why } => {
                    let rang = before.iter().any(|(.., of)| of == call);
                    self.unanswered(*call, *why, rang);
                }
                Do::Place { call, place } => {
                    self.who(*call).expect("told to nobody").told = Some(place.position);
                }
                Do::HangUp { ring } => assert!(self.dead.contains(ring)),
                Do::Refused { .. } | Do::NothingRings { .. } => {}
            }
        }
    }

    fn taken(&mut self, phone: &Phone) {
        self.on_call.push(phone.clone());
        self.failed.retain(|(failed, ..)| failed != phone);
    }

    fn unanswered(&mut self, call: CallId, why: Unanswered, rang_until_now: bool) {
        let waiter = self.end(call);
        let phones: Vec<_> = waiter.group.members().into_iter().map(|member| member.phone).collect();
        let in_time = self.now < waiter.began + GIVE_UP_AFTER;
        match (waiter.line, why) {
            (Some(_), Unanswered::Nobody) => {
                assert_eq!(waiter.who, Who::Caller);
                assert!(!phones.iter().any(|phone| self.hoped_for(phone)), "somebody is there");
                let hopeless = waiter.hopeless_since.is_some_and(|since| since + NOBODY_GRACE <= self.now);
                assert!(hopeless || waiter.began == self.now);
            }
            (Some(_), Unanswered::NoAnswer) => {
                assert!(waiter.who == Who::Callback && !waiter.declined.is_empty() && self.ring_count(call) == 0);
                let hope = |phone: &Phone| !waiter.declined.contains(phone) && self.hoped_for(phone);
                assert!(!phones.iter().any(hope), "somebody was not asked");
            }
            (None, Unanswered::NoAnswer) => {
                let one_rang = waiter.failures.contains(&Failure::NoAnswer) || rang_until_now;
                assert!(one_rang, "nothing rang to its end");
            }
            (None, Unanswered::Busy | Unanswered::Nobody) => {
                assert!(!waiter.failures.contains(&Failure::NoAnswer), "a phone has rung");
                let refused = waiter.failures.iter().any(|failure| matches!(failure, Failure::Busy | Failure::Refused));
                assert!(why == Unanswered::Busy || !refused && !waiter.lost_one);
                let done =
                    |phone| waiter.rung.contains(phone) || waiter.passed_over.contains(phone) || !self.free(phone);
                assert!(!in_time || phones.iter().all(done), "a phone was not tried");
            }
            other => panic!("no end of this kind: {other:?}"),
        }
    }

    /// What must hold after every step.
    fn check(&mut self, waiting: &Waiting) {
        // No ring outlives its caller, no phone rings twice or during a call.
        for (at, (_, phone, call)) in self.rings.iter().enumerate() {
            assert!(self.waiting.iter().any(|waiter| waiter.call == *call), "a ring outlived its caller");
            assert!(!self.on_call.contains(phone));
            assert!(self.rings[at + 1..].iter().all(|(_, other, _)| other != phone));
        }
        // Progress, in order: whoever is first in line has all that they may have.
        for waiter in self.in_order() {
            let ringing = self.ring_count(waiter.call);
            let delayed = |delay: u64| waiter.began + seconds(delay) > self.now;
            let wants = waiter.group.strategy == Strategy::All || ringing == 0;
            for (number, delay) in &waiter.group.members {
                let phone = the_phone(*number);
                let could = wants && !delayed(*delay) && self.free(&phone) && !waiter.spares(&phone);
                assert!(!could || waiter.line.is_none(), "{phone} is free and {waiter:?} waits");
            }
            let hope = waiter.group.members.iter().any(|(number, delay)| {
                let phone = the_phone(*number);
                !waiter.rung.contains(&phone) && (delayed(*delay) || self.rings(&phone))
            });
            assert!(waiter.line.is_some() || ringing > 0 || hope, "nothing is to come for {waiter:?}");
            assert!(waiter.line.is_some() || self.now < waiter.began + GIVE_UP_AFTER, "{waiter:?} is not given up");
            let asked_all = waiter.group.members.iter().all(|(number, _)| {
                let phone = the_phone(*number);
                waiter.spares(&phone) || !self.hoped_for(&phone)
            });
            let over = asked_all && waiter.who == Who::Callback && !waiter.declined.is_empty() && ringing == 0;
            assert!(!over, "{waiter:?} is not given up");
        }
        // A line without phones holds nobody.
        for at in 0..self.waiting.len() {
            let phones: Vec<_> = self.waiting[at].group.members().into_iter().map(|member| member.phone).collect();
            let hope = self.ring_count(self.waiting[at].call) > 0 || phones.iter().any(|phone| self.hoped_for(phone));
            let now = self.now;
            let passed_over: Vec<_> = phones.into_iter().filter(|phone| !self.free(phone)).collect();
            let waiter = &mut self.waiting[at];
            waiter.passed_over.extend(passed_over);
            waiter.hopeless_since = if hope { None } else { Some(waiter.hopeless_since.unwrap_or(now)) };
            let held = waiter.hopeless_since.is_some_and(|since| since + NOBODY_GRACE <= now);
            assert!(!held || waiter.line.is_none() || waiter.who == Who::Callback, "{waiter:?} is held by nobody");
        }
        // The view and the places told are the model's.
        let snapshot = waiting.snapshot();
        for line in LINES {
            let mine: Vec<_> = self
                .in_order()
                .into_iter()
                .filter(|waiter| waiter.line == Some(line))
                .map(|waiter| waiter.call)
                .collect();
            let shown = snapshot.lines.iter().find(|view| view.line == line);
            let shown: Vec<_> =
                shown.map(|view| view.waiting.iter().map(|waiter| waiter.call).collect()).unwrap_or_default();
            assert_eq!(mine, shown, "the order of {line}");
            for (at, call) in mine.into_iter().enumerate() {
                let waiter = self.who(call).unwrap();
                let told = (waiter.who == Who::Caller).then_some(at + 1);
                assert_eq!(waiter.told, told);
            }
        }
        assert_eq!(self.came, self.waiting.len() + self.ends.len() + self.left, "somebody is lost");
        assert!(waiting.next_deadline().is_none_or(|at| at > self.now));
        assert!(self.rings.is_empty() || waiting.next_deadline().is_some());
        assert_eq!((waiting.rings.len(), waiting.waiters.len()), (self.rings.len(), self.waiting.len()));
        assert_eq!(waiting.turns.len(), self.waiting.len());
    }
}

/// A day: the machine and the model beside each other.
#[derive(Default)]
struct Day {
    waiting: Waiting,
    model: Model,
}

impl Day {
    fn tell(&mut self, what: Happened) -> Vec<Do> {
        let out = self.waiting.handle(self.model.now, what);
        self.model.follow(&out, None);
        self.model.check(&self.waiting);
        out
    }

    fn arrive(&mut self, line: Option<usize>, group: &Group, priority: u8, since: Duration, who: Who) -> CallId {
        let (call, now) = (caller(), self.model.now);
        self.model.came += 1;
        self.model.waiting.push(Remembered {
            call,
            line: line.map(|line| LINES[line % LINES.len()]),
            priority,
            since,
            began: now,
            group: group.clone(),
            who,
            told: None,
            hopeless_since: None,
            rung: vec![],
            passed_over: vec![],
            failures: vec![],
            lost_one: false,
            declined: vec![],
        });
        call
    }

    fn caller(&self, number: usize) -> Option<CallId> {
        let count = self.model.waiting.len();
        (count > 0).then(|| self.model.waiting[number % count].call)
    }

    fn ring(&self, number: usize) -> Option<RingId> {
        let count = self.model.rings.len();
        (count > 0).then(|| self.model.rings[number % count].0)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join { line, priority, group, most_waiting, kept, callback } => {
                self.join(line, priority, &group, most_waiting, kept, callback);
            }
            Step::Ring { group } => {
                let call = self.arrive(None, &group, 0, self.model.now, Who::Caller);
                let (members, strategy) = (group.members(), group.strategy);
                self.tell(Happened::Ring { call, members, strategy, give_up_after: GIVE_UP_AFTER });
            }
            Step::Leave(number) => {
                let Some(call) = self.caller(number) else { return };
                self.model.waiting.retain(|waiter| waiter.call != call);
                self.model.left += 1;
                self.tell(Happened::Leave { call });
            }
            Step::Fail(number, why) => {
                let Some(ring) = self.ring(number) else { return };
                let (phone, call) = self.model.end_ring(ring);
                self.model.failed.push((phone.clone(), self.model.now, why));
                let waiter = self.model.who(call).unwrap();
                waiter.failures.push(why);
                waiter.declines(&phone, why);
                self.tell(Happened::RingFailed { ring, why });
            }
            Step::PickUp(number) => {
                let Some(ring) = self.ring(number) else { return };
                let (.., call) = *self.model.rings.iter().find(|(of, ..)| *of == ring).unwrap();
                let out = self.tell(Happened::PickedUp { ring });
                assert!(connected(&out, call).is_some(), "the first to pick up wins");
            }
            Step::PickUpLate(number) => {
                let Some(ring) = self.model.dead.get(number % self.model.dead.len().max(1)).copied() else { return };
                assert_eq!(self.tell(Happened::PickedUp { ring })[..1], [Do::HangUp { ring }]);
            }
            Step::HungUp(number) => {
                let phone = the_phone(number);
                if let Some(at) = self.model.on_call.iter().position(|of| *of == phone) {
                    self.model.on_call.remove(at);
                }
                self.tell(Happened::HungUp { phone });
            }
            Step::Taken(number) => {
                let phone = the_phone(number);
                let out = self.waiting.handle(self.model.now, Happened::Taken { phone: phone.clone() });
                // Taken at once: what the machine does after that must know it.
                let rang = self.model.rings(&phone);
                assert_eq!(rang, matches!(out.first(), Some(Do::Cancel { .. })));
                let (cancel, rest) = out.split_at(usize::from(rang));
                self.model.follow(cancel, None);
                self.model.taken(&phone);
                self.model.follow(rest, None);
                self.model.check(&self.waiting);
            }
            Step::Registered(which) => {
                let now: BTreeSet<_> = (0..3).filter(|&at| which[at]).map(the_phone).collect();
                for new in now.difference(&self.model.registered) {
                    // One that comes back is no longer out of reach, and begins anew.
                    if self.model.rests(new) == Some(Failure::Unreachable) {
                        self.model.failed.retain(|(phone, ..)| phone != new);
                    }
                }
                self.model.registered.clone_from(&now);
                self.tell(Happened::Reachable(now));
            }
            Step::Answer(number, phone) => {
                let Some(call) = self.caller(number) else { return };
                let phone = the_phone(phone);
                let granted = self.model.registered(&phone) && !self.model.on_call.contains(&phone);
                let out = self.waiting.handle(self.model.now, Happened::Answer { call, phone: phone.clone() });
                self.model.follow(&out, Some((call, &phone)));
                self.model.check(&self.waiting);
                let refused = out.iter().any(|what| matches!(what, Do::Refused { .. }));
                assert_eq!(granted, !refused);
                assert!(refused || self.model.rings.iter().any(|(_, ringing, of)| (ringing, *of) == (&phone, call)));
            }
            Step::Fetch(number) => {
                let phone = the_phone(number);
                let in_group =
                    |waiter: &&Remembered| waiter.group.members.iter().any(|(of, _)| the_phone(*of) == phone);
                let rings = |waiter: &&Remembered| self.model.ring_count(waiter.call) > 0;
                let first = self.model.in_order().into_iter().filter(in_group).find(rings).map(|waiter| waiter.call);
                // The phone's own ringing for another caller ends like that of a phone that makes a call.
                let out = self.tell(Happened::PickUp { phone: phone.clone() });
                assert_eq!(first.and_then(|call| connected(&out, call)).is_some(), first.is_some());
            }
            Step::Pass(time) => self.pass(seconds(time)),
            Step::ToDeadline => {
                if let Some(at) = self.waiting.next_deadline() {
                    self.pass(at - self.model.now);
                }
            }
        }
    }

    fn join(&mut self, line: usize, priority: u8, group: &Group, most: usize, kept: Option<u64>, callback: bool) {
        let now = self.model.now;
        let since = kept.map_or(now, |kept| now.saturating_sub(seconds(kept)));
        let who = if callback { Who::Callback } else { Who::Caller };
        let name = LINES[line % LINES.len()];
        let in_line = |waiter: &&Remembered| waiter.line == Some(name) && waiter.who == Who::Caller;
        let full = self.model.waiting.iter().filter(in_line).count() >= most;
        let nobody = !group.members().iter().any(|member| self.model.hoped_for(&member.phone));
        let call = self.arrive(Some(line), group, priority, since, who);
        let what = Happened::Join {
            call,
            line: name.to_owned(),
            priority,
            members: group.members(),
            strategy: group.strategy,
            most_waiting: most,
            since: kept.map(|_| since),
            who,
        };
        if full && !nobody && who == Who::Caller {
            self.model.end(call);
            let out = self.waiting.handle(now, what);
            assert_eq!(out, [Do::Unanswered { call, why: Unanswered::Full }]);
            self.model.check(&self.waiting);
        } else {
            let out = self.tell(what);
            assert_eq!(ended(&out, call).is_some(), nobody && who == Who::Caller);
        }
    }

    /// Deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.model.now + time;
        while let Some(at) = self.waiting.next_deadline().filter(|&at| at <= until) {
            self.model.now = at;
            let out = self.waiting.handle(at, Happened::Deadline);
            self.model.follow(&out, None);
            self.model.check(&self.waiting);
        }
        self.model.now = until;
        let out = self.waiting.handle(until, Happened::Deadline);
        assert_eq!(out, [], "nothing happens without a deadline");
        self.model.check(&self.waiting);
    }
}

fn groups() -> impl Generate<Value = Group> {
    let strategies = prop_oneof![Just(Strategy::All), Just(Strategy::InTurn), Just(Strategy::LongestIdle)];
    let delays = prop_oneof![3 => Just(0u64), 1 => 1u64..30];
    let members = proptest::collection::btree_map(0..PHONES, delays, 1..=PHONES);
    (strategies, members.prop_map(|members| members.into_iter().collect::<Vec<_>>()).prop_shuffle())
        .prop_map(|(strategy, members)| Group { strategy, members })
}

fn steps() -> impl Generate<Value = Step> {
    let failures =
        prop_oneof![Just(Failure::NoAnswer), Just(Failure::Busy), Just(Failure::Refused), Just(Failure::Unreachable)];
    prop_oneof![
        4 => (0..2usize, prop_oneof![3 => Just(0u8), 1 => 0u8..3], groups(), 1usize..6,
              proptest::option::weighted(0.2, 0u64..600), proptest::bool::weighted(0.15))
            .prop_map(|(line, priority, group, most_waiting, kept, callback)|
                Step::Join { line, priority, group, most_waiting, kept, callback }),
        2 => groups().prop_map(|group| Step::Ring { group }),
        2 => (0..50usize).prop_map(Step::Leave),
        4 => (0..50usize, failures).prop_map(|(number, why)| Step::Fail(number, why)),
        3 => (0..50usize).prop_map(Step::PickUp),
        1 => (0..50usize).prop_map(Step::PickUpLate),
        3 => (0..PHONES).prop_map(Step::HungUp),
        1 => (0..PHONES).prop_map(Step::Taken),
        2 => any::<[bool; 3]>().prop_map(Step::Registered),
        2 => (0..50usize, 0..PHONES).prop_map(|(number, phone)| Step::Answer(number, phone)),
        1 => (0..PHONES).prop_map(Step::Fetch),
        4 => (0u64..40).prop_map(Step::Pass),
        3 => Just(Step::ToDeadline),
    ]
}

proptest! {
    #[test]
    fn any_day_is_served_as_the_model_says(steps in proptest::collection::vec(steps(), 1..80)) {
        let mut day = Day::default();
        day.model.now = seconds(10_000);
        day.step(Step::Registered([true, true, false]));
        for step in steps {
            day.step(step);
        }
        while !day.model.waiting.is_empty() {
            day.step(Step::Leave(0));
        }
        prop_assert!(day.waiting.rings.is_empty() && day.waiting.turns.is_empty());
        prop_assert_eq!(day.waiting.next_deadline(), None);
    }
}
