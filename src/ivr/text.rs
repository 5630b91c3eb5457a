//! `text`: asks for the text at once, so that it is on its way while the prompt says so.

use super::engine::{Engine, Event, Fate, Step};
use super::{Action, TextRequest};
use crate::clock::Now;
use crate::tree::{Kind, NodeId, Text};

impl Engine {
    pub(super) fn enter_text(&mut self, id: NodeId, text: &Text, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Text);
        let sent = self.texts.iter().any(|(at, fate)| *at == id && *fate != Fate::Refused);
        if !sent {
            let Some(to) = self.textable.clone() else { return self.ask_for_number(id, text, now, out) };
            self.texts.push((id, Fate::Requested));
            out.push(Action::Text(TextRequest {
                node: self.tree.node(id).name.clone(),
                to,
                template: text.message.clone(),
                reason: text.reason.clone(),
                language: self.language.clone(),
                evidence: self.evidence.clone(),
            }));
        }
        // The key pressed twice in haste must not cut off what follows.
        self.ahead.clear();
        let prompts = self.prompts(&text.say);
        if !self.say(&prompts, now, out) {
            self.go(text.then, false, now, out);
        }
    }

    /// Keys are not heard: the caller hears that the text is coming.
    pub(super) fn text(&mut self, text: &Text, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut => self.go(text.then, false, now, out),
        }
    }

    /// No text will come: leaves the promise in mid-sentence if the tree says where to go.
    pub(super) fn text_refused(&mut self, id: NodeId, now: Now, out: &mut Vec<Action>) {
        let refused = match &self.tree.node(id).kind {
            Kind::Text(text) => text.when_refused,
            _ => None,
        };
        if let Some(to) = refused {
            self.go(to, false, now, out);
        }
    }

    fn ask_for_number(&mut self, id: NodeId, text: &Text, now: Now, out: &mut Vec<Action>) {
        match text.ask {
            Some(number) => {
                self.asked_by = Some(id);
                self.go(number, false, now, out);
            }
            None => self.go(text.when_refused.unwrap_or(text.then), false, now, out),
        }
    }
}
