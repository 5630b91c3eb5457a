//! What somebody was typing in a thread, kept until it is sent or emptied. What they were typing to its number before it
//! was opened ([`super::new_texts`]) is a part of it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::column::At;
use super::{StoreError, Tx, new_texts};
use crate::model::{Private, StaffName, ThreadId};

/// So many characters of a draft are kept.
pub const LONGEST: usize = 10_000;

/// What is kept of a draft; blanks alone are nothing.
pub(super) fn kept(body: &str) -> String {
    if body.trim().is_empty() { String::new() } else { body.chars().take(LONGEST).collect() }
}

/// Keeps what `staff` has typed in `thread`: the first [`LONGEST`] characters. An empty draft is none.
pub fn save(tx: &Tx<'_>, staff: &StaffName, thread: ThreadId, body: &str, at: Timestamp) -> Result<(), StoreError> {
    clear(tx, staff, thread)?;
    let kept = kept(body);
    if !kept.is_empty() {
        tx.prepare_cached("INSERT INTO drafts (staff, thread, body, at) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            staff,
            thread,
            kept,
            At(at)
        ])?;
    }
    Ok(())
}

/// Forgets it.
pub fn clear(tx: &Tx<'_>, staff: &StaffName, thread: ThreadId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM drafts WHERE thread = ? AND staff = ?")?.execute(params![thread, staff])?;
    new_texts::clear_of_thread(tx, staff, thread)
}

/// What `staff` was typing in `thread`.
pub fn find(conn: &Connection, staff: &StaffName, thread: ThreadId) -> Result<Option<Private<String>>, StoreError> {
    let here: Option<String> = conn
        .prepare_cached("SELECT body FROM drafts WHERE thread = ? AND staff = ?")?
        .query_row(params![thread, staff], |row| row.get(0))
        .optional()?;
    let before = new_texts::of_thread(conn, staff, thread)?;
    let all = match (here, before) {
        // The page from before the thread was left open, and goes on where this one was.
        (Some(here), Some(before)) if !before.starts_with(&here) => Some(format!("{here}\n{before}")),
        (here, before) => before.or(here),
    };
    Ok(all.map(Private::new))
}
