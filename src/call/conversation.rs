//! A caller's conversation, from the first prompt to the last word: with the phone tree, and with people.

mod between;

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::ivr::{BRIEF, CallerFacts, Engine, HangupCause, Input};
use crate::model::{CallStart, EndedBy, Outcome};
use crate::sip::Ended;
use crate::sip::outbound::CallIds;

use self::between::{Between, Change};
use super::actor::Ending;
use super::features;
use super::leg::{Leg, News};
use super::perform::{Done, Performer};
use super::recording::{self, MOST_PIECES, Recording};
use super::switchboard::{Connected, Told};
use super::talk::{Said, Talk, next_of};
use super::{Book, Line, callback, hold, record, until};

/// How long a goodbye may take before the line is cut.
const GOODBYE_LIMIT: Duration = Duration::from_secs(8);

/// How a call ended.
type End = (EndedBy, String);

/// The conversation, from the first prompt to the last word.
pub(super) struct Conversation<'a> {
    line: &'a Arc<Line>,
    book: &'a Arc<Book>,
    start: &'a CallStart,
    caller: Leg,
    engine: Engine,
    performer: Performer<'a>,
    /// Whoever speaks with the caller.
    talk: Option<Talk>,
    /// When whoever has picked up will have spoken for long enough to have served the caller.
    serves_from: Option<Duration>,
    /// Why a caller who was connected waits for the next person.
    between: Option<Between>,
    /// The node for which conversations are recorded by now; the caller has been told.
    recorded_for: Option<String>,
    /// How the conversation ended whose person has gone in this moment.
    gone: Option<End>,
    recording: Option<Recording>,
    /// How many were begun.
    recordings: usize,
    answered_at: jiff::Timestamp,
}

