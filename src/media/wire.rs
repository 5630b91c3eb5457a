//! UDP sockets, read without waiting and with the kernel's own time of arrival.
//!
//! All calls are read once a tick; the kernel's timestamp keeps that out of the jitter and round-trip figures.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::clock::Now;

/// A longer datagram is cut off, and then no longer valid.
const LONGEST_DATAGRAM: usize = 2_048;

/// A socket on `address` that never waits.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// Where datagrams are read into, one after the other.
pub struct Inbox {
    /// The datagram read last.
    pub data: Vec<u8>,
    control: Vec<u8>,
}

/// What is known of a datagram besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// When it came.
    pub at: Now,
    /// How long it lay in the kernel.
    pub age: Duration,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Inbox {
        Inbox { data: Vec::with_capacity(LONGEST_DATAGRAM), control: nix::cmsg_space!(TimeSpec) }
    }

    /// Reads one datagram into `data`, if one waits.
    pub fn receive(&mut self, socket: &UdpSocket, now: Now) -> Option<Datagram> {
        self.data.resize(LONGEST_DATAGRAM, 0);
        let mut buffers = [IoSliceMut::new(&mut self.data)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut buffers,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let age = message
            .cmsgs()
            .into_iter()
            .flatten()
            .find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => Some(age(at, now)),
                _ => None,
            })
            .unwrap_or_default();
        let from = message.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|a| SocketAddr::V4((*a).into()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::V6((*a).into())))
        })?;
        let length = message.bytes;
        self.data.truncate(length);
        Some(Datagram { from, at: earlier(now, age), age })
    }
}

/// How long ago the kernel's clock of the day read `at`; a step of that clock shows as nothing or a second at most.
fn age(at: TimeSpec, now: Now) -> Duration {
    let at = i128::from(at.tv_sec()) * 1_000_000_000 + i128::from(at.tv_nsec());
    let age = (now.wall.as_nanosecond() - at).clamp(0, 1_000_000_000);
    Duration::from_nanos(u64::try_from(age).unwrap_or(0))
}

fn earlier(now: Now, by: Duration) -> Now {
    let wall = jiff::SignedDuration::try_from(by).ok().and_then(|by| now.wall.checked_sub(by).ok());
    Now { mono: now.mono.saturating_sub(by), wall: wall.unwrap_or(now.wall) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_datagram_comes_with_its_sender_and_its_time() {
        let clock = Clock::system();
        let before = clock.now();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(ours) = bind(address.parse().unwrap()) else { continue };
            let theirs = UdpSocket::bind(address.parse::<SocketAddr>().unwrap()).unwrap();
            let mut inbox = Inbox::new();
            assert!(inbox.receive(&ours, clock.now()).is_none());
            theirs.send_to(b"hello", ours.local_addr().unwrap()).unwrap();
            let datagram = inbox.receive(&ours, clock.now()).unwrap();
            assert_eq!(inbox.data, b"hello");
            assert_eq!(datagram.from, theirs.local_addr().unwrap());
            assert!(datagram.at.wall >= before.wall);
        }
    }

    #[test]
    fn age_survives_a_step_of_the_clock() {
        let now = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()).now();
        let second = now.wall.as_second();
        assert_eq!(age(TimeSpec::new(second - 1, 990_000_000), now), Duration::from_millis(10));
        assert_eq!(age(TimeSpec::new(second + 99, 0), now), Duration::ZERO);
        assert_eq!(age(TimeSpec::new(0, 0), now), Duration::from_secs(1));
    }
}
