//! Which RTP ports are taken: even ones, each with the odd one above it for RTCP (RFC 3550 section 11).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The range and what is taken of it.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    pairs: u16,
    taken: Mutex<HashSet<u16>>,
}

/// A pair of ports, free again when dropped.
#[derive(Debug)]
pub struct Lease {
    ports: Arc<Ports>,
    rtp: u16,
}

impl Ports {
    /// The pairs within `first..=last`; `None` if there is not one.
    pub fn new((first, last): (u16, u16)) -> Option<Ports> {
        let first = first.checked_next_multiple_of(2)?;
        let pairs = u16::try_from((u32::from(last) + 1).checked_sub(u32::from(first))? / 2).ok()?;
        (first > 0 && pairs > 0).then(|| Ports { first, pairs, taken: Mutex::default() })
    }

    /// How many calls it is good for.
    pub fn pairs(&self) -> usize {
        usize::from(self.pairs)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes a pair: the first from `start` on (wrapping round) that is not taken and that `bind` can have.
    ///
    /// `start` should be random, so that a stranger cannot guess the ports of the next call. `bind` says `Ok(None)`
    /// for a port that another program holds. `Ok(None)` when nothing is left.
    pub fn take<T, E>(
        self: &Arc<Self>,
        start: u32,
        mut bind: impl FnMut(u16) -> Result<Option<T>, E>,
    ) -> Result<Option<(Lease, T)>, E> {
        let offset = u16::try_from(start % u32::from(self.pairs)).unwrap_or(0);
        for pair in (offset..self.pairs).chain(0..offset) {
            let rtp = self.first + pair * 2;
            if !self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(rtp) {
                continue;
            }
            let lease = Lease { ports: Arc::clone(self), rtp };
            if let Some(bound) = bind(rtp)? {
                return Ok(Some((lease, bound)));
            }
        }
        Ok(None)
    }
}

impl Lease {
    /// The even port.
    pub fn rtp(&self) -> u16 {
        self.rtp
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ports.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.rtp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(_: u16) -> Result<Option<()>, ()> {
        Ok(Some(()))
    }

    #[test]
    fn ranges_hold_whole_pairs() {
        for (range, pairs) in [((16384, 17383), 500), ((16385, 16388), 1), ((10, 10), 0), ((20, 10), 0), ((0, 1), 0)] {
            assert_eq!(Ports::new(range).map_or(0, |p| p.pairs()), pairs, "{range:?}");
        }
        assert_eq!(Ports::new((65_534, 65_535)).unwrap().pairs(), 1);
        assert!(Ports::new((65_535, 65_535)).is_none());
    }

    #[test]
    fn every_pair_once_and_free_again() {
        let ports = Arc::new(Ports::new((100, 109)).unwrap());
        let leases: Vec<_> = (0..5).map(|_| ports.take(7, any).unwrap().unwrap().0).collect();
        let mut taken: Vec<_> = leases.iter().map(Lease::rtp).collect();
        assert_eq!(taken, [104, 106, 108, 100, 102]);
        taken.sort_unstable();
        assert!(ports.take(0, any).unwrap().is_none());
        drop(leases);
        assert_eq!(ports.take(0, any).unwrap().unwrap().0.rtp(), 100);
    }

    #[test]
    fn a_port_held_elsewhere_is_passed_over_and_not_leaked() {
        let ports = Arc::new(Ports::new((100, 103)).unwrap());
        let (lease, ()) = ports.take(0, |p| Ok::<_, ()>((p != 100).then_some(()))).unwrap().unwrap();
        assert_eq!(lease.rtp(), 102);
        assert!(ports.take(0, |_| Err::<Option<()>, ()>(())).is_err());
        assert_eq!(ports.take(0, any).unwrap().unwrap().0.rtp(), 100);
    }
}
