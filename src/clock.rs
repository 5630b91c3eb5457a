//! The only place that asks what time it is.
//!
//! Everything else is handed a [`Now`]: logic without I/O runs in virtual time, and a test moves the clock by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One reading of both clocks, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Time since the clock was made; never goes backward. For timers.
    pub mono: Duration,
    /// The time of day, as the box believes it. For records and opening hours.
    pub wall: Timestamp,
}

impl Now {
    /// The same reading, `by` later on both clocks.
    pub fn later(self, by: Duration) -> Now {
        let wall = jiff::SignedDuration::try_from(by).ok().and_then(|by| self.wall.checked_add(by).ok());
        Now { mono: self.mono.saturating_add(by), wall: wall.unwrap_or(Timestamp::MAX) }
    }
}

/// A source of [`Now`]: the machine's clocks, or one moved by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Manual(Arc<Mutex<Now>>),
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Clock {
        Clock(Source::System(Instant::now()))
    }

    /// A clock that stands at `wall` until it is advanced.
    pub fn manual(wall: Timestamp) -> Clock {
        Clock(Source::Manual(Arc::new(Mutex::new(Now { mono: Duration::ZERO, wall }))))
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::System(start) => Now { mono: start.elapsed(), wall: Timestamp::now() },
            Source::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Holds up the calling thread until `mono`, of the machine's clocks. For a thread of its own.
    pub fn sleep_until(&self, mono: Duration) {
        if let Source::System(start) = &self.0 {
            std::thread::sleep(mono.saturating_sub(start.elapsed()));
        }
    }

    /// Moves a manual clock forward; the machine's clocks move by themselves and ignore this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.later(by);
        }
    }
}

/// The machine's monotonic clock, for schedules that hold an [`Instant`] (pacer, socket deadlines).
pub fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_both_clocks_together() {
        let start: Timestamp = "2026-11-01T05:59:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        assert_eq!(clock.now(), clock.clone().now());
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().mono, Duration::from_secs(90));
        assert_eq!(clock.now().wall.to_string(), "2026-11-01T06:00:30Z");
    }
}
