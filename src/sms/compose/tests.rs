//! The use cases against a real database.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::conversation::keywords::Keyword;
use crate::conversation::templates::{Templates, Values, Variable};
use crate::events::{Event, Events};
use crate::model::{MessageStatus, ThreadState};
use crate::sms::receive::{Received, TextIn, opted_out_at_gateway, receive_text};
use crate::store::{Connection, Store, audit};

const EXPIRE: Duration = Duration::from_secs(3600);

struct Desk {
    store: Store,
    _dir: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let dir = TempDir::new().unwrap();
        Desk { store: Store::open(dir.path(), Events::default()).unwrap(), _dir: dir }
    }

    fn offer(&self, offer: &OfferText) -> Result<Composed, Untextable> {
        let offer = offer.clone();
        self.store.write_blocking(move |tx| offer_text(tx, &offer)).unwrap()
    }

    fn missed(&self, text: &MissedCallText) -> Result<Composed, NotOwed> {
        let text = text.clone();
        self.store.write_blocking(move |tx| missed_call_text(tx, &text)).unwrap()
    }

    fn receive(&self, text: &TextIn) -> Received {
        let text = text.clone();
        self.store.write_blocking(move |tx| receive_text(tx, &text)).unwrap()
    }

    fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> T {
        self.store.read_blocking(f).unwrap()
    }

    fn waiting(&self) -> u64 {
        self.read(outbox::size)
    }

    fn consent(&self) -> Option<ConsentState> {
        self.read(|conn| consents::state(conn, &patient()))
    }

    fn status(&self, message: MessageId) -> MessageStatus {
        self.read(|conn| messages::status(conn, message)).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.read(|conn| {
            audit::verify(conn).unwrap();
            Ok(())
        });
    }
}

fn patient() -> PhoneNumber {
    PhoneNumber::e164("+16462530142").unwrap()
}

fn clinic() -> PhoneNumber {
    PhoneNumber::e164("+16462530100").unwrap()
}

fn now(minute: u64) -> Timestamp {
    after("2026-03-02T09:00:00Z".parse().unwrap(), Duration::from_secs(60 * minute))
}

fn offer(minute: u64) -> OfferText {
    OfferText {
        call: CallId::new(now(minute)),
        node: "text:general".into(),
        to: patient(),
        from: clinic(),
        body: "Hello from Riverside Therapy.".to_owned().into(),
        language: Language::default(),
        reason: Some("general".into()),
        disclosure: "Press 1 and we will text you.".into(),
        prompt_sha256: "ab".repeat(32),
        digit: Digit::from_char('1').unwrap(),
        expire_after: EXPIRE,
        now: now(minute),
    }
}

fn missed(minute: u64) -> MissedCallText {
    MissedCallText {
        call: CallId::new(now(minute)),
        outcome: Outcome::Abandoned,
        caller: Caller::Number(patient()),
        from: clinic(),
        own: vec![clinic()],
        body: "Sorry that we missed you.".to_owned().into(),
        language: Language::default(),
        at_most_every: Duration::from_secs(24 * 3600),
        expire_after: EXPIRE,
        now: now(minute),
    }
}

fn templates() -> Arc<Templates> {
    let written =
        "[help]\nen = \"{clinic}: write here. STOP to opt out.\"\nes = \"{clinic}: escriba. STOP para salir.\"\n";
    Arc::new(Templates::parse(Path::new("messages.toml"), written, &Language::default()).unwrap().0)
}

fn text(id: &str, body: &str, minute: u64) -> TextIn {
    TextIn {
        gateway: "twilio".into(),
        gateway_id: id.into(),
        from: patient(),
        to: clinic(),
        body: body.to_owned().into(),
        media: Vec::new(),
        answered: None,
        templates: templates(),
        values: Values::from([(Variable::Clinic, "Riverside Therapy".to_owned())]),
        language: Language::default(),
        expire_after: EXPIRE,
        reopen_within: Duration::from_secs(72 * 3600),
        now: now(minute),
    }
}

