//! Who has looked at a thread, how far, and what others have answered since.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::find;
use crate::events::Event;
use crate::model::{Private, StaffName, ThreadId};
use crate::store::audit::{self, Entry};
use crate::store::column::At;
use crate::store::{StoreError, Tx};

/// Whoever has looked at a thread looks at it for so long: what their page shows anew is no new look.
const LOOK_LASTS: SignedDuration = SignedDuration::from_mins(15);

/// Puts on record that somebody opened a thread.
pub fn viewed(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    if find(tx, thread)?.is_none() {
        return Ok(());
    }
    let (actor, subject) = (staff.as_str(), format!("thread:{thread}"));
    audit::append(tx, Entry { at, actor, action: "thread.viewed", subject: &subject, detail: json!({}) })?;
    seen(tx, thread, staff, at)
}

/// A page that somebody has open brings itself up to date, or shows more. Whoever has not looked at the thread lately
/// looks at it now.
pub fn refreshed(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    let last: Option<At> = tx
        .prepare_cached("SELECT at FROM seen WHERE thread = ? AND staff = ?")?
        .query_row(params![thread, staff], |row| row.get(0))
        .optional()?;
    let looks = last.is_some_and(|last| at.duration_since(last.0) < LOOK_LASTS);
    if looks { seen(tx, thread, staff, at) } else { viewed(tx, thread, staff, at) }
}

/// Notes how far somebody has read a thread, and that the waiting patient's words were looked at.
pub fn seen(tx: &Tx<'_>, thread: ThreadId, staff: &StaffName, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO seen (staff, thread, at) SELECT ?1, id, ?3 FROM threads WHERE id = ?2
         ON CONFLICT (thread, staff) DO UPDATE SET at = max(at, excluded.at)",
    )?
    .execute(params![staff, thread, At(at)])?;
    let opened = tx
        .prepare_cached(
            "UPDATE threads SET opened_since = ?2
             WHERE id = ?1 AND waiting_since IS NOT NULL AND opened_since IS NULL",
        )?
        .execute(params![thread, At(at)])?;
    // Announced once a wait: else whoever reads would refresh for ever.
    if opened > 0 {
        tx.announce(Event::Thread(thread));
    }
    Ok(())
}

/// An answer that somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub by: String,
    /// Their words.
    pub body: Private<String>,
    /// When.
    pub at: Timestamp,
}

/// The first answer after the deed `seen` that is not by `author` and was not taken back.
pub fn answered_since(
    conn: &Connection,
    thread: ThreadId,
    seen: i64,
    author: &str,
) -> Result<Option<Answer>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT e.actor, m.body, m.created_at FROM thread_events e
                 JOIN messages m ON m.id = json_extract(e.detail, '$.message')
             WHERE e.thread = ? AND e.seq > ? AND e.what = 'answered' AND e.actor <> ? AND m.status <> 'cancelled'
             ORDER BY e.seq LIMIT 1",
        )?
        .query_row(params![thread, seen, author], |row| {
            Ok(Answer { by: row.get(0)?, body: Private::new(row.get(1)?), at: row.get::<_, At>(2)?.0 })
        })
        .optional()?)
}
