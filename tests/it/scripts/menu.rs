//! Menus, announcements, opening hours, the end of a call.

use threadline::ivr::{CallerFacts, Engine, HangupCause, Input, TextResult};
use threadline::model::{Language, Outcome};

use super::call::{CLOSED, Call, HOLIDAY, MOBILE, OPEN, number, parsed};
use crate::config::good_tree;

#[test]
fn one_key_and_the_text_is_on_its_way() {
    let mut call = Call::from_mobile();
    call.expect(&["play emergency welcome"]);
    call.wait(12.0);
    call.press("1");
    call.expect(&["text:general to +12125550142: en greeting by 1", "play texting_you_now"]);
    call.finish();
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Texted);
    assert_eq!(call.engine.path(), ["hours:clinic", "menu:welcome", "text:general", "hangup"]);
    assert_eq!(call.engine.digits(), "1");
    let request = &call.texts[0];
    assert_eq!(request.reason.as_deref(), Some("general"));
    let offered: Vec<_> = request.evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(offered, ["emergency", "welcome"]);
}

#[test]
fn a_key_ends_the_prompt_at_once() {
    let mut call = Call::from_mobile();
    call.wait(0.3);
    call.press("1");
    call.expect(&["play emergency welcome", "text:general to +12125550142: en greeting by 1", "play texting_you_now"]);
}

