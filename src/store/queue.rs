//! The queue: lists of threads as the front desk works them, read from the threads' own rows and never from the
//! messages. Each view is a walk along one index, a page at a time.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::StoreError;
use super::column::{At, Json, Word};
use super::threads::Spoken;
use crate::model::{CallId, OpenedBy, PhoneNumber, Private, StaffName, ThreadId, ThreadState};

/// Rows of a page.
pub const PAGE: usize = 50;
/// So many are counted; more are "this many and more".
pub const MOST_COUNTED: u32 = 1000;
/// Names shown for a number that several people share.
const MOST_NAMES: i64 = 3;

/// The queue's order: red flags, then what was handed to clinical staff, then whoever waits, the longest wait first; then
/// the rest, the newest activity first. Both are computed from the row, so that no writer can forget them, and stand in
/// the indexes as they stand here.
pub(super) const TIER: &str = "CASE WHEN red_flag IS NOT NULL THEN 0 WHEN waiting_since IS NULL THEN 3 \
                    WHEN escalated_at IS NOT NULL THEN 1 ELSE 2 END";
/// Within a tier.
const KEY: &str = "coalesce(waiting_since, -active_at)";

/// Which threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Open and somebody's.
    Of(StaffName),
    /// Open and nobody's.
    Unassigned,
    /// Open and a team's.
    Team(String),
    /// Open.
    All,
    /// Out of sight until a time, the next one first.
    Snoozed,
    /// Closed, the newest first.
    Closed,
}

/// Only some of a view: each part that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this tag.
    pub tag: Option<String>,
    /// About this.
    pub reason: Option<String>,
    /// Given to this team.
    pub team: Option<String>,
}

/// Where a row stands in its view's order; the next page begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    tier: i64,
    key: i64,
    id: ThreadId,
}

impl Place {
    /// Reads what `Place::to_string` has written.
    pub fn parse(text: &str) -> Option<Place> {
        let mut parts = text.splitn(3, '.');
        let tier = parts.next()?.parse().ok()?;
        let key = parts.next()?.parse().ok()?;
        Some(Place { tier, key, id: parts.next()?.parse().ok()? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.tier, self.key, self.id)
    }
}

/// A thread, as the queue shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub id: ThreadId,
    /// With whom.
    pub number: PhoneNumber,
    /// Who that is: the thread's own name, or whoever is known behind the number.
    pub names: Private<Vec<String>>,
    /// Where it stands.
    pub state: ThreadState,
    /// Who works it.
    pub owner: Option<StaffName>,
    /// As people read the owner.
    pub owner_shown_as: Option<String>,
    /// The team that it was given to.
    pub team: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// About what.
    pub reason: Option<String>,
    /// What opened it.
    pub opened_by: OpenedBy,
    /// The call that opened it.
    pub call: Option<CallId>,
    /// When something last happened in it.
    pub active_at: Timestamp,
    /// Since when the patient waits for a person's answer.
    pub waiting_since: Option<Timestamp>,
    /// When somebody first opened it during that wait.
    pub opened_since: Option<Timestamp>,
    /// When its newest message was written, and by whom.
    pub last_at: Option<Timestamp>,
    /// `patient`, `system`, or a person's name.
    pub last_author: Option<String>,
    /// As people read that person.
    pub last_author_shown_as: Option<String>,
    /// Its first words; none where the newest is no text.
    pub last_words: Option<Private<String>>,
    /// What the patient said in a call, where that is newer than any text.
    pub last_spoken: Option<Spoken>,
    /// Which words ask for a person at once.
    pub red_flag: Option<Private<String>>,
    /// When it was handed to clinical staff.
    pub escalated_at: Option<Timestamp>,
    /// Why the newest text to the patient did not arrive.
    pub undeliverable: Option<String>,
    /// Out of sight until then.
    pub snoozed_until: Option<Timestamp>,
    /// When somebody must come back to it.
    pub follow_up_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Whether the patient has written something that the reader has not seen.
    pub unread: bool,
    /// Where it stands in the order.
    pub place: Place,
}

