//! The rows of a day, each read by a range of an index: work grows with the day, not with the history.

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
    // Of each thread: since when it waits.
    let mut waits = std::collections::HashMap::<String, Option<Timestamp>>::new();
    let mut answered = Vec::new();
    while let Some(row) = rows.next()? {
        let (thread, inbound, author): (String, bool, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let at = row.get::<_, At>(3)?.0;
        if at < from {
            continue;
        }
        let wait = match waits.entry(thread) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(first) => {
                let since = waiting_before(conn, first.key(), from)?;
                first.insert(since)
            }
        };
        if inbound {
            wait.get_or_insert(at);
        } else if StaffName::parse(&author).is_ok()
            && let Some(since) = wait.take()
        {
            answered.push(Answered { since, at });
        }
    }
    Ok(answered)
}

/// Since when a thread's patient waited as the day began.
fn waiting_before(conn: &Connection, thread: &str, day: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let reserved = "'system', 'patient', 'automation'";
    let since: Option<At> = conn
        .prepare_cached(&format!(
            "SELECT min(created_at) FROM messages WHERE thread = ?1 AND direction = 'inbound' AND kind = 'chat'
                 AND created_at < ?2 AND created_at > coalesce((SELECT max(created_at) FROM messages
                     WHERE thread = ?1 AND created_at < ?2 AND direction = 'outbound' AND author NOT IN ({reserved})), 0)"
        ))?
        .query_row(params![thread, At(day)], |row| row.get(0))?;
    Ok(since.map(|at| at.0))
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

/// What waits, by team, the longest wait first. A wait that began at `late_since` or before is late.
pub fn waits(conn: &Connection, late_since: Timestamp) -> Result<Vec<TeamWaits>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT team, count(*), sum(owner IS NULL), sum(queue_key <= ?1), min(queue_key) AS oldest
         FROM threads INDEXED BY threads_waits WHERE state = 'open' AND queue_key > 0 GROUP BY team ORDER BY oldest",
    )?;
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
    use super::*;
    use crate::model::MessageId;
    use crate::store::tests::in_memory;

    #[test]
    fn every_query_is_a_range_of_an_index() {
        let conn = in_memory();
        let plan = |sql: &str| -> String {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        for (sql, index) in [
            (
                "SELECT caller FROM calls WHERE started_at >= 1 AND direction = 'inbound' ORDER BY started_at",
                "calls_started",
            ),
            ("SELECT 1 FROM threads WHERE state = 'closed' AND closed_at >= 1 ORDER BY closed_at", "threads_closed"),
            ("SELECT thread FROM messages WHERE id >= 'x' AND kind = 'chat' ORDER BY id", "PRIMARY KEY (id>?)"),
            (
                "SELECT team, count(*), sum(owner IS NULL), sum(queue_key <= 1), min(queue_key) FROM threads
                 INDEXED BY threads_waits WHERE state = 'open' AND queue_key > 0 GROUP BY team",
                "USING COVERING INDEX threads_waits",
            ),
        ] {
            let plan = plan(sql);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }

    #[test]
    fn a_days_messages_are_a_range_of_ids() {
        let at: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
        let day = first_id(at);
        let id = |seconds: i64| MessageId::new(at + SignedDuration::from_secs(seconds)).to_string();
        assert!(id(-61) < day && day < id(-59) && day < id(0));
    }
}
