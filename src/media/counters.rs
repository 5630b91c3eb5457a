//! What the pacer counts, for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of all counters since the start; `sessions` is how many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaCounters {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received from the peers of calls.
    pub received: u64,
    /// Ticks that came more than 5 ms after their time.
    pub late_ticks: u64,
    /// Packets never sent because the pacer was held up for too long to catch up.
    pub skipped: u64,
    /// Packets dropped because they came from somebody else than the peer.
    pub foreign: u64,
    /// Packets dropped because they were no RTP or RTCP.
    pub malformed: u64,
    /// Packets dropped because they were not encrypted with the negotiated key, or repeated.
    pub unauthentic: u64,
    /// Packets that the network refused to take.
    pub unsent: u64,
    /// Events that nobody fetched: a session holds 64.
    pub events_dropped: u64,
    /// Sessions ended by a bug of ours.
    pub panics: u64,
    /// Sessions now.
    pub sessions: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> MediaCounters {
                MediaCounters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

counters!(
    sent,
    received,
    late_ticks,
    skipped,
    foreign,
    malformed,
    unauthentic,
    unsent,
    events_dropped,
    panics,
    sessions
);

/// Written by the pacer alone, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        // One writer: no need for the processor to lock anything.
        self.set(self.0.load(Relaxed) + count);
    }

    pub(super) fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }
}
