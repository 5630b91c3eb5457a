//! Requests and responses of ours, and reading theirs.

use rsipstack::sip::{Header, Headers, Host, HostWithPort, Method, Request, Response, StatusCode, Uri, Version};

use super::header;

/// The value of the first header of a kind, as text.
macro_rules! first {
    ($message:expr, $kind:ident) => {
        $message.headers.iter().find_map(|header| match header {
            rsipstack::sip::Header::$kind(value) => Some(value.value()),
            _ => None,
        })
    };
}

/// The values of all headers of a kind, as text.
macro_rules! all {
    ($message:expr, $kind:ident) => {
        $message.headers.iter().filter_map(|header| match header {
            rsipstack::sip::Header::$kind(value) => Some(value.value()),
            _ => None,
        })
    };
}

pub(super) use {all, first};

/// The random part of tags, branches and Call-IDs: 96 bits in hexadecimal digits.
pub(super) fn random() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 12];
    // Without randomness from the kernel nothing here is safe to run; tags that repeat merely make calls fail.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    bytes.iter().fold(String::with_capacity(24), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// A Request-URI that goes out exactly as written: the library would escape `%40` again when it prints a parsed one.
pub(super) fn verbatim(uri: &str) -> Uri {
    Uri {
        scheme: None,
        auth: None,
        host_with_port: HostWithPort { host: Host::Domain(uri.to_owned().into()), port: None },
        params: Vec::new(),
        headers: Vec::new(),
    }
}

/// A response with what RFC 3261 section 8.2.6 copies from the request, and `to_tag` unless To has one.
pub(super) fn response(request: &Request, status: u16, to_tag: &str) -> Response {
    let mut headers = Headers::default();
    for header in request.headers.iter() {
        match header {
            Header::To(to) if header::tag(to.value()).is_none() => {
                headers.push(Header::To(format!("{};tag={to_tag}", to.value()).into()));
            }
            Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::CSeq(_) => {
                headers.push(header.clone());
            }
            _ => {}
        }
    }
    headers.push(Header::ContentLength(0_u32.into()));
    Response {
        status_code: StatusCode::from(status),
        wire_reason: None,
        version: Version::V2,
        headers,
        body: Vec::new(),
    }
}

/// Puts a body into a message.
pub(super) fn set_body(headers: &mut Headers, body: &mut Vec<u8>, content_type: &str, content: Vec<u8>) {
    headers.retain(|h| !matches!(h, Header::ContentLength(_) | Header::ContentType(_)));
    headers.push(Header::ContentType(content_type.into()));
    headers.push(Header::ContentLength(u32::try_from(content.len()).unwrap_or(u32::MAX).into()));
    *body = content;
}

/// A request to go out; Via, Max-Forwards and Content-Length are the sender's.
pub(super) fn request(method: Method, uri: &str, headers: Vec<Header>) -> Request {
    Request { method, uri: verbatim(uri), version: Version::V2, headers: headers.into(), body: Vec::new() }
}

/// The CSeq number.
pub(super) fn cseq(headers: &Headers) -> Option<u32> {
    headers.iter().find_map(|h| match h {
        Header::CSeq(value) => value.value().split(' ').next()?.parse().ok(),
        _ => None,
    })
}

/// The option tags of Require, Supported or the like.
pub(super) fn tokens<'v>(values: impl Iterator<Item = &'v str>) -> impl Iterator<Item = &'v str> {
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// The body as SDP, if it is one.
pub(super) fn sdp(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let kind = content_type?.split(';').next()?.trim();
    (kind.eq_ignore_ascii_case("application/sdp") && !body.is_empty())
        .then(|| String::from_utf8_lossy(body).into_owned())
}

/// The numeric status.
pub(super) fn status(response: &Response) -> u16 {
    response.status_code.clone().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_uri_goes_out_as_it_came() {
        let contact = "sip:a%40b@h:5070;transport=udp;ob";
        assert_eq!(verbatim(contact).to_string(), contact);
        // The library alone escapes the escape: the reason for this function.
        assert!(Uri::try_from(contact).unwrap().to_string().contains("%2540"));
    }
}
