//! What happened, append-only: each row carries the hash of the one before it.
//!
//! A row's hash is SHA-256 over its predecessor's hash (64 zeros for the first), `seq`, `at` (microseconds), `actor`,
//! `action`, `subject` and `detail`, each as text and preceded by its length in bytes as eight big-endian bytes, so
//! that no two rows write the same bytes. Triggers forbid UPDATE, DELETE and REPLACE. A chain cut off at its end still
//! verifies: whoever must prove that nothing was cut keeps the newest hash elsewhere.
//!
//! Subjects and details are ids and facts; a message's words are not repeated here.

mod pages;

use jiff::Timestamp;
use ring::digest;
use rusqlite::{Connection, OptionalExtension, params};

use super::column::At;
use super::{StoreError, Tx};

pub use pages::{Filter, Page, Row, actions, actors, after, page};

/// The predecessor of the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is to be put on record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// When.
    pub at: Timestamp,
    /// Who: `system`, `caller`, `patient`, `gateway:twilio`, `cli:root` (who has run a command on the box), a user's
    /// name.
    pub actor: &'a str,
    /// What, as `noun.verb`: `consent.granted`, `thread.opened`.
    pub action: &'a str,
    /// To what, as `kind:id`.
    pub subject: &'a str,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
}

/// The chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit chain breaks at row {seq}: it was changed, or a row before it is missing; compare with a backup")]
pub struct AuditBreak {
    /// The first row that does not fit.
    pub seq: i64,
}

/// Why a chain could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It does not hold.
    #[error(transparent)]
    Broken(#[from] AuditBreak),
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends a row, in the transaction of what it records.
pub fn append(tx: &Tx<'_>, entry: Entry<'_>) -> Result<i64, StoreError> {
    let head: Option<(i64, String)> = tx
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (last, prev) = head.unwrap_or((0, GENESIS.to_owned()));
    let seq = last + 1;
    let detail = entry.detail.to_string();
    let at = entry.at.as_microsecond();
    let hash = link(&prev, seq, at, [entry.actor, entry.action, entry.subject, &detail]);
    tx.prepare_cached("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        seq,
        At(entry.at),
        entry.actor,
        entry.action,
        entry.subject,
        detail,
        prev,
        hash
    ])?;
    Ok(seq)
}

/// Reads the whole chain; how many rows hold.
pub fn verify(conn: &Connection) -> Result<u64, VerifyError> {
    let mut check = Check::default();
    while check.go_on(conn, u32::MAX)? {}
    Ok(check.holds())
}

/// A check of the chain that is made piece by piece, so that nobody waits for a long one.
#[derive(Clone, Debug)]
pub struct Check {
    count: u64,
    before: String,
}

impl Default for Check {
    fn default() -> Self {
        Check { count: 0, before: GENESIS.to_owned() }
    }
}

impl Check {
    /// How many rows hold so far.
    pub fn holds(&self) -> u64 {
        self.count
    }

    /// Reads the next `most` rows; whether there may be more.
    pub fn go_on(&mut self, conn: &Connection, most: u32) -> Result<bool, VerifyError> {
        let mut statement = conn
            .prepare_cached(
                "SELECT seq, at, actor, action, subject, detail, prev, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
            )
            .map_err(StoreError::from)?;
        let after = i64::try_from(self.count).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, most]).map_err(StoreError::from)?;
        let mut read = 0;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            self.row(row)?;
            read += 1;
        }
        Ok(read == most)
    }

    fn row(&mut self, row: &rusqlite::Row<'_>) -> Result<(), VerifyError> {
        let read = || {
            let text = |at: usize| row.get::<_, String>(at);
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                [text(2)?, text(3)?, text(4)?, text(5)?],
                text(6)?,
                text(7)?,
            ))
        };
        let (seq, at, fields, prev, hash) = read().map_err(|error: rusqlite::Error| StoreError::from(error))?;
        let fields = fields.each_ref().map(String::as_str);
        self.count += 1;
        if u64::try_from(seq) != Ok(self.count) || prev != self.before || hash != link(&prev, seq, at, fields) {
            return Err(AuditBreak { seq }.into());
        }
        self.before = hash;
        Ok(())
    }
}

fn link(prev: &str, seq: i64, at: i64, fields: [&str; 4]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let (seq, at) = (seq.to_string(), at.to_string());
    for field in [prev, &seq, &at].into_iter().chain(fields) {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::tests::in_memory;

    fn entry(subject: &str) -> Entry<'_> {
        let at = "2026-03-08T06:59:59.5Z".parse().unwrap();
        Entry { at, actor: "system", action: "thread.opened", subject, detail: json!({ "reason": "general" }) }
    }

    #[test]
    fn the_chain_holds_and_says_where_it_was_changed() {
        let conn = in_memory();
        let tx = Tx { conn: &conn, announced: Default::default() };
        for subject in ["thread:a", "thread:b", "thread:c"] {
            append(&tx, entry(subject)).unwrap();
        }
        assert_eq!(verify(&conn).unwrap(), 3);
        conn.execute_batch("DROP TRIGGER audit_keeps; UPDATE audit SET subject = 'thread:x' WHERE seq = 2").unwrap();
        assert!(matches!(verify(&conn), Err(VerifyError::Broken(AuditBreak { seq: 2 }))));
        conn.execute_batch("DROP TRIGGER audit_stays; DELETE FROM audit WHERE seq = 2").unwrap();
        assert!(matches!(verify(&conn), Err(VerifyError::Broken(AuditBreak { seq: 3 }))));
    }

    #[test]
    fn rows_cannot_be_changed_or_deleted() {
        let conn = in_memory();
        append(&Tx { conn: &conn, announced: Default::default() }, entry("thread:a")).unwrap();
        let replace = "REPLACE INTO audit SELECT seq, at, 'x', action, subject, detail, prev, hash FROM audit";
        for sql in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", replace] {
            let refused = conn.execute(sql, []).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
        assert_eq!(verify(&conn).unwrap(), 1);
    }

    #[test]
    fn moving_a_letter_between_fields_changes_the_hash() {
        assert_ne!(link(GENESIS, 1, 1, ["ab", "c", "", "{}"]), link(GENESIS, 1, 1, ["a", "bc", "", "{}"]));
    }
}
