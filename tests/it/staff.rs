//! Staff on the line: callers, the clinic's phones and the real daemon between them, with real signalling and audio.

use std::time::Duration;

use serde_json::Value;
use threadline::media::Session;
use threadline::model::{Codec, Digit};
use threadline::store;
use threadline::store::export::What;

use super::clinic::{Clinic, PATIENT};
use super::gateway::FakeTwilio;
use super::phones::{Talking, Telephone};

/// The queue's own time is long: a loaded machine must not end a wait.
const TREE: &str = r#"start = "menu:welcome"
[menu.welcome]
say = "digit_1"
keys = { 1 = "text:general", 2 = "ring:nurse", 3 = "transfer:lab" }
stay = "queue:front_desk"
wait = "500ms"
repeat = 0
[text.general]
say = "texting_you_now"
message = "greeting"
reason = "general"
then = "hangup"
[queue.front_desk]
ring = ["extension:201", "extension:202"]
strategy = "all"
music = "hold"
reason = "front desk"
offer_text = { after = "1s", every = "20s", say = "still_holding", key = 1, to = "text:general" }
give_up_after = "5m"
when_unanswered = "voicemail:front_desk"
[ring.nurse]
ring = ["extension:202", "extension:201"]
strategy = "in_turn"
ring_for = "60s"
give_up_after = "3m"
reason = "nurse"
when_unanswered = "voicemail:front_desk"
[transfer.lab]
to = "extension:203"
ring_for = "60s"
when_failed = "voicemail:front_desk"
[voicemail.front_desk]
say = "digit_2"
longest = "60s"
silence = "30s"
shortest = "500ms"
reason = "voicemail"
then = "hangup"
[missed_call]
message = "missed_call"
at_most_every = "24h"
"#;

/// A clinic with extensions; the password of each is its name and eight letters.
pub struct House {
    pub clinic: Clinic,
    pub gateway: FakeTwilio,
}

pub fn password(extension: &str) -> String {
    format!("swordfish-{}", extension.replace('0', "-"))
}

impl House {
    async fn open() -> House {
        let mut house = House::closed(TREE).await;
        house.clinic.start().await;
        house
    }

    /// One whose daemon is still to be started.
    pub async fn closed(tree: &str) -> House {
        House::closed_with(tree, &["201", "202", "203"]).await
    }

    /// One with these extensions, of which 201 may call out.
    pub async fn closed_with(tree: &str, extensions: &[&str]) -> House {
        threadline::sms::twilio::install_tls_provider();
        let gateway = FakeTwilio::start().await;
        let clinic = Clinic::new(gateway.address);
        let mut tables = String::new();
        for name in extensions {
            std::fs::write(clinic.folder.path().join(format!("{name}.password")), password(name)).unwrap();
            let may = if *name == "201" { "may_call = [\"+1\"]\n" } else { "" };
            tables += &format!(
                "[[extension]]\nname = \"{name}\"\nshown_as = \"Phone {name}\"\npassword = {{ file = \"{name}.password\" }}\n{may}"
            );
        }
        clinic.rewrite(&[("[rtp]\n", &format!("{tables}[rtp]\n"))]);
        clinic.write_tree(tree);
        let messages = clinic.folder.path().join("messages.toml");
        let text = std::fs::read_to_string(&messages).unwrap() + "[desk_text]\nen = \"{clinic}: as promised.\"\n";
        std::fs::write(messages, text).unwrap();
        House { clinic, gateway }
    }

    /// The phone of an extension, registered.
    pub async fn extension(&self, name: &str, codecs: &[Codec]) -> Telephone {
        Telephone::of_extension(self.clinic.sip, name, &password(name), codecs).await
    }

    /// A patient who has dialled and is being spoken to.
    pub async fn patient(&self, codecs: &[Codec]) -> (Telephone, Talking) {
        self.caller(PATIENT, codecs).await
    }

