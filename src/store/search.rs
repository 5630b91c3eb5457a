//! Search: messages and notes by their words, people by their names, numbers by any run of their digits.
//!
//! The index is kept by triggers (`migrations/003_search.sql`, `migrations/011_unseen.sql`); what nobody sees in a text is
//! not in it. A page of results is bounded, however common a word is and however little a filter lets through; what it has
//! not looked at, it says ([`Rest`]).

mod terms;

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::StoreError;
use super::column::{At, Word};
use crate::clock::monotonic;
use crate::model::{MessageDirection, PhoneNumber, Private, ThreadId, ThreadState};

pub use terms::{Term, Terms};

/// Results on a page.
pub const PAGE: usize = 25;
/// People and numbers that are shown above them.
pub const CONTACTS: usize = 12;
/// Rows with all words that a page looks at, to find those that the filters let through.
const LOOK_AT: usize = 2_000;
/// The index is read in stretches of so many rows, as many as fit into [`SPEND`]: words that are common each and rare
/// together cost time, too.
const STRETCH: i64 = 25_000;
/// What a page may take; one more stretch takes a few milliseconds.
const SPEND: Duration = Duration::from_millis(20);
/// Words with the same beginning that are looked up each; of more, FTS5 makes one list first, which takes longer.
const SPELLINGS: usize = 48;
/// Beginnings of up to so many letters have an index of their own.
const SHORT: usize = 4;
/// Words around a hit.
const AROUND: i64 = 28;

/// What a thread or message must be besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Where the thread stands.
    pub state: Option<ThreadState>,
    /// Whose it is.
    pub owner: Option<String>,
    /// Its team.
    pub team: Option<String>,
    /// A tag that it has.
    pub tag: Option<String>,
    /// Written then or later.
    pub from: Option<Timestamp>,
    /// Written before then.
    pub to: Option<Timestamp>,
    /// Which way the message went. Notes go no way.
    pub direction: Option<MessageDirection>,
    /// The newest text of the thread did not arrive.
    pub undeliverable: bool,
}

impl Filters {
    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        *self == Filters::default()
    }
}

/// A message or note that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands.
    pub thread: ThreadId,
    /// Of the thread.
    pub number: PhoneNumber,
    /// Who is behind the number, as far as is known.
    pub name: Option<Private<String>>,
    /// Of the thread.
    pub state: ThreadState,
    /// Of the thread.
    pub owner: Option<String>,
    /// Which way; none for a note.
    pub direction: Option<MessageDirection>,
    /// When it was written.
    pub at: Timestamp,
    /// Its words around what was found, as they are seen; without terms, its first words as they were written.
    pub words: Vec<Piece>,
}

/// Words of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The words.
    pub text: Private<String>,
    /// Whether they are what was looked for.
    pub found: bool,
}

/// Where a page of results ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There is nothing more.
    Nothing,
    /// There may be more before this place.
    More(i64),
    /// Everything before this place, written before this time, has not been looked at yet.
    NotSearched(i64, Timestamp),
}

/// A page of results, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The results.
    pub hits: Vec<Hit>,
    /// What comes after them.
    pub rest: Rest,
}

/// Somebody, or a number that nobody has given a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The number.
    pub number: PhoneNumber,
    /// Who it is.
    pub name: Option<Private<String>>,
    /// Whom they speak for.
    pub on_behalf_of: Option<Private<String>>,
    /// Its newest thread.
    pub thread: Option<ThreadId>,
    /// Where that stands.
    pub state: Option<ThreadState>,
}

const COLUMNS: &str = "d.seq, d.thread, d.direction, d.at, t.number, t.state, t.owner,
    coalesce(t.name, (SELECT p.name FROM people p WHERE p.number = t.number ORDER BY p.created_at LIMIT 1))";

