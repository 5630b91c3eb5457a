//! The session cookie: a random secret at the browser, its SHA-256 in the store.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use super::person::Person;
use super::words::Ui;
use super::{Web, notices};
use crate::store::{StoreError, sessions};

/// The cookie's name. The prefix binds it to this host, to `Secure` and to the whole site (RFC 6265bis section 4.1.3).
pub const COOKIE: &str = "__Host-session";

/// The cookie by which a browser is known again at the sign-in: strangers' tries do not slow it down.
const DEVICE: &str = "__Host-device";

/// Who the cookie belongs to, if it belongs to somebody and the session has not ended.
pub async fn person(web: &Web, headers: &HeaderMap) -> Result<Option<Person>, StoreError> {
    let Some(secret) = secret(headers) else { return Ok(None) };
    let (id, files, now) = (id_of(secret), (web.files)(), web.clock.now().wall);
    let idle = files.settings.desk.sign_out_after;
    let found = web
        .store
        .read({
            let (id, files) = (id.clone(), files.clone());
            move |conn| {
                let Some(staff) = sessions::find(conn, &id, idle, now)? else { return Ok(None) };
                let notices = notices::read(conn, &files, &staff.roles, &id, now)?;
                Ok(Some((staff, notices)))
            }
        })
        .await?;
    Ok(found.map(|(staff, notices)| Person {
        ui: Ui::of(&staff.language),
        notices: notices.told(Ui::of(&staff.language), &files, now),
        name: staff.name,
        shown_as: staff.shown_as,
        roles: staff.roles,
        team: staff.team,
        session: id,
    }))
}

/// 32 random bytes, base64url: a cookie's secret, a link's, a challenge.
///
/// # Panics
/// The system gives no random numbers: nothing can be kept safe then, and a predictable secret is worse than none.
pub fn fresh() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random::<32>())
}

/// Random bytes.
///
/// # Panics
/// As [`fresh`].
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

/// Gives the browser its session; it ends with the browser, if not before.
pub fn cookie_of(secret: &str) -> HeaderValue {
    set(COOKIE, secret, "")
}

/// Takes the session's cookie away.
pub fn no_cookie() -> HeaderValue {
    set(COOKIE, "", "; Max-Age=0")
}

/// Lets the browser be known again, for 180 days.
pub fn device_cookie_of(secret: &str) -> HeaderValue {
    set(DEVICE, secret, "; Max-Age=15552000")
}

fn set(name: &str, value: &str, more: &str) -> HeaderValue {
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{more}");
    // Base64url and our own constants are fit for a header.
    HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The secret of the session's cookie.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The secret by which a browser is known again.
pub fn device_secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, DEVICE)
}

/// What the store knows a session by.
pub fn id_of(secret: &str) -> String {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next()
}
