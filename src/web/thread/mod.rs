//! A thread's page: all that happened, the box to answer in, and what can be done with it.
//!
//! - `show`: the page and its parts. `opened`: what is read for it. `full`: what is folded on it. `timeline`, `side`: how
//!   they look. `text`: times in words.
//! - `answer`: texts, notes, drafts, messages. `actions`: take, assign, snooze, close and so on. `merge`: two
//!   conversations become one. `contacts`: people and consent.

mod actions;
mod answer;
mod contacts;
mod full;
mod merge;
mod opened;
mod show;
mod side;
pub(in crate::web) mod text;
mod timeline;

pub use timeline::way;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::Web;
use super::page::is_fragment;
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use crate::conversation::permission::Act;
use crate::model::ThreadId;
use crate::store::{StoreError, Tx};

/// Its routes.
pub fn routes() -> Vec<Route> {
    let read = Access::May(Act::ReadThreads);
    let work = Access::May(Act::WorkThreads);
    let consent = Access::May(Act::ChangeConsent);
    vec![
        Route::get("/threads/{id}", read, show::thread),
        Route::get("/threads/{id}/timeline", read, show::timeline),
        Route::get("/threads/{id}/side", read, show::side),
        Route::get("/threads/{id}/head", read, show::head),
        Route::get("/threads/{id}/earlier/{other}", read, show::earlier),
        Route::get("/threads/{id}/notes/{note}", read, full::note),
        Route::get("/threads/{id}/texts/{message}", read, full::text),
        Route::post("/threads/{id}/answer", work, answer::answer),
        Route::post("/threads/{id}/draft", work, answer::draft),
        Route::post("/threads/{id}/template", work, answer::template),
        Route::post("/messages/{id}/undo", work, answer::undo),
        Route::post("/messages/{id}/now", work, answer::now),
        Route::post("/messages/{id}/resend", work, answer::resend),
        Route::post("/threads/{id}/take", work, actions::take),
        Route::post("/threads/{id}/release", work, actions::release),
        Route::post("/threads/{id}/assign", work, actions::assign),
        Route::post("/threads/{id}/team", work, actions::team),
        Route::post("/threads/{id}/tag", work, actions::tag),
        Route::post("/threads/{id}/untag", work, actions::untag),
        Route::post("/threads/{id}/reason", work, actions::reason),
        Route::post("/threads/{id}/escalate", work, actions::escalate),
        Route::post("/threads/{id}/clear-flag", work, actions::clear_flag),
        Route::post("/threads/{id}/snooze", work, actions::snooze),
        Route::post("/threads/{id}/wake", work, actions::wake),
        Route::post("/threads/{id}/follow-up", work, actions::follow_up),
        Route::post("/threads/{id}/voice", work, actions::voice),
        Route::post("/threads/{id}/close", work, actions::close),
        Route::post("/threads/{id}/offer", work, actions::offer),
        Route::post("/threads/{id}/reopen", work, actions::reopen),
        Route::post("/threads/{id}/merge", consent, merge::merge),
        Route::post("/threads/{id}/people", work, contacts::add),
        Route::post("/people/{id}", work, contacts::change),
        Route::post("/people/{id}/remove", work, contacts::remove),
        Route::post("/threads/{id}/opt-out", consent, contacts::opt_out),
        Route::post("/threads/{id}/consent", consent, contacts::grant),
    ]
}

/// What a handler answers: a problem is already in the person's language.
type Answer = Result<Response, Response>;

/// Turns a problem into its page, in the person's language.
fn told(person: &Person) -> impl Fn(Problem) -> Response {
    let person = person.clone();
    move |problem| problem.for_person(&person)
}

/// After a form: back to the thread's page, or for a script nothing.
fn done(headers: &HeaderMap, thread: ThreadId) -> Response {
    if is_fragment(headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    Redirect::to(&format!("/threads/{thread}")).into_response()
}

/// Runs a form's write; what it refuses, it says as a problem.
async fn write<F>(web: &Web, person: &Person, headers: &HeaderMap, thread: ThreadId, f: F) -> Answer
where
    F: FnOnce(&Tx<'_>) -> Result<Result<(), Problem>, StoreError> + Send + 'static,
{
    let written = web.store.write(f).await.map_err(Problem::from).and_then(|result| result);
    written.map_err(told(person))?;
    Ok(done(headers, thread))
}
