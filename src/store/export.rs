//! Rows as `threadline export` prints them: one JSON object each, fields in their documented order, read one by one.

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::StoreError;
use super::column::At;

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Phone calls.
    Calls,
    /// Text threads.
    Threads,
    /// Text messages.
    Messages,
    /// The consent history.
    Consents,
    /// The audit chain.
    Audit,
}

/// How a column is printed.
#[derive(Clone, Copy)]
enum As {
    /// As it is: text, number or null.
    Plain,
    /// RFC 3339 in UTC.
    Time,
    /// The JSON that it holds.
    Json,
    /// True or false.
    Flag,
}

/// A kind of export: its table, the column of its time and of its order, and (field, column, shape) in order.
struct Shape {
    table: &'static str,
    since: &'static str,
    order: &'static str,
    fields: &'static [(&'static str, &'static str, As)],
}

const CALLS: Shape = Shape {
    table: "calls",
    since: "coalesce(started_at, ended_at)",
    order: "id",
    fields: &[
        ("id", "id", As::Plain),
        ("direction", "direction", As::Plain),
        ("trunk", "trunk", As::Plain),
        ("from", "caller", As::Plain),
        ("to", "callee", As::Plain),
        ("started_at", "started_at", As::Time),
        ("answered_at", "answered_at", As::Time),
        ("ended_at", "ended_at", As::Time),
        ("path", "path", As::Json),
        ("digits", "digits", As::Plain),
        ("language", "language", As::Plain),
        ("outcome", "outcome", As::Plain),
        ("ended_by", "ended_by", As::Plain),
        ("cause", "cause", As::Plain),
        ("waited_ms", "waited_ms", As::Plain),
        ("thread", "thread", As::Plain),
        ("sip_call_id", "sip_call_id", As::Plain),
        ("diversion", "diversion", As::Json),
        ("packets_sent", "sent", As::Plain),
        ("packets_received", "received", As::Plain),
        ("packets_lost", "lost", As::Plain),
        ("remote_packets_lost", "remote_lost", As::Plain),
        ("jitter_ms", "jitter_ms", As::Plain),
        ("round_trip_ms", "round_trip_ms", As::Plain),
        ("mos", "mos", As::Plain),
        ("staff", "staff", As::Plain),
        ("extension", "extension", As::Plain),
        ("answered_by", "answered_by", As::Plain),
        ("place", "place", As::Plain),
        ("emergency", "emergency", As::Flag),
        ("legs_out", "legs_out", As::Json),
    ],
};

const THREADS: Shape = Shape {
    table: "threads",
    since: "opened_at",
    order: "id",
    fields: &[
        ("id", "id", As::Plain),
        ("number", "number", As::Plain),
        ("name", "name", As::Plain),
        ("state", "state", As::Plain),
        ("owner", "owner", As::Plain),
        ("team", "team", As::Plain),
        ("tags", "tags", As::Json),
        ("reason", "reason", As::Plain),
        ("opened_by", "opened_by", As::Plain),
        ("call", "call", As::Plain),
        ("opened_at", "opened_at", As::Time),
        ("first_reply_at", "first_reply_at", As::Time),
        ("closed_at", "closed_at", As::Time),
        ("moved_to_voice", "moved_to_voice", As::Time),
        ("resolution", "resolution", As::Plain),
        ("language", "language", As::Plain),
    ],
};

const MESSAGES: Shape = Shape {
    table: "messages",
    since: "created_at",
    order: "id",
    fields: &[
        ("id", "id", As::Plain),
        ("thread", "thread", As::Plain),
        ("direction", "direction", As::Plain),
        ("author", "author", As::Plain),
        ("from", "sender", As::Plain),
        ("to", "recipient", As::Plain),
        ("body", "body", As::Plain),
        ("media", "media", As::Json),
        ("status", "status", As::Plain),
        ("gateway", "gateway", As::Plain),
        ("gateway_id", "gateway_id", As::Plain),
        ("error", "error", As::Plain),
        ("created_at", "created_at", As::Time),
        ("sent_at", "sent_at", As::Time),
        ("delivered_at", "delivered_at", As::Time),
        ("kind", "kind", As::Plain),
        ("call", "call", As::Plain),
    ],
};

