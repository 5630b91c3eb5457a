//! What a message must have to be served, and the status of what it lacks.

use super::head::{CALL_ID, CONTACT, CSEQ, FROM, Head, MAX_FORWARDS, TO, VIA};
use super::{Refusal, bad};
use crate::sip::header::{list, tag};

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

impl Head<'_> {
    pub(super) fn check_request(&self) -> Result<(), Refusal> {
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

    pub(super) fn check_response(&self) -> Result<(), Refusal> {
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
}

pub(super) fn is_token(b: u8) -> bool {
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
pub(super) fn check_address(value: &str) -> Result<(), ()> {
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
