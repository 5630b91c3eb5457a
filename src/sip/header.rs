//! A header's value: its list, the name and URI of an address, its parameters (RFC 3261 sections 7.3.1, 20 and 25.1).
//!
//! Quotes and angle brackets are minded everywhere in the same way. The SIP library's own parser takes the `<B>` of
//! `"A, <B>" <sip:…>` for the address, so values are read here.

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

/// The URI in a From, To, Contact or the like: what stands in the angle brackets that are not in a quoted name, or all
/// up to the first `;` where there are none (RFC 3261 section 20: parameters then belong to the header). `None`: no URI.
pub(super) fn uri(header: &str) -> Option<&str> {
    let (_, uri) = name_and_uri(header);
    uri.contains(':').then_some(uri)
}

/// Splits a header's display name from its URI, minding quotes.
pub(super) fn name_and_uri(text: &str) -> (String, &str) {
    let text = text.trim();
    let mut display = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                display.push(c);
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => {
                let inside = text.get(at + 1..).unwrap_or_default();
                let uri = inside.split_once('>').map_or(inside, |(uri, _)| uri);
                return (display.trim().to_owned(), uri.trim());
            }
            _ => display.push(c),
        }
    }
    // No angle brackets. A quote left open hides them; then the last pair is the best guess.
    if quoted && let Some((_, inside)) = text.rsplit_once('<') {
        return (String::new(), inside.split('>').next().unwrap_or_default().trim());
    }
    let end = match text.get(..4) {
        // A bare tel: URI keeps its parameters: phone-context is part of the number.
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => text.len(),
        // The user part may hold `;`, so the header's parameters begin after the host.
        _ => {
            let host = text.find('@').unwrap_or(0);
            text.get(host..).and_then(|rest| rest.find(';')).map_or(text.len(), |at| host + at)
        }
    };
    (String::new(), text.get(..end).unwrap_or_default().trim())
}

/// Host and port of a SIP URI, as they stand there.
fn host_and_port(uri: &str) -> (&str, Option<&str>) {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let at = rest.rsplit_once('@').map_or(rest, |(_, at)| at);
    let at = at.split([';', '?', '>']).next().unwrap_or_default();
    let bracketed = at.strip_prefix('[').and_then(|inside| inside.split_once(']'));
    let (host, after) = match bracketed {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => at.split_once(':').map_or((at, None), |(host, port)| (host, Some(port))),
    };
    (host, after)
}

/// The user part of a SIP URI, as it stands there, without a password.
pub(super) fn user(uri: &str) -> Option<&str> {
    let rest = uri.split_once(':')?.1;
    rest.rsplit_once('@').map(|(user, _)| user.split([':', ';']).next().unwrap_or_default())
}

/// The host of a SIP URI: a name or an address, without the brackets of IPv6.
pub(super) fn host(uri: &str) -> &str {
    host_and_port(uri).0
}

/// The port of a SIP URI, or what its transport says (RFC 3261 section 19.1.2). `None`: no number.
pub(super) fn port(uri: &str) -> Option<u16> {
    let secure = uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
        || parameter(&format!("<{uri}>;{}", uri.split_once(';').map_or("", |(_, all)| all)), "transport")
            .is_some_and(|transport| transport.eq_ignore_ascii_case("tls"));
    match host_and_port(uri).1 {
        Some(port) => port.parse().ok(),
        None => Some(if secure { 5061 } else { 5060 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_a_uri() {
        for (uri, expected_host, expected_port) in [
            ("sip:a@192.0.2.1:5070;transport=udp", "192.0.2.1", Some(5070)),
            ("sip:a;x=y@h.example", "h.example", Some(5060)),
            ("sip:[2001:db8::1]", "2001:db8::1", Some(5060)),
            ("sip:a@[2001:db8::1]:5080", "2001:db8::1", Some(5080)),
            ("sips:h", "h", Some(5061)),
            ("sip:h;transport=TLS", "h", Some(5061)),
            ("sip:h:x", "h", None),
        ] {
            assert_eq!((host(uri), port(uri)), (expected_host, expected_port), "{uri}");
        }
    }

    #[test]
    fn lists_and_parameters() {
        assert_eq!(
            list("\"A, <B>\" <sip:a@b,c>;q=1, <sip:d>").collect::<Vec<_>>(),
            ["\"A, <B>\" <sip:a@b,c>;q=1", "<sip:d>"]
        );
        assert_eq!(tag("\"x;tag=no\" <sip:a;tag=no>;Tag=yes"), Some("yes"));
        assert_eq!(tag("sip:a@b;tag=t"), Some("t"));
    }

    #[test]
    fn a_uri_in_a_quoted_name_is_not_the_uri() {
        assert_eq!(uri("\"A, <B>\" <sip:a%40b@h>;tag=1"), Some("sip:a%40b@h"));
        assert_eq!(uri("sip:a@h;tag=1"), Some("sip:a@h"));
        assert_eq!(uri("nothing"), None);
    }
}
