//! Search, the patient's phone, new texts, the palette, help and the audit page, over real HTTP.

use jiff::Timestamp;
use reqwest::StatusCode;
use threadline::model::{ConsentState, Language, PhoneNumber};
use threadline::store::audit;
use threadline::store::{consents, past};

use super::desk::{Desk, Page, Visitor};

const PATIENT: &str = "+12125550142";

/// A text from a patient's phone, by the page that is one.
async fn texts(desk: &Desk, number: &str, body: &str) -> Page {
    // Each text has a time of its own.
    desk.clock.advance(std::time::Duration::from_secs(60));
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
    assert!(body.contains(PATIENT) && !body.contains("parking"), "{body}");
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
    assert!(nobody.get("/phone").await.body.contains("…0003") || nobody.get("/phone").await.body.contains("0003"));
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
