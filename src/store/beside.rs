//! A command that writes while the daemon may be running, such as `threadline user`.
//!
//! It shares the database, and so the audit chain, with the daemon's writer. A row of the chain is made of the one
//! before it: both begin each transaction with the lock (BEGIN IMMEDIATE), so that neither reads a last row that is not
//! the last when its own is written. What the daemon alone may do is left to it: settling the note of what could not be
//! recorded, and sending texts.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::audio::AudioFiles;
use super::migrations::{self, STEPS};
use super::{FILE, Patience, StoreError, Tx, connect, lock, make_folder};

/// A store that is open for one command.
#[derive(Debug)]
pub struct Beside {
    conn: Connection,
    audio: AudioFiles,
}

/// Opens the store in `dir` for a command, whether a daemon has it open or not; makes it where none has been yet.
///
/// # Errors
/// The schema is to be brought up, and a daemon runs that does not know the new one: [`StoreError::OlderSchema`].
/// Those of [`Store::open`](super::Store::open), but for [`StoreError::InUse`].
pub fn open_beside(dir: &Path) -> Result<Beside, StoreError> {
    make_folder(dir)?;
    let path = dir.join(FILE);
    let mut conn = connect(&path, Patience::default().busy)?;
    let found = migrations::check(&conn, &path)?;
    if found < STEPS.len() {
        // Held for the migration alone: a daemon that starts meanwhile must find its store free.
        let _alone = lock::Lock::take(dir).map_err(|error| match error {
            StoreError::InUse { .. } => StoreError::OlderSchema { path: path.clone(), found, known: STEPS.len() },
            error => error,
        })?;
        migrations::migrate(&mut conn, &path)?;
    }
    Ok(Beside { conn, audio: AudioFiles::of_store(dir) })
}

impl Beside {
    /// Voicemails and recorded calls.
    pub fn audio(&self) -> &AudioFiles {
        &self.audio
    }

    /// Reads.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        f(&self.conn)
    }

    /// Runs `f` in a transaction of its own and commits it; if it fails, nothing stays. What it announces is heard by
    /// nobody: the daemon is another process.
    pub fn write<T>(&mut self, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let sql = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = f(&Tx { conn: &sql, announced: Default::default() })?;
        sql.commit()?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::super::{Store, audit};
    use super::*;
    use crate::events::Events;

    fn append(tx: &Tx<'_>, actor: &str) -> Result<(), StoreError> {
        let at = "2026-03-02T09:00:00Z".parse().unwrap();
        let entry = audit::Entry { at, actor, action: "staff.added", subject: "staff:ana", detail: json!({}) };
        audit::append(tx, entry).map(drop)
    }

    #[test]
    fn the_chain_does_not_fork_while_both_write() {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path(), Events::default()).unwrap();
        let path = dir.path();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|_| store.write_blocking(|tx| append(tx, "system")).unwrap()));
            for _ in 0..2 {
                scope.spawn(move || {
                    let mut beside = open_beside(path).unwrap();
                    (0..100).for_each(|_| beside.write(|tx| append(tx, "cli")).unwrap());
                });
            }
        });
        assert_eq!(open_beside(path).unwrap().read(|conn| Ok(audit::verify(conn).unwrap())).unwrap(), 300);
    }

    #[test]
    fn the_first_command_makes_the_store_and_leaves_it_free() {
        let dir = TempDir::new().unwrap();
        let mut beside = open_beside(&dir.path().join("threadline")).unwrap();
        beside.write(|tx| append(tx, "cli")).unwrap();
        let failed = beside.write(|tx| append(tx, "cli").and(Err::<(), _>(StoreError::Closed)));
        assert!(matches!(failed, Err(StoreError::Closed)));
        let store = Store::open(&dir.path().join("threadline"), Events::default()).unwrap();
        assert_eq!(
            store.read_blocking(|conn| Ok(audit::verify(conn).unwrap())).unwrap(),
            1,
            "a failure leaves nothing"
        );
    }

    #[test]
    fn a_schema_that_a_running_daemon_does_not_know_is_not_brought_up() {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path(), Events::default()).unwrap();
        store.write_blocking(|tx| Ok(tx.pragma_update(None, "user_version", 1)?)).unwrap();
        let refused = open_beside(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::OlderSchema { found: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("restart the daemon"), "{refused}");
    }
}
