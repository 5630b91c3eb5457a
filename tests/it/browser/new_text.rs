//! A text to somebody who has not written: the same box as in a thread.

use super::chromium::{Browser, turn};
use super::hand::type_in;
use super::house::enter;
use super::webdriver::{CONTROL, ENTER, ESCAPE};
use crate::desk::Desk;

const PATIENT: &str = "+12125550142";
const OTHER: &str = "+12125550143";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_text_has_messages_at_a_slash_a_draft_that_survives_and_a_later_time() {
    let Some(turn) = turn().await else { return };
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let browser = Browser::open(&turn).await;
    enter(&browser, &desk, &ana, "/new").await;
    let write_to = async |number: &str| {
        browser.go(&format!("http://localhost:{}/new", desk.address.port())).await;
        browser.write("#to", number).await;
        browser.keys(&[ENTER]).await;
        browser.arrives("/new/").await;
        browser.click("[name=agreed]").await;
        browser.press_button("Record consent").await;
        browser.until("one can write", "document.activeElement?.id === 'words'").await;
    };

    // Two messages, each where one types; nothing that was written is lost.
    write_to(PATIENT).await;
    type_in(&browser, "Good day. /confirmed").await;
    browser.reads("#messages", "appointment confirmed (es)").await;
    browser.keys(&[ENTER]).await;
    let first = "Good day. Riverside Therapy: your appointment is confirmed. Write here if you need to change it.";
    browser.until("the first is in the box", &format!("words.value === '{first}'")).await;
    type_in(&browser, " /call").await;
    browser.reads("#messages", "call us").await;
    browser.keys(&[ENTER]).await;
    browser
        .until(
            "the second is behind it",
            &format!("words.value.startsWith('{first} Riverside Therapy: this is easier')"),
        )
        .await;
    browser.reads("#count", "2 texts").await;
    type_in(&browser, " Sí").await;
    browser.reads("#count", "“í” makes it more expensive").await;

    // It is there when one comes back by its address, in which nothing of the patient stands.
    let path = ana.post("/new", &[("to", PATIENT)]).await.location().to_owned();
    let there = format!("http://localhost:{}{path}", desk.address.port());
    while !ana.get(&path).await.body.contains("Sí</textarea>") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    browser.go(&there).await;
    browser
        .until("the draft is there", &format!("words.value.startsWith('{first}') && words.value.endsWith(' Sí')"))
        .await;
    // One goes on behind it, also by the key of the box.
    type_in(&browser, " Ana").await;
    browser.keys(&[ESCAPE, "r", "!"]).await;
    browser.until("nothing was lost", "words.value.endsWith(' Sí Ana!')").await;
    assert!(!browser.url().await.contains("555"));
    let kept = "return JSON.stringify([localStorage, sessionStorage]).includes('Riverside')";
    assert_eq!(browser.run(kept).await, false);

    // Tomorrow.
    browser.unfold("Send later").await;
    browser.run("send_at.value = '2026-11-03T08:00'").await;
    browser.press_button("Schedule").await;
    browser.arrives("/threads/").await;
    browser.reads("#timeline", "goes Nov 3, 8:00 AM").await;
    assert_eq!(browser.run("return words.value").await, "", "what was sent is no draft");

    // At once, by keys; and taken back.
    write_to(OTHER).await;
    type_in(&browser, "Are you well?").await;
    browser.chord(CONTROL, &[ENTER]).await;
    browser.arrives("/threads/").await;
    browser.press_button("Undo").await;
    browser.until("the words are in the box again", "words.value === 'Are you well?'").await;
}
