//! Twilio's Messages API (2010-04-01) and whatever speaks it, such as SignalWire at `/api/laml`.
//!
//! `POST …/Accounts/{sid}/Messages.json` knows no idempotency key: after a lost answer the list of messages is asked
//! before anything is sent again. `ContentRetention` is left at the account's default: discarding bodies at Twilio is
//! the clinic's decision, and with it that question can no longer be answered. What it sends to us is in `hook`.

pub(super) mod hook;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::gateway::{Accepted, Lookup, Outgoing, Refusal, SendOutcome};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::MessageStatus;
use crate::settings;

/// Connecting takes longer only when the line is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte to the last.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// `ValidityPeriod`, in seconds.
const VALIDITY: std::ops::RangeInclusive<u64> = 1..=36_000;
/// One message as JSON is about 1 KB; more than this is not an answer.
const LONGEST_REPLY: usize = 64 * 1024;
/// A page of [`PAGE`] messages.
const LONGEST_LIST: usize = 1024 * 1024;
/// How many of the newest messages to a number are looked through.
const PAGE: usize = 50;
/// By how much the gateway's clock and ours may differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(30);
/// After so long a message that was taken is in the list.
const SETTLED: Duration = Duration::from_secs(10);

/// What webhooks and records call it.
pub(super) const NAME: &str = "twilio";

/// The gateway's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `base_url` is no address.
    #[error("sms.twilio.base_url is not an address; write it like \"https://api.twilio.com\"")]
    BaseUrl,
    /// TLS could not be set up.
    #[error("the HTTPS client cannot be set up: {0}; check the system's certificates (package ca-certificates)")]
    Client(#[from] reqwest::Error),
}

