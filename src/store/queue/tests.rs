use super::*;
use crate::store::staff::{self, Staff};
use crate::store::tests::{in_memory, tx};
use crate::store::{labels, sessions, threads};

fn ana() -> StaffName {
    "ana".parse().unwrap()
}

fn views() -> Vec<View> {
    vec![View::Of(ana()), View::Unassigned, View::Team("front_desk".into()), View::All, View::Snoozed, View::Closed]
}

fn plan(conn: &Connection, sql: &str, values: Vec<Value>) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
    lines.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

/// A thread in the queue: its owner, and since when it waits, in seconds.
fn thread(conn: &Connection, id: u32, owner: Option<&str>, columns: &str) {
    let id = format!("00000000-0000-7000-8000-{id:012}");
    conn.execute(
        "INSERT INTO threads (id, number, state, owner, opened_by, opened_at, active_at) VALUES (?1, '+1212' || ?2, 'open', ?3, 'text', 1, 1)",
        params![id, 5550000 + conn.last_insert_rowid() + i64::from(id[30..].parse::<u32>().unwrap()), owner],
    )
    .unwrap();
    conn.execute(&format!("UPDATE threads SET {columns} WHERE id = ?"), [&id]).unwrap();
}

fn ids(page: &Page) -> Vec<u64> {
    page.rows.iter().map(|row| row.id.to_string()[24..].parse().unwrap()).collect()
}

#[test]
fn every_view_walks_an_index_in_order() {
    let conn = in_memory();
    let place = Place { tier: 2, key: 5, id: ThreadId::new(Timestamp::UNIX_EPOCH) };
    let indexes =
        ["threads_owner", "threads_owner", "threads_team", "threads_queue", "threads_snoozed", "threads_closed"];
    for (view, index) in views().iter().zip(indexes) {
        for after in [None, Some(place)] {
            let (sql, values) = select(view, &Filter::default(), &ana(), after);
            let plan = plan(&conn, &sql, values);
            assert!(plan.contains(index), "{view:?}: {plan}");
            // A page is sorted at its end; what it is chosen from never is.
            let (chosen, _) = plan.split_once("SCAN page").unwrap();
            assert!(!chosen.contains("TEMP B-TREE") && !plan.contains("SCAN t USING PRIMARY"), "{view:?}: {plan}");
        }
        let filter = Filter { tag: Some("refill".into()), reason: Some("hours".into()), ..Filter::default() };
        let (sql, values) = select(view, &filter, &ana(), None);
        let filtered = plan(&conn, &sql, values);
        let in_index = filtered.contains(&format!("COVERING INDEX {index}"));
        assert!(in_index || matches!(view, View::Snoozed | View::Closed), "{view:?}, filtered: {filtered}");
        let (conditions, value) = rows_of(view);
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM threads t WHERE {conditions} LIMIT 1000)");
        let plan = plan(&conn, &sql, value.into_iter().collect());
        // Counting a team may walk another index that has the team first.
        assert!(plan.contains(index) || plan.contains("COVERING INDEX threads_"), "count of {view:?}: {plan}");
    }
}

#[test]
fn red_flags_come_first_then_what_was_escalated_then_the_longest_wait_then_the_newest_activity() {
    let conn = in_memory();
    thread(&conn, 1, None, "active_at = 100");
    thread(&conn, 2, None, "active_at = 200");
    thread(&conn, 3, None, "waiting_since = 20");
    thread(&conn, 4, Some("ana"), "waiting_since = 10");
    thread(&conn, 5, None, "waiting_since = 30, escalated_at = 40");
    thread(&conn, 6, None, "waiting_since = 40, red_flag = 'chest pain'");
    thread(&conn, 7, None, "escalated_at = 1, active_at = 300");
    thread(&conn, 8, None, "state = 'closed', closed_at = 5");
    thread(&conn, 9, None, "state = 'closed', closed_at = 6");
    thread(&conn, 10, None, "state = 'snoozed', snoozed_until = 9");
    thread(&conn, 11, None, "state = 'snoozed', snoozed_until = 8");
    let list = |view: &View| ids(&page(&conn, view, &Filter::default(), &ana(), None).unwrap());
    assert_eq!(list(&View::All), [6, 5, 4, 3, 7, 2, 1]);
    assert_eq!(list(&View::Of(ana())), [4]);
    assert_eq!(list(&View::Unassigned), [6, 5, 3, 7, 2, 1]);
    assert_eq!(list(&View::Closed), [9, 8]);
    assert_eq!(list(&View::Snoozed), [11, 10]);
    let counts = views().iter().map(|view| count(&conn, view).unwrap()).collect::<Vec<_>>();
    assert_eq!(counts, [1, 6, 0, 7, 2, 2]);
    let needs = needs(&conn, &ana()).unwrap();
    assert_eq!((needs.waiting, needs.newest.unwrap().as_microsecond()), (4, 40));
}

