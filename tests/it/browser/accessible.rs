//! axe-core, the checker of the field, finds nothing against WCAG 2.2 A and AA on any page, light or dark, in either
//! language. `tests/run` fetches it; it is no part of the house.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use threadline::model::{CallId, ClinicFile};
use threadline::store::file_versions::{self, NewVersion};
use threadline::web::routes;

use super::chromium::{Browser, skip, turn};
use super::house::enter;
use crate::desk::{Desk, Visitor};
use crate::inbox_admin::call;

/// Which of its rules: those of the standard, not its advice.
const RULES: &str =
    "{ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }";

/// What is fetched by a page and is none itself: its parts, what is heard, what machines ask for.
const NO_PAGES: [&str; 18] = [
    "/assets/{name}",
    "/healthz",
    "/metrics",
    "/live",
    "/session",
    "/notices",
    "/queue/needs",
    "/threads/{id}/timeline",
    "/threads/{id}/earlier/{other}",
    "/threads/{id}/side",
    "/threads/{id}/head",
    "/threads/{id}/presence",
    "/voicemails/{id}",
    "/recordings/{id}",
    "/admin/files/{file}/text",
    "/admin/files/{file}/versions/{id}/text",
    "/admin/prompts/{language}/{name}",
    "/admin/prompts/{language}/{name}/versions/{id}",
];

