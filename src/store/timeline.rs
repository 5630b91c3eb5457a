//! All that happened in a thread, in one order: calls with what was said in them, texts, notes, and what people did.
//!
//! A page is read newest first and by keyset: a page of a thread with ten thousand messages costs what one of ten
//! costs. Each kind is read from its own index and no further than the page needs.

mod fold;

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::callbacks::{self, Callback};
use super::column::{At, Json, Word};
use super::messages::MessageKind;
use super::recordings::{self, Recording};
use super::threads::{self, Thread};
use super::voicemails::{self, Voicemail};
use crate::model::{
    CallId, Direction, EndedBy, Language, MessageDirection, MessageId, MessageStatus, NoteId, Outcome, PhoneNumber,
    Private, StaffName, ThreadId,
};
use fold::fold;

pub use fold::weight;

/// So many entries are on a page.
pub const PAGE: usize = 100;
/// A page ends earlier when its words fill so many bytes.
const WORDS: usize = 24_000;

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which.
    pub id: CallId,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The nodes that it went through.
    pub path: Vec<String>,
    /// The keys that were pressed.
    pub digits: String,
    /// The language that it ended in.
    pub language: Option<Language>,
    /// What became of it; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// How long the caller waited for a person.
    pub waited_ms: Option<i64>,
    /// Who placed it.
    pub direction: Direction,
    /// Who of the clinic placed or answered it, where that is known.
    pub staff: Option<StaffName>,
    /// The phone of the clinic that answered it, as the files write it.
    pub answered_by: Option<String>,
    /// The messages that were left in it.
    pub voicemails: Vec<Voicemail>,
    /// The call back that was asked for in it.
    pub callback: Option<Callback>,
    /// What was recorded of it.
    pub recordings: Vec<Recording>,
}

/// A text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Which.
    pub id: MessageId,
    /// Which way.
    pub direction: MessageDirection,
    /// What for.
    pub kind: MessageKind,
    /// Who wrote it.
    pub author: String,
    /// The sending number.
    pub from: PhoneNumber,
    /// The receiving number.
    pub to: PhoneNumber,
    /// Its words.
    pub body: Private<String>,
    /// Whether that is all of it.
    pub whole: bool,
    /// Addresses of pictures and the like.
    pub media: Vec<Private<String>>,
    /// Where it stands.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// When the gateway took it.
    pub sent_at: Option<Timestamp>,
    /// When the handset had it.
    pub delivered_at: Option<Timestamp>,
    /// It waits in the outbox until then, and may be taken back.
    pub due_at: Option<Timestamp>,
}

/// A note.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Which.
    pub id: NoteId,
    /// Who wrote it.
    pub author: String,
    /// Its beginning.
    pub body: Private<String>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// Its number.
    pub seq: i64,
    /// Who.
    pub actor: String,
    /// What: the verb of the audit's action.
    pub what: String,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A call.
    Call(Box<Call>),
    /// A text.
    Text(Box<Text>),
    /// A note.
    Note(Note),
    /// What somebody did.
    Deed(Deed),
}

/// An entry of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// In which thread: this one, or one that became a part of it.
    pub thread: ThreadId,
    /// What.
    pub what: What,
    place: Place,
}

/// A page of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Where the page before this one ends; `None`: this is the first.
    pub earlier: Option<Place>,
    /// The number of the newest deed in the thread: what whoever reads this page has seen.
    pub version: i64,
}

/// An entry's place in the order. Written as `MICROSECONDS.KIND.ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    at: Timestamp,
    kind: u8,
    id: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at.as_microsecond(), self.kind, self.id)
    }
}

/// It is no place in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoPlace);
        let at = part()?.parse().map_err(|_| NoPlace)?;
        let at = Timestamp::from_microsecond(at).map_err(|_| NoPlace)?;
        let (kind, id) = (part()?.parse().map_err(|_| NoPlace)?, part()?.to_owned());
        if id.len() > 36 { Err(NoPlace) } else { Ok(Place { at, kind, id }) }
    }
}

/// The kinds, in the order in which they stand at the same moment.
const CALL: u8 = 0;
const DEED: u8 = 1;
const TEXT: u8 = 2;
const NOTE: u8 = 3;

