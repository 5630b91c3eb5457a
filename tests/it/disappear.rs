//! Whoever vanishes: phones and callers of whom nothing is heard any more, in every state of a call. Each has their own
//! call, all at the same time; afterwards the daemon holds what it held before.

use serde_json::Value;
use threadline::model::Codec;

use super::http;
use super::phones::{PATIENCE, Talking, Telephone};
use super::staff::{House, both_hear, password, press};

/// Each key rings phones of its own.
const TREE: &str = r#"start = "menu:welcome"
[menu.welcome]
say = "welcome"
keys = { 1 = "ring:one", 2 = "ring:two", 3 = "ring:three", 4 = "ring:four", 5 = "ring:five", 6 = "queue:line", 7 = "ring:seven", 8 = "voicemail:front_desk" }
stay = "hangup"
wait = "60s"
repeat = 0
[ring.one]
ring = ["extension:201"]
ring_for = "60s"
give_up_after = "3m"
[ring.two]
ring = ["extension:202"]
[ring.three]
ring = ["extension:203"]
[ring.four]
ring = ["extension:204"]
[ring.five]
ring = ["extension:205"]
[queue.line]
ring = ["extension:206"]
music = "hold"
give_up_after = "5m"
[ring.seven]
ring = ["extension:207"]
[voicemail.front_desk]
say = "goodbye"
longest = "60s"
silence = "30s"
shortest = "500ms"
reason = "voicemail"
then = "hangup"
[missed_call]
message = "missed_call"
at_most_every = "24h"
"#;
const EXTENSIONS: [&str; 11] = ["201", "202", "203", "204", "205", "206", "207", "208", "209", "210", "220"];

/// What the daemon holds: calls, sessions of audio, registered phones, tasks.
#[derive(Debug)]
struct Held {
    calls: u64,
    sessions: u64,
    phones: u64,
    tasks: u64,
}

async fn held(house: &House) -> Held {
    let text = http::get(format!("http://{}/metrics", house.clinic.web)).await.unwrap().text().await.unwrap();
    let gauge = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}")) as u64
    };
    Held {
        calls: gauge("threadline_calls_in_progress"),
        sessions: gauge("threadline_media_sessions"),
        phones: gauge("threadline_phones_registered"),
        tasks: gauge("threadline_tasks"),
    }
}

