//! `number`: asks for a mobile number, reads it back digit by digit, and takes it only when the caller says it is right.

use std::fmt;

use super::Action;
use super::engine::{Engine, Event, Step};
use crate::clock::Now;
use crate::model::{Digit, PhoneNumber, PromptKey};
use crate::tree::{NodeId, Number, digit_prompt};

/// The key that says that the number is right.
const RIGHT: char = '1';
/// The key that asks to type it again.
const AGAIN: char = '2';

/// How far a visit has come.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The text that waits for the number.
    asked_by: Option<NodeId>,
    /// How often the caller was asked again.
    asked_again: u32,
    phase: Phase,
}

/// What the caller is doing.
#[derive(Clone)]
enum Phase {
    /// Typing; the digits so far.
    Typing(String),
    /// Hearing the digits. `1` does not count yet: nothing is sent to a number that was not heard.
    Hearing(Typed),
    /// Asked whether they are right.
    Confirming(Typed),
}

/// A number as the caller typed it and as it is dialled.
#[derive(Clone)]
struct Typed {
    digits: String,
    to: PhoneNumber,
}

impl fmt::Debug for Phase {
    /// Digits of a number are not logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Typing(_) => "Typing",
            Phase::Hearing(_) => "Hearing",
            Phase::Confirming(_) => "Confirming",
        })
    }
}

/// The visit that an event belongs to.
#[derive(Clone, Copy)]
struct Visit<'a> {
    id: NodeId,
    number: &'a Number,
    asked_by: Option<NodeId>,
    asked_again: u32,
    now: Now,
}

impl Visit<'_> {
    fn step(self, phase: Phase) -> Step {
        Step::Number(Entry { asked_by: self.asked_by, asked_again: self.asked_again, phase })
    }
}

impl Engine {
    pub(super) fn enter_number(&mut self, id: NodeId, number: &Number, now: Now, out: &mut Vec<Action>) {
        let visit = Visit { id, number, asked_by: self.asked_by.take(), asked_again: 0, now };
        let mut typed = String::new();
        // What is typed ahead takes the place of the question. What follows must be heard first.
        while let Some(digit) = self.ahead.pop_front() {
            typed = match self.typing(visit, typed, digit) {
                Typing::Goes(typed) => typed,
                Typing::Done(typed) => {
                    self.ahead.clear();
                    return self.typed(visit, typed, out);
                }
            };
        }
        let prompts = if typed.is_empty() { self.prompts(&number.say) } else { vec![] };
        self.ask(visit, &prompts, out);
        if !typed.is_empty() {
            self.keep_typing(visit, typed);
        }
    }

    pub(super) fn number(
        &mut self,
        id: NodeId,
        number: &Number,
        entry: Entry,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let visit = Visit { id, number, asked_by: entry.asked_by, asked_again: entry.asked_again, now };
        match (entry.phase, event) {
            (Phase::Typing(typed), Event::Digit(digit)) => match self.typing(visit, typed, digit) {
                Typing::Goes(typed) => self.keep_typing(visit, typed),
                Typing::Done(typed) => self.typed(visit, typed, out),
            },
            (Phase::Typing(_), Event::Said) => self.wait(number.wait, now),
            (Phase::Typing(typed), Event::TimeOut) if typed.is_empty() => self.ask_again(visit, &[], out),
            (Phase::Typing(typed), Event::TimeOut) => self.typed(visit, typed, out),

            (Phase::Hearing(typed), Event::Said | Event::TimeOut) => self.confirm(visit, typed, out),
            (Phase::Hearing(_) | Phase::Confirming(_), Event::Digit(digit)) if digit.as_char() == AGAIN => {
                self.record('•');
                self.ask_again(visit, &[], out);
            }
            (Phase::Hearing(_), Event::Digit(_)) => self.record('•'),

            (Phase::Confirming(typed), Event::Digit(digit)) => {
                self.record('•');
                if digit.as_char() == RIGHT {
                    self.confirmed(visit, typed.to, out);
                } else {
                    self.read_back_again(visit, typed, out);
                }
            }
            (Phase::Confirming(_), Event::Said) => self.wait(number.wait, now),
            (Phase::Confirming(typed), Event::TimeOut) => self.read_back_again(visit, typed, out),
        }
    }

