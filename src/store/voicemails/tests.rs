use jiff::SignedDuration;

use super::*;
use crate::model::{OpenedBy, PhoneNumber};
use crate::store::audio::Audio;
use crate::store::tests::{in_memory, tx};
use crate::store::threads::NewThread;

fn at(second: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn ana() -> StaffName {
    StaffName::parse("ana").unwrap()
}

fn thread(conn: &Connection) -> ThreadId {
    let number = PhoneNumber::e164("+16462530142").unwrap();
    let (id, opened_by) = (ThreadId::new(at(0)), OpenedBy::Call);
    let new = NewThread { id, number, reason: None, language: None, opened_by, call: None, at: at(0) };
    threads::open(&tx(conn), &new).unwrap();
    id
}

fn left(thread: Option<ThreadId>, second: i64) -> Voicemail {
    let id = VoicemailId::new(at(second));
    Voicemail {
        id,
        call: CallId::new(at(second)),
        node: "voicemail:desk".into(),
        thread,
        recorded_at: at(second),
        length: Duration::from_millis(12_340),
        language: Language::default(),
        team: Some("front_desk".into()),
        reason: Some("refill".into()),
        file: format!("voicemail/2026/{id}.wav"),
        sha256: "abc".into(),
        heard: None,
        deleted_at: None,
    }
}

fn audit_of(conn: &Connection) -> Vec<String> {
    let mut query =
        conn.prepare("SELECT action || ' ' || actor FROM audit WHERE action LIKE 'voicemail.%' ORDER BY seq").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_message_is_written_once_and_its_thread_waits_for_a_person() {
    let conn = in_memory();
    let thread = thread(&conn);
    let voicemail = left(Some(thread), 60);
    assert!(add(&tx(&conn), &voicemail).unwrap());
    assert!(!add(&tx(&conn), &voicemail).unwrap());
    assert_eq!(find(&conn, voicemail.id).unwrap(), Some(voicemail.clone()));
    assert_eq!(of_call(&conn, voicemail.call).unwrap(), [voicemail]);
    assert_eq!(threads::find(&conn, thread).unwrap().unwrap().waiting_since, Some(at(60)));
}

#[test]
fn every_listening_is_on_record_and_the_first_counts() {
    let conn = in_memory();
    let voicemail = left(None, 0);
    add(&tx(&conn), &voicemail).unwrap();
    assert_eq!((unheard(&conn, 10).unwrap().len(), count_unheard(&conn, 10).unwrap()), (1, 1));
    let bo = StaffName::parse("bo").unwrap();
    assert!(heard(&tx(&conn), voicemail.id, &ana(), at(10)).unwrap());
    assert!(heard(&tx(&conn), voicemail.id, &bo, at(20)).unwrap());
    assert_eq!(find(&conn, voicemail.id).unwrap().unwrap().heard, Some((ana(), at(10))));
    assert_eq!(audit_of(&conn), ["voicemail.heard ana", "voicemail.heard bo"]);
    assert_eq!(count_unheard(&conn, 10).unwrap(), 0);
    assert!(!heard(&tx(&conn), VoicemailId::new(at(1)), &bo, at(20)).unwrap());
}

#[test]
fn a_message_that_nobody_can_place_is_kept_until_somebody_says_whose_it_is() {
    let conn = in_memory();
    let thread = thread(&conn);
    let voicemail = left(None, 60);
    add(&tx(&conn), &voicemail).unwrap();
    assert_eq!(loose(&conn, None, 10).unwrap(), std::slice::from_ref(&voicemail));
    assert_eq!(loose(&conn, Some(at(60)), 10).unwrap(), []);
    assert!(file_under(&tx(&conn), voicemail.id, thread, "ana", at(90)).unwrap());
    assert!(!file_under(&tx(&conn), voicemail.id, thread, "ana", at(91)).unwrap());
    assert_eq!(loose(&conn, None, 10).unwrap(), []);
    assert_eq!(find(&conn, voicemail.id).unwrap().unwrap().thread, Some(thread));
    assert_eq!(audit_of(&conn), ["voicemail.filed ana"]);
}

#[test]
fn a_message_whose_time_is_over_loses_its_audio_and_keeps_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let files = AudioFiles::of_store(dir.path());
    let conn = in_memory();
    let (mut old, new) = (left(None, 0), left(None, 100));
    old.file = files.write(Audio::Voicemail, &old.id.to_string(), at(0), b"RIFF").unwrap().file;
    let path = files.path(&old.file).unwrap();
    for voicemail in [&old, &new] {
        add(&tx(&conn), voicemail).unwrap();
    }
    assert_eq!(kept(&conn, None, 10).unwrap().len(), 2);
    assert_eq!(due_for_deletion(&conn, at(50), 10).unwrap(), [old.id]);
    assert!(delete(&tx(&conn), &files, old.id, "system", at(200)).unwrap());
    assert!(!path.exists());
    assert!(!delete(&tx(&conn), &files, old.id, "system", at(200)).unwrap());
    assert_eq!(due_for_deletion(&conn, at(50), 10).unwrap(), []);
    assert_eq!(find(&conn, old.id).unwrap().unwrap().deleted_at, Some(at(200)));
    assert!(!heard(&tx(&conn), old.id, &ana(), at(201)).unwrap(), "there is nothing to hear");
    assert_eq!(kept(&conn, None, 10).unwrap(), [new]);
    assert_eq!(audit_of(&conn), ["voicemail.deleted system"]);
}

#[test]
fn every_list_is_read_from_an_index() {
    let conn = in_memory();
    for (which, search) in [(UNHEARD, false), (LOOSE, true), (KEPT, true), (DUE, true), (OF_CALL, true)] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM voicemails {which}");
        let mut statement = conn.prepare(&sql).unwrap();
        let values = rusqlite::params_from_iter(vec![1; statement.parameter_count()]);
        let plan: Vec<String> = statement.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        // In the index's own order, nothing sorted.
        assert!(plan.len() == 1 && plan[0].starts_with(if search { "SEARCH" } else { "SCAN" }), "{which}: {plan:?}");
    }
}
