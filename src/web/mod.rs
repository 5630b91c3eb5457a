//! The web side: the front desk's pages, gateway webhooks, health and metrics.
//!
//! - [`routes`]: every route in one table, with who may take it ([`route`]). [`serve`]: the same on a listener, with
//!   limits on slow and many clients. `patience`: how long a form may take.
//! - [`shield`]: what every answer carries and every form must prove. [`gate`]: who is asking, by their [`session`], and
//!   may they; the handler then sees a [`person`].
//! - [`sign_in`]: by password, second factor, passkey, or a link that works once. [`account`], [`people`]: one's own
//!   account; everybody's. [`client`]: where a request comes from. [`door`]: what is remembered of those who ask.
//!   `unsent`: what they wrote when their session was over.
//! - [`form`]: what a request brings, read; or refused in words.
//! - [`timing`]: how long an answer took. [`audio`]: recordings, by range.
//! - [`page`]: what stands around every page. [`problem`]: what a page says when it cannot. [`words`]: all sentences, in
//!   English and Spanish. [`assets`]: style, scripts.
//! - [`admin`]: the clinic's files.
//! - [`search`]: threads by words, names and numbers.
//! - [`palette`]: find a thread or do something, from any page.
//! - [`compose`]: the box that a text is written in. [`new_text`]: a text to somebody who has not written.
//! - [`help`]: how things work.
//! - [`audit`]: the audit chain, to be read, checked and exported.
//! - [`phone`]: a patient's phone, where the embedded gateway is in use.
//! - [`theirs`]: what others wrote, made safe to look at.
//! - [`thread`]: a thread's page and what is done on it.
//! - [`queue`]: the inbox's list. [`day`]: presence, what waits, calls and today's numbers. [`live`]: what changes, told
//!   to browsers. [`presence`]: who looks at what.
//! - [`calls`]: who is on the phone; to answer, to call. [`voicemails`]: voice messages and recorded calls. [`notices`]: what
//!   stands at the top of every page.
//! - `body`: a request's body, bounded. [`hooks`]: what gateways report. [`health`]: `/healthz`. [`metrics`]: `/metrics`.
//!
//! The rules of a thread are in [`crate::conversation`], not here. What pages show of calls is handed in as plain
//! closures ([`Web`]): nothing here knows SIP or media.

pub mod account;
pub mod admin;
pub mod assets;
pub mod audio;
pub mod audit;
mod body;
pub mod calls;
pub mod client;
pub mod compose;
pub mod day;
pub mod door;
pub mod form;
pub mod gate;
pub mod health;
pub mod help;
pub mod hooks;
pub mod live;
pub mod metrics;
pub mod new_text;
pub mod notices;
pub mod page;
pub mod palette;
pub mod password;
mod patience;
pub mod people;
pub mod person;
pub mod phone;
pub mod presence;
pub mod problem;
pub mod queue;
pub mod record;
pub mod route;
pub mod search;
mod serve;
pub mod session;
pub mod shield;
pub mod sign_in;
pub mod theirs;
pub mod thread;
pub mod timing;
mod tls;
mod unsent;
pub mod voicemails;
pub mod words;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::call::front_desk::FrontDesk;
use crate::call::registry::Registry;
use crate::clock::Clock;
use crate::conversation::templates::{Templates, Values};
use crate::events::Events;
use crate::model::PromptCatalog;
use crate::settings::Settings;
use crate::sms::Gateway;
use crate::sms::inbound::Inbound;
use crate::store::Store;
use crate::tree::Tree;

pub use admin::system::{Heard, Light, Machine, Probed, TrunkLine};
pub use admin::workshop::Workshop;
pub use health::Health;
pub use hooks::HookCounters;
pub use live::Streams;
pub use metrics::{Family, Kind};
pub use presence::Presences;
use route::{Access, Route};
pub use serve::{Limits, serve, serve_within};
pub use tls::{TlsError, acceptor};

/// The header by which a script asks for a part of a page.
pub const FRAGMENT: &str = "x-fragment";

