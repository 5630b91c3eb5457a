//! Calls that the clinic places, with real phones and real trunks: who sees them while they go on, what is written of
//! them, and which trunk carries them.

use std::net::UdpSocket;

use serde_json::Value;
use threadline::daemon::control;
use threadline::model::Codec;
use threadline::store::export::What;

use super::clinic::Clinic;
use super::phones::{PATIENCE, Talking, Telephone};
use super::staff::{House, both_hear, password, press};

const TREE: &str = r#"start = "queue:front_desk"
[queue.front_desk]
ring = ["extension:202"]
music = "hold"
give_up_after = "10m"
when_unanswered = "hangup"
[missed_call]
message = "missed_call"
at_most_every = "24h"
"#;
const PATIENT: &str = "+16462530142";

/// A clinic with two trunks, each a telephone out in the world.
struct Trunks {
    house: House,
    first: Telephone,
    second: Telephone,
}

impl Trunks {
    async fn open() -> Trunks {
        Trunks::open_with(&[]).await
    }

    /// As the box's file is with these changes to it.
    async fn open_with(changes: &[(&str, &str)]) -> Trunks {
        let mut house = House::closed(TREE).await;
        let first = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
        let second = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
        let [one, other] = [&first, &second].map(|phone| phone.endpoint.local_addresses()[0].address);
        let trunks = format!(
            "address = \"{one}\"\nnumbers = [\"+12125550100\"]\naccept_from = [\"127.0.0.0/8\"]\n\
             [[trunk]]\nname = \"second\"\naddress = \"{other}\"\nnumbers = [\"+12125550111\"]\naccept_from = [\"127.0.0.0/8\"]\n"
        );
        house.clinic.rewrite(&[("address = \"127.0.0.1:5060\"\naccept_from = [\"127.0.0.0/8\"]\n", &trunks)]);
        house.clinic.rewrite(changes);
        house.clinic.start().await;
        Trunks { house, first, second }
    }
}

/// The only call in progress, as `threadline calls --json` prints it, once it has come so far.
pub async fn now(clinic: &Clinic, stage: &str) -> Value {
    let mut call = Value::Null;
    let there = async || {
        let answer = control::ask(&clinic.store, "calls").await.unwrap();
        let all: Value = serde_json::from_str(&answer).unwrap();
        let calls = all["calls"].as_array().unwrap();
        call = calls.iter().find(|call| call["stage"] == stage).cloned().unwrap_or_default();
        !call.is_null()
    };
    clinic.until(&format!("a call is at {stage}"), there).await;
    call
}

fn fields<const N: usize>(call: &Value, names: [&str; N]) -> [String; N] {
    names.map(|name| call[name].as_str().map_or_else(|| call[name].to_string(), str::to_owned))
}

async fn nobody_is_on_the_phone(clinic: &Clinic) {
    let gone = async || {
        let answer = control::ask(&clinic.store, "calls").await.unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["calls"].as_array().unwrap().is_empty()
    };
    clinic.until("nobody is on the phone", gone).await;
}

/// The records of the calls that the clinic has placed, once so many are over.
async fn records(clinic: &Clinic, count: usize) -> Vec<Value> {
    let find = || {
        let calls = clinic.rows(What::Calls).into_iter();
        calls.filter(|call| call["direction"] == "outbound" && !call["ended_at"].is_null()).collect::<Vec<_>>()
    };
    clinic.until("the calls are over", async || find().len() == count).await;
    find()
}

