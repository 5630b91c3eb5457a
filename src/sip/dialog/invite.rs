//! An INVITE of the peer's on its way to a final response and its ACK.

use std::time::Duration;

use rsipstack::sip::{Method, Request, Response, SipMessage};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use tokio::sync::mpsc;

use crate::sip::header;
use crate::sip::message::{self, first};
use crate::sip::session_timer::SessionExpires;

/// An INVITE of the peer's that is not concluded.
pub(super) struct Invite {
    pub(super) request: Request,
    pub(super) respond: TransactionEventSender,
    pub(super) events: mpsc::Receiver<InviteEvent>,
    pub(super) answered: bool,
    /// It had no offer: the answer to ours comes with the ACK.
    pub(super) late: bool,
    pub(super) expires: Option<SessionExpires>,
}

pub(super) enum InviteEvent {
    Ack(Option<String>),
    Cancelled(String),
    Unacknowledged,
}

impl Invite {
    /// Runs a server transaction in a task of its own; CANCEL is answered there, so that it cannot be missed.
    pub(super) fn drive(mut transaction: Transaction, tag: String) -> Invite {
        let request = transaction.original.clone();
        let respond = transaction.tu_sender.clone();
        let (happened, events) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut acknowledged = false;
            while let Some(message) = transaction.receive().await {
                let SipMessage::Request(request) = message else { continue };
                match request.method {
                    Method::Ack => {
                        acknowledged = true;
                        let _ = happened
                            .try_send(InviteEvent::Ack(message::sdp(first!(request, ContentType), &request.body)));
                    }
                    Method::Cancel => {
                        let _ = transaction.respond(message::response(&transaction.original, 487, &tag)).await;
                        let _ = happened
                            .try_send(InviteEvent::Cancelled(reason(&request).unwrap_or("cancelled".to_owned())));
                    }
                    _ => {}
                }
            }
            if !acknowledged {
                let _ = happened.try_send(InviteEvent::Unacknowledged);
            }
        });
        let late = message::sdp(first!(request, ContentType), &request.body).is_none();
        Invite { request, respond, events, answered: false, late, expires: None }
    }

    pub(super) fn respond(&self, response: Response) {
        // Its receiver is the transaction's task; if that is gone, the peer has been answered.
        let _ = self.respond.send(TransactionEvent::Respond(response));
    }
}

/// A provisional response that waits for its PRACK (RFC 3262).
pub(super) struct Reliable {
    pub(super) rseq: u32,
    pub(super) response: Response,
    pub(super) next: Duration,
    pub(super) interval: Duration,
    pub(super) until: Duration,
}

/// The text of a Reason header (RFC 3326), else its cause.
pub(super) fn reason(request: &Request) -> Option<String> {
    let value = first!(request, Reason)?;
    let text = header::parameter(value, "text").map(|text| text.trim_matches('"').to_owned());
    text.filter(|text| !text.is_empty()).or_else(|| Some(value.chars().take(120).collect()))
}
