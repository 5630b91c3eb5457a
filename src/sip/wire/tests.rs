use super::head::quote_name;
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
    assert!(answer.contains(";received=127.0.0.1;rport=5071\r\n") && answer.contains("To: <sip:a@b>;tag="), "{answer}");
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
fn a_name_that_should_be_quoted_is() {
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
