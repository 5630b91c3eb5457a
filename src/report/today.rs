//! What the day came to, as plain functions over its rows. Each says how it counts.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::conversation::promise::Promise;
use crate::model::Outcome;
use crate::store::today::{Answered, Called, Closed};

/// A part of a whole; nothing of nothing is no share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The part.
    pub part: usize,
    /// The whole.
    pub of: usize,
}

impl Share {
    /// In whole percent.
    pub fn percent(self) -> Option<usize> {
        (self.of > 0).then(|| (self.part * 100 + self.of / 2) / self.of)
    }
}

/// How many of the day's callers chose a text. A number that called several times is one caller, who chose a text if
/// they did in any of their calls; hidden callers are one each. Calls that we refused, or that broke, are not counted.
pub fn chose_text(calls: &[Called]) -> Share {
    let mut callers: HashMap<&str, bool> = HashMap::new();
    let (mut hidden, mut hidden_texted) = (0, 0);
    for call in calls {
        let texted = match call.outcome {
            Outcome::Rejected | Outcome::Failed | Outcome::Interrupted => continue,
            outcome => outcome == Outcome::Texted,
        };
        match call.caller.expose().as_str() {
            "anonymous" => {
                hidden += 1;
                hidden_texted += usize::from(texted);
            }
            caller => *callers.entry(caller).or_default() |= texted,
        }
    }
    Share { part: callers.values().filter(|texted| **texted).count() + hidden_texted, of: callers.len() + hidden }
}

/// How long the threads that were closed today had been open: the one in the middle.
pub fn time_to_resolve(closed: &[Closed]) -> Option<Duration> {
    let open =
        |thread: &Closed| Duration::try_from(thread.closed_at.duration_since(thread.opened_at)).unwrap_or_default();
    median(closed.iter().map(open).collect())
}

/// How many of the threads that were closed today were taken to the phone.
pub fn moved_to_voice(closed: &[Closed]) -> Share {
    Share { part: closed.iter().filter(|thread| thread.moved_to_voice).count(), of: closed.len() }
}

/// The waits that were ended in one hour of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourOfWaits {
    /// The hour on the clinic's clock, 0 to 23.
    pub hour: u8,
    /// How many patients were answered.
    pub answered: usize,
    /// How many of them within the promise.
    pub in_time: usize,
    /// The wait in the middle, counted while the clinic was open.
    pub median: Duration,
    /// The longest.
    pub longest: Duration,
}

/// The waits of the day by the hour in which a person ended them; hours in which nobody was answered are left out.
pub fn waits_by_hour(answered: &[Answered], promise: &Promise<'_>, zone: &TimeZone) -> Vec<HourOfWaits> {
    let mut hours: Vec<Vec<Duration>> = vec![Vec::new(); 24];
    for wait in answered {
        hours[hour(wait.at, zone)].push(promise.waited(wait.since, wait.at));
    }
    let full = hours.into_iter().zip(0u8..).filter(|(waits, _)| !waits.is_empty());
    full.map(|(waits, hour)| HourOfWaits {
        hour,
        answered: waits.len(),
        in_time: waits.iter().filter(|wait| **wait <= promise.within()).count(),
        longest: waits.iter().max().copied().unwrap_or_default(),
        median: median(waits).unwrap_or_default(),
    })
    .collect()
}

fn hour(at: Timestamp, zone: &TimeZone) -> usize {
    usize::from(at.to_zoned(zone.clone()).hour().unsigned_abs()).min(23)
}

/// The one in the middle, or between the two in the middle.
fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort_unstable();
    let middle = all.len() / 2;
    let upper = *all.get(middle)?;
    if all.len() % 2 == 1 { Some(upper) } else { Some((all[middle - 1] + upper) / 2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Private;

    fn call(caller: &str, outcome: Outcome) -> Called {
        Called { caller: Private::new(caller.to_owned()), outcome }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_caller_counts_once_and_hidden_ones_each() {
        let calls = [
            call("+12125550101", Outcome::Abandoned),
            call("+12125550101", Outcome::Texted),
            call("+12125550102", Outcome::Served),
            call("anonymous", Outcome::Texted),
            call("anonymous", Outcome::Missed),
            call("+12125550103", Outcome::Rejected),
        ];
        assert_eq!(chose_text(&calls), Share { part: 2, of: 4 });
        assert_eq!(chose_text(&calls).percent(), Some(50));
        assert_eq!(chose_text(&[]).percent(), None);
        assert_eq!(Share { part: 2, of: 3 }.percent(), Some(67));
    }

    #[test]
    fn the_middle_is_not_moved_by_one_long_wait() {
        assert_eq!(median(vec![seconds(900), seconds(60), seconds(90)]), Some(seconds(90)));
        assert_eq!(median(vec![seconds(60), seconds(90)]), Some(seconds(75)));
        assert_eq!(median(vec![]), None);
        let at = |second| Timestamp::from_second(second).unwrap();
        let closed = |open, voice| Closed { opened_at: at(0), closed_at: at(open), moved_to_voice: voice };
        let all = [closed(60, false), closed(600, true), closed(90, false)];
        assert_eq!(time_to_resolve(&all), Some(seconds(90)));
        assert_eq!(moved_to_voice(&all), Share { part: 1, of: 3 });
    }
}
