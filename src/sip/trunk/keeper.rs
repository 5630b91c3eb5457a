//! One trunk, kept: the task that registers it and asks whether it is there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rsipstack::sip::{Header, Method, Request, Response};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::registration::{Action, Input, Luck, Registration, Reply, Standing};
use super::{Heard, Inner, TrunkState, credentials, lock, server_uri};
use crate::clock::Clock;
use crate::settings::Trunk;
use crate::sip::digest::Asker;
use crate::sip::endpoint::Endpoint;
use crate::sip::header;
use crate::sip::message::{self, all, first};

/// Between two OPTIONS: short enough to keep a NAT's mapping for UDP open.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// OPTIONS without an answer in a row that make a trunk count as down.
const MISSES: u32 = 2;
/// How often a name is looked up again, in keepalives: every five minutes.
const LOOK_UP_EVERY: u32 = 10;

/// What a transaction of ours came to.
struct Outcome {
    method: Method,
    /// Which request it was, so that the answer to one given up is not taken for that to a later one.
    number: u32,
    /// `None`: no answer, or not sent.
    response: Option<Response>,
    /// Our address as the request named it.
    local: Option<SocketAddr>,
    /// Cancelled when the connection that carried it ends.
    closed: Option<CancellationToken>,
    /// From when it was sent.
    took: Duration,
}

/// What keeps a trunk.
pub(super) struct Keeper {
    endpoint: Endpoint,
    clock: Clock,
    trunk: Trunk,
    state: Arc<Mutex<TrunkState>>,
    stop: CancellationToken,
    /// What each OPTIONS came to.
    tell: watch::Sender<Option<Heard>>,
    /// Somebody wants to know now.
    probe: Arc<Notify>,
    outcomes: (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>),
    registration: Option<Registration>,
    addresses: Vec<SocketAddr>,
    /// Which of them is in use.
    chosen: usize,
    /// Keepalives since the name was looked up.
    age: u32,
    misses: u32,
    /// Our address as the registrar knows it.
    known_as: Option<SocketAddr>,
    /// The connection that the registration went by: calls come in by it.
    carrier: Option<CancellationToken>,
    /// That connection has ended.
    cut: bool,
    /// When a cut was last answered at once.
    mended_at: Option<Duration>,
    keepalive: Interval,
    call_id: String,
    tag: String,
    cseq: u32,
    /// The REGISTER under way.
    registering: u32,
    done: bool,
}

impl Keeper {
    /// For a trunk that begins.
    pub fn new(
        inner: &Inner,
        trunk: Trunk,
        state: Arc<Mutex<TrunkState>>,
        (tell, probe): (watch::Sender<Option<Heard>>, Arc<Notify>),
        stop: CancellationToken,
    ) -> Keeper {
        let registration = trunk
            .register
            .as_ref()
            .map(|register| Registration::new(server_uri(&trunk.address, ""), credentials(register), register.expires));
        let mut keepalive = tokio::time::interval(KEEPALIVE);
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Keeper {
            endpoint: inner.endpoint.clone(),
            clock: inner.clock.clone(),
            trunk,
            state,
            stop,
            tell,
            probe,
            // At most a REGISTER and an OPTIONS are under way, and those that were given up.
            outcomes: mpsc::channel(16),
            registration,
            addresses: Vec::new(),
            chosen: 0,
            age: 0,
            misses: 0,
            known_as: None,
            carrier: None,
            cut: false,
            mended_at: None,
            keepalive,
            call_id: message::random(),
            tag: message::random(),
            cseq: 0,
            registering: 0,
            done: false,
        }
    }

    /// Goes on until the trunk is taken away, and unregisters it then.
    pub async fn run(mut self) {
        self.look_up().await;
        self.register(Input::Start);
        let mut stopping = false;
        while !self.done {
            let wait = self
                .registration
                .as_ref()
                .and_then(Registration::next_deadline)
                .map(|deadline| deadline.saturating_sub(self.clock.now().mono));
            let (cut, probe) = (self.carrier.clone(), self.probe.clone());
            let cut = async move {
                match cut {
                    Some(carrier) => carrier.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    if self.registration.is_none() {
                        return;
                    }
                    self.register(Input::Shutdown);
                }
                Some(outcome) = self.outcomes.1.recv() => self.concluded(outcome).await,
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => self.register(Input::Wake),
                _ = self.keepalive.tick(), if !stopping => self.ask().await,
                () = probe.notified(), if !stopping => self.ask().await,
                () = cut, if !stopping => {
                    self.carrier = None;
                    self.cut = true;
                    // At once, but once in a while: some registrars close after every answer.
                    let now = self.clock.now().mono;
                    if self.mended_at.is_none_or(|at| now >= at + KEEPALIVE) {
                        self.mended_at = Some(now);
                        self.ask_soon();
                    }
                }
            }
        }
    }

