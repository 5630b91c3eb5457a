//! The store as a whole: group commit, a full disk, a locked database, what the next start says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::model::{
    CallEnd, CallId, CallStart, Callee, Caller, Direction, EndedBy, Language, MediaQuality, Outcome, PhoneNumber,
    StaffName,
};

/// A database in memory with today's schema.
pub(crate) fn in_memory() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    conn.pragma_update(None, "foreign_keys", "on").unwrap();
    migrations::migrate(&mut conn, Path::new(":memory:")).unwrap();
    conn
}

/// A write outside a store.
pub(crate) fn tx(conn: &Connection) -> Tx<'_> {
    Tx { conn, announced: Default::default() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn call_start(second: i64) -> CallStart {
    let at = at("2026-03-02T09:00:00Z") + jiff::SignedDuration::from_secs(second);
    CallStart {
        id: CallId::new(at),
        direction: Direction::Inbound,
        trunk: "carrier".into(),
        from: Caller::Number(PhoneNumber::e164("+16462530142").unwrap()),
        to: Some(Callee::Number(PhoneNumber::e164("+12125550100").unwrap())),
        diversion: vec!["+12125550177".to_owned().into()],
        sip_call_id: "a84b4c76e66710".into(),
        at,
    }
}

fn call_end(start: &CallStart) -> CallEnd {
    CallEnd {
        id: start.id,
        answered_at: Some(start.at),
        at: start.at + jiff::SignedDuration::from_millis(8_250),
        path: vec!["hours:clinic".into(), "menu:welcome".into()],
        digits: "1".into(),
        language: Language::default(),
        outcome: Outcome::Abandoned,
        ended_by: EndedBy::Caller,
        cause: "hangup".into(),
        waited: Duration::ZERO,
        thread: None,
        quality: Some(MediaQuality { sent: 400, received: 390, lost: 10, mos: Some(4.25), ..MediaQuality::default() }),
    }
}

fn impatient() -> Patience {
    Patience { busy: Duration::from_millis(10), ..Patience::default() }
}

fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.read_blocking(|conn| Ok(conn.query_row(&sql, [], |row| row.get(0))?)).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps the writer busy until the returned sender is dropped, so that what follows waits in one batch.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (begun, started) = mpsc::channel();
    store.try_write_detached("hold", move |_| {
        let _ = begun.send(());
        let _ = held.recv();
        Ok(())
    });
    started.recv().unwrap();
    release
}

#[test]
fn what_waits_is_committed_together_and_a_failure_rolls_back_alone() {
    let dir = TempDir::new().unwrap();
    let events = Events::default();
    let mut heard = events.listen();
    let store = Store::open(dir.path(), events).unwrap();
    let release = hold(&store);
    for second in 0..100 {
        let call = call_start(second);
        store.try_write_detached("call", move |tx| calls::start(tx, &call));
    }
    let refused = {
        let (store, call) = (store.clone(), call_start(500));
        std::thread::spawn(move || {
            store.write_blocking(move |tx| {
                calls::start(tx, &call)?;
                tx.execute("INSERT INTO calls (id) VALUES (NULL)", [])?;
                Ok(())
            })
        })
    };
    let panicked = {
        let (store, call) = (store.clone(), call_start(501));
        std::thread::spawn(move || {
            store.write_blocking(move |tx| -> Result<(), StoreError> {
                calls::start(tx, &call)?;
                panic!("a bug")
            })
        })
    };
    drop(release);
    assert!(matches!(refused.join().unwrap(), Err(StoreError::Sqlite(_))));
    assert!(matches!(panicked.join().unwrap(), Err(StoreError::Panicked)));
    store.write_blocking(|_| Ok(())).unwrap();
    assert_eq!(count(&store, "calls"), 100);
    let counters = store.counters();
    assert_eq!((counters.committed, counters.failed, counters.lost), (102, 2, 0));
    assert!(counters.transactions <= 5, "{counters:?}");
    let announced = std::iter::from_fn(|| heard.try_recv().ok()).count();
    assert_eq!(announced, 100, "a rolled-back write announces nothing");
}

