//! The promise: how soon a person answers, counted while the clinic is open, and where a wait stands against it.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::tree::{Hours, Kind, Status, Stretch, Tree};

/// `[desk] answer_within`, with the hours that it is counted in.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a> {
    within: Duration,
    /// None: always open.
    hours: Option<&'a Hours>,
    zone: &'a TimeZone,
}

/// Where a wait stands. Times are counted while the clinic is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// There is time.
    Fresh {
        /// So much.
        left: Duration,
    },
    /// A third of the promised time, or less, is left.
    Soon {
        /// So much.
        left: Duration,
    },
    /// The promise is broken.
    Late {
        /// By so much.
        by: Duration,
    },
}

impl<'a> Promise<'a> {
    /// Answers within `within`, in the opening hours of `tree` ([`opening_hours`]).
    pub fn new(within: Duration, tree: &'a Tree) -> Promise<'a> {
        Promise { within, hours: opening_hours(tree), zone: tree.zone() }
    }

    /// What was promised.
    pub fn within(&self) -> Duration {
        self.within
    }

    /// When a wait that began at `since` must be answered. Hours that do not open for a year count as always open.
    pub fn due(&self, since: Timestamp) -> Timestamp {
        let mut left = self.within;
        if let Some(hours) = self.hours {
            for stretch in hours.stretches(since, self.zone) {
                let length = stretch.length();
                if left < length {
                    return later(stretch.from, left);
                }
                left -= length;
                // A promise that is used up at closing time is due then, not at the next opening.
                if left.is_zero() {
                    return stretch.to;
                }
            }
        }
        later(since, left)
    }

    /// How long the clinic was open from `since` to before `until`.
    pub fn waited(&self, since: Timestamp, until: Timestamp) -> Duration {
        if until <= since {
            return Duration::ZERO;
        }
        let Some(hours) = self.hours else { return Stretch { from: since, to: until }.length() };
        let open = hours.stretches(since, self.zone).map_while(|stretch| stretch.within(since, until));
        open.map(Stretch::length).sum()
    }

    /// Where a wait that began at `since` stands at `now`.
    pub fn wait(&self, since: Timestamp, now: Timestamp) -> Wait {
        let due = self.due(since);
        if due <= now {
            return Wait::Late { by: self.waited(due, now) };
        }
        let left = self.within.saturating_sub(self.waited(since, now));
        if left <= self.within / 3 { Wait::Soon { left } } else { Wait::Fresh { left } }
    }

    /// Whether the clinic is open at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.hours.is_none_or(|hours| hours.status(now, self.zone) == Status::Open)
    }

    /// A wait that began at this moment or before is late at `now`: what a query of many waits compares with.
    pub fn late_since(&self, now: Timestamp) -> Timestamp {
        let (mut late, mut fresh) = (Timestamp::UNIX_EPOCH.min(now).as_microsecond(), now.as_microsecond() + 1);
        // What is due never comes earlier for a later wait: a search by halves finds where it passes `now`.
        while fresh - late > 1 {
            let middle = late + (fresh - late) / 2;
            let since = Timestamp::from_microsecond(middle).unwrap_or(now);
            if self.due(since) <= now { late = middle } else { fresh = middle }
        }
        Timestamp::from_microsecond(late).unwrap_or(now)
    }
}

