//! The Twilio adapter against a server that enforces the API's contract and can be down, slow, lying or throttling.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use threadline::model::{MessageId, MessageStatus, PhoneNumber, Private};
use threadline::settings;
use threadline::sms::twilio::Twilio;
use threadline::sms::{Lookup, Outgoing, SendOutcome};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const TOKEN: &str = "the-auth-token";
const SERVICE: &str = "MGaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// How the server answers the next sends, in order; then it behaves.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// 201 as documented.
    Good,
    /// 200 in place of 201, otherwise right.
    Ok200,
    /// 429 with Retry-After in seconds.
    Throttled(u64),
    /// 400 with this code.
    Refuses(u32),
    /// Takes it and never answers.
    TakesAndStalls,
    /// Takes it and answers 500.
    TakesAnd500,
    /// Does not take it and answers 500.
    Only500,
    /// 201 and a body that is no JSON.
    NoJson,
    /// 201 and a body without end, as far as anybody reads it.
    Huge,
    /// 302 to elsewhere.
    Redirects,
}

/// A message that the server has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub sid: String,
    pub fields: HashMap<String, String>,
}

#[derive(Default)]
struct Inner {
    moods: Vec<Mood>,
    taken: Vec<Taken>,
    violations: Vec<String>,
    listing_down: bool,
}

/// A server that speaks Twilio's Messages API on loopback.
pub struct FakeTwilio {
    inner: Arc<Mutex<Inner>>,
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl FakeTwilio {
    pub async fn start() -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}/{resource}", get(list).post(create))
            .with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        FakeTwilio { inner, address, task }
    }

    pub fn moods(&self, moods: &[Mood]) {
        self.inner.lock().unwrap().moods = moods.to_vec();
    }

    pub fn listing_down(&self, down: bool) {
        self.inner.lock().unwrap().listing_down = down;
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inner.lock().unwrap().taken.clone()
    }

    /// Fails if any request broke the contract.
    pub fn assert_contract_kept(&self) {
        assert_eq!(self.inner.lock().unwrap().violations, Vec::<String>::new());
    }

    pub fn settings(&self) -> settings::Twilio {
        settings::Twilio {
            account_sid: ACCOUNT.into(),
            api_key: None,
            api_secret: None,
            auth_token: Private::new(TOKEN.to_owned()),
            webhook_key: None,
            base_url: format!("http://{}", self.address),
            messaging_service: None,
        }
    }
}

