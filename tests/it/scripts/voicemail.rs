//! A message for the staff: kept, too short, and a text instead.

use threadline::ivr::Input;
use threadline::model::{Digit, DigitSource, Outcome, Pressed, Unserved};

use super::call::{Call, MOBILE, number};
use super::staff::staffed;

fn greeted() -> Call {
    let mut call = staffed(number(MOBILE));
    call.press("3");
    call.expect(&["play voicemail"]);
    call
}

/// A message is being recorded; the tone has just begun.
fn recorded() -> Call {
    let mut call = greeted();
    call.wait(5.0);
    call.expect(&["record"]);
    call
}

#[track_caller]
fn kept(mut call: Call) {
    call.expect(&["keep voicemail:box", "play thanks"]);
    assert_eq!((call.engine.outcome(), call.engine.unserved()), (Outcome::Voicemail, None));
    call.press("1#");
    call.finish();
    call.expect(&["play goodbye", "hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Voicemail);
}

#[test]
fn the_key_silence_and_the_longest_time_end_a_message() {
    let mut call = recorded();
    call.wait(4.0);
    call.press("5#");
    kept(call);
    let mut call = recorded();
    call.wait(9.0);
    call.input(Input::RecordingEnded);
    kept(call);
    let mut call = recorded();
    call.wait(30.6);
    call.input(Input::RecordingEnded);
    kept(call);
    // Should its end never be reported.
    let mut call = recorded();
    call.wait(35.6);
    kept(call);
}

#[test]
fn the_finishing_key_skips_the_greeting() {
    let mut call = greeted();
    call.wait(1.0);
    call.press("4#");
    call.expect(&["stop", "record"]);
}

#[test]
fn hanging_up_keeps_what_was_said() {
    let mut call = recorded();
    call.wait(3.0);
    call.kept = None;
    call.input(Input::HungUp);
    call.expect(&["keep voicemail:box"]);
    assert_eq!(call.engine.outcome(), Outcome::Voicemail);
    call.input(Input::Kept(None));
    assert_eq!(call.engine.outcome(), Outcome::Abandoned, "the store could not");
    let mut call = recorded();
    call.wait(2.0);
    call.input(Input::HungUp);
    call.expect(&["discard"]);
    assert_eq!(call.engine.unserved(), Some(Unserved::VoicemailTooShort));
    let mut call = greeted();
    call.wait(2.0);
    call.input(Input::HungUp);
    call.expect(&[]);
    assert_eq!(call.engine.unserved(), Some(Unserved::InMenu));
}

#[test]
fn silence_is_no_message_however_it_ends() {
    for ends in [Input::HungUp, key('#'), Input::RecordingEnded] {
        let mut call = recorded();
        call.speaks = false;
        call.wait(6.0);
        call.input(ends.clone());
        call.expect(if ends == Input::HungUp { &["discard"] } else { &["discard", "play too_short"] });
        call.input(Input::HungUp);
        assert_eq!(call.engine.unserved(), Some(Unserved::VoicemailTooShort), "{ends:?}");
        assert_eq!(call.engine.outcome(), Outcome::Abandoned);
    }
}

fn key(key: char) -> Input {
    Input::Digit(Pressed { digit: Digit::from_char(key).unwrap(), source: DigitSource::Event })
}

#[test]
fn too_short_a_message_may_be_tried_once_more() {
    let mut call = recorded();
    call.wait(1.0);
    call.press("#");
    call.expect(&["discard", "play too_short"]);
    call.wait(5.0);
    call.expect(&["record"]);
    // Nothing but silence.
    call.wait(6.5);
    call.input(Input::RecordingEnded);
    call.expect(&["discard", "play goodbye"]);
    assert_eq!(call.engine.unserved(), Some(Unserved::VoicemailTooShort));
    call.finish();
    assert_eq!(call.engine.outcome(), Outcome::Missed);
    let mut call = recorded();
    call.wait(1.0);
    call.press("#");
    call.wait(9.0);
    call.press("#");
    assert_eq!(call.engine.outcome(), Outcome::Voicemail);
}

#[test]
fn a_text_instead_in_the_middle_of_the_greeting_or_of_the_message() {
    let text = ["text:in_line to +12125550142: en greeting by 1", "play texting_you_now"];
    let mut call = greeted();
    call.press("1");
    call.expect(&[]);
    call.wait(0.6);
    call.press("1");
    call.expect(&text);
    let mut call = recorded();
    call.wait(8.0);
    call.press("1");
    call.expect(&[&["discard"], &text[..]].concat());
    let heard: Vec<_> = call.texts[0].evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!((heard, call.engine.outcome()), (vec!["voicemail"], Outcome::Texted));
    assert_eq!(call.engine.digits(), "31");
    let mut call = recorded();
    call.wait(1.0);
    call.press("2");
    call.expect(&["discard", "play welcome"]);
}

#[test]
fn a_promise_waits_for_the_store() {
    let promised = || {
        let mut call = recorded();
        call.kept = None;
        call.wait(4.0);
        call.press("#");
        call.wait(7.0);
        call.expect(&["keep voicemail:box", "play thanks"]);
        call
    };
    let mut call = promised();
    call.input(Input::Kept(Some(std::time::Duration::from_secs(3))));
    call.expect(&["play goodbye"]);
    let mut call = promised();
    call.wait(4.1);
    call.expect(&["play goodbye"]);
    assert_eq!(call.engine.outcome(), Outcome::Voicemail, "until it is refused");
    // A message that cannot be kept is not thanked for any longer.
    for seconds in [0.0, 6.0] {
        let mut call = recorded();
        call.kept = None;
        call.wait(4.0);
        call.press("#");
        call.wait(seconds);
        call.done();
        call.input(Input::Kept(None));
        call.expect(&["play system_trouble"]);
        call.finish();
        call.expect(&["play goodbye", "hang up: hangup"]);
        assert_eq!(call.engine.outcome(), Outcome::Missed);
    }
}

#[test]
fn without_thanks_and_limits_of_its_own() {
    let mut call = staffed(number(MOBILE));
    call.press("9");
    call.wait(5.0);
    call.expect(&["play voicemail", "record"]);
    call.press("#");
    call.expect(&[]);
    call.press("*");
    call.expect(&["keep voicemail:curt", "hang up: hangup"]);
}