/// Detached writes of this store gather until something else has them committed.
fn gathering(dir: &Path) -> Store {
    Store::open_with(dir, Events::default(), Patience { gather: Duration::from_secs(3600), ..impatient() }).unwrap()
}

fn detach_calls(store: &Store, seconds: std::ops::Range<i64>) {
    for second in seconds {
        let call = call_start(second);
        store.try_write_detached("call", move |tx| calls::start(tx, &call));
    }
}

#[test]
fn detached_writes_gather_and_a_waited_one_takes_them_along_at_once() {
    let dir = TempDir::new().unwrap();
    let store = gathering(dir.path());
    detach_calls(&store, 0..100);
    let (answer, answered) = mpsc::channel();
    let waits = store.clone();
    std::thread::spawn(move || {
        let seen = waits.write_blocking(|tx| Ok(tx.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?));
        answer.send(seen).unwrap();
    });
    let seen: i64 = answered.recv_timeout(Duration::from_secs(60)).expect("it does not wait for the others").unwrap();
    assert_eq!((seen, count(&store, "calls")), (100, 100), "what came first is written first");
    let counters = store.counters();
    assert_eq!((counters.committed, counters.transactions), (101, 1));
}

#[test]
fn detached_writes_that_fill_a_transaction_or_are_closed_wait_no_longer() {
    let dir = TempDir::new().unwrap();
    let store = gathering(dir.path());
    detach_calls(&store, 0..600);
    until("a full transaction is committed", || count(&store, "calls") == 512);
    store.close();
    assert_eq!(count(&store, "calls"), 600);
    assert_eq!(store.counters().transactions, 2);
}

#[test]
fn a_detached_write_with_nobody_after_it_is_committed_by_itself() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    detach_calls(&store, 0..1);
    until("the call is recorded", || count(&store, "calls") == 1);
}

#[test]
fn the_folder_is_private_and_the_database_as_designed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a/threadline");
    let store = Store::open(&folder, Events::default()).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let (mode, flush, keys): (String, i64, i64) = store
        .write_blocking(|tx| {
            let mode = tx.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            let flush = tx.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            Ok((mode, flush, tx.pragma_query_value(None, "foreign_keys", |row| row.get(0))?))
        })
        .unwrap();
    assert_eq!((mode.as_str(), flush, keys), ("wal", 2, 1));
    let written = store.read_blocking(|conn| Ok(conn.execute("DELETE FROM calls", [])?));
    assert!(matches!(written, Err(StoreError::Unavailable(Unavailable::ReadOnly))));
}

#[test]
fn an_end_without_its_start_is_kept_and_a_late_start_completes_it() {
    let conn = in_memory();
    let start = call_start(0);
    calls::end(&tx(&conn), &call_end(&start)).unwrap();
    assert_eq!(calls::outcome(&conn, start.id).unwrap(), Some(Outcome::Abandoned));
    calls::start(&tx(&conn), &start).unwrap();
    assert_eq!(calls::outcome(&conn, start.id).unwrap(), Some(Outcome::Abandoned));
    assert_eq!(calls::caller(&conn, start.id).unwrap().unwrap().expose(), "+16462530142");
}

