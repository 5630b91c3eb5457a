//! What is folded on a thread's page, in full.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use jiff::Timestamp;
use maud::html;

use super::opened::read;
use super::show::{looked, times};
use super::text::GAP;
use super::{Answer, told};
use crate::model::{MessageId, NoteId, Private, StaffName, ThreadId};
use crate::store::{Connection, StoreError, messages, notes};
use crate::web::Web;
use crate::web::form::Path;
use crate::web::page::{self, Section, is_fragment};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::theirs::{safe, theirs};
use crate::web::words::thread;

/// `GET /threads/{id}/notes/{note}`: a note in full.
pub async fn note(
    State(web): State<Web>,
    person: Person,
    Path((id, note)): Path<(ThreadId, NoteId)>,
    headers: HeaderMap,
) -> Answer {
    let found = move |conn: &Connection| {
        Ok(notes::find(conn, note)?.map(|note| (note.thread, note.author.to_string(), Some(note.at), note.body)))
    };
    in_full(&web, &person, &headers, id, thread::words(person.ui).note, found).await
}

/// `GET /threads/{id}/texts/{message}`: a text in full.
pub async fn text(
    State(web): State<Web>,
    person: Person,
    Path((id, message)): Path<(ThreadId, MessageId)>,
    headers: HeaderMap,
) -> Answer {
    let found = move |conn: &Connection| {
        Ok(messages::find(conn, message)?.map(|text| (text.thread, text.author, None, text.body)))
    };
    in_full(&web, &person, &headers, id, thread::words(person.ui).text, found).await
}

/// Where something was written, by whom, and its words.
type InFull = (ThreadId, String, Option<Timestamp>, Private<String>);

/// What is folded on the thread's page: for a script the words alone, to be put in their place.
async fn in_full(
    web: &Web,
    person: &Person,
    headers: &HeaderMap,
    id: ThreadId,
    title: &str,
    find: impl FnOnce(&Connection) -> Result<Option<InFull>, StoreError> + Send + 'static,
) -> Answer {
    let files = (web.files)();
    let times = times(web, person, &files);
    let (opened, found) = read(web, &files, id, move |conn, _| find(conn)).await.map_err(told(person))?;
    let of_thread = |thread: ThreadId| thread == id || opened.merged.iter().any(|part| part.id == thread);
    let Some((_, author, at, body)) = found.filter(|(thread, ..)| of_thread(*thread)) else {
        return Err(told(person)(Problem::NotFound));
    };
    looked(web, person, id);
    let words = thread::words(person.ui);
    let said = html! { p.words dir="auto" { (safe(body.expose(), words)) } };
    if is_fragment(headers) {
        return Ok(said.into_response());
    }
    let author = StaffName::parse(&author).map_or_else(|_| words.patient.to_owned(), |name| opened.name(&name));
    let body = html! {
        p { a href={ "/threads/" (id) } { (words.newest) } }
        article.card {
            h1 { (title) }
            p.faint { (theirs(&author, person.ui)) @if let Some(at) = at { (GAP) (times.mark(at, &times.short(at))) } }
            (said)
        }
    };
    Ok(page::page(person, Section::Inbox, words.title, body).into_response())
}