/// A page of the timeline of `thread` and its parts: what comes before `before`, or else the newest.
pub fn page(conn: &Connection, thread: &Thread, before: Option<&Place>) -> Result<Timeline, StoreError> {
    let parts = threads::merged_into(conn, thread.id)?;
    let mut entries = Vec::new();
    for part in std::iter::once(thread).chain(&parts) {
        entries.extend(calls(conn, part, &bound(before, CALL))?);
        entries.extend(deeds(conn, part.id, &bound(before, DEED))?);
        entries.extend(texts(conn, part.id, &bound(before, TEXT))?);
        entries.extend(notes(conn, part.id, &bound(before, NOTE))?);
    }
    entries.sort_by(|a, b| b.place.cmp(&a.place));
    let (mut words, mut kept) = (0, 0);
    for entry in entries.iter().take(PAGE) {
        words += match &entry.what {
            What::Text(text) => weight(text.body.expose()),
            What::Note(note) => weight(note.body.expose()),
            What::Deed(deed) => weight(&deed.detail.to_string()),
            What::Call(_) => 0,
        };
        // One entry at least: else a long text would hide all before it.
        if words > WORDS && kept > 0 {
            break;
        }
        kept += 1;
    }
    let more = entries.len() > kept;
    entries.truncate(kept);
    entries.reverse();
    for entry in &mut entries {
        if let What::Call(call) = &mut entry.what {
            call.voicemails = voicemails::of_call(conn, call.id)?;
            call.callback = callbacks::of_call(conn, call.id)?;
            call.recordings = recordings::of_call(conn, call.id)?;
        }
    }
    let earlier = entries.first().filter(|_| more).map(|entry| entry.place.clone());
    Ok(Timeline { entries, earlier, version: version(conn, thread.id)? })
}

