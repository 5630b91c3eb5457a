//! A line: music, offers, announcements, keys, and every way out of it.

use std::time::Duration;

use threadline::ivr::{Input, NoCallback, Place, TextResult};
use threadline::model::{Caller, Outcome, Strategy, Unanswered, Unserved};

use super::call::{Call, MOBILE, number};
use super::staff::{in_line, staffed};

/// In line, in the music.
fn in_music() -> Call {
    let mut call = in_line();
    call.wait(10.0);
    call.expect(&["music hold"]);
    call
}

/// Everybody who asks to be texted must have heard these.
const DISCLOSED: &[&str] = &["still_holding"];

fn disclosed(call: &Call) -> Vec<&str> {
    call.texts.last().unwrap().evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect()
}

#[test]
fn who_waits_hears_music_offers_and_where_they_stand() {
    let mut call = in_line();
    let join = &call.joins[0];
    assert_eq!((join.node.as_str(), join.priority, join.most_waiting), ("queue:desk", 3, 7));
    assert_eq!((join.since, join.record, join.strategy), (call.now.mono, false, Strategy::All));
    assert_eq!((join.members.len(), join.reason.as_deref()), (2, Some("front desk")));
    call.wait(5.1);
    call.expect(&["music hold"]);
    call.wait(24.8);
    call.expect(&[]);
    call.wait(0.2);
    call.expect(&["play still_holding"]);
    call.wait(5.0);
    call.expect(&["music hold"]);
    // Nobody has said where they stand: nothing is announced at 45 s.
    call.wait(15.0);
    call.expect(&[]);
    call.place(2);
    call.expect(&[]);
    // At 90 s where they stand; at 95 s, a minute after the first offer's end, the second.
    call.wait(40.0);
    call.expect(&["play position_2"]);
    call.wait(5.0);
    call.expect(&["play still_holding"]);
    call.place(1);
    call.wait(5.0);
    call.expect(&["music hold"]);
    call.wait(40.0);
    call.expect(&["play position_1"]);
    assert_eq!(call.engine.unserved(), Some(Unserved::InLine { position: Some(1), waited: call.engine.waited() }));
}

#[test]
fn minutes_are_told_where_somebody_can_tell_them() {
    let mut call = staffed(number(MOBILE));
    call.press("8");
    call.expect(&["join other", "music hold"]);
    let place =
        |position, seconds: Option<u64>| Input::Place(Place { position, wait: seconds.map(Duration::from_secs) });
    call.input(place(12, None));
    call.wait(20.1);
    call.expect(&["play position_more"]);
    call.input(place(4, Some(400)));
    call.wait(25.0);
    call.expect(&["music hold", "play wait_10"]);
}

#[test]
fn the_key_takes_the_text_in_the_middle_of_the_music() {
    let mut call = in_music();
    call.wait(25.1);
    call.expect(&["play still_holding", "music hold"]);
    call.press("1");
    call.expect(&["leave", "text:in_line to +12125550142: en greeting by 1", "play texting_you_now"]);
    assert_eq!(disclosed(&call), DISCLOSED);
    assert_eq!((call.engine.digits(), call.engine.outcome()), ("1", Outcome::Texted));
    assert_eq!(call.engine.unserved(), None);
    call.finish();
    call.expect(&["hang up: hangup"]);
}

#[test]
fn the_key_takes_the_text_in_the_middle_of_any_word() {
    // Of the offer itself.
    let mut call = in_music();
    call.wait(21.0);
    call.press("1");
    call.expect(&[
        "play still_holding",
        "leave",
        "text:in_line to +12125550142: en greeting by 1",
        "play texting_you_now",
    ]);
    // Of an announcement, once an offer was heard.
    let mut call = in_music();
    call.place(3);
    call.wait(36.0);
    call.press("1");
    assert_eq!(
        call.done()[2..],
        ["play position_3", "leave", "text:in_line to +12125550142: en greeting by 1", "play texting_you_now"]
    );
    assert_eq!(disclosed(&call), DISCLOSED);
}

#[test]
fn a_key_before_the_offer_brings_the_offer_and_is_asked_for_again() {
    // Also in the middle of the first words.
    for (mut call, first) in [(in_music(), 0.0), (in_line(), 2.0)] {
        call.wait(first);
        call.press("11");
        call.wait(0.3);
        call.press("1");
        call.expect(&["play still_holding"]);
        assert!(call.texts.is_empty(), "typed in one breath");
        call.wait(0.6);
        call.press("1");
        call.expect(&["leave", "text:in_line to +12125550142: en greeting by 1", "play texting_you_now"]);
        assert_eq!(disclosed(&call), DISCLOSED);
    }
    // Made early, it is not made again until its time.
    let mut call = in_music();
    call.press("1");
    call.wait(64.0);
    assert_eq!(call.done().iter().filter(|line| *line == "play still_holding").count(), 1);
    call.wait(2.0);
    assert_eq!(call.done(), ["play still_holding"]);
}

