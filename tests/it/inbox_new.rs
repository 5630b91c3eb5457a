//! Texts to people who have not written, over real HTTP and without a script: to whom, consent at the desk, templates,
//! later, and drafts that nothing loses.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use threadline::model::{ConsentState, Language, MessageId, PhoneNumber};
use threadline::store::{consents, outbox, past};
use threadline::web::FRAGMENT;

use super::desk::{Desk, Page, Visitor};
use super::inbox_people::{PASSWORD, person, sign_in};

const PATIENT: &str = "+12125550142";
/// As people read it.
const SHOWN: &str = "(212) 555-0142";
const OTHER: &str = "+12125550143";

/// Somebody writes down who is behind a number.
async fn known(desk: &Desk, number: &'static str, name: &'static str, language: &'static str) {
    let now = desk.now();
    desk.write(move |tx| {
        let (by, language) = ("ana".parse().unwrap(), Language::parse(language).unwrap());
        past::person(tx, &PhoneNumber::e164(number).unwrap(), name, &language, &by, now)
    })
    .await;
}

/// A patient writes.
async fn texts(desk: &Desk, number: &str, body: &str) {
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.nobody().post("/phone", &[("number", number), ("body", body)]).await.status, StatusCode::OK);
}

/// Says to whom, and goes where that leads: an address that says nothing of them.
async fn to(visitor: &Visitor, fields: &[(&str, &str)]) -> String {
    let answer = visitor.post("/new", fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let path = answer.location().to_owned();
    assert!(!path.contains("555") && !path.to_lowercase().contains("rosa"), "{path}");
    path
}

/// The same, where they agree to be texted first.
async fn to_willing(visitor: &Visitor, number: &str) -> String {
    let path = to(visitor, &[("to", number)]).await;
    let agreed = visitor.post(&format!("{path}/consent"), &[("agreed", "yes")]).await;
    assert!(agreed.body.contains("<textarea"), "{}", agreed.body);
    path
}

/// What stands in the box of a page.
fn words(page: &Page) -> &str {
    let (_, area) = page.body.split_once("<textarea").unwrap_or_else(|| panic!("no box: {}", page.body));
    let (_, words) = area.split_once('>').unwrap();
    words.split_once("</textarea>").unwrap().0.strip_prefix('\n').unwrap()
}

/// The name of a form.
fn form(page: &Page) -> String {
    let (_, rest) = page.body.split_once("name=\"form\" value=\"").unwrap_or_else(|| panic!("no form: {}", page.body));
    rest.split_once('"').unwrap().0.to_owned()
}

async fn send(visitor: &Visitor, path: &str, page: &Page, words: &str, later: Option<&str>) -> Page {
    let (form, button) = (form(page), if later.is_some() { "later" } else { "send" });
    let fields = [("form", form.as_str()), ("do", button), ("send_at", later.unwrap_or_default()), ("body", words)];
    visitor.post(&format!("{path}/answer"), &fields).await
}

async fn column(desk: &Desk, sql: &'static str) -> String {
    desk.web.store.read(move |conn| Ok(conn.query_row(sql, [], |row| row.get(0))?)).await.unwrap()
}

const QUEUED: &str = "SELECT cast(count(*) AS TEXT) FROM outbox";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_text_needs_consent_which_can_be_given_at_the_desk() {
    let desk = Desk::open().await;
    let (ana, ben) = (desk.person("ana", "front_desk").await, desk.person("ben", "front_desk").await);
    known(&desk, PATIENT, "Rosa Díaz", "en").await;

    // By name: one person is meant, and nothing may be sent yet; what was written is kept.
    let path = to(&ana, &[("to", "rosa diaz")]).await;
    let page = ana.get(&path).await.body;
    assert!(page.contains(SHOWN) && page.contains("have not agreed") && !page.contains("<textarea"), "{page}");
    desk.write(|_| Ok(())).await;
    let looked = "SELECT group_concat(actor || ' ' || detail) FROM audit WHERE action = 'threads.searched'";
    assert_eq!(column(&desk, looked).await, r#"ana {"by":"new","found":1}"#, "one look, on record once");
    let name = MessageId::new(desk.now()).to_string();
    let page = ana.post(&format!("{path}/answer"), &[("body", "Hello <i>Rosa"), ("form", &name)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains("have not agreed") && page.body.contains("Hello &lt;i&gt;Rosa"), "{}", page.body);

    // The words were heard; a tick is asked for.
    let consent = format!("{path}/consent");
    assert_eq!(ana.post(&consent, &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = ana.post(&consent, &[("language", "es"), ("agreed", "yes")]).await;
    assert_eq!(words(&page), "Hello &lt;i&gt;Rosa");
    let number = PhoneNumber::e164(PATIENT).unwrap();
    let recorded = desk.web.store.read(move |conn| consents::current(conn, &number)).await.unwrap().unwrap();
    assert_eq!((recorded.state, recorded.actor.as_str()), (ConsentState::Granted, "ana"));
    assert!(recorded.disclosure.unwrap().contains("Riverside Therapy"));

    // Sent twice, it is one; and it is no draft any more, however late it is saved.
    let (page, his) = (ana.get(&path).await, to(&ben, &[("to", PATIENT)]).await);
    let his_page = ben.get(&his).await;
    assert!(!page.body.contains("missed call"), "what the house sends by itself is not offered: {}", page.body);
    let (once, twice) =
        (send(&ana, &path, &page, "Hello Rosa", None).await, send(&ana, &path, &page, "Hello Rosa", None).await);
    assert_eq!((once.status, once.location()), (StatusCode::SEE_OTHER, twice.location()));
    assert!(once.location().starts_with("/threads/"), "{once:?}");
    ana.post(&format!("{path}/draft"), &[("body", "Hello Rosa"), ("form", &form(&page))]).await;
    let thread = ana.get(once.location()).await;
    assert!(thread.body.contains("/undo\""), "it can be taken back: {}", thread.body);
    assert_eq!(words(&thread), "");
    let owner = "SELECT opened_by || ' ' || owner FROM threads";
    assert_eq!((column(&desk, QUEUED).await, column(&desk, owner).await), ("1".into(), "staff ana".into()));

    // They are being written with now: whoever else wants to sees first what was said, and loses no word.
    let to_thread = format!("{}#compose", once.location());
    assert_eq!(to(&ben, &[("to", PATIENT)]).await, to_thread);
    assert_eq!(ben.get(&his).await.location(), to_thread);
    let answer = send(&ben, &his, &his_page, "Hello from Ben", None).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, to_thread.as_str()));
    assert_eq!(words(&ben.get(once.location()).await), "Hello from Ben");
    assert_eq!(column(&desk, QUEUED).await, "1");

    // STOP holds against the desk.
    texts(&desk, PATIENT, "STOP").await;
    assert_eq!(ana.post(&consent, &[("agreed", "yes")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = ana.get(&to(&ana, &[("to", PATIENT)]).await).await.body;
    assert!(page.contains("opted out") && !page.contains("/consent"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_meant_is_asked_when_several_may_be() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    known(&desk, PATIENT, "Rosa Díaz", "en").await;
    known(&desk, OTHER, "Rosa <i>Diaz", "en").await;
    let page = ana.post("/new", &[("to", "rosa")]).await.body;
    assert!(page.contains(PATIENT) && page.contains("Rosa &lt;i&gt;Diaz"), "{page}");
    assert!(ana.post("/new", &[("to", "nobody at all")]).await.body.contains("role=\"alert\""));
    let options = ana.post("/new/people", &[("to", "ros")]).await.body;
    assert_eq!(options.matches("<option").count(), 2, "{options}");
    let landline = to(&ana, &[("to", "+18002530142")]).await;
    assert!(ana.get(&landline).await.body.contains("takes no texts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_put_behind_what_is_written_in_the_patients_language_and_never_with_a_gap() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    known(&desk, PATIENT, "Rosa Díaz", "es").await;
    let path = to_willing(&ana, PATIENT).await;
    let insert = async |path: &str, template: &str, body: &str| {
        let answer = ana.post(&format!("{path}/template"), &[("template", template), ("body", body)]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, path), "{}", answer.body);
        words(&ana.get(path).await).to_owned()
    };

    // One that was chosen before it was said to whom, then three more.
    assert_eq!(to(&ana, &[("to", PATIENT), ("template", "running_late")]).await, path);
    let page = ana.get(&path).await;
    assert!(words(&page).starts_with("Riverside Therapy: hoy vamos con retraso"), "{}", page.body);
    assert!(page.body.contains("value=\"call_us\"") && !page.body.contains("value=\"call_us/es\""), "{}", page.body);
    let second = insert(&path, "call_us", "Buenos días.\r\n").await;
    assert!(second.starts_with("Buenos días. Riverside Therapy: esto es mas facil por telefono"), "{second}");
    let third = insert(&path, "closing_thanks", &second).await;
    assert_eq!(third, format!("{second} Riverside Therapy: gracias, Rosa. Escriba aqui cuando nos necesite."));
    let fourth = insert(&path, "appointment_confirmed/en", &third).await;
    assert!(fourth.starts_with(&third) && fourth.contains("your appointment is confirmed"), "{fourth}");
    let cost = format!("{} characters, 4 texts. “í” makes it more expensive", fourth.chars().count());
    assert!(ana.get(&path).await.body.contains(&cost), "{cost}");

    // A script puts the words where one types; nothing is kept by that.
    let script = async |path: &str, template: &str| {
        let request = ana.client.post(format!("{}{path}/template", ana.base)).header("sec-fetch-site", "same-origin");
        let request = request.header(FRAGMENT, "1").header("cookie", ana.cookie.clone().unwrap());
        let answer = request.form(&[("template", template), ("body", "Other words")]).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, text) = script(&path, "closing_thanks").await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, &third[second.len() + 1..]));
    assert_eq!(words(&ana.get(&path).await), fourth);

    // Of somebody else neither name nor language is known.
    let path = to_willing(&ana, OTHER).await;
    let page = ana.get(&path).await;
    assert!(page.body.contains("value=\"call_us\"") && page.body.contains("value=\"call_us/es\""), "{}", page.body);
    for template in ["closing_thanks", "closing_thanks/es", "greeting", "no_such", "call_us/", "call_us/<b>"] {
        let refused = ana.post(&format!("{path}/template"), &[("template", template), ("body", "Good day")]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{template}");
        let why = if template.starts_with("closing") { "who of them it is" } else { "no such message" };
        assert!(refused.body.contains(why) && words(&refused) == "Good day", "{template}: {}", refused.body);
        assert_eq!(words(&ana.get(&path).await), "Good day");
        let (status, sentence) = script(&path, template).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && sentence.contains(why), "{sentence}");
    }
    let refused = ana.post("/new", &[("to", OTHER), ("template", "closing_thanks")]).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && words(&refused) == "Good day", "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_text_goes_later_by_the_rules_of_an_answer_and_can_be_taken_back() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let path = to_willing(&ana, PATIENT).await;
    let page = ana.get(&path).await;
    for (time, why) in [
        ("", "Choose a date"),
        ("soon", "not a date"),
        ("2020-01-01T08:00", "is past"),
        ("2031-01-01T08:00", "more than a year"),
    ] {
        let refused = send(&ana, &path, &page, "See you\r\ntomorrow", Some(time)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{time}");
        assert!(refused.body.contains(why) && words(&refused) == "See you\ntomorrow", "{time}: {}", refused.body);
    }
    for (written, why) in [(" ", "nothing to send"), (&*"x".repeat(1_601), "1601 characters; 1,600 is the most")] {
        let refused = send(&ana, &path, &page, written, None).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains(why), "{}", refused.body);
        assert_eq!(words(&refused), written);
    }
    let forged = ana.post(&format!("{path}/answer"), &[("form", "x"), ("body", "See you tomorrow")]).await;
    assert!(forged.body.contains("does not belong here"), "{}", forged.body);
    assert_eq!(words(&ana.get(&path).await), "See you tomorrow", "what was refused is there after a reload");
    assert_eq!(column(&desk, QUEUED).await, "0");

    let sent = send(&ana, &path, &page, "See you tomorrow", Some("2026-11-03T08:00")).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let eight: Timestamp = "2026-11-03T13:00:00Z".parse().unwrap();
    assert_eq!(desk.web.store.read(outbox::next_due).await.unwrap(), Some(eight));
    let thread = ana.get(sent.location()).await;
    assert!(thread.body.contains("goes Nov 3, 8:00 AM") && words(&thread).is_empty(), "{}", thread.body);
    let (_, rest) = thread.body.split_once("action=\"/messages/").unwrap();
    let undo = format!("/messages/{}/undo", rest.split_once('/').unwrap().0);
    assert_eq!(ana.post(&undo, &[]).await.location(), sent.location());
    assert_eq!(words(&ana.get(sent.location()).await), "See you tomorrow");
    assert_eq!(column(&desk, QUEUED).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_its_authors_survives_and_becomes_the_threads_once_there_is_one() {
    let desk = Desk::open().await;
    let (ana, ben) = (desk.person("ana", "front_desk").await, desk.person("ben", "front_desk").await);
    let path = to_willing(&ana, PATIENT).await;
    let saved = ana.post(&format!("{path}/draft"), &[("body", "Dear Rosa,\r\n")]).await;
    assert_eq!((saved.status, saved.location()), (StatusCode::SEE_OTHER, path.as_str()));
    assert_eq!(words(&ana.get(&path).await), "Dear Rosa,\n");
    assert_eq!(to(&ana, &[("to", PATIENT)]).await, path, "there is one text to a number");

    // Nobody else comes by its address.
    let his = to(&ben, &[("to", PATIENT)]).await;
    assert_eq!(words(&ben.get(&his).await), "");
    assert_eq!(ben.get(&path).await.status, StatusCode::NOT_FOUND);
    for what in ["answer", "draft", "template", "consent"] {
        let form = MessageId::new(desk.now()).to_string();
        let fields = [("body", "Mine"), ("form", form.as_str()), ("template", "call_us"), ("agreed", "yes")];
        assert_eq!(ben.post(&format!("{path}/{what}"), &fields).await.status, StatusCode::NOT_FOUND, "{what}");
    }
    assert_eq!(words(&ana.get(&path).await), "Dear Rosa,\n");

    // The patient writes first.
    texts(&desk, PATIENT, "Can I come at nine?").await;
    let thread = ana.get(&path).await.location().to_owned();
    assert!(thread.starts_with("/threads/") && thread.ends_with("#compose"), "{thread}");
    assert_eq!(words(&ana.get(&thread).await), "Dear Rosa,\n");
    assert_eq!(words(&ben.get(&thread).await), "");
    // Without her page's knowing, she goes on in the old one; then she answers in the thread.
    ana.post(&format!("{path}/draft"), &[("body", "Dear Rosa,\nyes.")]).await;
    let page = ana.get(&thread).await;
    assert_eq!(words(&page), "Dear Rosa,\nyes.");
    let (_, rest) = page.body.split_once("name=\"version\" value=\"").unwrap();
    let (version, form) = (rest.split_once('"').unwrap().0, form(&page));
    let answer = [("version", version), ("form", &form), ("kind", "text"), ("do", "send"), ("body", "Dear Rosa, yes.")];
    let sent = ana.post(&thread.replace("#compose", "/answer"), &answer).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    assert_eq!(words(&ana.get(&thread).await), "", "it is nowhere any more");
}

/// Without a script; with one, the page keeps what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_text_whose_session_has_ended_is_there_after_signing_in() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    let path = to_willing(&ana, PATIENT).await;
    let page = ana.get(&path).await;
    desk.clock.advance((desk.web.files)().settings.desk.sign_out_after + Duration::from_secs(1));
    let refused = send(&ana, &path, &page, "Dear Rosa", None).await;
    let leads = format!("/sign-in?then={}", path.replace('/', "%2F"));
    assert_eq!((refused.status, refused.location()), (StatusCode::SEE_OTHER, leads.as_str()));
    sign_in(&mut ana, "ana", PASSWORD).await;
    assert_eq!(words(&ana.get(&path).await), "Dear Rosa");
    assert_eq!(column(&desk, QUEUED).await, "0");
}
