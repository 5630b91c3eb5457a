//! What all nodes share: where the call is, what is being said, which deadline is next, and what became of the caller.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::callback::Booking;
use super::menu::Offer;
use super::number::Entry;
use super::person::{Talk, Wait};
use super::queue::Waiting;
use super::requests::Requests;
use super::voicemail::Message;
use super::{Action, CallerFacts, Evidence, HangupCause, Input, TextResult};
use crate::clock::Now;
use crate::model::{Digit, Language, Outcome, PhoneNumber, PromptKey};
use crate::tree::{Kind, NodeId, Status, Tree};

/// No caller goes through so many nodes; a call that does is in a round that the tree's author did not mean.
const MOST_NODES: usize = 200;

/// Keys kept that were pressed before a node that wants them.
const MOST_AHEAD: usize = 20;

/// Keys so close together are typed in one breath, without listening between them.
const BREATH: Duration = Duration::from_millis(500);

/// Keys kept for the record.
const MOST_DIGITS: usize = 200;

/// How long the caller is kept in silence, after a promise, by a store that has not answered yet: a lock of another
/// program is waited for as long.
pub(super) const RESULT_WAIT: Duration = Duration::from_secs(6);

/// Prompts that have not ended so long after they should have are taken as ended.
const PLAY_GRACE: Duration = Duration::from_secs(5);

/// One call's way through its tree. See the module's contract.
#[derive(Debug)]
pub struct Engine {
    pub(super) tree: Arc<Tree>,
    /// The number that they typed and confirmed.
    pub(super) typed: Option<PhoneNumber>,
    pub(super) language: Language,
    pub(super) evidence: Evidence,
    /// When the last key was pressed.
    pub(super) keyed_at: Option<Duration>,
    /// Keys pressed before a node that wants them.
    pub(super) ahead: VecDeque<Digit>,
    /// The text that waits for a number, while one is asked for.
    pub(super) asked_by: Option<NodeId>,
    pub(super) texts: Requests,
    pub(super) messages: Requests,
    pub(super) callbacks: Requests,
    pub(super) wait: Wait,
    /// A person of the clinic spoke with the caller.
    pub(super) served: bool,
    /// The caller was handed to another phone.
    pub(super) transferred: bool,
    /// The caller chose something to hear by a key and heard it to its end.
    pub(super) informed: bool,
    pub(super) caller: Option<PhoneNumber>,
    pub(super) state: State,
    /// The time of the last input.
    pub(super) seen: Duration,
    sound: Sound,
    deadline: Option<Duration>,
    after_hours: bool,
    ended_by_us: bool,
    path: Vec<String>,
    digits: String,
}

/// Where the call is.
#[derive(Debug)]
pub(super) enum State {
    /// Not answered.
    Ringing,
    /// At a node, with what the node remembers.
    At(NodeId, Step),
    /// Over.
    Over,
}

/// What a node remembers.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Menu(Offer),
    Play {
        by_key: bool,
    },
    Text,
    Number(Entry),
    /// Of `ring` and `transfer`: whether it rings already.
    Ring {
        rings: bool,
    },
    Queue(Waiting),
    Voicemail(Message),
    Callback(Booking),
    /// A person speaks with the caller.
    Talking(Talk),
    /// Says its last words, then ends the call.
    Ending(HangupCause),
}

/// What the caller hears of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Silence,
    /// Prompts, which end.
    Words,
    /// Music, which does not.
    Music,
}

/// What a node is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Digit(Digit),
    /// Everything was said.
    Said,
    /// The time that the node asked for is over.
    TimeOut,
}

impl Engine {
    /// A call that is not answered yet.
    pub fn new(tree: Arc<Tree>, facts: CallerFacts) -> Engine {
        Engine {
            typed: None,
            language: facts.language.unwrap_or_else(|| tree.language().clone()),
            evidence: Evidence::default(),
            keyed_at: None,
            ahead: VecDeque::new(),
            asked_by: None,
            texts: Requests::default(),
            messages: Requests::default(),
            callbacks: Requests::default(),
            wait: Wait::default(),
            served: false,
            transferred: false,
            informed: false,
            caller: facts.caller.number().cloned(),
            state: State::Ringing,
            seen: Duration::ZERO,
            sound: Sound::Silence,
            deadline: None,
            after_hours: false,
            ended_by_us: false,
            path: Vec::new(),
            digits: String::new(),
            tree,
        }
    }

