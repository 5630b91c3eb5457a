//! Calls in the inbox over real HTTP: who waits, voice messages, call backs, emergency calls; and with real phones on a
//! running daemon, answering, offering a text and calling a patient from the page.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{StatusCode, header, redirect};
use serde_json::json;
use threadline::call::front_desk::{PhoneDoing, Waiter, Waiting, Who};
use threadline::call::registry::{InProgress, Placed, Presence, Stage, Way};
use threadline::events::Events;
use threadline::ivr::Place;
use threadline::model::{
    CallEnd, CallId, CallStart, CallbackId, Caller, Codec, Digit, Direction, EndedBy, Language, Outcome, Phone,
    PhoneNumber, Private, RecordingId, ThreadId, VoicemailId,
};
use threadline::settings::Extension;
use threadline::sms::compose::spoken::{self, AskedCallback, LeftMessage};
use threadline::store::audio::Audio;
use threadline::store::audit::{self, Entry};
use threadline::store::export::What;
use threadline::store::recordings::{self, Recording};
use threadline::store::sessions::{self, NewSession};
use threadline::store::staff::{self, Staff};
use threadline::store::{Store, calls, emergencies, threads, voicemails};
use threadline::web::session;

use super::clinic::{Clinic, PATIENT};
use super::desk::{Desk, Page, Visitor};
use super::gateway::FakeTwilio;
use super::http;
use super::phones::{Talking, Telephone};
use super::staff::press;

const MARIA: &str = "+16462530142";

/// A second of a low tone: 8,000 samples of 16 bits a second.
fn wav() -> Vec<u8> {
    let mut wav =
        b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0".to_vec();
    for at in 0..8_000_i32 {
        let sample = if at / 20 % 2 == 0 { 4_000_i16 } else { -4_000 };
        wav.extend(sample.to_le_bytes());
    }
    wav
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::e164(text).unwrap()
}

fn extension(name: &str, shown_as: &str) -> Extension {
    Extension {
        name: name.to_owned(),
        shown_as: shown_as.to_owned(),
        password: Private::new(String::new()),
        may_call: vec![],
        contacts: 1,
        srtp: threadline::model::SrtpPolicy::Off,
    }
}

/// A desk with two phones.
pub async fn desk() -> Desk {
    Desk::open_with(|settings| {
        settings.extensions = vec![extension("201", "Front desk phone"), extension("202", "Nurse's phone")];
    })
    .await
}

/// Maria waits in the queue, and both phones are free.
pub fn maria_waits(desk: &Desk) -> (CallId, Presence) {
    let (now, call) = (desk.now(), CallId::new(desk.now()));
    let path = ["play:emergency", "hours:clinic", "menu:welcome", "queue:front_desk"].map(str::to_owned).to_vec();
    let caller = Caller::Number(number(MARIA));
    let presence = desk.web.registry.enter(InProgress::came_in(call, "carrier".into(), caller, now));
    desk.web.registry.moved(call, &path, now);
    let phone = |name: &str| Phone::Extension(name.to_owned());
    *desk.switchboard.waits.lock().unwrap() = Waiting {
        waiters: vec![Waiter {
            line: Some("front_desk".into()),
            call,
            who: Who::Caller,
            since: now - SignedDuration::from_secs(95),
            place: Place { position: 1, wait: None },
            ringing: vec![phone("201")],
        }],
        phones: vec![(phone("201"), PhoneDoing::Ringing(call)), (phone("202"), PhoneDoing::Free)],
    };
    (call, presence)
}

/// Somebody leaves a message: in a thread if their number shows.
pub async fn leaves_a_message(desk: &Desk, from: Caller) -> (VoicemailId, CallId, Option<ThreadId>) {
    let (now, id) = (desk.now(), VoicemailId::new(desk.now()));
    let call = call_of(desk, from.clone(), Outcome::Voicemail).await;
    let audio = desk.web.store.audio().write(Audio::Voicemail, &id.to_string(), now, &wav()).unwrap();
    let left = LeftMessage {
        id,
        call,
        node: "voicemail:front_desk".into(),
        caller: from,
        audio,
        length: Duration::from_secs(42),
        reason: None,
        team: None,
        language: Language::default(),
        now,
    };
    let thread = desk.write(move |tx| spoken::keep_message(tx, &left)).await;
    (id, call, thread)
}

