//! Answering: texts, notes, drafts, ready messages, and taking a text back.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};

use super::show::{self, Shown};
use super::{Answer, done, told};
use crate::model::{MessageId, NoteId, Private, ThreadId};
use crate::sms::addressee;
use crate::sms::reply::{self, NotSent, Reply};
use crate::store::{drafts, notes, threads};
use crate::web::compose::{Typed, alert, behind, fill, refused, unfilled};
use crate::web::form::{Form, Path};
use crate::web::page::is_fragment;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::theirs::{plain, safe};
use crate::web::words::{compose, thread};
use crate::web::{Files, Web};

/// Where a script finds how to take back what it has just sent.
const UNDO: HeaderName = HeaderName::from_static("x-undo");

/// For how many seconds it can.
const UNDO_FOR: HeaderName = HeaderName::from_static("x-undo-for");

/// `POST /threads/{id}/answer`
pub async fn answer(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(form): Form<Typed>,
) -> Answer {
    let body = form.words();
    if form.kind == "note" {
        return note(&web, &person, id, &headers, body).await;
    }
    let (files, words, now) = ((web.files)(), compose::words(person.ui), web.clock.now().wall);
    let (name, send_at) = match form.order(now, &files.settings.clinic.timezone, words) {
        Ok(order) => order,
        Err(why) => {
            return refuse(&web, &person, &headers, id, StatusCode::UNPROCESSABLE_ENTITY, alert(why), body).await;
        }
    };
    let draft = Reply { send_at, ..blank(&web, &person, &files, id) };
    let reply = Reply { body: Private::new(body.clone()), seen: form.version, form: name, ..draft };
    let sent =
        web.store.write(move |tx| reply::reply(tx, &reply)).await.map_err(Problem::from).map_err(told(&person))?;
    match sent {
        Ok(replied) if is_fragment(&headers) => {
            let seconds = replied.due_at.duration_since(now).as_secs().max(0);
            let undo = [(UNDO, format!("/messages/{}/undo", replied.message)), (UNDO_FOR, seconds.min(60).to_string())];
            let fresh = show::again(&web, &person, &headers, id, StatusCode::OK, Shown::default()).await;
            Ok((undo, fresh).into_response())
        }
        Ok(_) => Ok(Redirect::to(&format!("/threads/{id}#compose")).into_response()),
        Err(why) => not_sent(&web, &person, &headers, id, why, body).await,
    }
}

/// An answer of this person in this thread, without its words.
pub fn blank(web: &Web, person: &Person, files: &Files, thread: ThreadId) -> Reply {
    Reply {
        thread,
        author: person.name.clone(),
        from: files.settings.sms.from.clone(),
        body: Private::default(),
        seen: 0,
        form: String::new(),
        send_at: None,
        undo: files.settings.desk.undo,
        expire_after: files.settings.sms.expire_after,
        now: web.clock.now().wall,
    }
}

/// Says why nothing was sent, and keeps the words in the box.
async fn not_sent(web: &Web, person: &Person, headers: &HeaderMap, id: ThreadId, why: NotSent, body: String) -> Answer {
    let status = match &why {
        NotSent::Missing => return Err(told(person)(Problem::NotFound)),
        NotSent::Overtaken { .. } | NotSent::Elsewhere(_) | NotSent::Merged(_) => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let notice = match &why {
        NotSent::Overtaken { by, body, at } => {
            let times = show::times(web, person, &(web.files)());
            let by = shown_as(web, by).await.map_err(told(person))?;
            overtaken(&by, body, &times.short(*at), thread::words(person.ui))
        }
        why => alert(&refused(why, compose::words(person.ui))),
    };
    refuse(web, person, headers, id, status, notice, body).await
}

/// Who was first, with their words.
fn overtaken(by: &str, body: &Private<String>, at: &str, words: &thread::Words) -> Markup {
    html! {
        div.notice.warn role="alert" {
            p { strong { ((words.overtaken)(&plain(by), at)) } }
            blockquote.words dir="auto" { (safe(body.expose(), words)) }
            p { (words.overtaken_cure) }
        }
    }
}

async fn shown_as(web: &Web, name: &str) -> Result<String, Problem> {
    let Ok(staff) = name.parse() else { return Ok(name.to_owned()) };
    let found = web.store.read(move |conn| crate::store::staff::find(conn, &staff)).await?;
    Ok(found.map_or(name.to_owned(), |staff| staff.shown_as))
}

/// The page with a notice, and what was written kept as a draft.
async fn refuse(
    web: &Web,
    person: &Person,
    headers: &HeaderMap,
    id: ThreadId,
    status: StatusCode,
    notice: Markup,
    body: String,
) -> Answer {
    keep(web, person, id, body.clone()).await.map_err(told(person))?;
    let shown = Shown { words: Some(body), notice: Some(notice), note: false };
    Ok(show::again(web, person, headers, id, status, shown).await)
}

/// Keeps what was written as a draft.
async fn keep(web: &Web, person: &Person, id: ThreadId, body: String) -> Result<(), Problem> {
    save(web, person, id, body, None).await
}

/// Saves a draft, but none of a `form` that was sent meanwhile. A thread that is not there keeps none.
async fn save(web: &Web, person: &Person, id: ThreadId, body: String, form: Option<String>) -> Result<(), Problem> {
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    let saved = web
        .store
        .write(move |tx| {
            let there = threads::find(tx, id)?.is_some();
            let sent = form.as_deref().map(|form| reply::is_sent(tx, &name, form)).transpose()?;
            if there && sent != Some(true) {
                drafts::save(tx, &name, id, &body, now)?;
            }
            Ok(there)
        })
        .await?;
    if saved { Ok(()) } else { Err(Problem::NotFound) }
}

async fn note(web: &Web, person: &Person, id: ThreadId, headers: &HeaderMap, body: String) -> Answer {
    let wrong = match body.len() {
        _ if body.trim().is_empty() => Some(compose::words(person.ui).empty),
        length if length > notes::LONGEST => Some(thread::words(person.ui).note_too_long),
        _ => None,
    };
    if let Some(wrong) = wrong {
        keep(web, person, id, body.clone()).await.map_err(told(person))?;
        let shown = Shown { words: Some(body), notice: Some(alert(wrong)), note: true };
        return Ok(show::again(web, person, headers, id, StatusCode::UNPROCESSABLE_ENTITY, shown).await);
    }
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    let note = notes::Note { id: NoteId::new(now), thread: id, author: name.clone(), body: body.into(), at: now };
    let written = web
        .store
        .write(move |tx| {
            let there = threads::find(tx, id)?.is_some();
            if there {
                notes::add(tx, &note)?;
                drafts::clear(tx, &name, id)?;
            }
            Ok(there)
        })
        .await
        .map_err(Problem::from)
        .map_err(told(person))?;
    if !written {
        return Err(told(person)(Problem::NotFound));
    }
    if is_fragment(headers) {
        return Ok(show::again(web, person, headers, id, StatusCode::OK, Shown::default()).await);
    }
    Ok(done(headers, id))
}

/// `POST /threads/{id}/draft`
pub async fn draft(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(form): Form<Typed>,
) -> Answer {
    let (words, form) = (form.words(), form.form);
    save(&web, &person, id, words, Some(form)).await.map_err(told(&person))?;
    Ok(done(&headers, id))
}

/// `POST /threads/{id}/template`: the words of a ready message. A script puts them where one types; without one they
/// are added to the draft.
pub async fn template(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(form): Form<Typed>,
) -> Answer {
    let files = (web.files)();
    let addressee = web.store.read(move |conn| addressee::of_thread(conn, id)).await;
    let Some(addressee) = addressee.map_err(Problem::from).map_err(told(&person))? else {
        return Err(told(&person)(Problem::NotFound));
    };
    let text = match fill(&files, &form.template, &addressee) {
        Ok(text) => text,
        Err(why) => {
            let (status, why) = (StatusCode::UNPROCESSABLE_ENTITY, unfilled(&why, compose::words(person.ui)));
            return refuse(&web, &person, &headers, id, status, alert(&why), form.words()).await;
        }
    };
    if is_fragment(&headers) {
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response());
    }
    keep(&web, &person, id, behind(&form.words(), text)).await.map_err(told(&person))?;
    Ok(Redirect::to(&format!("/threads/{id}#compose")).into_response())
}

