//! Measures the in-band detector against ITU-T Q.24, one digit at a time: shared by the conformance test (coarse steps)
//! and by `benches/dtmf.rs` (fine steps).
//!
//! Every signal goes through G.711 µ-law, as it does on a line. A limit is "accepted" up to the step before the first at
//! which any trial failed (trials differ in phase and in how the tone lies to the detector's frames), and "rejected" from
//! the step at and after which no trial was heard at all.

use std::f64::consts::TAU;
use std::fmt;

use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder, Encoder};
use threadline::media::dtmf::ToneDetector;
use threadline::model::Digit;

use super::speech::Random;

/// How finely to measure.
pub struct Steps {
    /// In percent.
    pub deviation: f64,
    /// In dB, for twist and level.
    pub decibel: f64,
    /// In ms.
    pub duration: f64,
    /// Tones for each point.
    pub trials: usize,
}

/// One digit's limits.
#[derive(Clone, Debug)]
pub struct Limits {
    pub digit: Digit,
    /// Either tone, or both, this many percent low or high: always heard.
    pub accepted_deviation: (f64, f64),
    /// Either tone this many percent low or high, or more (to 5 %, where the next digit begins): never heard.
    pub rejected_deviation: (f64, f64),
    /// High tone weaker, in dB.
    pub normal_twist: f64,
    /// Low tone weaker, in dB.
    pub reverse_twist: f64,
    /// In ms.
    pub shortest_accepted: f64,
    /// In ms.
    pub longest_rejected: f64,
    /// From full scale down, in dB.
    pub dynamic_range: f64,
    /// White noise over the whole band, against both tones together, in dB.
    pub signal_to_noise: f64,
}

/// The table's head, for [`Limits`]' lines.
pub const HEAD: &str =
    "digit  accepted dev %   rejected dev %   twist n/r dB   accepts ms  rejects ms  range dB  SNR dB";

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {}    {:>5.2} {:>+5.2}     {:>5.2} {:>+5.2}     {:>4.1} / {:>4.1}   {:>8.1}  {:>10.1}  {:>8.1}  {:>6.1}",
            self.digit,
            self.accepted_deviation.0,
            self.accepted_deviation.1,
            self.rejected_deviation.0,
            self.rejected_deviation.1,
            self.normal_twist,
            self.reverse_twist,
            self.shortest_accepted,
            self.longest_rejected,
            self.dynamic_range,
            self.signal_to_noise,
        )
    }
}

/// A press as it comes from a line.
#[derive(Clone, Copy)]
struct Press {
    low: f64,
    high: f64,
    /// Each tone's level under full scale of one of two equal tones, in dB.
    low_db: f64,
    high_db: f64,
    ms: f64,
    snr_db: Option<f64>,
}

/// Q.24 and the makers of test tapes use 50 ms tones at a middling level.
const USUAL_MS: f64 = 50.0;
const USUAL_DB: f64 = -10.0;

impl Press {
    fn of(digit: Digit) -> Press {
        const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
        const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
        let key = "123A456B789C*0#D".find(digit.as_char()).expect("every digit is a key");
        let (low, high) = (LOW[key / 4], HIGH[key % 4]);
        Press { low, high, low_db: USUAL_DB, high_db: USUAL_DB, ms: USUAL_MS, snr_db: None }
    }

