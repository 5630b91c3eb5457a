//! What comes off the wire, before the SIP library sees it: repaired where a peer is merely untidy, answered at once
//! where it is wrong, dropped where an answer would be of no use.
//!
//! The library drops every header after a byte that is no UTF-8, loses the body of a datagram without Content-Length,
//! stumbles over spaces around `;tag=`, and says nothing at all to a method that it does not know. So each message is
//! read here once, in one pass and without an allocation when there is nothing to mend.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The longest message that is read, in bytes. A longer one is dropped; on a stream the connection ends.
pub(super) const MAX_MESSAGE: usize = 65_535;
/// Headers in one message; a message with more is refused.
const MAX_HEADERS: usize = 256;

/// Methods that the library can read (RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665). Method names are
/// case-sensitive (RFC 3261 section 7.1).
const KNOWN: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "INFO",
    "UPDATE",
    "PRACK",
    "REGISTER",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PUBLISH",
];

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

/// The header section, line by line, with folded lines joined. Values are trimmed.
struct Head<'a> {
    start: Cow<'a, str>,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether it differs from the bytes it was read from.
    mended: bool,
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

/// A line as text: UTF-8, else each byte as the Latin-1 character that it is.
fn text(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(line) => Cow::Borrowed(line),
        Err(_) => Cow::Owned(line.iter().map(|b| char::from(*b)).collect()),
    }
}

fn read_head(bytes: &[u8]) -> Option<Head<'_>> {
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut mended = false;
    let mut line = || {
        let line = lines.next()?;
        let bare = line.strip_suffix(b"\r");
        Some((text(bare.unwrap_or(line)), bare.is_none() && !line.is_empty()))
    };
    let (start, bare) = line()?;
    mended |= bare || matches!(start, Cow::Owned(_));
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(24);
    while let Some((content, bare)) = line() {
        if content.is_empty() {
            continue;
        }
        mended |= bare || matches!(content, Cow::Owned(_));
        if content.starts_with([' ', '\t']) {
            let value = &mut fields.last_mut()?.1;
            let joined = format!("{value} {}", content.trim()).trim().to_owned();
            *value = Cow::Owned(joined);
            mended = true;
            continue;
        }
        if fields.len() == MAX_HEADERS {
            return None;
        }
        // A line without a colon is no header; it is left out and the rest is read.
        let Some(colon) = content.find(':') else {
            mended = true;
            continue;
        };
        mended |= content[..colon].ends_with([' ', '\t']);
        fields.push(match content {
            Cow::Borrowed(content) => {
                (Cow::Borrowed(content[..colon].trim()), Cow::Borrowed(content[colon + 1..].trim()))
            }
            Cow::Owned(content) => {
                (Cow::Owned(content[..colon].trim().to_owned()), Cow::Owned(content[colon + 1..].trim().to_owned()))
            }
        });
    }
    Some(Head { start, fields, mended })
}

/// A header's name in full and in its compact form (RFC 3261 section 7.3.3).
#[derive(Clone, Copy)]
struct Name(&'static str, &'static str);

const VIA: Name = Name("Via", "v");
const FROM: Name = Name("From", "f");
const TO: Name = Name("To", "t");
const CALL_ID: Name = Name("Call-ID", "i");
const CSEQ: Name = Name("CSeq", "CSeq");
const CONTACT: Name = Name("Contact", "m");
const CONTENT_LENGTH: Name = Name("Content-Length", "l");
const MAX_FORWARDS: Name = Name("Max-Forwards", "Max-Forwards");

impl Name {
    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.0) || name.eq_ignore_ascii_case(self.1)
    }
}

