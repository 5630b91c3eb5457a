//! What threads are tagged with and about. The counts are kept by triggers (`migrations/010_labels.sql`), so that no list
//! of threads is read to know what it can be filtered by.

use rusqlite::{Connection, params};

use super::StoreError;
use super::queue::View;

/// So many of each kind are told.
const MOST: usize = 40;

/// The tags and reasons of a view's threads, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Tags in use.
    pub tags: Vec<String>,
    /// Reasons in use.
    pub reasons: Vec<String>,
    /// There are more than are told: these are in the most threads.
    pub more: bool,
}

/// What a view can be filtered by; of what is closed nothing is known.
pub fn of_view(conn: &Connection, view: &View) -> Result<Labels, StoreError> {
    let (tags, more_tags) = most_used(conn, "tag", view)?;
    let (reasons, more_reasons) = most_used(conn, "reason", view)?;
    Ok(Labels { tags, reasons, more: more_tags || more_reasons })
}

/// The tags of open threads, by name: what is suggested for a new one.
pub fn tags(conn: &Connection) -> Result<Vec<String>, StoreError> {
    Ok(most_used(conn, "tag", &View::All)?.0)
}

/// The labels of a kind that are in most threads of a view, by name; true beside them if there are more.
fn most_used(conn: &Connection, kind: &str, view: &View) -> Result<(Vec<String>, bool), StoreError> {
    let (state, owner, team) = match view {
        View::Of(staff) => ("open", Some(staff.as_str()), None),
        View::Unassigned => ("open", Some(""), None),
        View::Team(team) => ("open", None, Some(team.as_str())),
        View::All => ("open", None, None),
        View::Snoozed => ("snoozed", None, None),
        View::Closed => return Ok((vec![], false)),
    };
    let mut found: Vec<String> = conn
        .prepare_cached(
            "SELECT label FROM labels WHERE kind = ?1 AND state = ?2
                 AND owner = coalesce(?3, owner) AND team = coalesce(?4, team)
             GROUP BY label ORDER BY sum(threads) DESC, label LIMIT ?5",
        )?
        .query_map(params![kind, state, owner, team, MOST as i64 + 1], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let more = found.len() > MOST;
    found.truncate(MOST);
    found.sort_unstable();
    Ok((found, more))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::in_memory;

    /// A thread, as far as labels go.
    #[derive(Clone, Debug)]
    struct Labelled {
        state: &'static str,
        owner: Option<&'static str>,
        team: Option<&'static str>,
        tags: Vec<&'static str>,
        reason: Option<&'static str>,
    }

    fn write(conn: &Connection, id: usize, thread: &Labelled) {
        let tags = serde_json::to_string(&thread.tags).unwrap();
        conn.execute(
            "INSERT INTO threads (id, number, state, owner, team, tags, reason, opened_by, opened_at, active_at)
             VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, 'text', 1, 1)
             ON CONFLICT (id) DO UPDATE SET state = ?2, owner = ?3, team = ?4, tags = ?5, reason = ?6",
            params![id.to_string(), thread.state, thread.owner, thread.team, tags, thread.reason],
        )
        .unwrap();
    }

    fn open(tags: Vec<&'static str>) -> Labelled {
        Labelled { state: "open", owner: None, team: None, tags, reason: None }
    }

    #[test]
    fn a_label_of_a_single_thread_among_thousands_can_be_chosen() {
        let conn = in_memory();
        for id in 0..2_000 {
            write(&conn, id, &open(vec!["refill"]));
        }
        write(&conn, 2_000, &Labelled { reason: Some("a fax"), ..open(vec!["refill", "new \"x\""]) });
        let all = of_view(&conn, &View::All).unwrap();
        assert_eq!(all.tags, ["new \"x\"", "refill"]);
        assert_eq!((all.reasons, all.more), (vec!["a fax".to_owned()], false));
        assert_eq!(of_view(&conn, &View::Of("ana".parse().unwrap())).unwrap(), Labels::default());
        assert_eq!(of_view(&conn, &View::Unassigned).unwrap().tags, tags(&conn).unwrap());
    }

    #[test]
    fn of_many_those_in_most_threads_are_told() {
        let conn = in_memory();
        for id in 0..100 {
            let rare: &'static str = Box::leak(format!("rare {id}").into_boxed_str());
            write(&conn, id, &open(vec![rare, if id % 2 == 0 { "even" } else { "odd" }]));
        }
        let all = of_view(&conn, &View::All).unwrap();
        assert_eq!((all.tags.len(), all.more), (MOST, true));
        assert!(all.tags.is_sorted() && all.tags.starts_with(&["even".to_owned(), "odd".to_owned()]), "{:?}", all.tags);
    }

    #[test]
    fn a_thread_is_found_by_its_id_to_be_counted() {
        let conn = in_memory();
        let mut statement = conn.prepare("EXPLAIN QUERY PLAN SELECT label FROM thread_labels WHERE id = '1'").unwrap();
        let plan = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = plan.collect::<Result<Vec<_>, _>>().unwrap();
        let by_id = |table: &str| plan.contains(&format!("SEARCH {table} USING PRIMARY KEY (id=?)"));
        assert!(by_id("t") && by_id("threads"), "{plan:?}");
    }

    fn labelled() -> impl Strategy<Value = Labelled> {
        (
            prop::sample::select(vec!["open", "snoozed", "closed"]),
            prop::option::of(prop::sample::select(vec!["ana", "ben"])),
            prop::option::of(Just("clinical")),
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..4),
            prop::option::of(prop::sample::select(vec!["a", "b"])),
        )
            .prop_map(|(state, owner, team, tags, reason)| Labelled { state, owner, team, tags, reason })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_counts_are_those_of_the_threads_whatever_is_done_to_them(
            deeds in prop::collection::vec((0..5usize, prop::option::of(labelled())), 1..30)
        ) {
            let conn = in_memory();
            let mut threads = BTreeMap::new();
            for (id, thread) in deeds {
                match thread {
                    Some(thread) => {
                        write(&conn, id, &thread);
                        threads.insert(id, thread);
                    }
                    None => {
                        conn.execute("DELETE FROM threads WHERE id = ?", [id.to_string()]).unwrap();
                        threads.remove(&id);
                    }
                }
            }
            let mut expected = BTreeMap::new();
            for thread in threads.values().filter(|thread| thread.state != "closed") {
                let mut tags = thread.tags.clone();
                tags.sort_unstable();
                tags.dedup();
                let labels = tags.into_iter().map(|tag| ("tag", tag)).chain(thread.reason.map(|reason| ("reason", reason)));
                for (kind, label) in labels {
                    let (owner, team) = (thread.owner.unwrap_or_default(), thread.team.unwrap_or_default());
                    *expected.entry([kind, thread.state, label, owner, team].map(str::to_owned)).or_insert(0i64) += 1;
                }
            }
            let mut statement = conn.prepare("SELECT kind, state, label, owner, team, threads FROM labels").unwrap();
            let counted = statement
                .query_map([], |row| {
                    Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?], row.get(5)?))
                })
                .unwrap();
            let counted: BTreeMap<[String; 5], i64> = counted.collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(counted, expected);
        }
    }
}
