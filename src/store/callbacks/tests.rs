use jiff::SignedDuration;

use super::*;
use crate::model::OpenedBy;
use crate::store::tests::{in_memory, tx};
use crate::store::threads::NewThread;

fn at(second: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn number(end: u8) -> PhoneNumber {
    PhoneNumber::e164(&format!("+1646253{end:04}")).unwrap()
}

/// Booked at a second, due a minute later.
fn booked(conn: &Connection, end: u8, second: i64) -> Callback {
    let thread = ThreadId::new(at(second));
    let new = NewThread {
        id: thread,
        number: number(end),
        reason: None,
        language: None,
        opened_by: OpenedBy::Call,
        call: None,
        at: at(second),
    };
    threads::open(&tx(conn), &new).unwrap();
    let callback = Callback {
        id: CallbackId::new(at(second)),
        call: CallId::new(at(second)),
        node: "callback:desk".into(),
        thread,
        number: number(end),
        language: Language::default(),
        reason: Some("refill".into()),
        line: Some("queue:desk".into()),
        priority: 3,
        since: at(second - 60),
        hours: Some("hours:clinic".into()),
        due_at: at(second + 60),
        due_until: Some(at(second + 600)),
        last_at: at(second + 6000),
        asked_at: at(second),
        state: CallbackState::Waiting,
        attempts: 0,
        last_attempt_at: None,
        last_call: None,
        ended_at: None,
        cause: None,
    };
    add(&tx(conn), &callback).unwrap();
    callback
}

fn state(conn: &Connection, id: CallbackId) -> CallbackState {
    find(conn, id).unwrap().unwrap().state
}

fn audit_of(conn: &Connection) -> Vec<String> {
    let mut query =
        conn.prepare("SELECT action || ' ' || actor FROM audit WHERE action LIKE 'callback.%' ORDER BY seq").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_call_back_is_read_as_it_was_booked_and_its_thread_waits() {
    let conn = in_memory();
    let callback = booked(&conn, 1, 100);
    assert_eq!(find(&conn, callback.id).unwrap(), Some(callback.clone()));
    assert_eq!(of_call(&conn, callback.call).unwrap(), Some(callback.clone()));
    assert_eq!(of_thread(&conn, callback.thread).unwrap(), Some(callback.clone()));
    assert_eq!(threads::find(&conn, callback.thread).unwrap().unwrap().waiting_since, Some(at(100)));
    assert_eq!(audit_of(&conn), ["callback.booked caller"]);
}

#[test]
fn a_number_is_booked_once_and_no_more_than_there_is_room_for() {
    let conn = in_memory();
    let may = |end, most| may_book(&conn, &number(end), most).unwrap();
    assert_eq!((may(1, 1), may(1, 0)), (Ok(()), Err(NotBooked::Full)));
    let first = booked(&conn, 1, 0);
    assert_eq!((may(1, 9), may(2, 2), may(2, 1)), (Err(NotBooked::Already), Ok(()), Err(NotBooked::Full)));
    attempt(&tx(&conn), first.id, CallId::new(at(5)), at(5)).unwrap();
    assert_eq!(may(1, 9), Err(NotBooked::Already), "they are being called");
    done(&tx(&conn), first.id, "ana", at(9)).unwrap();
    assert_eq!(may(1, 1), Ok(()));
}

#[test]
fn what_is_due_comes_in_its_order() {
    let conn = in_memory();
    let (second, first) = (booked(&conn, 1, 50), booked(&conn, 2, 0));
    let ids = |list: Vec<Callback>| list.into_iter().map(|callback| callback.id).collect::<Vec<_>>();
    assert_eq!(ids(waiting(&conn, 9).unwrap()), [first.id, second.id]);
    assert_eq!(ids(due(&conn, at(59), 9).unwrap()), []);
    assert_eq!(ids(due(&conn, at(60), 9).unwrap()), [first.id]);
    assert_eq!(ids(due(&conn, at(500), 1).unwrap()), [first.id]);
    assert_eq!(next_due(&conn, at(0)).unwrap(), Some(at(60)));
    assert_eq!(next_due(&conn, at(60)).unwrap(), Some(at(110)));
    assert_eq!(next_due(&conn, at(110)).unwrap(), None);
}

fn again(second: i64) -> Option<Again> {
    Some(Again { from: at(second), until: at(second + 60) })
}

/// The row of the call in which it was asked for.
fn of_its_call(conn: &Connection, callback: &Callback) -> (String, String, i64) {
    let sql = "SELECT outcome, cause, waited_ms FROM calls WHERE id = ?";
    conn.query_row(sql, [callback.call], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

/// Writes that row, as it is when the call is over.
fn call_over(conn: &Connection, callback: &Callback) {
    let sql = "INSERT INTO calls (id, outcome, cause, waited_ms) VALUES (?, 'callback', 'hangup', 60000)";
    conn.execute(sql, [callback.call]).unwrap();
}

#[test]
fn a_patient_is_called_twice_at_most() {
    let conn = in_memory();
    let booked = booked(&conn, 1, 0);
    let id = booked.id;
    call_over(&conn, &booked);
    assert_eq!(not_reached(&tx(&conn), id, "486", again(300), at(0)).unwrap(), None, "it was not ringing");
    let calls = [CallId::new(at(60)), CallId::new(at(300))];
    assert!(attempt(&tx(&conn), id, calls[0], at(60)).unwrap());
    assert!(!attempt(&tx(&conn), id, calls[0], at(60)).unwrap(), "it is ringing");
    assert_eq!(stopped(&conn).unwrap().len(), 1);
    let once_more = not_reached(&tx(&conn), id, "486", again(300), at(70)).unwrap().unwrap();
    assert_eq!(
        (once_more.state, once_more.due_at, once_more.due_until),
        (CallbackState::Waiting, at(300), Some(at(360)))
    );
    assert_eq!(of_its_call(&conn, &booked), ("callback".into(), "hangup".into(), 60_000));
    assert!(attempt(&tx(&conn), id, calls[1], at(300)).unwrap());
    let ended = not_reached(&tx(&conn), id, "no_answer", again(900), at(330)).unwrap().unwrap();
    assert_eq!((ended.state, ended.ended_at), (CallbackState::Failed, Some(at(330))));
    assert_eq!((ended.attempts, ended.last_call, ended.cause.as_deref()), (2, Some(calls[1]), Some("no_answer")));
    assert!(!attempt(&tx(&conn), id, calls[1], at(900)).unwrap());
    let thread = threads::find(&conn, ended.thread).unwrap().unwrap();
    assert_eq!(thread.waiting_since, Some(at(0)), "somebody has still to see to them");
    // They had waited since a minute before they asked.
    assert_eq!(of_its_call(&conn, &booked), ("missed".into(), "callback_failed".into(), 390_000));
}

#[test]
fn a_phone_that_has_not_rung_was_no_attempt() {
    let conn = in_memory();
    let id = booked(&conn, 1, 0).id;
    let again = |second| Again { from: at(second), until: at(second + 100) };
    assert_eq!(not_called(&tx(&conn), id, again(300), at(0)).unwrap(), None, "it was not ringing");
    for second in [60, 300, 600] {
        assert!(attempt(&tx(&conn), id, CallId::new(at(second)), at(second)).unwrap());
        let waits = not_called(&tx(&conn), id, again(second + 300), at(second)).unwrap().unwrap();
        assert_eq!((waits.state, waits.attempts, waits.due_at), (CallbackState::Waiting, 0, at(second + 300)));
    }
}

#[test]
fn who_is_spoken_with_in_another_call_is_called_back_no_more() {
    let conn = in_memory();
    let (waits, rings) = (booked(&conn, 1, 0), booked(&conn, 2, 0).id);
    attempt(&tx(&conn), rings, CallId::new(at(60)), at(60)).unwrap();
    for (end, id) in [(1, waits.id), (2, rings)] {
        assert_eq!(spoken_with(&tx(&conn), &number(end), "extension:201", at(70)).unwrap(), Some(id));
        assert_eq!(state(&conn, id), CallbackState::Done);
        assert_eq!(spoken_with(&tx(&conn), &number(end), "extension:201", at(80)).unwrap(), None);
    }
    assert!(!attempt(&tx(&conn), waits.id, CallId::new(at(90)), at(90)).unwrap(), "its staff pick up in this moment");
    assert_eq!(not_reached(&tx(&conn), rings, "486", None, at(90)).unwrap(), None);
    assert!(threads::find(&conn, waits.thread).unwrap().unwrap().moved_to_voice.is_some());
}

#[test]
fn without_another_time_the_first_attempt_was_the_last() {
    let conn = in_memory();
    let id = booked(&conn, 1, 0).id;
    assert!(attempt(&tx(&conn), id, CallId::new(at(60)), at(60)).unwrap());
    let ended = not_reached(&tx(&conn), id, "486", None, at(70)).unwrap().unwrap();
    assert_eq!((ended.state, ended.ended_at), (CallbackState::Failed, Some(at(70))));
}

#[test]
fn one_that_is_put_off_keeps_its_end_and_one_that_is_hurried_minds_no_hour() {
    let conn = in_memory();
    let booked = booked(&conn, 1, 0);
    assert!(postpone(&tx(&conn), booked.id, again(900).unwrap()).unwrap());
    let found = find(&conn, booked.id).unwrap().unwrap();
    assert_eq!((found.due_at, found.due_until, found.last_at), (at(900), Some(at(960)), booked.last_at));
    assert!(hurry(&tx(&conn), booked.id, "ana", at(10)).unwrap());
    let found = find(&conn, booked.id).unwrap().unwrap();
    assert_eq!((found.due_at, found.due_until, found.last_at), (at(10), None, booked.last_at));
}

#[test]
fn who_was_spoken_with_waits_no_longer() {
    let conn = in_memory();
    let callback = booked(&conn, 1, 0);
    assert!(!done(&tx(&conn), callback.id, "ana", at(60)).unwrap(), "nobody has called");
    attempt(&tx(&conn), callback.id, CallId::new(at(60)), at(60)).unwrap();
    assert!(done(&tx(&conn), callback.id, "ana", at(90)).unwrap());
    let thread = threads::find(&conn, callback.thread).unwrap().unwrap();
    assert_eq!((thread.waiting_since, thread.moved_to_voice), (None, Some(at(90))));
    assert!(!cancel(&tx(&conn), callback.id, "ana", at(91)).unwrap());
    assert_eq!(audit_of(&conn), ["callback.booked caller", "callback.attempted system", "callback.done ana"]);
}

#[test]
fn what_is_called_off_or_cannot_be_is_over() {
    let conn = in_memory();
    let (off, gone) = (booked(&conn, 1, 0).id, booked(&conn, 2, 0).id);
    assert!(cancel(&tx(&conn), off, "ana", at(10)).unwrap());
    assert!(fail(&tx(&conn), gone, "no_such_node", at(10)).unwrap().is_some());
    assert_eq!(fail(&tx(&conn), gone, "no_such_node", at(11)).unwrap(), None);
    assert_eq!((state(&conn, off), state(&conn, gone)), (CallbackState::Cancelled, CallbackState::Failed));
    assert_eq!(waiting(&conn, 9).unwrap(), []);
}

#[test]
fn every_list_is_read_from_an_index() {
    let conn = in_memory();
    for (condition, index) in [
        (WAITING, "callbacks_due"),
        (DUE, "callbacks_due"),
        (RINGING, "callbacks_ringing"),
        ("call = ? ORDER BY asked_at DESC LIMIT 1", "callbacks_call"),
        ("thread = ? ORDER BY asked_at DESC LIMIT 1", "callbacks_thread"),
    ] {
        let mut statement =
            conn.prepare(&format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM callbacks WHERE {condition}")).unwrap();
        let values = rusqlite::params_from_iter(vec![1; statement.parameter_count()]);
        let plan: Vec<String> = statement.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan[0].contains(index), "{condition}: {plan:?}");
    }
}