    /// Looks the trunk's name up, and lets all its addresses call in.
    async fn look_up(&mut self) {
        self.age = 0;
        let addresses = self.endpoint.addresses_of(&self.trunk.address).await;
        if addresses.is_empty() {
            // What it was before is better than nothing.
            tracing::warn!(trunk = self.trunk.name, host = self.trunk.address.host, "the trunk's name has no address");
            return;
        }
        if addresses != self.addresses {
            self.chosen = 0;
            self.endpoint.allow_trunk_addresses(&self.trunk.name, addresses.iter().map(SocketAddr::ip).collect());
            self.addresses = addresses;
        }
    }

    /// Turns to the trunk's next address (RFC 3263 section 4.3); after the last the name is looked up again. `false`: all
    /// have been tried.
    async fn turn(&mut self) -> bool {
        self.chosen += 1;
        let more = self.chosen < self.addresses.len();
        if !more {
            self.chosen = 0;
            self.look_up().await;
        }
        more
    }

    /// The next OPTIONS need not wait for its half minute.
    fn ask_soon(&mut self) {
        self.keepalive.reset_after(self.endpoint.0.timers.t1);
    }

    async fn ask(&mut self) {
        self.age += 1;
        if self.age >= LOOK_UP_EVERY {
            self.look_up().await;
        }
        self.cseq = self.cseq.wrapping_add(1) & 0x7FFF_FFFF;
        let number = self.cseq;
        let headers = vec![Header::Accept("application/sdp".into())];
        // A Call-ID of its own: the registration's counts one REGISTER after the other.
        self.send(Method::Options, number, headers, message::random());
    }

    fn register(&mut self, input: Input<'_>) {
        let Some(registration) = &mut self.registration else { return };
        let cnonce = message::random();
        // The first 32 of 96 random bits.
        let draw = message::random().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let luck = Luck { jitter: f64::from(draw) / f64::from(u32::MAX), cnonce: &cnonce };
        for action in registration.handle(self.clock.now().mono, luck, input) {
            match action {
                Action::Register { expires, headers } => {
                    self.cseq = self.cseq.wrapping_add(1) & 0x7FFF_FFFF;
                    self.registering = self.cseq;
                    let mut all = vec![Header::Expires(expires.into())];
                    all.extend(headers.into_iter().map(|(name, value)| Header::Other(name.into(), value)));
                    self.send(Method::Register, self.cseq, all, self.call_id.clone());
                }
                Action::Changed(Standing::Registered) => {
                    tracing::info!(trunk = self.trunk.name, "registered");
                    self.set_state(TrunkState::Up);
                }
                Action::Changed(Standing::Failed(failure)) => {
                    tracing::warn!(trunk = self.trunk.name, reason = %failure, "not registered");
                    self.set_state(TrunkState::Down);
                }
                Action::Changed(Standing::New) => {}
                Action::Done => self.done = true,
            }
        }
    }

    /// Sends a request in a task of its own; what came of it arrives among the outcomes.
    fn send(&self, method: Method, number: u32, headers: Vec<Header>, call_id: String) {
        let outcomes = self.outcomes.0.clone();
        let address = self.addresses.get(self.chosen).copied();
        let (endpoint, clock) = (self.endpoint.clone(), self.clock.clone());
        let (trunk, tag) = (self.trunk.address.clone(), self.tag.clone());
        let user = self.trunk.register.as_ref().map(|register| register.username.clone()).unwrap_or_default();
        tokio::spawn(async move {
            let began = clock.now().mono;
            let mut outcome =
                Outcome { method, number, response: None, local: None, closed: None, took: Duration::ZERO };
            if let Some(address) = address
                && let Ok(flow) = endpoint.flow(address, trunk.transport, &trunk.host).await
            {
                outcome.local = Some(flow.local);
                outcome.closed = Some(flow.closed.clone());
                let ours = match user.as_str() {
                    "" => format!("sip:threadline@{}", flow.local),
                    user => server_uri(&trunk, user),
                };
                let to = if method == Method::Register { ours.clone() } else { server_uri(&trunk, "") };
                let mut all = vec![
                    Header::From(format!("<{ours}>;tag={tag}").into()),
                    Header::To(format!("<{to}>").into()),
                    Header::CallId(call_id.into()),
                    Header::CSeq(format!("{number} {method}").into()),
                    Header::Contact(flow.contact(&user).into()),
                ];
                all.extend(headers);
                let request: Request = message::request(method, &server_uri(&trunk, ""), all);
                if let Ok(transaction) = endpoint.request(&flow, request).await {
                    outcome.response = transaction.finish().await.filter(is_theirs);
                }
            }
            outcome.took = clock.now().mono.saturating_sub(began);
            // Nobody listens any more: the trunk is gone.
            let _ = outcomes.send(outcome).await;
        });
    }

