//! The pacer before all other threads: it works for a moment every 20 ms, and nobody may come between two packets.

use thread_priority::{
    Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tracing::{debug, info};

/// Asks for real-time scheduling of the calling thread. Where that is not allowed (`RLIMIT_RTPRIO`, `LimitRTPRIO` of
/// systemd) it takes its turn like any other, which is good enough while a processor is free.
pub fn raise() {
    // The lowest real-time priority stands above every ordinary thread; the system's own may stand above us.
    let realtime = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, realtime) {
        Ok(()) => debug!("the pacer has real-time priority"),
        Err(Error::OS(errno)) => refused(&std::io::Error::from_raw_os_error(errno)),
        Err(error) => refused(&error),
    }
}

fn refused(error: &dyn std::fmt::Display) {
    info!(%error, "the pacer has no real-time priority; on a busy box packets may leave late");
}
