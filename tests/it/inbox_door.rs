//! What stands before the pages: limits, proxies, TLS, and the command line that lets people in.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, header};
use threadline::cli::user::{self, UserCommand};
use threadline::events::Events;
use threadline::model::StaffName;
use threadline::settings::{SecretPlaces, Settings};
use threadline::store::sign_in_links;
use threadline::store::{Store, audit};
use threadline::web::session;

use super::desk::Desk;
use super::inbox_people::{PASSWORD, person, sign_in};

/// The name of a form.
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_to_wait() {
    let desk = Desk::open().await;
    let nobody = desk.nobody();
    let mut last = nobody.get("/sign-in").await;
    for _ in 0..300 {
        last = nobody.get("/sign-in").await;
    }
    assert_eq!(
        (last.status, &last.headers[header::RETRY_AFTER]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    // Whoever is signed in is counted by themselves.
    assert_eq!(desk.person("ana", "front_desk").await.get("/account").await.status, StatusCode::OK);
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(nobody.get("/sign-in").await.status, StatusCode::OK);
}

/// Without a script; with one, the page keeps what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_session_has_ended_becomes_the_draft_of_whoever_wrote_it() {
    const WORDS: &str = "Yes, at nine";
    let desk = Desk::open().await;
    let (mut ana, mut ben) = (person(&desk, "ana", "front_desk").await, person(&desk, "ben", "front_desk").await);
    desk.nobody().post("/phone", &[("number", "+12125550142"), ("body", "Can I come at nine?")]).await;
    let over = (desk.web.files)().settings.desk.sign_out_after + Duration::from_secs(1);
    sign_in(&mut ana, "ana", PASSWORD).await;
    sign_in(&mut ben, "ben", PASSWORD).await;
    let list = ana.get("/?view=all").await.body;
    let page = format!("/threads/{}", &list.split_once("id=\"t-").unwrap().1[..36]);
    let (answer, leads) = (format!("{page}/answer"), format!("/sign-in?then={}", page.replace('/', "%2F")));
    let form = |words| [("kind", "text"), ("version", "0"), ("form", NOTHING), ("do", "send"), ("body", words)];

    desk.clock.advance(over);
    let refused = ana.post(&answer, &form(WORDS)).await;
    assert_eq!((refused.status, refused.location()), (StatusCode::SEE_OTHER, leads.as_str()));
    assert!(desk.nobody().get(&leads).await.body.contains("kept as drafts"));
    // Whoever else signs in there does not see them.
    let mut there = ana.clone();
    sign_in(&mut there, "ben", PASSWORD).await;
    assert!(!there.get(&page).await.body.contains(WORDS));
    let back = ana.post("/sign-in", &[("name", "ana"), ("password", PASSWORD), ("then", &page)]).await;
    assert_eq!(back.location(), page);
    sign_in(&mut ana, "ana", PASSWORD).await;
    assert!(ana.get(&page).await.body.contains(&format!("{WORDS}</textarea>")));
    let sent: i64 = desk
        .web
        .store
        .read(|conn| Ok(conn.query_row("SELECT count(*) FROM messages WHERE direction = 'out'", [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(sent, 0);

    // Nothing is kept of strangers, of a session that somebody has ended, of a form without words, or of too long a one;
    // and it is said.
    let mut ended = ana.clone();
    ana.post("/sign-out", &[]).await;
    desk.clock.advance(over);
    let long = "x".repeat(70_000);
    for (visitor, words) in [(&desk.nobody(), WORDS), (&ended, WORDS), (&there, " "), (&there, &long)] {
        let refused = visitor.post(&answer, &form(words)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.body.contains("go back and copy it"), "{}", refused.body);
    }
    sign_in(&mut ended, "ben", PASSWORD).await;
    assert!(!ended.get(&page).await.body.contains(WORDS));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_an_answer_took_is_told_to_whoever_is_signed_in_and_nobody_else() {
    let desk = Desk::open().await;
    let (ana, nobody) = (desk.person("ana", "front_desk").await, desk.nobody());
    let page = ana.get("/").await;
    let told = page.headers["server-timing"].to_str().unwrap();
    let took: f64 = told.strip_prefix("house;dur=").unwrap().parse().unwrap();
    assert!(took > 0.0, "{told}");
    for path in ["/", "/sign-in", "/healthz"] {
        assert!(!nobody.get(path).await.headers.contains_key("server-timing"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_proxy_says_who_asks_and_plain_http_from_elsewhere_gets_no_page() {
    let desk = Desk::open_with(|settings| settings.web.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let mut ana = person(&desk, "ana", "front_desk").await;
    let through = |path: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(ana.client.get(format!("{}{path}", ana.base)), |request, (name, value)| {
            request.header(*name, *value)
        });
        async move { request.send().await.unwrap() }
    };
    let plain = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http")];
    let encrypted = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
    let page = through("/sign-in", &plain).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(page.text().await.unwrap().contains("https://"));
    assert_eq!(through("/healthz", &plain).await.status(), StatusCode::OK);
    let page = through("/sign-in", &encrypted).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["strict-transport-security"], "max-age=31536000");

    let form = [("name", "ana"), ("password", "wrong")];
    let request = ana.client.post(format!("{}/sign-in", ana.base)).header("sec-fetch-site", "same-origin").form(&form);
    let request = encrypted.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let detail: String = desk
        .web
        .store
        .read(|conn| {
            let sql = "SELECT detail FROM audit WHERE action = 'staff.sign_in_failed'";
            Ok(conn.query_row(sql, [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert!(detail.contains("203.0.113.9"), "{detail}");
    // Without a proxy's word it is this machine.
    sign_in(&mut ana, "ana", PASSWORD).await;
    assert!(ana.get("/account").await.body.contains("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_speaks_tls_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (folder.path().join("web.pem"), folder.path().join("web.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let desk = Desk::open_with(|settings| {
        (settings.web.certificate, settings.web.key) = (Some(certificate.clone()), Some(key.clone()));
    })
    .await;
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let page = client.get(format!("https://localhost:{}/sign-in", desk.address.port())).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers().contains_key("strict-transport-security"));
    assert!(client.get(format!("http://{}/sign-in", desk.address)).send().await.is_err());

    // A renewed certificate is in force after a reload, for connections to come; one that cannot be used changes nothing.
    let renewed = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let root = reqwest::Certificate::from_pem(renewed.cert.pem().as_bytes()).unwrap();
    let builder = || reqwest::Client::builder().tls_certs_only([root.clone()]).pool_max_idle_per_host(0);
    let (newer, url) = (builder().build().unwrap(), format!("https://localhost:{}/sign-in", desk.address.port()));
    std::fs::write(&certificate, renewed.cert.pem()).unwrap();
    std::fs::write(&key, renewed.signing_key.serialize_pem()).unwrap();
    assert!(newer.get(&url).send().await.is_err(), "not before the reload");
    desk.reload();
    assert_eq!(newer.get(&url).send().await.unwrap().status(), StatusCode::OK);
    std::fs::write(&key, "no key").unwrap();
    desk.reload();
    assert_eq!(newer.get(&url).send().await.unwrap().status(), StatusCode::OK);

    let mut web = (desk.web.files)().settings.web.clone();
    let error = threadline::web::acceptor(&web).err().unwrap().to_string();
    assert!(error.contains("web.key") && error.contains("PEM"), "{error}");
    web.key = None;
    assert!(threadline::web::acceptor(&web).unwrap().is_none());
}

#[test]
fn the_files_keys_of_the_web_are_checked_with_their_cure() {
    let whole = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/threadline.toml")).unwrap();
    let with = |keys: &str| {
        let text = whole.replace("[web]\n", &format!("[web]\n{keys}\n"));
        let file = Path::new("/etc/threadline/threadline.toml");
        let read = Settings::parse(file, &text, &SecretPlaces::of_process(file.parent().unwrap()));
        read.map(|settings| settings.web).map_err(|problems| problems.to_string())
    };
    let web = with("trusted_proxies = [\"10.0.0.1\"]\ncertificate = \"web.pem\"\nkey = \"web.key\"").unwrap();
    assert_eq!(web.trusted_proxies, ["10.0.0.1/32".parse().unwrap()]);
    assert_eq!(web.certificate.as_deref(), Some(Path::new("/etc/threadline/web.pem")));
    for (keys, cure) in [
        ("trusted_proxies = [\"0.0.0.0/0\"]", "name the proxy's own address"),
        ("trusted_proxies = [\"proxy\"]", "127.0.0.1/32"),
        ("certificate = \"web.pem\"", "write key ="),
        ("key = \"web.key\"", "write certificate ="),
    ] {
        let problems = with(keys).unwrap_err();
        assert!(problems.contains(cure), "{keys}: {problems}");
    }
}

#[test]
fn the_command_line_adds_people_while_the_daemon_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = (*super::desk::files().settings).clone();
    settings.store.path = folder.path().to_owned();
    settings.web.public_url = Some("https://clinic.example".into());
    let daemon = Store::open(folder.path(), Events::default()).unwrap();
    let now: Timestamp = super::desk::MONDAY.parse().unwrap();
    let run = |command: UserCommand| {
        let mut out = Vec::new();
        let done = user::run(&settings, &command, now, &mut out);
        done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
    };
    let name: StaffName = "ben".parse().unwrap();
    let add = || UserCommand::Add {
        name: name.clone(),
        role: "admin,manager".parse().unwrap(),
        shown_as: None,
        team: None,
        language: None,
    };
    let printed = run(add()).unwrap();
    let secret = printed.trim_end().rsplit_once("https://clinic.example/welcome/").unwrap().1.to_owned();
    let find = |secret: &str| {
        let id = session::id_of(secret);
        daemon.read_blocking(|conn| sign_in_links::find(conn, &id, now)).unwrap()
    };
    assert_eq!(find(&secret), Some(sign_in_links::Link::Person(name.clone())));
    assert!(run(add()).unwrap_err().contains("user link ben"));
    assert!(run(UserCommand::List).unwrap().starts_with("ben                  manager,admin"));
    assert!(run(UserCommand::Disable { name: name.clone() }).unwrap_err().contains("last admin"));
    assert!(run(UserCommand::Link { name: "eve".parse().unwrap() }).unwrap_err().contains("nobody called eve"));
    run(UserCommand::Link { name: name.clone() }).unwrap();
    assert_eq!(find(&secret), None, "the older link is void");
    run(UserCommand::ResetFactor { name }).unwrap();
    let by_cli: i64 = daemon
        .read_blocking(|conn| {
            audit::verify(conn).unwrap();
            Ok(conn.query_row("SELECT count(*) FROM audit WHERE actor LIKE 'cli:%'", [], |row| row.get(0))?)
        })
        .unwrap();
    assert_eq!(by_cli, 5);
}
