//! What the embedded gateway was given: its side of the counter, kept apart from our own records.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::column::{At, Json, Word};
use super::{StoreError, Tx};
use crate::model::{MessageId, MessageStatus, PhoneNumber, Private};

/// A text at the embedded gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxText {
    /// The gateway's id.
    pub id: String,
    /// Our id, as the gateway was told: it takes a message once.
    pub message: MessageId,
    /// The sending number.
    pub from: PhoneNumber,
    /// The receiving number.
    pub to: PhoneNumber,
    /// Its words.
    pub body: Private<String>,
    /// Addresses of pictures and the like.
    pub media: Vec<Private<String>>,
    /// What the gateway says of it.
    pub status: MessageStatus,
    /// When it came.
    pub at: Timestamp,
}

/// Takes a text; `false` if it has this message already.
pub fn accept(tx: &Tx<'_>, text: &SandboxText) -> Result<bool, StoreError> {
    let taken = tx
        .prepare_cached(
            "INSERT INTO sandbox (id, message, sender, recipient, body, media, status, at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message) DO NOTHING",
        )?
        .execute(params![
            text.id,
            text.message,
            text.from,
            text.to,
            text.body.expose(),
            Json(&text.media),
            Word(text.status),
            At(text.at),
        ])?;
    Ok(taken == 1)
}

/// Says something new of a text.
pub fn set_status(tx: &Tx<'_>, id: &str, status: MessageStatus) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE sandbox SET status = ? WHERE id = ?")?.execute(params![Word(status), id])?;
    Ok(())
}

const COLUMNS: &str = "SELECT id, message, sender, recipient, body, media, status, at FROM sandbox";

/// The text that it was given as `message`, if it was.
pub fn find(conn: &Connection, message: MessageId) -> Result<Option<SandboxText>, StoreError> {
    let found = conn.prepare_cached(&format!("{COLUMNS} WHERE message = ?"))?.query_row([message], read).optional()?;
    Ok(found)
}

/// The newest `limit` texts, newest first.
pub fn newest(conn: &Connection, limit: u32) -> Result<Vec<SandboxText>, StoreError> {
    let found = conn
        .prepare_cached(&format!("{COLUMNS} ORDER BY seq DESC LIMIT ?"))?
        .query_map([limit], read)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// The oldest `limit` texts that stand at `status`, oldest first.
pub fn oldest(conn: &Connection, status: MessageStatus, limit: u32) -> Result<Vec<SandboxText>, StoreError> {
    let found = conn
        .prepare_cached(&format!("{COLUMNS} WHERE status = ? ORDER BY seq LIMIT ?"))?
        .query_map(params![Word(status), limit], read)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// A text as a phone shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whether the phone's owner wrote it.
    pub own: bool,
    /// Its words.
    pub body: Private<String>,
    /// When it was written.
    pub at: Timestamp,
}

/// The newest `limit` texts that the phone with `number` has got or sent, oldest first. What did not arrive is not on it.
pub fn phone(conn: &Connection, number: &PhoneNumber, limit: u32) -> Result<Vec<Shown>, StoreError> {
    let mut found = conn
        .prepare_cached(
            "SELECT own, body, at FROM (
                 SELECT * FROM (SELECT 0 AS own, body, at FROM sandbox
                     WHERE recipient = ?1 AND status IN ('sent', 'delivered') ORDER BY seq DESC LIMIT ?2)
                 UNION ALL
                 -- What the past of a filled demo says was delivered never went through the gateway.
                 SELECT * FROM (SELECT 0, body, created_at FROM messages
                     WHERE recipient = ?1 AND direction = 'outbound' AND status = 'delivered'
                     AND NOT EXISTS (SELECT 1 FROM sandbox WHERE sandbox.message = messages.id)
                     ORDER BY created_at DESC LIMIT ?2)
                 UNION ALL
                 SELECT * FROM (SELECT 1, body, created_at FROM messages
                     WHERE sender = ?1 AND direction = 'inbound' ORDER BY created_at DESC LIMIT ?2)
             ) ORDER BY at DESC, own LIMIT ?2",
        )?
        .query_map(params![number, limit], |row| {
            Ok(Shown { own: row.get(0)?, body: Private::new(row.get(1)?), at: row.get::<_, At>(2)?.0 })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    found.reverse();
    Ok(found)
}

/// The phones that the newest texts went to, newest first, each once.
pub fn phones(conn: &Connection, among: u32) -> Result<Vec<PhoneNumber>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT recipient FROM (SELECT recipient, seq FROM sandbox ORDER BY seq DESC LIMIT ?)
             GROUP BY recipient ORDER BY max(seq) DESC",
        )?
        .query_map([among], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SandboxText> {
    Ok(SandboxText {
        id: row.get(0)?,
        message: row.get(1)?,
        from: row.get(2)?,
        to: row.get(3)?,
        body: Private::new(row.get(4)?),
        media: row.get::<_, Json<_>>(5)?.0,
        status: row.get::<_, Word<_>>(6)?.0,
        at: row.get::<_, At>(7)?.0,
    })
}
