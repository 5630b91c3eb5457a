//! `text`: asks for the text at once, so that it is on its way while the prompt says so.

use super::engine::{Engine, Event, RESULT_WAIT, Step};
use super::{Action, TextRequest, TextResult};
use crate::clock::Now;
use crate::tree::{Kind, NodeId, Text};

impl Engine {
    pub(super) fn enter_text(&mut self, id: NodeId, text: &Text, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Text);
        if !self.texts.stands(id) {
            let Some(to) = self.textable() else { return self.ask_for_number(id, text, now, out) };
            self.texts.ask(id);
            out.push(Action::Text(TextRequest {
                node: self.tree.node(id).name.clone(),
                to,
                template: text.message.clone(),
                reason: text.reason.clone(),
                language: self.language.clone(),
                evidence: self.evidence.clone(),
                path: self.path().to_vec(),
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
    pub(super) fn text(&mut self, id: NodeId, text: &Text, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Digit(_) => {}
            // What was promised shall be true before the call goes on.
            Event::Said if self.texts.is_open(id) => self.wait(RESULT_WAIT, now),
            Event::Said | Event::TimeOut => self.go(text.then, false, now, out),
        }
    }

    /// What became of the text that the node at which the call is asked for. If none will come, the promise is left in
    /// mid-sentence.
    pub(super) fn text_settled(&mut self, id: NodeId, result: &TextResult, now: Now, out: &mut Vec<Action>) {
        let (then, when_refused) = match &self.tree.node(id).kind {
            Kind::Text(text) => (text.then, text.when_refused),
            _ => return,
        };
        let trouble = self.trouble();
        match (result, when_refused) {
            (TextResult::Queued, _) if self.is_saying() => {}
            (TextResult::Queued, _) => self.go(then, false, now, out),
            // It is not the caller's number that is at fault.
            (TextResult::Failed(_), _) if !trouble.is_empty() => drop(self.say(&trouble, now, out)),
            (_, Some(to)) => self.go(to, false, now, out),
            (_, None) if self.is_saying() => {}
            (_, None) => self.go(then, false, now, out),
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
