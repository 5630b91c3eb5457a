//! `threadline trace`: what the legs of a call have said, as a ladder, as lines or as a capture.

mod audio;
mod ladder;
mod pcap;

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::json;

use self::audio::Piece;
use self::pcap::{Capture, Datagram};
use super::on_record;
use crate::call::trace::TraceLine;
use crate::call::trace::file::{self, Found};
use crate::clock::Clock;
use crate::daemon::control::{self, Trace};
use crate::model::CallId;
use crate::store::audit::{self, Entry};
use crate::store::recordings::{self, Recording};
use crate::store::{self, Beside, StoreError, calls};

/// Below, the names of the parties would not fit.
const NARROWEST: usize = 80;

/// Show the signalling of a call: who said what to whom, and when, on all its legs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  threadline trace 019a4c3e\n  threadline trace 019a4c3e --pcap call.pcap\n  \
    threadline trace 019a4c3e --pcap call.pcap --media\n  threadline trace 019a4c3e --json | jq -r .message\n\n\
    Credentials, keys of media and digits that were sent by INFO are blanked. They are kept for `[retention] traces`.\n\
    Each reading is in the audit chain; with --media also that the recording was heard.")]
pub struct TraceArgs {
    /// The call: its id as in `calls` and `export calls`, or the beginning of it; or the SIP Call-ID of one of its legs
    #[arg(value_name = "CALL")]
    pub call: String,
    /// Write it as a capture that tcpdump and Wireshark open
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Put into the capture what was said, where the call was recorded
    ///
    /// It is made from the recording (G.711, on the addresses that the SDP names), not captured from the wire: it tells
    /// what was said, not how the network carried it. Only when asked for, because a capture is what one sends to a
    /// carrier: with this it holds a patient's words, and is not deleted when the recording is.
    #[arg(long, requires = "pcap")]
    pub media: bool,
    /// One JSON object a line: each message with its time, leg, addresses and text
    #[arg(long)]
    pub json: bool,
    /// The box's file
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
}

