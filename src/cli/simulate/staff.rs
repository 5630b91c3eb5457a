//! The clinic's side of a simulated call: phones that ring until the script answers them, and a caller who is recorded.

use std::time::Duration;

use crate::ivr::{Action, Input, Place, RecordRequest, TONE};
use crate::model::{Member, Strategy, Unanswered};
use crate::web::words::{Ui, trial};

/// What the clinic is doing for this caller.
#[derive(Debug)]
pub(super) struct Staff {
    /// In which language it is told.
    ui: Ui,
    rings: Option<Rings>,
    recording: Option<Recording>,
    talks: bool,
}

/// Phones ring, or will as soon as it is the caller's turn.
#[derive(Debug)]
struct Rings {
    /// Then nobody has answered; none: the waiting ends by the tree alone.
    until: Option<Duration>,
    answered: Input,
}

#[derive(Debug)]
struct Recording {
    request: RecordRequest,
    since: Duration,
    /// Until when the caller speaks.
    speaks_until: Duration,
}

impl Recording {
    fn end(&self) -> Duration {
        let begin = self.since.saturating_add(TONE);
        let silent = self.speaks_until.max(begin).saturating_add(self.request.silence);
        silent.min(begin.saturating_add(self.request.longest))
    }

    fn spoken(&self, now: Duration) -> Duration {
        self.speaks_until.min(now).saturating_sub(self.since.saturating_add(TONE)).min(self.request.longest)
    }
}

impl Staff {
    pub(super) fn new(ui: Ui) -> Staff {
        Staff { ui, rings: None, recording: None, talks: false }
    }

    /// Does `action` and says what it was: who, what, and what comes of it at once. None: it is not the staff's.
    pub(super) fn perform(&mut self, action: &Action, now: Duration) -> Option<(&'static str, String, Option<Input>)> {
        let words = self.words();
        let done = match action {
            Action::Ring(request) => {
                self.ring(Some(now.saturating_add(request.give_up_after)), Input::Connected);
                (words.phones, (words.ring)(&self.group(&request.members, request.strategy)), None)
            }
            Action::Join(request) => {
                self.ring(None, Input::Connected);
                let who = self.group(&request.members, request.strategy);
                let what = (words.waits)(&request.line, &who);
                (words.phones, what, Some(Input::Place(Place { position: 1, wait: None })))
            }
            Action::Transfer(request) => {
                let answered = if request.refer { Input::Transferred } else { Input::Connected };
                self.ring(Some(now.saturating_add(request.ring_for)), answered);
                (words.phones, (words.ring)(&request.to.to_string()), None)
            }
            Action::Leave => {
                self.rings = None;
                (words.phones, words.ring_no_more.to_owned(), None)
            }
            Action::Record(request) => {
                self.recording = Some(Recording { request: *request, since: now, speaks_until: now });
                (words.hears, words.tone.to_owned(), None)
            }
            Action::Keep(request) => {
                let recording = self.recording.take();
                let length = recording.map_or(Duration::ZERO, |it| now.saturating_sub(it.since).saturating_sub(TONE));
                let what = (words.message)(length.as_secs_f64(), &request.node);
                (words.staff, what, Some(Input::Kept(Some(length))))
            }
            Action::Discard => {
                self.recording = None;
                (words.staff, words.no_message.to_owned(), None)
            }
            Action::BookCallback(request) => {
                let who = self.group(&request.members, request.strategy);
                let what = (words.will_call_back)(request.to.as_str(), &who);
                (words.staff, what, Some(Input::CallbackBooked(Ok(()))))
            }
            Action::Play(_) | Action::StopPlaying | Action::Text(_) | Action::Loop(_) | Action::Hangup { .. } => {
                return None;
            }
        };
        Some(done)
    }

    /// What a word of the script makes happen, and how that is told. None: it is no such word.
    pub(super) fn word(&mut self, word: &str) -> Option<Result<(&'static str, Input), &'static str>> {
        let words = self.words();
        let unanswered = match word {
            "answer" => {
                let Some(rings) = self.rings.take() else { return Some(Err(words.no_phone_rings)) };
                self.talks = rings.answered == Input::Connected;
                return Some(Ok((words.answers, rings.answered)));
            }
            "bye" => {
                let talks = std::mem::take(&mut self.talks);
                let over = (words.hangs_up, Input::ConversationOver);
                return Some(if talks { Ok(over) } else { Err(words.nobody_speaks) });
            }
            "busy" => (words.is_busy, Unanswered::Busy),
            "noanswer" => (words.does_not_answer, Unanswered::NoAnswer),
            "nobody" => (words.cannot_be_reached, Unanswered::Nobody),
            "full" => (words.has_too_many_waiting, Unanswered::Full),
            _ => return None,
        };
        let (what, why) = unanswered;
        Some(match self.rings.take() {
            Some(_) => Ok((what, Input::Unanswered(why))),
            None => Err(words.no_phone_rings),
        })
    }

    /// Whether a person speaks with the caller.
    pub(super) fn talks(&self) -> bool {
        self.talks
    }

    /// The caller speaks until then.
    pub(super) fn speak(&mut self, until: Duration) {
        if let Some(recording) = &mut self.recording {
            recording.speaks_until = recording.speaks_until.max(until);
        }
    }

    /// How much of a message they have said; none while none is recorded.
    pub(super) fn spoken(&self, now: Duration) -> Option<Duration> {
        self.recording.as_ref().map(|recording| recording.spoken(now))
    }

    /// When something happens by itself.
    pub(super) fn next(&self) -> Option<Duration> {
        let rings = self.rings.as_ref().and_then(|rings| rings.until);
        [rings, self.recording.as_ref().map(Recording::end)].into_iter().flatten().min()
    }

    /// What does.
    pub(super) fn happens(&mut self, now: Duration) -> Option<Input> {
        if self.rings.as_ref().is_some_and(|rings| rings.until.is_some_and(|until| until <= now)) {
            self.rings = None;
            return Some(Input::Unanswered(Unanswered::NoAnswer));
        }
        self.recording.as_ref().filter(|recording| recording.end() <= now).map(|_| Input::RecordingEnded)
    }

    fn ring(&mut self, until: Option<Duration>, answered: Input) {
        self.rings = Some(Rings { until, answered });
    }

    fn group(&self, members: &[Member], strategy: Strategy) -> String {
        let phones: Vec<_> = members.iter().map(|member| member.phone.to_string()).collect();
        trial::group(self.ui, &phones, strategy)
    }

    fn words(&self) -> &'static trial::Words {
        trial::words(self.ui)
    }
}
