//! `hangup`: says goodbye and ends the call.

use super::engine::{Engine, Event, Step};
use super::{Action, HangupCause};
use crate::clock::Now;
use crate::model::PromptKey;
use crate::tree::NodeId;

impl Engine {
    /// Says the last words and ends the call.
    pub(super) fn end(&mut self, id: NodeId, words: &[PromptKey], cause: HangupCause, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Ending(cause));
        if !self.say(words, now, out) {
            self.hang_up(cause, now, out);
        }
    }

    /// Keys are not heard: nothing comes after.
    pub(super) fn ending(&mut self, cause: HangupCause, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut => self.hang_up(cause, now, out),
        }
    }
}
