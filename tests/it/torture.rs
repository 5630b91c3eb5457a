//! The torture messages of RFC 4475, each sent to a bound endpoint, with the answer that the RFC expects of an element
//! that answers calls and is no registrar.
//!
//! `tests/data/torture/NAME.sip` holds each with plain line ends; `$LEN` stands for the body's length and `<hex>…</hex>`
//! for bytes, as in the RFC. The application behind the endpoint refuses every call with 486, so that 486 means: the
//! message was understood and the call was offered.

use std::path::Path;

use crate::signalling::{Peer, TestBox};

/// What must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Status(u16),
    Nothing,
}
use Expect::{Nothing, Status};

/// Name, section of RFC 4475, answer.
const TABLE: &[(&str, &str, Expect)] = &[
    ("wsinv", "3.1.1.1", Status(486)),
    ("intmeth", "3.1.1.2", Status(501)),
    ("esc01", "3.1.1.3", Status(486)),
    ("escnull", "3.1.1.4", Status(405)),
    ("esc02", "3.1.1.5", Status(501)),
    ("lwsdisp", "3.1.1.6", Status(200)),
    ("longreq", "3.1.1.7", Status(486)),
    ("dblreq", "3.1.1.8", Status(405)),
    ("semiuri", "3.1.1.9", Status(200)),
    ("transports", "3.1.1.10", Status(200)),
    ("mpart01", "3.1.1.11", Status(405)),
    ("unreason", "3.1.1.12", Nothing),
    ("noreason", "3.1.1.13", Nothing),
    ("badinv01", "3.1.2.1", Status(400)),
    ("clerr", "3.1.2.2", Status(400)),
    ("ncl", "3.1.2.3", Status(400)),
    ("scalar02", "3.1.2.4", Status(400)),
    ("scalarlg", "3.1.2.5", Nothing),
    ("quotbal", "3.1.2.6", Status(400)),
    ("ltgtruri", "3.1.2.7", Status(400)),
    ("lwsruri", "3.1.2.8", Status(400)),
    ("lwsstart", "3.1.2.9", Status(400)),
    ("trws", "3.1.2.10", Status(400)),
    ("escruri", "3.1.2.11", Status(400)),
    // A date in another zone may be ignored, and is.
    ("baddate", "3.1.2.12", Status(486)),
    ("regbadct", "3.1.2.13", Status(400)),
    ("badaspec", "3.1.2.14", Status(400)),
    // A name that should be quoted may be read all the same, and is: the patient cannot mend the PBX.
    ("baddn", "3.1.2.15", Status(200)),
    ("badvers", "3.1.2.16", Status(505)),
    ("mismatch01", "3.1.2.17", Status(400)),
    // 400 and 501 are both right.
    ("mismatch02", "3.1.2.18", Status(400)),
    ("bigcode", "3.1.2.19", Nothing),
    ("badbranch", "3.2.1", Status(200)),
    ("insuf", "3.3.1", Status(400)),
    ("unkscm", "3.3.2", Status(416)),
    ("novelsc", "3.3.3", Status(416)),
    ("unksm2", "3.3.4", Status(405)),
    ("bext01", "3.3.5", Status(420)),
    ("invut", "3.3.6", Status(415)),
    ("regaut01", "3.3.7", Status(405)),
    ("multi01", "3.3.8", Status(400)),
    ("mcl01", "3.3.9", Status(400)),
    ("bcast", "3.3.10", Nothing),
    ("zeromf", "3.3.11", Status(200)),
    ("cparam01", "3.3.12", Status(405)),
    ("cparam02", "3.3.13", Status(405)),
    ("regescrt", "3.3.14", Status(405)),
    ("sdp01", "3.3.15", Status(406)),
    // Without a From tag: RFC 2543 only, which an element need not speak.
    ("inv2543", "3.4.1", Status(400)),
];

/// The message as it goes over the wire.
fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torture").join(format!("{name}.sip"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let body = text.split_once("\n\n").map_or("", |(_, body)| body);
    let length = bytes(body).len();
    bytes(&text.replace("$LEN", &length.to_string()))
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parts = text.split("<hex>");
    out.extend(parts.next().unwrap_or_default().replace('\n', "\r\n").into_bytes());
    for part in parts {
        let (digits, rest) = part.split_once("</hex>").unwrap();
        for pair in digits.as_bytes().chunks(2) {
            out.push(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        }
        out.extend(rest.replace('\n', "\r\n").into_bytes());
    }
    out
}

#[tokio::test]
async fn each_torture_message_gets_the_answer_that_the_rfc_expects() {
    let mut box_ = TestBox::start(|_| ()).await;
    let mut incoming = box_.incoming.take().unwrap();
    tokio::spawn(async move {
        while let Some(call) = incoming.recv().await {
            call.reject(486, "").await;
        }
    });
    let mut wrong = Vec::new();
    for (name, section, expect) in TABLE {
        let peer = Peer::new(box_.udp).await;
        peer.send_bytes(&read(name)).await;
        // Whatever comes, the endpoint must still be there: its answer to OPTIONS also says that nothing else came.
        let mut got = Nothing;
        if *expect == Nothing {
            peer.send(&peer.options("after")).await;
        }
        let answer = peer.receive().await;
        let status = answer.as_deref().map(crate::signalling::status);
        let is_probe = answer.as_deref().is_some_and(|answer| answer.contains("Call-ID: after"));
        if let Some(status) = status.filter(|_| !is_probe) {
            got = Status(status);
        } else if !is_probe {
            wrong.push(format!("{name} ({section}): the endpoint is silent"));
            continue;
        }
        if got != *expect {
            wrong.push(format!("{name} ({section}): {got:?} instead of {expect:?}: {}", answer.unwrap_or_default()));
        }
        if *expect != Nothing {
            peer.send(&peer.options("after")).await;
            // An INVITE's answer is repeated until its ACK.
            let alive = peer.receive_where(|text| text.contains("Call-ID: after")).await;
            assert_eq!(crate::signalling::status(&alive), 200, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(TABLE.len() >= 30);
}
