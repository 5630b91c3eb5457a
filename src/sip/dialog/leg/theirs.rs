//! Requests of the peer's within a dialog.

use std::time::Duration;

use bytes::Bytes;
use rsipstack::sip::{Header, Method, Request};
use rsipstack::transaction::transaction::Transaction;

use super::{TRYING_AFTER, Task, add_timer};
use crate::sip::capabilities::{ALLOW, capabilities, unsupported};
use crate::sip::dialog::ends::supports;
use crate::sip::dialog::invite::{Invite, reason};
use crate::sip::dialog::{DialogEvent, Ended, OfferReply};
use crate::sip::header;
use crate::sip::message::{self, all, first};
use crate::sip::session_timer::{self, MIN_SE, SessionExpires, SessionTimer};

/// An offer that the call does not answer for so long is refused.
const OFFER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a request waits for an ACK that came just before it.
const ACK_HANDED_ON: Duration = Duration::from_millis(20);

impl Task {
    /// An ACK that came before a request may still be on its way through its own transaction's task.
    async fn settle(&mut self) {
        let Some(invite) = self.invite.as_mut().filter(|invite| invite.answered) else { return };
        if let Ok(event) = tokio::time::timeout(ACK_HANDED_ON, invite.events.recv()).await {
            self.on_invite(event).await;
        }
    }

    pub(super) async fn on_request(&mut self, transaction: Transaction) {
        self.settle().await;
        let endpoint = self.endpoint.clone();
        let request = &transaction.original;
        let ours = first!(request, CallId) == Some(self.ends.call_id.as_str())
            && first!(request, From).and_then(header::tag) == Some(self.ends.remote_tag.as_str());
        if !ours || (self.ending && request.method != Method::Bye) {
            if request.method == Method::Refer {
                endpoint.count(|c| &c.refers_refused);
                tracing::warn!(call_id = %self.ends.call_id, "somebody who is not in the call asked for its transfer");
            }
            return endpoint.refuse(transaction, 481, vec![]).await;
        }
        let cseq = message::cseq(&request.headers);
        if self.ends.remote_cseq.is_some_and(|last| cseq.is_none_or(|cseq| cseq < last)) {
            return endpoint.refuse(transaction, 500, vec![]).await;
        }
        self.ends.remote_cseq = cseq;
        if let Some(unknown) = unsupported(request) {
            return endpoint.refuse(transaction, 420, vec![Header::Unsupported(unknown.into())]).await;
        }
        match request.method {
            Method::Bye => {
                let cause = reason(request).unwrap_or_else(|| "hangup".to_owned());
                self.reply(transaction, 200, vec![]).await;
                self.refuse_pending(487).await;
                self.close(Ended::Remote, &cause);
            }
            Method::Info => {
                let content_type = first!(request, ContentType).unwrap_or_default().to_owned();
                let body = Bytes::from(request.body.clone());
                // An INFO before the answer, or without a body, tells the call nothing.
                let told = !self.confirmed || body.is_empty() || self.tell(DialogEvent::Info { content_type, body });
                self.reply(transaction, if told { 200 } else { 503 }, vec![]).await;
            }
            Method::Options => self.reply(transaction, 200, capabilities()).await,
            Method::PRack => self.prack(transaction).await,
            Method::Update | Method::Invite => self.on_offer(transaction).await,
            Method::Refer => self.on_refer(transaction).await,
            Method::Notify => self.on_notify(transaction).await,
            _ => self.reply(transaction, 405, vec![Header::Allow(ALLOW.into())]).await,
        }
    }

    pub(super) async fn reply(&self, transaction: Transaction, status: u16, headers: Vec<Header>) {
        let mut response = message::response(&transaction.original, status, &self.ends.local_tag);
        response.headers.extend(headers);
        self.endpoint.respond(transaction, response).await;
    }

    async fn prack(&mut self, transaction: Transaction) {
        let matches = self.reliable.as_ref().is_some_and(|reliable| {
            let mut parts = first!(transaction.original, RAck).unwrap_or_default().split_ascii_whitespace();
            parts.next() == Some(reliable.rseq.to_string().as_str())
                && parts.next().and_then(|n| n.parse().ok()) == message::cseq(&reliable.response.headers)
                && parts.next() == Some("INVITE")
        });
        if matches {
            self.reliable = None;
        }
        self.reply(transaction, if matches { 200 } else { 481 }, vec![]).await;
    }

