//! Who is behind a number, and whether they may be texted.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, told, write};
use crate::conversation::consent::may_record;
use crate::model::{Consent, ConsentMethod, ConsentState, Language, PersonId, ThreadId};
use crate::store::people::{self, Contact};
use crate::store::{consents, outbox, threads};
use crate::web::Web;
use crate::web::form::{Form, Path};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::thread_work::{Words, words};

const LONGEST_NAME: usize = 120;
const LONGEST_NOTE: usize = 2_000;
/// What is said of consent.
const LONGEST_WORDS: usize = 2_000;

/// What the forms send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    name: String,
    on_behalf_of: String,
    language: String,
    note: String,
    words: String,
    thread: String,
}

/// What is written about somebody, checked.
#[derive(Debug)]
struct Written {
    name: String,
    on_behalf_of: Option<String>,
    language: Option<Language>,
    note: String,
}

impl Sent {
    fn written(&self, words: &Words) -> Result<Written, Problem> {
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (name, whom) = (line(&self.name), line(&self.on_behalf_of));
        let note = self.note.replace("\r\n", "\n").trim().to_owned();
        if name.is_empty() {
            return Err(Problem::refused(words.missing_name));
        }
        for (text, most) in [(&name, LONGEST_NAME), (&whom, LONGEST_NAME), (&note, LONGEST_NOTE)] {
            if text.chars().count() > most {
                return Err(Problem::refused((words.too_long)(most)));
            }
        }
        let language = match self.language.as_str() {
            "" => None,
            tag => Some(Language::parse(tag).map_err(|_| Problem::refused(words.bad_language))?),
        };
        Ok(Written { name, on_behalf_of: (!whom.is_empty()).then_some(whom), language, note })
    }

    /// What was said, as evidence.
    fn evidence(&self, words: &Words) -> Result<String, Problem> {
        let said = self.words.replace("\r\n", "\n").trim().to_owned();
        if said.is_empty() {
            return Err(Problem::refused(words.missing_words));
        }
        if said.chars().count() > LONGEST_WORDS {
            return Err(Problem::refused((words.too_long)(LONGEST_WORDS)));
        }
        Ok(said)
    }
}

/// `POST /threads/{id}/people`
pub async fn add(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let written = sent.written(words).map_err(told(&person))?;
    write(&web, &person, &headers, id, move |tx| {
        let Some(thread) = threads::find(tx, id)? else { return Ok(Err(Problem::NotFound)) };
        if people::of_number(tx, &thread.number)?.len() >= people::MOST {
            return Ok(Err(Problem::refused(words.too_many_people)));
        }
        let Written { name, on_behalf_of, language, note } = written;
        let contact = Contact { id: PersonId::new(now), number: thread.number, name, on_behalf_of, language, note };
        people::add(tx, &contact, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// `POST /people/{id}`
pub async fn change(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<PersonId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let written = sent.written(words).map_err(told(&person))?;
    let thread = back(&sent).map_err(told(&person))?;
    write(&web, &person, &headers, thread, move |tx| {
        let Some(before) = people::find(tx, id)? else { return Ok(Err(Problem::refused(words.no_such_person))) };
        let Written { name, on_behalf_of, language, note } = written;
        people::change(tx, &Contact { name, on_behalf_of, language, note, ..before }, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// `POST /people/{id}/remove`
pub async fn remove(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<PersonId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let thread = back(&sent).map_err(told(&person))?;
    write(&web, &person, &headers, thread, move |tx| {
        let Some(contact) = people::find(tx, id)? else { return Ok(Err(Problem::refused(words.no_such_person))) };
        people::remove(tx, &contact, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// The thread whose page the form was on: where it leads back to.
fn back(sent: &Sent) -> Result<ThreadId, Problem> {
    sent.thread.parse().map_err(|_| Problem::NotFound)
}

/// `POST /threads/{id}/opt-out`: the patient told the clinic that they want no texts.
pub async fn opt_out(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    record(&web, &person, &headers, id, &sent, ConsentState::Revoked).await
}

/// `POST /threads/{id}/consent`: the patient agreed at the desk or on the phone.
pub async fn grant(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    record(&web, &person, &headers, id, &sent, ConsentState::Granted).await
}

async fn record(
    web: &Web,
    person: &Person,
    headers: &HeaderMap,
    id: ThreadId,
    sent: &Sent,
    state: ConsentState,
) -> Answer {
    let (actor, now, words) = (person.name.to_string(), web.clock.now().wall, words(person.ui));
    let said = sent.evidence(words).map_err(told(person))?;
    write(web, person, headers, id, move |tx| {
        let Some(thread) = threads::find(tx, id)? else { return Ok(Err(Problem::NotFound)) };
        let current = consents::current(tx, &thread.number)?;
        if current.as_ref().is_some_and(|current| current.state == state) {
            return Ok(Ok(()));
        }
        let what = match state {
            ConsentState::Granted => {
                if may_record(current.as_ref()).is_err() {
                    return Ok(Err(Problem::conflict(words.own_stop)));
                }
                "consent_recorded"
            }
            ConsentState::Revoked => {
                outbox::cancel_for(tx, &thread.number, now)?;
                "opted_out"
            }
        };
        let consent = Consent {
            disclosure: Some(said),
            ..Consent::new(thread.number, state, ConsentMethod::Staff, actor.clone(), now)
        };
        consents::append(tx, &consent)?;
        threads::note(tx, id, what, &actor, &json!({}), now)?;
        Ok(Ok(()))
    })
    .await
}
