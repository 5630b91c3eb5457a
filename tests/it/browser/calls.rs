//! Calls as the front desk sees them live: a caller who waits is answered by a click, a voice message is played, an
//! emergency call is told on the page that is open.

use std::time::Duration;

use threadline::call::front_desk::Waiting;
use threadline::events::Event;
use threadline::model::Caller;
use threadline::store::audit::{self, Entry};
use threadline::store::emergencies;

use super::chromium::{Browser, turn};
use super::house::enter;
use crate::inbox_calls::{desk, leaves_a_message, maria_waits};

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_and_messages_heard_in_the_browser() {
    let Some(turn) = turn().await else { return };
    let desk = desk().await;
    let ana = desk.person("ana", "front_desk").await;
    ana.post("/account/phone", &[("phone", "202")]).await;
    let (call, presence) = maria_waits(&desk);
    let browser = Browser::open(&turn).await;

    enter(&browser, &desk, &ana, "/calls").await;
    browser.reads("#calls", "No. 1").await;
    browser.press_button("Answer").await;
    browser.reads("#toasts", "Your phone rings. Pick it up.").await;
    assert_eq!(*desk.switchboard.asked.lock().unwrap(), [format!("answer {call} at extension:202")]);
    *desk.switchboard.waits.lock().unwrap() = Waiting::default();
    drop(presence);
    browser.reads("#calls", "Nobody waits for a person.").await;

    let now = desk.now();
    desk.write(move |tx| {
        let (actor, detail) = ("extension:201", serde_json::json!({ "dialled": "911" }));
        audit::append(tx, Entry { at: now, actor, action: emergencies::CALLED, subject: actor, detail })?;
        tx.announce(Event::Emergency);
        Ok(())
    })
    .await;
    browser.reads("#notices", "Front desk phone called 911 at 11:00 AM.").await;
    browser.press_button("I have seen it").await;
    browser.until("the notice is gone", "!document.querySelector('#notices .notice')").await;

    leaves_a_message(&desk, Caller::Anonymous).await;
    enter(&browser, &desk, &ana, "/voicemails").await;
    browser.reads("main", "not heard yet").await;
    browser.run("document.querySelector('audio').muted = true; return document.querySelector('audio').play()").await;
    browser.until("it plays", "document.querySelector('audio').currentTime > 0.1").await;
    let heard = async || ana.get("/voicemails").await.body.contains("first heard by ana");
    let told = async {
        while !heard().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("it is on record");
}
