//! What a request brings, read for its handler: a form's fields, what the address asks for, what the path names. What
//! cannot be read is refused in the person's language, with the cure; to a script, which shows it, by the sentence alone.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::de::DeserializeOwned;

use super::body::{NoBody, whole};
use super::page::is_fragment;
use super::person::Person;
use super::problem::Problem;
use super::words::Ui;
use super::words::problem::{Words, words};

/// Bytes of a form: the longest note in letters that take nine bytes each on the way.
const LONGEST: usize = 4 << 20;
/// The same of somebody who is not signed in: a name, a password, a passkey's answer.
const LONGEST_OF_STRANGERS: usize = 64 << 10;
/// In so long it must have come.
const WITHIN: Duration = Duration::from_secs(60);

/// The fields of a form that a page of ours has sent.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

/// What the address asks for, after its `?`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// What the path names. Of a thing whose name is none there is no page.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// 415: it is no form.
    NotAForm,
    /// 413: longer than it may be.
    TooLarge,
    /// 408: it came too slowly, or broke off.
    TooSlow,
    /// 400: its letters are not UTF-8.
    Garbled,
    /// 422: a field is missing, or there twice, or no number where one belongs.
    Incomplete,
}

impl Unread {
    fn told(self, words: &Words) -> (StatusCode, String) {
        match self {
            Unread::NotAForm => (StatusCode::UNSUPPORTED_MEDIA_TYPE, words.form_incomplete.to_owned()),
            Unread::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, words.form_too_large.to_owned()),
            Unread::TooSlow => (StatusCode::REQUEST_TIMEOUT, words.form_too_slow.to_owned()),
            Unread::Garbled => (StatusCode::BAD_REQUEST, words.form_garbled.to_owned()),
            Unread::Incomplete => (StatusCode::UNPROCESSABLE_ENTITY, words.form_incomplete.to_owned()),
        }
    }
}

/// A refusal for whoever asks in this way.
fn refuse(headers: &HeaderMap, (status, why): (StatusCode, String)) -> Response {
    if is_fragment(headers) {
        return (status, html! { p.notice.bad role="alert" { (why) } }).into_response();
    }
    Problem::Refused(status, why).into_response()
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let longest = if parts.extensions.get::<Person>().is_some() { LONGEST } else { LONGEST_OF_STRANGERS };
        read(&parts.headers, body, longest).await.map_err(|why| refuse(&parts.headers, why.told(words(Ui::here()))))
    }
}

async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body, longest: usize) -> Result<Form<T>, Unread> {
    let whole = tokio::time::timeout(WITHIN, whole(headers, body, longest)).await;
    let bytes = match whole {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(NoBody::TooLong)) => return Err(Unread::TooLarge),
        Ok(Err(NoBody::Broken)) | Err(_) => return Err(Unread::TooSlow),
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Without a field a form may come without a word on what it is.
    let empty = kind.is_empty() && bytes.is_empty();
    if !empty && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Unread::NotAForm);
    }
    if std::str::from_utf8(&decoded(&bytes)).is_err() {
        return Err(Unread::Garbled);
    }
    serde_urlencoded::from_bytes(&bytes).map(Form).map_err(|_| Unread::Incomplete)
}

/// The fields of a form that brings a file, by name; `too_large` says what to do with a larger one.
pub async fn parts(
    form: Result<Multipart, MultipartRejection>,
    too_large: &str,
) -> Result<BTreeMap<String, Bytes>, Problem> {
    let words = words(Ui::here());
    let broken = |error: MultipartError| match error.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Problem::Refused(status, too_large.to_owned()),
        status => Problem::Refused(status, words.form_too_slow.to_owned()),
    };
    let no_form = |_| Problem::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words.form_incomplete.to_owned());
    let mut form = form.map_err(no_form)?;
    let mut fields = BTreeMap::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        fields.insert(name, field.bytes().await.map_err(broken)?);
    }
    Ok(fields)
}

/// The bytes that `%41` and the like stand for (URL Standard, percent-decode).
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|c| char::from(*c).to_digit(16));
        let byte = (first == b'%').then(|| Some((digit(0)?, digit(1)?))).flatten();
        (rest, _) = match byte {
            Some((high, low)) => (&after[2..], bytes.push((high * 16 + low) as u8)),
            None => (after, bytes.push(first)),
        };
    }
    bytes
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let words = words(Ui::here());
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
            .map(Query)
            .map_err(|_| refuse(&parts.headers, (StatusCode::BAD_REQUEST, words.bad_address.to_owned())))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(named)) => Ok(Path(named)),
            Err(_) => Err(refuse(&parts.headers, (StatusCode::NOT_FOUND, words(Ui::here()).not_found.to_owned()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Typed {
        body: String,
        version: i64,
    }

    async fn read_typed(kind: &'static str, body: impl Into<Body>) -> Result<Typed, Unread> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        read::<Typed>(&headers, body.into(), LONGEST).await.map(|Form(typed)| typed)
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_form_is_its_fields_or_says_what_is_wrong_with_it() {
        let read = Typed { body: "Sí, a las 9".to_owned(), version: -7 };
        let sent = "version=-7&body=S%C3%AD%2C+a+las+9&other=1";
        assert_eq!(read_typed(FORM, sent).await, Ok(read));
        assert!(read_typed("Application/X-WWW-Form-URLEncoded; charset=UTF-8", sent).await.is_ok());
        for (kind, sent, why) in [
            (FORM, "version=1", Unread::Incomplete),
            (FORM, "version=1&body=a&body=b", Unread::Incomplete),
            (FORM, "version=one&body=a", Unread::Incomplete),
            (FORM, "version=&body=a", Unread::Incomplete),
            (FORM, "version=1&body=%ff%fe", Unread::Garbled),
            ("application/json", "{}", Unread::NotAForm),
            ("", "version=1&body=a", Unread::NotAForm),
        ] {
            assert_eq!(read_typed(kind, sent).await, Err(why), "{kind} {sent}");
        }
        assert_eq!(read_typed(FORM, vec![b'a', b'=', 0xff]).await, Err(Unread::Garbled));
        // A per cent sign that stands for itself.
        assert_eq!(read_typed(FORM, "version=1&body=100%").await.unwrap().body, "100%");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_is_read_to_its_end_and_dropped() {
        let form = |length: usize| format!("version=1&body={}", "a".repeat(length));
        assert_eq!(read_typed(FORM, form(1 << 20)).await.unwrap().body.len(), 1 << 20);
        assert_eq!(read_typed(FORM, form(LONGEST)).await, Err(Unread::TooLarge));
    }
}
