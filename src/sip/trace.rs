//! The messages of each call as they went over the wire, for whoever has to explain it later. In memory, bounded, and
//! kept until some minutes after the last message. What must not be kept is blanked before it is stored.

mod blank;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rsipstack::platform::net::UdpSocket as LibrarySocket;
use tokio::net::UdpSocket;

use crate::clock::{Clock, Now};
use crate::settings::Transport;

/// Calls at once, and those that ended a while ago.
const MOST_CALLS: usize = 4_096;
/// Messages of one call; further ones are not kept: the beginning tells most.
const MOST_MESSAGES: usize = 256;
/// All that is kept, in bytes. Beyond, the call that began first and is over goes, else the one that began first.
const MOST_BYTES: usize = 48 << 20;
/// Of one message, in bytes.
const LONGEST: usize = 8 << 10;
/// How long a call is kept after its last message, once its legs are over.
const KEPT: Duration = Duration::from_secs(600);
/// How often those that are too old are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceDirection {
    /// To us.
    Received,
    /// From us.
    Sent,
}

/// One message, as it was on the wire but for what is blanked: credentials, keys of media, digits in INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceMessage {
    /// When it was read or written.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: TraceDirection,
    /// The other end.
    pub peer: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The message, 8 KiB at most.
    pub bytes: Vec<u8>,
    /// Digits of an INFO were blanked.
    pub masked: bool,
}

/// The messages of all calls.
pub(super) struct Tap {
    clock: Clock,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    calls: HashMap<String, Record>,
    /// Keys of `calls`, first begun first.
    order: VecDeque<String>,
    bytes: usize,
    swept: Duration,
}

#[derive(Default)]
struct Record {
    messages: Vec<TraceMessage>,
    bytes: usize,
    /// Legs that still run.
    legs: u32,
    last: Duration,
}

/// A leg that runs; dropped, its messages are kept for a while and no longer.
pub(super) struct Held {
    tap: Arc<Tap>,
    call_id: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(record) = self.tap.records().calls.get_mut(&self.call_id) {
            record.legs = record.legs.saturating_sub(1);
        }
    }
}

impl Tap {
    pub(super) fn new(clock: Clock) -> Arc<Tap> {
        Arc::new(Tap { clock, records: Mutex::default() })
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to keep a call's messages, and keeps them as long as the leg runs.
    pub(super) fn hold(self: &Arc<Tap>, call_id: &str) -> Held {
        let now = self.clock.now();
        self.records().begin(call_id, now).legs += 1;
        Held { tap: self.clone(), call_id: call_id.to_owned() }
    }

    /// Keeps a message if it belongs to a call that is known; `begins` says that it may make one known.
    pub(super) fn note(
        &self,
        direction: TraceDirection,
        peer: SocketAddr,
        transport: Transport,
        bytes: &[u8],
        begins: bool,
    ) {
        let Some(call_id) = blank::call_id(bytes) else { return };
        let now = self.clock.now();
        let mut records = self.records();
        if !records.calls.contains_key(call_id) {
            if !(begins && bytes.starts_with(b"INVITE ")) {
                return;
            }
            records.begin(call_id, now);
        }
        let Some(record) = records.calls.get_mut(call_id) else { return };
        record.last = now.mono;
        if record.messages.len() >= MOST_MESSAGES {
            return;
        }
        let (mut kept, masked) = blank::blank(bytes);
        kept.truncate(LONGEST);
        record.bytes += kept.len();
        let added = kept.len();
        record.messages.push(TraceMessage { at: now.wall, direction, peer, transport, bytes: kept, masked });
        records.bytes += added;
        records.shrink();
    }

    /// Keeps the INVITE of a phone that has only now shown who it is, unless its call is known.
    pub(super) fn begin(&self, peer: SocketAddr, transport: Transport, invite: &[u8]) {
        let known = blank::call_id(invite).is_some_and(|call_id| self.records().calls.contains_key(call_id));
        if !known {
            self.note(TraceDirection::Received, peer, transport, invite, true);
        }
    }

    /// What is kept of a call, in order.
    pub(super) fn of(&self, call_id: &str) -> Vec<TraceMessage> {
        self.records().calls.get(call_id).map(|record| record.messages.clone()).unwrap_or_default()
    }
}

impl Records {
    fn begin(&mut self, call_id: &str, now: Now) -> &mut Record {
        if now.mono >= self.swept + SWEEP {
            self.swept = now.mono;
            let old = |record: &Record| record.legs == 0 && record.last + KEPT <= now.mono;
            let gone: Vec<String> =
                self.calls.iter().filter(|(_, record)| old(record)).map(|(call_id, _)| call_id.clone()).collect();
            for call_id in &gone {
                self.forget(call_id);
            }
            let calls = &self.calls;
            self.order.retain(|call_id| calls.contains_key(call_id));
        }
        if !self.calls.contains_key(call_id) {
            self.order.push_back(call_id.to_owned());
            while self.calls.len() >= MOST_CALLS && self.drop_one() {}
        }
        let record = self.calls.entry(call_id.to_owned()).or_default();
        record.last = now.mono;
        record
    }

