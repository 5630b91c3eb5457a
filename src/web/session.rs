//! The session cookie: a random secret at the browser, its SHA-256 in the store.

use std::net::SocketAddr;

use axum::http::{HeaderMap, header};
use ring::digest;

use super::Web;
use super::person::Person;
use super::words::Ui;
use crate::store::{StoreError, sessions};

/// The cookie's name. The prefix binds it to this host, to `Secure` and to the whole site (RFC 6265bis section 4.1.3).
pub const COOKIE: &str = "__Host-session";

/// Who the cookie belongs to, if it belongs to somebody and the session has not ended.
pub async fn person(web: &Web, headers: &HeaderMap, _peer: Option<SocketAddr>) -> Result<Option<Person>, StoreError> {
    let Some(secret) = cookie(headers) else { return Ok(None) };
    let (id, now) = (id_of(secret), web.clock.now().wall);
    let idle = (web.files)().settings.desk.sign_out_after;
    let found = web
        .store
        .read({
            let id = id.clone();
            move |conn| sessions::find(conn, &id, idle, now)
        })
        .await?;
    Ok(found.map(|staff| Person {
        ui: Ui::of(&staff.language),
        name: staff.name,
        shown_as: staff.shown_as,
        roles: staff.roles,
        team: staff.team,
        session: id,
    }))
}

/// What the store knows a session by.
pub fn id_of(secret: &str) -> String {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next()
}