    fn ask(&mut self, visit: Visit<'_>, prompts: &[PromptKey], out: &mut Vec<Action>) {
        self.at(visit.id, visit.step(Phase::Typing(String::new())));
        if !self.say(prompts, visit.now, out) {
            self.wait(visit.number.wait, visit.now);
        }
    }

    /// Says `first` and the question again, or gives up.
    fn ask_again(&mut self, visit: Visit<'_>, first: &[String], out: &mut Vec<Action>) {
        if visit.asked_again >= visit.number.repeat {
            return self.go(visit.number.when_unanswered, false, visit.now, out);
        }
        let prompts = self.prompts(first.iter().chain(&visit.number.say));
        self.ask(Visit { asked_again: visit.asked_again + 1, ..visit }, &prompts, out);
    }

    /// What one more key makes of the digits: `#` ends them, `*` begins anew.
    fn typing(&mut self, visit: Visit<'_>, mut typed: String, digit: Digit) -> Typing {
        self.record('•');
        match digit.as_char() {
            '#' if !typed.is_empty() => return Typing::Done(typed),
            '*' => typed.clear(),
            decimal if decimal.is_ascii_digit() => typed.push(decimal),
            _ => {}
        }
        if typed.len() >= visit.number.max_digits { Typing::Done(typed) } else { Typing::Goes(typed) }
    }

    fn keep_typing(&mut self, visit: Visit<'_>, typed: String) {
        let time = if typed.is_empty() { visit.number.wait } else { visit.number.between_digits };
        self.at(visit.id, visit.step(Phase::Typing(typed)));
        self.wait(time, visit.now);
    }

    /// The caller is done typing.
    fn typed(&mut self, visit: Visit<'_>, digits: String, out: &mut Vec<Action>) {
        let long_enough = digits.len() >= visit.number.min_digits;
        let to = PhoneNumber::parse(&digits, self.tree.country()).ok();
        match to.filter(|to| long_enough && to.can_text()) {
            Some(to) => self.read_back(visit, Typed { digits, to }, out),
            None => self.ask_again(visit, &visit.number.invalid, out),
        }
    }

    fn read_back(&mut self, visit: Visit<'_>, typed: Typed, out: &mut Vec<Action>) {
        let digits: Vec<String> = typed.digits.chars().map(digit_prompt).collect();
        let prompts = self.prompts(visit.number.read_back.iter().chain(&digits));
        self.at(visit.id, visit.step(Phase::Hearing(typed)));
        self.say(&prompts, visit.now, out);
    }

    fn read_back_again(&mut self, visit: Visit<'_>, typed: Typed, out: &mut Vec<Action>) {
        if visit.asked_again >= visit.number.repeat {
            return self.go(visit.number.when_unanswered, false, visit.now, out);
        }
        self.read_back(Visit { asked_again: visit.asked_again + 1, ..visit }, typed, out);
    }

    fn confirm(&mut self, visit: Visit<'_>, typed: Typed, out: &mut Vec<Action>) {
        self.at(visit.id, visit.step(Phase::Confirming(typed)));
        let prompts = self.prompts(&visit.number.confirm);
        if !self.say(&prompts, visit.now, out) {
            self.wait(visit.number.wait, visit.now);
        }
    }

    fn confirmed(&mut self, visit: Visit<'_>, to: PhoneNumber, out: &mut Vec<Action>) {
        self.typed = Some(to);
        let heard = self.prompts(visit.number.read_back.iter().chain(&visit.number.confirm));
        // Where no offer was heard before, this one is all that the caller agreed to, and this key how.
        if self.evidence.prompts.is_empty() {
            self.evidence.digit = Digit::from_char(RIGHT);
        }
        self.evidence.prompts.extend(heard);
        let next = visit.asked_by.or(visit.number.then).unwrap_or(visit.number.when_unanswered);
        self.go(next, false, visit.now, out);
    }
}

/// Whether the caller types on.
enum Typing {
    Goes(String),
    Done(String),
}
