//! `threadline calls`: who is on the phone.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::on_record;
use crate::daemon::control::{self, CallNow, Calls, Kind, Stage};
use crate::model::{Country, PhoneNumber};

/// Show who is on the phone: where in the phone tree, in which line, since when, and with whom; and whom the clinic calls.
/// Each look is in the audit chain
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  threadline calls\n  threadline calls --watch\n  threadline calls --json | jq .calls"
)]
pub struct CallsArgs {
    /// Show it again each second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// One JSON document, for a program
    #[arg(long)]
    pub json: bool,
    /// The box's file
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: std::path::PathBuf,
}

/// Asks the daemon whose store is in `store`.
pub fn run(args: &CallsArgs, store: &Path, country: Country) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut noted = false;
    runtime.block_on(async {
        loop {
            let answer = control::ask(store, "calls").await.with_context(|| {
                format!(
                    "no daemon answers at {}; is `threadline serve` running with this file?",
                    control::socket(store).display()
                )
            })?;
            // Before the first of it is shown; whoever watches has looked once.
            if !noted {
                on_record::note(store, "calls.viewed", "calls", json!({ "watched": args.watch }))?;
                noted = true;
            }
            let mut out = std::io::stdout().lock();
            if args.json {
                writeln!(out, "{answer}")?;
            } else {
                let calls: Calls =
                    serde_json::from_str(&answer).context("the daemon is of another version; restart it")?;
                if args.watch && out.is_terminal() {
                    write!(out, "\x1b[H\x1b[2J")?;
                }
                write!(out, "{}", table(&calls, country))?;
            }
            out.flush()?;
            drop(out);
            if !args.watch {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

fn table(calls: &Calls, country: Country) -> String {
    let mut rows = vec![["CALL", "KIND", "NUMBER", "FOR", "AT", "SINCE", "PLACE", "WITH"].map(str::to_owned)];
    for call in &calls.calls {
        let number = PhoneNumber::e164(&call.number).map_or_else(|_| call.number.clone(), |n| n.shown_in(country));
        rows.push([
            call.id.clone(),
            kind(call.kind).to_owned(),
            number,
            span(call.since, calls.at),
            at(call).to_owned(),
            span(call.node_since, calls.at),
            call.position.map_or_else(|| "-".to_owned(), |position| position.to_string()),
            with(call),
        ]);
    }
    let mut text = String::new();
    if calls.calls.is_empty() {
        text += "Nobody is on the phone.\n";
    } else {
        let widths: [usize; 8] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for row in &rows {
            let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            text += line.trim_end();
            text.push('\n');
        }
    }
    if !calls.phones.is_empty() {
        let phones: Vec<_> =
            calls.phones.iter().map(|phone| format!("{} {}", phone.phone, phone.doing.replace('_', " "))).collect();
        text += &format!("\nPhones: {}\n", phones.join(", "));
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Inbound => "in",
        Kind::Outbound => "out",
        Kind::Internal => "internal",
        Kind::Emergency => "emergency",
    }
}

/// Where a call is: in the phone tree, or how far.
fn at(call: &CallNow) -> &str {
    match (call.stage, &call.node) {
        (Some(Stage::OwnRings), _) => "own phone rings",
        (Some(Stage::Rings), _) => "rings",
        (Some(Stage::Speaks), _) => "speak",
        (None, Some(node)) => node,
        (None, None) => "-",
    }
}

/// Who speaks with them, and by which trunk where that is somebody out in the world.
fn with(call: &CallNow) -> String {
    match (&call.with, &call.with_trunk) {
        (Some(with), Some(trunk)) => format!("{with} by {trunk}"),
        (Some(with), None) => with.clone(),
        (None, _) => "-".to_owned(),
    }
}

/// `4:05`, minutes and seconds.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::control::PhoneNow;

    #[test]
    fn the_table_says_where_everybody_is() {
        let at: Timestamp = "2026-11-02T14:10:00Z".parse().unwrap();
        let call = CallNow {
            id: "c1".into(),
            kind: Kind::Inbound,
            number: "+12125550142".into(),
            trunk: "carrier".into(),
            since: "2026-11-02T14:05:55Z".parse().unwrap(),
            node: Some("queue:front_desk".into()),
            stage: None,
            node_since: "2026-11-02T14:09:00Z".parse().unwrap(),
            position: Some(2),
            with: None,
            with_trunk: None,
        };
        let colleagues = CallNow {
            id: "c2".into(),
            kind: Kind::Internal,
            number: "extension:203".into(),
            trunk: String::new(),
            since: "2026-11-02T14:09:55Z".parse().unwrap(),
            node: None,
            stage: Some(Stage::Rings),
            node_since: "2026-11-02T14:09:55Z".parse().unwrap(),
            position: None,
            with: Some("extension:201".into()),
            with_trunk: None,
        };
        let sent_on = CallNow {
            id: "c3".into(),
            with: Some("+16462530142".into()),
            with_trunk: Some("second".into()),
            position: None,
            node: Some("transfer:lab".into()),
            since: at,
            node_since: at,
            kind: Kind::Inbound,
            number: "+12125550143".into(),
            trunk: "carrier".into(),
            stage: None,
        };
        let phone = PhoneNow { phone: "extension:201".into(), doing: "on_call".into() };
        let calls = Calls { at, calls: vec![call, colleagues, sent_on], waiting: 0, phones: vec![phone] };
        let text = table(&calls, "US".parse().unwrap());
        assert_eq!(
            text,
            "CALL  KIND      NUMBER          FOR   AT                SINCE  PLACE  WITH\n\
             c1    in        (212) 555-0142  4:05  queue:front_desk  1:00   2      -\n\
             c2    internal  extension:203   0:05  rings             0:05   -      extension:201\n\
             c3    in        (212) 555-0143  0:00  transfer:lab      0:00   -      +16462530142 by second\n\
             \nPhones: extension:201 on call\n"
        );
        let nobody = Calls { at, calls: vec![], waiting: 0, phones: vec![] };
        assert_eq!(table(&nobody, "US".parse().unwrap()), "Nobody is on the phone.\n");
    }
}