#[test]
fn calls_without_an_end_are_interrupted_once() {
    let conn = in_memory();
    let (done, open) = (call_start(0), call_start(1));
    calls::start(&tx(&conn), &done).unwrap();
    calls::end(&tx(&conn), &call_end(&done)).unwrap();
    calls::start(&tx(&conn), &open).unwrap();
    let (direction, to) = (Direction::Outbound, Some(Callee::Emergency("911".to_owned().into())));
    let placed = CallStart { direction, to, ..call_start(2) };
    calls::start(&tx(&conn), &placed).unwrap();
    let found = calls::interrupt_unfinished(&tx(&conn), at("2026-03-02T10:00:00Z")).unwrap();
    assert_eq!(found.len(), 1, "nobody is owed a text for a call that the clinic has placed");
    assert_eq!(calls::outcome(&conn, placed.id).unwrap(), Some(Outcome::Interrupted));
    assert_eq!((found[0].call, &found[0].from, found[0].started_at), (open.id, &open.from, Some(open.at)));
    assert_eq!(calls::outcome(&conn, open.id).unwrap(), Some(Outcome::Interrupted));
    assert_eq!(calls::outcome(&conn, done.id).unwrap(), Some(Outcome::Abandoned));
    assert!(calls::interrupt_unfinished(&tx(&conn), at("2026-03-02T11:00:00Z")).unwrap().is_empty());
}

#[test]
fn a_locked_database_delays_detached_writes_and_refuses_waited_ones() {
    let dir = TempDir::new().unwrap();
    let store = Store::open_with(dir.path(), Events::default(), impatient()).unwrap();
    let other = Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = call_start(0);
    store.try_write_detached("call", move |tx| calls::start(tx, &call));
    let refused = store.write_blocking(|_| Ok(()));
    assert!(matches!(refused, Err(StoreError::Unavailable(Unavailable::Locked))), "{refused:?}");
    until("the write is tried again", || store.counters().retried > 0);
    other.execute_batch("COMMIT").unwrap();
    until("the call is recorded", || count(&store, "calls") == 1);
    assert_eq!(store.counters().lost, 0);
}

