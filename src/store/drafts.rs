//! What somebody was typing in a thread, kept until it is sent or emptied.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::column::At;
use super::{StoreError, Tx};
use crate::model::{Private, StaffName, ThreadId};

/// So many characters of a draft are kept.
pub const LONGEST: usize = 10_000;

/// Keeps what `staff` has typed in `thread`: the first [`LONGEST`] characters. An empty draft is none.
pub fn save(tx: &Tx<'_>, staff: &StaffName, thread: ThreadId, body: &str, at: Timestamp) -> Result<(), StoreError> {
    if body.trim().is_empty() {
        return clear(tx, staff, thread);
    }
    let kept: String = body.chars().take(LONGEST).collect();
    tx.prepare_cached(
        "INSERT INTO drafts (staff, thread, body, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (thread, staff) DO UPDATE SET body = excluded.body, at = excluded.at",
    )?
    .execute(params![staff, thread, kept, At(at)])?;
    Ok(())
}

/// Forgets it.
pub fn clear(tx: &Tx<'_>, staff: &StaffName, thread: ThreadId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM drafts WHERE thread = ? AND staff = ?")?.execute(params![thread, staff])?;
    Ok(())
}

/// What `staff` was typing in `thread`.
pub fn find(conn: &Connection, staff: &StaffName, thread: ThreadId) -> Result<Option<Private<String>>, StoreError> {
    let found: Option<String> = conn
        .prepare_cached("SELECT body FROM drafts WHERE thread = ? AND staff = ?")?
        .query_row(params![thread, staff], |row| row.get(0))
        .optional()?;
    Ok(found.map(Private::new))
}
