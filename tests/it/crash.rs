//! kill -9 of the real daemon at each step between "digit heard" and "gateway answered". After the restart nothing is
//! lost and nothing is sent twice: the patient has exactly one text, the one they asked for or, where the key had not
//! reached the disk, the missed-call text.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::{self, What};
use threadline::store::{self, StoreError};
use tokio::time::{Instant, sleep};

use super::gateway::{ACCOUNT, FakeTwilio, Mood, TOKEN};

const PATIENT: &str = "+12125550142";
/// The daemon's own waits (the gateway's list settles in 10 s) and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// When the daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// So long after the key went down: before, in and after the transaction that writes the text.
    AfterKey(Duration),
    /// When the gateway has taken the text and has not answered.
    WhileSending,
    /// When the gateway has answered, or is about to.
    AfterAnswer,
}

/// A clinic's box: its files, its addresses, and the daemon while it runs.
struct Clinic {
    folder: TempDir,
    sip: SocketAddr,
    web: SocketAddr,
    daemon: Option<Child>,
}

impl Clinic {
    fn new(gateway: SocketAddr) -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let web = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
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
        let tree = "start = \"menu:welcome\"\n\
             [menu.welcome]\nsay = \"welcome\"\nkeys = { 1 = \"text:general\" }\nstay = \"hangup\"\nwait = \"4s\"\nrepeat = 1\n\
             [text.general]\nsay = \"texting_you_now\"\nmessage = \"greeting\"\nreason = \"general\"\nthen = \"hangup\"\n\
             [missed_call]\nmessage = \"missed_call\"\nat_most_every = \"24h\"\n";
        let messages =
            "[greeting]\nen = \"{clinic}: how can we help?\"\n[missed_call]\nen = \"{clinic}: sorry we missed you.\"\n";
        for (name, text) in [("threadline.toml", config.as_str()), ("tree.toml", tree), ("messages.toml", messages)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Clinic { folder, sip, web, daemon: None }
    }

    /// Starts the daemon and waits until it takes calls.
    async fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_threadline"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("threadline.toml"))
            .env("CRASH_TEST_TOKEN", TOKEN)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let url = format!("http://{}/healthz", self.web);
        let ready = async || reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success());
        self.until("the daemon takes calls", ready).await;
    }

    /// As the kernel does it when memory runs out: no goodbye.
    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    fn rows(&self, what: What) -> Vec<Value> {
        let conn = store::open_read_only(&self.folder.path().join("store")).unwrap();
        let mut rows = Vec::new();
        export::rows(&conn, what, None, |line| -> Result<(), StoreError> {
            rows.push(serde_json::from_str(line).unwrap());
            Ok(())
        })
        .unwrap();
        rows
    }

    async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done().await {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "waited in vain until {what}\n{}", log());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn crash(kill: Kill) {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    if matches!(kill, Kill::WhileSending) {
        gateway.moods(&[Mood::TakesAndStalls]);
    }
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;

    let phone = Phone::start(clinic.sip).await.unwrap();
    let call = phone.dial(&format!("sip:+12125550100@{}", clinic.sip), PATIENT).await.unwrap();
    // The call is on disk before the key: a call that nobody has heard of cannot be owed anything.
    clinic.until("the call is on record", async || !clinic.rows(What::Calls).is_empty()).await;
    call.press(Digit::from_char('1').unwrap());
    match kill {
        Kill::AfterKey(wait) => sleep(wait).await,
        Kill::WhileSending | Kill::AfterAnswer => {
            clinic.until("the gateway has the text", async || !gateway.taken().is_empty()).await;
        }
    }
    clinic.kill();

    clinic.start().await;
    let settled = async || {
        let messages = clinic.rows(What::Messages);
        !messages.is_empty() && messages.iter().all(|message| message["status"] == "sent")
    };
    clinic.until("every text is sent", settled).await;

    let (taken, messages, consents) = (gateway.taken(), clinic.rows(What::Messages), clinic.rows(What::Consents));
    assert_eq!(taken.len(), 1, "{kill:?}: {taken:?}");
    assert_eq!(messages.len(), 1, "{kill:?}: {messages:?}");
    assert_eq!(messages[0]["gateway_id"], taken[0].sid.as_str(), "{kill:?}");
    assert_eq!(taken[0].fields["To"], PATIENT, "{kill:?}");
    let asked = taken[0].fields["Body"].contains("how can we help");
    assert_eq!(consents.len(), usize::from(asked), "{kill:?}: a greeting has its consent, a missed-call text has none");
    let calls = clinic.rows(What::Calls);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["outcome"], "interrupted", "{kill:?}");
    assert_eq!(calls[0]["thread"], messages[0]["thread"], "{kill:?}");
    gateway.assert_contract_kept();
}

/// From the key's first packet on: the key travels for 20 to 40 ms, the transaction takes a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_transaction_the_patient_has_one_text() {
    let after = |wait| crash(Kill::AfterKey(Duration::from_millis(wait)));
    tokio::join!(after(0), after(20), after(30), after(40), after(80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_gateway_holds_the_text_it_is_not_sent_again() {
    crash(Kill::WhileSending).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_gateways_answer_it_is_not_sent_again() {
    crash(Kill::AfterAnswer).await;
}
