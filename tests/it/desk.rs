//! The front desk's site for tests: the real router on loopback, over a real store, with the content of `config/`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use reqwest::{Client, StatusCode, header, redirect};
use tempfile::TempDir;
use threadline::call::registry::Registry;
use threadline::cli::check;
use threadline::clock::Clock;
use threadline::events::Events;
use threadline::media::PromptLibrary;
use threadline::model::{Language, Roles, StaffName};
use threadline::settings::Settings;
use threadline::sms::Gateway;
use threadline::sms::inbound::Inbound;
use threadline::sms::sandbox::Sandbox;
use threadline::sms::twilio::install_tls_provider;
use threadline::store::sessions::{self, NewSession};
use threadline::store::staff::{self, Staff};
use threadline::store::{Store, Tx};
use threadline::web::{self, Files, Health, Web, session};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::outbox::replies;

/// A Monday, 11:00 in the clinic's zone: it is open.
pub const MONDAY: &str = "2026-11-02T16:00:00Z";

/// A clinic's site, with a clock that stands until it is moved.
pub struct Desk {
    pub web: Web,
    pub clock: Clock,
    pub address: SocketAddr,
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
        change(&mut settings);
        files.settings = Arc::new(settings);
        let files = Arc::new(move || files.clone());
        let web = Web { events, files, ..site(&store, &clock, gateway, Inbound::new(store.clone(), replies)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(web::serve(listener, web.clone(), shutdown.clone()));
        Desk { web, clock, address, shutdown, _folder: folder }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now().wall
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
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Visitor { client, base: format!("http://{}", self.address), cookie: None }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What the routes work with, around a store and a gateway of the test's own.
pub fn site(store: &Store, clock: &Clock, gateway: Gateway, inbound: Inbound) -> Web {
    Web {
        store: store.clone(),
        clock: clock.clone(),
        events: Events::default(),
        files: Arc::new(files),
        registry: Registry::default(),
        gateway: Arc::new(gateway),
        inbound,
        public_url: None,
        health: Arc::new(|| Health::Ok { calls: 0 }),
        metrics: Arc::new(Vec::new),
        hooks: Arc::default(),
        door: Arc::default(),
    }
}

/// The clinic's files as they come with the house; read once for all tests.
pub fn files() -> Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES
        .get_or_init(|| {
            let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/threadline.toml");
            let checked = check::check(&config, MONDAY.parse().unwrap(), |settings| {
                (PromptLibrary::load(&settings.clinic.prompts).0.catalog(), Vec::new())
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

    /// As a form of the site's own pages.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.base)).header("sec-fetch-site", "same-origin");
        self.send(request.form(form)).await
    }

    /// As another site's page would.
    pub async fn post_from_elsewhere(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.base)).header("sec-fetch-site", "cross-site");
        self.send(request.form(form)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let request = match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        };
        let response = request.send().await.unwrap();
        Page { status: response.status(), headers: response.headers().clone(), body: response.text().await.unwrap() }
    }
}
