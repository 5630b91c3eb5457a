//! RTCP (RFC 3550 section 6): our reports, and what the peer's say about our stream.

use std::time::Duration;

use jiff::Timestamp;
use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, ReportBlockBuilder, RtcpParseError, RtcpWriteError, Sdes,
    SdesChunk, SdesItem, SenderReport,
};

/// The mean time between our reports (section 6.2).
pub const INTERVAL: Duration = Duration::from_secs(5);

/// A time to wait for the next report: half to one and a half intervals, by a random number.
pub fn interval(random: u32) -> Duration {
    INTERVAL / 2 + INTERVAL.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What a report of ours says.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Our stream.
    pub ssrc: u32,
    /// A name without meaning, the same for the whole call.
    pub cname: &'a str,
    /// What we sent; absent if nothing was since the last report.
    pub sent: Option<Sent>,
    /// How the peer's stream arrives, if there is one.
    pub heard: Option<Heard>,
    /// The last report of the call.
    pub bye: bool,
}

/// The sender's part.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Now.
    pub at: Timestamp,
    /// Now on our stream's clock.
    pub rtp_timestamp: u32,
    /// Packets so far.
    pub packets: u64,
    /// Bytes of payload so far.
    pub octets: u64,
}

/// The receiver's part.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The peer's stream.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost so far.
    pub lost: u64,
    /// Highest sequence number with its wraps.
    pub extended_sequence: u32,
    /// In ticks of the RTP clock.
    pub jitter: u32,
    /// The peer's last sender report: the middle of its NTP time, and how long ago it came.
    pub last_report: Option<(u32, Duration)>,
}

/// Writes a compound packet.
pub fn write(report: &Report<'_>, out: &mut Vec<u8>) -> Result<(), RtcpWriteError> {
    let block = report.heard.map(|heard| block(&heard));
    let mut compound = Compound::builder();
    compound = match report.sent {
        Some(sent) => {
            let sender = SenderReport::builder(report.ssrc)
                .ntp_timestamp(ntp(sent.at))
                .rtp_timestamp(sent.rtp_timestamp)
                .packet_count(sent.packets as u32)
                .octet_count(sent.octets as u32);
            compound.add_packet(block.into_iter().fold(sender, |report, block| report.add_report_block(block)))
        }
        None => {
            let receiver = ReceiverReport::builder(report.ssrc);
            compound.add_packet(block.into_iter().fold(receiver, |report, block| report.add_report_block(block)))
        }
    };
    let name = SdesChunk::builder(report.ssrc).add_item(SdesItem::builder(SdesItem::CNAME, report.cname));
    compound = compound.add_packet(Sdes::builder().add_chunk(name));
    if report.bye {
        compound = compound.add_packet(Bye::builder().add_source(report.ssrc));
    }
    out.clear();
    out.resize(compound.calculate_size()?, 0);
    compound.write_into(out)?;
    Ok(())
}

fn block(heard: &Heard) -> ReportBlockBuilder {
    let (last, delay) = heard.last_report.unwrap_or_default();
    ReportBlock::builder(heard.ssrc)
        .fraction_lost(heard.fraction_lost)
        // 24 bits, signed (section 6.4.1).
        .cumulative_lost(u32::try_from(heard.lost).unwrap_or(u32::MAX).min(0x7f_ffff))
        .extended_sequence_number(heard.extended_sequence)
        .interarrival_jitter(heard.jitter)
        .last_sender_report_timestamp(last)
        .delay_since_last_sender_report_timestamp(units(delay))
}

/// What a compound packet of the peer tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The middle 32 bits of the NTP time of its sender report.
    pub sender_report: Option<u32>,
    /// Its report on our stream.
    pub on_us: Option<OnUs>,
    /// It says goodbye.
    pub bye: bool,
}

/// A report block on our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnUs {
    /// Packets of ours that it counts as lost.
    pub lost: u32,
    /// Our last sender report as it saw it; 0: none.
    pub last_report: u32,
    /// How long ago that was, in 65536ths of a second.
    pub delay: u32,
}

/// Reads a compound packet; what it says about streams other than `ssrc` is left out.
pub fn read(packet: &[u8], ssrc: u32) -> Result<Told, RtcpParseError> {
    // The library trusts a length that it has not seen to hold a header.
    if packet.len() < 8 {
        return Err(RtcpParseError::Truncated { expected: 8, actual: packet.len() });
    }
    let mut told = Told::default();
    for part in Compound::parse(packet)? {
        match part? {
            Packet::Sr(report) => {
                told.sender_report = Some(middle(report.ntp_timestamp()));
                told.on_us = report.report_blocks().find_map(|block| on_us(&block, ssrc)).or(told.on_us);
            }
            Packet::Rr(report) => {
                told.on_us = report.report_blocks().find_map(|block| on_us(&block, ssrc)).or(told.on_us);
            }
            Packet::Bye(_) => told.bye = true,
            _ => {}
        }
    }
    Ok(told)
}

