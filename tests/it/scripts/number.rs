//! A number that is asked for, read back and confirmed.

use threadline::model::{Caller, Digit, Outcome, Private};

use super::call::{Call, OPEN, number};

#[test]
fn an_anonymous_caller_types_a_number_hears_it_and_only_then_is_texted() {
    let mut call = Call::answered(Caller::Anonymous, OPEN);
    call.press("1");
    call.expect(&["play emergency welcome", "play ask_mobile"]);
    call.wait(6.0);
    call.press("64625");
    call.wait(2.5);
    call.press("30142");
    call.expect(&[]);
    call.wait(3.1);
    let read_back = "play read_back digit_6 digit_4 digit_6 digit_2 digit_5 digit_3 digit_0 digit_1 digit_4 digit_2";
    call.expect(&[read_back]);
    call.press("1");
    call.expect(&[]);
    call.wait(10.1);
    call.expect(&["play confirm_number"]);
    assert_eq!(call.engine.outcome(), Outcome::Abandoned);
    call.press("1");
    call.expect(&["text:general to +16462530142: en greeting by 1", "play texting_you_now"]);
    call.finish();
    assert_eq!(call.engine.outcome(), Outcome::Texted);
    assert_eq!(call.engine.digits(), "1••••••••••••");
    assert!(!format!("{:?}", call.engine).contains("6462530142"));
    let heard: Vec<_> = call.texts[0].evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(heard, ["emergency", "welcome", "read_back", "confirm_number"]);
    assert_eq!(call.engine.path()[2..5], ["text:general", "number:mobile", "text:general"]);
}

#[test]
fn whose_number_takes_no_texts_is_asked_too() {
    for caller in [number("+18002530142"), Caller::Other(Private::new("201".to_owned()))] {
        let mut call = Call::answered(caller, OPEN);
        call.press("1");
        call.expect(&["play emergency welcome", "play ask_mobile"]);
        call.press("6462530142#");
        call.wait(11.0);
        call.press("1");
        assert_eq!(call.texts[0].to.as_str(), "+16462530142");
    }
}

#[test]
fn hash_ends_the_number_star_begins_it_anew_and_the_longest_ends_by_itself() {
    let mut call = Call::anonymous();
    call.press("99*6462530142#");
    let read_back = "play read_back digit_6 digit_4 digit_6 digit_2 digit_5 digit_3 digit_0 digit_1 digit_4 digit_2";
    call.expect(&["stop", read_back]);
    let mut call = Call::anonymous();
    call.press("16462530142");
    assert_eq!(call.done().len(), 2);
}

#[test]
fn two_types_it_again() {
    let mut call = Call::anonymous();
    call.press("6462530142#");
    call.wait(1.0);
    call.press("2");
    call.press("6462530199#");
    call.wait(11.0);
    call.press("1");
    assert_eq!(call.texts[0].to.as_str(), "+16462530199");
}

#[test]
fn what_is_no_mobile_number_is_asked_again_and_then_given_up() {
    let mut call = Call::anonymous();
    call.press("123#");
    call.expect(&["stop", "play number_wrong ask_mobile"]);
    call.press("8002530142#");
    call.expect(&["stop", "play number_wrong ask_mobile"]);
    call.press("0#");
    call.expect(&["stop", "play goodbye"]);
    call.finish();
    assert!(call.texts.is_empty());
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn who_types_nothing_is_asked_again_and_then_given_up() {
    let mut call = Call::anonymous();
    call.wait(5.0 + 6.1);
    call.expect(&["play ask_mobile"]);
    call.finish();
    call.expect(&["play ask_mobile", "play goodbye", "hang up: hangup"]);
}

#[test]
fn who_confirms_nothing_hears_it_again_and_is_not_texted() {
    let mut call = Call::anonymous();
    call.press("6462530142#");
    call.wait(10.1);
    call.press("7");
    call.wait(10.1);
    assert_eq!(call.done().iter().filter(|line| line.starts_with("play read_back")).count(), 2);
    call.finish();
    assert!(call.texts.is_empty());
    assert_eq!(call.engine.outcome(), Outcome::Missed);
}

#[test]
fn a_number_typed_before_it_is_asked_for_counts() {
    let mut call = Call::answered(Caller::Anonymous, OPEN);
    call.press("2#6462530142#");
    call.wait(11.0);
    call.press("1");
    assert_eq!(call.texts[0].to.as_str(), "+16462530142");
    assert_eq!(call.texts[0].node, "text:general");
    // The menus were not heard: consent is the key that confirmed the number, after the words that ask for it.
    let evidence = &call.texts[0].evidence;
    assert_eq!(evidence.digit, Digit::from_char('1'));
    assert_eq!(evidence.prompts.iter().map(|prompt| prompt.name.as_str()).collect::<Vec<_>>(), ["confirm_number"]);
}
