//! The schema, as numbered steps inside the binary. `user_version` says how many have been taken.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Step n takes a database from `user_version` n to n + 1. A step that has been released is never edited.
pub(super) const STEPS: &[&str] = &[
    include_str!("migrations/001_first.sql"),
    include_str!("migrations/002_desk.sql"),
    include_str!("migrations/003_search.sql"),
    include_str!("migrations/004_files.sql"),
    include_str!("migrations/005_calls.sql"),
    include_str!("migrations/006_inbox.sql"),
    include_str!("migrations/007_resolutions.sql"),
    include_str!("migrations/008_callbacks.sql"),
    include_str!("migrations/009_emergencies.sql"),
    include_str!("migrations/010_labels.sql"),
    include_str!("migrations/011_unseen.sql"),
    include_str!("migrations/012_legs_out.sql"),
    include_str!("migrations/013_new_texts.sql"),
];

/// Takes the steps that are missing, all in one transaction, and refuses a database that is ahead of us.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if check(conn, path)? == STEPS.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
    for step in STEPS.iter().skip(check(&tx, path)?) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", STEPS.len() as i64)?;
    tx.commit()?;
    Ok(())
}

/// How many steps the database has taken; an error if they are more than we know.
pub(super) fn check(conn: &Connection, path: &Path) -> Result<usize, StoreError> {
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(taken) if taken <= STEPS.len() => Ok(taken),
        _ => Err(StoreError::NewerSchema { path: path.to_owned(), found, known: STEPS.len() as u32 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_comes_up_once_and_a_newer_one_is_refused_with_the_cure() {
        let mut conn = Connection::open_in_memory().unwrap();
        let path = Path::new("/var/lib/threadline/threadline.db");
        migrate(&mut conn, path).unwrap();
        migrate(&mut conn, path).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut conn, path).unwrap_err().to_string();
        assert!(error.contains("schema 99") && error.contains("install that version"), "{error}");
    }

    #[test]
    fn every_table_is_strict() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new("x")).unwrap();
        let loose: i64 = conn
            .query_row(
                "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND NOT strict",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(loose, 0);
    }
}
