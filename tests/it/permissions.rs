//! Every route, as every role and as nobody: the table says who may, and the site must agree.

use reqwest::StatusCode;
use threadline::conversation::permission::{Act, role_may};
use threadline::model::Role::{self, Admin, Auditor, Clinical, FrontDesk, Manager};
use threadline::web::route::Access;
use threadline::web::routes;

use super::desk::{Desk, Page, Visitor};

/// What a path's variables are filled with: a thing that is not there, so that a permitted form changes nothing.
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";

/// Who may do what, written down a second time: a slip in the table of the house shows here.
const GRID: [(Act, &[Role]); 14] = [
    (Act::ReadThreads, &[FrontDesk, Clinical, Manager, Auditor]),
    (Act::WorkThreads, &[FrontDesk, Clinical, Manager]),
    (Act::ChangeConsent, &[FrontDesk, Clinical, Manager]),
    (Act::SeeDay, &[FrontDesk, Clinical, Manager, Admin]),
    (Act::HandleCalls, &[FrontDesk, Clinical, Manager]),
    (Act::HearMessages, &[FrontDesk, Clinical, Manager]),
    (Act::DeleteMessages, &[Manager]),
    (Act::HearRecordings, &[Clinical, Manager]),
    (Act::ManageDesk, &[Manager]),
    (Act::SeeTree, &[FrontDesk, Clinical, Manager, Admin, Auditor]),
    (Act::EditFiles, &[Admin]),
    (Act::SeeSystem, &[Manager, Admin]),
    (Act::ManagePeople, &[Admin]),
    (Act::ReadAudit, &[Manager, Admin, Auditor]),
];

/// What anybody may ask for, and what nobody in particular gets who has nothing to show.
const OPEN: [(&str, &str, u16); 15] = [
    ("GET", "/assets/{name}", 404),
    ("POST", "/hooks/{gateway}/inbound", 404),
    ("POST", "/hooks/{gateway}/status", 404),
    ("GET", "/healthz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/sign-in", 200),
    ("POST", "/sign-in", 401),
    ("POST", "/sign-in/code", 401),
    ("POST", "/sign-in/passkey/begin", 200),
    ("POST", "/sign-in/passkey", 401),
    ("POST", "/sign-out", 303),
    ("GET", "/welcome/{secret}", 410),
    ("POST", "/welcome/{secret}", 410),
    ("GET", "/phone", 401),
    ("POST", "/phone", 401),
];

#[test]
fn each_role_may_do_what_is_written_here_and_nothing_else() {
    assert_eq!(GRID.map(|(act, _)| act), Act::ALL);
    for (act, roles) in GRID {
        for role in Role::ALL {
            assert_eq!(role_may(role, act), roles.contains(&role), "{role:?}: {act:?}");
        }
    }
}

/// The site as other machines reach it: the patient's phone that is there to try things out is not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_to_anybody_is_named_and_shows_nothing() {
    let desk = Desk::open_with(|settings| settings.web.listen = "0.0.0.0:8080".parse().unwrap()).await;
    let open: Vec<_> = routes().into_iter().filter(|route| route.access == Access::Anybody).collect();
    let named: Vec<_> = open.iter().map(|route| (route.method.as_str(), route.path)).collect();
    for (method, path) in &named {
        assert!(OPEN.iter().any(|(m, p, _)| (m, p) == (method, path)), "{method} {path} is open to anybody");
    }
    let nobody = desk.nobody();
    for (method, path, status) in OPEN {
        assert!(named.contains(&(method, path)), "{method} {path} is not open to anybody");
        let page = ask(&nobody, method, path).await;
        assert_eq!(page.status, status, "{method} {path}: {}", page.body);
        assert!(!page.body.contains("class=\"shell\"") && !page.body.contains("+1"), "{method} {path}: {}", page.body);
    }
    for role in Role::ALL {
        let person = desk.person(&role.as_str().replace('_', "-"), role.as_str()).await;
        assert_eq!(person.get("/phone").await.status, StatusCode::OK, "{role:?}");
    }
    // On this machine alone anybody holds it, unless they come from elsewhere by way of a proxy.
    let here = Desk::open().await;
    assert_eq!(here.nobody().get("/phone").await.status, StatusCode::OK);
    let nobody = here.nobody();
    let proxied = nobody.client.get(format!("{}/phone", nobody.base)).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

async fn ask(visitor: &Visitor, method: &str, path: &str) -> Page {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        filled.push_str(NOTHING);
        rest = after.split_once('}').unwrap().1;
    }
    filled.push_str(rest);
    match method {
        "GET" => visitor.get(&filled).await,
        _ => visitor.post(&filled, &[]).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let desk = Desk::open().await;
    let mut people = Vec::new();
    for role in Role::ALL {
        people.push((role, desk.person(&role.as_str().replace('_', "-"), role.as_str()).await));
    }
    let nobody = desk.nobody();
    for route in routes() {
        let (method, path) = (route.method.as_str(), route.path);
        if route.access == Access::Anybody {
            continue;
        }
        let page = ask(&nobody, method, path).await;
        match method {
            "GET" => assert!(page.location().starts_with("/sign-in?then="), "{method} {path} let nobody in: {page:?}"),
            _ => assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{method} {path} let nobody in"),
        }
        for (role, visitor) in &people {
            let page = ask(visitor, method, path).await;
            let allowed = match route.access {
                Access::May(act) => role_may(*role, act),
                _ => true,
            };
            let refused = page.status == StatusCode::FORBIDDEN;
            assert_eq!(!refused, allowed, "{method} {path} as {role:?} answered {}", page.status);
            assert!(page.status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path} as {role:?}: {}", page.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_does_nothing() {
    let desk = Desk::open().await;
    let person = desk.person("ana", "front_desk,clinical,manager,admin").await;
    for route in routes().into_iter().filter(|route| route.method == "POST" && !route.path.starts_with("/hooks/")) {
        let path = route.path.replace(['{', '}'], "");
        let page = person.post_from_elsewhere(&path, &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_shield() {
    let desk = Desk::open().await;
    let nobody = desk.nobody();
    let mut pages = vec![("a part", nobody.fragment("/nothing-here").await)];
    for path in ["/healthz", "/assets/style.css", "/nothing-here", "/sign-in"] {
        pages.push((path, nobody.get(path).await));
    }
    for (path, page) in pages {
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff", "{path}");
    }
}
