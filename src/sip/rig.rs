//! For tests: a peer at the other end of a UDP socket that says what its test tells it to, and an endpoint to speak to it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::endpoint::{Endpoint, Timers};
use super::header;
use crate::clock::Clock;
use crate::settings::{SecretPlaces, Settings};

/// A second is 25 T1: a test that waits for a timeout is done soon.
pub(super) const TIMERS: Timers =
    Timers { t1: Duration::from_millis(40), t2: Duration::from_millis(320), t4: Duration::from_millis(400) };

/// Settings with these `[[trunk]]` tables; the secret `P` is `secret`.
pub(super) fn settings(trunks: &str) -> Settings {
    let text = format!(
        "[clinic]\nname = \"Riverside\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:5060\"]\n[sms]\ngateway = \"sandbox\"\nfrom = \"+12125550100\"\n{trunks}"
    );
    let secrets = SecretPlaces {
        folder: "/nowhere".into(),
        credentials: None,
        environment: |name| (name == "P").then(|| "secret".to_owned()),
    };
    let mut settings = Settings::parse(Path::new("/nowhere/threadline.toml"), &text, &secrets).expect("settings");
    for listen in &mut settings.sip.listen {
        listen.address.set_port(0);
    }
    settings
}

/// An endpoint on a free port of the loopback, with brisk timers.
pub(super) async fn endpoint(settings: &Settings) -> Endpoint {
    let (endpoint, calls) = Endpoint::bind_with(settings, Clock::system(), TIMERS).await.expect("a free port");
    // No call comes in by this rig.
    drop(calls);
    endpoint
}

/// The other end.
pub(super) struct Peer {
    socket: UdpSocket,
}

/// A message that the peer received.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub text: String,
    pub from: SocketAddr,
}

impl Heard {
    pub fn method(&self) -> &str {
        self.text.split(' ').next().unwrap()
    }

    pub fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn to_tag(&self) -> Option<&str> {
        header::tag(self.header("To"))
    }

    pub fn branch(&self) -> &str {
        header::parameter(self.header("Via"), "branch").unwrap()
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }
}

impl Peer {
    pub async fn new() -> Peer {
        Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next request of this method. Repetitions of others are passed over, and OPTIONS is answered.
    pub async fn next(&self, method: &str) -> Heard {
        let wait = async {
            loop {
                let heard = self.any().await;
                if heard.method() == method {
                    return heard;
                }
                if heard.method() == "OPTIONS" {
                    self.reply(&heard, 200, "p", "", "").await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("no {method} came"))
    }

    pub async fn any(&self) -> Heard {
        let mut buffer = vec![0; 65_536];
        let (length, from) = self.socket.recv_from(&mut buffer).await.unwrap();
        buffer.truncate(length);
        // The independent judge: what we send must parse elsewhere too.
        rsip::SipMessage::try_from(buffer.as_slice()).expect("a message that another parser can read");
        Heard { text: String::from_utf8(buffer).unwrap(), from }
    }

    /// Answers with To's tag `tag` (empty: none), further header lines (each ending in CRLF) and a body of SDP.
    pub async fn reply(&self, request: &Heard, status: u16, tag: &str, headers: &str, body: &str) {
        let mut to = request.header("To").to_owned();
        if request.to_tag().is_none() && !tag.is_empty() {
            to += &format!(";tag={tag}");
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request.header("Via"),
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            body.len()
        );
        self.socket.send_to(text.as_bytes(), request.from).await.unwrap();
    }

    /// Sends a message of the test's own.
    pub async fn send(&self, text: &str, to: SocketAddr) {
        self.socket.send_to(text.as_bytes(), to).await.unwrap();
    }

    /// A Contact line that leads back here.
    pub fn contact(&self, user: &str) -> String {
        format!("Contact: <sip:{user}@{}>\r\n", self.address())
    }
}
