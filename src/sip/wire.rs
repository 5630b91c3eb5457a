//! What comes off the wire, before the SIP library sees it: repaired where a peer is merely untidy, answered at once
//! where it is wrong, dropped where an answer would be of no use.
//!
//! The library drops every header after a byte that is no UTF-8, loses the body of a datagram without Content-Length,
//! stumbles over spaces around `;tag=`, and says nothing at all to a method that it does not know. So each message is
//! read here once, in one pass and without an allocation when there is nothing to mend.

mod answer;
mod check;
mod head;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::SocketAddr;

use self::head::read_head;

/// The longest message that is read, in bytes. A longer one is dropped; on a stream the connection ends.
pub(super) const MAX_MESSAGE: usize = 65_535;

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Hand it to the parser.
    Message(Cow<'a, [u8]>),
    /// Send this back where it came from; nothing else is known of the request.
    Answer(Vec<u8>),
    /// Nothing: a keep-alive, a malformed response or ACK, or no SIP at all.
    Nothing,
}

/// Why a request is refused before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
    phrase: &'static str,
    /// For the Warning header (RFC 3261 section 20.43): what is wrong.
    why: &'static str,
}

/// 400 with what is wrong.
const fn bad(why: &'static str) -> Refusal {
    Refusal { status: 400, phrase: "Bad Request", why }
}

/// Reads one message. `source` is where it came from; `stream` says that Content-Length has already framed it.
pub(super) fn examine(message: &[u8], source: SocketAddr, stream: bool) -> Verdict<'_> {
    // A server ignores empty lines before the start line (RFC 3261 section 7.5).
    let skip = message.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let message = message.get(skip..).unwrap_or_default();
    if message.is_empty() || message.len() > MAX_MESSAGE {
        return Verdict::Nothing;
    }
    let Some((head_bytes, body)) = split(message) else { return Verdict::Nothing };
    let Some(mut head) = read_head(head_bytes) else { return Verdict::Nothing };
    let request = !head.start.starts_with("SIP/");
    if request && !head.start.contains("SIP/") {
        return Verdict::Nothing;
    }
    head.tidy();
    let checked = if request { head.check_request() } else { head.check_response() };
    let checked = checked.and_then(|()| head.body_length(body.len(), stream));
    match checked {
        Ok(length) => Verdict::Message(head.render(message, head_bytes, body, length)),
        Err(refusal) if request && !head.start.starts_with("ACK ") => {
            Verdict::Answer(head.answer(refusal.status, refusal.phrase, refusal.why, source))
        }
        Err(_) => Verdict::Nothing,
    }
}

/// A stateless 400 to a request that passed [`examine`] but that the parser could not read.
pub(super) fn unreadable(message: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    answer(message, 400, "Bad Request", "not understood", source)
}

/// A stateless 403 for a stranger.
pub(super) fn forbidden(message: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    answer(message, 403, "Forbidden", "", source)
}

/// A stateless answer to a request; `None` for responses, ACKs and what is no SIP.
fn answer(message: &[u8], status: u16, phrase: &str, why: &str, source: SocketAddr) -> Option<Vec<u8>> {
    let mut head = read_head(split(message)?.0)?;
    if head.start.starts_with("SIP/") || head.start.starts_with("ACK ") || !head.start.ends_with("SIP/2.0") {
        return None;
    }
    head.tidy();
    Some(head.answer(status, phrase, why, source))
}

/// Header section and body, without the empty line between them. Peers that end lines with a bare LF are understood.
fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    while let Some(at) = message.get(from..)?.iter().position(|b| *b == b'\n').map(|at| from + at) {
        let rest = message.get(at + 1..)?;
        let blank = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        if blank > 0 {
            return Some((message.get(..=at)?, rest.get(blank..)?));
        }
        from = at + 1;
    }
    None
}

/// The length of the first message in a stream's buffer: header section and Content-Length. `None`: not all of it is
/// there yet. `Err`: it can never be framed, so the stream must end (RFC 3261 section 18.3).
pub(super) fn frame(buffer: &[u8]) -> Result<Option<usize>, ()> {
    let Some((head, body)) = split(buffer) else {
        return if buffer.len() > MAX_MESSAGE { Err(()) } else { Ok(None) };
    };
    let start = buffer.len() - body.len();
    let mut length = 0_usize;
    for line in head.split(|b| *b == b'\n') {
        let mut parts = line.splitn(2, |b| *b == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l") {
            length = std::str::from_utf8(value).ok().and_then(|v| v.trim().parse().ok()).ok_or(())?;
        }
    }
    match start.checked_add(length) {
        Some(total) if total <= MAX_MESSAGE => Ok((buffer.len() >= total).then_some(total)),
        _ => Err(()),
    }
}
