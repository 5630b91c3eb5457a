//! Parties whom the phone tree or a phone connects to a number out in the world: seen while it goes on, and on record with
//! the trunk that carries it and with who has sent them there.

use serde_json::{Value, json};
use threadline::daemon::control;
use threadline::model::Codec;
use threadline::store::export::What;

use super::staff::{House, both_hear, password, press};
use super::transfers::with_trunk;

const OUTSIDE: &str = "+16462530142";

/// The only call in progress, once somebody out in the world is on it.
async fn now(house: &House) -> Value {
    let mut call = Value::Null;
    let there = async || {
        let answer = control::ask(&house.clinic.store, "calls").await.unwrap();
        let all: Value = serde_json::from_str(&answer).unwrap();
        call = all["calls"][0].clone();
        call["with"] == OUTSIDE
    };
    house.clinic.until("somebody outside is on the phone", there).await;
    call
}

/// Who has sent whom where, as the audit chain says.
fn deeds(house: &House) -> Vec<Value> {
    let rows = house.clinic.rows(What::Audit).into_iter().filter(|row| row["action"] == "call.sent_out");
    rows.map(|row| json!([row["actor"], row["detail"]["to"], row["detail"]["trunk"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_the_tree_connects_outside() {
    let (house, mut outside) = with_trunk("60s").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '1');
    // The caller's own trunk does not do it.
    let (_, reply) = patient.referred().await;
    reply.refuse(603).await;
    let mut far = outside.answers().await;
    both_hear(&patient, &far).await;
    let call = now(&house).await;
    assert_eq!((&call["kind"], &call["with_trunk"]), (&"inbound".into(), &"test".into()), "{call}");
    patient.dialog.bye("").await;
    patient.ended().await;
    far.ended().await;
    let call = house.record().await;
    assert_eq!(call["legs_out"], json!([{ "to": OUTSIDE, "trunk": "test", "by": null }]), "{call}");
    assert!(deeds(&house).is_empty(), "nobody has done it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_a_phone_sends_outside() {
    let (house, mut outside) = with_trunk("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let uri = house.uri(OUTSIDE);
    let (referred, mut far) = tokio::join!(staff.dialog.refer(&uri), outside.answers());
    referred.unwrap();
    staff.ended().await;
    both_hear(&patient, &far).await;
    assert_eq!(now(&house).await["with_trunk"], "test");
    patient.dialog.bye("").await;
    patient.ended().await;
    far.ended().await;
    let call = house.record().await;
    assert_eq!(call["legs_out"], json!([{ "to": OUTSIDE, "trunk": "test", "by": "extension:201" }]), "{call}");
    assert_eq!(deeds(&house), [json!(["extension:201", OUTSIDE, "test"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_whom_a_phone_sends_outside() {
    let (house, mut outside) = with_trunk("60s").await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (password, to_lab, uri) = (password("201"), house.uri("203"), house.uri(OUTSIDE));
    let (near, colleague) = tokio::join!(desk.dial_as("201", &password, &to_lab), lab.answers());
    let (mut near, mut colleague) = (near.unwrap(), colleague);
    both_hear(&near, &colleague).await;
    let (referred, mut far) = tokio::join!(near.dialog.refer(&uri), outside.answers());
    referred.unwrap();
    near.ended().await;
    both_hear(&colleague, &far).await;
    let call = now(&house).await;
    let seen = ["kind", "number", "with", "with_trunk"].map(|name| call[name].as_str().unwrap_or_default());
    assert_eq!(seen, ["outbound", "extension:203", OUTSIDE, "test"]);
    far.dialog.bye("").await;
    colleague.ended().await;
    far.ended().await;
    // A call in the house has no row of its own; whoever has sent the other outside is on record all the same.
    let known = async || deeds(&house) == [json!(["extension:201", OUTSIDE, "test"])];
    house.clinic.until("it is on record", known).await;
    assert!(house.clinic.rows(What::Calls).is_empty());
}