    /// Says what to do now that `input` happened.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        self.seen = now.mono;
        let was_heard = match self.sound {
            Sound::Silence => false,
            Sound::Words => input != Input::PlayEnded,
            Sound::Music => true,
        };
        match input {
            Input::Answered if matches!(self.state, State::Ringing) => self.go(self.tree.start(), false, now, &mut out),
            Input::Answered => {}
            Input::Digit(pressed) => {
                self.keyed_at = Some(now.mono);
                self.node(Event::Digit(pressed.digit), now, &mut out);
            }
            Input::PlayEnded => self.said(now, &mut out),
            Input::Deadline if self.deadline.is_none_or(|deadline| now.mono < deadline) => {}
            Input::Deadline if self.is_saying() => self.said(now, &mut out),
            Input::Deadline => {
                self.deadline = None;
                self.node(Event::TimeOut, now, &mut out);
            }
            Input::HungUp => {
                self.hung_up_recording(&mut out);
                self.over(now, &mut out);
            }
            Input::TextResult(result) => self.text_result(&result, now, &mut out),
            Input::Place(place) => self.placed(place),
            Input::OfferText => self.offer_now(now, &mut out),
            Input::Connected => self.connected(now),
            Input::Unanswered(why) => self.unanswered(why, now, &mut out),
            Input::ConversationOver => self.conversation_over(now, &mut out),
            Input::Transferred => self.handed_over(now, &mut out),
            Input::Spoken(spoken) => self.spoken(spoken),
            Input::RecordingEnded => self.recording_ended(now, &mut out),
            Input::Kept(length) => self.kept(length, now, &mut out),
            Input::CallbackBooked(result) => self.callback_booked(result, now, &mut out),
        }
        let replaces = |action: &Action| matches!(action, Action::Play(_) | Action::Loop(_) | Action::Hangup { .. });
        if was_heard && self.sound == Sound::Silence && !out.iter().any(replaces) && !self.is_over() {
            out.insert(0, Action::StopPlaying);
        }
        out
    }

    /// When to hand in [`Input::Deadline`], on the clock of [`Now::mono`]. An answered call always has one, but while a
    /// person speaks with the caller.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// The nodes that the call went through, in order.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The keys that menus and numbers took, in order; those of a number as `•`.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The caller's language by now.
    pub fn language(&self) -> &Language {
        &self.language
    }

    /// Whether the tree ended the call, or the caller is gone.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What became of the call; of a running one, what it would be if the caller hung up now. A text, a message or a
    /// call back counts as soon as it was asked for and until it is refused.
    pub fn outcome(&self) -> Outcome {
        if self.served {
            Outcome::Served
        } else if self.transferred {
            Outcome::Transferred
        } else if self.texts.any_stands() {
            Outcome::Texted
        } else if self.messages.any_stands() {
            Outcome::Voicemail
        } else if self.callbacks.any_stands() {
            Outcome::Callback
        } else if self.informed {
            Outcome::Informed
        } else if self.after_hours || self.ended_by_us || self.wait.in_vain {
            Outcome::Missed
        } else {
            Outcome::Abandoned
        }
    }

    /// Enters a node; `by_key`: the caller chose it.
    pub(super) fn go(&mut self, to: NodeId, by_key: bool, now: Now, out: &mut Vec<Action>) {
        self.fall_silent();
        self.let_go(now, out);
        if self.path.len() >= MOST_NODES {
            return self.end(to, &self.trouble(), HangupCause::TooManyNodes, now, out);
        }
        let tree = Arc::clone(&self.tree);
        let node = tree.node(to);
        self.path.push(node.name.clone());
        match &node.kind {
            Kind::Menu(menu) => self.enter_menu(to, menu, now, out),
            Kind::Play(play) => self.enter_play(to, play, by_key, now, out),
            Kind::Text(text) => self.enter_text(to, text, now, out),
            Kind::Number(number) => self.enter_number(to, number, now, out),
            Kind::Ring(ring) => self.enter_ring(to, ring, now, out),
            Kind::Queue(queue) => self.enter_queue(to, queue, now, out),
            Kind::Voicemail(voicemail) => self.enter_voicemail(to, voicemail, now, out),
            Kind::Callback(callback) => self.enter_callback(to, callback, now, out),
            Kind::Transfer(transfer) => self.enter_transfer(to, transfer, now, out),
            Kind::Hangup(hangup) => self.end(to, &self.prompts(&hangup.say), HangupCause::TreeEnded, now, out),
            Kind::Hours(hours) => {
                let status = hours.hours.status(now.wall, tree.zone());
                self.after_hours = status != Status::Open;
                let next = match status {
                    Status::Open => hours.when_open,
                    Status::Closed => hours.when_closed,
                    Status::Holiday => hours.when_holiday,
                };
                self.go(next, by_key, now, out);
            }
        }
    }

    /// Where a text goes: the number that the caller typed and confirmed, or their own if it takes texts. Asked when a
    /// text is wanted, not at the call's start: reading the numbering plan costs more than most calls' whole way.
    pub(super) fn textable(&self) -> Option<PhoneNumber> {
        self.typed.as_ref().or(self.caller.as_ref().filter(|number| number.can_text())).cloned()
    }

    /// Stays at a node and remembers `step`.
    pub(super) fn at(&mut self, id: NodeId, step: Step) {
        self.state = State::At(id, step);
    }

    /// Whether the call is at `id`.
    pub(super) fn is_at(&self, id: NodeId) -> bool {
        matches!(self.state, State::At(at, _) if at == id)
    }

    /// Says prompts instead of what is being said; they end with [`Event::Said`]. False: there was nothing to say.
    pub(super) fn say(&mut self, prompts: &[PromptKey], now: Now, out: &mut Vec<Action>) -> bool {
        if prompts.is_empty() {
            self.fall_silent();
            return false;
        }
        self.sound = Sound::Words;
        self.deadline = Some(now.mono.saturating_add(self.length(prompts)).saturating_add(PLAY_GRACE));
        out.push(Action::Play(prompts.to_vec()));
        true
    }

    /// Plays music, or goes on with it; after `time` comes [`Event::TimeOut`]. No music is the ringing of a telephone.
    pub(super) fn music(&mut self, names: &[String], time: Duration, now: Now, out: &mut Vec<Action>) {
        if self.sound != Sound::Music {
            out.push(Action::Loop(self.prompts(names)));
        }
        self.sound = Sound::Music;
        self.deadline = Some(now.mono.saturating_add(time));
    }

    /// How long prompts play.
    pub(super) fn length(&self, prompts: &[PromptKey]) -> Duration {
        prompts.iter().map(|prompt| self.tree.length(prompt)).sum()
    }

    /// From when on somebody who presses a key has heard a word of what is said `before` from now: keys so close
    /// together are typed in one breath, without listening between them.
    pub(super) fn heard_from(&self, before: Duration, now: Now) -> Duration {
        let in_one_breath = self.keyed_at.is_some_and(|at| now.mono.saturating_sub(at) < BREATH);
        let breath = if in_one_breath { BREATH } else { Duration::ZERO };
        now.mono.saturating_add(before.max(breath))
    }

    /// Nothing is heard, and nothing waited for.
    pub(super) fn fall_silent(&mut self) {
        self.sound = Sound::Silence;
        self.deadline = None;
    }

    /// The prompts of these names in the caller's language.
    pub(super) fn prompts<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Vec<PromptKey> {
        names.into_iter().map(|name| self.tree.prompt(&self.language, name)).collect()
    }

    /// What is said when something of ours fails.
    pub(super) fn trouble(&self) -> Vec<PromptKey> {
        self.tree.trouble(&self.language).into_iter().collect()
    }

    /// Whether something is being said.
    pub(super) fn is_saying(&self) -> bool {
        self.sound == Sound::Words
    }

    /// Falls silent and waits; the wait ends with [`Event::TimeOut`].
    pub(super) fn wait(&mut self, time: Duration, now: Now) {
        self.sound = Sound::Silence;
        self.deadline = Some(now.mono.saturating_add(time));
    }

    /// Keeps a key for a later node; one too many is dropped.
    pub(super) fn keep_for_later(&mut self, digit: Digit) {
        if self.ahead.len() < MOST_AHEAD {
            self.ahead.push_back(digit);
        }
    }

    /// Writes down a key, as the record may show it.
    pub(super) fn record(&mut self, shown: char) {
        if self.digits.chars().count() < MOST_DIGITS {
            self.digits.push(shown);
        }
    }

    pub(super) fn hang_up(&mut self, cause: HangupCause, now: Now, out: &mut Vec<Action>) {
        self.ended_by_us = true;
        self.over(now, out);
        out.push(Action::Hangup { cause });
    }

    pub(super) fn over(&mut self, now: Now, out: &mut Vec<Action>) {
        self.let_go(now, out);
        self.state = State::Over;
        self.fall_silent();
    }

    fn said(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.is_saying() {
            self.fall_silent();
            self.node(Event::Said, now, out);
        }
    }

    fn node(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        let State::At(id, step) = &self.state else { return };
        let (id, step) = (*id, step.clone());
        let tree = Arc::clone(&self.tree);
        match (&tree.node(id).kind, step) {
            (Kind::Menu(menu), Step::Menu(offer)) => self.menu(id, menu, offer, event, now, out),
            (Kind::Play(play), Step::Play { by_key }) => self.play(play, by_key, event, now, out),
            (Kind::Text(text), Step::Text) => self.text(id, text, event, now, out),
            (Kind::Number(number), Step::Number(entry)) => self.number(id, number, entry, event, now, out),
            (Kind::Ring(ring), Step::Ring { rings }) => self.ring(id, ring, rings, event, now, out),
            (Kind::Queue(queue), Step::Queue(waiting)) => self.queue(id, queue, waiting, event, now, out),
            (Kind::Voicemail(voicemail), Step::Voicemail(message)) => {
                self.voicemail(id, voicemail, message, event, now, out);
            }
            (Kind::Callback(callback), Step::Callback(booking)) => {
                self.callback(id, callback, booking, event, now, out);
            }
            (Kind::Transfer(transfer), Step::Ring { rings }) => self.transfer(id, transfer, rings, event, now, out),
            (_, Step::Ending(cause)) => self.ending(cause, event, now, out),
            // The keys are the person's.
            (_, Step::Talking(_)) => {}
            // A step is only made by the node of its kind.
            _ => {}
        }
    }

    fn text_result(&mut self, result: &TextResult, now: Now, out: &mut Vec<Action>) {
        let Some(id) = self.texts.settle(*result == TextResult::Queued) else { return };
        if self.is_at(id) {
            self.text_settled(id, result, now, out);
        }
    }
}
