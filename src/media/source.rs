//! Whom we listen to: symmetric RTP that locks onto the peer and cannot be stolen afterwards.
//!
//! Signalling names an address. A peer behind NAT sends from another one, which only its packets reveal; and anybody
//! may send packets to an open port. So:
//!
//! - The first valid packet from the negotiated IP address, whatever its port, is the peer: locked.
//! - The negotiated address and port, heard three times in a row, take over a lock of another port of that host: a media
//!   server has many calls, and what is left of one may come to a port that the next one has.
//! - If none came in the first moments, a source that sends three packets in a row with negotiated payload types is
//!   taken for the peer. The negotiated address, should it be heard after all, still takes that lock over, once.
//! - Once locked, packets from anywhere else are dropped; another SSRC from the same source needs two in a row.
//!
//! With SRTP only authenticated packets come this far.

use std::net::SocketAddr;
use std::time::Duration;

/// For so long only the negotiated address is believed.
const GRACE: Duration = Duration::from_millis(400);
/// So many in a row make a stranger credible.
const CREDIBLE: u8 = 3;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the peer's.
    Ours,
    /// It is the peer's, and the first of a new stream.
    NewStream,
    /// Not yet, or not at all.
    Foreign,
}

/// The peer's source, as far as known.
#[derive(Clone, Debug)]
pub struct Source {
    negotiated: SocketAddr,
    since: Duration,
    locked: Option<Locked>,
    candidate: Option<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Locked {
    from: SocketAddr,
    ssrc: u32,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    seen: u8,
}

impl Source {
    /// Nothing heard yet from a peer negotiated at `now`.
    pub fn new(negotiated: SocketAddr, now: Duration) -> Source {
        Source { negotiated, since: now, locked: None, candidate: None }
    }

    /// Where to send: to the locked source, before that to the negotiated address.
    pub fn target(&self) -> SocketAddr {
        self.locked.map_or(self.negotiated, |locked| locked.from)
    }

    /// Who is locked.
    pub fn locked(&self) -> Option<SocketAddr> {
        self.locked.map(|locked| locked.from)
    }

    /// Cheap refusal before a packet is decrypted or parsed: whether one from there could be the peer's at all.
    pub fn possible(&self, from: SocketAddr) -> bool {
        self.locked.is_none_or(|locked| locked.from == from || self.reclaims(from, locked))
    }

    /// After a re-INVITE. The same address keeps its lock, so that a mere refresh opens no door.
    pub fn renegotiated(&mut self, negotiated: SocketAddr, now: Duration) {
        if negotiated != self.negotiated {
            *self = Source::new(negotiated, now);
        }
    }

    /// Judges a valid packet with a negotiated payload type.
    pub fn judge(&mut self, from: SocketAddr, ssrc: u32, sequence: u16, now: Duration) -> Verdict {
        let credible = match self.locked {
            Some(locked) if locked.from == from && locked.ssrc == ssrc => return Verdict::Ours,
            Some(locked) if locked.from == from => 2,
            Some(locked) if self.reclaims(from, locked) && self.is_host(locked.from) => CREDIBLE,
            Some(locked) if self.reclaims(from, locked) => 1,
            Some(_) => return Verdict::Foreign,
            None if self.is_host(from) => 1,
            None if now.saturating_sub(self.since) < GRACE => return Verdict::Foreign,
            None => CREDIBLE,
        };
        let seen = match self.candidate {
            Some(c) if c.from == from && c.ssrc == ssrc && c.next == sequence => c.seen.saturating_add(1),
            _ => 1,
        };
        if seen < credible {
            self.candidate = Some(Candidate { from, ssrc, next: sequence.wrapping_add(1), seen });
            return Verdict::Foreign;
        }
        self.candidate = None;
        self.locked = Some(Locked { from, ssrc });
        Verdict::NewStream
    }

    fn reclaims(&self, from: SocketAddr, locked: Locked) -> bool {
        (self.is_host(from) && !self.is_host(locked.from))
            || (from == self.negotiated && locked.from != self.negotiated)
    }

