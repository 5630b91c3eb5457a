//! Digits out of one call's packets: events, tones where no events were negotiated, and what signalling brings.

use std::time::Duration;

use super::codec::Decoder;
use super::dtmf::{EventDetector, Merger, ToneDetector};
use super::rtp::Packet;
use crate::model::{Codec, Digit, DigitSource, Pressed};

/// All that listens for digits in one call.
#[derive(Default)]
pub struct Digits {
    merger: Merger,
    events: EventDetector,
    tones: Option<Box<Tones>>,
}

struct Tones {
    codec: Codec,
    decoder: Decoder,
    detector: ToneDetector,
}

impl Digits {
    /// Listens for tones in audio of `codec`, or with `None` not at all.
    pub fn listen(&mut self, codec: Option<Codec>) {
        if self.tones.as_ref().map(|tones| tones.codec) != codec {
            self.tones = codec.map(|codec| {
                let decoder = Decoder::narrow(codec);
                let detector = ToneDetector::new(decoder.rate());
                Box::new(Tones { codec, decoder, detector })
            });
        }
    }

    /// The peer starts a new stream.
    pub fn restart(&mut self) {
        self.events = EventDetector::new();
    }

    /// A telephone-event packet.
    pub fn event(&mut self, packet: &Packet<'_>, at: Duration) -> Option<Pressed> {
        let digit = self.events.packet(packet.sequence, packet.timestamp, packet.payload)?;
        self.merger.offer(at, Pressed { digit, source: DigitSource::Event })
    }

    /// An audio packet; `scratch` holds the samples of the longest one.
    pub fn audio(&mut self, payload: &[u8], at: Duration, scratch: &mut [i16], mut pressed: impl FnMut(Pressed)) {
        let Some(tones) = &mut self.tones else { return };
        let decoded = tones.decoder.decode(payload, scratch);
        let merger = &mut self.merger;
        tones.detector.samples(scratch.get(..decoded).unwrap_or_default(), |digit| {
            merger.offer(at, Pressed { digit, source: DigitSource::Tone }).into_iter().for_each(&mut pressed);
        });
    }

    /// A digit by SIP INFO.
    pub fn info(&mut self, digit: Digit, at: Duration) -> Option<Pressed> {
        self.merger.offer(at, Pressed { digit, source: DigitSource::Info })
    }
}