const CONSENTS: Shape = Shape {
    table: "consents",
    since: "at",
    order: "seq",
    fields: &[
        ("number", "number", As::Plain),
        ("state", "state", As::Plain),
        ("method", "method", As::Plain),
        ("disclosure", "disclosure", As::Plain),
        ("prompt_sha256", "prompt_sha256", As::Plain),
        ("digit", "digit", As::Plain),
        ("call", "call", As::Plain),
        ("message", "message", As::Plain),
        ("at", "at", As::Time),
        ("actor", "actor", As::Plain),
    ],
};

const AUDIT: Shape = Shape {
    table: "audit",
    since: "at",
    order: "seq",
    fields: &[
        ("seq", "seq", As::Plain),
        ("at", "at", As::Time),
        ("actor", "actor", As::Plain),
        ("action", "action", As::Plain),
        ("subject", "subject", As::Plain),
        ("detail", "detail", As::Json),
        ("prev", "prev", As::Plain),
        ("hash", "hash", As::Plain),
    ],
};

/// Reads every row of `what` from `since` on, oldest first, and hands each to `line` as JSON without a line end.
/// `line` may stop the export with its own error.
pub fn rows<E: From<StoreError>>(
    conn: &Connection,
    what: What,
    since: Option<Timestamp>,
    mut line: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let shape = match what {
        What::Calls => CALLS,
        What::Threads => THREADS,
        What::Messages => MESSAGES,
        What::Consents => CONSENTS,
        What::Audit => AUDIT,
    };
    let columns = shape.fields.iter().map(|(_, column, _)| *column).collect::<Vec<_>>().join(", ");
    let Shape { table, since: from, order, .. } = shape;
    let sql = format!("SELECT {columns} FROM {table} WHERE ?1 IS NULL OR {from} >= ?1 ORDER BY {order}");
    let mut statement = conn.prepare(&sql).map_err(StoreError::from)?;
    let mut rows = statement.query([since.map(At)]).map_err(StoreError::from)?;
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let text = serde_json::to_string(&Line { row, shape: &shape })
            .map_err(|error| StoreError::Sqlite(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        line(&text)?;
    }
    Ok(())
}

struct Line<'a, 'row> {
    row: &'a Row<'row>,
    shape: &'a Shape,
}

impl Serialize for Line<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.shape.fields.len()))?;
        for (at, (field, _, shape)) in self.shape.fields.iter().enumerate() {
            let value = self.row.get_ref(at).map_err(S::Error::custom)?;
            match (shape, value) {
                (_, ValueRef::Null) => map.serialize_entry(field, &())?,
                (As::Time, ValueRef::Integer(micros)) => {
                    let at = Timestamp::from_microsecond(micros).map_err(S::Error::custom)?;
                    map.serialize_entry(field, &at.to_string())?;
                }
                (As::Json, ValueRef::Text(text)) => {
                    let json: serde_json::Value = serde_json::from_slice(text).map_err(S::Error::custom)?;
                    map.serialize_entry(field, &json)?;
                }
                (As::Flag, ValueRef::Integer(flag)) => map.serialize_entry(field, &(flag != 0))?,
                (_, ValueRef::Integer(number)) => map.serialize_entry(field, &number)?,
                (_, ValueRef::Real(number)) => map.serialize_entry(field, &number)?,
                (_, ValueRef::Text(text)) => map.serialize_entry(field, &String::from_utf8_lossy(text))?,
                (_, ValueRef::Blob(_)) => return Err(S::Error::custom("a blob where none belongs")),
            }
        }
        map.end()
    }
}
