//! The audio of a recorded call as RTP: what each side said, on the way that its leg's SDP names. It is made from the
//! recording; nothing of it was captured from the wire.

use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, bail};
use hound::{WavIntoSamples, WavReader};
use jiff::{SignedDuration, Timestamp};

use super::cseq_method;
use super::pcap::Datagram;
use crate::call::trace::{CALLER, TraceLine, Way};
use crate::media::Replay;
use crate::model::Codec;
use crate::sip::sdp::{self, Described};

/// How long a packet is.
const LENGTH: SignedDuration = SignedDuration::from_millis(20);
/// RTP's own port (RFC 3551 section 8), where no SDP names one; also where the SDP says SRTP, so that nobody takes for
/// encrypted what is in clear here.
const ANY_PORT: u16 = 5_004;
/// What a capture's streams are numbered from.
const FIRST_SSRC: u32 = 0x7472_0000;

/// A recorded piece of a conversation on its way into packets: an item is 20 ms of both sides.
pub struct Piece {
    samples: WavIntoSamples<BufReader<File>, i16>,
    /// Samples of both sides in a packet's time.
    per_packet: usize,
    /// Of the next packets.
    at: Timestamp,
    /// The caller's and the person's.
    sides: [(Route, Replay); 2],
}

impl Piece {
    /// The piece that began at `at`, of a call whose signalling is `lines`; `number` counts its pieces.
    ///
    /// # Errors
    /// The file cannot be read, or is no recording of ours.
    pub fn open(file: &Path, at: Timestamp, number: u32, lines: &[TraceLine]) -> Result<Piece> {
        let reader = WavReader::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let spec = reader.spec();
        let [caller, person] = routes(lines, at);
        let replay = |route: &Route, side| Replay::new(route.codec, spec.sample_rate, FIRST_SSRC + 2 * number + side);
        let (2, 16, Some(left), Some(right)) =
            (spec.channels, spec.bits_per_sample, replay(&caller, 0), replay(&person, 1))
        else {
            bail!("{} is no recording of a conversation; leave --media out", file.display());
        };
        let per_packet = 2 * spec.sample_rate as usize / 50;
        Ok(Piece { samples: reader.into_samples(), per_packet, at, sides: [(caller, left), (person, right)] })
    }
}

impl Iterator for Piece {
    type Item = Result<[Datagram; 2], hound::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let both: Result<Vec<i16>, _> = self.samples.by_ref().take(self.per_packet).collect();
        let both = match both {
            Ok(both) if both.is_empty() => return None,
            Ok(both) => both,
            Err(error) => return Some(Err(error)),
        };
        let at = self.at;
        self.at = at.saturating_add(LENGTH).unwrap_or(at);
        let mut side = 0;
        Some(Ok(self.sides.each_mut().map(|(route, replay)| {
            let samples: Vec<i16> = both.iter().skip(side).step_by(2).copied().collect();
            side += 1;
            Datagram { at, from: route.from, to: route.to, bytes: replay.packet(&samples) }
        })))
    }
}

/// The way to us of what one party says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    from: SocketAddr,
    to: SocketAddr,
    codec: Option<Codec>,
}

/// One leg's signalling up to a moment.
struct Leg<'a> {
    name: &'a str,
    call_id: &'a str,
    peer: IpAddr,
    local: IpAddr,
    theirs: Option<Described>,
    ours: Option<Described>,
    /// Of whichever SDP came last: the answer's.
    codec: Option<Codec>,
    answered: Option<Timestamp>,
    over: bool,
}

impl Leg<'_> {
    fn route(&self) -> Route {
        let place = |described: Option<Described>, otherwise: IpAddr| match described {
            Some(Described { rtp, secure: false, .. }) => rtp,
            Some(Described { rtp, secure: true, .. }) => SocketAddr::new(rtp.ip(), ANY_PORT),
            None => SocketAddr::new(otherwise, ANY_PORT),
        };
        Route { from: place(self.theirs, self.peer), to: place(self.ours, self.local), codec: self.codec }
    }
}

