//! REFER within a leg: the peer's, which the call answers, and ours, whose end the peer reports.

use std::time::Duration;

use rsipstack::sip::{Header, Method, Response};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::oneshot;

use super::Task;
use super::asking::Purpose;
use crate::sip::dialog::refer::{self, News, ReferError, ReferReply, Replaces};
use crate::sip::dialog::{Command, DialogEvent};
use crate::sip::message;

/// A transfer that the call does not answer within so many T1 (8 s) is refused.
const ANSWER_PATIENCE: u32 = 16;
/// A transfer that nobody concludes within so many T1 (3 min) is over.
const PATIENCE: u32 = 360;
/// A peer that agreed and says nothing at all for so many T1 (32 s) never will.
const SILENCE: u32 = 64;

/// A transfer that the peer asked for.
pub(super) struct Referred {
    id: u64,
    /// Until it is answered.
    transaction: Option<Transaction>,
    /// What tells one transfer's reports from another's: the REFER's CSeq, from the second on (RFC 3515 section 2.4.6).
    event: Option<u32>,
    pub(super) until: Duration,
    /// A report of ours has not been answered.
    reporting: bool,
    /// The end, which waits for that.
    last: Option<u16>,
}

/// A transfer that we asked for.
pub(super) struct Referring {
    done: oneshot::Sender<Result<(), ReferError>>,
    /// The peer agreed.
    agreed: bool,
    pub(super) until: Option<Duration>,
}

impl Task {
    /// The peer asks for a transfer.
    pub(super) async fn on_refer(&mut self, transaction: Transaction) {
        let refused = if !self.confirmed {
            Some(403)
        } else if self.referred.is_some() {
            Some(491)
        } else {
            None
        };
        let asked = match refused {
            Some(status) => Err(status),
            None => refer::read(&transaction.original),
        };
        let (to, replaces) = match asked {
            Ok(asked) => asked,
            Err(status) => return self.refuse_refer(transaction, status).await,
        };
        self.refers += 1;
        let reply = ReferReply::new(self.refers, self.commands.clone());
        if !self.tell(DialogEvent::Refer { to, replaces, reply }) {
            return self.refuse_refer(transaction, 503).await;
        }
        let event = message::cseq(&transaction.original.headers).filter(|_| self.refers > 1);
        let until = self.endpoint.now() + self.endpoint.0.timers.t1 * ANSWER_PATIENCE;
        let transaction = Some(transaction);
        self.referred = Some(Referred { id: self.refers, transaction, event, until, reporting: false, last: None });
    }

    async fn refuse_refer(&mut self, transaction: Transaction, status: u16) {
        self.endpoint.count(|c| &c.refers_refused);
        tracing::info!(call_id = %self.ends.call_id, status, "a transfer was refused");
        self.reply(transaction, status, vec![]).await;
    }

    /// What the call says to it.
    pub(super) async fn on_refer_command(&mut self, command: Command) {
        match command {
            Command::ReferAccept { id } => {
                let until = self.endpoint.now() + self.endpoint.0.timers.t1 * PATIENCE;
                let Some(referred) = self.referred.as_mut().filter(|referred| referred.id == id) else { return };
                referred.until = until;
                if let Some(transaction) = referred.transaction.take() {
                    let contact = Header::Contact(self.ends.contact.as_str().into());
                    self.reply(transaction, 202, vec![contact]).await;
                    self.report(100, false).await;
                }
            }
            Command::ReferFinish { id, status } => {
                let Some(referred) = self.referred.as_mut().filter(|referred| referred.id == id) else { return };
                if referred.reporting {
                    referred.last = Some(status);
                } else {
                    self.report(status, true).await;
                }
            }
            Command::ReferRefuse { id, status } => {
                let Some(referred) = self.referred.take_if(|referred| referred.id == id) else { return };
                if let Some(transaction) = referred.transaction {
                    self.refuse_refer(transaction, status).await;
                }
            }
            Command::Refer { to, replaces, done } => self.refer(&to, replaces.as_ref(), done).await,
            _ => {}
        }
    }

