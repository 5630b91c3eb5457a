//! G.711 and G.722 (RFC 3551 section 4.5) between samples and payload bytes.

use std::sync::LazyLock;

use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};
use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder as _, Encoder as _};

use crate::model::Codec;

/// Bytes of payload in the longest packet that we send: 60 ms.
pub const LONGEST_FRAME: usize = 480;

/// Turns payloads into samples. G.722 remembers the past, so each stream has its own.
pub struct Decoder {
    kind: Kind,
    rate: u32,
}

enum Kind {
    Pcmu(PcmuDecoder),
    Pcma(PcmaDecoder),
    G722(Box<G722Decoder>),
}

impl Decoder {
    /// Decodes at the codec's own rate.
    pub fn new(codec: Codec) -> Decoder {
        Decoder::with(codec, false)
    }

    /// Decodes at 8 kHz whatever the codec: of G.722 only the lower band, which holds all DTMF tones.
    pub fn narrow(codec: Codec) -> Decoder {
        Decoder::with(codec, true)
    }

    fn with(codec: Codec, narrow: bool) -> Decoder {
        let kind = match codec {
            Codec::Pcmu => Kind::Pcmu(PcmuDecoder::new()),
            Codec::Pcma => Kind::Pcma(PcmaDecoder::new()),
            Codec::G722 => Kind::G722(Box::new(G722Decoder::with_options(Bitrate::Mode1_64000, false, narrow))),
        };
        Decoder { kind, rate: if narrow { 8_000 } else { codec.sample_rate() } }
    }

    /// Samples a second of what [`Decoder::decode`] gives.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Decodes as much of `payload` as fits into `out`; the number of samples written.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let per_byte = if self.rate == 8_000 { 1 } else { 2 };
        let fits = payload.len().min(out.len() / per_byte);
        let payload = payload.get(..fits).unwrap_or_default();
        let written = match &mut self.kind {
            Kind::Pcmu(decoder) => decoder.decode_into(payload, out),
            Kind::Pcma(decoder) => decoder.decode_into(payload, out),
            Kind::G722(decoder) => decoder.decode_into(payload, out),
        };
        written.unwrap_or(0)
    }
}

/// Turns samples at the codec's own rate into payloads. G.722 remembers the past, so each stream has its own.
pub enum Encoder {
    /// G.711 µ-law.
    Pcmu(PcmuEncoder),
    /// G.711 A-law.
    Pcma(PcmaEncoder),
    /// G.722, of which a byte holds two samples.
    G722(Box<G722Encoder>),
}

impl Encoder {
    /// Nothing encoded yet.
    pub fn new(codec: Codec) -> Encoder {
        match codec {
            Codec::Pcmu => Encoder::Pcmu(PcmuEncoder::new()),
            Codec::Pcma => Encoder::Pcma(PcmaEncoder::new()),
            Codec::G722 => Encoder::G722(Box::new(G722Encoder::new())),
        }
    }

    /// Encodes `samples` into `out`; the number of bytes written, 0 if they do not fit.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let written = match self {
            Encoder::Pcmu(encoder) => encoder.encode_into(samples, out),
            Encoder::Pcma(encoder) => encoder.encode_into(samples, out),
            Encoder::G722(encoder) => encoder.encode_into(samples, out),
        };
        written.unwrap_or(0)
    }
}

/// Encodes a whole recording at the codec's own sampling rate.
pub fn encode(codec: Codec, samples: &[i16]) -> Vec<u8> {
    let mut encoded = vec![0; samples.len()];
    let written = Encoder::new(codec).encode(samples, &mut encoded);
    encoded.truncate(written);
    encoded
}

/// 60 ms of silence as the codec writes it.
pub fn silence(codec: Codec) -> &'static [u8; LONGEST_FRAME] {
    static SILENCE: LazyLock<[[u8; LONGEST_FRAME]; 3]> =
        LazyLock::new(|| [Codec::Pcmu, Codec::Pcma, Codec::G722].map(encode_silence));
    match codec {
        Codec::Pcmu => &SILENCE[0],
        Codec::Pcma => &SILENCE[1],
        Codec::G722 => &SILENCE[2],
    }
}

/// The end of a long silence, so that an adaptive codec has settled.
fn encode_silence(codec: Codec) -> [u8; LONGEST_FRAME] {
    let encoded = encode(codec, &[0; 16_000]);
    let mut frame = [0; LONGEST_FRAME];
    for (to, from) in frame.iter_mut().rev().zip(encoded.iter().rev()) {
        *to = *from;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|i| (10_000.0 * (2.0 * std::f64::consts::PI * hz * i as f64 / f64::from(rate)).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_millisecond_is_eight_bytes_in_every_codec() {
        for codec in Codec::ALL {
            let samples = tone(codec.sample_rate(), 440.0, codec.sample_rate() as usize / 10);
            assert_eq!(encode(codec, &samples).len(), 100 * codec.bytes_per_ms(), "{codec:?}");
        }
    }

    #[test]
    fn g711_comes_back_within_its_step_and_g722_resembles() {
        for codec in Codec::ALL {
            let samples = tone(codec.sample_rate(), 440.0, 4_000);
            let mut out = vec![0; 8_000];
            let decoded = Decoder::new(codec).decode(&encode(codec, &samples), &mut out);
            assert_eq!(decoded, 4_000, "{codec:?}");
            if codec == Codec::G722 {
                // Its filters delay by 22 samples (ITU-T G.722 section 4).
                let (mut signal, mut noise) = (0.0, 0.0);
                for (sent, got) in samples.iter().skip(400).zip(out.iter().skip(422)) {
                    signal += f64::from(*sent).powi(2);
                    noise += (f64::from(*sent) - f64::from(*got)).powi(2);
                }
                assert!(signal > 100.0 * noise, "signal {signal} noise {noise}");
            } else {
                assert!(samples.iter().zip(&out).all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= 512));
            }
        }
    }

    #[test]
    fn the_narrow_decoder_gives_eight_kilohertz() {
        let samples = tone(16_000, 697.0, 3_200);
        let mut out = [0; 4_096];
        assert_eq!(Decoder::narrow(Codec::G722).decode(&encode(Codec::G722, &samples), &mut out), 1_600);
        assert!(out.iter().any(|s| *s > 8_000));
    }

    #[test]
    fn silence_is_silent_even_repeated() {
        for codec in Codec::ALL {
            let mut decoder = Decoder::new(codec);
            let mut out = [0; 960];
            for _ in 0..50 {
                let n = decoder.decode(silence(codec), &mut out);
                let loudest = out[..n].iter().map(|s| s.unsigned_abs()).max();
                // An idle G.722 hums at −64 dB.
                assert!(loudest <= Some(32), "{codec:?}: {loudest:?}");
            }
        }
    }

    #[test]
    fn a_payload_longer_than_the_room_is_cut() {
        for codec in Codec::ALL {
            let mut out = [0; 101];
            assert!(Decoder::new(codec).decode(&[0x55; 1_000], &mut out) >= 100);
        }
    }
}
