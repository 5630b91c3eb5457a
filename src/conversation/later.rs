//! Times that people choose: "tomorrow", "on Monday", a date and time in the clinic's zone.

use jiff::civil::{DateTime, Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// When a clinic's day begins.
const MORNING: Time = time(8, 0, 0, 0);

/// Nothing is put off for longer: a year.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A time to come back at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Later {
    /// In an hour.
    Hour,
    /// Tomorrow at 8:00.
    Tomorrow,
    /// Next Monday at 8:00.
    Monday,
    /// A time of the person's own, as a `datetime-local` field writes it: `2026-03-09T08:00`.
    At(String),
}

/// Why a time cannot be one to come back at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLater {
    /// It is no date and time.
    #[error("not a date and time; write it as 2026-03-09T08:00")]
    Unreadable,
    /// It is past.
    #[error("that time is past; choose a later one")]
    Past,
    /// It is more than a year away.
    #[error("that is more than a year away; choose an earlier time")]
    TooFar,
}

impl Later {
    /// Reads what a form sends: `hour`, `tomorrow`, `monday`, or `at` with its own time.
    pub fn parse(choice: &str, at: &str) -> Later {
        match choice {
            "hour" => Later::Hour,
            "tomorrow" => Later::Tomorrow,
            "monday" => Later::Monday,
            _ => Later::At(at.trim().to_owned()),
        }
    }

    /// The time itself. One that the clocks skip in spring is an hour later; one that comes twice in autumn is the
    /// first.
    pub fn time(&self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, NotLater> {
        let today = now.to_zoned(zone.clone()).date();
        let morning = |days: i64| {
            let date = today.checked_add(Span::new().days(days)).map_err(|_| NotLater::TooFar)?;
            civil(date.to_datetime(MORNING), zone)
        };
        let time = match self {
            Later::Hour => now.checked_add(SignedDuration::from_hours(1)).map_err(|_| NotLater::TooFar)?,
            Later::Tomorrow => morning(1)?,
            Later::Monday => {
                let days = i64::from(today.weekday().until(Weekday::Monday));
                morning(if days == 0 { 7 } else { days })?
            }
            Later::At(text) => civil(text.parse().map_err(|_| NotLater::Unreadable)?, zone)?,
        };
        match time.duration_since(now) {
            span if span <= SignedDuration::ZERO => Err(NotLater::Past),
            span if span > LONGEST => Err(NotLater::TooFar),
            _ => Ok(time),
        }
    }
}

fn civil(at: DateTime, zone: &TimeZone) -> Result<Timestamp, NotLater> {
    zone.to_ambiguous_zoned(at).compatible().map(|zoned| zoned.timestamp()).map_err(|_| NotLater::TooFar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    fn time(later: Later, now: &str) -> Result<String, NotLater> {
        later.time(now.parse().unwrap(), &zone()).map(|at| at.to_string())
    }

    #[test]
    fn mornings_are_the_clinics_across_both_clock_changes() {
        // Saturday before the clocks go forward.
        assert_eq!(time(Later::Tomorrow, "2026-03-07T18:00:00Z").unwrap(), "2026-03-08T12:00:00Z");
        assert_eq!(time(Later::Monday, "2026-03-07T18:00:00Z").unwrap(), "2026-03-09T12:00:00Z");
        // Saturday before they go back.
        assert_eq!(time(Later::Tomorrow, "2026-10-31T18:00:00Z").unwrap(), "2026-11-01T13:00:00Z");
        // Late in the evening in New York, it is tomorrow already in UTC.
        assert_eq!(time(Later::Tomorrow, "2026-06-02T03:30:00Z").unwrap(), "2026-06-02T12:00:00Z");
        assert_eq!(time(Later::Hour, "2026-06-02T03:30:00Z").unwrap(), "2026-06-02T04:30:00Z");
    }

    #[test]
    fn on_a_monday_the_next_one_is_meant() {
        assert_eq!(time(Later::Monday, "2026-06-01T14:00:00Z").unwrap(), "2026-06-08T12:00:00Z");
    }

    #[test]
    fn a_time_of_ones_own_is_civil_time() {
        let at = |text: &str| time(Later::parse("at", text), "2026-03-07T18:00:00Z");
        assert_eq!(at("2026-03-09T08:30").unwrap(), "2026-03-09T12:30:00Z");
        assert_eq!(at(" 2026-03-08T02:30 ").unwrap(), "2026-03-08T07:30:00Z", "the clocks skip it");
        assert_eq!(at("2026-11-01T01:30").unwrap(), "2026-11-01T05:30:00Z", "it comes twice");
        assert_eq!(at("2026-03-07T13:00"), Err(NotLater::Past));
        assert_eq!(at("2030-01-01T08:00"), Err(NotLater::TooFar));
        for text in ["", "tomorrow", "2026-02-30T08:00", "9999-99-99T99:99"] {
            assert!(matches!(at(text), Err(NotLater::Unreadable | NotLater::Past)), "{text}");
        }
    }
}