/// The clinic's files as they are in force.
#[derive(Clone, Debug)]
pub struct Files {
    /// `threadline.toml`
    pub settings: Arc<Settings>,
    /// `phone-tree.toml`
    pub tree: Arc<Tree>,
    /// `messages.toml`
    pub templates: Arc<Templates>,
    /// What the prompts say.
    pub catalog: Arc<PromptCatalog>,
}

impl Files {
    /// What the variables of a template say whoever is written to.
    pub fn values(&self) -> Values {
        let (clinic, from) = (&self.settings.clinic, &self.settings.sms.from);
        let number = from.shown_in(clinic.country);
        let values = Values::of_clinic(&clinic.name, &number, clinic.response_target.as_deref());
        values.with_hours(self.tree.hours(&[]))
    }
}

/// What the routes work with. Cloning it gives another handle on the same.
#[derive(Clone)]
pub struct Web {
    /// The store.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
    /// What has been committed.
    pub events: Events,
    /// The clinic's files; asked at each page, because they are reloaded while we run.
    pub files: Arc<dyn Fn() -> Files + Send + Sync>,
    /// What pages show of the machine. It waits for the disk.
    pub system: Arc<dyn Fn() -> Machine + Send + Sync>,
    /// Asks the trunk of a name whether it is there; none: there is no such trunk.
    pub probe: Arc<dyn Fn(String) -> Probed + Send + Sync>,
    /// What may be done with the files on disk.
    pub workshop: Arc<dyn Workshop>,
    /// The calls in progress.
    pub registry: Registry,
    /// Who waits, which phones ring, and to ask for more.
    pub desk: Arc<dyn FrontDesk>,
    /// Who looks at which thread.
    pub presences: Presences,
    /// The live streams that are open.
    pub streams: Streams,
    /// The gateway whose webhooks are heard; another's name is 404.
    pub gateway: Arc<Gateway>,
    /// What a verified webhook does.
    pub inbound: Inbound,
    /// `web.public_url`: what gateways call us by, and so what they sign.
    pub public_url: Option<String>,
    /// Whether calls can be taken.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// What the rest of the house has counted.
    pub metrics: Arc<dyn Fn() -> Vec<Family> + Send + Sync>,
    /// What webhooks came to.
    pub hooks: Arc<HookCounters>,
    /// What is remembered of those who ask.
    pub door: Arc<door::Door>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("gateway", &self.gateway.name()).finish_non_exhaustive()
    }
}

/// Every route there is: each page's file lists its own.
pub fn routes() -> Vec<Route> {
    let pages = [
        machines,
        sign_in::routes,
        account::routes,
        people::routes,
        queue::routes,
        live::routes,
        presence::routes,
        day::routes,
        calls::routes,
        voicemails::routes,
        notices::routes,
        thread::routes,
        search::routes,
        new_text::routes,
        palette::routes,
        audit::routes,
        help::routes,
        phone::routes,
        admin::routes,
    ];
    pages.into_iter().flat_map(|routes| routes()).collect()
}

/// What machines ask for.
fn machines() -> Vec<Route> {
    vec![
        Route::get("/assets/{name}", Access::Anybody, assets::asset),
        Route::post("/hooks/{gateway}/inbound", Access::Anybody, hooks::inbound),
        Route::post("/hooks/{gateway}/status", Access::Anybody, hooks::status),
        Route::get("/healthz", Access::Anybody, health::healthz),
        Route::get("/metrics", Access::Anybody, metrics::metrics),
    ]
}

/// The routes, each behind its gate and all behind the shield.
pub fn router(web: Web) -> Router {
    let table = routes().into_iter().fold(Router::new(), |router, route| route.onto(router, &web));
    let nothing = || async { problem::Problem::NotFound };
    let other_way = || async { problem::Problem::OtherMethod };
    table
        .fallback(nothing)
        .method_not_allowed_fallback(other_way)
        .layer(from_fn(patience::hurry))
        .layer(from_fn_with_state(web.clone(), client::learn))
        .layer(from_fn(shield::shield))
        .layer(from_fn(timing::measure))
        .with_state(web)
}
