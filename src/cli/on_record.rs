//! Puts on record what somebody reads or does by a command. What cannot be put on record is not shown: a full disk must
//! not be a way to look unseen.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{Uid, User, getuid};
use serde_json::Value;

use crate::clock::Clock;
use crate::store::audit::{self, Entry};
use crate::store::{self, Beside, StoreError, Tx};

/// As whom the command acts in the audit chain: `cli:ana`, by the name of the box's user.
///
/// That is who signed in at the box, as the kernel keeps it for its own audit, and not whom they became by `sudo`; where
/// nobody signed in (a unit, a container), the user that the process runs as.
pub fn actor() -> String {
    let uid = signed_in(&fs::read_to_string("/proc/self/loginuid").unwrap_or_default()).unwrap_or_else(getuid);
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    format!("cli:{}", name.unwrap_or_else(|| uid.to_string()))
}

/// The user of `/proc/self/loginuid`; −1 is nobody (proc_pid_loginuid(5)).
fn signed_in(text: &str) -> Option<Uid> {
    let uid: u32 = text.trim().parse().ok()?;
    (uid != u32::MAX).then(|| Uid::from_raw(uid))
}

/// The store in `dir`, for a command that reads it and puts that on record.
///
/// # Errors
/// There is none, or it cannot be written.
pub fn open(dir: &Path) -> Result<Beside> {
    // Reading makes no store where there is none.
    store::open_read_only(dir)?;
    unless_recorded(store::open_beside(dir))
}

/// Does what is on record afterwards, as a transaction; the moment and who does it are handed in.
pub fn write<T>(
    store: &mut Beside,
    f: impl FnOnce(&Tx<'_>, jiff::Timestamp, &str) -> Result<T, StoreError>,
) -> Result<T> {
    let (now, actor) = (Clock::system().now().wall, actor());
    unless_recorded(store.write(|tx| f(tx, now, &actor)))
}

/// Puts one reading of the store in `dir` on record, before anything of it is shown.
///
/// # Errors
/// There is no store, or it cannot be written.
pub fn note(dir: &Path, action: &str, subject: &str, detail: Value) -> Result<()> {
    write(&mut open(dir)?, |tx, at, actor| {
        audit::append(tx, Entry { at, actor, action, subject, detail })?;
        Ok(())
    })
}

fn unless_recorded<T>(done: Result<T, StoreError>) -> Result<T> {
    done.context("this cannot be put on record, so it is not shown; mend that first, and run this as the daemon's user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signed_in_is_named_and_else_whom_the_process_runs_as() {
        assert_eq!(signed_in("1000\n"), Some(Uid::from_raw(1_000)));
        assert_eq!(signed_in("4294967295"), None);
        assert_eq!(signed_in(""), None);
        let name = actor();
        assert!(name.strip_prefix("cli:").is_some_and(|name| !name.is_empty()), "{name}");
    }

    #[test]
    fn no_store_is_made_by_reading_and_a_reading_is_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        let error = open(&none).unwrap_err().to_string();
        assert!(error.contains("none/threadline.db") && !none.exists(), "{error}");
        store::open_beside(dir.path()).unwrap();
        note(dir.path(), "calls.viewed", "calls", serde_json::json!({})).unwrap();
        let conn = store::open_read_only(dir.path()).unwrap();
        let row = audit::page(&conn, &audit::Filter::default(), None, 10).unwrap().rows.remove(0);
        assert_eq!((row.actor, row.action.as_str()), (actor(), "calls.viewed"));
        assert_eq!(audit::verify(&conn).unwrap(), 1);
    }
}
