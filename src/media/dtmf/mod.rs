//! Digits, by whichever way they come: as RTP events ([`event`]), as tones in the audio ([`tone`]), as SIP INFO
//! ([`info`]). [`Merger`] makes one digit of what came by more than one way.
//!
//! Nothing here does I/O or reads a clock.

pub mod event;
pub mod info;
pub mod tone;

pub use event::{EventDetector, event_payload};
pub use tone::ToneDetector;

use std::time::Duration;

use crate::model::{DigitSource, Pressed};

/// How far apart two reports of one press may be. An event is reported when the key goes down, an INFO often only when
/// it is released, so that this is the longest press that such a peer may send. Pressing the same key again is reported
/// by the same way again and so is never taken for the first press, however quick it is.
pub const MERGE_WINDOW: Duration = Duration::from_secs(2);

/// How many presses are remembered; an older one is forgotten even within the window.
const REMEMBERED: usize = 16;

/// Counts a press once, by however many ways it is reported.
///
/// A report belongs to the oldest press of the same digit within [`MERGE_WINDOW`] that has not yet been reported by
/// that way; if there is none, it is a new press.
#[derive(Clone, Debug, Default)]
pub struct Merger {
    presses: [Option<Press>; REMEMBERED],
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    at: Duration,
    first: Pressed,
    /// Which of the ways have reported it: event, tone, info.
    ways: [bool; 3],
}

/// The place of a way in [`Press::ways`].
fn way(source: DigitSource) -> usize {
    match source {
        DigitSource::Event => 0,
        DigitSource::Tone => 1,
        DigitSource::Info => 2,
    }
}

impl Merger {
    /// Nothing pressed yet.
    pub fn new() -> Merger {
        Merger::default()
    }

    /// Takes a report made at `at` (any monotonic time; the same for all reports of a call) and gives it back if it is
    /// a new press, or nothing if that press has been counted.
    pub fn offer(&mut self, at: Duration, pressed: Pressed) -> Option<Pressed> {
        let known = self
            .presses
            .iter_mut()
            .flatten()
            .filter(|press| press.first.digit == pressed.digit && at.saturating_sub(press.at) <= MERGE_WINDOW)
            .filter(|press| !press.ways[way(pressed.source)])
            .min_by_key(|press| press.at);
        if let Some(press) = known {
            press.ways[way(pressed.source)] = true;
            return None;
        }
        let mut ways = [false; 3];
        ways[way(pressed.source)] = true;
        self.presses[self.next % REMEMBERED] = Some(Press { at, first: pressed, ways });
        self.next = (self.next + 1) % REMEMBERED;
        Some(pressed)
    }
}

#[cfg(test)]
mod tests {
    use DigitSource::{Event, Info, Tone};

    use super::*;
    use crate::model::Digit;

    /// Offers each (ms, digit, way) in turn and writes down what counted.
    fn counted(reports: &[(u64, char, DigitSource)]) -> String {
        let mut merger = Merger::new();
        reports
            .iter()
            .filter_map(|&(ms, digit, source)| {
                let digit = Digit::from_char(digit).unwrap();
                merger.offer(Duration::from_millis(ms), Pressed { digit, source })
            })
            .map(|pressed| pressed.digit.as_char())
            .collect()
    }

    #[test]
    fn one_press_by_three_ways_counts_once_and_keeps_the_first_way() {
        assert_eq!(counted(&[(0, '5', Event), (35, '5', Tone), (400, '5', Info)]), "5");
        let first = Pressed { digit: Digit::from_char('5').unwrap(), source: Tone };
        assert_eq!(Merger::new().offer(Duration::ZERO, first), Some(first));
    }

    #[test]
    fn the_same_way_twice_counts_twice_however_quick() {
        assert_eq!(counted(&[(0, '5', Event), (0, '5', Event)]), "55");
    }

    #[test]
    fn two_presses_by_two_ways_count_twice_whatever_the_interleaving() {
        assert_eq!(counted(&[(0, '5', Event), (40, '5', Tone), (200, '5', Event), (240, '5', Tone)]), "55");
        assert_eq!(counted(&[(0, '5', Event), (200, '5', Event), (230, '5', Tone), (430, '5', Tone)]), "55");
        assert_eq!(
            counted(&[(0, '1', Info), (10, '2', Info), (20, '1', Info), (30, '1', Tone), (40, '1', Tone)]),
            "121"
        );
    }

    #[test]
    fn different_digits_never_merge() {
        assert_eq!(counted(&[(0, '5', Event), (1, '6', Tone)]), "56");
    }

    #[test]
    fn after_the_window_another_way_is_another_press() {
        assert_eq!(counted(&[(0, '5', Event), (2_000, '5', Tone)]), "5");
        assert_eq!(counted(&[(0, '5', Event), (2_001, '5', Tone)]), "55");
    }

    #[test]
    fn only_so_many_presses_are_remembered() {
        let mut reports: Vec<_> = (0..100).map(|_| (0, '5', Event)).collect();
        reports.extend((0..100).map(|_| (1, '5', Tone)));
        // Of the hundred, the last sixteen can still be merged.
        assert_eq!(counted(&reports).len(), 100 + 84);
    }
}
