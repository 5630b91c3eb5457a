//! What is written to do harm, and what is left behind on a shared computer.

use std::time::Duration;

use serde_json::json;
use threadline::store::sessions::{self, NewSession};
use threadline::web::session;

use super::chromium::{Browser, turn};
use super::house::{House, enter};
use crate::desk::{Desk, Visitor};

const PATIENT: &str = "+12125550142";
const OTHER: &str = "+12125550143";
/// Runs if a page believes it.
const SCRIPT: &str = "<script>window.hit = 1</script><img src=x onerror=\"window.hit = 1\">\"'><b>bold";
/// Turns what stands after it around, and hides; a word without an end.
const CROOKED: &str = "\u{202e}\u{2066}\u{200b}\u{200f}abc\u{feff}مرحبا";

#[tokio::test(flavor = "multi_thread")]
async fn what_patients_and_colleagues_write_is_words_and_nothing_else() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk,manager", "front_desk").await;
    let thread = house.texts(PATIENT, SCRIPT).await;
    let page = house.url(&format!("/threads/{thread}"));

    ana.reads(&format!("#t-{thread}"), SCRIPT).await;
    ana.go(&page).await;
    ana.reads("#timeline", SCRIPT).await;
    ana.unfold("Add a person").await;
    ana.write("[id=name-new]", SCRIPT).await;
    ana.click("form[action$='/people'] button").await;
    ana.reads("#head", SCRIPT).await;
    harmless(&ana).await;
    for (path, place) in [("/?view=all", ".row"), ("/day", "main"), ("/admin/audit", "main")] {
        ana.go(&house.url(path)).await;
        ana.reads(place, "").await;
        harmless(&ana).await;
    }
    ana.go(&house.url("/search")).await;
    ana.write("#q", "hit").await;
    ana.click("#search button[type=submit]").await;
    ana.reads("#results", "window.").await;
    harmless(&ana).await;
    ana.click("#open-palette").await;
    ana.write("#palette-field", "script").await;
    ana.reads("#palette-list [role=option]", "<script>").await;
    harmless(&ana).await;
    let phone = Browser::open(&turn).await;
    phone.go(&house.url("/phone")).await;
    phone.write("#number", PATIENT).await;
    phone.press_button("Pick up").await;
    phone.reads("#texts", SCRIPT).await;
    harmless(&phone).await;
}

