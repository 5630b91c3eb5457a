//! The chain as it is read: newest first, page by page, and to be exported.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::store::StoreError;
use crate::store::column::At;

/// Rows that a page looks at, to find those that all filters let through.
const LOOK_AT: usize = 5_000;

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who did it.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

/// A row of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, as a JSON object.
    pub detail: String,
    /// The hash of the row before it.
    pub prev: String,
    /// Its own.
    pub hash: String,
}

/// Rows, newest first, and from where on there may be more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// What the next page begins before; none at the beginning of the chain.
    pub before: Option<i64>,
    /// Whether it ends because enough was looked at: then less than `limit` came of it.
    pub unfinished: bool,
}

/// At most `limit` rows before the row `before`, newest first. It looks at so many rows and no more, whatever the
/// filters let through.
pub fn page(conn: &Connection, filter: &Filter, before: Option<i64>, limit: usize) -> Result<Page, StoreError> {
    let (low, high) = span(conn, filter)?;
    let high = before.map_or(high, |before| before.min(high));
    // The index of the filter that usually lets through the least; of the others only the rows themselves tell.
    let narrowest = match filter {
        Filter { subject: Some(_), .. } => "subject = :subject",
        Filter { actor: Some(_), .. } => "actor = :actor",
        Filter { action: Some(_), .. } => "action = :action",
        _ => "1",
    };
    let sql = format!(
        "SELECT seq, at, actor, action, subject, detail, prev, hash,
             (:subject IS NULL OR subject = :subject) AND (:actor IS NULL OR actor = :actor)
             AND (:action IS NULL OR action = :action) AND (:from IS NULL OR at >= :from) AND (:to IS NULL OR at < :to)
         FROM audit WHERE {narrowest} AND seq >= :low AND seq < :high ORDER BY seq DESC"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query(named_params! {
        ":subject": filter.subject,
        ":actor": filter.actor,
        ":action": filter.action,
        ":from": filter.from.map(At),
        ":to": filter.to.map(At),
        ":low": low,
        ":high": high,
    })?;
    let (mut rows, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        looked_at += 1;
        let seq: i64 = row.get(0)?;
        if row.get(8)? {
            rows.push(read(row)?);
        }
        if rows.len() == limit || looked_at == LOOK_AT {
            return Ok(Page { unfinished: rows.len() < limit, rows, before: (seq > low).then_some(seq) });
        }
    }
    Ok(Page { rows, before: None, unfinished: false })
}

/// The actions that there are, by name.
pub fn actions(conn: &Connection) -> Result<Vec<String>, StoreError> {
    distinct(conn, "SELECT action FROM audit WHERE action > ? ORDER BY action LIMIT 1")
}

/// The actors that there are, by name: people, and what acts by itself.
pub fn actors(conn: &Connection) -> Result<Vec<String>, StoreError> {
    distinct(conn, "SELECT actor FROM audit WHERE actor > ? ORDER BY actor LIMIT 1")
}

/// One look into the index for each word, instead of reading it whole.
fn distinct(conn: &Connection, next: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached(next)?;
    let mut found: Vec<String> = Vec::new();
    // Nobody has more kinds of actions, or people, than that.
    while found.len() < 500 {
        let last = found.last().map_or("", String::as_str);
        match statement.query_row([last], |row| row.get(0)).optional()? {
            Some(word) => found.push(word),
            None => break,
        }
    }
    Ok(found)
}

/// The rows that the dates leave over.
fn span(conn: &Connection, filter: &Filter) -> Result<(i64, i64), StoreError> {
    let newest: Option<i64> = conn.prepare_cached("SELECT max(seq) FROM audit")?.query_row([], |row| row.get(0))?;
    let end = newest.unwrap_or(0) + 1;
    let first = |at: Timestamp| -> Result<i64, StoreError> {
        let found = conn
            .prepare_cached("SELECT seq FROM audit WHERE at >= ? ORDER BY at, seq LIMIT 1")?
            .query_row([At(at)], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or(end))
    };
    let low = filter.from.map(first).transpose()?.unwrap_or(1);
    let high = filter.to.map(first).transpose()?.unwrap_or(end);
    Ok((low, high))
}

/// Rows after `after` up to and with `upto`, oldest first, of the next `most` of the chain; and what to go on after.
pub fn after(
    conn: &Connection,
    filter: &Filter,
    after: i64,
    upto: i64,
    most: u32,
) -> Result<(Vec<Row>, Option<i64>), StoreError> {
    let (low, high) = span(conn, filter)?;
    let after = after.max(low - 1);
    let end = (after + i64::from(most)).min(upto).min(high - 1);
    let rows = conn
        .prepare_cached(
            "SELECT seq, at, actor, action, subject, detail, prev, hash FROM audit WHERE seq > :after AND seq <= :end
             AND (:subject IS NULL OR subject = :subject) AND (:actor IS NULL OR actor = :actor)
             AND (:action IS NULL OR action = :action) AND (:from IS NULL OR at >= :from) AND (:to IS NULL OR at < :to)
             ORDER BY seq",
        )?
        .query_map(
            named_params! {
                ":after": after,
                ":end": end,
                ":subject": filter.subject,
                ":actor": filter.actor,
                ":action": filter.action,
                ":from": filter.from.map(At),
                ":to": filter.to.map(At),
            },
            read,
        )?
        .collect::<Result<_, _>>()?;
    Ok((rows, (end < upto.min(high - 1)).then_some(end)))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: row.get(0)?,
        at: row.get::<_, At>(1)?.0,
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
        prev: row.get(6)?,
        hash: row.get(7)?,
    })
}
