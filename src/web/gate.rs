//! Who is asking, and may they: every route but the open ones goes through here.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::client::Client;
use super::door::Asker;
use super::person::Person;
use super::problem::Problem;
use super::route::Access;
use super::timing::Told;
use super::{Web, session, unsent};
use crate::conversation::permission::may;
use crate::store::sessions;

/// Lets a request through if its person may take the route; else says what to do.
pub async fn check(State((web, access)): State<(Web, Access)>, mut request: Request, next: Next) -> Response {
    let person = match session::person(&web, request.headers()).await {
        Ok(Some(person)) => person,
        Ok(None) => {
            return match stranger(&web, &request) {
                Ok(()) => sign_in(&web, request).await,
                Err(problem) => problem.into_response(),
            };
        }
        Err(error) => return Problem::from(error).into_response(),
    };
    if let Err(wait) = web.door.admit(Asker::Session(person.session.clone()), web.clock.now().mono) {
        return Problem::TooOften(wait).for_person(&person);
    }
    if let Access::May(act) = access
        && !may(&person.roles, act)
    {
        return Problem::Forbidden.for_person(&person).into_response();
    }
    if is_use(&request) {
        touch(&web, &person);
    }
    let ui = person.ui;
    request.extensions_mut().insert::<Person>(person);
    let mut response = ui.scope(next.run(request)).await;
    response.extensions_mut().insert(Told);
    response
}

/// Whether a person did it. Parts of pages are fetched by scripts as things happen, which nobody needs to be there for;
/// the script that sees keys and clicks says so at [`super::account::STAY`].
fn is_use(request: &Request) -> bool {
    let live = request.headers().get(header::ACCEPT).is_some_and(|kind| kind.as_bytes() == b"text/event-stream");
    let part = request.headers().contains_key(super::FRAGMENT);
    !live && !part || request.method() == Method::POST && request.uri().path() == super::account::STAY
}

/// Puts a session's use on record, soon and seldom: no page waits for it.
fn touch(web: &Web, person: &Person) {
    let (now, idle) = (web.clock.now(), (web.files)().settings.desk.sign_out_after);
    if web.door.is_due(&person.session, idle, now.mono) {
        let id = person.session.clone();
        web.store.try_write_detached("a session's use", move |tx| sessions::touch(tx, &id, now.wall));
    }
}

/// Counts a request of somebody who is not signed in, by their address.
fn stranger(web: &Web, request: &Request) -> Result<(), Problem> {
    match request.extensions().get::<Client>() {
        Some(client) => admit(web, client),
        None => Err(Problem::Forbidden),
    }
}

/// The same, for the handlers of pages that are open to anybody.
pub fn admit(web: &Web, client: &Client) -> Result<(), Problem> {
    web.door.admit(Asker::Address(client.address), web.clock.now().mono).map_err(Problem::TooOften)
}

/// A page leads to the sign-in and back, and so does an answer whose words are kept; what a script asks for is told so,
/// and the script keeps the draft.
async fn sign_in(web: &Web, request: Request) -> Response {
    let fragment = request.headers().contains_key(super::FRAGMENT);
    if fragment {
        return (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "text/plain")], "signed out\n").into_response();
    }
    if request.method() == Method::GET {
        return Redirect::to(&format!("/sign-in?then={}", then(request.uri().path()))).into_response();
    }
    match unsent::keep(web, request).await {
        Some(place) => Redirect::to(&format!("/sign-in?then={}", then(&place.to_string()))).into_response(),
        None => Problem::SignedOut.into_response(),
    }
}

/// The path to come back to, fit for a query. What was typed is never in it.
fn then(path: &str) -> String {
    form_urlencoded::byte_serialize(path.as_bytes()).collect()
}