fn on_us(block: &ReportBlock<'_>, ssrc: u32) -> Option<OnUs> {
    // A negative count means more repeats than losses.
    let lost = block.cumulative_lost();
    (block.ssrc() == ssrc).then(|| OnUs {
        lost: if lost & 0x80_0000 == 0 { lost } else { 0 },
        last_report: block.last_sender_report_timestamp(),
        delay: block.delay_since_last_sender_report_timestamp(),
    })
}

/// The round trip that a report on us tells when it arrives at `at` (section 6.4.1), unless it is absurd.
pub fn round_trip(report: OnUs, at: Timestamp) -> Option<Duration> {
    if report.last_report == 0 {
        return None;
    }
    let round = middle(ntp(at)).wrapping_sub(report.last_report).wrapping_sub(report.delay);
    (round < 10 << 16).then(|| Duration::from_secs(1).mul_f64(f64::from(round) / 65_536.0))
}

/// The middle 32 bits of an NTP time.
fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// NTP time: seconds since 1900 and their 2^32nds.
fn ntp(at: Timestamp) -> u64 {
    const UNIX_EPOCH: i64 = 2_208_988_800;
    let nanos = at.as_nanosecond().rem_euclid(1_000_000_000) as u64;
    let seconds = at.as_nanosecond().div_euclid(1_000_000_000) as i64;
    ((seconds.wrapping_add(UNIX_EPOCH) as u64) << 32) | ((nanos << 32) / 1_000_000_000)
}

/// 65536ths of a second.
fn units(delay: Duration) -> u32 {
    (delay.as_secs_f64() * 65_536.0).min(f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn report(sent: bool, heard: bool, bye: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let report = Report {
            ssrc: 0x1111,
            cname: "a1b2",
            sent: sent.then(|| Sent { at: at("2026-01-01T00:00:00.5Z"), rtp_timestamp: 5, packets: 6, octets: 7 }),
            heard: heard.then_some(Heard {
                ssrc: 0x2222,
                fraction_lost: 3,
                lost: u64::MAX,
                extended_sequence: 99,
                jitter: 8,
                last_report: Some((1 << 16, Duration::from_secs(2))),
            }),
            bye,
        };
        write(&report, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_reads_back() {
        for (sent, heard, bye) in [(true, true, true), (false, true, false), (true, false, false), (false, false, true)]
        {
            let told = read(&report(sent, heard, bye), 0x2222).unwrap();
            assert_eq!(told.sender_report.is_some(), sent);
            assert_eq!(told.on_us, heard.then_some(OnUs { lost: 0x7f_ffff, last_report: 1 << 16, delay: 2 << 16 }));
            assert_eq!(told.bye, bye);
        }
        assert_eq!(read(&report(true, true, false), 0x3333).unwrap().on_us, None);
    }

    /// Figure 2 of RFC 3550: the report arrives at 10.25 + 0xb710:8000 and the round trip is 6.125 s.
    #[test]
    fn the_round_trip_of_the_rfc() {
        let seconds = 0xb44d_b705_2000_0000_u64;
        let sent = (seconds >> 16) as u32;
        assert_eq!(sent, 0xb705_2000);
        let arrival = ((0xb44d_b710_8000_0000_u64 >> 32) as i64) - 2_208_988_800;
        let arrival = Timestamp::new(arrival, 500_000_000).unwrap();
        let report = OnUs { lost: 0, last_report: 0xb705_2000, delay: 0x0005_4000 };
        assert_eq!(round_trip(report, arrival), Some(Duration::from_millis(6_125)));
        assert_eq!(round_trip(OnUs { last_report: 0, ..report }, arrival), None);
        assert_eq!(round_trip(OnUs { delay: u32::MAX / 2, ..report }, arrival), None);
    }

    #[test]
    fn reports_are_spread() {
        assert_eq!(interval(0), Duration::from_millis(2_500));
        assert_eq!(interval(u32::MAX), Duration::from_millis(7_500));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
            kind in 195u8..210,
            words in 0u8..30,
        ) {
            if let Some(head) = bytes.first_chunk_mut::<4>() {
                *head = [0x80 | (head[0] & 0x3f), kind, 0, words];
            }
            let _ = read(&bytes, 1);
        }

        #[test]
        fn a_damaged_report_never_panics(at in 0usize..200, value in any::<u8>(), cut in 0usize..120) {
            let mut bytes = report(true, true, true);
            let len = bytes.len();
            bytes[at % len] = value;
            bytes.truncate(len - cut.min(len));
            let _ = read(&bytes, 0x2222);
        }
    }
}
