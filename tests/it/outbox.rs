//! The outbox worker with a real store: the sandbox's failures, a gateway that misbehaves, crashes and shutdown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use threadline::clock::Clock;
use threadline::conversation::templates::{Templates, Values, Variable};
use threadline::events::Events;
use threadline::model::{
    CallId, Consent, ConsentMethod, ConsentState, Digit, Language, MessageId, MessageStatus, PhoneNumber, Private,
};
use threadline::settings;
use threadline::sms::compose::{OfferText, offer_text};
use threadline::sms::inbound::{Inbound, Replies};
use threadline::sms::outbox::{self, Outbox};
use threadline::sms::sandbox::Sandbox;
use threadline::sms::twilio::Twilio;
use threadline::sms::{Gateway, SendOutcome};
use threadline::store::export::{self, What};
use threadline::store::{self, Store, StoreError, consents, sandbox};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gateway::{FakeTwilio, Mood, outgoing};

/// What a clinic without messages of its own answers to keywords with.
pub fn replies() -> Replies {
    Replies {
        templates: Arc::new(Templates::parse(Path::new("messages.toml"), "", &Language::default()).unwrap().0),
        values: Values::from([(Variable::Clinic, "Riverside Therapy".to_owned())]),
        language: Language::default(),
        expire_after: Duration::from_secs(3600),
        reopen_within: Duration::from_secs(72 * 3600),
    }
}

/// A store in a folder of its own and what works on it.
pub struct House {
    _dir: TempDir,
    pub store: Store,
    pub events: Events,
    pub clock: Clock,
}

/// A worker that is running.
struct Running {
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

pub fn number(text: &str) -> PhoneNumber {
    PhoneNumber::e164(text).unwrap()
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::default();
        let store = Store::open(dir.path(), events.clone()).unwrap();
        House { _dir: dir, store, events, clock: Clock::system() }
    }

    pub fn sandbox(&self) -> Gateway {
        Gateway::Sandbox(Sandbox::new(self.store.clone(), self.clock.clone()))
    }

    pub fn inbound(&self) -> Inbound {
        Inbound::new(self.store.clone(), replies)
    }

    /// Queues the text of a key pressed on the phone.
    pub async fn offer(&self, to: &str, body: &str, expire_after: Duration) -> MessageId {
        let now = self.clock.now().wall;
        let offer = OfferText {
            call: CallId::new(now),
            node: "text:general".into(),
            to: number(to),
            from: number("+12125550100"),
            body: Private::new(body.to_owned()),
            language: Language::default(),
            reason: None,
            disclosure: "Press 1 and we text you.".into(),
            prompt_sha256: "00".into(),
            digit: Digit::from_char('1').unwrap(),
            expire_after,
            now,
        };
        self.store.write(move |tx| offer_text(tx, &offer)).await.unwrap().unwrap().message
    }

    fn run(&self, gateway: Gateway) -> Running {
        let gateway = Arc::new(gateway);
        let shutdown = CancellationToken::new();
        let worker = Outbox {
            store: self.store.clone(),
            gateway: gateway.clone(),
            clock: self.clock.clone(),
            events: self.events.clone(),
            rate: 1000.0,
            public_url: Some("https://clinic.example/".into()),
            counters: Arc::default(),
        };
        let (inbound, stop) = (self.inbound(), shutdown.clone());
        let tasks = vec![
            tokio::spawn(outbox::run(worker, shutdown.clone())),
            tokio::spawn(async move { gateway.run(&inbound, &stop).await }),
        ];
        Running { shutdown, tasks }
    }

    /// Everything of one kind, as `threadline export` prints it.
    pub async fn export(&self, what: What) -> Vec<Value> {
        self.store
            .read(move |conn| {
                let mut all = Vec::new();
                export::rows(conn, what, None, |row| {
                    all.push(serde_json::from_str(row).unwrap());
                    Ok::<_, StoreError>(())
                })?;
                Ok(all)
            })
            .await
            .unwrap()
    }

    pub async fn message(&self, id: MessageId) -> Value {
        let all = self.export(What::Messages).await;
        all.into_iter().find(|message| message["id"] == id.to_string()).unwrap()
    }

