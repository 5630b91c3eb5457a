//! The front desk's site for tests: the real router on loopback, over a real store, with the content of `config/`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, header, redirect};
use tempfile::TempDir;
use threadline::call::Book;
use threadline::call::front_desk::{CallOut, FrontDesk, NoAnswering, NotCalled, PhoneDoing, Soon, Waiting};
use threadline::call::registry::Registry;
use threadline::cli::check;
use threadline::clock::Clock;
use threadline::daemon::workshop::Bench;
use threadline::events::Events;
use threadline::media::PromptLibrary;
use threadline::model::{CallId, CallbackId, Language, Phone, Roles, StaffName};
use threadline::settings::Settings;
use threadline::sms::Gateway;
use threadline::sms::inbound::Inbound;
use threadline::sms::sandbox::Sandbox;
use threadline::sms::twilio::install_tls_provider;
use threadline::store::sessions::{self, NewSession};
use threadline::store::staff::{self, Staff};
use threadline::store::{Store, Tx};
use threadline::web::{self, Files, Health, Heard, Light, Machine, TrunkLine, Web, session};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::outbox::replies;
use super::{http, prompts};

/// A Monday, 11:00 in the clinic's zone: it is open.
pub const MONDAY: &str = "2026-11-02T16:00:00Z";

/// A clinic's site, with a clock that stands until it is moved.
pub struct Desk {
    pub web: Web,
    pub clock: Clock,
    pub address: SocketAddr,
    /// Who waits for a person, and what was asked for them.
    pub switchboard: Arc<Switchboard>,
    in_force: Arc<Mutex<Files>>,
    shutdown: CancellationToken,
    _folder: TempDir,
}

impl Desk {
    pub async fn open() -> Desk {
        Desk::open_with(|_| {}).await
    }

    /// As the box's file is once `change` was made to it.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Desk {
        install_tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let (clock, events) = (Clock::manual(MONDAY.parse().unwrap()), Events::default());
        let store = Store::open(folder.path(), events.clone()).unwrap();
        let gateway = Gateway::Sandbox(Sandbox::new(store.clone(), clock.clone()));
        let mut files = files();
        let mut settings = (*files.settings).clone();
        let copied = Settings::load(&copy_of_the_files(folder.path())).unwrap();
        settings.file = copied.file;
        settings.clinic = copied.clinic;
        change(&mut settings);
        files.settings = Arc::new(settings);
        let in_force = Arc::new(Mutex::new(files));
        let files = Arc::new({
            let in_force = in_force.clone();
            move || in_force.lock().unwrap().clone()
        });
        let published = in_force.clone();
        let bench = Bench::new(clock.clone(), files.clone(), move |book| {
            let Book { settings, tree, templates, catalog, .. } = book;
            *published.lock().unwrap() = Files { settings, tree, templates, catalog };
        });
        let inbound = Inbound::new(store.clone(), replies);
        let switchboard = Arc::new(Switchboard::default());
        let web = Web {
            events,
            files,
            workshop: Arc::new(bench),
            desk: switchboard.clone(),
            ..site(&store, &clock, gateway, inbound)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(web::serve(listener, web.clone(), shutdown.clone()));
        Desk { web, clock, address, switchboard, in_force, shutdown, _folder: folder }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// As SIGHUP does: the same settings, read again.
    pub fn reload(&self) {
        let mut files = self.in_force.lock().unwrap();
        files.settings = Arc::new((*files.settings).clone());
    }

    /// Writes to the store behind the site's back.
    pub async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, threadline::store::StoreError> + Send + 'static,
    ) -> T {
        self.web.store.write(f).await.unwrap()
    }

