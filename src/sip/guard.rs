//! Who may speak to us: trunks by address, our own phones once they have shown who they are; everybody else is a stranger.
//! Where the clinic has phones of its own, a stranger may be one: it may show itself, a few messages at a time.
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
/// Answers to one stranger: so many at once, and so many a second after that.
const STRANGER: Rate = Rate { burst: 5.0, refill: 0.2 };
/// Messages of one source that may be a phone of ours. Behind one address may be a whole office whose phones all come
/// back when the lights do.
const VISITOR: Rate = Rate { burst: 100.0, refill: 5.0 };
/// How long an address that we called may go on speaking: longer than any call.
const PEER_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What becomes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A trunk's address: everything is heard.
    Trunk,
    /// An address that we called, or that a phone of ours speaks from: responses and requests within calls are heard.
    Peer,
    /// Nobody we know, who may turn out to be a phone of ours.
    Visitor,
    /// A stranger who is told so (403).
    Reject,
    /// A stranger, or one who has been told often enough.
    Drop,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A trunk's address.
    Trunk,
    /// A phone of ours has shown who it is from there.
    Phone,
    /// An address that we called.
    Peer,
    /// Nobody we know, and we have phones.
    Visitor,
    /// Nobody we know.
    Stranger,
}

/// Who may speak to us.
#[derive(Debug)]
pub(super) struct Guard {
    strangers: Strangers,
    /// Whether we have phones of our own.
    extensions: bool,
    trunks: Vec<Admitted>,
    peers: HashMap<IpAddr, Duration>,
    phones: HashMap<IpAddr, Duration>,
    told: Buckets,
    visits: Buckets,
}

/// So many at once, and so many a second after that.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    refill: f64,
}

/// A bucket of tokens for each source. Bounded: at the bound the source that was seen first goes.
#[derive(Debug)]
struct Buckets {
    rate: Rate,
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
            extensions: false,
            trunks: Vec::new(),
            peers: HashMap::new(),
            phones: HashMap::new(),
            told: Buckets::new(STRANGER),
            visits: Buckets::new(VISITOR),
        };
        guard.reload(settings);
        guard
    }

    /// Takes over changed trunks; what names resolved to is kept for trunks that are still there.
    pub(super) fn reload(&mut self, settings: &Settings) {
        self.strangers = settings.sip.strangers;
        self.extensions = !settings.extensions.is_empty();
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
        allow(&mut self.peers, address, now.saturating_add(PEER_LIFE), now);
    }

    /// Lets an address that a phone of ours registered from speak until then; bounded as peers are.
    pub(super) fn allow_phone(&mut self, address: IpAddr, until: Duration, now: Duration) {
        allow(&mut self.phones, address, until, now);
    }

    /// The names of the trunks that an address belongs to, in the order of the settings.
    pub(super) fn trunks(&self, source: IpAddr) -> impl Iterator<Item = &str> {
        let source = canonical(source);
        self.trunks.iter().filter(move |trunk| trunk.holds(source)).map(|trunk| &*trunk.name)
    }

    /// What becomes of a message or connection from `source` at `now` (any clock that never goes backward).
    pub(super) fn decide(&mut self, source: IpAddr, now: Duration) -> Decision {
        match self.standing(source, now) {
            Standing::Trunk => Decision::Trunk,
            Standing::Phone | Standing::Peer => Decision::Peer,
            Standing::Visitor => Decision::Visitor,
            Standing::Stranger if self.tell(source, now) => Decision::Reject,
            Standing::Stranger => Decision::Drop,
        }
    }

    /// What a source is at `now`.
    pub(super) fn standing(&self, source: IpAddr, now: Duration) -> Standing {
        let source = canonical(source);
        let holds = |known: &HashMap<IpAddr, Duration>| known.get(&source).is_some_and(|until| *until > now);
        if self.trunks.iter().any(|trunk| trunk.holds(source)) {
            Standing::Trunk
        } else if holds(&self.phones) {
            Standing::Phone
        } else if holds(&self.peers) {
            Standing::Peer
        } else if self.extensions {
            Standing::Visitor
        } else {
            Standing::Stranger
        }
    }

    /// Whether a stranger is to be told once more that it is one.
    pub(super) fn tell(&mut self, source: IpAddr, now: Duration) -> bool {
        self.strangers == Strangers::Reject && self.told.spend(canonical(source), now)
    }

    /// Whether one more message of somebody who may be a phone of ours is heard.
    pub(super) fn visit(&mut self, source: IpAddr, now: Duration) -> bool {
        self.visits.spend(canonical(source), now)
    }
}