#[test]
fn a_key_records_consent_opens_the_thread_and_queues_the_text_once() {
    let clinic = Desk::new();
    let offer = offer(0);
    let first = clinic.offer(&offer).unwrap();
    assert_eq!(clinic.offer(&offer).unwrap(), first, "a retry sends nothing twice");
    assert_eq!(clinic.waiting(), 1);
    let consent = clinic.read(|conn| consents::current(conn, &patient())).unwrap();
    assert_eq!(
        (consent.state, consent.digit, consent.call),
        (ConsentState::Granted, Some(offer.digit), Some(offer.call))
    );
    assert_eq!(consent.disclosure.as_deref(), Some("Press 1 and we will text you."));
    assert_eq!(consent.prompt_sha256, Some("ab".repeat(32)));

    let again = clinic.offer(&super::tests::offer(5)).unwrap();
    assert_eq!(again.thread, first.thread, "the same conversation");
    assert_ne!(again.message, first.message);
    // Consent twice, one thread, two messages.
    let rows: u64 = clinic.read(|conn| Ok(audit::verify(conn).unwrap()));
    assert_eq!(rows, 5);
}

#[test]
fn the_events_come_after_the_commit() {
    let dir = TempDir::new().unwrap();
    let events = Events::default();
    let mut heard = events.listen();
    let store = Store::open(dir.path(), events).unwrap();
    let composed = store.write_blocking(|tx| offer_text(tx, &offer(0))).unwrap().unwrap();
    let all: Vec<Event> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    for event in [Event::Thread(composed.thread), Event::Message(composed.message), Event::Outbox] {
        assert!(all.contains(&event), "{event:?} in {all:?}");
    }
}

#[test]
fn a_number_that_takes_no_texts_gets_none_and_nothing_is_recorded() {
    let desk = Desk::new();
    for to in [PhoneNumber::e164("+18002530142").unwrap(), clinic()] {
        assert_eq!(desk.offer(&OfferText { to, ..offer(0) }), Err(Untextable));
    }
    assert_eq!(desk.read(|conn| Ok(audit::verify(conn).unwrap())), 0);
}

#[test]
fn the_missed_call_text_comes_once_a_day() {
    let clinic = Desk::new();
    let first = missed(0);
    let sent = clinic.missed(&first).unwrap();
    assert_eq!(clinic.missed(&first), Ok(sent), "a retry sends nothing twice");
    assert_eq!(clinic.missed(&missed(10)), Err(NotOwed::Recent));
    assert_eq!(clinic.missed(&missed(24 * 60 - 1)), Err(NotOwed::Recent));
    assert!(clinic.missed(&missed(24 * 60)).is_ok());
    assert_eq!(clinic.waiting(), 2);
    assert_eq!(clinic.consent(), None, "a missed call is no consent");
}

#[test]
fn no_missed_call_text_after_the_text_of_the_same_call_or_amid_a_conversation() {
    let clinic = Desk::new();
    let offer = offer(0);
    clinic.offer(&offer).unwrap();
    let text_in_call = MissedCallText { call: offer.call, outcome: Outcome::Interrupted, ..missed(1) };
    assert_eq!(clinic.missed(&text_in_call), Err(NotOwed::TextedInCall));
    clinic.receive(&text("SM1", "Is it about my appointment?", 60));
    assert_eq!(clinic.missed(&missed(61)), Err(NotOwed::JustTexted));
}

#[test]
fn a_text_is_stored_once_and_opens_a_thread() {
    let clinic = Desk::new();
    let Received::Stored { thread, message, keyword: None, reply: None } =
        clinic.receive(&text("SM1", "Do you take my insurance?", 0))
    else {
        panic!("stored");
    };
    assert_eq!(clinic.receive(&text("SM1", "Do you take my insurance?", 1)), Received::Duplicate(message));
    assert_eq!(clinic.status(message), MessageStatus::Received);
    assert_eq!(clinic.consent(), Some(ConsentState::Granted), "who texts first may be answered");
    let latest = clinic.read(|conn| threads::latest(conn, &patient())).unwrap();
    assert_eq!((latest.id, latest.state), (thread, ThreadState::Open));
}

