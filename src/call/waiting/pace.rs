//! How long a line takes for each caller, and so how long the wait probably is.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is older says nothing about now.
const LATELY: Duration = Duration::from_secs(3_600);
/// Lines remembered; beyond them, the wait in a further one is not known.
const MOST_LINES: usize = 256;
/// Waits are told in whole steps: a guess is no better, and is not told anew for a second more.
const STEP: Duration = Duration::from_secs(60);

/// The pace of every line.
#[derive(Debug, Default)]
pub(super) struct Paces(BTreeMap<String, Pace>);

#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long the line took for each caller, the latest counting for a quarter.
    each: Duration,
    /// When the last caller was served.
    last: Duration,
}

impl Paces {
    /// A caller of this line, waiting since then, has somebody.
    pub(super) fn served(&mut self, line: &str, since: Duration, now: Duration) {
        let before = self.0.get(line).filter(|pace| now.saturating_sub(pace.last) < LATELY);
        let took = now.saturating_sub(before.map_or(since, |pace| pace.last.max(since)));
        let each = before.map_or(took, |pace| (pace.each * 3 + took) / 4);
        if self.0.len() >= MOST_LINES && !self.0.contains_key(line) {
            self.0.retain(|_, pace| now.saturating_sub(pace.last) < LATELY);
        }
        if self.0.len() < MOST_LINES || self.0.contains_key(line) {
            self.0.insert(line.to_owned(), Pace { each: each.min(LATELY), last: now });
        }
    }

    /// How long who is at `position` will probably wait, in whole minutes; none as long as nobody was served lately.
    pub(super) fn wait(&self, line: &str, position: usize, now: Duration) -> Option<Duration> {
        let pace = self.0.get(line).filter(|pace| now.saturating_sub(pace.last) < LATELY)?;
        let wait = pace.each.saturating_mul(u32::try_from(position).unwrap_or(u32::MAX));
        let steps = wait.as_secs().div_ceil(STEP.as_secs()).max(1);
        Some(Duration::from_secs(steps.saturating_mul(STEP.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_wait_follows_how_long_the_line_took_lately() {
        let mut paces = Paces::default();
        assert_eq!(paces.wait("desk", 1, seconds(0)), None);
        paces.served("desk", seconds(0), seconds(120));
        assert_eq!(paces.wait("desk", 1, seconds(120)), Some(seconds(120)));
        assert_eq!(paces.wait("desk", 3, seconds(120)), Some(seconds(360)));
        // The next had come long before, but was next for 40 s only: (3 × 120 + 40) / 4 = 100 s, told as two minutes.
        paces.served("desk", seconds(10), seconds(160));
        assert_eq!(paces.wait("desk", 1, seconds(160)), Some(seconds(120)));
        assert_eq!(paces.wait("desk", 3, seconds(160)), Some(seconds(300)));
        assert_eq!(paces.wait("nurses", 1, seconds(160)), None);
    }

    #[test]
    fn yesterday_says_nothing_about_today() {
        let mut paces = Paces::default();
        paces.served("desk", seconds(0), seconds(60));
        assert_eq!(paces.wait("desk", 1, seconds(60) + LATELY), None);
        paces.served("desk", seconds(90_000), seconds(90_300));
        assert_eq!(paces.wait("desk", 1, seconds(90_300)), Some(seconds(300)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut paces = Paces::default();
        for line in 0..2 * MOST_LINES {
            paces.served(&line.to_string(), seconds(0), seconds(1));
        }
        assert_eq!(paces.0.len(), MOST_LINES);
        paces.served("desk", seconds(0), seconds(2) + LATELY);
        assert_eq!(paces.0.len(), 1, "what is old makes room");
    }
}