/// What `threadline calls --json` says.
fn now(house: &House) -> Value {
    let output = house.clinic.command(&["calls", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// A patient who dials and presses a key.
async fn patient(house: &House, key: char) -> (Telephone, Talking) {
    let (phone, call) = house.patient(&[Codec::Pcmu]).await;
    call.say(440.0);
    press(&call, key);
    (phone, call)
}

/// The record of a call by its node, once it is over.
async fn over(house: &House, node: &str) -> Value {
    let find = || {
        let calls = house.clinic.rows(threadline::store::export::What::Calls);
        let at = |call: &Value| call["path"].as_array().is_some_and(|path| path.iter().any(|step| step == node));
        calls.into_iter().find(|call| !call["ended_at"].is_null() && at(call))
    };
    house.clinic.until(&format!("the call at {node} is over"), async || find().is_some()).await;
    find().unwrap()
}

async fn a_phone_that_rings(house: &House) {
    let mut phone = house.extension("201", &[Codec::Pcmu]).await;
    let (_patient, mut call) = patient(house, '1').await;
    let ringing = phone.rings().await;
    phone.vanish().await;
    call.dialog.bye("").await;
    call.ended().await;
    // Not before: it would refuse the call with its last breath.
    drop(ringing);
    assert_eq!(over(house, "ring:one").await["ended_by"], "caller");
}

async fn a_phone_in_conversation(house: &House) {
    let mut phone = house.extension("202", &[Codec::Pcmu]).await;
    let (_patient, mut call) = patient(house, '2').await;
    let staff = phone.answers().await;
    both_hear(&call, &staff).await;
    phone.vanish().await;
    call.ended().await;
    assert_eq!(over(house, "ring:two").await["outcome"], "served");
}

async fn a_phone_that_holds(house: &House) {
    let mut phone = house.extension("203", &[Codec::Pcmu]).await;
    let (_patient, mut call) = patient(house, '3').await;
    let mut staff = phone.answers().await;
    both_hear(&call, &staff).await;
    staff.hold(true).await;
    phone.vanish().await;
    call.ended().await;
    assert_eq!(over(house, "ring:three").await["outcome"], "served");
}

/// The phone that parked a call vanishes, then the caller who is parked.
async fn a_phone_that_has_parked_and_its_caller(house: &House) {
    let mut phone = house.extension("204", &[Codec::Pcmu]).await;
    let (patient, call) = patient(house, '4').await;
    let staff = phone.answers().await;
    both_hear(&call, &staff).await;
    press(&staff, '*');
    press(&staff, '2');
    house.clinic.until("it is parked", async || house.clinic.log().contains("parked place=")).await;
    phone.vanish().await;
    let gone = async || {
        let phones = now(house)["phones"].as_array().cloned().unwrap_or_default();
        phones.iter().any(|phone| phone["phone"] == "extension:204" && phone["doing"] != "on_call")
    };
    house.clinic.until("the phone is on no call", gone).await;
    patient.vanish().await;
    assert_eq!(over(house, "ring:four").await["cause"], "rtp_timeout");
    drop(call);
}

/// The phone that asked for a transfer vanishes, then the phone that is rung for it.
async fn phones_in_a_transfer(house: &House) {
    let mut phone = house.extension("205", &[Codec::Pcmu]).await;
    let mut target = house.extension("208", &[Codec::Pcmu]).await;
    let (_patient, mut call) = patient(house, '5').await;
    let staff = phone.answers().await;
    both_hear(&call, &staff).await;
    let uri = house.uri("208");
    let referring = staff.dialog.refer(&uri);
    let vanishing = async {
        let ringing = target.rings().await;
        phone.vanish().await;
        target.vanish().await;
        drop(ringing);
    };
    let (_, ()) = tokio::join!(tokio::time::timeout(PATIENCE, referring), vanishing);
    call.ended().await;
    assert_eq!(over(house, "ring:five").await["outcome"], "served");
}

async fn a_caller_in_the_line(house: &House) {
    let mut phone = house.extension("206", &[Codec::Pcmu]).await;
    let (patient, call) = patient(house, '6').await;
    let mut ringing = phone.rings().await;
    patient.vanish().await;
    ringing.cancelled().await;
    let record = over(house, "queue:line").await;
    assert_eq!((&record["cause"], &record["outcome"]), (&"rtp_timeout".into(), &"abandoned".into()), "{record}");
    drop(call);
}

async fn a_caller_in_conversation(house: &House) {
    let mut phone = house.extension("207", &[Codec::Pcmu]).await;
    let (patient, call) = patient(house, '7').await;
    let mut staff = phone.answers().await;
    both_hear(&call, &staff).await;
    patient.vanish().await;
    staff.ended().await;
    assert_eq!(over(house, "ring:seven").await["ended_by"], "network");
    drop(call);
}

async fn a_caller_in_the_menu_and_one_in_voicemail(house: &House) {
    let (in_menu, silent) = house.patient(&[Codec::Pcmu]).await;
    in_menu.vanish().await;
    let (speaking, call) = patient(house, '8').await;
    house.clinic.until("it is recorded", async || house.clinic.log().contains("message is recorded")).await;
    // Longer than the shortest message.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    speaking.vanish().await;
    // What was said until then is kept.
    let record = over(house, "voicemail:front_desk").await;
    assert_eq!((&record["cause"], &record["outcome"]), (&"rtp_timeout".into(), &"voicemail".into()), "{record}");
    drop((silent, call));
}

/// One colleague calls another, who vanishes; then a third, and vanishes while it rings.
async fn phones_of_a_desk_call(house: &House) {
    let caller = house.extension("209", &[Codec::Pcmu]).await;
    let mut called = house.extension("210", &[Codec::Pcmu]).await;
    let mut third = house.extension("220", &[Codec::Pcmu]).await;
    let (password, uri) = (password("209"), house.uri("210"));
    let (near, far) = tokio::join!(caller.dial_as("209", &password, &uri), called.answers());
    let mut near = near.unwrap();
    both_hear(&near, &far).await;
    called.vanish().await;
    near.ended().await;
    let uri = house.uri("220");
    let mut ringing = tokio::select! {
        _ = caller.dial_as("209", &password, &uri) => panic!("nobody picks up"),
        ringing = third.rings() => ringing,
    };
    caller.vanish().await;
    ringing.cancelled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_vanishes_leaves_nothing_behind() {
    let mut house = House::closed_with(TREE, &EXTENSIONS).await;
    house.clinic.rewrite(&[("[rtp]\n", "[rtp]\nsilence = \"5s\"\n"), ("[sip]\n", "[sip]\nt1 = \"100ms\"\n")]);
    house.clinic.start().await;
    let before = held(&house).await;
    assert_eq!((before.calls, before.sessions), (0, 0));
    tokio::join!(
        a_phone_that_rings(&house),
        a_phone_in_conversation(&house),
        a_phone_that_holds(&house),
        a_phone_that_has_parked_and_its_caller(&house),
        phones_in_a_transfer(&house),
        a_caller_in_the_line(&house),
        a_caller_in_conversation(&house),
        a_caller_in_the_menu_and_one_in_voicemail(&house),
        phones_of_a_desk_call(&house),
    );
    let back = async || {
        let held = held(&house).await;
        // One task asks each registered phone whether it is there; those that vanished are forgotten in time.
        held.calls == 0 && held.sessions == 0 && held.tasks <= before.tasks + held.phones
    };
    house.clinic.until("the daemon holds what it held before", back).await;
    let now = now(&house);
    assert_eq!((&now["calls"], &now["waiting"]), (&Value::Array(vec![]), &0.into()), "{now}");
    let busy = |phone: &&Value| phone["doing"] == "on_call" || phone["doing"] == "ringing";
    assert_eq!(now["phones"].as_array().unwrap().iter().find(busy), None, "{now}");
}
