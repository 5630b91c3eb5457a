//! Which digests a phone is offered. SHA-256 before MD5 (RFC 8760 section 2.4), at first; but there are phones that give
//! up when they meet a digest that they do not know, whatever stands beside it. One that did not answer the offer of both
//! is offered MD5 alone when it asks again, and for as long as it goes on answering that: it would otherwise fail once
//! every day, perhaps with a call.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::sip::digest::Algorithm;

/// Phones remembered at once; at the bound the first goes.
const MOST: usize = 4_096;
/// How long a phone that did not answer, or answered with MD5 last, is spared the better one.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// The longest account name that is told from others.
const LONGEST: usize = 32;

const BOTH: &[&str] = &["SHA-256", "MD5"];
const PLAIN: &[&str] = &["MD5"];

/// What became of the last offer of both.
#[derive(Clone, Copy, Debug)]
enum Came {
    /// Nothing yet, or an answer by MD5: when.
    Waiting(Duration),
    /// An answer by SHA-256.
    Answered,
}

/// Phones that were offered both.
#[derive(Debug, Default)]
pub(super) struct Offered {
    came: HashMap<(IpAddr, String), Came>,
    order: VecDeque<(IpAddr, String)>,
}

fn who(source: IpAddr, account: &str) -> (IpAddr, String) {
    (source, account.chars().take(LONGEST).collect())
}

impl Offered {
    /// What to offer now. `answered`: what the request answered with, if it did.
    pub(super) fn to(
        &mut self,
        source: IpAddr,
        account: &str,
        answered: Option<Algorithm>,
        now: Duration,
    ) -> &'static [&'static str] {
        match answered {
            Some(Algorithm::Md5 | Algorithm::Md5Sess) => return PLAIN,
            Some(Algorithm::Sha256 | Algorithm::Sha256Sess) => return BOTH,
            None => {}
        }
        let who = who(source, account);
        match self.came.get(&who) {
            Some(Came::Waiting(since)) if now.saturating_sub(*since) < REMEMBERED => return PLAIN,
            Some(_) => {}
            None => {
                if self.order.len() >= MOST
                    && let Some(first) = self.order.pop_front()
                {
                    self.came.remove(&first);
                }
                self.order.push_back(who.clone());
            }
        }
        self.came.insert(who, Came::Waiting(now));
        BOTH
    }

    /// It answered with MD5, right or wrong.
    pub(super) fn knows_no_better(&mut self, source: IpAddr, account: &str, now: Duration) {
        if let Some(Came::Waiting(since)) = self.came.get_mut(&who(source, account)) {
            *since = now;
        }
    }

    /// It answered with SHA-256, right or wrong.
    pub(super) fn knows_better(&mut self, source: IpAddr, account: &str) {
        if let Some(came) = self.came.get_mut(&who(source, account)) {
            *came = Came::Answered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_phone_that_gives_up_is_asked_what_it_knows() {
        let mut offered = Offered::default();
        let mut to = |account: &str, answered| offered.to(SOURCE, account, answered, Duration::from_secs(1));
        assert_eq!((to("201", None), to("201", None), to("202", None)), (BOTH, PLAIN, BOTH));
        assert_eq!(to("201", Some(Algorithm::Md5)), PLAIN, "a stale nonce");
        assert_eq!(to("202", Some(Algorithm::Sha256)), BOTH);
        offered.knows_better(SOURCE, "202");
        assert_eq!(offered.to(SOURCE, "202", None, Duration::from_secs(2)), BOTH);
        assert_eq!(offered.to(SOURCE, "201", None, REMEMBERED + Duration::from_secs(1)), BOTH, "tried again");
    }

    #[test]
    fn a_phone_that_goes_on_answering_so_is_not_tried_again() {
        let mut offered = Offered::default();
        assert_eq!(offered.to(SOURCE, "201", None, Duration::ZERO), BOTH);
        let mut now = Duration::ZERO;
        for _ in 0..10 {
            now += REMEMBERED - Duration::from_secs(1);
            assert_eq!(offered.to(SOURCE, "201", None, now), PLAIN);
            offered.knows_no_better(SOURCE, "201", now);
        }
        assert_eq!(offered.to(SOURCE, "201", None, now + REMEMBERED), BOTH, "it may be another phone by now");
        offered.knows_better(SOURCE, "201");
        offered.knows_no_better(SOURCE, "201", now + REMEMBERED);
        assert_eq!(offered.to(SOURCE, "201", None, now + REMEMBERED), BOTH, "it knows better");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut offered = Offered::default();
        for n in 0..20_000_u32 {
            offered.to(IpAddr::from(n.to_be_bytes()), "201", None, Duration::ZERO);
        }
        assert_eq!((offered.came.len(), offered.order.len()), (MOST, MOST));
    }
}
