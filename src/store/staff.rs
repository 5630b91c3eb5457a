//! The clinic's people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{Attendance, Language, Role, Roles, Shift, StaffName};

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
    record(tx, &staff.name, "staff.added", json!({ "roles": staff.roles, "team": staff.team }), actor, at)
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

/// How many there are or were: none, and the first is still to come.
pub fn count(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.prepare_cached("SELECT count(*) FROM staff")?.query_row([], |row| row.get(0))?)
}

/// What came of a change to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Done.
    Made,
    /// There is nobody of that name.
    Nobody,
    /// Not done: nobody would be left who may add people.
    LastAdmin,
}

/// Changes how somebody is shown, their roles, team and language. Who else is signed in sees it at their next page.
pub fn change(tx: &Tx<'_>, staff: &Staff, actor: &str, at: Timestamp) -> Result<Change, StoreError> {
    let Some(before) = find(tx, &staff.name)? else { return Ok(Change::Nobody) };
    if !staff.roles.contains(Role::Admin) && is_last_admin(tx, &before)? {
        return Ok(Change::LastAdmin);
    }
    tx.prepare_cached("UPDATE staff SET shown_as = ?2, roles = ?3, team = ?4, language = ?5 WHERE name = ?1")?
        .execute(params![staff.name, staff.shown_as, Word(&staff.roles), staff.team, staff.language])?;
    tx.announce(Event::Sessions);
    let of = |staff: &Staff| json!({ "roles": staff.roles, "team": staff.team });
    let detail = json!({ "before": of(&before), "after": of(staff) });
    record(tx, &staff.name, "staff.changed", detail, actor, at)?;
    Ok(Change::Made)
}

/// Forbids somebody to sign in, which ends their sessions, or lets them in again.
pub fn set_disabled(
    tx: &Tx<'_>,
    name: &StaffName,
    disabled: bool,
    actor: &str,
    at: Timestamp,
) -> Result<Change, StoreError> {
    let Some(before) = find(tx, name)? else { return Ok(Change::Nobody) };
    if before.disabled_at.is_some() == disabled {
        return Ok(Change::Made);
    }
    if disabled && is_last_admin(tx, &before)? {
        return Ok(Change::LastAdmin);
    }
    tx.prepare_cached("UPDATE staff SET disabled_at = ? WHERE name = ?")?
        .execute(params![disabled.then_some(At(at)), name])?;
    if disabled {
        tx.prepare_cached("DELETE FROM sessions WHERE staff = ?")?.execute([name])?;
        tx.prepare_cached("DELETE FROM sign_in_links WHERE staff = ?")?.execute([name])?;
        tx.announce(Event::Sessions);
    }
    record(tx, name, if disabled { "staff.disabled" } else { "staff.enabled" }, json!({}), actor, at)?;
    Ok(Change::Made)
}

/// On leave until then, or back. False if there is nobody of that name.
pub fn set_away(
    tx: &Tx<'_>,
    name: &StaffName,
    until: Option<Timestamp>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let done =
        tx.prepare_cached("UPDATE staff SET away_until = ? WHERE name = ?")?.execute(params![until.map(At), name])?;
    if done > 0 {
        record(tx, name, "staff.away", json!({ "until": until.map(|until| until.to_string()) }), actor, at)?;
    }
    Ok(done > 0)
}

