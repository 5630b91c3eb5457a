//! What the phone tree wants, done: prompts played, texts written, people rung, messages recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::ivr::{Action, Engine, HangupCause, Input, MessageRequest, RingRequest, TextRequest, TextResult};
use crate::media::{PlayId, Prompt, Session};
use crate::model::{CallStart, Member, Phone, PromptKey, Strategy, ThreadId};

use super::dial::Shown;
use super::hand_off::HandOff;
use super::leg::Leg;
use super::record::NoText;
use super::switchboard::{Ticket, Told};
use super::voicemail::{Kept, Voice};
use super::{Book, Line, callback, record, ringback, voicemail};

/// How long the end of a call waits for what has to reach the disk before it is recorded without.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// How long the end of a call waits for what its signalling has heard already.
const LAST_WORD: Duration = Duration::from_millis(200);
/// The prompt that ends a call when the daemon stops.
pub const GOODBYE: &str = "closing";

/// Tasks of their own: what they write is written even if this call falls over.
type Writing = JoinHandle<Written>;

/// What a task wrote.
enum Written {
    Text(Result<ThreadId, NoText>),
    /// A text that somebody of the clinic sent during the call.
    DeskText(Result<ThreadId, NoText>),
    Voicemail(Result<Kept, String>),
    Callback(Result<ThreadId, crate::ivr::NoCallback>),
    /// A conversation that was recorded; what could not be kept is in the log.
    Recording,
}

/// Something under way has come to its end, or further.
pub(super) enum Done {
    /// The tree is to know of it, if of anything.
    Tell(Option<Input>),
    /// The switchboard says something.
    Told(Told),
}

/// Does one call's actions and remembers what is under way.
pub(super) struct Performer<'a> {
    line: &'a Arc<Line>,
    book: Arc<Book>,
    start: &'a CallStart,
    playing: Option<PlayId>,
    voice: Option<Voice>,
    /// The tree knows.
    recording_ended: bool,
    writing: VecDeque<Writing>,
    thread: Option<ThreadId>,
    reason: Option<String>,
    /// The next conversation is to be recorded, for this node.
    recorded: Option<String>,
    connected: bool,
    /// While phones ring for the caller, or they have a place in a line.
    ticket: Option<Ticket>,
    /// How many the desk has sent in this call.
    desk_texts: usize,
    /// Whether the last of them is on its way; nobody has been told so yet.
    desk_text_came: Option<bool>,
    /// The trunk is asked to connect the caller.
    hand_off: Option<HandOff>,
}

