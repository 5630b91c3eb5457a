//! Session timers (RFC 4028), without I/O: what was agreed, when to refresh, when to give a silent call up.

use std::time::Duration;

use super::header;

/// The least interval that we take (RFC 4028 section 5).
pub(super) const MIN_SE: Duration = Duration::from_secs(90);

/// The longest interval that we let a peer insist on.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Who sends the refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    /// Whoever sends this transaction's request.
    Uac,
    /// Whoever answers it.
    Uas,
}

/// Session-Expires: `1800;refresher=uac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionExpires {
    pub interval: Duration,
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the header's value; `None` where it is none.
    pub(super) fn parse(value: &str) -> Option<SessionExpires> {
        let seconds = value.split(';').next()?.trim().parse::<u32>().ok()?;
        let refresher = match header::parameter(value, "refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(SessionExpires { interval: Duration::from_secs(seconds.into()), refresher })
    }

    /// The header's value.
    pub(super) fn render(self) -> String {
        let who = match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        };
        format!("{}{who}", self.interval.as_secs())
    }
}

/// The interval that the peer asks for is less than [`MIN_SE`]: answer 422 with Min-SE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSmall;

/// What the answerer decides (RFC 4028 section 9): the Session-Expires of its 2xx, or `None` for no timer.
///
/// `asked` and `min_se` are the request's headers, `peer_supports` whether it lists `timer`, `ours` the interval that
/// we like.
pub(super) fn answer(
    asked: Option<SessionExpires>,
    min_se: Option<Duration>,
    peer_supports: bool,
    ours: Duration,
) -> Result<Option<SessionExpires>, TooSmall> {
    let least = min_se.unwrap_or(MIN_SE).max(MIN_SE);
    let Some(asked) = asked else {
        // We may ask on our own, and then refresh ourselves, since the peer need not know the extension.
        return Ok(peer_supports.then(|| SessionExpires { interval: ours.max(least), refresher: Some(Refresher::Uas) }));
    };
    if asked.interval < MIN_SE {
        // Who does not support timers cannot follow a 422; a proxy put the header in.
        return if peer_supports { Err(TooSmall) } else { Ok(None) };
    }
    let interval = asked.interval.min(ours.max(least));
    let refresher = if peer_supports { asked.refresher.unwrap_or(Refresher::Uac) } else { Refresher::Uas };
    Ok(Some(SessionExpires { interval, refresher: Some(refresher) }))
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a refresh.
    Refresh,
    /// Nobody refreshed: end the call with BYE.
    Expired,
}

/// A running session timer. Times are of any clock that never goes backward.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionTimer {
    interval: Duration,
    /// What the next refresh asks for.
    asking: Duration,
    refreshing: bool,
    /// Whether this interval's refresh has been sent.
    sent: bool,
    started: Duration,
}

impl SessionTimer {
    /// Starts at the 2xx. `refreshing`: the refreshes are ours.
    pub(super) fn start(interval: Duration, refreshing: bool, now: Duration) -> SessionTimer {
        let interval = interval.max(MIN_SE);
        SessionTimer { interval, asking: interval, refreshing, sent: false, started: now }
    }

    /// The timer that a 2xx agrees on; `uac`: we sent the request that it answers.
    pub(super) fn agreed(expires: SessionExpires, uac: bool, now: Duration) -> SessionTimer {
        let refreshing = match expires.refresher {
            Some(Refresher::Uac) => uac,
            Some(Refresher::Uas) => !uac,
            // RFC 4028 section 7.2: a 2xx must name one; one that does not leaves it to the requester.
            None => uac,
        };
        SessionTimer::start(expires.interval, refreshing, now)
    }

    /// What a refresh of ours asks for: the interval and that we go on refreshing (we are its requester).
    pub(super) fn request(&self) -> SessionExpires {
        SessionExpires { interval: self.asking, refresher: Some(Refresher::Uac) }
    }

