//! A request of ours within a dialog on its way, and what comes of it. A trunk that wants to know who asks (401, 407) is
//! asked once more, with the account that it knows us by (RFC 3261 section 22).

use rsipstack::sip::{Header, Request, Response};
use tokio::sync::oneshot;

use super::Task;
use crate::sip::dialog::OfferError;
use crate::sip::digest::{Asker, Signed};
use crate::sip::message::{self, all};

/// What a request of ours is for.
pub(super) enum Purpose {
    Bye,
    /// A transfer that we ask for.
    Refer,
    /// What came of a transfer that the peer has asked for.
    Report,
    /// Another session, for whoever waits for the answer; without anybody a refresh.
    Offer(Option<oneshot::Sender<Result<String, OfferError>>>),
}

/// What came of a request of ours.
pub(super) struct Outcome {
    pub(super) purpose: Purpose,
    /// Without what the way adds to it.
    pub(super) request: Request,
    /// The final response; none: it could not be sent, or the way to the peer has ended.
    pub(super) response: Option<Box<Response>>,
}

impl Task {
    /// Sends a request; the [`Outcome`] follows.
    pub(super) async fn send(&mut self, mut request: Request, purpose: Purpose) {
        if let Some(authenticator) = &mut self.ends.authenticator {
            let (method, uri) = (request.method.to_string(), request.uri.to_string());
            let signed = Signed { method: &method, uri: &uri, body: &request.body };
            for (name, value) in authenticator.headers(signed, &message::random()) {
                request.headers.push(if name == Asker::Server.answer_header() {
                    Header::Authorization(value.into())
                } else {
                    Header::ProxyAuthorization(value.into())
                });
            }
        }
        let way = self.ends.way(&self.endpoint).await;
        let sent = self.endpoint.request(&way, request.clone()).await;
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let response = match sent {
                Ok(transaction) => transaction.finish().await.map(Box::new),
                Err(_) => None,
            };
            let _ = outcomes.send(Outcome { purpose, request, response }).await;
        });
    }

    /// Gives the outcome back, unless the peer wants to know who asks and is being told.
    pub(super) async fn unless_challenged(&mut self, outcome: Outcome) -> Option<Outcome> {
        let (Some(authenticator), Some(response)) = (&mut self.ends.authenticator, &outcome.response) else {
            return Some(outcome);
        };
        let status = message::status(response);
        let Some(asker) = Asker::of(status) else {
            authenticator.accepted();
            return Some(outcome);
        };
        let (values, told): (Vec<&str>, bool) = match asker {
            Asker::Server => {
                (all!(response, WwwAuthenticate).collect(), all!(outcome.request, Authorization).count() > 0)
            }
            Asker::Proxy => {
                (all!(response, ProxyAuthenticate).collect(), all!(outcome.request, ProxyAuthorization).count() > 0)
            }
        };
        if !told {
            // Another request may have been challenged meanwhile: this one has not been refused yet.
            authenticator.accepted();
        }
        if let Err(reason) = authenticator.challenged(asker, &values) {
            tracing::warn!(call_id = %self.ends.call_id, method = %outcome.request.method, %reason, "a request was refused");
            return Some(outcome);
        }
        let Outcome { purpose, mut request, .. } = outcome;
        request.headers.retain(|h| !matches!(h, Header::Authorization(_) | Header::ProxyAuthorization(_)));
        self.ends.renumber(&mut request);
        self.send(request, purpose).await;
        None
    }
}
