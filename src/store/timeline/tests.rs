use super::*;
use crate::model::OpenedBy;
use crate::store::messages::NewMessage;
use crate::store::tests::{in_memory, tx};
use crate::store::threads::{NewThread, find, open, tag};
use crate::store::{Tx, inbound, notes as note_store};

fn at(second: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn number() -> PhoneNumber {
    PhoneNumber::e164("+16462530142").unwrap()
}

fn begin(tx: &Tx<'_>) -> ThreadId {
    let id = ThreadId::new(at(0));
    let opened_by = OpenedBy::Text;
    let thread = NewThread { id, number: number(), reason: None, language: None, opened_by, call: None, at: at(0) };
    open(tx, &thread).unwrap();
    id
}

fn text(tx: &Tx<'_>, thread: ThreadId, body: &str, at: Timestamp) {
    let message = NewMessage {
        id: MessageId::new(at),
        thread,
        kind: MessageKind::Chat,
        author: "patient".into(),
        from: number(),
        to: PhoneNumber::e164("+16462530100").unwrap(),
        body: body.to_owned().into(),
        media: Vec::new(),
        call: None,
        once: None,
        at,
    };
    inbound::store(tx, &message, "twilio", &message.id.to_string()).unwrap();
}

/// Every page from the newest to the first.
fn pages(conn: &Connection, thread: ThreadId) -> Vec<Timeline> {
    let thread = find(conn, thread).unwrap().unwrap();
    let mut all = vec![page(conn, &thread, None).unwrap()];
    while let Some(earlier) = all.last().unwrap().earlier.clone() {
        let written: Place = earlier.to_string().parse().unwrap();
        assert_eq!(written, earlier);
        all.push(page(conn, &thread, Some(&written)).unwrap());
    }
    all
}

#[test]
fn pages_show_everything_once_also_what_happened_in_one_moment() {
    let conn = in_memory();
    let tx = tx(&conn);
    let thread = begin(&tx);
    for which in 0..140 {
        // The first half all in the moment of the opening, as after a clock that stood.
        let when = at(if which < 70 { 0 } else { which });
        text(&tx, thread, "hello", when);
        tag(&tx, thread, &format!("t{which}"), "ana", when).unwrap();
        let body = "n".to_owned().into();
        let author = "ana".parse().unwrap();
        note_store::add(&tx, &note_store::Note { id: NoteId::new(when), thread, author, body, at: when }).unwrap();
    }
    let pages = pages(&conn, thread);
    let mut all: Vec<Place> = pages.iter().flat_map(|page| &page.entries).map(|entry| entry.place.clone()).collect();
    for page in &pages {
        assert!(page.entries.len() <= PAGE);
        assert!(page.entries.is_sorted_by_key(|entry| entry.place.clone()));
    }
    let shown = all.len();
    all.sort();
    all.dedup();
    // Texts, notes, the opening, and as many tags as a thread takes.
    assert_eq!((shown, all.len()), (140 + 140 + 1 + 20, shown));
}

#[test]
fn a_page_is_bounded_by_its_words_and_a_long_text_hides_nothing() {
    let conn = in_memory();
    let tx = tx(&conn);
    let thread = begin(&tx);
    let long = "x".repeat(WORDS + 1);
    for second in 1..4 {
        text(&tx, thread, &long, at(second));
    }
    let pages = pages(&conn, thread);
    let texts = |page: &Timeline| page.entries.iter().filter(|e| matches!(e.what, What::Text(_))).count();
    assert_eq!(pages.iter().map(texts).sum::<usize>(), 3);
    // Each by its beginning, and no more of them than a page has room for.
    assert!(pages.iter().all(|page| texts(page) <= 2));
    let whole =
        |entry: &Entry| matches!(&entry.what, What::Text(text) if text.whole || weight(text.body.expose()) > WORDS / 2);
    assert!(!pages.iter().flat_map(|page| &page.entries).any(whole));
}

#[test]
fn every_part_of_a_page_is_read_from_an_index() {
    let conn = in_memory();
    let plans = [
        "SELECT 1 FROM messages WHERE thread = 'a' AND (created_at, id) < (1, 'b') ORDER BY created_at DESC, id DESC",
        "SELECT 1 FROM notes WHERE thread = 'a' AND (at, id) < (1, 'b') ORDER BY at DESC, id DESC",
        "SELECT 1 FROM thread_events WHERE thread = 'a' AND what <> 'answered' AND (at, seq) < (1, 2)
             ORDER BY at DESC, seq DESC",
        "SELECT 1 FROM calls WHERE thread = 'a' AND (started_at, id) < (1, 'b') ORDER BY started_at DESC, id DESC",
        "SELECT 1 FROM calls WHERE caller = 'a' AND thread IS NULL AND started_at BETWEEN 1 AND 2
             AND (started_at, id) < (1, 'b') ORDER BY started_at DESC, id DESC",
    ];
    for sql in plans {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = plan.join("; ");
        assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[test]
fn what_is_no_place_is_refused() {
    for text in
        ["", "1", "1.2", "x.2.a", "1.x.a", "99999999999999999999.1.a", "1.2.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
    {
        assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text}");
    }
}
