//! Webhooks, health and metrics over real HTTP: proof of origin, duplicates, keywords, and clients that misbehave.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use threadline::model::{ConsentState, MessageStatus, Private};
use threadline::sms::signature::sign;
use threadline::sms::twilio::{Twilio, install_tls_provider};
use threadline::sms::{Gateway, Outgoing, SendOutcome};
use threadline::store::export::What;
use threadline::store::{self, consents};
use threadline::web::{self, Family, Health, Web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::desk::site;
use super::gateway::{FakeTwilio, TOKEN, outgoing};
use super::http;
use super::outbox::{House, number};

const PUBLIC: &str = "https://clinic.example";
const SID: &str = "SM00000000000000000000000000000077";

struct Site {
    house: House,
    address: SocketAddr,
    healthy: Arc<AtomicBool>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    client: Client,
}

impl Site {
    async fn start(house: House, gateway: Gateway) -> Self {
        install_tls_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let healthy = Arc::new(AtomicBool::new(true));
        let asked = healthy.clone();
        let web = Web {
            public_url: Some(PUBLIC.into()),
            health: Arc::new(move || match asked.load(Ordering::Relaxed) {
                true => Health::Ok { calls: 3 },
                false => Health::Unavailable { reason: "no SIP listener".into() },
            }),
            metrics: Arc::new(|| vec![Family::gauge("threadline_calls_in_progress", "Calls in progress", 3.0)]),
            ..site(&house.store, &house.clock, gateway, house.inbound())
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(web::serve(listener, web, shutdown.clone()));
        Site { house, address, healthy, shutdown, task, client: http::client().build().unwrap() }
    }

    async fn with_twilio() -> Self {
        let server = FakeTwilio::start().await;
        Site::start(House::new(), Gateway::Twilio(Twilio::new(server.settings()).unwrap())).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A form as Twilio would send it, signed.
    fn signed(&self, path: &str, pairs: &[(&str, &str)]) -> RequestBuilder {
        let fields: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let signature = sign(TOKEN, &format!("{PUBLIC}{path}"), &fields);
        self.client.post(self.url(path)).form(&fields).header("X-Twilio-Signature", signature)
    }

    async fn text(&self, sid: &str, body: &str) -> StatusCode {
        let pairs = [("MessageSid", sid), ("From", "+12125550142"), ("To", "+12125550100"), ("Body", body)];
        self.signed("/hooks/twilio/inbound", &pairs).send().await.unwrap().status()
    }

    async fn metrics(&self) -> String {
        self.client.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    async fn stop(self) -> House {
        self.shutdown.cancel();
        drop(self.client);
        self.task.await.unwrap();
        self.house
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_text_is_kept_once_and_an_unproven_one_not_at_all() {
    let site = Site::with_twilio().await;
    for _ in 0..3 {
        assert_eq!(site.text(SID, "Can I come at 3?").await, StatusCode::NO_CONTENT);
    }
    let messages = site.house.export(What::Messages).await;
    assert_eq!(messages.len(), 1);
    assert_eq!((&messages[0]["body"], &messages[0]["direction"]), (&"Can I come at 3?".into(), &"inbound".into()));
    assert_eq!(site.house.export(What::Threads).await.len(), 1);

    let path = "/hooks/twilio/inbound";
    let form = [("MessageSid", "SM1"), ("From", "+12125550142"), ("To", "+12125550100"), ("Body", "STOP")];
    let unsigned = site.client.post(site.url(path)).form(&form);
    let forged =
        site.client.post(site.url(path)).form(&form).header("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    let elsewhere = site.client.post(site.url(&format!("{path}?a=b"))).form(&form).header(
        "X-Twilio-Signature",
        sign(TOKEN, &format!("{PUBLIC}{path}"), &form.map(|(k, v)| (k.to_owned(), v.to_owned()))),
    );
    for request in [unsigned, forged, elsewhere] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let metrics = site.metrics().await;
    assert!(metrics.contains("threadline_webhooks_total{result=\"unproven\"} 3.0"), "{metrics}");
    assert!(metrics.contains("threadline_webhooks_total{result=\"accepted\"} 3.0"), "{metrics}");
    let house = site.stop().await;
    assert_eq!(house.export(What::Messages).await.len(), 1);
}

/// Body, hash and signature come out of twilio-python 9.13.0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_text_signed_with_a_shared_key_is_kept() {
    const BODY: &str = "{\"MessageSid\":\"SM00000000000000000000000000000077\",\"From\":\"+12125550142\",\
                        \"To\":\"+12125550100\",\"Body\":\"¿Puedo venir a las 3?\",\"NumMedia\":0}";
    const HASH: &str = "bb9e2ade36ef24a7aeb25e42ad317f85753a51a67885666ed9b1a41b4dae6811";
    let mut settings = FakeTwilio::start().await.settings();
    settings.webhook_key = Some(Private::new("shared-key".to_owned()));
    let site = Site::start(House::new(), Gateway::Twilio(Twilio::new(settings).unwrap())).await;
    let post = |body: &str| {
        let to = site.url(&format!("/hooks/twilio/inbound?bodySHA256={HASH}"));
        site.client
            .post(to)
            .body(body.to_owned())
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Twilio-Signature", "4TfL5taHKnA1TYW06SFfkNKwA3vSwC1+deqfnGC+3CQ=")
            .header("X-Twilio-Webhooks-Signature-Settings", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
            .send()
    };
    assert_eq!(post(&BODY.replace("las 3", "las 4")).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(post(BODY).await.unwrap().status(), StatusCode::NO_CONTENT);
    let messages = site.house.export(What::Messages).await;
    assert_eq!((messages.len(), &messages[0]["body"]), (1, &"¿Puedo venir a las 3?".into()));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_is_part_of_what_is_signed() {
    let site = Site::with_twilio().await;
    let form = [("MessageSid", SID), ("From", "+12125550142"), ("To", "+12125550100"), ("Body", "Hi")];
    let answer = site.signed("/hooks/twilio/inbound?clinic=a%20b", &form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.text().await.unwrap(), "", "no TwiML: the gateway shall answer nothing by itself");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_is_obeyed_before_anybody_sees_it() {
    let site = Site::with_twilio().await;
    let waiting = site.house.offer("+12125550142", "Hello", Duration::from_secs(3600)).await;
    assert_eq!(site.text(SID, " stop ").await, StatusCode::NO_CONTENT);
    assert_eq!(site.text(SID, " stop ").await, StatusCode::NO_CONTENT);
    let house = site.stop().await;
    let state = house.store.read(|conn| consents::state(conn, &number("+12125550142"))).await.unwrap();
    assert_eq!(state, Some(ConsentState::Revoked));
    assert_eq!(house.message(waiting).await["status"], "failed");
    // The one answer that may still go.
    assert_eq!(house.store.read(store::outbox::size).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyword_that_the_gateway_answered_gets_no_second_answer() {
    let site = Site::with_twilio().await;
    let form = [
        ("MessageSid", SID),
        ("From", "+12125550142"),
        ("To", "+12125550100"),
        ("Body", "Stop"),
        ("OptOutType", "STOP"),
    ];
    assert!(site.signed("/hooks/twilio/inbound", &form).send().await.unwrap().status().is_success());
    let house = site.stop().await;
    let state = house.store.read(|conn| consents::state(conn, &number("+12125550142"))).await.unwrap();
    assert_eq!(state, Some(ConsentState::Revoked));
    assert_eq!(house.store.read(store::outbox::size).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_move_a_message_forward_only_and_an_opt_out_withdraws_consent() {
    let site = Site::with_twilio().await;
    let id = site.house.offer("+12125550142", "Hello", Duration::from_secs(3600)).await;
    let report = async |sid: &str, status: &str, code: &str| {
        let form = [("MessageSid", sid), ("MessageStatus", status), ("ErrorCode", code)];
        let answer = site.signed("/hooks/twilio/status", &form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{status}");
    };
    // It overtakes the answer to its own send.
    report(SID, "delivered", "").await;
    let now = site.house.clock.now().wall;
    let sent = site.house.store.write(move |tx| {
        store::outbox::lease(tx, now, 1)?;
        store::outbox::sent(tx, id, "twilio", SID, MessageStatus::Sent, now)
    });
    assert!(sent.await.unwrap());
    assert_eq!(site.house.message(id).await["status"], "delivered");
    report(SID, "sent", "").await;
    report(SID, "no-such-status", "").await;
    assert_eq!(site.house.message(id).await["status"], "delivered");

    let other = site.house.offer("+12125550143", "Hello", Duration::from_secs(3600)).await;
    let sent = site.house.store.write(move |tx| {
        store::outbox::lease(tx, now.max(jiff::Timestamp::now()), 1)?;
        store::outbox::sent(tx, other, "twilio", "SM78", MessageStatus::Sent, now)
    });
    assert!(sent.await.unwrap());
    report("SM78", "undelivered", "21610").await;
    let message = site.house.message(other).await;
    assert_eq!(message["status"], "undelivered");
    assert!(message["error"].as_str().unwrap().contains("opted out"));
    let house = site.stop().await;
    let state = house.store.read(|conn| consents::state(conn, &number("+12125550143"))).await.unwrap();
    assert_eq!(state, Some(ConsentState::Revoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_get_the_status_that_names_their_fault() {
    let site = Site::with_twilio().await;
    let inbound = site.url("/hooks/twilio/inbound");
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    let client = &site.client;
    assert_eq!(status(client.get(&inbound)).await, 405);
    assert_eq!(status(client.put(&inbound)).await, 405);
    assert_eq!(status(client.post(&inbound).body("{}").header("content-type", "application/json")).await, 403);
    assert_eq!(status(client.post(&inbound).body("{}").header("content-type", "text/plain")).await, 415);
    assert_eq!(status(client.post(&inbound).body("Body=x")).await, 415);
    assert_eq!(status(client.post(site.url("/hooks/telnyx/inbound"))).await, 404);
    assert_eq!(status(client.post(site.url("/hooks/twilio/other"))).await, 404);
    assert_eq!(status(site.signed("/hooks/twilio/inbound", &[("Body", "no id")])).await, 400);
    assert_eq!(
        status(site.signed("/hooks/twilio/inbound", &[("MessageSid", SID), ("From", "12345"), ("To", "x")])).await,
        400
    );
    assert_eq!(status(site.signed("/hooks/twilio/inbound", &[("Body", &"x".repeat(70_000))])).await, 413);
    let many: Vec<_> = (0..201).map(|_| ("MessageSid", SID)).collect();
    assert_eq!(status(site.signed("/hooks/twilio/inbound", &many)).await, 400);
    // Chunked: its length is known only when it is too long.
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = "POST /hooks/twilio/inbound HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 66_000, "x".repeat(66_000));
    stream.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let metrics = site.metrics().await;
    assert!(metrics.contains("result=\"too_large\"} 2.0"), "{metrics}");
    let house = site.stop().await;
    assert!(house.export(What::Messages).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_commit_asks_for_the_text_again() {
    let site = Site::with_twilio().await;
    let store = site.house.store.clone();
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    assert_eq!(site.text(SID, "Hello").await, StatusCode::SERVICE_UNAVAILABLE);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_takes_texts_from_this_machine_alone() {
    let house = House::new();
    let gateway = house.sandbox();
    let site = Site::start(house, gateway).await;
    let form = [("From", "+12125550142"), ("To", "+12125550100"), ("Body", "Hello?")];
    let request = || site.client.post(site.url("/hooks/sandbox/inbound")).form(&form);
    assert_eq!(request().send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let proxied = request().header("X-Forwarded-For", "203.0.113.7").send().await.unwrap();
    assert_eq!(proxied.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        site.client.post(site.url("/hooks/twilio/inbound")).form(&form).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    let house = site.stop().await;
    assert_eq!(house.export(What::Messages).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_whether_calls_can_be_taken_and_metrics_count_the_outbox() {
    let site = Site::with_twilio().await;
    let health = async || {
        let answer = site.client.get(site.url("/healthz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(health().await, (200, r#"{"status":"ok","calls":3}"#.to_owned()));
    site.healthy.store(false, Ordering::Relaxed);
    assert_eq!(health().await, (503, r#"{"status":"unavailable","reason":"no SIP listener"}"#.to_owned()));

    site.house.offer("+12125550142", "Hello", Duration::from_secs(3600)).await;
    let metrics = site.metrics().await;
    for line in [
        "threadline_outbox_messages 1.0",
        "threadline_callbacks_booked 0.0",
        "threadline_calls_in_progress 3.0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
    assert!(metrics.contains("threadline_store_writes_total{result=\"committed\"}"));
    assert!(!metrics.contains("2125550142"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_neither_block_others_nor_the_shutdown() {
    let site = Site::with_twilio().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(b"POST /hooks/twilio/inbound HTTP/1.1\r\nHos").await.unwrap();
        idle.push(stream);
    }
    assert_eq!(site.text(SID, "Still here").await, StatusCode::NO_CONTENT);
    let house = site.stop().await;
    assert_eq!(house.export(What::Messages).await.len(), 1);
    drop(idle);
}

/// What the log of a webhook and of a send holds: never the number, the words or the token.
#[test]
fn nothing_that_is_logged_names_a_person() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    // While there is but one subscriber, a line that another test reaches first is switched off for it as well.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Sink(sink.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = FakeTwilio::start().await;
            let gateway = Gateway::Twilio(Twilio::new(server.settings()).unwrap());
            let message = Outgoing { status_callback: None, ..outgoing("a secret about a knee") };
            tracing::info!(?message, "sending");
            assert!(matches!(gateway.send(&message).await, SendOutcome::Accepted(_)));
            let site = Site::with_twilio().await;
            assert_eq!(site.text(SID, "another secret about a knee").await, StatusCode::NO_CONTENT);
            assert_eq!(
                site.client
                    .post(site.url("/hooks/twilio/inbound"))
                    .form(&[("Body", "knee")])
                    .send()
                    .await
                    .unwrap()
                    .status(),
                403
            );
            site.stop().await;
        });
    });
    let log = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a webhook was refused"), "the log is there: {log}");
    for secret in ["knee", "2125550142", TOKEN] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
