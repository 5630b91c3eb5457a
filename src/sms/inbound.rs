//! What a verified webhook does to the store. It has happened when [`Inbound::apply`] returns, not before.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::gateway::{HookEvent, InboundText, StatusReport};
use super::outbox::shown;
use super::receive::{self, Received, TextIn};
use crate::conversation::templates::{Templates, Values};
use crate::model::Language;
use crate::store::messages::{self, Report, Reported};
use crate::store::{Store, StoreError, Tx};

/// What the answers to STOP, START and HELP need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies {
    /// The clinic's messages.
    pub templates: Arc<Templates>,
    /// What their variables say.
    pub values: Values,
    /// The clinic's language.
    pub language: Language,
    /// After so long an answer is of no use (`sms.expire_after`).
    pub expire_after: Duration,
    /// A thread that was closed less than so long ago opens again (`desk.reopen_within`).
    pub reopen_within: Duration,
}

/// Takes what gateways report. Cloning it gives another handle on the same.
#[derive(Clone)]
pub struct Inbound {
    store: Store,
    replies: Arc<dyn Fn() -> Replies + Send + Sync>,
}

impl Inbound {
    /// Writes into `store`; `replies` is asked at each text, because settings are reloaded while we run.
    pub fn new(store: Store, replies: impl Fn() -> Replies + Send + Sync + 'static) -> Self {
        Inbound { store, replies: Arc::new(replies) }
    }

    /// Commits what `event` of `gateway` says. On an error nothing of it is kept: the gateway shall send it again.
    pub async fn apply(&self, gateway: &'static str, event: HookEvent, now: Timestamp) -> Result<(), StoreError> {
        match event {
            HookEvent::Inbound(text) => {
                let text = text_in(gateway, text, (self.replies)(), now);
                let received = self.store.write(move |tx| receive::receive_text(tx, &text)).await?;
                if let Received::Duplicate(message) = received {
                    tracing::debug!(gateway, %message, "a text came in again and was dropped");
                }
                Ok(())
            }
            HookEvent::Status(report) => self.store.write(move |tx| settle(tx, gateway, &report, now)).await,
            HookEvent::Nothing => Ok(()),
        }
    }
}

fn text_in(gateway: &str, text: InboundText, replies: Replies, now: Timestamp) -> TextIn {
    TextIn {
        gateway: gateway.to_owned(),
        gateway_id: text.gateway_id,
        from: text.from,
        to: text.to,
        body: text.body,
        media: text.media,
        answered: text.answered,
        templates: replies.templates,
        values: replies.values,
        language: replies.language,
        expire_after: replies.expire_after,
        reopen_within: replies.reopen_within,
        now,
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

fn settle(tx: &Tx<'_>, gateway: &str, said: &StatusReport, now: Timestamp) -> Result<(), StoreError> {
    let error = said.refusal.as_ref().map(shown);
    let report =
        Report { gateway, gateway_id: &said.gateway_id, status: said.status, error: error.as_deref(), at: now };
    if let Reported::Moved { message, to } = messages::report(tx, &report)?
        && said.refusal.as_ref().is_some_and(|refusal| refusal.opted_out)
    {
        receive::opted_out_at_gateway(tx, gateway, &to, Some(message), now)?;
    }
    Ok(())
}
