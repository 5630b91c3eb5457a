//! The line of the real daemon: who is next, who is told what, and what becomes of whoever leaves or wants a call back.

use std::time::Duration;

use serde_json::Value;
use threadline::daemon::control;
use threadline::model::Codec;
use threadline::store::export::What;
use threadline::store::{self, Connection};

use super::http;
use super::phones::{Talking, Telephone};
use super::staff::{House, both_hear, press};

pub const FIRST: &str = "+12125550142";
pub const SECOND: &str = "+12125550143";
const THIRD: &str = "+12125550144";
const FOURTH: &str = "+12125550145";

/// 1 is a line of its own for whoever may go first, 2 a line with one place; who says nothing waits in the usual one.
pub const TREE: &str = r#"start = "menu:welcome"
[menu.welcome]
say = "connecting_you"
keys = { 1 = "queue:urgent", 2 = "queue:short" }
stay = "queue:front_desk"
wait = "500ms"
repeat = 0
[queue.front_desk]
ring = ["extension:201"]
music = "hold"
keys = { 3 = "callback:desk", 4 = "voicemail:front_desk" }
give_up_after = "15m"
when_unanswered = "voicemail:front_desk"
[queue.urgent]
line = "front_desk"
priority = 5
ring = ["extension:201"]
music = "hold"
give_up_after = "15m"
when_unanswered = "hangup"
[queue.short]
ring = ["extension:201"]
most_waiting = 1
music = "hold"
give_up_after = "15m"
when_unanswered = "hangup"
when_full = "voicemail:full"
[callback.desk]
queue = "queue:front_desk"
booked = "callback_booked"
then = "hangup"
[voicemail.front_desk]
say = "connecting_you"
shortest = "500ms"
then = "hangup"
[voicemail.full]
say = "connecting_you"
shortest = "30s"
silence = "60s"
longest = "60s"
then = "hangup"
[missed_call]
message = "missed_call"
in_line = "left_the_line"
voicemail_too_short = "too_short"
callback_failed = "not_reached"
at_most_every = "24h"
"#;

const MESSAGES: &str = "[left_the_line]\nen = \"{clinic}: You were {position} in line.\"\n\
                        [too_short]\nen = \"{clinic}: we could not hear you.\"\n\
                        [not_reached]\nen = \"{clinic}: we tried to call you back.\"\n";

/// The clinic, the only phone of its front desk, and what the trunk leads to: the patients' own phones.
pub struct Desk {
    pub house: House,
    pub phone: Telephone,
    pub outside: Telephone,
}

impl Desk {
    pub async fn open() -> Desk {
        Desk::open_with(TREE).await
    }

    pub async fn open_with(tree: &str) -> Desk {
        let mut house = House::closed(tree).await;
        let outside = Telephone::of_patient(house.clinic.sip, &[Codec::Pcmu]).await;
        let address = outside.endpoint.local_addresses()[0].address;
        house.clinic.rewrite(&[("address = \"127.0.0.1:5060\"", &format!("address = \"{address}\""))]);
        let messages = house.clinic.folder.path().join("messages.toml");
        std::fs::write(&messages, std::fs::read_to_string(&messages).unwrap() + MESSAGES).unwrap();
        house.clinic.start().await;
        let phone = house.extension("201", &[Codec::Pcmu]).await;
        Desk { house, phone, outside }
    }

    /// A call that the front desk is on while others wait.
    pub async fn busy(&mut self) -> (Telephone, Talking, Talking) {
        let (telephone, patient) = self.house.caller("+12125550199", &[Codec::Pcmu]).await;
        let staff = self.phone.answers().await;
        both_hear(&patient, &staff).await;
        (telephone, patient, staff)
    }

    /// A caller who waits; returns when they have this place.
    pub async fn waits(&self, number: &str, place: u64) -> (Telephone, Talking) {
        let caller = self.house.caller(number, &[Codec::Pcmu]).await;
        self.has_place(number, place).await;
        caller
    }

