//! How fast we may send: a rate per second for each sending number, and a pause where the gateway asks for one.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::PhoneNumber;

/// More sending numbers than any clinic has; at the bound those whose turn has come are forgotten.
const MOST_NUMBERS: usize = 256;
/// The slowest rate that is taken as meant: one text an hour.
const SLOWEST: f64 = 1.0 / 3600.0;

/// For each sending number, the moment from which it may send again (the generic cell rate algorithm with a burst of one).
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: HashMap<PhoneNumber, Duration>,
}

impl Pace {
    /// `rate` texts a second for each number.
    pub fn new(rate: f64) -> Self {
        let rate = if rate.is_finite() { rate.max(SLOWEST) } else { 1.0 };
        Pace { interval: Duration::from_secs_f64(1.0 / rate), next: HashMap::new() }
    }

    /// Takes `from`'s turn at the monotonic time `now`, or says from when on it has one.
    pub fn take(&mut self, from: &PhoneNumber, now: Duration) -> Result<(), Duration> {
        match self.next.get(from) {
            Some(&next) if next > now => Err(next),
            _ => {
                self.put(from, now, now.saturating_add(self.interval));
                Ok(())
            }
        }
    }

    /// Lets nothing go from `from` before `until`.
    pub fn pause(&mut self, from: &PhoneNumber, now: Duration, until: Duration) {
        let until = self.next.get(from).map_or(until, |&next| next.max(until));
        self.put(from, now, until);
    }

    fn put(&mut self, from: &PhoneNumber, now: Duration, next: Duration) {
        if self.next.len() >= MOST_NUMBERS {
            self.next.retain(|_, next| *next > now);
        }
        self.next.insert(from.clone(), next);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(last: u32) -> PhoneNumber {
        PhoneNumber::e164(&format!("+1212555{last:04}")).unwrap()
    }

    #[test]
    fn a_pause_holds_one_number_and_is_never_shortened() {
        let mut pace = Pace::new(10.0);
        let at = Duration::from_millis;
        pace.pause(&number(1), at(0), at(5000));
        pace.pause(&number(1), at(0), at(1000));
        assert_eq!(pace.take(&number(1), at(4999)), Err(at(5000)));
        assert_eq!(pace.take(&number(2), at(0)), Ok(()));
        assert_eq!(pace.take(&number(1), at(5000)), Ok(()));
    }

    #[test]
    fn what_is_no_rate_does_not_break_it() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX] {
            assert_eq!(Pace::new(rate).take(&number(1), Duration::ZERO), Ok(()), "{rate}");
        }
    }

    proptest! {
        /// In no window of any length do more go out than the rate times the window, and one.
        #[test]
        fn the_rate_holds_in_every_window(
            rate in 0.5f64..50.0,
            steps in proptest::collection::vec((0u64..400, 0u32..2), 1..200),
        ) {
            let mut pace = Pace::new(rate);
            let mut now = Duration::ZERO;
            let mut sent: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
            for (step, who) in steps {
                now += Duration::from_millis(step);
                match pace.take(&number(who), now) {
                    Ok(()) => sent[who as usize].push(now),
                    Err(next) => prop_assert!(next > now && next <= now + Duration::from_secs_f64(1.0 / rate)),
                }
            }
            for times in &sent {
                for (i, start) in times.iter().enumerate() {
                    for (j, end) in times.iter().enumerate().skip(i) {
                        let most = (*end - *start).as_secs_f64() * rate + 1.0 + 1e-6;
                        prop_assert!(((j - i + 1) as f64) <= most);
                    }
                }
            }
        }
    }
}
