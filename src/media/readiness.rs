//! Which sockets of bridged calls have something to read: what is relayed cannot wait for the next tick.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;

use super::pacer::Key;

/// So many sockets are told of at once; the kernel keeps their order, so that none is passed over.
pub const AT_ONCE: usize = 64;

/// The sockets that are waited for.
pub struct Readiness {
    epoll: Epoll,
    events: [EpollEvent; AT_ONCE],
    members: usize,
}

impl Readiness {
    /// None yet.
    pub fn new() -> io::Result<Readiness> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Readiness { epoll, events: [EpollEvent::empty(); AT_ONCE], members: 0 })
    }

    /// Whether nobody is waited for.
    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Waits for a socket of the call `key`, too.
    pub fn add(&mut self, socket: &UdpSocket, key: Key) -> io::Result<()> {
        self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        self.members += 1;
        Ok(())
    }

    /// Waits for it no longer. Only for one that was added.
    pub fn remove(&mut self, socket: &UdpSocket) {
        // It is a member, and if it were not, all the better.
        let _ = self.epoll.delete(socket);
        self.members = self.members.saturating_sub(1);
    }

    /// Lets what comes on a member wait in the kernel.
    pub fn pause(&self, socket: &UdpSocket, key: Key) {
        let _ = self.epoll.modify(socket, &mut EpollEvent::new(EpollFlags::empty(), key));
    }

    /// Waits for it again.
    pub fn resume(&self, socket: &UdpSocket, key: Key) {
        let _ = self.epoll.modify(socket, &mut EpollEvent::new(EpollFlags::EPOLLIN, key));
    }

    /// Waits until something is there, for `at_most` as long; of how many sockets.
    pub fn wait(&mut self, at_most: Duration) -> usize {
        // Whole milliseconds take one system call; only what is left of the last one needs a finer clock.
        let ms = EpollTimeout::try_from(at_most).unwrap_or(EpollTimeout::MAX);
        let ready = if at_most >= Duration::from_millis(1) {
            self.epoll.wait(&mut self.events, ms)
        } else {
            let mut set = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            ppoll(&mut set, Some(TimeSpec::from_duration(at_most)), None)
                .and_then(|_| self.epoll.wait(&mut self.events, EpollTimeout::ZERO))
        };
        match ready {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            // It cannot fail otherwise; should it, the thread must not spin.
            Err(_) => {
                let _ = ppoll(&mut [], Some(TimeSpec::from_duration(at_most)), None);
                0
            }
        }
    }

    /// Whose socket the `at`-th of those is.
    pub fn key(&self, at: usize) -> Key {
        self.events[at].data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_of_until_it_is_read_paused_or_removed() {
        let mut readiness = Readiness::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(readiness.is_empty());
        readiness.add(&socket, 7).unwrap();
        for short in [Duration::ZERO, Duration::from_micros(100), Duration::from_millis(2)] {
            assert_eq!(readiness.wait(short), 0);
        }
        socket.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
        for long in [Duration::from_micros(900), Duration::from_secs(20)] {
            assert_eq!((readiness.wait(long), readiness.key(0)), (1, 7));
        }
        readiness.pause(&socket, 7);
        assert_eq!(readiness.wait(Duration::from_millis(1)), 0);
        readiness.resume(&socket, 7);
        assert_eq!(readiness.wait(Duration::from_secs(20)), 1);
        readiness.remove(&socket);
        assert!(readiness.is_empty());
        assert_eq!(readiness.wait(Duration::ZERO), 0);
    }
}
