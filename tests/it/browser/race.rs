//! Two people answer the same thread in the same second.

use serde_json::Value;

use super::chromium::{Browser, turn};
use super::house::House;

const PATIENT: &str = "+12125550142";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_answers_in_the_same_second_one_is_sent_and_the_other_is_kept() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let ben = house.arrive(&turn, "ben", "Ben Carter", "front_desk", "front_desk").await;
    let thread = house.texts(PATIENT, "Can I come at nine?").await;
    for (browser, words) in [(&ana, "Yes, at nine"), (&ben, "No, at ten")] {
        browser.go(&house.url(&format!("/threads/{thread}"))).await;
        browser.write("#words", words).await;
    }
    // Each sees that the other writes.
    ana.reads("#presence", "Ben Carter").await;
    ben.reads("#presence", "Ana López").await;

    tokio::join!(ana.press_button("Send"), ben.press_button("Send"));
    let (first, second) = tokio::join!(outcome(&ana), outcome(&ben));
    let sent = house.answers_to(PATIENT);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let (loser, name, theirs, draft) = match (first.as_str(), second.as_str()) {
        ("sent", "kept") => (&ben, "Ana López", "Yes, at nine", "No, at ten"),
        ("kept", "sent") => (&ana, "Ben Carter", "No, at ten", "Yes, at nine"),
        both => panic!("{both:?}: {sent:?}"),
    };
    assert_eq!(sent[0]["body"], theirs);
    loser.reads("#compose [role=alert]", name).await;
    loser.reads("#compose [role=alert]", theirs).await;
    assert_eq!(loser.run("return words.value").await, draft);

    // Having read it, the other may send it all the same.
    loser.press_button("Send").await;
    loser.reads("#timeline", draft).await;
    assert_eq!(house.answers_to(PATIENT).len(), 2);
}

/// `sent` if the box is empty again, `kept` if somebody else was first.
async fn outcome(browser: &Browser) -> String {
    let expression = "document.querySelector('#compose [role=alert]') ? 'kept' : words.value === '' ? 'sent' : null";
    match browser.until("the answer is sent or refused", expression).await {
        Value::String(outcome) => outcome,
        other => panic!("{other}"),
    }
}
