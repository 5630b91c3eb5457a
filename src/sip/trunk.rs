//! The trunks: each kept registered where it has an account, and asked every half minute whether it is there.
//!
//! One task a trunk, the `keeper`. What to do about the registration is [`registration`]'s to say; the keeper sends it,
//! through the same sockets that calls use, so that what a firewall or NAT lets back in is what calls need.

mod keeper;
pub mod registration;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::keeper::Keeper;
pub(super) use self::keeper::is_theirs;
use super::digest::Credentials;
use super::endpoint::Endpoint;
use crate::clock::{Clock, monotonic};
use crate::settings::{Register, Settings, Trunk, TrunkAddress};

/// How long unregistering may take at the end.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// Whether a trunk can carry calls, as far as we can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkState {
    /// Not known yet.
    Starting,
    /// Registered; or, without an account, it answers OPTIONS.
    Up,
    /// Neither.
    Down,
}

/// What an OPTIONS to a trunk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The status of the answer; none: there was none, or the request could not be sent.
    pub status: Option<u16>,
    /// When that was known.
    pub at: Timestamp,
    /// From when it was sent.
    pub took: Duration,
}

/// A trunk as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As the settings name it.
    pub name: String,
    /// Whether it can carry calls.
    pub state: TrunkState,
    /// What its last OPTIONS came to; none: none has yet.
    pub heard: Option<Heard>,
}

/// The trunks at work. Cloning it gives another handle.
#[derive(Clone)]
pub struct Trunks(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    clock: Clock,
    /// In the order of the settings.
    running: Mutex<Vec<Running>>,
}

struct Running {
    trunk: Trunk,
    state: Arc<Mutex<TrunkState>>,
    heard: watch::Receiver<Option<Heard>>,
    /// Asks for an OPTIONS now.
    probe: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trunks {
    /// Begins to register and to ask. Must be called within a tokio runtime.
    pub fn start(endpoint: &Endpoint, settings: &Settings, clock: Clock) -> Trunks {
        let trunks = Trunks(Arc::new(Inner { endpoint: endpoint.clone(), clock, running: Mutex::new(Vec::new()) }));
        trunks.reload(settings);
        trunks
    }

    /// Takes over changed settings: a trunk that is gone or has changed is unregistered, a new one begins.
    pub fn reload(&self, settings: &Settings) {
        let mut running = lock(&self.0.running);
        let mut before = std::mem::take(&mut *running);
        for trunk in &settings.trunks {
            let known = before.iter().position(|old| old.trunk.name == trunk.name && same_peer(&old.trunk, trunk));
            running.push(match known {
                Some(known) => Running { trunk: trunk.clone(), ..before.swap_remove(known) },
                None => self.keep(trunk.clone()),
            });
        }
        for old in before {
            old.stop.cancel();
        }
    }

    /// Each trunk's name and state, in the order of the settings.
    pub fn states(&self) -> Vec<(String, TrunkState)> {
        lock(&self.0.running).iter().map(|running| (running.trunk.name.clone(), *lock(&running.state))).collect()
    }

    /// Each trunk as people see it, in the order of the settings.
    pub fn shown(&self) -> Vec<Shown> {
        let shown = |running: &Running| Shown {
            name: running.trunk.name.clone(),
            state: *lock(&running.state),
            heard: *running.heard.borrow(),
        };
        lock(&self.0.running).iter().map(shown).collect()
    }

    /// Sends an OPTIONS to the trunk of this name now and gives what it came to; none: there is no such trunk, or it was
    /// taken away meanwhile. An answer that is awaited already counts as this one's.
    pub async fn probe(&self, name: &str) -> Option<Heard> {
        let (mut heard, probe) = {
            let running = lock(&self.0.running);
            let found = running.iter().find(|running| running.trunk.name == name)?;
            (found.heard.clone(), found.probe.clone())
        };
        heard.mark_unchanged();
        probe.notify_one();
        heard.changed().await.ok()?;
        *heard.borrow()
    }

    /// Unregisters everywhere; returns when all have answered, or after three seconds.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *lock(&self.0.running));
        for trunk in &running {
            trunk.stop.cancel();
        }
        let deadline = Instant::from_std(monotonic()) + LEAVE_WITHIN;
        for Running { trunk, task, .. } in running {
            if tokio::time::timeout_at(deadline, task).await.is_err() {
                tracing::warn!(trunk = trunk.name, "the registrar did not answer in time when we unregistered");
            }
        }
    }

    fn keep(&self, trunk: Trunk) -> Running {
        let state = Arc::new(Mutex::new(TrunkState::Starting));
        let (tell, heard) = watch::channel(None);
        let (probe, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let keeper = Keeper::new(&self.0, trunk.clone(), state.clone(), (tell, probe.clone()), stop.clone());
        Running { trunk, state, heard, probe, stop, task: tokio::spawn(keeper.run()) }
    }
}

/// The order in which a call out tries `trunks`: theirs, but for those that `states` knows to be down, which come last: the
/// caller waits for none of them while another may answer.
pub fn in_order<'a>(trunks: &'a [Trunk], states: &[(String, TrunkState)]) -> Vec<&'a Trunk> {
    let is_down = |trunk: &&Trunk| states.contains(&(trunk.name.clone(), TrunkState::Down));
    let (down, others): (Vec<_>, Vec<_>) = trunks.iter().partition(is_down);
    others.into_iter().chain(down).collect()
}

/// Whether two settings mean the same peer and account; numbers, addresses and SRTP are not this module's.
fn same_peer(a: &Trunk, b: &Trunk) -> bool {
    let account = |trunk: &Trunk| {
        trunk.register.as_ref().map(|r| (r.username.clone(), r.password.clone(), r.auth_username.clone(), r.expires))
    };
    a.address == b.address && account(a) == account(b)
}

/// The URI of a trunk's server, which is also its domain: `sip:carrier.example`, with a port that is not the default.
pub(super) fn server_uri(address: &TrunkAddress, user: &str) -> String {
    let host = address.host.trim_matches(['[', ']']);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let at = if user.is_empty() { "" } else { "@" };
    match address.port {
        Some(port) if port != 5060 && port != 5061 => format!("sip:{user}{at}{host}:{port}"),
        Some(_) | None => format!("sip:{user}{at}{host}"),
    }
}

/// An account's name and password for digests.
pub(super) fn credentials(register: &Register) -> Credentials {
    let username = register.auth_username.as_ref().unwrap_or(&register.username).clone();
    Credentials { username, password: register.password.clone() }
}

#[cfg(test)]
mod tests;
