//! Callers who are handed on: by the trunk itself, by the box, in vain; and encrypted audio on one leg alone.

use threadline::model::{Codec, SrtpPolicy};
use threadline::settings::Listen;
use threadline::sip::Replaces;
use threadline::store::export::What;

use super::phones::{Talking, Telephone};
use super::signalling::phones::credentials;
use super::signalling::{Peer, SDP, header};
use super::staff::{House, both_hear, password, press};

const TREE: &str = r#"start = "menu:which"
[menu.which]
say = "digit_1"
keys = { 1 = "transfer:outside", 2 = "transfer:lab", 3 = "queue:desk" }
stay = "queue:desk"
wait = "10s"
[transfer.outside]
to = "+16462530142"
ring_for = "RING_FOR"
refer = true
when_failed = "voicemail:box"
[transfer.lab]
to = "extension:203"
ring_for = "60s"
when_failed = "voicemail:box"
[queue.desk]
ring = ["extension:201"]
music = "hold"
give_up_after = "5m"
when_unanswered = "voicemail:box"
[voicemail.box]
say = "digit_2"
longest = "60s"
silence = "30s"
shortest = "500ms"
reason = "voicemail"
then = "hangup"
"#;

async fn open(ring_for: &str) -> House {
    let mut house = House::closed(&TREE.replace("RING_FOR", ring_for)).await;
    house.clinic.start().await;
    house
}

/// A clinic whose trunk is a telephone: what is dialled out rings there.
pub async fn with_trunk(ring_for: &str) -> (House, Telephone) {
    let mut house = House::closed(&TREE.replace("RING_FOR", ring_for)).await;
    let outside = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
    let Listen { address, .. } = outside.endpoint.local_addresses()[0];
    house.clinic.rewrite(&[("address = \"127.0.0.1:5060\"", &format!("address = \"{address}\""))]);
    house.clinic.start().await;
    (house, outside)
}