/// At the bound those whose time is over go, else nobody new comes.
fn allow(known: &mut HashMap<IpAddr, Duration>, address: IpAddr, until: Duration, now: Duration) {
    let address = canonical(address);
    if known.len() >= MAX_PEERS {
        known.retain(|_, until| *until > now);
    }
    if known.len() < MAX_PEERS || known.contains_key(&address) {
        let latest = known.get(&address).copied().unwrap_or_default().max(until);
        known.insert(address, latest);
    }
}

impl Buckets {
    fn new(rate: Rate) -> Buckets {
        Buckets { rate, buckets: HashMap::new(), order: VecDeque::new() }
    }

    /// Takes a token from the source's bucket, if there is one.
    fn spend(&mut self, source: IpAddr, now: Duration) -> bool {
        if !self.buckets.contains_key(&source) {
            if self.buckets.len() >= MAX_SOURCES
                && let Some(oldest) = self.order.pop_front()
            {
                self.buckets.remove(&oldest);
            }
            self.order.push_back(source);
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { tokens: self.rate.burst, at: now });
        let since = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * self.rate.refill).min(self.rate.burst);
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
            extensions: false,
            trunks: vec![Admitted {
                name: "carrier".into(),
                nets: vec!["198.51.100.0/24".parse().unwrap()],
                resolved: vec![],
            }],
            peers: HashMap::new(),
            phones: HashMap::new(),
            told: Buckets::new(STRANGER),
            visits: Buckets::new(VISITOR),
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
            guard.visit(ip(n), Duration::ZERO);
            guard.allow_peer(ip(n + 50_000), Duration::ZERO);
            guard.allow_phone(ip(n + 50_000), PEER_LIFE, Duration::ZERO);
        }
        for buckets in [&guard.told, &guard.visits] {
            assert_eq!((buckets.buckets.len(), buckets.order.len()), (MAX_SOURCES, MAX_SOURCES));
        }
        assert_eq!((guard.peers.len(), guard.phones.len()), (MAX_PEERS, MAX_PEERS));
    }

    #[test]
    fn with_phones_of_our_own_a_stranger_may_be_one() {
        let mut guard = guard(Strangers::Drop);
        guard.extensions = true;
        assert_eq!(guard.decide(ip(1), Duration::ZERO), Decision::Visitor);
        assert_eq!((0..1_000).filter(|_| guard.visit(ip(1), Duration::ZERO)).count(), 100);
        assert!(guard.visit(ip(2), Duration::ZERO), "each source has its own bucket");
        guard.allow_phone(ip(1), Duration::from_secs(60), Duration::ZERO);
        assert_eq!(guard.standing(ip(1), Duration::from_secs(59)), Standing::Phone);
        guard.allow_phone(ip(1), Duration::from_secs(30), Duration::ZERO);
        assert_eq!(guard.standing(ip(1), Duration::from_secs(59)), Standing::Phone, "the longest holds");
        assert_eq!(guard.standing(ip(1), Duration::from_secs(60)), Standing::Visitor);
    }

    #[test]
    fn an_address_that_we_called_is_a_peer_for_a_day() {
        let mut guard = guard(Strangers::Drop);
        guard.allow_peer(ip(9), Duration::ZERO);
        assert_eq!(guard.decide(ip(9), Duration::from_secs(3600)), Decision::Peer);
        assert_eq!(guard.decide(ip(9), PEER_LIFE), Decision::Drop);
    }
}
