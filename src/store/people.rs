//! Who is behind a number, as people of the clinic write it down. Nobody is matched automatically: a number that
//! several people share has several rows, and the same person may be behind several numbers.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::{Language, PersonId, PhoneNumber, ThreadId};

/// So many people are behind one number at most.
pub const MOST: usize = 20;

/// Somebody behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Which.
    pub id: PersonId,
    /// Behind which number.
    pub number: PhoneNumber,
    /// What they are called.
    pub name: String,
    /// A caregiver: whom they speak for.
    pub on_behalf_of: Option<String>,
    /// The language that they prefer.
    pub language: Option<Language>,
    /// What else there is to know.
    pub note: String,
}

const COLUMNS: &str = "id, number, name, on_behalf_of, language, note";

/// Writes somebody down.
pub fn add(tx: &Tx<'_>, contact: &Contact, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO people (id, number, name, on_behalf_of, language, note, created_at, created_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        contact.id,
        contact.number,
        contact.name,
        contact.on_behalf_of,
        contact.language,
        contact.note,
        At(at),
        actor
    ])?;
    renamed(tx, contact, "person.added", actor, at)
}

/// Changes what is written about somebody; their number stays. `false`: there is nobody with that id.
pub fn change(tx: &Tx<'_>, contact: &Contact, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached("UPDATE people SET name = ?2, on_behalf_of = ?3, language = ?4, note = ?5 WHERE id = ?1")?
        .execute(params![contact.id, contact.name, contact.on_behalf_of, contact.language, contact.note])?;
    if changed > 0 {
        renamed(tx, contact, "person.changed", actor, at)?;
    }
    Ok(changed > 0)
}

/// Strikes somebody out: they are not behind this number.
pub fn remove(tx: &Tx<'_>, contact: &Contact, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let removed = tx.prepare_cached("DELETE FROM people WHERE id = ?")?.execute([contact.id])?;
    if removed > 0 {
        renamed(tx, contact, "person.removed", actor, at)?;
    }
    Ok(removed > 0)
}

/// Somebody; `None` if there is nobody with that id.
pub fn find(conn: &Connection, person: PersonId) -> Result<Option<Contact>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM people WHERE id = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([person], read).optional()?)
}

/// Everybody behind a number, in the order that they were written down.
pub fn of_number(conn: &Connection, number: &PhoneNumber) -> Result<Vec<Contact>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM people WHERE number = ? ORDER BY created_at, id LIMIT ?");
    let most = i64::try_from(MOST).unwrap_or(i64::MAX);
    let all = conn.prepare_cached(&sql)?.query_map(params![number, most], read)?.collect::<Result<_, _>>()?;
    Ok(all)
}

/// Keeps the names in the number's threads in step, and puts it on record without them.
fn renamed(tx: &Tx<'_>, contact: &Contact, action: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE threads SET name = (SELECT group_concat(name, ', ') FROM
             (SELECT name FROM people WHERE number = ?1 ORDER BY created_at, id)) WHERE number = ?1",
    )?
    .execute([&contact.number])?;
    let subject = format!("person:{}", contact.id);
    audit::append(tx, Entry { at, actor, action, subject: &subject, detail: json!({}) })?;
    let open: Option<ThreadId> = tx
        .prepare_cached("SELECT id FROM threads WHERE number = ? AND state <> 'closed'")?
        .query_row([&contact.number], |row| row.get(0))
        .optional()?;
    open.into_iter().for_each(|thread| tx.announce(Event::Thread(thread)));
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        id: row.get(0)?,
        number: row.get(1)?,
        name: row.get(2)?,
        on_behalf_of: row.get(3)?,
        language: row.get(4)?,
        note: row.get(5)?,
    })
}
