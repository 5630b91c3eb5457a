//! Digits as tones in the audio, within the limits of ITU-T Q.24.
//!
//! Each 5 ms the last 13 ms of audio, under a Hann window, are correlated with the eight frequencies. A frame counts as
//! a digit if its strongest low and strongest high tone
//!
//! - hold nearly all of the frame's power (voices and music do not), which also puts the tone's edge, and so its length,
//!   at one well-defined place within the frame;
//! - stand in a ratio that a line can have made of equal ones (twist);
//! - are on frequency, to be seen from how far their phase has turned since the frame before. This tells 1.5 % from 3.5 %
//!   at 697 Hz, which the frame's own resolution of 77 Hz could not.
//!
//! Five such frames in a row are a press, between 20 ms (never) and 40 ms (always) of tone; six frames without it, more
//! than 10 ms and less than 40 ms of pause, are its end.
//!
//! Nothing is allocated after the first detector is made.

use std::f32::consts::{PI, TAU};
use std::sync::LazyLock;

use crate::model::Digit;

/// What the detector works at, in Hz.
const RATE: f32 = 8_000.0;
/// A frame: 13 ms.
const FRAME: usize = 104;
/// From frame to frame: 5 ms.
const HOP: usize = 40;

/// Low group, then high group, in Hz (ITU-T Q.23).
const FREQUENCIES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// What a low and a high tone mean together.
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The low and the high tone of a digit, in Hz.
pub fn frequencies(digit: Digit) -> [f64; 2] {
    let at = KEYS.iter().flatten().position(|key| *key == digit.as_char()).unwrap_or(0);
    [FREQUENCIES[at / 4], FREQUENCIES[4 + at % 4]].map(f64::from)
}

/// The faintest tone: an amplitude of 100 of 32768, −47 dBm0.
const FAINTEST: f32 = 100.0 * 100.0 / 2.0;
/// How far off a frequency may be: between the 1.5 % that must be taken and the 3.5 % that must not.
const OFF_FREQUENCY: f32 = 0.025;
/// How much of the frame's power the two tones must hold: noise 8 dB below them may hold the rest. More would be deaf on a
/// noisy line; less takes vowels for digits.
const PURITY: f32 = 0.85;
/// How much stronger the low tone may be: 10 dB, where 8 dB must be taken.
const NORMAL_TWIST: f32 = 10.0;
/// How much stronger the high tone may be: 6 dB, where 4 dB must be taken.
const REVERSE_TWIST: f32 = 3.98;

/// Frames in a row that make a press.
const PRESS: u8 = 5;
/// Frames in a row without it that end a press.
const RELEASE: u8 = 6;

/// Finds the presses in a stream of audio.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    halve: Option<Halve>,
    frame: [f32; FRAME],
    filled: usize,
    /// The frame before, unless it was silent.
    before: Option<Spectrum>,
    /// What the frames say at present, and how many in a row.
    run: Option<(Digit, u8)>,
    /// What is being held down, and how many frames in a row have not heard it.
    held: Option<(Digit, u8)>,
}

impl ToneDetector {
    /// A detector for mono audio at 8,000 or 16,000 Hz; any other rate is taken for 8,000 Hz.
    pub fn new(sample_rate: u32) -> ToneDetector {
        ToneDetector {
            halve: (sample_rate == 16_000).then(Halve::default),
            frame: [0.0; FRAME],
            filled: 0,
            before: None,
            run: None,
            held: None,
        }
    }

    /// Listens to the next samples, any number of them, and calls `pressed` once for each press, some 35 ms after its
    /// tone begins.
    pub fn samples(&mut self, pcm: &[i16], mut pressed: impl FnMut(Digit)) {
        for &sample in pcm {
            let sample = match &mut self.halve {
                None => f32::from(sample),
                Some(halve) => match halve.sample(f32::from(sample)) {
                    None => continue,
                    Some(sample) => sample,
                },
            };
            self.frame[self.filled] = sample;
            self.filled += 1;
            if self.filled == FRAME {
                if let Some(digit) = self.hear() {
                    pressed(digit);
                }
                self.frame.copy_within(HOP.., 0);
                self.filled = FRAME - HOP;
            }
        }
    }

    /// Judges a full frame; a digit if it completes a press.
    fn hear(&mut self) -> Option<Digit> {
        let now = Spectrum::of(&self.frame);
        let heard = match (&self.before, &now) {
            (Some(before), Some(now)) => now.digit(before),
            _ => None,
        };
        self.before = now;

        self.run = match (heard, self.run) {
            (Some(digit), Some((same, frames))) if digit == same => Some((digit, frames.saturating_add(1))),
            (Some(digit), _) => Some((digit, 1)),
            (None, _) => None,
        };
        if let Some((digit, missed)) = self.held {
            let missed = if heard == Some(digit) { 0 } else { missed + 1 };
            self.held = (missed < RELEASE).then_some((digit, missed));
        }
        match self.run {
            Some((digit, PRESS..)) if self.held.is_none_or(|(held, _)| held != digit) => {
                self.held = Some((digit, 0));
                Some(digit)
            }
            _ => None,
        }
    }
}

