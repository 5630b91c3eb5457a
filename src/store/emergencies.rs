//! Calls to emergency numbers from the clinic's phones, and who of those who were told has seen it: both are rows of the
//! audit chain.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::json;

use super::audit::{self, Entry};
use super::column::At;
use super::{StoreError, Tx};
use crate::events::Event;
use crate::model::StaffName;

/// The audit's action of such a call. Its actor is the phone, `extension:201`; its detail says what was dialled.
pub const CALLED: &str = "emergency.called";
const SEEN: &str = "emergency.seen";
/// More are not told of at once.
const MOST: i64 = 20;

/// Such a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// Its row in the audit chain.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// The phone: `extension:201`.
    pub phone: String,
    /// What was dialled.
    pub dialled: String,
}

#[derive(Deserialize)]
struct Detail {
    dialled: String,
}

/// The calls since `since` of which nobody has said in `session` that they have seen the notice, the newest first.
pub fn unseen(conn: &Connection, since: Timestamp, session: &str) -> Result<Vec<Emergency>, StoreError> {
    let sql = "SELECT seq, at, actor, detail FROM audit INDEXED BY audit_action
         WHERE action = ?1 ORDER BY seq DESC LIMIT ?2";
    let mut query = conn.prepare_cached(sql)?;
    let mut all = query
        .query_map(params![CALLED, MOST], |row| {
            let detail: String = row.get(3)?;
            let dialled = serde_json::from_str::<Detail>(&detail).map(|detail| detail.dialled).unwrap_or_default();
            Ok(Emergency { seq: row.get(0)?, at: row.get::<_, At>(1)?.0, phone: row.get(2)?, dialled })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    all.retain(|call| call.at >= since);
    let mut unseen = Vec::new();
    for call in all {
        if !is_seen(conn, call.seq, session)? {
            unseen.push(call);
        }
    }
    Ok(unseen)
}

fn is_seen(conn: &Connection, seq: i64, session: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM audit INDEXED BY audit_subject
         WHERE subject = ?1 AND action = ?2 AND json_extract(detail, '$.session') = ?3)";
    Ok(conn.prepare_cached(sql)?.query_row(params![subject(seq), SEEN, session], |row| row.get(0))?)
}

/// Somebody has seen the notices up to `seq` in this session; they are shown there no more.
pub fn see(
    tx: &Tx<'_>,
    since: Timestamp,
    seq: i64,
    session: &str,
    staff: &StaffName,
    at: Timestamp,
) -> Result<(), StoreError> {
    for call in unseen(tx, since, session)?.into_iter().filter(|call| call.seq <= seq) {
        let detail = json!({ "session": session });
        audit::append(tx, Entry { at, actor: staff.as_str(), action: SEEN, subject: &subject(call.seq), detail })?;
    }
    tx.announce(Event::Emergency);
    Ok(())
}

fn subject(seq: i64) -> String {
    format!("emergency:{seq}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{in_memory, tx};

    #[test]
    fn a_notice_is_shown_in_each_session_until_it_is_seen_there() {
        let conn = in_memory();
        let tx = tx(&conn);
        let at = |minute: i64| Timestamp::from_second(1_772_442_000 + 60 * minute).unwrap();
        for (minute, digits) in [(0, "911"), (5, "112")] {
            let detail = json!({ "dialled": digits });
            let entry =
                Entry { at: at(minute), actor: "extension:201", action: CALLED, subject: "extension:201", detail };
            audit::append(&tx, entry).unwrap();
        }
        let dialled = |session: &str, since| -> Vec<String> {
            unseen(&conn, since, session).unwrap().into_iter().map(|call| call.dialled).collect()
        };
        assert_eq!(dialled("a", at(0)), ["112", "911"]);
        assert_eq!(dialled("a", at(1)), ["112"], "the day before is over");
        let ana = StaffName::parse("ana").unwrap();
        see(&tx, at(0), 1, "a", &ana, at(6)).unwrap();
        assert_eq!(dialled("a", at(0)), ["112"], "what came after the page was drawn is still to be seen");
        see(&tx, at(0), 2, "a", &ana, at(7)).unwrap();
        assert_eq!(dialled("a", at(0)), Vec::<String>::new());
        assert_eq!(dialled("b", at(0)), ["112", "911"]);
    }
}
