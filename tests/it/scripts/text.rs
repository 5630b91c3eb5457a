//! Texts that are asked for, refused and late.

use threadline::ivr::{Input, TextResult};
use threadline::model::Outcome;

use super::call::{Call, MOBILE, OPEN, number, parsed};

#[test]
fn a_key_for_a_text_pressed_before_its_offer_is_asked_for_again() {
    let tree = "start = \"play:first\"\n[play.first]\nsay = \"emergency\"\nthen = \"menu:m\"\n\
                [menu.m]\nsay = \"welcome\"\nkeys = { 1 = \"text:t\", 2 = \"play:p\", 3 = \"play:q\" }\nwrong_key = \"wrong_key\"\n\
                [text.t]\nsay = \"texting_you_now\"\nmessage = \"greeting\"\n\
                [play.p]\nsay = \"tour\"\nthen = \"menu:m\"\n[play.q]\nsay = \"directions\"\nthen = \"text:t\"\n";
    let answered = || {
        let mut call = Call::ringing(parsed(tree), number(MOBILE), OPEN);
        call.input(Input::Answered);
        call.wait(2.0);
        call
    };
    // Typed in one breath, also twice: nothing of the offer was heard.
    for keys in ["1", "11", "3"] {
        let mut call = answered();
        call.press(keys);
        call.wait(0.4);
        call.press("1");
        call.expect(&["play emergency", "play welcome"]);
        assert_eq!((call.texts.len(), call.engine.digits()), (0, ""), "{keys}");
        // Barging in is fine.
        call.wait(0.6);
        call.press("1");
        call.expect(&["text:t to +12125550142: en greeting by 1", "play texting_you_now"]);
        let heard: Vec<_> = call.texts[0].evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect();
        assert_eq!((heard, call.engine.digits()), (vec!["welcome"], "1"));
    }
    // Nor was it heard while a wrong key is told.
    let mut call = answered();
    call.press("7");
    call.wait(4.9);
    call.press("1");
    call.expect(&["play emergency", "play wrong_key welcome"]);
    call.wait(0.2);
    call.press("1");
    assert_eq!(call.texts.len(), 1);
    // To find one's way, a key counts at once.
    let mut call = answered();
    call.press("2");
    call.expect(&["play emergency", "play tour"]);
}

#[test]
fn the_key_pressed_twice_in_haste_sends_one_text_and_cuts_nothing_off() {
    let mut call = Call::from_mobile();
    call.press("11");
    call.wait(1.0);
    call.press("1#");
    call.expect(&["play emergency welcome", "text:general to +12125550142: en greeting by 1", "play texting_you_now"]);
    call.finish();
    call.expect(&["hang up: hangup"]);
}

#[test]
fn a_text_that_was_sent_is_not_sent_again() {
    let mut call = Call::from_mobile();
    call.press("2");
    call.wait(1.0);
    call.press("1");
    call.wait(5.1);
    call.press("1");
    call.finish();
    assert_eq!(call.texts.iter().map(|text| text.node.as_str()).collect::<Vec<_>>(), ["text:billing", "text:general"]);
    let tree = "start = \"menu:m\"\n[menu.m]\nsay = \"welcome\"\nkeys = { 1 = \"text:t\" }\n\
                [text.t]\nsay = \"texting_you_now\"\nmessage = \"greeting\"\nthen = \"menu:m\"\n";
    let mut call = Call::ringing(parsed(tree), number(MOBILE), OPEN);
    call.input(Input::Answered);
    for _ in 0..3 {
        call.press("1");
        call.wait(5.1);
    }
    assert_eq!(call.texts.len(), 1);
}

#[test]
fn a_refused_text_goes_where_the_tree_says() {
    let mut call = Call::from_mobile();
    call.answer = None;
    call.press("1");
    call.wait(0.5);
    assert_eq!(call.engine.outcome(), Outcome::Texted);
    call.done();
    call.input(Input::TextResult(TextResult::Refused("opted_out".to_owned())));
    call.expect(&["play cannot_text"]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
}

#[test]
fn a_text_that_something_of_ours_kept_back_is_not_blamed_on_the_caller() {
    let mut call = Call::from_mobile();
    call.answer = None;
    call.press("1");
    call.wait(1.0);
    call.input(Input::TextResult(TextResult::Failed("the disk is full".to_owned())));
    call.expect(&[
        "play emergency welcome",
        "text:general to +12125550142: en greeting by 1",
        "play texting_you_now",
        "play system_trouble",
    ]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
    call.finish();
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.path().last().unwrap(), "hangup", "it goes on where the text leads");
    assert_eq!(call.engine.outcome(), Outcome::Missed, "so that the caller is owed a text");
}

#[test]
fn a_promise_waits_a_little_for_a_slow_store() {
    let promised = || {
        let mut call = Call::from_mobile();
        call.answer = None;
        call.press("1");
        call.done();
        // The prompt takes five seconds.
        call.wait(7.0);
        call.expect(&[]);
        call
    };
    let mut call = promised();
    call.input(Input::TextResult(TextResult::Queued));
    call.expect(&["hang up: hangup"]);
    let mut call = promised();
    call.input(Input::TextResult(TextResult::Failed("locked".to_owned())));
    call.finish();
    call.expect(&["play system_trouble", "hang up: hangup"]);
    let mut call = promised();
    call.wait(4.1);
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Texted, "until it is refused");
}

#[test]
fn a_result_that_comes_after_the_call_still_counts() {
    let mut call = Call::from_mobile();
    call.answer = None;
    call.press("1");
    call.input(Input::HungUp);
    call.done();
    assert_eq!(call.engine.outcome(), Outcome::Texted);
    call.input(Input::TextResult(TextResult::Refused("store_failed".to_owned())));
    call.expect(&[]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
}