/// A frame seen at the eight frequencies.
#[derive(Clone, Copy, Debug)]
struct Spectrum {
    /// Correlation with each frequency, scaled so that the squared magnitude is the tone's power.
    re: [f32; 8],
    im: [f32; 8],
    /// The frame's power.
    power: f32,
}

/// One tone of a frame.
struct Tone {
    /// Which of its group's four.
    index: usize,
    power: f32,
}

impl Spectrum {
    /// Nothing if the frame is too faint to hold a tone.
    fn of(frame: &[f32; FRAME]) -> Option<Spectrum> {
        let tables = &*TABLES;
        let power = frame.iter().zip(&tables.window).map(|(x, w)| (x * w) * (x * w)).sum::<f32>() / tables.window_power;
        if power < FAINTEST / 8.0 {
            return None;
        }
        let (mut re, mut im) = ([0.0; 8], [0.0; 8]);
        for (x, (cos, sin)) in frame.iter().zip(&tables.waves) {
            for n in 0..8 {
                re[n] += x * cos[n];
                im[n] += x * sin[n];
            }
        }
        Some(Spectrum { re, im, power })
    }

    /// The digit that this frame is, judged together with the one before it.
    fn digit(&self, before: &Spectrum) -> Option<Digit> {
        let low = self.tone(before, 0)?;
        let high = self.tone(before, 4)?;
        let pure = low.power + high.power >= PURITY * self.power;
        let level = low.power >= FAINTEST && high.power >= FAINTEST;
        let twist = low.power <= high.power * NORMAL_TWIST && high.power <= low.power * REVERSE_TWIST;
        (pure && level && twist).then(|| Digit::from_char(KEYS[low.index][high.index])).flatten()
    }

    /// The strongest tone of the group that starts at `first`, if it is on one of the group's frequencies.
    fn tone(&self, before: &Spectrum, first: usize) -> Option<Tone> {
        let power = |n: usize| self.re[n] * self.re[n] + self.im[n] * self.im[n];
        let strongest = (first..first + 4).max_by(|&a, &b| power(a).total_cmp(&power(b)))?;
        let n = strongest;
        // How far the phase turned beyond what the bin's own frequency turns in a hop.
        let (re, im) = (
            self.re[n] * before.re[n] + self.im[n] * before.im[n],
            self.im[n] * before.re[n] - self.re[n] * before.im[n],
        );
        let expected = TAU * FREQUENCIES[n] * HOP as f32 / RATE;
        let turned = (im.atan2(re) - expected).rem_euclid(TAU);
        let turned = if turned > PI { turned - TAU } else { turned };
        let off = turned * RATE / (TAU * HOP as f32);
        let frequency = FREQUENCIES[n] + off;

        let index = (0..4).min_by(|&a, &b| {
            (FREQUENCIES[first + a] - frequency).abs().total_cmp(&(FREQUENCIES[first + b] - frequency).abs())
        })?;
        let nominal = FREQUENCIES[first + index];
        let on = (frequency - nominal).abs() <= OFF_FREQUENCY * nominal;
        on.then(|| Tone { index, power: power(n) / hann_response(off) })
    }
}

/// How much of a tone's power a frame sees that looks `off` Hz beside it.
fn hann_response(off: f32) -> f32 {
    let bins = (off * FRAME as f32 / RATE).abs();
    if bins < 1e-3 {
        return 1.0;
    }
    let response = (PI * bins).sin() / (PI * bins) / (1.0 - bins * bins);
    // No tone is believed that lies further off than a bin, where this would blow up what is left of it.
    (response * response).max(0.25)
}

/// The window, and the window times each frequency's wave.
struct Tables {
    window: [f32; FRAME],
    window_power: f32,
    waves: [([f32; 8], [f32; 8]); FRAME],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let window: [f32; FRAME] = std::array::from_fn(|t| 0.5 - 0.5 * (TAU * (t as f32 + 0.5) / FRAME as f32).cos());
    // A tone of amplitude a correlates to a/2 times the window's sum; its power is a²/2.
    let scale = std::f32::consts::SQRT_2 / window.iter().sum::<f32>();
    let wave = |t: usize, part: fn(f64) -> f64| {
        std::array::from_fn(|n| {
            let phase = std::f64::consts::TAU * f64::from(FREQUENCIES[n]) * t as f64 / f64::from(RATE);
            part(phase) as f32 * window[t] * scale
        })
    };
    Tables {
        window,
        window_power: window.iter().map(|w| w * w).sum(),
        waves: std::array::from_fn(|t| (wave(t, f64::cos), wave(t, |phase| -phase.sin()))),
    }
});