/// One page of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its rows, at most [`PAGE`].
    pub rows: Vec<Queued>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

/// A page of `view` as `reader` sees it, from its beginning or after `after`.
pub fn page(
    conn: &Connection,
    view: &View,
    filter: &Filter,
    reader: &StaffName,
    after: Option<Place>,
) -> Result<Page, StoreError> {
    let (sql, values) = select(view, filter, reader, after);
    let mut rows =
        conn.prepare_cached(&sql)?.query_map(params_from_iter(values), read)?.collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows.last().filter(|_| more).map(|row| row.place);
    Ok(Page { rows, next })
}

/// The order of a view: two numbers and the id. Closed threads count backward.
fn order(view: &View) -> (&'static str, &'static str) {
    match view {
        View::Of(_) | View::Unassigned | View::Team(_) | View::All => (TIER, KEY),
        View::Snoozed => ("0", "snoozed_until"),
        View::Closed => ("0", "closed_at"),
    }
}

/// The rows of a view and the value that names them.
fn rows_of(view: &View) -> (&'static str, Option<Value>) {
    match view {
        View::Of(staff) => ("t.state = 'open' AND t.owner = ?", Some(staff.as_str().to_owned().into())),
        View::Unassigned => ("t.state = 'open' AND t.owner IS NULL", None),
        View::Team(team) => ("t.state = 'open' AND t.team = ?", Some(team.clone().into())),
        View::All => ("t.state = 'open'", None),
        View::Snoozed => ("t.state = 'snoozed' AND t.snoozed_until IS NOT NULL", None),
        View::Closed => ("t.state = 'closed'", None),
    }
}