/// Lets the database grow by at most `pages` from now on.
fn allow_pages(store: &Store, pages: i64) {
    store
        .write_blocking(move |tx| {
            let now: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(()))?;
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_full_disk_delays_detached_writes_until_there_is_room() {
    let dir = TempDir::new().unwrap();
    let store = Store::open_with(dir.path(), Events::default(), impatient()).unwrap();
    allow_pages(&store, 0);
    for second in 0..200 {
        let call = call_start(second);
        store.try_write_detached("call", move |tx| calls::start(tx, &call));
    }
    until("a write finds the disk full", || store.counters().retried > 0);
    let big = store
        .write_blocking(|tx| Ok(tx.execute("INSERT INTO calls (id, cause) VALUES ('x', hex(zeroblob(50000)))", [])?));
    assert!(matches!(big, Err(StoreError::Unavailable(Unavailable::Full))), "{big:?}");
    allow_pages(&store, 1_000_000);
    until("all calls are recorded", || count(&store, "calls") == 200);
    assert_eq!(store.counters().lost, 0);
}

#[test]
fn what_is_given_up_is_counted_and_the_next_start_says_so_once() {
    let dir = TempDir::new().unwrap();
    let patience = Patience { retry_for: Duration::ZERO, ..impatient() };
    let store = Store::open_with(dir.path(), Events::default(), patience).unwrap();
    assert_eq!(store.unrecorded_before(), None);
    let other = Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for second in 0..3 {
        let call = call_start(second);
        store.try_write_detached("call.start", move |tx| calls::start(tx, &call));
    }
    until("the calls are given up", || store.counters().lost == 3);
    other.execute_batch("ROLLBACK").unwrap();
    store.close();
    assert!(matches!(store.write_blocking(|_| Ok(())), Err(StoreError::Closed)));
    store.try_write_detached("call.end", |_| Ok(()));
    assert_eq!(store.counters().lost, 4);
    drop(store);

    let store = Store::open(dir.path(), Events::default()).unwrap();
    let before = store.unrecorded_before().unwrap();
    assert_eq!(before.lost.get("call.start"), Some(&3));
    assert_eq!(count(&store, "audit WHERE action = 'store.unrecorded'"), 1);
    drop(store);
    let store = Store::open(dir.path(), Events::default()).unwrap();
    assert_eq!(store.unrecorded_before(), None);
    assert_eq!(store.read_blocking(|conn| Ok(audit::verify(conn).unwrap())).unwrap(), 1);
}

#[test]
fn a_full_queue_loses_at_once_and_never_blocks() {
    let dir = TempDir::new().unwrap();
    let store = Store::open_with(dir.path(), Events::default(), Patience { detached: 3, ..impatient() }).unwrap();
    let release = hold(&store);
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..5 {
        let ran = ran.clone();
        store.try_write_detached("call", move |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    assert_eq!(store.counters().lost, 3);
    drop(release);
    store.close();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

#[test]
fn closing_commits_what_is_queued() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    let release = hold(&store);
    for second in 0..2000 {
        let call = call_start(second);
        store.try_write_detached("call", move |tx| calls::start(tx, &call));
    }
    drop(release);
    store.close();
    assert_eq!(count(&store, "calls"), 2000);
    assert_eq!(fs::metadata(dir.path().join("threadline.db-wal")).map_or(0, |log| log.len()), 0, "all in one file");
}

#[test]
fn a_newer_database_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(Store::open(dir.path(), Events::default()).unwrap());
    Connection::open(dir.path().join(FILE)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(dir.path(), Events::default()).unwrap_err().to_string();
    assert!(error.contains("threadline.db was written by a newer Threadline (schema 99"), "{error}");
    assert!(matches!(open_read_only(dir.path()), Err(StoreError::NewerSchema { .. })));
}

#[tokio::test]
async fn reads_and_writes_work_from_tasks() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    let writes = (0..50).map(|second| {
        let call = call_start(second);
        tokio::spawn(store.write(move |tx| calls::start(tx, &call)))
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let found: i64 =
        store.read(|conn| Ok(conn.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(found, 50);
    let panicked = store.read(|_| -> Result<(), StoreError> { panic!("a bug") }).await;
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    assert!(store.read(|_| Ok(())).await.is_ok());
}

#[test]
fn an_export_prints_the_documented_fields_in_order() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    let (early, late) = (call_start(0), call_start(60));
    let end = call_end(&early);
    let since = late.at;
    store
        .write_blocking(move |tx| {
            calls::start(tx, &early)?;
            calls::end(tx, &end)?;
            let (staff, answered_by) = (StaffName::parse("ana").ok(), "extension:201".parse().ok());
            calls::served(tx, end.id, &calls::Served { staff, answered_by, extension: None })?;
            calls::served(tx, end.id, &calls::Served::default())?;
            calls::left_line(tx, end.id, 2)?;
            let to = PhoneNumber::e164("+16462530199").unwrap();
            let tree = calls::LegOut { to, trunk: "second".to_owned(), by: None };
            calls::leg_out(tx, end.id, &tree)?;
            calls::leg_out(tx, end.id, &calls::LegOut { by: "extension:201".parse().ok(), ..tree })?;
            calls::start(tx, &late)
        })
        .unwrap();
    let conn = open_read_only(dir.path()).unwrap();
    let export = |what, since| {
        let mut lines = Vec::new();
        export::rows(&conn, what, since, |line| -> Result<(), StoreError> {
            lines.push(line.to_owned());
            Ok(())
        })
        .unwrap();
        lines
    };
    let lines = export(export::What::Calls, None);
    assert_eq!(lines.len(), 2);
    let rest = lines[0].split_once(',').unwrap().1;
    assert_eq!(
        rest,
        "\"direction\":\"inbound\",\"trunk\":\"carrier\",\"from\":\"+16462530142\",\"to\":\"+12125550100\",\
         \"started_at\":\"2026-03-02T09:00:00Z\",\"answered_at\":\"2026-03-02T09:00:00Z\",\
         \"ended_at\":\"2026-03-02T09:00:08.25Z\",\"path\":[\"hours:clinic\",\"menu:welcome\"],\"digits\":\"1\",\
         \"language\":\"en\",\"outcome\":\"abandoned\",\"ended_by\":\"caller\",\"cause\":\"hangup\",\"waited_ms\":0,\
         \"thread\":null,\"sip_call_id\":\"a84b4c76e66710\",\"diversion\":[\"+12125550177\"],\"packets_sent\":400,\
         \"packets_received\":390,\"packets_lost\":10,\"remote_packets_lost\":0,\"jitter_ms\":0.0,\
         \"round_trip_ms\":null,\"mos\":4.25,\"staff\":\"ana\",\"extension\":null,\"answered_by\":\"extension:201\",\
         \"place\":2,\"emergency\":false,\"legs_out\":[{\"by\":null,\"to\":\"+16462530199\",\"trunk\":\"second\"},\
         {\"by\":\"extension:201\",\"to\":\"+16462530199\",\"trunk\":\"second\"}]}"
    );
    assert_eq!(export(export::What::Calls, Some(since)).len(), 1);
    for what in [export::What::Threads, export::What::Messages, export::What::Consents, export::What::Audit] {
        assert!(export(what, None).is_empty());
    }
}

#[test]
fn an_export_works_while_nobody_has_the_store_open() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Events::default()).unwrap();
    store.close();
    drop(store);
    let conn = open_read_only(dir.path()).unwrap();
    assert_eq!(audit::verify(&conn).unwrap(), 0);
}

#[test]
fn what_waits_for_a_locked_database_is_noted_until_it_is_written() {
    let dir = TempDir::new().unwrap();
    let store = Store::open_with(dir.path(), Events::default(), impatient()).unwrap();
    let note = || fs::read_to_string(dir.path().join("unrecorded")).unwrap();
    assert_eq!(note().trim(), "");
    let other = Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = call_start(0);
    store.try_write_detached("call", move |tx| calls::start(tx, &call));
    until("the note says so", || note().contains("\"waiting\":1"));
    other.execute_batch("ROLLBACK").unwrap();
    until("the note is empty again", || note().trim().is_empty());
    assert_eq!(note().len(), 4096, "the room stays set aside");
    assert_eq!(count(&store, "calls"), 1);
}

/// Set for the child process of the test below: where its store is.
const CHILD: &str = "THREADLINE_TEST_CRASH_STORE";

#[test]
fn what_was_answered_survives_kill_9() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    if let Some(dir) = std::env::var_os(CHILD) {
        let store = Store::open(Path::new(&dir), Events::default()).unwrap();
        let mut second = 0;
        loop {
            let call = call_start(second);
            let id = store
                .write_blocking(move |tx| {
                    calls::start(tx, &call)?;
                    let subject = format!("call:{}", call.id);
                    let detail = serde_json::json!({});
                    let entry = audit::Entry {
                        at: call.at,
                        actor: "system",
                        action: "call.started",
                        subject: &subject,
                        detail,
                    };
                    audit::append(tx, entry)?;
                    Ok(call.id)
                })
                .unwrap();
            println!("\nwritten {id}");
            second += 1;
        }
    }
    let dir = TempDir::new().unwrap();
    let mut written = Vec::new();
    for lines in [1, 7, 40] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::what_was_answered_survives_kill_9", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let ids = said.filter_map(|line| line.strip_prefix("written ").map(|id| id.parse::<CallId>().unwrap()));
        written.extend(ids.take(lines));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path(), Events::default()).unwrap();
        for id in &written {
            assert!(store.read_blocking(|conn| calls::caller(conn, *id)).unwrap().is_some(), "{id} is lost");
        }
        let rows = store.read_blocking(|conn| Ok(audit::verify(conn).unwrap())).unwrap();
        assert_eq!(i64::try_from(rows).unwrap(), count(&store, "calls"), "a call and its audit row come together");
        store.close();
    }
    assert_eq!(written.len(), 48);
}
