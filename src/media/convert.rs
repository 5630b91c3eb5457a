//! Payloads of one codec made into another's, for a call whose two legs do not share one.
//!
//! The two laws of G.711 differ byte by byte: a table. G.722 is taken apart at 8 kHz, which its lower band is; the other
//! way the samples are doubled first, because its encoder wants 16 kHz. Nothing is allocated after the start.

use std::f32::consts::PI;
use std::sync::LazyLock;

use super::codec::{Decoder, Encoder};
use crate::model::Codec;

/// Samples at 8 kHz, or bytes of payload, that are converted at once.
const BLOCK: usize = 160;
/// Samples on each side that a new one between them is made of: 1.5 ms of delay.
const REACH: usize = 12;

/// One direction of a call.
pub struct Conversion {
    from: Codec,
    to: Codec,
    way: Way,
}

enum Way {
    Table(Box<[u8; 256]>),
    Narrow(Decoder, Encoder),
    Widen(Decoder, Doubler, Encoder),
}

impl Conversion {
    /// From one codec to another; `None` where the payload can pass as it is.
    pub fn new(from: Codec, to: Codec) -> Option<Conversion> {
        if from == to {
            return None;
        }
        let way = match (from, to) {
            (Codec::G722, _) => Way::Narrow(Decoder::narrow(from), Encoder::new(to)),
            (_, Codec::G722) => Way::Widen(Decoder::new(from), Doubler::default(), Encoder::new(to)),
            _ => Way::Table(table(from, to)),
        };
        Some(Conversion { from, to, way })
    }

    /// Whether it leads from the one to the other.
    pub fn joins(&self, from: Codec, to: Codec) -> bool {
        self.from == from && self.to == to
    }

    /// Converts `payload` into `out`, byte for byte: all codecs write as many in a millisecond.
    pub fn convert(&mut self, payload: &[u8], out: &mut [u8]) {
        let mut narrow = [0; BLOCK];
        let mut wide = [0; 2 * BLOCK];
        for (payload, out) in payload.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            match &mut self.way {
                Way::Table(table) => {
                    for (to, from) in out.iter_mut().zip(payload) {
                        *to = table[usize::from(*from)];
                    }
                }
                Way::Narrow(decoder, encoder) => {
                    let decoded = decoder.decode(payload, &mut narrow);
                    encoder.encode(narrow.get(..decoded).unwrap_or_default(), out);
                }
                Way::Widen(decoder, doubler, encoder) => {
                    let decoded = decoder.decode(payload, &mut narrow);
                    let doubled = doubler.double(narrow.get(..decoded).unwrap_or_default(), &mut wide);
                    encoder.encode(wide.get(..doubled).unwrap_or_default(), out);
                }
            }
        }
    }
}

/// What each byte of one law is in the other.
fn table(from: Codec, to: Codec) -> Box<[u8; 256]> {
    let bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    let mut samples = [0; 256];
    let mut table = [0; 256];
    Decoder::new(from).decode(&bytes, &mut samples);
    Encoder::new(to).encode(&samples, &mut table);
    Box::new(table)
}

/// Brings samples from 8 to 16 kHz: a half-band filter, which keeps each sample and puts one between every two.
#[derive(Clone, Debug, Default)]
pub struct Doubler {
    /// The samples that the next ones still need.
    before: [f32; 2 * REACH - 1],
}

impl Doubler {
    /// Doubles at most [`BLOCK`] samples into `out`, which has room for twice as many; the number written.
    fn double(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        /// The samples before, then those of the block.
        const ALL: usize = 2 * REACH - 1 + BLOCK;
        let mut line = [0.0; ALL];
        let (before, block) = line.split_at_mut(self.before.len());
        before.copy_from_slice(&self.before);
        for (to, from) in block.iter_mut().zip(samples) {
            *to = f32::from(*from);
        }
        let count = samples.len().min(BLOCK).min(out.len() / 2);
        for (window, pair) in line.windows(2 * REACH).take(count).zip(out.as_chunks_mut::<2>().0) {
            let (left, right) = window.split_at(REACH);
            let between: f32 =
                left.iter().rev().zip(right).zip(HALF_BAND.iter()).map(|((l, r), tap)| (l + r) * tap).sum();
            pair[0] = left[REACH - 1] as i16;
            pair[1] = between.round() as i16;
        }
        self.before = *line[count..].first_chunk().unwrap_or(&self.before);
        2 * count
    }

    /// Doubles the first `count` of the samples in place; how many there are then, as far as there is room.
    pub fn double_in_place(&mut self, samples: &mut [i16], count: usize) -> usize {
        let count = count.min(samples.len() / 2);
        // From the end of the room to its beginning: no sample is overwritten before it has been read.
        samples.copy_within(..count, samples.len() - count);
        let (mut read, mut written) = (samples.len() - count, 0);
        let mut block = [0; BLOCK];
        while read < samples.len() {
            let now = BLOCK.min(samples.len() - read);
            block[..now].copy_from_slice(&samples[read..read + now]);
            read += now;
            written += self.double(&block[..now], &mut samples[written..read]);
        }
        written
    }
}

/// Brings samples from 16 to 8 kHz: the same filter, which takes out what lies above 4 kHz before every second sample
/// goes.
#[derive(Clone, Debug)]
pub struct Halver {
    /// The samples that the next ones still need.
    before: [f32; 4 * REACH - 2],
}

impl Halver {
    /// Nothing halved yet.
    pub fn new() -> Halver {
        Halver { before: [0.0; 4 * REACH - 2] }
    }

