//! What people do with a thread, and what time does in their stead.
//!
//! Each function changes the row, writes the timeline and the audit chain, and announces the thread, in the caller's
//! transaction. It says whether anything changed: doing a thing twice does it once and records it once. A thread that
//! has become a part of another takes none of it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Params, params};
use serde_json::{Value, json};

use super::{Thread, find, record};
use crate::model::{Kept, PhoneNumber, Resolution, StaffName, ThreadId, ThreadState};
use crate::store::column::{At, Json, Word};
use crate::store::{Connection, StoreError, Tx};

/// So many threads become a part of one at most.
pub const MOST_MERGED: usize = 20;
/// So many tags are on a thread at most; a further one changes nothing.
pub const MOST_TAGS: usize = 20;

/// Gives a thread to somebody, or with `None` back to its team.
pub fn assign(
    tx: &Tx<'_>,
    thread: ThreadId,
    owner: Option<&StaffName>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let before: Option<Option<StaffName>> = tx
        .prepare_cached("SELECT owner FROM threads WHERE id = ? AND merged_into IS NULL")?
        .query_row([thread], |row| row.get(0))
        .optional()?;
    let Some(before) = before.filter(|before| before.as_ref() != owner) else { return Ok(false) };
    tx.prepare_cached("UPDATE threads SET owner = ?2 WHERE id = ?1")?.execute(params![thread, owner])?;
    let action = match owner {
        Some(owner) if owner.as_str() == actor => "thread.taken",
        Some(_) => "thread.assigned",
        None => "thread.released",
    };
    record(tx, thread, action, actor, json!({ "to": owner, "from": before }), at)?;
    Ok(true)
}

/// Gives a thread to a team, or to none.
pub fn set_team(
    tx: &Tx<'_>,
    thread: ThreadId,
    team: Option<&str>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET team = ?2 WHERE id = ?1 AND merged_into IS NULL AND team IS NOT ?2";
    change(tx, sql, params![thread, team], thread, "thread.team", actor, json!({ "team": team }), at)
}

/// Says what a thread is about.
pub fn set_reason(
    tx: &Tx<'_>,
    thread: ThreadId,
    reason: Option<&str>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET reason = ?2 WHERE id = ?1 AND merged_into IS NULL AND reason IS NOT ?2";
    change(tx, sql, params![thread, reason], thread, "thread.reason", actor, json!({ "reason": reason }), at)
}

/// Puts a tag on a thread.
pub fn tag(tx: &Tx<'_>, thread: ThreadId, tag: &str, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let Some(mut tags) = tags(tx, thread)? else { return Ok(false) };
    if tags.iter().any(|known| known == tag) || tags.len() >= MOST_TAGS {
        return Ok(false);
    }
    tags.push(tag.to_owned());
    set_tags(tx, thread, &tags)?;
    record(tx, thread, "thread.tagged", actor, json!({ "tag": tag }), at)?;
    Ok(true)
}

/// Takes a tag off a thread.
pub fn untag(tx: &Tx<'_>, thread: ThreadId, tag: &str, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let Some(mut tags) = tags(tx, thread)? else { return Ok(false) };
    let before = tags.len();
    tags.retain(|known| known != tag);
    if tags.len() == before {
        return Ok(false);
    }
    set_tags(tx, thread, &tags)?;
    record(tx, thread, "thread.untagged", actor, json!({ "tag": tag }), at)?;
    Ok(true)
}

fn tags(tx: &Tx<'_>, thread: ThreadId) -> Result<Option<Vec<String>>, StoreError> {
    let found: Option<Json<Vec<String>>> = tx
        .prepare_cached("SELECT tags FROM threads WHERE id = ? AND merged_into IS NULL")?
        .query_row([thread], |row| row.get(0))
        .optional()?;
    Ok(found.map(|tags| tags.0))
}

fn set_tags(tx: &Tx<'_>, thread: ThreadId, tags: &[String]) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE threads SET tags = ?2 WHERE id = ?1")?.execute(params![thread, Json(tags)])?;
    Ok(())
}

