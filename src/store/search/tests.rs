use proptest::prelude::*;

use super::*;
use crate::model::{Language, MessageId, MessageStatus, OpenedBy, StaffName, is_unseen};
use crate::store::past::{self, PastMessage, PastThread};
use crate::store::tests::in_memory;
use crate::store::{Tx, migrations};

const CLINIC: &str = "+12125550100";

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minute * 60).unwrap()
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::e164(text).unwrap()
}

fn thread(tx: &Tx<'_>, patient: &str, state: ThreadState, minute: i64) -> ThreadId {
    let id = ThreadId::new(at(minute));
    let thread = PastThread {
        id,
        number: number(patient),
        state,
        owner: Some(StaffName::parse("ana").unwrap()),
        team: None,
        tags: vec!["refill".into()],
        reason: None,
        language: Language::default(),
        opened_by: OpenedBy::Text,
        call: None,
        opened_at: at(minute),
        first_reply_at: None,
        waiting_since: None,
        closed_at: None,
        snoozed_until: None,
        follow_up_at: None,
        red_flag: None,
        undeliverable: None,
        last: (at(minute), "patient".into(), "x".into()),
    };
    past::thread(tx, &thread).unwrap();
    id
}

fn text(tx: &Tx<'_>, thread: ThreadId, patient: &str, body: &str, minute: i64) {
    let message = PastMessage {
        id: MessageId::new(at(minute)),
        thread,
        direction: MessageDirection::Inbound,
        author: "patient".into(),
        patient: number(patient),
        clinic: number(CLINIC),
        body: body.into(),
        status: MessageStatus::Received,
        at: at(minute),
    };
    past::message(tx, &message).unwrap();
}

/// What is found, with what was looked for in brackets.
fn found(conn: &Connection, query: &str, filters: &Filters) -> Vec<String> {
    let page = texts(conn, &Terms::parse(query), filters, None).unwrap();
    let shown =
        |piece: &Piece| if piece.found { format!("[{}]", piece.text.expose()) } else { piece.text.expose().clone() };
    page.hits.iter().map(|hit| hit.words.iter().map(shown).collect()).collect()
}

#[test]
fn who_types_sees_the_newest_few_of_what_a_search_finds() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    let id = thread(&tx, "+12125550142", ThreadState::Open, 0);
    for minute in 1..10 {
        text(&tx, id, "+12125550142", &format!("refill {minute}"), minute);
    }
    let terms = Terms::parse("refi");
    let all = texts(&conn, &terms, &Filters::default(), None).unwrap();
    assert_eq!((all.hits.len(), all.rest), (9, Rest::Nothing));
    assert_eq!(newest(&conn, &terms, 4).unwrap(), all.hits[..4]);
}

#[test]
fn words_are_found_by_their_beginnings_whatever_their_case_and_marks() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    let id = thread(&tx, "+12125550142", ThreadState::Open, 0);
    text(&tx, id, "+12125550142", "Tengo que cancelar mi CITA", 1);
    text(&tx, id, "+12125550142", "La cancelación <b>del</b> lunes", 2);
    let all = Filters::default();
    assert_eq!(found(&conn, "cancel", &all), ["La [cancelación] <b>del</b> lunes", "Tengo que [cancelar] mi CITA"]);
    assert_eq!(found(&conn, "cancelacion", &all), ["La [cancelación] <b>del</b> lunes"]);
    assert_eq!(found(&conn, "CANCELACIÓN lun", &all), ["La [cancelación] <b>del</b> [lunes]"]);
    assert_eq!(found(&conn, "\"mi cita\"", &all), ["Tengo que cancelar [mi CITA]"]);
    assert_eq!(found(&conn, "\"cita mi\"", &all), [""; 0]);
    assert_eq!(found(&conn, "cita lunes", &all), [""; 0]);
}

#[test]
fn what_is_changed_moved_or_deleted_is_found_as_it_is_now() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    let (one, two) =
        (thread(&tx, "+12125550142", ThreadState::Closed, 0), thread(&tx, "+12125550143", ThreadState::Closed, 0));
    text(&tx, one, "+12125550142", "knee pain", 1);
    past::note(&tx, one, &StaffName::parse("ana").unwrap(), "call the daughter", at(2)).unwrap();
    let all = Filters::default();
    assert_eq!(found(&conn, "daughter", &all), ["call the [daughter]"]);
    tx.execute("UPDATE messages SET thread = ?", [two]).unwrap();
    assert_eq!(texts(&conn, &Terms::parse("knee"), &all, None).unwrap().hits[0].thread, two);
    tx.execute("UPDATE messages SET body = 'elbow'", []).unwrap();
    assert_eq!((found(&conn, "knee", &all).len(), found(&conn, "elbow", &all).len()), (0, 1));
    tx.execute_batch("DELETE FROM messages; DELETE FROM notes; DELETE FROM threads").unwrap();
    assert_eq!(found(&conn, "elbow", &all).len() + found(&conn, "daughter", &all).len(), 0);
    assert_eq!(contacts(&conn, &Terms::parse("0142")).unwrap(), []);
    conn.execute("INSERT INTO search_text (search_text) VALUES ('integrity-check')", []).unwrap();
}

