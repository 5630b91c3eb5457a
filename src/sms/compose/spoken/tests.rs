use jiff::SignedDuration;

use super::*;
use crate::model::{StaffName, ThreadState};
use crate::store::tests::{in_memory, tx};
use crate::store::{Connection, consents, queue, timeline};

fn at(second: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn patient() -> PhoneNumber {
    PhoneNumber::e164("+16462530142").unwrap()
}

fn left(caller: Caller, second: i64) -> LeftMessage {
    let id = VoicemailId::new(at(second));
    LeftMessage {
        id,
        call: CallId::new(at(second)),
        node: "voicemail:desk".into(),
        caller,
        audio: Stored { file: format!("voicemail/2026/{id}.wav"), sha256: "abc".into() },
        length: Duration::from_secs(12),
        reason: Some("refill".into()),
        team: Some("nurses".into()),
        language: Language::default(),
        now: at(second),
    }
}

fn asked(second: i64) -> AskedCallback {
    AskedCallback {
        id: CallbackId::new(at(second)),
        call: CallId::new(at(second)),
        node: "callback:desk".into(),
        to: patient(),
        place: Some(("queue:desk".into(), 2, at(second - 300))),
        hours: Some("hours:clinic".into()),
        due_at: at(second),
        due_until: at(second + 3600),
        last_at: at(second + 7200),
        most: 10,
        reason: None,
        language: Language::default(),
        now: at(second),
    }
}

/// The call must have its row for the timeline to show it.
fn call(conn: &Connection, call: CallId, second: i64) {
    let sql = "INSERT INTO calls (id, direction, caller, started_at) VALUES (?1, 'inbound', ?2, ?3)";
    conn.execute(sql, (call.to_string(), patient().as_str(), at(second).as_microsecond())).unwrap();
}

#[test]
fn a_message_opens_a_thread_for_its_team_and_consents_to_nothing() {
    let conn = in_memory();
    let message = left(Caller::Number(patient()), 60);
    call(&conn, message.call, 30);
    let thread = keep_message(&tx(&conn), &message).unwrap().unwrap();
    assert_eq!(keep_message(&tx(&conn), &message).unwrap(), Some(thread), "told twice, kept once");
    let kept = threads::find(&conn, thread).unwrap().unwrap();
    assert_eq!((kept.team.as_deref(), kept.reason.as_deref()), (Some("nurses"), Some("refill")));
    assert_eq!((kept.opened_by, kept.waiting_since), (OpenedBy::Call, Some(at(60))));
    assert_eq!(consents::state(&conn, &patient()).unwrap(), None);

    let reader = StaffName::parse("ana").unwrap();
    let rows = queue::page(&conn, &queue::View::All, &queue::Filter::default(), &reader, None).unwrap().rows;
    assert_eq!((rows.len(), rows[0].last_spoken, rows[0].unread), (1, Some(threads::Spoken::Voicemail), true));
    let page = timeline::page(&conn, &kept, None).unwrap();
    let calls: Vec<_> = page
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            timeline::What::Call(call) => Some(call),
            _ => None,
        })
        .collect();
    assert_eq!((calls.len(), calls[0].voicemails[0].id), (1, message.id));
}

#[test]
fn a_second_message_goes_into_the_open_thread_and_leaves_its_team() {
    let conn = in_memory();
    let thread = keep_message(&tx(&conn), &left(Caller::Number(patient()), 0)).unwrap().unwrap();
    threads::set_team(&tx(&conn), thread, Some("billing"), "ana", at(10)).unwrap();
    assert_eq!(keep_message(&tx(&conn), &left(Caller::Number(patient()), 60)).unwrap(), Some(thread));
    assert_eq!(threads::find(&conn, thread).unwrap().unwrap().team.as_deref(), Some("billing"));
    threads::close(&tx(&conn), thread, crate::model::Resolution::Answered, "ana", at(70)).unwrap();
    let other = keep_message(&tx(&conn), &left(Caller::Number(patient()), 80)).unwrap();
    assert!(other.is_some_and(|other| other != thread), "a new call is a new matter");
}

#[test]
fn a_message_of_an_unknown_number_stands_alone_until_it_is_filed() {
    let conn = in_memory();
    let (anonymous, other) = (left(Caller::Anonymous, 0), left(Caller::Other("reception".to_owned().into()), 1));
    for message in [&anonymous, &other] {
        assert_eq!(keep_message(&tx(&conn), message).unwrap(), None);
    }
    assert_eq!(voicemails::loose(&conn, None, 10).unwrap().len(), 2);
    let thread = file_message(&tx(&conn), anonymous.id, &patient(), "ana", at(60)).unwrap().unwrap();
    assert_eq!(file_message(&tx(&conn), anonymous.id, &patient(), "ana", at(61)).unwrap(), None);
    let kept = threads::find(&conn, thread).unwrap().unwrap();
    assert_eq!((kept.state, kept.waiting_since), (ThreadState::Open, Some(at(60))));
    assert_eq!(consents::state(&conn, &patient()).unwrap(), None);
}

#[test]
fn a_call_back_is_booked_once_in_the_thread_of_its_number() {
    let conn = in_memory();
    let thread = keep_message(&tx(&conn), &left(Caller::Number(patient()), 0)).unwrap().unwrap();
    let first = asked(60);
    assert_eq!(book_callback(&tx(&conn), &first).unwrap(), Ok(thread));
    assert_eq!(book_callback(&tx(&conn), &first).unwrap(), Ok(thread), "told twice, booked once");
    assert_eq!(book_callback(&tx(&conn), &asked(70)).unwrap(), Err(NotBooked::Already));
    let booked = callbacks::find(&conn, first.id).unwrap().unwrap();
    assert_eq!((booked.line.as_deref(), booked.priority, booked.since), (Some("queue:desk"), 2, at(-240)));
    assert_eq!(threads::find(&conn, thread).unwrap().unwrap().waiting_since, Some(at(0)), "the longer wait counts");
}

#[test]
fn a_text_that_is_taken_back_leaves_what_was_said_before_it() {
    use crate::store::messages::{MessageKind, NewMessage};
    use crate::store::outbox;
    let conn = in_memory();
    let thread = keep_message(&tx(&conn), &left(Caller::Number(patient()), 0)).unwrap().unwrap();
    let answer = NewMessage {
        id: crate::model::MessageId::new(at(60)),
        thread,
        kind: MessageKind::Chat,
        author: "ana".into(),
        from: PhoneNumber::e164("+12125550100").unwrap(),
        to: patient(),
        body: "On it.".to_owned().into(),
        media: Vec::new(),
        call: None,
        once: None,
        at: at(60),
    };
    outbox::enqueue(&tx(&conn), &answer, at(900)).unwrap();
    assert_eq!(threads::find(&conn, thread).unwrap().unwrap().waiting_since, None);
    assert!(outbox::take_back(&tx(&conn), answer.id, "ana", at(62)).unwrap().is_some());
    let reader = StaffName::parse("bo").unwrap();
    let rows = queue::page(&conn, &queue::View::All, &queue::Filter::default(), &reader, None).unwrap().rows;
    assert_eq!((rows[0].waiting_since, rows[0].last_spoken), (Some(at(0)), Some(threads::Spoken::Voicemail)));
}
