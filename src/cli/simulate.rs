//! `threadline simulate`: a call without a telephone, in virtual time.

mod staff;

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::clock::Now;
use crate::conversation::missed_call;
use crate::conversation::templates::{TemplateError, Templates, Values};
use crate::ivr::{Action, CallerFacts, Engine, HangupCause, Input, Place, TextRequest, TextResult};
use crate::model::toml_file::duration;
use crate::model::{
    Caller, Country, Digit, DigitSource, Language, Outcome, PhoneNumber, Pressed, PromptCatalog, PromptKey,
};
use crate::tree::Tree;
use crate::web::words::{Ui, trial};
use staff::Staff;

/// Walks the phone tree in the terminal: press keys, wait, hang up; see what the caller hears and gets.
///
/// No call is placed and no text is sent. Time is virtual: a prompt of 8 seconds is over at once, and the clock shows
/// when it would have been. The end of the input means that the caller does nothing more.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "What to type, one or more a line:\n  \
    1            press the key (also 0-9, *, #, or several: 6465550142#)\n  \
    wait 5       let 5 seconds pass (also 500ms, 2m)\n  \
    (empty)      listen to the end; when nothing is said: stay silent until something happens\n  \
    hangup       hang up\n  \
    answer       a person picks up; bye: and hangs up\n  \
    busy         nobody picks up: all are busy (also noanswer, nobody, full)\n  \
    place 3      the caller is third in line\n  \
    speak 10     speak for 10 seconds, for a voice message\n  \
    ; words      a comment\n\n\
    Example: an anonymous call on a Sunday night\n  \
    threadline simulate --config config/threadline.toml --at 2026-07-05T22:00 --from anonymous\n\n\
    Example: a script\n  \
    printf 'wait 3\\n1\\n' > press-1.txt && threadline simulate --script press-1.txt")]
pub struct SimulateArgs {
    /// The box's file; it names the others.
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
    /// When the call comes, in the clinic's zone: 2026-07-06T10:00. Now, unless given.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Who calls: a number, or `anonymous`.
    #[arg(long, value_name = "NUMBER", default_value = "+12125550142")]
    pub from: String,
    /// Read what the caller does from this file.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

/// Reads `--at`: civil time in the clinic's zone, or a moment such as `2026-07-06T14:00Z`.
pub fn parse_at(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let civil: DateTime = text
        .replace(' ', "T")
        .parse()
        .map_err(|_| format!("--at \"{text}\" is no time; write 2026-07-06T10:00, in the clinic's own zone"))?;
    civil.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).map_err(|error| format!("--at \"{text}\": {error}"))
}

/// Reads `--from`.
pub fn parse_from(text: &str, country: Country) -> Result<Caller, String> {
    if text.eq_ignore_ascii_case("anonymous") {
        return Ok(Caller::Anonymous);
    }
    PhoneNumber::parse(text, country).map(Caller::Number).map_err(|error| format!("--from \"{text}\": {error}"))
}

/// What a simulated call needs.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// The tree.
    pub tree: Arc<Tree>,
    /// The messages.
    pub templates: &'a Templates,
    /// What their variables say, but for the hours, which the call's way decides.
    pub values: &'a Values,
    /// The prompts, for their words.
    pub prompts: &'a PromptCatalog,
    /// In which language it is told.
    pub ui: Ui,
}

/// Runs one call. `script` is what the caller does; `out` is told what happens. Gives what became of the call.
/// `interactive` shows a prompt before each line is read.
pub fn simulate(
    world: &World<'_>,
    caller: Caller,
    at: Timestamp,
    script: &mut dyn BufRead,
    out: &mut dyn Write,
    interactive: bool,
) -> io::Result<Outcome> {
    let words = trial::words(world.ui);
    writeln!(out, "{}", (words.call)(caller.as_str(), &at.to_zoned(world.tree.zone().clone())))?;
    let engine = Engine::new(Arc::clone(&world.tree), CallerFacts { caller: caller.clone(), language: None });
    let now = Now { mono: Duration::ZERO, wall: at };
    let staff = Staff::new(world.ui);
    let mut call = Call { world, words, engine, staff, now, playing: VecDeque::new(), out };
    call.input(Input::Answered)?;
    while !call.engine.is_over() {
        if interactive {
            write!(call.out, "> ")?;
            call.out.flush()?;
        }
        let mut line = String::new();
        if script.read_line(&mut line)? == 0 {
            call.run_to_the_end()?;
            break;
        }
        call.line(line.trim())?;
    }
    call.epilogue(&caller)
}