impl<'a> Head<'a> {
    fn all(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(n, _)| name.is(n)).map(|(_, value)| value.as_ref())
    }

    /// The only value of a header that may stand once; repeated with another value it is an error.
    fn once(&self, name: Name, why: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(bad(why)) } else { Ok(first) }
    }

    /// Takes out the spaces that RFC 3261's grammar allows around separators and that the parser does not.
    fn tidy(&mut self) {
        for (name, value) in &mut self.fields {
            let tidied = if VIA.is(name) {
                squeeze(value, &['/', ';', '=', ',', ':'])
            } else if FROM.is(name) || TO.is(name) {
                squeeze(value, &[';', '='])
                    .and_then(|squeezed| quote_name(&squeezed).or(Some(squeezed)))
                    .or_else(|| quote_name(value))
            } else if CSEQ.is(name) && value.contains(['\t', ' ']) {
                let single = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
                (single != value.as_ref()).then_some(single)
            } else {
                None
            };
            if let Some(tidied) = tidied {
                *value = Cow::Owned(tidied);
                self.mended = true;
            }
        }
    }

    fn check_request(&self) -> Result<(), Refusal> {
        let mut parts = self.start.split(' ');
        let (Some(method), Some(uri), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("malformed request line"));
        };
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            let numbered = version.strip_prefix("SIP/").is_some_and(|v| {
                v.split_once('.').is_some_and(|(a, b)| {
                    !a.is_empty() && !b.is_empty() && a.bytes().chain(b.bytes()).all(|b| b.is_ascii_digit())
                })
            });
            return Err(if numbered {
                Refusal { status: 505, phrase: "Version Not Supported", why: "" }
            } else {
                bad("malformed request line")
            });
        }
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(bad("malformed method"));
        }
        self.check_common(Some(method))?;
        if !KNOWN.contains(&method) {
            return Err(Refusal { status: 501, phrase: "Not Implemented", why: "" });
        }
        check_uri(uri)?;
        self.check_addresses()
    }

    fn check_response(&self) -> Result<(), Refusal> {
        let status = self.start.strip_prefix("SIP/2.0 ").ok_or(bad("version"))?;
        let code = status.get(..3).filter(|c| c.bytes().all(|b| b.is_ascii_digit())).ok_or(bad("status"))?;
        let ended = status.get(3..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if !ended || !matches!(code.as_bytes().first(), Some(b'1'..=b'6')) {
            return Err(bad("status"));
        }
        self.check_common(None)
    }

    /// What requests and responses must both have (RFC 3261 section 8.1.1).
    fn check_common(&self, method: Option<&str>) -> Result<(), Refusal> {
        if self.start.contains('\0') {
            return Err(bad("NUL in the start line"));
        }
        let via = self.all(VIA).next().ok_or(bad("no Via"))?;
        if !via.get(..8).is_some_and(|v| v.eq_ignore_ascii_case("SIP/2.0/")) || via.contains(";;") || via.contains(",,")
        {
            return Err(bad("malformed Via"));
        }
        let call_id = self.once(CALL_ID, "more than one Call-ID")?.ok_or(bad("no Call-ID"))?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(bad("malformed Call-ID"));
        }
        self.once(FROM, "more than one From")?.ok_or(bad("no From"))?;
        self.once(TO, "more than one To")?.ok_or(bad("no To"))?;
        let cseq = self.once(CSEQ, "more than one CSeq")?.ok_or(bad("no CSeq"))?;
        let (number, named) = cseq.split_once(' ').ok_or(bad("malformed CSeq"))?;
        // RFC 3261 section 8.1.1.5: less than 2^31.
        if !number.bytes().all(|b| b.is_ascii_digit()) || !number.parse::<u32>().is_ok_and(|n| n < 1 << 31) {
            return Err(bad("CSeq out of range"));
        }
        if method.is_some_and(|method| method != named) {
            return Err(bad("CSeq names another method"));
        }
        if let Some(hops) = self.once(MAX_FORWARDS, "more than one Max-Forwards")? {
            hops.parse::<u8>().map_err(|_| bad("Max-Forwards out of range"))?;
        }
        Ok(())
    }

    /// From, To and Contact of a request.
    fn check_addresses(&self) -> Result<(), Refusal> {
        let from = self.all(FROM).next().unwrap_or_default();
        check_address(from).map_err(|_| bad("malformed From"))?;
        if tag(from).is_none() {
            return Err(bad("From has no tag"));
        }
        check_address(self.all(TO).next().unwrap_or_default()).map_err(|_| bad("malformed To"))?;
        for contact in self.all(CONTACT) {
            if contact.trim() != "*" {
                list(contact).try_for_each(check_address).map_err(|_| bad("malformed Contact"))?;
            }
        }
        Ok(())
    }

    /// How much of `available` bytes is body (RFC 3261 section 18.3).
    fn body_length(&self, available: usize, stream: bool) -> Result<usize, Refusal> {
        let Some(length) = self.once(CONTENT_LENGTH, "more than one Content-Length")? else {
            // A datagram without it reaches to its end; a stream cannot be read without it.
            return Ok(if stream { 0 } else { available });
        };
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("malformed Content-Length"));
        }
        length.parse().ok().filter(|n| *n <= available).ok_or(bad("Content-Length beyond the message"))
    }

    /// The message as the parser wants it: the very bytes if nothing was mended.
    fn render<'m>(&self, message: &'m [u8], head: &[u8], body: &[u8], length: usize) -> Cow<'m, [u8]> {
        let body = body.get(..length).unwrap_or_default();
        let has_length = self.all(CONTENT_LENGTH).next().is_some();
        if !self.mended && (has_length || length == 0) && message.get(head.len()..head.len() + 2) == Some(b"\r\n") {
            return Cow::Borrowed(message.get(..head.len() + 2 + length).unwrap_or(message));
        }
        let mut out = String::with_capacity(head.len() + 64);
        let _ = write!(out, "{}\r\n", self.start);
        for (name, value) in &self.fields {
            if !CONTENT_LENGTH.is(name) {
                let _ = write!(out, "{name}: {value}\r\n");
            }
        }
        let _ = write!(out, "Content-Length: {length}\r\n\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(body);
        Cow::Owned(out)
    }

    /// A stateless answer: what RFC 3261 section 8.2.6 asks to be copied, as far as it is there.
    fn answer(&self, status: u16, phrase: &str, why: &str, source: SocketAddr) -> Vec<u8> {
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
            let _ = write!(out, "Allow: {}\r\n", super::ALLOW);
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

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b)
}

