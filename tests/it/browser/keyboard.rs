//! The front desk without a mouse.

use serde_json::Value;
use threadline::store::export::What;

use super::chromium::{Browser, turn};
use super::house::{House, PASSWORD};
use super::webdriver::{ARROW_DOWN, CONTROL, ENTER, ESCAPE, TAB};

const FIRST: &str = "+12125550142";
const SECOND: &str = "+12125550143";

#[tokio::test(flavor = "multi_thread")]
async fn a_morning_by_keyboard_alone() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "zoe", "Zoe Park", "front_desk", "front_desk").await;

    // Out, and in again: the cursor is where one begins to type.
    ana.run("document.querySelector('form[action=\"/sign-out\"] button').focus()").await;
    ana.keys(&[ENTER]).await;
    ana.arrives("/sign-in").await;
    ana.until("the cursor is in the name", "document.activeElement.id === 'name'").await;
    type_in(&ana, "zoe").await;
    ana.keys(&[TAB]).await;
    type_in(&ana, PASSWORD).await;
    ana.keys(&[ENTER]).await;
    ana.reads(".shell", "Zoe Park").await;

    let first = house.texts(FIRST, "When are you open?").await;
    ana.reads(&format!("#t-{first}"), "When are you open?").await;
    let second = house.texts(SECOND, "I would rather talk").await;
    ana.reads(&format!("#t-{second}"), "I would rather talk").await;

    // Down, down, up: who waits longest is first.
    for (key, thread) in [("j", &first), ("j", &second), ("k", &first)] {
        ana.keys(&[key]).await;
        ana.until("the next row has the focus", &format!("document.activeElement.id === 'open-{thread}'")).await;
        ana.until("it is seen to have it", "document.activeElement.matches(':focus-visible')").await;
    }
    ana.keys(&[ENTER]).await;
    ana.arrives(&format!("/threads/{first}")).await;

    // Into the box, a message by its name, off it goes.
    ana.keys(&["t"]).await;
    ana.reads("#side", "Give back").await;
    ana.keys(&["r"]).await;
    ana.until("the cursor is in the box", "document.activeElement.id === 'words'").await;
    type_in(&ana, "/call").await;
    ana.reads("#messages", "call us").await;
    ana.keys(&[ENTER]).await;
    ana.until("the message is in the box", "words.value.includes('easier by phone')").await;
    ana.chord(CONTROL, ENTER).await;
    ana.reads("#timeline", "easier by phone").await;
    ana.keys(&[ESCAPE, "c"]).await;
    ana.reads("#head", "Closed").await;

    // Back, and the other one is left.
    ana.keys(&["g", "i"]).await;
    ana.until("the inbox is open", "location.pathname === '/'").await;
    ana.keys(&["g", "u"]).await;
    ana.until("nobody's are listed", "location.search === '?view=unassigned'").await;
    ana.reads(&format!("#t-{second}"), "I would rather talk").await;
    ana.lacks(&format!("#t-{first}")).await;
    // By the palette as well.
    ana.chord(CONTROL, "k").await;
    ana.until("the palette is open", "palette.open").await;
    type_in(&ana, "closed").await;
    ana.keys(&[ENTER]).await;
    ana.until("what is closed is listed", "location.search === '?view=closed'").await;
    ana.reads(&format!("#t-{first} .wait"), "closed").await;

    let sent = house.clinic.rows(What::Messages);
    assert!(sent.iter().any(|row| row["to"] == FIRST && row["author"] == "zoe"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_by_tab_always_sees_where_they_are() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk,manager,admin", "front_desk").await;
    let thread = house.texts(FIRST, "When are you open?").await;
    for path in ["/", &format!("/threads/{thread}"), "/search", "/new", "/day", "/account", "/help", "/admin"] {
        ana.go(&house.url(path)).await;
        ana.until("the page is whole", "document.readyState === 'complete'").await;
        ana.run("window.scrollTo(0, 0); document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')").await;
        let mut places: Vec<String> = Vec::new();
        for _ in 0..120 {
            ana.keys(&[TAB]).await;
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

/// What has the focus, and whether it shows: it is drawn, on the screen, and marked, itself or around its row.
const WHERE: &str = "const at = document.activeElement;
    if (!at || at === document.body) return null;
    const box = at.getBoundingClientRect();
    const marks = ['', '::after'].map((part) => getComputedStyle(at, part));
    const marked = marks.some((style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
    const drawn = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const name = `${at.tagName} ${at.id} ${at.className} ${at.name ?? ''} ${at.textContent.trim().slice(0, 30)}`;
    return `${marked && drawn ? 'seen' : 'unseen'} ${marked} ${drawn} ${name} ${[...document.querySelectorAll('*')].indexOf(at)}`;";

/// Places that stand out of line, and keys that would do two things.
const ODD: &str = "const out = [...document.querySelectorAll('[tabindex]')].filter((one) => one.tabIndex > 0);
    const keys = [...document.querySelectorAll('[data-key]')].filter((one) => one.checkVisibility());
    const does = (one) => one.dataset.does + one.getAttribute('href');
    const twice = keys.filter((one) => keys.some((other) => other.dataset.key === one.dataset.key && does(other) !== does(one)));
    return [...out, ...twice].map((one) => one.outerHTML);";

async fn type_in(browser: &Browser, text: &str) {
    let letters: Vec<String> = text.chars().map(String::from).collect();
    browser.keys(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

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
    ana.chord(CONTROL, "k").await;
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