    /// Takes a longer interval, that the peer or a proxy insists on (422), for the next refresh; the end of this one
    /// stays. `false`: it is not longer, or longer than a day.
    pub(super) fn lengthen(&mut self, least: Duration) -> bool {
        let longer = least > self.asking && least <= LONGEST;
        if longer {
            self.asking = least;
        }
        longer
    }

    /// When [`SessionTimer::due`] has something to say.
    pub(super) fn deadline(&self) -> Duration {
        if self.refreshing && !self.sent { self.started + self.interval / 2 } else { self.expiry() }
    }

    /// RFC 4028 section 10: the side that does not refresh gives up a little before the end, by a third of the interval
    /// or 32 s, whichever is less.
    fn expiry(&self) -> Duration {
        let early = (self.interval / 3).min(Duration::from_secs(32));
        self.started + self.interval.saturating_sub(early)
    }

    /// What is due at `now`, once.
    pub(super) fn due(&mut self, now: Duration) -> Option<Due> {
        if now >= self.expiry() {
            return Some(Due::Expired);
        }
        if self.refreshing && !self.sent && now >= self.deadline() {
            self.sent = true;
            return Some(Due::Refresh);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn expires(text: &str) -> SessionExpires {
        SessionExpires::parse(text).unwrap()
    }

    #[test]
    fn the_header_reads_and_writes() {
        assert_eq!(expires("1800 ;Refresher=UAS").render(), "1800;refresher=uas");
        assert_eq!(expires("90").render(), "90");
        assert_eq!(SessionExpires::parse("soon"), None);
        assert_eq!(SessionExpires::parse("99999999999"), None);
    }

    #[test]
    fn the_answerer_follows_table_2() {
        let ours = secs(1800);
        assert_eq!(answer(None, None, false, ours), Ok(None));
        assert_eq!(answer(None, None, true, ours), Ok(Some(expires("1800;refresher=uas"))));
        assert_eq!(answer(Some(expires("600")), None, true, ours), Ok(Some(expires("600;refresher=uac"))));
        assert_eq!(
            answer(Some(expires("600;refresher=uas")), None, true, ours),
            Ok(Some(expires("600;refresher=uas")))
        );
        assert_eq!(answer(Some(expires("600")), None, false, ours), Ok(Some(expires("600;refresher=uas"))));
        assert_eq!(answer(Some(expires("7200")), None, true, ours), Ok(Some(expires("1800;refresher=uac"))));
        assert_eq!(
            answer(Some(expires("7200")), Some(secs(3600)), true, ours),
            Ok(Some(expires("3600;refresher=uac")))
        );
        assert_eq!(answer(Some(expires("89")), None, true, ours), Err(TooSmall));
        assert_eq!(answer(Some(expires("89")), None, false, ours), Ok(None));
    }

    #[test]
    fn the_refresher_refreshes_at_half_time_and_gives_up_if_nothing_comes_of_it() {
        let mut timer = SessionTimer::agreed(expires("1800;refresher=uas"), false, secs(100));
        assert_eq!(timer.deadline(), secs(1000));
        assert_eq!(timer.due(secs(999)), None);
        assert_eq!(timer.due(secs(1000)), Some(Due::Refresh));
        assert_eq!(timer.due(secs(1000)), None);
        assert_eq!(timer.deadline(), secs(100 + 1800 - 32));
        assert_eq!(timer.due(timer.deadline()), Some(Due::Expired));
    }

    #[test]
    fn the_other_side_only_waits() {
        let mut timer = SessionTimer::agreed(expires("90;refresher=uac"), false, secs(0));
        assert_eq!(timer.deadline(), secs(60));
        assert_eq!(timer.due(secs(59)), None);
        assert_eq!(timer.due(secs(60)), Some(Due::Expired));
        assert!(SessionTimer::agreed(expires("90;refresher=uac"), true, secs(0)).refreshing);
    }
}