#[test]
fn what_nobody_sees_is_looked_through_whenever_it_was_written() {
    let mut conn = Connection::open_in_memory().unwrap();
    let (before, since) = migrations::STEPS.split_at(10);
    assert!(since[0].contains("search_unseen"));
    before.iter().for_each(|step| conn.execute_batch(step).unwrap());
    conn.pragma_update(None, "user_version", 10).unwrap();
    let write = |conn: &Connection, patient: &str| {
        let tx = Tx { conn, announced: Default::default() };
        let (id, ana) = (thread(&tx, patient, ThreadState::Open, 0), StaffName::parse("ana").unwrap());
        text(&tx, id, patient, "the cita\u{200b}ción of \u{2068}María\u{2069}", 1);
        text(&tx, id, patient, "nothing hidden, señora", 2);
        past::note(&tx, id, &ana, "\u{feff}knee br\u{ad}ace", at(3)).unwrap();
        past::person(&tx, &number(patient), "\u{2066}Le\u{61c}ila\u{2069} Ben", &Language::default(), &ana, at(1))
            .unwrap();
    };
    write(&conn, "+12125550142");
    migrations::migrate(&mut conn, std::path::Path::new("")).unwrap();
    write(&conn, "+12125550143");
    let all = Filters::default();
    assert_eq!(found(&conn, "citacion", &all), ["the [citación] of María"; 2]);
    assert_eq!(found(&conn, "\"\u{200f}of mar\u{200d}ía\"", &all), ["the citación [of María]"; 2]);
    assert_eq!(found(&conn, "brace", &all), ["knee [brace]"; 2]);
    assert_eq!(found(&conn, "senora", &all), ["nothing hidden, [señora]"; 2]);
    assert_eq!(contacts(&conn, &Terms::parse("leila")).unwrap().len(), 2);
    conn.execute_batch(
        "UPDATE messages SET body = body || char(0x2069) || '!'; UPDATE people SET name = name || char(0xad) || 'ito';
         INSERT INTO search_text (search_text, rank) VALUES ('integrity-check', 1);
         INSERT INTO search_names (search_names, rank) VALUES ('integrity-check', 1)",
    )
    .unwrap();
    assert_eq!(contacts(&conn, &Terms::parse("benito")).unwrap().len(), 2);
    conn.execute_batch(
        "DELETE FROM messages; DELETE FROM notes; DELETE FROM people;
         INSERT INTO search_text (search_text, rank) VALUES ('integrity-check', 1);
         INSERT INTO search_names (search_names, rank) VALUES ('integrity-check', 1)",
    )
    .unwrap();
    assert_eq!((found(&conn, "maria", &all).len(), contacts(&conn, &Terms::parse("leila")).unwrap().len()), (0, 0));
}

#[test]
fn the_store_and_the_house_know_the_same_marks() {
    let conn = in_memory();
    let mut statement = conn.prepare("SELECT mark FROM search_unseen ORDER BY mark").unwrap();
    let known = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
    let unseen: Vec<String> = ('\0'..=char::MAX).filter(|c| is_unseen(*c)).map(String::from).collect();
    assert_eq!(known, unseen);
}

#[test]
fn numbers_are_found_by_any_run_of_their_digits() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    thread(&tx, "+12125550142", ThreadState::Closed, 0);
    let newest = thread(&tx, "+12125550142", ThreadState::Open, 5);
    past::person(
        &tx,
        &number("+13105550177"),
        "José Núñez",
        &Language::default(),
        &StaffName::parse("ana").unwrap(),
        at(1),
    )
    .unwrap();
    for query in ["(212) 555-0142", "+1 212 555 0142", "0142", "5550142", "212.555"] {
        let found = contacts(&conn, &Terms::parse(query)).unwrap();
        assert_eq!(
            (found.len(), found[0].thread, found[0].state),
            (1, Some(newest), Some(ThreadState::Open)),
            "{query}"
        );
    }
    assert_eq!(contacts(&conn, &Terms::parse("0143")).unwrap(), []);
    for query in ["nunez", "JO", "núñez josé", "nun 0177", "0177"] {
        let found = contacts(&conn, &Terms::parse(query)).unwrap();
        assert_eq!(found[0].number, number("+13105550177"), "{query}");
        assert_eq!(found[0].name.as_ref().unwrap().expose(), "José Núñez");
    }
    assert_eq!(contacts(&conn, &Terms::parse("nunez 0142")).unwrap(), []);
}

