//! What others wrote, on every page that shows it: it turns nothing around, hides nothing, and stands in no address.

use threadline::call::registry::InProgress;
use threadline::model::{CallId, Caller, PhoneNumber, Private, ThreadId};
use threadline::web::routes;

use super::desk::{Desk, Visitor};

const PATIENT: &str = "+12125550142";
const OTHER: &str = "+12125550143";
/// Turns around what stands after it, and hides.
const HIDDEN: [char; 4] = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}'];
/// Marks where it stands.
const MARK: &str = "qzx";

/// A name, or words, that are written to deceive.
fn hostile(what: &str) -> String {
    format!("\u{2066}\u{202e}{MARK}{what}\u{200b}\u{200f}<b>")
}

/// Everything that a patient or a colleague can name: a text, a person, whom they speak for, a note, a tag, a reason.
async fn fill(desk: &Desk, ana: &Visitor, number: &str) -> String {
    desk.nobody().post("/phone", &[("number", number), ("body", &hostile("text"))]).await;
    let list = ana.get("/?view=all").await.body;
    let thread = list.rsplit_once("id=\"t-").unwrap().1[..36].to_owned();
    let (name, whom, words) = (hostile("name"), hostile("whom"), hostile("words"));
    for (to, form) in [
        ("people", vec![("name", name.as_str()), ("on_behalf_of", &whom), ("note", &words)]),
        ("tag", vec![("tag", words.as_str())]),
        ("reason", vec![("reason", &words)]),
        ("answer", vec![("kind", "note"), ("body", &words)]),
    ] {
        let done = ana.post(&format!("/threads/{thread}/{to}"), &form).await;
        assert!(done.status.is_redirection(), "{to}: {}", done.body);
    }
    thread
}

/// The page without what stands in its fields: there it is as it was written, to be changed.
fn without_fields(page: &str) -> String {
    let mut seen = String::new();
    let mut rest = page;
    while let Some((start, (open, close))) = [("value=\"", "\""), ("<textarea", "</textarea>")]
        .into_iter()
        .filter_map(|ends| Some((rest.find(ends.0)?, ends)))
        .min()
    {
        seen.push_str(&rest[..start]);
        let field = &rest[start + open.len()..];
        rest = &field[field.find(close).unwrap() + close.len()..];
    }
    seen + rest
}

/// How often it is there; and wherever it is, it is shown, as words, and set apart.
fn shown(page: &str, place: &str) -> usize {
    let page = without_fields(page);
    assert!(!page.contains(HIDDEN), "{place} hides something: {page}");
    for (at, _) in page.match_indices(MARK) {
        let before = &page[..at];
        let sentence = &page[at.saturating_sub(200)..page.len().min(at + 60)];
        // What hid is shown before it; where there is markup, it is set apart from what stands beside it.
        let plain = before.ends_with("U+2066U+202E");
        let apart =
            before.rfind("<bdi") > before.rfind("</bdi>") || before.rfind("dir=\"auto\"") > before.rfind("</p>");
        let marked = before.ends_with("U+202E</span>");
        // A text is found by what is seen of it, and that is shown.
        let found = before.ends_with("<mark>");
        assert!(plain || ((marked || found) && apart), "{place}: …{sentence}…");
    }
    assert!(!page.contains("<b>"), "{place} takes it for markup");
    page.matches(MARK).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_deceives_nobody_on_any_page() {
    let desk = super::inbox_calls::desk().await;
    let ana = desk.person("ana", "front_desk,manager,admin,auditor").await;
    fill(&desk, &ana, OTHER).await;
    desk.clock.advance(std::time::Duration::from_secs(1));
    let thread = fill(&desk, &ana, PATIENT).await;
    let enter = |from: Caller| {
        desk.web.registry.enter(InProgress::came_in(CallId::new(desk.now()), "carrier".into(), from, desk.now()))
    };
    let _maria = enter(Caller::Number(PhoneNumber::e164(PATIENT).unwrap()));
    let _other = enter(Caller::Other(Private::new(hostile("caller"))));

    // Each page that there is, with this thread wherever one is asked for.
    let mut seen = Vec::new();
    for route in routes().into_iter().filter(|route| route.method == "GET" && route.path != "/live") {
        let mut path = route.path.to_owned();
        for variable in ["{id}", "{other}", "{name}", "{file}"] {
            path = path.replace(variable, &thread);
        }
        let page = ana.get(&path).await;
        if shown(&page.body, &path) > 0 {
            seen.push(route.path);
        }
    }
    for expected in
        ["/", "/threads/{id}", "/threads/{id}/timeline", "/threads/{id}/side", "/threads/{id}/head", "/calls", "/day"]
    {
        assert!(seen.contains(&expected), "{expected} shows no name: {seen:?}");
    }
    // What is looked for is posted.
    for (path, form) in [
        ("/search", vec![("q", MARK)]),
        ("/search", vec![("q", "qzxname")]),
        ("/palette", vec![("q", MARK)]),
        ("/new", vec![("to", "qzxname")]),
        ("/new/people", vec![("to", "qzxname")]),
        ("/admin/audit", vec![("subject", "")]),
    ] {
        let page = ana.post(path, &form).await;
        assert!(page.status.is_success(), "{path}: {}", page.body);
        let times = shown(&page.body, path);
        assert!(times > 0 || path == "/admin/audit", "{path} {form:?} shows nothing: {}", page.body);
    }
    let id: ThreadId = thread.parse().unwrap();
    desk.write(move |tx| threadline::store::threads::flag(tx, id, &hostile("flag"), desk_time())).await;
    assert!(shown(&ana.get(&format!("/threads/{thread}")).await.body, "a red flag") > 0);
}

fn desk_time() -> jiff::Timestamp {
    super::desk::MONDAY.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_any_page_says_what_somebody_typed() {
    let desk = super::inbox_calls::desk().await;
    let ana = desk.person("ana", "front_desk,manager,admin,auditor").await;
    fill(&desk, &ana, PATIENT).await;
    let list = ana.get("/?view=all").await.body;
    let links = |page: &str| -> Vec<String> {
        let after = |start: &'static str| {
            page.split(start).skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        };
        ["href=\"", "action=\"", "data-url=\"", "data-href=\""].into_iter().flat_map(after).collect()
    };
    let filters: Vec<String> =
        links(&list).into_iter().filter(|link| link.contains("tag=") || link.contains("reason=")).collect();
    assert_eq!(filters.len(), 2, "one for the tag, one for the reason: {filters:?}");
    for filter in &filters {
        let page = ana.get(filter).await.body;
        assert!(page.contains("id=\"t-") && page.contains("Show all"), "{filter}: {page}");
        for link in links(&page) {
            assert!(!link.contains(MARK), "{link}");
        }
        // In another's session it is called otherwise, and leads to the whole list.
        let bo = desk.person(if filter.contains("tag=") { "bo" } else { "cy" }, "front_desk").await;
        let page = bo.get(filter).await.body;
        assert!(page.contains("you see the whole list") && !page.contains("Show all"), "{page}");
    }
    // A form that puts what is typed into the address would say `get`.
    for path in ["/", "/search", "/new", "/day", "/calls", "/voicemails", "/admin/audit", "/admin/people", "/account"] {
        assert!(!ana.get(path).await.body.contains("method=\"get\""), "{path}");
    }
}
