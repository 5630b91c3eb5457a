//! `queue`: the caller waits in a line, with music. Now and then it says where they stand and offers a text instead;
//! a key counts at any moment, in the middle of a word or of the music.
//!
//! A text needs a clear disclosure before its key (47 CFR 64.1200(f)(9)): a key that was pressed before any word of the
//! offer was said makes the offer, and is asked for again.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Event, State, Step};
use super::{Action, Evidence, JoinRequest, Place};
use crate::clock::Now;
use crate::model::{Digit, PromptKey, Unserved};
use crate::tree::{Announced, Kind, NodeId, OfferText, Queue, position_prompt, wait_prompt};

/// How far the waiting has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Since when the caller has had a place; none: they hear first that the conversation is recorded.
    joined: Option<Duration>,
    /// What is being said says that.
    tells_of_recording: bool,
    /// The place, as last told.
    pub(super) place: Option<Place>,
    next_offer: Option<Duration>,
    next_announcement: Option<Duration>,
    /// What is being said, if anything is, is the offer.
    offering: bool,
    /// From when on somebody who presses the text's key has heard some of its offer.
    offered_from: Option<Duration>,
}

impl Engine {
    pub(super) fn enter_queue(&mut self, id: NodeId, queue: &Queue, now: Now, out: &mut Vec<Action>) {
        // Whatever key led here was pressed for a person, not for a text.
        self.evidence = Evidence::default();
        self.ahead.clear();
        self.tell_or_join(id, queue, Waiting::default(), now, out);
    }

    pub(super) fn queue(
        &mut self,
        id: NodeId,
        queue: &Queue,
        waiting: Waiting,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match (event, waiting.joined) {
            (Event::Digit(digit), _) => self.press_in_line(id, queue, waiting, digit, now, out),
            (Event::Said | Event::TimeOut, Some(since)) => self.wait_on(id, queue, waiting, since, now, out),
            (Event::Said | Event::TimeOut, None) if waiting.tells_of_recording => {
                self.join(id, queue, waiting, now, out)
            }
            (Event::Said | Event::TimeOut, None) => self.tell_or_join(id, queue, waiting, now, out),
        }
    }

    /// Nobody may be rung before the caller knows that the conversation is recorded.
    fn tell_or_join(&mut self, id: NodeId, queue: &Queue, waiting: Waiting, now: Now, out: &mut Vec<Action>) {
        let record = self.prompts(&queue.record);
        self.at(id, Step::Queue(Waiting { tells_of_recording: true, ..waiting.clone() }));
        if !self.say(&record, now, out) {
            self.join(id, queue, waiting, now, out);
        }
    }

    pub(super) fn join(&mut self, id: NodeId, queue: &Queue, mut waiting: Waiting, now: Now, out: &mut Vec<Action>) {
        out.push(Action::Join(JoinRequest {
            node: self.tree.node(id).name.clone(),
            line: queue.line.clone(),
            priority: queue.priority,
            since: self.wait.join(&queue.line, now),
            members: queue.group.members.clone(),
            strategy: queue.group.strategy,
            most_waiting: queue.most_waiting,
            reason: queue.reason.clone(),
            record: !queue.record.is_empty(),
        }));
        self.wait.begin(now, Unserved::InLine { position: None, waited: Duration::ZERO });
        waiting.joined = Some(now.mono);
        waiting.tells_of_recording = false;
        waiting.next_offer = queue.offer_text.as_ref().map(|offer| now.mono.saturating_add(offer.after));
        waiting.next_announcement = queue.announce.map(|announce| now.mono.saturating_add(announce.every));
        let prompts = self.prompts(&queue.say);
        self.at(id, Step::Queue(waiting.clone()));
        if !self.say(&prompts, now, out) {
            self.wait_on(id, queue, waiting, now.mono, now, out);
        }
    }

    /// Does what is due, else plays music until something is.
    fn wait_on(
        &mut self,
        id: NodeId,
        queue: &Queue,
        mut waiting: Waiting,
        since: Duration,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let end = since.saturating_add(queue.give_up_after);
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now.mono);
        if end <= now.mono {
            return self.give_up(now, out);
        }
        if let Some(offer) = queue.offer_text.as_ref().filter(|_| is_due(waiting.next_offer)) {
            return self.offer_text(id, offer, waiting, now, out);
        }
        if let Some(announce) = queue.announce.filter(|_| is_due(waiting.next_announcement)) {
            let prompt = waiting.place.map(|place| self.announcement(announce.what, place));
            waiting.next_announcement = Some(self.after_saying(prompt.as_slice(), announce.every, now));
            if let Some(prompt) = prompt {
                waiting.offering = false;
                self.at(id, Step::Queue(waiting));
                self.say(&[prompt], now, out);
                return;
            }
        }
        waiting.offering = false;
        let next = [waiting.next_offer, waiting.next_announcement].into_iter().flatten().min();
        self.at(id, Step::Queue(waiting));
        self.music(&queue.music, next.map_or(end, |next| next.min(end)).saturating_sub(now.mono), now, out);
    }

    fn offer_text(&mut self, id: NodeId, offer: &OfferText, mut waiting: Waiting, now: Now, out: &mut Vec<Action>) {
        let prompts = self.prompts(&offer.say);
        waiting.next_offer = Some(self.after_saying(&prompts, offer.every, now));
        waiting.offered_from.get_or_insert(self.heard_from(Duration::ZERO, now));
        waiting.tells_of_recording = false;
        waiting.offering = true;
        self.at(id, Step::Queue(waiting));
        self.say(&prompts, now, out);
    }

    /// Makes the offer out of its turn, unless it is being made, or something is being said that must be heard first.
    pub(super) fn offer_now(&mut self, now: Now, out: &mut Vec<Action>) {
        let State::At(id, Step::Queue(waiting)) = &self.state else { return };
        let (id, waiting) = (*id, waiting.clone());
        let tree = Arc::clone(&self.tree);
        let Kind::Queue(queue) = &tree.node(id).kind else { return };
        let is_being_made = self.is_saying() && waiting.offering;
        if let Some(offer) = queue.offer_text.as_ref().filter(|_| waiting.joined.is_some() && !is_being_made) {
            self.offer_text(id, offer, waiting, now, out);
        }
    }

    fn press_in_line(
        &mut self,
        id: NodeId,
        queue: &Queue,
        waiting: Waiting,
        digit: Digit,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let Some(offer) = queue.offer_text.as_ref().filter(|offer| offer.key == digit) {
            match waiting.offered_from {
                Some(from) if from <= now.mono => {
                    self.record(digit.as_char());
                    self.evidence = Evidence { digit: Some(digit), prompts: self.prompts(&offer.say) };
                    self.go(offer.to, true, now, out);
                }
                // It is being made.
                Some(_) => {}
                None => self.offer_text(id, offer, waiting, now, out),
            }
        } else if let Some(to) = queue.keys.get(&digit) {
            self.record(digit.as_char());
            self.go(*to, true, now, out);
        }
    }

    fn announcement(&self, what: Announced, place: Place) -> PromptKey {
        let name = match (what, place.wait) {
            (Announced::Wait, Some(wait)) => wait_prompt(wait),
            _ => position_prompt(place.position),
        };
        self.tree.prompt(&self.language, name)
    }

    /// When something is due again that is said now.
    fn after_saying(&self, prompts: &[PromptKey], every: Duration, now: Now) -> Duration {
        now.mono.saturating_add(self.length(prompts)).saturating_add(every)
    }
}
