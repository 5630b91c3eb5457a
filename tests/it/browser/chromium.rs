//! Headless Chromium, with a folder of its own, for as long as a test holds it.

use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use super::webdriver::Session;
use crate::{http, ports};

/// Browsers are heavy: of all tests two have theirs open.
static TURNS: Semaphore = Semaphore::const_new(2);
/// For the browser and its driver to be there.
const START: Duration = Duration::from_secs(60);
/// A browser that does its work and nothing else.
const QUIETLY: [&str; 15] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--password-store=basic",
    "--window-size=1280,900",
];

/// The leave to open browsers; two tests have it at a time, or a small machine does nothing but wait for them.
pub struct Turn(#[expect(dead_code, reason = "held, never read")] SemaphorePermit<'static>);

/// Waits for leave to open browsers. None: there is no browser on this machine, which is said, and is a failure where
/// everything must be tested (`CI=true`).
pub async fn turn() -> Option<Turn> {
    let missing: Vec<&str> = [("chromium", "chromium"), ("chromedriver", "chromium-driver")]
        .into_iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Some(Turn(TURNS.acquire().await.unwrap()));
    }
    skip(&format!("install {}", missing.join(" ")));
    None
}

/// Says why a test is not run; where everything must be tested it fails.
pub fn skip(cure: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot be tested: {cure}");
    // Past the harness, which keeps what passing tests print to itself.
    let mut terminal = std::io::stderr();
    let _ = std::io::Write::write_all(&mut terminal, format!("skipped: {cure}\n").as_bytes());
}

fn is_there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists()))
}

/// A process with all that it starts, which ends with it.
struct Family(Child);

impl Family {
    fn start(command: &mut Command) -> Family {
        Family(
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
        )
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// A browser with one window. It is used as the [`Session`] that drives it.
pub struct Browser {
    session: Session,
    _driver: Family,
    _chromium: Family,
    /// Deleted after both have ended: fields are dropped in this order.
    _profile: TempDir,
}

impl Browser {
    pub async fn open(_: &Turn) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let chromium = Family::start(
            Command::new("chromium")
                .args(QUIETLY)
                .arg("--remote-debugging-port=0")
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .arg("about:blank"),
        );
        let port = ports::free();
        let driver = Family::start(Command::new("chromedriver").arg(format!("--port={port}")));
        let devtools = devtools(profile.path()).await;
        let base = format!("http://127.0.0.1:{port}");
        ready(&base).await;
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "debuggerAddress": format!("127.0.0.1:{devtools}") },
        });
        let session = Session::open(&base, capabilities).await;
        Browser { session, _driver: driver, _chromium: chromium, _profile: profile }
    }
}

impl Deref for Browser {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// The port that Chromium chose to be driven at; it writes it into its folder.
async fn devtools(profile: &Path) -> u16 {
    let deadline = Instant::now() + START;
    loop {
        let port = std::fs::read_to_string(profile.join("DevToolsActivePort"));
        if let Some(port) = port.ok().and_then(|text| text.lines().next()?.parse().ok()) {
            return port;
        }
        assert!(Instant::now() < deadline, "chromium does not start");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn ready(driver: &str) {
    let (client, url) = (http::client().build().unwrap(), format!("{driver}/status"));
    let deadline = Instant::now() + START;
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < deadline, "chromedriver does not start");
        sleep(Duration::from_millis(20)).await;
    }
}