const PASSES: &str = "(:state IS NULL OR t.state = :state) AND (:owner IS NULL OR t.owner = :owner)
    AND (:team IS NULL OR t.team = :team) AND (:direction IS NULL OR d.direction = :direction)
    AND (:from IS NULL OR d.at >= :from) AND (:to IS NULL OR d.at < :to)
    AND (NOT :undeliverable OR t.undeliverable IS NOT NULL)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(t.tags) WHERE value = :tag))";

/// What marks a hit's beginning and end in what SQLite answers.
const MARKS: [char; 2] = ['\u{1}', '\u{2}'];

/// Messages and notes with all of `terms`, newest first, before the place where the page before ended. Without terms,
/// all that pass the filters.
pub fn texts(conn: &Connection, terms: &Terms, filters: &Filters, before: Option<i64>) -> Result<Found, StoreError> {
    page(conn, terms, filters, before, PAGE)
}

/// The newest with all of `terms`, at most `most`: for somebody who types, letter by letter. The words around each hit
/// are what takes time.
pub fn newest(conn: &Connection, terms: &Terms, most: usize) -> Result<Vec<Hit>, StoreError> {
    Ok(page(conn, terms, &Filters::default(), None, most)?.hits)
}

fn page(
    conn: &Connection,
    terms: &Terms,
    filters: &Filters,
    before: Option<i64>,
    most: usize,
) -> Result<Found, StoreError> {
    let (low, high) = span(conn, filters)?;
    let mut high = before.map_or(high, |before| before.min(high));
    let query = if terms.is_empty() { None } else { Some(spelled(conn, &terms.words)?) };
    let mut page = Page { hits: Vec::new(), most, looked_at: 0 };
    let began = monotonic();
    loop {
        let from = (high - STRETCH).max(low);
        if let Some(place) = stretch(conn, query.as_deref(), filters, from, high, &mut page)? {
            let rest = if page.hits.len() == most { Rest::More(place) } else { not_searched(conn, place)? };
            return Ok(Found { hits: page.hits, rest });
        }
        high = from;
        if high <= low {
            return Ok(Found { hits: page.hits, rest: Rest::Nothing });
        }
        if monotonic().saturating_duration_since(began) >= SPEND {
            return Ok(Found { rest: not_searched(conn, high)?, hits: page.hits });
        }
    }
}

struct Page {
    hits: Vec<Hit>,
    /// So many are enough.
    most: usize,
    looked_at: usize,
}

