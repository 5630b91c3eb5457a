//! A capture of a call: the classic libpcap format with microseconds and link type RAW, which tcpdump and Wireshark
//! open. Everything is put into UDP datagrams, also what went by TCP or TLS.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;

use crate::call::trace::{TraceLine, Way};

/// IPv4 or IPv6 without a link layer: <https://www.tcpdump.org/linktypes.html>.
const LINKTYPE_RAW: u32 = 101;
const UDP: u8 = 17;
/// What of a message fits into a datagram, its headers taken off.
const LONGEST: usize = 65_535 - 20 - 8;

/// What goes into one datagram.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

impl From<&TraceLine> for Datagram {
    fn from(line: &TraceLine) -> Datagram {
        let (from, to) = match line.direction {
            Way::Received => (line.peer, line.local),
            Way::Sent => (line.local, line.peer),
        };
        Datagram { at: line.at, from, to, bytes: line.message.clone().into_bytes() }
    }
}

/// A capture that is being written.
pub struct Capture<W: Write>(W);

impl<W: Write> Capture<W> {
    /// Begins with the file's header.
    pub fn begin(mut file: W) -> io::Result<Capture<W>> {
        file.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        file.write_all(&[2, 0, 4, 0])?;
        file.write_all(&[0; 8])?;
        file.write_all(&65_535_u32.to_le_bytes())?;
        file.write_all(&LINKTYPE_RAW.to_le_bytes())?;
        Ok(Capture(file))
    }

    /// Adds a packet.
    pub fn add(&mut self, datagram: &Datagram) -> io::Result<()> {
        let packet = packet(datagram.from, datagram.to, &datagram.bytes);
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(datagram.at.as_second()).unwrap_or(0);
        let micros = u32::try_from(datagram.at.subsec_microsecond()).unwrap_or(0);
        for field in [seconds, micros, length, length] {
            self.0.write_all(&field.to_le_bytes())?;
        }
        self.0.write_all(&packet)
    }

    /// Hands what is left to the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }
}

/// An IP packet with a UDP datagram (RFC 791, RFC 8200, RFC 768).
fn packet(from: SocketAddr, to: SocketAddr, message: &[u8]) -> Vec<u8> {
    let message = message.get(..LONGEST).unwrap_or(message);
    let length = u16::try_from(message.len() + 8).unwrap_or(u16::MAX);
    let mut datagram = Vec::with_capacity(usize::from(length));
    for field in [from.port(), to.port(), length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(message);

    let (mut packet, pseudo) = match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (ipv4(from, to, length), [&from.octets()[..], &to.octets()].concat()),
        (from, to) => {
            let (from, to) = (v6(from), v6(to));
            (ipv6(from, to, length), [from.octets(), to.octets()].concat())
        }
    };
    let sum = checksum(&[&pseudo[..], &[0, UDP], &length.to_be_bytes(), &datagram].concat());
    // Zero would say that there is none.
    datagram[6..8].copy_from_slice(&(if sum == 0 { u16::MAX } else { sum }).to_be_bytes());
    packet.extend(datagram);
    packet
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((payload + 20).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, UDP, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, payload: u16) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(payload.to_be_bytes());
    header.extend([UDP, 64]);
    header.extend(from.octets());
    header.extend(to.octets());
    header
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(peer: &str, local: &str, direction: Way, message: &str) -> TraceLine {
        TraceLine {
            at: "2026-11-02T14:00:00.000250Z".parse().unwrap(),
            leg: "caller".to_owned(),
            direction,
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
            transport: "tls".to_owned(),
            call_id: "a".to_owned(),
            masked: false,
            message: message.to_owned(),
        }
    }

    /// A header that holds its own sum adds up to nothing.
    fn adds_up(bytes: &[u8]) -> bool {
        checksum(bytes) == 0
    }

    #[test]
    fn each_message_is_a_datagram_with_its_time_and_true_sums() {
        let lines = [
            line("192.0.2.7:5062", "192.0.2.1:5060", Way::Received, "OPTIONS"),
            line("[2001:db8::7]:5062", "[2001:db8::1]:5060", Way::Sent, "BYE odd"),
        ];
        let mut capture = Capture::begin(vec![]).unwrap();
        lines.iter().for_each(|line| capture.add(&line.into()).unwrap());
        let file = capture.finish().unwrap();
        assert_eq!(&file[..4], &[0xd4, 0xc3, 0xb2, 0xa1]);
        assert_eq!((&file[4..8], &file[20..24]), (&[2, 0, 4, 0][..], &[101, 0, 0, 0][..]));
        let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((u32_at(24), u32_at(28)), (1_793_628_000, 250));
        assert_eq!((u32_at(32), u32_at(36)), (35, 35));
        let v4 = &file[40..75];
        assert!(adds_up(&v4[..20]));
        assert_eq!((&v4[12..20], &v4[20..24]), (&[192, 0, 2, 7, 192, 0, 2, 1][..], &[0x13, 0xc6, 0x13, 0xc4][..]));
        assert!(adds_up(&[&v4[12..20], &[0, UDP, 0, 15], &v4[20..]].concat()));
        assert_eq!(&v4[28..], b"OPTIONS");
        let v6 = &file[91..];
        assert_eq!((v6[0], v6.len()), (0x60, 55));
        assert_eq!(v6[8..24], "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        assert!(adds_up(&[&v6[8..40], &[0, UDP, 0, 15], &v6[40..]].concat()));
    }

    #[test]
    fn families_that_differ_and_long_messages_are_no_trouble() {
        let mixed = packet("192.0.2.7:1".parse().unwrap(), "[::]:2".parse().unwrap(), b"x");
        assert_eq!(mixed[0], 0x60);
        let long = packet("192.0.2.7:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap(), &[0; 100_000]);
        assert_eq!(long.len(), 65_535);
    }
}