/// Between whom there was audio at `at`: the caller, and whoever was the last to be connected with them.
fn routes(lines: &[TraceLine], at: Timestamp) -> [Route; 2] {
    let mut legs: Vec<Leg> = vec![];
    for line in lines.iter().filter(|line| line.at <= at) {
        let known = legs.iter().position(|leg| leg.call_id == line.call_id);
        let leg = known.unwrap_or_else(|| {
            let (peer, local) = (line.peer.ip(), line.local.ip());
            let (name, call_id) = (line.leg.as_str(), line.call_id.as_str());
            let (theirs, ours, codec, answered) = (None, None, None, None);
            legs.push(Leg { name, call_id, peer, local, theirs, ours, codec, answered, over: false });
            legs.len() - 1
        });
        let leg = &mut legs[leg];
        if let Some(described) = line.message.split_once("\r\n\r\n").and_then(|(_, body)| sdp::describe(body)) {
            let side = if line.direction == Way::Received { &mut leg.theirs } else { &mut leg.ours };
            *side = Some(described);
            leg.codec = described.codec;
        }
        leg.over |= line.message.starts_with("BYE ");
        if line.message.starts_with("SIP/2.0 200 ") && cseq_method(&line.message) == Some("INVITE") {
            leg.answered.get_or_insert(line.at);
        }
    }
    [true, false].map(|caller| {
        let those = legs.iter().filter(|leg| (leg.name == CALLER) == caller);
        let last = those.filter(|leg| leg.answered.is_some() && !leg.over).max_by_key(|leg| leg.answered);
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), ANY_PORT);
        last.map_or(Route { from: nowhere, to: nowhere, codec: None }, Leg::route)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
    }

    fn line(ms: i64, leg: &str, direction: Way, start: &str, sdp: &str) -> TraceLine {
        TraceLine {
            at: at(ms),
            leg: leg.split('/').next().unwrap().to_owned(),
            direction,
            peer: "192.0.2.7:5060".parse().unwrap(),
            local: "192.0.2.1:5060".parse().unwrap(),
            transport: "udp".to_owned(),
            call_id: leg.to_owned(),
            masked: false,
            message: format!("{start}\r\nCSeq: 1 INVITE\r\n\r\n{sdp}"),
        }
    }

    fn sdp(address: &str, port: u16, profile: &str, formats: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} {profile} {formats}\r\n"
        )
    }

    fn route(from: &str, to: &str, codec: Option<Codec>) -> Route {
        Route { from: from.parse().unwrap(), to: to.parse().unwrap(), codec }
    }

    #[test]
    fn each_side_speaks_on_the_way_of_its_leg_as_it_was_in_that_moment() {
        use Way::{Received, Sent};
        let plain = |address, port, formats| sdp(address, port, "RTP/AVP", formats);
        let ok = "SIP/2.0 200 OK";
        let lines = [
            line(0, CALLER, Received, "INVITE sip:a SIP/2.0", &plain("192.0.2.8", 4_000, "9 8 0")),
            line(10, CALLER, Sent, ok, &plain("192.0.2.1", 16_384, "8")),
            line(20, "extension:201", Sent, "INVITE sip:b SIP/2.0", &plain("192.0.2.1", 16_386, "9 0 8")),
            line(21, "extension:202", Sent, "INVITE sip:c SIP/2.0", &plain("192.0.2.1", 16_388, "9 0 8")),
            line(40, "extension:201", Received, ok, &plain("10.0.0.5", 5_000, "0")),
            line(100, "extension:201/2", Received, "INVITE sip:d SIP/2.0", &sdp("10.0.0.6", 6_000, "RTP/SAVP", "9")),
            line(110, "extension:201/2", Sent, ok, &sdp("192.0.2.1", 16_390, "RTP/SAVP", "9")),
            line(120, "extension:201/2", Received, "BYE sip:d SIP/2.0", ""),
            line(130, "extension:203", Sent, "INVITE sip:d SIP/2.0", ""),
            line(140, "extension:203", Received, ok, ""),
        ];
        let caller = route("192.0.2.8:4000", "192.0.2.1:16384", Some(Codec::Pcma));
        let first = route("10.0.0.5:5000", "192.0.2.1:16386", Some(Codec::Pcmu));
        assert_eq!(routes(&lines, at(50)), [caller, first]);
        let encrypted = route("10.0.0.6:5004", "192.0.2.1:5004", Some(Codec::G722));
        assert_eq!(routes(&lines, at(115)), [caller, encrypted], "whoever was connected last");
        assert_eq!(routes(&lines, at(125)), [caller, first], "and still is");
        assert_eq!(routes(&lines, at(150))[1], route("192.0.2.7:5004", "192.0.2.1:5004", None), "no SDP");
        let nowhere = route("0.0.0.0:5004", "0.0.0.0:5004", None);
        assert_eq!(routes(&lines, at(5)), [nowhere, nowhere], "nobody has answered");
    }

    #[test]
    fn a_piece_is_packets_of_both_sides_from_its_beginning_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wav");
        let mut spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&file, spec).unwrap();
        for _ in 0..330 {
            writer.write_sample(8_000_i16).unwrap();
            writer.write_sample(-8_000_i16).unwrap();
        }
        writer.finalize().unwrap();
        let packets: Vec<_> = Piece::open(&file, at(1_000), 3, &[]).unwrap().map(Result::unwrap).collect();
        assert_eq!(packets.len(), 2, "the last is filled up");
        assert_eq!(packets.iter().map(|both| both[0].at).collect::<Vec<_>>(), [at(1_000), at(1_020)]);
        let ssrc = |side: usize| packets[1][side].bytes[11];
        assert_eq!((ssrc(0), ssrc(1)), (6, 7));
        // µ-law of 8000 and of −8000.
        assert_eq!((packets[0][0].bytes[120], packets[0][1].bytes[120]), (0xa0, 0x20));

        spec.channels = 1;
        hound::WavWriter::create(&file, spec).unwrap().finalize().unwrap();
        assert!(Piece::open(&file, at(0), 0, &[]).is_err());
        assert!(Piece::open(&dir.path().join("none.wav"), at(0), 0, &[]).is_err());
    }
}
