//! Digits that we press: RFC 4733 telephone-events, for the test phone and for what the other leg of a call has pressed.

use std::collections::VecDeque;
use std::time::Duration;

use super::dtmf::event_payload;
use crate::model::Digit;

/// So many digits wait at most; a further one is refused.
const LONGEST_QUEUE: usize = 64;
/// How loud, in −dBm0.
const VOLUME: u8 = 10;
/// So often the end of a digit is said (section 2.5.1.4).
const ENDS: u8 = 3;
/// The pause after a digit, in which audio flows.
const PAUSE: Duration = Duration::from_millis(60);

/// One packet's worth of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event, end bit and volume, duration.
    pub payload: [u8; 4],
    /// The digit's first packet.
    pub marker: bool,
}

/// Digits waiting, and the one being pressed.
#[derive(Debug, Default)]
pub struct Dialer {
    waiting: VecDeque<(Digit, Duration)>,
    pressed: Option<Pressing>,
    pause: Duration,
}

#[derive(Debug)]
struct Pressing {
    digit: Digit,
    length: Duration,
    so_far: Duration,
    ends: u8,
}

impl Dialer {
    /// Presses a digit after those before it; `false` if too many wait. A length of nothing counts as 40 ms.
    pub fn press(&mut self, digit: Digit, length: Duration) -> bool {
        let room = self.waiting.len() < LONGEST_QUEUE;
        if room {
            self.waiting.push_back((digit, length.max(Duration::from_millis(40))));
        }
        room
    }

    /// Whether a key is held down, or waits for its turn.
    pub fn is_pressing(&self) -> bool {
        self.pressed.is_some() || !self.waiting.is_empty()
    }

    /// Lets go of all keys.
    pub fn clear(&mut self) {
        *self = Dialer::default();
    }

    /// What to send in this packet time instead of audio, on a clock of `rate` Hz.
    pub fn next(&mut self, ptime: Duration, rate: u32) -> Option<Event> {
        if self.pressed.is_none() {
            self.pause = self.pause.saturating_sub(ptime);
            if self.pause.is_zero() {
                let next = self.waiting.pop_front();
                self.pressed = next.map(|(digit, length)| Pressing { digit, length, so_far: Duration::ZERO, ends: 0 });
            }
        }
        let pressing = self.pressed.as_mut()?;
        let marker = pressing.so_far.is_zero();
        pressing.so_far = (pressing.so_far + ptime).min(pressing.length);
        let end = pressing.so_far == pressing.length;
        // A longer press than 16 bits can say stays at the longest (section 2.5.1.3 would split it).
        let duration = (pressing.so_far.as_secs_f64() * f64::from(rate)).min(65_535.0) as u16;
        let payload = event_payload(pressing.digit, end, VOLUME, duration);
        if end {
            pressing.ends += 1;
            if pressing.ends == ENDS {
                self.pressed = None;
                self.pause = PAUSE;
            }
        }
        Some(Event { payload, marker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn a_digit_grows_and_ends_three_times_then_pauses() {
        let mut dialer = Dialer::default();
        let digits = ['1', '#'].map(|c| Digit::from_char(c).unwrap());
        for digit in digits {
            assert!(dialer.press(digit, Duration::from_millis(60)));
        }
        let sent: Vec<_> = (0..12).map(|_| dialer.next(FRAME, 8_000)).collect();
        let event = |digit: u8, flags: u8, duration: u16, marker| {
            let [high, low] = duration.to_be_bytes();
            Some(Event { payload: [digit, flags, high, low], marker })
        };
        assert_eq!(
            sent[..5],
            [
                event(1, 0x0a, 160, true),
                event(1, 0x0a, 320, false),
                event(1, 0x8a, 480, false),
                event(1, 0x8a, 480, false),
                event(1, 0x8a, 480, false),
            ]
        );
        assert_eq!(sent[5..7], [None, None]);
        assert_eq!(sent[7], event(11, 0x0a, 160, true));
        assert_eq!(sent.iter().flatten().count(), 10);
        assert!(!dialer.is_pressing());
        dialer.press(Digit::ALL[1], FRAME);
        assert!(dialer.is_pressing());
        dialer.clear();
        assert!(!dialer.is_pressing());
    }

    #[test]
    fn too_many_digits_are_refused() {
        let mut dialer = Dialer::default();
        let pressed = (0..100).filter(|_| dialer.press(Digit::ALL[0], FRAME)).count();
        assert_eq!(pressed, LONGEST_QUEUE);
    }
}
