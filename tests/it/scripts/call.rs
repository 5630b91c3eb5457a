//! A call in virtual time, with everything that it was made to do, and what the contract of the engine forbids.

use std::sync::Arc;
use std::time::Duration;

use threadline::clock::Now;
use threadline::ivr::{
    Action, CallbackRequest, CallbackWhen, CallerFacts, Engine, Input, JoinRequest, NoCallback, Place, TONE,
    TextRequest, TextResult,
};
use threadline::model::{Caller, Digit, DigitSource, PhoneNumber, Pressed, PromptKey};
use threadline::tree::Tree;

use crate::config::good_tree;

/// A Monday at ten in the clinic's zone.
pub const OPEN: &str = "2026-07-06T14:00:00Z";
/// A Sunday.
pub const CLOSED: &str = "2026-07-05T14:00:00Z";
pub const HOLIDAY: &str = "2026-12-25T15:00:00Z";
pub const MOBILE: &str = "+12125550142";

/// A call and everything that it was made to do, one line each.
pub struct Call {
    tree: Arc<Tree>,
    pub engine: Engine,
    pub now: Now,
    /// When what is being said ends.
    pub ends: Option<Duration>,
    /// What the store answers to a text; none: nothing yet.
    pub answer: Option<TextResult>,
    /// What it answers to a message; none: nothing yet.
    pub kept: Option<Option<Duration>>,
    /// What it answers to a call back; none: nothing yet.
    pub booked: Option<Result<(), NoCallback>>,
    pub log: Vec<String>,
    pub texts: Vec<TextRequest>,
    pub joins: Vec<JoinRequest>,
    pub callbacks: Vec<CallbackRequest>,
    /// Phones ring, or a place is held.
    pub holds: bool,
    /// A person speaks with the caller.
    pub talks: bool,
    pub records: bool,
    /// Since when, tone included, and until which silence.
    recorded: (Duration, Duration),
    /// Whether the caller speaks while they are recorded.
    pub speaks: bool,
    music: bool,
}

impl Call {
    pub fn ringing(tree: Arc<Tree>, caller: Caller, at: &str) -> Call {
        let engine = Engine::new(Arc::clone(&tree), CallerFacts { caller, language: None });
        let now = Now { mono: Duration::from_secs(1_000), wall: at.parse().unwrap() };
        Call {
            tree,
            engine,
            now,
            ends: None,
            answer: Some(TextResult::Queued),
            kept: Some(Some(Duration::from_secs(9))),
            booked: Some(Ok(())),
            log: vec![],
            texts: vec![],
            joins: vec![],
            callbacks: vec![],
            holds: false,
            talks: false,
            records: false,
            recorded: (Duration::ZERO, Duration::ZERO),
            speaks: true,
            music: false,
        }
    }

    pub fn answered(caller: Caller, at: &str) -> Call {
        let mut call = Call::ringing(good_tree(), caller, at);
        call.input(Input::Answered);
        call
    }

    pub fn from_mobile() -> Call {
        Call::answered(number(MOBILE), OPEN)
    }

    pub fn anonymous() -> Call {
        let mut call = Call::answered(Caller::Anonymous, OPEN);
        call.press("1");
        call.log.clear();
        call
    }

    pub fn input(&mut self, input: Input) {
        let over = self.engine.is_over();
        match input {
            Input::Connected if self.holds && !over => (self.holds, self.talks) = (false, true),
            Input::Unanswered(_) if self.holds && !over => self.holds = false,
            // Handed on in vain, by somebody who is gone.
            Input::Unanswered(_) if self.talks => self.talks = false,
            // Of a transfer alone: the tests say it of nothing else.
            Input::Transferred if self.holds && self.is_transfer() => self.holds = false,
            Input::ConversationOver | Input::HungUp => self.talks = false,
            _ => {}
        }
        if self.records {
            let spoken = self.engine.handle(self.now, Input::Spoken(self.spoken(&input)));
            assert!(spoken.is_empty(), "{spoken:?}");
        }
        let actions = self.engine.handle(self.now, input.clone());
        assert!(!over || actions.is_empty(), "{input:?} after the end: {actions:?}");
        let answers: Vec<Input> = actions.into_iter().filter_map(|action| self.perform(action)).collect();
        for answer in answers {
            self.input(answer);
        }
        assert!(!self.engine.is_over() || !(self.holds || self.records || self.talks), "{:?}", self.log);
    }

    /// How much the caller has said of their message when `input` comes.
    fn spoken(&self, input: &Input) -> Duration {
        let (since, silence) = self.recorded;
        let recorded = self.now.mono.saturating_sub(since).saturating_sub(TONE);
        match input {
            _ if !self.speaks => Duration::ZERO,
            Input::RecordingEnded => recorded.saturating_sub(silence),
            _ => recorded,
        }
    }

    fn is_transfer(&self) -> bool {
        self.engine.path().last().is_some_and(|node| node.starts_with("transfer:"))
    }