    /// Halves the samples, of which there is an even number.
    pub fn halve(&mut self, samples: &[i16]) -> Vec<i16> {
        let line: Vec<f32> = self.before.into_iter().chain(samples.iter().map(|sample| f32::from(*sample))).collect();
        // Each window has the sample that stays in its middle; of its neighbours every second one counts.
        let halved = line.windows(4 * REACH - 1).skip(1).step_by(2).map(|window| {
            let middle = 2 * REACH - 1;
            let around: f32 = HALF_BAND
                .iter()
                .enumerate()
                .map(|(at, tap)| (window[middle - 1 - 2 * at] + window[middle + 1 + 2 * at]) * tap)
                .sum();
            ((window[middle] + around) / 2.0).round() as i16
        });
        let halved = halved.collect();
        self.before = *line[samples.len()..].first_chunk().unwrap_or(&self.before);
        halved
    }
}

/// The taps for the samples nearest to the one between, outward: sin(x)/x at the odd quarters under a Hann window,
/// flat to 3.4 kHz, scaled so that a constant stays what it is.
static HALF_BAND: LazyLock<[f32; REACH]> = LazyLock::new(|| {
    let mut taps: [f32; REACH] = std::array::from_fn(|at| {
        let distance = at as f32 + 0.5;
        let window = (PI * distance / (2.0 * REACH as f32)).cos().powi(2);
        (PI * distance).sin() / (PI * distance) * window
    });
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= 2.0 * sum);
    taps
});

#[cfg(test)]
mod tests {
    use super::super::codec::encode;
    use super::*;

    fn tone(rate: u32, hz: f64, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..samples).map(|i| (10_000.0 * (step * i as f64).sin()) as i16).collect()
    }

    fn converted(from: Codec, to: Codec, payload: &[u8], packet: usize) -> Vec<u8> {
        let mut conversion = Conversion::new(from, to).unwrap();
        let mut all = Vec::new();
        for payload in payload.chunks(packet) {
            let mut out = vec![0; payload.len()];
            conversion.convert(payload, &mut out);
            all.extend(out);
        }
        all
    }

    /// Amplitude of `hz` in samples.
    fn amplitude(rate: u32, hz: f64, samples: &[i16]) -> f64 {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, sample)| {
            let (sin, cos) = (step * i as f64).sin_cos();
            (re + f64::from(*sample) * cos, im + f64::from(*sample) * sin)
        });
        2.0 * re.hypot(im) / samples.len() as f64
    }

    #[test]
    fn a_tone_keeps_its_level_through_every_conversion() {
        for (from, to) in Codec::ALL.into_iter().flat_map(|from| Codec::ALL.map(|to| (from, to))) {
            if from == to {
                assert!(Conversion::new(from, to).is_none());
                continue;
            }
            for hz in [300.0, 1_000.0, 3_000.0] {
                let rate = from.sample_rate();
                let sent = encode(from, &tone(rate, hz, rate as usize / 2));
                let came = converted(from, to, &sent, 160);
                assert_eq!(came.len(), sent.len());
                let mut samples = vec![0; 8_000];
                let decoded = Decoder::new(to).decode(&came, &mut samples);
                let level = amplitude(to.sample_rate(), hz, &samples[decoded / 4..decoded]);
                assert!((9_000.0..11_000.0).contains(&level), "{from:?} to {to:?} at {hz} Hz: {level}");
            }
        }
    }

    #[test]
    fn doubling_makes_no_mirror_image() {
        for hz in [300.0, 1_000.0, 2_000.0, 3_000.0, 3_400.0] {
            let mut doubled = tone(8_000, hz, 8_000);
            doubled.resize(16_000, 0);
            assert_eq!(Doubler::default().double_in_place(&mut doubled, 8_000), 16_000);
            let settled = &doubled[160..];
            let (signal, mirror) = (amplitude(16_000, hz, settled), amplitude(16_000, 8_000.0 - hz, settled));
            let least = if hz > 3_300.0 { 15.0 } else { 60.0 };
            assert!((9_000.0..10_100.0).contains(&signal), "{hz} Hz: {signal}");
            assert!(signal > least * mirror, "{hz} Hz: {signal} and {mirror}");
        }
    }

    #[test]
    fn packets_of_any_length_join_without_a_seam() {
        for (from, to) in [(Codec::Pcma, Codec::G722), (Codec::G722, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma)] {
            let payload = encode(from, &tone(from.sample_rate(), 700.0, 6_000));
            let whole = converted(from, to, &payload, payload.len());
            for packet in [1, 7, 80, 159, 160, 161, 480] {
                assert_eq!(converted(from, to, &payload, packet), whole, "{from:?} to {to:?} by {packet}");
            }
        }
    }

    #[test]
    fn a_law_there_and_back_is_the_same_but_for_its_finest_steps() {
        let all: Vec<u8> = (0..=255).collect();
        let back = converted(Codec::Pcmu, Codec::Pcma, &converted(Codec::Pcma, Codec::Pcmu, &all, 160), 160);
        let (mut is, mut should) = ([0; 256], [0; 256]);
        Decoder::new(Codec::Pcma).decode(&back, &mut is);
        Decoder::new(Codec::Pcma).decode(&all, &mut should);
        for (is, should) in is.into_iter().zip(should) {
            let step = i32::from(should).abs() / 16 + 16;
            assert!((i32::from(is) - i32::from(should)).abs() <= step, "{is} {should}");
        }
    }
}
