//! The queue, its live updates, presence and the day, over real HTTP.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use threadline::call::registry::InProgress;
use threadline::events::Event;
use threadline::model::{Language, MessageId, MessageStatus, OpenedBy, PhoneNumber, Private, Resolution, ThreadId};
use threadline::sms::receive::{TextIn, receive_text};
use threadline::store::messages::{self, MessageKind, NewMessage, Report};
use threadline::store::outbox;
use threadline::store::threads::{self, NewThread};
use threadline::web::live::{MOST, MOST_EACH};

use super::desk::{Desk, MONDAY, Visitor};

fn number(last: u32) -> PhoneNumber {
    PhoneNumber::e164(&format!("+1212555{last:04}")).unwrap()
}

fn minutes_before(now: Timestamp, minutes: i64) -> Timestamp {
    now - SignedDuration::from_mins(minutes)
}

fn message(thread: ThreadId, author: &str, words: &str, at: Timestamp) -> NewMessage {
    NewMessage {
        id: MessageId::new(at),
        thread,
        kind: MessageKind::Chat,
        author: author.into(),
        from: number(100),
        to: number(200),
        body: Private::new(words.into()),
        media: vec![],
        call: None,
        once: None,
        at,
    }
}

/// A thread whose patient wrote so many minutes ago and waits.
async fn waiting(desk: &Desk, last: u32, minutes: i64) -> ThreadId {
    let at = minutes_before(desk.now(), minutes);
    let thread = NewThread {
        id: ThreadId::new(at),
        number: number(last),
        reason: Some("general".into()),
        language: None,
        opened_by: OpenedBy::Text,
        call: None,
        at,
    };
    let id = thread.id;
    desk.write(move |tx| {
        threads::open(tx, &thread)?;
        tx.execute(
            "UPDATE threads SET waiting_since = ?2, last_at = ?2, last_author = 'patient', last_words = 'When do you open?'
             WHERE id = ?1",
            (id.to_string(), at.as_microsecond()),
        )?;
        Ok(())
    })
    .await;
    id
}

/// Changes a thread's row behind the site's back.
async fn set(desk: &Desk, thread: ThreadId, columns: &'static str) {
    desk.write(move |tx| {
        tx.execute(&format!("UPDATE threads SET {columns} WHERE id = ?"), [thread.to_string()])?;
        tx.announce(Event::Thread(thread));
        Ok(())
    })
    .await;
}

/// The threads of a page, in its order.
fn listed(body: &str) -> Vec<String> {
    body.split("id=\"t-").skip(1).map(|rest| rest[..36].to_owned()).collect()
}

