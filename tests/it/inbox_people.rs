//! Signing in, accounts, people: over real HTTP, with a clock that is moved by hand.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, header};
use threadline::conversation::totp;
use threadline::model::StaffName;
use threadline::store::audit;
use threadline::store::credentials;
use threadline::store::sessions;
use threadline::store::sign_in_links;
use threadline::store::staff;
use threadline::web::{password, session};

use super::desk::{Desk, Page, Visitor};

pub const PASSWORD: &str = "blue kettle on a tram";
const MINUTE: Duration = Duration::from_secs(60);

/// Keeps what cookies a page sets, as a browser does.
fn keep(visitor: &mut Visitor, page: &Page) {
    let mut jar: Vec<(String, String)> = visitor.cookie.iter().flat_map(|all| all.split("; ")).map(pair).collect();
    for value in page.headers.get_all(header::SET_COOKIE) {
        let value = value.to_str().unwrap();
        assert!(value.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{value}");
        let (name, secret) = pair(value.split(';').next().unwrap());
        jar.retain(|(known, _)| *known != name);
        if !value.contains("Max-Age=0") {
            jar.push((name, secret));
        }
    }
    let jar: Vec<String> = jar.into_iter().map(|(name, secret)| format!("{name}={secret}")).collect();
    visitor.cookie = (!jar.is_empty()).then(|| jar.join("; "));
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

async fn post(visitor: &mut Visitor, path: &str, form: &[(&str, &str)]) -> Page {
    let page = visitor.post(path, form).await;
    keep(visitor, &page);
    page
}

/// Somebody with a password, not signed in yet.
pub async fn person(desk: &Desk, name: &str, roles: &str) -> Visitor {
    desk.person(name, roles).await;
    let (name, now) = (StaffName::parse(name).unwrap(), desk.now());
    let hash = password::hash_blocking(PASSWORD).unwrap();
    desk.write(move |tx| {
        sessions::end_all(tx, &name, None, "system", now)?;
        credentials::set_password(tx, &name, &hash, "system", now)
    })
    .await;
    desk.nobody()
}

pub async fn sign_in(visitor: &mut Visitor, name: &str, password: &str) -> Page {
    post(visitor, "/sign-in", &[("name", name), ("password", password)]).await
}

async fn actions(desk: &Desk, subject: &str) -> Vec<String> {
    let subject = subject.to_owned();
    desk.web
        .store
        .read(move |conn| {
            audit::verify(conn).unwrap();
            let mut query = conn.prepare("SELECT action, actor FROM audit WHERE subject = ? ORDER BY seq")?;
            let rows = query
                .query_map([subject], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
        .await
        .unwrap()
}

fn field(page: &Page, name: &str) -> String {
    let start =
        page.body.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {}", page.body));
    page.body[start..].split('"').nth(3).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_out_and_the_cookie_is_worth_nothing_then() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    assert!(ana.get("/sign-in").await.body.contains("action=\"/sign-in\""));
    let page = post(&mut ana, "/sign-in", &[("name", " Ana "), ("password", PASSWORD), ("then", "/account")]).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/account"));
    assert_eq!(ana.get("/account").await.status, StatusCode::OK);

    let stolen = ana.clone();
    assert_eq!(post(&mut ana, "/sign-out", &[]).await.location(), "/sign-in");
    assert!(stolen.get("/account").await.location().starts_with("/sign-in"));
    assert_eq!(stolen.fragment("/session").await.status, StatusCode::UNAUTHORIZED);
    let actions = actions(&desk, "staff:ana").await;
    assert!(actions.ends_with(&["staff.signed_in ana".into(), "staff.signed_out ana".into()]), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_name_that_nobody_has_look_alike() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    let wrong = sign_in(&mut ana, "ana", "blue kettle on a train").await;
    let nobody = sign_in(&mut ana, "bob", "blue kettle on a train").await;
    assert_eq!((wrong.status, nobody.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.body, nobody.body.replace("value=\"bob\"", "value=\"ana\""));
    assert_eq!(ana.cookie, None);
    assert!(actions(&desk, "staff:ana").await.contains(&"staff.sign_in_failed nobody".to_owned()));
    // What was typed where a name belongs may be a password: it is nowhere.
    sign_in(&mut ana, "blue kettle on a tram", "x").await;
    assert_eq!(actions(&desk, "staff:?").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_another_site() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    for evil in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let form = [("name", "ana"), ("password", PASSWORD), ("then", evil)];
        assert_eq!(post(&mut ana, "/sign-in", &form).await.location(), "/", "{evil}");
        let path: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        assert_eq!(ana.get(&format!("/sign-in?then={path}")).await.location(), "/", "{evil}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_planted_is_not_the_one_that_begins() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    let planted = format!("{}=planted", session::COOKIE);
    ana.cookie = Some(planted.clone());
    sign_in(&mut ana, "ana", PASSWORD).await;
    assert!(!ana.cookie.as_ref().unwrap().contains("planted"));
    let attacker = Visitor { cookie: Some(planted), ..desk.nobody() };
    assert!(attacker.get("/account").await.location().starts_with("/sign-in"));
    // Who signs in again leaves no session behind.
    let before = ana.clone();
    sign_in(&mut ana, "ana", PASSWORD).await;
    assert!(before.get("/account").await.location().starts_with("/sign-in"));
    assert_eq!(ana.get("/account").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_wait_longer_and_longer_and_a_known_browser_does_not() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    post(&mut ana, "/sign-out", &[]).await;

    let mut stranger = desk.nobody();
    for _ in 0..6 {
        assert_eq!(sign_in(&mut stranger, "ana", "guess").await.status, StatusCode::UNAUTHORIZED);
    }
    let page = sign_in(&mut stranger, "ana", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.headers[header::RETRY_AFTER], "5");
    assert_eq!(sign_in(&mut ana, "ana", PASSWORD).await.status, StatusCode::SEE_OTHER);

    desk.clock.advance(Duration::from_secs(5));
    assert_eq!(sign_in(&mut stranger, "ana", "guess").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&mut stranger, "ana", PASSWORD).await.headers[header::RETRY_AFTER], "10");
    desk.clock.advance(Duration::from_secs(10));
    assert_eq!(sign_in(&mut stranger, "ana", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let slowed = actions(&desk, "staff:ana").await.iter().filter(|row| row.starts_with("staff.sign_in_slowed")).count();
    assert_eq!(slowed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_uses_it_and_what_scripts_fetch_is_no_use() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    for _ in 0..3 {
        desk.clock.advance(10 * MINUTE);
        assert_eq!(ana.get("/account").await.status, StatusCode::OK);
        written(&desk).await;
    }
    desk.clock.advance(10 * MINUTE);
    let warning = ana.fragment("/session").await;
    written(&desk).await;
    assert!(
        warning.body.contains("data-left=\"300\"") && warning.body.contains("data-person=\"ana\""),
        "{}",
        warning.body
    );
    desk.clock.advance(4 * MINUTE);
    assert_eq!(ana.post("/session", &[]).await.status, StatusCode::NO_CONTENT);
    written(&desk).await;
    desk.clock.advance(14 * MINUTE);
    assert_eq!(ana.fragment("/session").await.status, StatusCode::OK);
    written(&desk).await;
    desk.clock.advance(2 * MINUTE);
    assert_eq!(ana.fragment("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ana.get("/account").await.location(), "/sign-in?then=%2Faccount");
}

/// Waits until what was queued before is written.
async fn written(desk: &Desk) {
    desk.write(|_| Ok(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_cookie_is_nobodys() {
    let desk = Desk::open().await;
    person(&desk, "ana", "front_desk").await;
    for forged in ["", "ana", "secret-of-ana", &session::fresh(), "' OR 1=1 --"] {
        let visitor = Visitor { cookie: Some(format!("{}={forged}", session::COOKIE)), ..desk.nobody() };
        assert!(visitor.get("/account").await.location().starts_with("/sign-in"), "{forged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_and_counts_once() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    let page = ana.post("/account/factor", &[]).await;
    assert!(page.body.contains("<svg") && !page.body.contains("<?xml"), "{}", page.body);
    let secret: String = page.body.split("<code>").nth(1).unwrap().split('<').next().unwrap().split(' ').collect();
    let bytes = totp::from_base32(&secret).unwrap();
    let code = |at: Timestamp| totp::code(&bytes, totp::step(at));

    let page = ana.post("/account/factor/confirm", &[("ticket", &field(&page, "ticket")), ("code", "000000")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = [("ticket", &*field(&page, "ticket")), ("code", &*code(desk.now()))];
    let page = ana.post("/account/factor/confirm", &form).await;
    let recovery: Vec<String> =
        page.body.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    assert_eq!((page.status, recovery.len()), (StatusCode::OK, 8), "{}", page.body);
    post(&mut ana, "/sign-out", &[]).await;

    // The code that turned it on has been used.
    let page = sign_in(&mut ana, "ana", PASSWORD).await;
    assert_eq!(
        (page.status, ana.cookie.as_ref().is_some_and(|all| all.contains(session::COOKIE))),
        (StatusCode::OK, false)
    );
    let page = ana.post("/sign-in/code", &[("ticket", &field(&page, "ticket")), ("code", &code(desk.now()))]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    desk.clock.advance(Duration::from_secs(30));
    let ticket = field(&page, "ticket");
    let form = [("ticket", &*ticket), ("code", &*code(desk.now()))];
    let page = post(&mut ana, "/sign-in/code", &form).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(ana.get("/account").await.status, StatusCode::OK);
    // Neither the step nor the code is good again.
    assert_eq!(desk.nobody().post("/sign-in/code", &form).await.status, StatusCode::UNAUTHORIZED);
    post(&mut ana, "/sign-out", &[]).await;
    let page = sign_in(&mut ana, "ana", PASSWORD).await;
    let form = [("ticket", &*field(&page, "ticket")), ("code", &*code(desk.now()))];
    assert_eq!(ana.post("/sign-in/code", &form).await.status, StatusCode::UNAUTHORIZED);

    // A recovery code, once.
    for expected in [StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED] {
        let mut browser = Visitor { cookie: ana.cookie.clone(), ..desk.nobody() };
        let page = sign_in(&mut browser, "ana", PASSWORD).await;
        let form = [("ticket", &*field(&page, "ticket")), ("code", &*recovery[0].to_uppercase())];
        assert_eq!(post(&mut browser, "/sign-in/code", &form).await.status, expected);
    }
    let actions = actions(&desk, "staff:ana").await;
    assert!(
        actions.contains(&"staff.factor_set ana".to_owned()) && actions.contains(&"staff.recovery_used ana".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_the_first_person_once() {
    let desk = Desk::open().await;
    let now = desk.now();
    desk.write(move |tx| sign_in_links::make_first(tx, &session::id_of("first"), "cli", now)).await;
    let mut ben = desk.nobody();
    assert!(ben.get("/welcome/first").await.body.contains("name=\"shown_as\""));
    assert_eq!(ben.get("/welcome/another").await.status, StatusCode::GONE);
    let form = |password: &'static str| {
        [("name", "ben"), ("shown_as", "Ben Carter"), ("language", "es"), ("password", password), ("again", password)]
    };
    for weak in ["short", "password1234", "ben carter 12"] {
        assert_eq!(ben.post("/welcome/first", &form(weak)).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{weak}");
    }
    let page = post(&mut ben, "/welcome/first", &form(PASSWORD)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    assert_eq!(desk.nobody().post("/welcome/first", &form(PASSWORD)).await.status, StatusCode::GONE);
    let people = ben.get("/admin/people").await;
    assert!(
        people.body.contains("Ben Carter") && people.body.contains("Responsable, Administrador"),
        "{}",
        people.body
    );
    let actions = actions(&desk, "staff:ben").await;
    assert!(actions.starts_with(&["staff.added ben".into(), "staff.password_set ben".into()]), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_adds_somebody_whose_link_works_once_for_a_day() {
    let desk = Desk::open().await;
    let mut ben = person(&desk, "ben", "admin").await;
    sign_in(&mut ben, "ben", PASSWORD).await;
    let form = [
        ("name", "ana"),
        ("shown_as", "Ana <López>"),
        ("front_desk", "on"),
        ("team", "front_desk"),
        ("language", "en"),
    ];
    let link = |page: &Page| page.body.split("/welcome/").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let page = ben.post("/admin/people", &form).await;
    let first = link(&page);
    assert_eq!(ben.post("/admin/people", &form).await.status, StatusCode::CONFLICT);
    let page = ben.post("/admin/people/ana/link", &[]).await;
    let second = link(&page);

    let (mut ana, form) = (desk.nobody(), [("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!(ana.post(&format!("/welcome/{first}"), &form).await.status, StatusCode::GONE);
    assert_eq!(post(&mut ana, &format!("/welcome/{second}"), &form).await.location(), "/");
    assert!(ana.get("/account").await.body.contains("Ana &lt;López&gt;"));
    assert_eq!(desk.nobody().post(&format!("/welcome/{second}"), &form).await.status, StatusCode::GONE);
    assert_eq!(ana.get("/admin/people").await.status, StatusCode::FORBIDDEN);

    let third = link(&ben.post("/admin/people/ana/link", &[]).await);
    desk.clock.advance(24 * 60 * MINUTE);
    assert_eq!(desk.nobody().get(&format!("/welcome/{third}")).await.status, StatusCode::GONE);
    let actions = actions(&desk, "staff:ana").await;
    assert_eq!(actions[..2], ["staff.added ben", "staff.link_made ben"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_is_out_at_once_and_the_last_admin_stays() {
    let desk = Desk::open().await;
    let (mut ana, mut ben) = (person(&desk, "ana", "front_desk").await, person(&desk, "ben", "admin").await);
    sign_in(&mut ana, "ana", PASSWORD).await;
    sign_in(&mut ben, "ben", PASSWORD).await;
    assert_eq!(ben.post("/admin/people/ana/disable", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(ana.get("/account").await.location().starts_with("/sign-in"));
    assert_eq!(sign_in(&mut ana, "ana", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    ben.post("/admin/people/ana/enable", &[]).await;
    assert_eq!(sign_in(&mut ana, "ana", PASSWORD).await.status, StatusCode::SEE_OTHER);

    let roles = [("shown_as", "Ben"), ("front_desk", "on")];
    assert_eq!(ben.post("/admin/people/ben/disable", &[]).await.status, StatusCode::CONFLICT);
    assert_eq!(ben.post("/admin/people/ben", &roles).await.status, StatusCode::CONFLICT);
    ben.post("/admin/people/ana", &[("shown_as", "Ana"), ("admin", "on")]).await;
    assert_eq!(ben.post("/admin/people/ben", &roles).await.status, StatusCode::SEE_OTHER);
    assert_eq!(ben.get("/admin/people").await.status, StatusCode::FORBIDDEN);
    assert_eq!(ana.get("/admin/people").await.status, StatusCode::OK);
    let actions = actions(&desk, "staff:ana").await;
    for expected in ["staff.disabled ben", "staff.enabled ben", "staff.changed ben"] {
        assert!(actions.contains(&expected.to_owned()), "{expected} in {actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_elsewhere() {
    let desk = Desk::open().await;
    let (mut one, mut ben) = (person(&desk, "ana", "front_desk").await, person(&desk, "ben", "admin").await);
    let (mut two, mut three) = (desk.nobody(), desk.nobody());
    for browser in [&mut one, &mut two, &mut three] {
        sign_in(browser, "ana", PASSWORD).await;
    }
    sign_in(&mut ben, "ben", PASSWORD).await;
    let id = |visitor: &Visitor| {
        let all = visitor.cookie.clone().unwrap();
        let secret = all.split("; ").map(pair).find(|(name, _)| name == session::COOKIE).unwrap().1;
        session::id_of(&secret)
    };
    // Nobody ends somebody else's.
    assert_eq!(one.post(&format!("/account/sessions/{}/end", id(&ben)), &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(one.post(&format!("/account/sessions/{}/end", id(&two)), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(two.get("/account").await.location().starts_with("/sign-in"));
    one.post("/account/sessions/end-others", &[]).await;
    assert!(three.get("/account").await.location().starts_with("/sign-in"));
    assert_eq!(one.get("/account").await.status, StatusCode::OK);
    ben.post("/admin/people/ana/end-sessions", &[]).await;
    assert!(one.get("/account").await.location().starts_with("/sign-in"));
    let actions = actions(&desk, "staff:ana").await;
    assert!(
        actions.ends_with(&[
            "staff.session_ended ana".into(),
            "staff.sessions_ended ana".into(),
            "staff.sessions_ended ben".into()
        ]),
        "{actions:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_takes_the_old_one_and_ends_what_it_had_opened() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    let mut thief = desk.nobody();
    sign_in(&mut ana, "ana", PASSWORD).await;
    sign_in(&mut thief, "ana", PASSWORD).await;
    let fresh = "grey lamp under a lake";
    let form = |current: &'static str| [("current", current), ("password", fresh), ("again", fresh)];
    assert_eq!(ana.post("/account/password", &form("guess")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ana.post("/account/password", &form(PASSWORD)).await.location(), "/account?done=password");
    assert_eq!(ana.get("/account").await.status, StatusCode::OK);
    assert!(thief.get("/account").await.location().starts_with("/sign-in"));
    assert_eq!(sign_in(&mut thief, "ana", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&mut thief, "ana", fresh).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_and_hours_are_kept() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    let max = desk.person("max", "manager").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    let attendance = || async {
        let name = StaffName::parse("ana").unwrap();
        desk.web.store.read(move |conn| Ok(staff::attendance(conn)?.remove(&name).unwrap())).await.unwrap()
    };
    ana.post("/account/hours", &[("hours", "mon-thu 08:00-12:00\r\nfri 13:00-17:00")]).await;
    let page = ana.post("/account/hours", &[("hours", "whenever")]).await;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.body.contains("whenever"));
    // On the clinic's wall: New York, already in winter.
    ana.post("/account/away", &[("until", "2026-11-09T08:00")]).await;
    let kept = attendance().await;
    assert_eq!(kept.shifts.len(), 2);
    assert_eq!(kept.away_until, Some("2026-11-09T13:00:00Z".parse().unwrap()));
    assert_eq!(
        ana.post("/account/away", &[("until", "2020-01-01T08:00")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    // A manager calls them back, and a colleague may not.
    // Who may set others away finds the form on the day; nobody else sees it.
    assert!(max.get("/day").await.body.contains("action=\"/people/ana/away\""));
    assert!(!ana.get("/day").await.body.contains("/away\""));
    assert_eq!(max.post("/people/ana/away", &[]).await.location(), "/day");
    assert_eq!(attendance().await.away_until, None);
    assert_eq!(ana.post("/people/max/away", &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn spanish_is_spoken_to_who_asks_for_it() {
    let desk = Desk::open().await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    sign_in(&mut ana, "ana", PASSWORD).await;
    ana.post("/account/profile", &[("shown_as", "Ana"), ("language", "es"), ("sound", "on")]).await;
    let page = ana.get("/account").await;
    assert!(page.body.contains("lang=\"es\"") && page.body.contains("Mi cuenta"));
    // What is wrong is said in it too.
    assert!(ana.post("/account/hours", &[("hours", "siempre")]).await.body.contains("No se entiende"));
    assert!(ana.get("/admin/people").await.body.contains("Su función no incluye esto"));
}
