//! Call scripts: whole calls through the phone tree of `tests/data/config/good/tree.toml`, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use threadline::cli::simulate::{self, World};
use threadline::clock::Now;
use threadline::conversation::templates::{Templates, Values, Variable};
use threadline::ivr::{Action, CallerFacts, Engine, HangupCause, Input, TextRequest, TextResult};
use threadline::model::{Caller, Digit, DigitSource, Language, Outcome, PhoneNumber, Pressed, Private};
use threadline::tree::Tree;

use crate::config::{default_prompts, good_tree, root};

/// A Monday at ten in the clinic's zone.
const OPEN: &str = "2026-07-06T14:00:00Z";
/// A Sunday.
const CLOSED: &str = "2026-07-05T14:00:00Z";
const HOLIDAY: &str = "2026-12-25T15:00:00Z";
const MOBILE: &str = "+12125550142";

/// A call and everything that it was made to do, one line each.
struct Call {
    tree: Arc<Tree>,
    engine: Engine,
    now: Now,
    /// When what is being said ends.
    ends: Option<Duration>,
    /// What the store answers to a text; none: nothing yet.
    answer: Option<TextResult>,
    log: Vec<String>,
    texts: Vec<TextRequest>,
}

impl Call {
    fn ringing(tree: Arc<Tree>, caller: Caller, at: &str) -> Call {
        let engine = Engine::new(Arc::clone(&tree), CallerFacts { caller, language: None });
        let now = Now { mono: Duration::from_secs(1_000), wall: at.parse().unwrap() };
        Call { tree, engine, now, ends: None, answer: Some(TextResult::Queued), log: vec![], texts: vec![] }
    }

    fn answered(caller: Caller, at: &str) -> Call {
        let mut call = Call::ringing(good_tree(), caller, at);
        call.input(Input::Answered);
        call
    }

    fn from_mobile() -> Call {
        Call::answered(number(MOBILE), OPEN)
    }

    fn anonymous() -> Call {
        let mut call = Call::answered(Caller::Anonymous, OPEN);
        call.press("1");
        call.log.clear();
        call
    }

    fn input(&mut self, input: Input) {
        for action in self.engine.handle(self.now, input) {
            match action {
                Action::Play(prompts) => {
                    let length: Duration = prompts.iter().map(|prompt| self.tree.length(prompt)).sum();
                    self.ends = Some(self.now.mono + length);
                    let names: Vec<_> = prompts
                        .iter()
                        .map(|prompt| match prompt.language.as_str() {
                            "en" => prompt.name.clone(),
                            other => format!("{other}/{}", prompt.name),
                        })
                        .collect();
                    self.log.push(format!("play {}", names.join(" ")));
                }
                Action::StopPlaying => {
                    self.ends = None;
                    self.log.push("stop".to_owned());
                }
                Action::Text(request) => {
                    let digit = request.evidence.digit.map(|digit| digit.to_string()).unwrap_or_default();
                    let (node, to) = (&request.node, request.to.as_str());
                    self.log.push(format!("{node} to {to}: {} {} by {digit}", request.language, request.template));
                    self.texts.push(request);
                    if let Some(answer) = self.answer.clone() {
                        self.input(Input::TextResult(answer));
                    }
                }
                Action::Loop(_)
                | Action::Ring(_)
                | Action::Join(_)
                | Action::Leave
                | Action::Record(_)
                | Action::Keep(_)
                | Action::Discard
                | Action::BookCallback(_)
                | Action::Transfer(_) => panic!("no node of this tree asks for a person"),
                Action::Hangup { cause } => {
                    self.ends = None;
                    self.log.push(format!("hang up: {cause}"));
                }
            }
        }
    }

    fn press(&mut self, keys: &str) {
        for digit in keys.chars().map(|key| Digit::from_char(key).unwrap()) {
            self.input(Input::Digit(Pressed { digit, source: DigitSource::Event }));
        }
    }

