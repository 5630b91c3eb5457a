//! Calls back whose patient is on the phone with the clinic already, or who are handed on to somebody else as they are made.

use threadline::daemon::control;
use threadline::model::Codec;
use threadline::store::export::What;

use super::line::{Desk, FIRST, SECOND, TREE, hang_up};
use super::phones::{Talking, Telephone};
use super::staff::{both_hear, password, press};

/// How many wait for a person, on the phone or to be called back.
async fn waiting(desk: &Desk) -> u64 {
    let answer = control::ask(&desk.house.clinic.store, "calls").await.unwrap();
    serde_json::from_str::<serde_json::Value>(&answer).unwrap()["waiting"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_the_phone_is_not_behind_their_own_call_back_and_has_their_place_again_afterwards() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    let (_a, mut second) = desk.waits(SECOND, 2).await;
    // They call again: the first in line is whoever came before them, their call back is not.
    let (_b, mut first) = desk.waits(FIRST, 2).await;
    desk.has_place(SECOND, 1).await;
    first.dialog.bye("").await;
    first.ended().await;
    let gone = async || desk.on_the_phone(FIRST).await.is_null();
    desk.house.clinic.until("they have hung up", gone).await;
    desk.house.clinic.until("the call back waits", async || waiting(&desk).await == 2).await;
    desk.has_place(SECOND, 2).await;
    hang_up(&mut patient, &mut staff).await;
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, FIRST);
    let mut called = desk.outside.answers().await;
    both_hear(&called, &staff).await;
    desk.callback_is("done", 1).await;
    hang_up(&mut called, &mut staff).await;
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, SECOND);
    hang_up(&mut second, &mut staff).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_whom_somebody_calls_is_called_back_after_that_and_not_if_they_have_spoken() {
    let mut desk = Desk::open_with(&TREE.replace("extension:201", "extension:202")).await;
    let mut lab = desk.house.extension("202", &[Codec::Pcmu]).await;
    let (_telephone, mut caller) = desk.house.caller(FIRST, &[Codec::Pcmu]).await;
    let mut rings = lab.rings().await;
    press(&caller, '3');
    caller.ended().await;
    rings.cancelled().await;

    let (password, uri) = (password("201"), desk.house.uri(FIRST));
    let mut back = lab.rings().await;
    let answering = async {
        let out = desk.outside.rings().await;
        // Nobody rings for a call back any more.
        back.cancelled().await;
        out.reject(486, "").await;
    };
    let (near, ()) = tokio::join!(desk.phone.dial_as("201", &password, &uri), answering);
    assert_eq!(near.err(), Some(486));

    let mut back = lab.rings().await;
    desk.callback_is("waiting", 0).await;
    let answering = async {
        let called = desk.outside.answers().await;
        back.cancelled().await;
        called
    };
    let (near, mut called) = tokio::join!(desk.phone.dial_as("201", &password, &uri), answering);
    let mut near = near.unwrap();
    both_hear(&called, &near).await;
    desk.callback_is("done", 0).await;
    hang_up(&mut called, &mut near).await;
    desk.called(1).await;
    let calls = desk.house.clinic.rows(What::Calls);
    let out: Vec<_> = calls.iter().filter(|call| call["direction"] == "outbound").collect();
    assert!(
        out.len() == 2 && out.iter().all(|call| call["extension"] == "201" && call["path"][0].is_null()),
        "{out:?}"
    );
}

/// 201, which makes a call back, speaks with the lab in a second call.
async fn consult(desk: &Desk, lab: &mut Telephone) -> (Talking, Talking) {
    let (password, uri) = (password("201"), desk.house.uri("203"));
    let (near, far) = tokio::join!(desk.phone.dial_as("201", &password, &uri), lab.answers());
    let near = near.unwrap();
    both_hear(&near, &far).await;
    (near, far)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_picks_up_for_whom_the_call_back_was_handed_on_to_was_called_back() {
    let mut desk = Desk::open().await;
    let mut lab = desk.house.extension("203", &[Codec::Pcmu]).await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    desk.book(SECOND, 2).await;
    hang_up(&mut patient, &mut staff).await;

    // While their phone rings: it rings for the lab, and no more for who has called them.
    let (_, mut staff) = desk.next().await;
    let mut rings = desk.outside.rings().await;
    let (mut near, mut far) = consult(&desk, &mut lab).await;
    let uri = desk.house.uri(FIRST);
    let handing_on = near.dialog.refer_replacing(&uri, staff.dialog.identity());
    let picking_up = async {
        rings.cancelled().await;
        desk.outside.answers().await
    };
    let (handed_on, mut called) = tokio::join!(handing_on, picking_up);
    handed_on.unwrap();
    near.ended().await;
    staff.ended().await;
    both_hear(&called, &far).await;
    hang_up(&mut called, &mut far).await;
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["cause"]), (&"served".into(), &"transferred".into()), "{call}");

    // While they speak.
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, SECOND);
    let mut called = desk.outside.answers().await;
    both_hear(&called, &staff).await;
    let (mut near, mut far) = consult(&desk, &mut lab).await;
    near.dialog.refer_replacing(&desk.house.uri(SECOND), staff.dialog.identity()).await.unwrap();
    near.ended().await;
    staff.ended().await;
    both_hear(&called, &far).await;
    hang_up(&mut called, &mut far).await;
    let call = desk.called(1).await;
    assert_eq!((&call["outcome"], &call["cause"]), (&"served".into(), &"transferred".into()), "{call}");
    assert_eq!(desk.states(), ["done", "done"]);
    let threads = desk.house.clinic.rows(What::Threads);
    assert!(threads.iter().all(|thread| !thread["moved_to_voice"].is_null()), "{threads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_does_not_pick_up_for_whom_it_was_handed_on_to_is_called_once_more() {
    let mut desk = Desk::open().await;
    let mut lab = desk.house.extension("203", &[Codec::Pcmu]).await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    let (_, mut staff) = desk.next().await;
    let mut rings = desk.outside.rings().await;
    let (mut near, mut far) = consult(&desk, &mut lab).await;
    let uri = desk.house.uri(FIRST);
    let handing_on = near.dialog.refer_replacing(&uri, staff.dialog.identity());
    let refusing = async {
        rings.cancelled().await;
        let again = desk.outside.rings().await;
        // Nothing is decided while it rings.
        assert_eq!(desk.callback(), ("ringing".to_owned(), 1));
        again.reject(486, "").await;
    };
    let (handed_on, ()) = tokio::join!(handing_on, refusing);
    assert!(handed_on.is_err());
    staff.ended().await;
    desk.callback_is("waiting", 1).await;
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["cause"]), (&"missed".into(), &"transferred".into()), "{call}");
    // The two colleagues still have each other.
    both_hear(&near, &far).await;
    hang_up(&mut near, &mut far).await;
}