fn check_uri(uri: &str) -> Result<(), Refusal> {
    if uri.is_empty() || uri.contains(['<', '>', '"', '\t']) {
        return Err(bad("malformed Request-URI"));
    }
    let (scheme, rest) = uri.split_once(':').ok_or(bad("malformed Request-URI"))?;
    if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return Err(bad("malformed Request-URI"));
    }
    if !["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Refusal { status: 416, phrase: "Unsupported URI Scheme", why: "" });
    }
    // Headers have no place in a Request-URI (RFC 3261 section 19.1.1); a `?` before the `@` belongs to the user part.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if host.is_empty() || host.contains('?') { Err(bad("malformed Request-URI")) } else { Ok(()) }
}

/// Checks a name-addr or addr-spec with its parameters.
fn check_address(value: &str) -> Result<(), ()> {
    let mut quoted = false;
    let mut escaped = false;
    let mut open = None;
    let mut close = None;
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if open.is_none() || close.is_some() => quoted = !quoted,
            '<' if !quoted && open.is_none() => open = Some(at),
            '>' if !quoted && close.is_none() => close = Some(at),
            _ => {}
        }
    }
    if quoted {
        return Err(());
    }
    let uri = match (open, close) {
        (Some(open), Some(close)) if open < close => value.get(open + 1..close).ok_or(())?,
        (None, None) => {
            let uri = value.split(';').next().unwrap_or_default();
            // RFC 3261 section 20: a URI with a comma, question mark or semicolon must stand in angle brackets.
            if uri.contains('?') {
                return Err(());
            }
            uri
        }
        _ => return Err(()),
    };
    if uri.is_empty() || uri.contains([' ', '\t']) || !uri.contains(':') { Err(()) } else { Ok(()) }
}

/// The elements of a comma list, commas in quotes and angle brackets aside.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    let mut bracketed = false;
    value
        .split(move |c| {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' if !bracketed => quoted = !quoted,
                '<' if !quoted => bracketed = true,
                '>' if !quoted => bracketed = false,
                ',' if !quoted && !bracketed => return true,
                _ => {}
            }
            false
        })
        .map(str::trim)
}

/// What follows the URI: `;name=value…`.
fn parameters(value: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    let mut bracket = None;
    let mut semicolon = None;
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted && bracket.is_none() => bracket = Some(at + 1),
            ';' if !quoted && semicolon.is_none() => semicolon = Some(at),
            _ => {}
        }
    }
    bracket.or(semicolon).and_then(|at| value.get(at..)).unwrap_or_default()
}

