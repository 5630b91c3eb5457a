//! Who may speak to us: trunks by address; everybody else is a stranger.
//!
//! Asked once for each datagram or connection, before anything is parsed. The decision is plain: addresses in, verdict
//! out; the table of token buckets is bounded, and at the bound the source that was seen first goes.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::settings::{Settings, Strangers};

/// Sources that are remembered at once.
const MAX_SOURCES: usize = 4096;
/// Addresses that we called and that may speak within those calls.
const MAX_PEERS: usize = 1024;
/// Answers to one stranger: so many at once, then [`STRANGER_RATE`].
const STRANGER_BURST: f64 = 5.0;
/// Answers a second to one stranger.
const STRANGER_RATE: f64 = 0.2;
/// How long an address that we called may go on speaking: longer than any call.
const PEER_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What becomes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A trunk's address: everything is heard.
    Trunk,
    /// An address that we called: responses and requests within calls are heard, new calls are not.
    Peer,
    /// A stranger who is told so (403).
    Reject,
    /// A stranger, or one who has been told often enough.
    Drop,
}

/// Who may speak to us.
#[derive(Debug)]
pub(super) struct Guard {
    strangers: Strangers,
    trunks: Vec<Admitted>,
    peers: HashMap<IpAddr, Duration>,
    buckets: HashMap<IpAddr, Bucket>,
    /// Sources of `buckets`, first seen first.
    order: VecDeque<IpAddr>,
}

#[derive(Debug)]
struct Admitted {
    name: Arc<str>,
    nets: Vec<IpNet>,
    resolved: Vec<IpAddr>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Guard {
    pub(super) fn new(settings: &Settings) -> Guard {
        let mut guard = Guard {
            strangers: settings.sip.strangers,
            trunks: Vec::new(),
            peers: HashMap::new(),
            buckets: HashMap::new(),
            order: VecDeque::new(),
        };
        guard.reload(settings);
        guard
    }

    /// Takes over changed trunks; what names resolved to is kept for trunks that are still there.
    pub(super) fn reload(&mut self, settings: &Settings) {
        self.strangers = settings.sip.strangers;
        let mut before: HashMap<Arc<str>, Vec<IpAddr>> =
            self.trunks.drain(..).map(|trunk| (trunk.name, trunk.resolved)).collect();
        self.trunks = settings
            .trunks
            .iter()
            .map(|trunk| {
                let mut nets = trunk.accept_from.clone();
                if let Ok(ip) = trunk.address.host.trim_matches(['[', ']']).parse::<IpAddr>() {
                    nets.push(ip.into());
                }
                let resolved = before.remove(trunk.name.as_str()).unwrap_or_default();
                Admitted { name: trunk.name.as_str().into(), nets, resolved }
            })
            .collect();
    }

    /// Lets the addresses that a trunk's name resolved to call in, in place of those it resolved to before.
    pub(super) fn allow_trunk_addresses(&mut self, trunk: &str, addresses: Vec<IpAddr>) {
        if let Some(admitted) = self.trunks.iter_mut().find(|admitted| &*admitted.name == trunk) {
            admitted.resolved = addresses;
        }
    }

    /// Lets an address that we call speak within that call. At the bound those whose time is over go, else nobody new comes.
    pub(super) fn allow_peer(&mut self, address: IpAddr, now: Duration) {
        let address = canonical(address);
        if self.peers.len() >= MAX_PEERS {
            self.peers.retain(|_, until| *until > now);
        }
        if self.peers.len() < MAX_PEERS || self.peers.contains_key(&address) {
            self.peers.insert(address, now.saturating_add(PEER_LIFE));
        }
    }

    /// The names of the trunks that an address belongs to, in the order of the settings.
    pub(super) fn trunks(&self, source: IpAddr) -> impl Iterator<Item = &str> {
        let source = canonical(source);
        self.trunks.iter().filter(move |trunk| trunk.holds(source)).map(|trunk| &*trunk.name)
    }

    /// What becomes of a message or connection from `source` at `now` (any clock that never goes backward).
    pub(super) fn decide(&mut self, source: IpAddr, now: Duration) -> Decision {
        let source = canonical(source);
        if self.trunks.iter().any(|trunk| trunk.holds(source)) {
            return Decision::Trunk;
        }
        if self.peers.get(&source).is_some_and(|until| *until > now) {
            return Decision::Peer;
        }
        if self.strangers == Strangers::Reject && self.spend(source, now) { Decision::Reject } else { Decision::Drop }
    }

    /// Takes a token from the source's bucket, if there is one.
    pub(super) fn spend(&mut self, source: IpAddr, now: Duration) -> bool {
        if !self.buckets.contains_key(&source) {
            if self.buckets.len() >= MAX_SOURCES
                && let Some(oldest) = self.order.pop_front()
            {
                self.buckets.remove(&oldest);
            }
            self.order.push_back(source);
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { tokens: STRANGER_BURST, at: now });
        let since = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * STRANGER_RATE).min(STRANGER_BURST);
        bucket.at = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

impl Admitted {
    fn holds(&self, source: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&source)) || self.resolved.contains(&source)
    }
}

