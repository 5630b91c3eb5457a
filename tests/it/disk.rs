//! A store that cannot be written: the disk is full, another program holds the lock, another daemon has it. Whole calls
//! to the real daemon: the caller hears what is the matter, nothing panics, and nothing is missing in silence.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;
use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;

use super::clinic::Clinic;
use super::gateway::FakeTwilio;
use super::http;

/// A small disk of its own, mounted where only the processes of its mount namespace see it.
pub struct Disk {
    namespace: Child,
    pub path: PathBuf,
}

impl Disk {
    /// None: this machine lets nobody make a namespace.
    pub fn mount(at: &Path) -> Option<Disk> {
        std::fs::create_dir(at).unwrap();
        let mut namespace = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            // It lives for as long as somebody holds its standard input.
            .arg("mount -t tmpfs -o size=4m none \"$0\" && echo mounted && exec cat")
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(namespace.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let path = PathBuf::from(format!("/proc/{}/root", namespace.id())).join(at.strip_prefix("/").unwrap());
        let disk = Disk { namespace, path };
        (said == "mounted\n").then_some(disk)
    }

    /// What makes a command see the disk.
    pub fn entering(&self) -> Vec<String> {
        let namespace = self.namespace.id();
        ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &namespace.to_string()]
            .map(str::to_owned)
            .to_vec()
    }

    pub fn fill(&self) {
        let mut filler = File::create(self.path.join("filler")).unwrap();
        let full = loop {
            if let Err(error) = filler.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    pub fn clear(&self) {
        std::fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
    }
}

async fn metric(clinic: &Clinic, sample: &str) -> f64 {
    let metrics = http::get(format!("http://{}/metrics", clinic.web)).await.unwrap().text().await.unwrap();
    let families: Vec<_> = metrics.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(families.len(), BTreeSet::from_iter(&families).len(), "a family is there twice:\n{metrics}");
    let value = metrics.lines().find_map(|line| line.strip_prefix(sample));
    value.unwrap_or_else(|| panic!("no {sample} in\n{metrics}")).trim().parse().unwrap()
}

/// Dials, presses 1, and listens until the daemon hangs up, because of `fault`.
async fn ask_for_a_text(clinic: &Clinic, phone: &Phone, fault: &str) {
    let mut call = clinic.dial(phone).await;
    let loud = |sample: &i16| sample.unsigned_abs() > 1_000;
    clinic.until("the menu is heard", async || call.recording().samples().iter().any(loud)).await;
    call.press(Digit::from_char('1').unwrap());
    tokio::time::timeout(Duration::from_secs(90), call.ended()).await.expect("the daemon ends the call");
    let spoken: Vec<_> = clinic.log().lines().filter_map(|line| line.split("name=").nth(1).map(first_word)).collect();
    assert_eq!(spoken, ["welcome", "texting_you_now", "system_trouble"], "{}", clinic.log());
    assert!(metric(clinic, "threadline_store_writes_total{result=\"failed\"}").await >= 1.0);
    assert!(metric(clinic, "threadline_store_writes_total{result=\"retried\"}").await >= 1.0);
    let log = clinic.log();
    let said = log.lines().find(|line| line.contains("a text that the caller asked for could not be written"));
    assert!(said.is_some_and(|line| line.contains(fault)), "{log}");
}

/// What the command line prints of a store that only the daemon's namespace sees.
pub fn exported(clinic: &Clinic, what: &str) -> Vec<Value> {
    let printed = clinic.command(&["export", what]).output().unwrap().stdout;
    String::from_utf8(printed).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_a_call_is_served_and_the_next_start_says_what_is_missing() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    // So long that it is known by its end that nothing was written.
    clinic.say_whole("texting_you_now");
    let Some(disk) = Disk::mount(&clinic.store) else {
        return eprintln!("not tried: a full disk needs user namespaces (unshare --user --mount), not allowed here");
    };
    clinic.run_by = disk.entering();
    clinic.store.clone_from(&disk.path);
    clinic.start().await;
    let phone = Phone::start(clinic.sip).await.unwrap();
    disk.fill();
    ask_for_a_text(&clinic, &phone, "the disk is full").await;
    assert_eq!(http::get(format!("http://{}/healthz", clinic.web)).await.unwrap().status(), 200);

    // The records wait for room; told to stop, the daemon says that they are lost.
    clinic.signal(Signal::SIGTERM);
    clinic.until_ended().await;
    assert!(clinic.log().contains("records could not be written to the database"), "{}", clinic.log());
    disk.clear();
    clinic.start().await;
    assert!(clinic.log().contains("records are missing: the database could not be written"), "{}", clinic.log());
    let audit = exported(&clinic, "audit");
    let said = audit.iter().find(|entry| entry["action"] == "store.unrecorded").expect("the audit chain says so");
    assert_eq!(said["detail"]["lost"], serde_json::json!({ "call start": 1, "call end": 1 }));
    assert!(exported(&clinic, "calls").is_empty());
    assert!(!clinic.log().contains("panicked"), "{}", clinic.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_delays_the_record_and_a_kill_meanwhile_is_noted() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.say_whole("texting_you_now");
    clinic.start().await;
    let phone = Phone::start(clinic.sip).await.unwrap();
    let other = Connection::open(clinic.store.join("threadline.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    ask_for_a_text(&clinic, &phone, "the database is locked").await;

    // Once the lock is gone, the call is on record, and its caller gets what a caller is owed who left unserved.
    other.execute_batch("ROLLBACK").unwrap();
    clinic.until("the missed-call text is sent", async || gateway.taken().len() == 1).await;
    assert!(gateway.taken()[0].fields["Body"].contains("sorry we missed you"));
    let calls = clinic.rows(What::Calls);
    assert_eq!((calls.len(), &calls[0]["outcome"]), (1, &"missed".into()));
    assert!(clinic.rows(What::Consents).is_empty());

    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let call = clinic.dial(&phone).await;
    call.hang_up().await;
    let note = clinic.store.join("unrecorded");
    let waiting = async || std::fs::read_to_string(&note).is_ok_and(|note| note.contains("\"waiting\":2"));
    clinic.until("two records wait", waiting).await;
    clinic.kill();
    other.execute_batch("ROLLBACK").unwrap();
    clinic.start().await;
    assert!(clinic.log().contains("records are missing: the database could not be written"), "{}", clinic.log());
    assert!(!clinic.log().contains("panicked"), "{}", clinic.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_store_is_refused_in_one_line() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;
    let run = |clinic: &Clinic, arguments: &[&str]| -> Output {
        clinic.command(arguments).env("RUST_LOG", "warn").output().unwrap()
    };
    let second = run(&clinic, &["serve"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let expected = format!(
        "threadline: {} is in use by another threadline daemon; stop that one, or name another folder in [store] path\n",
        clinic.store.display()
    );
    assert_eq!(said.lines().last().map(|line| format!("{line}\n")), Some(expected), "{said}");
    assert!(!said.contains("Stack backtrace"), "{said}");
    // Readers may look on.
    assert!(run(&clinic, &["export", "calls"]).status.success());
    // kill -9 leaves no lock behind.
    clinic.kill();
    clinic.start().await;
}