#[test]
fn stop_cancels_what_waits_and_is_confirmed_once() {
    let clinic = Desk::new();
    let offered = clinic.offer(&offer(0)).unwrap();
    let Received::Stored { thread, keyword: Some(Keyword::Stop), reply: Some(reply), .. } =
        clinic.receive(&text("SM1", "Stop.", 1))
    else {
        panic!("obeyed");
    };
    assert_eq!(thread, offered.thread);
    assert_eq!(clinic.consent(), Some(ConsentState::Revoked));
    assert_eq!(clinic.status(offered.message), MessageStatus::Failed);
    assert_eq!(clinic.status(reply), MessageStatus::Queued, "the one confirmation is not cancelled");
    assert_eq!(clinic.waiting(), 1);
    assert!(matches!(clinic.receive(&text("SM2", "STOP", 2)), Received::Stored { reply: None, .. }));
    assert_eq!(clinic.missed(&missed(60)), Err(NotOwed::OptedOut));
    // What they write after STOP is kept, and is no consent.
    clinic.receive(&text("SM3", "why did you text me", 3));
    assert_eq!(clinic.consent(), Some(ConsentState::Revoked));
    assert_eq!(clinic.read(consents::opted_out), [patient()]);
    let start = clinic.receive(&text("SM4", "yes", 4));
    assert!(matches!(start, Received::Stored { keyword: Some(Keyword::Start), reply: Some(_), .. }), "{start:?}");
    assert_eq!(clinic.consent(), Some(ConsentState::Granted));
    assert!(clinic.read(consents::opted_out).is_empty());
}

#[test]
fn a_text_in_mid_send_at_stop_is_not_tried_again() {
    let clinic = Desk::new();
    let offered = clinic.offer(&offer(0)).unwrap();
    clinic.store.write_blocking(|tx| outbox::lease(tx, now(0), 10)).unwrap();
    clinic.receive(&text("SM1", "STOP", 1));
    clinic.store.write_blocking(move |tx| outbox::retry_at(tx, offered.message, now(2), "503", now(1))).unwrap();
    assert_eq!(clinic.status(offered.message), MessageStatus::Failed);
}

#[test]
fn help_is_answered_but_two_machines_do_not_keep_each_other_busy() {
    let clinic = Desk::new();
    let answered = |received| matches!(received, Received::Stored { keyword: Some(Keyword::Help), reply: Some(_), .. });
    assert!(answered(clinic.receive(&text("SM1", "HELP", 0))));
    assert!(!answered(clinic.receive(&text("SM2", "help", 1))));
    assert!(answered(clinic.receive(&text("SM3", "Info?", 10))));
    let latest = clinic.read(|conn| threads::latest(conn, &patient())).unwrap();
    assert_eq!(latest.state, ThreadState::Closed, "a keyword alone asks nothing of the staff");
    assert_eq!(clinic.consent(), None);
}

#[test]
fn a_keyword_is_answered_in_the_clinics_words_and_the_threads_language() {
    let clinic = Desk::new();
    let body = |received| {
        let Received::Stored { reply: Some(reply), .. } = received else { panic!("{received:?}") };
        let sql = "SELECT body FROM messages WHERE id = ?";
        clinic.read(|conn| Ok(conn.query_row(sql, [reply], |row| row.get::<_, String>(0))?))
    };
    assert_eq!(body(clinic.receive(&text("SM1", "HELP", 0))), "Riverside Therapy: write here. STOP to opt out.");
    clinic.offer(&OfferText { language: Language::parse("es").unwrap(), ..offer(60) }).unwrap();
    assert_eq!(body(clinic.receive(&text("SM2", "ayuda", 61))), "Riverside Therapy: escriba. STOP para salir.");
    // Not in the clinic's file: the words that we bring.
    assert!(body(clinic.receive(&text("SM3", "STOP", 62))).contains("no le enviaremos"));
}

#[test]
fn a_keyword_that_the_gateway_has_answered_is_obeyed_in_silence() {
    let clinic = Desk::new();
    let text = TextIn { answered: Some(Keyword::Stop), ..text("SM1", "arrêt", 0) };
    assert!(matches!(clinic.receive(&text), Received::Stored { keyword: Some(Keyword::Stop), reply: None, .. }));
    assert_eq!(clinic.consent(), Some(ConsentState::Revoked));
    assert_eq!(clinic.waiting(), 0);
}

#[test]
fn an_opt_out_at_the_gateway_is_ours_too() {
    let clinic = Desk::new();
    let offered = clinic.offer(&offer(0)).unwrap();
    for _ in 0..2 {
        let note = move |tx: &Tx<'_>| opted_out_at_gateway(tx, "twilio", &patient(), Some(offered.message), now(1));
        clinic.store.write_blocking(note).unwrap();
    }
    let consent = clinic.read(|conn| consents::current(conn, &patient())).unwrap();
    assert_eq!((consent.state, consent.method), (ConsentState::Revoked, ConsentMethod::Gateway));
    assert_eq!(clinic.waiting(), 0);
    // Consent, thread, message; the cancelled message and the opt-out, each once.
    assert_eq!(clinic.read(|conn| Ok(audit::verify(conn).unwrap())), 5);
}
