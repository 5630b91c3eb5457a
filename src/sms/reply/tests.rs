use jiff::SignedDuration;

use super::*;
use crate::model::{Consent, ConsentMethod, ConsentState, Kept, Language, OpenedBy, Resolution};
use crate::store::tests::{in_memory, tx};
use crate::store::threads::{NewThread, merge};
use crate::store::{Connection, inbound, new_texts, timeline};

const UNDO: Duration = Duration::from_secs(5);
const EXPIRE: Duration = Duration::from_secs(3600);

fn at(second: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn patient() -> PhoneNumber {
    PhoneNumber::e164("+16462530142").unwrap()
}

fn clinic() -> PhoneNumber {
    PhoneNumber::e164("+16462530100").unwrap()
}

/// A patient's thread with one question in it.
struct Desk {
    conn: Connection,
    thread: ThreadId,
}

impl Desk {
    fn new() -> Desk {
        let conn = in_memory();
        let thread = ThreadId::new(at(0));
        {
            let tx = tx(&conn);
            let opened_by = OpenedBy::Text;
            let language = Some(Language::default());
            let opening =
                NewThread { id: thread, number: patient(), reason: None, language, opened_by, call: None, at: at(0) };
            threads::open(&tx, &opening).unwrap();
        }
        let desk = Desk { conn, thread };
        for staff in ["ana", "bo"] {
            desk.conn
                .execute(
                    "INSERT INTO staff (name, shown_as, roles, language, created_at) VALUES (?, ?, 'front_desk', 'en', 0)",
                    [staff, staff],
                )
                .unwrap();
        }
        desk.consent(ConsentState::Granted);
        desk.asks(0);
        desk
    }

    fn consent(&self, state: ConsentState) {
        let consent = Consent::new(patient(), state, ConsentMethod::Text, "patient", at(0));
        consents::append(&tx(&self.conn), &consent).unwrap();
    }

    fn asks(&self, second: i64) {
        let message = NewMessage {
            id: MessageId::new(at(second)),
            thread: self.thread,
            kind: MessageKind::Chat,
            author: "patient".into(),
            from: patient(),
            to: clinic(),
            body: "Are you open?".to_owned().into(),
            media: Vec::new(),
            call: None,
            once: None,
            at: at(second),
        };
        inbound::store(&tx(&self.conn), &message, "twilio", &message.id.to_string()).unwrap();
    }

    fn by(&self, author: &str, form: &str, second: i64) -> Reply {
        Reply {
            thread: self.thread,
            author: author.parse().unwrap(),
            from: clinic(),
            body: format!("Yes, says {author}.").into(),
            seen: timeline::version(&self.conn, self.thread).unwrap(),
            form: form.into(),
            send_at: None,
            undo: UNDO,
            expire_after: EXPIRE,
            now: at(second),
        }
    }

    fn send(&self, reply: &Reply) -> Result<Replied, NotSent> {
        super::reply(&tx(&self.conn), reply).unwrap()
    }

    fn thread(&self) -> Thread {
        threads::find(&self.conn, self.thread).unwrap().unwrap()
    }

    fn draft(&self, staff: &str) -> Option<String> {
        drafts::find(&self.conn, &staff.parse().unwrap(), self.thread).unwrap().map(Private::into_inner)
    }
}

#[test]
fn an_answer_takes_the_thread_and_ends_the_wait() {
    let desk = Desk::new();
    threads::snooze(&tx(&desk.conn), desk.thread, at(900), "bo", at(1)).unwrap();
    drafts::save(&tx(&desk.conn), &"ana".parse().unwrap(), desk.thread, "Yes", at(1)).unwrap();
    let sent = desk.send(&desk.by("ana", "f1", 2)).unwrap();
    assert_eq!(sent.due_at, at(7), "it can be taken back for a while");
    let thread = desk.thread();
    assert_eq!(thread.owner, Some("ana".parse().unwrap()));
    assert_eq!(thread.waiting_since, None);
    assert_eq!((thread.state, thread.snoozed_until), (ThreadState::Open, None));
    assert_eq!(desk.draft("ana"), None);
    assert!(outbox::lease(&tx(&desk.conn), at(6), 9).unwrap().is_empty());
    assert_eq!(outbox::lease(&tx(&desk.conn), at(7), 9).unwrap().len(), 1);
}

#[test]
fn a_red_flag_stays_until_the_answer_is_with_the_gateway() {
    let desk = Desk::new();
    threads::flag(&tx(&desk.conn), desk.thread, "chest pain", at(1)).unwrap();
    let flag = || desk.thread().red_flag;
    let lease = |second: i64| assert_eq!(outbox::lease(&tx(&desk.conn), at(second), 9).unwrap().len(), 1);
    // Taken back.
    let undone = desk.send(&desk.by("ana", "f1", 2)).unwrap();
    take_back(&tx(&desk.conn), undone.message, &"ana".parse().unwrap(), at(3)).unwrap().unwrap();
    assert!(flag().is_some() && desk.thread().waiting_since == Some(at(0)));
    // Refused by the gateway.
    let refused = desk.send(&desk.by("ana", "f2", 4)).unwrap();
    lease(9);
    outbox::failed(&tx(&desk.conn), refused.message, "a landline", at(9)).unwrap();
    assert!(flag().is_some());
    // Sent later; the patient writes again meanwhile.
    let later = desk.send(&Reply { send_at: Some(at(7_200)), ..desk.by("ana", "f3", 10) }).unwrap();
    assert!(flag().is_some());
    desk.asks(600);
    lease(7_200);
    outbox::sent(&tx(&desk.conn), later.message, "g", "1", MessageStatus::Sent, at(7_201)).unwrap();
    assert!(flag().is_some(), "what was asked since is not answered");
    let gone = desk.send(&desk.by("ana", "f4", 7_300)).unwrap();
    lease(7_305);
    outbox::sent(&tx(&desk.conn), gone.message, "g", "2", MessageStatus::Sent, at(7_306)).unwrap();
    assert_eq!(flag(), None);
    let sql = "SELECT actor FROM thread_events WHERE what = 'flag_cleared'";
    assert_eq!(desk.conn.query_row(sql, [], |row| row.get(0)), Ok("ana".to_owned()));
}

#[test]
fn what_is_taken_back_gives_back_the_wait_also_of_clinical_staff_and_of_a_closed_thread() {
    let desk = Desk::new();
    let ana: StaffName = "ana".parse().unwrap();
    desk.send(&desk.by("ana", "f1", 2)).unwrap();
    threads::escalate(&tx(&desk.conn), desk.thread, "clinical", "ana", at(3)).unwrap();
    let undone = desk.send(&desk.by("ana", "f2", 4)).unwrap();
    threads::close(&tx(&desk.conn), desk.thread, Resolution::Answered, "ana", at(5)).unwrap();
    take_back(&tx(&desk.conn), undone.message, &ana, at(6)).unwrap().unwrap();
    let thread = desk.thread();
    assert_eq!((thread.state, thread.waiting_since), (ThreadState::Open, Some(at(3))));
}

#[test]
fn a_form_sent_twice_is_one_text() {
    let desk = Desk::new();
    let form = desk.by("ana", "f1", 2);
    let first = desk.send(&form).unwrap();
    assert_eq!(desk.send(&Reply { now: at(3), ..form.clone() }).unwrap().message, first.message);
    assert_eq!(outbox::size(&desk.conn).unwrap(), 1);
    // The same form by somebody else is theirs.
    let other = desk.send(&Reply { author: "bo".parse().unwrap(), seen: i64::MAX, ..form }).unwrap();
    assert_ne!(other.message, first.message);
}

#[test]
fn who_answers_what_another_has_answered_is_told_so() {
    let desk = Desk::new();
    let (ana, bo) = (desk.by("ana", "f1", 2), desk.by("bo", "f2", 2));
    desk.send(&ana).unwrap();
    let Err(NotSent::Overtaken { by, body, .. }) = desk.send(&bo) else { panic!("both were sent") };
    assert_eq!((by.as_str(), body.expose().as_str()), ("ana", "Yes, says ana."));
    assert_eq!(desk.thread().owner, Some("ana".parse().unwrap()));
    // One's own answer overtakes nobody, and what is seen is no surprise.
    desk.send(&Reply { form: "f3".into(), ..ana }).unwrap();
    desk.send(&Reply { seen: timeline::version(&desk.conn, desk.thread).unwrap(), ..bo }).unwrap();
}

#[test]
fn what_was_taken_back_overtakes_nobody_and_the_patient_waits_again() {
    let desk = Desk::new();
    let (ana, bo) = (desk.by("ana", "f1", 2), desk.by("bo", "f2", 3));
    let sent = desk.send(&ana).unwrap();
    let thread = take_back(&tx(&desk.conn), sent.message, &"ana".parse().unwrap(), at(4)).unwrap();
    assert_eq!(thread, Some(desk.thread));
    assert_eq!(desk.draft("ana").as_deref(), Some("Yes, says ana."));
    assert_eq!(desk.thread().waiting_since, Some(at(0)));
    assert_eq!(messages::status(&desk.conn, sent.message).unwrap(), Some(MessageStatus::Cancelled));
    assert_eq!(take_back(&tx(&desk.conn), sent.message, &"ana".parse().unwrap(), at(4)).unwrap(), None);
    assert_ne!(desk.send(&ana).unwrap().message, sent.message, "the same form may be sent again");
    take_back(&tx(&desk.conn), desk.send(&ana).unwrap().message, &"ana".parse().unwrap(), at(4)).unwrap();
    desk.send(&bo).unwrap();
}

#[test]
fn what_is_on_its_way_stays_on_it_and_no_machine_text_is_taken_back() {
    let desk = Desk::new();
    let sent = desk.send(&desk.by("ana", "f1", 2)).unwrap();
    outbox::lease(&tx(&desk.conn), at(7), 9).unwrap();
    assert_eq!(take_back(&tx(&desk.conn), sent.message, &"ana".parse().unwrap(), at(7)).unwrap(), None);
    assert_eq!(desk.draft("ana"), None);
    let machine = NewMessage {
        author: "system".into(),
        once: None,
        ..text(&desk.thread(), &desk.by("ana", "f2", 9), MessageKind::Offer, String::new())
    };
    outbox::enqueue(&tx(&desk.conn), &machine, at(999)).unwrap();
    assert_eq!(take_back(&tx(&desk.conn), machine.id, &"ana".parse().unwrap(), at(9)).unwrap(), None);
}

#[test]
fn nothing_goes_without_consent_words_or_a_place() {
    let desk = Desk::new();
    let form = desk.by("ana", "f1", 2);
    let with = |body: &str| Reply { body: body.to_owned().into(), ..form.clone() };
    assert_eq!(desk.send(&with(" \n")), Err(NotSent::Empty));
    assert_eq!(desk.send(&with(&"x".repeat(1_601))), Err(NotSent::TooLong(1_601)));
    assert_eq!(desk.send(&Reply { thread: ThreadId::new(at(9)), ..form.clone() }), Err(NotSent::Missing));
    assert_eq!(desk.send(&Reply { from: patient(), ..form.clone() }), Err(NotSent::Untextable));
    desk.consent(ConsentState::Revoked);
    assert_eq!(desk.send(&form), Err(NotSent::Consent(Refusal::OptedOut)));
    assert_eq!(outbox::size(&desk.conn).unwrap(), 0);
    assert_eq!(desk.thread().owner, None);
}

#[test]
fn an_answer_opens_a_closed_thread_again_but_not_beside_an_open_one() {
    let desk = Desk::new();
    threads::close(&tx(&desk.conn), desk.thread, Resolution::Answered, "bo", at(1)).unwrap();
    desk.send(&desk.by("ana", "f1", 2)).unwrap();
    assert_eq!(desk.thread().state, ThreadState::Open);
    threads::close(&tx(&desk.conn), desk.thread, Resolution::Answered, "bo", at(3)).unwrap();
    let other = ThreadId::new(at(4));
    let opened_by = OpenedBy::Call;
    let opening =
        NewThread { id: other, number: patient(), reason: None, language: None, opened_by, call: None, at: at(4) };
    threads::open(&tx(&desk.conn), &opening).unwrap();
    assert_eq!(desk.send(&desk.by("ana", "f2", 5)), Err(NotSent::Elsewhere(other)));
    let [gone, kept] = [desk.thread, other].map(|id| threads::find(&desk.conn, id).unwrap().unwrap());
    merge(&tx(&desk.conn), &gone, &kept, Kept::AsItIs, "ana", at(6)).unwrap();
    assert_eq!(desk.send(&desk.by("ana", "f3", 7)), Err(NotSent::Merged(other)));
}

#[test]
fn what_is_sent_later_waits_and_can_be_hurried() {
    let desk = Desk::new();
    let later = Reply { send_at: Some(at(7_200)), ..desk.by("ana", "f1", 2) };
    let sent = desk.send(&later).unwrap();
    assert_eq!(sent.due_at, at(7_200));
    assert_eq!(outbox::expire(&tx(&desk.conn), at(7_199)).unwrap(), 0, "it expires after its own time");
    let ana = "ana".parse().unwrap();
    assert!(send_now(&tx(&desk.conn), sent.message, &ana, EXPIRE, at(60)).unwrap());
    assert!(!send_now(&tx(&desk.conn), sent.message, &ana, EXPIRE, at(60)).unwrap());
    assert_eq!(outbox::lease(&tx(&desk.conn), at(60), 9).unwrap().len(), 1);
}

#[test]
fn what_is_sent_later_ends_the_wait_when_it_goes_and_not_of_what_came_since() {
    let desk = Desk::new();
    let since = desk.thread().waiting_since;
    assert!(since.is_some());
    let later = Reply { send_at: Some(at(7_200)), ..desk.by("ana", "f1", 2) };
    desk.send(&later).unwrap();
    assert_eq!(desk.thread().waiting_since, since, "they wait still");
    desk.asks(600);
    assert_eq!(outbox::lease(&tx(&desk.conn), at(7_200), 9).unwrap().len(), 1);
    assert_eq!(desk.thread().waiting_since, Some(at(600)), "this was asked after the answer was written");
    // What goes at once answered everything when it was written.
    desk.send(&desk.by("ana", "f2", 7_300)).unwrap();
    assert_eq!(desk.thread().waiting_since, None);
    desk.asks(7_302);
    outbox::lease(&tx(&desk.conn), at(7_400), 9).unwrap();
    assert_eq!(desk.thread().waiting_since, Some(at(7_302)));
}

#[test]
fn what_failed_is_sent_again_once() {
    let desk = Desk::new();
    let form = desk.by("ana", "f1", 2);
    let sent = desk.send(&form).unwrap();
    assert_eq!(resend(&tx(&desk.conn), sent.message, &form).unwrap(), Err(NotSent::Forged), "it is still waiting");
    outbox::lease(&tx(&desk.conn), at(7), 9).unwrap();
    outbox::unknown(&tx(&desk.conn), sent.message, "no answer", at(8)).unwrap();
    assert_eq!(desk.thread().undeliverable.as_deref(), Some("no answer"));
    let again = Reply { now: at(9), ..form };
    let second = resend(&tx(&desk.conn), sent.message, &again).unwrap().unwrap();
    assert_ne!(second.message, sent.message);
    assert_eq!(resend(&tx(&desk.conn), sent.message, &again).unwrap().unwrap().message, second.message);
    let written = messages::find(&desk.conn, second.message).unwrap().unwrap();
    assert_eq!(written.body.expose(), "Yes, says ana.");
    outbox::lease(&tx(&desk.conn), at(14), 9).unwrap();
    outbox::sent(&tx(&desk.conn), second.message, "g", "1", MessageStatus::Sent, at(15)).unwrap();
    assert_eq!(desk.thread().undeliverable, None);
}

#[test]
fn what_two_people_send_again_at_once_goes_once_and_the_second_is_told_who_was_first() {
    let desk = Desk::new();
    let sent = desk.send(&desk.by("ana", "f1", 2)).unwrap();
    outbox::lease(&tx(&desk.conn), at(7), 9).unwrap();
    outbox::unknown(&tx(&desk.conn), sent.message, "no answer", at(8)).unwrap();
    // Both see it failed, on pages of the same moment.
    let seen = timeline::version(&desk.conn, desk.thread).unwrap();
    let by = |name: &str, second| Reply { seen, now: at(second), ..desk.by(name, "", second) };
    let first = resend(&tx(&desk.conn), sent.message, &by("bo", 9)).unwrap().unwrap();
    assert_eq!(desk.thread().owner.unwrap().as_str(), "bo", "it is theirs, as with any answer");
    match resend(&tx(&desk.conn), sent.message, &by("ana", 10)).unwrap() {
        Err(NotSent::Overtaken { by, body, .. }) => {
            assert_eq!((by.as_str(), body.expose().as_str()), ("bo", "Yes, says ana."))
        }
        other => panic!("{other:?}"),
    }
    // An answer that was being written meanwhile is stopped by it as well.
    let late = Reply { seen, ..desk.by("ana", "f2", 11) };
    assert!(matches!(desk.send(&late), Err(NotSent::Overtaken { .. })));
    let waiting: i64 = desk.conn.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 1);
    assert_eq!(resend(&tx(&desk.conn), sent.message, &by("bo", 12)).unwrap().unwrap().message, first.message);
}

#[test]
fn an_answer_in_a_closed_thread_leaves_what_its_author_has_begun_to_write_to_the_number() {
    let desk = Desk::new();
    let (ana, tx) = ("ana".parse().unwrap(), tx(&desk.conn));
    threads::close(&tx, desk.thread, Resolution::Answered, "ana", at(1)).unwrap();
    let begun = new_texts::open(&tx, &ana, &patient(), at(1)).unwrap();
    new_texts::save(&tx, &ana, begun, "Another matter", at(1)).unwrap();
    drafts::save(&tx, &ana, desk.thread, "Yes", at(1)).unwrap();
    assert_eq!(desk.draft("ana").as_deref(), Some("Yes"));
    desk.send(&desk.by("ana", "f1", 2)).unwrap();
    assert_eq!(desk.draft("ana").as_deref(), Some("Another matter"), "the thread is open now");
}
