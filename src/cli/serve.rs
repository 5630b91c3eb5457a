//! `threadline serve`: the daemon, from the configuration to the last goodbye.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::daemon::{DRAIN_LIMIT, Daemon};
use crate::settings::Settings;

use super::{files, logs, user};

/// Takes calls until SIGTERM.
///
/// SIGHUP reads the three files and the prompts again: a mistake in any of them keeps everything as it was. SIGTERM
/// refuses new calls and waits a minute for those in progress.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  threadline serve --config config/threadline.toml\n\n\
    Reload after an edit:\n  threadline check && systemctl reload threadline")]
pub struct ServeArgs {
    /// The box's file; it names the others.
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let config = &args.config;
    let loaded = match files::load(config) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            eprintln!(
                "threadline: not started; mend the above, then try `threadline check --config {}`",
                config.display()
            );
            return Ok(ExitCode::from(1));
        }
    };
    logs::start(&loaded.book.settings.log);
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot start")?;
    runtime.block_on(serve(config.clone(), loaded))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: PathBuf, loaded: files::Loaded) -> Result<()> {
    let (mut hangup, mut terminate, mut interrupt) =
        (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let settings = loaded.book.settings.clone();
    let daemon = Daemon::start(loaded.book).await?;
    welcome(&daemon, &settings).await?;
    info!(web = %daemon.web_address(), sip = ?daemon.sip_addresses(), "ready for calls");
    notify(&[NotifyState::Ready, NotifyState::Status("ready for calls")]);
    // Half the watchdog's time, as its manual advises.
    let mut alive =
        tokio::time::interval(sd_notify::watchdog_enabled().map_or(std::time::Duration::from_secs(10), |w| w / 2));
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(&daemon, &config).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = alive.tick() => if daemon.is_alive() { notify(&[NotifyState::Watchdog]) },
        }
    }
    notify(&[NotifyState::Stopping, NotifyState::Status("waiting for calls in progress")]);
    tokio::select! {
        () = daemon.drain(DRAIN_LIMIT) => info!("stopped"),
        // A second word from the keyboard means now.
        _ = interrupt.recv() => warn!("stopped at once, calls in progress were cut"),
    }
    Ok(())
}

/// Prints the link for the first person while there is nobody. To the standard output, for it is no log's business.
async fn welcome(daemon: &Daemon, settings: &Settings) -> Result<()> {
    let now = Clock::system().now().wall;
    if let Some(secret) = daemon.store().write(move |tx| user::first_link(tx, now)).await? {
        println!("nobody can sign in yet; this link makes the first admin, once, within 24 hours:");
        println!("  {}/welcome/{secret}", user::base(settings));
    }
    Ok(())
}

/// Reads the three files again. A mistake in any of them keeps all three as they were.
async fn reload(daemon: &Daemon, config: &Path) {
    let reloading =
        [NotifyState::Reloading, NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("reloading"))];
    notify(&reloading);
    let config = config.to_path_buf();
    match tokio::task::spawn_blocking(move || files::load(&config)).await {
        Ok(Ok(loaded)) => {
            for warning in &loaded.warnings {
                warn!("{warning}");
            }
            daemon.reload(loaded.book);
            info!("reloaded; calls in progress keep what they began with");
        }
        Ok(Err(problems)) => error!("not reloaded, the files are as before:\n{problems}"),
        Err(_) => error!("not reloaded, the files are as before: the checker itself failed"),
    }
    notify(&[NotifyState::Ready]);
}

/// Tells systemd, if it listens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}
