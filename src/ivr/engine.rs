//! What all nodes share: where the call is, what is being said, which deadline is next, and what became of the caller.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::menu::Offer;
use super::number::Entry;
use super::{Action, CallerFacts, Evidence, HangupCause, Input, TextResult};
use crate::clock::Now;
use crate::model::{Digit, Language, Outcome, PhoneNumber, PromptKey};
use crate::tree::{Kind, NodeId, Status, Tree};

/// No caller goes through so many nodes; a call that does is in a round that the tree's author did not mean.
const MOST_NODES: usize = 200;

/// Keys kept that were pressed before a node that wants them.
const MOST_AHEAD: usize = 20;

/// Keys kept for the record.
const MOST_DIGITS: usize = 200;

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
    /// Each text in the order of its request.
    pub(super) texts: Vec<(NodeId, Fate)>,
    /// The caller chose something to hear by a key and heard it to its end.
    pub(super) informed: bool,
    caller: Option<PhoneNumber>,
    state: State,
    saying: bool,
    deadline: Option<Duration>,
    after_hours: bool,
    ended_by_us: bool,
    path: Vec<String>,
    digits: String,
}

/// Where the call is.
#[derive(Debug)]
enum State {
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
    /// Says its last words, then ends the call.
    Ending(HangupCause),
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Requested,
    Queued,
    Refused,
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
            texts: Vec::new(),
            informed: false,
            caller: facts.caller.number().cloned(),
            state: State::Ringing,
            saying: false,
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
        let was_saying = self.saying && !matches!(input, Input::PlayEnded);
        match input {
            Input::Answered if matches!(self.state, State::Ringing) => self.go(self.tree.start(), false, now, &mut out),
            Input::Answered => {}
            Input::Digit(pressed) => {
                self.keyed_at = Some(now.mono);
                self.node(Event::Digit(pressed.digit), now, &mut out);
            }
            Input::PlayEnded => self.said(now, &mut out),
            Input::Deadline if self.deadline.is_none_or(|deadline| now.mono < deadline) => {}
            Input::Deadline if self.saying => self.said(now, &mut out),
            Input::Deadline => {
                self.deadline = None;
                self.node(Event::TimeOut, now, &mut out);
            }
            Input::HungUp => self.over(),
            Input::TextResult(result) => self.text_result(&result, now, &mut out),
            // No node of this tree asks for a person.
            Input::Place(_)
            | Input::Connected
            | Input::Unanswered(_)
            | Input::ConversationOver
            | Input::Transferred
            | Input::RecordingEnded
            | Input::Kept(_)
            | Input::CallbackBooked(_) => {}
        }
        let replaced = out.iter().any(|action| matches!(action, Action::Play(_) | Action::Hangup { .. }));
        if was_saying && !self.saying && !replaced && !self.is_over() {
            out.insert(0, Action::StopPlaying);
        }
        out
    }

    /// When to hand in [`Input::Deadline`], on the clock of [`Now::mono`]. An answered call always has one.
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

    /// What became of the call; of a running one, what it would be if the caller hung up now. A text counts as soon
    /// as it was asked for and until it is refused.
    pub fn outcome(&self) -> Outcome {
        if self.texts.iter().any(|(_, fate)| *fate != Fate::Refused) {
            Outcome::Texted
        } else if self.informed {
            Outcome::Informed
        } else if self.after_hours || self.ended_by_us {
            Outcome::Missed
        } else {
            Outcome::Abandoned
        }
    }

    /// Enters a node; `by_key`: the caller chose it.
    pub(super) fn go(&mut self, to: NodeId, by_key: bool, now: Now, out: &mut Vec<Action>) {
        self.saying = false;
        self.deadline = None;
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
            self.saying = false;
            self.deadline = None;
            return false;
        }
        let length: Duration = prompts.iter().map(|prompt| self.tree.length(prompt)).sum();
        self.saying = true;
        self.deadline = Some(now.mono.saturating_add(length).saturating_add(PLAY_GRACE));
        out.push(Action::Play(prompts.to_vec()));
        true
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
        self.saying
    }

    /// Falls silent and waits; the wait ends with [`Event::TimeOut`].
    pub(super) fn wait(&mut self, time: Duration, now: Now) {
        self.saying = false;
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

    pub(super) fn hang_up(&mut self, cause: HangupCause, out: &mut Vec<Action>) {
        self.ended_by_us = true;
        self.over();
        out.push(Action::Hangup { cause });
    }

    fn over(&mut self) {
        self.state = State::Over;
        self.saying = false;
        self.deadline = None;
    }

    fn said(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.saying {
            self.saying = false;
            self.deadline = None;
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
            (_, Step::Ending(cause)) => self.ending(cause, event, out),
            // A step is only made by the node of its kind.
            _ => {}
        }
    }

    /// Results come in the order of the requests.
    fn text_result(&mut self, result: &TextResult, now: Now, out: &mut Vec<Action>) {
        let Some((id, fate)) = self.texts.iter_mut().find(|(_, fate)| *fate == Fate::Requested) else { return };
        let id = *id;
        *fate = match result {
            TextResult::Queued => Fate::Queued,
            TextResult::Refused(_) | TextResult::Failed(_) => Fate::Refused,
        };
        if self.is_at(id) {
            self.text_settled(id, result, now, out);
        }
    }
}
