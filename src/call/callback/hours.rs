//! When a call back is made, as the hours of the tree in force say: nobody is rung at night for what was asked in the
//! daytime, and what nobody was there for in its time has failed.

use std::slice;

use jiff::{SignedDuration, Timestamp};

use crate::store::callbacks::{Again, Callback};
use crate::tree::{Stretch, Tree};

/// One that somebody wants now, whatever the hour, is tried for so long.
const WANTED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What is to be done with one whose time the store says has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is made.
    Now {
        /// Not from then on.
        until: Timestamp,
    },
    /// The clinic is closed.
    Later(Again),
    /// Its last time is over.
    Never,
}

/// Looks at the hours once more: they may be others than when it was booked.
pub(super) fn due(tree: &Tree, callback: &Callback, now: Timestamp) -> Due {
    if callback.due_until.is_none() {
        return Due::Now { until: now.checked_add(WANTED_FOR).unwrap_or(now) };
    }
    match next(tree, callback, now) {
        Some(open) if open.from <= now => Due::Now { until: open.until },
        Some(open) => Due::Later(open),
        None => Due::Never,
    }
}

/// The next time at which it may be made, from `at` on; none: not before it has failed.
pub(super) fn next(tree: &Tree, callback: &Callback, at: Timestamp) -> Option<Again> {
    let hours = callback.hours.as_ref().and_then(|name| tree.hours(slice::from_ref(name)));
    let open = match hours {
        Some(hours) => hours.stretches(at, tree.zone()).next()?,
        None => Stretch { from: at, to: callback.last_at },
    };
    let open = open.within(at, callback.last_at)?;
    Some(Again { from: open.from, until: open.to })
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::{CallId, CallbackId, Language, PhoneNumber, PromptCatalog, ThreadId};
    use crate::store::callbacks::CallbackState;
    use crate::tree::Context;

    /// 2026-07-06 is a Monday.
    fn at(day_and_time: &str) -> Timestamp {
        format!("2026-07-{day_and_time}:00Z").parse().unwrap()
    }

    fn tree(closed: &str) -> Arc<Tree> {
        let prompts = PromptCatalog::default();
        let context = Context {
            zone: TimeZone::UTC,
            country: "US".parse().unwrap(),
            language: Language::default(),
            prompts: &prompts,
            messages: &[("greeting".to_owned(), [Language::default()].into())].into(),
            today: date(2026, 7, 1),
        };
        let text = format!(
            "start = \"hours:clinic\"\n[hours.clinic]\nopen = [ {{ days = \"mon-fri\", from = \"08:00\", to = \"12:00\" }}, \
             {{ days = \"mon-fri\", from = \"13:00\", to = \"17:00\" }} ]\nclosed = [{closed}]\n\
             when_open = \"text:t\"\nwhen_closed = \"text:t\"\n[text.t]\nmessage = \"greeting\"\n"
        );
        Tree::parse(Path::new("tree.toml"), &text, &context).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    /// Asked for on Monday at ten, to be tried until Tuesday noon.
    pub fn callback(hours: Option<&str>) -> Callback {
        let asked_at = at("06T10:00");
        Callback {
            id: CallbackId::new(asked_at),
            call: CallId::new(asked_at),
            node: "callback:desk".into(),
            thread: ThreadId::new(asked_at),
            number: PhoneNumber::e164("+12125550142").unwrap(),
            language: Language::default(),
            reason: None,
            line: Some("desk".into()),
            priority: 0,
            since: asked_at,
            hours: hours.map(str::to_owned),
            due_at: asked_at,
            due_until: Some(at("06T12:00")),
            last_at: at("07T12:00"),
            asked_at,
            state: CallbackState::Waiting,
            attempts: 0,
            last_attempt_at: None,
            last_call: None,
            ended_at: None,
            cause: None,
        }
    }

    fn later(from: &str, until: &str) -> Due {
        Due::Later(Again { from: at(from), until: at(until) })
    }

    #[test]
    fn it_is_made_while_the_clinic_is_open_until_its_last_time_is_over() {
        let (tree, callback) = (tree(""), callback(Some("hours:clinic")));
        for (now, expected) in [
            ("06T10:00", Due::Now { until: at("06T12:00") }),
            ("06T12:00", later("06T13:00", "06T17:00")),
            ("06T16:59", Due::Now { until: at("06T17:00") }),
            ("06T22:00", later("07T08:00", "07T12:00")),
            ("07T11:59", Due::Now { until: at("07T12:00") }),
            ("07T12:00", Due::Never),
            ("09T09:00", Due::Never),
        ] {
            assert_eq!(due(&tree, &callback, at(now)), expected, "{now}");
        }
    }

    #[test]
    fn every_way_of_trying_again_leads_to_an_end_in_its_hours() {
        let (tree, callback) = (tree(""), callback(Some("hours:clinic")));
        let mut now = callback.due_at;
        let mut times = 0;
        while let Some(again) = next(&tree, &callback, now) {
            assert!(tree.hours(&[]).unwrap().status(again.from, tree.zone()) == crate::tree::Status::Open);
            assert!(again.until <= callback.last_at);
            (now, times) = (again.from + SignedDuration::from_mins(10), times + 1);
        }
        // Two hours, four hours and four hours, in steps of ten minutes.
        assert_eq!(times, 12 + 24 + 24);
    }

    #[test]
    fn the_hours_are_those_of_the_tree_in_force() {
        let holiday = tree("\"2026-07-06\"");
        let callback = callback(Some("hours:clinic"));
        assert_eq!(due(&holiday, &callback, at("06T10:00")), later("07T08:00", "07T12:00"));
        let both = tree("\"2026-07-06\", \"2026-07-07\"");
        assert_eq!(due(&both, &callback, at("06T10:00")), Due::Never);
        // Its node has another name now: the tree's own hours stand in.
        let renamed = Callback { hours: Some("hours:old".into()), ..callback };
        assert_eq!(due(&holiday, &renamed, at("06T10:00")), later("07T08:00", "07T12:00"));
    }

    #[test]
    fn without_hours_it_is_made_until_its_end_and_what_is_wanted_now_at_once() {
        let tree = tree("");
        let free = callback(None);
        assert_eq!(due(&tree, &free, at("06T23:00")), Due::Now { until: free.last_at });
        assert_eq!(due(&tree, &free, free.last_at), Due::Never);
        let wanted = Callback { due_until: None, ..callback(Some("hours:clinic")) };
        assert_eq!(due(&tree, &wanted, at("06T22:00")), Due::Now { until: at("06T22:10") });
    }
}
