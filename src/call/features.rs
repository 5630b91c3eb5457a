//! Keys that a person of the clinic presses while they speak with a caller: `*1` texts the caller, `*2` parks the call.
//! Everything else is the caller's to hear.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::media::Prompt;
use crate::model::Pressed;

/// How long a star waits for the key that makes it a command.
const PATIENCE: Duration = Duration::from_secs(3);

/// The two tones of a sign, in Hz.
const LOW: f64 = 520.0;
const HIGH: f64 = 780.0;

/// What a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Goes across.
    Carry(Pressed),
    /// Text the caller.
    Text,
    /// Park the call.
    Park,
}

/// A star that waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    star: Option<(Pressed, Duration)>,
}

impl Features {
    /// Takes a key pressed at `now`.
    pub fn press(&mut self, key: Pressed, now: Duration) -> Vec<Command> {
        let mut out = self.expire(now);
        match (self.star.take(), key.digit.as_char()) {
            (Some(_), '1') => out.push(Command::Text),
            (Some(_), '2') => out.push(Command::Park),
            (Some((star, _)), '*') => {
                out.push(Command::Carry(star));
                self.star = Some((key, now));
            }
            (Some((star, _)), _) => out.extend([Command::Carry(star), Command::Carry(key)]),
            (None, '*') => self.star = Some((key, now)),
            (None, _) => out.push(Command::Carry(key)),
        }
        out
    }

    /// When a star has waited long enough.
    pub fn deadline(&self) -> Option<Duration> {
        self.star.map(|(_, at)| at.saturating_add(PATIENCE))
    }

    /// Lets go of a star that has waited long enough.
    pub fn expire(&mut self, now: Duration) -> Vec<Command> {
        let due = self.star.take_if(|(_, at)| at.saturating_add(PATIENCE) <= now);
        due.map(|(star, _)| Command::Carry(star)).into_iter().collect()
    }
}

/// What the person hears of what they have asked for: done, or (falling) not.
pub(super) fn sign(done: bool) -> Vec<Arc<Prompt>> {
    static TONES: LazyLock<[Arc<Prompt>; 2]> = LazyLock::new(|| [LOW, HIGH].map(|hz| Arc::new(Prompt::beep(hz))));
    let [low, high] = TONES.each_ref().map(Arc::clone);
    if done { vec![low, high] } else { vec![high, low] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digit, DigitSource};

    fn key(digit: char) -> Pressed {
        Pressed { digit: Digit::from_char(digit).unwrap(), source: DigitSource::Event }
    }

    fn typed(keys: &str) -> String {
        let mut features = Features::default();
        let press = |(at, digit): (usize, char)| features.press(key(digit), Duration::from_millis(200 * at as u64));
        let shown = |command| match command {
            Command::Carry(pressed) => pressed.digit.as_char(),
            Command::Text => 'T',
            Command::Park => 'P',
        };
        keys.chars().enumerate().flat_map(press).map(shown).collect()
    }

    #[test]
    fn a_star_and_a_key_are_a_command_and_the_rest_goes_across() {
        for (keys, across) in [("12#", "12#"), ("*1", "T"), ("5*2", "5P"), ("*9", "*9"), ("**1", "*T")] {
            assert_eq!(typed(keys), across);
        }
    }

    #[test]
    fn a_star_alone_goes_across_in_the_end() {
        let (mut features, star, one) = (Features::default(), key('*'), key('1'));
        assert_eq!(features.press(star, Duration::ZERO), []);
        assert_eq!(features.expire(Duration::from_secs(1)), []);
        assert_eq!(features.deadline(), Some(PATIENCE));
        assert_eq!(features.expire(PATIENCE), [Command::Carry(star)]);
        assert_eq!(features.deadline(), None);
        features.press(star, Duration::ZERO);
        assert_eq!(features.press(one, Duration::from_secs(9)), [Command::Carry(star), Command::Carry(one)]);
    }
}
