//! The clinic's people.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::model::{Language, Roles, StaffName};

/// Somebody of the clinic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// As records name them.
    pub name: StaffName,
    /// As people read it.
    pub shown_as: String,
    /// What they do.
    pub roles: Roles,
    /// Their team, if they are in one.
    pub team: Option<String>,
    /// The language of their pages.
    pub language: Language,
    /// On leave until then.
    pub away_until: Option<Timestamp>,
    /// Since when they may not sign in any more.
    pub disabled_at: Option<Timestamp>,
}

/// The columns of [`Staff`], for queries that join it.
pub(super) const COLUMNS: &str =
    "staff.name, staff.shown_as, staff.roles, staff.team, staff.language, staff.away_until, staff.disabled_at";

/// Adds somebody. Fails if there is, or was, somebody of that name.
pub fn add(tx: &Tx<'_>, staff: &Staff, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO staff (name, shown_as, roles, team, language, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![staff.name, staff.shown_as, Word(&staff.roles), staff.team, staff.language, At(at)])?;
    let subject = format!("staff:{}", staff.name);
    let detail = json!({ "roles": staff.roles, "team": staff.team });
    audit::append(tx, Entry { at, actor, action: "staff.added", subject: &subject, detail })?;
    Ok(())
}

/// Somebody, also if they may not sign in any more.
pub fn find(conn: &Connection, name: &StaffName) -> Result<Option<Staff>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM staff WHERE name = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([name], read).optional()?)
}

/// Everybody, also who may not sign in any more, by name.
pub fn list(conn: &Connection) -> Result<Vec<Staff>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM staff ORDER BY name");
    let all = conn.prepare_cached(&sql)?.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(all)
}

/// How they want to be told of what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// A sound when a patient writes.
    pub sound: bool,
    /// The browser's notifications, which never show who or what.
    pub notifications: bool,
}

/// Keeps their wishes.
pub fn set_wishes(tx: &Tx<'_>, name: &StaffName, wishes: Wishes) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE staff SET settings = ? WHERE name = ?")?.execute(params![Json(wishes), name])?;
    Ok(())
}

/// Their wishes.
pub fn wishes(conn: &Connection, name: &StaffName) -> Result<Wishes, StoreError> {
    let mut query = conn.prepare_cached("SELECT settings FROM staff WHERE name = ?")?;
    let wishes = query.query_row([name], |row| row.get::<_, Json<Wishes>>(0)).optional()?;
    Ok(wishes.map(|Json(wishes)| wishes).unwrap_or_default())
}

/// Reads [`COLUMNS`], which come first in their row.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Staff> {
    Ok(Staff {
        name: row.get(0)?,
        shown_as: row.get(1)?,
        roles: row.get::<_, Word<_>>(2)?.0,
        team: row.get(3)?,
        language: row.get(4)?,
        away_until: row.get::<_, Option<At>>(5)?.map(|at| at.0),
        disabled_at: row.get::<_, Option<At>>(6)?.map(|at| at.0),
    })
}
