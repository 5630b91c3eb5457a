//! Prompts that are made rather than read: signals, and the digits of a telephone.

use std::f64::consts::TAU;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{LONGEST, Prompt, hex};
use crate::media::dtmf::tone::frequencies;
use crate::model::Digit;

impl Prompt {
    /// A tone of `hz`, 0 to 8,000, for `length` of at most ten minutes, at −13 dBm0 and with soft ends: the signal to
    /// speak after.
    pub fn tone(hz: f64, length: Duration) -> Prompt {
        Prompt::tones(&[hz], length, Duration::ZERO)
    }

    /// What a caller hears while a phone rings (North America: 440 and 480 Hz, 2 s in 6), to be looped.
    pub fn ringback() -> Prompt {
        Prompt::tones(&[440.0, 480.0], Duration::from_secs(2), Duration::from_secs(4))
    }

    /// A short tone.
    pub fn beep(hz: f64) -> Prompt {
        Prompt::tones(&[hz], Duration::from_millis(180), Duration::from_millis(20))
    }

    /// A digit as a phone would sound it, with the pause after it. Encoded at its first use.
    pub(in crate::media) fn of_digit(digit: Digit) -> Arc<Prompt> {
        static DIGITS: [OnceLock<Arc<Prompt>>; 16] = [const { OnceLock::new() }; 16];
        let made = || {
            let [on, off] = [100, 80].map(Duration::from_millis);
            Arc::new(Prompt::tones(&frequencies(digit), on, off))
        };
        DIGITS.get(usize::from(digit.event())).map_or_else(made, |once| Arc::clone(once.get_or_init(made)))
    }

    /// All of `hz` at once, then silence.
    fn tones(hz: &[f64], on: Duration, off: Duration) -> Prompt {
        /// Amplitude of each tone: −13 dBm0, where ±1 is +3.
        const LEVEL: f64 = 0.16;
        /// So long it rises and falls, lest it clicks.
        const EDGE: f64 = 0.005;
        let (on, off) = (on.min(LONGEST).max(Duration::from_millis(1)), off.min(LONGEST));
        let seconds = on.as_secs_f64();
        let sample = |i: u32| {
            let at = f64::from(i) / 16_000.0;
            let edge = (at.min(seconds - at) / EDGE).clamp(0.0, 1.0);
            (hz.iter().map(|hz| (TAU * hz * at).sin()).sum::<f64>() * LEVEL * edge) as f32
        };
        let mut mono: Vec<f32> = (0..(seconds * 16_000.0) as u32).map(sample).collect();
        mono.resize(((on + off).as_secs_f64() * 16_000.0) as usize, 0.0);
        let bytes: Vec<u8> = mono.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Prompt::encode(hex(&bytes), on + off, 16_000, &mono)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec;
    use crate::media::dtmf::ToneDetector;
    use crate::model::Codec;

    #[test]
    fn made_tones_are_what_they_are_called() {
        let beep = Prompt::tone(1_000.0, Duration::from_millis(250));
        assert_eq!(beep.length(), Duration::from_millis(250));
        let mut samples = [0; 4_000];
        assert_eq!(codec::Decoder::new(Codec::G722).decode(beep.encoded(Codec::G722), &mut samples), 4_000);
        let crossings = samples[400..3_600].windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((199..=201).contains(&crossings), "{crossings}");
        assert!(Prompt::tone(1_000.0, Duration::ZERO).length() > Duration::ZERO);
        assert_eq!(Prompt::tone(440.0, Duration::from_secs(9_999)).length(), LONGEST);

        let ringback = Prompt::ringback();
        assert_eq!(ringback.length(), Duration::from_secs(6));
        assert_eq!(ringback.encoded(Codec::Pcmu).len(), 48_000);
        assert!(ringback.encoded(Codec::Pcmu)[16_010..].iter().all(|byte| *byte == 0xff));
    }

    #[test]
    fn a_made_digit_is_heard_as_that_digit() {
        for codec in Codec::ALL {
            let mut detector = ToneDetector::new(8_000);
            let mut decoder = codec::Decoder::narrow(codec);
            let mut heard = Vec::new();
            for digit in Digit::ALL {
                let mut samples = [0; 1_440];
                let decoded = decoder.decode(Prompt::of_digit(digit).encoded(codec), &mut samples);
                detector.samples(&samples[..decoded], |digit| heard.push(digit));
            }
            assert_eq!(heard, Digit::ALL, "{codec:?}");
        }
    }
}
