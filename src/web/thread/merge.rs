//! Merging: two conversations become one.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Answer, done, told};
use crate::conversation::merging::{self, Around, NotMerged};
use crate::model::{PhoneNumber, ThreadId};
use crate::store::threads::{self, MOST_MERGED};
use crate::store::{StoreError, Tx};
use crate::web::Web;
use crate::web::form::{Form, Path};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::thread_work::words;

/// What the form sends: into which thread, or that of which number.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    into: String,
    number: String,
}

/// `POST /threads/{id}/merge`: into an earlier conversation of the number, or into that of another number.
pub async fn merge(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let chosen: Option<ThreadId> = sent.into.parse().ok();
    let number = sent.number.trim();
    let number = if number.is_empty() {
        None
    } else {
        let country = (web.files)().settings.clinic.country;
        let read = PhoneNumber::parse(number, country);
        Some(read.map_err(|_| told(&person)(Problem::refused(words.bad_number)))?)
    };
    let merged = web
        .store
        .write(move |tx| {
            let into = match (chosen, number) {
                (Some(into), None) => into,
                (_, Some(number)) => match threads::latest(tx, &number)? {
                    Some(latest) => latest.id,
                    None => return Ok(Err(Problem::refused(words.no_thread_of_number))),
                },
                (None, None) => return Ok(Err(Problem::refused(words.merge_missing))),
            };
            Ok(match join(tx, id, into, actor.as_str(), now)? {
                Some(Ok(())) => Ok(into),
                None => Err(Problem::NotFound),
                Some(Err(NotMerged::Same)) => Err(Problem::conflict(words.merge_same)),
                Some(Err(NotMerged::Full)) => Err(Problem::conflict(words.merge_full)),
                Some(Err(NotMerged::OtherOpen)) => Err(Problem::conflict(words.merge_other_open)),
            })
        })
        .await
        .map_err(Problem::from)
        .and_then(|merged| merged)
        .map_err(told(&person))?;
    if crate::web::page::is_fragment(&headers) {
        return Ok(done(&headers, merged));
    }
    Ok(Redirect::to(&format!("/threads/{merged}")).into_response())
}

/// Makes one thread a part of another, if that can be; `None`: one of them is not there.
fn join(
    tx: &Tx<'_>,
    from: ThreadId,
    into: ThreadId,
    actor: &str,
    at: Timestamp,
) -> Result<Option<Result<(), NotMerged>>, StoreError> {
    let (Some(gone), Some(kept)) = (threads::find(tx, from)?, threads::find(tx, into)?) else { return Ok(None) };
    let parts = threads::merged_into(tx, into)?.len() + threads::merged_into(tx, from)?.len() + 1;
    let other_open = threads::open_of(tx, &kept.number)?.is_some_and(|open| open != from && open != into);
    let around = Around { same: from == into, full: parts > MOST_MERGED, other_open };
    match merging::merge(&gone.standing(), &kept.standing(), around) {
        Ok(becomes) => threads::merge(tx, &gone, &kept, becomes, actor, at).map(|()| Some(Ok(()))),
        Err(why) => Ok(Some(Err(why))),
    }
}

#[cfg(test)]
mod tests;
