//! `hangup`: says goodbye and ends the call.

use super::engine::{Engine, Event, Step};
use super::{Action, HangupCause};
use crate::clock::Now;
use crate::tree::{Hangup, NodeId};

impl Engine {
    pub(super) fn enter_hangup(&mut self, id: NodeId, hangup: &Hangup, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Hangup);
        let prompts = self.prompts(&hangup.say);
        if !self.say(&prompts, now, out) {
            self.hang_up(HangupCause::TreeEnded, out);
        }
    }

    /// Keys are not heard: nothing comes after.
    pub(super) fn hangup(&mut self, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut => self.hang_up(HangupCause::TreeEnded, out),
        }
    }
}