    /// Lets time pass; what is due happens when it is due.
    fn wait(&mut self, seconds: f64) {
        let until = self.now.mono + Duration::from_secs_f64(seconds);
        loop {
            let next = [self.ends, self.engine.next_deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.later(next.saturating_sub(self.now.mono));
            if self.ends.is_some_and(|ends| ends <= self.now.mono) {
                self.ends = None;
                self.input(Input::PlayEnded);
            } else {
                self.input(Input::Deadline);
            }
        }
        self.now = self.now.later(until.saturating_sub(self.now.mono));
    }

    fn finish(&mut self) {
        self.wait(100_000.0);
        assert!(self.engine.is_over(), "{:?}", self.log);
    }

    /// What was done since the last look.
    fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.done(), lines);
    }
}

fn number(text: &str) -> Caller {
    Caller::Number(PhoneNumber::e164(text).unwrap())
}

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

fn parsed(text: &str) -> Arc<Tree> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tree.toml");
    std::fs::write(&file, text).unwrap();
    crate::config::tree(&file).unwrap_or_else(|problems| panic!("{problems}")).0
}

#[derive(Clone, Debug)]
enum Step {
    Press(u8),
    Wait(f64),
    Refuse,
    Fail,
    Silence,
    Late,
    HangUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..16u8).prop_map(Step::Press),
        3 => (0..3u8).prop_map(Step::Press),
        4 => (0.0..12.0f64).prop_map(Step::Wait),
        1 => Just(Step::Refuse),
        1 => Just(Step::Fail),
        1 => Just(Step::Silence),
        1 => Just(Step::Late),
        1 => Just(Step::HangUp),
    ]
}

proptest! {
    /// Whatever a caller does: an answered call ends or has a deadline; a text goes to the caller's own number, or to
    /// one that was read back and confirmed; nothing that was not played before is shown as what they agreed to; the call ends once and as one thing.
    #[test]
    fn whatever_a_caller_does(
        steps in prop::collection::vec(step(), 0..60),
        anonymous in any::<bool>(),
        at in prop::sample::select(vec![OPEN, CLOSED, HOLIDAY]),
    ) {
        let caller = if anonymous { Caller::Anonymous } else { number(MOBILE) };
        let mut call = Call::answered(caller, at);
        for step in steps {
            match step {
                Step::Press(code) => {
                    let digit = Digit::from_event(code).unwrap();
                    call.input(Input::Digit(Pressed { digit, source: DigitSource::Tone }));
                }
                Step::Wait(seconds) => call.wait(seconds),
                Step::Refuse => call.answer = Some(TextResult::Refused("opted_out".to_owned())),
                Step::Fail => call.answer = Some(TextResult::Failed("locked".to_owned())),
                Step::Silence => call.answer = None,
                Step::Late => call.input(Input::TextResult(TextResult::Queued)),
                Step::HangUp => call.input(Input::HungUp),
            }
            prop_assert!(call.engine.is_over() || call.engine.next_deadline().is_some());
            let outcome = call.engine.outcome();
            if matches!(outcome, Outcome::Texted) {
                prop_assert!(!call.texts.is_empty());
            }
        }
        call.finish();
        let hangups = call.log.iter().filter(|line| line.starts_with("hang up")).count();
        prop_assert!(hangups <= 1);
        prop_assert!(call.log.iter().position(|line| line.starts_with("hang up")).is_none_or(|at| at + 1 == call.log.len()));
        prop_assert!(call.engine.handle(call.now, Input::Deadline).is_empty());
        prop_assert!(matches!(
            call.engine.outcome(),
            Outcome::Texted | Outcome::Informed | Outcome::Missed | Outcome::Abandoned
        ));
        for text in &call.texts {
            prop_assert!(text.evidence.digit.is_some() && !text.evidence.prompts.is_empty());
            let sent = call.log.iter().position(|entry| entry.starts_with(&format!("{} to", text.node))).unwrap();
            for prompt in &text.evidence.prompts {
                prop_assert!(call.log[..sent].iter().any(|entry| entry.contains(&prompt.name)), "{:?}", call.log);
            }
            if text.to.as_str() == MOBILE && !anonymous {
                continue;
            }
            let line = format!("to {}:", text.to.as_str());
            let sent = call.log.iter().position(|entry| entry.contains(&line)).unwrap();
            let spoken: String = call.log[..sent]
                .iter()
                .rfind(|entry| entry.contains("digit_"))
                .map(|entry| entry.split_whitespace().filter_map(|word| word.strip_prefix("digit_")).collect())
                .unwrap_or_default();
            prop_assert!(!spoken.is_empty() && text.to.as_str().ends_with(&spoken), "{:?}", call.log);
        }
    }
}

