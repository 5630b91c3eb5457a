//! The clinic's side of a simulated call: phones that ring until the script answers them, and a caller who is recorded.

use std::time::Duration;

use crate::ivr::{Action, Input, Place, RecordRequest, TONE};
use crate::model::{Member, Strategy, Unanswered};

/// What the clinic is doing for this caller.
#[derive(Debug, Default)]
pub(super) struct Staff {
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
    /// Does `action` and says what it was: who, what, and what comes of it at once. None: it is not the staff's.
    pub(super) fn perform(&mut self, action: &Action, now: Duration) -> Option<(&'static str, String, Option<Input>)> {
        let done = match action {
            Action::Ring(request) => {
                self.ring(Some(now.saturating_add(request.give_up_after)), Input::Connected);
                ("phones", format!("ring: {}", group(&request.members, request.strategy)), None)
            }
            Action::Join(request) => {
                self.ring(None, Input::Connected);
                let who = group(&request.members, request.strategy);
                let what = format!("the caller waits in line `{}` for {who}", request.line);
                ("phones", what, Some(Input::Place(Place { position: 1, wait: None })))
            }
            Action::Transfer(request) => {
                let answered = if request.refer { Input::Transferred } else { Input::Connected };
                self.ring(Some(now.saturating_add(request.ring_for)), answered);
                ("phones", format!("ring: {}", request.to), None)
            }
            Action::Leave => {
                self.rings = None;
                ("phones", "ring no more".to_owned(), None)
            }
            Action::Record(request) => {
                self.recording = Some(Recording { request: *request, since: now, speaks_until: now });
                ("hears", "a tone; from here on it is recorded".to_owned(), None)
            }
            Action::Keep(request) => {
                let recording = self.recording.take();
                let length = recording.map_or(Duration::ZERO, |it| now.saturating_sub(it.since).saturating_sub(TONE));
                let what = format!("a message of {:.1} s ({})", length.as_secs_f64(), request.node);
                ("staff", format!("gets {what}"), Some(Input::Kept(Some(length))))
            }
            Action::Discard => {
                self.recording = None;
                ("staff", "gets no message".to_owned(), None)
            }
            Action::BookCallback(request) => {
                let who = group(&request.members, request.strategy);
                let what = format!("will call {} back: {who}", request.to.as_str());
                ("staff", what, Some(Input::CallbackBooked(Ok(()))))
            }
            Action::Play(_) | Action::StopPlaying | Action::Text(_) | Action::Loop(_) | Action::Hangup { .. } => {
                return None;
            }
        };
        Some(done)
    }

    /// What a word of the script makes happen, and how that is told. None: it is no such word.
    pub(super) fn word(&mut self, word: &str) -> Option<Result<(&'static str, Input), &'static str>> {
        const NO_PHONE: &str = "no phone rings for the caller now";
        let unanswered = match word {
            "answer" => {
                let Some(rings) = self.rings.take() else { return Some(Err(NO_PHONE)) };
                self.talks = rings.answered == Input::Connected;
                return Some(Ok(("answers", rings.answered)));
            }
            "bye" => {
                let talks = std::mem::take(&mut self.talks);
                return Some(if talks { Ok(("hangs up", Input::ConversationOver)) } else { Err("nobody speaks now") });
            }
            "busy" => ("is busy", Unanswered::Busy),
            "noanswer" => ("does not answer", Unanswered::NoAnswer),
            "nobody" => ("cannot be reached", Unanswered::Nobody),
            "full" => ("has too many callers waiting", Unanswered::Full),
            _ => return None,
        };
        let (what, why) = unanswered;
        Some(match self.rings.take() {
            Some(_) => Ok((what, Input::Unanswered(why))),
            None => Err(NO_PHONE),
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
}

fn group(members: &[Member], strategy: Strategy) -> String {
    let phones: Vec<_> = members.iter().map(|member| member.phone.to_string()).collect();
    let how = match strategy {
        _ if phones.len() == 1 => "",
        Strategy::All => " all at once",
        Strategy::InTurn => " one after the other",
        Strategy::LongestIdle => " who is idle longest first",
    };
    format!("{}{how}", phones.join(", "))
}