fn select(view: &View, filter: &Filter, reader: &StaffName, after: Option<Place>) -> (String, Vec<Value>) {
    let (tier, key) = order(view);
    let (of_view, value) = rows_of(view);
    let mut values: Vec<Value> = value.into_iter().collect();
    let mut conditions = of_view.to_owned();
    if let Some(place) = after {
        let id = Value::from(place.id.to_string());
        match view {
            View::Snoozed => conditions.push_str(" AND (t.snoozed_until, t.id) > (?, ?)"),
            View::Closed => conditions.push_str(" AND (t.closed_at, t.id) < (?, ?)"),
            _ => {
                conditions.push_str(&format!(" AND ({TIER}, {KEY}, t.id) > (?, ?, ?)"));
                values.push(place.tier.into());
            }
        }
        values.extend([place.key.into(), id]);
    }
    if let Some(tag) = &filter.tag {
        // A tag in a JSON list is its own JSON text, quotes and all.
        conditions.push_str(" AND instr(t.tags, ?) > 0");
        values.push(serde_json::Value::from(tag.as_str()).to_string().into());
    }
    for (column, value) in [("reason", &filter.reason), ("team", &filter.team)] {
        if let Some(value) = value {
            conditions.push_str(&format!(" AND t.{column} = ?"));
            values.push(value.clone().into());
        }
    }
    values.push(reader.as_str().to_owned().into());
    let sorted = match view {
        View::Snoozed => "t.snoozed_until, t.id",
        View::Closed => "t.closed_at DESC, t.id DESC",
        _ => &format!("{TIER}, {KEY}, t.id"),
    };
    // Which rows is decided in the index alone: a filter that lets little through reads no thread in vain.
    let sql = format!(
        "SELECT t.id, t.number, t.name, (SELECT json_group_array(name) FROM
                 (SELECT name FROM people WHERE number = t.number LIMIT {MOST_NAMES})),
             t.state, t.owner, staff.shown_as, t.team, t.tags, t.reason, t.opened_by, t.call, t.active_at,
             t.waiting_since, t.opened_since, t.last_at, t.last_author, t.last_words, t.red_flag, t.escalated_at,
             t.undeliverable, t.snoozed_until, t.follow_up_at, t.closed_at,
             t.last_author IS 'patient' AND t.last_at > coalesce(seen.at, 0), {tier}, {key}, author.shown_as,
             t.last_spoken
         FROM (SELECT t.id FROM threads t WHERE {conditions} ORDER BY {sorted} LIMIT {}) page
             CROSS JOIN threads t ON t.id = page.id
             LEFT JOIN staff ON staff.name = t.owner LEFT JOIN staff author ON author.name = t.last_author
             LEFT JOIN seen ON seen.thread = t.id AND seen.staff = ?
         ORDER BY {sorted}",
        PAGE + 1
    );
    (sql, values)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let time = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<At>>(at)?.map(|at| at.0));
    let id: ThreadId = row.get(0)?;
    let names = match row.get::<_, Option<String>>(2)? {
        Some(name) => vec![name],
        None => row.get::<_, Json<Vec<String>>>(3)?.0,
    };
    Ok(Queued {
        id,
        number: row.get(1)?,
        names: Private::new(names),
        state: row.get::<_, Word<_>>(4)?.0,
        owner: row.get(5)?,
        owner_shown_as: row.get(6)?,
        team: row.get(7)?,
        tags: row.get::<_, Json<_>>(8)?.0,
        reason: row.get(9)?,
        opened_by: row.get::<_, Word<_>>(10)?.0,
        call: row.get(11)?,
        active_at: row.get::<_, At>(12)?.0,
        waiting_since: time(13)?,
        opened_since: time(14)?,
        last_at: time(15)?,
        last_author: row.get(16)?,
        last_author_shown_as: row.get(27)?,
        last_words: row.get::<_, Option<String>>(17)?.map(Private::new),
        last_spoken: row.get::<_, Option<Word<_>>>(28)?.map(|word| word.0),
        red_flag: row.get::<_, Option<String>>(18)?.map(Private::new),
        escalated_at: time(19)?,
        undeliverable: row.get(20)?,
        snoozed_until: time(21)?,
        follow_up_at: time(22)?,
        closed_at: time(23)?,
        unread: row.get(24)?,
        place: Place { tier: row.get(25)?, key: row.get::<_, Option<i64>>(26)?.unwrap_or(0), id },
    })
}

/// How many threads a view has, at most [`MOST_COUNTED`].
pub fn count(conn: &Connection, view: &View) -> Result<u32, StoreError> {
    let (conditions, value) = rows_of(view);
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM threads t WHERE {conditions} LIMIT {MOST_COUNTED})");
    Ok(conn.prepare_cached(&sql)?.query_row(params_from_iter(value), |row| row.get(0))?)
}

/// What asks for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many of their own threads and of nobody's wait for an answer, at most [`MOST_COUNTED`] each.
    pub waiting: u32,
    /// When the newest of these waits began.
    pub newest: Option<Timestamp>,
}

/// What asks for `reader`: patients who wait in their own threads, and in nobody's.
pub fn needs(conn: &Connection, reader: &StaffName) -> Result<Needs, StoreError> {
    let mut needs = Needs::default();
    for owner in [Some(reader), None] {
        // A tier at a time, because only within one are the waits in order.
        for tier in 0..3 {
            let (waiting, newest): (u32, Option<At>) = conn
                .prepare_cached(&format!(
                    "SELECT (SELECT count(*) FROM (SELECT 1 FROM threads WHERE state = 'open' AND owner IS ?1
                             AND {TIER} = ?2 AND {KEY} > 0 LIMIT {MOST_COUNTED})),
                         (SELECT max({KEY}) FROM threads WHERE state = 'open' AND owner IS ?1
                             AND {TIER} = ?2 AND {KEY} > 0)"
                ))?
                .query_row(params![owner, tier], |row| Ok((row.get(0)?, row.get(1)?)))?;
            needs.waiting += waiting;
            needs.newest = needs.newest.max(newest.map(|at| at.0));
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests;
