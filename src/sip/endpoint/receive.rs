//! What comes in: who sent it, is it a message, and which call is it for?

use std::net::SocketAddr;

use rsipstack::sip::{Header, Method, Response, SipMessage};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::sync::mpsc;

use super::{Endpoint, lock};
use crate::settings::Transport;
use crate::sip::capabilities::{ALLOW, busy, capabilities, unsupported};
use crate::sip::guard::{Decision, Standing};
use crate::sip::message::{self, first};
use crate::sip::trace::TraceDirection;
use crate::sip::wire::{self, Verdict};
use crate::sip::{header, inbound, registrar};

/// Transactions at once, finished ones that still answer retransmissions included. Beyond, new requests are dropped.
const MAX_TRANSACTIONS: usize = 200_000;

impl Endpoint {
    pub(super) async fn read_datagrams(self, index: usize) {
        let Some(udp) = self.0.udp.get(index) else { return };
        let mut buffer = vec![0_u8; wire::MAX_MESSAGE];
        loop {
            let received = tokio::select! {
                () = self.0.stop.cancelled() => return,
                received = udp.socket.recv_from(&mut buffer) => received,
            };
            // An ICMP error of an earlier datagram shows up here; it concerns nobody.
            let Ok((length, source)) = received else { continue };
            let Some(datagram) = buffer.get(..length) else { continue };
            match self.decide(source.ip()) {
                Decision::Drop => continue,
                Decision::Reject => {
                    if let Some(answer) = wire::forbidden(datagram, source) {
                        let _ = udp.socket.send_to(&answer, source).await;
                    }
                    continue;
                }
                Decision::Trunk | Decision::Peer | Decision::Visitor => {}
            }
            let _ = self.receive(datagram, source, &udp.connection, false).await;
        }
    }

    /// Takes one message. `Err`: the stream that it came from cannot go on.
    pub(in crate::sip) async fn receive(
        &self,
        bytes: &[u8],
        source: SocketAddr,
        connection: &SipConnection,
        stream: bool,
    ) -> Result<(), ()> {
        let standing = self.standing(source.ip());
        let visits = standing == Standing::Visitor;
        // A datagram has been paid for; on a stream each message is.
        if visits && stream && !self.let_visit(source.ip()) {
            return Err(());
        }
        let bytes = match wire::examine(bytes, source, stream) {
            Verdict::Message(bytes) => bytes,
            Verdict::Answer(answer) => {
                self.count(|c| &c.malformed);
                if visits {
                    return Ok(());
                }
                return self.send_raw(answer, source, connection).await;
            }
            Verdict::Nothing => {
                if bytes.iter().any(|b| !b.is_ascii_whitespace()) {
                    self.count(|c| &c.malformed);
                }
                return Ok(());
            }
        };
        let transport = match connection.transport() {
            rsipstack::sip::Transport::Tls => Transport::Tls,
            rsipstack::sip::Transport::Tcp => Transport::Tcp,
            _ => Transport::Udp,
        };
        let may_call = matches!(standing, Standing::Trunk | Standing::Phone);
        self.0.tap.note(TraceDirection::Received, source, transport, &bytes, may_call);
        let handed = self.hand_over(&bytes, source, standing, connection).await;
        if handed.is_err() {
            self.count(|c| &c.malformed);
            if !visits && let Some(answer) = wire::unreadable(&bytes, source) {
                return self.send_raw(answer, source, connection).await;
            }
        }
        loop {
            let fresh = lock(&self.0.fresh).try_recv();
            let Ok(transaction) = fresh else { return Ok(()) };
            self.dispatch(transaction).await;
        }
    }

    /// Whether a source may begin something with this method. Whoever is not known may show that it is a phone of ours.
    fn may_begin(&self, method: Method, source: SocketAddr, standing: Standing) -> bool {
        match standing {
            Standing::Trunk | Standing::Phone => true,
            Standing::Visitor => matches!(method, Method::Register | Method::Invite),
            // An address that we merely called may not call us, unless it shows that it is a phone of ours.
            Standing::Peer => {
                let shows = matches!(method, Method::Register | Method::Invite);
                shows && !self.settings().extensions.is_empty() && self.let_visit(source.ip())
            }
            Standing::Stranger => false,
        }
    }

