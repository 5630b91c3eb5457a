//! What is done with a thread: each a small form.

use axum::extract::State;
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

use super::answer::blank;
use super::{Answer, told, write};
use crate::conversation::closing;
use crate::conversation::deeds::{self, Deed, NotDone};
use crate::conversation::later::Later;
use crate::conversation::permission::{Act, may};
use crate::model::{NoteId, Private, Resolution, StaffName, ThreadId};
use crate::sms::addressee;
use crate::sms::reply::{self, NotSent, Reply};
use crate::store::threads::{self, MOST_TAGS, Thread};
use crate::store::{StoreError, Tx, notes, staff, timeline};
use crate::web::Web;
use crate::web::compose::{fill, not_later, refused, unfilled};
use crate::web::form::{Form, Path};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::thread_work::{Words, words};
use crate::web::words::{self as all_words};

/// A note beside an action has so many bytes at most.
const LONGEST_NOTE: usize = notes::LONGEST;
/// A reason has so many characters at most.
const LONGEST_REASON: usize = 80;
/// A tag has so many characters at most.
const LONGEST_TAG: usize = 40;

/// What the small forms send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    to: String,
    team: String,
    tag: String,
    reason: String,
    note: String,
    #[serde(rename = "for")]
    choice: String,
    at: String,
    resolution: String,
    /// Whose it was on the page.
    owner: String,
}

/// Leaves a closure with the problem, if there is one.
macro_rules! or_leave {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(problem) => return Ok(Err(problem)),
        }
    };
}

/// The thread, if it is there and not a part of another.
fn there(tx: &Tx<'_>, id: ThreadId) -> Result<Result<Thread, Problem>, StoreError> {
    Ok(threads::find(tx, id)?.filter(|thread| thread.merged_into.is_none()).ok_or(Problem::NotFound))
}

/// As [`there`], if `deed` may be done with it.
fn ready(tx: &Tx<'_>, id: ThreadId, deed: Deed<'_>, words: &Words) -> Result<Result<Thread, Problem>, StoreError> {
    let thread = or_leave!(there(tx, id)?);
    match deeds::may(deed, &thread.standing()) {
        Ok(()) => Ok(Ok(thread)),
        Err(why) => Ok(Err(not_done(tx, &why, words)?)),
    }
}

/// Why something cannot be done, and the cure.
fn not_done(tx: &Tx<'_>, why: &NotDone, words: &Words) -> Result<Problem, StoreError> {
    Ok(match why {
        NotDone::Merged => Problem::conflict(words.not_reopened),
        NotDone::Closed => Problem::conflict(words.is_closed),
        NotDone::OtherOpen => Problem::conflict(words.not_reopened),
        NotDone::Flagged => Problem::refused(words.is_flagged),
        NotDone::Waiting => Problem::refused(words.is_waiting),
        NotDone::Unexplained => Problem::refused(words.missing_note),
        NotDone::Taken(owner) => {
            let shown = staff::find(tx, owner)?.map_or(owner.to_string(), |staff| staff.shown_as);
            Problem::conflict((words.is_taken)(&shown))
        }
    })
}

