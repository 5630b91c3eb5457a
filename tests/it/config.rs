//! The admin's files: good ones are read, and every mistake in a bad one is named where it stands.
//!
//! Each file in `tests/data/config/` says in its own `#!` lines what the checker must report: `line:column: severity:
//! beginning of the message | beginning of the cure` in `bad/`, a part of the message of each warning in `good/`.
//! Nothing else may be reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use threadline::call::perform::GOODBYE;
use threadline::cli::{check, files};
use threadline::conversation::templates::Templates;
use threadline::model::{Language, Problem, Problems, PromptCatalog, PromptInfo, PromptKey, Severity};
use threadline::settings::{Gateway, Retention, SecretPlaces, Settings, Transport};
use threadline::tree::{Announced, Context, SYSTEM_TROUBLE, Tree};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn data(folder: &str) -> PathBuf {
    root().join("tests/data/config").join(folder)
}

/// Prompts of five seconds each, digits of half a second.
pub fn prompts() -> PromptCatalog {
    let english = "emergency welcome more after_hours directions again tour texting_you_now ask_mobile read_back \
                   confirm_number number_wrong goodbye cannot_text wrong_key system_trouble connecting recorded in_line hold \
                   still_holding voicemail thanks too_short calling_back booked already";
    let digits = (0..10).map(|digit| format!("digit_{digit}"));
    let standing = Announced::Wait.prompts().into_iter().map(str::to_owned);
    let english = english.split_whitespace().map(str::to_owned).chain(digits).chain(standing).map(|name| ("en", name));
    let spanish = ["welcome", "texting_you_now"].map(|name| ("es", name.to_owned()));
    let info = |name: &str| PromptInfo {
        words: if name == "emergency" { "In an emergency, dial 911.".to_owned() } else { name.replace('_', " ") },
        sha256: format!("sha-{name}"),
        length: if name.starts_with("digit_") { Duration::from_millis(500) } else { Duration::from_secs(5) },
    };
    let key = |language: &str, name: String| PromptKey { language: Language::parse(language).unwrap(), name };
    PromptCatalog(english.chain(spanish).map(|(tag, name)| (key(tag, name.clone()), info(&name))).collect())
}

pub fn messages() -> BTreeMap<String, BTreeSet<Language>> {
    Templates::load(&data("good").join("messages.toml"), &Language::default()).unwrap().0.names()
}

pub fn tree(file: &Path) -> Result<(Arc<Tree>, Vec<Problem>), Problems> {
    let context = Context {
        zone: TimeZone::get("America/New_York").unwrap(),
        country: "US".parse().unwrap(),
        language: Language::default(),
        prompts: &prompts(),
        messages: &messages(),
        today: "2026-07-06".parse().unwrap(),
    };
    Tree::load(file, &context)
}

pub fn good_tree() -> Arc<Tree> {
    tree(&data("good").join("tree.toml")).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn expectations(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("#! ")).map(str::to_owned).collect()
}

/// Compares reports with expectations, each in its own order.
fn compare(file: &Path, reported: &[Problem], matches: impl Fn(&Problem, &str) -> bool) {
    let mut left: Vec<&Problem> = reported.iter().collect();
    let mut missing = Vec::new();
    for expected in expectations(file) {
        match left.iter().position(|problem| matches(problem, &expected)) {
            Some(at) => drop(left.remove(at)),
            None => missing.push(expected),
        }
    }
    let left: Vec<_> = left.iter().map(ToString::to_string).collect();
    assert!(
        missing.is_empty() && left.is_empty(),
        "{}\nnot reported: {missing:#?}\nreported and not expected:\n{}",
        file.display(),
        left.join("\n")
    );
}

fn as_written(problem: &Problem, expected: &str) -> bool {
    let (place, cure) = expected.split_once(" | ").unwrap_or((expected, ""));
    let shown = format!("{}:{}: {}: {}", problem.line, problem.column, problem.severity, problem.message);
    shown.starts_with(place) && problem.cure.starts_with(cure) && !problem.cure.is_empty()
}