    async fn hand_over(
        &self,
        bytes: &[u8],
        source: SocketAddr,
        standing: Standing,
        connection: &SipConnection,
    ) -> rsipstack::Result<()> {
        let message = SipMessage::try_from(bytes)?;
        let kind = connection.transport();
        let message = SipConnection::update_msg_received(message, source, kind)?;
        match &message {
            SipMessage::Response(_) if standing == Standing::Visitor => {
                self.count(|c| &c.strangers);
                return Ok(());
            }
            SipMessage::Response(response) => self.repeat_ack(response).await,
            SipMessage::Request(request) => {
                let new = first!(request, To).is_none_or(|to| header::tag(to).is_none());
                let concludes = matches!(request.method, Method::Ack | Method::Cancel);
                let strange = !concludes
                    && if new {
                        !self.may_begin(request.method, source, standing)
                    } else {
                        standing == Standing::Visitor
                    };
                if strange {
                    self.count(|c| &c.strangers);
                    if request.method == Method::Refer {
                        self.count(|c| &c.refers_refused);
                        tracing::warn!(%source, "a stranger asked for a transfer");
                    }
                    let told = standing == Standing::Visitor && self.tell_stranger(source.ip());
                    if told && let Some(answer) = wire::forbidden(bytes, source) {
                        let _ = self.send_raw(answer, source, connection).await;
                    }
                    return Ok(());
                }
                if new && !concludes {
                    let stack = &self.0.stack;
                    if stack.transactions.len() + stack.finished_transactions.len() > MAX_TRANSACTIONS {
                        self.count(|c| &c.overload);
                        return Ok(());
                    }
                }
            }
        }
        let from = SipAddr::new(kind, source.into());
        self.0.stack.on_received_message(message, connection.clone(), &from).await
    }

    async fn send_raw(&self, answer: Vec<u8>, to: SocketAddr, connection: &SipConnection) -> Result<(), ()> {
        match connection {
            SipConnection::Udp(udp) => {
                let _ = udp.send_raw(&answer, &SipAddr::new(rsipstack::sip::Transport::Udp, to.into())).await;
                Ok(())
            }
            // The library frames what goes out on a stream, so it must read it first.
            stream => match SipMessage::try_from(answer.as_slice()) {
                Ok(answer) => stream.send(answer, None).await.map_err(|_| ()),
                Err(_) => Err(()),
            },
        }
    }

    /// Finds out what a new server transaction is for. Never waits for anything but a socket.
    pub(in crate::sip) async fn dispatch(&self, transaction: Transaction) {
        self.count(|c| &c.requests);
        let request = &transaction.original;
        let tag = first!(request, To).and_then(header::tag).map(str::to_owned);
        if let Some(tag) = tag {
            let dialog = lock(&self.0.dialogs).get(&tag).cloned();
            let Some(dialog) = dialog else {
                return self.refuse(transaction, 481, vec![]).await;
            };
            match dialog.try_send(Box::new(transaction)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(transaction)) => self.refuse(*transaction, 503, busy()).await,
                Err(mpsc::error::TrySendError::Closed(transaction)) => self.refuse(*transaction, 481, vec![]).await,
            }
            return;
        }
        if let Some(unknown) = unsupported(request) {
            return self.refuse(transaction, 420, vec![Header::Unsupported(unknown.into())]).await;
        }
        match request.method {
            Method::Invite => inbound::arrive(self, transaction).await,
            Method::Options => {
                let mut response = message::response(request, 200, &message::random());
                response.headers.extend(capabilities());
                self.respond(transaction, response).await;
            }
            Method::Bye | Method::Info | Method::Update | Method::PRack | Method::Ack | Method::Cancel => {
                self.refuse(transaction, 481, vec![]).await;
            }
            Method::Register if !self.settings().extensions.is_empty() => registrar::register(self, transaction).await,
            Method::Refer => {
                // RFC 3515 section 2.4.2 leaves it to us: a transfer is asked for within the call that it is about.
                self.count(|c| &c.refers_refused);
                tracing::warn!(call_id = first!(request, CallId), "a transfer was asked for outside any call");
                self.refuse(transaction, 403, vec![]).await;
            }
            Method::Message | Method::Notify | Method::Publish | Method::Register | Method::Subscribe => {
                self.refuse(transaction, 405, vec![Header::Allow(ALLOW.into())]).await;
            }
        }
    }

    /// Refuses a request for good.
    pub(in crate::sip) async fn refuse(&self, transaction: Transaction, status: u16, headers: Vec<Header>) {
        let mut response = message::response(&transaction.original, status, &message::random());
        response.headers.extend(headers);
        self.respond(transaction, response).await;
    }

    /// Sends a final response; an INVITE's transaction goes on by itself until its ACK or timeout.
    pub(in crate::sip) async fn respond(&self, mut transaction: Transaction, response: Response) {
        // A response that cannot be sent is as good as lost: the peer asks again.
        let _ = transaction.respond(response).await;
        if transaction.original.method == Method::Invite {
            tokio::spawn(async move { while transaction.receive().await.is_some() {} });
        }
    }
}
