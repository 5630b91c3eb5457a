//! A clinic's box for tests: the real daemon as a process of its own, on loopback, with a folder that goes with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use threadline::cli::phone::{Phone, PhoneCall};
use threadline::store::export::{self, What};
use threadline::store::{self, StoreError};
use tokio::time::{Instant, sleep};

use super::gateway::{ACCOUNT, TOKEN};
use super::{http, ports, prompts};

pub const PATIENT: &str = "+12125550142";
/// The daemon's own waits (the gateway's list settles in 10 s) and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks: most of them read the database.
const PAUSE: Duration = Duration::from_millis(20);
/// The tree that a clinic begins with. Its menu waits for as long as a test needs before it presses a key.
const TREE: &str = "start = \"menu:welcome\"\n\
             [menu.welcome]\nsay = \"welcome\"\nkeys = { 1 = \"text:general\" }\nstay = \"hangup\"\nwait = \"60s\"\nrepeat = 0\n\
             [text.general]\nsay = \"texting_you_now\"\nmessage = \"greeting\"\nreason = \"general\"\nthen = \"hangup\"\n\
             [missed_call]\nmessage = \"missed_call\"\nat_most_every = \"24h\"\n";

/// A clinic's box: its files, its addresses, and the daemon while it runs.
pub struct Clinic {
    pub folder: TempDir,
    pub sip: SocketAddr,
    pub web: SocketAddr,
    /// The store's folder, as the tests see it.
    pub store: PathBuf,
    /// What runs the daemon, such as a command that enters a namespace.
    pub run_by: Vec<String>,
    daemon: Option<Child>,
}

impl Clinic {
    pub fn new(gateway: SocketAddr) -> Self {
        let sip = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let web = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let folder = tempfile::tempdir().unwrap();
        let prompts = folder.path().join("prompts");
        let config = format!(
            "[clinic]\nname = \"Riverside Therapy\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
             language = \"en\"\nphone_tree = \"tree.toml\"\nmessages = \"messages.toml\"\nprompts = \"{}\"\n\
             [sip]\nlisten = [\"udp:{sip}\"]\n\
             [[trunk]]\nname = \"test\"\naddress = \"127.0.0.1:5060\"\naccept_from = [\"127.0.0.0/8\"]\n\
             [rtp]\nports = \"40000-49999\"\n\
             [sms]\ngateway = \"twilio\"\nfrom = \"+12125550100\"\nrate = 10.0\n\
             [sms.twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = {{ env = \"CRASH_TEST_TOKEN\" }}\n\
             base_url = \"http://{gateway}\"\n\
             [web]\nlisten = \"{web}\"\n[store]\npath = \"store\"\n",
            prompts.display()
        );
        let messages =
            "[greeting]\nen = \"{clinic}: how can we help?\"\n[missed_call]\nen = \"{clinic}: sorry we missed you.\"\n";
        for (name, text) in [("threadline.toml", config.as_str()), ("tree.toml", TREE), ("messages.toml", messages)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        link_prompts(TREE, &prompts);
        let store = folder.path().join("store");
        Clinic { folder, sip, web, store, run_by: Vec::new(), daemon: None }
    }

    /// Starts the daemon and waits until it takes calls.
    pub async fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let daemon = self
            .command(&["serve"])
            .env("RUST_LOG", "info,threadline::call::perform=debug")
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let url = format!("http://{}/healthz", self.web);
        let ready = async || http::get(&url).await.is_ok_and(|answer| answer.status().is_success());
        self.until("the daemon takes calls", ready).await;
    }

    /// `threadline` with `arguments` and this clinic's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_threadline").to_owned();
        let mut words =
            self.run_by.iter().cloned().chain([program]).chain(arguments.iter().map(|word| (*word).to_owned()));
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("--config")
            .arg(self.folder.path().join("threadline.toml"))
            .env("CRASH_TEST_TOKEN", TOKEN)
            .stdin(Stdio::null());
        command
    }

    /// The patient dials and somebody picks up.
    pub async fn dial(&self, phone: &Phone) -> PhoneCall {
        phone.dial(&format!("sip:+12125550100@{}", self.sip), PATIENT).await.unwrap()
    }

    /// As the kernel does it when memory runs out: no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        let daemon = self.daemon.as_ref().unwrap();
        nix::sys::signal::kill(Pid::from_raw(daemon.id().try_into().unwrap()), signal).unwrap();
    }

    /// Whether the daemon has ended, and well.
    pub fn ended_well(&mut self) -> bool {
        self.daemon.as_mut().unwrap().try_wait().unwrap().is_some_and(|status| status.success())
    }

    /// Waits until the daemon has ended by itself.
    pub async fn until_ended(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.ended_well() {
            assert!(Instant::now() < deadline, "the daemon does not end\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the daemon has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Changes the box's settings: each text, which must be there, by another.
    pub fn rewrite(&self, changes: &[(&str, &str)]) {
        let file = self.folder.path().join("threadline.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "no {from} in {text}");
            text = text.replace(from, to);
        }
        std::fs::write(file, text).unwrap();
    }

    /// Replaces the phone tree.
    pub fn write_tree(&self, tree: &str) {
        link_prompts(tree, &self.folder.path().join("prompts"));
        std::fs::write(self.folder.path().join("tree.toml"), tree).unwrap();
    }

    /// Says a prompt to its end.
    pub fn say_whole(&self, name: &str) {
        let file = format!("en/{name}.wav");
        let link = self.folder.path().join("prompts").join(&file);
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(Path::new(prompts::WHOLE).join(file), link).unwrap();
    }

    pub fn rows(&self, what: What) -> Vec<Value> {
        let conn = store::open_read_only(&self.store).unwrap();
        let mut rows = Vec::new();
        export::rows(&conn, what, None, |line| -> Result<(), StoreError> {
            rows.push(serde_json::from_str(line).unwrap());
            Ok(())
        })
        .unwrap();
        rows
    }

    pub async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done().await {
            assert!(Instant::now() < deadline, "waited in vain until {what}\n{}", self.log());
            sleep(PAUSE).await;
        }
    }
}

/// The prompts of tests, of which those that `tree` may say: each takes a moment to load, at every start.
fn link_prompts(tree: &str, to: &Path) {
    let says = |name: &str| {
        let always = ["closing", "system_trouble"].contains(&name) || name.starts_with("digit_");
        always || tree.contains(&format!("\"{name}\"")) || (name.starts_with("position_") && tree.contains("announce"))
    };
    for language in std::fs::read_dir(prompts::beginnings()).unwrap().map(|entry| entry.unwrap()) {
        let folder = to.join(language.file_name());
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(language.path()).unwrap().map(|entry| entry.unwrap().path()) {
            let link = folder.join(file.file_name().unwrap());
            if says(file.file_stem().unwrap().to_str().unwrap()) && !link.exists() {
                std::os::unix::fs::symlink(file, link).unwrap();
            }
        }
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.kill();
    }
}