async fn hang_up(near: &mut Talking, far: &mut Talking) {
    near.dialog.bye("").await;
    far.ended().await;
    near.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_colleague_is_seen_while_it_goes_on_and_leaves_no_record() {
    // Encrypted at one of the two phones alone.
    let srtp = ("name = \"203\"\n", "name = \"203\"\nsrtp = \"required\"\n");
    let Trunks { house, .. } = Trunks::open_with(&[srtp]).await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::G722]).await;
    lab.srtp = threadline::model::SrtpPolicy::Required;
    let (password, uri) = (password("201"), house.uri("203"));
    let answering = async {
        let rings = lab.rings().await;
        assert!(rings.offer.as_deref().is_some_and(|offer| offer.contains("RTP/SAVP")), "{:?}", rings.offer);
        let call = now(&house.clinic, "rings").await;
        let seen = fields(&call, ["kind", "number", "with", "trunk"]);
        assert_eq!(seen, ["internal", "extension:203", "extension:201", ""]);
        lab.pick_up(rings).await
    };
    let (near, mut far) = tokio::join!(desk.dial_as("201", &password, &uri), answering);
    let mut near = near.unwrap();
    both_hear(&near, &far).await;
    assert_eq!(now(&house.clinic, "speaks").await["kind"], "internal");
    hang_up(&mut near, &mut far).await;
    nobody_is_on_the_phone(&house.clinic).await;
    assert!(house.clinic.rows(What::Calls).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_out_is_carried_by_the_trunk_that_takes_it_and_shows_that_trunks_number() {
    let Trunks { house, mut first, mut second } = Trunks::open().await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let (password, uri) = (password("201"), house.uri(PATIENT));

    // The first has no room; who is called through the second picks up.
    let answering = async {
        let refused = first.rings().await;
        assert_eq!(refused.from.as_str(), "+12125550100");
        refused.reject(503, "").await;
        let rings = second.rings().await;
        assert_eq!((rings.from.as_str(), rings.dialled.as_str()), ("+12125550111", PATIENT));
        second.pick_up(rings).await
    };
    let (near, mut far) = tokio::join!(desk.dial_as("201", &password, &uri), answering);
    let mut near = near.unwrap();
    both_hear(&near, &far).await;
    let call = now(&house.clinic, "speaks").await;
    assert_eq!(fields(&call, ["kind", "number", "with", "trunk"]), ["outbound", PATIENT, "extension:201", "second"]);
    // It is known before the call is over, which a power cut may end.
    let known = async || house.clinic.rows(What::Calls).iter().any(|call| call["trunk"] == "second");
    house.clinic.until("the record names the trunk", known).await;
    hang_up(&mut near, &mut far).await;
    let served = records(&house.clinic, 1).await.remove(0);
    let shown = fields(&served, ["outcome", "trunk", "from", "to", "emergency"]);
    assert_eq!(shown, ["served", "second", "+12125550111", PATIENT, "false"]);

    // Both are tried in vain: the last has said why.
    let refusing = async {
        first.rings().await.reject(503, "").await;
        second.rings().await.reject(486, "").await;
    };
    let (near, ()) = tokio::join!(desk.dial_as("201", &password, &uri), refusing);
    assert_eq!(near.err(), Some(486));
    let missed = records(&house.clinic, 2).await.remove(1);
    let shown = fields(&missed, ["outcome", "cause", "trunk", "from"]);
    assert_eq!(shown, ["missed", "busy", "second", "+12125550111"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_is_known_to_be_down_costs_nobody_its_silence() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let dead = format!(
        "[[trunk]]\nname = \"dead\"\naddress = \"{}\"\nnumbers = [\"+12125550122\"]\naccept_from = [\"127.0.0.9/32\"]\n",
        silent.local_addr().unwrap()
    );
    let first = "[[trunk]]\nname = \"test\"\n";
    let sooner = ("[sip]\n", "[sip]\nt1 = \"100ms\"\n");
    let trunks = Trunks::open_with(&[(first, &(dead + first)), sooner]).await;
    let Trunks { house, mut first, mut second } = trunks;
    house.clinic.until("it is down", async || house.clinic.log().contains("trunk down trunk=\"dead\"")).await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    for (dialled, emergency) in [(PATIENT, "false"), ("911", "true")] {
        let (password, uri) = (password("201"), house.uri(dialled));
        let answering = async {
            first.rings().await.reject(503, "").await;
            second.answers().await
        };
        let (near, mut far) = tokio::join!(desk.dial_as("201", &password, &uri), answering);
        let mut near = near.unwrap();
        hang_up(&mut near, &mut far).await;
        let call = records(&house.clinic, if emergency == "true" { 2 } else { 1 }).await.pop().unwrap();
        assert_eq!(fields(&call, ["to", "trunk", "emergency"]), [dialled, "second", emergency]);
    }
    // It was asked whether it is there, and for nothing else.
    let mut heard = [0; 65_536];
    while let Ok(length) = silent.recv(&mut heard) {
        assert!(heard[..length].starts_with(b"OPTIONS "), "{}", String::from_utf8_lossy(&heard[..length]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_call_finds_room_is_seen_and_is_on_record() {
    let full = ("[sip]\n", "[sip]\nmax_calls = 1\n");
    let Trunks { house, mut first, mut second } = Trunks::open_with(&[full]).await;
    let desk = house.extension("203", &[Codec::Pcmu]).await;
    let mut lab = house.extension("202", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = lab.answers().await;
    both_hear(&patient, &staff).await;
    let password = password("203");
    assert_eq!(desk.dial_as("203", &password, &house.uri("201")).await.err(), Some(503), "there is no room");

    // Whatever the first trunk says, the next is tried.
    let uri = house.uri("911");
    let answering = async {
        first.rings().await.reject(403, "").await;
        let rings = second.rings().await;
        assert_eq!((rings.from.as_str(), rings.dialled.as_str()), ("+12125550111", "911"), "they can call back");
        let call = now(&house.clinic, "rings").await;
        assert_eq!(fields(&call, ["kind", "number", "with"]), ["emergency", "911", "extension:203"]);
        second.pick_up(rings).await
    };
    let (near, mut far) = tokio::join!(desk.dial_as("203", &password, &uri), answering);
    let mut near = near.unwrap();
    both_hear(&near, &far).await;
    assert_eq!(now(&house.clinic, "speaks").await["trunk"], "second");
    hang_up(&mut near, &mut far).await;
    let call = records(&house.clinic, 1).await.remove(0);
    let shown = fields(&call, ["emergency", "to", "from", "trunk", "outcome", "extension", "thread"]);
    assert_eq!(shown, ["true", "911", "+12125550111", "second", "served", "203", "null"]);
    assert!(!call["answered_at"].is_null() && !call["started_at"].is_null(), "{call}");

    // In vain, it counts among nobody's missed calls.
    let refusing = async {
        first.rings().await.reject(503, "").await;
        second.rings().await.reject(503, "").await;
    };
    let (near, ()) = tokio::join!(desk.dial_as("203", &password, &uri), refusing);
    assert_eq!(near.err(), Some(503));
    assert_eq!(records(&house.clinic, 2).await[1]["outcome"], "missed");
    hang_up(&mut patient, &mut staff).await;
    nobody_is_on_the_phone(&house.clinic).await;
    assert!(house.clinic.rows(What::Messages).is_empty());
    let log = house.clinic.log();
    // As a word: the digits of a time or an id may be the same.
    let named = log.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "911");
    assert!(log.contains("calls the emergency services") && !named, "{log}");
}

/// Where, in samples after `from`, a tone of this frequency is first heard.
fn first_heard(samples: &[i16], rate: u32, hz: f64) -> Option<usize> {
    let (window, step) = (rate as usize / 20, rate as usize / 100);
    let strong = |window: &[i16]| {
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, sample) in window.iter().enumerate() {
            let (sample, angle) = (f64::from(*sample), 2.0 * std::f64::consts::PI * hz * i as f64 / f64::from(rate));
            re += sample * angle.cos();
            im += sample * angle.sin();
            all += sample * sample;
        }
        all > 1e6 && 2.0 * (re * re + im * im) / (all * window.len() as f64) > 0.7
    };
    samples.windows(window).step_by(step).position(strong).map(|at| at * step)
}

/// Whoever speaks with a patient presses a star and `key`: whether the tones of the answer rise.
async fn rising_sign(house: &House, staff: &Talking, key: char) -> bool {
    let from = staff.recording.samples().len();
    press(staff, '*');
    press(staff, key);
    let (mut low, mut high) = (None, None);
    let heard = async || {
        let (rate, samples) = (staff.recording.rate(), staff.recording.samples());
        if samples.len() <= from {
            return false;
        }
        [low, high] = [520.0, 780.0].map(|hz| first_heard(&samples[from..], rate, hz));
        low.is_some() && high.is_some()
    };
    tokio::time::timeout(PATIENCE, house.clinic.until("both tones are heard", heard)).await.unwrap();
    low < high
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tones_say_whether_the_key_has_worked() {
    let Trunks { house, mut first, .. } = Trunks::open().await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("202", &[Codec::Pcmu]).await;
    for (number, rises) in [("anonymous", false), (super::clinic::PATIENT, true)] {
        let (_phone, mut patient) = house.caller(number, &[Codec::Pcmu]).await;
        let mut staff = lab.answers().await;
        assert_eq!(rising_sign(&house, &staff, '1').await, rises, "{number}");
        hang_up(&mut patient, &mut staff).await;
    }
    // A call that the clinic has placed.
    let (password, uri) = (password("201"), house.uri(PATIENT));
    let (near, mut far) = tokio::join!(desk.dial_as("201", &password, &uri), first.answers());
    let mut near = near.unwrap();
    assert!(rising_sign(&house, &near, '1').await);
    hang_up(&mut near, &mut far).await;
    let texted = async || house.clinic.rows(What::Messages).iter().any(|message| message["to"] == PATIENT);
    house.clinic.until("the patient is texted", texted).await;
}