    /// Somebody with these roles (`front_desk,admin`), signed in.
    pub async fn person(&self, name: &str, roles: &str) -> Visitor {
        let (now, name, roles): (_, StaffName, Roles) = (self.now(), name.parse().unwrap(), roles.parse().unwrap());
        let secret = format!("secret-of-{name}");
        let session = NewSession {
            id: session::id_of(&secret),
            staff: name.clone(),
            address: "127.0.0.1".into(),
            device: "test".into(),
            at: now,
        };
        let person = Staff {
            shown_as: name.to_string(),
            name,
            roles,
            team: None,
            language: Language::default(),
            away_until: None,
            disabled_at: None,
        };
        self.write(move |tx| {
            staff::add(tx, &person, "system", now)?;
            sessions::start(tx, &session)
        })
        .await;
        Visitor { cookie: Some(format!("{}={secret}", session::COOKIE)), ..self.nobody() }
    }

    /// Somebody who is not signed in.
    pub fn nobody(&self) -> Visitor {
        // A browser asks again on a connection that was just closed; this client does not, so it takes a new one each time.
        let client = http::client().redirect(redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap();
        Visitor { client, base: format!("http://{}", self.address), cookie: None }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The clinic's three files in a folder of their own, to be edited; its prompts are those of all tests.
fn copy_of_the_files(folder: &Path) -> PathBuf {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir(folder.join("config")).unwrap();
    for name in ["threadline.toml", "phone-tree.toml", "messages.toml"] {
        fs::copy(house.join("config").join(name), folder.join("config").join(name)).unwrap();
    }
    symlink(prompts::beginnings(), folder.join("prompts")).unwrap();
    folder.join("config/threadline.toml")
}

/// What the routes work with, around a store and a gateway of the test's own.
pub fn site(store: &Store, clock: &Clock, gateway: Gateway, inbound: Inbound) -> Web {
    Web {
        store: store.clone(),
        clock: clock.clone(),
        events: Events::default(),
        files: Arc::new(files),
        system: Arc::new(|| Machine {
            started: MONDAY.parse().unwrap(),
            trunks: vec![
                TrunkLine {
                    name: "carrier".to_owned(),
                    light: Light::Up,
                    heard: Some(Heard {
                        status: Some(200),
                        at: MONDAY.parse().unwrap(),
                        took: Duration::from_millis(12),
                    }),
                },
                TrunkLine { name: "spare".to_owned(), light: Light::Down, heard: None },
            ],
            texts: vec![("accepted", 7)],
            database: Some(3 << 20),
            free: None,
        }),
        probe: Arc::new(|name| {
            let silent = Heard { status: None, at: MONDAY.parse().unwrap(), took: Duration::from_secs(5) };
            Box::pin(async move { (name == "spare").then_some(silent) })
        }),
        workshop: Arc::new(Bench::new(clock.clone(), Arc::new(files), |_| ())),
        registry: Registry::default(),
        desk: Arc::new(Switchboard::default()),
        presences: Default::default(),
        streams: Default::default(),
        gateway: Arc::new(gateway),
        inbound,
        public_url: None,
        health: Arc::new(|| Health::Ok { calls: 0 }),
        metrics: Arc::new(Vec::new),
        hooks: Arc::default(),
        door: Arc::default(),
    }
}

/// A switchboard that rings nothing: it says who waits, as a test has set it, and keeps what it was asked for.
#[derive(Default)]
pub struct Switchboard {
    pub waits: Mutex<Waiting>,
    pub asked: Mutex<Vec<String>>,
}

impl Switchboard {
    /// Registered is what it says so of.
    fn ring(&self, phone: &Phone, what: String) -> Result<(), NoAnswering> {
        match self.waits.lock().unwrap().doing(phone) {
            PhoneDoing::Unreachable => Err(NoAnswering::Unreachable),
            PhoneDoing::OnCall => Err(NoAnswering::OnACall),
            _ => {
                self.asked.lock().unwrap().push(what);
                Ok(())
            }
        }
    }
}

impl FrontDesk for Switchboard {
    fn waiting(&self) -> Soon<'_, Waiting> {
        Box::pin(async { self.waits.lock().unwrap().clone() })
    }

    fn answer(&self, call: CallId, phone: Phone) -> Soon<'_, Result<(), NoAnswering>> {
        Box::pin(async move {
            if !self.waits.lock().unwrap().waiters.iter().any(|waiter| waiter.call == call) {
                return Err(NoAnswering::Gone);
            }
            self.ring(&phone, format!("answer {call} at {phone}"))
        })
    }

    fn offer_text(&self, call: CallId) -> Soon<'_, bool> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(format!("offer a text to {call}"));
            true
        })
    }

    fn call_out(&self, wanted: CallOut) -> Soon<'_, Result<(), NotCalled>> {
        let what = format!("call {} from {}", wanted.to.as_str(), wanted.phone);
        Box::pin(async move { self.ring(&wanted.phone, what).map_err(NotCalled::Phone) })
    }

    fn callback_due(&self) {
        self.asked.lock().unwrap().push("a call back is due".to_owned());
    }

    fn callback_cancelled(&self, id: CallbackId) {
        self.asked.lock().unwrap().push(format!("let go of {id}"));
    }
}

