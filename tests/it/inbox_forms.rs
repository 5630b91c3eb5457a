//! Forms and addresses that cannot be read, at every route: refused on a page in the person's language, with the cure.

use reqwest::{StatusCode, header};
use threadline::web::route::Access;
use threadline::web::{FRAGMENT, routes};

use super::desk::{Desk, Page, Visitor};

const FORM: &str = "application/x-www-form-urlencoded";
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";

/// Sends a body as it is.
async fn send(visitor: &Visitor, path: &str, kind: &str, body: Vec<u8>, script: bool) -> Page {
    let request = visitor.client.post(format!("{}{path}", visitor.base)).header("sec-fetch-site", "same-origin");
    let request = request.header(header::CONTENT_TYPE, kind).header(header::COOKIE, visitor.cookie.clone().unwrap());
    let request = if script { request.header(FRAGMENT, "1") } else { request };
    let response = request.body(body).send().await.expect("an answer, not a connection that is closed");
    let (status, headers) = (response.status(), response.headers().clone());
    Page { status, headers, body: response.text().await.unwrap() }
}

fn filled(path: &str, with: &str) -> String {
    let parts =
        path.split('{').map(|part| part.split_once('}').map_or(part.to_owned(), |(_, rest)| format!("{with}{rest}")));
    parts.collect()
}

/// A page of ours that says what is wrong, in Spanish.
fn told(page: &Page, what: &str) {
    let kind = page.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
    assert!(kind.starts_with("text/html"), "{what} answers {} {kind}: {}", page.status, page.body);
    assert!(page.body.contains("lang=\"es\"") && page.body.contains("role=\"alert\""), "{what}: {}", page.body);
}

async fn spanish(desk: &Desk) -> Visitor {
    let ana = desk.person("ana", "front_desk,clinical,manager,admin,auditor").await;
    desk.write(|tx| Ok(tx.execute("UPDATE staff SET language = 'es'", [])?)).await;
    ana
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_is_refused_in_the_machines_own_words() {
    let desk = Desk::open().await;
    let ana = spanish(&desk).await;
    let forms = routes().into_iter().filter(|route| route.method == "POST" && route.access != Access::Anybody);
    let mut refused = 0;
    for route in forms {
        let path = filled(route.path, NOTHING);
        for (kind, body) in [
            ("application/json", b"{}".to_vec()),
            (FORM, b"body=%ff%fe&text=%c3".to_vec()),
            (FORM, b"version=one&until=one&version=two".to_vec()),
        ] {
            let page = send(&ana, &path, kind, body, false).await;
            assert!(!page.status.is_server_error(), "{path}: {}", page.body);
            if page.status.is_client_error() {
                told(&page, &format!("{path} ({kind})"));
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
    // Who is not signed in is told in the language of their browser.
    let mut nobody = desk.nobody();
    nobody.cookie = Some(String::new());
    for path in ["/sign-in", "/sign-in/code", "/sign-in/passkey", "/phone"] {
        let page = send(&nobody, path, "text/plain", b"x".to_vec(), false).await;
        assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
        assert!(page.body.contains("A field of the form is missing"), "{path}: {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_names_nothing_leads_to_a_page_that_says_so() {
    let desk = Desk::open().await;
    let ana = spanish(&desk).await;
    for route in routes().into_iter().filter(|route| route.path.contains('{') && route.access != Access::Anybody) {
        let path = filled(route.path, "no-such-name");
        let page = match route.method.as_str() {
            "GET" => ana.get(&path).await,
            _ => send(&ana, &path, FORM, b"thread=x&phone=x&number=x".to_vec(), false).await,
        };
        if page.status.is_client_error() {
            told(&page, &path);
        }
    }
    let page = ana.get("/voicemails?before=yesterday").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    told(&page, "a query");
    let page = send(&ana, "/day", FORM, Vec::new(), false).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(page.body.contains("role=\"alert\""), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large_is_answered_and_a_script_gets_the_sentence_alone() {
    let desk = Desk::open().await;
    let ana = spanish(&desk).await;
    for (path, length) in [("/threads/bulk", 5 << 20), (&filled("/threads/{id}/answer", NOTHING), 20 << 20)] {
        let body = [b"body=".to_vec(), vec![b'a'; length]].concat();
        let page = send(&ana, path, FORM, body.clone(), false).await;
        assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        told(&page, path);
        assert!(page.body.contains("lo que escribió sigue ahí"), "{}", page.body);
        let part = send(&ana, path, FORM, body, true).await;
        assert!(
            part.status == StatusCode::PAYLOAD_TOO_LARGE
                && part.body.starts_with("<p class=\"notice bad\" role=\"alert\">")
        );
    }
    // Who is not signed in sends less.
    let mut nobody = desk.nobody();
    nobody.cookie = Some(String::new());
    let body = [b"name=".to_vec(), vec![b'a'; 200_000]].concat();
    assert_eq!(send(&nobody, "/sign-in", FORM, body, false).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}