/// The clinic's opening hours: those of the first `[hours.…]` that a caller comes to. None: always open.
pub fn opening_hours(tree: &Tree) -> Option<&Hours> {
    let (mut next, mut met) = (VecDeque::from([tree.start()]), HashSet::from([tree.start()]));
    while let Some(id) = next.pop_front() {
        match &tree.node(id).kind {
            Kind::Hours(node) => return Some(&node.hours),
            other => next.extend(other.targets().into_iter().filter(|target| met.insert(*target))),
        }
    }
    None
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::{Days, Minute, Opening};

    fn opening(days: &str, from: &str, to: &str) -> Opening {
        Opening { days: Days::parse(days).unwrap(), from: Minute::parse(from).unwrap(), to: Minute::parse(to).unwrap() }
    }

    /// Weekdays with a lunch hour, Friday short, Christmas closed.
    fn clinic() -> Hours {
        Hours {
            open: vec![
                opening("mon-thu", "08:00", "12:00"),
                opening("mon-thu", "13:00", "17:30"),
                opening("fri", "08:00", "15:00"),
            ],
            closed: ["2026-12-25".parse().unwrap()].into(),
        }
    }

    fn new_york() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    fn at(text: &str) -> Timestamp {
        format!("{text}[America/New_York]").parse::<jiff::Zoned>().unwrap().timestamp()
    }

    #[track_caller]
    fn due(hours: &Hours, within: u64, since: &str, expected: &str) {
        let zone = new_york();
        let promise = Promise { within: minutes(within), hours: Some(hours), zone: &zone };
        assert_eq!(promise.due(at(since)), at(expected), "{within} minutes from {since}");
    }

    #[test]
    fn a_wait_is_counted_while_the_clinic_is_open() {
        let hours = clinic();
        due(&hours, 15, "2026-11-02T09:00", "2026-11-02T09:15");
        due(&hours, 15, "2026-11-02T11:50", "2026-11-02T13:05"); // lunch
        due(&hours, 15, "2026-11-02T12:30", "2026-11-02T13:15");
        due(&hours, 15, "2026-11-02T17:20", "2026-11-03T08:05"); // closing time
        due(&hours, 15, "2026-11-02T17:15", "2026-11-02T17:30"); // used up at closing time
        due(&hours, 15, "2026-11-02T17:30", "2026-11-03T08:15");
        due(&hours, 15, "2026-11-06T14:50", "2026-11-09T08:05"); // weekend
        due(&hours, 15, "2026-11-07T03:00", "2026-11-09T08:15");
        due(&hours, 60, "2026-12-24T17:00", "2026-12-28T08:30"); // Christmas, then the weekend
    }

    #[test]
    fn both_clock_changes_are_counted_in_real_minutes() {
        let night = Hours { open: vec![opening("mon-sun", "00:00", "24:00")], closed: Default::default() };
        // 2026-03-08: 02:00 EST becomes 03:00 EDT; 2026-11-01: 02:00 EDT becomes 01:00 EST.
        due(&night, 60, "2026-03-08T01:30", "2026-03-08T03:30");
        due(&night, 120, "2026-11-01T00:30-04:00", "2026-11-01T01:30-05:00");
        let early = Hours { open: vec![opening("mon-sun", "01:30", "02:30")], closed: Default::default() };
        due(&early, 45, "2026-03-07T22:00", "2026-03-09T01:45"); // Half of the opening is skipped.
        due(&early, 45, "2026-11-01T00:00", "2026-11-01T01:45-05:00"); // It comes twice: 01:30 to 02:00, and again to 02:30.
        due(&clinic(), 15, "2026-03-06T14:50", "2026-03-09T08:05");
        due(&clinic(), 15, "2026-10-30T14:50", "2026-11-02T08:05");
    }

    #[test]
    fn hours_that_never_open_and_no_hours_at_all_count_every_minute() {
        due(&Hours::default(), 15, "2026-11-07T03:00", "2026-11-07T03:15");
        let zone = new_york();
        let always = Promise { within: minutes(15), hours: None, zone: &zone };
        assert_eq!(always.due(at("2026-11-07T03:00")), at("2026-11-07T03:15"));
        assert_eq!(always.waited(at("2026-11-07T03:00"), at("2026-11-07T05:00")), minutes(120));
    }

    #[test]
    fn a_wait_is_fresh_then_soon_then_late_by_open_time() {
        let (hours, zone) = (clinic(), new_york());
        let promise = Promise { within: minutes(15), hours: Some(&hours), zone: &zone };
        let wait = |now: &str| promise.wait(at("2026-11-02T17:20"), at(now));
        assert_eq!(wait("2026-11-02T17:20"), Wait::Fresh { left: minutes(15) });
        assert_eq!(wait("2026-11-02T17:30"), Wait::Soon { left: minutes(5) });
        assert_eq!(wait("2026-11-02T23:00"), Wait::Soon { left: minutes(5) });
        assert_eq!(wait("2026-11-03T08:04"), Wait::Soon { left: minutes(1) });
        assert_eq!(wait("2026-11-03T08:05"), Wait::Late { by: minutes(0) });
        assert_eq!(wait("2026-11-03T13:05"), Wait::Late { by: minutes(240) });
    }

    /// Minute by minute: the clinic's door is looked at anew each time.
    fn model_due(hours: &Hours, zone: &TimeZone, within: u64, since: Timestamp) -> Timestamp {
        let (mut now, mut left) = (since, within);
        loop {
            if hours.status(now, zone) == Status::Open {
                left -= 1;
            }
            now = later(now, minutes(1));
            if left == 0 {
                return now;
            }
        }
    }

    fn any_hours() -> impl Strategy<Value = Hours> {
        let day = prop::sample::select(vec!["mon-sun", "mon-fri", "sat-mon", "sun", "wed,fri"]);
        // Long enough for every promise here to be used up within the year that is looked ahead.
        let opening = (day, 0u16..1430, 10u16..600).prop_map(|(days, from, length)| {
            let minute = |m: u16| Minute::parse(&format!("{:02}:{:02}", m / 60, m % 60)).unwrap();
            let to = (from + length).min(1440);
            Opening { days: Days::parse(days).unwrap(), from: minute(from), to: minute(to) }
        });
        let closed = prop::collection::btree_set(
            (0i64..14).prop_map(|day| {
                let first: jiff::civil::Date = "2026-10-25".parse().unwrap();
                first.checked_add(jiff::Span::new().days(day)).unwrap()
            }),
            0..4,
        );
        (prop::collection::vec(opening, 1..4), closed).prop_map(|(open, closed)| Hours { open, closed })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Around both clock changes, in three zones (one whose clocks change by half an hour).
        #[test]
        fn the_promise_agrees_with_a_look_at_the_door_each_minute(
            hours in any_hours(),
            zone in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
            start in prop::sample::select(vec!["2026-03-05T00:00:00Z", "2026-03-27T00:00:00Z", "2026-04-03T00:00:00Z",
                "2026-10-01T00:00:00Z", "2026-10-23T00:00:00Z", "2026-10-30T00:00:00Z"]),
            minute in 0u64..6 * 24 * 60,
            within in 1u64..300,
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let since = later(start.parse().unwrap(), minutes(minute));
            let promise = Promise { within: minutes(within), hours: Some(&hours), zone: &zone };
            let due = promise.due(since);
            prop_assert_eq!(due, model_due(&hours, &zone, within, since));
            prop_assert_eq!(promise.waited(since, due), minutes(within));
            prop_assert_eq!(promise.wait(since, due), Wait::Late { by: Duration::ZERO });
            let threshold = promise.late_since(due);
            prop_assert!(threshold >= since && promise.due(threshold) <= due);
            prop_assert!(promise.due(later(threshold, Duration::from_micros(1))) > due);
        }
    }
}
