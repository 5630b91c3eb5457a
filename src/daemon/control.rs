//! `control.sock` in the store's folder: what `threadline calls` and `trace` ask the running daemon. Whoever may open it may read
//! the store itself, so it asks for nothing more; nobody else can.
//!
//! One question a connection: a line with its name (and, of `trace`, the call), answered by one JSON document.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::call::Line;
use crate::call::registry::{self, InProgress};
use crate::call::trace::{self, TraceLine};
use crate::call::waiting::PhoneDoing;
use crate::model::Phone;

/// How long a question may take to be asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest question, in bytes.
const LONGEST: u64 = 500;

/// Everybody who is on the phone, as `threadline calls --json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Calls {
    /// When this was so.
    pub at: Timestamp,
    /// The calls in progress, oldest first.
    pub calls: Vec<CallNow>,
    /// How many callers wait for a person: in a line, or while phones ring for them alone.
    #[serde(default)]
    pub waiting: usize,
    /// The clinic's phones that are registered, ring or are on a call.
    pub phones: Vec<PhoneNow>,
}

/// A call in progress.
#[derive(Debug, Serialize, Deserialize)]
pub struct CallNow {
    /// Its id, as in `export calls`.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// The caller's number, or `anonymous`; of a call that the clinic placed, whom it calls: a number, `911`,
    /// `extension:203`.
    pub number: String,
    /// The trunk that carries it; empty: none, or not known yet.
    pub trunk: String,
    /// Since when.
    pub since: Timestamp,
    /// The node of the phone tree.
    pub node: Option<String>,
    /// How far it is, if the clinic placed it.
    pub stage: Option<Stage>,
    /// Since when it is at its node, or so far.
    pub node_since: Timestamp,
    /// From 1, where it waits in a line.
    pub position: Option<usize>,
    /// The phone of whoever speaks with them, or calls them.
    pub with: Option<String>,
    /// The trunk that carries the leg to that, where it is out in the world.
    #[serde(default)]
    pub with_trunk: Option<String>,
}

/// What a call in progress is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody has called the clinic.
    Inbound,
    /// The clinic calls a number.
    Outbound,
    /// A phone of the clinic calls another.
    Internal,
    /// A phone of the clinic calls the emergency services.
    Emergency,
}

/// How far a call is that the clinic placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The phone of whoever wants it rings; nobody has been called yet.
    OwnRings,
    /// Whoever is called rings.
    Rings,
    /// The two speak.
    Speaks,
}

/// A phone of the clinic.
#[derive(Debug, Serialize, Deserialize)]
pub struct PhoneNow {
    /// `extension:201`
    pub phone: String,
    /// `free`, `ringing`, `on_call` or `resting` (it was not picked up just now).
    pub doing: String,
}

/// The signalling of a call in progress.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// No call in progress is meant.
    None,
    /// So far.
    One {
        /// The call's id.
        call: String,
        /// In order.
        lines: Vec<TraceLine>,
    },
    /// It means so many calls.
    Several(usize),
}

/// Where the socket is.
pub fn socket(store: &Path) -> PathBuf {
    store.join("control.sock")
}

/// Listens; what a daemon that was killed left behind is taken away first. The store's lock has shown that there is no
/// other.
pub fn listen(store: &Path) -> io::Result<UnixListener> {
    let path = socket(store);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until `stop`.
pub async fn serve(listener: UnixListener, line: Arc<Line>, stop: CancellationToken) {
    loop {
        tokio::select! {
            asked = listener.accept() => match asked {
                Ok((stream, _)) => {
                    let line = line.clone();
                    tokio::spawn(async move {
                        // Whoever asked and went away needs no answer.
                        let _ = tokio::time::timeout(PATIENCE, answer(stream, &line)).await;
                    });
                }
                Err(error) => {
                    warn!(%error, "control.sock");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
            () = stop.cancelled() => return,
        }
    }
}

async fn answer(stream: UnixStream, line: &Line) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut question = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut question).await?;
    let answer = match question.trim() {
        "calls" => serde_json::to_string(&calls(line).await),
        asked if asked.starts_with("trace ") => serde_json::to_string(&traced(line, asked["trace ".len()..].trim())),
        other => serde_json::to_string(&serde_json::json!({ "error": format!("\"{other}\" is no question") })),
    };
    write.write_all(answer.unwrap_or_default().as_bytes()).await?;
    write.shutdown().await
}

/// Asks the daemon that has the store open.
pub async fn ask(store: &Path, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket(store)).await?;
    stream.write_all(format!("{question}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn traced(line: &Line, wanted: &str) -> Trace {
    match trace::in_progress(line, wanted) {
        Ok(None) => Trace::None,
        Ok(Some((call, lines))) => Trace::One { call: call.to_string(), lines },
        Err(several) => Trace::Several(several),
    }
}

fn doing(doing: PhoneDoing) -> &'static str {
    match doing {
        PhoneDoing::Free => "free",
        PhoneDoing::Ringing(_) => "ringing",
        PhoneDoing::OnCall => "on_call",
        PhoneDoing::Resting(_) => "resting",
        PhoneDoing::Unreachable => "unreachable",
    }
}

/// Who is on the phone now.
pub async fn calls(line: &Line) -> Calls {
    let now = line.switchboard.snapshot().await;
    let waiting = now.lines.iter().map(|line| line.waiting.len()).sum::<usize>() + now.alone.len();
    let calls = line.registry.list().into_iter().map(in_progress);
    Calls {
        at: line.clock.now().wall,
        calls: calls.collect(),
        waiting,
        phones: now
            .phones
            .into_iter()
            .map(|phone| PhoneNow { phone: phone.phone.to_string(), doing: doing(phone.doing).to_owned() })
            .collect(),
    }
}

fn in_progress(call: InProgress) -> CallNow {
    let (id, since) = (call.id.to_string(), call.since);
    match call.way {
        registry::Way::In(call) => CallNow {
            id,
            kind: Kind::Inbound,
            number: call.from.as_str().to_owned(),
            trunk: call.trunk,
            since,
            node: call.node,
            stage: None,
            node_since: call.node_since,
            position: call.place.map(|place| place.position),
            with: call.with.map(|phone| phone.to_string()),
            with_trunk: call.with_trunk,
        },
        registry::Way::Out(call) => CallNow {
            id,
            kind: match (&call.to, call.outside()) {
                (Phone::Emergency(_), _) => Kind::Emergency,
                (_, Some(_)) => Kind::Outbound,
                (_, None) => Kind::Internal,
            },
            number: call.to.to_string(),
            trunk: call.trunk.unwrap_or_default(),
            since,
            node: call.node,
            stage: Some(match call.stage {
                registry::Stage::OwnRings => Stage::OwnRings,
                registry::Stage::Rings => Stage::Rings,
                registry::Stage::Speaks => Stage::Speaks,
            }),
            node_since: call.stage_since,
            position: None,
            with: Some(call.by.to_string()),
            with_trunk: call.by_trunk,
        },
    }
}
