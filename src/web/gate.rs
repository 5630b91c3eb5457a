//! Who is asking, and may they: every route but the open ones goes through here.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::person::Person;
use super::problem::Problem;
use super::route::Access;
use super::{Web, session};
use crate::conversation::permission::may;

/// Lets a request through if its person may take the route; else says what to do.
pub async fn check(State((web, access)): State<(Web, Access)>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let person = match session::person(&web, request.headers(), peer).await {
        Ok(Some(person)) => person,
        Ok(None) => return sign_in(&request),
        Err(error) => return Problem::from(error).into_response(),
    };
    if let Access::May(act) = access
        && !may(&person.roles, act)
    {
        return Problem::Forbidden.for_person(&person).into_response();
    }
    request.extensions_mut().insert::<Person>(person);
    next.run(request).await
}

/// A page leads to the sign-in and back; what a script asks for is told so, and the script keeps the draft.
fn sign_in(request: &Request) -> Response {
    let page = request.method() == Method::GET && !request.headers().contains_key(super::FRAGMENT);
    if page {
        return Redirect::to(&format!("/sign-in?then={}", then(request.uri()))).into_response();
    }
    if request.headers().contains_key(super::FRAGMENT) {
        return (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "text/plain")], "signed out\n").into_response();
    }
    Problem::SignedOut.into_response()
}

/// The path to come back to, fit for a query. What was typed is never in it.
fn then(uri: &Uri) -> String {
    form_urlencoded::byte_serialize(uri.path().as_bytes()).collect()
}
