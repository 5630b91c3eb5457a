//! What goes out: the ways to peers, and client transactions.

use std::net::SocketAddr;
use std::sync::Arc;

use rsipstack::sip::{Header, Request, Response, SipMessage};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Endpoint, SipError, Stream, lock, name};
use crate::settings::Transport;
use crate::sip::message::{self, first};
use crate::sip::{AGENT, header, outbound, stream};

/// A way to a peer.
#[derive(Clone)]
pub(in crate::sip) struct Flow {
    pub connection: SipConnection,
    pub transport: Transport,
    pub remote: SocketAddr,
    /// The address that Via, Contact and SDP name towards this peer.
    pub local: SocketAddr,
    /// The name that a connection of ours was opened by: what its certificate says.
    pub host: Option<Arc<str>>,
    /// Cancelled when nothing more can go this way: the connection has ended.
    pub closed: CancellationToken,
    /// The peer is reached this way alone, whatever address it names: a phone of ours, perhaps behind a NAT.
    pub pinned: bool,
}

impl Flow {
    /// Contact for this flow, with `user` if it is not empty.
    pub(in crate::sip) fn contact(&self, user: &str) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        let transport = match self.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        format!("<sip:{user}{at}{}{transport}>", self.local)
    }

    fn destination(&self) -> SipAddr {
        SipAddr::new(library(self.transport), self.remote.into())
    }
}

/// A client transaction that runs by itself: retransmissions and timeouts (as 408) included.
pub(in crate::sip) struct ClientTransaction {
    /// The request as it went out.
    pub request: Request,
    responses: mpsc::Receiver<Response>,
}

impl ClientTransaction {
    /// The next response; `None` after the final one, or when none can come.
    pub(in crate::sip) async fn next(&mut self) -> Option<Response> {
        self.responses.recv().await
    }

    /// The final response; `None` if the endpoint has closed, or the connection before the peer said anything.
    pub(in crate::sip) async fn finish(mut self) -> Option<Response> {
        while let Some(response) = self.next().await {
            if message::status(&response) >= 200 {
                return Some(response);
            }
        }
        None
    }
}

fn library(transport: Transport) -> rsipstack::sip::Transport {
    match transport {
        Transport::Udp => rsipstack::sip::Transport::Udp,
        Transport::Tcp => rsipstack::sip::Transport::Tcp,
        Transport::Tls => rsipstack::sip::Transport::Tls,
    }
}

impl Endpoint {
    /// A way to `remote`. `name` is the host that the trunk is configured by, for its TLS certificate. The address may
    /// from now on speak to us within calls.
    pub(in crate::sip) async fn flow(
        &self,
        remote: SocketAddr,
        transport: Transport,
        host: &str,
    ) -> Result<Flow, SipError> {
        lock(&self.0.guard).allow_peer(remote.ip(), self.now());
        if transport == Transport::Udp {
            let udp = self.0.udp.iter().find(|udp| udp.local.is_ipv4() == remote.is_ipv4());
            let udp = udp.ok_or(SipError::NoListener { transport: "udp", address: remote })?;
            let local = self.advertised(udp.local, remote.ip());
            let closed = self.0.stop.clone();
            let connection = udp.connection.clone();
            return Ok(Flow { connection, transport, remote, local, host: None, closed, pinned: false });
        }
        let turn = lock(&self.0.opening).entry(remote).or_default().clone();
        let stream = {
            let _mine = turn.lock().await;
            match self.open_stream(remote, transport) {
                Some(stream) => Ok(stream),
                None => stream::connect(self, remote, transport, host).await,
            }
        };
        {
            // Whoever waits for the same turn has a handle to it.
            let mut opening = lock(&self.0.opening);
            if Arc::strong_count(&turn) <= 2 {
                opening.remove(&remote);
            }
        }
        let failed = |source| SipError::Connect { transport: name(transport), address: remote, source };
        Ok(self.stream_flow(remote, &stream.map_err(failed)?))
    }

    fn open_stream(&self, remote: SocketAddr, transport: Transport) -> Option<Stream> {
        let known = lock(&self.0.streams).get(&remote).cloned()?;
        (known.transport == transport && !known.stop.is_cancelled()).then_some(known)
    }

    fn stream_flow(&self, remote: SocketAddr, stream: &Stream) -> Flow {
        // A connection of ours ends at a port that nobody listens on: name the listener, if there is one.
        let listener = self
            .0
            .listening
            .iter()
            .find(|listen| listen.transport == stream.transport && listen.address.is_ipv4() == remote.is_ipv4());
        let port = listener.map_or(stream.local.port(), |listen| listen.address.port());
        let local = self.advertised(SocketAddr::new(stream.local.ip(), port), remote.ip());
        Flow {
            connection: stream.connection.clone(),
            transport: stream.transport,
            remote,
            local,
            host: stream.host.clone(),
            closed: stream.stop.clone(),
            pinned: false,
        }
    }

