//! What of a message must not be kept, taken out: the rest stays as it was, byte by byte.

/// The value of the Call-ID.
pub(super) fn call_id(message: &[u8]) -> Option<&str> {
    let value = header(message, &[b"Call-ID", b"i"])?;
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

fn head_length(message: &[u8]) -> usize {
    message.windows(4).position(|window| window == b"\r\n\r\n").map_or(message.len(), |at| at + 4)
}

fn header<'m>(message: &'m [u8], names: &[&[u8]]) -> Option<&'m [u8]> {
    for line in message.split(|byte| *byte == b'\n').skip(1) {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if names.iter().any(|known| known.eq_ignore_ascii_case(name.trim_ascii())) {
            return value.get(1..).map(<[u8]>::trim_ascii);
        }
    }
    None
}

/// The message without credentials, keys of media and digits of INFO; and whether there were digits.
pub(super) fn blank(message: &[u8]) -> (Vec<u8>, bool) {
    let (head, body) = message.split_at(head_length(message));
    let kind = header(message, &[b"Content-Type", b"c"]).unwrap_or_default().to_ascii_lowercase();
    let mut out = Vec::with_capacity(message.len());
    let mut secret = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if folded && secret {
            continue;
        }
        secret = [b"Authorization".as_slice(), b"Proxy-Authorization"].iter().any(|it| it.eq_ignore_ascii_case(name));
        if secret {
            out.extend_from_slice(name);
            out.extend_from_slice(b": [removed]\r\n");
        } else {
            out.extend_from_slice(line);
        }
    }
    let digits = kind.starts_with(b"application/dtmf");
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let keep = if digits {
            // `Signal=5`; or, as application/dtmf, nothing but the digit.
            match line.iter().position(|byte| *byte == b'=') {
                Some(equals)
                    if line.get(..equals).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"Signal")) =>
                {
                    equals + 1
                }
                Some(_) => line.len(),
                None => 0,
            }
        } else {
            let inline = line.windows(7).position(|window| window.eq_ignore_ascii_case(b"inline:"));
            match inline {
                Some(at) if line.starts_with(b"a=crypto:") => at + 7,
                _ if line.starts_with(b"k=") => 2,
                _ => line.len(),
            }
        };
        let (kept, hidden) = line.split_at(keep);
        out.extend_from_slice(kept);
        // As long as it was: Content-Length stays true.
        out.extend(hidden.iter().map(|byte| if byte.is_ascii_whitespace() { *byte } else { b'*' }));
    }
    (out, digits && !body.is_empty())
}

#[cfg(test)]
mod tests {
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
        assert_eq!(info("text/plain", "Signal=5"), ("Signal=5".to_owned(), false));
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