    pub async fn has_place(&self, number: &str, place: u64) {
        let waits = async || self.on_the_phone(number).await["position"] == place;
        self.house.clinic.until(&format!("{number} is number {place}"), waits).await;
    }

    /// A call in progress, as `threadline calls` shows it.
    pub async fn on_the_phone(&self, number: &str) -> Value {
        let answer = control::ask(&self.house.clinic.store, "calls").await.unwrap();
        let all: Value = serde_json::from_str(&answer).unwrap();
        let call = all["calls"].as_array().unwrap().iter().find(|call| call["number"] == number);
        call.cloned().unwrap_or_default()
    }

    /// The front desk picks up; who it is.
    pub async fn next(&mut self) -> (String, Talking) {
        let rings = self.phone.rings().await;
        let number = rings.from.number().unwrap().as_str().to_owned();
        (number, self.phone.pick_up(rings).await)
    }

    /// The record of this caller's call, once it is over.
    async fn record(&self, number: &str) -> Value {
        let find = || {
            let all = self.house.clinic.rows(What::Calls);
            all.into_iter().find(|call| call["from"] == number && !call["ended_at"].is_null())
        };
        self.house.clinic.until("the call is over", async || find().is_some()).await;
        find().unwrap()
    }

    /// The text that has reached the gateway for this number.
    async fn text_to(&self, number: &str) -> String {
        let find = || self.house.gateway.taken().into_iter().find(|text| text.fields["To"] == number);
        self.house.clinic.until("the text is sent", async || find().is_some()).await;
        find().unwrap().fields["Body"].clone()
    }