fn settings(file: &Path) -> Result<Settings, Problems> {
    let secrets = SecretPlaces {
        folder: file.parent().unwrap().to_owned(),
        credentials: None,
        environment: |name| (name == "TWILIO_AUTH_TOKEN").then(|| "token".to_owned()),
    };
    Settings::parse(file, &fs::read_to_string(file).unwrap(), &secrets)
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let mut files = 0;
    for entry in fs::read_dir(data("bad")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let problems = match name.split(['-', '.']).next().unwrap() {
            "tree" => tree(&file).map(drop),
            "messages" => Templates::load(&file, &Language::default()).map(drop),
            "threadline" => settings(&file).map(drop),
            other => panic!("{other}: whose file is it?"),
        };
        compare(&file, &problems.expect_err(&name).0, as_written);
        files += 1;
    }
    assert!(files >= 8, "only {files} bad files were found");
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    for name in ["tree.toml", "tree-warnings.toml", "tree-staff-warnings.toml"] {
        let file = data("good").join(name);
        let (_, warnings) = tree(&file).unwrap_or_else(|problems| panic!("{problems}"));
        compare(&file, &warnings, |problem, expected| problem.message.contains(expected));
    }
}

#[test]
fn a_report_shows_the_line_and_the_cure() {
    let problems = tree(&data("bad").join("tree-names.toml")).unwrap_err().to_string();
    let shown = "tree-names.toml:5:21: error: there is no prompt \"welcom\" in `en`\n  \
                 5 | say = [\"emergency\", \"welcom\"]\n  cure: did you mean \"welcome\"?\n";
    assert!(problems.contains(shown), "{problems}");
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let problems = settings(&data("bad").join("threadline.toml")).unwrap_err().to_string();
    assert!(problems.contains("`password` is a secret") && !problems.contains("swordfish"), "{problems}");
}