/// When they work.
pub fn set_hours(
    tx: &Tx<'_>,
    name: &StaffName,
    shifts: &[Shift],
    actor: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE staff SET hours = ? WHERE name = ?")?.execute(params![Json(shifts), name])?;
    record(tx, name, "staff.hours_set", json!({ "hours": shifts }), actor, at)
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

/// Everybody's leave, hours and last deed, for [`crate::conversation::attendance::absence`].
pub fn attendance(conn: &Connection) -> Result<BTreeMap<StaffName, Attendance>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT name, away_until, hours, disabled_at IS NOT NULL,
             (SELECT max(seen_at) FROM sessions WHERE staff = staff.name) FROM staff",
    )?;
    let rows = query.query_map([], |row| {
        let away_until = row.get::<_, Option<At>>(1)?.map(|at| at.0);
        let Json(shifts) = row.get::<_, Json<Vec<Shift>>>(2)?;
        let seen_at = row.get::<_, Option<At>>(4)?.map(|at| at.0);
        Ok((row.get(0)?, Attendance { away_until, shifts, disabled: row.get(3)?, seen_at }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Which phone is somebody's: the name of an extension, or the SIP address of a phone of another telephone system; none:
/// none is.
pub fn extension(conn: &Connection, name: &StaffName) -> Result<Option<String>, StoreError> {
    let found = conn.prepare_cached("SELECT extension FROM staff WHERE name = ?")?.query_row([name], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

/// Whose phone an extension is.
pub fn of_extension(conn: &Connection, extension: &str) -> Result<Option<StaffName>, StoreError> {
    let sql = "SELECT name FROM staff WHERE extension = ?";
    Ok(conn.prepare_cached(sql)?.query_row([extension], |row| row.get(0)).optional()?)
}

/// Says which phone is somebody's. A phone is one person's: whoever had it has none from then on. False: it was so.
pub fn set_extension(
    tx: &Tx<'_>,
    name: &StaffName,
    extension: Option<&str>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if self::extension(tx, name)?.as_deref() == extension {
        return Ok(false);
    }
    if let Some(extension) = extension
        && let Some(before) = of_extension(tx, extension)?
    {
        tx.prepare_cached("UPDATE staff SET extension = NULL WHERE name = ?")?.execute([&before])?;
        record(tx, &before, "staff.extension", json!({ "extension": null }), actor, at)?;
    }
    let changed =
        tx.prepare_cached("UPDATE staff SET extension = ?2 WHERE name = ?1")?.execute(params![name, extension])?;
    if changed > 0 {
        record(tx, name, "staff.extension", json!({ "extension": extension }), actor, at)?;
    }
    Ok(changed > 0)
}

fn is_last_admin(conn: &Connection, staff: &Staff) -> Result<bool, StoreError> {
    let admin = |staff: &Staff| staff.disabled_at.is_none() && staff.roles.contains(Role::Admin);
    Ok(admin(staff) && list(conn)?.iter().filter(|other| admin(other)).count() == 1)
}

fn record(
    tx: &Tx<'_>,
    name: &StaffName,
    action: &str,
    detail: serde_json::Value,
    actor: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("staff:{name}"), detail })?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{in_memory, tx};

    #[test]
    fn a_phone_is_one_persons() {
        let conn = in_memory();
        let tx = tx(&conn);
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let [ana, bo] = ["ana", "bo"].map(|name| StaffName::parse(name).unwrap());
        for name in [&ana, &bo] {
            let staff = Staff {
                name: name.clone(),
                shown_as: name.to_string(),
                roles: Roles::new([Role::FrontDesk]).unwrap(),
                team: None,
                language: Language::default(),
                away_until: None,
                disabled_at: None,
            };
            add(&tx, &staff, "system", at).unwrap();
        }
        assert!(set_extension(&tx, &ana, Some("201"), "system", at).unwrap());
        assert!(!set_extension(&tx, &ana, Some("201"), "system", at).unwrap());
        assert_eq!(of_extension(&conn, "201").unwrap(), Some(ana.clone()));
        assert!(set_extension(&tx, &bo, Some("201"), "system", at).unwrap());
        assert_eq!((extension(&conn, &ana).unwrap(), extension(&conn, &bo).unwrap()), (None, Some("201".to_owned())));
        assert!(set_extension(&tx, &bo, None, "system", at).unwrap());
        assert_eq!(of_extension(&conn, "201").unwrap(), None);
        let changes =
            conn.query_row("SELECT count(*) FROM audit WHERE action = 'staff.extension'", [], |row| row.get(0));
        assert_eq!(changes, Ok(4), "each, and what was taken from whom");
    }
}