#[test]
fn filters_narrow_and_pages_follow_each_other() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    let open = thread(&tx, "+12125550142", ThreadState::Open, 0);
    let closed = thread(&tx, "+12125550143", ThreadState::Closed, 0);
    for minute in 0..60 {
        let (id, patient) = if minute % 2 == 0 { (open, "+12125550142") } else { (closed, "+12125550143") };
        text(&tx, id, patient, &format!("refill number{minute}"), minute);
    }
    let count = |filters: Filters| {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = texts(&conn, &Terms::parse("refill"), &filters, before).unwrap();
            seen.extend(page.hits.iter().map(|hit| hit.at));
            match page.rest {
                Rest::More(place) | Rest::NotSearched(place, _) => before = Some(place),
                Rest::Nothing => break,
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "each once, newest first");
        seen.len()
    };
    let with = |change: fn(&mut Filters)| {
        let mut filters = Filters::default();
        change(&mut filters);
        count(filters)
    };
    assert_eq!(count(Filters::default()), 60);
    assert_eq!(with(|filters| filters.state = Some(ThreadState::Open)), 30);
    assert_eq!(with(|filters| filters.owner = Some("ben".into())), 0);
    assert_eq!(with(|filters| filters.tag = Some("refill".into())), 60);
    assert_eq!(with(|filters| filters.tag = Some("fill".into())), 0);
    assert_eq!(with(|filters| filters.undeliverable = true), 0);
    assert_eq!(with(|filters| filters.direction = Some(MessageDirection::Outbound)), 0);
    assert_eq!(with(|filters| (filters.from, filters.to) = (Some(at(10)), Some(at(20)))), 10);
}

#[test]
fn a_filter_that_lets_nearly_nothing_through_ends_the_page_and_says_so() {
    let conn = in_memory();
    let tx = Tx { conn: &conn, announced: Default::default() };
    let rare = thread(&tx, "+12125550142", ThreadState::Open, 0);
    let common = thread(&tx, "+12125550143", ThreadState::Closed, 0);
    text(&tx, rare, "+12125550142", "refill", 0);
    for minute in 1..=i64::try_from(LOOK_AT).unwrap() {
        text(&tx, common, "+12125550143", "refill", minute);
    }
    let filters = Filters { state: Some(ThreadState::Open), ..Filters::default() };
    let page = texts(&conn, &Terms::parse("refill"), &filters, None).unwrap();
    let Rest::NotSearched(place, before) = page.rest else { panic!("{page:?}") };
    assert_eq!((page.hits.len(), before), (0, at(0)));
    let page = texts(&conn, &Terms::parse("refill"), &filters, Some(place)).unwrap();
    assert_eq!((page.hits.len(), page.rest), (1, Rest::Nothing));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_query_is_an_error(query in "\\PC{0,60}", odd in "[\"*^:(){}+\\-'\\\\NEAR ANDORT\u{0}0-9á]{0,30}") {
        let conn = in_memory();
        let tx = Tx { conn: &conn, announced: Default::default() };
        let id = thread(&tx, "+12125550142", ThreadState::Open, 0);
        text(&tx, id, "+12125550142", &query, 1);
        for query in [&query, &odd] {
            let terms = Terms::parse(query);
            texts(&conn, &terms, &Filters::default(), None).unwrap();
            contacts(&conn, &terms).unwrap();
        }
    }

    #[test]
    fn a_text_is_found_exactly_if_it_has_all_the_words(
        texts_there in proptest::collection::vec(proptest::collection::vec("[ab]{1,6}", 1..4), 1..6),
        looked_for in proptest::collection::vec("[ab]{2,6}", 1..3),
    ) {
        let conn = in_memory();
        let tx = Tx { conn: &conn, announced: Default::default() };
        let id = thread(&tx, "+12125550142", ThreadState::Open, 0);
        for (minute, words) in (0..).zip(&texts_there) {
            text(&tx, id, "+12125550142", &words.join(" "), minute);
        }
        let has = |words: &Vec<String>| looked_for.iter().all(|start| words.iter().any(|word| word.starts_with(start)));
        let expected = texts_there.iter().filter(|words| has(words)).count();
        prop_assert_eq!(found(&conn, &looked_for.join(" "), &Filters::default()).len(), expected);
    }
}