    fn forget(&mut self, call_id: &str) {
        if let Some(record) = self.calls.remove(call_id) {
            self.bytes = self.bytes.saturating_sub(record.bytes);
        }
    }

    fn shrink(&mut self) {
        while self.bytes > MOST_BYTES && self.drop_one() {}
    }

    /// The call that began first and is over, else the one that began first. `false`: there is none.
    fn drop_one(&mut self) -> bool {
        let over = |call_id: &String| self.calls.get(call_id).is_none_or(|record| record.legs == 0);
        let at = self.order.iter().position(over).unwrap_or(0);
        match self.order.remove(at) {
            Some(call_id) => {
                self.forget(&call_id);
                true
            }
            None => false,
        }
    }
}

/// For the fuzzer.
pub(super) fn exercise(message: &[u8]) {
    let _ = blank::call_id(message);
    let _ = blank::blank(message);
}

/// Our UDP socket, as the library sends by it.
pub(super) struct TappedSocket {
    pub socket: Arc<UdpSocket>,
    pub tap: Arc<Tap>,
}

type Io<'a, T> = Pin<Box<dyn Future<Output = rsipstack::Result<T>> + Send + 'a>>;

impl LibrarySocket for TappedSocket {
    fn recv_from<'s, 'b, 'a>(&'s self, buffer: &'b mut [u8]) -> Io<'a, (usize, SocketAddr)>
    where
        's: 'a,
        'b: 'a,
        Self: 'a,
    {
        Box::pin(async move { Ok(self.socket.recv_from(buffer).await?) })
    }

    fn send_to<'s, 'b, 'a>(&'s self, bytes: &'b [u8], to: SocketAddr) -> Io<'a, usize>
    where
        's: 'a,
        'b: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            self.tap.note(TraceDirection::Sent, to, Transport::Udp, bytes, false);
            Ok(self.socket.send_to(bytes, to).await?)
        })
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

    fn invite(call_id: &str, padding: usize) -> Vec<u8> {
        format!("INVITE sip:a SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n{}", "x".repeat(padding)).into_bytes()
    }

    fn tap() -> (Arc<Tap>, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        (Tap::new(clock.clone()), clock)
    }

    fn note(tap: &Tap, bytes: &[u8]) {
        tap.note(TraceDirection::Received, PEER, Transport::Udp, bytes, true);
    }

    #[test]
    fn a_calls_messages_are_kept_in_order_and_strangers_are_not() {
        let (tap, _) = tap();
        note(&tap, b"OPTIONS sip:a SIP/2.0\r\nCall-ID: o\r\n\r\n");
        note(&tap, b"BYE sip:a SIP/2.0\r\nCall-ID: b\r\n\r\n");
        tap.note(TraceDirection::Received, PEER, Transport::Udp, &invite("s", 0), false);
        note(&tap, &invite("a", 0));
        let ok = b"SIP/2.0 200 OK\r\ni: a\r\n\r\n";
        tap.note(TraceDirection::Sent, PEER, Transport::Tcp, ok, false);
        let kept = tap.of("a");
        assert_eq!(kept.iter().map(|m| &m.bytes[..]).collect::<Vec<_>>(), [&invite("a", 0)[..], ok]);
        assert_eq!((kept[1].direction, kept[1].transport), (TraceDirection::Sent, Transport::Tcp));
        assert_eq!(tap.records().calls.len(), 1);
    }

    #[test]
    fn a_call_is_kept_while_it_runs_and_a_while_longer() {
        let (tap, clock) = tap();
        let held = tap.hold("a");
        note(&tap, &invite("a", 0));
        note(&tap, &invite("over", 0));
        clock.advance(KEPT + SWEEP);
        note(&tap, &invite("b", 0));
        assert_eq!((tap.of("a").len(), tap.of("over").len()), (1, 0));
        drop(held);
        clock.advance(SWEEP);
        note(&tap, &invite("c", 0));
        assert_eq!(tap.of("a").len(), 0);
        let records = tap.records();
        assert_eq!(records.order.len(), records.calls.len());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (tap, _) = tap();
        let _held = tap.hold("running");
        for _ in 0..1_000 {
            note(&tap, &invite("running", 100));
        }
        assert_eq!(tap.of("running").len(), MOST_MESSAGES);
        for n in 0..10_000 {
            note(&tap, &invite(&n.to_string(), 20_000));
            assert!(tap.records().bytes <= MOST_BYTES);
        }
        assert_eq!((tap.of("running").len(), tap.of("9999")[0].bytes.len()), (MOST_MESSAGES, LONGEST));
        let records = tap.records();
        assert!(records.calls.len() <= MOST_CALLS && records.order.len() == records.calls.len());
        assert_eq!(records.bytes, records.calls.values().map(|record| record.bytes).sum::<usize>());
    }
}