/// A whole simulated call on the tree that the clinic gets with the program.
fn simulated(from: &str, at: &str, script: &str) -> String {
    let file = root().join("config");
    let prompts = default_prompts();
    let templates = Templates::load(&file.join("messages.toml"), &Language::default()).unwrap().0;
    let context = threadline::tree::Context {
        zone: jiff::tz::TimeZone::get("America/New_York").unwrap(),
        country: "US".parse().unwrap(),
        language: Language::default(),
        prompts: &prompts,
        messages: &templates.names(),
        today: "2026-07-06".parse().unwrap(),
    };
    let tree = Tree::load(&file.join("phone-tree.toml"), &context).unwrap_or_else(|problems| panic!("{problems}")).0;
    let values = Values::from([
        (Variable::Clinic, "Riverside Therapy".to_owned()),
        (Variable::ResponseTarget, "15 minutes".to_owned()),
    ]);
    let caller = simulate::parse_from(from, "US".parse().unwrap()).unwrap();
    let at = simulate::parse_at(at, tree.zone()).unwrap();
    let world = World { tree, templates: &templates, values: &values, prompts: &prompts };
    let mut out = Vec::new();
    simulate::simulate(&world, caller, at, &mut script.as_bytes(), &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_default_tree_texts_who_presses_one() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 15\n1\n");
    for expected in [
        "call from +12125550142 at Mon 2026-07-06 10:00 EDT\n00:00.0  hears   “",
        "00:15.0  caller  presses 1\n00:15.0  gets    a text to +12125550142: “Riverside Therapy: how can we help?",
        "system  hangs up (hangup)\noutcome texted\n\
         path    play:emergency > hours:clinic > menu:welcome > text:general > hangup:goodbye\nkeys    1\n",
    ] {
        assert!(shown.contains(expected), "{expected}\nin:\n{shown}");
    }
}

#[test]
fn the_default_tree_texts_who_hangs_up_unserved() {
    let shown = simulated(MOBILE, "2026-07-05T22:00", "; in the middle of the night\nwait 3 hangup\n");
    assert!(shown.contains("sorry we missed your call"), "{shown}");
    assert!(shown.contains("outcome abandoned") || shown.contains("outcome missed"), "{shown}");
}

#[test]
fn the_default_tree_asks_an_anonymous_caller() {
    let shown = simulated("anonymous", "2026-07-06T10:00", "wait 20\n1\nwait 5\n6462530142#\n\nwait 1\n1\n");
    assert!(shown.contains("a text to +16462530142"), "{shown}");
    assert!(shown.contains("outcome texted") && shown.contains("keys    1••••••••••••"), "{shown}");
}

#[test]
fn simulate_names_what_it_cannot_do() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "banana\nwait soon\nhangup\n");
    assert!(shown.contains("\"banana\" is nothing a caller can do"), "{shown}");
    assert!(shown.contains("\"soon\" is no time"), "{shown}");
    assert!(simulate::parse_at("noon", &jiff::tz::TimeZone::UTC).is_err());
    assert!(simulate::parse_from("banana", "US".parse().unwrap()).is_err());
}