fn ids(threads: &[ThreadId]) -> Vec<String> {
    threads.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_wait_comes_first_and_says_where_it_stands_in_words() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let fresh = waiting(&desk, 201, 5).await;
    let soon = waiting(&desk, 202, 12).await;
    let late = waiting(&desk, 203, 27).await;
    let flagged = waiting(&desk, 204, 1).await;
    set(&desk, flagged, "red_flag = 'chest pain'").await;
    let answered = waiting(&desk, 205, 40).await;
    set(&desk, answered, "waiting_since = NULL, last_author = 'ana'").await;
    let page = ana.get("/?view=all").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(listed(&page.body), ids(&[flagged, late, soon, fresh, answered]));
    for words in [
        "answer within 10 min",
        "answer within 3 min",
        "12 min late",
        "Red flag",
        "waits for patient",
        "(212) 555-0203",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(page.body.len() < 100_000 && page.body.contains("<title>Inbox"));
    // The clinic is closed at night: a wait is not counted, and the time to answer is a time of day.
    desk.clock.advance(Duration::from_secs(11 * 3600));
    let night = waiting(&desk, 206, 1).await;
    let page = desk.person("ben", "front_desk").await.fragment("/?view=all").await;
    assert!(page.body.contains("answer by Tue 8:15 AM"), "{}", page.body);
    assert!(!page.body.contains("<html") && listed(&page.body).contains(&night.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_view_lists_its_own_and_the_default_is_mine_if_anything_is_there() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    desk.person("ben", "front_desk").await;
    desk.write(|tx| Ok(tx.execute("UPDATE staff SET team = 'front_desk' WHERE name = 'ana'", [])?)).await;
    let free = waiting(&desk, 201, 5).await;
    let bens = waiting(&desk, 202, 6).await;
    set(&desk, bens, "owner = 'ben', team = 'front_desk'").await;
    let snoozed = waiting(&desk, 203, 7).await;
    set(&desk, snoozed, "state = 'snoozed', snoozed_until = 1793700000000000").await;
    let closed = waiting(&desk, 204, 8).await;
    set(&desk, closed, "state = 'closed', closed_at = 5").await;
    assert_eq!(listed(&ana.get("/").await.body), ids(&[free]), "nothing is hers: what is nobody's");
    for (view, expected) in [("unassigned", free), ("team", bens), ("snoozed", snoozed), ("closed", closed)] {
        assert_eq!(listed(&ana.get(&format!("/?view={view}")).await.body), ids(&[expected]), "{view}");
    }
    assert_eq!(listed(&ana.get("/?view=all").await.body), ids(&[bens, free]));
    let mine = waiting(&desk, 205, 1).await;
    set(&desk, mine, "owner = 'ana', tags = '[\"bill\"]'").await;
    let page = ana.get("/").await;
    assert_eq!(listed(&page.body), ids(&[mine]));
    // A filter is asked for as the list itself does; what is called otherwise leads to the whole list.
    let all = ana.get("/?view=all").await.body;
    let (_, link) = all.split_once("/?view=all&amp;tag=").expect("a link for the tag");
    let tag = format!("/?view=all&tag={}", &link[..16]);
    assert_eq!(listed(&ana.get(&tag).await.body), ids(&[mine]));
    assert!(ana.get(&format!("{tag}&team=clinical")).await.body.contains("Nothing here fits this filter"));
    let old = ana.get("/?view=all&tag=bill").await.body;
    assert!(listed(&old).len() == 3 && old.contains("you see the whole list"), "{old}");
    let needs: serde_json::Value = serde_json::from_str(&ana.get("/queue/needs").await.body).unwrap();
    assert_eq!(needs["waiting"], 2, "hers and nobody's: {needs}");
    // Who runs the box reads no thread and is led to what they may see.
    assert_eq!(desk.person("root", "admin").await.get("/").await.location(), "/day");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_fifty_follow_each_other() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    for last in 0..120 {
        waiting(&desk, 1000 + last, i64::from(last % 13)).await;
    }
    let (mut all, mut address) = (Vec::new(), "/?view=unassigned".to_owned());
    let mut sizes = Vec::new();
    loop {
        let page = ana.get(&address).await;
        assert!(page.body.len() < 100_000, "{} bytes", page.body.len());
        let rows = listed(&page.body);
        sizes.push(rows.len());
        all.extend(rows);
        let Some((before, _)) = page.body.split_once("\" id=\"more\"").or_else(|| page.body.split_once("id=\"more\""))
        else {
            break;
        };
        let after = page.body[before.len()..].split_once("href=\"").unwrap().1.split_once('"').unwrap().0;
        address = after.replace("&amp;", "&");
    }
    assert_eq!(sizes, [50, 50, 20]);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_threads_are_worked_at_once() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let [first, second, third] =
        [waiting(&desk, 201, 5).await, waiting(&desk, 202, 6).await, waiting(&desk, 203, 7).await];
    let (a, b) = (first.to_string(), second.to_string());
    let page = ana
        .post("/threads/bulk", &[("thread", &a), ("thread", &b), ("do", "take"), ("back", "/?view=unassigned")])
        .await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/?view=unassigned"));
    assert_eq!(listed(&ana.get("/?view=mine").await.body), ids(&[second, first]));
    // Who waits is not closed upon unseen, and a red flag stays in sight; what is left is said.
    let close = ("do", "close");
    assert_eq!(ana.post("/threads/bulk", &[("thread", &a), close]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let left = ana.post("/threads/bulk", &[("thread", &a), close, ("resolution", "answered")]).await;
    assert!(left.body.contains("0 threads done; 1 left: its patient waits"), "{}", left.body);
    ana.post(&format!("/threads/{first}/voice"), &[]).await;
    desk.write(move |tx| threads::flag(tx, second, "chest pain", Timestamp::UNIX_EPOCH)).await;
    let snooze = [("thread", a.as_str()), ("thread", &b), ("do", "snooze"), ("until", "open")];
    assert!(ana.post("/threads/bulk", &snooze).await.body.contains("1 thread done; 1 left: it has a red flag"));
    ana.post(&format!("/threads/{first}/wake"), &[]).await;
    let both = [("thread", a.as_str()), ("thread", &b), close, ("resolution", "no_reply_needed")];
    assert!(ana.post("/threads/bulk", &both).await.body.contains("1 thread done; 1 left: it has a red flag"));
    ana.post(&format!("/threads/{second}/clear-flag"), &[("note", "Called her.")]).await;
    // What a colleague took meanwhile stays theirs; what was theirs on the page is taken over.
    let bo = desk.person("bo", "front_desk").await;
    let c = third.to_string();
    ana.post("/threads/bulk", &[("thread", &c), ("do", "take")]).await;
    let late = bo.post("/threads/bulk", &[("thread", &c), ("do", "take")]).await;
    assert!(late.body.contains("1 left: a colleague has taken it"), "{}", late.body);
    let over = bo.post("/threads/bulk", &[("thread", &format!("{c}/ana")), ("do", "take")]).await;
    assert_eq!(over.status, StatusCode::SEE_OTHER);
    ana.post("/threads/bulk", &[("thread", &b), ("do", "snooze"), ("until", "open")]).await;
    assert_eq!(listed(&ana.get("/?view=closed").await.body), ids(&[first]));
    let snoozed = ana.get("/?view=snoozed").await.body;
    assert_eq!(listed(&snoozed), ids(&[second]));
    assert!(snoozed.contains("until 1:00 PM"), "after lunch: {snoozed}");
    assert_eq!(listed(&ana.get("/?view=all").await.body), ids(&[third]));
    let nothing = ana.post("/threads/bulk", &[("do", "close"), ("back", "https://evil.example/")]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let away = ana.post("/threads/bulk", &[("thread", &a), ("do", "take"), ("back", "https://evil.example/")]).await;
    assert_eq!(away.location(), "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_does_not_arrive_marks_its_thread_until_one_does() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = waiting(&desk, 201, 5).await;
    let now = desk.now();
    let report = |status, at: Timestamp, gateway_id: &'static str| {
        move |tx: &threadline::store::Tx<'_>| {
            messages::report(tx, &Report { gateway: "g", gateway_id, status, error: Some("30003 unreachable"), at })
        }
    };
    for (id, at) in [("1", now), ("2", now + SignedDuration::from_secs(1))] {
        let text = message(thread, "ana", "Until five.", at);
        desk.write(move |tx| {
            outbox::enqueue(tx, &text, at + SignedDuration::from_hours(1))?;
            tx.execute(
                "UPDATE messages SET gateway = 'g', gateway_id = ?2, status = 'sent' WHERE id = ?1",
                (text.id.to_string(), id),
            )?;
            Ok(())
        })
        .await;
    }
    desk.write(report(MessageStatus::Undelivered, now, "1")).await;
    assert!(!ana.get("/?view=all").await.body.contains("Not delivered"), "a newer text has been written since");
    desk.write(report(MessageStatus::Undelivered, now, "2")).await;
    assert!(ana.get("/?view=all").await.body.contains("Not delivered: 30003 unreachable"));
    desk.write(report(MessageStatus::Delivered, now, "2")).await;
    assert!(!ana.get("/?view=all").await.body.contains("Not delivered"));
}

/// A live stream, read event by event.
struct Live {
    response: reqwest::Response,
    text: String,
}

impl Live {
    async fn open(visitor: &Visitor) -> Live {
        let response = visitor.stream("/live").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut live = Live { response, text: String::new() };
        assert_eq!(live.next().await.unwrap().0, "beat", "the stream says that it is there");
        live
    }

    /// The next event and its data; none at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                let found = (field("event: "), field("data: "));
                self.text = rest.to_owned();
                return Some(found);
            }
            let piece = self.response.chunk().await.ok().flatten()?;
            self.text += std::str::from_utf8(&piece).unwrap();
        }
    }

    /// Waits for an event of this name; gives its data and what came before it.
    async fn until(&mut self, name: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        loop {
            let (event, data) = self.next().await.expect("the stream ended");
            if event == name {
                return (data, before);
            }
            before.push(event);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_told_by_ids_alone_and_together() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let admin = desk.person("root", "admin").await;
    let (mut live, mut blind) = (Live::open(&ana).await, Live::open(&admin).await);
    let thread = waiting(&desk, 201, 5).await;
    let (data, _) = live.until("thread").await;
    assert!(data.contains(&thread.to_string()) && !data.contains("212"), "{data}");
    // Two hundred changes at once are few events: the first, and then everything together.
    desk.write(move |tx| {
        for _ in 0..200 {
            tx.announce(Event::Thread(thread));
        }
        tx.announce(Event::Call(threadline::model::CallId::new(Timestamp::UNIX_EPOCH)));
        Ok(())
    })
    .await;
    let (_, before) = live.until("call").await;
    assert!(before.iter().filter(|event| *event == "queue").count() <= 2, "{before:?}");
    // Who may not read threads is told of calls only.
    let (_, before) = blind.until("call").await;
    assert!(before.is_empty(), "{before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_behind_is_told_to_fetch_everything_anew() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let mut live = Live::open(&ana).await;
    desk.write(move |tx| {
        for second in 0..3000 {
            tx.announce(Event::Thread(ThreadId::new(Timestamp::from_second(second).unwrap())));
        }
        Ok(())
    })
    .await;
    live.until("again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_streams_and_a_place_is_free_again_when_one_ends() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let mut streams = Vec::new();
    for _ in 0..MOST_EACH {
        streams.push(Live::open(&ana).await);
    }
    let refused = ana.get("/live").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.body.contains("Too many inboxes"), "{}", refused.body);
    streams.pop();
    while desk.web.streams.count() == MOST_EACH {
        tokio::task::yield_now().await;
    }
    Live::open(&ana).await;
}

/// Five hundred browsers at once: as many as there is room for are told of everything, the rest are told that there are
/// too many, and pages are served all the while.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_are_bounded_and_each_that_is_open_is_told() {
    five_hundred_streams(Desk::open().await, |nobody| nobody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_by_tls_are_bounded_as_well() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("web.pem"), folder.path().join("web.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let desk = Desk::open_with(|settings| {
        (settings.web.certificate, settings.web.key) = (Some(certificate), Some(key));
    })
    .await;
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let base = format!("https://localhost:{}", desk.address.port());
    five_hundred_streams(desk, |nobody| Visitor { client: client.clone(), base: base.clone(), ..nobody }).await;
}

async fn five_hundred_streams(desk: Desk, by: impl Fn(Visitor) -> Visitor) {
    let mut people = Vec::new();
    for at in 0..500usize.div_ceil(MOST_EACH) {
        people.push(by(desk.person(&format!("person{at}"), "front_desk").await));
    }
    let opening = (0..500).map(|at| {
        let person = people[at / MOST_EACH].clone();
        tokio::spawn(async move { person.stream("/live").await })
    });
    let (mut open, mut refused) = (Vec::new(), 0);
    for opened in opening.collect::<Vec<_>>() {
        let response = opened.await.unwrap();
        match response.status() {
            StatusCode::OK => open.push(Live { response, text: String::new() }),
            StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (MOST, 500 - MOST));
    assert_eq!(people[0].get("/?view=all").await.status, StatusCode::OK);
    let thread = waiting(&desk, 201, 5).await;
    for live in &mut open {
        let (data, _) = live.until("thread").await;
        assert!(data.contains(&thread.to_string()), "{data}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_and_who_types_is_shown_to_others_until_they_leave() {
    let desk = Desk::open().await;
    let (ana, ben) = (desk.person("ana", "front_desk").await, desk.person("ben", "front_desk").await);
    let thread = waiting(&desk, 201, 5).await;
    let mut live = Live::open(&ana).await;
    let address = format!("/threads/{thread}/presence");
    assert_eq!(ben.post(&address, &[("typing", "1")]).await.status, StatusCode::NO_CONTENT);
    let (data, _) = live.until("presence").await;
    assert!(data.contains(&thread.to_string()));
    let seen = ana.fragment(&address).await.body;
    assert!(seen.contains("role=\"status\"") && seen.contains("ben is typing…"), "{seen}");
    assert!(!ben.fragment(&address).await.body.contains("ben is typing"), "nobody is told of themselves");
    assert!(ana.get("/?view=all").await.body.contains("ben is typing…"));
    ben.post(&address, &[("typing", "0")]).await;
    assert!(ana.fragment(&address).await.body.contains("ben is looking"));
    desk.clock.advance(Duration::from_secs(41));
    assert!(!ana.fragment(&address).await.body.contains("ben"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_a_thread_during_a_wait_is_seen_to_have_looked() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let thread = waiting(&desk, 201, 5).await;
    assert!(ana.get("/?view=all").await.body.contains(">New<"));
    ana.get(&format!("/threads/{thread}")).await;
    // A view is written down behind the answer; what is waited for comes after it.
    desk.write(|_| Ok(())).await;
    let page = ana.get("/?view=all").await.body;
    assert!(page.contains("opened, not answered") && !page.contains(">New<"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_notifications_are_each_persons_own_choice() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let needs = async || serde_json::from_str::<serde_json::Value>(&ana.get("/queue/needs").await.body).unwrap();
    assert_eq!(needs().await["sound"], false);
    assert_eq!(ana.post("/queue/wishes", &[("sound", "on")]).await.location(), "/");
    assert_eq!((needs().await["sound"].clone(), needs().await["notify"].clone()), (true.into(), false.into()));
    assert!(ana.get("/").await.body.contains("Sound: on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_shows_what_waits_who_calls_and_what_today_came_to() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let admin = desk.person("root", "admin").await;
    let quiet = ana.get("/day").await;
    assert!(quiet.body.contains("Nobody waits") && quiet.body.contains("No calls in progress"), "{}", quiet.body);
    let now = desk.now();
    waiting(&desk, 201, 27).await;
    waiting(&desk, 202, 5).await;
    // One patient was answered after 10 minutes, another after 40; the first thread is done.
    for (last, waited) in [(203, 10), (204, 40)] {
        let begun = minutes_before(now, 60);
        let text = TextIn {
            gateway: "sandbox".into(),
            gateway_id: format!("in{last}"),
            from: number(last),
            to: number(100),
            body: Private::new("Hello?".into()),
            media: vec![],
            answered: None,
            templates: (desk.web.files)().templates,
            values: (desk.web.files)().values(),
            language: Language::default(),
            expire_after: Duration::from_secs(3600),
            reopen_within: Duration::from_secs(72 * 3600),
            now: begun,
        };
        desk.write(move |tx| {
            receive_text(tx, &text)?;
            let thread = threads::latest(tx, &number(last))?.unwrap().id;
            let answered = begun + SignedDuration::from_mins(waited);
            let answer = NewMessage { to: number(last), ..message(thread, "ana", "Until five.", answered) };
            outbox::enqueue(tx, &answer, answered + SignedDuration::from_hours(1))?;
            if last == 203 {
                threads::moved_to_voice(tx, thread, "ana", answered)?;
                threads::close(tx, thread, Resolution::Answered, "ana", answered)?;
            }
            Ok(())
        })
        .await;
    }
    let id = threadline::model::CallId::new(now);
    let caller = threadline::model::Caller::Number(number(177));
    let _call = desk.web.registry.enter(InProgress::came_in(id, "carrier".into(), caller, now));
    let mut live = Live::open(&ana).await;
    desk.web.registry.moved(id, &["menu:welcome".to_owned()], now);
    live.until("call").await;
    let day = ana.fragment("/day").await.body;
    assert!(day.contains("(212) 555-0177") && day.contains("menu:welcome") && day.contains("1 late"), "{day}");
    // The clinic is open at 10:00, so all 40 minutes count against the promise of 15.
    assert!(day.contains("In time: 1 / 2") && day.contains("<svg") && day.contains("1 / 1 threads"), "{day}");
    assert!(
        day.contains("<td class=\"number\">25 min</td>") && day.contains("<td class=\"number\">40 min</td>"),
        "{day}"
    );
    assert!(day.contains("<p class=\"big\">10 min</p>"), "the time to resolve: {day}");
    let masked = admin.get("/day").await.body;
    assert!(masked.contains("…77") && !masked.contains("555-0177"), "{masked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_once_when_somebody_ends_its_session_and_no_other_does() {
    let desk = Desk::open().await;
    let (ana, ben) = (desk.person("ana", "front_desk").await, desk.person("ben", "front_desk").await);
    let (mut hers, mut his) = (Live::open(&ana).await, Live::open(&ben).await);
    ana.post("/sign-out", &[]).await;
    let (event, _) = hers.next().await.unwrap();
    assert_eq!((event.as_str(), hers.next().await), ("signed-out", None), "before any heartbeat");
    let thread = waiting(&desk, 201, 5).await;
    let (_, before) = his.until("thread").await;
    assert!(!before.contains(&"signed-out".to_owned()), "{before:?}");
    desk.write(move |tx| {
        let (ben, now) = ("ben".parse().unwrap(), MONDAY.parse().unwrap());
        threadline::store::staff::set_disabled(tx, &ben, true, "ana", now)?;
        tx.announce(Event::Thread(thread));
        Ok(())
    })
    .await;
    his.until("signed-out").await;
}

/// Takes as long as the stream's heartbeat: a session can end without anybody's doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session_and_says_so() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let mut live = Live::open(&ana).await;
    desk.clock.advance(Duration::from_secs(16 * 60));
    live.until("signed-out").await;
    assert_eq!(live.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_renews_itself_all_day_is_on_record_once_in_a_quarter_of_an_hour() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let looks = async || {
        desk.write(|_| Ok(())).await;
        let sql = "SELECT count(*) FROM audit WHERE action IN ('queue.viewed', 'calls.viewed') AND actor = 'ana'";
        desk.web.store.read(move |conn| Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?)).await.unwrap()
    };
    for path in ["/", "/calls", "/day"] {
        for _ in 0..5 {
            assert_eq!(ana.fragment(path).await.status, StatusCode::OK);
        }
    }
    assert_eq!(looks().await, 3, "who asks for parts alone has looked, once at each");
    desk.clock.advance(Duration::from_secs(15 * 60));
    for _ in 0..5 {
        ana.fragment("/").await;
    }
    assert_eq!(looks().await, 4);
    for _ in 0..2 {
        ana.get("/").await;
    }
    assert_eq!(looks().await, 6, "a page that somebody opens is on record each time");
}
