//! `play`: says something and goes on. A key skips it where a later node may want the key.

use super::Action;
use super::engine::{Engine, Event, Step};
use crate::clock::Now;
use crate::tree::{Kind, NodeId, Play};

impl Engine {
    pub(super) fn enter_play(&mut self, id: NodeId, play: &Play, by_key: bool, now: Now, out: &mut Vec<Action>) {
        if !self.ahead.is_empty() && self.wants_keys(play) {
            return self.go(play.then, false, now, out);
        }
        self.at(id, Step::Play { by_key });
        let prompts = self.prompts(&play.say);
        if !self.say(&prompts, now, out) {
            self.go(play.then, false, now, out);
        }
    }

    pub(super) fn play(&mut self, play: &Play, by_key: bool, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Digit(digit) if self.wants_keys(play) => {
                self.keep_for_later(digit);
                self.go(play.then, false, now, out);
            }
            // The call would end, or a text would go out, for a key that was meant for neither.
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut => {
                self.informed |= by_key;
                self.go(play.then, false, now, out);
            }
        }
    }

    fn wants_keys(&self, play: &Play) -> bool {
        match &self.tree.node(play.then).kind {
            Kind::Menu(_) | Kind::Number(_) | Kind::Play(_) | Kind::Hours(_) => true,
            Kind::Text(_)
            | Kind::Ring(_)
            | Kind::Queue(_)
            | Kind::Voicemail(_)
            | Kind::Callback(_)
            | Kind::Transfer(_)
            | Kind::Hangup(_) => false,
        }
    }
}