/// Reads the rows from `low` up to but not including `high`, backward. Answers where it stopped, if the page was full
/// or enough had been looked at before the end.
fn stretch(
    conn: &Connection,
    query: Option<&str>,
    filters: &Filters,
    low: i64,
    high: i64,
    page: &mut Page,
) -> Result<Option<i64>, StoreError> {
    // Only of what passes are the words read.
    let sql = match query {
        Some(_) => format!(
            "SELECT {COLUMNS}, CASE WHEN {PASSES} THEN
                 snippet(search_text, 0, char(1), char(2), '…', {AROUND}) END
             FROM search_text CROSS JOIN search_docs d ON d.seq = search_text.rowid
             CROSS JOIN threads t ON t.id = d.thread
             WHERE search_text MATCH :query AND search_text.rowid >= :low AND search_text.rowid < :high
             ORDER BY search_text.rowid DESC"
        ),
        None => format!(
            "SELECT {COLUMNS}, CASE WHEN {PASSES} THEN
                 (SELECT substr(text, 1, 200) FROM search_written w WHERE w.kind = d.kind AND w.id = d.id) END
             FROM search_docs d CROSS JOIN threads t ON t.id = d.thread
             WHERE :query IS NULL AND d.seq >= :low AND d.seq < :high ORDER BY d.seq DESC"
        ),
    };
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":query": query,
        ":low": low,
        ":high": high,
        ":state": filters.state.map(Word),
        ":owner": filters.owner,
        ":team": filters.team,
        ":tag": filters.tag,
        ":from": filters.from.map(At),
        ":to": filters.to.map(At),
        ":direction": filters.direction.map(Word),
        ":undeliverable": filters.undeliverable,
    })?;
    while let Some(row) = rows.next()? {
        page.looked_at += 1;
        let seq: i64 = row.get(0)?;
        if let Some(words) = row.get::<_, Option<String>>(8)? {
            page.hits.push(Hit {
                thread: row.get(1)?,
                direction: row.get::<_, Option<Word<_>>>(2)?.map(|word| word.0),
                at: row.get::<_, At>(3)?.0,
                number: row.get(4)?,
                state: row.get::<_, Word<_>>(5)?.0,
                owner: row.get(6)?,
                name: row.get::<_, Option<String>>(7)?.map(Private::new),
                words: pieces(&words),
            });
        }
        if page.hits.len() == page.most || page.looked_at == LOOK_AT {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// The rows that the dates leave over. A row that a clock set back has put elsewhere is found from its neighbours.
fn span(conn: &Connection, filters: &Filters) -> Result<(i64, i64), StoreError> {
    let newest: Option<i64> =
        conn.prepare_cached("SELECT max(seq) FROM search_docs")?.query_row([], |row| row.get(0))?;
    let end = newest.unwrap_or(0) + 1;
    let first = |at: Timestamp| -> Result<i64, StoreError> {
        let found = conn
            .prepare_cached("SELECT seq FROM search_docs WHERE at >= ? ORDER BY at LIMIT 1")?
            .query_row([At(at)], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or(end))
    };
    let low = filters.from.map(first).transpose()?.unwrap_or(0);
    let high = filters.to.map(first).transpose()?.unwrap_or(end);
    Ok((low, high))
}

fn not_searched(conn: &Connection, before: i64) -> Result<Rest, StoreError> {
    let at: Option<At> = conn
        .prepare_cached("SELECT at FROM search_docs WHERE seq < ? ORDER BY seq DESC LIMIT 1")?
        .query_row([before], |row| row.get(0))
        .optional()?;
    Ok(at.map_or(Rest::Nothing, |at| Rest::NotSearched(before, at.0)))
}

/// The query for FTS5: each beginning of a word is replaced by the words that there are, so that the index can be read
/// backward from the newest row without being read whole.
fn spelled(conn: &Connection, terms: &[Term]) -> Result<String, StoreError> {
    let mut parts = Vec::new();
    for term in terms {
        let plain = match term {
            Term::Word(word) => terms::plain(word).filter(|word| word.len() > SHORT),
            Term::Phrase(_) => None,
        };
        let words = plain.map(|word| spellings(conn, &word)).transpose()?.flatten();
        parts.push(match words {
            Some(words) if !words.is_empty() => {
                let each: Vec<_> = words.iter().map(|word| terms::quoted(std::slice::from_ref(word))).collect();
                format!("({})", each.join(" OR "))
            }
            // A single letter begins too many words.
            _ if matches!(term, Term::Word(word) if word.chars().count() == 1) => terms::quoted(term.words()),
            _ => terms::prefixes(std::slice::from_ref(term)),
        });
    }
    Ok(parts.join(" AND "))
}

/// The words that begin so, if they are not too many.
fn spellings(conn: &Connection, beginning: &str) -> Result<Option<Vec<String>>, StoreError> {
    let mut next = conn.prepare_cached("SELECT term FROM search_words WHERE term >= ? LIMIT 1")?;
    let mut found = Vec::new();
    let mut from = beginning.to_owned();
    while found.len() <= SPELLINGS {
        let term: Option<String> = next.query_row([&from], |row| row.get(0)).optional()?;
        match term.filter(|term| term.starts_with(beginning)) {
            // No letter sorts before this one: the next word is the next that there is.
            Some(term) => {
                from = format!("{term}\u{1}");
                found.push(term);
            }
            None => return Ok(Some(found)),
        }
    }
    Ok(None)
}

fn pieces(marked: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut found = false;
    for part in marked.split_inclusive(MARKS) {
        let text = part.trim_end_matches(MARKS);
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned().into(), found });
        }
        found = match part.chars().next_back() {
            Some(mark) if mark == MARKS[0] => true,
            Some(mark) if mark == MARKS[1] => false,
            _ => found,
        };
    }
    pieces
}

