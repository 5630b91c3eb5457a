//! Phones that ring for one caller, and transfers.

use std::time::Duration;

use threadline::ivr::Input;
use threadline::model::{Outcome, Unanswered, Unserved};

use super::call::{Call, MOBILE, number};
use super::staff::staffed;

/// Phones ring, with music.
fn rung() -> Call {
    let mut call = staffed(number(MOBILE));
    call.press("2");
    call.expect(&["play connecting recorded"]);
    call.press("1");
    call.wait(10.0);
    call.expect(&["ring ring:desk for 40s", "music hold"]);
    call
}

fn transferred() -> Call {
    let mut call = staffed(number(MOBILE));
    call.press("5");
    call.expect(&["play connecting"]);
    call.press("1");
    call.wait(5.0);
    call.expect(&["transfer to +12125550199", "ringing"]);
    call
}

#[test]
fn a_person_answers_and_hangs_up_first() {
    let mut call = rung();
    call.wait(7.0);
    call.input(Input::Connected);
    call.expect(&["stop"]);
    call.press("1");
    call.wait(600.0);
    call.expect(&[]);
    call.input(Input::ConversationOver);
    call.expect(&["play goodbye"]);
    call.finish();
    assert_eq!((call.engine.outcome(), call.engine.waited()), (Outcome::Served, Duration::from_secs(7)));
}

/// As if the receiver had slipped from somebody's hand.
fn slip(call: &mut Call) {
    call.input(Input::Connected);
    call.wait(1.9);
    call.input(Input::ConversationOver);
}

#[test]
fn whoever_is_hung_up_on_at_once_is_rung_for_again_twice_at_most() {
    let mut call = rung();
    for _ in 0..2 {
        slip(&mut call);
        call.expect(&["stop", "ring ring:desk for 40s", "music hold"]);
        assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Abandoned, Some(Unserved::Unanswered)));
        call.wait(5.0);
    }
    slip(&mut call);
    call.expect(&["stop", "play voicemail"]);
    assert_eq!(call.engine.outcome(), Outcome::Missed);

    let mut call = rung();
    slip(&mut call);
    call.input(Input::Connected);
    call.wait(2.0);
    call.input(Input::ConversationOver);
    call.finish();
    assert_eq!(call.engine.outcome(), Outcome::Served);
}

#[test]
fn whoever_is_handed_on_in_vain_goes_where_the_node_leads_those_whom_nobody_answers() {
    let mut call = rung();
    call.input(Input::Connected);
    call.expect(&["stop"]);
    call.wait(60.0);
    call.input(Input::Unanswered(Unanswered::NoAnswer));
    call.expect(&["play voicemail"]);
    assert_eq!(call.engine.outcome(), Outcome::Served, "somebody has spoken with them");
}

#[test]
fn nobody_answers_or_everybody_is_busy() {
    for (why, next) in [
        (Unanswered::NoAnswer, &["play voicemail"][..]),
        (Unanswered::Nobody, &["play voicemail"]),
        (Unanswered::Busy, &["join front", "play in_line"]),
    ] {
        let mut call = rung();
        call.input(Input::Unanswered(why));
        call.expect(next);
        assert_eq!(call.engine.outcome(), Outcome::Missed);
    }
}

#[test]
fn ringing_whose_end_is_never_reported_is_given_up() {
    let mut call = rung();
    call.wait(44.9);
    call.expect(&[]);
    call.wait(0.2);
    call.expect(&["leave", "play voicemail"]);
    assert_eq!(call.engine.unserved(), Some(Unserved::Unanswered));
}

#[test]
fn who_hangs_up_while_it_rings_is_abandoned() {
    let mut call = rung();
    call.wait(12.0);
    call.press("19");
    call.expect(&[]);
    call.input(Input::HungUp);
    call.expect(&["leave"]);
    assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Abandoned, Some(Unserved::Unanswered)));
    assert_eq!(call.engine.waited(), Duration::from_secs(12));
}

#[test]
fn without_words_it_rings_at_once_and_without_music_it_sounds_so() {
    let mut call = staffed(number(MOBILE));
    call.press("7");
    call.expect(&["ring ring:bare for 40s", "ringing"]);
    call.input(Input::Unanswered(Unanswered::NoAnswer));
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn a_caller_in_other_hands_is_transferred() {
    let mut call = transferred();
    call.input(Input::Transferred);
    assert!(call.engine.is_over());
    call.expect(&[]);
    assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Transferred, None));
    // Or stays with us, between two.
    let mut call = transferred();
    call.input(Input::Connected);
    call.expect(&["stop"]);
    assert_eq!(call.engine.outcome(), Outcome::Transferred);
    call.wait(2.0);
    call.input(Input::ConversationOver);
    call.expect(&["play goodbye"]);
    // A receiver that is put down at once has taken nobody over.
    let mut call = transferred();
    call.input(Input::Connected);
    call.wait(1.9);
    call.input(Input::ConversationOver);
    call.expect(&["stop", "transfer to +12125550199", "ringing"]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
}

#[test]
fn a_transfer_that_fails_brings_the_caller_back() {
    for why in [Unanswered::NoAnswer, Unanswered::Busy, Unanswered::Nobody, Unanswered::Full] {
        let mut call = transferred();
        call.input(Input::Unanswered(why));
        call.expect(&["play voicemail"]);
        assert_eq!(call.engine.outcome(), Outcome::Missed);
    }
    // The trunk is asked, and then the phone rung, for 30 s each.
    let mut call = transferred();
    call.wait(65.1);
    call.expect(&["leave", "play voicemail"]);
    let mut call = transferred();
    call.input(Input::HungUp);
    call.expect(&["leave"]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
}
