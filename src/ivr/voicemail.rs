//! `voicemail`: a greeting, a tone, a message for the staff. The finishing key, silence, the longest time and hanging up
//! all keep it; one in which too little is said is forgotten, and may be tried once more. A key for a text counts all the while: the
//! greeting is what offers it.

use std::time::Duration;

use super::engine::{Engine, Event, RESULT_WAIT, State, Step};
use super::{Action, Evidence, MessageRequest, RecordRequest};
use crate::clock::Now;
use crate::model::{Digit, Unserved};
use crate::tree::{Kind, NodeId, Voicemail};

/// How long the tone is with which a recording begins.
pub const TONE: Duration = Duration::from_millis(500);

/// A recording whose end is not reported so long after its longest time is taken as ended.
const END_GRACE: Duration = Duration::from_secs(5);

/// How far the message has come.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// From when on somebody who presses a key has heard some of the greeting.
    heard_from: Duration,
    again: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The greeting, or that the message was too short.
    Greeting,
    /// It is recorded; the caller has said so much.
    Recording(Duration),
    /// The caller is thanked, or told that it could not be kept.
    Done,
}

impl Message {
    fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }
}

impl Engine {
    pub(super) fn enter_voicemail(&mut self, id: NodeId, voicemail: &Voicemail, now: Now, out: &mut Vec<Action>) {
        self.evidence = Evidence::default();
        self.ahead.clear();
        let message =
            Message { heard_from: self.heard_from(Duration::ZERO, now), again: false, phase: Phase::Greeting };
        let prompts = self.prompts(&voicemail.say);
        self.at(id, Step::Voicemail(message.clone()));
        if !self.say(&prompts, now, out) {
            self.start_recording(id, voicemail, message, now, out);
        }
    }

    pub(super) fn voicemail(
        &mut self,
        id: NodeId,
        voicemail: &Voicemail,
        message: Message,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match (message.phase, event) {
            (Phase::Done, Event::Digit(_)) => {}
            (_, Event::Digit(digit)) if voicemail.keys.contains_key(&digit) => {
                self.press_instead(voicemail, &message, digit, now, out);
            }
            (Phase::Greeting, Event::Digit(digit)) if digit == voicemail.finish => {
                self.start_recording(id, voicemail, message, now, out);
            }
            (Phase::Recording(_), Event::Digit(digit)) if digit == voicemail.finish => {
                self.recorded(id, voicemail, message, now, out);
            }
            (_, Event::Digit(_)) => {}
            (Phase::Greeting, Event::Said | Event::TimeOut) => self.start_recording(id, voicemail, message, now, out),
            (Phase::Recording(_), Event::Said | Event::TimeOut) => self.recorded(id, voicemail, message, now, out),
            // What was promised shall be true before the call goes on.
            (Phase::Done, Event::Said) if self.messages.is_open(id) => self.wait(RESULT_WAIT, now),
            (Phase::Done, Event::Said | Event::TimeOut) => self.go(voicemail.then, false, now, out),
        }
    }

    /// The caller has said so much.
    pub(super) fn spoken(&mut self, so_far: Duration) {
        if let State::At(_, Step::Voicemail(Message { phase: Phase::Recording(spoken), .. })) = &mut self.state {
            *spoken = so_far;
        }
    }

    /// The recording ended by itself.
    pub(super) fn recording_ended(&mut self, now: Now, out: &mut Vec<Action>) {
        let State::At(id, Step::Voicemail(message)) = &self.state else { return };
        let (id, message) = (*id, message.clone());
        let tree = std::sync::Arc::clone(&self.tree);
        if let (Kind::Voicemail(voicemail), Phase::Recording(_)) = (&tree.node(id).kind, message.phase) {
            self.recorded(id, voicemail, message, now, out);
        }
    }

    /// The caller is gone: what was said until now is kept.
    pub(super) fn hung_up_recording(&mut self, out: &mut Vec<Action>) {
        let State::At(id, Step::Voicemail(message)) = &self.state else { return };
        let (id, phase) = (*id, message.phase);
        let tree = std::sync::Arc::clone(&self.tree);
        if let (Kind::Voicemail(voicemail), Phase::Recording(spoken)) = (&tree.node(id).kind, phase) {
            self.keep_or_discard(id, voicemail, spoken, out);
        }
    }

    /// What became of a message.
    pub(super) fn kept(&mut self, length: Option<Duration>, now: Now, out: &mut Vec<Action>) {
        let Some(id) = self.messages.settle(length.is_some()) else { return };
        let is_done = matches!(&self.state, State::At(at, Step::Voicemail(message)) if *at == id && message.is_done());
        let then = match &self.tree.node(id).kind {
            Kind::Voicemail(voicemail) if is_done => voicemail.then,
            _ => return,
        };
        let trouble = self.trouble();
        match length {
            Some(_) if self.is_saying() => {}
            None if self.say(&trouble, now, out) => {}
            _ => self.go(then, false, now, out),
        }
    }

    fn start_recording(
        &mut self,
        id: NodeId,
        voicemail: &Voicemail,
        message: Message,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.at(id, Step::Voicemail(Message { phase: Phase::Recording(Duration::ZERO), ..message }));
        out.push(Action::Record(RecordRequest { longest: voicemail.longest, silence: voicemail.silence }));
        self.wait(TONE.saturating_add(voicemail.longest).saturating_add(END_GRACE), now);
    }

    fn recorded(&mut self, id: NodeId, voicemail: &Voicemail, message: Message, now: Now, out: &mut Vec<Action>) {
        let Phase::Recording(spoken) = message.phase else { return };
        if self.keep_or_discard(id, voicemail, spoken, out) {
            self.at(id, Step::Voicemail(Message { phase: Phase::Done, ..message }));
            let thanks = self.prompts(&voicemail.thanks);
            if !self.say(&thanks, now, out) {
                self.wait(RESULT_WAIT, now);
            }
            return;
        }
        let too_short = self.prompts(&voicemail.too_short);
        self.at(id, Step::Voicemail(Message { phase: Phase::Greeting, again: true, ..message }));
        if message.again || !self.say(&too_short, now, out) {
            self.go(voicemail.then, false, now, out);
        }
    }

    /// Whether enough was said to be kept.
    fn keep_or_discard(&mut self, id: NodeId, voicemail: &Voicemail, spoken: Duration, out: &mut Vec<Action>) -> bool {
        let long_enough = spoken >= voicemail.shortest;
        if long_enough {
            self.messages.ask(id);
            out.push(Action::Keep(MessageRequest {
                node: self.tree.node(id).name.clone(),
                reason: voicemail.reason.clone(),
                team: voicemail.team.clone(),
                language: self.language.clone(),
            }));
        } else {
            self.wait.attempt = Unserved::VoicemailTooShort;
            out.push(Action::Discard);
        }
        long_enough
    }

    /// Something else instead of a message.
    fn press_instead(
        &mut self,
        voicemail: &Voicemail,
        message: &Message,
        digit: Digit,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(to) = voicemail.keys.get(&digit).copied() else { return };
        if message.heard_from > now.mono && self.tree.texts_without_a_key(to) {
            return;
        }
        if let Phase::Recording(_) = message.phase {
            out.push(Action::Discard);
        }
        self.record(digit.as_char());
        self.evidence = Evidence { digit: Some(digit), prompts: self.prompts(&voicemail.say) };
        self.go(to, true, now, out);
    }
}
