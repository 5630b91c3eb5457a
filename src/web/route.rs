//! A route, with who may take it: the table of [`super::routes`] is all there is, and a test walks it as every role.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{Web, gate};
use crate::conversation::permission::Act;

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: the handler knows what it does (sign-in, webhooks, health, assets).
    Anybody,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever may do this.
    May(Act),
}

/// One route.
pub struct Route {
    /// `GET` or `POST`.
    pub method: Method,
    /// As axum writes it: `/threads/{id}`.
    pub path: &'static str,
    /// Who may take it.
    pub access: Access,
    handler: MethodRouter<Web>,
}

impl Route {
    /// A page, or a part of one. It changes nothing.
    pub fn get<H, T>(path: &'static str, access: Access, handler: H) -> Route
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        Route { method: Method::GET, path, access, handler: on(MethodFilter::GET, handler) }
    }

    /// A form, or a search: what is typed stays out of addresses.
    pub fn post<H, T>(path: &'static str, access: Access, handler: H) -> Route
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        Route { method: Method::POST, path, access, handler: on(MethodFilter::POST, handler) }
    }

    /// Puts it on `router`, behind its gate.
    pub(super) fn onto(self, router: Router<Web>, web: &Web) -> Router<Web> {
        let handler = match self.access {
            Access::Anybody => self.handler,
            access => self.handler.layer(from_fn_with_state((web.clone(), access), gate::check)),
        };
        router.route(self.path, handler)
    }
}
