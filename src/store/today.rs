//! The rows of a day, each read by a range of an index: work grows with the day, not with the history.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::StoreError;
use super::column::{At, Word};
use crate::model::{Outcome, Private, StaffName};

/// Rows of one kind that are read at most: a day of a very large clinic.
const MOST: i64 = 50_000;

/// A call of the day that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Who called, as recorded.
    pub caller: Private<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The calls that came in from `from` on and have ended.
pub fn calls(conn: &Connection, from: Timestamp) -> Result<Vec<Called>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT coalesce(caller, 'anonymous'), outcome FROM calls
         WHERE started_at >= ? AND direction = 'inbound' AND outcome IS NOT NULL ORDER BY started_at LIMIT ?",
    )?;
    let rows = query.query_map(params![At(from), MOST], |row| {
        Ok(Called { caller: Private::new(row.get(0)?), outcome: row.get::<_, Word<_>>(1)?.0 })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A thread that was closed on the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Whether it was taken to the phone.
    pub moved_to_voice: bool,
}

/// The threads that were closed from `from` on. What became a part of another, or was only a keyword, is none.
pub fn closed(conn: &Connection, from: Timestamp) -> Result<Vec<Closed>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT opened_at, closed_at, moved_to_voice IS NOT NULL FROM threads
         WHERE state = 'closed' AND closed_at >= ? AND merged_into IS NULL AND resolution IS NOT 'keyword'
         ORDER BY closed_at LIMIT ?",
    )?;
    let rows = query.query_map(params![At(from), MOST], |row| {
        Ok(Closed { opened_at: row.get::<_, At>(0)?.0, closed_at: row.get::<_, At>(1)?.0, moved_to_voice: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A wait that a person's text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When the patient had begun to wait.
    pub since: Timestamp,
    /// When a person answered.
    pub at: Timestamp,
}

/// The waits that were ended by a person's text from `from` on.
///
/// Message ids sort by time (UUID version 7), so that a day of messages is a range of the primary key. A wait that had
/// begun before the day is looked up in its thread.
pub fn answered(conn: &Connection, from: Timestamp) -> Result<Vec<Answered>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT thread, direction = 'inbound', author, created_at FROM messages
         WHERE id >= ? AND kind = 'chat' ORDER BY id LIMIT ?",
    )?;
    let mut rows = query.query(params![first_id(from), MOST])?;
    let mut waits = HashMap::<String, Waiting>::new();
    let (day, mut answered) = (first_id(from), Vec::new());
    while let Some(row) = rows.next()? {
        let (thread, inbound, author): (String, bool, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let at = row.get::<_, At>(3)?.0;
        if at < from {
            continue;
        }
        // A thread that was opened on the day has nothing before it.
        let known = thread > day;
        let wait = waits.entry(thread).or_insert(Waiting { since: None, known });
        if inbound {
            wait.since.get_or_insert(at);
        } else if StaffName::parse(&author).is_ok() {
            if !std::mem::replace(&mut wait.known, true) {
                let thread: String = row.get(0)?;
                wait.since = waiting_before(conn, &thread, from)?.or(wait.since);
            }
            answered.extend(wait.since.take().map(|since| Answered { since, at }));
        }
    }
    Ok(answered)
}

/// Since when a thread's patient waits, as far as the day's messages tell.
struct Waiting {
    since: Option<Timestamp>,
    /// Whether what was before the day is known, or does not matter any more.
    known: bool,
}

/// Messages that are read back for the beginning of a wait at most.
const MOST_BACK: i64 = 100;

/// Since when a thread's patient waited as the day began.
fn waiting_before(conn: &Connection, thread: &str, day: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT direction = 'inbound', author, created_at FROM messages
         WHERE thread = ? AND created_at < ? AND kind = 'chat' ORDER BY created_at DESC LIMIT ?",
    )?;
    let mut rows = query.query(params![thread, At(day), MOST_BACK])?;
    let mut since = None;
    while let Some(row) = rows.next()? {
        if row.get(0)? {
            since = Some(row.get::<_, At>(2)?.0);
        } else if StaffName::parse(&row.get::<_, String>(1)?).is_ok() {
            break;
        }
    }
    Ok(since)
}

/// The smallest id of a message that was written at `at`, less a minute for clocks that were set.
fn first_id(at: Timestamp) -> String {
    let at = at.checked_sub(SignedDuration::from_mins(1)).unwrap_or(at);
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    format!("{:08x}-{:04x}-7000-8000-000000000000", millis >> 16, millis & 0xffff)
}

/// What waits in one team, or in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamWaits {
    /// The team.
    pub team: Option<String>,
    /// How many patients wait.
    pub waiting: u32,
    /// How many of them in nobody's threads.
    pub unassigned: u32,
    /// How many for longer than was promised.
    pub late: u32,
    /// Since when the first of them waits.
    pub oldest: Timestamp,
}

