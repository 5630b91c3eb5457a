//! A text whose session ended while it was written. A script keeps what is in its page; without one, the words that
//! were refused are kept here in memory and become the draft once whoever wrote them has signed in again.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::Method;

use super::compose::Place;
use super::door::Unsent;
use super::{FRAGMENT, Web, session};
use crate::model::{Private, StaffName};
use crate::store::{drafts, new_texts, sessions, threads};

/// Bytes of a form that is looked into.
const LONGEST_FORM: usize = 64 * 1024;

/// Keeps the words of a refused text, if it is one and it is known whose: those of a session that nobody has used for
/// too long. Gives the place to come back to.
pub(super) async fn keep(web: &Web, request: Request) -> Option<Place> {
    if request.method() != Method::POST || request.headers().contains_key(FRAGMENT) {
        return None;
    }
    let place = Place::of_path(request.uri().path().strip_suffix("/answer")?)?;
    let id = session::id_of(session::secret(request.headers())?);
    let name = web.store.read(move |conn| sessions::owner(conn, &id)).await.ok()??;
    let form = to_bytes(request.into_body(), LONGEST_FORM).await.ok()?;
    let (_, body) = form_urlencoded::parse(&form).find(|(field, _)| field == "body")?;
    let words: String = body.replace("\r\n", "\n").chars().take(drafts::LONGEST).collect();
    if words.trim().is_empty() {
        return None;
    }
    web.door.keep_unsent(name, Unsent { place, words: Private::new(words) }, web.clock.now().mono);
    Some(place)
}

/// Makes them the draft of somebody who may write and has just signed in. That they did is not undone by a database
/// that is busy.
pub(super) async fn give_back(web: &Web, name: StaffName) {
    let now = web.clock.now();
    let Some(Unsent { place, words }) = web.door.take_unsent(&name, now.mono) else { return };
    let saved = web.store.write(move |tx| match place {
        Place::Thread(thread) if threads::find(tx, thread)?.is_none() => Ok(()),
        Place::Thread(thread) => drafts::save(tx, &name, thread, words.expose(), now.wall),
        Place::New(id) => new_texts::save(tx, &name, id, words.expose(), now.wall).map(|_| ()),
    });
    if let Err(error) = saved.await {
        tracing::error!(%error, "unsent words could not be kept as a draft");
    }
}
