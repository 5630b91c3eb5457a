//! The tree of the scripts about whoever stays on the line, and whatever happens there in whatever order.

use std::time::Duration;

use proptest::prelude::*;
use threadline::ivr::{Input, NoCallback, Place, TextResult};
use threadline::model::{Caller, Digit, DigitSource, Outcome, Pressed, Unanswered, Unserved};

use super::call::{Call, MOBILE, OPEN, number, parsed};

const TREE: &str = r#"
start = "menu:m"
[menu.m]
say = "welcome"
keys = { 1 = "queue:told", 2 = "ring:desk", 3 = "voicemail:box", 4 = "callback:opening", 5 = "transfer:out", 6 = "callback:turn", 7 = "ring:bare", 8 = "queue:wait", 9 = "voicemail:curt" }
stay = "queue:desk"
repeat = 0

[queue.desk]
ring = ["extension:201", "extension:202"]
say = "in_line"
music = "hold"
line = "front"
priority = 3
offer_text = { after = "30s", every = "60s", say = "still_holding", key = 1, to = "text:in_line" }
announce_position = "45s"
keys = { 2 = "callback:turn", 3 = "play:tour" }
give_up_after = "10m"
most_waiting = 7
reason = "front desk"
when_unanswered = "voicemail:box"
when_full = "ring:desk"
when_nobody = "transfer:out"
then = "hangup:goodbye"

[queue.told]
ring = "extension:201"
record = "recorded"
say = "in_line"
line = "front"
offer_text = { say = "still_holding", key = 1, to = "text:in_line" }
give_up_after = "1m"

[queue.wait]
ring = "extension:201"
line = "other"
announce_position = "20s"
announce = "wait"
music = "hold"

[text.in_line]
say = "texting_you_now"
message = "greeting"
ask = "number:mobile"
when_refused = "queue:desk"

[ring.desk]
ring = ["extension:201", { phone = "extension:202", delay = "10s" }]
say = "connecting"
record = "recorded"
music = "hold"
give_up_after = "40s"
reason = "urgent"
when_unanswered = "voicemail:box"
when_busy = "queue:desk"
then = "hangup:goodbye"

[ring.bare]
ring = "extension:201"

[voicemail.box]
say = "voicemail"
shortest = "2s"
longest = "30s"
silence = "6s"
keys = { 1 = "text:in_line", 2 = "menu:m" }
thanks = "thanks"
too_short = "too_short"
reason = "message"
team = "nurses"
then = "hangup:goodbye"

[voicemail.curt]
say = "voicemail"
finish = "*"
shortest = "0s"

[callback.turn]
queue = "queue:desk"
say = "calling_back"
booked = "booked"
already = "already"
ask = "number:mobile"
reason = "front desk"
then = "hangup:goodbye"
when_refused = "queue:desk"

[callback.opening]
opening = "hours:clinic"
ring = "extension:203"
strategy = "in_turn"
ask = "number:mobile"

[transfer.out]
to = "+12125550199"
say = "connecting"
ring_for = "30s"
refer = true
reason = "urgent"
when_failed = "voicemail:box"
then = "hangup:goodbye"

[number.mobile]
say = "ask_mobile"
confirm = "confirm_number"
when_unanswered = "queue:desk"

[hours.clinic]
open = [
  { days = "mon-fri", from = "08:00", to = "12:00" },
  { days = "mon-fri", from = "13:00", to = "17:00" },
]
when_open = "menu:m"
when_closed = "menu:m"

[play.tour]
say = "tour"
then = "menu:m"

[hangup.goodbye]
say = "goodbye"
"#;

/// A call at the menu, which leads to everything.
pub fn staffed(caller: Caller) -> Call {
    let mut call = Call::ringing(parsed(TREE), caller, OPEN);
    call.input(Input::Answered);
    call.expect(&["play welcome"]);
    call
}

/// A call that comes to the menu by the opening hours, or to the line where the clinic is closed.
pub fn by_the_hours(at: &str) -> Call {
    let tree = TREE.replace("start = \"menu:m\"", "start = \"hours:clinic\"");
    let tree = tree.replace("when_closed = \"menu:m\"", "when_closed = \"queue:desk\"");
    let mut call = Call::ringing(parsed(&tree), number(MOBILE), at);
    call.input(Input::Answered);
    call
}

/// A call that has just stayed on the line.
pub fn in_line() -> Call {
    let mut call = staffed(number(MOBILE));
    call.wait(9.0);
    call.expect(&["join front", "play in_line"]);
    call
}

#[derive(Clone, Debug)]
enum Happens {
    Press(u8),
    Wait(f64),
    Connected,
    Unanswered(Unanswered),
    Place(usize, Option<u64>),
    Over,
    Transferred,
    RecordingEnded,
    Kept(bool),
    Booked(Result<(), NoCallback>),
    Text(TextResult),
    PlayEnded,
    Deadline,
    StoreIsSlow,
    StoreRefuses,
    HungUp,
}

