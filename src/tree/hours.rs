//! Whether the clinic is open: civil time in its own zone.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Days of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days(u8);

/// The names that the file uses, Monday first.
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    /// Reads `mon-thu`, `fri`, `mon,wed`, `sat-mon`; none if a part is no day.
    pub fn parse(text: &str) -> Option<Days> {
        let day = |name: &str| NAMES.iter().position(|known| name.trim().eq_ignore_ascii_case(known));
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (day(first)?, day(last)?),
                None => (day(part)?, day(part)?),
            };
            let mut at = first;
            while at != last {
                days |= 1 << at;
                at = (at + 1) % 7;
            }
            days |= 1 << last;
        }
        Some(Days(days))
    }

    /// Whether `day` is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }

    fn overlaps(self, other: Days) -> bool {
        self.0 & other.0 != 0
    }
}

/// A time of day in whole minutes since midnight, 0 to 1440 (`24:00`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

impl Minute {
    /// Reads `08:00` up to `24:00`.
    pub fn parse(text: &str) -> Option<Minute> {
        let (hour, minute) = text.split_once(':')?;
        let digits = |part: &str| part.len() <= 2 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(hour) || minute.len() != 2 || !digits(minute) {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let all = hour * 60 + minute;
        (minute < 60 && all <= 24 * 60).then_some(Minute(all))
    }
}

impl Minute {
    /// 0 to 1440.
    pub fn since_midnight(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// One opening: from the first minute to before the last, on each of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// On which days.
    pub days: Days,
    /// The first minute.
    pub from: Minute,
    /// The first minute after it.
    pub to: Minute,
}

impl Opening {
    /// Whether both are open at some same time.
    pub fn overlaps(&self, other: &Opening) -> bool {
        self.days.overlaps(other.days) && self.from < other.to && other.from < self.to
    }
}

/// Opening hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// When the clinic is open.
    pub open: Vec<Opening>,
    /// Days on which it is not, whatever `open` says.
    pub closed: BTreeSet<Date>,
}

/// What the clinic is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Inside an opening.
    Open,
    /// Outside of them.
    Closed,
    /// On a day of `closed`.
    Holiday,
}

impl Hours {
    /// The status at a moment. The clocks on the clinic's wall decide: an opening that spans a clock change is an
    /// hour shorter or longer, and an hour that comes twice is open twice.
    pub fn status(&self, at: Timestamp, zone: &TimeZone) -> Status {
        let there = at.to_zoned(zone.clone());
        if self.closed.contains(&there.date()) {
            return Status::Holiday;
        }
        let minute =
            u16::from(there.time().hour().unsigned_abs()) * 60 + u16::from(there.time().minute().unsigned_abs());
        let open = |opening: &Opening| {
            opening.days.contains(there.weekday()) && opening.from.0 <= minute && minute < opening.to.0
        };
        if self.open.iter().any(open) { Status::Open } else { Status::Closed }
    }

    /// The stretches of time in which [`Hours::status`] says open, from `from` on, in order: the first may have begun
    /// before and is cut there. Overlapping openings give one stretch. Looks a year ahead, then ends.
    pub fn stretches(&self, from: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Stretch> {
        let days = LOOK_AHEAD + 1;
        let last = from.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX);
        let (mut at, mut waiting) = (from, VecDeque::new());
        std::iter::from_fn(move || {
            while waiting.is_empty() && at < last {
                let offset = zone.to_offset(at);
                // Within one day and one offset, the clinic's wall clock only goes forward.
                let today = offset.to_datetime(at).date();
                let midnight = offset.to_timestamp(today.to_datetime(Time::midnight())).ok()?;
                let clocks_change = zone.following(at).next().map_or(Timestamp::MAX, |change| change.timestamp());
                let end = minute_of(midnight, Minute(24 * 60)).min(clocks_change);
                waiting.extend(self.on(today, midnight).into_iter().filter_map(|stretch| stretch.within(at, end)));
                at = end;
            }
            waiting.pop_front()
        })
    }

    /// The openings of a day whose midnight was at `midnight`, in order, each minute once.
    fn on(&self, day: Date, midnight: Timestamp) -> Vec<Stretch> {
        if self.closed.contains(&day) {
            return Vec::new();
        }
        let mut openings: Vec<&Opening> = self.open.iter().filter(|open| open.days.contains(day.weekday())).collect();
        openings.sort_by_key(|opening| (opening.from, opening.to));
        let mut open_until = Minute(0);
        let mut stretches = Vec::new();
        for opening in openings {
            let from = opening.from.max(open_until);
            if from < opening.to {
                stretches.push(Stretch { from: minute_of(midnight, from), to: minute_of(midnight, opening.to) });
                open_until = opening.to;
            }
        }
        stretches
    }
}

/// Days that [`Hours::stretches`] looks ahead.
const LOOK_AHEAD: i64 = 366;

fn minute_of(midnight: Timestamp, minute: Minute) -> Timestamp {
    midnight.checked_add(SignedDuration::from_mins(i64::from(minute.0))).unwrap_or(Timestamp::MAX)
}

