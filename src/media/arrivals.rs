//! Which sockets have something to be read: one question for all of them, so that a silent one costs nothing.

use std::io;
use std::net::UdpSocket;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::pacer::Key;

/// Answers fetched by one system call.
const BATCH: usize = 512;

/// A call's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// RTP.
    Audio,
    /// RTCP.
    Control,
}

/// The sockets that are watched. Closing a socket ends its watch.
#[derive(Debug)]
pub struct Arrivals(Epoll);

impl Arrivals {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Arrivals> {
        Ok(Arrivals(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches a call's socket.
    pub fn watch(&self, socket: &UdpSocket, key: Key, channel: Channel) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key << 1 | u64::from(channel == Channel::Control));
        Ok(self.0.add(socket, event)?)
    }

    /// Names each socket that has something now. What `read` leaves unread is named again the next time.
    pub fn each(&self, answers: &mut Answers, watched: usize, mut read: impl FnMut(Key, Channel)) {
        // The kernel goes round: a socket is named a second time only after all others.
        for _ in 0..=watched / BATCH {
            let named = self.0.wait(&mut answers.0, EpollTimeout::ZERO).unwrap_or(0);
            for event in &answers.0[..named] {
                let channel = if event.data() & 1 == 0 { Channel::Audio } else { Channel::Control };
                read(event.data() >> 1, channel);
            }
            if named < BATCH {
                break;
            }
        }
    }
}

/// Room for the answers.
pub struct Answers(Vec<EpollEvent>);

impl Answers {
    /// Empty room.
    pub fn new() -> Answers {
        Answers(vec![EpollEvent::empty(); BATCH])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_while_it_has_something_and_until_it_is_closed() {
        let arrivals = Arrivals::new().unwrap();
        let sockets: Vec<UdpSocket> = (0..BATCH + 50).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (key, socket) in (0..).zip(&sockets) {
            arrivals.watch(socket, key / 2, if key % 2 == 0 { Channel::Audio } else { Channel::Control }).unwrap();
        }
        let named = |read: &mut dyn FnMut(usize)| {
            let mut names = Vec::new();
            arrivals.each(&mut Answers::new(), sockets.len(), |key, channel| {
                let index = key as usize * 2 + usize::from(channel == Channel::Control);
                read(index);
                names.push(index);
            });
            names
        };
        assert!(named(&mut |_| ()).is_empty());

        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for index in [7, 4, 4] {
            peer.send_to(b"x", sockets[index].local_addr().unwrap()).unwrap();
        }
        let mut read = |index: usize| assert_eq!(sockets[index].recv(&mut [0; 8]).unwrap(), 1);
        assert_eq!(named(&mut read), [7, 4]);
        assert_eq!(named(&mut read), [4]);
        assert!(named(&mut read).is_empty());

        for socket in &sockets {
            peer.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        }
        let mut all = named(&mut read);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..sockets.len()));
        peer.send_to(b"x", sockets[0].local_addr().unwrap()).unwrap();
        let watched = sockets.len();
        drop(sockets);
        arrivals.each(&mut Answers::new(), watched, |key, _| panic!("{key} is closed"));
    }
}
