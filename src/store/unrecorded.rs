//! The note beside the database: what could not be written into it.
//!
//! The file `unrecorded` has its full size from the first start, and is overwritten in place: that works on a disk
//! that has become full. It holds counts and labels, nobody's data.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::{StoreError, Tx, audit};
use crate::clock::Clock;

const FILE: &str = "unrecorded";
const SIZE: usize = 4096;

/// Records that are missing from the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecorded {
    /// When the first one was lost.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// When the last one was lost.
    #[serde(with = "rfc3339")]
    pub until: Timestamp,
    /// How many of each kind.
    pub lost: BTreeMap<String, u64>,
}

/// Under this label the note counts what waited for the database when the daemon was killed.
const WAITING: &str = "waiting";

/// The note and its file.
pub(super) struct Note {
    file: File,
    clock: Clock,
    // Held for moments only, never during I/O: the call path adds to it.
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    lost: Option<Unrecorded>,
    waiting: u64,
    changed: bool,
}

impl Note {
    /// Opens the note in `dir`, with what an earlier run left in it.
    pub(super) fn open(dir: &Path) -> Result<Note, StoreError> {
        let path = dir.join(FILE);
        let open = || {
            let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            let mut text = vec![0; SIZE];
            let length = read_all(&file, &mut text)?;
            let lost: Option<Unrecorded> = serde_json::from_slice(text.get(..length).unwrap_or_default()).ok();
            Ok((file, lost, length))
        };
        let (file, lost, length) = open().map_err(|source| StoreError::Folder { path: path.clone(), source })?;
        let note = Note { file, clock: Clock::system(), tally: Mutex::new(Tally { lost, ..Tally::default() }) };
        if length < SIZE
            && let Err(error) = note.write(None)
        {
            tracing::warn!(%error, "cannot set room aside for {}; free space on the disk", path.display());
        }
        Ok(note)
    }

    /// Puts what an earlier run left on record, and says so. While the database cannot take it, the note is kept.
    pub(super) fn settle(&self, conn: &mut Connection) -> Option<Unrecorded> {
        let before = self.tally().lost.clone()?;
        let lost: u64 = before.lost.values().sum();
        tracing::warn!(
            lost, since = %before.since, until = %before.until, kinds = ?before.lost,
            "records are missing: the database could not be written when the daemon last ran"
        );
        match self.record(conn, &before) {
            Ok(()) => {
                *self.tally() = Tally { changed: true, ..Tally::default() };
                self.flush();
            }
            Err(error) => tracing::warn!(%error, "the missing records are not yet in the audit chain"),
        }
        Some(before)
    }

    fn record(&self, conn: &mut Connection, before: &Unrecorded) -> Result<(), StoreError> {
        let sql = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx { conn: &sql, announced: Default::default() };
        let entry = audit::Entry {
            at: self.clock.now().wall,
            actor: "system",
            action: "store.unrecorded",
            subject: "store",
            detail: serde_json::json!(before),
        };
        audit::append(&tx, entry)?;
        sql.commit()?;
        Ok(())
    }

    /// Counts one more lost record; [`Note::flush`] writes it down.
    pub(super) fn add(&self, label: &'static str) {
        let now = self.clock.now().wall;
        let mut tally = self.tally();
        count(&mut tally.lost, label, 1, now);
        tally.changed = true;
    }

    /// Says how many records wait for the database: a kill now would lose them.
    pub(super) fn waiting(&self, records: usize) {
        let mut tally = self.tally();
        let records = records as u64;
        tally.changed |= records != tally.waiting;
        tally.waiting = records;
    }

    /// Writes the note down if it has changed.
    pub(super) fn flush(&self) {
        let now = self.clock.now().wall;
        let text = {
            let mut tally = self.tally();
            if !std::mem::take(&mut tally.changed) {
                return;
            }
            let mut text = tally.lost.clone();
            if tally.waiting > 0 {
                count(&mut text, WAITING, tally.waiting, now);
            }
            text
        };
        if let Some(text) = &text {
            tracing::error!(kinds = ?text.lost, since = %text.since, "records could not be written to the database");
        }
        if let Err(error) = self.write(text.as_ref()) {
            tracing::error!(%error, "nor can the note of it be written");
        }
    }

    fn write(&self, lost: Option<&Unrecorded>) -> io::Result<()> {
        let mut text = match lost {
            Some(lost) => serde_json::to_vec(lost)?,
            None => Vec::new(),
        };
        // Labels are a few fixed words: this is far below the size.
        text.resize(SIZE, b' ');
        self.file.write_all_at(&text, 0)?;
        self.file.sync_data()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(lost: &mut Option<Unrecorded>, label: &str, records: u64, now: Timestamp) {
    let lost = lost.get_or_insert_with(|| Unrecorded { since: now, until: now, lost: BTreeMap::new() });
    lost.until = now;
    let count = lost.lost.entry(label.to_owned()).or_default();
    *count = count.saturating_add(records);
}

fn read_all(file: &File, into: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = into.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// A time as RFC 3339 text.
mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