fn happens() -> impl Strategy<Value = Happens> {
    let unanswered =
        prop::sample::select(vec![Unanswered::Nobody, Unanswered::Full, Unanswered::NoAnswer, Unanswered::Busy]);
    let booked =
        prop::sample::select(vec![Ok(()), Err(NoCallback::Already), Err(NoCallback::Full), Err(NoCallback::Failed)]);
    let text = prop::sample::select(vec![
        TextResult::Queued,
        TextResult::Refused("opted_out".to_owned()),
        TextResult::Failed("locked".to_owned()),
    ]);
    prop_oneof![
        8 => (0..12u8).prop_map(Happens::Press),
        4 => (1..4u8).prop_map(Happens::Press),
        6 => (0.0..15.0f64).prop_map(Happens::Wait),
        3 => (0.0..200.0f64).prop_map(Happens::Wait),
        2 => Just(Happens::Connected),
        3 => unanswered.prop_map(Happens::Unanswered),
        3 => (1..20usize, prop::option::of(0..4_000u64)).prop_map(|(at, wait)| Happens::Place(at, wait)),
        2 => Just(Happens::Over),
        1 => Just(Happens::Transferred),
        2 => Just(Happens::RecordingEnded),
        1 => any::<bool>().prop_map(Happens::Kept),
        1 => booked.prop_map(Happens::Booked),
        1 => text.prop_map(Happens::Text),
        1 => Just(Happens::PlayEnded),
        1 => Just(Happens::Deadline),
        1 => Just(Happens::StoreIsSlow),
        1 => Just(Happens::StoreRefuses),
        1 => Just(Happens::HungUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever happens in whatever order: a call has a deadline, or a person on the line, or is over. `Call` itself
    /// fails on a place that is left twice or never, on a sound while a person speaks or a message is recorded, and on
    /// anything that is asked for after the end.
    #[test]
    fn whatever_happens_to_whom_stays_on_the_line(
        steps in prop::collection::vec(happens(), 0..80),
        anonymous in any::<bool>(),
    ) {
        let mut call = staffed(if anonymous { Caller::Anonymous } else { number(MOBILE) });
        for step in steps {
            match step {
                Happens::Press(code) => {
                    let digit = Digit::from_event(code).unwrap();
                    call.input(Input::Digit(Pressed { digit, source: DigitSource::Tone }));
                }
                Happens::Wait(seconds) => call.wait(seconds),
                Happens::Connected => call.input(Input::Connected),
                Happens::Unanswered(why) => call.input(Input::Unanswered(why)),
                Happens::Place(position, wait) => {
                    call.input(Input::Place(Place { position, wait: wait.map(Duration::from_secs) }));
                }
                Happens::Over => call.input(Input::ConversationOver),
                Happens::Transferred => call.input(Input::Transferred),
                // Of a recording that runs: the contract says that it ended by itself.
                Happens::RecordingEnded if call.records => call.input(Input::RecordingEnded),
                Happens::RecordingEnded => {}
                Happens::Kept(kept) => call.input(Input::Kept(kept.then_some(Duration::from_secs(9)))),
                Happens::Booked(booked) => call.input(Input::CallbackBooked(booked)),
                Happens::Text(result) => call.input(Input::TextResult(result)),
                Happens::PlayEnded => {
                    if call.ends.take().is_some() {
                        call.input(Input::PlayEnded);
                    }
                }
                Happens::Deadline => call.input(Input::Deadline),
                Happens::StoreIsSlow => (call.answer, call.kept, call.booked) = (None, None, None),
                Happens::StoreRefuses => {
                    call.answer = Some(TextResult::Refused("opted_out".to_owned()));
                    (call.kept, call.booked) = (Some(None), Some(Err(NoCallback::Full)));
                }
                Happens::HungUp => call.input(Input::HungUp),
            }
            prop_assert!(call.engine.is_over() || call.talks || call.engine.next_deadline().is_some(), "{:?}", call.log);
            prop_assert!(!call.talks || call.engine.next_deadline().is_none());
            prop_assert_eq!(call.engine.unserved().is_some(), call.engine.outcome().unserved());
            if let Some(Unserved::InLine { waited, .. }) = call.engine.unserved() {
                prop_assert_eq!(waited, call.engine.waited());
            }
        }
        if call.talks {
            call.input(Input::ConversationOver);
        }
        call.finish();
        let outcome = call.engine.outcome();
        let served = call.log.iter().any(|line| line.starts_with("keep ")) || !call.texts.is_empty() || !call.callbacks.is_empty();
        match outcome {
            Outcome::Texted => prop_assert!(!call.texts.is_empty()),
            Outcome::Voicemail => prop_assert!(call.log.iter().any(|line| line.starts_with("keep "))),
            Outcome::Callback => prop_assert!(!call.callbacks.is_empty()),
            Outcome::Informed | Outcome::Served | Outcome::Transferred => {}
            Outcome::Missed | Outcome::Abandoned => prop_assert!(call.engine.unserved().is_some() || served),
            other => prop_assert!(false, "{:?}", other),
        }
        for text in &call.texts {
            prop_assert!(text.evidence.digit.is_some() && !text.evidence.prompts.is_empty(), "{:?}", call.log);
        }
    }
}
