//! The registrar of the clinic's own phones (RFC 3261 section 10.3), and [`Phones`]: who is registered, and how to reach
//! them. Each is reached by the way it registered by, through whatever NAT, and asked every now and then whether it is
//! still there.

mod asked;
mod bindings;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rsipstack::sip::{Header, Method, Request};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::bindings::{Binding, Bindings, MIN_EXPIRES, Refusal, Registrant};
use super::authentication;
use super::endpoint::{Endpoint, Flow};
use super::header;
use super::message::{self, first};
use super::outbound::Target;
use super::trunk::is_theirs;
use crate::clock::Clock;
use crate::settings::{Settings, Transport};

/// Between two OPTIONS to a phone by UDP, in T1: 25 s, shorter than a NAT forgets.
const KEEPALIVE: u32 = 50;
/// To one by TCP or TLS, in T1: two minutes, shorter than we close an idle connection.
const KEEPALIVE_STREAM: u32 = 240;
/// A phone that has not answered within so many T1 (6 s) missed its turn.
const PATIENCE: u32 = 12;
/// Turns missed in a row that make a phone count as gone.
const MISSES: u32 = 3;
/// The longest User-Agent that is kept.
const LONGEST_AGENT: usize = 120;

/// A device that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneState {
    /// The extension's name.
    pub extension: String,
    /// The SIP URI that it registered.
    pub contact: String,
    /// Where it registered from.
    pub source: SocketAddr,
    /// How.
    pub transport: Transport,
    /// What it calls itself: make and version, often. Empty: it does not say.
    pub user_agent: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless it registers again.
    pub expires: Timestamp,
}

/// The clinic's phones that are registered. Cloning it gives another handle.
#[derive(Clone)]
pub struct Phones(Arc<Inner>);

struct Inner {
    clock: Clock,
    bindings: Mutex<Bindings<Way>>,
    changed: watch::Sender<()>,
}

/// The way to a device; dropped, its keeper stops.
struct Way {
    flow: Flow,
    stop: CancellationToken,
    _keeper: DropGuard,
}

impl Phones {
    pub(super) fn new(clock: Clock) -> Phones {
        Phones(Arc::new(Inner { clock, bindings: Mutex::default(), changed: watch::Sender::new(()) }))
    }

    fn bindings(&self) -> MutexGuard<'_, Bindings<Way>> {
        self.0.bindings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a device of this extension can be reached.
    pub fn registered(&self, extension: &str) -> bool {
        let now = self.0.clock.now();
        self.bindings().of(extension, now).any(|binding| !binding.flow.flow.closed.is_cancelled())
    }

    /// The ways to an extension's devices, one each. To ring all of them place a call to each.
    pub fn targets(&self, extension: &str) -> Vec<Target> {
        let now = self.0.clock.now();
        let bindings = self.bindings();
        let open = bindings.of(extension, now).filter(|binding| !binding.flow.flow.closed.is_cancelled());
        open.map(|binding| Target::by(&binding.uri, binding.flow.flow.clone())).collect()
    }

    /// All devices, by extension.
    pub fn list(&self) -> Vec<PhoneState> {
        let now = self.0.clock.now();
        let state = |(extension, binding): (&str, &Binding<Way>)| PhoneState {
            extension: extension.to_owned(),
            contact: binding.uri.clone(),
            source: binding.source,
            transport: binding.flow.flow.transport,
            user_agent: binding.user_agent.clone(),
            since: binding.since.wall,
            expires: binding.until.wall,
        };
        self.bindings().all(now).map(state).collect()
    }

    /// Told whenever somebody comes or goes; a refresh is no news.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Whether a device of this extension is registered from there.
    pub(super) fn is_at(&self, extension: &str, source: IpAddr) -> bool {
        let now = self.0.clock.now();
        self.bindings().of(extension, now).any(|binding| binding.source.ip() == source)
    }

    /// Whether what comes from there by this transport comes from a registered device.
    pub(super) fn speaks_from(&self, source: SocketAddr, transport: Transport) -> bool {
        let now = self.0.clock.now();
        let bindings = self.bindings();
        bindings.all(now).any(|(_, binding)| binding.source == source && binding.flow.flow.transport == transport)
    }

    /// Forgets the devices of extensions that are gone or have another password.
    pub(super) fn reload(&self, before: &Settings, after: &Settings) {
        let password = |settings: &Settings, name: &str| {
            settings
                .extensions
                .iter()
                .find(|extension| extension.name == name)
                .map(|extension| extension.password.clone())
        };
        self.forget_unless(|name, _| {
            password(after, name).is_some_and(|now| password(before, name).is_some_and(|then| now == then))
        });
    }

    fn forget_unless(&self, keep: impl Fn(&str, &Binding<Way>) -> bool) {
        if self.bindings().retain(keep) {
            self.0.changed.send_replace(());
        }
    }

    /// What is due for a device: how long it is still registered, and what it is asked at.
    fn left(&self, extension: &str, id: u64) -> Option<(Duration, String)> {
        let now = self.0.clock.now();
        let bindings = self.bindings();
        let binding = bindings.of(extension, now).find(|binding| binding.id == id)?;
        Some((binding.until.mono.saturating_sub(now.mono), binding.uri.clone()))
    }
}

/// For the fuzzer.
pub(super) fn exercise(request: &Request) {
    let _ = asked::read(request);
}

