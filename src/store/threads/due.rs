//! Threads in which something is due. Each is read from an index of open threads: closed ones cost nothing.

use jiff::Timestamp;
use rusqlite::{Params, Row, params};

use crate::model::{StaffName, ThreadId};
use crate::store::column::At;
use crate::store::queue::TIER;
use crate::store::{Connection, StoreError};

/// Those that were put out of sight until now, `most` of them.
pub fn snoozed_until(conn: &Connection, now: Timestamp, most: usize) -> Result<Vec<ThreadId>, StoreError> {
    let sql = "SELECT id FROM threads WHERE snoozed_until <= ? AND state = 'snoozed' ORDER BY snoozed_until LIMIT ?";
    ids(conn, sql, params![At(now), limit(most)])
}

/// Those that somebody must come back to now.
pub fn follow_ups_due(conn: &Connection, now: Timestamp, most: usize) -> Result<Vec<ThreadId>, StoreError> {
    let sql = "SELECT id FROM threads WHERE follow_up_at <= ? AND state <> 'closed' ORDER BY follow_up_at LIMIT ?";
    ids(conn, sql, params![At(now), limit(most)])
}

/// Those of `owner` in which a patient waits, or a red flag does.
pub fn waiting_for(conn: &Connection, owner: &StaffName, most: usize) -> Result<Vec<ThreadId>, StoreError> {
    ids(conn, &waiting_for_sql(), params![owner, limit(most)])
}

fn waiting_for_sql() -> String {
    format!("SELECT id FROM threads WHERE owner = ? AND state = 'open' AND {TIER} < 3 LIMIT ?")
}

/// Those in which the patient owes an answer, nothing holds the thread (a red flag, a follow-up, a text that did not
/// arrive or is still to go), and "anything else?" was asked before `offered`; or it was not asked and the newest
/// message is older than `silent`.
pub fn silent(
    conn: &Connection,
    offered: Timestamp,
    silent: Timestamp,
    most: usize,
) -> Result<Vec<Silent>, StoreError> {
    let sql = "SELECT id, close_offered_at IS NOT NULL,
             first_reply_at IS NOT NULL AND moved_to_voice IS NULL AND EXISTS (SELECT 1 FROM messages m
                 WHERE m.thread = threads.id AND m.direction = 'inbound' AND m.kind <> 'keyword')
         FROM threads INDEXED BY threads_queue
         WHERE state = 'open' AND waiting_since IS NULL AND red_flag IS NULL AND follow_up_at IS NULL
             AND undeliverable IS NULL AND (close_offered_at <= ?1 OR close_offered_at IS NULL AND last_at <= ?2)
             AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.recipient = threads.number)
         LIMIT ?3";
    let read = |row: &Row<'_>| Ok(Silent { thread: row.get(0)?, asked: row.get(1)?, conversed: row.get(2)? });
    let found = conn
        .prepare_cached(sql)?
        .query_map(params![At(offered), At(silent), limit(most)], read)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// A thread in which nothing is owed to the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Which.
    pub thread: ThreadId,
    /// Whether "anything else?" was asked.
    pub asked: bool,
    /// Whether they and a person of the clinic wrote to each other, and did not go on by phone.
    pub conversed: bool,
}

/// When the next snoozed thread comes back, or the next follow-up is due.
pub fn next_due(conn: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = conn
        .prepare_cached(
            "SELECT min(at) FROM (
                 SELECT min(snoozed_until) AS at FROM threads WHERE snoozed_until IS NOT NULL
                 UNION ALL SELECT min(follow_up_at) FROM threads WHERE follow_up_at IS NOT NULL)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

fn ids(conn: &Connection, sql: &str, values: impl Params) -> Result<Vec<ThreadId>, StoreError> {
    let found = conn.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::in_memory;

    #[test]
    fn what_waits_for_somebody_is_a_stretch_of_an_index() {
        let conn = in_memory();
        let sql = format!("EXPLAIN QUERY PLAN {}", waiting_for_sql());
        let plan: String = conn.prepare(&sql).unwrap().query_row(params!["ana", 1], |row| row.get(3)).unwrap();
        assert!(plan.contains("INDEX threads_owner (owner=? AND <expr><?)"), "{plan}");
    }
}
