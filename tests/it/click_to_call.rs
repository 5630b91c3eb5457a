//! A patient called from their thread, on a running daemon with real phones: once, by whom may, and not into a daemon that
//! stops.

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use threadline::model::PhoneNumber;
use threadline::store::export::What;

use super::clinic::PATIENT;
use super::http;
use super::inbox_calls::{Live, done};
use super::outward;
use super::phones::Talking;
use super::staff::both_hear;

/// The clinic's phones are those of another telephone system.
const PBX_TREE: &str = r#"start = "queue:front_desk"
[queue.front_desk]
ring = ["sip:reception@PBX"]
music = "hold"
give_up_after = "10m"
when_unanswered = "hangup"
"#;

fn call(live: &Live) -> String {
    format!("/threads/{}/call", live.thread)
}

/// Refused, in words that contain these.
async fn refused(live: &Live, words: &str) {
    let page = live.ana.post(&call(live), &[]).await;
    assert!(page.status == StatusCode::CONFLICT && page.body.contains(words), "{}: {}", page.status, page.body);
}

async fn hang_up(patient: &mut Talking, staff: &mut Talking) {
    patient.dialog.bye("").await;
    staff.ended().await;
    patient.ended().await;
}

async fn over(live: &Live, calls: usize) {
    let over =
        async || live.clinic.rows(What::Calls).iter().filter(|call| !call["ended_at"].is_null()).count() == calls;
    live.clinic.until("the call is over", over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_in_the_same_instant_place_one_call() {
    let mut live = Live::open().await;
    let mut mine = live.phone("202").await;
    let form = call(&live);
    let (one, other) = tokio::join!(live.ana.post(&form, &[]), live.ana.post(&form, &[]));
    let (taken, told) = if one.status == StatusCode::CONFLICT { (other, one) } else { (one, other) };
    done(taken).await;
    assert!(told.status == StatusCode::CONFLICT && told.body.contains("being called already"), "{}", told.body);
    let now = outward::now(&live.clinic, "own_rings").await;
    let seen = ["kind", "number", "with"].map(|name| now[name].as_str().unwrap_or_default());
    assert_eq!(seen, ["outbound", PATIENT, "extension:202"]);

    let mut staff = mine.answers().await;
    let mut patient = live.patient.answers().await;
    both_hear(&patient, &staff).await;
    refused(&live, "being called already").await;
    hang_up(&mut patient, &mut staff).await;
    over(&live, 1).await;

    // Once that is over they can be called again.
    let again = async || live.ana.post(&form, &[]).await.status == StatusCode::SEE_OTHER;
    live.clinic.until("they are called again", again).await;
    let mut staff = mine.answers().await;
    let mut patient = live.patient.answers().await;
    hang_up(&mut patient, &mut staff).await;
    over(&live, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_pick_up_their_own_phone_finds_it_in_the_thread_which_waits_as_before() {
    let live = Live::open().await;
    let mut mine = live.phone("202").await;
    done(live.ana.post(&call(&live), &[]).await).await;
    mine.rings().await.reject(486, "").await;
    let page = format!("/threads/{}", live.thread);
    let told =
        async || live.ana.get(&page).await.body.contains("Ana wanted to call and did not pick up their own phone");
    live.clinic.until("the timeline says so", told).await;
    let thread = live.clinic.rows(What::Threads).remove(0);
    assert!(thread["moved_to_voice"].is_null(), "{thread}");
    assert!(live.clinic.rows(What::Calls).is_empty(), "nobody was called");
    let asked = live.clinic.rows(What::Audit).into_iter().find(|row| row["action"] == "thread.own_phone_unanswered");
    let row = asked.unwrap();
    assert_eq!((&row["actor"], &row["detail"]["phone"]), (&"ana".into(), &"extension:202".into()), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_calls_from_a_thread_whom_it_may_dial_and_nobody_else() {
    let live = Live::open().await;
    let _phone = live.phone("201").await;
    let chosen = live.ana.post("/account/phone", &[("phone", "201")]).await;
    assert!(chosen.status.is_redirection(), "{}", chosen.body);
    refused(&live, "may_call").await;
    let asked = live.clinic.rows(What::Audit).into_iter().any(|row| row["action"] == "call.asked");
    assert!(!asked && live.clinic.rows(What::Calls).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_says_so_and_places_what_it_has_taken() {
    let mut live = Live::open().await;
    let mut mine = live.phone("202").await;
    done(live.ana.post(&call(&live), &[]).await).await;
    let rings = mine.rings().await;
    live.clinic.signal(Signal::SIGTERM);
    let url = format!("http://{}/healthz", live.clinic.web);
    let stops = async || http::get(&url).await.is_ok_and(|answer| answer.status() == 503);
    live.clinic.until("the daemon stops", stops).await;
    refused(&live, "about to restart").await;
    let mut staff = mine.pick_up(rings).await;
    let mut patient = live.patient.answers().await;
    both_hear(&patient, &staff).await;
    hang_up(&mut patient, &mut staff).await;
    live.clinic.until_ended().await;
    assert_eq!(live.clinic.rows(What::Calls)[0]["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_of_another_telephone_system_rings_first_as_well() {
    let mut live = Live::open_with(PBX_TREE, "sip:reception@PBX").await;
    let account = live.ana.get("/account").await.body;
    assert!(account.contains("value=\"sip:reception@") && account.contains(" selected"), "{account}");
    // Its own system may allow what it likes: from here it calls whom the clinic allows.
    refused(&live, "pbx_may_call").await;
    live.clinic.rewrite(&[("[rtp]\n", "[phones]\npbx_may_call = [\"+1212\"]\n[rtp]\n")]);
    live.clinic.signal(Signal::SIGHUP);
    let form = call(&live);
    let allowed = async || live.ana.post(&form, &[]).await.status == StatusCode::SEE_OTHER;
    live.clinic.until("it may call them", allowed).await;
    let rings = live.pbx.rings().await;
    assert_eq!((rings.dialled.as_str(), rings.from.number().map(PhoneNumber::as_str)), ("reception", Some(PATIENT)));
    let mut staff = live.pbx.pick_up(rings).await;
    let mut patient = live.patient.answers().await;
    both_hear(&patient, &staff).await;
    hang_up(&mut patient, &mut staff).await;
    over(&live, 1).await;
    let record = live.clinic.rows(What::Calls).remove(0);
    assert_eq!((&record["staff"], &record["outcome"]), (&"ana".into(), &"served".into()), "{record}");
}