/// A parameter of a header, such as `tag` of From. A parameter without `=` has the value "".
pub(super) fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    parameters(value).split(';').find_map(|part| {
        let (key, content) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| content.trim())
    })
}

/// The tag of a From or To.
pub(super) fn tag(value: &str) -> Option<&str> {
    parameter(value, "tag").filter(|tag| !tag.is_empty())
}

/// Takes the white space around `separators` away, outside quotes and angle brackets, and makes of other runs of it one
/// space. `None`: there is nothing to do.
fn squeeze(value: &str, separators: &[char]) -> Option<String> {
    if !value.contains([' ', '\t']) {
        return None;
    }
    let mut out = String::with_capacity(value.len());
    let mut quoted = false;
    let mut escaped = false;
    let mut bracketed = false;
    let mut gap = false;
    for c in value.chars() {
        let plain = !quoted && !bracketed;
        if plain && matches!(c, ' ' | '\t') {
            gap = true;
            continue;
        }
        if gap && !(separators.contains(&c) || out.ends_with(separators)) {
            out.push(' ');
        }
        gap = false;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !bracketed => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            _ => {}
        }
        out.push(c);
    }
    (out != value).then_some(out)
}

/// Puts a display name in quotes that should have been, such as `Bell, Alexander <…>`. `None`: there is nothing to do.
fn quote_name(value: &str) -> Option<String> {
    let (name, rest) = value.split_at(value.find('<')?);
    let name = name.trim();
    let plain = |b: u8| is_token(b) || b == b' ' || !b.is_ascii();
    (!name.contains('"') && !name.is_empty() && !name.bytes().all(plain))
        .then(|| format!("\"{}\" {rest}", name.replace('\\', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM_THERE: &str = "127.0.0.1:5071";

    fn verdict(message: &[u8]) -> Verdict<'_> {
        examine(message, FROM_THERE.parse().unwrap(), false)
    }

    fn repaired(message: &[u8]) -> String {
        match verdict(message) {
            Verdict::Message(bytes) => String::from_utf8(bytes.into_owned()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(message: &str) -> String {
        match verdict(message.as_bytes()) {
            Verdict::Answer(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\n\
                           To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";

    fn options(extra: &str) -> String {
        format!("{OPTIONS}{extra}\r\n")
    }

    #[test]
    fn a_tidy_message_is_passed_without_a_copy() {
        let message = options("Content-Length: 0\r\n");
        assert!(matches!(verdict(message.as_bytes()), Verdict::Message(Cow::Borrowed(b)) if b == message.as_bytes()));
    }

    #[test]
    fn a_latin_1_byte_does_not_cost_the_headers_after_it() {
        let mut message = OPTIONS.as_bytes().to_vec();
        message.extend_from_slice(b"Subject: caf\xe9\r\nX-After: here\r\nContent-Length: 0\r\n\r\n");
        let text = repaired(&message);
        assert!(text.contains("Subject: café\r\n") && text.contains("X-After: here\r\n"), "{text}");
        let rsipstack::sip::SipMessage::Request(request) = text.as_str().try_into().unwrap() else { panic!() };
        assert!(request.headers.iter().any(|h| matches!(h, rsipstack::sip::Header::Other(n, _) if n == "X-After")));
        // The library alone loses what follows: the reason for this module.
        let rsipstack::sip::SipMessage::Request(request) = message.as_slice().try_into().unwrap() else { panic!() };
        assert!(!request.headers.iter().any(|h| matches!(h, rsipstack::sip::Header::Other(n, _) if n == "X-After")));
    }

    #[test]
    fn a_datagram_without_content_length_keeps_its_body() {
        let text = repaired(format!("{}v=0\r\n", options("")).as_bytes());
        assert!(text.ends_with("Content-Length: 5\r\n\r\nv=0\r\n"), "{text}");
        // Bytes beyond Content-Length are no part of the message.
        let text = repaired(format!("{}v=0\r\nINVITE", options("Content-Length: 5\r\n")).as_bytes());
        assert!(text.ends_with("\r\n\r\nv=0\r\n"), "{text}");
    }

    #[test]
    fn spaces_around_the_tag_and_folded_lines_are_understood() {
        let message = options("Content-Length: 0\r\n")
            .replace("From: <sip:x@y>;tag=1", "From: \"a ; b\"  <sip:x@y> ;\r\n  tag  =  1")
            .replace("SIP/2.0/UDP h;rport;branch=z9hG4bK1", "SIP / 2.0\r\n / UDP  h ; branch =z9hG4bK1");
        let text = repaired(message.as_bytes());
        assert!(text.contains("From: \"a ; b\" <sip:x@y>;tag=1\r\n"), "{text}");
        assert!(text.contains("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"), "{text}");
        assert!(repaired(options("").replace("\r\n", "\n").as_bytes()).starts_with(OPTIONS));
    }

    #[test]
    fn an_unknown_method_gets_501_and_a_wrong_message_400() {
        let answer = refused(&options("").replace("OPTIONS", "NEWMETHOD"));
        assert!(answer.starts_with("SIP/2.0 501 ") && answer.contains("Allow: INVITE"), "{answer}");
        assert!(
            answer.contains(";received=127.0.0.1;rport=5071\r\n") && answer.contains("To: <sip:a@b>;tag="),
            "{answer}"
        );
        for (from, to) in [
            ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
            ("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS"),
            ("Max-Forwards: 70", "Max-Forwards: 300"),
            ("Max-Forwards: 70", "Content-Length: -1"),
            ("Max-Forwards: 70", "Content-Length: 9"),
            ("Max-Forwards: 70", "Content-Length: 0\r\nContent-Length: 1"),
            ("Call-ID: c\r\n", ""),
            ("<sip:a@b>", "\"a <sip:a@b>"),
            ("sip:a@b SIP", "<sip:a@b> SIP"),
            ("sip:a@b SIP", "sip:a@b  SIP"),
            ("<sip:x@y>;tag=1", "<sip:x@y>"),
        ] {
            let answer = refused(&options("").replacen(from, to, 1));
            assert!(answer.starts_with("SIP/2.0 400 "), "{to}: {answer}");
        }
        assert!(refused(&options("").replace("sip:a@b SIP/2.0", "sip:a@b SIP/7.0")).starts_with("SIP/2.0 505 "));
        assert!(refused(&options("").replace("OPTIONS sip:", "OPTIONS soap:")).starts_with("SIP/2.0 416 "));
    }

    #[test]
    fn noise_responses_and_acks_get_no_answer() {
        for silent in [
            "\r\n\r\n",
            "hello\r\n\r\n",
            "SIP/2.0 4294967301 x\r\nVia: SIP/2.0/UDP h\r\n\r\n",
            "ACK sip:a@b SIP/2.0\r\n\r\n",
        ] {
            assert_eq!(verdict(silent.as_bytes()), Verdict::Nothing, "{silent}");
        }
    }

    #[test]
    fn a_stream_is_framed_by_content_length() {
        let message = options("Content-Length: 4\r\n");
        assert_eq!(frame(message.as_bytes()), Ok(None));
        assert_eq!(frame(format!("{message}v=0\nOPT").as_bytes()), Ok(Some(message.len() + 4)));
        assert_eq!(frame(options("Content-Length: 18446744073709551615\r\n").as_bytes()), Err(()));
        assert_eq!(frame(&vec![b'a'; MAX_MESSAGE + 1]), Err(()));
    }

    #[test]
    fn names_lists_and_parameters() {
        assert_eq!(
            list("\"A, <B>\" <sip:a@b,c>;q=1, <sip:d>").collect::<Vec<_>>(),
            ["\"A, <B>\" <sip:a@b,c>;q=1", "<sip:d>"]
        );
        assert_eq!(tag("\"x;tag=no\" <sip:a;tag=no>;Tag=yes"), Some("yes"));
        assert_eq!(tag("sip:a@b;tag=t"), Some("t"));
        assert_eq!(quote_name("Bell, Alexander <sip:a>;tag=1").as_deref(), Some("\"Bell, Alexander\" <sip:a>;tag=1"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_what_passes_is_text(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0usize..400, cut in 0usize..40) {
            let mut message = options("Content-Length: 3\r\n").into_bytes();
            let at = at.min(message.len());
            let end = (at + cut).min(message.len());
            message.splice(at..end, bytes);
            let _ = frame(&message);
            if let Verdict::Message(bytes) = verdict(&message) {
                let head = split(&bytes).unwrap().0;
                proptest::prop_assert!(std::str::from_utf8(head).is_ok());
            }
        }
    }
}
