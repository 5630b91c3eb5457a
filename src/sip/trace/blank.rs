//! What of a message must not be kept, taken out: the rest stays as it was, byte by byte.
//!
//! Keys come by INFO in more shapes than any standard has: so in an INFO everything is blanked but what is known to tell
//! nothing, and in other requests whatever calls itself digits.

/// Parts within parts are looked into so deep; what lies deeper is blanked as a whole.
const DEEPEST: u8 = 4;

/// The value of the Call-ID.
pub(super) fn call_id(message: &[u8]) -> Option<&str> {
    let value = header(message, &[b"Call-ID", b"i"])?;
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

fn header<'m>(message: &'m [u8], names: &[&[u8]]) -> Option<&'m [u8]> {
    for line in message.split(|byte| *byte == b'\n').skip(1) {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Some((name, value)) = name_and_value(line) else { continue };
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(value.trim_ascii());
        }
    }
    None
}

fn name_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
    Some((name.trim_ascii(), value.get(1..)?))
}

fn is_folded(line: &[u8]) -> bool {
    line.starts_with(b" ") || line.starts_with(b"\t")
}

/// Where the body begins, behind the empty line; lines end with CRLF or with a bare LF. None: there is no empty line.
fn body_start(message: &[u8]) -> Option<usize> {
    let mut at = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    loop {
        at += message.get(at..)?.iter().position(|byte| *byte == b'\n')? + 1;
        let rest = message.get(at..)?;
        let empty = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        if empty > 0 {
            return Some(at + empty);
        }
    }
}

/// Every value of Content-Type in these lines, what is folded made one.
fn kind(head: &[u8]) -> Vec<u8> {
    let (mut kind, mut within) = (vec![], false);
    for line in head.split(|byte| *byte == b'\n') {
        let value = if is_folded(line) {
            within.then_some(line)
        } else {
            let named = name_and_value(line);
            let known = |name: &[u8]| [b"Content-Type".as_slice(), b"c"].iter().any(|it| it.eq_ignore_ascii_case(name));
            named.filter(|(name, _)| known(name)).map(|(_, value)| value)
        };
        within = value.is_some();
        kind.extend_from_slice(value.unwrap_or_default().trim_ascii());
    }
    kind
}

/// The message without credentials, keys of media and digits; and whether there were digits.
pub(super) fn blank(message: &[u8]) -> (Vec<u8>, bool) {
    let (head, body) = message.split_at(body_start(message).unwrap_or(message.len()));
    let mut out = Vec::with_capacity(message.len());
    let mut secret = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if is_folded(line) && secret {
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        secret = [b"Authorization".as_slice(), b"Proxy-Authorization"].iter().any(|it| it.eq_ignore_ascii_case(name));
        if secret {
            out.extend_from_slice(name);
            out.extend_from_slice(b": [removed]\r\n");
        } else {
            out.extend_from_slice(line);
        }
    }
    let start = head.trim_ascii_start();
    let info = start.get(..5).is_some_and(|method| method.eq_ignore_ascii_case(b"INFO "));
    let masked = Blank { out: &mut out, info }.body(body, &kind(head), 0);
    (out, masked)
}

/// What the body becomes. Each function says whether it has blanked digits; what it writes is as long as what it reads,
/// so that Content-Length stays true.
struct Blank<'o> {
    out: &'o mut Vec<u8>,
    /// Whether the message is an INFO.
    info: bool,
}

