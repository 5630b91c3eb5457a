//! The front desk without a mouse.

use serde_json::Value;

use super::chromium::turn;
use super::hand::{Hand, WHERE, type_in};
use super::house::House;
use super::webdriver::{ARROW_DOWN, CONTROL, ENTER, ESCAPE, TAB};

const FIRST: &str = "+12125550142";
const SECOND: &str = "+12125550143";

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_gone_through_by_keys_and_by_the_palette() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.seat(&turn, Hand::Keys, ["ana", "Ana López", "front_desk", "front_desk"]).await;
    let first = house.texts(FIRST, "When are you open?").await;
    ana.reads(&format!("#t-{first}"), "When are you open?").await;
    let second = house.texts(SECOND, "I would rather talk").await;
    ana.reads(&format!("#t-{second}"), "I would rather talk").await;

    // Down, down, up: who waits longest is first.
    for (key, thread) in [("j", &first), ("j", &second), ("k", &first)] {
        ana.keys(&[key]).await;
        ana.until("the next row has the focus", &format!("document.activeElement.id === 'open-{thread}'")).await;
        ana.shows_where().await;
    }
    ana.keys(&[ENTER]).await;
    ana.arrives(&format!("/threads/{first}")).await;
    ana.keys(&["c"]).await;
    ana.reads("#head", "Closed").await;

    // What is closed, by the palette.
    ana.chord(CONTROL, &["k"]).await;
    ana.until("the palette is open", "palette.open").await;
    type_in(&ana, "inbox").await;
    ana.keys(&[ENTER]).await;
    ana.until("the inbox is open", "location.pathname === '/' && document.readyState === 'complete'").await;
    ana.chord(CONTROL, &["k"]).await;
    ana.until("the palette is open", "palette.open").await;
    type_in(&ana, "closed").await;
    ana.keys(&[ENTER]).await;
    ana.until("what is closed is listed", "location.search === '?view=closed'").await;
    ana.reads(&format!("#t-{first} .wait"), "closed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_done_something_by_keys_still_sees_where_they_are() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.seat(&turn, Hand::Tab, ["ana", "Ana López", "front_desk", "front_desk"]).await;
    let thread = house.texts(FIRST, "When are you open?").await;
    ana.opens("unassigned", &thread).await;
    let stands = async |css: &str| {
        let there = format!("document.activeElement.matches({})", serde_json::json!(css));
        ana.until(&format!("the focus is on {css}"), &there).await;
        ana.shows_where().await;
    };

    // The button is gone: they stand where it was, and the next Tab goes on from there.
    ana.presses("Take it").await;
    ana.reads("#side", "Give back").await;
    stands("#work").await;
    ana.keys(&[TAB]).await;
    stands("form[action$='/release'] button").await;
    // It is there as before: they stay on it, also when somebody writes meanwhile.
    house.texts(FIRST, "And on Friday?").await;
    ana.reads("#timeline", "And on Friday?").await;
    stands("form[action$='/release'] button").await;
    // A form that is sent from its field.
    ana.unfolds("Assign").await;
    ana.writes("#tag", "insurance").await;
    ana.keys(&[ENTER]).await;
    ana.reads("#side .tag", "insurance").await;
    stands("#work").await;
}

/// Goes to what Tab reaches first.
const FIRST_PLACE: &str = "const places = 'a[href], button, input, select, textarea, summary, [tabindex=\"0\"]';
    window.scrollTo(0, 0);
    [...document.querySelectorAll(places)].find((one) => !one.disabled && one.checkVisibility()).focus();";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_by_tab_always_sees_where_they_are() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk,manager,admin", "front_desk").await;
    let thread = house.texts(FIRST, "When are you open?").await;
    for path in ["/", &format!("/threads/{thread}"), "/search", "/new", "/day", "/account", "/help", "/admin"] {
        ana.go(&house.url(path)).await;
        ana.until("the page is whole", "document.readyState === 'complete'").await;
        // From the first place on: where Tab begins on a page that has just come is the browser's own affair.
        ana.run(FIRST_PLACE).await;
        let mut places: Vec<String> = Vec::new();
        for at in 0..120 {
            if at > 0 {
                ana.keys(&[TAB]).await;
            }
            let Value::String(place) = ana.run(WHERE).await else { break };
            assert!(!place.starts_with("unseen"), "{path}: {place}");
            if places.first() == Some(&place) {
                break;
            }
            places.push(place);
        }
        assert!(places.len() > 5, "{path}: {places:?}");
        assert!(places[0].contains("skip"), "{path}: {places:?}");
        assert_eq!(ana.run(ODD).await, serde_json::json!([]), "{path}");
    }
}

/// Places that stand out of line, and keys that would do two things.
const ODD: &str = "const out = [...document.querySelectorAll('[tabindex]')].filter((one) => one.tabIndex > 0);
    const keys = [...document.querySelectorAll('[data-key]')].filter((one) => one.checkVisibility());
    const does = (one) => one.dataset.does + one.getAttribute('href');
    const twice = keys.filter((one) => keys.some((other) => other.dataset.key === one.dataset.key && does(other) !== does(one)));
    return [...out, ...twice].map((one) => one.outerHTML);";

/// Also what lies in a folded part of the page: its key opens it, and one goes on writing.
#[tokio::test(flavor = "multi_thread")]
async fn every_deed_in_a_thread_has_its_keys() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let thread = house.texts(FIRST, "Can I come at nine?").await;
    ana.go(&house.url(&format!("/threads/{thread}"))).await;
    for (keys, field) in [
        (&["i", "g"][..], "tag"),
        (&["i", "t"], "team"),
        (&["i", "r"], "reason"),
        (&["i", "c"], "resolution"),
        (&["i", "l"], "send_at"),
        (&["i", "m"], "into|merge_number"),
        (&["i", "o"], "opt_out_why|grant_words"),
        (&["a"], "to"),
        (&["e"], "escalate_why"),
        (&["f"], "follow_up_at"),
        (&["p"], "name-new"),
        (&["r"], "words"),
    ] {
        ana.keys(keys).await;
        let there = format!("/^({field})$/.test(document.activeElement.id)");
        ana.until(&format!("{keys:?} leads to {field}"), &there).await;
        ana.keys(&[ESCAPE]).await;
    }
    // A message from the palette goes into the answer.
    ana.chord(CONTROL, &["k"]).await;
    ana.until("the palette is open", "palette.open").await;
    type_in(&ana, "confirmed").await;
    ana.until("it offers the message", "document.querySelector('#palette [data-template=appointment_confirmed]')")
        .await;
    for _ in 0..20 {
        if ana
            .run("return palette.querySelector('[aria-selected=true]').dataset.template === 'appointment_confirmed'")
            .await
            == Value::Bool(true)
        {
            break;
        }
        ana.keys(&[ARROW_DOWN]).await;
    }
    ana.keys(&[ENTER]).await;
    ana.until("it is in the answer", "words.value.includes('your appointment is confirmed')").await;
}