/// An IPv4 address as itself, though it came through an IPv6 socket.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(strangers: Strangers) -> Guard {
        Guard {
            strangers,
            trunks: vec![Admitted {
                name: "carrier".into(),
                nets: vec!["198.51.100.0/24".parse().unwrap()],
                resolved: vec![],
            }],
            peers: HashMap::new(),
            buckets: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + n))
    }

    #[test]
    fn trunks_speak_and_strangers_are_dropped() {
        let mut guard = guard(Strangers::Drop);
        assert_eq!(guard.decide("198.51.100.7".parse().unwrap(), Duration::ZERO), Decision::Trunk);
        assert_eq!(guard.decide("::ffff:198.51.100.7".parse().unwrap(), Duration::ZERO), Decision::Trunk);
        assert_eq!(guard.decide("198.51.101.7".parse().unwrap(), Duration::ZERO), Decision::Drop);
        assert_eq!(guard.decide(ip(1), Duration::ZERO), Decision::Drop);
        guard.allow_trunk_addresses("carrier", vec![ip(1)]);
        assert_eq!(guard.decide(ip(1), Duration::ZERO), Decision::Trunk);
        assert_eq!(guard.trunks(ip(1)).collect::<Vec<_>>(), ["carrier"]);
        guard.allow_trunk_addresses("carrier", vec![ip(2)]);
        assert_eq!(guard.decide(ip(1), Duration::ZERO), Decision::Drop);
    }

    #[test]
    fn a_stranger_is_told_a_few_times_and_then_ignored() {
        let mut guard = guard(Strangers::Reject);
        let answers = (0..100).filter(|_| guard.decide(ip(1), Duration::ZERO) == Decision::Reject).count();
        assert_eq!(answers, 5);
        assert_eq!(guard.decide(ip(2), Duration::ZERO), Decision::Reject, "each source has its own bucket");
        assert_eq!(guard.decide(ip(1), Duration::from_secs(5)), Decision::Reject, "and it fills again");
        assert_eq!(guard.decide(ip(1), Duration::from_secs(5)), Decision::Drop);
    }

    #[test]
    fn the_tables_are_bounded() {
        let mut guard = guard(Strangers::Reject);
        for n in 0..20_000 {
            guard.decide(ip(n), Duration::ZERO);
            guard.allow_peer(ip(n + 50_000), Duration::ZERO);
        }
        assert_eq!((guard.buckets.len(), guard.order.len(), guard.peers.len()), (MAX_SOURCES, MAX_SOURCES, MAX_PEERS));
    }

    #[test]
    fn an_address_that_we_called_is_a_peer_for_a_day() {
        let mut guard = guard(Strangers::Drop);
        guard.allow_peer(ip(9), Duration::ZERO);
        assert_eq!(guard.decide(ip(9), Duration::from_secs(3600)), Decision::Peer);
        assert_eq!(guard.decide(ip(9), PEER_LIFE), Decision::Drop);
    }
}