#[test]
fn the_boxs_file_is_read_whole() {
    let folder = data("good");
    let settings = settings(&folder.join("threadline.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.clinic.name, "Riverside Therapy");
    assert_eq!(settings.clinic.phone_tree, folder.join("tree.toml"));
    assert_eq!(settings.clinic.response_target.as_deref(), Some("15 minutes"));
    assert_eq!(settings.sip.listen.len(), 3);
    assert_eq!(settings.sip.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!((settings.sip.max_calls, settings.sip.session_expires), (50, Duration::from_secs(900)));
    assert_eq!(settings.sip.t1, Duration::from_millis(200));
    let [carrier, pbx] = &settings.trunks[..] else { panic!("two trunks") };
    assert_eq!((carrier.address.host.as_str(), carrier.address.port), ("sip.carrier.example", Some(5060)));
    assert_eq!(carrier.address.transport, Transport::Tcp);
    assert_eq!(carrier.accept_from.len(), 2);
    assert_eq!((pbx.address.host.as_str(), pbx.address.port), ("2001:db8::1", Some(5061)));
    let register = pbx.register.as_ref().unwrap();
    assert_eq!(register.password.expose(), "swordfish");
    assert_eq!(register.expires, Duration::from_secs(600));
    assert_eq!((settings.rtp.ports, settings.rtp.silence_timeout), ((20_000, 20_999), Duration::from_secs(30)));
    let Gateway::Twilio(twilio) = &settings.sms.gateway else { panic!("twilio") };
    assert_eq!((twilio.auth_token.expose().as_str(), twilio.base_url.as_str()), ("token", "http://127.0.0.1:9"));
    assert_eq!(twilio.webhook_key.as_ref().unwrap().expose(), "swordfish");
    assert!((settings.sms.rate - 2.0).abs() < f64::EPSILON);
    assert_eq!(settings.web.public_url.as_deref(), Some("https://clinic.example"));
    assert_eq!(settings.store.path, folder.join("data"));
    assert!(!format!("{settings:?}").contains("swordfish"));
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = "[clinic]\nname = \"A\"\ntimezone = \"Europe/Berlin\"\ncountry = \"DE\"\n\
                [sms]\ngateway = \"sandbox\"\nfrom = \"030 901820\"\n";
    let secrets = SecretPlaces { folder: "/etc/threadline".into(), credentials: None, environment: |_| None };
    let settings = Settings::parse(Path::new("t.toml"), text, &secrets).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.clinic.messages, Path::new("/etc/threadline/messages.toml"));
    assert_eq!(settings.sms.from.as_str(), "+4930901820");
    assert_eq!((settings.sip.max_calls, settings.sip.session_expires), (1_000, Duration::from_secs(1_800)));
    assert_eq!(settings.rtp.silence_timeout, Duration::from_secs(60));
    assert_eq!(settings.sms.expire_after, Duration::from_secs(4 * 3_600));
    assert_eq!(settings.store.path, Path::new("/var/lib/threadline"));
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let Retention { voicemails, recordings, traces } = settings.retention;
    assert_eq!((voicemails, recordings, traces), (days(90), days(30), days(7)));

    let own =
        Settings::parse(Path::new("t.toml"), &format!("{text}[retention]\nrecordings = \"2d\"\n"), &secrets).unwrap();
    assert_eq!(own.retention, Retention { recordings: days(2), ..Retention::default() });
    let short = format!("{text}[retention]\nvoicemails = \"1h\"\n");
    let problem = Settings::parse(Path::new("t.toml"), &short, &secrets).unwrap_err().to_string();
    assert!(problem.contains("write \"24h\" to \"3650d\""), "{problem}");
}

#[test]
fn a_systemd_credential_comes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pbx.password"), "from the folder\n").unwrap();
    let text = "[clinic]\nname = \"A\"\ntimezone = \"UTC\"\ncountry = \"US\"\n[sms]\ngateway = \"sandbox\"\n\
                from = \"+12125550100\"\n[[trunk]]\nname = \"x\"\naddress = \"pbx\"\n\
                register = { username = \"u\", password = { file = \"pbx.password\" } }\n";
    let password = || {
        let secrets = SecretPlaces {
            folder: folder.path().to_owned(),
            credentials: Some(credentials.path().to_owned()),
            environment: |_| None,
        };
        let settings = Settings::parse(Path::new("t.toml"), text, &secrets).unwrap();
        settings.trunks[0].register.clone().unwrap().password.into_inner()
    };
    assert_eq!(password(), "from the folder");
    fs::write(credentials.path().join("pbx.password"), "from systemd\n").unwrap();
    assert_eq!(password(), "from systemd");
}

/// The words beside the audio files that the clinic gets with the program, with lengths of about the right size.
pub fn default_prompts() -> PromptCatalog {
    let mut prompts = PromptCatalog::default();
    for entry in fs::read_dir(root().join("prompts/en")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "txt") {
            let words = fs::read_to_string(&file).unwrap();
            let length = Duration::from_millis(400 * words.split_whitespace().count() as u64);
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let key = PromptKey { language: Language::default(), name: name.clone() };
            prompts.0.insert(key, PromptInfo { words, sha256: format!("sha-{name}"), length });
        }
    }
    prompts
}

