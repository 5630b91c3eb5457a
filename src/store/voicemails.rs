//! Messages that callers left by voice. The audio is in [`super::audio`]; a row stays when it is deleted.
//!
//! A message of a known number stands in the thread of that number; one of a caller who did not show theirs stands in
//! none, until somebody who has heard it says whose it is ([`file_under`]). No message is a consent to texts.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::json;

use super::audio::{self, AudioFiles};
use super::audit::{self, Entry};
use super::column::At;
use super::threads::{self, Spoken};
use super::{StoreError, Tx, calls};
use crate::events::Event;
use crate::model::{CallId, Caller, Language, StaffName, ThreadId, VoicemailId};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voicemail {
    /// Its id.
    pub id: VoicemailId,
    /// The call in which it was left.
    pub call: CallId,
    /// The node: `voicemail:front_desk`.
    pub node: String,
    /// The thread that it stands in; none: nobody knows the caller's number.
    pub thread: Option<ThreadId>,
    /// When it was over.
    pub recorded_at: Timestamp,
    /// How long it is.
    pub length: Duration,
    /// The caller's language.
    pub language: Language,
    /// Who is to hear it.
    pub team: Option<String>,
    /// What it is about.
    pub reason: Option<String>,
    /// Its audio, relative to the store's folder.
    pub file: String,
    /// SHA-256 of the audio.
    pub sha256: String,
    /// Who heard it first, and when.
    pub heard: Option<(StaffName, Timestamp)>,
    /// When its audio was deleted.
    pub deleted_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, call, node, thread, recorded_at, length_ms, language, team, reason, file, sha256, heard_by,
    heard_at, deleted_at";

/// Writes a message; false: it is written already. Its thread, if it has one, waits for a person.
pub fn add(tx: &Tx<'_>, voicemail: &Voicemail) -> Result<bool, StoreError> {
    let sql = format!(
        "INSERT INTO voicemails ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)
         ON CONFLICT (id) DO NOTHING"
    );
    let added = tx.prepare_cached(&sql)?.execute(params![
        voicemail.id,
        voicemail.call,
        voicemail.node,
        voicemail.thread,
        At(voicemail.recorded_at),
        calls::millis(voicemail.length),
        voicemail.language,
        voicemail.team,
        voicemail.reason,
        voicemail.file,
        voicemail.sha256,
    ])?;
    if added == 0 {
        return Ok(false);
    }
    if let Some(thread) = voicemail.thread {
        calls::set_thread(tx, voicemail.call, thread)?;
        threads::spoke(tx, thread, Spoken::Voicemail, voicemail.recorded_at)?;
    }
    tx.announce(Event::Call(voicemail.call));
    Ok(true)
}

/// A message; `None` if there is none with that id.
pub fn find(conn: &Connection, id: VoicemailId) -> Result<Option<Voicemail>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM voicemails WHERE id = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// What was left in a call, in order.
pub fn of_call(conn: &Connection, call: CallId) -> Result<Vec<Voicemail>, StoreError> {
    list(conn, OF_CALL, params![call, MOST_OF_CALL])
}

/// More is not left in one call.
const MOST_OF_CALL: i64 = 20;

/// What nobody has heard, the oldest first: `most` of them.
pub fn unheard(conn: &Connection, most: usize) -> Result<Vec<Voicemail>, StoreError> {
    list(conn, UNHEARD, params![limit(most)])
}

/// How many messages nobody has heard, at most `most`.
pub fn count_unheard(conn: &Connection, most: usize) -> Result<u32, StoreError> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM voicemails {UNHEARD})");
    Ok(conn.prepare_cached(&sql)?.query_row([limit(most)], |row| row.get(0))?)
}

/// What stands in no thread, since nobody knows the caller's number: the newest first, `most` of them before `before`.
pub fn loose(conn: &Connection, before: Option<Timestamp>, most: usize) -> Result<Vec<Voicemail>, StoreError> {
    list(conn, LOOSE, params![At(before.unwrap_or(Timestamp::MAX)), limit(most)])
}

/// All that still have their audio, the newest first: `most` of them before `before`.
pub fn kept(conn: &Connection, before: Option<Timestamp>, most: usize) -> Result<Vec<Voicemail>, StoreError> {
    list(conn, KEPT, params![At(before.unwrap_or(Timestamp::MAX)), limit(most)])
}

// Each names its index: the planner, without statistics, takes any that is in order.
const UNHEARD: &str = "INDEXED BY voicemails_unheard WHERE heard_at IS NULL AND deleted_at IS NULL
    ORDER BY recorded_at LIMIT ?";
const LOOSE: &str = "INDEXED BY voicemails_loose WHERE thread IS NULL AND deleted_at IS NULL AND recorded_at < ?
    ORDER BY recorded_at DESC LIMIT ?";
const KEPT: &str = "INDEXED BY voicemails_kept WHERE deleted_at IS NULL AND recorded_at < ?
    ORDER BY recorded_at DESC LIMIT ?";
const DUE: &str = "INDEXED BY voicemails_kept WHERE deleted_at IS NULL AND recorded_at <= ?
    ORDER BY recorded_at LIMIT ?";
const OF_CALL: &str = "INDEXED BY voicemails_call WHERE call = ? ORDER BY recorded_at LIMIT ?";