    /// The way back to where a request came from.
    pub(in crate::sip) fn flow_of(&self, transaction: &Transaction) -> Option<Flow> {
        let connection = transaction.connection.clone()?;
        match &connection {
            SipConnection::Udp(udp) => {
                let bound = udp.get_addr().get_socketaddr().ok()?;
                let via = transaction.original.headers.iter().find_map(|h| match h {
                    Header::Via(via) => Some(via),
                    _ => None,
                })?;
                let (_, remote) = SipConnection::parse_target_from_via(via).ok()?;
                let remote = SocketAddr::try_from(remote).ok()?;
                let local = self.advertised(bound, remote.ip());
                let closed = self.0.stop.clone();
                Some(Flow { connection, transport: Transport::Udp, remote, local, host: None, closed, pinned: false })
            }
            SipConnection::Channel(channel) => {
                let remote = channel.get_addr().get_socketaddr().ok()?;
                let stream = lock(&self.0.streams).get(&remote).cloned()?;
                Some(self.stream_flow(remote, &stream))
            }
            _ => None,
        }
    }

    /// Sends a request and runs its client transaction. Via, Max-Forwards, User-Agent and Content-Length are added
    /// unless they are there.
    pub(in crate::sip) async fn request(&self, flow: &Flow, request: Request) -> Result<ClientTransaction, SipError> {
        let request = self.complete(flow, request);
        let failed = |error: rsipstack::Error| SipError::Request(error.to_string());
        let key = TransactionKey::from_request(&request, TransactionRole::Client).map_err(failed)?;
        let stack = self.0.stack.clone();
        let mut transaction = Transaction::new_client(key, request.clone(), stack, Some(flow.connection.clone()));
        transaction.destination = Some(flow.destination());
        let (responses, received) = mpsc::channel(16);
        let stop = self.0.stop.clone();
        let closed = flow.closed.clone();
        tokio::spawn(async move {
            if transaction.send().await.is_err() {
                return;
            }
            let mut heard = false;
            loop {
                let message = tokio::select! {
                    biased;
                    message = transaction.receive() => message,
                    () = stop.cancelled() => return,
                    // A peer that has spoken may answer by another connection (RFC 3261 section 18.2.2).
                    () = closed.cancelled(), if !heard => return,
                };
                match message {
                    // A reader that lags loses provisional responses, never the final one.
                    Some(SipMessage::Response(response)) if message::status(&response) < 200 => {
                        heard = true;
                        let _ = responses.try_send(response);
                    }
                    Some(SipMessage::Response(response)) => {
                        let _ = responses.send(response).await;
                    }
                    Some(SipMessage::Request(_)) => {}
                    None => return,
                }
            }
        });
        Ok(ClientTransaction { request, responses: received })
    }

    fn complete(&self, flow: &Flow, mut request: Request) -> Request {
        if first!(request, Via).is_none() {
            let transport = match flow.transport {
                Transport::Udp => "UDP",
                Transport::Tcp => "TCP",
                Transport::Tls => "TLS",
            };
            let via = format!("SIP/2.0/{transport} {};rport;branch=z9hG4bK{}", flow.local, message::random());
            request.headers.push_front(Header::Via(via.into()));
        }
        if first!(request, MaxForwards).is_none() {
            request.headers.push(Header::MaxForwards("70".into()));
        }
        if first!(request, UserAgent).is_none() {
            request.headers.push(Header::UserAgent(AGENT.into()));
        }
        request.headers.retain(|h| !matches!(h, Header::ContentLength(_)));
        let length = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
        request.headers.push(Header::ContentLength(length.into()));
        request
    }

    /// Sends the ACK of a 2xx and keeps it, for the peer may not hear it and repeat the 2xx.
    pub(in crate::sip) async fn acknowledge(&self, tag: &str, flow: &Flow, ack: Request) {
        let ack = self.complete(flow, ack);
        let _ = flow.connection.send(ack.clone().into(), Some(&flow.destination())).await;
        lock(&self.0.acks).insert(tag.to_owned(), (flow.clone(), ack));
    }

    /// A 2xx that is no news: repeated because our ACK was lost, or of another branch of a forked INVITE. The first gets
    /// the ACK again; the second gets an ACK and a BYE, for one called party is enough (RFC 3261 section 13.2.2.4).
    pub(super) async fn repeat_ack(&self, response: &Response) {
        if message::status(response) / 100 != 2 || !first!(response, CSeq).is_some_and(|cseq| cseq.ends_with("INVITE"))
        {
            return;
        }
        let Some(tag) = first!(response, From).and_then(header::tag) else { return };
        let known = lock(&self.0.acks).get(tag).cloned();
        if let Some((flow, ack)) = known
            && message::cseq(&ack.headers) == message::cseq(&response.headers)
        {
            if first!(ack, To).and_then(header::tag) == first!(response, To).and_then(header::tag) {
                let _ = flow.connection.send(ack.into(), Some(&flow.destination())).await;
            } else {
                // Another phone of a forked call picked up too.
                outbound::decline(self, &flow, response).await;
            }
        }
    }
}