/// Looks among the calls in progress, then among those that `store` keeps.
///
/// # Errors
/// None is meant, or its signalling is no longer kept; it cannot be put on record that it is read.
pub fn run(args: &TraceArgs, store: &Path, zone: &TimeZone, keep: Duration, out: &mut impl Write) -> Result<ExitCode> {
    let wanted = args.call.trim();
    if wanted.is_empty() || wanted.chars().any(|c| c.is_control()) {
        bail!("\"{}\" names no call; `threadline calls` and `threadline export calls` show their ids", args.call);
    }
    let (call, lines, so_far) = find(store, wanted, keep)?;
    let file = args.pcap.as_deref().map(create).transpose()?;
    let mut store = on_record::open(store)?;
    let recorded = put_on_record(&mut store, args, call)?;
    if let (Some(path), Some(file)) = (&args.pcap, file) {
        let heard: &[Recording] = if args.media { &recorded } else { &[] };
        let pieces = pieces(&store, heard, &lines)?;
        write_capture(file, &lines, pieces).with_context(|| format!("{} is not complete", path.display()))?;
        let seconds = heard.iter().map(|recording| recording.length).sum::<Duration>().as_secs_f64();
        let audio = if heard.is_empty() { String::new() } else { format!(" and {seconds:.0} s of each side's audio") };
        eprintln!("{} messages{audio} written to {}", lines.len(), path.display());
        match (args.media, recorded.is_empty()) {
            (true, false) => eprintln!(
                "the audio is made from the recording, not captured from the wire; this copy is not deleted with it"
            ),
            (true, true) => eprintln!("no audio: the call was not recorded, or not to its end, or its time is over"),
            (false, false) => eprintln!("the call was recorded: --media adds what was said"),
            (false, true) => {}
        }
    }
    if args.json {
        for line in &lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
    } else if args.pcap.is_none() {
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(NARROWEST);
        let columns = columns.max(NARROWEST);
        let ladder = ladder::ladder(&call.to_string(), &lines, zone, columns);
        write!(out, "{ladder}")?;
        if so_far {
            writeln!(out, "\nThe call goes on, or ended a moment ago: there may be more to come.")?;
        }
        if ladder.lines().any(|line| line.chars().count() > columns) {
            writeln!(out, "\nSo many phones need more than {columns} columns; append: | less -S")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts on record that the call is shown, and that its recordings are heard if they are; what was recorded of it.
fn put_on_record(store: &mut Beside, args: &TraceArgs, call: CallId) -> Result<Vec<Recording>> {
    let form = match (&args.pcap, args.json) {
        (Some(_), _) => "pcap",
        (None, true) => "json",
        (None, false) => "ladder",
    };
    on_record::write(store, |tx, at, actor| {
        let (subject, detail) = (format!("call:{call}"), json!({ "as": form }));
        audit::append(tx, Entry { at, actor, action: "call.traced", subject: &subject, detail })?;
        let recorded = recordings::of_call(tx, call)?;
        for recording in recorded.iter().filter(|_| args.media) {
            recordings::heard(tx, recording.id, actor, at)?;
        }
        Ok(recorded)
    })
}

/// A file for a capture, that nobody else may read.
fn create(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let file = opened.with_context(|| format!("{} cannot be written; name another file", path.display()))?;
    // One that was there before; not a pipe.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// What was recorded, in order, ready to be made into packets.
fn pieces(store: &Beside, recorded: &[Recording], lines: &[TraceLine]) -> Result<Vec<Piece>> {
    let open = |(number, recording): (u32, &Recording)| {
        let file =
            store.audio().path(&recording.file).ok_or_else(|| anyhow!("{} is no file of ours", recording.file))?;
        Piece::open(&file, recording.started_at, number, lines)
    };
    (0..).zip(recorded).map(open).collect()
}

/// Writes the messages and the audio, by time.
fn write_capture(file: File, lines: &[TraceLine], pieces: Vec<Piece>) -> Result<()> {
    let mut capture = Capture::begin(BufWriter::new(file))?;
    let mut messages = lines.iter().map(Datagram::from).peekable();
    for both in pieces.into_iter().flatten() {
        let both = both?;
        while let Some(message) = messages.next_if(|message| message.at <= both[0].at) {
            capture.add(&message)?;
        }
        for packet in &both {
            capture.add(packet)?;
        }
    }
    for message in messages {
        capture.add(&message)?;
    }
    capture.finish()?;
    Ok(())
}

/// Which request a response answers, by its CSeq.
fn cseq_method(message: &str) -> Option<&str> {
    message.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("CSeq").then(|| value.split_whitespace().nth(1))?
    })
}

/// The call that is meant, what was said, and whether that is only what was said so far.
fn find(store: &Path, wanted: &str, keep: Duration) -> Result<(CallId, Vec<TraceLine>, bool)> {
    match in_progress(store, wanted)? {
        Trace::One { call, lines } if !lines.is_empty() => {
            return Ok((call.parse().context("the daemon is of another version; restart it")?, lines, true));
        }
        Trace::One { .. } | Trace::None => {}
        Trace::Several(count) => bail!("{count} calls in progress begin with {wanted}; write more of the id"),
    }
    let found = file::find(store, wanted)
        .with_context(|| format!("{} cannot be read; run this as the daemon's user", store.join("traces").display()))?;
    match found {
        Found::One(call, lines) => Ok((call, lines, false)),
        Found::Several(count) => bail!("{count} calls begin with {wanted}; write more of the id"),
        Found::Nothing => bail!("{}", not_kept(store, wanted, keep)?),
    }
}

/// Why there is nothing of a call, and what helps.
fn not_kept(store: &Path, wanted: &str, keep: Duration) -> Result<String> {
    // Where no call was ever taken, there is no store either.
    let known = match store::open_read_only(store) {
        Ok(conn) => calls::meant(&conn, wanted)?,
        Err(StoreError::Folder { .. }) => vec![],
        Err(error) => return Err(error.into()),
    };
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    let now = Clock::system().now().wall;
    Ok(match known[..] {
        [] => format!(
            "no call {wanted} in progress or kept; `threadline calls` and `threadline export calls` show their ids"
        ),
        [(call, Some(ended))] if now.duration_since(ended) > keep => format!(
            "the signalling of call {call} is deleted: it ended on {}, and is kept for {} days; for calls to come, write \
             more at [retention] traces. Its record remains: `threadline export calls`",
            ended.strftime("%F"),
            keep.as_hours() / 24
        ),
        [(call, _)] => format!(
            "of call {call} no signalling was kept: the daemon was stopped hard, or had no room for it; its log says so. \
             Its record remains: `threadline export calls`"
        ),
        _ => format!("several calls begin with {wanted}; write more of the id"),
    })
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
