//! What the peer says, kept as samples: for the test phone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::codec::Decoder;
use super::rtp::Packet;
use crate::model::Codec;

/// Audio being recorded; it grows while the session lives and is bounded by the limit given at its start.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Audio>>);

#[derive(Debug, Default)]
struct Audio {
    rate: u32,
    samples: Vec<i16>,
}

impl Recording {
    /// Samples a second; 0 before the first packet.
    pub fn rate(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rate
    }

    /// The samples so far, each at the time that its packet names: a lost packet leaves silence.
    pub fn samples(&self) -> Vec<i16> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).samples.clone()
    }
}

/// Fills a [`Recording`]. Only a recorded call pays for its decoding, allocation and lock.
pub struct Recorder {
    recording: Recording,
    limit: Duration,
    decoder: Option<(Codec, Decoder)>,
    /// A timestamp of the stream and the sample that it belongs to.
    anchor: Option<(u32, usize)>,
}

impl Recorder {
    /// Records into `recording`, at most `limit` of it; what comes later is dropped.
    pub fn new(recording: Recording, limit: Duration) -> Recorder {
        Recorder { recording, limit, decoder: None, anchor: None }
    }

    /// The peer starts a new stream: it goes on where the last one ended.
    pub fn restart(&mut self) {
        self.anchor = None;
    }

    /// Keeps one packet's audio; `scratch` holds the samples of the longest packet.
    pub fn packet(&mut self, codec: Codec, packet: &Packet<'_>, scratch: &mut [i16]) {
        let mut audio = self.recording.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.decoder.as_ref().is_none_or(|(now, _)| *now != codec) {
            let decoder = Decoder::new(codec);
            if audio.rate != decoder.rate() {
                // Another rate in mid-call: what was recorded cannot be continued.
                *audio = Audio { rate: decoder.rate(), samples: Vec::new() };
            }
            self.decoder = Some((codec, decoder));
            self.anchor = None;
        }
        let Some((_, decoder)) = &mut self.decoder else { return };
        let decoded = decoder.decode(packet.payload, scratch);
        let samples = scratch.get(..decoded).unwrap_or_default();
        let (timestamp, sample) = *self.anchor.get_or_insert((packet.timestamp, audio.samples.len()));
        let ticks = packet.timestamp.wrapping_sub(timestamp);
        if ticks > u32::MAX / 2 {
            return;
        }
        let per_tick = (audio.rate / codec.clock_rate()).max(1) as usize;
        let from = sample.saturating_add((ticks as usize).saturating_mul(per_tick));
        let limit = (self.limit.as_secs_f64() * f64::from(audio.rate)) as usize;
        let to = from.saturating_add(samples.len()).min(limit);
        if from >= to {
            return;
        }
        if audio.samples.len() < to {
            audio.samples.resize(to, 0);
        }
        if let Some(room) = audio.samples.get_mut(from..to) {
            room.copy_from_slice(&samples[..to - from]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(timestamp: u32, payload: &[u8]) -> Packet<'_> {
        Packet { payload_type: 0, marker: false, sequence: 0, timestamp, ssrc: 1, payload }
    }

    #[test]
    fn audio_lies_where_its_timestamp_says_up_to_the_limit() {
        let recording = Recording::default();
        let mut recorder = Recorder::new(recording.clone(), Duration::from_millis(5));
        let mut scratch = [0; 100];
        for (timestamp, byte) in [(1_000, 0x80), (1_024, 0x00), (1_008, 0x80), (990, 0x80), (1_036, 0x00), (9_999, 0)] {
            recorder.packet(Codec::Pcmu, &packet(timestamp, &[byte; 8]), &mut scratch);
        }
        let samples = recording.samples();
        assert_eq!(recording.rate(), 8_000);
        assert_eq!(samples.len(), 40);
        assert!(samples[..16].iter().all(|s| *s > 30_000) && samples[24..32].iter().all(|s| *s < -30_000));
        assert!(samples[16..24].iter().chain(&samples[32..36]).all(|s| *s == 0));
    }
}
