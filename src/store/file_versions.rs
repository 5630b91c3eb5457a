//! What the clinic's files said before: each text that was in force, with who put it there.

use jiff::Timestamp;
use ring::digest;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx};
use crate::model::ClinicFile;

/// The actor of a version that was edited outside of the pages.
pub const DISK: &str = "disk";

/// A version, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub id: i64,
    /// SHA-256 of its text, lowercase hexadecimal.
    pub sha256: String,
    /// Since when it was in force.
    pub at: Timestamp,
    /// Who published it, or [`DISK`].
    pub actor: String,
    /// What they wrote about it.
    pub note: String,
}

/// What is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    /// Which file.
    pub file: ClinicFile,
    /// Its whole text.
    pub text: &'a str,
    /// Who, or [`DISK`].
    pub actor: &'a str,
    /// What they say about it.
    pub note: &'a str,
    /// When.
    pub at: Timestamp,
}

/// What a text is known by: SHA-256, lowercase hexadecimal.
pub fn fingerprint(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps a text that is now in force, and says so in the audit chain as `action`. Nothing if it is the newest already.
pub fn keep(tx: &Tx<'_>, new: NewVersion<'_>, action: &str) -> Result<Option<i64>, StoreError> {
    let sha256 = fingerprint(new.text);
    let newest = newest(tx, new.file)?;
    if newest.as_ref().is_some_and(|newest| newest.sha256 == sha256) {
        return Ok(None);
    }
    tx.prepare_cached("INSERT INTO file_versions (file, text, sha256, at, actor, note) VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![new.file.as_str(), new.text, sha256, At(new.at), new.actor, new.note])?;
    let id = tx.last_insert_rowid();
    let detail = json!({
        "version": id,
        "sha256": sha256,
        "before": newest.map(|newest| newest.sha256),
        "note": new.note,
    });
    let subject = format!("file:{}", new.file);
    audit::append(tx, Entry { at: new.at, actor: new.actor, action, subject: &subject, detail })?;
    Ok(Some(id))
}

/// The newest version.
pub fn newest(conn: &Connection, file: ClinicFile) -> Result<Option<Version>, StoreError> {
    Ok(list(conn, file, 1)?.pop())
}

/// The newest versions, newest first.
pub fn list(conn: &Connection, file: ClinicFile, limit: usize) -> Result<Vec<Version>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT id, sha256, at, actor, note FROM file_versions WHERE file = ? ORDER BY id DESC LIMIT ?",
    )?;
    let rows = query.query_map(params![file.as_str(), limit as i64], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A version with its text.
pub fn find(conn: &Connection, file: ClinicFile, id: i64) -> Result<Option<(Version, String)>, StoreError> {
    let mut query =
        conn.prepare_cached("SELECT id, sha256, at, actor, note, text FROM file_versions WHERE file = ? AND id = ?")?;
    Ok(query.query_row(params![file.as_str(), id], |row| Ok((read(row)?, row.get(5)?))).optional()?)
}

/// The version that was in force at a time, with its text; none if nothing is known of that time.
pub fn in_force(conn: &Connection, file: ClinicFile, at: Timestamp) -> Result<Option<(Version, String)>, StoreError> {
    let mut query = conn.prepare_cached(
        "SELECT id, sha256, at, actor, note, text FROM file_versions WHERE file = ? AND at <= ?
         ORDER BY at DESC, id DESC LIMIT 1",
    )?;
    Ok(query.query_row(params![file.as_str(), At(at)], |row| Ok((read(row)?, row.get(5)?))).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        id: row.get(0)?,
        sha256: row.get(1)?,
        at: row.get::<_, At>(2)?.0,
        actor: row.get(3)?,
        note: row.get(4)?,
    })
}
