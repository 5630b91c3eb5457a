//! A thread's page over real HTTP: everything that can be done with it, and everything that is refused.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use threadline::model::{
    CallEnd, CallId, CallStart, Caller, Consent, ConsentMethod, ConsentState, Direction, EndedBy, Language, MessageId,
    OpenedBy, Outcome, PhoneNumber, Resolution, ThreadId, ThreadState,
};
use threadline::sms::receive::{self, Received, TextIn};
use threadline::store::threads::{self, NewThread, Thread};
use threadline::store::{audit, calls, consents, outbox, people};

use super::desk::{Desk, Page, Visitor};

const MARIA: &str = "+16462530142";
const JOHN: &str = "+16462530143";

static TEXTS: AtomicI64 = AtomicI64::new(0);

/// A text of a patient; gives its thread.
async fn texts(desk: &Desk, from: &str, body: &str) -> ThreadId {
    let text = TextIn {
        gateway: "sandbox".into(),
        gateway_id: format!("SM{}", TEXTS.fetch_add(1, Ordering::Relaxed)),
        from: PhoneNumber::e164(from).unwrap(),
        to: PhoneNumber::e164("+12125550100").unwrap(),
        body: body.to_owned().into(),
        media: Vec::new(),
        answered: None,
        templates: (desk.web.files)().templates,
        values: (desk.web.files)().values(),
        language: Language::default(),
        expire_after: Duration::from_secs(3600),
        reopen_within: Duration::from_secs(72 * 3600),
        now: desk.now(),
    };
    let received = desk.write(move |tx| receive::receive_text(tx, &text)).await;
    let Received::Stored { thread, .. } = received else { panic!("{received:?}") };
    thread
}

async fn row(desk: &Desk, thread: ThreadId) -> Thread {
    desk.web.store.read(move |conn| threads::find(conn, thread)).await.unwrap().unwrap()
}

async fn waiting_texts(desk: &Desk) -> u64 {
    desk.web.store.read(outbox::size).await.unwrap()
}

/// A hidden field of the page's answer form.
fn field(page: &Page, name: &str) -> String {
    let at = page.body.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {}", page.body));
    let value = &page.body[at + name.len() + 15..];
    value[..value.find('"').unwrap()].to_owned()
}

async fn answer(visitor: &Visitor, thread: ThreadId, page: &Page, words: &str) -> Page {
    let (version, form) = (field(page, "version"), field(page, "form"));
    let fields = [("version", version.as_str()), ("form", &form), ("kind", "text"), ("do", "send"), ("body", words)];
    visitor.post(&format!("/threads/{thread}/answer"), &fields).await
}

