//! A morning at the front desk: Ana at the desk, Ben for the clinical team, a patient with a phone.

use threadline::store::export::What;

use super::chromium::{Browser, turn};
use super::hand::Hand;
use super::house::{House, PASSWORD};
use super::webdriver::ENTER;

const CALLER: &str = "+12125550142";
const STOPPER: &str = "+12125550143";
const WORRIED: &str = "+12125550144";
const TALKER: &str = "+12125550145";

#[tokio::test(flavor = "multi_thread")]
async fn a_morning_from_the_first_call_to_the_empty_queue() {
    morning(Hand::Mouse, Hand::Mouse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_morning_without_a_mouse() {
    morning(Hand::Keys, Hand::Tab).await;
}

/// What Ana and Ben each have in their hand.
async fn morning(anas: Hand, bens: Hand) {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.seat(&turn, anas, ["ana", "Ana López", "front_desk", "front_desk"]).await;
    let ben = house.seat(&turn, bens, ["ben", "Ben Carter", "clinical,manager", "clinical"]).await;
    ana.reads(".empty", "Nobody is without somebody").await;
    ben.views("all").await;
    ben.reads(".empty", "The whole clinic is caught up").await;

    // A call becomes a thread, and nobody has to reload to see it.
    house.calls_and_presses_one(CALLER).await;
    let thread = house.thread_of(CALLER);
    ana.reads(&format!("#t-{thread}"), "general").await;
    ben.reads(&format!("#t-{thread}"), "general").await;

    // Ana looks, takes it and answers with a message; Ben sees each.
    ana.opens("unassigned", &thread).await;
    ben.reads(&format!("#t-{thread} .presence"), "Ana López is looking").await;
    ana.presses("Take it").await;
    ana.reads("#side", "Give back").await;
    ben.reads(&format!("#t-{thread}"), "Ana López").await;
    ana.writes("#words", "/confirmed").await;
    ana.reads("#messages", "appointment confirmed").await;
    ana.keys(&[ENTER]).await;
    ana.until("the message is in the box", "words.value.includes('your appointment is confirmed')").await;
    ben.reads(&format!("#t-{thread} .presence"), "Ana López is typing").await;
    ana.sends().await;
    ana.reads("#timeline", "your appointment is confirmed").await;
    ben.reads(&format!("#t-{thread} .said"), "Ana López: Riverside Therapy: your appointment is confirmed").await;

    // The patient reads it and answers; it appears before Ana by itself.
    let phone = Browser::open(&turn).await;
    pick_up(&phone, &house, CALLER).await;
    phone.reads("#texts", "your appointment is confirmed").await;
    phone.write("#body", "Thank you, see you then").await;
    phone.keys(&[ENTER]).await;
    ana.reads("#timeline", "see you then").await;
    ben.reads(&format!("#t-{thread} .said"), "see you then").await;

    // Somebody says STOP while Ana writes to them.
    pick_up(&phone, &house, STOPPER).await;
    say(&phone, "Who is this?").await;
    let stopper = house.thread_of(STOPPER);
    ana.opens("unassigned", &stopper).await;
    ana.writes("#words", "We are your clinic").await;
    say(&phone, "STOP").await;
    ana.reads("#timeline", "STOP").await;
    ana.sends().await;
    ana.reads("#compose .notice", "opted out").await;
    ana.until("what Ana wrote is kept", "words.value === 'We are your clinic'").await;
    assert!(house.answers_to(STOPPER).is_empty(), "{:?}", house.answers_to(STOPPER));

    // One is for the clinical staff, with what they must know; it is in Ben's list.
    ben.views("team").await;
    ben.reads(".empty", "Your team has no open threads").await;
    let worried = house.texts(WORRIED, "Is the new dose right?").await;
    ana.opens("unassigned", &worried).await;
    ana.unfolds("Hand to clinical staff").await;
    ana.writes("#escalate_why", "Asks about a dose").await;
    ana.presses("Hand over").await;
    ben.reads(&format!("#t-{worried}"), "Escalated").await;
    ben.opens("team", &worried).await;
    ben.reads("#timeline", "Asks about a dose").await;

    // One is better spoken about.
    let talker = house.texts(TALKER, "Please call me").await;
    ana.opens("unassigned", &talker).await;
    ana.presses("Moved to the phone").await;
    ana.reads("#timeline", "phone").await;
    ana.lacks("[action$='/voice']").await;
    ana.presses("Close").await;
    ana.reads("#head", "Closed").await;

    // In the rest somebody has written last: each is closed by a look at it, and the clinic is caught up.
    for thread in [&thread, &stopper, &worried] {
        ben.opens("all", thread).await;
        ben.presses("Close").await;
        ben.reads("#head", "Closed").await;
    }
    for view in ["mine", "unassigned", "team", "all"] {
        ben.views(view).await;
        ben.lacks(".row").await;
        ben.lacks(".tabs .count").await;
    }
    ben.views("closed").await;
    for thread in [&thread, &stopper, &worried, &talker] {
        ben.reads(&format!("#t-{thread}"), "losed").await;
    }

    // They go, and whoever comes back signs in as every day.
    for seat in [&ana, &ben] {
        seat.presses("Sign out").await;
        seat.arrives("/sign-in").await;
    }
    ana.writes("#name", "ana").await;
    ana.writes("#password", PASSWORD).await;
    ana.keys(&[ENTER]).await;
    ana.reads(".shell", "Ana López").await;
    for (seat, hand) in [(&ana, anas), (&ben, bens)] {
        assert_eq!(seat.used_the_pointer().await, hand == Hand::Mouse);
    }

    let threads = house.clinic.rows(What::Threads);
    assert!(threads.len() == 4 && threads.iter().all(|thread| thread["state"] == "closed"), "{threads:?}");
    assert!(threads.iter().any(|row| row["id"] == talker.as_str() && !row["moved_to_voice"].is_null()), "{threads:?}");
    let audit = house.clinic.rows(What::Audit);
    for (actor, action) in [("ana", "thread.viewed"), ("ben", "thread.viewed"), ("ana", "thread.escalated")] {
        assert!(
            audit.iter().any(|row| row["actor"] == actor && row["action"] == action),
            "{actor} {action}: {audit:?}"
        );
    }
}

async fn pick_up(phone: &Browser, house: &House, number: &str) {
    phone.go(&house.url("/phone")).await;
    phone.write("#number", number).await;
    phone.press_button("Pick up").await;
    phone.reads(".phone", "Riverside Therapy").await;
    phone
        .until("the phone is theirs", &format!("document.querySelector('#answer [name=number]')?.value === '{number}'"))
        .await;
}

async fn say(phone: &Browser, words: &str) {
    phone.write("#body", words).await;
    phone.keys(&[ENTER]).await;
    phone.reads("#texts .own", words).await;
}
