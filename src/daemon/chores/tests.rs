use super::*;
use crate::conversation::attendance;
use crate::conversation::templates::Templates;
use crate::events::Events;
use crate::model::{
    CallId, Consent, ConsentMethod, ConsentState, Language, MessageId, OpenedBy, PersonId, PhoneNumber, RecordingId,
    ThreadId, ThreadState, VoicemailId,
};
use crate::store::audio::Audio;
use crate::store::messages::{MessageKind, NewMessage};
use crate::store::people::Contact;
use crate::store::recordings::Recording;
use crate::store::staff::Staff;
use crate::store::tests::{in_memory, tx};
use crate::store::threads::{NewThread, Thread, find};
use crate::store::voicemails::Voicemail;
use crate::store::{Connection, Store, audit, consents, inbound, outbox, people};

/// A clinic that is open by day: Monday to Friday, 8 to 17.
fn rules() -> Rules {
    let opening = |text: &str| attendance::parse(text).unwrap().iter().filter_map(attendance::opening).collect();
    let messages = "[anything_else]\nen = \"Anything else, {first_name}?\"\nes = \"¿Algo más, {first_name}?\"";
    let (templates, _) = Templates::parse(Path::new("messages.toml"), messages, &Language::default()).unwrap();
    Rules {
        close_silent_after: Duration::from_secs(72 * 3600),
        hours: Some(Hours { open: opening("mon-fri 08:00-17:00"), closed: Default::default() }),
        zone: TimeZone::UTC,
        question: Question {
            from: PhoneNumber::e164("+16462530100").unwrap(),
            templates: Arc::new(templates),
            values: Default::default(),
            language: Language::default(),
            expire_after: Duration::from_secs(3600),
        },
    }
}