/// Makes ring the process's TLS provider, once. Whoever builds a TLS client or server calls this first; again does no harm.
pub fn install_tls_provider() {
    // An error says that one is installed already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The adapter.
#[derive(Clone, Debug)]
pub struct Twilio {
    client: Client,
    messages: Url,
    settings: settings::Twilio,
    settled: Duration,
}

impl Twilio {
    /// Sets the client up; nothing is sent.
    pub fn new(settings: settings::Twilio) -> Result<Self, SetupError> {
        install_tls_provider();
        let base = settings.base_url.trim_end_matches('/');
        let messages = format!("{base}/2010-04-01/Accounts/{}/Messages.json", settings.account_sid);
        let messages = Url::parse(&messages).map_err(|_| SetupError::BaseUrl)?;
        if !matches!(messages.scheme(), "http" | "https") || messages.host().is_none() {
            return Err(SetupError::BaseUrl);
        }
        let client = client(CONNECT_TIMEOUT, TOTAL_TIMEOUT)?;
        Ok(Twilio { client, messages, settings, settled: SETTLED })
    }

    /// The same with other time limits: for the whole of a request, and for its trace in the list of messages.
    pub fn with_limits(self, total: Duration, settled: Duration) -> Result<Self, SetupError> {
        Ok(Twilio { client: client(CONNECT_TIMEOUT.min(total), total)?, settled, ..self })
    }

    /// How long after a lost answer the list of messages tells the truth.
    pub fn settles_within(&self) -> Duration {
        self.settled
    }

    /// API user and secret: the API key where there is one.
    fn credentials(&self) -> (&str, &str) {
        match (&self.settings.api_key, &self.settings.api_secret) {
            (Some(key), Some(secret)) => (key, secret.expose()),
            _ => (&self.settings.account_sid, self.settings.auth_token.expose()),
        }
    }

    /// Hands `message` to the gateway.
    pub async fn send(&self, message: &Outgoing) -> SendOutcome {
        if message.body.expose().chars().count() > MOST_CHARACTERS {
            return SendOutcome::Permanent(refusal(21617));
        }
        let (user, secret) = self.credentials();
        let request =
            self.client.post(self.messages.clone()).basic_auth(user, Some(secret)).form(&self.form(message)).send();
        let response = match request.await {
            Ok(response) => response,
            Err(error) => return unanswered(&error),
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = bounded(response, LONGEST_REPLY).await;
        answered(status, retry_after, body.as_deref())
    }

    fn form(&self, message: &Outgoing) -> Vec<(&'static str, String)> {
        let sender = match &self.settings.messaging_service {
            Some(service) => ("MessagingServiceSid", service.clone()),
            None => ("From", message.from.as_str().to_owned()),
        };
        let validity = message.valid_for.as_secs().clamp(*VALIDITY.start(), *VALIDITY.end());
        let mut form = vec![
            ("To", message.to.as_str().to_owned()),
            sender,
            ("Body", message.body.expose().clone()),
            ("ValidityPeriod", validity.to_string()),
        ];
        form.extend(message.status_callback.clone().map(|url| ("StatusCallback", url)));
        form
    }

    /// Whether the gateway has `message`, whose first try was at `since`.
    ///
    /// No `DateSent` filter: a message that is still queued has no date of sending and would be missed.
    pub async fn lookup(&self, message: &Outgoing, since: Timestamp) -> Lookup {
        let mut url = self.messages.clone();
        url.query_pairs_mut().append_pair("To", message.to.as_str()).append_pair("PageSize", &PAGE.to_string());
        if self.settings.messaging_service.is_none() {
            url.query_pairs_mut().append_pair("From", message.from.as_str());
        }
        let (user, secret) = self.credentials();
        let response = match self.client.get(url).basic_auth(user, Some(secret)).send().await {
            Ok(response) => response,
            Err(_) => return cannot_say("the gateway cannot be reached"),
        };
        if response.status() != StatusCode::OK {
            return cannot_say("the gateway does not list its messages");
        }
        let list = bounded(response, LONGEST_LIST).await;
        match list.as_deref().and_then(|body| serde_json::from_slice::<List>(body).ok()) {
            Some(list) => list.find(message, since),
            None => cannot_say("the gateway's list of messages is not understood"),
        }
    }
}

fn client(connect: Duration, total: Duration) -> Result<Client, SetupError> {
    let builder = Client::builder()
        .connect_timeout(connect)
        .timeout(total)
        // A redirect would carry the text and the credentials to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("threadline/", env!("CARGO_PKG_VERSION")));
    Ok(builder.build()?)
}

/// A message as the API shows it; what it leaves out is allowed to be missing, other fields are not looked at.
#[derive(Deserialize)]
struct Message {
    sid: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    num_segments: Option<String>,
    #[serde(default)]
    error_code: Option<u32>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    date_created: Option<String>,
    #[serde(default)]
    direction: Option<String>,
}

impl Message {
    fn accepted(&self) -> Option<Accepted> {
        let status = self.status.as_deref().and_then(status).unwrap_or(MessageStatus::Sent);
        let segments = self.num_segments.as_deref().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        gateway_id(&self.sid).map(|gateway_id| Accepted { gateway_id, segments, status })
    }
}

#[derive(Deserialize)]
struct List {
    messages: Vec<Message>,
}

impl List {
    fn find(&self, message: &Outgoing, since: Timestamp) -> Lookup {
        let since = since.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
        let mut unreadable = false;
        for listed in &self.messages {
            let outbound = listed.direction.as_deref().is_none_or(|direction| direction.starts_with("outbound"));
            let Some(body) = listed.body.as_deref().filter(|_| outbound) else { continue };
            // Discarded bodies (ContentRetention) come back empty: such a message may be ours.
            if body != message.body.expose() && !body.is_empty() {
                continue;
            }
            let created = listed.date_created.as_deref().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            match (created.map(|at| at.timestamp()), listed.accepted()) {
                (Some(at), _) if at < since => {}
                (Some(_), Some(accepted)) if !body.is_empty() => return Lookup::Sent(accepted),
                _ => unreadable = true,
            }
        }
        if unreadable { cannot_say("its list has a message that may be this one") } else { Lookup::NotSent }
    }
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: Option<u32>,
}

fn cannot_say(reason: &str) -> Lookup {
    Lookup::CannotSay { reason: reason.to_owned() }
}

/// An id as we are willing to keep it: Twilio's are `SM…` or `MM…`, SignalWire's are UUIDs.
fn gateway_id(text: &str) -> Option<String> {
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| text.to_owned())
}

/// No answer came: was anything sent?
fn unanswered(error: &reqwest::Error) -> SendOutcome {
    if error.is_connect() || error.is_builder() {
        let reason = "the gateway cannot be reached; check the internet connection and sms.twilio.base_url";
        return SendOutcome::Temporary { reason: reason.into(), retry_after: None };
    }
    let reason = if error.is_timeout() { "the gateway did not answer in time" } else { "the gateway hung up" };
    SendOutcome::Unknown { reason: reason.into() }
}

/// What the answer to a send means. `body` is absent when it broke off or passed its bound.
fn answered(status: StatusCode, retry_after: Option<Duration>, body: Option<&[u8]>) -> SendOutcome {
    let temporary = |reason: &str| SendOutcome::Temporary { reason: reason.into(), retry_after };
    if status.is_success() {
        let Some(message) = body.and_then(|body| serde_json::from_slice::<Message>(body).ok()) else {
            return SendOutcome::Unknown { reason: "the gateway's answer is not understood".into() };
        };
        return match message.accepted() {
            Some(Accepted { status: MessageStatus::Failed | MessageStatus::Undelivered, .. }) => {
                SendOutcome::Permanent(refusal(message.error_code.unwrap_or(30008)))
            }
            Some(accepted) => SendOutcome::Accepted(accepted),
            None => SendOutcome::Unknown { reason: "the gateway's answer has no id".into() },
        };
    }
    let code = body.and_then(|body| serde_json::from_slice::<ApiError>(body).ok()).and_then(|error| error.code);
    match (status.as_u16(), code) {
        (429, _) | (_, Some(20429 | 14107 | 21611)) => temporary("the gateway is throttling us; it is tried again"),
        (401 | 403, None) | (_, Some(20003 | 20005 | 20403)) => {
            temporary("the gateway refuses our credentials; check sms.twilio.account_sid, auth_token and api_key")
        }
        (404, _) | (_, Some(20404)) => {
            temporary("the gateway does not know the account; check sms.twilio.account_sid and base_url")
        }
        (300..=399, _) => temporary("the gateway's address redirects elsewhere; write the final one as base_url"),
        (400..=499, Some(code)) => SendOutcome::Permanent(refusal(code)),
        (400..=499, None) if status != StatusCode::REQUEST_TIMEOUT => SendOutcome::Permanent(Refusal {
            code: None,
            reason: format!("the gateway refused it with HTTP {} and gave no reason", status.as_u16()),
            opted_out: false,
        }),
        _ => SendOutcome::Unknown { reason: format!("the gateway answered HTTP {}", status.as_u16()) },
    }
}

/// Twilio's error codes in plain words, with what helps (Twilio: "Error and Warning Dictionary").
pub fn refusal(code: u32) -> Refusal {
    let reason = match code {
        21211 | 21214 | 21217 => "the number does not exist; check it with the patient",
        21408 => "the account may not text that country; allow it under Messaging, Geo permissions, at Twilio",
        21606 | 21212 | 21603 | 21659 | 21660 => {
            "the clinic's number cannot send texts from this account; check sms.from at Twilio"
        }
        21610 => "the patient has opted out at the carrier; only their own START lifts it",
        21612 => "this number cannot be reached from the clinic's number; call the patient",
        21614 | 30006 => "the number is a landline or cannot take texts; ask the patient for a mobile number",
        21617 => "the text is longer than 1600 characters; shorten it",
        21703 | 21704 => "the Messaging Service has no number; add one at Twilio",
        30001 => "the gateway's queue was full or the text too old; resend it",
        30002 => "the Twilio account is suspended; settle it with Twilio",
        30003 => "the phone was off or out of reach; resend it later or call",
        30004 => "the recipient or their carrier blocks texts from the clinic; call the patient",
        30005 => "the number is not in service; check it with the patient",
        30007 => "the carrier filtered it as spam; change the wording and check the number's registration",
        30008 => "the carrier did not say why; resend it or call",
        30034 => "the clinic's number is not registered for business texting (A2P 10DLC); register it at Twilio",
        30036 => "it was not delivered within its time; resend it if it is still of use",
        _ => {
            let reason = format!("the gateway refused it; see https://www.twilio.com/docs/api/errors/{code}");
            return Refusal { code: Some(code.to_string()), reason, opted_out: false };
        }
    };
    Refusal { code: Some(code.to_string()), reason: reason.to_owned(), opted_out: code == 21610 }
}

/// A message's state in our words; what is not known is no news.
fn status(name: &str) -> Option<MessageStatus> {
    match name {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => Some(MessageStatus::Sent),
        "delivered" | "read" => Some(MessageStatus::Delivered),
        "failed" => Some(MessageStatus::Failed),
        "undelivered" | "canceled" => Some(MessageStatus::Undelivered),
        _ => None,
    }
}

/// `Retry-After` in seconds; Twilio sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The body, unless it breaks off or passes `most` bytes.
async fn bounded(mut response: reqwest::Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > most {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageId, PhoneNumber, Private};

    const SID: &str = "SM00000000000000000000000000000001";

    fn outgoing() -> Outgoing {
        Outgoing {
            id: MessageId::new("2026-03-02T15:00:00Z".parse().unwrap()),
            from: PhoneNumber::e164("+12125550100").unwrap(),
            to: PhoneNumber::e164("+12125550142").unwrap(),
            body: Private::new("Hello".to_owned()),
            status_callback: None,
            valid_for: Duration::from_secs(3600),
        }
    }

    fn answer(status: u16, body: &str) -> SendOutcome {
        answered(StatusCode::from_u16(status).unwrap(), None, Some(body.as_bytes()))
    }

    #[test]
    fn what_was_certainly_not_taken_may_be_sent_again_and_what_is_unclear_may_not() {
        let id = format!(r#"{{"sid":"{SID}","status":"queued","num_segments":"2","error_code":null}}"#);
        for status in [200, 201, 202] {
            let SendOutcome::Accepted(accepted) = answer(status, &id) else { panic!("{status}") };
            assert_eq!((accepted.segments, accepted.status), (Some(2), MessageStatus::Sent));
        }
        for (status, body) in
            [(201, "{"), (201, "{}"), (200, "<html>"), (201, r#"{"sid":"../../x"}"#), (500, ""), (503, &id), (408, "")]
        {
            assert!(matches!(answer(status, body), SendOutcome::Unknown { .. }), "{status} {body}");
        }
        for (status, body) in [(429, ""), (400, r#"{"code":20429}"#), (401, r#"{"code":20003}"#), (404, ""), (307, "")]
        {
            assert!(matches!(answer(status, body), SendOutcome::Temporary { .. }), "{status} {body}");
        }
        for (status, body) in [(400, r#"{"code":21211}"#), (400, ""), (400, r#"{"code":"x"}"#), (410, "[]")] {
            assert!(matches!(answer(status, body), SendOutcome::Permanent(_)), "{status} {body}");
        }
        assert!(matches!(answered(StatusCode::CREATED, None, None), SendOutcome::Unknown { .. }));
    }

    #[test]
    fn only_21610_means_opted_out() {
        let opted_out: Vec<u32> = (20_000..=40_000).filter(|&code| refusal(code).opted_out).collect();
        assert_eq!(opted_out, [21610]);
    }

    fn listed(body: &str, date: &str) -> String {
        format!(
            r#"{{"messages":[{{"sid":"{SID}","status":"sent","direction":"outbound-api","body":"{body}","date_created":"{date}"}}]}}"#
        )
    }

    fn find(list: &str) -> Lookup {
        let list: List = serde_json::from_str(list).unwrap();
        list.find(&outgoing(), "2026-03-02T15:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_lost_message_is_found_by_its_words_and_its_time() {
        assert!(matches!(find(&listed("Hello", "Mon, 02 Mar 2026 15:00:01 +0000")), Lookup::Sent(_)));
        assert!(matches!(find(&listed("Hello", "Mon, 02 Mar 2026 14:59:45 +0000")), Lookup::Sent(_)));
        assert_eq!(find(&listed("Hello", "Mon, 02 Mar 2026 14:00:00 +0000")), Lookup::NotSent);
        assert_eq!(find(&listed("Other", "Mon, 02 Mar 2026 15:00:01 +0000")), Lookup::NotSent);
        assert_eq!(find(r#"{"messages":[]}"#), Lookup::NotSent);
        assert!(matches!(find(&listed("Hello", "yesterday")), Lookup::CannotSay { .. }));
        assert!(matches!(find(&listed("", "Mon, 02 Mar 2026 15:00:01 +0000")), Lookup::CannotSay { .. }));
    }
}