/// Read from the index alone, whatever a planner without statistics would rather do.
const WAITS: &str = "SELECT team, count(*), sum(owner IS NULL), sum(waiting_since <= ?1), min(waiting_since) AS oldest
     FROM threads INDEXED BY threads_waits WHERE state = 'open' AND waiting_since IS NOT NULL GROUP BY team
     ORDER BY oldest";

/// What waits, by team, the longest wait first. A wait that began at `late_since` or before is late.
pub fn waits(conn: &Connection, late_since: Timestamp) -> Result<Vec<TeamWaits>, StoreError> {
    let mut query = conn.prepare_cached(WAITS)?;
    let rows = query.query_map([At(late_since)], |row| {
        Ok(TeamWaits {
            team: row.get(0)?,
            waiting: row.get(1)?,
            unassigned: row.get(2)?,
            late: row.get(3)?,
            oldest: row.get::<_, At>(4)?.0,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// As people read them.
    pub shown_as: String,
    /// Their team.
    pub team: Option<String>,
    /// When they last did something.
    pub seen_at: Timestamp,
    /// Away until then, though they are signed in.
    pub away_until: Option<Timestamp>,
}

/// Who has used their session since `since`, the latest first.
pub fn signed_in(conn: &Connection, since: Timestamp) -> Result<Vec<SignedIn>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT staff.shown_as, staff.team, max(sessions.seen_at) AS seen, staff.away_until
         FROM sessions JOIN staff ON staff.name = sessions.staff
         WHERE staff.disabled_at IS NULL AND sessions.seen_at >= ? GROUP BY staff.name ORDER BY seen DESC LIMIT 200",
    )?;
    let rows = query.query_map([At(since)], |row| {
        Ok(SignedIn {
            shown_as: row.get(0)?,
            team: row.get(1)?,
            seen_at: row.get::<_, At>(2)?.0,
            away_until: row.get::<_, Option<At>>(3)?.map(|at| at.0),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use rusqlite::params_from_iter;

    use super::*;
    use crate::model::{
        CallId, CallStart, Callee, Caller, Direction, MessageDirection, MessageId, MessageStatus, OpenedBy,
        PhoneNumber, ThreadId,
    };
    use crate::store::calls;
    use crate::store::messages::{self, MessageKind, NewMessage};
    use crate::store::tests::{in_memory, tx};
    use crate::store::threads::{self, NewThread};

    #[test]
    fn every_query_is_a_range_of_an_index() {
        let conn = in_memory();
        let plan = |sql: &str| -> String {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let late = [1].into_iter().take(statement.parameter_count());
            let lines = statement.query_map(params_from_iter(late), |row| row.get::<_, String>(3)).unwrap();
            lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        for (sql, index) in [
            (
                "SELECT caller FROM calls WHERE started_at >= 1 AND direction = 'inbound' ORDER BY started_at",
                "calls_started",
            ),
            ("SELECT 1 FROM threads WHERE state = 'closed' AND closed_at >= 1 ORDER BY closed_at", "threads_closed"),
            ("SELECT thread FROM messages WHERE id >= 'x' AND kind = 'chat' ORDER BY id", "PRIMARY KEY (id>?)"),
            (WAITS, "USING COVERING INDEX threads_waits"),
        ] {
            let plan = plan(sql);
            // The teams themselves are few and may be sorted.
            let sorts = plan.contains("TEMP B-TREE") && sql != WAITS;
            assert!(plan.contains(index) && !sorts, "{sql}: {plan}");
        }
    }

    #[test]
    fn a_call_that_the_clinic_places_is_none_of_the_days_callers() {
        let conn = in_memory();
        let at: Timestamp = "2026-11-02T15:00:00Z".parse().unwrap();
        let number = |digits: &str| PhoneNumber::e164(digits).unwrap();
        let (theirs, ours) = (number("+16462530142"), number("+12125550100"));
        let emergency = Callee::Emergency("911".to_owned().into());
        for (direction, from, to) in [
            (Direction::Inbound, &theirs, Callee::Number(ours.clone())),
            (Direction::Outbound, &ours, Callee::Number(theirs.clone())),
            (Direction::Outbound, &ours, emergency),
        ] {
            let (id, from) = (CallId::new(at), Caller::Number(from.clone()));
            let (trunk, sip_call_id, diversion) = ("carrier".to_owned(), id.to_string(), vec![]);
            let start = CallStart { id, direction, trunk, from, to: Some(to), diversion, sip_call_id, at };
            calls::start(&tx(&conn), &start).unwrap();
            conn.execute("UPDATE calls SET outcome = 'missed' WHERE id = ?", [id]).unwrap();
        }
        let counted: Vec<_> = super::calls(&conn, at).unwrap().into_iter().map(|call| call.caller).collect();
        assert_eq!(counted, [Private::new(theirs.as_str().to_owned())]);
        let marked = "SELECT count(*) FROM calls WHERE emergency = 1 AND callee = '911'";
        assert_eq!(conn.query_row(marked, [], |row| row.get::<_, i64>(0)), Ok(1));
    }

    #[test]
    fn a_wait_that_began_before_the_day_is_counted_from_its_beginning() {
        let conn = in_memory();
        let day: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
        let number = |last: u32| PhoneNumber::e164(&format!("+1212555{last:04}")).unwrap();
        let minutes = |minutes: i64| day + SignedDuration::from_mins(minutes);
        // Minutes around midnight; a person's answers are `true`.
        let thread = |last: u32, texts: &[(i64, bool)]| {
            let opened = minutes(texts[0].0);
            let thread = NewThread {
                id: ThreadId::new(opened),
                number: number(last),
                reason: None,
                language: None,
                opened_by: OpenedBy::Text,
                call: None,
                at: opened,
            };
            threads::open(&tx(&conn), &thread).unwrap();
            for (at, by_person) in texts {
                let message = NewMessage {
                    id: MessageId::new(minutes(*at)),
                    thread: thread.id,
                    kind: MessageKind::Chat,
                    author: if *by_person { "ana".into() } else { "patient".into() },
                    from: number(100),
                    to: number(last),
                    body: Private::new("Hello".into()),
                    media: vec![],
                    call: None,
                    once: None,
                    at: minutes(*at),
                };
                let direction = if *by_person { MessageDirection::Outbound } else { MessageDirection::Inbound };
                messages::insert(&tx(&conn), &message, direction, MessageStatus::Sent, None).unwrap();
            }
        };
        thread(201, &[(-90, true), (-60, false), (-30, false), (10, false), (20, true), (30, true)]);
        thread(202, &[(-60, false), (-30, true), (40, false), (50, true)]);
        thread(203, &[(60, false), (70, true), (80, false)]);
        let waits: Vec<_> = answered(&conn, day).unwrap().into_iter().map(|wait| (wait.since, wait.at)).collect();
        let expected = [(-60, 20), (40, 50), (60, 70)].map(|(since, at)| (minutes(since), minutes(at)));
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_days_messages_are_a_range_of_ids() {
        let at: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
        let day = first_id(at);
        let id = |seconds: i64| MessageId::new(at + SignedDuration::from_secs(seconds)).to_string();
        assert!(id(-61) < day && day < id(-59) && day < id(0));
    }
}