/// People with all of the words in their names, and numbers with the digits: [`CONTACTS`] at most, people first,
/// newest first.
pub fn contacts(conn: &Connection, terms: &Terms) -> Result<Vec<Contact>, StoreError> {
    let mut found = Vec::new();
    if terms.only_number() {
        let Some(digits) = &terms.digits else { return Ok(found) };
        for number in numbers(conn, digits)? {
            found.push(contact(conn, &number)?);
        }
        return Ok(found);
    }
    let words: Vec<Term> = terms.words.iter().filter(|term| !is_digits(term)).cloned().collect();
    if words.is_empty() {
        return Ok(found);
    }
    // With digits besides, more are looked through for who has them.
    let look_at = if terms.digits.is_some() { LOOK_AT } else { CONTACTS };
    let mut statement = conn.prepare_cached(
        "SELECT p.number, p.name, p.on_behalf_of FROM search_names CROSS JOIN search_people s ON s.seq = search_names.rowid
         CROSS JOIN people p ON p.id = s.person WHERE search_names MATCH ? ORDER BY search_names.rowid DESC LIMIT ?",
    )?;
    let mut rows = statement.query(params![terms::prefixes(&words), i64::try_from(look_at).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let number: PhoneNumber = row.get(0)?;
        if terms.digits.as_ref().is_some_and(|digits| !number.as_str().contains(digits.as_str())) {
            continue;
        }
        let name = row.get::<_, String>(1)?.into();
        let on_behalf_of = row.get::<_, Option<String>>(2)?.map(Private::new);
        let (thread, state) = newest_thread(conn, &number)?.unzip();
        found.push(Contact { number, name: Some(name), on_behalf_of, thread, state });
        if found.len() == CONTACTS {
            break;
        }
    }
    Ok(found)
}

fn is_digits(term: &Term) -> bool {
    term.words().iter().all(|word| word.bytes().all(|b| b.is_ascii_digit()))
}

/// Numbers with these digits in a row.
fn numbers(conn: &Connection, digits: &str) -> Result<Vec<PhoneNumber>, StoreError> {
    let limit = i64::try_from(CONTACTS).unwrap_or(i64::MAX);
    let found = conn
        .prepare_cached("SELECT DISTINCT number FROM search_numbers WHERE tail >= ?1 AND tail < ?1 || ':' LIMIT ?2")?
        .query_map(params![digits, limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// Who is behind a number, and its newest thread.
pub fn contact(conn: &Connection, number: &PhoneNumber) -> Result<Contact, StoreError> {
    let person: Option<(String, Option<String>)> = conn
        .prepare_cached("SELECT name, on_behalf_of FROM people WHERE number = ? ORDER BY created_at LIMIT 1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (name, on_behalf_of) = person.unzip();
    let (thread, state) = newest_thread(conn, number)?.unzip();
    Ok(Contact {
        number: number.clone(),
        name: name.map(Private::new),
        on_behalf_of: on_behalf_of.flatten().map(Private::new),
        thread,
        state,
    })
}

fn newest_thread(conn: &Connection, number: &PhoneNumber) -> Result<Option<(ThreadId, ThreadState)>, StoreError> {
    let found = conn
        .prepare_cached("SELECT id, state FROM threads WHERE number = ? ORDER BY active_at DESC LIMIT 1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get::<_, Word<_>>(1)?.0)))
        .optional()?;
    Ok(found)
}

#[cfg(test)]
mod tests;
