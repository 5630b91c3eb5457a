//! Threads in which something is due. Each is read from an index of open threads: closed ones cost nothing.

use jiff::Timestamp;
use rusqlite::{Params, params};

use crate::model::ThreadId;
use crate::store::column::At;
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

/// Those in which a patient waits for somebody who is on leave or has left.
pub fn of_absent(conn: &Connection, now: Timestamp, most: usize) -> Result<Vec<ThreadId>, StoreError> {
    let sql = "SELECT t.id FROM staff s JOIN threads t INDEXED BY threads_owner ON t.owner = s.name
         WHERE (s.away_until > ?1 OR s.disabled_at IS NOT NULL) AND t.state = 'open' AND t.waiting_since IS NOT NULL
         LIMIT ?2";
    ids(conn, sql, params![At(now), limit(most)])
}

/// Those in which the patient owes an answer, nothing holds the thread (a red flag, a follow-up, a text that did not
/// arrive or is still to go), and "anything else?" was asked before `offered` or the newest message is older than
/// `silent`.
pub fn silent(
    conn: &Connection,
    offered: Timestamp,
    silent: Timestamp,
    most: usize,
) -> Result<Vec<ThreadId>, StoreError> {
    let sql = "SELECT id FROM threads INDEXED BY threads_queue
         WHERE state = 'open' AND waiting_since IS NULL AND red_flag IS NULL AND follow_up_at IS NULL
             AND undeliverable IS NULL AND (close_offered_at <= ?1 OR last_at <= ?2)
             AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.recipient = threads.number)
         LIMIT ?3";
    ids(conn, sql, params![At(offered), At(silent), limit(most)])
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
