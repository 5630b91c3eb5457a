//! Times and lengths as people read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use maud::{Markup, PreEscaped, html};

use crate::web::words::Ui;
use crate::web::words::thread::Words;

/// Writes times in the clinic's zone.
#[derive(Clone, Debug)]
pub struct Times {
    pub zone: TimeZone,
    pub ui: Ui,
    pub now: Timestamp,
}

const MONTHS: [[&str; 12]; 2] = [
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
];
const DAYS: [[&str; 7]; 2] = [
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
];

impl Times {
    /// The time of day.
    pub fn clock(&self, at: Timestamp) -> String {
        let there = self.there(at);
        let (hour, minute) = (there.hour(), there.minute());
        match self.ui {
            Ui::En => {
                let half = if hour < 12 { "AM" } else { "PM" };
                format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
            }
            Ui::Es => format!("{hour}:{minute:02}"),
        }
    }

    /// The day: today, yesterday, or its date.
    pub fn day(&self, at: Timestamp, words: &Words) -> String {
        let (there, today) = (self.there(at).date(), self.there(self.now).date());
        if there == today {
            return words.today.to_owned();
        }
        if today.yesterday().is_ok_and(|yesterday| yesterday == there) {
            return words.yesterday.to_owned();
        }
        let weekday = DAYS[self.index()][usize::from(there.weekday().to_monday_zero_offset().unsigned_abs())];
        format!("{weekday}, {}", self.date(at))
    }

    /// The date, with its year unless that is this one.
    pub fn date(&self, at: Timestamp) -> String {
        let (there, today) = (self.there(at).date(), self.there(self.now).date());
        let month = MONTHS[self.index()][usize::from(there.month().unsigned_abs()) - 1];
        let year = if there.year() == today.year() { String::new() } else { format!(", {}", there.year()) };
        match self.ui {
            Ui::En => format!("{month} {}{year}", there.day()),
            Ui::Es => format!("{} {month}{year}", there.day()),
        }
    }

    /// The time of day today, else with its date.
    pub fn short(&self, at: Timestamp) -> String {
        if self.there(at).date() == self.there(self.now).date() {
            return self.clock(at);
        }
        format!("{}, {}", self.date(at), self.clock(at))
    }

    /// Everything: day, date, time, zone.
    pub fn full(&self, at: Timestamp) -> String {
        let there = self.there(at);
        let weekday = DAYS[self.index()][usize::from(there.weekday().to_monday_zero_offset().unsigned_abs())];
        let zone = there.strftime("%Z");
        format!("{weekday}, {} {}, {} {zone}", self.date(at), there.year(), self.clock(at))
    }

    /// A `<time>` whose text is `shown`, with everything on hover.
    pub fn mark(&self, at: Timestamp, shown: &str) -> Markup {
        html! { time datetime=(at.to_string()) title=(self.full(at)) { (shown) } }
    }

    /// The same civil day?
    pub fn same_day(&self, a: Timestamp, b: Timestamp) -> bool {
        self.there(a).date() == self.there(b).date()
    }

    /// As a `datetime-local` field wants it.
    pub fn field(&self, at: Timestamp) -> String {
        self.there(at).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    fn there(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    fn index(&self) -> usize {
        self.ui.pick(0, 1)
    }
}

/// A length of time: `1:05`.
pub fn length(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A space that keeps words together.
pub const GAP: PreEscaped<&str> = PreEscaped("&nbsp;· ");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::thread::words;

    #[test]
    fn times_are_the_clinics() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = "2026-11-02T16:00:00Z".parse().unwrap();
        let en = Times { zone: zone.clone(), ui: Ui::En, now };
        let es = Times { zone, ui: Ui::Es, now };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(en.short(now), "11:00 AM");
        assert_eq!(en.short(at("2026-11-02T05:05:00Z")), "12:05 AM");
        assert_eq!(es.short(at("2026-11-02T18:30:00Z")), "13:30");
        assert_eq!(en.short(at("2025-12-31T20:00:00Z")), "Dec 31, 2025, 3:00 PM");
        assert_eq!(es.short(at("2026-10-05T20:00:00Z")), "5 oct, 16:00");
        assert_eq!(en.day(at("2026-11-01T20:00:00Z"), words(Ui::En)), "Yesterday");
        assert_eq!(es.day(at("2026-10-28T20:00:00Z"), words(Ui::Es)), "miércoles, 28 oct");
        assert!(en.full(now).contains("EST"));
    }
}
