//! Opening hours in plain words, for a text: `Mon-Thu 8 am-12 pm and 1-5:30 pm, Fri 8 am-3 pm`.
//!
//! Plain letters alone: one that the GSM alphabet lacks, such as the á of sábado, would more than double a text's price.

use jiff::civil::Weekday;

use crate::model::Language;
use crate::tree::{Hours, Minute};

/// The words of a language.
struct Words {
    tag: &'static str,
    /// Monday first.
    days: [&'static str; 7],
    and: &'static str,
    all_day: &'static str,
    midnight: &'static str,
}

const LANGUAGES: [Words; 2] = [
    Words {
        tag: "en",
        days: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        and: "and",
        all_day: "all day",
        midnight: "midnight",
    },
    Words {
        tag: "es",
        days: ["lun", "mar", "mie", "jue", "vie", "sab", "dom"],
        and: "y",
        all_day: "todo el dia",
        midnight: "medianoche",
    },
];

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];
const NOON: u16 = 12 * 60;
const END_OF_DAY: u16 = 24 * 60;

/// From the first minute to before the last, in minutes since midnight.
type Span = (u16, u16);

/// The hours in `language`; none where we do not know its words, or where the clinic is never open. Days of `closed`
/// are left out.
pub fn in_words(hours: &Hours, language: &Language) -> Option<String> {
    let primary = language.as_str().split('-').next().unwrap_or_default();
    let words = LANGUAGES.iter().find(|words| words.tag.eq_ignore_ascii_case(primary))?;
    // Each schedule with its days (0 is Monday), in the order of the week.
    let mut schedules: Vec<(Vec<Span>, Vec<usize>)> = Vec::new();
    for (day, weekday) in WEEK.into_iter().enumerate() {
        let spans = spans(hours, weekday);
        match schedules.iter_mut().find(|(known, _)| *known == spans) {
            _ if spans.is_empty() => {}
            Some((_, days)) => days.push(day),
            None => schedules.push((spans, vec![day])),
        }
    }
    let said = |(spans, days): &(Vec<Span>, Vec<usize>)| {
        let spans = spans.iter().map(|span| span_in_words(*span, words)).collect();
        format!("{} {}", listed(ranges(days, words), words), listed(spans, words))
    };
    let all: Vec<_> = schedules.iter().map(said).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// When the clinic is open on a day, earliest first; openings that touch are one.
fn spans(hours: &Hours, day: Weekday) -> Vec<Span> {
    let minute = Minute::since_midnight;
    let open = hours.open.iter().filter(|opening| opening.days.contains(day));
    let mut all: Vec<Span> = open.map(|opening| (minute(opening.from), minute(opening.to))).collect();
    all.sort_unstable();
    all.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
    all
}

/// `Mon-Thu`, or `Mon`; neighbours are drawn together.
fn ranges(days: &[usize], words: &Words) -> Vec<String> {
    days.chunk_by(|day, next| day + 1 == *next)
        .map(|run| match run {
            [first, .., last] => format!("{}-{}", words.days[*first], words.days[*last]),
            _ => run.iter().map(|day| words.days[*day]).collect(),
        })
        .collect()
}

fn span_in_words((from, to): Span, words: &Words) -> String {
    if (from, to) == (0, END_OF_DAY) {
        return words.all_day.to_owned();
    }
    let same_half = from > 0 && to < END_OF_DAY && (from < NOON) == (to < NOON);
    let from = if same_half { clock(from) } else { time(from, words) };
    format!("{from}-{}", time(to, words))
}

/// `8 am`, `5:30 pm`
fn time(minute: u16, words: &Words) -> String {
    match minute {
        0 | END_OF_DAY => words.midnight.to_owned(),
        _ => format!("{} {}", clock(minute), if minute < NOON { "am" } else { "pm" }),
    }
}

/// `8`, `5:30`
fn clock(minute: u16) -> String {
    let hour = match minute / 60 % 12 {
        0 => 12,
        hour => hour,
    };
    match minute % 60 {
        0 => hour.to_string(),
        rest => format!("{hour}:{rest:02}"),
    }
}

/// `a`, `a and b`, `a, b and c`
fn listed(mut all: Vec<String>, words: &Words) -> String {
    let last = all.pop().unwrap_or_default();
    if all.is_empty() { last } else { format!("{} {} {last}", all.join(", "), words.and) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conversation::segments::{Encoding, segments};
    use crate::tree::{Days, Opening};

    fn said(tag: &str, open: &[(&str, &str, &str)]) -> Option<String> {
        let opening = |(days, from, to): &(&str, &str, &str)| Opening {
            days: Days::parse(days).unwrap(),
            from: Minute::parse(from).unwrap(),
            to: Minute::parse(to).unwrap(),
        };
        let hours = Hours { open: open.iter().map(opening).collect(), closed: BTreeSet::new() };
        in_words(&hours, &Language::parse(tag).unwrap())
    }

    #[test]
    fn hours_are_said_as_people_say_them() {
        let clinic = [("fri", "08:00", "15:00"), ("mon-thu", "13:00", "17:30"), ("mon-thu", "08:00", "12:00")];
        assert_eq!(said("en", &clinic).unwrap(), "Mon-Thu 8 am-12 pm and 1-5:30 pm, Fri 8 am-3 pm");
        assert_eq!(said("es-MX", &clinic).unwrap(), "lun-jue 8 am-12 pm y 1-5:30 pm, vie 8 am-3 pm");
        for (open, expected) in [
            (&[("mon,wed,fri", "9:00", "11:45")][..], "Mon, Wed and Fri 9-11:45 am"),
            (&[("mon-wed,fri", "12:00", "17:00")], "Mon-Wed and Fri 12-5 pm"),
            (&[("sat-mon", "00:00", "24:00")], "Mon and Sat-Sun all day"),
            (&[("tue", "00:00", "06:00"), ("tue", "20:00", "24:00")], "Tue midnight-6 am and 8 pm-midnight"),
            (&[("tue", "08:00", "10:00"), ("tue", "10:00", "12:30"), ("tue", "09:00", "09:30")], "Tue 8 am-12:30 pm"),
        ] {
            assert_eq!(said("en", open).unwrap(), expected);
        }
    }

    #[test]
    fn where_there_are_no_words_there_are_none() {
        assert_eq!(said("fr", &[("mon", "08:00", "12:00")]), None);
        assert_eq!(said("en", &[]), None);
    }

    #[test]
    fn every_word_is_plain() {
        let all = [("mon,wed", "00:00", "24:00"), ("tue,sat", "00:00", "12:00"), ("thu,fri,sun", "08:00", "09:15")];
        for tag in ["en", "es"] {
            assert_eq!(segments(&said(tag, &all).unwrap()).encoding, Encoding::Gsm7);
        }
    }
}
