//! What was recorded, made into packets again: G.711 of 20 ms each, for a capture that others can play.

use super::codec::Encoder;
use super::convert::Halver;
use super::rtp::{HEADER, Numbering};
use crate::model::Codec;

/// Samples of a packet, which are its bytes of payload, and ticks of its clock.
const PACKET: usize = 160;

/// One side of a conversation on its way into packets. Its numbers begin at zero: a capture made twice is the same twice.
pub struct Replay {
    numbering: Numbering,
    payload_type: u8,
    encoder: Encoder,
    halver: Option<Halver>,
}

impl Replay {
    /// Nothing packed yet. `codec` is what was spoken; of what is not G.711, µ-law is made. None: nothing is recorded at
    /// this rate.
    pub fn new(codec: Option<Codec>, rate: u32, ssrc: u32) -> Option<Replay> {
        let codec = if codec == Some(Codec::Pcma) { Codec::Pcma } else { Codec::Pcmu };
        let halver = match rate {
            8_000 => None,
            16_000 => Some(Halver::new()),
            _ => return None,
        };
        let numbering = Numbering::new(ssrc, 0, 0);
        Some(Replay { numbering, payload_type: codec.payload_type(), encoder: Encoder::new(codec), halver })
    }

    /// The next packet: the header and 20 ms of `samples`, with silence where they end before.
    pub fn packet(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut narrow = match &mut self.halver {
            None => samples.to_vec(),
            Some(halver) => {
                let mut wide = samples.to_vec();
                wide.resize(2 * PACKET, 0);
                halver.halve(&wide)
            }
        };
        narrow.resize(PACKET, 0);
        let mut packet = vec![0; HEADER + PACKET];
        self.encoder.encode(&narrow, &mut packet[HEADER..]);
        let (first, timestamp) = (self.numbering.packets == 0, self.numbering.timestamp);
        self.numbering.stamp(&mut packet, self.payload_type, first, timestamp);
        self.numbering.timestamp = timestamp.wrapping_add(PACKET as u32);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::Decoder;
    use super::super::rtp;
    use super::*;

    fn tone(rate: u32, hz: f64) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..rate).map(|i| (10_000.0 * (step * f64::from(i)).sin()) as i16).collect()
    }

    /// Amplitude of `hz` in a second of samples at 8 kHz.
    fn amplitude(hz: f64, samples: &[i16]) -> f64 {
        let step = std::f64::consts::TAU * hz / 8_000.0;
        let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, sample)| {
            let (sin, cos) = (step * i as f64).sin_cos();
            (re + f64::from(*sample) * cos, im + f64::from(*sample) * sin)
        });
        2.0 * re.hypot(im) / samples.len() as f64
    }

    fn replayed(codec: Codec, rate: u32, samples: &[i16]) -> Vec<i16> {
        let mut replay = Replay::new(Some(codec), rate, 7).unwrap();
        let spoken = if codec == Codec::Pcma { Codec::Pcma } else { Codec::Pcmu };
        let (mut decoder, mut all) = (Decoder::new(spoken), vec![]);
        for (at, samples) in samples.chunks(rate as usize / 50).enumerate() {
            let bytes = replay.packet(samples);
            let packet = rtp::parse(&bytes).unwrap();
            assert_eq!((packet.payload_type, packet.ssrc), (spoken.payload_type(), 7));
            assert_eq!((usize::from(packet.sequence), packet.timestamp as usize), (at, at * 160));
            assert_eq!((packet.marker, packet.payload.len()), (at == 0, 160));
            let mut heard = [0; 160];
            assert_eq!(decoder.decode(packet.payload, &mut heard), 160);
            all.extend(heard);
        }
        all
    }

    #[test]
    fn a_tone_keeps_its_level_at_either_rate_and_what_is_too_high_leaves_no_mirror_image() {
        for (codec, rate) in [(Codec::Pcmu, 8_000), (Codec::Pcma, 8_000), (Codec::Pcma, 16_000), (Codec::G722, 16_000)]
        {
            for hz in [300.0, 1_000.0, 3_000.0] {
                let level = amplitude(hz, &replayed(codec, rate, &tone(rate, hz)));
                assert!((9_000.0..10_500.0).contains(&level), "{codec:?} at {rate}, {hz} Hz: {level}");
            }
        }
        let mirror = amplitude(2_000.0, &replayed(Codec::Pcmu, 16_000, &tone(16_000, 6_000.0)));
        assert!(mirror < 150.0, "{mirror}");
    }

    #[test]
    fn the_last_packet_is_as_long_as_the_others_and_an_unknown_rate_is_refused() {
        let samples = &tone(8_000, 440.0)[..170];
        let heard = replayed(Codec::Pcmu, 8_000, samples);
        assert_eq!(heard.len(), 320);
        assert!(heard[170..].iter().all(|sample| *sample == 0));
        assert!(Replay::new(None, 44_100, 1).is_none());
    }
}
