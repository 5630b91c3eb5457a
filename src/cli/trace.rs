//! `threadline trace`: what the legs of a call have said, as a ladder, as lines or as a capture.

mod ladder;
mod pcap;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::tz::TimeZone;

use crate::call::trace::TraceLine;
use crate::call::trace::file::{self, Found};
use crate::daemon::control::{self, Trace};

/// Below, the names of the parties would not fit.
const NARROWEST: usize = 80;

/// Show the signalling of a call: who said what to whom, and when, on all its legs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  threadline trace 019a4c3e\n  threadline trace 019a4c3e --pcap call.pcap\n  \
    threadline trace 019a4c3e --json | jq -r .message\n\n\
    Credentials, keys of media and digits that were sent by INFO are blanked. They are kept for `[retention] traces`.")]
pub struct TraceArgs {
    /// The call: its id as in `calls` and `export calls`, or the beginning of it; or the SIP Call-ID of one of its legs
    #[arg(value_name = "CALL")]
    pub call: String,
    /// Write it as a capture that tcpdump and Wireshark open
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// One JSON object a line: each message with its time, leg, addresses and text
    #[arg(long)]
    pub json: bool,
    /// The box's file
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
}

/// Looks among the calls in progress, then among those that `store` keeps.
pub fn run(args: &TraceArgs, store: &Path, zone: &TimeZone, out: &mut impl Write) -> Result<ExitCode> {
    let wanted = args.call.trim();
    if wanted.is_empty() || wanted.chars().any(|c| c.is_control()) {
        bail!("\"{}\" names no call; `threadline calls` and `threadline export calls` show their ids", args.call);
    }
    let (call, lines) = find(store, wanted)?;
    if let Some(path) = &args.pcap {
        let bytes = pcap::capture(&lines);
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        opened
            .and_then(|mut file| file.write_all(&bytes))
            .with_context(|| format!("{} cannot be written; name another file", path.display()))?;
        eprintln!("{} messages written to {}", lines.len(), path.display());
    }
    if args.json {
        for line in &lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
    } else if args.pcap.is_none() {
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(NARROWEST);
        write!(out, "{}", ladder::ladder(&call, &lines, zone, columns.max(NARROWEST)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn find(store: &Path, wanted: &str) -> Result<(String, Vec<TraceLine>)> {
    match in_progress(store, wanted)? {
        Trace::One { call, lines } if !lines.is_empty() => return Ok((call, lines)),
        Trace::One { .. } | Trace::None => {}
        Trace::Several(count) => bail!("{count} calls in progress begin with {wanted}; write more of the id"),
    }
    let found = file::find(store, wanted)
        .with_context(|| format!("{} cannot be read; run this as the daemon's user", store.join("traces").display()))?;
    match found {
        Found::One(call, lines) => Ok((call.to_string(), lines)),
        Found::Several(count) => bail!("{count} calls begin with {wanted}; write more of the id"),
        Found::Nothing => bail!(
            "no call {wanted} in progress or kept; `threadline calls` and `threadline export calls` \
             show their ids"
        ),
    }
}

/// Asks the daemon, if there is one.
fn in_progress(store: &Path, wanted: &str) -> Result<Trace> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(control::ask(store, &format!("trace {wanted}"))) {
        Ok(answer) => serde_json::from_str(&answer).context("the daemon is of another version; restart it"),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(Trace::None),
        Err(error) => Err(error).with_context(|| {
            format!("{} cannot be asked; run this as the daemon's user", control::socket(store).display())
        }),
    }
}
