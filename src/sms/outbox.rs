//! The outbox worker: leases in a short transaction, sends outside any, records what the gateway said.
//!
//! A lease outlives a crash: at the start the gateway is asked about every message that was leased then. What nobody
//! can tell is shown as unknown, and only a person sends it again. Nothing here is waited for by a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ring::rand::SecureRandom as _;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gateway::{Outgoing, Refusal};
use super::pace::Pace;
use super::policy::{self, Next};
use super::{Gateway, SendOutcome, consent, receive};
use crate::clock::Clock;
use crate::events::{Event, Events};
use crate::model::MessageId;
use crate::store::outbox::{self, Leased};
use crate::store::{Store, StoreError, Tx};

/// Requests to the gateway at once.
const IN_FLIGHT: usize = 8;
/// A lease that would wait longer for its number's turn is given back.
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// The wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The worker looks at least so often, in case the wall clock was set.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What became of messages since the start.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    expired: AtomicU64,
    asked: AtomicU64,
}

impl Counters {
    /// Name and value of each, for `/metrics`.
    pub fn all(&self) -> [(&'static str, u64); 6] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("accepted", of(&self.accepted)),
            ("retried", of(&self.retried)),
            ("failed", of(&self.failed)),
            ("unknown", of(&self.unknown)),
            ("expired", of(&self.expired)),
            ("asked", of(&self.asked)),
        ]
    }
}

/// What the worker works with.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The store.
    pub store: Store,
    /// Who sends.
    pub gateway: Arc<Gateway>,
    /// What time it is.
    pub clock: Clock,
    /// Where [`Event::Outbox`] is announced.
    pub events: Events,
    /// Messages a second for each sending number (`sms.rate`).
    pub rate: f64,
    /// `web.public_url`: where the gateway shall report.
    pub public_url: Option<String>,
    /// What became of messages.
    pub counters: Arc<Counters>,
}

/// Sends what is in the outbox until `shutdown`; then requests in flight are finished and recorded.
pub async fn run(outbox: Outbox, shutdown: CancellationToken) {
    let mut announced = outbox.events.listen();
    let pace = Arc::new(Mutex::new(Pace::new(outbox.rate)));
    let worker = Worker { outbox, pace, shutdown };
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let carriers = TaskTracker::new();
    worker.recover(&places, &carriers).await;
    while let Some(place) = worker.place(&places).await {
        match worker.lease().await {
            Ok(Turn::Carry(leased)) => {
                let worker = worker.clone();
                carriers.spawn(async move {
                    worker.carry(*leased).await;
                    drop(place);
                });
            }
            Ok(Turn::Wait(wait)) => {
                drop(place);
                worker.wait(wait, &mut announced).await;
            }
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read; texts wait");
                drop(place);
                worker.sleep(STORE_PAUSE).await;
            }
        }
    }
    carriers.close();
    carriers.wait().await;
}

/// What the worker does next.
enum Turn {
    /// Sends this one.
    Carry(Box<Leased>),
    /// Waits, unless something is announced.
    Wait(Duration),
}

#[derive(Clone)]
struct Worker {
    outbox: Outbox,
    pace: Arc<Mutex<Pace>>,
    shutdown: CancellationToken,
}

impl Worker {
    /// Asks the gateway about every message that was in its hands when the daemon last stopped.
    async fn recover(&self, places: &Arc<Semaphore>, carriers: &TaskTracker) {
        let leased = loop {
            match self.outbox.store.read(outbox::recover).await {
                Ok(leased) => break leased,
                Err(error) => tracing::error!(%error, "the outbox cannot be read; texts wait"),
            }
            if !self.sleep(STORE_PAUSE).await {
                return;
            }
        };
        if !leased.is_empty() {
            tracing::info!(
                messages = leased.len(),
                "asking the gateway about texts that were being sent at the last stop"
            );
        }
        for leased in leased {
            let Some(place) = self.place(places).await else { return };
            let worker = self.clone();
            carriers.spawn(async move {
                worker.ask(&leased, "the daemon stopped while it was being sent").await;
                drop(place);
            });
        }
    }