async fn open(visitor: &Visitor, thread: ThreadId) -> Page {
    let page = visitor.get(&format!("/threads/{thread}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_shows_everything_that_happened() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Can I come at nine?").await;
    let now = desk.now();
    let call = CallId::new(now);
    desk.write(move |tx| {
        let start = CallStart {
            id: call,
            direction: Direction::Inbound,
            trunk: "carrier".into(),
            from: Caller::Number(PhoneNumber::e164(MARIA).unwrap()),
            to: None,
            diversion: Vec::new(),
            sip_call_id: "x".into(),
            at: now,
        };
        calls::start(tx, &start)?;
        let end = CallEnd {
            id: call,
            answered_at: Some(now),
            at: now + SignedDuration::from_secs(75),
            path: vec!["hours:clinic".into(), "menu:welcome".into(), "text:general".into()],
            digits: "1".into(),
            language: Language::default(),
            outcome: Outcome::Texted,
            ended_by: EndedBy::Caller,
            cause: "hangup".into(),
            waited: Duration::from_secs(65),
            thread: Some(thread),
            quality: None,
        };
        calls::end(tx, &end)
    })
    .await;
    ana.post(&format!("/threads/{thread}/tag"), &[("tag", "insurance")]).await;
    let page = open(&ana, thread).await;
    for shown in [
        "Can I come at nine?",
        "chose a text",
        "opening hours “clinic” → menu “welcome” → text “general”",
        "keys pressed: 1",
        "waited 1:05 for a person",
        "the caller hung up",
        "ana added the tag insurance",
        "<title>Conversation · Threadline</title>",
        "(646) 253-0142",
    ] {
        assert!(page.body.contains(shown), "{shown} in {}", page.body);
    }
    let part = ana.fragment(&format!("/threads/{thread}/timeline")).await;
    assert!(part.body.contains("Can I come at nine?") && !part.body.contains("<html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_is_on_record_and_refreshing_is_not() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    open(&ana, thread).await;
    for part in ["timeline", "side", "head"] {
        assert_eq!(ana.fragment(&format!("/threads/{thread}/{part}")).await.status, StatusCode::OK);
    }
    // A write after them is committed after them.
    desk.write(|_| Ok(())).await;
    let viewed = desk.web.store.read(|conn| {
        let count =
            conn.query_row("SELECT count(*) FROM audit WHERE action = 'thread.viewed' AND actor = 'ana'", [], |row| {
                row.get(0)
            })?;
        Ok::<i64, _>(count)
    });
    assert_eq!(viewed.await.unwrap(), 1);
}

/// A part of the page by itself shows as much as the page.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_parts_alone_has_looked_at_the_thread() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    for part in ["timeline", "side", "head", "timeline"] {
        assert_eq!(ana.fragment(&format!("/threads/{thread}/{part}")).await.status, StatusCode::OK);
    }
    assert_eq!(ana.get("/").await.status, StatusCode::OK);
    desk.write(|_| Ok(())).await;
    let looks = desk.web.store.read(|conn| {
        let mut rows =
            conn.prepare("SELECT action FROM audit WHERE action LIKE '%.viewed' AND actor = 'ana' ORDER BY seq")?;
        let rows = rows.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok::<_, threadline::store::StoreError>(rows)
    });
    assert_eq!(looks.await.unwrap(), ["thread.viewed", "queue.viewed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_one_text_however_often_its_form_comes() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Can I come at nine?").await;
    let page = open(&ana, thread).await;
    for _ in 0..2 {
        let sent = answer(&ana, thread, &page, "Nine is fine.").await;
        assert_eq!(
            (sent.status, sent.location()),
            (StatusCode::SEE_OTHER, format!("/threads/{thread}#compose").as_str())
        );
    }
    assert_eq!(waiting_texts(&desk).await, 1);
    // A draft of it that comes late is none any more.
    let late = [("body", "Nine is fine"), ("form", &*field(&page, "form"))];
    assert_eq!(ana.post(&format!("/threads/{thread}/draft"), &late).await.status, StatusCode::SEE_OTHER);
    let shown = open(&ana, thread).await.body;
    assert!(!shown.contains("Nine is fine</textarea>"));
    assert!(shown.contains("Nine is fine.") && shown.contains("/undo") && shown.contains("goes "));
    assert_eq!(row(&desk, thread).await.owner, Some("ana".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_answer_in_the_same_instant_and_one_is_first() {
    let desk = Desk::open().await;
    for round in 0..5 {
        let names = [format!("ana{round}"), format!("bo{round}")];
        let (ana, bo) = (desk.person(&names[0], "front_desk").await, desk.person(&names[1], "front_desk").await);
        let thread = texts(&desk, &format!("+1646253014{round}"), "Can I come at nine?").await;
        let (hers, his) = (open(&ana, thread).await, open(&bo, thread).await);
        let (hers, his) =
            tokio::join!(answer(&ana, thread, &hers, "Yes, at nine."), answer(&bo, thread, &his, "No, at ten."));
        let (first, second, kept) = match (hers.status, his.status) {
            (StatusCode::SEE_OTHER, StatusCode::CONFLICT) => ((&names[0], "Yes, at nine."), his, "No, at ten."),
            (StatusCode::CONFLICT, StatusCode::SEE_OTHER) => ((&names[1], "No, at ten."), hers, "Yes, at nine."),
            both => panic!("{both:?}"),
        };
        assert!(second.body.contains(&format!("{} was first", first.0)) && second.body.contains(first.1));
        let typed = &second.body[second.body.find("<textarea").unwrap()..];
        assert!(typed[..typed.find("</textarea>").unwrap()].contains(kept), "the words are still in the box");
        assert_eq!(waiting_texts(&desk).await, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_gives_the_words_back_until_the_text_has_gone() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Can I come at nine?").await;
    answer(&ana, thread, &open(&ana, thread).await, "Nine is fine.").await;
    let page = open(&ana, thread).await;
    let at = page.body.find("/messages/").unwrap();
    let undo = page.body[at..at + page.body[at..].find('"').unwrap()].to_owned();
    assert!(undo.ends_with("/undo"), "{undo}");
    assert_eq!(ana.post(&undo, &[]).await.location(), format!("/threads/{thread}"));
    assert_eq!(waiting_texts(&desk).await, 0);
    let page = open(&ana, thread).await;
    assert!(page.body.contains("<del>") && page.body.contains("taken back, never sent"));
    let typed = &page.body[page.body.find("<textarea").unwrap()..];
    assert!(typed[..typed.find("</textarea>").unwrap()].contains("Nine is fine."));
    assert!(row(&desk, thread).await.waiting_since.is_some());
    // Once it is on its way, it is too late.
    answer(&ana, thread, &page, "Nine is fine.").await;
    let due = desk.now() + SignedDuration::from_secs(60);
    let gone = desk.write(move |tx| outbox::lease(tx, due, 1)).await;
    let late = ana.post(&format!("/messages/{}/undo", gone[0].message), &[]).await;
    assert!(late.status == StatusCode::CONFLICT && late.body.contains("Too late"));
    let nothing = MessageId::new(desk.now());
    assert_eq!(ana.post(&format!("/messages/{nothing}/undo"), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_says_why_and_stays_in_the_box() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    let page = open(&ana, thread).await;
    let refused = answer(&ana, thread, &page, &"x".repeat(1_601)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("1601 characters; 1,600 is the most"));
    let refused = answer(&ana, thread, &page, "  ").await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains("nothing to send"));
    let later =
        [("form", field(&page, "form")), ("kind", "text".into()), ("do", "later".into()), ("body", "Hi".into())];
    for (time, why) in [
        ("", "Choose a date"),
        ("soon", "not a date"),
        ("2020-01-01T08:00", "is past"),
        ("2031-01-01T08:00", "more than a year"),
    ] {
        let mut fields: Vec<(&str, &str)> = later.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("send_at", time));
        let refused = ana.post(&format!("/threads/{thread}/answer"), &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.body.contains(why), "{time}: {}", refused.body);
    }
    texts(&desk, MARIA, "STOP").await;
    let refused = answer(&ana, thread, &page, "But listen").await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains("opted out of texts"));
    assert!(open(&ana, thread).await.body.contains("But listen"), "the draft is kept");
    assert_eq!(waiting_texts(&desk).await, 1, "the answer to STOP alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_for_later_is_shown_can_be_hurried_and_falls_to_stop() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    let schedule = async |words: &str| {
        let form = field(&open(&ana, thread).await, "form");
        let fields = [
            ("form", form.as_str()),
            ("version", "999"),
            ("kind", "text"),
            ("do", "later"),
            ("send_at", "2026-11-03T08:00"),
            ("body", words),
        ];
        assert_eq!(ana.post(&format!("/threads/{thread}/answer"), &fields).await.status, StatusCode::SEE_OTHER);
    };
    schedule("See you tomorrow.").await;
    assert!(open(&ana, thread).await.body.contains("goes Nov 3, 8:00 AM"));
    let eight: Timestamp = "2026-11-03T13:00:00Z".parse().unwrap();
    assert_eq!(desk.web.store.read(outbox::next_due).await.unwrap(), Some(eight));
    let now = desk.now();
    let page = open(&ana, thread).await;
    let at = page.body.find("/messages/").unwrap();
    let hurry = page.body[at..at + page.body[at..].find('"').unwrap()].replace("undo", "now");
    assert_eq!(ana.post(&hurry, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.write(move |tx| outbox::lease(tx, now, 9)).await.len(), 1);
    assert_eq!(ana.post(&hurry, &[]).await.status, StatusCode::CONFLICT);
    schedule("And bring your card.").await;
    texts(&desk, MARIA, "STOP").await;
    assert!(open(&ana, thread).await.body.contains("the recipient opted out before it was sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_for_staff_and_a_long_one_is_folded() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    let note = |body: String| {
        let ana = ana.clone();
        async move { ana.post(&format!("/threads/{thread}/answer"), &[("kind", "note"), ("body", &body)]).await }
    };
    let line = "a line of ordinary length, as people write them when they copy out a record\r\n";
    assert_eq!(note(line.repeat(10_000)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(waiting_texts(&desk).await, 0);
    let page = open(&ana, thread).await;
    assert!(page.body.len() < 100_000 && page.body.contains("Read the whole note"), "{}", page.body.len());
    let at = page.body.find("/notes/").unwrap();
    let path = format!("/threads/{thread}{}", &page.body[at..at + page.body[at..].find('"').unwrap()]);
    assert!(page.body.contains(&format!("data-part=\"{path}\"")), "a script fetches it when it is opened");
    let whole = ana.get(&path).await;
    assert_eq!(whole.body.matches("a line of").count(), 10_000);
    let part = ana.fragment(&path).await;
    assert!(part.body.starts_with("<p class=\"words\"") && part.body.matches("a line of").count() == 10_000);
    let other = texts(&desk, JOHN, "Hello").await;
    let foreign = path.replace(&thread.to_string(), &other.to_string());
    assert_eq!(ana.get(&foreign).await.status, StatusCode::NOT_FOUND, "a note is read beside its own thread");
    let refused = note("x".repeat(1024 * 1024 + 1)).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains("A note may have 1 MB"));
    assert!(refused.body.matches('x').count() > 1024 * 1024, "what was typed is not lost");
    assert_eq!(note(String::new()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_grows_with_what_is_written_whatever_its_letters() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk,manager").await;
    for (last, letters) in ["<", "\"", "\u{202e}", "漢"].into_iter().enumerate() {
        let from = format!("+1646253020{last}");
        let thread = texts(&desk, &from, &letters.repeat(30_000 / letters.len())).await;
        for _ in 0..2 {
            desk.clock.advance(Duration::from_secs(1));
            let long = letters.repeat(100_000 / letters.len());
            let noted = ana.post(&format!("/threads/{thread}/answer"), &[("kind", "note"), ("body", &long)]).await;
            assert_eq!(noted.status, StatusCode::SEE_OTHER, "{letters:?}");
            desk.clock.advance(Duration::from_secs(1));
            texts(&desk, &from, &letters.repeat(1_600)).await;
        }
        let (mut path, mut seen, mut pages) = (format!("/threads/{thread}"), String::new(), 0);
        loop {
            let page = ana.get(&path).await;
            assert!(page.status.is_success() && page.body.len() < 100_000, "{letters:?} {path}: {}", page.body.len());
            seen += &page.body;
            pages += 1;
            let Some((_, earlier)) = page.body.split_once("?before=") else { break };
            path = format!("/threads/{thread}/timeline?before={}", earlier.split_once('"').unwrap().0);
        }
        assert!(pages < 10 && seen.contains("/notes/") && seen.contains("/texts/"), "{letters:?}: {pages}");
        // The first text is read in full on its own.
        let (_, text) = seen.rsplit_once("/texts/").unwrap();
        let text = ana.get(&format!("/threads/{thread}/texts/{}", text.split_once('"').unwrap().0)).await;
        assert!(text.status.is_success() && text.body.contains("Text</h1>"), "{letters:?}: {}", text.status);
        for list in ["/?view=all", "/day", "/search"] {
            assert!(ana.get(list).await.body.len() < 100_000, "{letters:?} {list}");
        }
        let found = ana.post("/palette", &[("q", "0142")]).await;
        assert!(found.status.is_success() && found.body.len() < 100_000, "{letters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_does_its_work_and_leads_back() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    desk.person("bo", "clinical").await;
    let thread = texts(&desk, MARIA, "My chest hurts").await;
    assert_eq!(row(&desk, thread).await.red_flag.as_deref(), Some("chest hurts"));
    let act = async |name: &str, fields: &[(&str, &str)]| {
        let page = ana.post(&format!("/threads/{thread}/{name}"), fields).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::SEE_OTHER, format!("/threads/{thread}").as_str()),
            "{name}: {}",
            page.body
        );
        row(&desk, thread).await
    };
    assert_eq!(act("take", &[]).await.owner, Some("ana".parse().unwrap()));
    assert_eq!(act("assign", &[("to", "bo")]).await.owner, Some("bo".parse().unwrap()));
    assert_eq!(act("release", &[]).await.owner, None);
    assert_eq!(act("team", &[("team", "front_desk")]).await.team.as_deref(), Some("front_desk"));
    assert_eq!(act("team", &[("team", "")]).await.team, None);
    assert_eq!(act("reason", &[("reason", " refill ")]).await.reason.as_deref(), Some("refill"));
    assert_eq!(act("tag", &[("tag", "  new   patient ")]).await.tags, ["new patient"]);
    assert!(act("untag", &[("tag", "new patient")]).await.tags.is_empty());
    assert_eq!(act("clear-flag", &[("note", "Called her; it is the ribs.")]).await.red_flag, None);
    let escalated = act("escalate", &[("note", "Ribs hurt since the fall.")]).await;
    assert_eq!((escalated.team.as_deref(), escalated.owner), (Some("clinical"), None));
    let nine: Timestamp = "2026-11-02T17:00:00Z".parse().unwrap();
    assert_eq!(act("snooze", &[("for", "hour")]).await.snoozed_until, Some(nine));
    assert_eq!(act("wake", &[]).await.state, ThreadState::Open);
    let monday: Timestamp = "2026-11-09T13:00:00Z".parse().unwrap();
    assert_eq!(act("snooze", &[("for", "monday")]).await.snoozed_until, Some(monday));
    assert_eq!(act("wake", &[]).await.snoozed_until, None);
    assert_eq!(
        act("follow-up", &[("at", "2026-11-09T08:00"), ("note", "Ask how it went")]).await.follow_up_at,
        Some(monday)
    );
    assert_eq!(act("follow-up", &[]).await.follow_up_at, None);
    assert!(act("voice", &[]).await.moved_to_voice.is_some());
    let closed = act("close", &[("resolution", "appointment_booked")]).await;
    assert_eq!((closed.state, closed.resolution), (ThreadState::Closed, Some(Resolution::AppointmentBooked)));
    assert_eq!(act("reopen", &[]).await.state, ThreadState::Open);
    let shown = open(&ana, thread).await.body;
    for words in ["Called her; it is the ribs.", "ana handed it to clinical staff", "ana closed it: appointment booked"]
    {
        assert!(shown.contains(words), "{words}");
    }
    desk.web.store.read(|conn| Ok(audit::verify(conn).unwrap())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_refuses_what_cannot_be() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    desk.person("root", "admin").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    let before = row(&desk, thread).await;
    for (name, fields, why) in [
        ("assign", vec![("to", "nobody-here")], "Choose somebody from the list"),
        ("assign", vec![("to", "root")], "Choose somebody from the list"),
        ("assign", vec![], "Choose somebody from the list"),
        ("team", vec![("team", "surgeons")], "no such team"),
        ("tag", vec![("tag", " ")], "one to 40 characters"),
        ("tag", vec![("tag", "a,b")], "one to 40 characters"),
        ("tag", vec![("tag", "12345678901234567890123456789012345678901")], "one to 40 characters"),
        ("escalate", vec![], "Write in a few words why"),
        ("clear-flag", vec![("note", " ")], "Write in a few words why"),
        ("snooze", vec![("for", "at"), ("at", "2020-01-01T08:00")], "is past"),
        ("snooze", vec![], "not a date"),
        ("follow-up", vec![("at", "x")], "not a date"),
        ("close", vec![("resolution", "merged")], "how it was resolved"),
        ("merge", vec![], "Choose the conversation"),
        ("merge", vec![("number", "12")], "not a phone number"),
        ("merge", vec![("number", JOHN)], "no conversation with that number"),
        ("people", vec![("name", " ")], "Write a name"),
        ("people", vec![("name", "Maria"), ("language", "<x>")], "not a language"),
        ("opt-out", vec![], "it is the evidence"),
        ("template", vec![("template", "greeting")], "no such message"),
        ("template", vec![("template", "closing_thanks")], "do not know who of them it is"),
    ] {
        let page = ana.post(&format!("/threads/{thread}/{name}"), &fields).await;
        assert!(
            page.status.is_client_error() && page.body.contains(why),
            "{name} {fields:?}: {} {}",
            page.status,
            page.body
        );
    }
    assert_eq!(row(&desk, thread).await, before);
    // What calls for a person at once stays in sight until somebody says what was done.
    let now = desk.now();
    desk.write(move |tx| threads::flag(tx, thread, "chest pain", now)).await;
    assert!(!open(&ana, thread).await.body.contains("/snooze\""));
    for (name, fields) in
        [("snooze", [("for", "hour")]), ("offer", [("", "")]), ("close", [("resolution", "answered")])]
    {
        let page = ana.post(&format!("/threads/{thread}/{name}"), &fields).await;
        assert!(page.status.is_client_error() && page.body.contains("It has a red flag"), "{name}: {}", page.body);
    }
    assert!(row(&desk, thread).await.red_flag.is_some());
    // Who took it meanwhile keeps it.
    let bo = desk.person("bo", "front_desk").await;
    bo.post(&format!("/threads/{thread}/take"), &[("owner", "")]).await;
    let late = ana.post(&format!("/threads/{thread}/take"), &[("owner", "")]).await;
    assert!(late.status == StatusCode::CONFLICT && late.body.contains("bo has taken it meanwhile"), "{}", late.body);
    assert!(open(&ana, thread).await.body.contains("name=\"owner\" value=\"bo\""));
    ana.post(&format!("/threads/{thread}/take"), &[("owner", "bo")]).await;
    assert_eq!(row(&desk, thread).await.owner, Some("ana".parse().unwrap()));
    // A closed thread is opened first, also to be moved to the phone.
    let close = [("resolution", "moved_to_voice"), ("note", "Called her.")];
    ana.post(&format!("/threads/{thread}/close"), &close).await;
    let closed = row(&desk, thread).await;
    assert!(closed.red_flag.is_none() && closed.moved_to_voice.is_some());
    let shown = open(&ana, thread).await.body;
    assert!(shown.contains("ana saw to the red flag") && shown.contains("Called her."));
    for (name, fields) in [
        ("snooze", [("for", "hour")]),
        ("escalate", [("note", "x")]),
        ("follow-up", [("at", "2026-11-09T08:00")]),
        ("voice", [("", "")]),
        ("close", [("resolution", "moved_to_voice")]),
    ] {
        let page = ana.post(&format!("/threads/{thread}/{name}"), &fields).await;
        assert!(page.status == StatusCode::CONFLICT && page.body.contains("Reopen it first"), "{name}");
    }
    // An auditor reads and changes nothing; there is no form for it either.
    let auditor = desk.person("au", "auditor").await;
    let page = open(&auditor, thread).await;
    assert!(!page.body.contains("/answer\"") && !page.body.contains("/take\"") && page.body.contains("not answer it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_number_has_several_people_and_one_thread() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    let add = async |fields: &[(&str, &str)]| {
        assert_eq!(ana.post(&format!("/threads/{thread}/people"), fields).await.status, StatusCode::SEE_OTHER);
    };
    add(&[("name", "Maria Lopez"), ("language", "es"), ("note", "prefers mornings")]).await;
    // One person: their first name and their language are known.
    let text = ana.post(&format!("/threads/{thread}/template"), &[("template", "closing_thanks"), ("body", "")]).await;
    assert_eq!(text.status, StatusCode::SEE_OTHER, "{}", text.body);
    assert!(open(&ana, thread).await.body.contains("gracias, Maria."));
    desk.clock.advance(Duration::from_secs(1));
    add(&[("name", "Juan Lopez"), ("on_behalf_of", "Maria Lopez")]).await;
    let page = open(&ana, thread).await;
    assert!(page.body.contains("Juan Lopez") && page.body.contains("for Maria Lopez") && page.body.contains(" and "));
    assert_eq!(row(&desk, thread).await.name.as_deref(), Some("Maria Lopez, Juan Lopez"));
    let unclear = ana.post(&format!("/threads/{thread}/template"), &[("template", "closing_thanks")]).await;
    assert_eq!(unclear.status, StatusCode::UNPROCESSABLE_ENTITY, "nobody is called by another's name");
    let number = PhoneNumber::e164(MARIA).unwrap();
    let all = desk.web.store.read(move |conn| people::of_number(conn, &number)).await.unwrap();
    let (maria, juan) = (all[0].id, all[1].id);
    let back = thread.to_string();
    ana.post(&format!("/people/{maria}"), &[("thread", &back), ("name", "María López")]).await;
    ana.post(&format!("/people/{juan}/remove"), &[("thread", &back)]).await;
    assert_eq!(row(&desk, thread).await.name.as_deref(), Some("María López"));
    assert_eq!(texts(&desk, MARIA, "Hello again").await, thread);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_recorded_with_its_words_and_never_over_a_stop() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Hello").await;
    answer(&ana, thread, &open(&ana, thread).await, "Hi").await;
    let path = |name: &str| format!("/threads/{thread}/{name}");
    ana.post(&path("opt-out"), &[("words", "Asked on the phone for no more texts")]).await;
    let page = open(&ana, thread).await.body;
    assert!(page.contains("Opted out") && page.contains("Asked on the phone for no more texts"));
    assert_eq!(waiting_texts(&desk).await, 0, "what waited is not sent");
    ana.post(&path("consent"), &[("words", "At the desk: may we text you? Yes.")]).await;
    let number = PhoneNumber::e164(MARIA).unwrap();
    let current: Consent = desk.web.store.read(move |conn| consents::current(conn, &number)).await.unwrap().unwrap();
    assert_eq!(
        (current.state, current.method, current.actor.as_str()),
        (ConsentState::Granted, ConsentMethod::Staff, "ana")
    );
    assert_eq!(current.disclosure.as_deref(), Some("At the desk: may we text you? Yes."));
    texts(&desk, MARIA, "STOP").await;
    let refused = ana.post(&path("consent"), &[("words", "She did not mean it")]).await;
    assert!(refused.status == StatusCode::CONFLICT && refused.body.contains("their own START"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_conversations_become_one_timeline() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let (maria, john) = (texts(&desk, MARIA, "From my phone").await, texts(&desk, JOHN, "From his phone").await);
    let merged = ana.post(&format!("/threads/{maria}/merge"), &[("number", "(646) 253-0143")]).await;
    assert_eq!(merged.location(), format!("/threads/{john}"));
    let page = open(&ana, john).await;
    assert!(page.body.contains("From my phone") && page.body.contains("From his phone"));
    assert!(page.body.contains("to and from (646) 253-0142"), "whose words they were is said");
    assert_eq!(ana.get(&format!("/threads/{maria}")).await.location(), format!("/threads/{john}"));
    let next = texts(&desk, MARIA, "And again").await;
    assert!(next != maria && next != john, "her next text is answered to her own number");
    let twice = ana.post(&format!("/threads/{maria}/merge"), &[("into", &next.to_string())]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_conversation_is_folded_and_read_on_demand() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let old = texts(&desk, MARIA, "My first question").await;
    ana.post(&format!("/threads/{old}/close"), &[("resolution", "answered")]).await;
    let now = desk.now();
    let new = ThreadId::new(now);
    desk.write(move |tx| {
        let number = PhoneNumber::e164(MARIA).unwrap();
        let (opened_by, call) = (OpenedBy::Call, None);
        threads::open(tx, &NewThread { id: new, number, reason: None, language: None, opened_by, call, at: now })
    })
    .await;
    let page = open(&ana, new).await;
    assert!(page.body.contains("Earlier conversation of") && !page.body.contains("My first question"));
    let part = ana.fragment(&format!("/threads/{new}/earlier/{old}")).await;
    assert!(part.body.contains("My first question"));
    let john = texts(&desk, JOHN, "Not hers").await;
    assert_eq!(ana.fragment(&format!("/threads/{new}/earlier/{john}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_others_write_runs_or_deceives() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let evil = "<script>alert(1)</script>\u{202e}evil\u{200b} https://evil.example 👩\u{200d}👧 שלום";
    let thread = texts(&desk, MARIA, evil).await;
    let name = "<img src=x onerror=alert(1)>";
    ana.post(&format!("/threads/{thread}/people"), &[("name", name), ("on_behalf_of", name), ("note", name)]).await;
    for (action, field) in [("tag", "tag"), ("reason", "reason")] {
        assert_eq!(
            ana.post(&format!("/threads/{thread}/{action}"), &[(field, name)]).await.status,
            StatusCode::SEE_OTHER
        );
    }
    ana.post(&format!("/threads/{thread}/draft"), &[("body", "</textarea><script>alert(1)</script>")]).await;
    let page = open(&ana, thread).await.body;
    assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("U+202E") && page.contains("U+200B"));
    assert!(page.contains("👩\u{200d}👧 שלום") && !page.contains("href=\"https://evil"));
    assert!(!page.contains(" style=\"") && !page.contains("onclick"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_is_read_page_by_page_and_each_is_small() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "number 0.").await;
    for which in 1..250 {
        texts(&desk, MARIA, &format!("number {which}. {}", "long ".repeat(40))).await;
    }
    let mut page = open(&ana, thread).await;
    let mut seen = 0;
    loop {
        assert!(page.body.len() < 100_000, "{}", page.body.len());
        seen += page.body.matches(">number ").count();
        let Some(at) = page.body.find("/timeline?before=") else { break };
        let query = &page.body[at..at + page.body[at..].find('"').unwrap()];
        page = ana.get(&format!("/threads/{thread}{query}")).await;
        assert_eq!(page.status, StatusCode::OK);
    }
    assert_eq!(seen, 250);
    assert_eq!(ana.get(&format!("/threads/{thread}/timeline?before=x")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_else_is_asked_once() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = texts(&desk, MARIA, "Thank you").await;
    for _ in 0..2 {
        assert_eq!(ana.post(&format!("/threads/{thread}/offer"), &[]).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(waiting_texts(&desk).await, 1);
    assert!(row(&desk, thread).await.close_offered_at.is_some());
    assert!(open(&ana, thread).await.body.contains("anything else we can help with?"));
    texts(&desk, MARIA, "Yes, one more").await;
    assert_eq!(row(&desk, thread).await.close_offered_at, None, "an answer takes the offer off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_speaks_the_persons_language_and_so_do_its_refusals() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    desk.write(|tx| Ok(tx.execute("UPDATE staff SET language = 'es' WHERE name = 'ana'", [])?)).await;
    let thread = texts(&desk, MARIA, "Hola").await;
    ana.post(&format!("/threads/{thread}/take"), &[]).await;
    let page = open(&ana, thread).await;
    for words in ["lang=\"es\"", "Mensaje al paciente", "ana la tomó", "El paciente escribió primero", "Personas"] {
        assert!(page.body.contains(words), "{words}");
    }
    let refused = ana.post(&format!("/threads/{thread}/close"), &[]).await;
    assert!(refused.body.contains("Elija cómo se resolvió"), "{}", refused.body);
}