impl<'a> Conversation<'a> {
    /// For a call that was answered.
    pub fn new(line: &'a Arc<Line>, book: &'a Arc<Book>, start: &'a CallStart, caller: Leg) -> Conversation<'a> {
        let facts = CallerFacts { caller: start.from.clone(), language: None };
        Conversation {
            line,
            book,
            start,
            caller,
            engine: Engine::new(book.tree.clone(), facts),
            performer: Performer::new(line, book.clone(), start),
            talk: None,
            serves_from: None,
            between: None,
            recorded_for: None,
            gone: None,
            recording: None,
            recordings: 0,
            answered_at: line.clock.now().wall,
        }
    }

    /// Goes on until it is over.
    pub async fn run(mut self) -> Ending {
        let (ended_by, cause) = loop {
            if let Some(end) = self.step().await {
                break end;
            }
            self.look_after_recording();
        };
        self.finish(ended_by, cause).await
    }

    /// Waits for what happens next and does what follows; the end, if that was it.
    async fn step(&mut self) -> Option<End> {
        let deadline = self.engine.next_deadline();
        let between = self.between.as_ref().and_then(Between::deadline);
        let input = tokio::select! {
            happened = self.caller.next() => {
                let news = self.caller.take(happened)?;
                match self.heard(news).await {
                    Heard::Input(input) => input,
                    Heard::Nothing => return None,
                    Heard::End(end) => return Some(end),
                }
            }
            said = next_of(&mut self.talk, self.line) => self.said(said).await?,
            done = self.performer.next() => {
                if let (Some(came), Some(talk)) = (self.performer.desk_text_came(), &self.talk) {
                    talk.session().play(features::sign(came));
                }
                match done {
                    Done::Tell(input) => input?,
                    Done::Told(told) => self.told(told)?,
                }
            }
            change = Between::next(&mut self.between) => match change {
                Change::Fetched(by) => {
                    self.connect(*by);
                    return None;
                }
                Change::Rung => self.transferred()?,
            },
            () = until(self.line, deadline) => Input::Deadline,
            () = until(self.line, self.serves_from) => {
                self.is_served();
                return None;
            }
            () = until(self.line, between) => {
                self.ring_back();
                return None;
            }
            () = self.line.goodbye.cancelled() => {
                self.say_goodbye().await;
                return Some((EndedBy::System, "shutdown".to_owned()));
            }
        };
        self.tell(input).await
    }

    /// Hands in what happened to the tree, and does what it wants.
    async fn tell(&mut self, input: Input) -> Option<End> {
        let now = self.line.clock.now();
        self.tell_spoken();
        let actions = self.engine.handle(now, input);
        self.line.registry.moved(self.start.id, self.engine.path(), now.wall);
        let cause = self.performer.perform(&self.caller, actions).map(HangupCause::as_str);
        // Whoever spoke with the caller and is gone has ended the call, unless the tree knows where else to go.
        let gone = self.gone.take();
        // In other hands the call is over without a word of the tree.
        let cause = cause.or(self.engine.is_over().then_some("transferred"))?;
        self.caller.dialog.bye("").await;
        Some(gone.unwrap_or_else(|| (EndedBy::System, cause.to_owned())))
    }

    /// Whatever ends a message, the tree is to know how much was said.
    fn tell_spoken(&mut self) {
        if let Some(spoken) = self.performer.spoken() {
            self.engine.handle(self.line.clock.now(), Input::Spoken(spoken));
        }
    }

    /// What the caller does.
    async fn heard(&mut self, news: News) -> Heard {
        match news {
            News::Confirmed => {
                info!(story = "call", "answered");
                Heard::Input(Input::Answered)
            }
            News::Digit(pressed) => match (&self.talk, &self.between) {
                (Some(talk), None) => {
                    talk.session().carry_digit(pressed);
                    Heard::Nothing
                }
                (_, Some(_)) => Heard::Nothing,
                (None, None) => {
                    // The digits of a number that somebody types are nobody's business.
                    if !self.engine.path().last().is_some_and(|node| node.starts_with("number:")) {
                        info!(story = "digit", key = %pressed.digit, by = ?pressed.source, "pressed");
                    }
                    Heard::Input(Input::Digit(pressed))
                }
            },
            News::PlayEnded(id) => match self.performer.play_ended(&self.caller.session, id) {
                Some(input) => Heard::Input(input),
                None => Heard::Nothing,
            },
            News::Held(held) => {
                if let Some(talk) = &self.talk {
                    hold(talk.session(), held, self.book);
                }
                Heard::Nothing
            }
            // Callers are not sent elsewhere by their own trunk.
            News::Refer { reply, .. } => {
                warn!("a transfer that the caller's side asked for was refused");
                tokio::spawn(reply.refuse(603));
                Heard::Nothing
            }
            News::Silent => {
                self.caller.dialog.bye("RTP timeout").await;
                Heard::End((EndedBy::Network, "rtp_timeout".to_owned()))
            }
            News::Ended { by: Ended::Local, cause } => {
                self.caller.dialog.bye("no usable answer").await;
                Heard::End((EndedBy::System, cause))
            }
            News::Ended { by, cause } => Heard::End((who(by), cause)),
        }
    }

    /// What the person does who speaks with the caller.
    async fn said(&mut self, said: Said) -> Option<Input> {
        match said {
            // Who is held, parked or handed on does not hear the keys.
            Said::Digit(pressed) if self.between.is_none() => self.caller.session.carry_digit(pressed),
            Said::Text => {
                if let Some(talk) = &self.talk {
                    info!("a text is asked for at the desk");
                    self.performer.text_from_desk(&self.engine, talk.phone());
                }
            }
            Said::Held(held) if self.between.is_none() => hold(&self.caller.session, held, self.book),
            Said::Digit(_) | Said::Held(_) => {}
            Said::Park => drop(self.park(None)),
            Said::Refer { to, replaces, reply } => self.refer(&to, replaces, reply).await,
            Said::Ended { by, cause } => {
                info!(%cause, "the person is gone");
                // Whoever slips has served nobody.
                self.serves_from = None;
                if let Some(talk) = self.talk.take() {
                    self.caller.session.unbridge();
                    talk.close().await;
                }
                self.line.registry.with(self.start.id, None, None);
                if self.between.is_none() {
                    self.caller.session.stop_playing();
                    self.performer.conversation_over();
                    self.gone = Some(match who(by) {
                        EndedBy::Caller => (EndedBy::Staff, "hangup".to_owned()),
                        by => (by, cause),
                    });
                    return Some(Input::ConversationOver);
                }
            }
        }
        None
    }

    /// What the switchboard says.
    fn told(&mut self, told: Told) -> Option<Input> {
        match told {
            Told::Place(place) => {
                self.line.registry.waits(self.start.id, Some(place));
                Some(Input::Place(place))
            }
            Told::OfferText => Some(Input::OfferText),
            Told::Unanswered(why) => self.nobody_came(why),
            Told::Connected(connected) => {
                let first = !self.performer.is_connected();
                record::leg_out(self.line, self.start.id, &connected, None);
                self.connect(*connected);
                first.then_some(Input::Connected)
            }
        }
    }

    /// From now on the caller speaks with this person, and with nobody before them.
    fn connect(&mut self, connected: Connected) {
        self.between = None;
        self.end_recording();
        if let Some(before) = self.talk.take() {
            tokio::spawn(before.dismiss());
        }
        let trunk = connected.leg.trunk().map(str::to_owned);
        self.line.registry.with(self.start.id, Some(connected.phone.clone()), trunk);
        info!("a person speaks with the caller");
        let call_ids = CallIds::one(connected.leg.dialog.call_id());
        self.line.traces.of(self.start.id).add(&connected.phone.to_string(), call_ids);
        self.serves_from = Some(self.line.clock.now().mono.saturating_add(BRIEF));
        let talk = Talk::join(&self.caller.session, connected);
        self.recorded_for = self.performer.connected();
        self.talk = Some(talk);
    }

    /// Notes who serves the caller, whom nobody has to call back any more.
    fn is_served(&mut self) {
        let (Some(_), Some(talk)) = (self.serves_from.take(), &self.talk) else { return };
        record::answered_by(&self.line.store, self.start.id, talk.phone());
        if let Some(number) = self.start.from.number() {
            callback::spoken_with(self.line, number, talk.phone());
        }
    }

    /// Records while a person speaks with the caller, where the caller was told so, and at no other moment: not on hold,
    /// not parked, not while they wait for the next.
    fn look_after_recording(&mut self) {
        let speak = |talk: &&Talk| self.between.is_none() && !talk.holds() && !self.caller.is_held();
        match (&self.recorded_for, self.talk.as_ref().filter(speak), &self.recording) {
            (Some(node), Some(talk), None) if self.recordings < MOST_PIECES => {
                let (call, keep) = (self.start.id, self.book.settings.retention.recordings);
                let recording = Recording::begin(self.line, call, node.clone(), keep, &self.caller, talk.leg());
                talk.session().play(recording::sign());
                self.recording = Some(recording);
                self.recordings += 1;
            }
            (_, None, Some(_)) => self.end_recording(),
            _ => {}
        }
    }

    fn end_recording(&mut self) {
        if let Some(recording) = self.recording.take() {
            self.performer.await_recording(recording.end());
        }
    }

    async fn say_goodbye(&mut self) {
        self.end_recording();
        if let Some(talk) = self.talk.take() {
            self.caller.session.unbridge();
            talk.close().await;
        }
        if self.performer.play_goodbye(&self.caller.session) {
            let (caller, performer) = (&mut self.caller, &self.performer);
            let spoken = async {
                loop {
                    let happened = caller.next().await;
                    match caller.take(happened) {
                        Some(News::PlayEnded(id)) if performer.is_playing(id) => return,
                        Some(News::Ended { .. }) => return,
                        _ => {}
                    }
                }
            };
            let _ = tokio::time::timeout(GOODBYE_LIMIT, spoken).await;
        }
        self.caller.dialog.bye("shutdown").await;
    }

    /// The call is over: what was begun comes to its end, and the record is made.
    async fn finish(mut self, ended_by: EndedBy, cause: String) -> Ending {
        let now = self.line.clock.now();
        // Nobody fetches the call any more, and no phone rings for it.
        self.between = None;
        self.end_recording();
        // A short word is one, where the caller ends it.
        self.is_served();
        if let Some(talk) = self.talk.take() {
            talk.close().await;
        }
        if self.performer.is_handed_off().await {
            self.engine.handle(now, Input::Transferred);
        }
        // What has reached the disk counts for the outcome: a text whose key was pressed, a message that was recorded.
        self.tell_spoken();
        let last = self.engine.handle(now, Input::HungUp);
        let _ = self.performer.perform(&self.caller, last);
        for input in self.performer.settle().await {
            self.engine.handle(now, input);
        }
        let outcome = if cause == "shutdown" && self.engine.outcome().unserved() {
            Outcome::Interrupted
        } else {
            self.engine.outcome()
        };
        Ending {
            outcome,
            ended_by,
            cause,
            answered_at: Some(self.answered_at),
            path: self.engine.path().to_vec(),
            digits: self.engine.digits().to_owned(),
            language: Some(self.engine.language().clone()),
            thread: self.performer.thread(),
            quality: Some(self.caller.session.close().await),
            waited: self.engine.waited(),
            unserved: self.engine.unserved(),
        }
    }
}

/// What the caller did comes to this.
enum Heard {
    Input(Input),
    End(End),
    Nothing,
}

/// Who ended a leg, as the record says it.
fn who(by: Ended) -> EndedBy {
    match by {
        Ended::Remote => EndedBy::Caller,
        Ended::Local => EndedBy::System,
        Ended::NoAck | Ended::SessionExpired | Ended::Lost => EndedBy::Network,
    }
}