impl Drop for FakeTwilio {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn contract() -> Value {
    serde_json::from_str(include_str!("../data/twilio-create-message.json")).unwrap()
}

/// What in `fields` is not allowed by the contract's `parameters`.
fn breaches(parameters: &Value, fields: &[(String, String)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, value) in fields {
        let Some(rule) = parameters.get(name) else {
            breaches.push(format!("{name} is not a parameter"));
            continue;
        };
        let length = value.chars().count() as u64;
        let number = value.parse::<u64>();
        let bad = rule["max_length"].as_u64().is_some_and(|most| length > most)
            || rule["min_length"].as_u64().is_some_and(|least| length < least)
            || rule["prefix"].as_str().is_some_and(|prefix| !value.starts_with(prefix))
            || rule["one_of"].as_array().is_some_and(|all| !all.iter().any(|one| one == value.as_str()))
            || (rule["type"] == "integer" && number.is_err())
            || rule["min"].as_u64().is_some_and(|least| number.as_ref().is_ok_and(|n| *n < least))
            || rule["max"].as_u64().is_some_and(|most| number.as_ref().is_ok_and(|n| *n > most))
            || (rule["format"] == "phone-number" && PhoneNumber::e164(value).is_err())
            || (rule["format"] == "uri" && !value.starts_with("http"));
        if bad {
            breaches.push(format!("{name} is out of limits"));
        }
        if rule["type"] != "array" && fields.iter().filter(|(other, _)| other == name).count() > 1 {
            breaches.push(format!("{name} is there twice"));
        }
    }
    breaches
}

fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

fn authorized(headers: &HeaderMap, account: &str) -> bool {
    let expected =
        [format!("{ACCOUNT}:{TOKEN}"), "SKkey:key-secret".to_owned()].map(|c| format!("Basic {}", STANDARD.encode(c)));
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    account == ACCOUNT && expected.iter().any(|e| e == given)
}

fn error(status: u16, code: u32) -> Response {
    let body = json!({"code": code, "message": "the number +12125550142 …", "more_info": "", "status": status});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn resource(taken: &Taken) -> Value {
    json!({
        "sid": taken.sid, "status": "queued", "num_segments": "1", "num_media": "0", "error_code": null,
        "error_message": null, "direction": "outbound-api", "account_sid": ACCOUNT,
        "to": taken.fields["To"], "from": taken.fields.get("From"), "body": taken.fields["Body"],
        "date_created": jiff::fmt::rfc2822::to_string(&jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC)).unwrap(),
        "date_sent": null,
    })
}

async fn create(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path((account, resource_name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if resource_name != "Messages.json" {
        return error(404, 20404);
    }
    if !authorized(&headers, &account) {
        return error(401, 20003);
    }
    let form = fields(&body);
    let contract = contract();
    let (mood, taken) = {
        let mut inner = inner.lock().unwrap();
        let mut broken = breaches(&contract["create"]["parameters"], &form);
        if headers.get(header::CONTENT_TYPE).is_none_or(|t| t != "application/x-www-form-urlencoded") {
            broken.push("the body is not a form".into());
        }
        for required in contract["create"]["required"].as_array().unwrap() {
            if !form.iter().any(|(name, _)| name == required.as_str().unwrap()) {
                broken.push(format!("{required} is missing"));
            }
        }
        if form.iter().filter(|(name, _)| name == "From" || name == "MessagingServiceSid").count() != 1 {
            broken.push("exactly one of From and MessagingServiceSid is needed".into());
        }
        if !broken.is_empty() {
            inner.violations.extend(broken);
            return error(400, 20001);
        }
        let mood = if inner.moods.is_empty() { Mood::Good } else { inner.moods.remove(0) };
        let taken = Taken { sid: format!("SM{:032x}", inner.taken.len() + 1), fields: form.into_iter().collect() };
        if !matches!(mood, Mood::Throttled(_) | Mood::Refuses(_) | Mood::Only500 | Mood::Redirects) {
            inner.taken.push(taken.clone());
        }
        (mood, taken)
    };
    match mood {
        Mood::Good => (StatusCode::CREATED, axum::Json(resource(&taken))).into_response(),
        Mood::Ok200 => (StatusCode::OK, axum::Json(resource(&taken))).into_response(),
        Mood::Throttled(seconds) => ([(header::RETRY_AFTER, seconds.to_string())], error(429, 20429)).into_response(),
        Mood::Refuses(code) => error(400, code),
        Mood::TakesAndStalls => std::future::pending().await,
        Mood::TakesAnd500 | Mood::Only500 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::NoJson => (StatusCode::CREATED, "<html>maintenance</html>").into_response(),
        Mood::Huge => (StatusCode::CREATED, vec![b' '; 8 * 1024 * 1024]).into_response(),
        Mood::Redirects => (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:9/")]).into_response(),
    }
}

async fn list(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path((account, _)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !authorized(&headers, &account) {
        return error(401, 20003);
    }
    let query = fields(query.unwrap_or_default().as_bytes());
    let mut inner = inner.lock().unwrap();
    let broken = breaches(&contract()["list"]["parameters"], &query);
    inner.violations.extend(broken);
    if inner.listing_down {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let wanted = |taken: &&Taken| {
        query.iter().all(|(name, value)| !matches!(&**name, "To" | "From") || taken.fields.get(name) == Some(value))
    };
    let messages: Vec<_> = inner.taken.iter().rev().filter(wanted).map(resource).collect();
    axum::Json(json!({ "messages": messages, "page": 0 })).into_response()
}

pub fn outgoing(body: &str) -> Outgoing {
    Outgoing {
        id: MessageId::new(jiff::Timestamp::now()),
        from: PhoneNumber::e164("+12125550100").unwrap(),
        to: PhoneNumber::e164("+12125550142").unwrap(),
        body: Private::new(body.to_owned()),
        status_callback: Some("https://clinic.example/hooks/twilio/status".into()),
        valid_for: Duration::from_secs(4 * 3600),
    }
}

#[tokio::test]
async fn a_text_is_sent_as_the_contract_says_by_number_by_service_and_by_api_key() {
    let server = FakeTwilio::start().await;
    let mut by_service = server.settings();
    by_service.messaging_service = Some(SERVICE.into());
    let mut by_key = server.settings();
    by_key.api_key = Some("SKkey".into());
    by_key.api_secret = Some(Private::new("key-secret".to_owned()));
    by_key.base_url.push('/');
    for settings in [server.settings(), by_service, by_key] {
        let twilio = Twilio::new(settings).unwrap();
        let mut message = outgoing("Hello – ünïcode & symbols = 100 %+");
        message.valid_for = Duration::from_secs(999_999);
        let SendOutcome::Accepted(accepted) = twilio.send(&message).await else { panic!("not accepted") };
        assert_eq!((accepted.segments, accepted.status), (Some(1), MessageStatus::Sent));
    }
    server.assert_contract_kept();
    let taken = server.taken();
    assert_eq!(taken.len(), 3);
    assert!(taken.iter().all(|t| t.fields["Body"] == "Hello – ünïcode & symbols = 100 %+"));
    assert!(taken.iter().all(|t| t.fields["ValidityPeriod"] == "36000"));
    assert_eq!(taken[1].fields["MessagingServiceSid"], SERVICE);
}

#[tokio::test]
async fn the_contract_check_notices_what_is_not_in_it() {
    let contract = contract();
    let parameters = &contract["create"]["parameters"];
    for (name, value) in [
        ("Too", "x"),
        ("To", "911"),
        ("ValidityPeriod", "0"),
        ("ValidityPeriod", "36001"),
        ("MessagingServiceSid", "XX"),
    ] {
        assert_eq!(breaches(parameters, &[(name.into(), value.into())]).len(), 1, "{name}={value}");
    }
    assert_eq!(breaches(parameters, &[("Body".into(), "x".repeat(1601))]).len(), 1);
    assert_eq!(breaches(parameters, &[("Body".into(), "ü".repeat(1600))]).len(), 0);
}

#[tokio::test]
async fn every_mood_of_the_server_has_its_meaning() {
    let server = FakeTwilio::start().await;
    let twilio = Twilio::new(server.settings()).unwrap();
    let send = async |mood| {
        server.moods(&[mood]);
        twilio.send(&outgoing("Hello")).await
    };
    assert!(matches!(send(Mood::Ok200).await, SendOutcome::Accepted(_)));
    let SendOutcome::Temporary { retry_after, .. } = send(Mood::Throttled(7)).await else { panic!() };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    let SendOutcome::Permanent(refusal) = send(Mood::Refuses(21610)).await else { panic!() };
    assert!(refusal.opted_out);
    let SendOutcome::Permanent(refusal) = send(Mood::Refuses(21211)).await else { panic!() };
    assert_eq!((refusal.code.as_deref(), refusal.opted_out), (Some("21211"), false));
    assert!(!refusal.reason.contains("+1212"), "the vendor's words would show the number");
    for mood in [Mood::TakesAnd500, Mood::Only500, Mood::NoJson, Mood::Huge] {
        assert!(matches!(send(mood).await, SendOutcome::Unknown { .. }), "{mood:?}");
    }
    let SendOutcome::Temporary { reason, .. } = send(Mood::Redirects).await else { panic!() };
    assert!(reason.contains("base_url"));
    server.assert_contract_kept();
}

#[tokio::test]
async fn too_long_a_text_never_leaves() {
    let server = FakeTwilio::start().await;
    let twilio = Twilio::new(server.settings()).unwrap();
    assert!(matches!(twilio.send(&outgoing(&"x".repeat(1601))).await, SendOutcome::Permanent(_)));
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn wrong_credentials_wait_for_their_correction() {
    let server = FakeTwilio::start().await;
    let mut settings = server.settings();
    settings.auth_token = Private::new("wrong".to_owned());
    let twilio = Twilio::new(settings).unwrap();
    let SendOutcome::Temporary { reason, .. } = twilio.send(&outgoing("Hello")).await else { panic!() };
    assert!(reason.contains("auth_token"), "{reason}");
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_by_the_list() {
    let server = FakeTwilio::start().await;
    let twilio =
        Twilio::new(server.settings()).unwrap().with_limits(Duration::from_millis(500), Duration::ZERO).unwrap();
    let since = jiff::Timestamp::now();

    server.moods(&[Mood::TakesAndStalls]);
    let message = outgoing("Taken, and the answer lost");
    assert!(matches!(twilio.send(&message).await, SendOutcome::Unknown { .. }));
    let Lookup::Sent(accepted) = twilio.lookup(&message, since).await else { panic!("it is there") };
    assert_eq!(accepted.gateway_id, server.taken()[0].sid);

    server.moods(&[Mood::Only500]);
    let message = outgoing("Not taken");
    assert!(matches!(twilio.send(&message).await, SendOutcome::Unknown { .. }));
    assert_eq!(twilio.lookup(&message, since).await, Lookup::NotSent);

    server.listing_down(true);
    assert!(matches!(twilio.lookup(&message, since).await, Lookup::CannotSay { .. }));
    server.assert_contract_kept();
}

#[tokio::test]
async fn a_server_that_is_down_took_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut settings = FakeTwilio::start().await.settings();
    settings.base_url = format!("http://{address}");
    let twilio = Twilio::new(settings).unwrap();
    assert!(matches!(twilio.send(&outgoing("Hello")).await, SendOutcome::Temporary { .. }));
    assert!(matches!(twilio.lookup(&outgoing("Hello"), jiff::Timestamp::now()).await, Lookup::CannotSay { .. }));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let settings = settings::Twilio {
        account_sid: ACCOUNT.into(),
        api_key: None,
        api_secret: None,
        auth_token: Private::new(TOKEN.to_owned()),
        webhook_key: None,
        base_url: "ftp://example".into(),
        messaging_service: None,
    };
    assert!(Twilio::new(settings).unwrap_err().to_string().contains("base_url"));
}