    pub fn callback(&self) -> (String, i64) {
        let conn = store::open_read_only(&self.house.clinic.store).unwrap();
        conn.query_row("SELECT state, attempts FROM callbacks", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// Writes to the call backs behind the daemon's back.
    fn set(&self, what: &str) {
        let conn = Connection::open(self.house.clinic.store.join(store::FILE)).unwrap();
        conn.busy_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(conn.execute(&format!("UPDATE callbacks SET {what}"), []).unwrap(), 1);
    }

    /// The next caller is the next to be rung for, and no patient was called.
    async fn goes_on(&mut self) {
        let (_telephone, mut caller) = self.house.caller(FOURTH, &[Codec::Pcmu]).await;
        let (who, mut staff) = self.next().await;
        assert_eq!(who, FOURTH);
        hang_up(&mut caller, &mut staff).await;
        self.record(FOURTH).await;
        assert!(tokio::time::timeout(Duration::ZERO, self.outside.rings()).await.is_err(), "a patient was called");
        assert!(self.house.clinic.rows(What::Calls).iter().all(|call| call["direction"] == "inbound"));
    }

    pub async fn callback_is(&self, state: &str, attempts: i64) {
        let is = async || self.callback() == (state.to_owned(), attempts);
        self.house.clinic.until(&format!("the call back is {state}"), is).await;
    }

    /// What has become of the call backs, in the order in which they were asked for.
    pub fn states(&self) -> Vec<String> {
        let conn = store::open_read_only(&self.house.clinic.store).unwrap();
        let mut states = conn.prepare("SELECT state FROM callbacks ORDER BY asked_at").unwrap();
        states.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The record of a call that the clinic has placed, once it is over.
    pub async fn called(&self, index: usize) -> Value {
        let find = || {
            let all = self.house.clinic.rows(What::Calls);
            let mut out = all.into_iter().filter(|call| call["direction"] == "outbound");
            out.nth(index).filter(|call| !call["ended_at"].is_null())
        };
        self.house.clinic.until("the call out is over", async || find().is_some()).await;
        find().unwrap()
    }

    /// The call in which a call back was asked for says that it has failed, how long was waited, and where.
    async fn has_failed(&self, number: &str) {
        let failed = async || self.record(number).await["cause"] == "callback_failed";
        self.house.clinic.until("the call says so", failed).await;
        let call = self.record(number).await;
        assert_eq!(call["outcome"], "missed", "{call}");
        assert!(call["path"].as_array().unwrap().contains(&"callback:desk".into()), "{call}");
        assert!(call["waited_ms"].as_u64().is_some_and(|waited| waited > 0), "{call}");
    }

    /// A caller books a call back from the line, and hangs up.
    pub async fn book(&self, number: &str, place: u64) {
        let (_telephone, mut caller) = self.waits(number, place).await;
        press(&caller, '3');
        caller.ended().await;
        assert_eq!(self.record(number).await["outcome"], "callback");
    }
}

pub async fn hang_up(patient: &mut Talking, staff: &mut Talking) {
    patient.dialog.bye("").await;
    staff.ended().await;
    patient.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_first_is_served_first_and_who_may_go_before_is_before() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    let (_a, mut first) = desk.waits(FIRST, 1).await;
    let (_b, mut second) = desk.waits(SECOND, 2).await;
    let (_c, mut urgent) = desk.house.caller(THIRD, &[Codec::Pcmu]).await;
    press(&urgent, '1');
    desk.has_place(THIRD, 1).await;
    desk.has_place(FIRST, 2).await;
    desk.has_place(SECOND, 3).await;
    hang_up(&mut patient, &mut staff).await;
    for (number, caller) in [(THIRD, &mut urgent), (FIRST, &mut first), (SECOND, &mut second)] {
        let (who, mut staff) = desk.next().await;
        assert_eq!(who, number);
        both_hear(caller, &staff).await;
        hang_up(caller, &mut staff).await;
        assert_eq!(desk.record(number).await["outcome"], "served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_gives_way_and_is_texted_what_place_they_had() {
    let mut desk = Desk::open().await;
    let (_busy, _patient, _staff) = desk.busy().await;
    let (_a, mut first) = desk.waits(FIRST, 1).await;
    let (_b, _second) = desk.waits(SECOND, 2).await;
    let (_c, mut third) = desk.waits(THIRD, 3).await;
    third.dialog.bye("").await;
    third.ended().await;
    let call = desk.record(THIRD).await;
    assert_eq!((&call["outcome"], &call["place"]), (&"abandoned".into(), &3.into()), "{call}");
    assert_eq!(desk.text_to(THIRD).await, "Riverside Therapy: You were third in line.");
    first.dialog.bye("").await;
    first.ended().await;
    desk.has_place(SECOND, 1).await;
    assert_eq!(desk.text_to(FIRST).await, "Riverside Therapy: You were first in line.");

    // Said nothing after the tone.
    let (_d, mut silent) = desk.waits(FOURTH, 2).await;
    press(&silent, '4');
    let recording = async || desk.house.clinic.log().contains("message is recorded");
    desk.house.clinic.until("the recording begins", recording).await;
    // Longer than the shortest message.
    tokio::time::sleep(Duration::from_millis(700)).await;
    silent.dialog.bye("").await;
    silent.ended().await;
    assert_eq!(desk.record(FOURTH).await["outcome"], "abandoned");
    assert!(!desk.house.clinic.store.join("voicemail").exists(), "nothing is kept");
    assert_eq!(desk.text_to(FOURTH).await, "Riverside Therapy: we could not hear you.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_line_sends_on_and_one_that_nobody_serves_lets_go() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    let (_a, first) = desk.house.caller(FIRST, &[Codec::Pcmu]).await;
    press(&first, '2');
    desk.has_place(FIRST, 1).await;
    let (_b, second) = desk.house.caller(SECOND, &[Codec::Pcmu]).await;
    press(&second, '2');
    let left = async || desk.on_the_phone(SECOND).await["node"] == "voicemail:full";
    desk.house.clinic.until("the second hears the voicemail", left).await;
    assert_eq!(desk.on_the_phone(FIRST).await["position"], 1);
    drop((first, second));

    // The last phone goes: whoever waits, and whoever comes, does not wait for it.
    let (_c, third) = desk.waits(THIRD, 1).await;
    hang_up(&mut patient, &mut staff).await;
    desk.phone.leave().await;
    let sent_on = async |number| desk.on_the_phone(number).await["node"] == "voicemail:front_desk";
    desk.house.clinic.until("the third hears the voicemail", async || sent_on(THIRD).await).await;
    let (_d, fourth) = desk.house.caller(FOURTH, &[Codec::Pcmu]).await;
    desk.house.clinic.until("so does the fourth", async || sent_on(FOURTH).await).await;
    drop((third, fourth));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_comes_at_its_turn_the_desk_first() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    // Their place is kept: who comes later is behind it.
    let (_b, mut second) = desk.waits(SECOND, 2).await;
    hang_up(&mut patient, &mut staff).await;
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, FIRST);
    let rings = desk.outside.rings().await;
    assert_eq!(rings.dialled, FIRST);
    let mut called = desk.outside.pick_up(rings).await;
    both_hear(&called, &staff).await;
    hang_up(&mut called, &mut staff).await;
    desk.callback_is("done", 1).await;
    let thread = desk.house.clinic.rows(What::Threads).into_iter().find(|thread| thread["number"] == FIRST).unwrap();
    assert!(!thread["moved_to_voice"].is_null(), "{thread}");
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["path"][0]), (&"served".into(), &"callback:desk".into()), "{call}");
    assert!(call["waited_ms"].as_u64().is_some_and(|waited| waited > 0), "{call}");
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, SECOND);
    hang_up(&mut second, &mut staff).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_reached_twice_is_texted() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    for (state, attempts) in [("waiting", 1), ("failed", 2)] {
        let (who, mut staff) = desk.next().await;
        assert_eq!(who, FIRST);
        desk.outside.rings().await.reject(486, "").await;
        staff.ended().await;
        desk.callback_is(state, attempts).await;
        // The ten minutes are over.
        desk.set("due_at = 0");
    }
    assert_eq!(desk.text_to(FIRST).await, "Riverside Therapy: we tried to call you back.");
    for attempt in [0, 1] {
        let call = desk.called(attempt).await;
        assert_eq!((&call["outcome"], &call["path"][0]), (&"missed".into(), &"callback:desk".into()), "{call}");
        assert!(call["waited_ms"].as_u64().is_some_and(|waited| waited > 0), "{call}");
    }
    desk.has_failed(FIRST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_the_daemon_lets_a_call_back_end_and_who_was_spoken_with_is_not_called_again() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    desk.book(SECOND, 2).await;
    hang_up(&mut patient, &mut staff).await;
    let (_, mut staff) = desk.next().await;
    let mut called = desk.outside.answers().await;
    both_hear(&called, &staff).await;
    desk.house.clinic.signal(nix::sys::signal::Signal::SIGTERM);
    let url = format!("http://{}/healthz", desk.house.clinic.web);
    let stops = async || http::get(&url).await.is_ok_and(|answer| answer.status() == 503);
    desk.house.clinic.until("the daemon stops", stops).await;
    both_hear(&called, &staff).await;
    hang_up(&mut called, &mut staff).await;
    desk.house.clinic.until_ended().await;
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"served".into(), &"caller".into()), "{call}");
    let thread = desk.house.clinic.rows(What::Threads).into_iter().find(|thread| thread["number"] == FIRST).unwrap();
    assert!(!thread["moved_to_voice"].is_null(), "{thread}");

    // While it was down, the node of the other one has gone.
    desk.house
        .clinic
        .write_tree(&TREE.replace("callback:desk", "callback:other").replace("[callback.desk]", "[callback.other]"));
    desk.house.clinic.start().await;
    desk.has_failed(SECOND).await;
    assert_eq!(desk.text_to(SECOND).await, "Riverside Therapy: we tried to call you back.");
    assert_eq!(desk.states(), ["done", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_that_is_called_off_as_it_is_picked_up_calls_nobody() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    let rings = desk.phone.rings().await;
    // It is committed, and whoever holds its place has not heard of it.
    desk.set("state = 'cancelled', ended_at = 1");
    let mut staff = desk.phone.pick_up(rings).await;
    staff.ended().await;
    desk.goes_on().await;
    assert_eq!(desk.callback(), ("cancelled".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_in_and_is_served_is_not_called_back() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    let (_again, mut first) = desk.house.caller(FIRST, &[Codec::Pcmu]).await;
    press(&first, '1');
    desk.has_place(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, FIRST);
    both_hear(&first, &staff).await;
    desk.callback_is("done", 0).await;
    hang_up(&mut first, &mut staff).await;
    desk.goes_on().await;
    assert_eq!(desk.callback(), ("done".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_rung_over_and_over_for_a_call_back() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    desk.phone.rings().await.reject(480, "").await;
    let put_off = async || desk.house.clinic.log().contains("nobody of the clinic took a call back");
    desk.house.clinic.until("it is put off", put_off).await;
    desk.goes_on().await;
    assert_eq!(desk.callback(), ("waiting".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_who_hang_up_before_the_patient_rings_have_not_called_them() {
    let mut desk = Desk::open().await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    let (_, mut staff) = desk.next().await;
    let mut rings = desk.outside.rings().await;
    assert_eq!(desk.callback(), ("ringing".to_owned(), 1));
    staff.dialog.bye("").await;
    rings.cancelled().await;
    staff.ended().await;
    desk.callback_is("waiting", 0).await;
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"missed".into(), &"staff".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_slips_is_not_on_the_record_and_one_that_serves_is() {
    let mut desk = Desk::open().await;
    let (_first, mut caller) = desk.house.caller(FIRST, &[Codec::Pcmu]).await;
    let (_, mut staff) = desk.next().await;
    staff.dialog.bye("").await;
    staff.ended().await;
    // It rings again for them.
    let mut rings = desk.phone.rings().await;
    caller.dialog.bye("").await;
    rings.cancelled().await;
    caller.ended().await;
    let call = desk.record(FIRST).await;
    assert!(call["outcome"] != "served" && call["answered_by"].is_null(), "{call}");
    let (_second, mut caller) = desk.house.caller(SECOND, &[Codec::Pcmu]).await;
    let (_, mut staff) = desk.next().await;
    // Not in the very moment in which the phone is picked up: the two speak.
    staff.say(1_000.0);
    caller.hears(1_000.0).await;
    hang_up(&mut caller, &mut staff).await;
    let call = desk.record(SECOND).await;
    assert_eq!((&call["outcome"], &call["answered_by"]), (&"served".into(), &"extension:201".into()), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_in_the_next_opening_rings_the_desk_and_then_the_patient() {
    let opening = "opening = \"hours:clinic\"\nring = [\"extension:201\"]\nbooked";
    let hours = "start = \"hours:clinic\"\n[hours.clinic]\n\
                 open = [{ days = \"mon-sun\", from = \"00:00\", to = \"24:00\" }]\n\
                 when_open = \"menu:welcome\"\nwhen_closed = \"hangup\"";
    let tree = TREE.replace("queue = \"queue:front_desk\"\nbooked", opening).replace("start = \"menu:welcome\"", hours);
    let mut desk = Desk::open_with(&tree).await;
    let (_busy, mut patient, mut staff) = desk.busy().await;
    desk.book(FIRST, 1).await;
    hang_up(&mut patient, &mut staff).await;
    // It is not yet time.
    desk.goes_on().await;
    assert_eq!(desk.callback(), ("waiting".to_owned(), 0));
    desk.set("due_at = 0");
    let (who, mut staff) = desk.next().await;
    assert_eq!(who, FIRST);
    let rings = desk.outside.rings().await;
    assert_eq!(rings.dialled, FIRST);
    let mut called = desk.outside.pick_up(rings).await;
    both_hear(&called, &staff).await;
    hang_up(&mut called, &mut staff).await;
    desk.callback_is("done", 1).await;
    let call = desk.called(0).await;
    assert_eq!((&call["outcome"], &call["path"][0]), (&"served".into(), &"callback:desk".into()), "{call}");
}
