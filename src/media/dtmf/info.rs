//! Digits in the body of a SIP INFO, as phones send them without any RFC to say how.
//!
//! Two forms are common: `application/dtmf-relay` (Cisco: `Signal=5`, `Duration=160`) and `application/dtmf` (the bare
//! digit; some peers put `Signal=5` there too).

use crate::model::Digit;

/// A body longer than this is no digit.
const LONGEST_BODY: usize = 256;

/// The digit that an INFO carries, if its `Content-Type` and body say one.
///
/// Spaces and letter case do not matter, nor do parameters of the content type; `10` and `11` are `*` and `#`, and `12`
/// to `15` are `A` to `D`, as in RFC 4733.
pub fn parse(content_type: &str, body: &[u8]) -> Option<Digit> {
    if body.len() > LONGEST_BODY {
        return None;
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let body = std::str::from_utf8(body).ok()?;
    if media_type.eq_ignore_ascii_case("application/dtmf-relay") {
        digit(signal(body)?)
    } else if media_type.eq_ignore_ascii_case("application/dtmf") {
        digit(signal(body).unwrap_or_else(|| body.trim()))
    } else {
        None
    }
}

/// The value of the first `Signal` line.
fn signal(body: &str) -> Option<&str> {
    body.split(['\r', '\n']).find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
    })
}

fn digit(text: &str) -> Option<Digit> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) => Digit::from_char(one),
        // Two characters, so that "05" and "+5" are not taken for numbers.
        (Some('1'), Some('0'..='5')) if text.len() == 2 => text.parse().ok().and_then(Digit::from_event),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> Option<char> {
        parse(content_type, body.as_bytes()).map(Digit::as_char)
    }

    #[test]
    fn a_relay_body_names_the_signal() {
        for digit in Digit::ALL {
            let body = format!("Signal={digit}\r\nDuration=160\r\n");
            assert_eq!(parse("application/dtmf-relay", body.as_bytes()), Some(digit));
        }
    }

    #[test]
    fn spaces_case_order_and_line_ends_do_not_matter() {
        for body in ["Signal= *", "signal =*\n", "SIGNAL=*\r\nDuration=250", "Duration=100\r\nSignal=*", "\r\nSignal=*"]
        {
            assert_eq!(read("application/dtmf-relay", body), Some('*'), "{body:?}");
        }
        assert_eq!(read("Application/DTMF-Relay; charset=utf-8", "Signal=5"), Some('5'));
        assert_eq!(read("application/dtmf-relay", "Signal=a"), Some('A'));
    }

    #[test]
    fn numbers_above_nine_are_event_codes() {
        for (number, digit) in [("10", '*'), ("11", '#'), ("12", 'A'), ("15", 'D')] {
            assert_eq!(read("application/dtmf-relay", &format!("Signal={number}")), Some(digit));
            assert_eq!(read("application/dtmf", number), Some(digit));
        }
    }

    #[test]
    fn a_bare_digit() {
        assert_eq!(read("application/dtmf", "7"), Some('7'));
        assert_eq!(read("application/dtmf", " # \r\n"), Some('#'));
        assert_eq!(read("application/dtmf", "Signal=7\r\nDuration=100"), Some('7'));
    }

    #[test]
    fn anything_else_is_no_digit() {
        for (content_type, body) in [
            ("application/dtmf-relay", ""),
            ("application/dtmf-relay", "5"),
            ("application/dtmf-relay", "Signal="),
            ("application/dtmf-relay", "Signal=16"),
            ("application/dtmf-relay", "Signal=1x"),
            ("application/dtmf-relay", "Signal=55"),
            ("application/dtmf-relay", "Signal=+5"),
            ("application/dtmf-relay", "Signal=é"),
            ("application/dtmf-relay", "Duration=160"),
            ("application/dtmf", "x"),
            ("application/dtmf", "05"),
            ("text/plain", "5"),
            ("", "5"),
        ] {
            assert_eq!(read(content_type, body), None, "{content_type} {body:?}");
        }
        assert_eq!(parse("application/dtmf", b"\xff"), None);
        assert_eq!(parse("application/dtmf", &[b' '; 300]), None);
    }
}
