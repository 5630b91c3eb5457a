//! The box's SIP endpoint: its sockets, and the tables of who may speak, which dialogs run and which streams are open.

mod address;
mod counters;
mod receive;
mod send;
mod sockets;
mod tls;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rsipstack::sip::Request;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transaction::{EndpointBuilder, TransactionReceiver};
use rsipstack::transport::SipConnection;
use rsipstack::transport::udp::UdpConnection;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::counters::Counters;
pub use self::counters::SipCounters;
pub(super) use self::send::{ClientTransaction, Flow};
use self::sockets::{bind_tcp, bind_udp};
use self::tls::{tls_client, tls_server};
use super::authentication::Authentication;
use super::guard::{Decision, Guard, Standing};
use super::inbound::Incoming;
use super::registrar::Phones;
use super::stream;
use super::trace::{Tap, TappedSocket, TraceMessage};
use crate::clock::Clock;
use crate::settings::{Listen, Settings, Transport};

/// Calls that wait for the call module to take them. Beyond, 503.
const INCOMING_QUEUE: usize = 256;

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
        Timers::of(Duration::from_millis(500))
    }
}

impl Timers {
    /// For networks in which a message and its answer take `t1`; with the standard's 500 ms, the standard's.
    pub fn of(t1: Duration) -> Timers {
        Timers { t1, t2: t1 * 8, t4: t1 * 10 }
    }
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
    authentication: Mutex<Authentication>,
    phones: Phones,
    pub tap: Arc<Tap>,
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
    /// Connections being opened, so that two requests at once share one.
    opening: Mutex<HashMap<SocketAddr, Arc<tokio::sync::Mutex<()>>>>,
    /// Asked in place of the system's name servers.
    name_server: OnceLock<SocketAddr>,
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
    /// The name that we opened it by; `None`: the peer opened it.
    pub host: Option<Arc<str>>,
    pub stop: CancellationToken,
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
        Self::bind_with(settings, clock, Timers::of(settings.sip.t1)).await
    }

    /// [`Endpoint::bind`] with other timers.
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

        let tap = Tap::new(clock.clone());
        let mut udp = Vec::new();
        let mut tcp = Vec::new();
        let mut listening = Vec::new();
        for listen in &settings.sip.listen {
            let failed = |source| SipError::Bind { transport: name(listen.transport), address: listen.address, source };
            let address = if listen.transport == Transport::Udp {
                let socket = Arc::new(bind_udp(listen.address).map_err(failed)?);
                let local = socket.local_addr().map_err(failed)?;
                let tapped = Arc::new(TappedSocket { socket: socket.clone(), tap: tap.clone() });
                let connection = UdpConnection::from_socket(tapped, Some(local), Some(stop.child_token()))
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
            phones: Phones::new(clock.clone()),
            tap,
            authentication: Mutex::default(),
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
            opening: Mutex::new(HashMap::new()),
            name_server: OnceLock::new(),
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

    /// The messages of a call, by its Call-ID, in order: credentials, keys and digits of INFO blanked. Kept until ten
    /// minutes after the last one, 256 at most; empty if none are.
    pub fn trace(&self, call_id: &str) -> Vec<TraceMessage> {
        self.0.tap.of(call_id)
    }

    /// The clinic's phones that are registered.
    pub fn phones(&self) -> &Phones {
        &self.0.phones
    }

    /// Takes over trunks, extensions, strangers and limits; listeners and certificates stay as they are.
    pub fn reload(&self, settings: &Settings) {
        let mut current = self.0.settings.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::new(settings.clone()));
        drop(current);
        self.0.phones.reload(&before, settings);
        lock(&self.0.guard).reload(settings);
    }

    /// Asks this name server for trunks' addresses in place of the system's: once, before the trunks start.
    pub fn ask_name_server(&self, at: SocketAddr) {
        let _ = self.0.name_server.set(at);
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> SipCounters {
        self.0.counters.read()
    }

    /// Counts a leg that is given up as nothing can be spoken with the other side: whoever negotiates knows it first.
    pub fn count_no_common_codec(&self) {
        self.count(|c| &c.no_common_codec);
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
        if decision == Decision::Visitor {
            return if self.let_visit(source) { decision } else { Decision::Drop };
        }
        if matches!(decision, Decision::Reject | Decision::Drop) {
            self.count(|c| &c.strangers);
            if decision == Decision::Drop && self.settings().sip.strangers == crate::settings::Strangers::Reject {
                self.count(|c| &c.rate_limited);
            }
        }
        decision
    }

    /// What a source is, without counting it.
    pub(super) fn standing(&self, source: IpAddr) -> Standing {
        let now = self.now();
        lock(&self.0.guard).standing(source, now)
    }

    /// Takes one of the messages that somebody who may be a phone of ours has; `false`: it has had them all.
    pub(super) fn let_visit(&self, source: IpAddr) -> bool {
        let now = self.now();
        let welcome =
            !lock(&self.0.authentication).is_locked_out(source, now) && lock(&self.0.guard).visit(source, now);
        if !welcome {
            self.count(|c| &c.rate_limited);
        }
        welcome
    }

    /// Whether a stranger is to be told that it is one.
    pub(super) fn tell_stranger(&self, source: IpAddr) -> bool {
        let now = self.now();
        lock(&self.0.guard).tell(source, now)
    }

    /// Lets a phone of ours speak until then.
    pub(super) fn admit_phone(&self, source: IpAddr, until: Duration) {
        let now = self.now();
        lock(&self.0.guard).allow_phone(source, until, now);
    }

    pub(super) fn with_authentication<T>(&self, ask: impl FnOnce(&mut Authentication) -> T) -> T {
        ask(&mut lock(&self.0.authentication))
    }

    /// The trunks that an address belongs to, in the order of the settings.
    pub(super) fn trunks_of(&self, source: IpAddr) -> Vec<String> {
        lock(&self.0.guard).trunks(source).map(str::to_owned).collect()
    }

    /// Lets an address that we call speak within that call.
    pub(super) fn allow_peer(&self, address: IpAddr) {
        let now = self.now();
        lock(&self.0.guard).allow_peer(address, now);
    }

    /// Lets the addresses that a trunk's name resolved to call in.
    pub(super) fn allow_trunk_addresses(&self, trunk: &str, addresses: Vec<IpAddr>) {
        lock(&self.0.guard).allow_trunk_addresses(trunk, addresses);
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

    pub(super) fn end_stream(&self, remote: SocketAddr) {
        if let Some(stream) = lock(&self.0.streams).get(&remote) {
            stream.stop.cancel();
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
