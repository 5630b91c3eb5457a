//! `callback`: books a call back at once, so that it is booked while the prompt says so.

use jiff::{SignedDuration, Timestamp};

use super::engine::{Engine, Event, RESULT_WAIT, State, Step};
use super::{Action, CallbackRequest, CallbackWhen, CallbackWindow, Evidence, NoCallback};
use crate::clock::Now;
use crate::model::{PhoneNumber, PromptKey, Unserved};
use crate::tree::{Callback, Due, Group, Kind, NodeId, Stretch};

/// So many openings are tried: the one in which it is due, and those that follow.
const OPENINGS: usize = 3;
/// Where no hours say when the clinic is there, a place is kept for so long.
const WITHOUT_HOURS: SignedDuration = SignedDuration::from_hours(4);

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Booking {
    /// It is being booked.
    Asked,
    /// The last words are said; then the call goes on there.
    Said(NodeId),
}

impl Engine {
    pub(super) fn enter_callback(&mut self, id: NodeId, callback: &Callback, now: Now, out: &mut Vec<Action>) {
        self.evidence = Evidence::default();
        self.ahead.clear();
        if self.callbacks.stands(id) {
            return self.last_words(id, &callback.already, callback.then, now, out);
        }
        let Some(to) = self.typed.as_ref().or(self.caller.as_ref()).cloned() else {
            return match callback.ask {
                Some(number) => {
                    self.asked_by = Some(id);
                    self.go(number, false, now, out);
                }
                None => self.refuse_callback(id, callback, &[], now, out),
            };
        };
        let Some(request) = self.callback_request(id, callback, to, now) else {
            return self.refuse_callback(id, callback, &[], now, out);
        };
        self.callbacks.ask(id);
        out.push(Action::BookCallback(request));
        self.at(id, Step::Callback(Booking::Asked));
        let prompts = self.prompts(&callback.say);
        if !self.say(&prompts, now, out) {
            self.wait(RESULT_WAIT, now);
        }
    }

    pub(super) fn callback(
        &mut self,
        id: NodeId,
        callback: &Callback,
        booking: Booking,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match (booking, event) {
            (_, Event::Digit(_)) => {}
            (Booking::Asked, Event::Said) if self.callbacks.is_open(id) => self.wait(RESULT_WAIT, now),
            (Booking::Asked, Event::Said) => self.last_words(id, &callback.booked, callback.then, now, out),
            (Booking::Asked, Event::TimeOut) => self.go(callback.then, false, now, out),
            (Booking::Said(to), Event::Said | Event::TimeOut) => self.go(to, false, now, out),
        }
    }

    /// What became of a call back.
    pub(super) fn callback_booked(&mut self, result: Result<(), NoCallback>, now: Now, out: &mut Vec<Action>) {
        let stands = matches!(result, Ok(()) | Err(NoCallback::Already));
        let Some(id) = self.callbacks.settle(stands) else { return };
        let is_asked = matches!(self.state, State::At(at, Step::Callback(Booking::Asked)) if at == id);
        let tree = std::sync::Arc::clone(&self.tree);
        let Kind::Callback(callback) = &tree.node(id).kind else { return };
        if !stands {
            self.wait.attempt = Unserved::CallbackFailed;
        }
        if !is_asked {
            return;
        }
        match result {
            Ok(()) if self.is_saying() => {}
            Ok(()) => self.last_words(id, &callback.booked, callback.then, now, out),
            Err(NoCallback::Already) => self.last_words(id, &callback.already, callback.then, now, out),
            Err(NoCallback::Full) => self.refuse_callback(id, callback, &[], now, out),
            Err(NoCallback::Failed) => {
                let trouble = self.trouble();
                self.refuse_callback(id, callback, &trouble, now, out);
            }
        }
    }

    /// None: the hours never open.
    fn callback_request(&self, id: NodeId, callback: &Callback, to: PhoneNumber, now: Now) -> Option<CallbackRequest> {
        let (when, window, of_queue) = match callback.due {
            Due::Turn(queue) => {
                // The checker has seen that it names a queue.
                let Kind::Queue(queue) = &self.tree.node(queue).kind else { return None };
                let since = self.wait.in_line_since(&queue.line).unwrap_or(now.mono);
                let when = CallbackWhen::Turn { line: queue.line.clone(), priority: queue.priority, since };
                (when, self.window_of_line(now.wall), Some(&queue.group))
            }
            Due::Opening(hours) => {
                let Kind::Hours(node) = &self.tree.node(hours).kind else { return None };
                let stretches = node.hours.stretches(now.wall, self.tree.zone());
                // One that has begun is no longer the next.
                let next = stretches.skip_while(|stretch| stretch.from <= now.wall);
                (CallbackWhen::Opening, window(&self.tree.node(hours).name, next)?, None)
            }
        };
        let Group { members, strategy } = callback.group.as_ref().or(of_queue)?.clone();
        Some(CallbackRequest {
            node: self.tree.node(id).name.clone(),
            to,
            when,
            window,
            members,
            strategy,
            reason: callback.reason.clone(),
            language: self.language.clone(),
        })
    }

    /// A line is served in the hours that the call came through last, if it went on as open: a line for the time after
    /// them keeps no hours that we know.
    fn window_of_line(&self, now: Timestamp) -> CallbackWindow {
        let steps = self.path().iter().zip(self.path().iter().skip(1)).rev();
        let passed = steps.filter_map(|(name, to)| match &self.tree.named(name)?.kind {
            Kind::Hours(hours) => Some((name, hours, self.tree.node(hours.when_open).name == *to)),
            _ => None,
        });
        let kept = passed.take(1).find(|(_, _, open)| *open);
        kept.and_then(|(name, node, _)| window(name, node.hours.stretches(now, self.tree.zone()))).unwrap_or_else(
            || {
                let last = now.checked_add(WITHOUT_HOURS).unwrap_or(now);
                CallbackWindow { hours: None, from: now, until: last, last }
            },
        )
    }

    fn refuse_callback(
        &mut self,
        id: NodeId,
        callback: &Callback,
        words: &[PromptKey],
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.wait.attempt = Unserved::CallbackFailed;
        let to = callback.when_refused.unwrap_or(callback.then);
        self.at(id, Step::Callback(Booking::Said(to)));
        if !self.say(words, now, out) {
            self.go(to, false, now, out);
        }
    }

    fn last_words(&mut self, id: NodeId, words: &[String], then: NodeId, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Callback(Booking::Said(then)));
        let prompts = self.prompts(words);
        if !self.say(&prompts, now, out) {
            self.go(then, false, now, out);
        }
    }
}

/// The first of these openings, and the end of the last that is tried; none: they never come.
fn window(hours: &str, mut openings: impl Iterator<Item = Stretch>) -> Option<CallbackWindow> {
    let first = openings.next()?;
    let last = openings.take(OPENINGS - 1).last().unwrap_or(first).to;
    Some(CallbackWindow { hours: Some(hours.to_owned()), from: first.from, until: first.to, last })
}
