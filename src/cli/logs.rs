//! Logs: to standard error, which systemd carries to the journal; text for people or JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::prelude::*;

use crate::settings::{Log, LogFormat};

/// Starts logging. `RUST_LOG` goes before the configuration's filter.
///
/// The SIP library prints whole messages, with numbers and credentials, at INFO: it is held to warnings whatever the
/// filter says.
pub fn start(log: &Log) {
    let wanted = std::env::var("RUST_LOG").ok().or_else(|| log.filter.clone()).unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        eprintln!("threadline: the log filter “{wanted}” is not understood ({error}); using “info”");
        EnvFilter::new("info")
    });
    // The journal stamps every line itself.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter).with(FilterFn::new(crate::sip::may_log));
    let started = match (log.format, journal) {
        (LogFormat::Json, _) => registry.with(layer.json()).try_init(),
        (LogFormat::Text, true) => registry.with(layer.without_time().with_ansi(false)).try_init(),
        (LogFormat::Text, false) => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init(),
    };
    // Only a second start in one process fails, and then logging runs already.
    let _ = started;
}