/// The clinic's files as they come with the house; read once for all tests.
pub fn files() -> Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES
        .get_or_init(|| {
            let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/threadline.toml");
            let checked = check::check(&config, MONDAY.parse().unwrap(), |_| {
                (PromptLibrary::load(prompts::beginnings()).0.catalog(), Vec::new())
            });
            Files {
                settings: Arc::new(checked.settings.unwrap()),
                tree: checked.tree.unwrap(),
                templates: Arc::new(checked.templates.unwrap()),
                catalog: Arc::new(checked.prompts),
            }
        })
        .clone()
}

/// A browser, as far as a page without scripts needs one.
#[derive(Clone)]
pub struct Visitor {
    pub client: Client,
    pub base: String,
    pub cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub body: String,
}

impl Page {
    /// Where it redirects to.
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }
}

impl Visitor {
    pub async fn get(&self, path: &str) -> Page {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// As a script asks for a part of a page.
    pub async fn fragment(&self, path: &str) -> Page {
        self.send(self.client.get(format!("{}{path}", self.base)).header(web::FRAGMENT, "1")).await
    }

    /// As a browser that plays a recording asks for a part of it.
    pub async fn range(&self, path: &str, range: &str) -> Page {
        self.send(self.client.get(format!("{}{path}", self.base)).header(header::RANGE, range)).await
    }

    /// As a form of the site's own pages.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.base)).header("sec-fetch-site", "same-origin");
        self.send(request.form(form)).await
    }

    /// A file, as a form of the site's own pages sends it.
    pub async fn upload(&self, path: &str, field: &str, bytes: Vec<u8>) -> Page {
        self.upload_with(path, &[], field, bytes).await
    }

    /// The same with other fields before it.
    pub async fn upload_with(&self, path: &str, others: &[(&str, &str)], field: &str, bytes: Vec<u8>) -> Page {
        const EDGE: &str = "----a-line-that-no-file-has";
        let mut head = String::new();
        for (name, value) in others {
            head += &format!("--{EDGE}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        head += &format!(
            "--{EDGE}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.wav\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.into_bytes(), bytes, format!("\r\n--{EDGE}--\r\n").into_bytes()].concat();
        let request = self.client.post(format!("{}{path}", self.base)).header("sec-fetch-site", "same-origin");
        let kind = format!("multipart/form-data; boundary={EDGE}");
        self.send(request.header(header::CONTENT_TYPE, kind).body(body)).await
    }

    /// As another site's page would.
    pub async fn post_from_elsewhere(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.base)).header("sec-fetch-site", "cross-site");
        self.send(request.form(form)).await
    }

    /// An answer that is read as it comes: server-sent events.
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.base)).header(header::ACCEPT, "text/event-stream");
        request.header(header::COOKIE, self.cookie.as_deref().unwrap_or_default()).send().await.unwrap()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let request = match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        // A stream of events has no end to wait for.
        let endless = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let body = if endless { String::new() } else { response.text().await.unwrap() };
        Page { status, headers, body }
    }
}