#[test]
fn a_text_that_may_not_be_sent_gives_the_place_back() {
    let mut call = in_music();
    call.answer = Some(TextResult::Refused("opted_out".to_owned()));
    call.wait(25.1);
    call.press("1");
    assert_eq!(call.done().last().unwrap(), "play in_line");
    let [first, second] = &call.joins[..] else { panic!("{:?}", call.joins) };
    assert_eq!(second.since, first.since, "they were there before whoever came since");
    call.input(Input::Connected);
    assert_eq!(call.engine.outcome(), Outcome::Served);
}

#[test]
fn other_keys_lead_where_the_tree_says_and_unknown_ones_nowhere() {
    let mut call = in_music();
    call.press("9*#");
    call.expect(&[]);
    call.press("3");
    call.expect(&["leave", "play tour"]);
    assert_eq!(call.engine.digits(), "3");
    call.wait(5.1);
    assert_eq!(call.engine.outcome(), Outcome::Informed);
}

#[test]
fn a_person_ends_everything_at_once() {
    for seconds in [1.0, 12.0, 31.0] {
        let mut call = in_line();
        call.wait(seconds);
        call.done();
        call.input(Input::Connected);
        call.expect(&["stop"]);
        assert_eq!(call.engine.next_deadline(), None);
        call.press("1231#");
        call.place(3);
        call.wait(4_000.0);
        call.expect(&[]);
        assert_eq!((call.engine.digits(), call.engine.outcome()), ("", Outcome::Served));
        assert_eq!(call.engine.waited().as_secs_f64(), seconds);
        call.input(Input::ConversationOver);
        call.expect(&["play goodbye"]);
        call.finish();
        call.expect(&["hang up: hangup"]);
        assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Served, None));
    }
}

#[test]
fn whoever_is_hung_up_on_at_once_has_their_old_place() {
    let mut call = in_music();
    call.wait(40.0);
    call.input(Input::Connected);
    call.wait(1.0);
    call.done();
    call.input(Input::ConversationOver);
    call.expect(&["join front", "play in_line"]);
    assert_eq!(call.joins[1].since, call.joins[0].since);
    call.place(1);
    call.wait(10.0);
    call.input(Input::HungUp);
    let (waited, outcome) = (call.engine.waited(), call.engine.outcome());
    assert_eq!((waited, outcome), (Duration::from_secs(60), Outcome::Abandoned), "the second of talk is not waited");
    assert_eq!(call.engine.unserved(), Some(Unserved::InLine { position: Some(1), waited }));
}

#[test]
fn who_hangs_up_during_the_conversation_was_served() {
    let mut call = in_music();
    call.input(Input::Connected);
    call.done();
    call.input(Input::HungUp);
    call.expect(&[]);
    assert_eq!(call.engine.outcome(), Outcome::Served);
}

#[test]
fn a_line_that_cannot_serve_holds_nobody() {
    for (why, next) in [
        (Unanswered::Full, "play connecting recorded"),
        (Unanswered::Nobody, "play connecting"),
        (Unanswered::NoAnswer, "play voicemail"),
        (Unanswered::Busy, "play voicemail"),
    ] {
        let mut call = in_line();
        call.input(Input::Unanswered(why));
        call.expect(&[next]);
        assert_eq!(call.engine.unserved(), Some(Unserved::Unanswered));
        assert_eq!(call.engine.outcome(), Outcome::Missed);
    }
}

#[test]
fn a_line_gives_up_in_its_time() {
    let mut call = in_music();
    call.place(1);
    call.wait(589.9);
    assert!(!call.done().contains(&"leave".to_owned()));
    call.wait(0.2);
    let done = call.done();
    assert_eq!(done[done.len() - 2..], ["leave", "play voicemail"]);
    assert_eq!(call.engine.unserved(), Some(Unserved::Unanswered));
    assert_eq!(call.engine.waited(), Duration::from_secs(600));
}

