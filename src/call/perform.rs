//! What the phone tree wants, done: prompts played, texts written.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::ivr::{Action, HangupCause, TextRequest, TextResult};
use crate::media::{PlayId, Session};
use crate::model::{CallStart, PromptKey, ThreadId};

use super::record::NoText;
use super::{Book, Line, record};

/// How long the end of a call waits for its text to reach the disk before it is recorded without.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// The prompt that ends a call when the daemon stops.
pub const GOODBYE: &str = "closing";

/// A task of its own: the text is written even if this call falls over.
type Writing = JoinHandle<Result<ThreadId, NoText>>;

/// Does one call's actions and remembers what is under way.
pub struct Performer<'a> {
    line: &'a Line,
    book: Arc<Book>,
    start: &'a CallStart,
    playing: Option<PlayId>,
    writing: Option<Writing>,
    thread: Option<ThreadId>,
}

impl<'a> Performer<'a> {
    /// For a call that has just been answered.
    pub fn new(line: &'a Line, book: Arc<Book>, start: &'a CallStart) -> Self {
        Performer { line, book, start, playing: None, writing: None, thread: None }
    }

    /// Does `actions` in order; answers the cause when one of them ends the call.
    pub fn perform(&mut self, session: &Session, actions: Vec<Action>) -> Option<HangupCause> {
        for action in actions {
            match action {
                Action::Play(prompts) => self.play(session, &prompts),
                Action::StopPlaying => {
                    self.playing = None;
                    session.stop_playing();
                }
                Action::Text(request) => self.text(request),
                Action::Hangup { cause } => return Some(cause),
                // No node of the tree asks for a person yet.
                Action::Loop(_)
                | Action::Ring(_)
                | Action::Join(_)
                | Action::Leave
                | Action::Record(_)
                | Action::Keep(_)
                | Action::Discard
                | Action::BookCallback(_)
                | Action::Transfer(_) => {}
            }
        }
        None
    }

    /// Whether `id` is what plays now; what was replaced ends unheard.
    pub fn is_playing(&self, id: PlayId) -> bool {
        self.playing == Some(id)
    }

    /// Waits until a text under way is on disk or refused; for ever while none is.
    pub async fn text_written(&mut self) -> TextResult {
        match &mut self.writing {
            Some(writing) => {
                let result = writing.await.unwrap_or_else(|error| Err(NoText::Failed(error.to_string())));
                self.written(result)
            }
            None => std::future::pending().await,
        }
    }

    /// The end of the call: waits a little for a text that is still under way.
    pub async fn settle(&mut self) -> Option<TextResult> {
        self.writing.as_ref()?;
        match tokio::time::timeout(SETTLE_LIMIT, self.text_written()).await {
            Ok(result) => Some(result),
            Err(_) => {
                warn!("the store did not take the text in time");
                None
            }
        }
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

    fn play(&mut self, session: &Session, keys: &[PromptKey]) {
        for key in keys {
            debug!(story = "prompt", name = %key.name, language = %key.language, "plays");
        }
        // The checker has seen that every prompt is there; one that went missing since is skipped, not waited for.
        let prompts = keys.iter().filter_map(|key| self.book.prompts.find(&key.language, &key.name)).collect();
        self.playing = Some(session.play(prompts));
    }

    fn text(&mut self, request: TextRequest) {
        info!(story = "text", node = %request.node, to = ?request.to, "the caller chose a text");
        self.writing = Some(tokio::spawn(record::text(self.line, &self.book, self.start, request)));
    }

    fn written(&mut self, result: Result<ThreadId, NoText>) -> TextResult {
        self.writing = None;
        match result {
            Ok(thread) => {
                self.thread = Some(thread);
                TextResult::Queued
            }
            Err(NoText::Refused(reason)) => {
                info!(reason, "the caller may not be texted");
                TextResult::Refused(reason)
            }
            Err(NoText::Failed(reason)) => {
                error!(reason, "a text that the caller asked for could not be written");
                TextResult::Failed(reason)
            }
        }
    }
}
