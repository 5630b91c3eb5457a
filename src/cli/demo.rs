//! `threadline demo`: the real daemon on loopback with the sandbox gateway, called by a real phone, told as a story.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use include_dir::{Dir, include_dir};
use jiff::Timestamp;
use serde_json::Value;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::clock::Clock;
use crate::daemon::Daemon;
use crate::events::{Event, Events};
use crate::model::{Digit, Language, PhoneNumber};
use crate::store::export::{self, What};
use crate::store::staff::Staff;
use crate::store::{self, Store, StoreError};

use super::phone::Phone;
use super::story::{Story, tell};
use super::{files, fill, user};

/// What the demo's clinic says and writes: the same files that a new clinic starts from.
static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");
static PROMPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/prompts");

const CLINIC: &str = "+12125550100";
const PATIENT: &str = "+12125550142";
/// How long into the offer the demo's patient presses the key.
const THINKING: Duration = Duration::from_millis(2500);
/// How long the text may take: far more than it does on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Places a real call to the real daemon, presses 1, and tells what happens.
///
/// Everything is on this machine's loopback: SIP, RTP, and a text gateway that keeps its texts to itself. No file is
/// needed and none is left behind, unless you say `--keep`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  threadline demo --once")]
pub struct DemoArgs {
    /// End after the call; else the daemon goes on, for calls of your own
    #[arg(long)]
    pub once: bool,
    /// First make up a clinic's past of two years, with so many messages, to see how it is with a full store
    #[arg(long, value_name = "MESSAGES", num_args = 0..=1, default_missing_value = "1000000")]
    pub fill: Option<u64>,
    /// Keep the demo's files and store in DIR; a store that is there already is not filled again
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Runs the demo.
pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    let clock = Clock::system();
    let ours = Targets::new().with_target("threadline", LevelFilter::DEBUG);
    let _ = tracing_subscriber::registry().with(Story::new(clock.clone()).with_filter(ours)).try_init();
    let passing = tempfile::tempdir().context("a folder for the demo cannot be made")?;
    let folder = args.keep.as_deref().unwrap_or(passing.path());
    let furnished = folder.join("store").join(store::FILE).exists();
    furnish(folder).with_context(|| format!("{} cannot be written; choose another folder", folder.display()))?;
    if let (Some(messages), false) = (args.fill, furnished) {
        let store = Store::open(&folder.join("store"), Events::default())?;
        fill::fill(&store, messages, &PhoneNumber::e164(CLINIC)?, clock.now().wall)?;
        store.close();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(tell_all(args, &clock, folder))?;
    Ok(ExitCode::SUCCESS)
}

/// Lays out the clinic's files, with loopback addresses and ports that the system chooses.
fn furnish(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder.join("config"))?;
    std::fs::create_dir_all(folder.join("prompts"))?;
    CONFIG.extract(folder.join("config"))?;
    PROMPTS.extract(folder.join("prompts"))?;
    let text = format!(
        "[clinic]\nname = \"Riverside Therapy\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\nlanguage = \"en\"\n\
         response_target = \"15 minutes\"\nphone_tree = \"phone-tree.toml\"\nmessages = \"messages.toml\"\n\
         prompts = \"../prompts\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
         [[trunk]]\nname = \"demo\"\naddress = \"127.0.0.1:5060\"\naccept_from = [\"127.0.0.0/8\"]\n\
         [rtp]\nports = \"20000-29999\"\n\
         [sms]\ngateway = \"sandbox\"\nfrom = \"{CLINIC}\"\nrate = 10.0\n\
         [web]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n",
        folder.join("store").display()
    );
    std::fs::write(folder.join("config/threadline.toml"), text)?;
    Ok(())
}

