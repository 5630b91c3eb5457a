//! The web side: gateway webhooks, health and metrics.
//!
//! - [`router`]: every route in one table. [`serve`]: the same on a listener, with limits on slow and many clients.
//! - [`hooks`]: what gateways report. [`health`]: `/healthz`. [`metrics`]: `/metrics`.
//!
//! What it shows of calls is handed in as plain closures ([`Web`]): it knows neither SIP nor media.

pub mod health;
pub mod hooks;
pub mod metrics;
mod serve;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::clock::Clock;
use crate::sms::Gateway;
use crate::sms::inbound::Inbound;
use crate::store::Store;

pub use health::Health;
pub use hooks::HookCounters;
pub use metrics::{Family, Kind};
pub use serve::serve;

/// What the routes work with. Cloning it gives another handle on the same.
#[derive(Clone)]
pub struct Web {
    /// The store.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
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
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("gateway", &self.gateway.name()).finish_non_exhaustive()
    }
}

/// Every route.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/hooks/{gateway}/inbound", post(hooks::inbound))
        .route("/hooks/{gateway}/status", post(hooks::status))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::metrics))
        .with_state(web)
}
