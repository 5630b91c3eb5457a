use jiff::SignedDuration;

use super::*;
use crate::model::OpenedBy;
use crate::store::audit;
use crate::store::tests::{in_memory, tx};
use crate::store::threads::{NewThread, find, latest, open};

fn at(minute: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

fn thread(tx: &Tx<'_>, number: &str, minute: i64) -> ThreadId {
    let id = ThreadId::new(at(minute));
    let number = PhoneNumber::e164(number).unwrap();
    let (opened_by, at) = (OpenedBy::Text, at(minute));
    open(tx, &NewThread { id, number, reason: None, language: None, opened_by, call: None, at }).unwrap();
    id
}

fn events(conn: &Connection, thread: ThreadId) -> Vec<String> {
    let mut statement = conn.prepare("SELECT what FROM thread_events WHERE thread = ? ORDER BY seq").unwrap();
    let all = statement.query_map([thread], |row| row.get(0)).unwrap();
    all.collect::<Result<_, _>>().unwrap()
}

/// Makes one of two.
fn one(tx: &Tx<'_>, gone: ThreadId, kept: ThreadId, becomes: Kept, minute: i64) {
    let [gone, kept] = [gone, kept].map(|id| find(tx, id).unwrap().unwrap());
    merge(tx, &gone, &kept, becomes, "ana", at(minute)).unwrap();
}

const MARIA: &str = "+16462530142";
const JOHN: &str = "+16462530143";

#[test]
fn doing_a_thing_twice_does_and_records_it_once() {
    let conn = in_memory();
    let tx = tx(&conn);
    let id = thread(&tx, MARIA, 0);
    let ana: StaffName = "ana".parse().unwrap();
    let bo: StaffName = "bo".parse().unwrap();
    let twice = |act: &dyn Fn() -> Result<bool, StoreError>| {
        assert!(act().unwrap());
        assert!(!act().unwrap());
    };
    twice(&|| assign(&tx, id, Some(&ana), "ana", at(1)));
    twice(&|| assign(&tx, id, Some(&bo), "ana", at(2)));
    twice(&|| assign(&tx, id, None, "bo", at(3)));
    twice(&|| set_team(&tx, id, Some("clinical"), "ana", at(4)));
    twice(&|| set_reason(&tx, id, Some("refill"), "ana", at(5)));
    twice(&|| tag(&tx, id, "insurance", "ana", at(6)));
    twice(&|| untag(&tx, id, "insurance", "ana", at(7)));
    twice(&|| flag(&tx, id, "chest pain", at(8)));
    twice(&|| clear_flag(&tx, id, "ana", at(9)));
    twice(&|| snooze(&tx, id, at(90), "ana", at(10)));
    twice(&|| wake(&tx, id, "ana", at(11)));
    twice(&|| follow_up(&tx, id, Some(at(20)), "ana", at(12)));
    twice(&|| follow_up_due(&tx, id, at(20)));
    twice(&|| escalate(&tx, id, "clinical", "ana", at(21)));
    twice(&|| moved_to_voice(&tx, id, "ana", at(22)));
    twice(&|| close_offered(&tx, id, "ana", at(23)));
    twice(&|| close(&tx, id, Resolution::Answered, "ana", at(24)));
    twice(&|| reopen(&tx, id, "ana", at(25)));
    let done = [
        "opened",
        "taken",
        "assigned",
        "released",
        "team",
        "reason",
        "tagged",
        "untagged",
        "flagged",
        "flag_cleared",
        "snoozed",
        "woke",
        "follow_up",
        "follow_up_due",
        "escalated",
        "moved_to_voice",
        "close_offered",
        "closed",
        "reopened",
    ];
    assert_eq!(events(&conn, id), done);
    assert_eq!(audit::verify(&conn).unwrap(), done.len() as u64);
}

#[test]
fn a_call_that_nobody_picked_up_to_make_is_in_the_timeline_and_moves_nothing() {
    let conn = in_memory();
    let tx = tx(&conn);
    let (gone, kept) = (thread(&tx, MARIA, 0), thread(&tx, JOHN, 1));
    escalate(&tx, gone, "clinical", "ana", at(2)).unwrap();
    let before = find(&conn, gone).unwrap();
    own_phone_unanswered(&tx, gone, "extension:202", "ana", at(3)).unwrap();
    assert_eq!(find(&conn, gone).unwrap(), before, "it waits as it did");
    assert_eq!(events(&conn, gone), ["opened", "escalated", "own_phone_unanswered"]);
    one(&tx, gone, kept, Kept::AsItIs, 4);
    own_phone_unanswered(&tx, gone, "extension:202", "ana", at(5)).unwrap();
    assert_eq!(events(&conn, kept).last().unwrap(), "own_phone_unanswered");
    own_phone_unanswered(&tx, ThreadId::new(at(9)), "extension:202", "ana", at(9)).unwrap();
}

#[test]
fn a_closed_thread_waits_for_nothing_and_takes_no_snooze() {
    let conn = in_memory();
    let tx = tx(&conn);
    let id = thread(&tx, MARIA, 0);
    flag(&tx, id, "chest pain", at(1)).unwrap();
    follow_up(&tx, id, Some(at(60)), "ana", at(1)).unwrap();
    escalate(&tx, id, "clinical", "ana", at(2)).unwrap();
    assert_eq!(find(&conn, id).unwrap().unwrap().waiting_since, Some(at(2)));
    close(&tx, id, Resolution::Answered, "ana", at(3)).unwrap();
    let done = events(&conn, id);
    assert_eq!(done[done.len() - 2..], ["flag_cleared", "closed"], "the flag goes by a deed of its own");
    let closed = find(&conn, id).unwrap().unwrap();
    assert_eq!((closed.waiting_since, closed.red_flag, closed.follow_up_at), (None, None, None));
    assert!(!snooze(&tx, id, at(90), "ana", at(4)).unwrap());
    assert!(!follow_up(&tx, id, Some(at(90)), "ana", at(4)).unwrap());
    assert!(!escalate(&tx, id, "clinical", "ana", at(4)).unwrap());
}

#[test]
fn what_was_settled_on_the_phone_was_moved_there() {
    let conn = in_memory();
    let tx = tx(&conn);
    let id = thread(&tx, MARIA, 0);
    flag(&tx, id, "chest pain", at(1)).unwrap();
    assert!(close(&tx, id, Resolution::MovedToVoice, "ana", at(2)).unwrap());
    assert!(!close(&tx, id, Resolution::MovedToVoice, "ana", at(3)).unwrap());
    assert_eq!(find(&conn, id).unwrap().unwrap().moved_to_voice, Some(at(2)));
    assert_eq!(events(&conn, id), ["opened", "flagged", "flag_cleared", "moved_to_voice", "closed"]);
}

#[test]
fn a_number_keeps_one_open_thread() {
    let conn = in_memory();
    let tx = tx(&conn);
    let old = thread(&tx, MARIA, 0);
    close(&tx, old, Resolution::Answered, "ana", at(1)).unwrap();
    let new = thread(&tx, MARIA, 2);
    assert!(!reopen(&tx, old, "ana", at(3)).unwrap());
    assert_eq!(open_of(&conn, &PhoneNumber::e164(MARIA).unwrap()).unwrap(), Some(new));
}

#[test]
fn two_threads_become_one_that_waits_for_both() {
    let conn = in_memory();
    let tx = tx(&conn);
    let (maria, john) = (thread(&tx, MARIA, 0), thread(&tx, JOHN, 1));
    escalate(&tx, maria, "clinical", "ana", at(2)).unwrap();
    flag(&tx, maria, "chest pain", at(2)).unwrap();
    escalate(&tx, john, "clinical", "ana", at(5)).unwrap();
    one(&tx, maria, john, Kept::AsItIs, 6);
    let kept = find(&conn, john).unwrap().unwrap();
    assert_eq!((kept.waiting_since, kept.red_flag.as_deref()), (Some(at(2)), Some("chest pain")));
    assert!(!events(&conn, maria).contains(&"flag_cleared".to_owned()), "it goes on in the other");
    let gone = find(&conn, maria).unwrap().unwrap();
    assert_eq!((gone.state, gone.merged_into), (ThreadState::Closed, Some(john)));
    assert_eq!(latest(&conn, &gone.number).unwrap(), None, "the next text opens a thread of its own");
    assert!(!reopen(&tx, maria, "ana", at(8)).unwrap());
}

#[test]
fn an_open_thread_continues_in_the_earlier_one_of_its_number() {
    let conn = in_memory();
    let tx = tx(&conn);
    let old = thread(&tx, MARIA, 0);
    close(&tx, old, Resolution::Answered, "ana", at(1)).unwrap();
    let new = thread(&tx, MARIA, 2);
    one(&tx, new, old, Kept::Reopened, 3);
    let kept = latest(&conn, &PhoneNumber::e164(MARIA).unwrap()).unwrap().unwrap();
    assert_eq!((kept.id, kept.state), (old, ThreadState::Open));
    let third = thread(&tx, JOHN, 4);
    one(&tx, old, third, Kept::AsItIs, 5);
    let parts: Vec<_> = super::super::merged_into(&conn, third).unwrap().into_iter().map(|part| part.id).collect();
    assert_eq!(parts, [old, new], "what was a part of a part is a part");
}