fn at(hour: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

/// One thread in which the patient has asked and Ana has answered.
struct Desk {
    conn: Connection,
    thread: ThreadId,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { conn: in_memory(), thread: ThreadId::new(at(0)) };
        let tx = tx(&desk.conn);
        let (number, opened_by) = (PhoneNumber::e164("+16462530142").unwrap(), OpenedBy::Text);
        let opening =
            NewThread { id: desk.thread, number, reason: None, language: None, opened_by, call: None, at: at(0) };
        threads::open(&tx, &opening).unwrap();
        drop(tx);
        desk.asks(0);
        desk.answers(0);
        desk
    }

    fn message(&self, author: &str, hour: i64) -> NewMessage {
        NewMessage {
            id: MessageId::new(at(hour)),
            thread: self.thread,
            kind: MessageKind::Chat,
            author: author.into(),
            from: PhoneNumber::e164("+16462530142").unwrap(),
            to: PhoneNumber::e164("+16462530100").unwrap(),
            body: "Hello".to_owned().into(),
            media: Vec::new(),
            call: None,
            once: None,
            at: at(hour),
        }
    }

    fn asks(&self, hour: i64) {
        let message = self.message("patient", hour);
        inbound::store(&tx(&self.conn), &message, "twilio", &message.id.to_string()).unwrap();
    }

    fn answers(&self, hour: i64) {
        let mut message = self.message("ana", hour);
        std::mem::swap(&mut message.from, &mut message.to);
        let tx = tx(&self.conn);
        outbox::enqueue(&tx, &message, at(hour + 1)).unwrap();
        outbox::lease(&tx, at(hour), 9).unwrap();
        outbox::sent(&tx, message.id, "twilio", &message.id.to_string(), crate::model::MessageStatus::Sent, at(hour))
            .unwrap();
    }

    fn turn(&self, hour: i64) -> usize {
        self.at(at(hour))
    }

    fn at(&self, now: Timestamp) -> usize {
        run_due(&tx(&self.conn), now, &rules()).unwrap()
    }

    /// The patient may be texted, and is known by name.
    fn knows(&self, name: &str, language: &str) {
        let number = PhoneNumber::e164("+16462530142").unwrap();
        let (tx, at) = (tx(&self.conn), at(0));
        let consent = Consent::new(number.clone(), ConsentState::Granted, ConsentMethod::Text, "patient", at);
        consents::append(&tx, &consent).unwrap();
        let contact = Contact {
            id: PersonId::new(at),
            number,
            name: name.into(),
            on_behalf_of: None,
            language: Some(Language::parse(language).unwrap()),
            note: String::new(),
        };
        people::add(&tx, &contact, "ana", at).unwrap();
    }

    /// What is in the outbox.
    fn waiting(&self) -> Vec<String> {
        let mut query = self.conn.prepare("SELECT body FROM outbox JOIN messages m ON m.id = message").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn thread(&self) -> Thread {
        find(&self.conn, self.thread).unwrap().unwrap()
    }

    fn staff(&self, name: &str, away_until: Option<Timestamp>) -> StaffName {
        let staff = Staff {
            name: name.parse().unwrap(),
            shown_as: name.into(),
            roles: "front_desk".parse().unwrap(),
            team: None,
            language: Language::default(),
            away_until,
            disabled_at: None,
        };
        staff::add(&tx(&self.conn), &staff, "system", at(0)).unwrap();
        if let Some(until) = away_until {
            let until = until.as_microsecond();
            self.conn.execute("UPDATE staff SET away_until = ?1 WHERE name = ?2", (until, name)).unwrap();
        }
        staff.name
    }
}

#[test]
fn what_was_snoozed_comes_back_when_its_time_has_come() {
    let desk = Desk::new();
    threads::snooze(&tx(&desk.conn), desk.thread, at(3), "ana", at(1)).unwrap();
    assert_eq!(threads::next_due(&desk.conn).unwrap(), Some(at(3)));
    assert_eq!((desk.turn(2), desk.thread().state), (0, ThreadState::Snoozed));
    assert_eq!((desk.turn(3), desk.thread().state), (1, ThreadState::Open));
    assert_eq!((desk.turn(3), threads::next_due(&desk.conn).unwrap()), (0, None));
}

#[test]
fn a_follow_up_makes_the_thread_wait_also_one_that_was_snoozed() {
    let desk = Desk::new();
    threads::follow_up(&tx(&desk.conn), desk.thread, Some(at(5)), "ana", at(1)).unwrap();
    threads::snooze(&tx(&desk.conn), desk.thread, at(50), "ana", at(1)).unwrap();
    assert_eq!(desk.turn(4), 0);
    assert_eq!(desk.turn(5), 1);
    let thread = desk.thread();
    assert_eq!((thread.state, thread.waiting_since, thread.follow_up_at), (ThreadState::Open, Some(at(5)), None));
}

#[test]
fn silence_closes_a_thread_after_its_time_and_only_then() {
    let desk = Desk::new();
    assert_eq!((desk.turn(71), desk.thread().state), (0, ThreadState::Open));
    assert_eq!(desk.turn(72), 1);
    assert_eq!(desk.thread().resolution, Some(Resolution::Silent));
    assert_eq!(desk.turn(1_000), 0);
    audit::verify(&desk.conn).unwrap();
}

#[test]
fn who_wrote_with_a_person_is_asked_once_by_day_before_silence_closes() {
    let desk = Desk::new();
    desk.knows("Rosa Diaz", "es");
    desk.answers(9); // Monday at 18:00; the time is over on Thursday at 18:00, when the clinic is closed.
    assert_eq!((desk.turn(81), desk.waiting().len()), (0, 0));
    assert_eq!(desk.turn(94), 0, "Friday at 7:00");
    assert_eq!(desk.turn(95), 1);
    assert_eq!(desk.waiting(), ["¿Algo más, Rosa?"]);
    assert_eq!((desk.turn(95), desk.thread().close_offered_at), (0, Some(at(95))), "once");
    let sent = outbox::lease(&tx(&desk.conn), at(95), 9).unwrap()[0].message;
    outbox::sent(&tx(&desk.conn), sent, "twilio", "q", crate::model::MessageStatus::Sent, at(95)).unwrap();
    assert_eq!((desk.turn(98), desk.thread().state), (0, ThreadState::Open));
    assert_eq!((desk.turn(99), desk.thread().resolution), (1, Some(Resolution::Silent)));
}

#[test]
fn who_opted_out_or_whose_name_is_not_known_is_not_asked() {
    let (shared, out) = (Desk::new(), Desk::new());
    shared.knows("Rosa Diaz", "es");
    shared.knows("Luis Diaz", "es");
    out.knows("Rosa Diaz", "es");
    out.conn.execute("UPDATE consents SET state = 'revoked'", []).unwrap();
    for desk in [shared, out] {
        assert_eq!((desk.turn(72), desk.waiting().len()), (1, 0));
        assert_eq!(desk.thread().resolution, Some(Resolution::Silent));
    }
}

#[test]
fn an_unanswered_offer_closes_it_sooner_and_an_answer_takes_it_off() {
    let desk = Desk::new();
    threads::close_offered(&tx(&desk.conn), desk.thread, "ana", at(1)).unwrap();
    assert_eq!(desk.turn(4), 0);
    assert_eq!((desk.turn(5), desk.thread().resolution), (1, Some(Resolution::Silent)));
    let answered = Desk::new();
    threads::close_offered(&tx(&answered.conn), answered.thread, "ana", at(1)).unwrap();
    answered.asks(2);
    assert_eq!(answered.turn(6), 0);
}

#[test]
fn nothing_closes_upon_who_waits_or_what_is_held() {
    let waits = Desk::new();
    waits.asks(1);
    assert_eq!(waits.turn(1_000), 0);
    type Hold = fn(&Tx<'_>, ThreadId);
    let holds: [Hold; 3] = [
        |tx, thread| assert!(threads::flag(tx, thread, "chest pain", at(1)).unwrap()),
        |tx, thread| assert!(threads::follow_up(tx, thread, Some(at(5_000)), "ana", at(1)).unwrap()),
        |tx, thread| assert!(threads::snooze(tx, thread, at(5_000), "ana", at(1)).unwrap()),
    ];
    for hold in holds {
        let desk = Desk::new();
        hold(&tx(&desk.conn), desk.thread);
        assert_eq!(desk.turn(1_000), 0);
    }
    let scheduled = Desk::new();
    let mut later = scheduled.message("ana", 1);
    std::mem::swap(&mut later.from, &mut later.to);
    outbox::enqueue_later(&tx(&scheduled.conn), &later, at(2_000), at(2_001)).unwrap();
    assert_eq!(scheduled.turn(1_000), 0);
    let failed = Desk::new();
    let mut text = failed.message("ana", 1);
    std::mem::swap(&mut text.from, &mut text.to);
    outbox::enqueue(&tx(&failed.conn), &text, at(2)).unwrap();
    outbox::lease(&tx(&failed.conn), at(1), 9).unwrap();
    outbox::failed(&tx(&failed.conn), text.id, "a landline", at(1)).unwrap();
    assert_eq!(failed.turn(1_000), 0, "somebody must call them");
}

#[test]
fn who_is_away_gives_back_what_waits_and_nothing_else() {
    let desk = Desk::new();
    let ana = desk.staff("ana", Some(at(100)));
    threads::assign(&tx(&desk.conn), desk.thread, Some(&ana), "bo", at(1)).unwrap();
    assert_eq!((desk.turn(2), desk.thread().owner), (0, Some(ana.clone())), "nobody waits in it");
    desk.asks(3);
    assert_eq!((desk.turn(3), desk.thread().owner), (1, None));
    threads::assign(&tx(&desk.conn), desk.thread, Some(&ana), "bo", at(4)).unwrap();
    assert_eq!((desk.turn(102), desk.thread().owner), (0, Some(ana)), "she is back, on Friday at 15:00");
}

#[test]
fn what_waits_for_who_is_outside_their_hours_is_their_teams() {
    let desk = Desk::new();
    let ben = desk.staff("ben", None);
    desk.conn.execute("UPDATE staff SET team = 'front_desk'", []).unwrap();
    let shifts = attendance::parse("mon,tue 09:00-13:00").unwrap();
    staff::set_hours(&tx(&desk.conn), &ben, &shifts, "ben", at(0)).unwrap();
    let minute = |hour: i64, minute: i64| at(hour) + SignedDuration::from_mins(minute);
    let take = |now| threads::assign(&tx(&desk.conn), desk.thread, Some(&ben), "ben", now).unwrap();
    desk.asks(1);
    take(at(1));
    let (owner, team) = (|| desk.thread().owner, || desk.thread().team);
    // Monday: the last minute, and the end.
    assert_eq!((desk.at(minute(3, 59)), owner()), (0, Some(ben.clone())));
    assert_eq!((desk.at(at(4)), owner(), team().as_deref()), (1, None, Some("front_desk")));
    // Tuesday: a minute before they begin, and the beginning. A team that was chosen stays.
    threads::set_team(&tx(&desk.conn), desk.thread, Some("clinical"), "bo", at(5)).unwrap();
    take(at(23));
    assert_eq!((desk.at(minute(23, 59)), owner(), team().as_deref()), (1, None, Some("clinical")));
    take(minute(23, 59));
    assert_eq!((desk.at(at(24)), owner()), (0, Some(ben.clone())));
    // Who works late keeps what is theirs until they stop.
    let sql =
        "INSERT INTO sessions (id, staff, created_at, seen_at, address, device) VALUES ('s', 'ben', 0, ?, '', '')";
    desk.conn.execute(sql, [minute(28, 10).as_microsecond()]).unwrap();
    assert_eq!(desk.at(minute(28, 20)), 0);
    assert_eq!((desk.at(minute(28, 25)), owner()), (1, None));
}

#[test]
fn a_red_flag_does_not_wait_for_who_is_away() {
    let desk = Desk::new();
    let ana = desk.staff("ana", Some(at(100)));
    threads::assign(&tx(&desk.conn), desk.thread, Some(&ana), "bo", at(1)).unwrap();
    threads::flag(&tx(&desk.conn), desk.thread, "chest pain", at(1)).unwrap();
    assert_eq!((desk.turn(1), desk.thread().owner), (1, None));
}

#[test]
fn what_was_kept_for_long_enough_is_deleted_a_few_at_a_time_and_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    let (files, conn, day) = (store.audio(), in_memory(), 24);
    let retention = Retention::default();
    let mut kept = Vec::new();
    // Messages, one a day; and as many conversations, each with its own time.
    for days in 0..100 {
        let (now, id) = (at(days * day), VoicemailId::new(at(days * day)));
        let stored = files.write(Audio::Voicemail, &id.to_string(), now, b"RIFF").unwrap();
        kept.push(stored.file.clone());
        let voicemail = Voicemail {
            id,
            call: CallId::new(now),
            node: "voicemail:desk".into(),
            thread: None,
            recorded_at: now,
            length: Duration::from_secs(9),
            language: Language::default(),
            team: None,
            reason: None,
            file: stored.file,
            sha256: stored.sha256,
            heard: None,
            deleted_at: None,
        };
        voicemails::add(&tx(&conn), &voicemail).unwrap();
        let id = RecordingId::new(now);
        let stored = files.write(Audio::Recording, &id.to_string(), now, b"RIFF").unwrap();
        kept.push(stored.file.clone());
        let recording = Recording {
            id,
            call: CallId::new(now),
            node: "queue:desk".into(),
            started_at: now,
            length: Duration::from_secs(9),
            file: stored.file,
            sha256: stored.sha256,
            delete_after: now + SignedDuration::from_hours(30 * day),
        };
        recordings::add(&tx(&conn), &recording, now).unwrap();
    }
    let left = || kept.iter().filter(|file| files.path(file).unwrap().exists()).count();
    let round = |hour| delete_audio(&tx(&conn), files, at(hour), retention).unwrap();
    assert_eq!((round(30 * day - 1), left()), (0, 200), "an hour before the first");
    assert_eq!((round(30 * day), left()), (1, 199), "the first conversation");
    // The 100th day: all conversations but thirty, and the messages of the first eleven days.
    assert_eq!((round(100 * day), left()), (MOST_FILES + 11, 168), "no more of a kind at once");
    while round(100 * day) > 0 {}
    assert_eq!(left(), 200 - 71 - 11);
    let of = |action: &str| -> u32 {
        let sql = "SELECT count(*) FROM audit WHERE action = ? AND actor = 'system'";
        conn.query_row(sql, [action], |row| row.get(0)).unwrap()
    };
    assert_eq!((of("recording.deleted"), of("voicemail.deleted")), (71, 11));
}

#[test]
fn traces_are_deleted_after_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let day = |days: i64| (at(0) - SignedDuration::from_hours(24 * days)).to_zoned(TimeZone::UTC).date().to_string();
    for days in [9, 8, 7, 0] {
        std::fs::create_dir_all(dir.path().join("traces").join(day(days))).unwrap();
    }
    assert_eq!(delete_traces(dir.path(), at(0), Retention::default()), Ok(2), "days that were over a week ago");
    assert!(dir.path().join("traces").join(day(7)).exists());
}
