//! Texts out and in: the gateway port, one file per gateway, the outbox worker.
//!
//! - [`gateway`]: what is sent and what can come of it. [`Gateway`]: the one in use.
//! - [`twilio`], [`sandbox`]: the adapters. [`signature`]: how Twilio and its kin sign their webhooks.
//! - [`policy`]: what becomes of a message after an answer, as plain functions. [`pace`]: how fast we may send.
//! - [`outbox`]: the worker that leases, sends and records. [`consent`]: whether a text may still go.
//! - [`compose`], [`new_text`], [`reply`], [`ask_else`]: a text and all that belongs to it, in one transaction.
//!   [`addressee`]: whom it is written to.
//! - [`inbound`]: what a verified webhook does. [`receive`]: a text that came in, and its keyword.

pub mod addressee;
pub mod ask_else;
pub mod compose;
pub mod consent;
pub mod gateway;
pub mod inbound;
pub mod new_text;
pub mod outbox;
pub mod pace;
pub mod policy;
pub mod receive;
pub mod reply;
pub mod sandbox;
pub mod signature;
pub mod twilio;

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use gateway::*;

use crate::clock::Clock;
use crate::settings;
use crate::store::Store;

/// The gateway in use. A new one is a file with these methods, and an arm in each of them.
#[derive(Clone, Debug)]
pub enum Gateway {
    /// The embedded one.
    Sandbox(sandbox::Sandbox),
    /// Twilio and whatever speaks its API.
    Twilio(twilio::Twilio),
}

impl Gateway {
    /// The gateway that the settings name. Nothing is sent.
    pub fn new(settings: &settings::Gateway, store: Store, clock: Clock) -> Result<Self, twilio::SetupError> {
        Ok(match settings {
            settings::Gateway::Sandbox => Gateway::Sandbox(sandbox::Sandbox::new(store, clock)),
            settings::Gateway::Twilio(settings) => Gateway::Twilio(twilio::Twilio::new(settings.clone())?),
        })
    }

    /// What `/hooks/NAME/…`, records and metrics call it.
    pub fn name(&self) -> &'static str {
        match self {
            Gateway::Sandbox(_) => sandbox::NAME,
            Gateway::Twilio(_) => twilio::NAME,
        }
    }

    /// Hands `message` to it. Takes 15 s at most. Not to be dropped in mid-flight: then nobody knows what was sent.
    pub async fn send(&self, message: &Outgoing) -> SendOutcome {
        match self {
            Gateway::Sandbox(gateway) => gateway.send(message).await,
            Gateway::Twilio(gateway) => gateway.send(message).await,
        }
    }

    /// Whether it has `message`, which was never sent before `since`.
    pub async fn lookup(&self, message: &Outgoing, since: Timestamp) -> Lookup {
        match self {
            Gateway::Sandbox(gateway) => gateway.lookup(message).await,
            Gateway::Twilio(gateway) => gateway.lookup(message, since).await,
        }
    }

    /// How long after a lost answer [`Gateway::lookup`] tells the truth.
    pub fn settles_within(&self) -> Duration {
        match self {
            Gateway::Sandbox(_) => Duration::ZERO,
            Gateway::Twilio(gateway) => gateway.settles_within(),
        }
    }

    /// Reads a webhook: proof of origin first, then its meaning.
    pub fn hook(&self, request: &HookRequest<'_>) -> Result<HookEvent, HookError> {
        match self {
            Gateway::Sandbox(gateway) => gateway.hook(request),
            Gateway::Twilio(gateway) => gateway.hook(request),
        }
    }

    /// What it does by itself until `shutdown`: the sandbox reports deliveries, others do so by webhook.
    pub async fn run(&self, inbound: &inbound::Inbound, shutdown: &CancellationToken) {
        match self {
            Gateway::Sandbox(gateway) => gateway.deliver(inbound, shutdown).await,
            Gateway::Twilio(_) => {}
        }
    }
}