async fn tell_all(args: &DemoArgs, clock: &Clock, folder: &Path) -> Result<()> {
    let loaded = files::load(&folder.join("config/threadline.toml")).map_err(|problems| anyhow!("{problems}"))?;
    let emergency = loaded.book.catalog.find(&Language::default(), "emergency").map(|prompt| prompt.length);
    let daemon = Daemon::start(loaded.book).await?;
    let sip = daemon.sip_addresses().first().map(|listen| listen.address).context("the daemon listens nowhere")?;
    tell(clock, "trunk", format!("“demo” may call in at udp:{sip}; the clinic's number is {CLINIC}"));

    let outcome = tokio::select! {
        told = call_once(clock, &daemon, sip, emergency.unwrap_or_default()) => told,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if outcome.is_ok() && !args.once {
        let web = daemon.web_address();
        println!("\nThe inbox, for two browsers; each link sets a password, once:");
        for (who, secret) in people(&daemon).await? {
            println!("  {who:<34} http://localhost:{}/welcome/{secret}", web.port());
        }
        println!("A patient's phone:\n  http://localhost:{}/phone", web.port());
        println!("\nThe daemon goes on until you press Ctrl-C. Try:");
        println!("  threadline call sip:{CLINIC}@{sip} --press ,,,,,,,,1");
        println!("  curl http://{web}/hooks/sandbox/inbound -d From={PATIENT} -d To={CLINIC} -d Body=STOP");
        println!("  curl http://{web}/metrics");
        tokio::signal::ctrl_c().await?;
    }
    daemon.drain(Duration::from_secs(1)).await;
    outcome
}

/// Two colleagues, and the secrets of their links.
async fn people(daemon: &Daemon) -> Result<Vec<(&'static str, String)>> {
    let store = daemon.store().clone();
    let now = Clock::system().now().wall;
    tokio::task::spawn_blocking(move || {
        let colleagues = [
            ("Ana López, front desk", "ana", "Ana López", "front_desk"),
            ("Ben Carter, manager and admin", "ben", "Ben Carter", "front_desk,manager,admin"),
        ];
        let made = colleagues.into_iter().map(|(who, name, shown_as, roles)| {
            let staff = Staff {
                name: name.parse()?,
                shown_as: shown_as.to_owned(),
                roles: roles.parse()?,
                team: Some("front_desk".to_owned()),
                language: Language::default(),
                away_until: None,
                disabled_at: None,
            };
            let secret = store.write_blocking(move |tx| user::add(tx, &staff, now))?;
            Ok((who, secret.with_context(|| format!("{name} is there twice"))?))
        });
        made.collect()
    })
    .await?
}

async fn call_once(clock: &Clock, daemon: &Daemon, sip: std::net::SocketAddr, emergency: Duration) -> Result<()> {
    let since = clock.now().wall;
    let last = async |store: &Store, what: What| last(store, what, since).await;
    let mut events = daemon.events().listen();
    let phone = Phone::start(sip).await?;
    tell(clock, "call", format!("{PATIENT} dials {CLINIC}"));
    let mut call = phone.dial(&format!("sip:{CLINIC}@{sip}"), PATIENT).await?;

    tokio::time::sleep(emergency + THINKING).await;
    if let Some(one) = Digit::from_char('1') {
        call.press(one);
    }
    let delivered = async {
        while !is_delivered(daemon.store(), since).await? {
            // A lagging listener reads the store anew like any other.
            let _: Result<Event, _> = events.recv().await;
        }
        Ok::<(), StoreError>(())
    };
    tokio::time::timeout(PATIENCE, delivered).await.map_err(|_| {
        anyhow!("no text was delivered within {} s; this is a bug, please report it", PATIENCE.as_secs())
    })??;

    let consent = last(daemon.store(), What::Consents).await?;
    let sha256 = word(&consent, "prompt_sha256");
    tell(clock, "consent", format!("{} by key {}", word(&consent, "state"), word(&consent, "digit")));
    tell(clock, "", format!("after hearing “{}”", word(&consent, "disclosure")));
    tell(clock, "", format!("said by a recording with SHA-256 {}…", sha256.get(..16).unwrap_or(sha256)));
    let thread = last(daemon.store(), What::Threads).await?;
    tell(
        clock,
        "thread",
        format!("{} with {}, about “{}”", word(&thread, "state"), word(&thread, "number"), word(&thread, "reason")),
    );
    let message = last(daemon.store(), What::Messages).await?;
    tell(
        clock,
        "text",
        format!(
            "{} by the {} gateway: “{}”",
            word(&message, "status"),
            word(&message, "gateway"),
            word(&message, "body")
        ),
    );

    let hung_up = tokio::time::timeout(PATIENCE, call.ended()).await;
    tell(clock, "call", if hung_up.is_ok() { "the clinic says goodbye and hangs up" } else { "the patient hangs up" });
    call.hang_up().await;
    phone.stop().await;
    let ended = async {
        while last(daemon.store(), What::Calls).await?.get("outcome").is_none_or(Value::is_null) {
            let _: Result<Event, _> = events.recv().await;
        }
        Ok::<(), anyhow::Error>(())
    };
    if tokio::time::timeout(PATIENCE, ended).await.is_err() {
        bail!("the call was not recorded; this is a bug, please report it");
    }
    let call = last(daemon.store(), What::Calls).await?;
    let path: Vec<&str> =
        call.get("path").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    tell(clock, "record", format!("outcome “{}”, by way of {}", word(&call, "outcome"), path.join(" > ")));
    Ok(())
}

async fn is_delivered(store: &Store, since: Timestamp) -> Result<bool, StoreError> {
    Ok(rows(store, What::Messages, since).await?.iter().any(|message| word(message, "status") == "delivered"))
}

async fn last(store: &Store, what: What, since: Timestamp) -> Result<Value> {
    rows(store, what, since).await?.pop().context("nothing was recorded; this is a bug, please report it")
}

async fn rows(store: &Store, what: What, since: Timestamp) -> Result<Vec<Value>, StoreError> {
    store
        .read(move |conn| {
            let mut rows = Vec::new();
            export::rows(conn, what, Some(since), |line| -> Result<(), StoreError> {
                rows.extend(serde_json::from_str::<Value>(line));
                Ok(())
            })?;
            Ok(rows)
        })
        .await
}

fn word<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or("—")
}
