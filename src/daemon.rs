//! Wiring and orderly shutdown: the only place that knows everybody.

mod chores;
pub mod control;
mod observe;
pub mod workshop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::call::front_desk::Desk;
use crate::call::{Book, Line, actor, callback, desk, record, trace};
use crate::clock::Clock;
use crate::events::Events;
use crate::media::{Media, MediaConfig};
use crate::settings::Listen;
use crate::sip::trunk::Trunks;
use crate::sip::{Endpoint, Incoming};
use crate::sms::inbound::{Inbound, Replies};
use crate::sms::outbox::{self, Outbox};
use crate::sms::{Gateway, twilio};
use crate::store::Store;
use crate::web::{self, Files, Web};
use workshop::Bench;

/// How long calls in progress may go on after SIGTERM before they are told goodbye.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long the goodbye, and then the last writes, may take after that.
const FAREWELL_LIMIT: Duration = Duration::from_secs(15);

/// The running daemon.
pub struct Daemon {
    line: Arc<Line>,
    endpoint: Endpoint,
    trunks: Trunks,
    events: Events,
    web: SocketAddr,
    accepting: Arc<AtomicBool>,
    /// Stops whatever outlives the calls: outbox worker, webhooks.
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Daemon {
    /// Opens the store, binds every port and begins to take calls.
    ///
    /// # Errors
    /// The store cannot be opened, or an address is taken: the error names it and the cure.
    pub async fn start(book: Book) -> Result<Daemon> {
        twilio::install_tls_provider();
        raise_file_limit();
        let settings = book.settings.clone();
        let (clock, events) = (Clock::system(), Events::default());
        let store = Store::open(&settings.store.path, events.clone())?;
        record::interrupted(&store, &book, clock.now().wall).await;

        let listener = TcpListener::bind(settings.web.listen)
            .await
            .with_context(|| format!("{} cannot be listened on; change [web] listen", settings.web.listen))?;
        let web = listener.local_addr()?;
        web::acceptor(&settings.web)?;
        let gateway = Arc::new(Gateway::new(&settings.sms.gateway, store.clone(), clock.clone())?);
        let media =
            Media::start(MediaConfig { ports: settings.rtp.ports, silence_timeout: settings.rtp.silence_timeout })?;
        let (endpoint, incoming) = Endpoint::bind(&settings, clock.clone()).await?;

        let stop = CancellationToken::new();
        let trunks = Trunks::start(&endpoint, &settings, clock.clone());
        let (ours, theirs) = (endpoint.clone(), trunks.clone());
        let line = Line::start(clock.clone(), store.clone(), media, ours, theirs, book, stop.clone());
        let control = control::listen(&settings.store.path)
            .with_context(|| format!("{} cannot be made", control::socket(&settings.store.path).display()))?;
        let tasks = TaskTracker::new();
        let accepting = Arc::new(AtomicBool::new(true));

        let worker = Outbox {
            store: store.clone(),
            gateway: gateway.clone(),
            clock: clock.clone(),
            events: events.clone(),
            rate: settings.sms.rate,
            public_url: settings.web.public_url.clone(),
            counters: Arc::default(),
        };
        let inbound = Inbound::new(store.clone(), replies(line.clone()));
        let files: Arc<dyn Fn() -> Files + Send + Sync> = Arc::new(files(line.clone()));
        let (clinic, ours, theirs) = (line.clone(), endpoint.clone(), trunks.clone());
        let bench = Bench::new(clock.clone(), files.clone(), move |book| take(&clinic, &ours, &theirs, book));
        let system = observe::system(&settings, clock.now().wall, trunks.clone(), worker.counters.clone());
        workshop::note(&store, &settings, clock.now().wall);
        let pages = Web {
            store,
            clock,
            events: events.clone(),
            files,
            workshop: Arc::new(bench),
            system: Arc::new(system),
            probe: Arc::new(observe::probe(trunks.clone(), line.clock.clone())),
            registry: line.registry.clone(),
            desk: Arc::new(Desk(line.clone())),
            presences: Default::default(),
            streams: Default::default(),
            gateway: gateway.clone(),
            inbound: inbound.clone(),
            public_url: settings.web.public_url.clone(),
            health: Arc::new(observe::health(line.clone(), accepting.clone())),
            metrics: Arc::new(observe::metrics(line.clone(), endpoint.clone(), worker.counters.clone())),
            hooks: Arc::default(),
            door: Arc::default(),
        };
        tasks.spawn(web::serve(listener, pages, stop.clone()));
        tasks.spawn(outbox::run(worker, stop.clone()));
        tasks.spawn(chores::run(line.clone(), stop.clone()));
        tasks.spawn(callback::run(line.clone(), stop.clone()));
        tasks.spawn(trace::run(line.clone(), stop.clone()));
        tasks.spawn(control::serve(control, line.clone(), stop.clone()));
        tasks.spawn({
            let stop = stop.clone();
            async move { gateway.run(&inbound, &stop).await }
        });
        tasks.spawn(take_calls(line.clone(), incoming, stop.clone()));
        Ok(Daemon { line, endpoint, trunks, events, web, accepting, stop, tasks })
    }

    /// Where webhooks, `/healthz` and `/metrics` are.
    pub fn web_address(&self) -> SocketAddr {
        self.web
    }

    /// Where SIP is heard, with the ports that the system chose.
    pub fn sip_addresses(&self) -> Vec<Listen> {
        self.endpoint.local_addresses()
    }

    /// What is being recorded.
    pub fn store(&self) -> &Store {
        &self.line.store
    }

    /// What has been recorded, announced.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Whether the daemon does its work: the writer of the store answers or is known to wait for the disk, and the
    /// pacer of the media runs.
    pub fn is_alive(&self) -> bool {
        self.line.media.is_running()
    }

    /// Takes new files for the calls to come; calls in progress keep theirs. Addresses, ports, the gateway and the
    /// store stay as they were until a restart.
    pub fn reload(&self, book: Book) {
        workshop::note(&self.line.store, &book.settings, self.line.clock.now().wall);
        take(&self.line, &self.endpoint, &self.trunks, book);
    }

    /// Stops taking calls, lets those in progress finish for `limit`, says goodbye to the rest, and closes everything.
    pub async fn drain(self, limit: Duration) {
        self.accepting.store(false, Ordering::Relaxed);
        self.endpoint.set_accepting(false);
        self.line.closing.cancel();
        self.line.calls.close();
        info!(calls = self.line.registry.count(), "no new calls; waiting for those in progress");
        if tokio::time::timeout(limit, self.line.calls.wait()).await.is_err() {
            warn!(calls = self.line.registry.count(), "saying goodbye to the calls still in progress");
            self.line.goodbye.cancel();
            let _ = tokio::time::timeout(FAREWELL_LIMIT, self.line.calls.wait()).await;
        }
        self.trunks.stop().await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(FAREWELL_LIMIT, self.tasks.wait()).await.is_err() {
            warn!("a request to the text gateway did not end in time; the next start asks what became of it");
        }
        self.endpoint.close().await;
        self.line.media.stop();
        let store = self.line.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

/// Puts files in force.
fn take(line: &Line, endpoint: &Endpoint, trunks: &Trunks, book: Book) {
    endpoint.reload(&book.settings);
    trunks.reload(&book.settings);
    line.turn_page(book);
}

/// Each call holds two sockets; the usual soft limit of 1,024 files would end at 500 calls.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        warn!(%error, "the limit on open files could not be raised; set LimitNOFILE= in the unit");
    }
}

async fn take_calls(line: Arc<Line>, mut incoming: mpsc::Receiver<Incoming>, stop: CancellationToken) {
    let calls = &line.calls;
    loop {
        tokio::select! {
            call = incoming.recv() => match call {
                Some(call) => match call.extension.clone() {
                    Some(extension) => drop(calls.spawn(desk::take(line.clone(), call, extension))),
                    None => drop(calls.spawn(actor::take(line.clone(), call))),
                },
                None => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

fn files(line: Arc<Line>) -> impl Fn() -> Files + Send + Sync + 'static {
    move || {
        let book = line.book();
        Files {
            settings: book.settings.clone(),
            tree: book.tree.clone(),
            templates: book.templates.clone(),
            catalog: book.catalog.clone(),
        }
    }
}

fn replies(line: Arc<Line>) -> impl Fn() -> Replies + Send + Sync + 'static {
    move || {
        let book = line.book();
        Replies {
            templates: book.templates.clone(),
            values: book.values(&[]),
            language: book.settings.clinic.language.clone(),
            expire_after: book.settings.sms.expire_after,
            reopen_within: book.settings.desk.reopen_within,
        }
    }
}
