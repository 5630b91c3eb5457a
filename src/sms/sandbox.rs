//! The embedded gateway: nothing leaves the box. What it is given it keeps in the store's `sandbox` table, and it
//! reports delivery a moment later, as a real gateway does.
//!
//! The last four digits of the recipient's number force a failure:
//!
//! | ends in | what happens |
//! | --- | --- |
//! | 0001 | refused at once: no such number |
//! | 0002 | refused at once: opted out; consent is withdrawn |
//! | 0003 | taken, then reported undelivered: a landline |
//! | 0004 | throttled once with `Retry-After: 1`, then taken |
//! | 0005 | taken, answered after three seconds |
//! | 0006 | taken, the answer lost; asked later, it says that it has it |
//! | 0007 | taken, the answer lost; asked later, it cannot say: the message is shown as unknown |
//! | 0008 | not taken, the answer lost; asked later, it says no; the second try is taken |
//! | others | taken and delivered |

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::gateway::{Accepted, Hook, HookError, HookEvent, HookRequest, Lookup, Outgoing, SendOutcome, StatusReport};
use super::inbound::Inbound;
use super::twilio;
use crate::clock::Clock;
use crate::model::{MessageId, MessageStatus, PhoneNumber};
use crate::store::sandbox::{self, SandboxText};
use crate::store::{Store, StoreError};

/// How long 0005 takes to answer.
const SLOW: Duration = Duration::from_secs(3);
/// What 0004 asks for.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// From taken to delivered.
const DELIVERY: Duration = Duration::from_millis(100);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How many deliveries are read at once.
const BATCH: u32 = 256;
/// Messages whose first try is remembered; at the bound all are forgotten and fail once more.
const MOST_REMEMBERED: usize = 4096;
/// A proxy in front of us would make everybody look like loopback.
const FORWARDED: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// What a number's ending forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Rejected,
    OptedOut,
    Landline,
    Throttled,
    Slow,
    AnswerLost,
    AnswerLostForGood,
    Lost,
}

fn fate(to: &PhoneNumber) -> Fate {
    let number = to.as_str();
    match number.get(number.len().saturating_sub(4)..).unwrap_or_default() {
        "0001" => Fate::Rejected,
        "0002" => Fate::OptedOut,
        "0003" => Fate::Landline,
        "0004" => Fate::Throttled,
        "0005" => Fate::Slow,
        "0006" => Fate::AnswerLost,
        "0007" => Fate::AnswerLostForGood,
        "0008" => Fate::Lost,
        _ => Fate::Delivered,
    }
}

/// The adapter. Cloning it gives another handle on the same.
#[derive(Clone, Debug)]
pub struct Sandbox {
    store: Store,
    clock: Clock,
    tried: Arc<Mutex<HashSet<MessageId>>>,
    taken: Arc<Notify>,
}