    /// Whether it is the negotiated one but for its port.
    fn is_host(&self, from: SocketAddr) -> bool {
        from.ip() == self.negotiated.ip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Duration = Duration::from_millis(10);
    const LATER: Duration = Duration::from_secs(1);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn source() -> Source {
        Source::new(at("198.51.100.7:4000"), Duration::ZERO)
    }

    #[test]
    fn what_is_left_of_another_call_of_the_host_does_not_keep_the_peer_out() {
        let mut source = source();
        let (peer, stray) = (at("198.51.100.7:4000"), at("198.51.100.7:9999"));
        assert_eq!(source.judge(stray, 1, 5, EARLY), Verdict::NewStream);
        for (sequence, verdict) in [(70, Verdict::Foreign), (71, Verdict::Foreign), (72, Verdict::NewStream)] {
            assert!(source.possible(peer));
            assert_eq!(source.judge(peer, 2, sequence, LATER), verdict);
        }
        // And it stays so.
        for sequence in 6..50 {
            assert!(!source.possible(stray));
            assert_eq!(source.judge(stray, 1, sequence, LATER), Verdict::Foreign);
            assert_eq!(source.judge(peer, 2, 67 + sequence, LATER), Verdict::Ours);
        }
    }

    #[test]
    fn the_negotiated_address_is_believed_at_once_on_any_port_and_cannot_be_stolen() {
        let mut source = source();
        assert_eq!(source.target(), at("198.51.100.7:4000"));
        assert_eq!(source.judge(at("198.51.100.7:9999"), 1, 5, EARLY), Verdict::NewStream);
        assert_eq!(source.target(), at("198.51.100.7:9999"));
        for sequence in 6..50 {
            assert_eq!(source.judge(at("203.0.113.9:4000"), 1, sequence, LATER), Verdict::Foreign);
            assert_eq!(source.judge(at("198.51.100.7:8888"), 1, sequence, LATER), Verdict::Foreign);
            assert!(!source.possible(at("203.0.113.9:4000")) && !source.possible(at("198.51.100.7:8888")));
            assert_eq!(source.judge(at("198.51.100.7:9999"), 1, sequence, LATER), Verdict::Ours);
        }
    }

    #[test]
    fn a_peer_behind_nat_is_found_after_the_first_moments() {
        let mut source = source();
        let nat = at("203.0.113.9:30000");
        for sequence in 0..20 {
            assert_eq!(source.judge(nat, 1, sequence, EARLY), Verdict::Foreign);
        }
        assert_eq!(source.judge(nat, 1, 20, LATER), Verdict::Foreign);
        assert_eq!(source.judge(nat, 1, 22, LATER), Verdict::Foreign);
        assert_eq!(source.judge(nat, 1, 23, LATER), Verdict::Foreign);
        assert_eq!(source.judge(nat, 1, 24, LATER), Verdict::NewStream);
        assert_eq!(source.target(), nat);
        assert_eq!(source.judge(at("203.0.113.10:1"), 1, 25, LATER), Verdict::Foreign);
        // The negotiated address was slow, not absent.
        assert_eq!(source.judge(at("198.51.100.7:4000"), 8, 1, LATER), Verdict::NewStream);
        assert_eq!(source.judge(nat, 1, 25, LATER), Verdict::Foreign);
    }

    #[test]
    fn another_ssrc_needs_two_in_a_row() {
        let mut source = source();
        let peer = at("198.51.100.7:4000");
        source.judge(peer, 1, 5, EARLY);
        assert_eq!(source.judge(peer, 2, 100, EARLY), Verdict::Foreign);
        assert_eq!(source.judge(peer, 1, 6, EARLY), Verdict::Ours);
        assert_eq!(source.judge(peer, 2, 101, EARLY), Verdict::NewStream);
    }

    #[test]
    fn a_refresh_keeps_the_lock_and_moved_media_opens_it() {
        let mut source = source();
        source.judge(at("198.51.100.7:9999"), 1, 5, EARLY);
        source.renegotiated(at("198.51.100.7:4000"), LATER);
        assert_eq!(source.locked(), Some(at("198.51.100.7:9999")));
        source.renegotiated(at("198.51.100.8:4000"), LATER);
        assert_eq!(source.locked(), None);
        assert_eq!(source.target(), at("198.51.100.8:4000"));
    }
}
