//! What somebody is typing to a number that has no open thread, kept until it is sent or emptied. Once there is such a
//! thread, it is their draft in it ([`super::drafts`]).

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::column::At;
use super::{StoreError, Tx, drafts};
use crate::model::{NewTextId, PhoneNumber, Private, StaffName, ThreadId};

/// A blank that nobody has come back to for so long is thrown away.
const BLANK_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A text that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewText {
    /// To whom.
    pub number: PhoneNumber,
    /// Its words so far.
    pub body: Private<String>,
}

/// Where `staff` writes to `number`: what they have begun, or a blank.
pub fn open(tx: &Tx<'_>, staff: &StaffName, number: &PhoneNumber, at: Timestamp) -> Result<NewTextId, StoreError> {
    let oldest = at.checked_sub(BLANK_KEPT).unwrap_or(Timestamp::MIN);
    tx.prepare_cached("DELETE FROM new_texts WHERE body = '' AND at < ?")?.execute([At(oldest)])?;
    Ok(tx
        .prepare_cached(
            "INSERT INTO new_texts (id, staff, number, body, at) VALUES (?1, ?2, ?3, '', ?4)
             ON CONFLICT (number, staff) DO UPDATE SET at = excluded.at RETURNING id",
        )?
        .query_row(params![NewTextId::new(at), staff, number, At(at)], |row| row.get(0))?)
}

/// A text of `staff`; `None` if they have none with that id.
pub fn find(conn: &Connection, staff: &StaffName, id: NewTextId) -> Result<Option<NewText>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT number, body FROM new_texts WHERE id = ? AND staff = ?")?
        .query_row(params![id, staff], |row| Ok(NewText { number: row.get(0)?, body: Private::new(row.get(1)?) }))
        .optional()?)
}

/// Keeps what `staff` has typed: the first [`drafts::LONGEST`] characters. `false`: they have no text with that id.
pub fn save(tx: &Tx<'_>, staff: &StaffName, id: NewTextId, body: &str, at: Timestamp) -> Result<bool, StoreError> {
    let kept = drafts::kept(body);
    let saved = tx
        .prepare_cached("UPDATE new_texts SET body = ?3, at = ?4 WHERE id = ?1 AND staff = ?2")?
        .execute(params![id, staff, kept, At(at)])?;
    Ok(saved > 0)
}

/// Forgets what `staff` has typed to `number`: it was sent.
pub fn clear(tx: &Tx<'_>, staff: &StaffName, number: &PhoneNumber) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE new_texts SET body = '' WHERE number = ? AND staff = ?")?
        .execute(params![number, staff])?;
    Ok(())
}

/// What `staff` has typed to the number of a thread that is open now.
pub(super) fn of_thread(conn: &Connection, staff: &StaffName, thread: ThreadId) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT n.body FROM threads t JOIN new_texts n ON n.number = t.number AND n.staff = ?2
             WHERE t.id = ?1 AND t.state <> 'closed' AND n.body <> ''",
        )?
        .query_row(params![thread, staff], |row| row.get(0))
        .optional()?)
}

