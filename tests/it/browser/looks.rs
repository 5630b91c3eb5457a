//! Every page fits its screen, from 320 CSS pixels on (WCAG 2.2, 1.4.10). Pictures of them are left in
//! `target/screenshots/`, for eyes.

use std::path::Path;

use serde_json::json;
use threadline::cli::fill;
use threadline::model::{Caller, PhoneNumber};

use super::chromium::{Browser, turn};
use super::house::enter;
use crate::inbox_calls;

/// Widths and heights of a phone, a tablet, a desk.
const SCREENS: [(u32, u32); 3] = [(320, 640), (768, 1024), (1440, 900)];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_every_screen() {
    let Some(turn) = turn().await else { return };
    let desk = inbox_calls::desk().await;
    let (store, now) = (desk.web.store.clone(), desk.now());
    let clinic = PhoneNumber::e164("+12125550100").unwrap();
    tokio::task::spawn_blocking(move || fill::fill(&store, 1_500, &clinic, now).unwrap()).await.unwrap();
    let ana = desk.person("ana", "front_desk,clinical,manager,admin,auditor").await;
    let list = ana.get("/?view=all").await.body;
    let threads: Vec<&str> = list.match_indices("id=\"t-").map(|(at, _)| &list[at + 6..at + 42]).collect();
    let thread = threads[1];
    ana.post(&format!("/threads/{thread}/tag"), &[("tag", "insurance")]).await;

    let _waits = inbox_calls::maria_waits(&desk);
    inbox_calls::leaves_a_message(&desk, Caller::Anonymous).await;
    let (_, _, spoken) =
        inbox_calls::leaves_a_message(&desk, Caller::Number(PhoneNumber::e164("+16462530142").unwrap())).await;
    let new_text = ana.post("/new", &[("to", "+16462530199")]).await.location().to_owned();
    ana.post(&format!("{new_text}/consent"), &[("agreed", "yes")]).await;

    let browser = Browser::open(&turn).await;
    let search = "q.value = 'refill'; document.getElementById('search').requestSubmit()";
    let pages = [
        ("sign-in", "/sign-in".to_owned(), ""),
        (
            "phone",
            "/phone".to_owned(),
            "document.getElementById('number').value = '+12145550114'; document.getElementById('number').form.submit()",
        ),
        ("inbox", "/?view=all".to_owned(), ""),
        ("mine", "/?view=mine".to_owned(), ""),
        ("thread", format!("/threads/{thread}"), ""),
        ("spoken", format!("/threads/{}", spoken.unwrap()), ""),
        ("search", "/search".to_owned(), search),
        ("day", "/day".to_owned(), ""),
        ("calls", "/calls".to_owned(), ""),
        ("voicemails", "/voicemails".to_owned(), ""),
        ("new", "/new".to_owned(), ""),
        ("writing", new_text, "document.querySelector('.later').open = true"),
        ("account", "/account".to_owned(), ""),
        ("people", "/admin/people".to_owned(), ""),
        ("audit", "/admin/audit".to_owned(), ""),
        ("tree", "/admin/tree".to_owned(), ""),
        ("prompts", "/admin/prompts".to_owned(), ""),
        ("files", "/admin/files/tree".to_owned(), ""),
        ("system", "/admin/system".to_owned(), ""),
        ("help", "/help".to_owned(), ""),
        ("palette", "/".to_owned(), "document.getElementById('open-palette').click()"),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    let mut wide = Vec::new();
    for (name, path, first) in &pages {
        if *name == "inbox" {
            enter(&browser, &desk, &ana, "/").await;
        }
        for (width, height) in SCREENS {
            browser.resize(width, height).await;
            browser.go(&format!("http://localhost:{}{path}", desk.address.port())).await;
            browser.run(first).await;
            browser
                .until(
                    "it is at rest",
                    "document.readyState === 'complete' && !document.querySelector('[aria-busy=true]')",
                )
                .await;
            browser.run("return new Promise((done) => setTimeout(() => done(true), 200))").await;
            for scheme in ["light", "dark"] {
                browser.prefer(scheme).await;
                browser.photograph(&folder.join(format!("{name}-{width}-{scheme}.png"))).await;
            }
            let over = browser.run(OVER).await;
            if over != json!([]) {
                wide.push(format!("{name} at {width}: {over}"));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// What reaches beyond the screen where the page itself can be scrolled sideways.
const OVER: &str = "const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    return [page.scrollWidth, ...[...document.body.querySelectorAll('*')].filter((one) => !one.closest('.scroll *') && one.getBoundingClientRect().right > page.clientWidth + 1)
      .slice(0, 6).map((one) => one.outerHTML.slice(0, 120))];";