    /// 60 ms of silence or noise, the tones, and 80 ms more, as 8 kHz samples that have been through µ-law.
    fn audio(&self, random: &mut Random) -> Vec<i16> {
        let amplitude = |db: f64| 16_383.0 * 10_f64.powf(db / 20.0);
        let (a, b) = (amplitude(self.low_db), amplitude(self.high_db));
        let noise = self.snr_db.map_or(0.0, |snr| ((a * a + b * b) / 2.0 / 10_f64.powf(snr / 10.0)).sqrt());
        let (phase_a, phase_b) = (TAU * random.unit(), TAU * random.unit());
        let start = 480.0 + 40.0 * random.unit();
        let end = start + self.ms * 8.0;
        let pcm: Vec<i16> = (0..(end + 640.0) as usize)
            .map(|t| {
                let t = t as f64;
                let on = f64::from(u8::from((start..end).contains(&t)));
                let wave = |hz: f64, phase: f64| (TAU * hz * (t - start) / 8_000.0 + phase).sin();
                let sum = on * (a * wave(self.low, phase_a) + b * wave(self.high, phase_b));
                (sum + if noise > 0.0 { noise * random.gauss() } else { 0.0 }) as i16
            })
            .collect();
        PcmuDecoder::new().decode(&PcmuEncoder::new().encode(&pcm))
    }
}

/// The digits that 8 or 16 kHz audio is heard as.
pub fn heard(rate: u32, pcm: &[i16]) -> Vec<Digit> {
    let mut detector = ToneDetector::new(rate);
    let mut digits = Vec::new();
    for packet in pcm.chunks(rate as usize / 50) {
        detector.samples(packet, |digit| digits.push(digit));
    }
    digits
}

/// Measures one digit.
pub fn limits(digit: Digit, steps: &Steps) -> Limits {
    let usual = Press::of(digit);
    let trial = |press: Press, seed: usize| heard(8_000, &press.audio(&mut Random::new(seed as u64)));
    let always = |press: Press| (0..steps.trials).all(|seed| trial(press, seed) == [digit]);
    let never = |press: Press| (0..steps.trials).all(|seed| trial(press, seed).is_empty());

    let accepted = |sign: f64| {
        let off = |percent: f64| 1.0 + sign * percent / 100.0;
        sign * last(walk(1.0, 3.5, steps.deviation), |percent| {
            always(Press { low: usual.low * off(percent), ..usual })
                && always(Press { high: usual.high * off(percent), ..usual })
                && always(Press { low: usual.low * off(percent), high: usual.high * off(percent), ..usual })
        })
    };
    let rejected = |sign: f64| {
        let off = |percent: f64| 1.0 + sign * percent / 100.0;
        let long = Press { ms: 100.0, ..usual };
        sign * last(walk(5.0, 2.0, steps.deviation), |percent| {
            never(Press { low: usual.low * off(percent), ..long })
                && never(Press { high: usual.high * off(percent), ..long })
        })
    };
    Limits {
        digit,
        accepted_deviation: (accepted(-1.0), accepted(1.0)),
        rejected_deviation: (rejected(-1.0), rejected(1.0)),
        normal_twist: last(walk(6.0, 14.0, steps.decibel), |db| always(Press { high_db: USUAL_DB - db, ..usual })),
        reverse_twist: last(walk(2.0, 10.0, steps.decibel), |db| always(Press { low_db: USUAL_DB - db, ..usual })),
        shortest_accepted: last(walk(60.0, 15.0, steps.duration), |ms| always(Press { ms, ..usual })),
        longest_rejected: last(walk(10.0, 45.0, steps.duration), |ms| never(Press { ms, ..usual })),
        dynamic_range: last(walk(0.0, 60.0, 2.0 * steps.decibel), |db| {
            always(Press { low_db: -db, high_db: -db, ..usual })
        }),
        signal_to_noise: last(walk(20.0, 3.0, steps.decibel), |snr| always(Press { snr_db: Some(snr), ..usual })),
    }
}

/// From `from` towards `to`, upward or downward.
fn walk(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    let count = ((to - from).abs() / step).round() as usize;
    (0..=count).map(move |n| from + (to - from).signum() * step * n as f64)
}

/// The last value of the walk before `holds` failed for the first time; not a number if it never held.
fn last(walk: impl Iterator<Item = f64>, holds: impl Fn(f64) -> bool) -> f64 {
    walk.take_while(|&value| holds(value)).last().unwrap_or(f64::NAN)
}