impl<'a> Performer<'a> {
    /// For a call that has just been answered.
    pub fn new(line: &'a Arc<Line>, book: Arc<Book>, start: &'a CallStart) -> Performer<'a> {
        Performer {
            line,
            book,
            start,
            playing: None,
            voice: None,
            recording_ended: false,
            writing: VecDeque::new(),
            thread: None,
            reason: None,
            recorded: None,
            connected: false,
            ticket: None,
            desk_texts: 0,
            desk_text_came: None,
            hand_off: None,
        }
    }

    /// Does `actions` in order; answers the cause when one of them ends the call.
    pub fn perform(&mut self, caller: &Leg, actions: Vec<Action>) -> Option<HangupCause> {
        let session = &caller.session;
        for action in actions {
            match action {
                Action::Play(prompts) => self.play(session, &prompts),
                Action::Loop(prompts) => {
                    self.playing = None;
                    let music = self.find(&prompts);
                    session.play_looped(if music.is_empty() { vec![ringback()] } else { music });
                }
                Action::StopPlaying => {
                    self.playing = None;
                    session.stop_playing();
                }
                Action::Text(request) => self.text(request),
                Action::Ring(request) => {
                    self.wait_for_somebody(&request.reason, request.record.then(|| request.node.clone()));
                    let shown = self.shown(caller);
                    self.ticket = Some(self.line.switchboard.ring(self.start.id, request, shown));
                }
                Action::Join(request) => {
                    self.wait_for_somebody(&request.reason, request.record.then(|| request.node.clone()));
                    let shown = self.shown(caller);
                    self.ticket = Some(self.line.switchboard.join(self.start.id, request, shown));
                }
                Action::Transfer(request) => {
                    self.wait_for_somebody(&request.reason, None);
                    let shown = self.shown(caller);
                    self.hand_off = HandOff::begin(self.line, caller, &self.start.trunk, &request, shown.clone());
                    if self.hand_off.is_none() {
                        self.ring_one(shown, request.node, request.to, request.ring_for);
                    }
                }
                Action::Leave => self.leave(),
                Action::Record(request) => {
                    self.playing = None;
                    self.recording_ended = false;
                    self.voice = Some(Voice::begin(session, request));
                }
                Action::Keep(request) => self.keep(request),
                Action::Discard => self.voice = None,
                Action::BookCallback(request) => {
                    let booking = callback::book(self.line, self.start, request);
                    self.writing.push_back(tokio::spawn(async move { Written::Callback(booking.await) }));
                }
                Action::Hangup { cause } => return Some(cause),
            }
        }
        None
    }

    /// Whether `id` is what plays now; what was replaced ends unheard.
    pub fn is_playing(&self, id: PlayId) -> bool {
        self.playing == Some(id)
    }

    /// A playback has ended: what that means, if anybody waits for it.
    pub fn play_ended(&mut self, session: &Session, id: PlayId) -> Option<Input> {
        if let Some(voice) = &mut self.voice {
            voice.play_ended(session, id);
        }
        self.is_playing(id).then_some(Input::PlayEnded)
    }

    /// What comes next of what is under way; for ever nothing while nothing is. Cancel-safe.
    pub async fn next(&mut self) -> Done {
        tokio::select! {
            told = told(&mut self.ticket) => {
                if matches!(told, Told::Connected(_) | Told::Unanswered(_)) {
                    self.ticket = None;
                }
                Done::Told(told)
            }
            written = next_of(&mut self.writing) => {
                self.writing.pop_front();
                Done::Tell(self.written(written))
            }
            () = voicemail::ended(&self.voice), if !self.recording_ended => {
                self.recording_ended = true;
                Done::Tell(Some(Input::RecordingEnded))
            }
            handed = handed_off(&mut self.hand_off) => Done::Tell(self.handed_off(handed)),
        }
    }

    /// Whether the trunk has said that the caller is in other hands and hung up in the same moment, as some do.
    pub async fn is_handed_off(&mut self) -> bool {
        if self.hand_off.is_none() {
            return false;
        }
        tokio::time::timeout(LAST_WORD, handed_off(&mut self.hand_off)).await.unwrap_or(false)
    }

    fn handed_off(&mut self, handed: bool) -> Option<Input> {
        let HandOff { request, shown, .. } = self.hand_off.take()?;
        if handed {
            return Some(Input::Transferred);
        }
        self.ring_one(shown, request.node, request.to, request.ring_for);
        None
    }

    /// How much of their message the caller has said; none while none is recorded.
    pub fn spoken(&self) -> Option<Duration> {
        self.voice.as_ref().map(Voice::spoken)
    }

    /// The end of a call: waits a little for what is still under way; what came of it.
    pub async fn settle(&mut self) -> Vec<Input> {
        self.leave();
        let mut inputs = Vec::new();
        let settled = tokio::time::timeout(SETTLE_LIMIT, async {
            while !self.writing.is_empty() {
                let written = next_of(&mut self.writing).await;
                self.writing.pop_front();
                inputs.extend(self.written(written));
            }
        });
        if settled.await.is_err() {
            warn!("the store did not take in time what the call brought");
        }
        inputs
    }

    /// The thread that this call opened or continued.
    pub fn thread(&self) -> Option<ThreadId> {
        self.thread
    }

    /// Plays the goodbye; false where the clinic has no such prompt.
    pub fn play_goodbye(&mut self, session: &Session) -> bool {
        let language = self.book.settings.clinic.language.clone();
        let goodbye = self.book.prompts.find(&language, GOODBYE);
        self.playing = goodbye.map(|prompt| session.play(vec![prompt]));
        self.playing.is_some()
    }

    /// Says digits to somebody of the clinic.
    pub fn say_digits(&self, session: &Session, digits: &str) {
        super::say_digits(session, digits, &self.book);
    }

    /// What phones show of the caller.
    pub fn shown(&self, caller: &Leg) -> Shown {
        let reason = self.reason.clone();
        Shown {
            reason,
            codec: caller.codec(),
            legs: self.line.traces.of(self.start.id),
            ..Shown::patient(self.start.from.clone())
        }
    }

    /// Whether a person has spoken, or speaks, with the caller since the tree asked for one.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Somebody speaks with the caller; answers the node that wants it recorded.
    pub fn connected(&mut self) -> Option<String> {
        (self.connected, self.ticket) = (true, None);
        self.playing = None;
        self.recorded.clone()
    }

    /// Nobody speaks with the caller any more, or will.
    pub fn conversation_over(&mut self) {
        self.connected = false;
        self.recorded = None;
    }

    /// Rings one phone for a caller whom somebody has put down.
    pub fn ring_one(&mut self, shown: Shown, node: String, phone: Phone, ring_for: Duration) {
        self.ticket = None;
        let request = RingRequest {
            node,
            members: vec![Member { phone, delay: Duration::ZERO, ring_for }],
            strategy: Strategy::All,
            give_up_after: ring_for,
            reason: self.reason.clone(),
            record: false,
        };
        self.ticket = Some(self.line.switchboard.ring(self.start.id, request, shown));
    }

    /// Texts the caller, as the person wants who speaks with them.
    pub fn text_from_desk(&mut self, engine: &Engine, by: &Phone) {
        let (path, language, count) = (engine.path(), engine.language(), self.desk_texts);
        self.desk_texts += 1;
        let (call, to) = (self.start.id, &self.start.from);
        let writing = record::desk_text(self.line, &self.book, call, to, count, path, language, by);
        self.writing.push_back(tokio::spawn(async move { Written::DeskText(writing.await) }));
    }

    /// What became of the last text from the desk, once.
    pub fn desk_text_came(&mut self) -> Option<bool> {
        self.desk_text_came.take()
    }

    /// A conversation's recording has ended and is being kept: the call's end waits for it.
    pub fn await_recording(&mut self, keeping: JoinHandle<()>) {
        self.writing.push_back(tokio::spawn(async move {
            let _ = keeping.await;
            Written::Recording
        }));
    }

    fn wait_for_somebody(&mut self, reason: &Option<String>, recorded: Option<String>) {
        self.ticket = None;
        self.connected = false;
        self.reason.clone_from(reason);
        self.recorded = recorded;
    }

    fn leave(&mut self) {
        (self.hand_off, self.ticket) = (None, None);
    }

    fn find(&self, keys: &[PromptKey]) -> Vec<Arc<Prompt>> {
        // The checker has seen that every prompt is there; one that went missing since is skipped, not waited for.
        keys.iter().filter_map(|key| self.book.prompts.find(&key.language, &key.name)).collect()
    }

    fn play(&mut self, session: &Session, keys: &[PromptKey]) {
        for key in keys {
            debug!(story = "prompt", name = %key.name, language = %key.language, "plays");
        }
        self.playing = Some(session.play(self.find(keys)));
    }

    fn text(&mut self, request: TextRequest) {
        info!(story = "text", node = %request.node, to = ?request.to, "the caller chose a text");
        let writing = record::text(self.line, &self.book, self.start, request);
        self.writing.push_back(tokio::spawn(async move { Written::Text(writing.await) }));
    }

    fn keep(&mut self, request: MessageRequest) {
        let Some(voice) = self.voice.take() else { return };
        info!(story = "voicemail", node = %request.node, "the caller left a message");
        let keeping = voicemail::keep(self.line, self.start, voice, request);
        self.writing.push_back(tokio::spawn(async move { Written::Voicemail(keeping.await) }));
    }

    fn written(&mut self, written: Result<Written, String>) -> Option<Input> {
        match written {
            Ok(Written::Text(Ok(thread))) => {
                self.thread = Some(thread);
                Some(Input::TextResult(TextResult::Queued))
            }
            Ok(Written::Text(Err(NoText::Refused(reason)))) => {
                info!(reason, "the caller may not be texted");
                Some(Input::TextResult(TextResult::Refused(reason)))
            }
            Ok(Written::Text(Err(NoText::Failed(reason)))) => {
                error!(reason, "a text that the caller asked for could not be written");
                Some(Input::TextResult(TextResult::Failed(reason)))
            }
            Ok(Written::DeskText(Ok(thread))) => {
                self.thread = Some(thread);
                self.desk_text_came = Some(true);
                None
            }
            Ok(Written::DeskText(Err(NoText::Refused(reason) | NoText::Failed(reason)))) => {
                warn!(reason, "a text from the desk could not be sent");
                self.desk_text_came = Some(false);
                None
            }
            Ok(Written::Voicemail(Ok(kept))) => {
                self.thread = kept.thread.or(self.thread);
                Some(Input::Kept(Some(kept.length)))
            }
            Ok(Written::Voicemail(Err(reason))) => {
                error!(reason, "a message could not be kept");
                Some(Input::Kept(None))
            }
            Ok(Written::Callback(Ok(thread))) => {
                self.thread = Some(thread);
                Some(Input::CallbackBooked(Ok(())))
            }
            Ok(Written::Recording) => None,
            Ok(Written::Callback(Err(why))) => Some(Input::CallbackBooked(Err(why))),
            Err(reason) => {
                error!(reason, "a task of a call has failed");
                None
            }
        }
    }
}

/// The next task's end, which stays in the list until it is taken out. Cancel-safe.
async fn next_of(writing: &mut VecDeque<Writing>) -> Result<Written, String> {
    match writing.front_mut() {
        Some(task) => task.await.map_err(|error| error.to_string()),
        None => std::future::pending().await,
    }
}

/// What the switchboard says; for ever nothing while it was asked for nothing. Cancel-safe.
async fn told(ticket: &mut Option<Ticket>) -> Told {
    match ticket {
        Some(ticket) => ticket.told().await,
        None => std::future::pending().await,
    }
}

/// Whether the trunk has connected the caller, once it has said; for ever nothing while it is not asked. Cancel-safe.
async fn handed_off(hand_off: &mut Option<HandOff>) -> bool {
    match hand_off {
        Some(hand_off) => hand_off.done().await,
        None => std::future::pending().await,
    }
}
