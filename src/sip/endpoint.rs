//! The box's SIP endpoint: sockets, transactions, and which call a request is for.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rsipstack::sip::{Header, Method, Request, Response, SipMessage};
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transaction::{EndpointBuilder, TransactionReceiver};
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::guard::{Decision, Guard};
use super::inbound::{self, Incoming};
use super::message::{self, all, first};
use super::wire::{self, Verdict};
use super::{ALLOW, SUPPORTED, outbound, stream};
use crate::clock::Clock;
use crate::settings::{Listen, Settings, Transport};

/// Transactions at once, finished ones that still answer retransmissions included. Beyond, new requests are dropped.
const MAX_TRANSACTIONS: usize = 200_000;
/// Calls that wait for the call module to take them. Beyond, 503.
const INCOMING_QUEUE: usize = 256;
/// Local addresses remembered by peer; at the bound the table is emptied.
const MAX_ROUTES: usize = 1024;

/// Why there is no endpoint, or no way to a peer.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    /// A socket could not be bound.
    #[error("cannot listen on {transport} {address}: {source}; free the port or change [sip] listen")]
    Bind {
        /// `udp`, `tcp` or `tls`.
        transport: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A TLS listener lacks its certificate or key, or they do not fit.
    #[error("cannot use {file} for TLS: {reason}; set [sip] certificate and key to PEM files that belong together")]
    Certificate {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// No listener for what a peer needs.
    #[error("no {transport} listener for {address}; add one of its kind and address family to [sip] listen")]
    NoListener {
        /// `udp`, `tcp` or `tls`.
        transport: &'static str,
        /// The peer.
        address: SocketAddr,
    },
    /// A connection could not be opened.
    #[error("cannot connect to {address} by {transport}: {source}; check the trunk's address and the firewall")]
    Connect {
        /// `tcp` or `tls`.
        transport: &'static str,
        /// The peer.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A request could not be made into a transaction.
    #[error("cannot send a request: {0}")]
    Request(String),
}

/// SIP's timers (RFC 3261 table 4).
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Round trip estimate: 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions: 4 s.
    pub t2: Duration,
    /// How long a message lives in the network: 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounters {
    /// Requests that reached a transaction.
    pub requests: u64,
    /// Messages from nobody we know.
    pub strangers: u64,
    /// Strangers that got not even a 403 though strangers are told, because they ask too often.
    pub rate_limited: u64,
    /// Messages that were refused or dropped unread.
    pub malformed: u64,
    /// Calls that came in and were handed on.
    pub calls: u64,
    /// Calls refused because there were too many, or the box was about to stop.
    pub calls_rejected_busy: u64,
    /// Requests dropped because there were too many transactions.
    pub overload: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub requests: AtomicU64,
    pub strangers: AtomicU64,
    pub rate_limited: AtomicU64,
    pub malformed: AtomicU64,
    pub calls: AtomicU64,
    pub calls_rejected_busy: AtomicU64,
    pub overload: AtomicU64,
}

/// The SIP endpoint. Cloning it gives another handle.
#[derive(Clone)]
pub struct Endpoint(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub stack: EndpointInnerRef,
    pub clock: Clock,
    pub timers: Timers,
    pub stop: CancellationToken,
    pub tls_server: Option<Arc<rustls::ServerConfig>>,
    pub counters: Counters,
    /// Calls that came in and are not over.
    pub calls: AtomicUsize,
    pub incoming: mpsc::Sender<Incoming>,
    pub accepting: AtomicBool,
    settings: RwLock<Arc<Settings>>,
    guard: Mutex<Guard>,
    /// New server transactions; drained by whoever has just received a message, so that it never fills.
    fresh: Mutex<TransactionReceiver>,
    /// Running dialogs by our tag.
    dialogs: Mutex<HashMap<String, mpsc::Sender<Box<Transaction>>>>,
    /// INVITEs of running calls, for merged requests: Call-ID, From tag and CSeq.
    merged: Mutex<HashSet<String>>,
    /// ACKs of our own calls by our tag, to be repeated when the peer repeats its 200.
    acks: Mutex<HashMap<String, (Flow, Request)>>,
    udp: Vec<Udp>,
    listening: Vec<Listen>,
    streams: Mutex<HashMap<SocketAddr, Stream>>,
    routes: Mutex<HashMap<IpAddr, IpAddr>>,
    tls_client: Mutex<Option<Arc<rustls::ClientConfig>>>,
}

struct Udp {
    local: SocketAddr,
    socket: Arc<UdpSocket>,
    connection: SipConnection,
}

/// A TCP or TLS connection.
#[derive(Clone)]
pub(super) struct Stream {
    pub connection: SipConnection,
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    pub stop: CancellationToken,
}

/// A way to a peer.
#[derive(Clone)]
pub(super) struct Flow {
    pub connection: SipConnection,
    pub transport: Transport,
    pub remote: SocketAddr,
    /// The address that Via, Contact and SDP name towards this peer.
    pub local: SocketAddr,
}

impl Flow {
    /// Contact for this flow, with `user` if it is not empty.
    pub(super) fn contact(&self, user: &str) -> String {
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
pub(super) struct ClientTransaction {
    /// The request as it went out.
    pub request: Request,
    responses: mpsc::Receiver<Response>,
}

impl ClientTransaction {
    /// The next response; `None` after the final one.
    pub(super) async fn next(&mut self) -> Option<Response> {
        self.responses.recv().await
    }

    /// The final response; `None` if the endpoint has closed.
    pub(super) async fn finish(mut self) -> Option<Response> {
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

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Binds every address of `[sip] listen` and starts to serve; calls come out of the receiver.
    ///
    /// # Errors
    /// An address that cannot be bound, or TLS without a usable certificate: each names its cure.
    pub async fn bind(settings: &Settings, clock: Clock) -> Result<(Endpoint, mpsc::Receiver<Incoming>), SipError> {
        Self::bind_with(settings, clock, Timers::default()).await
    }

    /// [`Endpoint::bind`] with other timers, for networks that need them (satellite links, loopback).
    pub async fn bind_with(
        settings: &Settings,
        clock: Clock,
        timers: Timers,
    ) -> Result<(Endpoint, mpsc::Receiver<Incoming>), SipError> {
        let stop = CancellationToken::new();
        let mut builder = EndpointBuilder::new();
        builder.with_user_agent(super::AGENT).with_cancel_token(stop.clone()).with_option(EndpointOption {
            t1: timers.t1,
            t2: timers.t2,
            t4: timers.t4,
            t1x64: timers.t1 * 64,
            auto_ack_2xx: false,
            ..EndpointOption::default()
        });
        let built = builder.build();
        let fresh = built.incoming_transactions().map_err(|error| SipError::Request(error.to_string()))?;

        let mut udp = Vec::new();
        let mut tcp = Vec::new();
        let mut listening = Vec::new();
        for listen in &settings.sip.listen {
            let failed = |source| SipError::Bind { transport: name(listen.transport), address: listen.address, source };
            let address = if listen.transport == Transport::Udp {
                let socket = Arc::new(bind_udp(listen.address).map_err(failed)?);
                let local = socket.local_addr().map_err(failed)?;
                let connection = UdpConnection::from_socket(socket.clone(), Some(local), Some(stop.child_token()))
                    .await
                    .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
                udp.push(Udp { local, socket, connection: connection.into() });
                local
            } else {
                let listener = bind_tcp(listen.address).map_err(failed)?;
                let local = listener.local_addr().map_err(failed)?;
                tcp.push((listener, local, listen.transport));
                local
            };
            listening.push(Listen { transport: listen.transport, address });
        }
        let tls = settings.sip.listen.iter().any(|listen| listen.transport == Transport::Tls);
        let tls_server = if tls { Some(tls_server(settings)?) } else { None };

        let (incoming, calls) = mpsc::channel(INCOMING_QUEUE);
        let endpoint = Endpoint(Arc::new(Inner {
            stack: built.inner.clone(),
            clock,
            timers,
            stop: stop.clone(),
            tls_server,
            counters: Counters::default(),
            calls: AtomicUsize::new(0),
            incoming,
            accepting: AtomicBool::new(true),
            settings: RwLock::new(Arc::new(settings.clone())),
            guard: Mutex::new(Guard::new(settings)),
            fresh: Mutex::new(fresh),
            dialogs: Mutex::new(HashMap::new()),
            merged: Mutex::new(HashSet::new()),
            acks: Mutex::new(HashMap::new()),
            udp,
            listening,
            streams: Mutex::new(HashMap::new()),
            routes: Mutex::new(HashMap::new()),
            tls_client: Mutex::new(None),
        }));

        let stack = endpoint.0.stack.clone();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = stack.process_timer() => {}
            }
        });
        for index in 0..endpoint.0.udp.len() {
            tokio::spawn(endpoint.clone().read_datagrams(index));
        }
        for (listener, local, transport) in tcp {
            tokio::spawn(stream::accept(endpoint.clone(), listener, local, transport));
        }
        Ok((endpoint, calls))
    }

    /// Where we listen, with the ports that were really bound.
    pub fn local_addresses(&self) -> Vec<Listen> {
        self.0.listening.clone()
    }

    /// Takes over trunks, strangers and limits; listeners and certificates stay as they are.
    pub fn reload(&self, settings: &Settings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings.clone());
        lock(&self.0.guard).reload(settings);
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> SipCounters {
        let counters = &self.0.counters;
        SipCounters {
            requests: counters.requests.load(Relaxed),
            strangers: counters.strangers.load(Relaxed),
            rate_limited: counters.rate_limited.load(Relaxed),
            malformed: counters.malformed.load(Relaxed),
            calls: counters.calls.load(Relaxed),
            calls_rejected_busy: counters.calls_rejected_busy.load(Relaxed),
            overload: counters.overload.load(Relaxed),
        }
    }

    /// Calls that came in and are not over.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Relaxed)
    }

    /// Whether new calls are taken; if not they get 503 with Retry-After.
    pub fn set_accepting(&self, accepting: bool) {
        self.0.accepting.store(accepting, Relaxed);
    }

    /// Closes all sockets. Calls that still run are not told: end them first.
    pub async fn close(&self) {
        self.0.stop.cancel();
        let streams: Vec<_> = lock(&self.0.streams).drain().collect();
        for (_, stream) in streams {
            stream.stop.cancel();
        }
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn now(&self) -> Duration {
        self.0.clock.now().mono
    }

    pub(super) fn count(&self, which: impl FnOnce(&Counters) -> &AtomicU64) {
        which(&self.0.counters).fetch_add(1, Relaxed);
    }

    // ---- Guard

    pub(super) fn decide(&self, source: IpAddr) -> Decision {
        let now = self.now();
        let decision = lock(&self.0.guard).decide(source, now);
        if matches!(decision, Decision::Reject | Decision::Drop) {
            self.count(|c| &c.strangers);
            if decision == Decision::Drop && self.settings().sip.strangers == crate::settings::Strangers::Reject {
                self.count(|c| &c.rate_limited);
            }
        }
        decision
    }

    /// The trunks that an address belongs to, in the order of the settings.
    pub(super) fn trunks_of(&self, source: IpAddr) -> Vec<String> {
        lock(&self.0.guard).trunks(source).map(str::to_owned).collect()
    }

    /// Lets the addresses that a trunk's name resolved to call in.
    pub(super) fn allow_trunk_addresses(&self, trunk: &str, addresses: Vec<IpAddr>) {
        lock(&self.0.guard).allow_trunk_addresses(trunk, addresses);
    }

    // ---- Receiving

    async fn read_datagrams(self, index: usize) {
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
                Decision::Trunk | Decision::Peer => {}
            }
            let _ = self.receive(datagram, source, &udp.connection, false).await;
        }
    }

    /// Takes one message. `Err`: the stream that it came from cannot go on.
    pub(super) async fn receive(
        &self,
        bytes: &[u8],
        source: SocketAddr,
        connection: &SipConnection,
        stream: bool,
    ) -> Result<(), ()> {
        let bytes = match wire::examine(bytes, source, stream) {
            Verdict::Message(bytes) => bytes,
            Verdict::Answer(answer) => {
                self.count(|c| &c.malformed);
                return self.send_raw(answer, source, connection).await;
            }
            Verdict::Nothing => {
                if bytes.iter().any(|b| !b.is_ascii_whitespace()) {
                    self.count(|c| &c.malformed);
                }
                return Ok(());
            }
        };
        let handed = self.hand_over(&bytes, source, connection).await;
        if handed.is_err() {
            self.count(|c| &c.malformed);
            if let Some(answer) = wire::unreadable(&bytes, source) {
                return self.send_raw(answer, source, connection).await;
            }
        }
        loop {
            let fresh = lock(&self.0.fresh).try_recv();
            let Ok(transaction) = fresh else { return Ok(()) };
            self.dispatch(transaction).await;
        }
    }

    async fn hand_over(&self, bytes: &[u8], source: SocketAddr, connection: &SipConnection) -> rsipstack::Result<()> {
        let message = SipMessage::try_from(bytes)?;
        let kind = connection.transport();
        let message = SipConnection::update_msg_received(message, source, kind)?;
        match &message {
            SipMessage::Response(response) => self.repeat_ack(response).await,
            SipMessage::Request(request) => {
                let new = first!(request, To).is_none_or(|to| wire::tag(to).is_none());
                if new && !matches!(request.method, Method::Ack | Method::Cancel) {
                    // An address that we merely called may not call us.
                    if self.trunks_of(source.ip()).is_empty() {
                        self.count(|c| &c.strangers);
                        return Ok(());
                    }
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
    async fn dispatch(&self, transaction: Transaction) {
        self.count(|c| &c.requests);
        let request = &transaction.original;
        let tag = first!(request, To).and_then(wire::tag).map(str::to_owned);
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
            Method::Message
            | Method::Notify
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe => {
                self.refuse(transaction, 405, vec![Header::Allow(ALLOW.into())]).await;
            }
        }
    }

    /// Refuses a request for good.
    pub(super) async fn refuse(&self, transaction: Transaction, status: u16, headers: Vec<Header>) {
        let mut response = message::response(&transaction.original, status, &message::random());
        response.headers.extend(headers);
        self.respond(transaction, response).await;
    }

    /// Sends a final response; an INVITE's transaction goes on by itself until its ACK or timeout.
    pub(super) async fn respond(&self, mut transaction: Transaction, response: Response) {
        // A response that cannot be sent is as good as lost: the peer asks again.
        let _ = transaction.respond(response).await;
        if transaction.original.method == Method::Invite {
            tokio::spawn(async move { while transaction.receive().await.is_some() {} });
        }
    }

    // ---- Dialogs

    pub(super) fn register_dialog(&self, tag: &str, requests: mpsc::Sender<Box<Transaction>>) {
        lock(&self.0.dialogs).insert(tag.to_owned(), requests);
    }

    pub(super) fn forget_dialog(&self, tag: &str) {
        lock(&self.0.dialogs).remove(tag);
        lock(&self.0.acks).remove(tag);
    }

    /// Notes an INVITE; `false`: the same has come by another way and is being served (RFC 3261 section 8.2.2.2).
    pub(super) fn note_invite(&self, key: &str) -> bool {
        lock(&self.0.merged).insert(key.to_owned())
    }

    pub(super) fn forget_invite(&self, key: &str) {
        lock(&self.0.merged).remove(key);
    }

    /// Sends the ACK of a 2xx and keeps it, for the peer may not hear it and repeat the 2xx.
    pub(super) async fn acknowledge(&self, tag: &str, flow: &Flow, ack: Request) {
        let ack = self.complete(flow, ack);
        let _ = flow.connection.send(ack.clone().into(), Some(&flow.destination())).await;
        lock(&self.0.acks).insert(tag.to_owned(), (flow.clone(), ack));
    }

    /// A 2xx that is no news: repeated because our ACK was lost, or of another branch of a forked INVITE. The first gets
    /// the ACK again; the second gets an ACK and a BYE, for one called party is enough (RFC 3261 section 13.2.2.4).
    async fn repeat_ack(&self, response: &Response) {
        if message::status(response) / 100 != 2 || !first!(response, CSeq).is_some_and(|cseq| cseq.ends_with("INVITE"))
        {
            return;
        }
        let Some(tag) = first!(response, From).and_then(wire::tag) else { return };
        let known = lock(&self.0.acks).get(tag).cloned();
        if let Some((flow, ack)) = known
            && message::cseq(&ack.headers) == message::cseq(&response.headers)
        {
            if first!(ack, To).and_then(wire::tag) == first!(response, To).and_then(wire::tag) {
                let _ = flow.connection.send(ack.into(), Some(&flow.destination())).await;
            } else {
                // Another phone of a forked call picked up too.
                outbound::decline(self, &flow, response).await;
            }
        }
    }

    // ---- Sending

    /// A way to `remote`. `name` is the host that the trunk is configured by, for its TLS certificate. The address may
    /// from now on speak to us within calls.
    pub(super) async fn flow(&self, remote: SocketAddr, transport: Transport, host: &str) -> Result<Flow, SipError> {
        lock(&self.0.guard).allow_peer(remote.ip(), self.now());
        if transport == Transport::Udp {
            let udp = self.0.udp.iter().find(|udp| udp.local.is_ipv4() == remote.is_ipv4());
            let udp = udp.ok_or(SipError::NoListener { transport: "udp", address: remote })?;
            let local = self.advertised(udp.local, remote.ip());
            return Ok(Flow { connection: udp.connection.clone(), transport, remote, local });
        }
        let known = lock(&self.0.streams).get(&remote).cloned();
        let stream = match known.filter(|stream| stream.transport == transport && !stream.stop.is_cancelled()) {
            Some(stream) => stream,
            None => stream::connect(self, remote, transport, host).await.map_err(|source| SipError::Connect {
                transport: name(transport),
                address: remote,
                source,
            })?,
        };
        Ok(self.stream_flow(remote, &stream))
    }

    /// Where requests for `uri` go over UDP; `spoken` is where its owner spoke from. `None`: cannot be told.
    pub(super) async fn resolve(&self, uri: &str, spoken: SocketAddr) -> Option<SocketAddr> {
        let (_, rest) = uri.split_once(':')?;
        let host = rest.split([';', '?']).next()?;
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let address = match host.parse::<SocketAddr>() {
            Ok(address) => address,
            Err(_) => match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, 5060),
                Err(_) => {
                    let (name, port) = host.split_once(':').unwrap_or((host, "5060"));
                    let found = tokio::net::lookup_host((name, port.parse().ok()?));
                    let found = tokio::time::timeout(stream::PATIENCE, found).await.ok()?.ok()?;
                    found.into_iter().find(|address| address.is_ipv4() == spoken.is_ipv4())?
                }
            },
        };
        if near(address.ip()) && !near(spoken.ip()) || address.is_ipv4() != spoken.is_ipv4() {
            return None;
        }
        lock(&self.0.guard).allow_peer(address.ip(), self.now());
        Some(address)
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
        Flow { connection: stream.connection.clone(), transport: stream.transport, remote, local }
    }

    /// The way back to where a request came from.
    pub(super) fn flow_of(&self, transaction: &Transaction) -> Option<Flow> {
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
                Some(Flow { connection, transport: Transport::Udp, remote, local })
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
    pub(super) async fn request(&self, flow: &Flow, request: Request) -> Result<ClientTransaction, SipError> {
        let request = self.complete(flow, request);
        let failed = |error: rsipstack::Error| SipError::Request(error.to_string());
        let key = TransactionKey::from_request(&request, TransactionRole::Client).map_err(failed)?;
        let stack = self.0.stack.clone();
        let mut transaction = Transaction::new_client(key, request.clone(), stack, Some(flow.connection.clone()));
        transaction.destination = Some(flow.destination());
        let (responses, received) = mpsc::channel(16);
        let stop = self.0.stop.clone();
        tokio::spawn(async move {
            if transaction.send().await.is_err() {
                return;
            }
            loop {
                let message = tokio::select! {
                    () = stop.cancelled() => return,
                    message = transaction.receive() => message,
                };
                match message {
                    // A reader that lags loses provisional responses, never the final one.
                    Some(SipMessage::Response(response)) if message::status(&response) < 200 => {
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
            request.headers.push(Header::UserAgent(super::AGENT.into()));
        }
        request.headers.retain(|h| !matches!(h, Header::ContentLength(_)));
        let length = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
        request.headers.push(Header::ContentLength(length.into()));
        request
    }

    /// The address to name towards `peer` for something bound to `bound`: the external address for peers out in the
    /// world, else the address that the machine would send from.
    fn advertised(&self, bound: SocketAddr, peer: IpAddr) -> SocketAddr {
        let peer = peer.to_canonical();
        if let Some(external) = self.settings().sip.external_address
            && external.is_ipv4() == peer.is_ipv4()
            && !near(peer)
        {
            return SocketAddr::new(external, bound.port());
        }
        if !bound.ip().is_unspecified() {
            return bound;
        }
        let mut routes = lock(&self.0.routes);
        if routes.len() >= MAX_ROUTES {
            routes.clear();
        }
        let ip = *routes.entry(peer).or_insert_with(|| source_address(peer).unwrap_or(bound.ip()));
        SocketAddr::new(ip, bound.port())
    }

    // ---- Streams

    /// `false`: there are too many.
    pub(super) fn register_stream(&self, remote: SocketAddr, stream: Stream) -> bool {
        let mut streams = lock(&self.0.streams);
        if streams.len() >= stream::MAX_STREAMS {
            return false;
        }
        streams.insert(remote, stream);
        true
    }

    pub(super) fn forget_stream(&self, remote: SocketAddr, stream: &Stream) {
        let mut streams = lock(&self.0.streams);
        if streams.get(&remote).is_some_and(|known| known.stop.is_cancelled() && known.local == stream.local) {
            streams.remove(&remote);
        }
    }

    /// What we trust as a TLS client: the system's roots and `[sip] ca`.
    pub(super) fn tls_client(&self) -> Result<Arc<rustls::ClientConfig>, SipError> {
        let mut cached = lock(&self.0.tls_client);
        if let Some(config) = &*cached {
            return Ok(config.clone());
        }
        let config = Arc::new(tls_client(&self.settings())?);
        *cached = Some(config.clone());
        Ok(config)
    }
}

/// Option tags of Require that we do not know.
pub(super) fn unsupported(request: &Request) -> Option<String> {
    let unknown: Vec<&str> = message::tokens(all!(request, Require))
        .filter(|tag| !SUPPORTED.contains(&tag.to_ascii_lowercase().as_str()))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// Retry-After, for 503.
pub(super) fn busy() -> Vec<Header> {
    vec![Header::RetryAfter("10".into())]
}

/// What OPTIONS tells (RFC 3261 section 11.2).
pub(super) fn capabilities() -> Vec<Header> {
    vec![
        Header::Allow(ALLOW.into()),
        Header::Accept("application/sdp, application/dtmf-relay, application/dtmf".into()),
        Header::Supported(SUPPORTED.join(", ").into()),
    ]
}

/// Addresses to which ours are known as they are: loopback, private, link-local.
fn near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The address that the machine sends from towards `peer`. Connecting a UDP socket sends nothing.
fn source_address(peer: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(SocketAddr::new(peer, 5060)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn socket(address: SocketAddr, kind: socket2::Type) -> std::io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        // So that the same port can be bound for IPv4 on its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_udp(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = socket(address, socket2::Type::DGRAM)?;
    // Room for a burst of some thousand messages; the kernel gives what it allows.
    let _ = socket.set_recv_buffer_size(4 << 20);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket(address, socket2::Type::STREAM)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn tls_server(settings: &Settings) -> Result<Arc<rustls::ServerConfig>, SipError> {
    use rustls::pki_types::pem::PemObject;
    let file = |path: &Option<std::path::PathBuf>, what: &str| {
        path.clone().ok_or(SipError::Certificate { file: format!("[sip] {what}"), reason: "not set".to_owned() })
    };
    let (certificate, key) = (file(&settings.sip.certificate, "certificate")?, file(&settings.sip.key, "key")?);
    let failed =
        |path: &std::path::Path, reason: String| SipError::Certificate { file: path.display().to_string(), reason };
    let chain = rustls::pki_types::CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&certificate, error.to_string()))?;
    let private =
        rustls::pki_types::PrivateKeyDer::from_pem_file(&key).map_err(|error| failed(&key, error.to_string()))?;
    rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map(Arc::new)
        .map_err(|error| failed(&certificate, error.to_string()))
}

fn tls_client(settings: &Settings) -> Result<rustls::ClientConfig, SipError> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    // Some of the system's certificates may be odd; the good ones serve.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = &settings.sip.ca {
        let failed = |reason: String| SipError::Certificate { file: ca.display().to_string(), reason };
        let certificates = rustls::pki_types::CertificateDer::pem_file_iter(ca)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(error.to_string()))?;
        for certificate in certificates {
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| SipError::Certificate { file: "TLS".to_owned(), reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
