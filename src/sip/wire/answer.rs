//! Stateless answers: to what is refused before a transaction knows of it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::check::check_address;
use super::head::{CALL_ID, CSEQ, FROM, Head, TO, VIA};
use crate::sip::capabilities::ALLOW;
use crate::sip::header::tag;

impl Head<'_> {
    /// A stateless answer: what RFC 3261 section 8.2.6 asks to be copied, as far as it is there.
    pub(super) fn answer(&self, status: u16, phrase: &str, why: &str, source: SocketAddr) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {status} {phrase}\r\n");
        let mut top = true;
        for via in self.all(VIA) {
            let _ = if top { write!(out, "Via: {}\r\n", stamp(via, source)) } else { write!(out, "Via: {via}\r\n") };
            top = false;
        }
        if let Some(from) = self.all(FROM).next() {
            let _ = write!(out, "From: {from}\r\n");
        }
        if let Some(to) = self.all(TO).next() {
            let call_id = self.all(CALL_ID).next().unwrap_or_default();
            if check_address(to).is_ok() && tag(to).is_none() {
                // Derived from the request, so that a retransmission gets the same one.
                let _ = write!(out, "To: {to};tag={:016x}\r\n", fnv(call_id.bytes().chain(via_branch(self))));
            } else {
                let _ = write!(out, "To: {to}\r\n");
            }
        }
        for (name, label) in [(CALL_ID, "Call-ID"), (CSEQ, "CSeq")] {
            if let Some(value) = self.all(name).next() {
                let _ = write!(out, "{label}: {value}\r\n");
            }
        }
        if status == 501 {
            let _ = write!(out, "Allow: {}\r\n", ALLOW);
        }
        if !why.is_empty() {
            let _ = write!(out, "Warning: 399 threadline \"{why}\"\r\n");
        }
        out.push_str("Content-Length: 0\r\n\r\n");
        out.into_bytes()
    }
}

/// The bytes of the top Via's value, which a retransmission repeats.
fn via_branch<'h>(head: &'h Head<'_>) -> impl Iterator<Item = u8> + 'h {
    head.all(VIA).next().unwrap_or_default().bytes()
}

/// FNV-1a, 64 bit: no secret, only the same answer to the same question.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The top Via with where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
fn stamp(via: &str, source: SocketAddr) -> String {
    let end = via.find(',').unwrap_or(via.len());
    let (top, rest) = via.split_at(end);
    let mut out = String::with_capacity(via.len() + 40);
    let mut asked = false;
    for (index, part) in top.split(';').enumerate() {
        let name = part.split('=').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("rport") {
            asked = true;
        } else if !name.eq_ignore_ascii_case("received") {
            let _ = write!(out, "{}{part}", if index > 0 { ";" } else { "" });
        }
    }
    let _ = write!(out, ";received={}", source.ip());
    if asked {
        let _ = write!(out, ";rport={}", source.port());
    }
    out + rest
}
