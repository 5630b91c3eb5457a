//! Links that set a password, once: for who is new, and for who has forgotten. Only their SHA-256 is kept.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx};
use crate::model::StaffName;

/// How long a link may be used.
pub const VALID: SignedDuration = SignedDuration::from_hours(24);

/// Whom a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Somebody who is there.
    Person(StaffName),
    /// Who sets the house up: the first person.
    First,
}

/// Makes a link for somebody; an older one of theirs is void.
pub fn make(tx: &Tx<'_>, id: &str, staff: &StaffName, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    sweep(tx, at)?;
    tx.prepare_cached("DELETE FROM sign_in_links WHERE staff = ?")?.execute([staff])?;
    tx.prepare_cached("INSERT INTO sign_in_links (id, staff, expires_at) VALUES (?, ?, ?)")?.execute(params![
        id,
        staff,
        At(at + VALID)
    ])?;
    let subject = format!("staff:{staff}");
    audit::append(tx, Entry { at, actor, action: "staff.link_made", subject: &subject, detail: json!({}) })?;
    Ok(())
}

/// Makes the link for the first person; an older one is void.
pub fn make_first(tx: &Tx<'_>, id: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM welcome_links")?.execute([])?;
    tx.prepare_cached("INSERT INTO welcome_links (id, expires_at) VALUES (?, ?)")?
        .execute(params![id, At(at + VALID)])?;
    audit::append(tx, Entry { at, actor, action: "staff.link_made", subject: "staff:first", detail: json!({}) })?;
    Ok(())
}

/// Whom a link is for; none if it was used, is void or too old, or if the first person is there already.
pub fn find(conn: &Connection, id: &str, now: Timestamp) -> Result<Option<Link>, StoreError> {
    let sql = "SELECT staff FROM sign_in_links JOIN staff ON staff.name = sign_in_links.staff
               WHERE id = ? AND expires_at > ? AND staff.disabled_at IS NULL";
    let person = conn.prepare_cached(sql)?.query_row(params![id, At(now)], |row| row.get(0)).optional()?;
    if let Some(person) = person {
        return Ok(Some(Link::Person(person)));
    }
    let sql = "SELECT 1 FROM welcome_links WHERE id = ? AND expires_at > ? AND NOT EXISTS (SELECT 1 FROM staff)";
    Ok(conn.prepare_cached(sql)?.exists(params![id, At(now)])?.then_some(Link::First))
}

/// Uses a link up: as [`find`], once.
pub fn take(tx: &Tx<'_>, id: &str, now: Timestamp) -> Result<Option<Link>, StoreError> {
    let link = find(tx, id, now)?;
    tx.prepare_cached("DELETE FROM sign_in_links WHERE id = ?")?.execute([id])?;
    tx.prepare_cached("DELETE FROM welcome_links WHERE id = ?")?.execute([id])?;
    Ok(link)
}

fn sweep(tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM sign_in_links WHERE expires_at <= ?")?.execute([At(now)])?;
    Ok(())
}