#[test]
fn who_says_nothing_hears_it_again_and_stays() {
    let mut call = Call::from_mobile();
    call.wait(13.9);
    call.expect(&["play emergency welcome"]);
    call.wait(0.2);
    call.expect(&["play emergency welcome"]);
    call.wait(13.8);
    call.expect(&[]);
    call.wait(0.2);
    call.expect(&["play goodbye"]);
    call.finish();
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn a_wrong_key_is_said_and_three_are_enough() {
    let mut call = Call::from_mobile();
    call.press("7");
    call.wait(2.0);
    call.press("*");
    call.expect(&["play emergency welcome", "play wrong_key emergency welcome", "play wrong_key emergency welcome"]);
    call.press("0");
    call.expect(&["play goodbye"]);
}

#[test]
fn a_right_key_after_a_wrong_one_counts() {
    let mut call = Call::from_mobile();
    call.press("71");
    assert_eq!(call.texts.len(), 1);
    assert_eq!(call.engine.digits(), "71");
}

#[test]
fn menus_nest_and_lead_back() {
    let mut call = Call::from_mobile();
    call.press("2");
    call.expect(&["play emergency welcome", "play more"]);
    call.press("*");
    call.expect(&["play emergency welcome"]);
    call.press("2");
    call.wait(1.0);
    call.press("1");
    call.expect(&["play more", "text:billing to +12125550142: en billing by 1", "play directions"]);
    assert_eq!(call.engine.outcome(), Outcome::Texted);
}

#[test]
fn what_a_key_chose_and_was_heard_to_its_end_informs() {
    let mut call = Call::from_mobile();
    call.press("3");
    call.wait(4.9);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
    call.wait(0.2);
    call.expect(&["play emergency welcome", "play directions", "play again"]);
    call.input(Input::HungUp);
    assert_eq!(call.engine.outcome(), Outcome::Informed);
}

#[test]
fn what_nobody_chose_does_not_inform() {
    let mut call = Call::from_mobile();
    call.press("2");
    call.finish();
    assert_eq!(call.done().last().unwrap(), "hang up: hangup");
    assert!(call.engine.path().contains(&"play:directions".to_owned()));
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn a_key_during_a_play_skips_it_and_counts_in_the_menu_after_it() {
    let mut call = Call::from_mobile();
    call.press("3");
    call.wait(1.0);
    call.press("3");
    call.expect(&["play emergency welcome", "play directions", "play tour"]);
}

#[test]
fn a_key_does_not_cut_off_what_ends_in_a_hangup() {
    let mut call = Call::from_mobile();
    call.press("3");
    call.wait(5.1);
    call.press("3");
    call.done();
    call.press("5");
    call.expect(&[]);
    call.wait(5.1);
    call.expect(&["hang up: hangup"]);
    assert_eq!(call.engine.outcome(), Outcome::Informed);
}

#[test]
fn a_key_may_switch_the_language_and_what_is_not_recorded_falls_back() {
    let mut call = Call::from_mobile();
    call.press("9");
    call.expect(&["play emergency welcome", "play emergency es/welcome"]);
    assert_eq!(call.engine.language().as_str(), "es");
    call.wait(1.0);
    call.press("1");
    call.expect(&["text:general to +12125550142: es greeting by 1", "play es/texting_you_now"]);
}

#[test]
fn a_language_known_before_is_spoken_from_the_start() {
    let facts = CallerFacts { caller: number(MOBILE), language: Some(Language::parse("es").unwrap()) };
    let mut call = Call::ringing(good_tree(), number(MOBILE), OPEN);
    call.engine = Engine::new(good_tree(), facts);
    call.input(Input::Answered);
    call.expect(&["play emergency es/welcome"]);
}

#[test]
fn hours_decide_where_a_call_goes() {
    let start = |at: &str| Call::answered(number(MOBILE), at).done();
    assert_eq!(start(OPEN), ["play emergency welcome"]);
    assert_eq!(start("2026-07-06T16:30:00Z"), ["play emergency after_hours"], "the lunch break");
    assert_eq!(start(CLOSED), ["play emergency after_hours"]);
    assert_eq!(start("2026-07-10T19:00:00Z"), ["play emergency after_hours"], "Friday at three");
    let mut call = Call::answered(number(MOBILE), HOLIDAY);
    call.finish();
    call.expect(&["play emergency after_hours", "hang up: hangup"]);
    assert_eq!(call.engine.path(), ["hours:clinic", "hangup:holiday"]);
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn eight_o_clock_is_eight_o_clock_on_both_sides_of_a_clock_change() {
    let start = |at: &str| Call::answered(number(MOBILE), at).done()[0].clone();
    // Fridays before and Mondays after: 2026-03-08 forward, 2026-11-01 back.
    for (at, open) in [
        ("2026-03-06T13:00:00Z", true),
        ("2026-03-06T12:59:59Z", false),
        ("2026-03-09T12:00:00Z", true),
        ("2026-03-09T11:59:59Z", false),
        ("2026-10-30T12:00:00Z", true),
        ("2026-11-02T12:59:59Z", false),
        ("2026-11-02T13:00:00Z", true),
    ] {
        let expected = if open { "play emergency welcome" } else { "play emergency after_hours" };
        assert_eq!(start(at), expected, "{at}");
    }
}

#[test]
fn who_hangs_up_is_abandoned_and_after_hours_missed() {
    let outcome = |at: &str| {
        let mut call = Call::answered(number(MOBILE), at);
        call.wait(3.0);
        call.input(Input::HungUp);
        assert_eq!(call.engine.next_deadline(), None);
        assert_eq!(call.engine.handle(call.now, Input::PlayEnded), []);
        call.engine.outcome()
    };
    assert_eq!(outcome(OPEN), Outcome::Abandoned);
    assert_eq!(outcome(CLOSED), Outcome::Missed);
    let mut unanswered = Call::ringing(good_tree(), number(MOBILE), OPEN);
    unanswered.input(Input::HungUp);
    assert_eq!(unanswered.engine.outcome(), Outcome::Abandoned);
    assert_eq!(unanswered.engine.path(), [] as [&str; 0]);
    unanswered.input(Input::Answered);
    unanswered.expect(&[]);
}

#[test]
fn a_prompt_whose_end_is_never_reported_is_taken_as_ended() {
    let mut call = Call::from_mobile();
    call.ends = None;
    call.wait(14.9);
    call.expect(&["play emergency welcome"]);
    call.wait(0.2);
    call.expect(&["stop"]);
    call.wait(4.0);
    call.expect(&["play emergency welcome"]);
}

#[test]
fn a_deadline_that_comes_early_does_nothing() {
    let mut call = Call::from_mobile();
    call.done();
    call.input(Input::Deadline);
    call.input(Input::TextResult(TextResult::Queued));
    call.expect(&[]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
}

#[test]
fn a_round_without_end_is_ended() {
    let tree = parsed(
        "start = \"play:a\"\n[play.a]\nsay = \"tour\"\nthen = \"play:b\"\n[play.b]\nsay = \"tour\"\nthen = \"play:a\"\n",
    );
    let mut call = Call::ringing(tree, number(MOBILE), OPEN);
    call.input(Input::Answered);
    call.finish();
    let done = call.done();
    assert_eq!(
        done[done.len() - 2..],
        ["play system_trouble".to_owned(), format!("hang up: {}", HangupCause::TooManyNodes)]
    );
    assert_eq!(call.engine.path().len(), 200);
}
