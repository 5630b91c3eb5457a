//! The clinic's files in the browser.

use std::time::Duration;

use jiff::Timestamp;
use threadline::daemon::workshop;
use threadline::model::{
    CallEnd, CallId, CallStart, Caller, ClinicFile, Consent, ConsentMethod, ConsentState, Direction, EndedBy, Language,
    Outcome, PhoneNumber, PromptKey,
};
use threadline::store::file_versions::{self, NewVersion};
use threadline::store::{calls, consents};
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
    let part = ana.range("/admin/prompts/en/welcome", "bytes=4-7").await;
    assert_eq!(part.status.as_u16(), 206);
    assert_eq!(part.headers["content-range"], format!("bytes 4-7/{}", wav.headers["content-length"].to_str().unwrap()));
    assert_eq!(part.headers["content-length"], "4");
    let beyond = ana.range("/admin/prompts/en/welcome", "bytes=99999999-").await;
    assert_eq!(beyond.status.as_u16(), 416);
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
    assert!(
        greeting.contains("text:general") && greeting.contains("1 segment") && greeting.contains("GSM-7"),
        "{greeting}"
    );
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
    assert!(
        page.body.contains("<del>-wait = &quot;4s&quot;") && page.body.contains("<ins>+wait = &quot;7s&quot;"),
        "{}",
        page.body
    );
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
        let mut query =
            conn.prepare("SELECT action, actor, subject FROM audit WHERE subject = 'file:tree' ORDER BY seq")?;
        let rows =
            query.query_map([], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
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
        [
            ("text", new.clone()),
            ("at", at.to_owned()),
            ("from", from.to_owned()),
            ("script", "wait 3\r\n1".to_owned()),
            ("do", "try".to_owned()),
        ]
    };
    let ask = async |form: [(&'static str, String); 5]| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ben.post("/admin/files/messages", &form).await
    };
    let page = ask(form("2026-11-02T10:00", "+12125550142")).await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(
        page.body.contains("Riverside Therapy: what is it?") && page.body.contains("outcome texted"),
        "{}",
        page.body
    );
    assert!(ask(form("noon", "")).await.body.contains("That is no time"));
    assert!(ask(form("", "nobody")).await.body.contains("That is no caller"));
    desk.write(|tx| Ok(tx.execute("UPDATE staff SET language = 'es'", [])?)).await;
    let page = ask(form("2026-11-02T10:00", "+12125550142")).await.body;
    for told in ["llamada de +12125550142, lun 2026-11-02", "llamante  pulsa 1", "resultado recibió un mensaje"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!disk(&desk, ClinicFile::Messages).contains("what is it?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_put_back() {
    let desk = Desk::open().await;
    own_prompts(&desk);
    let ben = desk.person("ben", "admin").await;
    let old = disk(&desk, ClinicFile::Tree);
    // The tree is fine, but somebody has broken a recording since the daemon read it.
    let broken = (desk.web.files)().settings.clinic.prompts.join("en/goodbye.wav");
    std::fs::write(&broken, "no audio").unwrap();
    let new = old.replace("wait = \"4s\"", "wait = \"8s\"");
    let first = base(&ben.get("/admin/files/tree").await.body);
    let page = ben.post("/admin/files/tree", &[("text", &new), ("base", &first), ("do", "publish")]).await;
    assert_eq!(page.status.as_u16(), 422);
    assert!(page.body.contains("The daemon could not take it") && page.body.contains("goodbye.wav"), "{}", page.body);
    assert!(page.body.contains("wait = &quot;8s&quot;"), "what was typed is lost: {}", page.body);
    assert_eq!(disk(&desk, ClinicFile::Tree), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_chooses_a_command() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let old = disk(&desk, ClinicFile::Box);
    let first = base(&ben.get("/admin/files/box").await.body);
    let new = format!("{old}\n[prompts]\nrender = [\"/bin/sh\", \"{{text}}\", \"{{out}}\"]\n");
    let page = ben.post("/admin/files/box", &[("text", &new), ("base", &first), ("do", "publish")]).await;
    assert!(page.status.as_u16() == 422 && page.body.contains("change it on the box itself"), "{}", page.body);
    assert_eq!(disk(&desk, ClinicFile::Box), old);

    let new = old.replace("response_target = \"15 minutes\"", "response_target = \"5 minutes\"");
    let page = ben.post("/admin/files/box", &[("text", &new), ("base", &first), ("do", "publish")]).await;
    assert_eq!(page.location(), "/admin/files/box?done=published", "{}", page.body);
    assert!(ben.get("/admin/templates").await.body.contains("within 5 minutes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_on_disk_is_kept_once() {
    let desk = Desk::open().await;
    let settings = (desk.web.files)().settings;
    let path = desk.web.workshop.path(ClinicFile::Messages);
    let text = disk(&desk, ClinicFile::Messages);
    for text in [text.clone(), text.clone(), format!("# by hand\n{text}")] {
        std::fs::write(&path, text).unwrap();
        workshop::note(&desk.web.store, &settings, desk.now());
    }
    // Writes are made in their order.
    desk.write(|_| Ok(())).await;
    let kept = desk.web.store.read(|conn| file_versions::list(conn, ClinicFile::Messages, 9)).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.actor.as_str()).collect::<Vec<_>>(), ["disk", "disk"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_texts_are_refused() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    // Just over the limits, so that the whole of it has been read when the answer comes.
    for size in [300 << 10, (2 << 20) + 1_000] {
        let page = ben.post("/admin/files/tree", &[("text", &"x".repeat(size)), ("do", "check")]).await;
        assert_eq!(page.status.as_u16(), 413, "{size}");
    }
    let page = ben.post("/admin/files/tree", &[("text", &"#\n".repeat(21_000)), ("do", "check")]).await;
    assert!(page.status.as_u16() == 413 && page.body.contains("upload that"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fullest_page_of_a_file_is_bounded() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let at = desk.now();
    desk.write(move |tx| {
        for version in 0..60 {
            let (text, note) = (format!("# {version}\n"), "\"".repeat(200));
            let version = NewVersion { file: ClinicFile::Tree, text: &text, actor: "disk", note: &note, at };
            file_versions::keep(tx, version, "file.found")?;
        }
        Ok(())
    })
    .await;
    // As large as can be typed, and wrong in every line.
    let text = "x\"\n".repeat(4_990);
    for what in ["check", "compare", "publish"] {
        let page = ben.post("/admin/files/tree", &[("text", &text), ("do", what)]).await;
        assert!(page.body.contains("x&quot;\nx&quot;"), "what was typed is lost");
        assert!((60_000..100_000).contains(&page.body.len()), "{what}: {}", page.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_too_large_for_a_page_is_downloaded_changed_and_uploaded() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let page = ben.get("/admin/files/tree?by=upload").await;
    assert!(page.body.contains("type=\"file\"") && page.body.contains("Back to the file"), "{}", page.body);
    let large = format!("{}{}", disk(&desk, ClinicFile::Tree), "# as \"they\" say\n".repeat(6_000));
    let path = desk.web.workshop.path(ClinicFile::Tree);
    std::fs::write(&path, &large).unwrap();
    let page = ben.get("/admin/files/tree").await;
    assert!(page.body.len() < 100_000 && page.body.contains("type=\"file\""), "{}", page.body);
    let first = base(&page.body);
    let page = ben.get("/admin/files/tree/text").await;
    assert_eq!(page.headers["content-disposition"], "attachment; filename=\"phone-tree.toml\"");
    assert!(page.body == large);

    let send = async |text: &[u8], what: &str| {
        let others = [("base", first.as_str()), ("do", what), ("at", "2026-11-02T10:00"), ("script", "wait 3\r\n1")];
        let page = ben.upload_with("/admin/files/tree/upload", &others, "file", text.to_vec()).await;
        assert!(page.body.len() < 100_000, "{what}: {}", page.body.len());
        page
    };
    let bad = large.replace("then = \"hours:clinic\"", "then = \"hours:clinik\"");
    let page = send(bad.as_bytes(), "check").await;
    assert!(page.status.as_u16() == 422 && page.body.contains("did you mean"), "{}", page.body);
    assert!(!page.body.contains("data-to-line"), "there is no text to go to");
    let new = large.replace("say\n", "write\n");
    let page = send(new.as_bytes(), "compare").await;
    assert!(
        page.body.contains("<del>-# as &quot;they&quot; say</del>") && page.body.contains(" more</p>"),
        "{}",
        page.body
    );
    let page = send(new.replace('\n', "\r\n").as_bytes(), "try").await;
    assert!(page.body.contains("outcome texted"), "{}", page.body);
    for (bytes, why) in [(&b"\xff\xfe"[..], "no text file"), (b"", "Choose a file first")] {
        let page = send(bytes, "check").await;
        assert!(page.status.as_u16() == 422 && page.body.contains(why), "{why}: {}", page.body);
    }
    assert_eq!(disk(&desk, ClinicFile::Tree), large, "nothing was published so far");
    assert_eq!(send(new.as_bytes(), "publish").await.location(), "/admin/files/tree?done=published");
    assert!(disk(&desk, ClinicFile::Tree) == new);
    assert_eq!(send(new.as_bytes(), "publish").await.status.as_u16(), 409);

    let kept = desk.web.store.read(|conn| file_versions::list(conn, ClinicFile::Tree, 9)).await.unwrap();
    let version = format!("/admin/files/tree/versions/{}", kept[1].id);
    let page = ben.get(&version).await;
    assert!(page.body.len() < 100_000 && page.body.contains("too large to be shown"), "{}", page.body.len());
    assert!(ben.get(&format!("{version}/text")).await.body == large);
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

pub async fn call(desk: &Desk, path: &[&str], digits: &str) -> CallId {
    let (id, at) = (CallId::new(desk.now()), desk.now());
    let start = CallStart {
        id,
        direction: Direction::Inbound,
        trunk: "carrier".to_owned(),
        from: Caller::Number(PhoneNumber::e164("+12125550142").unwrap()),
        to: None,
        diversion: vec![],
        sip_call_id: "x".to_owned(),
        at,
    };
    let end = CallEnd {
        id,
        answered_at: Some(at),
        at,
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        digits: digits.to_owned(),
        language: Language::default(),
        outcome: Outcome::Texted,
        ended_by: EndedBy::System,
        cause: "hangup".to_owned(),
        waited: Duration::ZERO,
        thread: None,
        quality: None,
    };
    desk.write(move |tx| {
        calls::start(tx, &start)?;
        calls::end(tx, &end)
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_tells_why_it_went_where_it_went() {
    let desk = Desk::open().await;
    let ana = desk.person("ana", "front_desk").await;
    let way = ["play:emergency", "hours:clinic", "menu:welcome", "text:general", "hangup:goodbye"];
    let (id, broken) = (call(&desk, &way, "91").await, call(&desk, &[], "").await);
    let page = ana.get(&format!("/calls/{id}")).await;
    for told in [
        "It is not known what the phone menu was then",
        "The clinic was open.",
        "Pressed, but it offered nothing:",
        "The caller pressed <kbd>1</kbd>.",
        "The text could be sent.",
        "The call ended here.",
    ] {
        assert!(page.body.contains(told), "{told}: {}", page.body);
    }
    assert!(!page.body.contains("5550142"), "whoever called is not named here");
    assert!(page.body.contains("the phone menu (hung up)"), "{}", page.body);
    assert_eq!(ana.get(&format!("/calls/{}", CallId::new(desk.now()))).await.status.as_u16(), 404);

    // Once the menu's versions are known, a call is told by the one that was in force.
    let old = disk(&desk, ClinicFile::Tree);
    let keep = |text: String, at: Timestamp| {
        desk.write(move |tx| {
            let version = NewVersion { file: ClinicFile::Tree, text: &text, actor: "disk", note: "", at };
            file_versions::keep(tx, version, "file.found")
        })
    };
    keep(old.clone(), desk.now()).await;
    let page = ana.get(&format!("/calls/{id}")).await;
    assert!(page.body.contains("The phone menu is today as it was then."), "{}", page.body);
    desk.clock.advance(Duration::from_secs(60));
    keep(old.replace("1 = \"text:general\", 2", "1 = \"text:appointments\", 2"), desk.now()).await;
    let page = ana.get(&format!("/calls/{id}")).await;
    assert!(page.body.contains("told by the one that was in force then"), "{}", page.body);
    assert!(page.body.contains("The caller pressed <kbd>1</kbd>."), "{}", page.body);

    // In the reader's language: our own reasons; what the network said as it said it.
    desk.write(move |tx| {
        tx.execute("UPDATE staff SET language = 'es'", [])?;
        Ok(tx.execute("UPDATE calls SET cause = 'no ACK' WHERE id = ?", [broken.to_string()])?)
    })
    .await;
    let page = ana.get(&format!("/calls/{id}")).await;
    assert!(page.body.contains("el menú telefónico (colgó)"), "{}", page.body);
    let page = ana.get(&format!("/calls/{broken}")).await;
    assert!(page.body.contains("el menú telefónico (<span lang=\"en\"><bdi>no ACK</bdi></span>)"), "{}", page.body);
}

/// Silence, mono, which no prompt of the house is.
fn wav(rate: u32) -> Vec<u8> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    (0..16_000).for_each(|_| writer.write_sample(0i16).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// The prompts as files of the test's own, to be written to.
fn own_prompts(desk: &Desk) {
    let folder = (desk.web.files)().settings.clinic.prompts.clone();
    let house = std::fs::canonicalize(&folder).unwrap();
    let link = folder.parent().unwrap().join(folder.file_name().unwrap());
    std::fs::remove_file(&link).unwrap();
    for language in std::fs::read_dir(&house).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        std::fs::create_dir_all(link.join(language.file_name())).unwrap();
        for file in std::fs::read_dir(language.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), link.join(language.file_name()).join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_replaced_by_a_good_one_alone_and_can_be_put_back() {
    let desk = Desk::open().await;
    own_prompts(&desk);
    let ben = desk.person("ben", "admin").await;
    let path = "/admin/prompts/en/goodbye";
    let first = ben.get(path).await.body;
    let sha = |desk: &Desk| {
        let key = PromptKey { language: Language::default(), name: "goodbye".to_owned() };
        (desk.web.files)().catalog.0[&key].sha256.clone()
    };
    let before = sha(&desk);
    for (bytes, why) in [
        (b"ID3\x04 and so on".to_vec(), "This is MP3. Save it as WAV"),
        (b"hello".to_vec(), "not a WAV file"),
        (wav(11_025), "11025 Hz"),
        (vec![], "Choose a file first."),
        (wav(16_000)[..60].to_vec(), "cannot be used"),
    ] {
        let page = ben.upload(&format!("{path}/recording"), "recording", bytes).await;
        assert!(page.status.as_u16() == 422 && page.body.contains(why), "{why}: {}", page.body);
    }
    assert_eq!(
        ben.upload(&format!("{path}/recording"), "recording", vec![0; (10 << 20) + (20 << 10)]).await.status.as_u16(),
        413
    );
    assert_eq!(ben.upload("/admin/prompts/en/none/recording", "recording", wav(16_000)).await.status.as_u16(), 404);
    assert_eq!(sha(&desk), before);

    let page = ben.upload(&format!("{path}/recording"), "recording", wav(16_000)).await;
    assert_eq!(page.location(), format!("{path}/edit?done=true"), "{}", page.body);
    assert_ne!(sha(&desk), before, "the next call hears it");
    let page = ben.get(&format!("{path}/edit")).await;
    let at = page.body.find(&format!("{path}/versions/")).unwrap();
    let version: String = page.body[at..].chars().take_while(|c| *c != '"').collect();
    assert_eq!(ben.get(&version).await.body, first);
    assert_eq!(ben.post(&version, &[]).await.location(), format!("{path}/edit?done=true"));
    assert_eq!(sha(&desk), before);

    let page = ben.post(&format!("{path}/words"), &[("words", "Bye now.")]).await;
    assert_eq!(page.location(), format!("{path}/edit?done=true"));
    assert!(ben.get("/admin/prompts").await.body.contains("Bye now."));
    assert_eq!(ben.post(&format!("{path}/words"), &[("words", " ")]).await.status.as_u16(), 422);
    assert_eq!(ben.get(&format!("{path}/versions/..%2F..%2Fx")).await.status.as_u16(), 404);
    let rows = desk.web.store.read(|conn| {
        let mut query = conn.prepare("SELECT action FROM audit WHERE subject = 'prompt:en/goodbye' ORDER BY seq")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(rows.await.unwrap(), ["prompt.replaced", "prompt.rolled_back", "prompt.words_set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_shows_its_state_and_tests_the_gateway_with_consent_alone() {
    let desk = Desk::open().await;
    let ben = desk.person("ben", "admin").await;
    let page = ben.get("/admin/system").await;
    for shown in [
        "sandbox",
        "carrier",
        "does not answer",
        "accepted 7",
        "3.0 MB",
        "not known",
        "Nobody is on the phone.",
        "answered 200 within 12 ms, 11:00 AM",
        "not asked yet",
        "action=\"/admin/system/trunks/carrier/test\"",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let asked = ben.post("/admin/system/trunks/spare/test", &[]).await;
    assert!(asked.body.contains("spare: no answer, 11:00 AM"), "{}", asked.body);
    assert_eq!(ben.post("/admin/system/trunks/another/test", &[]).await.status.as_u16(), 404);
    let to = "+12125550142";
    for (bad, why) in [("call me", "That is no telephone number"), (to, "has not agreed to texts")] {
        let page = ben.post("/admin/system/test", &[("to", bad)]).await;
        assert!(page.status.as_u16() == 422 && page.body.contains(why), "{why}: {}", page.body);
    }
    let now = desk.now();
    desk.write(move |tx| {
        let consent =
            Consent::new(PhoneNumber::e164(to).unwrap(), ConsentState::Granted, ConsentMethod::Staff, "ana", now);
        consents::append(tx, &consent)
    })
    .await;
    assert_eq!(ben.post("/admin/system/test", &[("to", to)]).await.location(), "/admin/system?done=true");
    let (owner, tests): (Option<String>, i64) = desk
        .web
        .store
        .read(|conn| {
            let owner = conn.query_row("SELECT owner FROM threads", [], |row| row.get(0))?;
            let tests = "SELECT count(*) FROM audit WHERE action = 'system.test_sent' AND actor = 'ben'";
            Ok((owner, conn.query_row(tests, [], |row| row.get(0))?))
        })
        .await
        .unwrap();
    assert_eq!((owner, tests), (None, 1), "an admin is given no thread");
}
