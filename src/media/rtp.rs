//! RTP packets (RFC 3550 section 5.1): parsing what comes, numbering what goes.

use std::ops::Range;

use rtp_rs::RtpReader;

/// Bytes of the header that we write: no contributing sources, no extension.
pub const HEADER: usize = 12;

/// A received packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    /// Start of a talkspurt or an event.
    pub marker: bool,
    /// Counts packets.
    pub sequence: u16,
    /// Counts clock ticks.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// Without header, extension and padding.
    pub payload: &'a [u8],
}

/// Takes a packet apart; `None` if it is no RTP.
pub fn parse(packet: &[u8]) -> Option<Packet<'_>> {
    let reader = RtpReader::new(packet).ok()?;
    Some(Packet {
        payload_type: reader.payload_type(),
        marker: reader.mark(),
        sequence: reader.sequence_number().into(),
        timestamp: reader.timestamp(),
        ssrc: reader.ssrc(),
        payload: reader.payload(),
    })
}

/// Where in a packet that has been [parsed](parse) its payload of `length` bytes lies.
pub fn payload_within(packet: &[u8], length: usize) -> Range<usize> {
    let start = RtpReader::new(packet).map_or(packet.len(), |reader| reader.payload_offset());
    start..start.saturating_add(length)
}

/// Whether a packet on a port shared by both (RFC 5761 section 4) is RTCP rather than RTP.
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// The numbering of the stream that we send.
#[derive(Clone, Debug)]
pub struct Numbering {
    /// Ours.
    pub ssrc: u32,
    /// Of the next packet.
    pub sequence: u16,
    /// Of the next packet.
    pub timestamp: u32,
    /// Sent so far.
    pub packets: u64,
    /// Bytes of payload sent so far.
    pub octets: u64,
}

impl Numbering {
    /// A new stream; all three should be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Numbering {
        Numbering { ssrc, sequence, timestamp, packets: 0, octets: 0 }
    }

    /// Writes the next packet's header, `timestamp` as given, and counts the packet.
    pub fn stamp(&mut self, packet: &mut [u8], payload_type: u8, marker: bool, timestamp: u32) {
        let octets = packet.len().saturating_sub(HEADER);
        if let Some(header) = packet.first_chunk_mut::<HEADER>() {
            header[0] = 0x80;
            header[1] = (payload_type & 0x7f) | (u8::from(marker) << 7);
            header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            header[4..8].copy_from_slice(&timestamp.to_be_bytes());
            header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets += octets as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_stamped_parses() {
        let mut numbering = Numbering::new(7, u16::MAX, 99);
        let mut packet = [0x55; HEADER + 4];
        numbering.stamp(&mut packet, 101, true, 1234);
        let parsed = parse(&packet).unwrap();
        let expected = Packet {
            payload_type: 101,
            marker: true,
            sequence: u16::MAX,
            timestamp: 1234,
            ssrc: 7,
            payload: &[0x55; 4],
        };
        assert_eq!(parsed, expected);
        assert_eq!((numbering.sequence, numbering.packets, numbering.octets), (0, 1, 4));
        assert!(!is_rtcp(&packet) && is_rtcp(&[0x80, 200]) && !is_rtcp(&[]));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), valid in any::<bool>()) {
            if let (true, Some(first)) = (valid, bytes.first_mut()) {
                *first = 0x80 | (*first & 0x3f);
            }
            if let Some(packet) = parse(&bytes) {
                prop_assert!(packet.payload.len() <= bytes.len() - HEADER);
                prop_assert_eq!(&bytes[payload_within(&bytes, packet.payload.len())], packet.payload);
            }
        }
    }
}