/// `POST /messages/{id}/undo`: takes a text back that has not gone.
pub async fn undo(State(web): State<Web>, person: Person, Path(id): Path<MessageId>, headers: HeaderMap) -> Answer {
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    let taken = web
        .store
        .write(move |tx| {
            let there = crate::store::messages::find(tx, id)?.is_some();
            Ok((there, reply::take_back(tx, id, &name, now)?))
        })
        .await
        .map_err(Problem::from)
        .map_err(told(&person))?;
    match taken {
        (false, _) => Err(told(&person)(Problem::NotFound)),
        (true, None) => Err(told(&person)(Problem::conflict(thread::words(person.ui).too_late))),
        (true, Some(thread)) => Ok(done(&headers, thread)),
    }
}

/// `POST /messages/{id}/now`: sends what waits for a later time.
pub async fn now(State(web): State<Web>, person: Person, Path(id): Path<MessageId>, headers: HeaderMap) -> Answer {
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    let expire_after = (web.files)().settings.sms.expire_after;
    let hurried = web
        .store
        .write(move |tx| {
            let written = crate::store::messages::find(tx, id)?;
            Ok(match written {
                None => None,
                Some(written) => Some((written.thread, reply::send_now(tx, id, &name, expire_after, now)?)),
            })
        })
        .await
        .map_err(Problem::from)
        .map_err(told(&person))?;
    match hurried {
        None => Err(told(&person)(Problem::NotFound)),
        Some((_, false)) => Err(told(&person)(Problem::conflict(thread::words(person.ui).not_waiting))),
        Some((thread, true)) => Ok(done(&headers, thread)),
    }
}

/// `POST /messages/{id}/resend`: with what the page showed, as an answer has it.
pub async fn resend(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<MessageId>,
    headers: HeaderMap,
    Form(form): Form<Typed>,
) -> Answer {
    let files = (web.files)();
    // The thread is the message's own; this one only fills the form.
    let again = blank(&web, &person, &files, ThreadId::new(web.clock.now().wall));
    let again = Reply { seen: form.version, ..again };
    let sent = web
        .store
        .write(move |tx| {
            let thread = crate::store::messages::find(tx, id)?.map(|written| written.thread);
            Ok((thread, reply::resend(tx, id, &again)?))
        })
        .await
        .map_err(Problem::from)
        .map_err(told(&person))?;
    match sent {
        (Some(thread), Ok(_)) => Ok(done(&headers, thread)),
        (None, _) | (_, Err(NotSent::Missing)) => Err(told(&person)(Problem::NotFound)),
        (Some(_), Err(NotSent::Overtaken { by, at, .. })) => {
            let by = shown_as(&web, &by).await.map_err(told(&person))?;
            let at = show::times(&web, &person, &files).short(at);
            let words = thread::words(person.ui);
            Err(told(&person)(Problem::conflict(format!("{} {}", (words.overtaken)(&by, &at), words.resend_cure))))
        }
        (Some(_), Err(why)) => Err(told(&person)(Problem::conflict(refused(&why, compose::words(person.ui))))),
    }
}
