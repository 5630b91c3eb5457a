//! The clinic's files in the browser.

use threadline::model::ClinicFile;
use threadline::store::file_versions;
use threadline::tree::Kind;

use super::desk::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_a_picture_and_a_list_that_lead_to_the_same() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let page = ana.get("/admin/tree").await;
    assert!(page.body.len() < 100_000, "{} bytes", page.body.len());
    for (_, node) in desk.web.files.as_ref()().tree.nodes() {
        let anchor = threadline::web::admin::tree::anchor(&node.name);
        assert!(page.body.contains(&format!("id=\"{anchor}\"")), "{anchor} is not in the list");
        assert!(page.body.contains(&format!("<a href=\"#{anchor}\"><rect")), "{anchor} is not in the picture");
    }
    assert!(!page.body.contains("style="), "the policy forbids it");
    assert!(page.body.contains("src=\"/admin/prompts/en/welcome\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_heard_and_no_path_leads_elsewhere() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "auditor").await;
    let wav = ana.get("/admin/prompts/en/welcome").await;
    assert_eq!((wav.status.as_u16(), &wav.headers["content-type"]), (200, &"audio/wav".parse().unwrap()));
    for bad in ["en/nothing", "xx/welcome", "en/..%2F..%2Fconfig%2Fthreadline", "..%2Fen/welcome", "en/welcome.wav"] {
        assert_eq!(ana.get(&format!("/admin/prompts/{bad}")).await.status.as_u16(), 404, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_shows_what_it_costs_and_who_sends_it() {
    let desk = Desk::open().await;
    let page = desk.person("ana", "manager").await.get("/admin/templates").await;
    let at = page.body.find("id=\"greeting\"").unwrap();
    let greeting = &page.body[at..at + 1_200];
    assert!(greeting.contains("text:general") && greeting.contains("1 segment") && greeting.contains("GSM-7"), "{greeting}");
    assert!(greeting.contains("Riverside Therapy: how can we help?"), "{greeting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_shows_what_one_may_see() {
    let desk = Desk::open().await;
    let page = desk.person("ana", "front_desk").await.get("/admin").await;
    assert!(page.body.contains("/admin/tree") && !page.body.contains("/admin/people"));
    let page = desk.person("ben", "admin").await.get("/admin").await;
    assert!(page.body.contains("/admin/people"));
}

/// The fingerprint that the editor's form carries.
fn base(page: &str) -> String {
    let at = page.find("name=\"base\" value=\"").unwrap() + "name=\"base\" value=\"".len();
    page[at..at + 64].to_owned()
}

fn disk(desk: &Desk, file: ClinicFile) -> String {
    desk.web.workshop.read(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_shown_beside_its_line_and_never_published() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let page = ben.get("/admin/files/tree").await;
    let old = disk(&desk, ClinicFile::Tree);
    let bad = old.replace("then = \"hours:clinic\"", "then = \"hours:clinik\"");
    let line = bad.lines().position(|line| line.contains("clinik")).unwrap() + 1;
    for what in ["check", "publish", "try"] {
        let form = [("text", bad.as_str()), ("base", &base(&page.body)), ("do", what)];
        let page = ben.post("/admin/files/tree", &form).await;
        assert_eq!(page.status.as_u16(), 422, "{what}");
        assert!(page.body.contains(&format!("data-to-line=\"{line}\"")), "{what}: {}", page.body);
        assert!(page.body.contains("did you mean") && page.body.contains("hours:clinik"), "{what}: {}", page.body);
    }
    assert_eq!(disk(&desk, ClinicFile::Tree), old);
    assert_eq!(ben.get("/admin/files/passwords").await.status.as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_counts_for_the_next_call_and_can_be_put_back() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let first = base(&ben.get("/admin/files/tree").await.body);
    let old = disk(&desk, ClinicFile::Tree);
    let new = old.replace("wait = \"4s\"", "wait = \"7s\"");
    let crlf = new.replace('\n', "\r\n");

    let page = ben.post("/admin/files/tree", &[("text", &crlf), ("base", &first), ("do", "compare")]).await;
    assert!(page.body.contains("<del>-wait = &quot;4s&quot;") && page.body.contains("<ins>+wait = &quot;7s&quot;"), "{}", page.body);
    assert_eq!(disk(&desk, ClinicFile::Tree), old, "a comparison changes nothing");

    let form = [("text", crlf.as_str()), ("base", &first), ("note", "slower"), ("do", "publish")];
    assert_eq!(ben.post("/admin/files/tree", &form).await.location(), "/admin/files/tree?done=published");
    assert_eq!(disk(&desk, ClinicFile::Tree), new);
    let waits = |desk: &Desk| {
        let tree = (desk.web.files)().tree;
        let menu = tree.nodes().find(|(_, node)| node.name == "menu:welcome").unwrap().1.kind.clone();
        match menu {
            Kind::Menu(menu) => menu.wait.as_secs(),
            _ => unreachable!(),
        }
    };
    assert_eq!(waits(&desk), 7, "the next call takes it");

    // Somebody else still has the old text open.
    let form = [("text", old.as_str()), ("base", &first), ("do", "publish")];
    let lost = ben.post("/admin/files/tree", &form).await;
    assert_eq!(lost.status.as_u16(), 409);
    assert!(lost.body.contains("Somebody has changed the file"), "{}", lost.body);
    assert_eq!(disk(&desk, ClinicFile::Tree), new);

    let versions = desk.web.store.read(|conn| file_versions::list(conn, ClinicFile::Tree, 9)).await.unwrap();
    let kept: Vec<_> = versions.iter().map(|version| (version.actor.as_str(), version.note.as_str())).collect();
    assert_eq!(kept, [("ben", "slower"), ("disk", "")]);
    let path = format!("/admin/files/tree/versions/{}", versions[1].id);
    let page = ben.get(&path).await;
    let back = ben.post(&path, &[("base", &base(&page.body))]).await;
    assert_eq!(back.location(), "/admin/files/tree?done=published");
    assert_eq!((disk(&desk, ClinicFile::Tree), waits(&desk)), (old, 4));
    let rows = desk.web.store.read(|conn| {
        let mut query = conn.prepare("SELECT action, actor, subject FROM audit WHERE subject = 'file:tree' ORDER BY seq")?;
        let rows = query.query_map([], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(rows.await.unwrap(), ["file.found disk", "file.published ben", "file.rolled_back ben"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_tried_with_what_is_not_published_yet() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let new = disk(&desk, ClinicFile::Messages).replace("how can we help?", "what is it?");
    let form = |at: &'static str, from: &'static str| {
        [("text", new.clone()), ("at", at.to_owned()), ("from", from.to_owned()), ("script", "wait 30\r\n1".to_owned()), ("do", "try".to_owned())]
    };
    let ask = async |form: [(&'static str, String); 5]| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ben.post("/admin/files/messages", &form).await
    };
    let page = ask(form("2026-11-02T10:00", "+12125550142")).await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(page.body.contains("Riverside Therapy: what is it?") && page.body.contains("outcome texted"), "{}", page.body);
    assert!(ask(form("noon", "")).await.body.contains("That is no time"));
    assert!(ask(form("", "nobody")).await.body.contains("That is no caller"));
    assert!(!disk(&desk, ClinicFile::Messages).contains("what is it?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_texts_are_refused() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    for size in [300 * 1024, 3 << 20] {
        let page = ben.post("/admin/files/tree", &[("text", &"x".repeat(size)), ("do", "check")]).await;
        assert_eq!(page.status.as_u16(), 413, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_says_what_to_do_and_keeps_the_text() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let first = base(&ben.get("/admin/files/tree").await.body);
    let new = disk(&desk, ClinicFile::Tree).replace("wait = \"4s\"", "wait = \"9s\"");
    // Whoever runs the tests may be root, whom no mode keeps out: the folder itself goes away.
    let path = desk.web.workshop.path(ClinicFile::Tree);
    let folder = path.parent().unwrap();
    let aside = folder.with_file_name("aside");
    std::fs::rename(folder, &aside).unwrap();
    let form = [("text", new.as_str()), ("base", &first), ("do", "publish")];
    let page = ben.post("/admin/files/tree", &form).await;
    assert_eq!(page.status.as_u16(), 422);
    assert!(page.body.contains("ReadWritePaths=") && page.body.contains("wait = &quot;9s&quot;"), "{}", page.body);
    std::fs::rename(&aside, folder).unwrap();
}
