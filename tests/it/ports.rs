//! Ports for programs that are told theirs. One that the kernel has chosen and that was let go may be somebody else's by
//! the time the program asks for it; these are outside the range that the kernel chooses from, and each is told once.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what the kernel gives out (Linux: from 32768) and what the phones of the tests speak on (from 20000).
const FIRST: u16 = 10_000;
const MANY: u16 = 8_000;

/// A port that nobody on loopback listens on, by UDP or TCP.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several runs of the tests go on side by side: each begins elsewhere (a multiplicative hash, so that neighbours part).
    let begin = (std::process::id().wrapping_mul(0x9e37_79b9) >> 16) as u16 % MANY;
    (0..MANY)
        .map(|_| FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % MANY) % MANY)
        .find(|&port| {
            let at = (Ipv4Addr::LOCALHOST, port);
            UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok()
        })
        .expect("a free port")
}
