//! What the endpoint counts, for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of all counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounters {
    /// Requests that reached a transaction.
    pub requests: u64,
    /// Messages from nobody we know.
    pub strangers: u64,
    /// Strangers that got not even a 403 though strangers are told, because they ask too often.
    pub rate_limited: u64,
    /// Messages that were refused or dropped unread.
    pub malformed: u64,
    /// Calls that came in and were handed on.
    pub calls: u64,
    /// Calls refused because there were too many, or the box was about to stop.
    pub calls_rejected_busy: u64,
    /// Requests dropped because there were too many transactions.
    pub overload: u64,
    /// Registrations of our own phones, and their refreshes.
    pub registrations: u64,
    /// Registrations refused: a wrong password, a lock, or what cannot be.
    pub registrations_refused: u64,
    /// Calls refused because whoever places them did not prove to be one of our phones.
    pub calls_unauthenticated: u64,
    /// Times that a source or an extension was locked after too many wrong passwords.
    pub lockouts: u64,
    /// Transfers that were asked for where nobody may ask for one.
    pub refers_refused: u64,
    /// Legs that were given up as the other side knows no codec of ours.
    pub no_common_codec: u64,
    /// Calls that came in, were answered, and were given up as no ACK came.
    pub no_ack: u64,
    /// Answers that came after our CANCEL, and were hung up on.
    pub late_answers: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Default)]
        pub(in crate::sip) struct Counters {
            $(pub $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> SipCounters {
                SipCounters { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters!(
    requests,
    strangers,
    rate_limited,
    malformed,
    calls,
    calls_rejected_busy,
    overload,
    registrations,
    registrations_refused,
    calls_unauthenticated,
    lockouts,
    refers_refused,
    no_common_codec,
    no_ack,
    late_answers
);