/// A stretch of time: from the first moment to before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Stretch {
    /// The part of it that lies in `from` to before `to`; none if nothing does.
    pub fn within(self, from: Timestamp, to: Timestamp) -> Option<Stretch> {
        let part = Stretch { from: self.from.max(from), to: self.to.min(to) };
        (part.from < part.to).then_some(part)
    }

    /// How long it is.
    pub fn length(self) -> Duration {
        Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &str, from: &str, to: &str) -> Hours {
        let open = Opening {
            days: Days::parse(days).unwrap(),
            from: Minute::parse(from).unwrap(),
            to: Minute::parse(to).unwrap(),
        };
        Hours { open: vec![open], closed: BTreeSet::new() }
    }

    fn new_york(hours: &Hours, at: &str) -> Status {
        hours.status(at.parse().unwrap(), &TimeZone::get("America/New_York").unwrap())
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        assert_eq!(Days::parse("mon-thu"), Some(Days(0b000_1111)));
        assert_eq!(Days::parse("mon, wed,Sun"), Some(Days(0b100_0101)));
        assert_eq!(Days::parse("sat-mon"), Some(Days(0b110_0001)));
        assert_eq!(Days::parse("mon-mon"), Some(Days(1)));
        for bad in ["", "monday", "mon-", "mon;tue", "mon-tue-wed"] {
            assert_eq!(Days::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_whole_minutes_up_to_midnight() {
        assert_eq!(Minute::parse("08:05").unwrap().to_string(), "08:05");
        assert_eq!(Minute::parse("8:00"), Minute::parse("08:00"));
        assert_eq!(Minute::parse("24:00"), Some(Minute(1440)));
        for bad in ["24:01", "8", "08:60", "08:5", "-1:00", "8am", "008:00", ":00"] {
            assert_eq!(Minute::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn open_from_the_first_minute_to_before_the_last() {
        let hours = hours("mon-fri", "08:00", "17:30");
        // Eastern daylight time, UTC-4; 2026-07-06 is a Monday.
        assert_eq!(new_york(&hours, "2026-07-06T11:59:59Z"), Status::Closed);
        assert_eq!(new_york(&hours, "2026-07-06T12:00:00Z"), Status::Open);
        assert_eq!(new_york(&hours, "2026-07-06T21:29:59Z"), Status::Open);
        assert_eq!(new_york(&hours, "2026-07-06T21:30:00Z"), Status::Closed);
        assert_eq!(new_york(&hours, "2026-07-05T15:00:00Z"), Status::Closed);
    }

    #[test]
    fn a_holiday_is_the_clinics_own_day() {
        let mut hours = hours("mon-sun", "00:00", "24:00");
        hours.closed.insert("2026-12-25".parse().unwrap());
        assert_eq!(new_york(&hours, "2026-12-25T04:59:59Z"), Status::Open);
        assert_eq!(new_york(&hours, "2026-12-25T05:00:00Z"), Status::Holiday);
        assert_eq!(new_york(&hours, "2026-12-26T04:59:59Z"), Status::Holiday);
        assert_eq!(new_york(&hours, "2026-12-26T05:00:00Z"), Status::Open);
    }

    #[test]
    fn when_the_clocks_go_forward_eight_is_still_eight() {
        // 2026-03-08, 02:00 EST becomes 03:00 EDT.
        let morning = hours("mon-sun", "08:00", "09:00");
        assert_eq!(new_york(&morning, "2026-03-07T13:00:00Z"), Status::Open);
        assert_eq!(new_york(&morning, "2026-03-08T12:00:00Z"), Status::Open);
        assert_eq!(new_york(&morning, "2026-03-08T13:00:00Z"), Status::Closed);
        // An opening inside the hour that does not exist never comes.
        let lost = hours("mon-sun", "02:00", "03:00");
        assert_eq!(new_york(&lost, "2026-03-08T06:59:59Z"), Status::Closed);
        assert_eq!(new_york(&lost, "2026-03-08T07:00:00Z"), Status::Closed);
    }

    #[test]
    fn when_the_clocks_go_back_the_hour_that_comes_twice_is_open_twice() {
        // 2026-11-01, 02:00 EDT becomes 01:00 EST.
        let night = hours("mon-sun", "01:00", "02:00");
        for (at, status) in [
            ("2026-11-01T04:59:59Z", Status::Closed),
            ("2026-11-01T05:00:00Z", Status::Open),
            ("2026-11-01T06:30:00Z", Status::Open),
            ("2026-11-01T07:00:00Z", Status::Closed),
        ] {
            assert_eq!(new_york(&night, at), status, "{at}");
        }
        let morning = hours("mon-sun", "08:00", "09:00");
        assert_eq!(new_york(&morning, "2026-11-01T12:30:00Z"), Status::Closed);
        assert_eq!(new_york(&morning, "2026-11-01T13:00:00Z"), Status::Open);
    }
}
