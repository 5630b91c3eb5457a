//! By what a person proves who they are: password, second factor, recovery codes.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::{StoreError, Tx};
use crate::model::{Private, StaffName};

/// What is kept of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// argon2id, as a PHC string; none until the first link was used.
    pub password: Option<Private<String>>,
    /// The second factor's secret, in base32.
    pub totp: Option<Private<String>>,
    /// The newest step that was used.
    pub totp_step: Option<i64>,
    /// Recovery codes that are left.
    pub recovery_left: u32,
}

/// Somebody's; none if there is nobody of that name or they may not sign in.
pub fn find(conn: &Connection, name: &StaffName) -> Result<Option<Credentials>, StoreError> {
    let sql = "SELECT password, totp_secret, totp_step,
                      (SELECT count(*) FROM recovery_codes WHERE recovery_codes.staff = staff.name)
               FROM staff WHERE name = ? AND disabled_at IS NULL";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Credentials {
            password: row.get::<_, Option<String>>(0)?.map(Private::new),
            totp: row.get::<_, Option<String>>(1)?.map(Private::new),
            totp_step: row.get(2)?,
            recovery_left: row.get(3)?,
        })
    };
    Ok(conn.prepare_cached(sql)?.query_row([name], read).optional()?)
}

/// Sets a password, given as its PHC string.
pub fn set_password(tx: &Tx<'_>, name: &StaffName, hash: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE staff SET password = ? WHERE name = ?")?.execute(params![hash, name])?;
    record(tx, name, "staff.password_set", actor, at)
}

/// Begins to ask for a second factor: its secret in base32, the step that proved it, the recovery codes' SHA-256.
pub fn set_totp(
    tx: &Tx<'_>,
    name: &StaffName,
    secret: &str,
    step: i64,
    recovery: &[String],
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE staff SET totp_secret = ?, totp_step = ? WHERE name = ?")?
        .execute(params![secret, step, name])?;
    set_recovery(tx, name, recovery)?;
    record(tx, name, "staff.factor_set", name.as_str(), at)
}

/// Asks for no second factor any more; passkeys stay.
pub fn clear_totp(tx: &Tx<'_>, name: &StaffName, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE staff SET totp_secret = NULL, totp_step = NULL WHERE name = ?")?.execute([name])?;
    set_recovery(tx, name, &[])?;
    record(tx, name, "staff.factor_removed", actor, at)
}

/// Replaces the recovery codes.
pub fn renew_recovery(tx: &Tx<'_>, name: &StaffName, hashes: &[String], at: Timestamp) -> Result<(), StoreError> {
    set_recovery(tx, name, hashes)?;
    record(tx, name, "staff.recovery_renewed", name.as_str(), at)
}

fn set_recovery(tx: &Tx<'_>, name: &StaffName, hashes: &[String]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM recovery_codes WHERE staff = ?")?.execute([name])?;
    let mut insert = tx.prepare_cached("INSERT INTO recovery_codes (staff, hash) VALUES (?, ?)")?;
    for hash in hashes {
        insert.execute(params![name, hash])?;
    }
    Ok(())
}

/// Uses up a step; false if it, or a newer one, was used before.
pub fn use_step(tx: &Tx<'_>, name: &StaffName, step: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE staff SET totp_step = ?1
               WHERE name = ?2 AND totp_secret IS NOT NULL AND (totp_step IS NULL OR totp_step < ?1)";
    Ok(tx.prepare_cached(sql)?.execute(params![step, name])? > 0)
}

/// Uses up a recovery code; false if there is no such code left.
pub fn use_recovery(tx: &Tx<'_>, name: &StaffName, hash: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "DELETE FROM recovery_codes WHERE staff = ? AND hash = ?";
    let used = tx.prepare_cached(sql)?.execute(params![name, hash])? > 0;
    if used {
        record(tx, name, "staff.recovery_used", name.as_str(), at)?;
    }
    Ok(used)
}

/// Puts a failed try on record. A name that nobody has is not: what is typed there by mistake may be a password.
pub fn record_failure(
    tx: &Tx<'_>,
    name: Option<&StaffName>,
    action: &str,
    why: &str,
    address: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let subject = name.map_or_else(|| "staff:?".to_owned(), |name| format!("staff:{name}"));
    let detail = json!({ "address": address, "why": why });
    audit::append(tx, Entry { at, actor: "nobody", action, subject: &subject, detail })?;
    Ok(())
}

fn record(tx: &Tx<'_>, name: &StaffName, action: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    audit::append(tx, Entry { at, actor, action, subject: &format!("staff:{name}"), detail: json!({}) })?;
    Ok(())
}
