//! `menu`: offers keys; a key ends the prompt at once.
//!
//! Consent needs a clear disclosure before the key (47 CFR 64.1200(f)(9)): one that texts the caller does not count
//! until a word of the menu's own prompt was said, and is asked for again; any other key leads on, heard or not.

use std::time::Duration;

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
    /// From when on somebody who presses a key has heard some of them.
    heard_from: Option<Duration>,
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
        offer.heard_from.get_or_insert(self.heard_from(self.length(&first), now));
        let prompts: Vec<_> = first.into_iter().chain(offer.played.iter().cloned()).collect();
        self.at(id, Step::Menu(offer));
        if !self.say(&prompts, now, out) {
            self.wait(menu.wait, now);
        }
    }

    fn press(&mut self, id: NodeId, menu: &Menu, mut offer: Offer, digit: Digit, now: Now, out: &mut Vec<Action>) {
        if let Some(choice) = menu.keys.get(&digit) {
            let heard = offer.heard_from.is_some_and(|from| from <= now.mono);
            if !heard && self.tree.texts_without_a_key(choice.to) {
                return self.ask_first(id, menu, offer, now, out);
            }
            self.record(digit.as_char());
            let prompts = if heard { offer.played } else { vec![] };
            self.evidence = Evidence { digit: Some(digit), prompts };
            if let Some(language) = &choice.language {
                self.language = language.clone();
            }
            return self.go(choice.to, true, now, out);
        }
        self.record(digit.as_char());
        // What was typed ahead of a wrong key was meant for another menu.
        self.ahead.clear();
        offer.wrong_keys += 1;
        if offer.wrong_keys >= menu.wrong_keys {
            return self.stay(menu, offer, now, out);
        }
        let wrong_key = self.prompts(&menu.wrong_key);
        self.offer(id, menu, offer, wrong_key, now, out);
    }

    /// A key that texts was pressed before the offer was heard: the offer is made, or goes on.
    fn ask_first(&mut self, id: NodeId, menu: &Menu, offer: Offer, now: Now, out: &mut Vec<Action>) {
        if offer.played.is_empty() {
            self.ahead.clear();
            self.offer(id, menu, offer, vec![], now, out);
        }
    }

    fn stay(&mut self, menu: &Menu, offer: Offer, now: Now, out: &mut Vec<Action>) {
        self.evidence = Evidence { digit: None, prompts: offer.played };
        self.go(menu.stay, false, now, out);
    }
}