    /// Does `action`; says what it is answered.
    fn perform(&mut self, action: Action) -> Option<Input> {
        if self.talks {
            assert_eq!(action, Action::StopPlaying, "while a person speaks with the caller: {:?}", self.log);
        }
        match action {
            Action::Play(prompts) => {
                self.audible();
                let length: Duration = prompts.iter().map(|prompt| self.tree.length(prompt)).sum();
                self.ends = Some(self.now.mono + length);
                self.log.push(format!("play {}", names(&prompts)));
            }
            Action::Loop(prompts) => {
                self.audible();
                self.music = true;
                self.log.push(if prompts.is_empty() {
                    "ringing".to_owned()
                } else {
                    format!("music {}", names(&prompts))
                });
            }
            Action::StopPlaying => {
                self.ends = None;
                self.music = false;
                self.log.push("stop".to_owned());
            }
            Action::Text(request) => {
                let digit = request.evidence.digit.map(|digit| digit.to_string()).unwrap_or_default();
                let (node, to) = (&request.node, request.to.as_str());
                self.log.push(format!("{node} to {to}: {} {} by {digit}", request.language, request.template));
                self.texts.push(request);
                return self.answer.clone().map(Input::TextResult);
            }
            Action::Ring(request) => {
                self.hold();
                self.log.push(format!("ring {} for {:?}", request.node, request.give_up_after));
            }
            Action::Join(request) => {
                self.hold();
                self.log.push(format!("join {}", request.line));
                self.joins.push(request);
            }
            Action::Transfer(request) => {
                self.hold();
                self.log.push(format!("transfer to {}", request.to));
            }
            Action::Leave => {
                assert!(std::mem::take(&mut self.holds), "nothing to leave: {:?}", self.log);
                self.log.push("leave".to_owned());
            }
            Action::Record(request) => {
                assert!(!self.records && self.ends.is_none() && !self.music, "not silent: {:?}", self.log);
                self.records = true;
                self.recorded = (self.now.mono, request.silence);
                self.log.push("record".to_owned());
            }
            Action::Keep(request) => {
                assert!(std::mem::take(&mut self.records), "nothing to keep: {:?}", self.log);
                self.log.push(format!("keep {}", request.node));
                return self.kept.map(Input::Kept);
            }
            Action::Discard => {
                assert!(std::mem::take(&mut self.records), "nothing to discard: {:?}", self.log);
                self.log.push("discard".to_owned());
            }
            Action::BookCallback(request) => {
                let when = match &request.when {
                    CallbackWhen::Turn { line, .. } => format!("in line {line}"),
                    CallbackWhen::Opening => request.window.from.to_string(),
                };
                self.log.push(format!("{} calls {} {when}", request.node, request.to.as_str()));
                self.callbacks.push(request);
                return self.booked.map(Input::CallbackBooked);
            }
            Action::Hangup { cause } => {
                assert!(!self.holds && !self.records && !self.talks, "{:?}", self.log);
                self.ends = None;
                self.log.push(format!("hang up: {cause}"));
            }
        }
        None
    }

    fn audible(&mut self) {
        assert!(!self.records, "a recording hears it: {:?}", self.log);
        self.ends = None;
        self.music = false;
    }

    fn hold(&mut self) {
        assert!(!std::mem::replace(&mut self.holds, true), "two at once: {:?}", self.log);
    }

    pub fn press(&mut self, keys: &str) {
        for digit in keys.chars().map(|key| Digit::from_char(key).unwrap()) {
            self.input(Input::Digit(Pressed { digit, source: DigitSource::Event }));
        }
    }

    pub fn place(&mut self, position: usize) {
        self.input(Input::Place(Place { position, wait: None }));
    }

    /// Lets time pass; what is due happens when it is due.
    pub fn wait(&mut self, seconds: f64) {
        let until = self.now.mono + Duration::from_secs_f64(seconds);
        loop {
            let next = [self.ends, self.engine.next_deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.later(next.saturating_sub(self.now.mono));
            if self.ends.is_some_and(|ends| ends <= self.now.mono) {
                self.ends = None;
                self.input(Input::PlayEnded);
            } else {
                self.input(Input::Deadline);
            }
        }
        self.now = self.now.later(until.saturating_sub(self.now.mono));
    }

    pub fn finish(&mut self) {
        self.wait(100_000.0);
        assert!(self.engine.is_over(), "{:?}", self.log);
    }

    /// What was done since the last look.
    pub fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    #[track_caller]
    pub fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.done(), lines);
    }
}

fn names(prompts: &[PromptKey]) -> String {
    let names: Vec<_> = prompts
        .iter()
        .map(|prompt| match prompt.language.as_str() {
            "en" => prompt.name.clone(),
            other => format!("{other}/{}", prompt.name),
        })
        .collect();
    names.join(" ")
}

pub fn number(text: &str) -> Caller {
    Caller::Number(PhoneNumber::e164(text).unwrap())
}

pub fn parsed(text: &str) -> Arc<Tree> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tree.toml");
    std::fs::write(&file, text).unwrap();
    crate::config::tree(&file).unwrap_or_else(|problems| panic!("{problems}")).0
}