    /// Waits until the message stands at `status`; says where it stood instead when it never does.
    pub async fn reaches(&self, id: MessageId, status: &str) -> Value {
        let mut message = Value::Null;
        for _ in 0..1500 {
            message = self.message(id).await;
            if message["status"] == status {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {status}: {message}");
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_of_a_sandbox_number_has_its_fate() {
    let house = House::new();
    let running = house.run(house.sandbox());
    let fates = [
        ("+12125550001", "failed", Some("21211")),
        ("+12125550002", "failed", Some("21610")),
        ("+12125550003", "undelivered", Some("30006")),
        ("+12125550004", "delivered", None),
        ("+12125550005", "delivered", None),
        ("+12125550006", "delivered", None),
        ("+12125550007", "unknown", Some("resend")),
        ("+12125550008", "delivered", None),
        ("+12125550142", "delivered", None),
    ];
    let mut ids = Vec::new();
    for (to, ..) in fates {
        ids.push(house.offer(to, "Hello", HOUR).await);
    }
    for (id, (to, status, error)) in ids.iter().zip(fates) {
        let message = house.reaches(*id, status).await;
        match error {
            Some(part) => assert!(message["error"].as_str().unwrap().contains(part), "{to}: {message}"),
            None => assert!(message["error"].is_null(), "{to}: {message}"),
        }
    }
    running.stop().await;
    let at_the_gateway = house.store.read(|conn| sandbox::newest(conn, 100)).await.unwrap();
    assert_eq!(at_the_gateway.len(), 7, "each that was taken is there once");
    let consent = house.store.read(|conn| consents::current(conn, &number("+12125550002"))).await.unwrap().unwrap();
    assert_eq!((consent.state, consent.method), (ConsentState::Revoked, ConsentMethod::Gateway));
    assert_eq!(house.store.read(store::outbox::size).await.unwrap(), 0);
}

fn twilio(server: &FakeTwilio) -> Gateway {
    let limits = (Duration::from_millis(700), Duration::from_millis(10));
    Gateway::Twilio(Twilio::new(server.settings()).unwrap().with_limits(limits.0, limits.1).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_server_does_a_text_arrives_once() {
    for mood in [
        Mood::Good,
        Mood::Ok200,
        Mood::Throttled(1),
        Mood::TakesAndStalls,
        Mood::TakesAnd500,
        Mood::Only500,
        Mood::NoJson,
        Mood::Huge,
    ] {
        let house = House::new();
        let server = FakeTwilio::start().await;
        server.moods(&[mood]);
        let running = house.run(twilio(&server));
        let id = house.offer("+12125550142", "Hello", HOUR).await;
        let message = house.reaches(id, "sent").await;
        running.stop().await;
        let taken = server.taken();
        assert_eq!(taken.len(), 1, "{mood:?}");
        assert_eq!(message["gateway_id"], taken[0].sid.as_str(), "{mood:?}");
        assert_eq!(taken[0].fields["StatusCallback"], "https://clinic.example/hooks/twilio/status");
        server.assert_contract_kept();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_keeps_texts_waiting_with_the_reason() {
    let house = House::new();
    let address = FakeTwilio::start().await.address; // it is gone again
    let settings = settings::Twilio { base_url: format!("http://{address}"), ..FakeTwilio::start().await.settings() };
    let running = house.run(Gateway::Twilio(Twilio::new(settings).unwrap()));
    let id = house.offer("+12125550142", "Hello", HOUR).await;
    let mut error = Value::Null;
    for _ in 0..1000 {
        error = house.message(id).await["error"].clone();
        if !error.is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(error.as_str().is_some_and(|why| why.contains("cannot be reached")), "{error}");
    running.stop().await;
    assert_eq!(house.message(id).await["status"], "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_mid_send_loses_nothing_and_sends_nothing_twice() {
    // (taken before the crash, the list can be asked, where it ends)
    for (taken, listing, end) in [(true, true, "sent"), (false, true, "sent"), (true, false, "unknown")] {
        let house = House::new();
        let server = FakeTwilio::start().await;
        let id = house.offer("+12125550142", "Hello", HOUR).await;
        let now = house.clock.now().wall;
        let leased = house.store.write(move |tx| store::outbox::lease(tx, now, 1)).await.unwrap();
        assert_eq!(leased.len(), 1);
        let gateway = twilio(&server);
        if taken {
            let mut message = outgoing("Hello");
            message.id = id;
            assert!(matches!(gateway.send(&message).await, SendOutcome::Accepted(_)));
        }
        server.listing_down(!listing);
        let running = house.run(gateway);
        house.reaches(id, end).await;
        running.stop().await;
        assert_eq!(server.taken().len(), 1, "{taken} {listing}");
        assert_eq!(house.store.read(store::outbox::size).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_or_no_longer_agreed_to_is_never_sent() {
    let house = House::new();
    let old = house.offer("+12125550142", "Too old", Duration::ZERO).await;
    let stopped = house.offer("+12125550143", "Stopped", HOUR).await;
    let consent = Consent::new(
        number("+12125550143"),
        ConsentState::Revoked,
        ConsentMethod::Staff,
        "nurse",
        house.clock.now().wall,
    );
    house.store.write(move |tx| consents::append(tx, &consent)).await.unwrap();
    let running = house.run(house.sandbox());
    house.reaches(old, "expired").await;
    let failed = house.reaches(stopped, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("opted out"), "{failed}");
    running.stop().await;
    assert!(house.store.read(|conn| sandbox::newest(conn, 10)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_a_request_in_flight_finish_and_leaves_the_rest_for_later() {
    let house = House::new();
    let running = house.run(house.sandbox());
    let slow = house.offer("+12125550005", "Slow", HOUR).await;
    house.reaches(slow, "sending").await;
    running.stop().await;
    assert_eq!(house.message(slow).await["status"], serde_json::to_value(MessageStatus::Sent).unwrap());
    let later = house.offer("+12125550142", "After the stop", HOUR).await;
    assert_eq!(house.message(later).await["status"], "queued");
    let running = house.run(house.sandbox());
    house.reaches(later, "delivered").await;
    // What the sandbox owed from the run before is reported, too.
    house.reaches(slow, "delivered").await;
    running.stop().await;
}
