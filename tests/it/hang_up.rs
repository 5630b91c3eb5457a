//! Calls of two legs that end: by either side, or because one of them is silently gone.

use std::time::Duration;

use threadline::model::Codec;
use threadline::store::export::What;
use tokio::time::Instant;

use super::staff::{House, both_hear};

/// Rings at once, without a word before.
const TREE: &str = r#"start = "ring:desk"
[ring.desk]
ring = ["extension:201"]
give_up_after = "5m"
"#;
/// So often the patient hangs up, and so often the phone of the clinic: it must have spoken for a while.
const TIMES: [usize; 2] = [6, 3];
/// Whoever has picked up and hangs up sooner has served nobody.
const BRIEF: Duration = Duration::from_secs(2);

async fn open(changes: &[(&str, &str)]) -> House {
    let mut house = House::closed(TREE).await;
    house.clinic.rewrite(changes);
    house.clinic.start().await;
    house
}

/// Prints how long the one leg outlives the other: from the BYE at one telephone to the BYE at the other.
#[tokio::test(flavor = "multi_thread")]
async fn either_side_that_hangs_up_ends_the_other() {
    let house = open(&[]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let served = || house.clinic.rows(What::Calls).iter().filter(|call| call["outcome"] == "served").count();
    let mut took = Vec::new();
    for side in [0, 1].into_iter().flat_map(|side| [side].repeat(TIMES[side])) {
        let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
        let mut staff = desk.answers().await;
        let answered = Instant::now();
        both_hear(&patient, &staff).await;
        if side == 1 {
            tokio::time::sleep_until(answered + BRIEF + Duration::from_millis(100)).await;
        }
        let (first, second) = if side == 0 { (&mut patient, &mut staff) } else { (&mut staff, &mut patient) };
        let since = Instant::now();
        first.dialog.bye("").await;
        second.ended().await;
        took.push(since.elapsed());
        first.ended().await;
        // Until then the phone counts as on a call, and is not rung.
        house.clinic.until("the call is over", async || served() == took.len()).await;
    }
    let by_staff = house.clinic.rows(What::Calls).iter().filter(|call| call["ended_by"] == "staff").count();
    assert_eq!(by_staff, TIMES[1]);
    took.sort();
    let worst = took[took.len() - 1];
    println!("{} hang-ups: the other side after {:?} p50, {worst:?} p99", took.len(), took[took.len() / 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_hung_up_on_at_once_is_rung_for_again() {
    let house = open(&[]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, patient) = house.patient(&[Codec::Pcmu]).await;
    let mut slipped = desk.answers().await;
    slipped.dialog.bye("").await;
    slipped.ended().await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    staff.ended().await;
    let call = house.record().await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"served".into(), &"caller".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_falls_silent_ends_the_call_with_the_cause() {
    let house = open(&[("ports = \"40000-49999\"", "ports = \"40000-49999\"\nsilence = \"5s\"")]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    desk.media.stop();
    tokio::join!(patient.ended(), staff.ended());
    let call = house.record().await;
    let ended = (&call["outcome"], &call["ended_by"], &call["cause"]);
    assert_eq!(ended, (&"served".into(), &"network".into(), &"rtp_timeout".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_falls_silent_ends_the_call_with_the_cause() {
    let house = open(&[("ports = \"40000-49999\"", "ports = \"40000-49999\"\nsilence = \"5s\"")]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    phone.media.stop();
    tokio::join!(patient.ended(), staff.ended());
    let call = house.record().await;
    let ended = (&call["outcome"], &call["ended_by"], &call["cause"]);
    assert_eq!(ended, (&"served".into(), &"network".into(), &"rtp_timeout".into()), "{call}");
}

/// The shortest session timer that the standard allows is 90 s, refreshed at half of it (RFC 4028): this takes a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_answers_no_refresh_ends_the_call_with_the_cause() {
    let house = open(&[("[sip]\n", "[sip]\nsession_expires = \"90s\"\nt1 = \"50ms\"\n")]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    // Its audio goes on; its signalling is gone.
    desk.endpoint.close().await;
    tokio::time::timeout(Duration::from_secs(200), patient.ended()).await.expect("the call ends");
    let call = house.record().await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"served".into(), &"network".into()), "{call}");
    println!("the cause on record: {}", call["cause"]);
}
