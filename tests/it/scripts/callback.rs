//! Call backs: at the caller's turn, at the next opening, and none.

use threadline::ivr::{CallbackWhen, CallbackWindow, Input, NoCallback};
use threadline::model::{Caller, Outcome, Strategy, Unanswered, Unserved};

use super::call::{Call, MOBILE, number};
use super::staff::{by_the_hours, in_line, staffed};

const TURN: &str = "callback:turn calls +12125550142 in line front";

#[test]
fn who_waits_keeps_their_place() {
    let mut call = in_line();
    let joined = call.now.mono;
    call.wait(20.0);
    call.done();
    call.press("2");
    call.expect(&["leave", TURN, "play calling_back"]);
    let request = &call.callbacks[0];
    assert_eq!(request.when, CallbackWhen::Turn { line: "front".to_owned(), priority: 3, since: joined });
    assert_eq!((request.members.len(), request.strategy), (2, Strategy::All));
    assert_eq!((request.reason.as_deref(), request.language.as_str()), (Some("front desk"), "en"));
    assert_eq!((call.engine.digits(), call.engine.outcome()), ("2", Outcome::Callback));
    call.press("1");
    call.wait(5.0);
    call.expect(&["play booked"]);
    call.finish();
    call.expect(&["play goodbye", "hang up: hangup"]);
    assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Callback, None));
}

#[test]
fn who_did_not_wait_begins_to_now() {
    let mut call = staffed(number(MOBILE));
    call.wait(3.0);
    call.press("6");
    assert!(matches!(call.callbacks[0].when, CallbackWhen::Turn { since, .. } if since == call.now.mono));
    call.input(Input::HungUp);
    assert_eq!(call.engine.outcome(), Outcome::Callback);
}

#[test]
fn the_next_opening_is_one_that_has_not_begun() {
    let mut call = staffed(number(MOBILE));
    call.press("4");
    // It is Monday, ten in the morning: the clinic opens again after lunch, at one.
    call.expect(&["stop", "callback:opening calls +12125550142 2026-07-06T17:00:00Z", "hang up: hangup"]);
    assert_eq!(call.callbacks[0].strategy, Strategy::InTurn);
    // It is tried on Monday afternoon, and on Tuesday in the morning and in the afternoon.
    assert_eq!(window(&call), ("hours:clinic", "2026-07-06T17:00:00Z", "2026-07-06T21:00:00Z", "2026-07-07T21:00:00Z"));
}

fn window(call: &Call) -> (&str, &str, &str, &str) {
    let CallbackWindow { hours, from, until, last } = &call.callbacks[0].window;
    let text = |at: &jiff::Timestamp| -> &str { at.to_string().leak() };
    (hours.as_deref().unwrap_or("none"), text(from), text(until), text(last))
}

#[test]
fn a_place_in_the_line_is_kept_in_the_hours_that_led_there() {
    let turn = |at: &str, wait: f64| {
        let mut call = by_the_hours(at);
        call.wait(wait);
        call.press("6");
        call
    };
    let call = turn("2026-07-06T15:30:00Z", 1.0);
    assert_eq!(window(&call), ("hours:clinic", "2026-07-06T15:30:01Z", "2026-07-06T16:00:00Z", "2026-07-07T16:00:00Z"));
    // Asked for as the clinic has just closed: nobody rings in the evening.
    let call = turn("2026-07-06T20:59:59Z", 2.0);
    assert_eq!(window(&call), ("hours:clinic", "2026-07-07T12:00:00Z", "2026-07-07T16:00:00Z", "2026-07-08T16:00:00Z"));
    // On Friday evening, Monday is the next day.
    let call = turn("2026-07-10T20:59:59Z", 2.0);
    assert_eq!(window(&call).1, "2026-07-13T12:00:00Z");
}

#[test]
fn a_line_that_keeps_no_hours_keeps_a_place_for_a_while() {
    let mut call = by_the_hours("2026-07-06T22:00:00Z");
    call.wait(2.0);
    call.press("2");
    let until = "2026-07-07T02:00:02Z";
    assert_eq!(window(&call), ("none", "2026-07-06T22:00:02Z", until, until), "a line for the evening");
}

#[test]
fn one_that_is_booked_already_is_said_so_and_counts() {
    let mut call = in_line();
    call.booked = None;
    call.press("2");
    call.wait(1.0);
    call.done();
    call.input(Input::CallbackBooked(Err(NoCallback::Already)));
    call.expect(&["play already"]);
    call.finish();
    call.expect(&["play goodbye", "hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Callback);
}

#[test]
fn who_cannot_be_called_back_waits_on() {
    for (why, said) in [(NoCallback::Full, None), (NoCallback::Failed, Some("play system_trouble"))] {
        let mut call = in_line();
        call.booked = Some(Err(why));
        call.press("2");
        call.wait(5.1);
        let done = call.done();
        let expected =
            ["leave", TURN, "play calling_back"].into_iter().chain(said).chain(["join front", "play in_line"]);
        let expected: Vec<_> = expected.collect();
        assert!(done.starts_with(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()), "{done:?}");
        assert_eq!(call.joins[0].since, call.joins[1].since);
    }
    // The store's refusal may come after the call.
    let mut call = staffed(number(MOBILE));
    call.booked = None;
    call.press("6");
    call.input(Input::HungUp);
    assert_eq!(call.engine.outcome(), Outcome::Callback);
    call.input(Input::CallbackBooked(Err(NoCallback::Full)));
    assert_eq!(call.engine.unserved(), Some(Unserved::CallbackFailed));
}

#[test]
fn a_promise_waits_for_the_store() {
    let asked = || {
        let mut call = in_line();
        call.booked = None;
        call.press("2");
        call.done();
        call.wait(7.0);
        call.expect(&[]);
        call
    };
    let mut call = asked();
    call.input(Input::CallbackBooked(Ok(())));
    call.expect(&["play booked"]);
    let mut call = asked();
    call.wait(4.1);
    call.expect(&["play goodbye"]);
    assert_eq!(call.engine.outcome(), Outcome::Callback, "until it is refused");
}

#[test]
fn who_hides_their_number_types_one() {
    let mut call = staffed(Caller::Anonymous);
    call.press("6");
    call.expect(&["play ask_mobile"]);
    call.press("6462530142#");
    call.wait(6.0);
    call.done();
    call.press("1");
    call.expect(&["callback:turn calls +16462530142 in line front", "play calling_back"]);
    let mut call = staffed(Caller::Anonymous);
    call.press("6");
    while call.joins.is_empty() {
        call.wait(1.0);
    }
    assert!(call.callbacks.is_empty());
}

#[test]
fn a_second_one_in_the_same_call_is_none() {
    let mut call = staffed(number(MOBILE));
    call.press("5");
    call.wait(5.0);
    call.input(Input::Unanswered(Unanswered::Busy));
    call.wait(1.0);
    call.press("2");
    call.press("4");
    call.done();
    assert_eq!(call.callbacks.len(), 1);
    let mut call: Call = in_line();
    call.booked = Some(Err(NoCallback::Full));
    call.press("2");
    call.wait(6.0);
    call.booked = Some(Ok(()));
    call.press("2");
    assert_eq!(call.callbacks.len(), 2, "one that was refused may be asked for again");
}
