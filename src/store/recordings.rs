//! Recorded conversations: where their audio is, and until when it is kept.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::json;

use super::audio::{self, AudioFiles};
use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx, calls};
use crate::events::Event;
use crate::model::{CallId, RecordingId, StaffName};

/// A recorded conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its id.
    pub id: RecordingId,
    /// The call.
    pub call: CallId,
    /// The node that records, and says so: `queue:front_desk`.
    pub node: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it is.
    pub length: Duration,
    /// Its audio, relative to the store's folder.
    pub file: String,
    /// SHA-256 of the audio.
    pub sha256: String,
    /// Until when it is kept.
    pub delete_after: Timestamp,
}

const COLUMNS: &str = "id, call, node, started_at, length_ms, file, sha256, delete_after";
/// A call is recorded in no more pieces than this.
const MOST_OF_CALL: i64 = 20;
const DUE: &str = "delete_after <= ? ORDER BY delete_after LIMIT ?";

/// Writes a recording, and that it was made.
pub fn add(tx: &Tx<'_>, recording: &Recording, at: Timestamp) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO recordings ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    tx.prepare_cached(&sql)?.execute(params![
        recording.id,
        recording.call,
        recording.node,
        At(recording.started_at),
        calls::millis(recording.length),
        recording.file,
        recording.sha256,
        At(recording.delete_after),
    ])?;
    record(tx, recording, "recording.made", "system", at)?;
    tx.announce(Event::Call(recording.call));
    Ok(())
}

/// A recording; `None` if there is none with that id, or not any more.
pub fn find(conn: &Connection, id: RecordingId) -> Result<Option<Recording>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM recordings WHERE id = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// What was recorded of a call, in order.
pub fn of_call(conn: &Connection, call: CallId) -> Result<Vec<Recording>, StoreError> {
    list(conn, "call = ? ORDER BY started_at LIMIT ?", params![call, MOST_OF_CALL])
}

/// Puts on record that somebody listens, or takes a copy. False: there is nothing to be heard.
pub fn heard(tx: &Tx<'_>, id: RecordingId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let Some(recording) = find(tx, id)? else { return Ok(false) };
    record(tx, &recording, "recording.heard", actor, at)?;
    Ok(true)
}

/// Whether it is on record that somebody has listened.
pub fn was_heard_by(conn: &Connection, id: RecordingId, staff: &StaffName) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM audit INDEXED BY audit_subject
         WHERE subject = ?1 AND action = 'recording.heard' AND actor = ?2)";
    Ok(conn.prepare_cached(sql)?.query_row(params![format!("recording:{id}"), staff], |row| row.get(0))?)
}

/// The recordings whose time is over, `most` of them.
pub fn due_for_deletion(conn: &Connection, now: Timestamp, most: usize) -> Result<Vec<RecordingId>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(list(conn, DUE, params![At(now), most])?.into_iter().map(|recording| recording.id).collect())
}

/// Deletes a recording, its audio and its row. False: it is gone already.
pub fn delete(
    tx: &Tx<'_>,
    files: &AudioFiles,
    id: RecordingId,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let Some(recording) = find(tx, id)? else { return Ok(false) };
    tx.prepare_cached("DELETE FROM recordings WHERE id = ?")?.execute([id])?;
    record(tx, &recording, "recording.deleted", actor, at)?;
    audio::delete(tx, files, &recording.file)?;
    tx.announce(Event::Call(recording.call));
    Ok(true)
}

fn record(tx: &Tx<'_>, recording: &Recording, action: &str, actor: &str, at: Timestamp) -> Result<(), StoreError> {
    let detail = json!({ "call": recording.call, "node": recording.node, "sha256": recording.sha256 });
    audit::append(tx, Entry { at, actor, action, subject: &format!("recording:{}", recording.id), detail })?;
    Ok(())
}

fn list(conn: &Connection, condition: &str, values: impl Params) -> Result<Vec<Recording>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM recordings WHERE {condition}");
    Ok(conn.prepare_cached(&sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Recording> {
    Ok(Recording {
        id: row.get(0)?,
        call: row.get(1)?,
        node: row.get(2)?,
        started_at: row.get::<_, At>(3)?.0,
        length: calls::length(row.get(4)?),
        file: row.get(5)?,
        sha256: row.get(6)?,
        delete_after: row.get::<_, At>(7)?.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audio::Audio;
    use crate::store::tests::{in_memory, tx};

    #[test]
    fn a_recording_is_kept_for_its_time_and_every_listening_is_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let files = AudioFiles::of_store(dir.path());
        let conn = in_memory();
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let (id, call) = (RecordingId::new(at), CallId::new(at));
        let stored = files.write(Audio::Recording, &id.to_string(), at, b"RIFF").unwrap();
        let recording = Recording {
            id,
            call,
            node: "queue:desk".into(),
            started_at: at,
            length: Duration::from_millis(61_250),
            file: stored.file.clone(),
            sha256: stored.sha256,
            delete_after: "2026-04-01T00:00:00Z".parse().unwrap(),
        };
        add(&tx(&conn), &recording, at).unwrap();
        assert_eq!(of_call(&conn, call).unwrap(), std::slice::from_ref(&recording));
        assert!(heard(&tx(&conn), id, "ana", at).unwrap());
        assert!(heard(&tx(&conn), id, "ana", at).unwrap());
        let before = recording.delete_after - jiff::SignedDuration::from_secs(1);
        assert_eq!(due_for_deletion(&conn, before, 10).unwrap(), []);
        assert_eq!(due_for_deletion(&conn, recording.delete_after, 10).unwrap(), [id]);
        let path = files.path(&stored.file).unwrap();
        assert!(path.exists());
        assert!(delete(&tx(&conn), &files, id, "system", at).unwrap());
        assert!(!path.exists());
        assert!(!delete(&tx(&conn), &files, id, "system", at).unwrap());
        assert!(!heard(&tx(&conn), id, "ana", at).unwrap());
        let actions: Vec<String> = conn
            .prepare("SELECT action || ' ' || actor FROM audit ORDER BY seq")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            actions,
            ["recording.made system", "recording.heard ana", "recording.heard ana", "recording.deleted system"]
        );
    }

    #[test]
    fn what_is_due_is_found_by_its_index() {
        let conn = in_memory();
        let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM recordings WHERE {DUE}");
        let plan: String = conn.query_row(&sql, params![0, 1], |row| row.get(3)).unwrap();
        assert!(plan.contains("USING INDEX recordings_due"), "{plan}");
    }
}
