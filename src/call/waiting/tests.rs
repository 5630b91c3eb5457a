//! Each rule by itself. `model` holds random days against a simple model of the line.

mod model;

use jiff::Timestamp;

use super::*;

/// The machine, the time, and who is called what.
struct Clinic {
    waiting: Waiting,
    now: Duration,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn caller() -> CallId {
    CallId::new(Timestamp::UNIX_EPOCH)
}

fn phone(name: &str) -> Phone {
    format!("extension:{name}").parse().unwrap()
}

fn member(name: &str) -> Member {
    Member { phone: phone(name), delay: Duration::ZERO, ring_for: seconds(20) }
}

fn members(names: &[&str]) -> Vec<Member> {
    names.iter().map(|name| member(name)).collect()
}

fn join(call: CallId, strategy: Strategy, names: &[&str]) -> Happened {
    Happened::Join {
        call,
        line: "desk".to_owned(),
        priority: 0,
        members: members(names),
        strategy,
        most_waiting: 3,
        since: None,
        who: Who::Caller,
    }
}

fn urgent(mut joins: Happened) -> Happened {
    if let Happened::Join { priority, .. } = &mut joins {
        *priority = 9;
    }
    joins
}

fn in_line(mut joins: Happened, name: &str) -> Happened {
    if let Happened::Join { line, .. } = &mut joins {
        name.clone_into(line);
    }
    joins
}

fn callback(mut joins: Happened, waits_since: Duration) -> Happened {
    if let Happened::Join { since, who, .. } = &mut joins {
        (*since, *who) = (Some(waits_since), Who::Callback);
    }
    joins
}

fn ring(call: CallId, strategy: Strategy, names: &[&str]) -> Happened {
    Happened::Ring { call, members: members(names), strategy, give_up_after: seconds(60) }
}

impl Clinic {
    /// With these extensions registered, at a time that is not nought.
    fn with(names: &[&str]) -> Clinic {
        let mut clinic = Clinic { waiting: Waiting::default(), now: seconds(1_000) };
        clinic.registered(names);
        clinic
    }

    fn registered(&mut self, names: &[&str]) -> Vec<Do> {
        self.tell(Happened::Reachable(names.iter().map(|name| phone(name)).collect()))
    }

    fn tell(&mut self, what: Happened) -> Vec<Do> {
        self.waiting.handle(self.now, what)
    }

    /// Lets the time go by, deadline by deadline.
    fn pass(&mut self, time: u64) -> Vec<Do> {
        let until = self.now + seconds(time);
        let mut out = vec![];
        while let Some(at) = self.waiting.next_deadline().filter(|&at| at <= until) {
            assert!(at > self.now, "a deadline that has passed");
            self.now = at;
            out.extend(self.tell(Happened::Deadline));
        }
        self.now = until;
        out
    }

    fn fail(&mut self, name: &str, why: Failure) -> Vec<Do> {
        let ring = self.ring_at(name);
        self.tell(Happened::RingFailed { ring, why })
    }

    fn pick_up(&mut self, name: &str) -> Vec<Do> {
        let ring = self.ring_at(name);
        self.tell(Happened::PickedUp { ring })
    }

    fn ring_at(&self, name: &str) -> RingId {
        let mut rings = self.waiting.rings.iter().filter(|(_, ring)| ring.phone == phone(name));
        *rings.next().unwrap_or_else(|| panic!("{name} does not ring")).0
    }

