//! The header section: read line by line, tidied, written again.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::check::is_token;
use super::{Refusal, bad};

/// Headers in one message; a message with more is refused.
const MAX_HEADERS: usize = 256;

/// The header section, line by line, with folded lines joined. Values are trimmed.
pub(super) struct Head<'a> {
    pub(super) start: Cow<'a, str>,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether it differs from the bytes it was read from.
    mended: bool,
}

/// A line as text: UTF-8, else each byte as the Latin-1 character that it is.
fn text(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(line) => Cow::Borrowed(line),
        Err(_) => Cow::Owned(line.iter().map(|b| char::from(*b)).collect()),
    }
}

pub(super) fn read_head(bytes: &[u8]) -> Option<Head<'_>> {
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
pub(super) struct Name(&'static str, &'static str);

pub(super) const VIA: Name = Name("Via", "v");
pub(super) const FROM: Name = Name("From", "f");
pub(super) const TO: Name = Name("To", "t");
pub(super) const CALL_ID: Name = Name("Call-ID", "i");
pub(super) const CSEQ: Name = Name("CSeq", "CSeq");
pub(super) const CONTACT: Name = Name("Contact", "m");
pub(super) const CONTENT_LENGTH: Name = Name("Content-Length", "l");
pub(super) const MAX_FORWARDS: Name = Name("Max-Forwards", "Max-Forwards");

impl Name {
    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.0) || name.eq_ignore_ascii_case(self.1)
    }
}

impl<'a> Head<'a> {
    pub(super) fn all(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(n, _)| name.is(n)).map(|(_, value)| value.as_ref())
    }

    /// The only value of a header that may stand once; repeated with another value it is an error.
    pub(super) fn once(&self, name: Name, why: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(bad(why)) } else { Ok(first) }
    }

    /// Takes out the spaces that RFC 3261's grammar allows around separators and that the parser does not.
    pub(super) fn tidy(&mut self) {
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

    /// How much of `available` bytes is body (RFC 3261 section 18.3).
    pub(super) fn body_length(&self, available: usize, stream: bool) -> Result<usize, Refusal> {
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
    pub(super) fn render<'m>(&self, message: &'m [u8], head: &[u8], body: &[u8], length: usize) -> Cow<'m, [u8]> {
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
pub(super) fn quote_name(value: &str) -> Option<String> {
    let (name, rest) = value.split_at(value.find('<')?);
    let name = name.trim();
    let plain = |b: u8| is_token(b) || b == b' ' || !b.is_ascii();
    (!name.contains('"') && !name.is_empty() && !name.bytes().all(plain))
        .then(|| format!("\"{}\" {rest}", name.replace('\\', "")))
}