#[test]
fn pages_follow_each_other_without_a_gap_or_a_double() {
    let conn = in_memory();
    for id in 0..130 {
        let waits =
            if id % 3 == 0 { format!("waiting_since = {}", id % 7 + 1) } else { format!("active_at = {}", id % 5) };
        thread(&conn, id, None, &waits);
    }
    for id in 130..190 {
        thread(&conn, id, None, &format!("state = 'closed', closed_at = {}", id % 4));
    }
    for (view, expected) in [(View::All, 130), (View::Closed, 60)] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = page(&conn, &view, &Filter::default(), &ana(), after).unwrap();
            all.extend(ids(&page));
            after = page.next.map(|place| Place::parse(&place.to_string()).unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), expected);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), expected);
    }
}

#[test]
fn a_filter_takes_whole_tags_reasons_and_teams() {
    let conn = in_memory();
    thread(&conn, 1, None, r#"tags = '["bill","new \"x\""]', reason = 'general', team = 'front_desk'"#);
    thread(&conn, 2, None, r#"tags = '["billing"]', reason = 'appointments'"#);
    let list = |filter: Filter| ids(&page(&conn, &View::All, &filter, &ana(), None).unwrap());
    assert_eq!(list(Filter { tag: Some("bill".into()), ..Filter::default() }), [1]);
    assert_eq!(list(Filter { tag: Some("new \"x\"".into()), ..Filter::default() }), [1]);
    assert!(list(Filter { tag: Some("ill".into()), ..Filter::default() }).is_empty());
    assert_eq!(list(Filter { reason: Some("appointments".into()), ..Filter::default() }), [2]);
    assert_eq!(list(Filter { team: Some("front_desk".into()), ..Filter::default() }), [1]);
    for tag in labels::of_view(&conn, &View::All).unwrap().tags {
        assert_eq!(list(Filter { tag: Some(tag), ..Filter::default() }).len(), 1, "whatever can be chosen is found");
    }
}

#[test]
fn who_opens_a_thread_has_seen_it_and_the_first_to_open_it_is_noted_once() {
    let conn = in_memory();
    let (first, second) = (Timestamp::from_second(50).unwrap(), Timestamp::from_second(60).unwrap());
    let person = Staff {
        name: ana(),
        shown_as: "Ana".into(),
        roles: "front_desk".parse().unwrap(),
        team: None,
        language: Default::default(),
        away_until: None,
        disabled_at: None,
    };
    staff::add(&tx(&conn), &person, "system", first).unwrap();
    let session = sessions::NewSession {
        id: "s".into(),
        staff: ana(),
        address: "127.0.0.1".into(),
        device: "test".into(),
        at: first,
    };
    sessions::start(&tx(&conn), &session).unwrap();
    thread(&conn, 1, Some("ana"), "waiting_since = 10, last_at = 10, last_author = 'patient'");
    let row = || page(&conn, &View::All, &Filter::default(), &ana(), None).unwrap().rows.remove(0);
    assert!(row().unread && row().opened_since.is_none());
    assert_eq!(row().owner_shown_as.as_deref(), Some("Ana"));
    threads::seen(&tx(&conn), row().id, &ana(), first).unwrap();
    threads::seen(&tx(&conn), row().id, &ana(), second).unwrap();
    assert!(!row().unread);
    assert_eq!(row().opened_since, Some(first));
}