    /// What rings for a caller, by the extensions' names in order.
    fn ringing(&self, call: CallId) -> Vec<String> {
        let snapshot = self.waiting.snapshot();
        let mut waiters = snapshot.lines.iter().flat_map(|line| &line.waiting).chain(&snapshot.alone);
        let ringing = waiters.find(|waiter| waiter.call == call).map(|waiter| waiter.ringing.clone());
        let mut names: Vec<_> = ringing
            .unwrap_or_default()
            .iter()
            .map(|phone| phone.to_string()["extension:".len()..].to_owned())
            .collect();
        names.sort();
        names
    }
}

fn ended(out: &[Do], who: CallId) -> Option<Unanswered> {
    out.iter().find_map(|what| match what {
        Do::Unanswered { call, why } if *call == who => Some(*why),
        _ => None,
    })
}

fn connected(out: &[Do], who: CallId) -> Option<Phone> {
    out.iter().find_map(|what| match what {
        Do::Connect { call, phone, .. } | Do::HandOver { call, phone } if *call == who => Some(phone.clone()),
        _ => None,
    })
}

fn cancelled_elsewhere(out: &[Do]) -> Vec<bool> {
    let cancels = out.iter().filter_map(|what| match what {
        Do::Cancel { elsewhere, .. } => Some(*elsewhere),
        _ => None,
    });
    cancels.collect()
}

fn positions(out: &[Do], who: CallId) -> Vec<usize> {
    let places = out.iter().filter_map(|what| match what {
        Do::Place { call, place } if *call == who => Some(place.position),
        _ => None,
    });
    places.collect()
}

#[test]
fn all_phones_ring_and_the_first_to_be_picked_up_wins() {
    let mut clinic = Clinic::with(&["201", "202", "203"]);
    let (first, second) = (caller(), caller());
    clinic.tell(join(first, Strategy::All, &["201", "202", "203"]));
    clinic.tell(join(second, Strategy::All, &["201", "202", "203"]));
    assert_eq!(clinic.ringing(first), ["201", "202", "203"]);
    assert!(clinic.ringing(second).is_empty(), "a phone rings for one caller at a time");
    let late = clinic.ring_at("201");
    let out = clinic.pick_up("202");
    assert_eq!(connected(&out, first), Some(phone("202")));
    assert_eq!(cancelled_elsewhere(&out), [true, true]);
    assert_eq!(clinic.ringing(second), ["201", "203"], "never on a phone that is on a call");
    assert_eq!(clinic.tell(Happened::PickedUp { ring: late }), [Do::HangUp { ring: late }]);
}

#[test]
fn the_line_is_served_in_the_order_of_coming_within_a_priority() {
    let mut clinic = Clinic::with(&["201"]);
    let [on, first, second, emergency] = [caller(), caller(), caller(), caller()];
    for call in [on, first, second] {
        clinic.tell(join(call, Strategy::All, &["201"]));
        clinic.pass(1);
    }
    clinic.pick_up("201");
    let out = clinic.tell(urgent(join(emergency, Strategy::All, &["201"])));
    assert_eq!(
        (positions(&out, emergency), positions(&out, first), positions(&out, second)),
        (vec![1], vec![2], vec![3])
    );
    for next in [emergency, first, second] {
        clinic.tell(Happened::HungUp { phone: phone("201") });
        let out = clinic.pick_up("201");
        assert_eq!(connected(&out, next), Some(phone("201")));
    }
}

#[test]
fn a_place_is_told_when_it_changes() {
    let mut clinic = Clinic::with(&["201"]);
    let [first, second, third] = [caller(), caller(), caller()];
    for (call, position) in [(first, 1), (second, 2), (third, 3)] {
        let out = clinic.tell(join(call, Strategy::All, &["201"]));
        assert_eq!(positions(&out, call), [position]);
    }
    let out = clinic.tell(Happened::Leave { call: second });
    assert_eq!((positions(&out, first), positions(&out, third)), (vec![], vec![2]));
    clinic.pass(90);
    let out = clinic.pick_up("201");
    let told = Do::Place { call: third, place: Place { position: 1, wait: Some(seconds(120)) } };
    assert!(out.contains(&told), "{out:?}");
    assert_eq!(clinic.waiting.place(third).map(|place| place.position), Some(1));
    assert_eq!(clinic.waiting.place(first), None);
}

#[test]
fn lines_that_share_a_phone_wait_together() {
    let mut clinic = Clinic::with(&["201"]);
    let [on, desk, nurses] = [caller(), caller(), caller()];
    clinic.tell(join(on, Strategy::All, &["201"]));
    clinic.pick_up("201");
    clinic.tell(in_line(join(nurses, Strategy::All, &["201"]), "nurses"));
    clinic.pass(5);
    let out = clinic.tell(join(desk, Strategy::All, &["201"]));
    assert_eq!(positions(&out, desk), [1], "the first of their own line");
    clinic.tell(Happened::HungUp { phone: phone("201") });
    assert_eq!((clinic.ringing(nurses).len(), clinic.ringing(desk).len()), (1, 0), "the longest waiting first");
}

#[test]
fn in_turn_one_phone_rings_after_the_other_and_then_from_the_start() {
    let mut clinic = Clinic::with(&["201", "202", "203"]);
    let call = caller();
    clinic.tell(join(call, Strategy::InTurn, &["203", "201", "202"]));
    for name in ["203", "201", "202", "203"] {
        assert_eq!(clinic.ringing(call), [name]);
        clinic.now += seconds(20);
        clinic.fail(name, Failure::NoAnswer);
    }
}

#[test]
fn in_turn_the_next_caller_takes_the_next_phone() {
    let mut clinic = Clinic::with(&["201", "202"]);
    let (first, second) = (caller(), caller());
    clinic.tell(join(first, Strategy::InTurn, &["201", "202"]));
    clinic.tell(join(second, Strategy::InTurn, &["201", "202"]));
    assert_eq!((clinic.ringing(first), clinic.ringing(second)), (vec!["201".to_owned()], vec!["202".to_owned()]));
}

#[test]
fn who_has_been_idle_longest_rings_first_and_the_file_decides_between_equals() {
    let mut clinic = Clinic::with(&["201", "202", "203"]);
    let names = ["201", "202", "203"];
    for expected in ["201", "202", "203", "201"] {
        let call = caller();
        clinic.tell(join(call, Strategy::LongestIdle, &names));
        assert_eq!(clinic.ringing(call), [expected]);
        clinic.pick_up(expected);
        clinic.pass(60);
        clinic.tell(Happened::HungUp { phone: phone(expected) });
    }
}

#[test]
fn a_member_rings_after_its_delay_and_for_its_own_time() {
    let mut clinic = Clinic::with(&["201", "202"]);
    let call = caller();
    let slow = Member { phone: phone("202"), delay: seconds(10), ring_for: seconds(7) };
    let out = clinic.tell(Happened::Join {
        call,
        line: "desk".to_owned(),
        priority: 0,
        members: vec![member("201"), slow],
        strategy: Strategy::All,
        most_waiting: 9,
        since: None,
        who: Who::Caller,
    });
    assert!(matches!(out[..], [Do::Ring { ring_for, .. }, Do::Place { .. }] if ring_for == seconds(20)), "{out:?}");
    assert_eq!(clinic.pass(9), []);
    let out = clinic.pass(1);
    assert!(matches!(&out[..], [Do::Ring { phone: p, ring_for, .. }] if *p == phone("202") && *ring_for == seconds(7)));
}

#[test]
fn a_phone_that_came_to_nothing_rests_before_it_rings_again() {
    for (why, rest) in [(Failure::NoAnswer, 5), (Failure::Busy, 15), (Failure::Refused, 15)] {
        let mut clinic = Clinic::with(&["201"]);
        let call = caller();
        clinic.tell(join(call, Strategy::All, &["201"]));
        clinic.fail("201", why);
        assert_eq!(clinic.pass(rest - 1), [], "{why:?}");
        clinic.pass(1);
        assert_eq!(clinic.ringing(call), ["201"], "{why:?}");
    }
}

#[test]
fn a_ring_of_which_nothing_is_heard_is_taken_back() {
    let mut clinic = Clinic::with(&["201"]);
    let call = caller();
    clinic.tell(join(call, Strategy::All, &["201"]));
    let silent = clinic.ring_at("201");
    assert_eq!(clinic.pass(25), [Do::Cancel { ring: silent, elsewhere: false }]);
    assert_eq!(clinic.tell(Happened::RingFailed { ring: silent, why: Failure::NoAnswer }), []);
    clinic.pass(5);
    assert_eq!(clinic.ringing(call), ["201"]);
}

#[test]
fn a_line_that_nobody_serves_holds_nobody() {
    let mut clinic = Clinic::with(&["999"]);
    let call = caller();
    let out = clinic.tell(join(call, Strategy::All, &["201", "202"]));
    assert_eq!(out, [Do::Unanswered { call, why: Unanswered::Nobody }]);
    clinic.registered(&["201"]);
    clinic.tell(join(call, Strategy::All, &["201", "202"]));
    clinic.fail("201", Failure::Busy);
    clinic.registered(&[]);
    assert_eq!(clinic.pass(9), []);
    clinic.registered(&["202"]);
    assert_eq!(clinic.ringing(call), ["202"], "it came back within the grace");
    clinic.fail("202", Failure::Busy);
    clinic.registered(&[]);
    assert_eq!(ended(&clinic.pass(10), call), Some(Unanswered::Nobody));
}

/// While the phone rang for somebody, it could be hoped for.
#[test]
fn whoever_gives_up_takes_the_last_hope_of_those_before_them() {
    let mut clinic = Clinic::with(&["201"]);
    let (asks, waits) = (caller(), caller());
    let give_up_after = seconds(10);
    clinic.tell(Happened::Ring { call: asks, members: members(&["201"]), strategy: Strategy::All, give_up_after });
    clinic.tell(urgent(join(waits, Strategy::All, &["201"])));
    clinic.registered(&[]);
    assert_eq!(ended(&clinic.pass(10), asks), Some(Unanswered::NoAnswer));
    assert_eq!(ended(&clinic.pass(10), waits), Some(Unanswered::Nobody));
}

#[test]
fn a_telephone_system_that_is_down_holds_nobody_either() {
    let mut clinic = Clinic::with(&[]);
    let (first, second) = (caller(), caller());
    let mut joins = join(first, Strategy::All, &[]);
    if let Happened::Join { members, .. } = &mut joins {
        *members = vec![Member { phone: "sip:201@pbx".parse().unwrap(), delay: Duration::ZERO, ring_for: seconds(20) }];
    }
    let out = clinic.tell(joins.clone());
    let Some(Do::Ring { ring, .. }) = out.first() else { panic!("{out:?}") };
    clinic.tell(Happened::RingFailed { ring: *ring, why: Failure::Unreachable });
    if let Happened::Join { call, .. } = &mut joins {
        *call = second;
    }
    assert_eq!(ended(&clinic.tell(joins), second), Some(Unanswered::Nobody), "it was down a moment ago");
    assert_eq!(ended(&clinic.pass(10), first), Some(Unanswered::Nobody));
}

#[test]
fn a_phone_on_a_call_is_somebody_to_wait_for() {
    let mut clinic = Clinic::with(&["201"]);
    let call = caller();
    clinic.tell(Happened::Taken { phone: phone("201") });
    clinic.registered(&[]);
    assert_eq!(ended(&clinic.tell(join(call, Strategy::All, &["201"])), call), None);
    clinic.tell(Happened::HungUp { phone: phone("201") });
    assert_eq!(ended(&clinic.pass(10), call), Some(Unanswered::Nobody));
}

#[test]
fn a_full_line_says_so() {
    let mut clinic = Clinic::with(&["201"]);
    for _ in 0..3 {
        clinic.tell(join(caller(), Strategy::All, &["201"]));
    }
    let call = caller();
    assert_eq!(ended(&clinic.tell(join(call, Strategy::All, &["201"])), call), Some(Unanswered::Full));
    let kept = caller();
    assert_eq!(ended(&clinic.tell(callback(join(kept, Strategy::All, &["201"]), seconds(900))), kept), None);
}

#[test]
fn who_leaves_is_rung_for_no_longer() {
    let mut clinic = Clinic::with(&["201", "202"]);
    let call = caller();
    clinic.tell(join(call, Strategy::All, &["201", "202"]));
    assert_eq!(cancelled_elsewhere(&clinic.tell(Happened::Leave { call })), [false, false]);
    assert_eq!(clinic.tell(Happened::Leave { call }), []);
    assert_eq!(clinic.waiting.next_deadline(), None);
}

#[test]
fn a_call_back_keeps_its_place_and_rings_staff_first() {
    let mut clinic = Clinic::with(&["201"]);
    let [on, later, booked] = [caller(), caller(), caller()];
    clinic.tell(join(on, Strategy::All, &["201"]));
    clinic.pick_up("201");
    clinic.tell(join(later, Strategy::All, &["201"]));
    let kept_since = clinic.now - seconds(300);
    let out = clinic.tell(callback(join(booked, Strategy::All, &["201"]), kept_since));
    assert_eq!((positions(&out, booked), positions(&out, later)), (vec![], vec![2]));
    clinic.registered(&[]);
    clinic.tell(Happened::HungUp { phone: phone("201") });
    assert_eq!(ended(&clinic.pass(100), booked), None, "it waits for phones to come back");
    clinic.registered(&["201"]);
    assert_eq!(connected(&clinic.pick_up("201"), booked), Some(phone("201")));
}

#[test]
fn for_a_call_back_whoever_is_busy_is_waited_for_and_nobody_is_rung_twice() {
    for strategy in [Strategy::All, Strategy::InTurn] {
        let mut clinic = Clinic::with(&["201", "202"]);
        let booked = caller();
        clinic.tell(Happened::Taken { phone: phone("202") });
        clinic.tell(callback(join(booked, strategy, &["201", "202"]), seconds(900)));
        assert_eq!(clinic.ringing(booked), ["201"]);
        clinic.fail("201", Failure::Busy);
        clinic.pass(15);
        assert_eq!(clinic.ringing(booked), ["201"], "it was busy");
        assert_eq!(clinic.fail("201", Failure::NoAnswer), []);
        assert_eq!(clinic.pass(1_000), [], "202 is still to come");
        clinic.tell(Happened::HungUp { phone: phone("202") });
        assert_eq!(clinic.ringing(booked), ["202"]);
        assert_eq!(ended(&clinic.fail("202", Failure::Refused), booked), Some(Unanswered::NoAnswer), "{strategy:?}");
        assert_eq!(clinic.waiting.next_deadline(), None);
    }
}

#[test]
fn a_ring_tries_each_phone_once_and_says_what_became_of_it() {
    let (no_answer, busy, refused, unreachable) =
        (Failure::NoAnswer, Failure::Busy, Failure::Refused, Failure::Unreachable);
    let cases = [
        ([no_answer, busy], Unanswered::NoAnswer),
        ([busy, refused], Unanswered::Busy),
        ([unreachable, refused], Unanswered::Busy),
        ([unreachable, unreachable], Unanswered::Nobody),
    ];
    for strategy in [Strategy::All, Strategy::InTurn, Strategy::LongestIdle] {
        for (failures, verdict) in cases {
            let mut clinic = Clinic::with(&["201", "202"]);
            let call = caller();
            clinic.tell(ring(call, strategy, &["201", "202"]));
            let first = clinic.fail("201", failures[0]);
            assert_eq!(ended(&first, call), None);
            assert_eq!(clinic.ringing(call), ["202"]);
            assert_eq!(ended(&clinic.fail("202", failures[1]), call), Some(verdict), "{strategy:?} {failures:?}");
        }
    }
}

#[test]
fn a_ring_skips_who_is_on_a_call_and_waits_for_who_rings_elsewhere() {
    let mut clinic = Clinic::with(&["201", "202"]);
    let [queued, busy, waits] = [caller(), caller(), caller()];
    clinic.tell(Happened::Taken { phone: phone("201") });
    assert_eq!(ended(&clinic.tell(ring(busy, Strategy::All, &["201"])), busy), Some(Unanswered::Busy));
    assert_eq!(ended(&clinic.tell(ring(busy, Strategy::All, &["203"])), busy), Some(Unanswered::Nobody));
    clinic.tell(join(queued, Strategy::All, &["202"]));
    assert_eq!(ended(&clinic.tell(ring(waits, Strategy::All, &["201", "202"])), waits), None);
    clinic.tell(Happened::Leave { call: queued });
    assert_eq!(clinic.ringing(waits), ["202"]);
}

#[test]
fn a_ring_gives_up_in_time() {
    let mut clinic = Clinic::with(&["201", "202", "203"]);
    let call = caller();
    clinic.tell(Happened::Ring {
        call,
        members: members(&["201", "202", "203"]),
        strategy: Strategy::InTurn,
        give_up_after: seconds(30),
    });
    clinic.pass(20);
    clinic.fail("201", Failure::Busy);
    let out = clinic.pass(10);
    assert_eq!(ended(&out, call), Some(Unanswered::NoAnswer), "the second rang");
    assert_eq!(cancelled_elsewhere(&out), [false]);
}

#[test]
fn a_phone_that_makes_a_call_of_its_own_stops_ringing() {
    let mut clinic = Clinic::with(&["201"]);
    let (queued, alone) = (caller(), caller());
    clinic.tell(join(queued, Strategy::All, &["201"]));
    let out = clinic.tell(Happened::Taken { phone: phone("201") });
    assert_eq!(cancelled_elsewhere(&out), [false]);
    clinic.tell(Happened::Taken { phone: phone("201") });
    clinic.tell(Happened::HungUp { phone: phone("201") });
    assert!(clinic.ringing(queued).is_empty(), "it is on a second call");
    clinic.tell(Happened::HungUp { phone: phone("201") });
    assert_eq!(clinic.ringing(queued), ["201"]);
    clinic.tell(Happened::Leave { call: queued });
    clinic.tell(ring(alone, Strategy::All, &["201"]));
    let out = clinic.tell(Happened::Taken { phone: phone("201") });
    assert_eq!(ended(&out, alone), Some(Unanswered::Busy));
}

#[test]
fn a_caller_may_be_answered_out_of_order() {
    let mut clinic = Clinic::with(&["201", "202", "300"]);
    let (first, second) = (caller(), caller());
    clinic.tell(join(first, Strategy::All, &["201", "202"]));
    clinic.tell(join(second, Strategy::All, &["201", "202"]));
    let answer = |call, name| Happened::Answer { call, phone: phone(name) };
    let out = clinic.tell(answer(second, "201"));
    assert_eq!(cancelled_elsewhere(&out), [false], "it stops ringing for the first");
    assert_eq!((clinic.ringing(first), clinic.ringing(second)), (vec!["202".to_owned()], vec!["201".to_owned()]));
    assert_eq!(clinic.tell(answer(second, "201")), [], "it rings already");
    assert_eq!(connected(&clinic.pick_up("201"), second), Some(phone("201")));
    clinic.tell(answer(first, "300"));
    assert_eq!(clinic.ringing(first), ["202", "300"], "a phone that is no member");
    for (call, name, why) in [
        (first, "201", NoAnswering::OnACall),
        (first, "777", NoAnswering::Unreachable),
        (second, "300", NoAnswering::Gone),
    ] {
        assert_eq!(clinic.tell(answer(call, name)), [Do::Refused { call, phone: phone(name), why }]);
    }
}

#[test]
fn a_phone_rests_no_longer_when_somebody_asks_for_a_caller() {
    let mut clinic = Clinic::with(&["201"]);
    let call = caller();
    clinic.tell(join(call, Strategy::All, &["201"]));
    clinic.fail("201", Failure::Unreachable);
    clinic.tell(Happened::Answer { call, phone: phone("201") });
    assert_eq!(clinic.ringing(call), ["201"]);
}

#[test]
fn what_rings_in_the_group_is_picked_up_at_another_phone() {
    let mut clinic = Clinic::with(&["201", "202", "300"]);
    let call = caller();
    clinic.tell(ring(call, Strategy::InTurn, &["201", "202"]));
    assert_eq!(
        clinic.tell(Happened::PickUp { phone: phone("300") }),
        [Do::NothingRings { phone: phone("300") }],
        "not its group"
    );
    let out = clinic.tell(Happened::PickUp { phone: phone("202") });
    assert_eq!(connected(&out, call), Some(phone("202")));
    assert_eq!(cancelled_elsewhere(&out), [true]);
    assert_eq!(clinic.tell(Happened::PickUp { phone: phone("202") }), [Do::NothingRings { phone: phone("202") }]);
    let next = caller();
    clinic.tell(join(next, Strategy::All, &["201", "202"]));
    assert_eq!(clinic.ringing(next), ["201"], "202 is on the call");
}

#[test]
fn who_asks_again_has_one_place() {
    let mut clinic = Clinic::with(&["201"]);
    let call = caller();
    clinic.tell(join(call, Strategy::All, &["201"]));
    let out = clinic.tell(in_line(join(call, Strategy::All, &["201"]), "nurses"));
    assert_eq!(cancelled_elsewhere(&out), [false]);
    let lines: Vec<_> = clinic.waiting.snapshot().lines.into_iter().map(|line| line.line).collect();
    assert_eq!(lines, ["nurses"]);
    assert_eq!(clinic.ringing(call), ["201"]);
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let mut clinic = Clinic::with(&["201"]);
    for _ in 0..MOST_WAITERS {
        clinic.waiting.waiters.insert(
            Turn { priority: Reverse(0), since: clinic.now, number: clinic.waiting.numbers },
            Waiter {
                call: caller(),
                members: vec![],
                strategy: Strategy::All,
                began: clinic.now,
                tried: vec![],
                rings: BTreeSet::new(),
                waits: Waits::InLine { line: "x".into(), who: Who::Callback, nobody_since: None, told: None },
            },
        );
        clinic.waiting.numbers += 1;
    }
    let call = caller();
    assert_eq!(ended(&clinic.tell(join(call, Strategy::All, &["201"])), call), Some(Unanswered::Full));
    assert_eq!(ended(&clinic.tell(ring(call, Strategy::All, &["201"])), call), Some(Unanswered::Full));
}

#[test]
fn the_view_shows_who_waits_and_what_the_phones_do() {
    let mut clinic = Clinic::with(&["201", "202", "203", "204"]);
    let [on, rings, waits] = [caller(), caller(), caller()];
    clinic.tell(join(on, Strategy::InTurn, &["201"]));
    clinic.pick_up("201");
    clinic.tell(urgent(join(rings, Strategy::InTurn, &["202"])));
    clinic.tell(join(waits, Strategy::InTurn, &["203", "205"]));
    clinic.fail("203", Failure::Busy);
    let snapshot = clinic.waiting.snapshot();
    let [line] = &snapshot.lines[..] else { panic!("{snapshot:?}") };
    let waiting: Vec<_> = line.waiting.iter().map(|w| (w.call, w.priority, w.place.position)).collect();
    assert_eq!(waiting, [(rings, 9, 1), (waits, 0, 2)]);
    let doing: Vec<_> = snapshot.phones.iter().map(|view| (view.phone.to_string(), view.doing)).collect();
    let expected = [
        ("201", PhoneDoing::OnCall),
        ("202", PhoneDoing::Ringing(rings)),
        ("203", PhoneDoing::Resting(clinic.now + REST_AFTER_REFUSAL)),
        ("204", PhoneDoing::Free),
        ("205", PhoneDoing::Unreachable),
    ];
    assert_eq!(doing, expected.map(|(name, doing)| (format!("extension:{name}"), doing)));
    let can = ["201", "202", "203", "204", "205"].map(|name| clinic.waiting.can_take(&phone(name), clinic.now));
    let taken = Err(NoAnswering::OnACall);
    assert_eq!(can, [taken, taken, Ok(()), Ok(()), Err(NoAnswering::Unreachable)]);
}
