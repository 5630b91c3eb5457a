//! Who is signed in, as a handler sees them.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;

use super::notices::Notices;
use super::problem::Problem;
use super::words::Ui;
use crate::conversation::permission::{Act, may};
use crate::model::{Roles, StaffName};

/// The person who asks. A handler that takes it stands behind a route that is not open to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// As records name them.
    pub name: StaffName,
    /// As people read it.
    pub shown_as: String,
    /// What they do at the clinic.
    pub roles: Roles,
    /// Their team, if they are in one.
    pub team: Option<String>,
    /// The language of their pages.
    pub ui: Ui,
    /// Their session, as the store knows it.
    pub session: String,
    /// What stands at the top of their pages.
    pub notices: Notices,
}

impl Person {
    /// Whether they may do `act`.
    pub fn may(&self, act: Act) -> bool {
        may(&self.roles, act)
    }
}

impl<S: Sync> FromRequestParts<S> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Person>().cloned().ok_or(Problem::SignedOut)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Person {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Person>().cloned())
    }
}
