//! Every route, as every role and as nobody: the table says who may, and the site must agree.

use reqwest::StatusCode;
use threadline::conversation::permission::role_may;
use threadline::model::Role;
use threadline::web::route::Access;
use threadline::web::routes;

use super::desk::{Desk, Page, Visitor};

/// What a path's variables are filled with: a thing that is not there, so that a permitted form changes nothing.
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";

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