impl Blank<'_> {
    fn body(&mut self, body: &[u8], kind: &[u8], depth: u8) -> bool {
        if contains(kind, b"multipart/") {
            return match boundary(kind).filter(|_| depth < DEEPEST) {
                Some(boundary) => self.parts(body, &boundary, depth),
                None => self.digits(body),
            };
        }
        let telling: [&[u8]; 4] = [b"dtmf", b"digit", b"telephone-event", b"kpml"];
        if self.info || telling.iter().any(|word| contains(kind, word)) {
            self.digits(body)
        } else {
            self.keys_of_media(body);
            false
        }
    }

    /// Parts between lines of `--boundary` (RFC 2046 section 5.1); what stands before the first and behind the last is
    /// taken for a part as well.
    fn parts(&mut self, body: &[u8], boundary: &[u8], depth: u8) -> bool {
        let (mut masked, mut from, mut at) = (false, 0, 0);
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let is_boundary = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary));
            if is_boundary.is_some_and(|rest| matches!(rest.trim_ascii(), b"" | b"--")) {
                masked |= self.part(&body[from..at], depth);
                self.out.extend_from_slice(line);
                from = at + line.len();
            }
            at += line.len();
        }
        masked | self.part(&body[from..], depth)
    }

    fn part(&mut self, part: &[u8], depth: u8) -> bool {
        // Without an empty line it is no part, and with one alone it has no header.
        let headless = [b"\r\n".as_slice(), b"\n"].into_iter().find(|empty| part.starts_with(empty)).map(<[u8]>::len);
        let (head, body) = part.split_at(headless.or_else(|| body_start(part)).unwrap_or(0));
        let (mut masked, mut known) = (false, false);
        for line in head.split_inclusive(|byte| *byte == b'\n') {
            let content = |(name, _): (&[u8], _)| name.get(..8).is_some_and(|it| it.eq_ignore_ascii_case(b"Content-"));
            known = if is_folded(line) { known } else { name_and_value(line).is_some_and(content) };
            if known || !self.info {
                self.out.extend_from_slice(line);
            } else {
                masked |= self.hide(line, 0);
            }
        }
        masked | self.body(body, &kind(head), depth + 1)
    }

    /// `Signal=5`, `d=5`; or, as application/dtmf, nothing but the digit. What is kept are the names, and how long.
    fn digits(&mut self, body: &[u8]) -> bool {
        let mut masked = false;
        for line in body.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let equals = line.iter().position(|byte| *byte == b'=').unwrap_or(0);
            let (name, value) = line.split_at(equals);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let is_length = name.trim_ascii().eq_ignore_ascii_case(b"Duration")
                && value.len() <= 5
                && value.iter().all(u8::is_ascii_digit);
            let is_name = equals > 0 && name.trim_ascii().iter().all(u8::is_ascii_alphabetic);
            let from = match (is_length, is_name) {
                (true, _) => line.len(),
                (false, true) => equals + 1,
                (false, false) => 0,
            };
            masked |= self.hide(line, from);
        }
        masked
    }

    fn keys_of_media(&mut self, body: &[u8]) {
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let inline = line.windows(7).position(|window| window.eq_ignore_ascii_case(b"inline:"));
            let from = match inline {
                Some(at) if line.starts_with(b"a=crypto:") => at + 7,
                _ if line.starts_with(b"k=") => 2,
                _ => line.len(),
            };
            self.hide(line, from);
        }
    }

    /// Writes a line, hidden from there on; whether there was anything to hide.
    fn hide(&mut self, line: &[u8], from: usize) -> bool {
        let (kept, hidden) = line.split_at(from);
        self.out.extend_from_slice(kept);
        self.out.extend(hidden.iter().map(|byte| if byte.is_ascii_whitespace() { *byte } else { b'*' }));
        hidden.iter().any(|byte| !byte.is_ascii_whitespace())
    }
}

