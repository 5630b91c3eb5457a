//! What is asked for from the page of calls: to answer somebody, to offer them a text, to call them, now or not at all.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::offers;
use super::phones::{is_ours, my_phone};
use crate::call::front_desk::{CallOut, NoAnswering};
use crate::call::registry::InProgress;
use crate::model::{CallId, CallbackId, ThreadId};
use crate::store::{callbacks, threads};
use crate::web::Web;
use crate::web::form::Path;
use crate::web::page::is_fragment;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::record::record;
use crate::web::words::calls as words;

fn refused(person: &Person) -> impl Fn(NoAnswering) -> Problem {
    let ui = person.ui;
    move |why| Problem::conflict(words::refusal(ui, why))
}

/// After a form of the page.
fn done(headers: &HeaderMap, to: &str) -> Response {
    if is_fragment(headers) { StatusCode::NO_CONTENT.into_response() } else { Redirect::to(to).into_response() }
}

/// `POST /calls/{id}/answer`
pub async fn answer(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<CallId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let phone = my_phone(&web, &person).await?;
    let shown = phone.to_string();
    web.desk.answer(id, phone).await.map_err(refused(&person))?;
    record(&web, &person, "call.answer_asked", format!("call:{id}"), json!({ "phone": shown }));
    Ok(done(&headers, "/calls"))
}

/// `POST /calls/{id}/offer-text`
pub async fn offer_text(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<CallId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let call = web.registry.list().into_iter().find(|call| call.id == id);
    let call = call.as_ref().and_then(InProgress::inbound).ok_or_else(|| Problem::conflict(words.gone))?;
    if call.with.is_some() || !offers(&(web.files)(), call) {
        return Err(Problem::conflict(if call.with.is_some() { words.gone } else { words.no_offer }));
    }
    if !web.desk.offer_text(id).await {
        return Err(Problem::conflict(words.gone));
    }
    record(&web, &person, "call.text_offered", format!("call:{id}"), json!({}));
    Ok(done(&headers, "/calls"))
}

/// `POST /threads/{id}/call`
pub async fn call_out(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let thread = web.store.read(move |conn| threads::find(conn, id)).await?.ok_or(Problem::NotFound)?;
    if thread.merged_into.is_some() {
        return Err(Problem::conflict(words.opened_elsewhere));
    }
    if is_ours(&(web.files)(), &thread.number) {
        return Err(Problem::refused(words.own_number));
    }
    let phone = my_phone(&web, &person).await?;
    let shown = phone.to_string();
    let wanted = CallOut { phone, to: thread.number, staff: person.name.clone(), thread: Some(id) };
    let refused = |why| Problem::conflict(words::not_called(person.ui, why));
    web.desk.call_out(wanted).await.map_err(refused)?;
    record(&web, &person, "call.asked", format!("thread:{id}"), json!({ "phone": shown }));
    Ok(done(&headers, &format!("/threads/{id}")))
}

async fn callback(web: &Web, id: CallbackId) -> Result<callbacks::Callback, Problem> {
    web.store.read(move |conn| callbacks::find(conn, id)).await?.ok_or(Problem::NotFound)
}

/// `POST /callbacks/{id}/now`
pub async fn call_back_now(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<CallbackId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let callback = callback(&web, id).await?;
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    if callback.due_at <= now {
        return Err(Problem::conflict(words.already_due));
    }
    if !web.store.write(move |tx| callbacks::hurry(tx, id, name.as_str(), now)).await? {
        return Err(Problem::conflict(words.not_waiting));
    }
    web.desk.callback_due();
    Ok(done(&headers, &format!("/threads/{}", callback.thread)))
}

/// `POST /callbacks/{id}/cancel`
pub async fn cancel_callback(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<CallbackId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let words = words::words(person.ui);
    let callback = callback(&web, id).await?;
    let (name, now) = (person.name.clone(), web.clock.now().wall);
    if !web.store.write(move |tx| callbacks::cancel(tx, id, name.as_str(), now)).await? {
        return Err(Problem::conflict(words.not_waiting));
    }
    web.desk.callback_cancelled(id);
    Ok(done(&headers, &format!("/threads/{}", callback.thread)))
}