/// Forgets that: it is in their draft.
pub(super) fn clear_of_thread(tx: &Tx<'_>, staff: &StaffName, thread: ThreadId) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE new_texts SET body = '' WHERE staff = ?2 AND body <> ''
             AND number = (SELECT number FROM threads WHERE id = ?1 AND state <> 'closed')",
    )?
    .execute(params![thread, staff])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OpenedBy;
    use crate::store::tests::{in_memory, tx};
    use crate::store::threads::{self, NewThread};

    fn at(second: i64) -> Timestamp {
        "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
    }

    fn patient() -> PhoneNumber {
        PhoneNumber::e164("+16462530142").unwrap()
    }

    fn staff(conn: &Connection, name: &str) -> StaffName {
        let sql =
            "INSERT INTO staff (name, shown_as, roles, language, created_at) VALUES (?1, ?1, 'front_desk', 'en', 0)";
        conn.execute(sql, [name]).unwrap();
        name.parse().unwrap()
    }

    fn thread(conn: &Connection, second: i64) -> ThreadId {
        let (id, number) = (ThreadId::new(at(second)), patient());
        let (reason, language, opened_by, call) = (None, None, OpenedBy::Text, None);
        threads::open(&tx(conn), &NewThread { id, number, reason, language, opened_by, call, at: at(second) }).unwrap();
        id
    }

    #[test]
    fn each_goes_on_where_they_were_and_sees_nobody_elses_words() {
        let conn = in_memory();
        let (ana, bo, tx) = (staff(&conn, "ana"), staff(&conn, "bo"), tx(&conn));
        let hers = open(&tx, &ana, &patient(), at(0)).unwrap();
        assert!(save(&tx, &ana, hers, "Dear Rosa", at(1)).unwrap());
        assert_eq!(open(&tx, &ana, &patient(), at(2)).unwrap(), hers);
        assert_eq!(find(&conn, &ana, hers).unwrap().unwrap().body.expose(), "Dear Rosa");
        let his = open(&tx, &bo, &patient(), at(3)).unwrap();
        assert!(his != hers && find(&conn, &bo, his).unwrap().unwrap().body.expose().is_empty());
        assert!(find(&conn, &bo, hers).unwrap().is_none() && !save(&tx, &bo, hers, "Mine", at(4)).unwrap());
        clear(&tx, &ana, &patient()).unwrap();
        assert!(find(&conn, &ana, hers).unwrap().unwrap().body.expose().is_empty());
    }

    #[test]
    fn a_blank_is_thrown_away_once_nobody_comes_back_to_it_and_words_are_not() {
        let conn = in_memory();
        let (ana, tx, other) = (staff(&conn, "ana"), tx(&conn), PhoneNumber::e164("+16462530143").unwrap());
        let (blank, begun) = (open(&tx, &ana, &patient(), at(0)).unwrap(), open(&tx, &ana, &other, at(0)).unwrap());
        save(&tx, &ana, begun, "Dear Rosa", at(0)).unwrap();
        let week = BLANK_KEPT.as_secs();
        for (second, kept) in [(week, true), (week + 1, false)] {
            open(&tx, &ana, &PhoneNumber::e164("+16462530144").unwrap(), at(second)).unwrap();
            assert_eq!(find(&conn, &ana, blank).unwrap().is_some(), kept, "{second}");
        }
        assert!(find(&conn, &ana, begun).unwrap().is_some());
    }

    #[test]
    fn it_is_the_draft_of_the_thread_that_was_opened_meanwhile() {
        let conn = in_memory();
        let (ana, bo, tx) = (staff(&conn, "ana"), staff(&conn, "bo"), tx(&conn));
        let id = open(&tx, &ana, &patient(), at(0)).unwrap();
        save(&tx, &ana, id, "Dear Rosa", at(1)).unwrap();
        let thread = thread(&conn, 2);
        let draft = |staff| drafts::find(&conn, staff, thread).unwrap().map(Private::into_inner);
        assert_eq!((draft(&ana).as_deref(), draft(&bo)), (Some("Dear Rosa"), None));
        // What was in the thread before stands before it.
        tx.execute("INSERT INTO drafts VALUES ('ana', ?1, 'Good morning', 0)", [thread]).unwrap();
        assert_eq!(draft(&ana).as_deref(), Some("Good morning\nDear Rosa"));
        // Saved in the thread it is there, and there alone.
        drafts::save(&tx, &ana, thread, "Good morning, dear Rosa", at(3)).unwrap();
        assert_eq!(draft(&ana).as_deref(), Some("Good morning, dear Rosa"));
        assert!(find(&conn, &ana, id).unwrap().unwrap().body.expose().is_empty());
        // A page that was left open goes on; nothing is there twice.
        save(&tx, &ana, id, "Good morning, dear Rosa, come", at(4)).unwrap();
        assert_eq!(draft(&ana).as_deref(), Some("Good morning, dear Rosa, come"));
        drafts::clear(&tx, &ana, thread).unwrap();
        assert_eq!(draft(&ana), None);
        // A thread that is closed has nothing to do with it.
        save(&tx, &ana, id, "Another matter", at(5)).unwrap();
        tx.execute("UPDATE threads SET state = 'closed', closed_at = 0", []).unwrap();
        drafts::clear(&tx, &ana, thread).unwrap();
        assert_eq!(draft(&ana), None);
        assert_eq!(find(&conn, &ana, id).unwrap().unwrap().body.expose(), "Another matter");
    }
}
