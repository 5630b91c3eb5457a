//! Passkeys: keys in a phone, a computer or a stick, by which a person signs in without a password.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Json};
use super::{StoreError, Tx};
use crate::model::StaffName;

/// Passkeys of one person.
pub const MOST: usize = 10;

/// What a signature is verified with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// SubjectPublicKeyInfo (RFC 5280), base64url.
    pub key: String,
    /// COSE algorithm: -7, -8 or -257.
    pub algorithm: i64,
    /// The authenticator's newest counter; 0 if it counts nothing.
    pub counter: u32,
}

/// A passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// The credential's id, base64url.
    pub id: String,
    /// Whose.
    pub staff: StaffName,
    /// What they call it.
    pub label: String,
    /// What a signature is verified with.
    pub credential: Credential,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, staff, label, credential, created_at, used_at";

/// Adds one; false if its id is taken, or the person has [`MOST`].
pub fn add(tx: &Tx<'_>, passkey: &Passkey) -> Result<bool, StoreError> {
    if of(tx, &passkey.staff)?.len() >= MOST || find(tx, &passkey.id)?.is_some() {
        return Ok(false);
    }
    let created = At(passkey.created_at);
    tx.prepare_cached("INSERT INTO passkeys (id, staff, label, credential, created_at) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![passkey.id, passkey.staff, passkey.label, Json(&passkey.credential), created])?;
    record(tx, &passkey.staff, "staff.passkey_added", passkey.staff.as_str(), passkey.created_at)?;
    Ok(true)
}

/// One, if its person may sign in.
pub fn find(conn: &Connection, id: &str) -> Result<Option<Passkey>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM passkeys
         WHERE id = ? AND EXISTS (SELECT 1 FROM staff WHERE name = passkeys.staff AND disabled_at IS NULL)"
    );
    Ok(conn.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// Somebody's, the oldest first.
pub fn of(conn: &Connection, staff: &StaffName) -> Result<Vec<Passkey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM passkeys WHERE staff = ? ORDER BY created_at");
    let all = conn.prepare_cached(&sql)?.query_map([staff], read)?.collect::<Result<_, _>>()?;
    Ok(all)
}

/// One was used: its counter now. False if another use has counted further meanwhile.
pub fn used(tx: &Tx<'_>, passkey: &Passkey, counter: u32, now: Timestamp) -> Result<bool, StoreError> {
    let Some(current) = find(tx, &passkey.id)? else { return Ok(false) };
    if current.credential.counter != passkey.credential.counter {
        return Ok(false);
    }
    let credential = Credential { counter, ..current.credential };
    tx.prepare_cached("UPDATE passkeys SET credential = ?, used_at = ? WHERE id = ?")?.execute(params![
        Json(&credential),
        At(now),
        passkey.id
    ])?;
    Ok(true)
}

/// Removes one of somebody's.
pub fn remove(tx: &Tx<'_>, staff: &StaffName, id: &str, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let done = tx.prepare_cached("DELETE FROM passkeys WHERE id = ? AND staff = ?")?.execute(params![id, staff])? > 0;
    if done {
        record(tx, staff, "staff.passkey_removed", actor, at)?;
    }
    Ok(done)
}

/// Removes all of somebody's.
pub fn remove_all(tx: &Tx<'_>, staff: &StaffName, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    for passkey in of(tx, staff)? {
        remove(tx, staff, &passkey.id, actor, at)?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Passkey> {
    Ok(Passkey {
        id: row.get(0)?,
        staff: row.get(1)?,
        label: row.get(2)?,
        credential: row.get::<_, Json<_>>(3)?.0,
        created_at: row.get::<_, At>(4)?.0,
        used_at: row.get::<_, Option<At>>(5)?.map(|at| at.0),
    })
}

fn record(tx: &Tx<'_>, name: &StaffName, action: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("staff:{name}"), detail: json!({}) })?;
    Ok(())
}