/// Letter case does not matter; `word` is in small letters.
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// The parameter of a multipart type, which may be quoted.
fn boundary(kind: &[u8]) -> Option<Vec<u8>> {
    let at = kind.windows(9).position(|window| window.eq_ignore_ascii_case(b"boundary="))? + 9;
    let value = kind.get(at..)?;
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
        None => value.split(|byte| *byte == b';' || byte.is_ascii_whitespace()).next()?,
    };
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn text(message: &str) -> (String, bool) {
        let (bytes, masked) = blank(message.as_bytes());
        (String::from_utf8(bytes).unwrap(), masked)
    }

    #[test]
    fn credentials_are_taken_out() {
        let message = "REGISTER sip:a SIP/2.0\r\nVia: x\r\nauthorization: Digest username=\"201\",\r\n response=\"abc\"\r\n\
                       Proxy-Authorization: Digest y\r\nContent-Length: 0\r\n\r\n";
        let expected = "REGISTER sip:a SIP/2.0\r\nVia: x\r\nauthorization: [removed]\r\n\
                        Proxy-Authorization: [removed]\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(text(message), (expected.to_owned(), false));
    }

    #[test]
    fn digits_are_masked_in_their_length() {
        let info = |kind: &str, body: &str| {
            let head = format!("INFO sip:a SIP/2.0\r\nContent-Type: {kind}\r\n\r\n");
            let (out, masked) = text(&format!("{head}{body}"));
            (out.strip_prefix(&head).unwrap().to_owned(), masked)
        };
        assert_eq!(
            info("application/dtmf-relay", "Signal= 5\r\nDuration=160\r\n"),
            ("Signal= *\r\nDuration=160\r\n".to_owned(), true)
        );
        assert_eq!(info("Application/DTMF", "11"), ("**".to_owned(), true));
        assert_eq!(info("text/plain", "Signal=5\nok"), ("Signal=*\n**".to_owned(), true), "whatever it calls itself");
        assert_eq!(
            info("application/dtmf-relay", "Duration=160\rSignal=5"),
            ("Duration=160\rSignal=*".to_owned(), true)
        );
        assert_eq!(info("application/dtmf-relay", "Duration=2125550187\n"), ("Duration=**********\n".to_owned(), true));
        assert_eq!(info("application/dtmf-relay", "5=Signal\n"), ("********\n".to_owned(), true));
        assert_eq!(info("application/dtmf-relay", "\r\n"), ("\r\n".to_owned(), false));
        let notify = "NOTIFY sip:a SIP/2.0\nC: application/kpml-response+xml\n\n<kpml digits=\"5\"/>";
        assert_eq!(text(notify), (notify.replace("<kpml digits=\"5\"/>", "***** ************"), true));
        let other = "MESSAGE sip:a SIP/2.0\r\nc: text/plain\r\n\r\nSignal=5";
        assert_eq!(text(other), (other.to_owned(), false));
    }

    #[test]
    fn of_several_parts_each_is_blanked_as_what_it_is() {
        let message = "INVITE sip:a SIP/2.0\r\ncontent-type: multipart/mixed;\r\n boundary=\"b\"\r\n\r\n\
                       --b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\na=crypto:1 X inline:abc\r\n\
                       --b\r\nC: application/DTMF-relay\r\n\r\nSignal=5\r\nDuration=160\r\n--b--\r\n";
        let expected = message.replace("inline:abc", "inline:***").replace("Signal=5", "Signal=*");
        assert_eq!(text(message), (expected, true));
        // Of an INFO, also what is no part, or has a header that nobody knows.
        let message = "INFO sip:a SIP/2.0\nc: Multipart/Mixed; Boundary=b\n\n1\n--b\nSignal=5\n--b\n\n7\n\
                       --b\nContent-Type: text/x\nKey: 3\n\n9\n--b--\n2\n";
        let expected = "INFO sip:a SIP/2.0\nc: Multipart/Mixed; Boundary=b\n\n*\n--b\nSignal=*\n--b\n\n*\n\
                        --b\nContent-Type: text/x\n**** *\n\n*\n--b--\n*\n";
        assert_eq!(text(message), (expected.to_owned(), true));
        let without = "INFO sip:a SIP/2.0\r\nc: multipart/mixed\r\n\r\n--b\r\nSignal=5\r\n--b--\r\n";
        assert!(!text(without).0.ends_with("Signal=5\r\n--b--\r\n"));
    }

    /// A message, and where in it the digits are.
    #[derive(Clone, Debug, Default)]
    struct Marked {
        bytes: Vec<u8>,
        digits: Vec<usize>,
    }

    impl Marked {
        /// Adds a text, in which each `@` stands for the next digit.
        fn add(&mut self, text: &str, digits: &mut impl Iterator<Item = char>) {
            for c in text.chars() {
                if c == '@' {
                    self.digits.push(self.bytes.len());
                }
                let c = if c == '@' { digits.next().unwrap() } else { c };
                self.bytes.push(u8::try_from(c).unwrap());
            }
        }
    }

    const KEYS: [&str; 9] = [
        "@",
        "Signal=@",
        "signal = @\nDuration=160",
        "Duration=160\nSignal=@\n",
        "Duration=100\rSignal=@",
        "\nSignal=@\n\nSignal=@\n",
        "d=@\n",
        " @ \n",
        "@@@\n@@",
    ];
    const TYPES: [&str; 7] = [
        "application/dtmf-relay",
        "application/dtmf",
        "Application/DTMF-Relay; charset=utf-8",
        "APPLICATION/DTMF",
        "audio/telephone-event",
        "application/vnd.nortelnetworks.digits",
        "text/plain",
    ];
    const NAMES: [&str; 7] =
        ["Content-Type: ", "content-type:", "CONTENT-TYPE : ", "c: ", "C:", "c:\n ", "Content-Type:\n\t"];

    proptest! {
        #[test]
        fn no_digit_of_an_info_survives_whatever_its_shape(
            keys in select(&KEYS[..]),
            kind in select(&TYPES[..]),
            names in [select(&NAMES[..]), select(&NAMES[..]), select(&NAMES[..])],
            line_end in select(&["\r\n", "\n"][..]),
            depth in 0_usize..3,
            quoted: bool,
            sdp_before: bool,
            empty_lines_before in 0_usize..3,
            typed in "[0-9*#A-D]{5}",
        ) {
            let (mut head, mut body) = (format!("{}{kind}\n", names[0]), keys.to_owned());
            for level in 0..depth {
                let boundary = format!("b-{level}");
                let parameter = if quoted { format!("\"{boundary}\"") } else { boundary.clone() };
                let sdp = "Content-Type: application/sdp\n\nv=0\n";
                let before = if sdp_before { format!("--{boundary}\n{sdp}") } else { String::new() };
                body = format!("{before}--{boundary}\n{head}\n{body}\n--{boundary}--\n");
                head = format!("{}multipart/mixed; boundary={parameter}\n", names[level + 1]);
            }
            let head = format!("{}INFO sip:a SIP/2.0\nCall-ID: 5\n{head}CSeq: 5 INFO\n\n", "\n".repeat(empty_lines_before));
            let mut marked = Marked::default();
            let mut digits = typed.chars();
            marked.add(&head.replace('\n', line_end), &mut digits);
            let body_at = marked.bytes.len();
            marked.add(&body.replace('\n', line_end), &mut digits);
            let (blanked, masked) = blank(&marked.bytes);
            prop_assert!(masked);
            prop_assert_eq!(blanked.len(), marked.bytes.len());
            prop_assert_eq!(&blanked[..body_at], &marked.bytes[..body_at]);
            for at in marked.digits {
                prop_assert_eq!(blanked[at], b'*', "{}", String::from_utf8_lossy(&blanked));
            }
        }
    }

    #[test]
    fn keys_of_media_are_masked() {
        let sdp = "INVITE sip:a SIP/2.0\r\nc: application/sdp\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^20\r\nk=clear:x\r\na=x\r\n";
        let expected = sdp.replace("abc|2^20", "********").replace("clear:x", "*******");
        assert_eq!(text(sdp), (expected, false));
    }

    #[test]
    fn the_call_id_is_found_by_either_name() {
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\nVia: x\r\nCALL-id : a@b \r\n\r\n"), Some("a@b"));
        assert_eq!(call_id(b"SIP/2.0 200 OK\ni:a\n\n"), Some("a"));
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\nCall-ID: body\r\n"), None);
        assert_eq!(call_id(b"\r\n\r\n"), None);
    }
}
