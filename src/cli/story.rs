//! The story of a call, told line by line: whatever the daemon logs with a `story` field, with the seconds since the
//! beginning. The demo prints it; the log keeps it.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;

/// Prints the story to standard output.
pub struct Story {
    clock: Clock,
}

impl Story {
    /// A story that begins now.
    pub fn new(clock: Clock) -> Story {
        Story { clock }
    }
}

/// One line of it, from outside the daemon's log.
pub fn tell(clock: &Clock, chapter: &str, words: impl fmt::Display) {
    println!("{:>7.2} s  {chapter:<8} {words}", clock.now().mono.as_secs_f64());
}

impl<S: Subscriber> Layer<S> for Story {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if let Some(chapter) = line.chapter {
            tell(&self.clock, &chapter, line.words);
        }
    }
}

#[derive(Default)]
struct Line {
    chapter: Option<String>,
    words: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "story" => self.chapter = Some(value.to_owned()),
            "message" => self.words.insert_str(0, value),
            // Writing to a String cannot fail.
            name => drop(write!(self.words, "; {name}: {value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.words.insert_str(0, &format!("{value:?}")),
            name => drop(write!(self.words, "; {name}: {value:?}")),
        }
    }
}