/// The record of a call that is over.
async fn call_of(desk: &Desk, from: Caller, outcome: Outcome) -> CallId {
    let (now, call) = (desk.now(), CallId::new(desk.now()));
    desk.write(move |tx| {
        let start = CallStart {
            id: call,
            direction: Direction::Inbound,
            trunk: "carrier".into(),
            from,
            to: None,
            diversion: vec![],
            sip_call_id: "x".into(),
            at: now,
        };
        calls::start(tx, &start)?;
        let end = CallEnd {
            id: call,
            answered_at: Some(now),
            at: now + SignedDuration::from_secs(75),
            path: vec!["queue:front_desk".into()],
            digits: String::new(),
            language: Language::default(),
            outcome,
            ended_by: EndedBy::Caller,
            cause: "hangup".into(),
            waited: Duration::from_secs(65),
            thread: None,
            quality: None,
        };
        calls::end(tx, &end)
    })
    .await;
    call
}

/// `who what` of the audit rows of these actions.
async fn audited(desk: &Desk, like: &'static str) -> Vec<String> {
    desk.write(|_| Ok(())).await;
    let rows = desk.web.store.read(move |conn| {
        let sql = "SELECT actor || ' ' || action FROM audit WHERE action LIKE ? ORDER BY seq";
        Ok(conn.prepare(sql)?.query_map([like], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?)
    });
    rows.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_shown_with_what_rings_and_is_answered_by_ones_own_phone() {
    let desk = desk().await;
    let ana = desk.person("ana", "front_desk").await;
    assert!(ana.get("/calls").await.body.contains("Nobody waits for a person."));
    let (call, _presence) = maria_waits(&desk);
    let page = ana.get("/calls").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for shown in [
        "Waiting in “front desk”",
        "No. 1",
        "(646) 253-0142",
        "front desk",
        "menu “welcome”",
        "rings at: Front desk phone",
        "Offer a text",
        "Answer (646) 253-0142",
        "free",
    ] {
        assert!(page.body.contains(shown), "{shown} in {}", page.body);
    }
    assert!(!ana.fragment("/calls").await.body.contains("<html"));

    let answer = format!("/calls/{call}/answer");
    let page = ana.post(&answer, &[]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains("Which phone is yours?"), "{}", page.body);
    assert_eq!(ana.post("/account/phone", &[("phone", "209")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ana.post("/account/phone", &[("phone", "202")]).await.location(), "/account?done=phone");
    assert!(ana.get("/account").await.body.contains("Nurse's phone"));
    assert_eq!(ana.post(&answer, &[]).await.location(), "/calls");
    assert_eq!(ana.post(&format!("/calls/{call}/offer-text"), &[]).await.location(), "/calls");
    let asked = std::mem::take(&mut *desk.switchboard.asked.lock().unwrap());
    assert_eq!(asked, [format!("answer {call} at extension:202"), format!("offer a text to {call}")]);
    assert_eq!(audited(&desk, "call.%").await, ["ana call.answer_asked", "ana call.text_offered"]);

    desk.switchboard.waits.lock().unwrap().phones.pop();
    let page = ana.post(&answer, &[]).await;
    assert!(page.status == StatusCode::CONFLICT && page.body.contains("not registered"), "{}", page.body);
    desk.switchboard.waits.lock().unwrap().waiters.clear();
    let page = ana.post(&answer, &[]).await;
    assert!(page.status == StatusCode::CONFLICT && page.body.contains("do not wait any more"), "{}", page.body);
    let page = ana.post(&format!("/calls/{}/offer-text", CallId::new(desk.now())), &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_threads_sees_no_number_and_no_button() {
    let desk = desk().await;
    let admin = desk.person("adam", "admin").await;
    let _waits = maria_waits(&desk);
    let page = admin.get("/calls").await.body;
    assert!(page.contains("…42") && !page.contains("253-0142"), "{page}");
    assert!(!page.contains("/answer") && !page.contains("/offer-text"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_the_clinic_places_are_shown_with_how_far_they_are() {
    let desk = desk().await;
    let (ana, admin) = (desk.person("ana", "front_desk").await, desk.person("adam", "admin").await);
    let now = desk.now();
    let phone = |name: &str| Phone::Extension(name.to_owned());
    let place = |to: Phone, stage| {
        let placed = Placed { by: phone("201"), to, stage, stage_since: now, node: None, trunk: None, by_trunk: None };
        desk.web.registry.enter(InProgress { id: CallId::new(now), since: now, way: Way::Out(placed) })
    };
    let _patient = place(Phone::Number(number(MARIA)), Stage::OwnRings);
    let _colleague = place(phone("202"), Stage::Rings);
    let _emergency = place(Phone::Emergency(Private::new("911".into())), Stage::Speaks);
    let stages = ["rings at the clinic&#39;s phone first", "rings", "they speak"];
    for page in ["/calls", "/day"] {
        let body = ana.get(page).await.body.replace("&apos;", "&#39;").replace("clinic's", "clinic&#39;s");
        let plain = body.replace("<strong>", "").replace("</strong>", "").replace("<bdi>", "").replace("</bdi>", "");
        for called in ["(646) 253-0142", "Nurse", "911 (emergency services)"] {
            assert!(plain.contains(&format!("Front desk phone → {called}")), "{called} at {page}: {plain}");
        }
        for stage in stages {
            assert!(body.contains(&format!(">{stage}<")), "{stage} at {page}: {body}");
        }
        let masked = admin.get(page).await.body;
        assert!(masked.contains("…42") && !masked.contains("253-0142"), "{page}: {masked}");
    }
    let system = admin.get("/admin/system").await.body;
    assert!(system.contains("they speak") && !system.contains("253-0142"), "{system}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_says_whose_phone_is_whose() {
    let desk = desk().await;
    let (ana, admin) = (desk.person("ana", "front_desk").await, desk.person("adam", "admin").await);
    ana.post("/account/phone", &[("phone", "201")]).await;
    let page = admin.post("/admin/people/adam/phone", &[("phone", "201")]).await;
    assert_eq!(page.location(), "/admin/people/adam?done=1");
    assert!(ana.get("/account").await.body.contains("(now adam's)"));
    let extension = desk.web.store.read(|conn| staff::of_extension(conn, "201")).await.unwrap();
    assert_eq!(extension.unwrap().as_str(), "adam");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_in_its_thread_and_who_hears_it_is_on_record_once() {
    let desk = desk().await;
    let (ana, bo) = (desk.person("ana", "front_desk").await, desk.person("bo", "manager").await);
    let (id, _, thread) = leaves_a_message(&desk, Caller::Number(number(MARIA))).await;
    let thread = thread.unwrap();
    let inbox = ana.get("/?view=all").await.body;
    assert!(inbox.contains("left a message"), "{inbox}");
    assert!(!inbox.contains("href=\"/voicemails\""), "it has its thread");
    let page = ana.get(&format!("/threads/{thread}")).await.body;
    assert!(page.contains("0:42") && page.contains("not heard yet"), "{page}");
    assert!(page.contains(&format!("src=\"/voicemails/{id}\"")), "{page}");
    assert!(!page.contains(&format!("/voicemails/{id}/delete")), "that is the manager's");

    let audio = format!("/voicemails/{id}");
    let whole = ana.get(&audio).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.headers[header::CONTENT_LENGTH], "16044");
    let part = ana.range(&audio, "bytes=8-11").await;
    assert_eq!((part.status, part.body.as_str()), (StatusCode::PARTIAL_CONTENT, "WAVE"));
    assert_eq!(part.headers[header::CONTENT_RANGE], "bytes 8-11/16044");
    assert_eq!(part.headers[header::CONTENT_LENGTH], "4");
    assert_eq!(ana.range(&audio, "bytes=40000-").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    bo.get(&audio).await;
    assert_eq!(audited(&desk, "voicemail.%").await, ["ana voicemail.heard", "bo voicemail.heard"]);
    let page = ana.get(&format!("/threads/{thread}")).await.body;
    assert!(page.contains("first heard by ana"), "{page}");

    let auditor = desk.person("olga", "auditor").await;
    let page = auditor.get(&format!("/threads/{thread}")).await.body;
    assert!(page.contains("0:42") && !page.contains("<audio"), "{page}");
    let page = bo.post(&format!("{audio}/delete"), &[]).await;
    assert_eq!(page.location(), format!("/threads/{thread}"));
    assert_eq!(ana.get(&audio).await.status, StatusCode::NOT_FOUND);
    assert!(ana.get(&format!("/threads/{thread}")).await.body.contains("its audio was deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_number_is_put_into_the_thread_of_whoever_it_is_of() {
    let desk = desk().await;
    let ana = desk.person("ana", "front_desk").await;
    assert!(ana.get("/voicemails").await.body.contains("No message is without its thread."));
    let (id, ..) = leaves_a_message(&desk, Caller::Anonymous).await;
    assert!(ana.get("/").await.body.contains("href=\"/voicemails\""), "its place in the navigation");
    let page = ana.get("/voicemails").await.body;
    assert!(page.contains(&format!("src=\"/voicemails/{id}\"")) && page.contains("not heard yet"), "{page}");
    let file = format!("/voicemails/{id}/file");
    for (typed, said) in [("", "Not a number"), ("12", "Not a number"), ("+12125550100", "clinic&#39;s own")] {
        let page = ana.post(&file, &[("number", typed)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(page.body.contains(said) || page.body.contains("clinic's own"), "{typed}: {}", page.body);
    }
    let page = ana.post(&file, &[("number", "(646) 253-0142")]).await;
    let thread: ThreadId = page.location().strip_prefix("/threads/").unwrap().parse().unwrap();
    assert!(ana.get(&format!("/threads/{thread}")).await.body.contains("Voice message"));
    assert_eq!(ana.post(&file, &[("number", "(646) 253-0142")]).await.status, StatusCode::CONFLICT);
    assert!(!ana.get("/").await.body.contains("href=\"/voicemails\""));
    let found = desk.web.store.read(move |conn| voicemails::find(conn, id)).await.unwrap().unwrap();
    assert_eq!(found.thread, Some(thread));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_call_is_heard_by_few_and_each_listening_is_on_record() {
    let desk = desk().await;
    let (ana, bo) = (desk.person("ana", "front_desk").await, desk.person("bo", "clinical").await);
    let (_, call, thread) = leaves_a_message(&desk, Caller::Number(number(MARIA))).await;
    let (now, id) = (desk.now(), RecordingId::new(desk.now()));
    let audio = desk.web.store.audio().write(Audio::Recording, &id.to_string(), now, &wav()).unwrap();
    let recording = Recording {
        id,
        call,
        node: "queue:front_desk".into(),
        started_at: now,
        length: Duration::from_secs(61),
        file: audio.file,
        sha256: audio.sha256,
        delete_after: now + SignedDuration::from_hours(24 * 30),
    };
    desk.write(move |tx| {
        staff::set_extension(tx, &"bo".parse().unwrap(), Some("201"), "system", now)?;
        let by = calls::Served {
            staff: Some("bo".parse().unwrap()),
            extension: None,
            answered_by: Some(Phone::Extension("201".into())),
        };
        calls::served(tx, call, &by)?;
        recordings::add(tx, &recording, now)
    })
    .await;
    let page = format!("/threads/{}", thread.unwrap());
    let shown = ana.get(&page).await.body;
    assert!(shown.contains("answered by bo (Front desk phone)") && shown.contains("waited 1:05"), "{shown}");
    assert!(shown.contains("Recording") && !shown.contains("src=\"/recordings/"), "{shown}");
    assert!(bo.get(&page).await.body.contains(&format!("src=\"/recordings/{id}\"")));
    let audio = format!("/recordings/{id}");
    assert_eq!(ana.get(&audio).await.status, StatusCode::FORBIDDEN);
    assert_eq!(bo.range(&audio, "bytes=0-").await.status, StatusCode::PARTIAL_CONTENT);
    bo.range(&audio, "bytes=8-").await;
    bo.range(&audio, "bytes=0-").await;
    let heard = audited(&desk, "recording.heard").await;
    assert_eq!(heard, ["bo recording.heard", "bo recording.heard"], "a part further on is the same listening");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_is_shown_hurried_and_called_off() {
    let desk = desk().await;
    let ana = desk.person("ana", "front_desk").await;
    let call = call_of(&desk, Caller::Number(number(MARIA)), Outcome::Callback).await;
    let (now, id) = (desk.now(), CallbackId::new(desk.now()));
    let asked = AskedCallback {
        id,
        call,
        node: "callback:front_desk".into(),
        to: number(MARIA),
        place: None,
        hours: None,
        due_at: now + SignedDuration::from_hours(2),
        due_until: now + SignedDuration::from_hours(6),
        last_at: now + SignedDuration::from_hours(6),
        most: 10,
        reason: None,
        language: Language::default(),
        now,
    };
    let thread = desk.write(move |tx| spoken::book_callback(tx, &asked)).await.unwrap();
    assert!(ana.get("/?view=all").await.body.contains("asked for a call back"));
    let page = ana.get(&format!("/threads/{thread}")).await.body;
    assert!(page.contains("Asked to be called back; due 1:00 PM.") && page.contains("Call back now"), "{page}");
    assert_eq!(ana.post(&format!("/callbacks/{id}/now"), &[]).await.location(), format!("/threads/{thread}"));
    assert_eq!(ana.post(&format!("/callbacks/{id}/now"), &[]).await.status, StatusCode::CONFLICT);
    assert_eq!(ana.post(&format!("/callbacks/{id}/cancel"), &[]).await.location(), format!("/threads/{thread}"));
    assert_eq!(ana.post(&format!("/callbacks/{id}/cancel"), &[]).await.status, StatusCode::CONFLICT);
    let asked = std::mem::take(&mut *desk.switchboard.asked.lock().unwrap());
    assert_eq!(asked, ["a call back is due".to_owned(), format!("let go of {id}")]);
    let page = ana.get(&format!("/threads/{thread}")).await.body;
    assert!(page.contains("The call back was called off at 11:00 AM."), "{page}");
    assert_eq!(
        audited(&desk, "callback.%").await,
        ["caller callback.booked", "ana callback.hurried", "ana callback.cancelled"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_call_is_told_on_every_page_until_it_is_seen() {
    let desk = desk().await;
    let (ana, bo) = (desk.person("ana", "front_desk").await, desk.person("bo", "admin").await);
    let at = desk.now() - SignedDuration::from_mins(28);
    desk.write(move |tx| {
        let (actor, detail) = ("extension:201", json!({ "dialled": "911" }));
        audit::append(tx, Entry { at, actor, action: emergencies::CALLED, subject: actor, detail })
    })
    .await;
    let told = "Front desk phone called 911 at 10:32 AM.";
    for page in ["/", "/day", "/calls", "/account", "/help"] {
        assert!(ana.get(page).await.body.contains(told), "{page}");
    }
    let part = ana.get("/notices").await.body;
    let until = part.split("name=\"until\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(ana.post("/notices/seen", &[("until", &until)]).await.location(), "/");
    assert!(!ana.get("/").await.body.contains(told));
    assert!(bo.get("/account").await.body.contains(told), "another session has not seen it");
    assert_eq!(audited(&desk, "emergency.%").await, ["extension:201 emergency.called", "ana emergency.seen"]);
    assert!(!desk.person("olga", "auditor").await.get("/help").await.body.contains(told));
    desk.clock.advance(Duration::from_secs(14 * 3600));
    assert!(!desk.person("cleo", "manager").await.get("/").await.body.contains(told), "it was yesterday");
}

/// A running clinic with two phones and a patient's trunk; Ana is signed in.
pub struct Live {
    pub clinic: Clinic,
    pub ana: Visitor,
    pub thread: ThreadId,
    /// The trunk's other end.
    pub patient: Telephone,
    /// A phone of another telephone system.
    pub pbx: Telephone,
    _gateway: FakeTwilio,
}

const TREE: &str = r#"start = "queue:front_desk"
[queue.front_desk]
ring = ["extension:201"]
music = "hold"
reason = "front desk"
offer_text = { after = "10m", every = "10m", say = "still_holding", key = 1, to = "text:general" }
give_up_after = "30m"
when_unanswered = "hangup"
[text.general]
say = "texting_you_now"
message = "greeting"
reason = "general"
then = "hangup"
[missed_call]
message = "missed_call"
at_most_every = "24h"
"#;

impl Live {
    /// One in which 202 is Ana's phone.
    pub async fn open() -> Live {
        Live::open_with(TREE, "202").await
    }

    /// One with this tree, in which this is Ana's phone; `PBX` in either is the other telephone system's address.
    pub async fn open_with(tree: &str, phone: &str) -> Live {
        threadline::sms::twilio::install_tls_provider();
        let gateway = FakeTwilio::start().await;
        let mut clinic = Clinic::new(gateway.address);
        let patient = Telephone::of_patient(clinic.sip, &[Codec::Pcmu]).await;
        let pbx = Telephone::of_patient(clinic.sip, &[Codec::Pcmu]).await;
        let at = pbx.endpoint.local_addresses()[0].address.to_string();
        let mut extensions = String::new();
        for name in ["201", "202"] {
            std::fs::write(clinic.folder.path().join(format!("{name}.password")), password(name)).unwrap();
            let may = if name == "202" { "may_call = [\"+1\"]\n" } else { "" };
            extensions += &format!(
                "[[extension]]\nname = \"{name}\"\nshown_as = \"Phone {name}\"\npassword = {{ file = \"{name}.password\" }}\n{may}"
            );
        }
        let trunk = patient.endpoint.local_addresses()[0].address;
        clinic.rewrite(&[
            ("[rtp]\n", &format!("{extensions}[rtp]\n")),
            ("address = \"127.0.0.1:5060\"", &format!("address = \"{trunk}\"")),
        ]);
        clinic.write_tree(&tree.replace("PBX", &at));
        let messages = clinic.folder.path().join("messages.toml");
        let text = std::fs::read_to_string(&messages).unwrap() + "[desk_text]\nen = \"{clinic}: as promised.\"\n";
        std::fs::write(messages, text).unwrap();
        let thread = sign_in(&clinic, phone.replace("PBX", &at)).await;
        clinic.start().await;
        let client = http::client().redirect(redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap();
        let cookie = Some(format!("{}=secret", session::COOKIE));
        let ana = Visitor { client, base: format!("http://{}", clinic.web), cookie };
        Live { clinic, ana, thread, patient, pbx, _gateway: gateway }
    }

    /// The phone of an extension, registered.
    pub async fn phone(&self, name: &str) -> Telephone {
        Telephone::of_extension(self.clinic.sip, name, &password(name), &[Codec::Pcmu]).await
    }

    /// The patient waits in the queue; the call's id, as the page's forms have it.
    async fn waits(&self) -> (Talking, String) {
        let uri = format!("sip:+12125550100@{}", self.clinic.sip);
        let call = self.patient.dial(&uri, PATIENT).await.unwrap();
        let mut id = String::new();
        let shown = async || {
            let page = self.ana.get("/calls").await.body;
            id = page.split("action=\"/calls/").nth(1).and_then(|form| form.split('/').next()).unwrap_or("").to_owned();
            !id.is_empty()
        };
        self.clinic.until("the page shows them", shown).await;
        (call, id)
    }
}

fn password(extension: &str) -> String {
    format!("swordfish-{}", extension.replace('0', "-"))
}

/// Before the daemon runs: Ana, her session and phone, and a patient's thread.
async fn sign_in(clinic: &Clinic, phone: String) -> ThreadId {
    let store = Store::open(&clinic.store, Events::default()).unwrap();
    let now = Timestamp::now();
    let thread = store.write(move |tx| {
        let name: threadline::model::StaffName = "ana".parse().unwrap();
        let person = Staff {
            name: name.clone(),
            shown_as: "Ana".into(),
            roles: "front_desk".parse().unwrap(),
            team: None,
            language: Language::default(),
            away_until: None,
            disabled_at: None,
        };
        staff::add(tx, &person, "system", now)?;
        let session = NewSession {
            id: session::id_of("secret"),
            staff: name.clone(),
            address: "127.0.0.1".into(),
            device: "test".into(),
            at: now,
        };
        sessions::start(tx, &session)?;
        staff::set_extension(tx, &name, Some(&phone), "system", now)?;
        let thread = threads::NewThread {
            id: ThreadId::new(now),
            number: number(PATIENT),
            reason: None,
            language: None,
            opened_by: threadline::model::OpenedBy::Staff,
            call: None,
            at: now,
        };
        threads::open(tx, &thread)?;
        Ok(thread.id)
    });
    let thread = thread.await.unwrap();
    store.close();
    thread
}

pub async fn done(page: Page) {
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn my_own_phone_rings_for_the_caller_whom_i_choose() {
    let live = Live::open().await;
    let mut queue = live.phone("201").await;
    let mut mine = live.phone("202").await;
    let (patient, call) = live.waits().await;
    let elsewhere = queue.rings().await;
    done(live.ana.post(&format!("/calls/{call}/answer"), &[]).await).await;
    let mut staff = mine.answers().await;
    let mut elsewhere = elsewhere;
    elsewhere.cancelled().await;
    patient.say(440.0);
    staff.hears(440.0).await;
    let page = live.ana.get("/calls").await.body;
    assert!(page.contains("with Phone 202 (Ana)"), "{page}");
    patient.dialog.bye("").await;
    staff.ended().await;
    let over = async || live.clinic.rows(What::Calls).iter().any(|call| !call["ended_at"].is_null());
    live.clinic.until("the call is over", over).await;
    let page = live.ana.get(&format!("/threads/{}", live.thread)).await.body;
    assert!(page.contains("answered by Ana (Phone 202)"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_waits_is_offered_a_text_by_a_click_and_takes_it_by_a_key() {
    let live = Live::open().await;
    let mut queue = live.phone("201").await;
    let (mut patient, call) = live.waits().await;
    let mut rings = queue.rings().await;
    done(live.ana.post(&format!("/calls/{call}/offer-text"), &[]).await).await;
    let offered = async || live.clinic.log().contains("still_holding");
    live.clinic.until("the offer is made", offered).await;
    patient.session.send_digit(Digit::from_char('1').unwrap(), Duration::from_millis(120));
    rings.cancelled().await;
    patient.ended().await;
    let over = async || live.clinic.rows(What::Calls).iter().any(|call| !call["ended_at"].is_null());
    live.clinic.until("the call is over", over).await;
    assert_eq!(live.clinic.rows(What::Calls)[0]["outcome"], "texted");
    let audit = live.clinic.rows(What::Audit);
    assert!(audit.iter().any(|row| row["action"] == "call.text_offered" && row["actor"] == "ana"), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_called_from_their_thread() {
    let mut live = Live::open().await;
    let call = format!("/threads/{}/call", live.thread);
    let page = live.ana.post(&call, &[]).await;
    assert!(page.status == StatusCode::CONFLICT && page.body.contains("not registered"), "{}", page.body);
    let mut mine = live.phone("202").await;
    done(live.ana.post(&call, &[]).await).await;
    let staff = mine.answers().await;
    let ringing = live.patient.rings().await;
    assert_eq!(ringing.from.number().map(PhoneNumber::as_str), Some("+12125550100"), "the clinic's number is shown");
    let mut patient = live.patient.pick_up(ringing).await;
    staff.say(1_000.0);
    patient.hears(1_000.0).await;
    let now = live.clinic.command(&["calls", "--json"]).output().unwrap();
    let now: serde_json::Value = serde_json::from_slice(&now.stdout).unwrap();
    let phones = now["phones"].as_array().unwrap();
    assert!(phones.iter().all(|phone| phone["phone"].as_str().unwrap().starts_with("extension:")), "{now}");
    // What the person presses for themselves does not reach the patient as tones.
    press(&staff, '*');
    press(&staff, '1');
    let texted = async || {
        let sent = live.clinic.rows(What::Messages);
        sent.iter().any(|message| message["direction"] == "outbound" && message["call"].is_string())
    };
    live.clinic.until("the patient is texted", texted).await;
    staff.dialog.bye("").await;
    patient.ended().await;
    let moved = async || live.clinic.rows(What::Threads).iter().any(|thread| !thread["moved_to_voice"].is_null());
    live.clinic.until("it counts as moved to the phone", moved).await;
    let call = live.clinic.rows(What::Calls).remove(0);
    assert_eq!((&call["direction"], &call["outcome"]), (&"outbound".into(), &"served".into()), "{call}");
}
