//! Who is signed in. A session ends when nobody has used it for a time, or when somebody ends it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::staff::{self, Staff};
use super::{StoreError, Tx};
use crate::events::Event;
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

/// What nobody has used for so long is swept away when the next session starts; it has long ended.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Starts a session.
pub fn start(tx: &Tx<'_>, session: &NewSession) -> Result<(), StoreError> {
    let oldest = session.at.checked_sub(SWEEP_AFTER).unwrap_or(Timestamp::MIN);
    tx.prepare_cached("DELETE FROM sessions WHERE seen_at < ?")?.execute([At(oldest)])?;
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

/// Whose session it was, also when it has been idle for too long. One that somebody has ended is nobody's.
pub fn owner(conn: &Connection, id: &str) -> Result<Option<StaffName>, StoreError> {
    let sql = "SELECT sessions.staff FROM sessions JOIN staff ON staff.name = sessions.staff
               WHERE sessions.id = ? AND staff.disabled_at IS NULL";
    Ok(conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
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
        Some(staff) => {
            tx.announce(Event::Sessions);
            record(tx, &staff, "staff.signed_out", json!({}), now)
        }
        None => Ok(()),
    }
}

/// A session, as its person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's secret.
    pub id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub seen_at: Timestamp,
    /// Where they signed in from.
    pub address: String,
    /// With what.
    pub device: String,
}

/// Somebody's sessions that have been used since `oldest`, the last used first.
pub fn of(conn: &Connection, staff: &StaffName, oldest: Timestamp) -> Result<Vec<Session>, StoreError> {
    let sql = "SELECT id, created_at, seen_at, address, device FROM sessions
               WHERE staff = ? AND seen_at >= ? ORDER BY seen_at DESC";
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map(params![staff, At(oldest)], |row| {
        Ok(Session {
            id: row.get(0)?,
            started_at: row.get::<_, At>(1)?.0,
            seen_at: row.get::<_, At>(2)?.0,
            address: row.get(3)?,
            device: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When a session was last used, give or take a minute.
pub fn seen_at(conn: &Connection, id: &str) -> Result<Option<Timestamp>, StoreError> {
    let mut query = conn.prepare_cached("SELECT seen_at FROM sessions WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get::<_, At>(0)).optional()?.map(|at| at.0))
}

/// Ends one of somebody's sessions, as `actor`; false if it is none of theirs.
pub fn end_one(tx: &Tx<'_>, staff: &StaffName, id: &str, actor: &str, now: Timestamp) -> Result<bool, StoreError> {
    let ended = tx.prepare_cached("DELETE FROM sessions WHERE id = ? AND staff = ?")?.execute(params![id, staff])?;
    if ended > 0 {
        tx.announce(Event::Sessions);
        record_as(tx, actor, staff, "staff.session_ended", json!({}), now)?;
    }
    Ok(ended > 0)
}

/// Ends all of somebody's sessions, as `actor`, but `except`, and forgets their browsers; how many there were.
pub fn end_all(
    tx: &Tx<'_>,
    staff: &StaffName,
    except: Option<&str>,
    actor: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let ended =
        tx.prepare_cached("DELETE FROM sessions WHERE staff = ? AND id IS NOT ?")?.execute(params![staff, except])?;
    tx.prepare_cached("DELETE FROM devices WHERE staff = ?")?.execute([staff])?;
    tx.announce(Event::Sessions);
    record_as(tx, actor, staff, "staff.sessions_ended", json!({ "sessions": ended }), now)?;
    Ok(ended)
}

/// Browsers of one person that are remembered.
const DEVICES: u32 = 20;

/// Remembers a browser by the SHA-256 of its cookie: strangers' tries do not slow it down.
pub fn remember_device(tx: &Tx<'_>, staff: &StaffName, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO devices (staff, hash, seen_at) VALUES (?, ?, ?)")?.execute(params![
        staff,
        hash,
        At(now)
    ])?;
    tx.prepare_cached(
        "DELETE FROM devices WHERE staff = ?1 AND hash NOT IN
         (SELECT hash FROM devices WHERE staff = ?1 ORDER BY seen_at DESC, hash LIMIT ?2)",
    )?
    .execute(params![staff, DEVICES])?;
    Ok(())
}

/// Whether somebody has signed in with this browser.
pub fn knows_device(conn: &Connection, staff: &StaffName, hash: &str) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM devices WHERE staff = ? AND hash = ?")?.exists(params![staff, hash])?)
}

fn record_as(
    tx: &Tx<'_>,
    actor: &str,
    staff: &StaffName,
    action: &str,
    detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("staff:{staff}"), detail })?;
    Ok(())
}

fn record(
    tx: &Tx<'_>,
    staff: &StaffName,
    action: &str,
    detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    record_as(tx, staff.as_str(), staff, action, detail, at)
}