/// A message is left, and the caller hangs up.
async fn leaves_a_message(house: &House, mut patient: Talking) {
    let recording = async || house.clinic.log().contains("message is recorded");
    house.clinic.until("the recording begins", recording).await;
    patient.dialog.bye("").await;
    patient.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trunk_connects_the_caller_where_it_can() {
    let house = open("60s").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '1');
    let (to, mut reply) = patient.referred().await;
    assert_eq!(to, "sip:+16462530142@127.0.0.1");
    reply.accept().await;
    reply.finish(200).await;
    patient.ended().await;
    let call = house.record().await;
    let ended = (&call["outcome"], &call["ended_by"], &call["cause"]);
    assert_eq!(ended, (&"transferred".into(), &"system".into(), &"transferred".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_trunk_refuses_is_rung_and_bridged_from_here() {
    let (house, mut outside) = with_trunk("60s").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '1');
    let (_, reply) = patient.referred().await;
    reply.refuse(603).await;
    let far = outside.answers().await;
    both_hear(&patient, &far).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "transferred");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_never_says_what_came_of_it_is_waited_for_no_longer_than_a_phone_rings() {
    let (house, mut outside) = with_trunk("5s").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '1');
    let (_, mut reply) = patient.referred().await;
    reply.accept().await;
    let far = outside.answers().await;
    both_hear(&patient, &far).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "transferred");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_while_the_trunk_is_asked_is_gone_at_once() {
    let house = open("60s").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '1');
    let (_, mut reply) = patient.referred().await;
    reply.accept().await;
    patient.dialog.bye("").await;
    patient.ended().await;
    let call = house.record().await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"abandoned".into(), &"caller".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_nobody_answers_leads_to_when_failed() {
    let house = open("60s").await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '2');
    lab.rings().await.reject(486, "").await;
    leaves_a_message(&house, patient).await;
    let call = house.record().await;
    assert_eq!(call["path"], serde_json::json!(["menu:which", "transfer:lab", "voicemail:box"]), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_a_phone_has_sent_on_in_vain_is_not_lost() {
    let house = open("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let referring = tokio::spawn(staff.dialog.refer(&house.uri("203")));
    let rings = lab.rings().await;
    // The phone does not wait for what comes of it.
    staff.dialog.bye("").await;
    staff.ended().await;
    assert!(referring.await.unwrap().is_err());
    house.clinic.until("the person is gone", async || house.clinic.log().contains("the person is gone")).await;
    rings.reject(486, "").await;
    leaves_a_message(&house, patient).await;
    let call = house.record().await;
    assert_eq!(call["path"], serde_json::json!(["menu:which", "queue:desk", "voicemail:box"]), "{call}");
    assert_eq!(call["outcome"], "served", "somebody has spoken with them: {call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_with_the_trunk_and_plain_with_the_phone() {
    let mut house = House::closed(&TREE.replace("RING_FOR", "60s")).await;
    house.clinic.rewrite(&[("address = \"127.0.0.1:5060\"", "address = \"127.0.0.1:5060\"\nsrtp = \"required\"")]);
    house.clinic.start().await;
    for codec in [Codec::Pcmu, Codec::G722] {
        let mut desk = house.extension("201", &[codec]).await;
        let mut phone = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
        assert_eq!(phone.dial(&house.uri("+12125550100"), super::clinic::PATIENT).await.err(), Some(488), "in plain");
        phone.srtp = SrtpPolicy::Required;
        let mut patient = phone.dial(&house.uri("+12125550100"), super::clinic::PATIENT).await.unwrap();
        press(&patient, '3');
        let mut staff = desk.answers().await;
        both_hear(&patient, &staff).await;
        press(&patient, '7');
        assert_eq!(staff.key().await, '7');
        patient.dialog.bye("").await;
        staff.ended().await;
        patient.ended().await;
    }
}

/// What each phone does, as `threadline calls --json` says.
fn doing(house: &House, extension: &str) -> String {
    let output = house.clinic.command(&["calls", "--json"]).output().unwrap();
    let now: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let named = format!("extension:{extension}");
    let phone = now["phones"].as_array().unwrap().iter().find(|phone| phone["phone"] == named.as_str());
    phone.map(|phone| phone["doing"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Two phones of the clinic speak with each other.
async fn two_speak(
    house: &House,
    caller: &Telephone,
    by: &str,
    called: &mut Telephone,
    to: &str,
) -> (Talking, Talking) {
    let (password, uri) = (password(by), house.uri(to));
    let (near, far) = tokio::join!(caller.dial_as(by, &password, &uri), called.answers());
    let near = near.unwrap();
    both_hear(&near, &far).await;
    (near, far)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_takes_over_no_call_but_its_own_and_never_the_one_it_speaks_in() {
    let house = open("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let colleague = house.extension("202", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (mut near, mut far) = two_speak(&house, &colleague, "202", &mut lab, "203").await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let uri = house.uri("203");
    // The call in which it is asked, and a colleague's.
    for (asks, named) in [(&near, &near), (&far, &far), (&staff, &near), (&near, &staff)] {
        assert!(asks.dialog.refer_replacing(&uri, named.dialog.identity()).await.is_err());
    }
    both_hear(&near, &far).await;
    both_hear(&patient, &staff).await;
    // Neither is stuck: each hang-up arrives.
    far.dialog.bye("").await;
    near.ended().await;
    far.ended().await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
    house
        .clinic
        .until("nobody is on a call", async || ["201", "202", "203"].iter().all(|phone| doing(&house, phone) == "free"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_has_handed_on_its_call_is_free_and_the_new_one_is_not() {
    let house = open("60s").await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut colleague = house.extension("202", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (mut near, mut far) = two_speak(&house, &desk, "201", &mut lab, "203").await;
    let target = house.uri("202");
    let (referred, last) = tokio::join!(near.dialog.refer(&target), colleague.answers());
    referred.unwrap();
    near.ended().await;
    both_hear(&far, &last).await;
    let known = async || doing(&house, "201") == "free" && doing(&house, "202") == "on_call";
    house.clinic.until("each phone is where it is", known).await;
    last.dialog.bye("").await;
    far.ended().await;
    house.clinic.until("all are free", async || doing(&house, "202") == "free" && doing(&house, "203") == "free").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_parked_by_refer() {
    let house = open("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    staff.dialog.refer(&house.uri("*24")).await.unwrap();
    staff.dialog.bye("").await;
    staff.ended().await;
    let fetched = lab.dial_as("203", &password("203"), &house.uri("*24")).await.unwrap();
    both_hear(&patient, &fetched).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_handed_to_somebody_outside_with_a_word_before() {
    let (house, mut outside) = with_trunk("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let (password, specialist) = (password("201"), house.uri("+16462530142"));
    let (consulted, mut far) = tokio::join!(desk.dial_as("201", &password, &specialist), outside.answers());
    let mut consulted = consulted.unwrap();
    both_hear(&consulted, &far).await;
    staff.dialog.refer_replacing(&specialist, consulted.dialog.identity()).await.unwrap();
    both_hear(&patient, &far).await;
    staff.ended().await;
    consulted.ended().await;
    patient.dialog.bye("").await;
    patient.ended().await;
    far.ended().await;
    let over = async || house.clinic.rows(What::Calls).iter().filter(|call| !call["ended_at"].is_null()).count() == 2;
    house.clinic.until("both calls are over", over).await;
    let calls = house.clinic.rows(What::Calls);
    let of = |direction: &str| calls.iter().find(|call| call["direction"] == direction).unwrap();
    assert_eq!(of("inbound")["outcome"], "served", "{calls:?}");
    assert_eq!((&of("outbound")["outcome"], &of("outbound")["cause"]), (&"served".into(), &"transferred".into()));
}

/// The text of a call that extension 201 places to `to` from `peer`.
fn placed(peer: &Peer, to: &str, cseq: u32, extra: &str) -> String {
    let text = peer.to("INVITE", "consult", cseq, &format!("<sip:{to}@127.0.0.1>"), extra, SDP);
    text.replace("sip:+12125550100@", &format!("sip:{to}@")).replace("sip:+16462530142@", "sip:201@")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_handed_to_a_phone_that_still_rings() {
    let house = open("60s").await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '3');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    // The desk's second call rings at the lab.
    let second = Peer::new(house.clinic.sip).await;
    second.send(&placed(&second, "203", 1, "")).await;
    let challenge = second.expect(401).await;
    second.ack(&challenge, 1, "").await;
    let proof = credentials(&challenge, "201", &password("201"), "INVITE", "sip:203@127.0.0.1");
    second.send(&placed(&second, "203", 2, &proof)).await;
    let mut announced = lab.rings().await;
    announced.ringing().await;
    let rings = second.expect(180).await;
    let tag = |name| header(&rings, name).unwrap().split(";tag=").nth(1).unwrap().to_owned();
    let named = Replaces { call_id: "consult".into(), to_tag: tag("From"), from_tag: tag("To") };
    // It is transferred before anybody has picked up: the lab rings for the patient, and for the desk no more.
    let target = house.uri("203");
    let referring = staff.dialog.refer_replacing(&target, named);
    let picking_up = async {
        announced.cancelled().await;
        let rings = lab.rings().await;
        assert_eq!(rings.from.number().map(|number| number.as_str()), Some(super::clinic::PATIENT));
        lab.pick_up(rings).await
    };
    let (referred, mut colleague) = tokio::join!(referring, picking_up);
    referred.unwrap();
    second.expect(480).await;
    staff.ended().await;
    both_hear(&patient, &colleague).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    colleague.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
    house
        .clinic
        .until("nobody is on a call", async || ["201", "203"].iter().all(|phone| doing(&house, phone) == "free"))
        .await;
}

/// A call that 201 has placed to a patient, who are speaking.
async fn placed_to_a_patient(house: &House, desk: &Telephone, outside: &mut Telephone) -> (Talking, Talking) {
    let (password, uri) = (password("201"), house.uri("+16462530142"));
    let (staff, patient) = tokio::join!(desk.dial_as("201", &password, &uri), outside.answers());
    let staff = staff.unwrap();
    both_hear(&patient, &staff).await;
    (staff, patient)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_whom_the_clinic_has_called_is_parked_like_any_other() {
    let (house, mut outside) = with_trunk("60s").await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let (mut staff, mut patient) = placed_to_a_patient(&house, &desk, &mut outside).await;
    press(&staff, '*');
    press(&staff, '2');
    house.clinic.until("it is parked", async || house.clinic.log().contains("parked place=1")).await;
    staff.dialog.bye("").await;
    staff.ended().await;
    house.clinic.until("the phone is free", async || doing(&house, "201") == "free").await;
    let lab = house.extension("203", &[Codec::G722]).await;
    let mut colleague = lab.dial_as("203", &password("203"), &house.uri("*21")).await.unwrap();
    both_hear(&patient, &colleague).await;
    // And by REFER, at a place of their choice.
    colleague.dialog.refer(&house.uri("*24")).await.unwrap();
    colleague.dialog.bye("").await;
    colleague.ended().await;
    let fetched = desk.dial_as("201", &password("201"), &house.uri("*24")).await.unwrap();
    both_hear(&patient, &fetched).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    let call = house.record().await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"served".into(), &"caller".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_patient_whom_nobody_fetches_rings_where_they_were_put_down() {
    let mut house = House::closed(&TREE.replace("RING_FOR", "60s")).await;
    let mut outside = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
    let Listen { address, .. } = outside.endpoint.local_addresses()[0];
    house.clinic.rewrite(&[
        ("address = \"127.0.0.1:5060\"", &format!("address = \"{address}\"")),
        ("[rtp]\n", "[phones]\nparked_for = \"15s\"\n[rtp]\n"),
    ]);
    house.clinic.start().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (mut staff, mut patient) = placed_to_a_patient(&house, &desk, &mut outside).await;
    press(&staff, '*');
    press(&staff, '2');
    house.clinic.until("it is parked", async || house.clinic.log().contains("parked place=1")).await;
    staff.dialog.bye("").await;
    staff.ended().await;
    let rings = desk.rings().await;
    assert_eq!(rings.from.number().map(|number| number.as_str()), Some("+16462530142"));
    let mut staff = desk.pick_up(rings).await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    staff.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}
