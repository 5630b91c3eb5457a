//! Who is at work: leave, working hours, and the clinic's own where somebody has none.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::threading::within;
use crate::model::{Attendance, Shift};
use crate::tree::{Days, Hours, Minute, Opening, Status};

/// What a shift means; none if it means nothing.
pub fn opening(shift: &Shift) -> Option<Opening> {
    let (days, from, to) = (Days::parse(&shift.days)?, Minute::parse(&shift.from)?, Minute::parse(&shift.to)?);
    (from < to).then_some(Opening { days, from, to })
}

/// Why somebody is not at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// They left the clinic.
    Disabled,
    /// On leave until then.
    Away(Timestamp),
    /// Outside their hours, or the clinic's.
    OffHours,
}

/// Whoever did something here less than so long ago is at work, whatever their hours say.
const LINGERS: Duration = Duration::from_secs(15 * 60);

/// Why somebody is not at work at `now`; none if they are. `clinic` are its opening hours, none: it is always open. On a
/// day on which it is closed nobody is at work, unless they work all the same.
pub fn absence(of: &Attendance, clinic: Option<&Hours>, zone: &TimeZone, now: Timestamp) -> Option<Absence> {
    if of.disabled {
        return Some(Absence::Disabled);
    }
    if let Some(until) = of.away_until.filter(|until| now < *until) {
        return Some(Absence::Away(until));
    }
    if of.seen_at.is_some_and(|at| within(at, LINGERS, now)) {
        return None;
    }
    let own: Vec<Opening> = of.shifts.iter().filter_map(opening).collect();
    let hours = match own.is_empty() {
        true => clinic?.clone(),
        false => Hours { open: own, closed: clinic.map(|clinic| clinic.closed.clone()).unwrap_or_default() },
    };
    (hours.status(now, zone) != Status::Open).then_some(Absence::OffHours)
}

/// Reads working hours as people write them: a line each, `mon-thu 08:00-12:00`. Nothing is the clinic's hours.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Shift>, String> {
    let line = |line: &str| {
        let (days, times) = line.trim().rsplit_once(char::is_whitespace)?;
        let (from, to) = times.split_once('-')?;
        let shift = Shift { days: days.trim().to_lowercase(), from: from.trim().into(), to: to.trim().into() };
        opening(&shift).map(|_| shift)
    };
    let lines = text.lines().filter(|text| !text.trim().is_empty());
    lines.take(50).map(|text| line(text).ok_or_else(|| text.trim().to_owned())).collect()
}

/// The same, to be edited.
pub fn write(shifts: &[Shift]) -> String {
    shifts.iter().map(|shift| format!("{} {}-{}\n", shift.days, shift.from, shift.to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(of: &Attendance, at: &str) -> Option<Absence> {
        let clinic = Hours {
            open: parse("mon-fri 08:00-17:00").unwrap().iter().filter_map(opening).collect(),
            closed: ["2026-12-25".parse().unwrap()].into(),
        };
        absence(of, Some(&clinic), &TimeZone::get("America/New_York").unwrap(), at.parse().unwrap())
    }

    const MONDAY_TEN: &str = "2026-11-02T15:00:00Z";
    const MONDAY_SIX: &str = "2026-11-02T23:00:00Z";

    #[test]
    fn who_has_no_hours_works_when_the_clinic_is_open() {
        let ana = Attendance::default();
        assert_eq!(here(&ana, MONDAY_TEN), None);
        assert_eq!(here(&ana, MONDAY_SIX), Some(Absence::OffHours));
    }

    #[test]
    fn own_hours_come_before_the_clinics_but_not_its_holidays() {
        let ben = Attendance { shifts: parse("mon,fri 16:00-20:00").unwrap(), ..Attendance::default() };
        assert_eq!(here(&ben, MONDAY_TEN), Some(Absence::OffHours));
        assert_eq!(here(&ben, MONDAY_SIX), None);
        assert_eq!(here(&ben, "2026-12-25T23:00:00Z"), Some(Absence::OffHours));
    }

    #[test]
    fn who_works_late_is_at_work_until_they_stop() {
        let ana = Attendance { seen_at: Some("2026-11-02T22:50:00Z".parse().unwrap()), ..Attendance::default() };
        assert_eq!(here(&ana, MONDAY_SIX), None);
        assert_eq!(here(&ana, "2026-11-02T23:05:00Z"), Some(Absence::OffHours));
    }

    #[test]
    fn a_clinic_that_is_always_open_has_somebody_there_but_for_their_own_hours() {
        let at = |of: &Attendance| absence(of, None, &TimeZone::UTC, MONDAY_SIX.parse().unwrap());
        assert_eq!(at(&Attendance::default()), None);
        let shifts = parse("mon 08:00-12:00").unwrap();
        assert_eq!(at(&Attendance { shifts, ..Attendance::default() }), Some(Absence::OffHours));
    }

    #[test]
    fn leave_ends_by_itself() {
        let until: Timestamp = "2026-11-02T15:30:00Z".parse().unwrap();
        let ana = Attendance { away_until: Some(until), ..Attendance::default() };
        assert_eq!(here(&ana, MONDAY_TEN), Some(Absence::Away(until)));
        assert_eq!(here(&ana, "2026-11-02T15:30:00Z"), None);
        assert_eq!(here(&Attendance { disabled: true, ..ana }, MONDAY_TEN), Some(Absence::Disabled));
    }

    #[test]
    fn hours_are_read_as_written_and_a_bad_line_is_named() {
        let text = "mon-thu 08:00-12:00\nfri 08:00-15:00\n";
        assert_eq!(write(&parse(text).unwrap()), text);
        assert_eq!(parse("  \n"), Ok(vec![]));
        for bad in ["mon 12:00-08:00", "someday 08:00-12:00", "08:00-12:00", "mon 8-12"] {
            assert_eq!(parse(&format!("tue 08:00-09:00\n{bad}")), Err(bad.to_owned()));
        }
    }
}
