//! What a page says when it cannot do what was asked: what is wrong, and the cure.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;

use super::page;
use super::person::Person;
use super::words::{Ui, problem};
use crate::store::StoreError;

/// Why not. Becomes a page of its own.
#[derive(Debug)]
pub enum Problem {
    /// 404: there is no such thing.
    NotFound,
    /// 405: there is, but not to be asked for in this way.
    OtherMethod,
    /// 403: not with their roles.
    Forbidden,
    /// 403: the form came from another site, or from nowhere.
    ForeignForm,
    /// 401: the session has ended.
    SignedOut,
    /// 400, 409, 422: what was asked for cannot be; the sentence says why and what to do.
    Refused(StatusCode, String),
    /// 429: too often; again after so long.
    TooOften(Duration),
    /// 408: a form that did not come in time.
    TooSlow,
    /// 500: what cannot happen; for the log.
    Broken(&'static str),
    /// 503 or 500: the store.
    Store(StoreError),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::Store(error)
    }
}

impl Problem {
    /// 422: what was written in a form cannot be; `why` says what to change.
    pub fn refused(why: impl Into<String>) -> Problem {
        Problem::Refused(StatusCode::UNPROCESSABLE_ENTITY, why.into())
    }

    /// 409: somebody was faster.
    pub fn conflict(why: impl Into<String>) -> Problem {
        Problem::Refused(StatusCode::CONFLICT, why.into())
    }

    /// In the person's language.
    pub fn for_person(self, person: &Person) -> Response {
        self.respond(person.ui)
    }

    fn respond(self, ui: Ui) -> Response {
        let words = problem::words(ui);
        let (status, sentence) = match self {
            Problem::NotFound => (StatusCode::NOT_FOUND, words.not_found.to_owned()),
            Problem::OtherMethod => (StatusCode::METHOD_NOT_ALLOWED, words.bad_method.to_owned()),
            Problem::Forbidden => (StatusCode::FORBIDDEN, words.forbidden.to_owned()),
            Problem::ForeignForm => (StatusCode::FORBIDDEN, words.foreign_form.to_owned()),
            Problem::SignedOut => (StatusCode::UNAUTHORIZED, words.signed_out.to_owned()),
            Problem::TooOften(wait) => {
                let mut response =
                    Problem::Refused(StatusCode::TOO_MANY_REQUESTS, words.too_often.to_owned()).respond(ui);
                response.headers_mut().insert(header::RETRY_AFTER, seconds(wait).into());
                return response;
            }
            Problem::TooSlow => (StatusCode::REQUEST_TIMEOUT, words.too_slow.to_owned()),
            Problem::Broken(what) => {
                tracing::error!(what, "a page could not be served");
                (StatusCode::INTERNAL_SERVER_ERROR, words.broken.to_owned())
            }
            Problem::Refused(status, why) => (status, why),
            Problem::Store(StoreError::Unavailable(why)) => {
                tracing::error!(?why, "a page could not be served");
                (StatusCode::SERVICE_UNAVAILABLE, words.store.to_owned())
            }
            Problem::Store(error) => {
                tracing::error!(%error, "a page could not be served");
                (StatusCode::INTERNAL_SERVER_ERROR, words.broken.to_owned())
            }
        };
        let body = html! {
            main.alone {
                h1 { (words.title) }
                p role="alert" { (sentence) }
                p { a href="/" { (words.back) } }
            }
        };
        (status, page::bare(ui, words.title, body)).into_response()
    }
}

/// A wait in whole seconds, rounded up: who waits so long has waited long enough.
pub fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.respond(Ui::here())
    }
}