    /// A re-INVITE or UPDATE.
    async fn on_offer(&mut self, transaction: Transaction) {
        let request = &transaction.original;
        let invite = request.method == Method::Invite;
        let sdp = message::sdp(first!(request, ContentType), &request.body);
        if sdp.is_none() && !request.body.is_empty() {
            return self.reply(transaction, 415, vec![Header::Accept("application/sdp".into())]).await;
        }
        let offers = invite || sdp.is_some();
        if offers && (self.asking || self.answered()) {
            // Glare (RFC 3261 section 14.2), or the ACK that would conclude the last offer is still missing (RFC 5407).
            return self.reply(transaction, 491, vec![]).await;
        }
        if offers && (self.offered.is_some() || self.invite.is_some()) {
            return self.reply(transaction, 500, vec![Header::RetryAfter("3".into())]).await;
        }
        let Ok(expires) = self.agree_timer(request) else {
            return self.reply(transaction, 422, vec![Header::MinSE(MIN_SE.as_secs().to_string().into())]).await;
        };
        let contact = first!(request, Contact).map(str::to_owned);
        self.refresh_target(contact.as_deref());
        if !offers {
            return self.conclude_update(transaction, expires, None).await;
        }
        self.offers += 1;
        let reply = OfferReply { id: self.offers, commands: Some(self.commands.clone()) };
        if !self.tell(DialogEvent::Offer { sdp, reply }) {
            return self.reply(transaction, 500, vec![Header::RetryAfter("3".into())]).await;
        }
        self.offered = Some((self.offers, self.endpoint.now() + OFFER_PATIENCE));
        if invite {
            let mut driven = Invite::drive(transaction, self.ends.local_tag.clone());
            driven.expires = expires;
            self.invite = Some(driven);
            self.trying_at = Some(self.endpoint.now() + TRYING_AFTER);
        } else {
            self.update = Some((transaction, expires));
        }
    }

    async fn conclude_update(
        &mut self,
        transaction: Transaction,
        expires: Option<SessionExpires>,
        sdp: Option<String>,
    ) {
        let mut response = message::response(&transaction.original, 200, &self.ends.local_tag);
        response.headers.push(Header::Contact(self.ends.contact.as_str().into()));
        response.headers.extend(capabilities());
        add_timer(&mut response, expires, self.ends.peer_timers);
        if let Some(sdp) = sdp {
            message::set_body(&mut response.headers, &mut response.body, "application/sdp", sdp.clone().into_bytes());
            self.local_sdp = sdp;
        }
        self.endpoint.respond(transaction, response).await;
        if self.confirmed {
            self.timer = expires.map(|expires| SessionTimer::agreed(expires, false, self.endpoint.now()));
        }
    }

    pub(super) async fn accept_offer(&mut self, id: u64, sdp: Option<String>) {
        if self.offered.is_none_or(|(current, _)| current != id) {
            return;
        }
        self.offered = None;
        self.trying_at = None;
        if let Some((transaction, expires)) = self.update.take() {
            return self.conclude_update(transaction, expires, sdp).await;
        }
        let Some(invite) = &self.invite else { return };
        let mut response = self.invite_response(invite, 200);
        let expires = invite.expires;
        add_timer(&mut response, expires, self.ends.peer_timers);
        let sdp = sdp.unwrap_or_else(|| self.local_sdp.clone());
        message::set_body(&mut response.headers, &mut response.body, "application/sdp", sdp.clone().into_bytes());
        invite.respond(response);
        self.local_sdp = sdp;
        self.timer = expires.map(|expires| SessionTimer::agreed(expires, false, self.endpoint.now()));
        if let Some(invite) = &mut self.invite {
            invite.answered = true;
        }
    }

    pub(super) async fn refuse_offer(&mut self, id: u64, status: u16) {
        if self.offered.is_none_or(|(current, _)| current != id) {
            return;
        }
        self.refuse_pending(status).await;
    }

    /// Refuses whatever of the peer's waits for an answer.
    pub(super) async fn refuse_pending(&mut self, status: u16) {
        self.offered = None;
        self.trying_at = None;
        if let Some((transaction, _)) = self.update.take() {
            self.reply(transaction, status, vec![]).await;
        }
        if self.invite.as_ref().is_some_and(|invite| !invite.answered) {
            self.refuse_invite(status, "").await;
        }
    }

    /// What the peer's request and we agree on as session timer.
    pub(super) fn agree_timer(&self, request: &Request) -> Result<Option<SessionExpires>, session_timer::TooSmall> {
        let asked = first!(request, SessionExpires).and_then(SessionExpires::parse);
        let least = first!(request, MinSE).and_then(SessionExpires::parse).map(|least| least.interval);
        let ours = self.endpoint.settings().sip.session_expires;
        session_timer::answer(asked, least, supports(all!(request, Supported), "timer"), ours)
    }

    pub(super) fn refresh_target(&mut self, contact: Option<&str>) {
        if let Some(uri) = contact.and_then(|contact| header::list(contact).next()).and_then(header::uri) {
            self.ends.target = uri.to_owned();
        }
    }
}