    /// A patient of this number.
    pub async fn caller(&self, number: &str, codecs: &[Codec]) -> (Telephone, Talking) {
        let phone = Telephone::of_patient(self.clinic.sip, codecs).await;
        let call = phone.dial(&self.uri("+12125550100"), number).await.unwrap();
        (phone, call)
    }

    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.clinic.sip)
    }

    /// The record of the only call, once it is over.
    pub async fn record(&self) -> Value {
        let over = async || self.clinic.rows(What::Calls).iter().any(|call| !call["ended_at"].is_null());
        self.clinic.until("the call is over", over).await;
        self.clinic.rows(What::Calls).remove(0)
    }
}

pub fn press(call: &Talking, key: char) {
    press_on(&call.session, key);
}

fn press_on(session: &Session, key: char) {
    session.send_digit(Digit::from_char(key).unwrap(), Duration::from_millis(120));
}

pub async fn both_hear(patient: &Talking, staff: &Talking) {
    patient.say(440.0);
    staff.say(1_000.0);
    staff.hears(440.0).await;
    patient.hears(1_000.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stays_speaks_with_the_first_who_picks_up() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::G722]).await;
    let mut other = house.extension("202", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcma]).await;

    let (first, mut second) = (desk.rings().await, other.rings().await);
    assert_eq!(first.from.number().map(|number| number.as_str()), Some(PATIENT));
    let mut staff = desk.pick_up(first).await;
    second.cancelled().await;
    both_hear(&patient, &staff).await;

    press(&patient, '7');
    assert_eq!(staff.key().await, '7');
    press(&staff, '5');
    assert_eq!(patient.key().await, '5');

    patient.dialog.bye("").await;
    staff.ended().await;
    let call = house.record().await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"served".into(), &"caller".into()), "{call}");
    assert!(call["waited_ms"].as_u64().is_some_and(|waited| waited > 0), "{call}");
    patient.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn music_is_heard_on_hold_and_the_other_side_again_afterwards() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    staff.hold(true).await;
    let music = async {
        while patient.strength(1_000.0) > 0.05 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::phones::PATIENCE, music).await.expect("the tone ends");
    staff.hold(false).await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    staff.ended().await;
    patient.ended().await;
    assert_eq!(house.record().await["ended_by"], "caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_may_take_a_text_instead_at_any_moment() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut rings = desk.rings().await;
    // The offer comes after a second; then the key counts.
    let offered = async || house.clinic.log().contains("still_holding");
    house.clinic.until("the offer is made", offered).await;
    press(&patient, '1');
    rings.cancelled().await;
    patient.ended().await;
    let call = house.record().await;
    assert_eq!(call["outcome"], "texted", "{call}");
    let consent = house.clinic.rows(What::Consents).remove(0);
    assert_eq!((&consent["method"], &consent["digit"]), (&"keypress".into(), &"1".into()), "{consent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_phone_is_passed_over() {
    let house = House::open().await;
    let mut first = house.extension("202", &[Codec::Pcmu]).await;
    let mut next = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    press(&patient, '2');
    first.rings().await.reject(486, "").await;
    let staff = next.answers().await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_there_a_message_is_left() {
    let house = House::open().await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    patient.say(440.0);
    let recording = async || house.clinic.log().contains("message is recorded");
    house.clinic.until("the recording begins", recording).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    press(&patient, '#');
    patient.ended().await;
    let call = house.record().await;
    assert_eq!(call["outcome"], "voicemail", "{call}");
    let thread = house.clinic.rows(What::Threads).remove(0);
    assert_eq!((&thread["opened_by"], &thread["reason"]), (&"call".into(), &"voicemail".into()), "{thread}");
    assert_eq!(call["thread"], thread["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_sent_from_the_desk_by_two_keys() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    press(&staff, '*');
    press(&staff, '1');
    house.clinic.until("the text is there", async || !house.clinic.rows(What::Messages).is_empty()).await;
    let message = house.clinic.rows(What::Messages).remove(0);
    assert!(message["body"].as_str().is_some_and(|body| body.contains("as promised")), "{message}");
    assert_eq!(house.clinic.rows(What::Consents)[0]["method"], "staff");
    // The two go on speaking.
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_call_is_fetched_from_another_phone() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    press(&staff, '*');
    press(&staff, '2');
    house.clinic.until("it is parked", async || house.clinic.log().contains("parked")).await;
    staff.dialog.bye("").await;
    staff.ended().await;
    let lab = house.extension("203", &[Codec::G722]).await;
    let colleague = lab.dial_as("203", &password("203"), &house.uri("*21")).await.unwrap();
    both_hear(&patient, &colleague).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rings_elsewhere_is_picked_up() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut other = house.extension("202", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut rings = desk.rings().await;
    let colleague = other.dial_as("202", &password("202"), &house.uri("*8")).await.unwrap();
    rings.cancelled().await;
    other.rings().await.cancelled().await;
    both_hear(&patient, &colleague).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
    // That call is over for the phone too: it rings for the next.
    let (_phone, next) = house.patient(&[Codec::Pcmu]).await;
    let colleague = other.answers().await;
    both_hear(&next, &colleague).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_parked_a_call_and_stays_has_it_again() {
    let mut house = House::closed(TREE).await;
    house.clinic.rewrite(&[("[rtp]\n", "[phones]\nparked_for = \"1s\"\n[rtp]\n")]);
    house.clinic.start().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    press(&staff, '*');
    press(&staff, '2');
    house.clinic.until("it is parked", async || house.clinic.log().contains("parked place=")).await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["path"], serde_json::json!(["menu:welcome", "queue:front_desk"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_rings_on_for_a_caller_who_is_gone() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    // The store is kept busy: a text from the desk keeps the end of the call waiting.
    let busy = store::Connection::open(house.clinic.store.join(store::FILE)).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    press(&staff, '*');
    press(&staff, '1');
    house.clinic.until("a text is asked for", async || house.clinic.log().contains("asked for at the desk")).await;
    let target = house.uri("203");
    let referring = staff.dialog.refer(&target);
    let hanging_up = async {
        let mut rings = lab.rings().await;
        patient.dialog.bye("").await;
        rings.cancelled().await;
        let log = house.clinic.log();
        assert!(!log.contains("call over") && !log.contains("could not be sent"), "the text was waited for:\n{log}");
        busy.execute_batch("ROLLBACK").unwrap();
    };
    let (referred, ()) = tokio::join!(referring, hanging_up);
    assert!(referred.is_err());
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_call_each_other_and_out_where_they_may() {
    let house = House::open().await;
    let desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::G722]).await;
    let calling = async { desk.dial_as("201", &password("201"), &house.uri("203")).await };
    let (near, far) = tokio::join!(calling, lab.answers());
    let (mut near, far) = (near.unwrap(), far);
    both_hear(&near, &far).await;
    far.dialog.bye("").await;
    near.ended().await;

    // 203 may call nobody outside; whoever does not prove who they are calls nobody at all.
    let outside = house.uri("+16462530142");
    assert_eq!(lab.dial_as("203", &password("203"), &outside).await.err(), Some(403));
    assert!(matches!(lab.dial_as("203", "swordfish-x", &outside).await.err(), Some(401 | 403 | 407)));
    let log = house.clinic.log();
    assert!(log.contains("a call of an extension was refused"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_transferred_with_and_without_a_word_before() {
    let house = House::open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let caller = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcma]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;

    // Without: the phone that asked hears how it went, and is hung up on.
    let target = house.uri("203");
    let referring = staff.dialog.refer(&target);
    let (referred, mut colleague) = tokio::join!(referring, lab.answers());
    referred.unwrap();
    staff.ended().await;
    both_hear(&patient, &colleague).await;

    // To somebody who does not pick up: the two go on.
    assert!(colleague.dialog.refer(&house.uri("202")).await.is_err(), "nobody is registered there");
    both_hear(&patient, &colleague).await;

    // With: they have spoken before.
    let calling = async { caller.dial_as("203", &password("203"), &house.uri("201")).await };
    let (consulted, last) = tokio::join!(calling, desk.answers());
    let consulted = consulted.unwrap();
    colleague.dialog.refer_replacing(&house.uri("201"), consulted.dialog.identity()).await.unwrap();
    both_hear(&patient, &last).await;
    colleague.ended().await;
    patient.dialog.bye("").await;
    patient.ended().await;
    let outcome = async || house.clinic.rows(What::Calls).iter().any(|call| call["outcome"] == "served");
    house.clinic.until("the call is over", outcome).await;
}