struct Call<'a> {
    world: &'a World<'a>,
    words: &'static trial::Words,
    engine: Engine,
    staff: Staff,
    now: Now,
    /// What is said and what comes after it, each with its end on the clock of `now.mono`.
    playing: VecDeque<(PromptKey, Duration)>,
    out: &'a mut dyn Write,
}

impl Call<'_> {
    /// One line of the script.
    fn line(&mut self, line: &str) -> io::Result<()> {
        if line.is_empty() {
            return self.until_silent();
        }
        let told = self.words;
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                _ if self.engine.is_over() || word.starts_with(';') => return Ok(()),
                "wait" | "speak" => {
                    let time = words.next().unwrap_or("1");
                    let seconds = time.parse().ok().map(Duration::from_secs);
                    match seconds.or_else(|| duration(time)) {
                        Some(time) => {
                            if word == "speak" {
                                self.staff.speak(self.now.mono.saturating_add(time));
                            }
                            self.pass(time)?;
                        }
                        None => writeln!(self.out, "{}", (told.no_time)(time, word))?,
                    }
                }
                "place" => match words.next().unwrap_or_default().parse() {
                    Ok(position) if position > 0 => self.input(Input::Place(Place { position, wait: None }))?,
                    _ => writeln!(self.out, "{}", told.no_place)?,
                },
                "hangup" | "exit" | "quit" => {
                    self.tell(told.caller, told.hangs_up)?;
                    self.input(Input::HungUp)?;
                }
                keys if keys.chars().all(|c| Digit::from_char(c).is_some()) => {
                    for digit in keys.chars().filter_map(Digit::from_char) {
                        self.tell(told.caller, &(told.presses)(digit))?;
                        self.input(Input::Digit(Pressed { digit, source: DigitSource::Event }))?;
                    }
                }
                word => match self.staff.word(word) {
                    Some(Ok((what, input))) => {
                        self.tell(told.staff, what)?;
                        self.input(input)?;
                    }
                    Some(Err(why)) => writeln!(self.out, "{why}")?,
                    None => writeln!(self.out, "{}", (told.no_deed)(word))?,
                },
            }
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> io::Result<()> {
        let words = self.words;
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Some(spoken) = self.staff.spoken(self.now.mono) {
                self.engine.handle(self.now, Input::Spoken(spoken));
            }
            for action in self.engine.handle(self.now, input) {
                match action {
                    Action::Play(prompts) => self.play(prompts)?,
                    Action::StopPlaying => self.playing.clear(),
                    Action::Text(request) => inputs.push_back(Input::TextResult(self.text(&request)?)),
                    Action::Hangup { cause: HangupCause::TreeEnded } => self.tell(words.system, words.ends)?,
                    Action::Hangup { cause: HangupCause::TooManyNodes } => self.tell(words.system, words.ends_lost)?,
                    Action::Loop(music) => {
                        self.playing.clear();
                        let names: Vec<_> = music.iter().map(|key| format!("{}/{}", key.language, key.name)).collect();
                        let music = (words.music)(&names.join(", "));
                        self.tell(words.hears, if names.is_empty() { words.ringing } else { &music })?;
                    }
                    action => {
                        let Some((who, what, answer)) = self.staff.perform(&action, self.now.mono) else { continue };
                        self.tell(who, &what)?;
                        inputs.extend(answer);
                    }
                }
            }
        }
        Ok(())
    }

    fn play(&mut self, prompts: Vec<PromptKey>) -> io::Result<()> {
        let mut end = self.now.mono;
        self.playing.clear();
        for prompt in prompts {
            end = end.saturating_add(self.world.tree.length(&prompt));
            self.playing.push_back((prompt, end));
        }
        self.begin_prompt()
    }

    fn begin_prompt(&mut self) -> io::Result<()> {
        let Some((prompt, _)) = self.playing.front() else { return Ok(()) };
        let words = self.world.prompts.find(&prompt.language, &prompt.name).map_or("", |info| info.words.trim());
        let line = format!("“{}” ({}/{})", words, prompt.language, prompt.name);
        self.tell(self.words.hears, &line)
    }

    fn text(&mut self, request: &TextRequest) -> io::Result<TextResult> {
        let text = self.world.templates.render(&request.template, &request.language, &self.values());
        let shown = self.show_text(&request.to, &request.template, &request.language, text)?;
        Ok(if shown { TextResult::Queued } else { TextResult::Failed("no_value".to_owned()) })
    }

    fn values(&self) -> Values {
        self.world.values.clone().with_hours(self.world.tree.hours(self.engine.path()))
    }

    fn show_text(
        &mut self,
        to: &PhoneNumber,
        template: &str,
        language: &Language,
        text: Result<String, TemplateError>,
    ) -> io::Result<bool> {
        let words = self.words;
        match text {
            Ok(text) => {
                let shown = format!("“{text}” ({language}/{template})");
                self.tell(words.gets, &(words.text)(to.as_str(), &shown))?;
                Ok(true)
            }
            Err(error) => {
                self.tell(words.gets, &(words.no_text)(&error))?;
                Ok(false)
            }
        }
    }

    /// What happens next by itself, and when.
    fn next_event(&self) -> Option<Duration> {
        let prompt = self.playing.front().map(|(_, end)| *end);
        [prompt, self.staff.next(), self.engine.next_deadline()].into_iter().flatten().min()
    }

    /// Goes to the next event, if it comes before `limit`, and lets it happen.
    fn step(&mut self, limit: Duration) -> io::Result<bool> {
        let Some(at) = self.next_event().filter(|at| *at <= limit) else { return Ok(false) };
        self.now = self.now.later(at.saturating_sub(self.now.mono));
        if self.playing.front().is_some_and(|(_, end)| *end <= self.now.mono) {
            self.playing.pop_front();
            if self.playing.is_empty() {
                self.input(Input::PlayEnded)?;
            } else {
                self.begin_prompt()?;
            }
        } else {
            let input = self.staff.happens(self.now.mono).unwrap_or(Input::Deadline);
            self.input(input)?;
        }
        Ok(true)
    }

    fn pass(&mut self, time: Duration) -> io::Result<()> {
        let until = self.now.mono.saturating_add(time);
        while !self.engine.is_over() && self.step(until)? {}
        if !self.engine.is_over() {
            self.now = self.now.later(until.saturating_sub(self.now.mono));
        }
        Ok(())
    }

    /// Lets what is being said be said to its end; when nothing is, goes to the next deadline.
    fn until_silent(&mut self) -> io::Result<()> {
        self.step(Duration::MAX)?;
        while !self.engine.is_over() && !self.playing.is_empty() {
            self.step(Duration::MAX)?;
        }
        Ok(())
    }

    fn run_to_the_end(&mut self) -> io::Result<()> {
        while !self.engine.is_over() {
            if self.step(Duration::MAX)? {
                continue;
            }
            if !self.staff.talks() {
                break;
            }
            // A conversation ends some time.
            self.line("wait 60")?;
            self.line("bye")?;
        }
        Ok(())
    }

    fn tell(&mut self, who: &str, what: &str) -> io::Result<()> {
        let (seconds, tenths) = (self.now.mono.as_secs(), self.now.mono.subsec_millis() / 100);
        let margin = self.words.margin;
        writeln!(self.out, "{:02}:{:02}.{tenths}  {who:<margin$} {what}", seconds / 60, seconds % 60)
    }

    /// A number of the call's end.
    fn sum(&mut self, name: &str, what: &str) -> io::Result<()> {
        let margin = self.words.margin;
        writeln!(self.out, "{name:<margin$} {what}")
    }

    /// What became of the call, and the missed-call text.
    fn epilogue(mut self, caller: &Caller) -> io::Result<Outcome> {
        let (outcome, words) = (self.engine.outcome(), self.words);
        if let (Some(missed), Some(unserved)) = (self.world.tree.missed_call(), self.engine.unserved()) {
            match caller.number().filter(|number| number.can_text()) {
                Some(to) => {
                    let language = self.engine.language().clone();
                    let text = missed_call::text(self.world.templates, missed, unserved, &language, &self.values());
                    self.show_text(to, missed_call::template(missed, unserved), &language, text)?;
                }
                None => self.tell(words.gets, words.no_missed_call_text)?,
            }
        }
        self.sum(words.outcome, &trial::outcome(self.world.ui, outcome))?;
        self.sum(words.path, &self.engine.path().join(" > "))?;
        if !self.engine.waited().is_zero() {
            self.sum(words.waited, &format!("{} s", self.engine.waited().as_secs()))?;
        }
        let keys = self.engine.digits().to_owned();
        if !keys.is_empty() {
            self.sum(words.keys, &keys)?;
        }
        Ok(outcome)
    }
}

/// The time that `--at` leaves open: `at` if it is given, else `now`.
pub fn start_time(args: &SimulateArgs, now: Timestamp, zone: &TimeZone) -> Result<Zoned, String> {
    let at = args.at.as_deref().map_or(Ok(now), |text| parse_at(text, zone))?;
    Ok(at.to_zoned(zone.clone()))
}