/// A page, and what to do on it before it is looked at.
type Place = (&'static str, String, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn no_page_breaks_the_rules_for_accessible_pages() {
    let Some(axe) = axe() else { return };
    let Some(turn) = turn().await else { return };
    let desk = Desk::open().await;
    let roles = "front_desk,clinical,manager,admin,auditor";
    let people = [("en", desk.person("ana", roles).await), ("es", desk.person("eva", roles).await)];
    people[1].1.post("/account/profile", &[("shown_as", "Eva Ruiz"), ("language", "es")]).await;
    let browser = Browser::open(&turn).await;
    // It is there on each page before the page is: half a megabyte that is handed over once.
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": axe })).await;

    let mut broken = Vec::new();
    let bare = [
        ("sign-in", "/sign-in".to_owned(), ""),
        (
            "a refused sign-in",
            "/sign-in".to_owned(),
            "name.value = 'nobody'; password.value = 'wrong wrong wrong'; document.forms[0].submit()",
        ),
        ("a link that is over", "/welcome/nothing".to_owned(), ""),
    ];
    browser.go(&format!("http://localhost:{}/sign-in", desk.address.port())).await;
    look(&browser, &desk, "en", &bare, &mut broken).await;

    let (_, ana) = &people[0];
    enter(&browser, &desk, ana, "/").await;
    let empty = [("an empty inbox", "/".to_owned(), ""), ("an empty day", "/day".to_owned(), "")];
    look(&browser, &desk, "en", &empty, &mut broken).await;

    let places = places(&furnish(&desk, ana).await);
    let all: Vec<&str> = bare.iter().chain(&empty).chain(&places).map(|(_, path, _)| path.as_str()).collect();
    for route in routes().into_iter().filter(|route| route.method == "GET" && !NO_PAGES.contains(&route.path)) {
        assert!(all.iter().any(|path| is_of(path, route.path)), "{} is not looked at", route.path);
    }
    for (language, person) in &people {
        enter(&browser, &desk, person, "/").await;
        look(&browser, &desk, language, &places, &mut broken).await;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Whether an address is one of a route's.
fn is_of(path: &str, route: &str) -> bool {
    let (path, route): (Vec<&str>, Vec<&str>) =
        (path.split('?').next().unwrap_or("").split('/').collect(), route.split('/').collect());
    path.len() == route.len() && path.iter().zip(route).all(|(part, named)| named.starts_with('{') || *part == named)
}

/// Asks for a message in the box; somebody else's has no page.
const OFFER: &str = "const box = document.getElementById('words');
    if (box) { box.value = '/'; box.dispatchEvent(new Event('input', { bubbles: true })); }";

/// What there is to be looked at.
struct Furnished {
    /// The thread that has everything.
    thread: String,
    /// The address of a note too long to be shown in it.
    note: String,
    /// The address of a text in full.
    text: String,
    /// The address of a text that the first of the people writes to somebody.
    new_text: String,
    /// A call that has ended.
    call: CallId,
    /// A version of the phone menu that is no longer in force.
    version: i64,
}

/// Every page of somebody who may see all.
fn places(there: &Furnished) -> Vec<Place> {
    let thread = &there.thread;
    let search = "q.value = 'knee'; document.getElementById('search').requestSubmit()";
    let unfold = "document.querySelectorAll('details').forEach((one) => { one.open = true; })";
    let refuse = "words.value = ''; document.getElementById('answer').requestSubmit()";
    let refused = "to.value = '+12125550144'; to.form.submit()";
    let write = "to.value = '+12125550146'; to.form.submit()";
    vec![
        ("inbox", "/?view=all".to_owned(), "document.querySelector('.row input')?.click()"),
        ("closed", "/?view=closed".to_owned(), ""),
        ("thread", format!("/threads/{thread}"), ""),
        ("thread unfolded", format!("/threads/{thread}"), unfold),
        ("an answer refused", format!("/threads/{thread}"), refuse),
        ("messages offered", format!("/threads/{thread}"), OFFER),
        ("a whole note", there.note.clone(), ""),
        ("a whole text", there.text.clone(), ""),
        ("a call's way", format!("/calls/{}", there.call), unfold),
        ("new text", "/new".to_owned(), ""),
        ("new text to somebody who has opted out", "/new".to_owned(), refused),
        ("new text to somebody", "/new".to_owned(), write),
        ("new text with messages offered", there.new_text.clone(), OFFER),
        ("search", "/search".to_owned(), ""),
        ("search with hits", "/search".to_owned(), search),
        ("day", "/day".to_owned(), unfold),
        ("calls", "/calls".to_owned(), ""),
        ("voice messages", "/voicemails".to_owned(), ""),
        ("help", "/help".to_owned(), ""),
        ("account", "/account".to_owned(), unfold),
        (
            "an authenticator",
            "/account".to_owned(),
            "document.querySelector('form[action=\"/account/factor\"]').submit()",
        ),
        ("people", "/admin/people".to_owned(), unfold),
        ("a person", "/admin/people/ana".to_owned(), unfold),
        ("audit", "/admin/audit".to_owned(), unfold),
        ("admin", "/admin".to_owned(), ""),
        ("tree", "/admin/tree".to_owned(), unfold),
        ("prompts", "/admin/prompts".to_owned(), unfold),
        ("a prompt", "/admin/prompts/en/welcome/edit".to_owned(), unfold),
        ("an older file", format!("/admin/files/tree/versions/{}", there.version), unfold),
        ("templates", "/admin/templates".to_owned(), unfold),
        ("files", "/admin/files/tree".to_owned(), unfold),
        ("a file to upload", "/admin/files/tree?by=upload".to_owned(), unfold),
        ("system", "/admin/system".to_owned(), unfold),
        ("palette", "/".to_owned(), "document.getElementById('open-palette').click()"),
        ("keys", "/".to_owned(), "document.dispatchEvent(new KeyboardEvent('keydown', { key: '?' }))"),
        ("nothing there", "/nothing".to_owned(), ""),
        ("phone", "/phone".to_owned(), ""),
        (
            "a phone with texts",
            "/phone".to_owned(),
            "document.getElementById('number').value = '+12125550142'; document.getElementById('number').form.submit()",
        ),
    ]
}

/// Threads of every kind, a call, a changed phone menu.
async fn furnish(desk: &Desk, ana: &Visitor) -> Furnished {
    let texts = [
        ("+12125550142", "My knee is swollen"),
        ("+12125550143", "Do you have parking?"),
        ("+12125550144", "STOP"),
        ("+12125550145", "I want to die"),
        ("+12125550003", "I am on a landline"),
    ];
    for (number, body) in texts {
        desk.clock.advance(std::time::Duration::from_secs(60));
        desk.nobody().post("/phone", &[("number", number), ("body", body)]).await;
    }
    let list = ana.get("/?view=all").await.body;
    let ids: Vec<&str> = list.match_indices("id=\"t-").map(|(at, _)| &list[at + 6..at + 42]).collect();
    assert!(ids.len() >= 4, "{list}");
    let mut knee = "";
    for id in &ids {
        if ana.get(&format!("/threads/{id}")).await.body.contains("knee") {
            knee = id;
        }
    }
    let to = |what: &str| format!("/threads/{knee}/{what}");
    ana.post(
        &to("people"),
        &[("thread", knee), ("name", "Rosa Díaz"), ("language", "es"), ("note", "Calls from work")],
    )
    .await;
    ana.post(&to("tag"), &[("tag", "insurance")]).await;
    ana.post(
        &to("answer"),
        &[("kind", "note"), ("version", "0"), ("form", "none"), ("body", "She was here on Monday")],
    )
    .await;
    ana.post(&to("escalate"), &[("note", "Asks about swelling")]).await;
    let long = "She was here on Monday, too\n".repeat(2_000);
    ana.post(&to("answer"), &[("kind", "note"), ("body", &long)]).await;
    let page = ana.get(&format!("/threads/{knee}")).await.body;
    let at = page.find("/notes/").expect("the long note is folded");
    let note = to(page[at + 1..].split('"').next().unwrap());
    let at = page.find("class=\"message in\" id=\"m").expect("the patient's text is there");
    let text = to(&format!("texts/{}", page[at..].split('"').nth(3).unwrap().strip_prefix('m').unwrap()));
    let other = ids.iter().find(|id| **id != knee).unwrap();
    ana.post(&format!("/threads/{other}/close"), &[("resolution", "resolved")]).await;

    let new_text = ana.post("/new", &[("to", "+12125550146")]).await.location().to_owned();
    ana.post(&format!("{new_text}/consent"), &[("agreed", "yes")]).await;

    let now = desk.now();
    let keep = |text: &'static str| {
        desk.write(move |tx| {
            let version = NewVersion { file: ClinicFile::Tree, text, actor: "disk", note: "", at: now };
            file_versions::keep(tx, version, "file.found")
        })
    };
    keep("start = \"menu:welcome\"\n").await;
    keep("start = \"menu:other\"\n").await;
    let versions = desk.web.store.read(|conn| file_versions::list(conn, ClinicFile::Tree, 9)).await.unwrap();
    let call = call(desk, &["hours:clinic", "menu:welcome", "text:general"], "91").await;
    Furnished { thread: knee.to_owned(), note, text, new_text, call, version: versions.last().unwrap().id }
}

/// Looks at each place in light and in dark, and writes down what is broken.
async fn look(browser: &Browser, desk: &Desk, language: &str, places: &[Place], broken: &mut Vec<String>) {
    for (name, path, first) in places {
        browser.go(&format!("http://localhost:{}{path}", desk.address.port())).await;
        browser.run(first).await;
        settle(browser).await;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            let found = browser.run(&format!("return axe.run(document, {RULES}).then((found) => ({{ broken: found.violations, kept: found.passes.length }}))")).await;
            assert!(found["kept"].as_u64().unwrap() > 10, "{name}: the checker has checked nothing: {found}");
            for violation in found["broken"].as_array().unwrap() {
                broken.push(tell(&format!("{name}, {language}, {scheme}"), violation));
            }
        }
    }
}

/// Waits until the page is loaded and what was done on it has come to rest.
async fn settle(browser: &Browser) {
    let rest = "document.readyState === 'complete' && !document.querySelector('[aria-busy=true]')";
    browser.until("the page is at rest", rest).await;
    browser.run("return new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done(true))), 150))").await;
    browser.until("the page is at rest", rest).await;
}

fn tell(place: &str, violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<String> =
        nodes.take(4).map(|node| format!("    {} {}", node["html"], node["failureSummary"])).collect();
    format!("{place}: {} {}\n{}", violation["id"], violation["help"], nodes.join("\n"))
}

/// The checker's script.
fn axe() -> Option<String> {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/package/axe.min.js");
    let text = std::fs::read_to_string(&file).ok();
    if text.is_none() {
        skip("run tests/run, which fetches axe-core into target/axe");
    }
    text
}