/// Puts on record that somebody listens, and who was the first. False: there is nothing to be heard.
pub fn heard(tx: &Tx<'_>, id: VoicemailId, staff: &StaffName, at: Timestamp) -> Result<bool, StoreError> {
    let Some(voicemail) = find(tx, id)?.filter(|voicemail| voicemail.deleted_at.is_none()) else { return Ok(false) };
    record(tx, &voicemail, "voicemail.heard", staff.as_str(), json!({}), at)?;
    if voicemail.heard.is_none() {
        tx.prepare_cached("UPDATE voicemails SET heard_by = ?2, heard_at = ?3 WHERE id = ?1")?.execute(params![
            id,
            staff,
            At(at)
        ])?;
        announce(tx, &voicemail);
    }
    Ok(true)
}

/// Whether it is on record that somebody has listened.
pub fn was_heard_by(conn: &Connection, id: VoicemailId, staff: &StaffName) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM audit INDEXED BY audit_subject
         WHERE subject = ?1 AND action = 'voicemail.heard' AND actor = ?2)";
    Ok(conn.prepare_cached(sql)?.query_row(params![format!("voicemail:{id}"), staff], |row| row.get(0))?)
}

/// How many messages stand in no thread, at most `most`.
pub fn count_loose(conn: &Connection, most: usize) -> Result<u32, StoreError> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM voicemails {LOOSE})");
    Ok(conn.prepare_cached(&sql)?.query_row(params![At(Timestamp::MAX), limit(most)], |row| row.get(0))?)
}

/// Puts a message that stands in no thread into one: somebody knows whose it is. False: it stands in one already.
pub fn file_under(
    tx: &Tx<'_>,
    id: VoicemailId,
    thread: ThreadId,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let Some(voicemail) = find(tx, id)?.filter(|voicemail| voicemail.thread.is_none()) else { return Ok(false) };
    tx.prepare_cached("UPDATE voicemails SET thread = ?2 WHERE id = ?1")?.execute(params![id, thread])?;
    calls::set_thread(tx, voicemail.call, thread)?;
    // They are known to wait since now.
    threads::spoke(tx, thread, Spoken::Voicemail, at)?;
    record(tx, &voicemail, "voicemail.filed", actor, json!({ "thread": thread }), at)?;
    announce(tx, &voicemail);
    Ok(true)
}

/// Deletes a message's audio. False: it was deleted before.
pub fn delete(
    tx: &Tx<'_>,
    files: &AudioFiles,
    id: VoicemailId,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let Some(voicemail) = find(tx, id)?.filter(|voicemail| voicemail.deleted_at.is_none()) else { return Ok(false) };
    tx.prepare_cached("UPDATE voicemails SET deleted_at = ?2 WHERE id = ?1")?.execute(params![id, At(at)])?;
    record(tx, &voicemail, "voicemail.deleted", actor, json!({ "sha256": voicemail.sha256 }), at)?;
    audio::delete(tx, files, &voicemail.file)?;
    announce(tx, &voicemail);
    Ok(true)
}

/// The messages that were left until `until` and still have their audio, the oldest first: `most` of them.
pub fn due_for_deletion(conn: &Connection, until: Timestamp, most: usize) -> Result<Vec<VoicemailId>, StoreError> {
    Ok(list(conn, DUE, params![At(until), limit(most)])?.into_iter().map(|voicemail| voicemail.id).collect())
}

/// Who left a message, as the record of its call says.
pub fn caller(conn: &Connection, voicemail: &Voicemail) -> Result<Option<Caller>, StoreError> {
    let found = conn
        .prepare_cached("SELECT caller FROM calls WHERE id = ?")?
        .query_row([voicemail.call], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

fn announce(tx: &Tx<'_>, voicemail: &Voicemail) {
    tx.announce(voicemail.thread.map_or(Event::Call(voicemail.call), Event::Thread));
}

fn record(
    tx: &Tx<'_>,
    voicemail: &Voicemail,
    action: &str,
    actor: &str,
    mut detail: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    detail["call"] = json!(voicemail.call);
    if let Some(thread) = voicemail.thread {
        detail["thread"] = json!(thread);
    }
    audit::append(tx, Entry { at, actor, action, subject: &format!("voicemail:{}", voicemail.id), detail })?;
    Ok(())
}

fn list(conn: &Connection, which: &str, values: impl Params) -> Result<Vec<Voicemail>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM voicemails {which}");
    Ok(conn.prepare_cached(&sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Voicemail> {
    let heard_at = row.get::<_, Option<At>>(12)?.map(|at| at.0);
    Ok(Voicemail {
        id: row.get(0)?,
        call: row.get(1)?,
        node: row.get(2)?,
        thread: row.get(3)?,
        recorded_at: row.get::<_, At>(4)?.0,
        length: calls::length(row.get(5)?),
        language: row.get(6)?,
        team: row.get(7)?,
        reason: row.get(8)?,
        file: row.get(9)?,
        sha256: row.get(10)?,
        heard: row.get::<_, Option<StaffName>>(11)?.zip(heard_at),
        deleted_at: row.get::<_, Option<At>>(13)?.map(|at| at.0),
    })
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