impl Sandbox {
    /// The sandbox that keeps its messages in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Sandbox { store, clock, tried: Arc::default(), taken: Arc::default() }
    }

    /// Hands `message` to the sandbox.
    pub async fn send(&self, message: &Outgoing) -> SendOutcome {
        match fate(&message.to) {
            Fate::Rejected => SendOutcome::Permanent(twilio::refusal(21211)),
            Fate::OptedOut => SendOutcome::Permanent(twilio::refusal(21610)),
            Fate::Throttled if self.first_try(message.id) => SendOutcome::Temporary {
                reason: "the sandbox throttles this number once".into(),
                retry_after: Some(RETRY_AFTER),
            },
            Fate::Lost if self.first_try(message.id) => unknown(),
            Fate::Slow => {
                tokio::time::sleep(SLOW).await;
                self.take(message).await
            }
            Fate::AnswerLost | Fate::AnswerLostForGood => {
                self.take(message).await;
                unknown()
            }
            Fate::Delivered | Fate::Landline | Fate::Throttled | Fate::Lost => self.take(message).await,
        }
    }

    /// Whether the sandbox has `message`.
    pub async fn lookup(&self, message: &Outgoing) -> Lookup {
        if fate(&message.to) == Fate::AnswerLostForGood {
            return Lookup::CannotSay { reason: "the sandbox does not tell for this number".into() };
        }
        let id = message.id;
        match self.store.read(move |conn| sandbox::find(conn, id)).await {
            Ok(Some(text)) => Lookup::Sent(accepted(text.id)),
            Ok(None) => Lookup::NotSent,
            Err(error) => Lookup::CannotSay { reason: error.to_string() },
        }
    }

    /// Reads a webhook in Twilio's fields: unsigned, so from this machine alone.
    pub fn hook(&self, request: &HookRequest<'_>) -> Result<HookEvent, HookError> {
        if !local(request.peer) || FORWARDED.iter().any(|name| request.headers.contains_key(*name)) {
            return Err(HookError::Unproven("the sandbox takes webhooks from this machine alone"));
        }
        let mut fields = twilio::hook::form_fields(request)?;
        if request.hook == Hook::Inbound && !fields.iter().any(|(name, _)| name == "MessageSid") {
            fields.push(("MessageSid".into(), format!("SB{}", MessageId::new(self.clock.now().wall))));
        }
        twilio::hook::read_hook(request.hook, &fields)
    }

    /// Reports what became of the messages that were taken, until `shutdown`; what it owes from the run before, too.
    pub async fn deliver(&self, inbound: &Inbound, shutdown: &CancellationToken) {
        loop {
            let reported = self.deliver_all(inbound).await;
            let again = async {
                match reported {
                    Ok(()) => {
                        self.taken.notified().await;
                        tokio::time::sleep(DELIVERY).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the sandbox cannot report deliveries; it tries again");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = again => {}
            }
        }
    }

    async fn deliver_all(&self, inbound: &Inbound) -> Result<(), StoreError> {
        loop {
            let taken = self.store.read(|conn| sandbox::oldest(conn, MessageStatus::Sent, BATCH)).await?;
            if taken.is_empty() {
                return Ok(());
            }
            for text in taken {
                let (status, refusal) = match fate(&text.to) {
                    Fate::Landline => (MessageStatus::Undelivered, Some(twilio::refusal(30006))),
                    _ => (MessageStatus::Delivered, None),
                };
                let report = StatusReport { gateway_id: text.id.clone(), status, refusal };
                inbound.apply(NAME, HookEvent::Status(report), self.clock.now().wall).await?;
                self.store.write(move |tx| sandbox::set_status(tx, &text.id, status)).await?;
            }
        }
    }

    async fn take(&self, message: &Outgoing) -> SendOutcome {
        let (copy, now) = (message.clone(), self.clock.now().wall);
        let gateway_id = format!("SB{}", message.id.to_string().replace('-', ""));
        let text = SandboxText {
            id: gateway_id.clone(),
            message: copy.id,
            from: copy.from,
            to: copy.to,
            body: copy.body,
            media: Vec::new(),
            status: MessageStatus::Sent,
            at: now,
        };
        match self.store.write(move |tx| sandbox::accept(tx, &text)).await {
            Ok(_) => {
                self.taken.notify_one();
                SendOutcome::Accepted(accepted(gateway_id))
            }
            Err(error) => SendOutcome::Temporary { reason: error.to_string(), retry_after: None },
        }
    }

    fn first_try(&self, id: MessageId) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.len() >= MOST_REMEMBERED {
            tried.clear();
        }
        tried.insert(id)
    }
}

/// What webhooks and records call it.
pub(super) const NAME: &str = "sandbox";

fn unknown() -> SendOutcome {
    SendOutcome::Unknown { reason: "the sandbox lost its answer".into() }
}

fn accepted(gateway_id: String) -> Accepted {
    Accepted { gateway_id, segments: None, status: MessageStatus::Sent }
}

fn local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}
