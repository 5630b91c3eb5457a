//! What the daemon shows of itself: health and metrics.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use crate::call::Line;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::sip::Endpoint;
use crate::sip::trunk::{self, TrunkState, Trunks};
use crate::sms::outbox;
use crate::store;
use crate::web::{Family, Health, Heard, Light, Machine, Probed, TrunkLine};

/// What `/healthz` says.
pub fn health(line: Arc<Line>, accepting: Arc<AtomicBool>) -> impl Fn() -> Health + Send + Sync + 'static {
    move || {
        if !accepting.load(Ordering::Relaxed) {
            return Health::Unavailable { reason: "stopping; new calls are refused".to_owned() };
        }
        if !line.media.is_running() {
            return Health::Unavailable { reason: "the media thread has stopped; restart the daemon".to_owned() };
        }
        Health::Ok { calls: line.registry.count() }
    }
}

/// What the system's page says of the machine.
pub fn system(
    settings: &Settings,
    started: Timestamp,
    trunks: Trunks,
    outbox: Arc<outbox::Counters>,
) -> impl Fn() -> Machine + Send + Sync + 'static {
    let folder = settings.store.path.clone();
    move || {
        let light = |state| match state {
            TrunkState::Starting => Light::Starting,
            TrunkState::Up => Light::Up,
            TrunkState::Down => Light::Down,
        };
        let line = |trunk: trunk::Shown| TrunkLine {
            name: trunk.name,
            light: light(trunk.state),
            heard: trunk.heard.map(heard),
        };
        let size = |name: &str| fs::metadata(folder.join(name)).map(|about| about.len()).ok();
        // Pages that are in the log are not in the file yet.
        let log = size(&format!("{}-wal", store::FILE)).unwrap_or_default();
        Machine {
            started,
            trunks: trunks.shown().into_iter().map(line).collect(),
            texts: outbox.all().to_vec(),
            database: size(store::FILE).map(|size| size + log),
            free: statvfs(&folder).ok().map(|disk| disk.blocks_available() * disk.fragment_size()),
        }
    }
}

/// A trunk asked by hand answers within this or is said to be silent; SIP itself goes on for half a minute.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a trunk now.
pub fn probe(trunks: Trunks, clock: Clock) -> impl Fn(String) -> Probed + Send + Sync + 'static {
    move |name| {
        let (trunks, clock) = (trunks.clone(), clock.clone());
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, trunks.probe(&name)).await {
                Ok(found) => found.map(heard),
                Err(_) => Some(Heard { status: None, at: clock.now().wall, took: PATIENCE }),
            }
        })
    }
}

fn heard(heard: trunk::Heard) -> Heard {
    Heard { status: heard.status, at: heard.at, took: heard.took }
}

/// What `/metrics` says of calls and texts; the web side adds what it and the store count. Must be called within a tokio
/// runtime: it counts its tasks.
pub fn metrics(
    line: Arc<Line>,
    endpoint: Endpoint,
    outbox: Arc<outbox::Counters>,
) -> impl Fn() -> Vec<Family> + Send + Sync + 'static {
    let runtime = tokio::runtime::Handle::current();
    move || {
        let (sip, media) = (endpoint.counters(), line.media.counters());
        vec![
            Family::gauge("threadline_calls_in_progress", "Calls in progress", line.registry.count() as f64),
            Family::gauge(
                "threadline_callers_waiting",
                "Callers who wait in a line for a person",
                line.registry
                    .list()
                    .iter()
                    .filter(|call| call.inbound().is_some_and(|call| call.place.is_some()))
                    .count() as f64,
            ),
            Family::gauge("threadline_calls_parked", "Calls that wait at a parking place", line.parking.count() as f64),
            Family::gauge(
                "threadline_media_sessions",
                "Sessions of audio that are open, each with a pair of ports: one a leg",
                line.media.sessions() as f64,
            ),
            Family::gauge(
                "threadline_tasks",
                "Tasks that are alive: some for the house, some for each call",
                runtime.metrics().num_alive_tasks() as f64,
            ),
            Family::counter("threadline_sip_calls", "Calls that came in", sip.calls),
            Family::counters(
                "threadline_sip_requests",
                "SIP requests by what became of them",
                "fate",
                [
                    ("served", sip.requests),
                    ("stranger", sip.strangers),
                    ("rate_limited", sip.rate_limited),
                    ("malformed", sip.malformed),
                    ("rejected_busy", sip.calls_rejected_busy),
                    ("overload", sip.overload),
                ],
            ),
            Family::gauge(
                "threadline_phones_registered",
                "Devices of the clinic's extensions that are registered",
                endpoint.phones().list().len() as f64,
            ),
            Family::counters(
                "threadline_phones",
                "What the clinic's own phones, and whoever claims to be one, asked for",
                "fate",
                [
                    ("registered", sip.registrations),
                    ("registration_refused", sip.registrations_refused),
                    ("call_unauthenticated", sip.calls_unauthenticated),
                    ("locked_out", sip.lockouts),
                    ("transfer_refused", sip.refers_refused),
                ],
            ),
            Family::counters(
                "threadline_bad_legs",
                "Legs that the other side brought to nothing, by what it did",
                "fault",
                [("no_common_codec", sip.no_common_codec), ("no_ack", sip.no_ack), ("late_answer", sip.late_answers)],
            ),
            Family::counters(
                "threadline_rtp_packets",
                "RTP packets by what became of them",
                "fate",
                [
                    ("sent", media.sent),
                    ("received", media.received),
                    ("skipped", media.skipped),
                    ("foreign", media.foreign),
                    ("malformed", media.malformed),
                    ("unauthentic", media.unauthentic),
                    ("unsent", media.unsent),
                ],
            ),
            Family::counter("threadline_media_late_ticks", "Ticks of the pacer more than 5 ms late", media.late_ticks),
            Family::counter("threadline_media_panics", "Calls whose audio ended by a bug", media.panics),
            Family::counters("threadline_texts", "Texts by what the gateway said", "fate", outbox.all()),
        ]
    }
}