    async fn concluded(&mut self, outcome: Outcome) {
        match outcome.method {
            Method::Register if outcome.number == self.registering => match &outcome.response {
                Some(response) => {
                    if message::status(response) / 100 == 2 {
                        self.known_as = outcome.local;
                        self.carrier = outcome.closed;
                    }
                    let challenges: Vec<&str> = match Asker::of(message::status(response)) {
                        Some(Asker::Server) => all!(response, WwwAuthenticate).collect(),
                        Some(Asker::Proxy) => all!(response, ProxyAuthenticate).collect(),
                        None => Vec::new(),
                    };
                    if message::status(response) == 503 {
                        self.turn().await;
                    }
                    let contact = outcome.local.map(|local| local.to_string()).unwrap_or_default();
                    let reply = read_reply(response, &challenges, &contact);
                    self.register(Input::Response(&reply));
                }
                None => {
                    self.turn().await;
                    self.register(Input::NoAnswer);
                }
            },
            Method::Options => self.heard(&outcome).await,
            _ => {}
        }
    }

    /// What an OPTIONS came to. Any answer but 503 shows that somebody is there.
    async fn heard(&mut self, outcome: &Outcome) {
        let status = outcome.response.as_ref().map(message::status);
        self.tell.send_replace(Some(Heard { status, at: self.clock.now().wall, took: outcome.took }));
        if outcome.response.as_ref().is_some_and(|response| message::status(response) != 503) {
            let silent = std::mem::take(&mut self.misses) > 0;
            let moved = self.known_as.is_some() && outcome.local.is_some() && self.known_as != outcome.local;
            if self.registration.is_none() {
                self.set_state(TrunkState::Up);
            } else if silent || moved || std::mem::take(&mut self.cut) {
                self.register(Input::Reachable);
            }
            return;
        }
        self.misses = self.misses.saturating_add(1);
        if self.registration.is_none() {
            if self.misses >= MISSES || *lock(&self.state) == TrunkState::Starting {
                self.set_state(TrunkState::Down);
            }
            // A registered trunk's address is the registration's to change.
            if self.turn().await {
                self.ask_soon();
            }
        }
    }

    fn set_state(&self, state: TrunkState) {
        let before = std::mem::replace(&mut *lock(&self.state), state);
        if before != state {
            match state {
                TrunkState::Up => tracing::info!(trunk = self.trunk.name, "trunk up"),
                TrunkState::Down => tracing::warn!(trunk = self.trunk.name, "trunk down"),
                TrunkState::Starting => {}
            }
        }
    }
}

/// Whether the peer sent it. The library reports a timeout as 408 and a broken connection as 503, made from our request:
/// To has no tag, which every answer of a peer has (RFC 3261 section 8.2.6.2).
pub(in crate::sip) fn is_theirs(response: &Response) -> bool {
    !matches!(message::status(response), 408 | 503) || first!(response, To).is_some_and(|to| header::tag(to).is_some())
}

/// `contact`: our address as we gave it, `host:port`.
fn read_reply<'a>(response: &Response, challenges: &'a [&'a str], contact: &str) -> Reply<'a> {
    let number = |text: &str| text.trim().split([' ', ';', '(']).next()?.parse::<u32>().ok();
    let contacts: Vec<&str> = all!(response, Contact).flat_map(header::list).take(64).collect();
    // A registrar lists every phone of the account; where it rewrote ours, a lone one must be it.
    let ours = contacts
        .iter()
        .find(|value| header::uri(value).is_some_and(|uri| !contact.is_empty() && uri.contains(contact)))
        .or(contacts.first().filter(|_| contacts.len() == 1));
    let expires = ours.and_then(|value| header::parameter(value, "expires")).and_then(number);
    Reply {
        status: message::status(response),
        challenges,
        expires: expires.or_else(|| first!(response, Expires).and_then(number)),
        min_expires: first!(response, MinExpires).and_then(number),
        retry_after: first!(response, RetryAfter).and_then(number),
    }
}

#[cfg(test)]
mod tests;