/// Hands a thread to clinical staff: it goes to their `team`, nobody owns it, and it waits for them.
pub fn escalate(tx: &Tx<'_>, thread: ThreadId, team: &str, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET escalated_at = ?2, team = ?3, owner = NULL, snoozed_until = NULL,
             state = CASE state WHEN 'snoozed' THEN 'open' ELSE state END, waiting_since = coalesce(waiting_since, ?2)
         WHERE id = ?1 AND merged_into IS NULL AND state <> 'closed' AND (escalated_at IS NULL OR team IS NOT ?3)";
    change(tx, sql, params![thread, At(at), team], thread, "thread.escalated", actor, json!({ "team": team }), at)
}

/// Marks a thread as one that calls for a person at once; `words` say why.
pub fn flag(tx: &Tx<'_>, thread: ThreadId, words: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET red_flag = ?2 WHERE id = ?1 AND merged_into IS NULL AND red_flag IS NOT ?2";
    change(tx, sql, params![thread, words], thread, "thread.flagged", "system", json!({}), at)
}

/// Takes the red flag off: a person has seen to it.
pub fn clear_flag(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET red_flag = NULL WHERE id = ? AND red_flag IS NOT NULL";
    change(tx, sql, [thread], thread, "thread.flag_cleared", actor, json!({}), at)
}

/// Puts an open thread out of sight until then.
pub fn snooze(tx: &Tx<'_>, thread: ThreadId, until: Timestamp, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET state = 'snoozed', snoozed_until = ?2
         WHERE id = ?1 AND state <> 'closed' AND snoozed_until IS NOT ?2";
    change(
        tx,
        sql,
        params![thread, At(until)],
        thread,
        "thread.snoozed",
        actor,
        json!({ "until": until.to_string() }),
        at,
    )
}

/// Brings a snoozed thread back into sight.
pub fn wake(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET state = 'open', snoozed_until = NULL, active_at = max(active_at, ?2)
         WHERE id = ?1 AND state = 'snoozed'";
    change(tx, sql, params![thread, At(at)], thread, "thread.woke", actor, json!({}), at)
}

/// Says when somebody must come back to an open thread; `None`: nobody need.
pub fn follow_up(
    tx: &Tx<'_>,
    thread: ThreadId,
    when: Option<Timestamp>,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET follow_up_at = ?2 WHERE id = ?1 AND state <> 'closed' AND follow_up_at IS NOT ?2";
    change(
        tx,
        sql,
        params![thread, when.map(At)],
        thread,
        "thread.follow_up",
        actor,
        json!({ "at": when.map(|at| at.to_string()) }),
        at,
    )
}

/// The time of a follow-up has come: the thread waits for a person.
pub fn follow_up_due(tx: &Tx<'_>, thread: ThreadId, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET follow_up_at = NULL, waiting_since = coalesce(waiting_since, ?2), state = 'open',
             snoozed_until = NULL, active_at = max(active_at, ?2)
         WHERE id = ?1 AND state <> 'closed' AND follow_up_at <= ?2";
    change(tx, sql, params![thread, At(at)], thread, "thread.follow_up_due", "system", json!({}), at)
}

/// Notes that the matter was taken to the phone: nobody waits for an answer any more, and its red flag is seen to. The
/// first time counts.
pub fn moved_to_voice(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let cleared = clear_flag(tx, thread, actor, at)?;
    let sql = "UPDATE threads SET moved_to_voice = coalesce(moved_to_voice, ?2), waiting_since = NULL,
             opened_since = NULL
         WHERE id = ?1 AND merged_into IS NULL AND (moved_to_voice IS NULL OR waiting_since IS NOT NULL)";
    Ok(change(tx, sql, params![thread, At(at)], thread, "thread.moved_to_voice", actor, json!({}), at)? || cleared)
}

/// Notes that somebody wanted to call the patient and did not pick up their own `phone`, written as the files do: the
/// patient's did not ring. It stands where the thread went if it has become a part of another meanwhile.
pub fn own_phone_unanswered(
    tx: &Tx<'_>,
    thread: ThreadId,
    phone: &str,
    actor: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(found) = find(tx, thread)? else { return Ok(()) };
    let thread = found.merged_into.unwrap_or(thread);
    record(tx, thread, "thread.own_phone_unanswered", actor, json!({ "phone": phone }), at)
}

/// Notes that "anything else I can help with?" was asked.
pub fn close_offered(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET close_offered_at = ?2
         WHERE id = ?1 AND state <> 'closed' AND close_offered_at IS NULL";
    change(tx, sql, params![thread, At(at)], thread, "thread.close_offered", actor, json!({}), at)
}