/// The number of the newest deed in a thread.
pub fn version(conn: &Connection, thread: ThreadId) -> Result<i64, StoreError> {
    let newest: Option<i64> = conn
        .prepare_cached("SELECT max(seq) FROM thread_events WHERE thread = ?")?
        .query_row([thread], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

/// What of `kind` comes before `before`: less than this time and id.
fn bound(before: Option<&Place>, kind: u8) -> (At, String) {
    let Some(before) = before else { return (At(Timestamp::MAX), String::new()) };
    match kind.cmp(&before.kind) {
        // At the same moment it stands before that kind.
        std::cmp::Ordering::Less => {
            let next = before.at.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
            (At(next), String::new())
        }
        std::cmp::Ordering::Equal => (At(before.at), before.id.clone()),
        std::cmp::Ordering::Greater => (At(before.at), String::new()),
    }
}

/// One more than a page: whether there is more is then known.
const READ: i64 = PAGE as i64 + 1;

fn calls(conn: &Connection, thread: &Thread, (at, id): &(At, String)) -> Result<Vec<Entry>, StoreError> {
    const COLUMNS: &str = "id, started_at, answered_at, ended_at, path, digits, language, outcome, ended_by, waited_ms,
        coalesce(direction, 'inbound'), staff, answered_by";
    let of_thread = format!(
        "SELECT {COLUMNS} FROM calls WHERE thread = ?1 AND (started_at, id) < (?2, ?3)
         ORDER BY started_at DESC, id DESC LIMIT ?4"
    );
    // They called again while the thread was open, and that call led to no text.
    let beside = format!(
        "SELECT {COLUMNS} FROM calls WHERE caller = ?1 AND thread IS NULL AND started_at BETWEEN ?5 AND ?6
             AND (started_at, id) < (?2, ?3)
         ORDER BY started_at DESC, id DESC LIMIT ?4"
    );
    let read = |row: &Row<'_>| {
        let call: CallId = row.get(0)?;
        let started = row.get::<_, At>(1)?.0;
        let what = What::Call(Box::new(Call {
            id: call,
            answered_at: row.get::<_, Option<At>>(2)?.map(|at| at.0),
            ended_at: row.get::<_, Option<At>>(3)?.map(|at| at.0),
            path: row.get::<_, Json<_>>(4)?.0,
            digits: row.get(5)?,
            language: row.get(6)?,
            outcome: row.get::<_, Option<Word<_>>>(7)?.map(|word| word.0),
            ended_by: row.get::<_, Option<Word<_>>>(8)?.map(|word| word.0),
            waited_ms: row.get(9)?,
            direction: row.get::<_, Word<_>>(10)?.0,
            staff: row.get(11)?,
            answered_by: row.get(12)?,
            voicemails: Vec::new(),
            callback: None,
            recordings: Vec::new(),
        }));
        Ok(Entry { at: started, thread: thread.id, what, place: place(started, CALL, call) })
    };
    let mut found: Vec<Entry> = conn
        .prepare_cached(&of_thread)?
        .query_map(params![thread.id, at, id, READ], read)?
        .collect::<Result<_, _>>()?;
    let until = At(thread.closed_at.unwrap_or(Timestamp::MAX));
    let beside: Vec<Entry> = conn
        .prepare_cached(&beside)?
        .query_map(params![thread.number, at, id, READ, At(thread.opened_at), until], read)?
        .collect::<Result<_, _>>()?;
    found.extend(beside);
    Ok(found)
}

fn texts(conn: &Connection, thread: ThreadId, (at, id): &(At, String)) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT m.id, m.created_at, m.direction, m.kind, m.author, m.sender, m.recipient, m.body, m.media,
             m.status, m.error, m.sent_at, m.delivered_at, o.due_at
         FROM messages m LEFT JOIN outbox o ON o.message = m.id AND o.leased_at IS NULL
         WHERE m.thread = ?1 AND (m.created_at, m.id) < (?2, ?3)
         ORDER BY m.created_at DESC, m.id DESC LIMIT ?4";
    let found = conn
        .prepare_cached(sql)?
        .query_map(params![thread, at, id, READ], |row| {
            let message: MessageId = row.get(0)?;
            let written = row.get::<_, At>(1)?.0;
            let (body, whole) = fold(row.get(7)?, usize::MAX);
            let what = What::Text(Box::new(Text {
                id: message,
                direction: row.get::<_, Word<_>>(2)?.0,
                kind: row.get::<_, Word<_>>(3)?.0,
                author: row.get(4)?,
                from: row.get(5)?,
                to: row.get(6)?,
                body,
                whole,
                media: row.get::<_, Json<_>>(8)?.0,
                status: row.get::<_, Word<_>>(9)?.0,
                error: row.get(10)?,
                sent_at: row.get::<_, Option<At>>(11)?.map(|at| at.0),
                delivered_at: row.get::<_, Option<At>>(12)?.map(|at| at.0),
                due_at: row.get::<_, Option<At>>(13)?.map(|at| at.0),
            }));
            Ok(Entry { at: written, thread, what, place: place(written, TEXT, message) })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn notes(conn: &Connection, thread: ThreadId, (at, id): &(At, String)) -> Result<Vec<Entry>, StoreError> {
    // One character more than is shown: whether that is all is then known.
    let sql = "SELECT id, at, author, substr(body, 1, ?5) FROM notes
         WHERE thread = ?1 AND (at, id) < (?2, ?3) ORDER BY at DESC, id DESC LIMIT ?4";
    let shown = i64::try_from(fold::NOTE + 1).unwrap_or(i64::MAX);
    let found = conn
        .prepare_cached(sql)?
        .query_map(params![thread, at, id, READ, shown], |row| {
            let note: NoteId = row.get(0)?;
            let written = row.get::<_, At>(1)?.0;
            let (body, whole) = fold(row.get(3)?, fold::NOTE);
            let what = What::Note(Note { id: note, author: row.get(2)?, body, whole });
            Ok(Entry { at: written, thread, what, place: place(written, NOTE, note) })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn deeds(conn: &Connection, thread: ThreadId, (at, id): &(At, String)) -> Result<Vec<Entry>, StoreError> {
    // An answer is its text.
    let sql = "SELECT seq, at, actor, what, detail FROM thread_events
         WHERE thread = ?1 AND what <> 'answered' AND (at, seq) < (?2, ?3) ORDER BY at DESC, seq DESC LIMIT ?4";
    let seq: i64 = id.parse().unwrap_or(0);
    let found = conn
        .prepare_cached(sql)?
        .query_map(params![thread, at, seq, READ], |row| {
            let seq: i64 = row.get(0)?;
            let done = row.get::<_, At>(1)?.0;
            let detail: String = row.get(4)?;
            let detail = serde_json::from_str(&detail).unwrap_or_default();
            let what = What::Deed(Deed { seq, actor: row.get(2)?, what: row.get(3)?, detail });
            Ok(Entry { at: done, thread, what, place: place(done, DEED, format!("{seq:019}")) })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn place(at: Timestamp, kind: u8, id: impl fmt::Display) -> Place {
    Place { at, kind, id: id.to_string() }
}

#[cfg(test)]
mod tests;