#[test]
fn who_hangs_up_in_line_is_remembered_with_their_place() {
    let mut call = in_music();
    call.place(2);
    call.wait(37.0);
    call.done();
    call.input(Input::HungUp);
    call.expect(&["leave"]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
    let waited = Duration::from_secs(47);
    assert_eq!(call.engine.unserved(), Some(Unserved::InLine { position: Some(2), waited }));
    assert_eq!(call.engine.path().last().unwrap(), "queue:desk");
    assert_eq!(call.engine.waited(), waited);
}

#[test]
fn who_left_before_anybody_knew_their_place_has_none() {
    let mut call = in_line();
    call.wait(2.0);
    call.input(Input::HungUp);
    let waited = Duration::from_secs(2);
    assert_eq!(call.engine.unserved(), Some(Unserved::InLine { position: None, waited }));
}

#[test]
fn nobody_is_rung_before_the_caller_knows_that_it_is_recorded() {
    let mut call = staffed(number(MOBILE));
    call.press("1");
    call.expect(&["play recorded"]);
    // What comes too early is nobody's.
    call.input(Input::Connected);
    call.input(Input::Unanswered(Unanswered::Full));
    call.expect(&[]);
    call.wait(2.0);
    call.press("1");
    call.expect(&["play still_holding"]);
    call.wait(5.0);
    call.expect(&["play recorded"]);
    call.wait(5.0);
    call.expect(&["join front", "play in_line"]);
    assert!(call.joins[0].record);
    // Without music, the ringing of a telephone.
    call.wait(5.0);
    call.expect(&["ringing"]);
    call.finish();
    assert_eq!(call.done().last().unwrap(), "hang up: hangup");
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn an_answer_after_the_place_was_given_up_is_nobodys() {
    let mut call = in_music();
    call.press("3");
    call.done();
    call.input(Input::Connected);
    call.input(Input::Unanswered(Unanswered::NoAnswer));
    call.input(Input::Transferred);
    call.input(Input::ConversationOver);
    call.place(1);
    call.expect(&[]);
    assert_eq!(call.engine.path().last().unwrap(), "play:tour");
}

#[test]
fn the_key_that_led_to_the_line_is_no_consent_to_a_text() {
    let tree = "start = \"menu:m\"\n[menu.m]\nsay = \"welcome\"\nkeys = { 1 = \"queue:q\" }\n\
                [queue.q]\nring = \"extension:201\"\nwhen_unanswered = \"text:t\"\n\
                [text.t]\nmessage = \"greeting\"\n";
    let mut call = Call::ringing(super::call::parsed(tree), number(MOBILE), super::call::OPEN);
    call.input(Input::Answered);
    call.press("1");
    call.input(Input::Unanswered(Unanswered::Nobody));
    assert_eq!(call.texts[0].evidence.digit, None, "what has no key is not sent");
}

#[test]
fn an_anonymous_caller_in_line_may_type_a_number_and_comes_back_without_one() {
    let mut call = staffed(Caller::Anonymous);
    call.wait(9.0);
    call.wait(31.0);
    call.done();
    call.press("1");
    call.expect(&["leave", "play ask_mobile"]);
    call.booked = Some(Err(NoCallback::Full));
    while call.joins.len() < 2 {
        call.wait(1.0);
    }
    assert_eq!(call.joins[0].since, call.joins[1].since);
}

#[test]
fn somebody_of_the_clinic_has_the_offer_made_out_of_its_turn() {
    let mut call = in_music();
    call.input(Input::OfferText);
    call.expect(&["play still_holding"]);
    // Nobody hears its beginning twice.
    call.wait(1.0);
    call.input(Input::OfferText);
    call.expect(&[]);
    call.press("1");
    call.expect(&["leave", "text:in_line to +12125550142: en greeting by 1", "play texting_you_now"]);
    assert_eq!(disclosed(&call), DISCLOSED);
}

#[test]
fn an_offer_out_of_turn_puts_the_next_one_off() {
    let mut call = in_music();
    call.input(Input::OfferText);
    call.expect(&["play still_holding"]);
    // The first would have come at 30 s; a minute after this one's end is later than where they stand at 90 s.
    call.wait(5.0);
    call.expect(&["music hold"]);
    call.wait(59.9);
    call.expect(&[]);
    call.wait(0.2);
    call.expect(&["play still_holding"]);
}

#[test]
fn nothing_is_offered_to_who_does_not_wait() {
    let mut call = Call::answered(number(MOBILE), super::call::OPEN);
    call.log.clear();
    call.input(Input::OfferText);
    call.expect(&[]);
    let mut call = in_music();
    call.input(Input::Connected);
    call.log.clear();
    call.input(Input::OfferText);
    call.expect(&[]);
}
