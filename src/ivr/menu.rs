//! `menu`: offers keys; a key ends the prompt at once.

use super::Action;
use super::Evidence;
use super::engine::{Engine, Event, Step};
use crate::clock::Now;
use crate::model::{Digit, PromptKey};
use crate::tree::{Menu, NodeId};

/// How far a visit to a menu has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    /// The prompts of the menu, once they were played.
    played: Vec<PromptKey>,
    repeats: u32,
    wrong_keys: u32,
}

impl Engine {
    pub(super) fn enter_menu(&mut self, id: NodeId, menu: &Menu, now: Now, out: &mut Vec<Action>) {
        match self.ahead.pop_front() {
            Some(digit) => self.press(id, menu, Offer::default(), digit, now, out),
            None => self.offer(id, menu, Offer::default(), vec![], now, out),
        }
    }

    pub(super) fn menu(
        &mut self,
        id: NodeId,
        menu: &Menu,
        offer: Offer,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::Digit(digit) => self.press(id, menu, offer, digit, now, out),
            Event::Said => self.wait(menu.wait, now),
            Event::TimeOut if offer.repeats < menu.repeat => {
                self.offer(id, menu, Offer { repeats: offer.repeats + 1, ..offer }, vec![], now, out);
            }
            Event::TimeOut => self.stay(menu, offer, now, out),
        }
    }

    /// Plays `first`, then the menu.
    fn offer(
        &mut self,
        id: NodeId,
        menu: &Menu,
        mut offer: Offer,
        first: Vec<PromptKey>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        offer.played = self.prompts(&menu.say);
        let prompts: Vec<_> = first.into_iter().chain(offer.played.iter().cloned()).collect();
        self.at(id, Step::Menu(offer));
        if !self.say(&prompts, now, out) {
            self.wait(menu.wait, now);
        }
    }

    fn press(&mut self, id: NodeId, menu: &Menu, mut offer: Offer, digit: Digit, now: Now, out: &mut Vec<Action>) {
        self.record(digit.as_char());
        if let Some(choice) = menu.keys.get(&digit) {
            // Pressed ahead of the menu: what was heard until then is all there is to show.
            let prompts = if offer.played.is_empty() { self.heard.clone() } else { offer.played };
            self.evidence = Evidence { digit: Some(digit), prompts };
            if let Some(language) = &choice.language {
                self.language = language.clone();
            }
            return self.go(choice.to, true, now, out);
        }
        // What was typed ahead of a wrong key was meant for another menu.
        self.ahead.clear();
        offer.wrong_keys += 1;
        if offer.wrong_keys >= menu.wrong_keys {
            return self.stay(menu, offer, now, out);
        }
        let wrong_key = self.prompts(&menu.wrong_key);
        self.offer(id, menu, offer, wrong_key, now, out);
    }

    fn stay(&mut self, menu: &Menu, offer: Offer, now: Now, out: &mut Vec<Action>) {
        self.evidence = Evidence { digit: None, prompts: offer.played };
        self.go(menu.stay, false, now, out);
    }
}
