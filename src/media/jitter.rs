//! What arrives of the peer's stream: sequence, loss and jitter (RFC 3550 appendices A.1, A.3 and A.8).

use std::time::Duration;

/// A step of the sequence forward by so much is still the same stream.
const MAX_DROPOUT: u16 = 3_000;
/// A step backward by so much is a packet that was overtaken.
const MAX_MISORDER: u16 = 100;

/// How a packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Newer than all before; so many between are missing as yet.
    Next {
        /// Packets missing before this one.
        missing: u16,
    },
    /// Overtaken or repeated.
    Late,
    /// A jump too far to be the same stream: dropped, unless the next packet continues from it.
    Stray,
}

/// The statistics of one received stream; when the peer starts another, the totals go on.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    expected_before: u64,
    received: u64,
    expected_at_report: u64,
    received_at_report: u64,
    transit: Option<f64>,
    jitter_ms: f64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    base: u16,
    highest: u16,
    cycles: u32,
    stray: Option<u16>,
}

impl Stream {
    fn starting(at: u16) -> Stream {
        Stream { base: at, highest: at, cycles: 0, stray: None }
    }

    fn extended(&self) -> u32 {
        (self.cycles << 16) | u32::from(self.highest)
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended().wrapping_sub(u32::from(self.base))) + 1
    }
}

impl Reception {
    /// Takes note of a packet.
    pub fn packet(&mut self, sequence: u16) -> Standing {
        let Some(stream) = &mut self.stream else {
            self.stream = Some(Stream::starting(sequence));
            self.received += 1;
            return Standing::Next { missing: 0 };
        };
        let step = sequence.wrapping_sub(stream.highest);
        let standing = if step == 0 {
            Standing::Late
        } else if step < MAX_DROPOUT {
            if sequence < stream.highest {
                stream.cycles = stream.cycles.wrapping_add(1) & 0xffff;
            }
            stream.highest = sequence;
            Standing::Next { missing: step - 1 }
        } else if step > u16::MAX - MAX_MISORDER {
            Standing::Late
        } else if stream.stray == Some(sequence) {
            // Two in a row: the peer has restarted its numbering.
            self.restart();
            return self.packet(sequence);
        } else {
            stream.stray = Some(sequence.wrapping_add(1));
            return Standing::Stray;
        };
        stream.stray = None;
        self.received += 1;
        standing
    }

    /// Takes note of when an audio packet came; `timestamp` is its own, on a clock of `rate` Hz.
    pub fn timing(&mut self, timestamp: u32, rate: u32, arrival: Duration) {
        let sent_ms = f64::from(timestamp) * 1e3 / f64::from(rate.max(1));
        let transit = arrival.as_secs_f64() * 1e3 - sent_ms;
        if let Some(before) = self.transit.replace(transit) {
            let deviation = (transit - before).abs();
            // A wrap of the timestamp or a pause with a new offset is no jitter.
            if deviation < 1_000.0 {
                self.jitter_ms += (deviation - self.jitter_ms) / 16.0;
            }
        }
    }

    /// The peer starts a new stream: another SSRC, or another numbering.
    pub fn restart(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.expected_before += stream.expected();
        }
        self.transit = None;
    }

    /// Packets that came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that were sent, as far as the numbering tells.
    pub fn expected(&self) -> u64 {
        self.expected_before + self.stream.map_or(0, |stream| stream.expected())
    }

    /// Packets that were sent and did not come; repeats do not make it negative.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// Interarrival jitter in ms.
    pub fn jitter_ms(&self) -> f64 {
        self.jitter_ms
    }

    /// Highest sequence number with the count of wraps above it.
    pub fn extended_sequence(&self) -> u32 {
        self.stream.map_or(0, |stream| stream.extended())
    }

    /// The share lost since the last call of this, in 256ths: for a report block.
    pub fn fraction_lost(&mut self) -> u8 {
        let expected = self.expected().saturating_sub(self.expected_at_report);
        let received = self.received.saturating_sub(self.received_at_report);
        self.expected_at_report = self.expected();
        self.received_at_report = self.received;
        let lost = expected.saturating_sub(received);
        (lost * 256).checked_div(expected).map_or(0, |share| u8::try_from(share).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hear(sequence: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::default();
        for s in sequence {
            reception.packet(s);
        }
        reception
    }

    #[test]
    fn loss_is_counted_over_the_wrap() {
        let reception = hear([65_534, 65_535, 1, 2]);
        assert_eq!((reception.expected(), reception.received(), reception.lost()), (5, 4, 1));
        assert_eq!(reception.extended_sequence(), 0x1_0002);
    }

    #[test]
    fn an_overtaken_packet_is_not_lost() {
        let mut reception = Reception::default();
        assert_eq!(reception.packet(10), Standing::Next { missing: 0 });
        assert_eq!(reception.packet(12), Standing::Next { missing: 1 });
        assert_eq!(reception.packet(11), Standing::Late);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn a_stray_is_dropped_and_a_restart_followed() {
        let mut reception = hear(0..10);
        assert_eq!(reception.packet(30_000), Standing::Stray);
        assert_eq!(reception.packet(10), Standing::Next { missing: 0 });
        assert_eq!(reception.packet(40_000), Standing::Stray);
        assert_eq!(reception.packet(40_001), Standing::Next { missing: 0 });
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.received(), 12);
    }

    #[test]
    fn the_fraction_is_since_the_last_report() {
        let mut reception = hear((0..100).filter(|s| s % 4 != 1));
        assert_eq!(reception.fraction_lost(), 64);
        assert_eq!(reception.fraction_lost(), 0);
    }

    #[test]
    fn jitter_is_zero_for_a_steady_stream_and_approaches_the_deviation() {
        let mut steady = Reception::default();
        let mut shaky = Reception::default();
        for i in 0..200u32 {
            let arrival = Duration::from_millis(u64::from(i) * 20);
            steady.timing(i.wrapping_mul(160), 8_000, arrival);
            shaky.timing(i.wrapping_mul(160), 8_000, arrival + Duration::from_millis(u64::from(i % 2) * 8));
        }
        assert!(steady.jitter_ms() < 1e-6);
        assert!((shaky.jitter_ms() - 8.0).abs() < 0.1, "{}", shaky.jitter_ms());
    }

    proptest! {
        #[test]
        fn loss_of_an_ordered_stream_is_what_was_left_out(
            start in any::<u16>(),
            kept in proptest::collection::vec(any::<bool>(), 2..500),
        ) {
            let sent: Vec<u16> = (0..kept.len()).map(|i| start.wrapping_add(i as u16)).collect();
            let heard: Vec<u16> = sent.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(s, _)| *s).collect();
            prop_assume!(!heard.is_empty());
            let reception = hear(heard.iter().copied());
            let span = heard[heard.len() - 1].wrapping_sub(heard[0]) as u64 + 1;
            prop_assert_eq!(reception.lost(), span - heard.len() as u64);
        }

        #[test]
        fn any_numbering_is_survived(sequence in proptest::collection::vec(any::<u16>(), 0..300)) {
            let mut reception = hear(sequence);
            reception.fraction_lost();
            reception.timing(u32::MAX, 0, Duration::MAX);
            reception.timing(0, 8_000, Duration::ZERO);
        }
    }
}
