//! What staff write beside a thread; no patient ever sees it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{NoteId, Private, StaffName, ThreadId};

/// A note may have so many bytes: ten thousand lines of ordinary length fit.
pub const LONGEST: usize = 1024 * 1024;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Beside which thread.
    pub thread: ThreadId,
    /// Who wrote it.
    pub author: StaffName,
    /// Its words.
    pub body: Private<String>,
    /// When.
    pub at: Timestamp,
}

/// Writes a note, and its audit row without its words.
pub fn add(tx: &Tx<'_>, note: &Note) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO notes (id, thread, author, body, at) VALUES (?, ?, ?, ?, ?)")?.execute(params![
        note.id,
        note.thread,
        note.author,
        note.body.expose(),
        At(note.at)
    ])?;
    tx.prepare_cached("UPDATE threads SET active_at = max(active_at, ?2) WHERE id = ?1")?
        .execute(params![note.thread, At(note.at)])?;
    let (actor, subject) = (note.author.as_str(), format!("note:{}", note.id));
    audit::append(
        tx,
        Entry {
            at: note.at,
            actor,
            action: "note.written",
            subject: &subject,
            detail: json!({ "thread": note.thread }),
        },
    )?;
    tx.announce(Event::Thread(note.thread));
    Ok(())
}

/// A note in full; `None` if there is none with that id.
pub fn find(conn: &Connection, note: NoteId) -> Result<Option<Note>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT id, thread, author, body, at FROM notes WHERE id = ?")?
        .query_row([note], |row| {
            Ok(Note {
                id: row.get(0)?,
                thread: row.get(1)?,
                author: row.get(2)?,
                body: Private::new(row.get(3)?),
                at: row.get::<_, At>(4)?.0,
            })
        })
        .optional()?)
}
