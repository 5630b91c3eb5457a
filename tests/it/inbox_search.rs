//! Search, the patient's phone, the palette, help and the audit page, over real HTTP.

use jiff::Timestamp;
use reqwest::StatusCode;
use threadline::model::{ConsentState, PhoneNumber};
use threadline::store::{audit, consents};

use super::desk::{Desk, Page, Visitor};

const PATIENT: &str = "+12125550142";
/// As people write it.
const SHOWN: &str = "(212) 555-0142";

/// A text from a patient's phone, by the page that is one.
async fn texts(desk: &Desk, number: &str, body: &str) -> Page {
    // Each text has a time of its own.
    desk.clock.advance(std::time::Duration::from_secs(1));
    let page = desk.nobody().post("/phone", &[("number", number), ("body", body)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

async fn search(visitor: &Visitor, fields: &[(&str, &str)]) -> String {
    let page = visitor.post("/search", fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body
}

/// The newest audit row of an action: its actor and detail.
async fn last_of(desk: &Desk, action: &'static str) -> Option<(String, String)> {
    // What is viewed is written beside the answer: a write that waits comes after it.
    desk.write(|_| Ok(())).await;
    let filter = audit::Filter { action: Some(action.into()), ..Default::default() };
    let rows = desk.web.store.read(move |conn| audit::page(conn, &filter, None, 1)).await.unwrap();
    rows.rows.into_iter().next().map(|row| (row.actor, row.detail))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_finds_what_a_patient_wrote_and_the_search_is_on_record_without_its_words() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    texts(&desk, PATIENT, "My <b>knee</b> is swollen").await;
    texts(&desk, "+12125550143", "Do you have parking?").await;

    let body = search(&ana, &[("q", "swol")]).await;
    assert!(body.contains("My &lt;b&gt;knee&lt;/b&gt; is <mark>swollen</mark>"), "{body}");
    assert!(body.contains(SHOWN) && !body.contains("parking"), "{body}");
    let (actor, detail) = last_of(&desk, "threads.searched").await.unwrap();
    assert_eq!((actor.as_str(), detail.as_str()), ("ana", r#"{"found":1}"#));

    assert!(search(&ana, &[("q", "(212) 555-0143")]).await.contains("/threads/"));
    assert!(search(&ana, &[("q", "swollen"), ("state", "closed")]).await.contains("Nothing was found"));
    assert!(search(&ana, &[("q", "knee"), ("from", "2026-11-02"), ("to", "2026-11-02")]).await.contains("<mark>knee"));
    assert!(search(&ana, &[("q", "knee"), ("to", "2026-11-01")]).await.contains("Nothing was found"));
    let page = ana.post("/search", &[("q", "knee"), ("from", "yesterday")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(ana.get("/search").await.body.contains("role=\"search\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_on_where_the_page_before_ended() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    for at in 0..30 {
        texts(&desk, PATIENT, &format!("refill number{at}")).await;
    }
    let first = search(&ana, &[("q", "refill")]).await;
    assert!(first.contains("number29") && !first.contains("number4<"), "{first}");
    let (_, rest) = first.split_once("name=\"before\" value=\"").unwrap();
    let (place, _) = rest.split_once('"').unwrap();
    let second = search(&ana, &[("q", "refill"), ("before", place)]).await;
    assert!(second.contains("number4<") && second.contains("number0<") && !second.contains("number5<"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_phone_shows_and_sends_texts_and_knows_stop() {
    let desk = Desk::open().await;
    let nobody = desk.nobody();
    assert!(nobody.get("/phone").await.body.contains("…0003"));
    let page = texts(&desk, PATIENT, "Hello there").await;
    assert!(page.body.contains("Hello there"));
    // The same form sent twice is one text.
    for _ in 0..2 {
        nobody.post("/phone", &[("number", PATIENT), ("body", "only once"), ("once", "a")]).await;
    }
    let page = nobody.post("/phone", &[("number", PATIENT)]).await;
    assert_eq!(page.body.matches("only once").count(), 1);

    texts(&desk, PATIENT, "STOP").await;
    let number = PhoneNumber::e164(PATIENT).unwrap();
    let state = desk.web.store.read(move |conn| consents::state(conn, &number)).await.unwrap();
    assert_eq!(state, Some(ConsentState::Revoked));

    let page = nobody.post("/phone", &[("number", "anonymous")]).await;
    assert!(page.body.contains("role=\"alert\""), "{}", page.body);
    let long = "a".repeat(1_601);
    let page = nobody.post("/phone", &[("number", PATIENT), ("body", &long)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The value of a hidden field.
fn hidden<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name} in {body}"));
    rest.split_once('"').unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_palette_finds_what_its_person_may_see() {
    let desk = Desk::open().await;
    let (ana, admin) = (desk.person("ana", "front_desk").await, desk.person("root", "admin").await);
    texts(&desk, PATIENT, "My knee hurts").await;
    let list = ana.post("/palette", &[("q", "knee")]).await.body;
    assert!(list.contains("role=\"option\" data-href=\"/threads/") && list.contains("<mark>knee</mark>"), "{list}");
    assert!(ana.post("/palette", &[("q", "555-0142")]).await.body.contains(SHOWN));
    // What is typed in one go is on record as one search, once the person pauses.
    let recorded = async {
        loop {
            if let Some(found) = last_of(&desk, "threads.searched").await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let recorded = tokio::time::timeout(std::time::Duration::from_secs(30), recorded).await.unwrap();
    assert_eq!(recorded, ("ana".to_owned(), r#"{"by":"palette","found":1,"times":2}"#.to_owned()));
    // Messages that people send; none that the house sends by itself.
    assert!(
        ana.post("/palette", &[("q", "appointment")]).await.body.contains("data-template=\"appointment_confirmed\"")
    );
    assert!(!ana.post("/palette", &[("q", "missed")]).await.body.contains("data-template"));
    let list = admin.post("/palette", &[("q", "knee")]).await.body;
    assert!(!list.contains("knee") && !list.contains("option"), "{list}");
    let page = ana.get("/help").await.body;
    assert!(page.contains("id=\"palette\"") && page.contains("data-key=\"g i\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_page_shows_checks_and_exports_the_chain_and_says_who_did() {
    let desk = Desk::open().await;
    let auditor = desk.person("otto", "auditor").await;
    let ana = desk.person("ana", "front_desk").await;
    let now: Timestamp = desk.now();
    desk.write(move |tx| {
        for at in 0..120 {
            let subject = format!("thread:{at}");
            let (actor, detail) = (if at % 2 == 0 { "ben" } else { "=cmd" }, serde_json::json!({ "at": at }));
            audit::append(tx, audit::Entry { at: now, actor, action: "thread.viewed", subject: &subject, detail })?;
        }
        Ok(())
    })
    .await;
    assert_eq!(ana.get("/admin/audit").await.status, StatusCode::FORBIDDEN);

    let filtered = async |fields: &[(&str, &str)]| auditor.post("/admin/audit", fields).await;
    let page = filtered(&[("actor", "ben")]).await.body;
    assert!(
        page.contains("looked at a thread") && page.contains("thread:118") && !page.contains("thread:117"),
        "{page}"
    );
    let older = filtered(&[("actor", "ben"), ("before", hidden(&page, "before"))]).await.body;
    assert!(older.contains(">thread:0<") && !older.contains("thread:118"), "{older}");
    assert!(filtered(&[("actor", "ben"), ("action", "staff.added")]).await.body.contains("No row fits"));
    assert!(filtered(&[("subject", "thread:7")]).await.body.contains(">thread:7<"));
    assert_eq!(filtered(&[("from", "x")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(last_of(&desk, "audit.viewed").await.unwrap().0, "otto");

    let page = auditor.post("/admin/audit/check", &[]).await.body;
    assert!(page.contains("The chain holds"), "{page}");
    assert_eq!(last_of(&desk, "audit.checked").await.unwrap().0, "otto");

    let lines = auditor.post("/admin/audit/export", &[("format", "json"), ("action", "thread.viewed")]).await.body;
    let rows: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[119]["detail"]["at"]), (120, &119.into()));
    let csv = auditor.post("/admin/audit/export", &[("format", "csv")]).await;
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("audit.csv"));
    assert!(csv.body.contains("\"'=cmd\"") && !csv.body.contains(",\"=cmd"), "{}", csv.body);
    // The export before this one is on record in this one, and this one, too.
    assert_eq!(csv.body.matches("audit.exported").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_says_who_may_do_what_in_both_languages() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let page = ana.get("/help").await.body;
    assert!(page.contains("Read the queue, threads") && page.contains("yours") && page.len() < 100_000);
    desk.write(|tx| {
        tx.execute("UPDATE staff SET language = 'es'", [])?;
        Ok(())
    })
    .await;
    let page = ana.get("/help").await.body;
    assert!(page.contains("lang=\"es\"") && page.contains("Leer la cola, los hilos"), "{page}");
}
