//! `threadline export`: what is on record, one JSON object a line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::on_record;
use crate::store;
use crate::store::export::{self, What};

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        &[What::Calls, What::Threads, What::Messages, What::Consents, What::Audit]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            What::Calls => ("calls", "Phone calls"),
            What::Threads => ("threads", "Text threads"),
            What::Messages => ("messages", "Text messages"),
            What::Consents => ("consents", "Who agreed to be texted, and how"),
            What::Audit => ("audit", "The audit chain"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

/// Prints records as one JSON object a line, oldest first. Works while the daemon runs. Each export is
/// in the audit chain.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: the calls of this month that left unserved\n  \
    threadline export calls --config config/threadline.toml --since 2026-11-01 | jq 'select(.outcome == \"abandoned\")'\n\n\
    A thread's resolution, as people choose it: answered, appointment_booked, moved_to_voice, no_reply_needed, wrong_number,\n\
    other; or by the house: silent (nobody wrote back), merged (a part of another thread), keyword (STOP and the like).\n\
    It is null while the thread is open.")]
pub struct ExportArgs {
    /// The box's file; it names the store.
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
    /// What to print
    #[arg(value_enum)]
    pub what: What,
    /// Only what began at TIME or later: 2026-11-01 (UTC) or 2026-11-01T08:00:00-05:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Timestamp>,
}

/// What the audit chain says of an export: what was done, and to what.
fn deed(what: What) -> (&'static str, &'static str) {
    match what {
        What::Calls => ("calls.exported", "calls"),
        What::Threads => ("threads.exported", "threads"),
        What::Messages => ("messages.exported", "messages"),
        What::Consents => ("consents.exported", "consents"),
        What::Audit => ("audit.exported", "audit"),
    }
}

/// Prints what `args` asks for from the store in `dir`, and puts that on record. A reader that goes away (`| head`) ends it without an error.
pub fn run(dir: &Path, args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let conn = store::open_read_only(dir)?;
    let (action, subject) = deed(args.what);
    let detail = args.since.map_or_else(|| json!({}), |since| json!({ "since": since }));
    on_record::note(dir, action, subject, detail)?;
    let mut out = io::BufWriter::new(out);
    let printed =
        export::rows(&conn, args.what, args.since, |line| -> Result<(), Stopped> { Ok(writeln!(out, "{line}")?) })
            .and_then(|()| Ok(out.flush()?));
    match printed {
        Ok(()) => Ok(()),
        Err(Stopped::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stopped::Output(error)) => Err(error).context("cannot write the export"),
        Err(Stopped::Store(error)) => Err(error.into()),
    }
}

enum Stopped {
    Store(store::StoreError),
    Output(io::Error),
}

impl From<store::StoreError> for Stopped {
    fn from(error: store::StoreError) -> Self {
        Stopped::Store(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Output(error)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let midnight = text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
    midnight
        .map(|at| at.timestamp())
        .map_err(|_| "write a date (2026-11-01) or a time with its zone (2026-11-01T08:00:00Z)".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_date_or_a_time() {
        assert_eq!(time("2026-11-01").unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(time("2026-11-01T08:00:00-05:00").unwrap().to_string(), "2026-11-01T13:00:00Z");
        assert!(time("yesterday").unwrap_err().contains("2026-11-01"));
    }

    #[test]
    fn a_store_that_is_not_there_is_named() {
        let args = ExportArgs { config: PathBuf::new(), what: What::Calls, since: None };
        let error = run(Path::new("/nowhere/threadline"), &args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/threadline/threadline.db"), "{error}");
    }
}
