//! Whatever a caller does with menus, texts and numbers.

use proptest::prelude::*;
use threadline::ivr::{Input, TextResult};
use threadline::model::{Caller, Digit, DigitSource, Outcome, Pressed};

use super::call::{CLOSED, Call, HOLIDAY, MOBILE, OPEN, number};

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
            Outcome::Texted | Outcome::Voicemail | Outcome::Callback | Outcome::Informed | Outcome::Missed | Outcome::Abandoned
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
