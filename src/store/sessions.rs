//! Who is signed in. A session ends when nobody has used it for a time, or when somebody ends it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::staff::{self, Staff};
use super::{StoreError, Tx};
use crate::model::StaffName;

/// A session to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// SHA-256 of the cookie's secret.
    pub id: String,
    /// Whose.
    pub staff: StaffName,
    /// Where they signed in from.
    pub address: String,
    /// With what, in a few words.
    pub device: String,
    /// When.
    pub at: Timestamp,
}

/// Starts a session.
pub fn start(tx: &Tx<'_>, session: &NewSession) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO sessions (id, staff, created_at, seen_at, address, device) VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
    )?
    .execute(params![session.id, session.staff, At(session.at), session.address, session.device])?;
    let detail = json!({ "address": session.address, "device": session.device });
    record(tx, &session.staff, "staff.signed_in", detail, session.at)
}

/// Whose session it is: none if it was ended, has been idle for longer than `idle`, or its person is disabled.
pub fn find(conn: &Connection, id: &str, idle: Duration, now: Timestamp) -> Result<Option<Staff>, StoreError> {
    let oldest = SignedDuration::try_from(idle).ok().and_then(|idle| now.checked_sub(idle).ok());
    let sql = format!(
        "SELECT {} FROM sessions JOIN staff ON staff.name = sessions.staff
         WHERE sessions.id = ? AND sessions.seen_at >= ? AND staff.disabled_at IS NULL",
        staff::COLUMNS
    );
    let oldest = At(oldest.unwrap_or(Timestamp::MIN));
    Ok(conn.prepare_cached(&sql)?.query_row(params![id, oldest], staff::read).optional()?)
}

/// Its person has just done something.
pub fn touch(tx: &Tx<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE id = ?1")?.execute(params![id, At(now)])?;
    Ok(())
}

/// Ends a session. One that has ended stays so.
pub fn end(tx: &Tx<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let ended: Option<StaffName> = tx
        .prepare_cached("DELETE FROM sessions WHERE id = ? RETURNING staff")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    match ended {
        Some(staff) => record(tx, &staff, "staff.signed_out", json!({}), now),
        None => Ok(()),
    }
}

fn record(
    tx: &Tx<'_>,
    staff: &StaffName,
    action: &str,
    detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor: staff.as_str(), action, subject: &format!("staff:{staff}"), detail })?;
    Ok(())
}