#[test]
fn the_default_files_are_without_reproach() {
    let at = "2026-11-24T12:00:00Z".parse().unwrap();
    let checked = check::check(&root().join("config/threadline.toml"), at, |_| (default_prompts(), vec![]));
    let mut out = Vec::new();
    let code = check::report(&checked, false, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{out}");
    assert!(checked.problems.is_empty() && out.starts_with("usable: "), "{out}");
}

#[test]
fn no_prompt_of_the_house_is_there_in_vain() {
    let at = "2026-11-24T12:00:00Z".parse().unwrap();
    let checked = check::check(&root().join("config/threadline.toml"), at, |_| (default_prompts(), vec![]));
    let tree = checked.tree.unwrap();
    let (used, house) = (tree.prompts_used(), files::house_prompts());
    let always = [GOODBYE, SYSTEM_TROUBLE];
    let said =
        |name: &str| used.contains_key(name) || house.iter().any(|(own, _)| own == name) || always.contains(&name);
    let vain: Vec<_> = checked.prompts.0.keys().filter(|key| !said(&key.name)).collect();
    assert!(vain.is_empty(), "{vain:?}");
    for name in house.iter().map(|(name, _)| name.as_str()).chain(always) {
        assert!(checked.prompts.find(&Language::default(), name).is_some(), "{name} is recorded");
    }
}

#[test]
fn a_phone_that_the_box_does_not_have_is_warned_of() {
    let reported = |extensions: &str| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["messages.toml", "phone-tree.toml"] {
            fs::copy(root().join("config").join(name), folder.path().join(name)).unwrap();
        }
        let settings = fs::read_to_string(root().join("config/threadline.toml")).unwrap();
        fs::write(folder.path().join("phone.password"), "swordfish of some length\n").unwrap();
        fs::write(folder.path().join("threadline.toml"), format!("{settings}\n{extensions}")).unwrap();
        let at = "2026-11-24T12:00:00Z".parse().unwrap();
        let checked = check::check(&folder.path().join("threadline.toml"), at, |_| (default_prompts(), vec![]));
        assert!(checked.is_usable(), "{:?}", checked.problems);
        checked.problems.into_iter().map(|problem| format!("{} | {}", problem.message, problem.cure)).collect()
    };
    let extension =
        |name: &str| format!("[[extension]]\nname = \"{name}\"\npassword = {{ file = \"phone.password\" }}\n");
    let missing = "queue:front_desk rings \"extension:202\", which the box does not have";
    assert_eq!(reported(&extension("201")), [format!("{missing} | did you mean \"extension:201\"?")]);
    assert_eq!(reported(&format!("{}{}", extension("201"), extension("202"))), [] as [String; 0]);
}

