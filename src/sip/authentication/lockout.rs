//! Who has guessed too often: sources and extensions, each for a while.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Failures within [`WINDOW`] that lock.
const MOST: u32 = 10;
/// Failures that lock even a phone that is registered, at its own place.
const MOST_AT_HOME: u32 = 100;
/// How long failures are held against somebody.
const WINDOW: Duration = Duration::from_secs(600);
/// How long somebody is locked out.
const LOCKED: Duration = Duration::from_secs(300);
/// Sources and extensions remembered at once; at the bound whoever failed first goes.
const MOST_KNOWN: usize = 8_192;
/// A longer name is no extension's.
const LONGEST_NAME: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Source(IpAddr),
    Extension(String),
}

#[derive(Debug)]
struct Failures {
    count: u32,
    since: Duration,
    locked_until: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Lockout {
    failures: HashMap<Who, Failures>,
    /// Keys of `failures`, first failed first; some may have been forgiven since.
    order: VecDeque<Who>,
}

/// Whoever has one IPv6 address has its /64.
fn source(address: IpAddr) -> Who {
    Who::Source(match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    })
}

fn extension(name: &str) -> Who {
    Who::Extension(name.chars().take(LONGEST_NAME + 1).collect())
}

impl Lockout {
    fn locked(&self, who: &Who, now: Duration) -> Option<&Failures> {
        self.failures.get(who).filter(|failures| failures.locked_until.is_some_and(|until| until > now))
    }

    pub(super) fn is_source_locked(&self, address: IpAddr, now: Duration) -> bool {
        self.locked(&source(address), now).is_some()
    }

    /// Whether an answer is not to be looked at. `at_home`: the extension is registered from that very source.
    pub(super) fn is_locked(&self, address: IpAddr, name: &str, at_home: bool, now: Duration) -> bool {
        [source(address), extension(name)]
            .iter()
            .filter_map(|who| self.locked(who, now))
            .any(|failures| !at_home || failures.count >= MOST_AT_HOME)
    }

    /// Notes a wrong answer; `true`: it was the one that locks.
    pub(super) fn failed(&mut self, address: IpAddr, name: &str, now: Duration) -> bool {
        let mut locks = false;
        for who in [source(address), extension(name)] {
            if !self.failures.contains_key(&who) {
                self.make_room();
                self.order.push_back(who.clone());
            }
            let failures = self.failures.entry(who).or_insert(Failures { count: 0, since: now, locked_until: None });
            let over = match failures.locked_until {
                Some(until) => until <= now,
                None => now.saturating_sub(failures.since) >= WINDOW,
            };
            if over {
                *failures = Failures { count: 0, since: now, locked_until: None };
            }
            failures.count = failures.count.saturating_add(1);
            if failures.count == MOST {
                failures.locked_until = Some(now.saturating_add(LOCKED));
                locks = true;
            }
        }
        locks
    }

    fn make_room(&mut self) {
        while self.order.len() >= MOST_KNOWN {
            let Some(first) = self.order.pop_front() else { return };
            self.failures.remove(&first);
        }
    }

    /// A right answer: what came before were slips.
    pub(super) fn forgive(&mut self, address: IpAddr, name: &str) {
        for who in [source(address), extension(name)] {
            // Whoever is locked stays so: a guesser may own one account.
            if let Some(failures) = self.failures.get_mut(&who)
                && failures.locked_until.is_none()
            {
                failures.count = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded() {
        let mut lockout = Lockout::default();
        for n in 0..30_000_u32 {
            lockout.failed(IpAddr::from(n.to_be_bytes()), &n.to_string(), Duration::ZERO);
        }
        assert!(lockout.failures.len() <= MOST_KNOWN && lockout.order.len() <= MOST_KNOWN);
    }

    #[test]
    fn slips_are_forgiven_and_forgotten() {
        let mut lockout = Lockout::default();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let fail = |lockout: &mut Lockout, times: u32, now: Duration| {
            (0..times).filter(|_| lockout.failed(address, "201", now)).count()
        };
        assert_eq!(fail(&mut lockout, MOST - 1, Duration::ZERO), 0);
        lockout.forgive(address, "201");
        assert_eq!(fail(&mut lockout, MOST - 1, Duration::ZERO), 0);
        assert_eq!(fail(&mut lockout, MOST - 1, WINDOW), 0, "long ago");
        assert_eq!(fail(&mut lockout, 1, WINDOW), 1);
        assert!(lockout.is_source_locked("2001:db8::2".parse().unwrap(), WINDOW), "its neighbour is itself");
        assert!(lockout.is_locked(address, "201", false, WINDOW) && !lockout.is_locked(address, "201", true, WINDOW));
        fail(&mut lockout, MOST_AT_HOME, WINDOW);
        assert!(lockout.is_locked(address, "201", true, WINDOW), "even a registered phone's place has an end");
        assert!(!lockout.is_locked(address, "201", true, WINDOW + LOCKED));
    }
}