/// `POST /threads/{id}/take`: with whose it was on the page. Who took it since then keeps it.
pub async fn take(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (by, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let seen = StaffName::parse(&sent.owner).ok();
    write(&web, &person, &headers, id, move |tx| {
        or_leave!(ready(tx, id, Deed::Take { by: &by, seen: seen.as_ref() }, words)?);
        threads::assign(tx, id, Some(&by), by.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// `POST /threads/{id}/release`
pub async fn release(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    give(&web, &person, &headers, id, None).await
}

/// `POST /threads/{id}/assign`
pub async fn assign(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let Ok(to) = StaffName::parse(&sent.to) else {
        return Err(told(&person)(Problem::refused(words(person.ui).no_such_staff)));
    };
    give(&web, &person, &headers, id, Some(to)).await
}

async fn give(web: &Web, person: &Person, headers: &HeaderMap, id: ThreadId, to: Option<StaffName>) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    write(web, person, headers, id, move |tx| {
        or_leave!(there(tx, id)?);
        if let Some(to) = &to {
            let works = staff::find(tx, to)?
                .is_some_and(|staff| staff.disabled_at.is_none() && may(&staff.roles, Act::WorkThreads));
            if !works {
                return Ok(Err(Problem::refused(words.no_such_staff)));
            }
        }
        threads::assign(tx, id, to.as_ref(), actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// `POST /threads/{id}/team`
pub async fn team(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let known = (web.files)().settings.teams.iter().any(|team| team.name == sent.team);
    if !known && !sent.team.is_empty() {
        return Err(told(&person)(Problem::refused(words(person.ui).no_such_team)));
    }
    let team = (!sent.team.is_empty()).then_some(sent.team);
    each(&web, &person, &headers, id, move |tx, actor, now| threads::set_team(tx, id, team.as_deref(), actor, now))
        .await
}

/// `POST /threads/{id}/reason`
pub async fn reason(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let reason = sent.reason.trim().to_owned();
    if reason.chars().count() > LONGEST_REASON {
        return Err(told(&person)(Problem::refused((words(person.ui).too_long)(LONGEST_REASON))));
    }
    let reason = (!reason.is_empty()).then_some(reason);
    each(&web, &person, &headers, id, move |tx, actor, now| threads::set_reason(tx, id, reason.as_deref(), actor, now))
        .await
}

/// `POST /threads/{id}/tag`
pub async fn tag(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let tag = sent.tag.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = tag.chars().count();
    if length == 0 || length > LONGEST_TAG || tag.contains(',') || tag.chars().any(char::is_control) {
        return Err(told(&person)(Problem::refused(words.bad_tag)));
    }
    write(&web, &person, &headers, id, move |tx| {
        let thread = or_leave!(there(tx, id)?);
        if thread.tags.len() >= MOST_TAGS && !thread.tags.contains(&tag) {
            return Ok(Err(Problem::refused(words.too_many_tags)));
        }
        threads::tag(tx, id, &tag, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// `POST /threads/{id}/untag`
pub async fn untag(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    each(&web, &person, &headers, id, move |tx, actor, now| threads::untag(tx, id, &sent.tag, actor, now)).await
}

/// Something that is done with a thread, open or not.
async fn each<F>(web: &Web, person: &Person, headers: &HeaderMap, id: ThreadId, f: F) -> Answer
where
    F: FnOnce(&Tx<'_>, &str, Timestamp) -> Result<bool, StoreError> + Send + 'static,
{
    let (actor, now) = (person.name.clone(), web.clock.now().wall);
    write(web, person, headers, id, move |tx| {
        or_leave!(there(tx, id)?);
        f(tx, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}

/// Something that is done with a thread if it may be, with a note where it says why; `deed` is told whether it does.
async fn with_note<F>(
    web: &Web,
    person: &Person,
    headers: &HeaderMap,
    id: ThreadId,
    note: String,
    deed: fn(bool) -> Deed<'static>,
    f: F,
) -> Answer
where
    F: FnOnce(&Tx<'_>, &str, Timestamp) -> Result<bool, StoreError> + Send + 'static,
{
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    let note = note.replace("\r\n", "\n");
    if note.len() > LONGEST_NOTE {
        return Err(told(person)(Problem::refused((words.too_long)(LONGEST_NOTE))));
    }
    let explained = !note.trim().is_empty();
    write(web, person, headers, id, move |tx| {
        or_leave!(ready(tx, id, deed(explained), words)?);
        f(tx, actor.as_str(), now)?;
        if explained {
            let body = Private::new(note);
            notes::add(tx, &notes::Note { id: NoteId::new(now), thread: id, author: actor, body, at: now })?;
        }
        Ok(Ok(()))
    })
    .await
}

/// `POST /threads/{id}/escalate`
pub async fn escalate(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    const CLINICAL: &str = "clinical";
    with_note(
        &web,
        &person,
        &headers,
        id,
        sent.note,
        |explained| Deed::Escalate { explained },
        move |tx, actor, now| threads::escalate(tx, id, CLINICAL, actor, now),
    )
    .await
}

/// `POST /threads/{id}/clear-flag`
pub async fn clear_flag(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    with_note(
        &web,
        &person,
        &headers,
        id,
        sent.note,
        |explained| Deed::ClearFlag { explained },
        move |tx, actor, now| threads::clear_flag(tx, id, actor, now),
    )
    .await
}

/// `POST /threads/{id}/snooze`
pub async fn snooze(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let until = time(&web, &person, &sent).map_err(told(&person))?;
    with_note(
        &web,
        &person,
        &headers,
        id,
        String::new(),
        |_| Deed::Snooze,
        move |tx, actor, now| threads::snooze(tx, id, until, actor, now),
    )
    .await
}

/// `POST /threads/{id}/wake`
pub async fn wake(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    each(&web, &person, &headers, id, move |tx, actor, now| threads::wake(tx, id, actor, now)).await
}

/// `POST /threads/{id}/follow-up`; without a time nobody need come back to it.
pub async fn follow_up(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let when = match sent.at.trim() {
        "" => None,
        _ => Some(time(&web, &person, &sent).map_err(told(&person))?),
    };
    with_note(
        &web,
        &person,
        &headers,
        id,
        sent.note,
        |_| Deed::FollowUp,
        move |tx, actor, now| threads::follow_up(tx, id, when, actor, now),
    )
    .await
}

fn time(web: &Web, person: &Person, sent: &Sent) -> Result<Timestamp, Problem> {
    let zone = (web.files)().settings.clinic.timezone.clone();
    let time = Later::parse(&sent.choice, &sent.at).time(web.clock.now().wall, &zone);
    time.map_err(|why| Problem::refused(not_later(why, all_words::compose::words(person.ui))))
}

/// `POST /threads/{id}/voice`
pub async fn voice(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    with_note(
        &web,
        &person,
        &headers,
        id,
        String::new(),
        |_| Deed::MoveToVoice,
        move |tx, actor, now| threads::moved_to_voice(tx, id, actor, now),
    )
    .await
}

/// `POST /threads/{id}/close`: with what was done, where the thread has a red flag.
pub async fn close(
    State(web): State<Web>,
    person: Person,
    Path(id): Path<ThreadId>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Answer {
    let Some(resolution) = Resolution::chosen(&sent.resolution) else {
        return Err(told(&person)(Problem::refused(words(person.ui).bad_resolution)));
    };
    with_note(
        &web,
        &person,
        &headers,
        id,
        sent.note,
        |explained| Deed::Close { explained },
        move |tx, actor, now| threads::close(tx, id, resolution, actor, now),
    )
    .await
}

/// `POST /threads/{id}/offer`: asks "anything else I can help with?"; without an answer the thread closes by itself.
pub async fn offer(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    let files = (web.files)();
    if !files.templates.names().contains_key(closing::OFFER) {
        return Err(told(&person)(Problem::refused(words(person.ui).no_offer)));
    }
    let addressee = web.store.read(move |conn| addressee::of_thread(conn, id)).await;
    let Some(addressee) = addressee.map_err(Problem::from).map_err(told(&person))? else {
        return Err(told(&person)(Problem::NotFound));
    };
    let sentences = all_words::compose::words(person.ui);
    let text = fill(&files, closing::OFFER, &addressee)
        .map_err(|why| told(&person)(Problem::refused(unfilled(&why, sentences))))?;
    let again = Reply { body: text.into(), ..blank(&web, &person, &files, id) };
    let (actor, words) = (person.name.clone(), words(person.ui));
    write(&web, &person, &headers, id, move |tx| {
        let thread = or_leave!(ready(tx, id, Deed::Offer, words)?);
        if thread.close_offered_at.is_some() {
            return Ok(Ok(()));
        }
        // It answers nothing, so nobody's answer overtakes it.
        let (seen, form) = (i64::MAX, format!("offer:{id}:{}", timeline::version(tx, id)?));
        match reply::reply(tx, &Reply { seen, form, ..again.clone() })? {
            Ok(_) => {
                threads::close_offered(tx, id, actor.as_str(), again.now)?;
                Ok(Ok(()))
            }
            Err(NotSent::Missing) => Ok(Err(Problem::NotFound)),
            Err(why) => Ok(Err(Problem::refused(refused(&why, sentences)))),
        }
    })
    .await
}

/// `POST /threads/{id}/reopen`
pub async fn reopen(State(web): State<Web>, person: Person, Path(id): Path<ThreadId>, headers: HeaderMap) -> Answer {
    let (actor, now, words) = (person.name.clone(), web.clock.now().wall, words(person.ui));
    write(&web, &person, &headers, id, move |tx| {
        let Some(thread) = threads::find(tx, id)? else { return Ok(Err(Problem::NotFound)) };
        let other_open = threads::open_of(tx, &thread.number)?.is_some_and(|open| open != id);
        or_leave!(ready(tx, id, Deed::Reopen { other_open }, words)?);
        threads::reopen(tx, id, actor.as_str(), now)?;
        Ok(Ok(()))
    })
    .await
}