#[test]
fn check_says_everything_at_once_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(root().join("config/threadline.toml")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("threadline.toml", &good.replace("response_target", "# response_target"));
    write("messages.toml", "[greeting]\nen = \"{first_name}, within {response_target}\"\n");
    write("phone-tree.toml", "start = \"text:a\"\n[text.a]\nmessage = \"greeting\"\n");
    let at = "2026-11-24T12:00:00Z".parse().unwrap();
    let file = folder.path().join("threadline.toml");
    let report = |json: bool| {
        let args = check::CheckArgs { config: file.clone(), json };
        let mut out = Vec::new();
        let silent = Problem::of_file(Path::new("prompts/en/x.wav"), "no audio", "record it again");
        let code = check::run(&args, at, |_| (default_prompts(), vec![silent]), &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    };
    let (code, text) = report(false);
    assert_eq!(code, 1, "{text}");
    for expected in
        ["x.wav: error: no audio", "{response_target}, which has no value", "new caller's name", "not usable: 3 errors"]
    {
        assert!(text.contains(expected), "{expected} in:\n{text}");
    }
    let (code, lines) = report(true);
    assert_eq!(code, 1);
    let severities: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["severity"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(severities.iter().filter(|severity| *severity == "error").count(), 3, "{lines}");
}

#[test]
fn hours_that_nobody_can_tell_are_reported() {
    const ONE: &str = "start = \"menu:m\"\n[menu.m]\nsay = \"welcome\"\nkeys = { 1 = \"hours:a\" }\n\
        [hours.a]\nopen = [ { days = \"mon-fri\", from = \"08:00\", to = \"17:00\" } ]\nwhen_open = \"text:t\"\nwhen_closed = \"text:t\"\n\
        [text.t]\nmessage = \"greeting\"\n[missed_call]\nmessage = \"missed\"\n";
    const OTHER: &str = "[hours.b]\nopen = []\nwhen_open = \"hangup\"\nwhen_closed = \"hangup\"\n";
    let reported = |tree: &str, messages: &str| -> Vec<(Severity, String)> {
        let folder = tempfile::tempdir().unwrap();
        let settings = fs::read_to_string(root().join("config/threadline.toml")).unwrap();
        let missing = if messages.contains("[missed]") { "" } else { "[missed]\nen = \"{clinic}: sorry.\"\n" };
        for (name, text) in [
            ("threadline.toml", &settings[..]),
            ("phone-tree.toml", tree),
            ("messages.toml", &format!("{messages}{missing}")),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let at = "2026-11-24T12:00:00Z".parse().unwrap();
        let checked = check::check(&folder.path().join("threadline.toml"), at, |_| (default_prompts(), vec![]));
        let of_messages = |problem: &Problem| problem.file.ends_with("messages.toml");
        checked.problems.into_iter().filter(of_messages).map(|problem| (problem.severity, problem.message)).collect()
    };
    let greeting = "[greeting]\nen = \"{clinic}, open {hours}\"\n";
    let help = "[help]\nen = \"{clinic}, open {hours}. STOP to opt out.\"\n";
    let missed = "[missed]\nen = \"{clinic}, open {hours}\"\n";
    assert_eq!(reported(ONE, &format!("{greeting}{help}{missed}")), []);
    // With two, each call knows those that it went through; who wrote HELP or left before has none.
    let two = format!("{ONE}{OTHER}");
    let cannot_say = "and it is sent where nobody can say which hours are meant";
    let of = |message: &str| format!("message \"{message}\" needs {{hours}}, {cannot_say}");
    let all = reported(&two, &format!("{greeting}{help}{missed}"));
    let expected = [
        (Severity::Error, "message \"greeting\" needs {hours}, which cannot be put into words in `en`".to_owned()),
        (Severity::Error, of("missed")),
        (Severity::Warning, of("help")),
    ];
    assert_eq!(all, expected);
    let past_them = two.replace("1 = \"hours:a\"", "1 = \"hours:a\", 2 = \"text:t\"");
    assert_eq!(reported(&past_them, greeting), [(Severity::Error, of("greeting"))]);
    let french = "[greeting]\nen = \"{clinic}\"\nfr = \"{hours}\"\n";
    let unsaid = "message \"greeting\" needs {hours}, which cannot be put into words in `fr`".to_owned();
    assert_eq!(reported(ONE, french), [(Severity::Error, unsaid)]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "([a-z\\[\\]{}=\"',.: \n0-9é#-]|menu|text|say|keys|start|hours|open){0,80}") {
        let file = Path::new("x.toml");
        let context = Context {
            zone: TimeZone::UTC,
            country: "US".parse().unwrap(),
            language: Language::default(),
            prompts: &prompts(),
            messages: &BTreeMap::new(),
            today: "2026-07-06".parse().unwrap(),
        };
        let _ = Tree::parse(file, &text, &context).map_err(|problems| problems.to_string());
        let _ = Templates::parse(file, &text, &Language::default()).map_err(|problems| problems.to_string());
        let secrets = SecretPlaces { folder: "/nowhere".into(), credentials: None, environment: |_| None };
        let _ = Settings::parse(file, &text, &secrets).map_err(|problems| problems.to_string());
    }

    #[test]
    fn a_damaged_file_makes_no_reader_panic(which in 0..3usize, at in 0..4000usize, cut in 0..40usize, put in "[\\[\\]{}=\"',.a1é\n]{0,3}") {
        let name = ["phone-tree.toml", "messages.toml", "threadline.toml"][which];
        let text = fs::read_to_string(root().join("config").join(name)).unwrap();
        let damaged: String = text.chars().take(at).chain(put.chars()).chain(text.chars().skip(at + cut)).collect();
        let file = Path::new(name);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, &damaged).unwrap();
        let problems = match which {
            0 => tree(&path).err(),
            1 => Templates::parse(file, &damaged, &Language::default()).err(),
            _ => settings(&path).err(),
        };
        // Whatever is said of it names a line that it has.
        let lines = damaged.lines().count().max(1) + 1;
        for problem in problems.iter().flat_map(|problems| &problems.0) {
            proptest::prop_assert!(problem.line <= lines, "{}", problem);
        }
    }
}