    /// Tells the peer how far its transfer is (RFC 3515 section 2.4.4).
    async fn report(&mut self, status: u16, last: bool) {
        let Some(referred) = &mut self.referred else { return };
        if self.ending || self.end.get().is_some() {
            self.referred = None;
            return;
        }
        referred.reporting = true;
        let id = referred.event.map_or(String::new(), |id| format!(";id={id}"));
        let state = if last { "terminated;reason=noresource" } else { "active;expires=180" };
        let mut notify = self.ends.request(Method::Notify);
        notify.headers.push(Header::Event(format!("refer{id}").into()));
        notify.headers.push(Header::SubscriptionState(state.into()));
        notify.headers.push(Header::Contact(self.ends.contact.as_str().into()));
        let body = refer::fragment(status);
        message::set_body(&mut notify.headers, &mut notify.body, "message/sipfrag;version=2.0", body);
        if last {
            self.referred = None;
        }
        self.send(notify, Purpose::Report).await;
    }

    pub(super) async fn on_reported(&mut self, response: Option<Box<Response>>) {
        let Some(referred) = &mut self.referred else { return };
        referred.reporting = false;
        if response.as_deref().is_none_or(|response| message::status(response) / 100 != 2) {
            // The peer does not want to know.
            self.referred = None;
        } else if let Some(status) = referred.last.take() {
            self.report(status, true).await;
        }
    }

    /// Asks the peer to call somebody else.
    async fn refer(&mut self, to: &str, replaces: Option<&Replaces>, done: oneshot::Sender<Result<(), ReferError>>) {
        let refused = if self.ending || self.end.get().is_some() {
            Some(ReferError::Over)
        } else if self.referring.is_some() || !self.confirmed {
            Some(ReferError::Pending)
        } else {
            None
        };
        let refer_to = match refused.map_or_else(|| refer::refer_to(to, replaces), Err) {
            Ok(refer_to) => refer_to,
            Err(error) => {
                let _ = done.send(Err(error));
                return;
            }
        };
        let mut request = self.ends.request(Method::Refer);
        request.headers.push(Header::ReferTo(refer_to.into()));
        // Who asks, for whoever is called (RFC 3892).
        let ours = self.ends.local.split(";tag=").next().unwrap_or_default().to_owned();
        request.headers.push(Header::ReferredBy(ours.into()));
        request.headers.push(Header::Contact(self.ends.contact.as_str().into()));
        self.referring = Some(Referring { done, agreed: false, until: None });
        self.send(request, Purpose::Refer).await;
    }

    pub(super) async fn on_refer_answered(&mut self, response: Option<Box<Response>>) {
        let status = response.as_deref().map_or(408, message::status);
        let silence = self.endpoint.now() + self.endpoint.0.timers.t1 * SILENCE;
        let Some(referring) = &mut self.referring else { return };
        if status / 100 == 2 {
            referring.agreed = true;
            referring.until.get_or_insert(silence);
        } else {
            self.referred_to(Err(ReferError::Refused(status)));
        }
    }

    /// The peer says how far our transfer is.
    pub(super) async fn on_notify(&mut self, transaction: Transaction) {
        let news = refer::news(&transaction.original);
        let (Some(News { status, last }), Some(referring)) = (news, &mut self.referring) else {
            return self.reply(transaction, 481, vec![]).await;
        };
        // A NOTIFY may overtake the 202.
        referring.agreed = true;
        referring.until = Some(self.endpoint.now() + self.endpoint.0.timers.t1 * PATIENCE);
        self.reply(transaction, 200, vec![]).await;
        match status {
            Some(200..300) => self.referred_to(Ok(())),
            Some(status @ 300..) => self.referred_to(Err(ReferError::Failed(status))),
            Some(_) | None if last => self.referred_to(Err(ReferError::Silent)),
            Some(_) | None => {}
        }
    }

    fn referred_to(&mut self, came: Result<(), ReferError>) {
        if let Some(referring) = self.referring.take() {
            let _ = referring.done.send(came);
        }
    }

    /// The leg is over.
    pub(super) fn transfers_end(&mut self, hung_up: bool) {
        let agreed = self.referring.as_ref().is_some_and(|referring| referring.agreed);
        self.referred_to(Err(if agreed && hung_up { ReferError::HungUp } else { ReferError::Over }));
        self.referred = None;
    }

    pub(super) async fn transfers_due(&mut self, now: Duration) {
        if self.referring.as_ref().is_some_and(|referring| referring.until.is_some_and(|until| until <= now)) {
            self.referred_to(Err(ReferError::Silent));
        }
        let Some(referred) = self.referred.take_if(|referred| referred.until <= now) else { return };
        match referred.transaction {
            Some(transaction) => self.refuse_refer(transaction, 603).await,
            None => {
                self.referred = Some(Referred { transaction: None, ..referred });
                self.report(503, true).await;
            }
        }
    }
}
