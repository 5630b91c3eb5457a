//! Consent to be texted: a history for each number, of which the newest entry is in force.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::column::{At, Word};
use super::{StoreError, Tx};
use crate::model::{Consent, ConsentState, PhoneNumber};

/// Appends an entry with its evidence, and its audit row.
pub fn append(tx: &Tx<'_>, consent: &Consent) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO consents (number, state, method, disclosure, prompt_sha256, digit, call, message, at, actor)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        consent.number,
        Word(consent.state),
        Word(consent.method),
        consent.disclosure,
        consent.prompt_sha256,
        consent.digit,
        consent.call,
        consent.message,
        At(consent.at),
        consent.actor,
    ])?;
    let subject = format!("consent:{}", tx.last_insert_rowid());
    let action = match consent.state {
        ConsentState::Granted => "consent.granted",
        ConsentState::Revoked => "consent.revoked",
    };
    let detail = json!({ "method": consent.method, "call": consent.call, "message": consent.message });
    audit::append(tx, Entry { at: consent.at, actor: &consent.actor, action, subject: &subject, detail })?;
    Ok(())
}

/// The entry in force for `number`.
pub fn current(conn: &Connection, number: &PhoneNumber) -> Result<Option<Consent>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT number, state, method, disclosure, prompt_sha256, digit, call, message, at, actor
             FROM consents WHERE number = ? ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([number], read)
        .optional()?;
    Ok(found)
}

/// The state in force for `number`; `None` if it was never asked.
pub fn state(conn: &Connection, number: &PhoneNumber) -> Result<Option<ConsentState>, StoreError> {
    let found: Option<Word<ConsentState>> = conn
        .prepare_cached("SELECT state FROM consents WHERE number = ? ORDER BY seq DESC LIMIT 1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    Ok(found.map(|word| word.0))
}

/// Every number that may not be texted.
pub fn opted_out(conn: &Connection) -> Result<Vec<PhoneNumber>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT number FROM consents WHERE state = 'revoked'
             AND seq IN (SELECT max(seq) FROM consents GROUP BY number) ORDER BY number",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Consent> {
    Ok(Consent {
        number: row.get(0)?,
        state: row.get::<_, Word<_>>(1)?.0,
        method: row.get::<_, Word<_>>(2)?.0,
        disclosure: row.get(3)?,
        prompt_sha256: row.get(4)?,
        digit: row.get(5)?,
        call: row.get(6)?,
        message: row.get(7)?,
        at: row.get::<_, At>(8)?.0,
        actor: row.get(9)?,
    })
}
