//! What a caller leaves by voice, put into the thread of their number in one transaction: a message, or the wish to be
//! called back. Neither is a consent to texts.

use std::time::Duration;

use jiff::Timestamp;

use super::into_thread;
use crate::model::{CallId, CallbackId, Caller, Language, OpenedBy, PhoneNumber, ThreadId, VoicemailId};
use crate::store::audio::Stored;
use crate::store::callbacks::{self, Callback, CallbackState, NotBooked};
use crate::store::threads::{self, NewThread};
use crate::store::voicemails::{self, Voicemail};
use crate::store::{StoreError, Tx};

/// A message that a caller has left. Its audio is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMessage {
    /// Its id: its file is named by it.
    pub id: VoicemailId,
    /// The call.
    pub call: CallId,
    /// The node: `voicemail:front_desk`.
    pub node: String,
    /// Who left it: of a number, it stands in that number's thread.
    pub caller: Caller,
    /// The audio.
    pub audio: Stored,
    /// How long it is.
    pub length: Duration,
    /// What it is about.
    pub reason: Option<String>,
    /// Who is to hear it.
    pub team: Option<String>,
    /// The caller's language.
    pub language: Language,
    /// When it was over.
    pub now: Timestamp,
}

/// Keeps a message: opens or continues the thread of its caller. Answers the thread; none: the caller did not show their
/// number, and the message stands by itself ([`voicemails::loose`]).
pub fn keep_message(tx: &Tx<'_>, left: &LeftMessage) -> Result<Option<ThreadId>, StoreError> {
    if let Some(kept) = voicemails::find(tx, left.id)? {
        return Ok(kept.thread);
    }
    let opening = |number: &PhoneNumber| Opening {
        number: number.clone(),
        call: left.call,
        reason: left.reason.clone(),
        team: left.team.clone(),
        language: left.language.clone(),
        at: left.now,
    };
    let thread = left.caller.number().map(|number| open(tx, opening(number))).transpose()?;
    let voicemail = Voicemail {
        id: left.id,
        call: left.call,
        node: left.node.clone(),
        thread,
        recorded_at: left.now,
        length: left.length,
        language: left.language.clone(),
        team: left.team.clone(),
        reason: left.reason.clone(),
        file: left.audio.file.clone(),
        sha256: left.audio.sha256.clone(),
        heard: None,
        deleted_at: None,
    };
    voicemails::add(tx, &voicemail)?;
    Ok(thread)
}

/// Somebody has heard whose a message is that stands in no thread: it goes into the thread of that number. None: there
/// is no such message.
pub fn file_message(
    tx: &Tx<'_>,
    id: VoicemailId,
    number: &PhoneNumber,
    actor: &str,
    now: Timestamp,
) -> Result<Option<ThreadId>, StoreError> {
    let Some(loose) = voicemails::find(tx, id)?.filter(|voicemail| voicemail.thread.is_none()) else {
        return Ok(None);
    };
    let opening = Opening {
        number: number.clone(),
        call: loose.call,
        reason: loose.reason,
        team: loose.team,
        language: loose.language,
        at: now,
    };
    let thread = open(tx, opening)?;
    voicemails::file_under(tx, id, thread, actor, now)?;
    Ok(Some(thread))
}

/// A call back that a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedCallback {
    /// Its id.
    pub id: CallbackId,
    /// The call.
    pub call: CallId,
    /// The node: `callback:front_desk`.
    pub node: String,
    /// Who is called.
    pub to: PhoneNumber,
    /// The line whose place it keeps, its priority, and since when they wait in it; none: it is due at a time.
    pub place: Option<(String, u8, Timestamp)>,
    /// The node whose hours say when it may be made; none: at any hour.
    pub hours: Option<String>,
    /// Not before.
    pub due_at: Timestamp,
    /// Then that opening is over, and the next one's turn comes.
    pub due_until: Timestamp,
    /// It has failed if it was not made by then.
    pub last_at: Timestamp,
    /// So many call backs may wait.
    pub most: usize,
    /// What it is about.
    pub reason: Option<String>,
    /// The caller's language.
    pub language: Language,
    /// When it was asked for.
    pub now: Timestamp,
}

/// Books a call back, in the thread of the number that is called.
pub fn book_callback(tx: &Tx<'_>, asked: &AskedCallback) -> Result<Result<ThreadId, NotBooked>, StoreError> {
    if let Some(booked) = callbacks::find(tx, asked.id)? {
        return Ok(Ok(booked.thread));
    }
    if let Err(why) = callbacks::may_book(tx, &asked.to, asked.most)? {
        return Ok(Err(why));
    }
    let opening = Opening {
        number: asked.to.clone(),
        call: asked.call,
        reason: asked.reason.clone(),
        team: None,
        language: asked.language.clone(),
        at: asked.now,
    };
    let thread = open(tx, opening)?;
    let (line, priority, since) = match asked.place.clone() {
        Some((line, priority, since)) => (Some(line), priority, since),
        None => (None, 0, asked.now),
    };
    let callback = Callback {
        id: asked.id,
        call: asked.call,
        node: asked.node.clone(),
        thread,
        number: asked.to.clone(),
        language: asked.language.clone(),
        reason: asked.reason.clone(),
        line,
        priority,
        since,
        hours: asked.hours.clone(),
        due_at: asked.due_at,
        due_until: Some(asked.due_until),
        last_at: asked.last_at,
        asked_at: asked.now,
        state: CallbackState::Waiting,
        attempts: 0,
        last_attempt_at: None,
        last_call: None,
        ended_at: None,
        cause: None,
    };
    callbacks::add(tx, &callback)?;
    Ok(Ok(thread))
}

/// What a thread is opened or continued with.
struct Opening {
    number: PhoneNumber,
    call: CallId,
    reason: Option<String>,
    team: Option<String>,
    language: Language,
    at: Timestamp,
}

fn open(tx: &Tx<'_>, opening: Opening) -> Result<ThreadId, StoreError> {
    let new = NewThread {
        id: ThreadId::new(opening.at),
        number: opening.number,
        reason: opening.reason,
        language: Some(opening.language),
        opened_by: OpenedBy::Call,
        call: Some(opening.call),
        at: opening.at,
    };
    let thread = into_thread(tx, &new, Duration::ZERO)?;
    // A thread that was open is somebody's already, with what they have made of it.
    if thread == new.id
        && let Some(team) = &opening.team
    {
        threads::set_team(tx, thread, Some(team), "system", opening.at)?;
    }
    Ok(thread)
}

#[cfg(test)]
mod tests;