/// Nothing that was written became a part of the page, and nothing of it ran.
async fn harmless(browser: &Browser) {
    assert_eq!(browser.run("return window.hit ?? null").await, json!(null));
    assert_eq!(browser.run("return document.querySelectorAll('img, body b, script:not([src])').length").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_run_backwards_or_without_end_leave_the_rows_as_they_are() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let plain = house.texts(OTHER, "A plain text").await;
    let crooked = house.texts(PATIENT, &format!("{CROOKED} {}", "w".repeat(900))).await;
    ana.reads(&format!("#t-{crooked}"), "abc").await;
    for width in [320, 1280] {
        ana.resize(width, 800).await;
        let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        ana.until("the inbox is as wide as its screen", fits).await;
        let height = |thread: &str| format!("document.getElementById('t-{thread}').offsetHeight");
        let same = format!("{} < {} + 60", height(&crooked), height(&plain));
        ana.until("its row is about as high as another", &same).await;
        // What stands beside the words stays where it is, and reads forwards.
        let place = |thread: &str| format!("document.querySelector('#t-{thread} .wait').getBoundingClientRect()");
        let beside = format!("Math.abs({}.right - {}.right) < 2", place(&crooked), place(&plain));
        ana.until("the wait is where it belongs", &beside).await;
        ana.until(
            "it reads forwards",
            &format!("getComputedStyle(document.querySelector('#t-{crooked} .wait')).direction === 'ltr'"),
        )
        .await;
    }
    ana.go(&house.url(&format!("/threads/{crooked}"))).await;
    ana.reads("#timeline", "www").await;
    ana.resize(320, 800).await;
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    ana.until("the thread is as wide as its screen", fits).await;

    // A note without end is begun there. Whoever asks for the rest has it in its place, and goes on reading when more comes.
    ana.resize(1280, 800).await;
    ana.click("[name=kind][value=note]").await;
    ana.run_with("words.value = arguments[0]", json!([format!("{}the end of it", "on Monday ".repeat(100))])).await;
    ana.run("document.getElementById('answer').requestSubmit()").await;
    ana.reads("#timeline", "Read the whole note").await;
    assert_eq!(ana.run("return document.body.innerText.includes('the end of it')").await, false);
    ana.unfold("Read the whole note").await;
    ana.reads("#timeline details.whole", "the end of it").await;
    house.texts(PATIENT, "And one more").await;
    ana.reads("#timeline", "And one more").await;
    ana.reads("#timeline details.whole", "the end of it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_somebody_writes_keeps_their_words() {
    let Some(turn) = turn().await else { return };
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    desk.nobody().post("/phone", &[("number", PATIENT), ("body", "Can I come at nine?")]).await;
    let list = ana.get("/?view=all").await.body;
    let thread = list.split_once("id=\"t-").unwrap().1[..36].to_owned();
    let path = format!("/threads/{thread}");

    let browser = Browser::open(&turn).await;
    enter(&browser, &desk, &ana, &path).await;
    browser.until("the end of a session can be told", "document.getElementById('idle-ended') !== null").await;
    browser.write("#words", "Yes, at nine, ").await;
    let kept = async || ana.get(&path).await.body.contains("Yes, at nine, </textarea>");
    while !kept().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Nobody is there for longer than a session lasts; the next letters find it over.
    let over = (desk.web.files)().settings.desk.sign_out_after + Duration::from_secs(1);
    desk.clock.advance(over);
    browser.write("#words", "and bring your card").await;
    browser.until("the page is covered", "document.getElementById('idle-ended')?.checkVisibility()").await;
    browser.until("nobody reads it", "document.body.classList.contains('covered')").await;
    assert_eq!(browser.run("return words.value").await, "Yes, at nine, and bring your card");

    // Signed in again elsewhere, they go on where they were; and after a reload what was saved is there.
    let again = sign_in_again(&desk, "ana").await;
    let there = browser.cdp("Network.getCookies", json!({})).await;
    assert!(there.to_string().contains(session::COOKIE), "{there}");
    let (name, value) = again.cookie.as_deref().and_then(|cookie| cookie.split_once('=')).unwrap();
    let url = format!("http://localhost:{}/", desk.address.port());
    let cookie = json!({ "name": name, "value": value, "url": url, "path": "/", "secure": true, "httpOnly": true });
    browser.cdp("Network.setCookie", cookie).await;
    browser.click("#idle-on").await;
    browser.until("the page is not covered any more", "!document.body.classList.contains('covered')").await;
    assert_eq!(browser.run("return words.value").await, "Yes, at nine, and bring your card");
    browser.write("#words", ". Ana").await;
    browser.until("one can go on writing", "words.value === 'Yes, at nine, and bring your card. Ana'").await;
    browser.press_button("Send").await;
    browser.reads("#timeline", "Yes, at nine, and bring your card. Ana").await;
    // The page hears of what happens, as before.
    desk.nobody().post("/phone", &[("number", PATIENT), ("body", "Thank you")]).await;
    browser.reads("#timeline", "Thank you").await;
}

/// Somebody who was signed in before gets another session.
async fn sign_in_again(desk: &Desk, name: &str) -> Visitor {
    let secret = format!("another-secret-of-{name}");
    let session = NewSession {
        id: session::id_of(&secret),
        staff: name.parse().unwrap(),
        address: "127.0.0.1".into(),
        device: "test".into(),
        at: desk.now(),
    };
    desk.write(move |tx| sessions::start(tx, &session)).await;
    Visitor { cookie: Some(format!("{}={secret}", session::COOKIE)), ..desk.nobody() }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_signing_out_the_way_back_shows_nothing() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let thread = house.texts(PATIENT, "My knee is swollen").await;
    ana.go(&house.url(&format!("/threads/{thread}"))).await;
    ana.reads("#timeline", "My knee is swollen").await;
    ana.press_button("Sign out").await;
    ana.arrives("/sign-in").await;
    for _ in 0..2 {
        ana.back().await;
        ana.arrives("/sign-in").await;
        let seen = ana.run("return document.documentElement.outerHTML.includes('swollen')").await;
        assert_eq!(seen, false);
    }
    assert!(!ana.url().await.contains(PATIENT));
}