/// Brings 16 kHz to 8 kHz: a half-band filter, then every other sample.
#[derive(Clone, Debug, Default)]
struct Halve {
    past: [f32; 11],
    odd: bool,
}

impl Halve {
    /// A windowed-sinc half-band filter: flat to 2 kHz, 40 dB down from 6 kHz, from where it would fold onto the tones.
    const TAPS: [f32; 11] = [0.0117, 0.0, -0.0654, 0.0, 0.3037, 0.5, 0.3037, 0.0, -0.0654, 0.0, 0.0117];

    fn sample(&mut self, sample: f32) -> Option<f32> {
        self.past.copy_within(1.., 0);
        self.past[10] = sample;
        self.odd = !self.odd;
        (!self.odd).then(|| self.past.iter().zip(Halve::TAPS).map(|(x, tap)| x * tap).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key held for `ms`, then 100 ms of silence.
    fn key(digit: Digit, ms: usize, rate: usize) -> Vec<i16> {
        let (row, column) = (0..4)
            .flat_map(|row| (0..4).map(move |column| (row, column)))
            .find(|&(row, column)| KEYS[row][column] == digit.as_char())
            .unwrap();
        let tone = |t: usize| {
            let wave = |hz: f32| (TAU * hz * t as f32 / rate as f32).sin();
            (4_000.0 * (wave(FREQUENCIES[row]) + wave(FREQUENCIES[4 + column]))) as i16
        };
        (0..ms * rate / 1_000).map(tone).chain(std::iter::repeat_n(0, rate / 10)).collect()
    }

    fn heard(rate: u32, pcm: &[i16]) -> String {
        let mut detector = ToneDetector::new(rate);
        let mut heard = String::new();
        for packet in pcm.chunks(160) {
            detector.samples(packet, |digit| heard.push(digit.as_char()));
        }
        heard
    }

    #[test]
    fn all_sixteen_at_both_rates() {
        for rate in [8_000, 16_000] {
            let pcm: Vec<i16> = Digit::ALL.iter().flat_map(|&digit| key(digit, 50, rate)).collect();
            assert_eq!(heard(rate as u32, &pcm), "0123456789*#ABCD");
        }
    }

    #[test]
    fn a_long_press_is_one_digit() {
        assert_eq!(heard(8_000, &key(Digit::ALL[5], 5_000, 8_000)), "5");
    }

    #[test]
    fn a_short_dropout_is_bridged_and_a_pause_is_not() {
        for (ms, expected) in [(10, "5"), (40, "55")] {
            for start in 0..40 {
                let mut pcm = vec![0; start];
                pcm.extend(key(Digit::ALL[5], 200 + ms, 8_000));
                pcm[start + 800..start + 800 + ms * 8].fill(0);
                assert_eq!(heard(8_000, &pcm), expected, "{ms} ms, {start}");
            }
        }
    }

    #[test]
    fn another_digit_without_a_pause_is_heard() {
        let mut pcm = key(Digit::ALL[5], 100, 8_000);
        pcm.truncate(800);
        pcm.extend(key(Digit::ALL[6], 100, 8_000));
        assert_eq!(heard(8_000, &pcm), "56");
    }

    #[test]
    fn one_tone_alone_silence_and_clipping_are_nothing() {
        let single =
            |hz: f32| (0..4_000).map(|t| (8_000.0 * (TAU * hz * t as f32 / RATE).sin()) as i16).collect::<Vec<_>>();
        for hz in FREQUENCIES {
            assert_eq!(heard(8_000, &single(hz)), "");
        }
        assert_eq!(heard(8_000, &[0; 8_000]), "");
        assert_eq!(heard(8_000, &[i16::MIN; 8_000]), "");
        assert_eq!(heard(8_000, &[]), "");
    }

    #[test]
    fn packets_may_be_of_any_length() {
        let pcm: Vec<i16> = Digit::ALL.iter().flat_map(|&digit| key(digit, 50, 8_000)).collect();
        for length in [1, 7, 80, 480, pcm.len()] {
            let mut detector = ToneDetector::new(8_000);
            let mut heard = String::new();
            for packet in pcm.chunks(length) {
                detector.samples(packet, |digit| heard.push(digit.as_char()));
            }
            assert_eq!(heard, "0123456789*#ABCD");
        }
    }
}