/// A REGISTER.
pub(super) async fn register(endpoint: &Endpoint, transaction: Transaction) {
    let Some(flow) = endpoint.flow_of(&transaction) else {
        return endpoint.refuse(transaction, 500, vec![]).await;
    };
    match serve(endpoint, &transaction.original, &flow) {
        Ok(headers) => {
            let mut response = message::response(&transaction.original, 200, &message::random());
            response.headers.extend(headers);
            endpoint.respond(transaction, response).await;
        }
        Err((status, headers)) => {
            if status != 401 {
                endpoint.count(|c| &c.registrations_refused);
            }
            endpoint.refuse(transaction, status, headers).await;
        }
    }
}

fn serve(endpoint: &Endpoint, request: &Request, flow: &Flow) -> Result<Vec<Header>, (u16, Vec<Header>)> {
    let source = flow.remote;
    let extension = authentication::authenticate(endpoint, request, source.ip())
        .map_err(|denied| (denied.status, denied.headers))?;
    let account = first!(request, To).and_then(header::uri).and_then(header::user);
    if account != Some(extension.as_str()) {
        tracing::warn!(%source, extension, "refused: it registers for another account");
        return Err((403, vec![]));
    }
    let settings = endpoint.settings();
    let most = settings.extensions.iter().find(|known| known.name == extension).map_or(1, |known| known.contacts);
    let asked =
        asked::read(request).ok_or((400, vec![Header::Warning("399 threadline \"malformed Contact\"".into())]))?;
    let user_agent = first!(request, UserAgent).unwrap_or_default();
    let user_agent: String = user_agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect();
    let phones = endpoint.phones();
    let now = phones.0.clock.now();
    let way = || {
        let stop = endpoint.0.stop.child_token();
        Way { flow: Flow { pinned: true, ..flow.clone() }, stop: stop.clone(), _keeper: stop.drop_guard() }
    };
    let same = |binding: &Binding<Way>| {
        let before = &binding.flow.flow;
        binding.source == source && before.transport == flow.transport && !before.closed.is_cancelled()
    };
    let from = Registrant { extension: &extension, most, source, user_agent: &user_agent };
    let mut bindings = phones.bindings();
    let changed = bindings.update(asked, &from, now, way, same).map_err(|refusal| match refusal {
        Refusal::Brief => (423, vec![Header::MinExpires(MIN_EXPIRES.to_string().into())]),
        Refusal::OutOfOrder => (500, vec![]),
        Refusal::TooMany => (403, vec![Header::Warning("399 threadline \"too many contacts\"".into())]),
    })?;
    let mut headers = Vec::new();
    let mut latest = now.mono;
    for binding in bindings.of(&extension, now) {
        let left = binding.until.mono.saturating_sub(now.mono).as_secs();
        headers.push(Header::Contact(format!("<{}>;expires={left}", binding.uri).into()));
        latest = latest.max(binding.until.mono);
        if changed.added.contains(&binding.id) {
            let keeper = Keeper { endpoint: endpoint.clone(), extension: extension.clone(), id: binding.id };
            tokio::spawn(keeper.keep(binding.flow.flow.clone(), binding.flow.stop.clone()));
        }
    }
    drop(bindings);
    // A little longer, for what is on its way when it expires.
    endpoint.admit_phone(source.ip(), latest + Duration::from_secs(60));
    endpoint.count(|c| &c.registrations);
    if !changed.added.is_empty() || changed.removed > 0 {
        tracing::info!(extension, %source, devices = headers.len(), "phone registered");
        phones.0.changed.send_replace(());
    }
    Ok(headers)
}

/// Asks one device whether it is there.
struct Keeper {
    endpoint: Endpoint,
    extension: String,
    id: u64,
}

impl Keeper {
    async fn keep(self, flow: Flow, stop: CancellationToken) {
        let t1 = self.endpoint.0.timers.t1;
        let interval = t1 * if flow.transport == Transport::Udp { KEEPALIVE } else { KEEPALIVE_STREAM };
        let mut misses = 0;
        let gone = loop {
            let Some((left, uri)) = self.endpoint.phones().left(&self.extension, self.id) else { break "expired" };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = flow.closed.cancelled() => break "its connection ended",
                () = tokio::time::sleep(left.min(interval)) => {}
            }
            if left <= interval {
                continue;
            }
            misses = if self.is_there(&flow, &uri).await { 0 } else { misses + 1 };
            if misses >= MISSES {
                break "it does not answer";
            }
        };
        tracing::info!(extension = self.extension, source = %flow.remote, reason = gone, "phone gone");
        self.endpoint.phones().forget_unless(|name, binding| name != self.extension || binding.id != self.id);
    }

    /// Whatever it answers, it is there.
    async fn is_there(&self, flow: &Flow, uri: &str) -> bool {
        let headers = vec![
            Header::From(format!("<sip:threadline@{}>;tag={}", flow.local, message::random()).into()),
            Header::To(format!("<{uri}>").into()),
            Header::CallId(message::random().into()),
            Header::CSeq("1 OPTIONS".into()),
            Header::Contact(flow.contact("threadline").into()),
        ];
        let Ok(sent) = self.endpoint.request(flow, message::request(Method::Options, uri, headers)).await else {
            return false;
        };
        let patience = self.endpoint.0.timers.t1 * PATIENCE;
        let answer = tokio::time::timeout(patience, sent.finish()).await;
        answer.ok().flatten().is_some_and(|response| is_theirs(&response))
    }
}