/// Closes a thread, with a word on how it was resolved. A red flag is seen to, which is on record.
pub fn close(
    tx: &Tx<'_>,
    thread: ThreadId,
    resolution: Resolution,
    actor: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if find(tx, thread)?.is_none_or(|thread| thread.state == ThreadState::Closed) {
        return Ok(false);
    }
    clear_flag(tx, thread, actor, at)?;
    if resolution == Resolution::MovedToVoice {
        moved_to_voice(tx, thread, actor, at)?;
    }
    end(tx, thread, resolution, actor, at)
}

fn end(tx: &Tx<'_>, thread: ThreadId, resolution: Resolution, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET state = 'closed', closed_at = ?2, resolution = ?3, active_at = max(active_at, ?2),
             waiting_since = NULL, opened_since = NULL, snoozed_until = NULL, follow_up_at = NULL,
             close_offered_at = NULL, red_flag = NULL, undeliverable = NULL
         WHERE id = ?1 AND state <> 'closed'";
    let detail = json!({ "resolution": resolution });
    change(tx, sql, params![thread, At(at), Word(resolution)], thread, "thread.closed", actor, detail, at)
}

/// Opens a closed thread again, unless its number has another open one or it has become a part of another.
pub fn reopen(tx: &Tx<'_>, thread: ThreadId, actor: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE threads SET state = 'open', closed_at = NULL, resolution = NULL, escalated_at = NULL,
             active_at = max(active_at, ?2)
         WHERE id = ?1 AND state = 'closed' AND merged_into IS NULL AND NOT EXISTS
             (SELECT 1 FROM threads other WHERE other.number = threads.number AND other.state <> 'closed')";
    change(tx, sql, params![thread, At(at)], thread, "thread.reopened", actor, json!({}), at)
}

/// The open thread of `number`, if it has one.
pub fn open_of(conn: &Connection, number: &PhoneNumber) -> Result<Option<ThreadId>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT id FROM threads WHERE number = ? AND state <> 'closed'")?
        .query_row([number], |row| row.get(0))
        .optional()?)
}

/// Makes `gone` a part of `kept`, whose timeline shows the words of both from then on; whether that can be, and what
/// becomes of it, has been decided (`conversation::merging`).
///
/// Messages stay where they were written. `gone` is closed for good; what it waited for, `kept` waits for. The next
/// text of `gone`'s number is not led into `kept` when that belongs to another number: an answer always goes to the
/// number that its thread names.
pub fn merge(
    tx: &Tx<'_>,
    gone: &Thread,
    kept: &Thread,
    becomes: Kept,
    actor: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    // Its red flag goes with it, and is not seen to.
    end(tx, gone.id, Resolution::Merged, actor, at)?;
    tx.prepare_cached("UPDATE threads SET merged_into = ?2 WHERE id = ?1 OR merged_into = ?1")?
        .execute(params![gone.id, kept.id])?;
    match becomes {
        Kept::AsItIs => false,
        Kept::Reopened => reopen(tx, kept.id, "system", at)?,
        Kept::Woken => wake(tx, kept.id, "system", at)?,
    };
    if gone.state != ThreadState::Closed {
        tx.prepare_cached(
            "UPDATE threads SET waiting_since = coalesce(min(waiting_since, ?2), waiting_since, ?2),
                 red_flag = coalesce(red_flag, ?3), active_at = max(active_at, ?4) WHERE id = ?1 AND state <> 'closed'",
        )?
        .execute(params![kept.id, gone.waiting_since.map(At), gone.red_flag, At(at)])?;
    }
    record(tx, gone.id, "thread.merged", actor, json!({ "into": kept.id }), at)?;
    record(tx, kept.id, "thread.absorbed", actor, json!({ "from": gone.id }), at)
}

/// Runs an `UPDATE` of one thread, and puts it on record if it changed the row.
#[allow(clippy::too_many_arguments)] // A statement, and the record of what it did.
fn change(
    tx: &Tx<'_>,
    sql: &str,
    values: impl Params,
    thread: ThreadId,
    action: &str,
    actor: &str,
    detail: Value,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx.prepare_cached(sql)?.execute(values)? > 0;
    if changed {
        record(tx, thread, action, actor, detail, at)?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests;