    /// A place among the requests in flight, or nothing at shutdown.
    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            place = places.clone().acquire_owned() => place.ok(),
        }
    }

    async fn lease(&self) -> Result<Turn, StoreError> {
        let now = self.outbox.clock.now().wall;
        let store = &self.outbox.store;
        let next = store.read(outbox::next_due).await?;
        match next {
            Some(at) if at <= now => {}
            Some(at) => return Ok(Turn::Wait(until(now, at))),
            None => return Ok(Turn::Wait(LONGEST_SLEEP)),
        }
        let (expired, leased) = store
            .write(move |tx| {
                let expired = outbox::expire(tx, now)?;
                Ok((expired, outbox::lease(tx, now, 1)?))
            })
            .await?;
        self.outbox.counters.expired.fetch_add(expired as u64, Ordering::Relaxed);
        Ok(match leased.into_iter().next() {
            Some(leased) => Turn::Carry(Box::new(leased)),
            None => Turn::Wait(Duration::ZERO),
        })
    }

    /// Until `wait` is over, something is put into the outbox, or shutdown.
    async fn wait(&self, wait: Duration, announced: &mut Receiver<Event>) {
        let put = async {
            loop {
                match announced.recv().await {
                    Ok(Event::Outbox) | Err(RecvError::Lagged(_)) => return,
                    Ok(_) => {}
                    // Nobody is left to announce; the due time still wakes us.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => {}
            () = put => {}
        }
    }

    /// Sleeps; `false` if shutdown came first.
    async fn sleep(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Carries one message to the gateway and records what came of it.
    async fn carry(&self, leased: Leased) {
        if let Err(due) = self.turn(&leased).await {
            return self.record(&leased, Next::Retry { at: due, reason: "waits for its turn".into() }).await;
        }
        match self.may_send(&leased).await {
            Some(true) => {}
            Some(false) => return self.record(&leased, Next::Failed(consent::refused())).await,
            None => return,
        }
        let outgoing = self.outgoing(&leased);
        let outcome = self.outbox.gateway.send(&outgoing).await;
        let now = self.outbox.clock.now();
        if let SendOutcome::Temporary { retry_after: Some(wait), .. } = &outcome {
            let until = now.mono.saturating_add((*wait).min(LONGEST_TURN));
            self.pace.lock().unwrap_or_else(PoisonError::into_inner).pause(&leased.from, now.mono, until);
        }
        match policy::after_send(outcome, leased.attempt, now.wall, leased.expires_at, chance()) {
            Next::Ask { reason } => self.ask(&leased, &reason).await,
            next => self.record(&leased, next).await,
        }
    }

    /// Waits for the sending number's turn; when that is far off or shutdown comes, says when it is due again.
    async fn turn(&self, leased: &Leased) -> Result<(), Timestamp> {
        loop {
            let now = self.outbox.clock.now();
            let taken = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(&leased.from, now.mono);
            let Err(next) = taken else { return Ok(()) };
            let wait = next.saturating_sub(now.mono);
            if wait > LONGEST_TURN || !self.sleep(wait).await {
                return Err(policy::later(now.wall, wait));
            }
        }
    }

    /// Whether it may still be sent: somebody may have written STOP while it waited. Nothing at shutdown.
    async fn may_send(&self, leased: &Leased) -> Option<bool> {
        let (message, to) = (leased.message, leased.to.clone());
        loop {
            let to = to.clone();
            match self.outbox.store.read(move |conn| consent::may_send(conn, message, &to)).await {
                Ok(may) => return Some(may),
                Err(error) => tracing::error!(%error, "consent cannot be read; the text waits"),
            }
            if !self.sleep(STORE_PAUSE).await {
                return None;
            }
        }
    }

    /// Asks the gateway whether it has the message. A stop in between leaves the lease: the next start asks again.
    async fn ask(&self, leased: &Leased, why: &str) {
        tracing::warn!(message = %leased.message, "{why}; the gateway is asked whether it has the text");
        if !self.sleep(self.outbox.gateway.settles_within()).await {
            return;
        }
        self.outbox.counters.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.outbox.gateway.lookup(&self.outgoing(leased), leased.created_at).await;
        let now = self.outbox.clock.now().wall;
        self.record(leased, policy::after_lookup(found, leased.attempt, now, leased.expires_at, chance())).await;
    }

    fn outgoing(&self, leased: &Leased) -> Outgoing {
        let now = self.outbox.clock.now().wall;
        let base = self.outbox.public_url.as_deref().map(|base| base.trim_end_matches('/'));
        Outgoing {
            id: leased.message,
            from: leased.from.clone(),
            to: leased.to.clone(),
            body: leased.body.clone(),
            status_callback: base.map(|base| format!("{base}/hooks/{}/status", self.outbox.gateway.name())),
            valid_for: until(now, leased.expires_at),
        }
    }

    /// Writes what came of it, however long the store takes; a stop in between leaves the lease to the next start.
    async fn record(&self, leased: &Leased, next: Next) {
        self.count(leased, &next);
        loop {
            let (leased, next) = (leased.clone(), next.clone());
            let (gateway, now) = (self.outbox.gateway.name(), self.outbox.clock.now().wall);
            let id = leased.message;
            match self.outbox.store.write(move |tx| settle(tx, gateway, &leased, &next, now)).await {
                Ok(()) => return,
                // The gateway's id belongs to another message: it has one of two texts with the same words.
                Err(error @ StoreError::Sqlite(_)) => {
                    tracing::error!(message = %id, %error, "what came of a text cannot be recorded; it is shown as unknown");
                    return self.give_up(id).await;
                }
                Err(error) => tracing::error!(message = %id, %error, "what came of a text is not recorded yet"),
            }
            if !self.sleep(STORE_PAUSE).await {
                return;
            }
        }
    }

    async fn give_up(&self, id: MessageId) {
        let now = self.outbox.clock.now().wall;
        let why = "the gateway's answer could not be recorded; look at the gateway before resending it";
        if let Err(error) = self.outbox.store.write(move |tx| outbox::unknown(tx, id, why, now)).await {
            tracing::error!(message = %id, %error, "a text stays leased; the next start asks the gateway");
        }
    }

    fn count(&self, leased: &Leased, next: &Next) {
        let counters = &self.outbox.counters;
        let id = leased.message;
        let counter = match next {
            Next::Accepted(_) => &counters.accepted,
            Next::Retry { reason, .. } => {
                tracing::info!(message = %id, attempt = leased.attempt, "a text was not sent yet: {reason}");
                &counters.retried
            }
            Next::Failed(refusal) => {
                tracing::warn!(message = %id, code = refusal.code, "a text failed: {}", refusal.reason);
                &counters.failed
            }
            Next::Ask { reason } | Next::Unknown { reason } => {
                tracing::warn!(message = %id, "{reason}");
                &counters.unknown
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn settle(tx: &Tx<'_>, gateway: &str, leased: &Leased, next: &Next, now: Timestamp) -> Result<(), StoreError> {
    let id = leased.message;
    match next {
        Next::Accepted(accepted) => outbox::sent(tx, id, gateway, &accepted.gateway_id, accepted.status, now)?,
        Next::Retry { at, reason } => outbox::retry_at(tx, id, *at, reason, now)?,
        Next::Failed(refusal) => {
            if refusal.opted_out && refusal.code.is_some() {
                receive::opted_out_at_gateway(tx, gateway, &leased.to, Some(id), now)?;
            }
            outbox::failed(tx, id, &shown(refusal), now)?
        }
        Next::Ask { reason } | Next::Unknown { reason } => outbox::unknown(tx, id, reason, now)?,
    };
    Ok(())
}

/// A refusal as the thread shows it.
pub(super) fn shown(refusal: &Refusal) -> String {
    match &refusal.code {
        Some(code) => format!("{} ({code})", refusal.reason),
        None => refusal.reason.clone(),
    }
}

/// From `now` to `at`, nothing if that is past.
fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// 0 to 1, to spread retries; a generator that fails spreads nothing.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
