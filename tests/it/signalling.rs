//! The SIP endpoint over loopback sockets, against peers that speak the wire by hand.

mod calls;
mod ipv6;
mod offers;
pub mod phones;
mod refresh;
mod refusals;
mod srv;
mod streams;
mod transfers;
mod trunks;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use threadline::clock::Clock;
use threadline::model::Caller;
use threadline::settings::{Listen, SecretPlaces, Settings, Transport};
use threadline::sip::{Dialog, DialogEvent, Ended, Endpoint, Incoming, Timers};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// An offer of PCMU, and an answer to one.
pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// No answer for so long is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// An endpoint of ours.
pub struct TestBox {
    pub endpoint: Endpoint,
    pub incoming: Option<mpsc::Receiver<Incoming>>,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
}

impl TestBox {
    /// Bound to loopback, with one trunk there that takes any number; `change` what the test is about.
    pub async fn start(change: impl FnOnce(&mut Settings)) -> TestBox {
        Self::start_with(change, Timers { t1: Duration::from_millis(40), ..Timers::default() }, Clock::system()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Settings), timers: Timers, clock: Clock) -> TestBox {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let text = std::fs::read_to_string(folder.join("threadline.toml")).unwrap();
        let mut settings =
            Settings::parse(&folder.join("threadline.toml"), &text, &SecretPlaces::of_process(&folder)).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        settings.sip.listen = vec![
            Listen { transport: Transport::Udp, address: any },
            Listen { transport: Transport::Tcp, address: any },
        ];
        settings.sip.max_calls = 100;
        settings.trunks[0].accept_from = vec!["127.0.0.1/32".parse().unwrap()];
        settings.trunks[0].numbers.clear();
        change(&mut settings);
        let (endpoint, incoming) = Endpoint::bind_with(&settings, clock, timers).await.unwrap();
        let at =
            |transport| endpoint.local_addresses().iter().find(|l| l.transport == transport).map_or(any, |l| l.address);
        let (udp, tcp) = (at(Transport::Udp), at(Transport::Tcp));
        TestBox { endpoint, incoming: Some(incoming), udp, tcp }
    }

    async fn call(&mut self) -> Incoming {
        tokio::time::timeout(PATIENCE, self.incoming.as_mut().unwrap().recv()).await.expect("no call").unwrap()
    }
}

/// The other side: a UDP socket.
pub struct Peer {
    socket: UdpSocket,
    pub here: SocketAddr,
    tag: String,
}

/// The status of a response.
pub fn status(text: &str) -> u16 {
    let response = rsip::Response::try_from(judged(text)).unwrap_or_else(|e| panic!("rsip: {e}\n{text}"));
    response.status_code.into()
}

/// What the independent judge is shown: it knows no IPv6 hosts, so another address stands in for ours.
fn judged(text: &str) -> Vec<u8> {
    text.replace("[::1]", "127.0.0.1").into_bytes()
}

/// A header's first value.
pub fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().take_while(|l| !l.is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Peer {
    pub async fn new(server: SocketAddr) -> Peer {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Peer::at(any, server).await
    }

    /// One at an address of its own.
    pub async fn at(here: &str, server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind(here).await.unwrap();
        socket.connect(server).await.unwrap();
        let here = socket.local_addr().unwrap();
        Peer { socket, here, tag: format!("p{}", here.port()) }
    }

    pub async fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send(bytes).await.unwrap();
    }

    pub async fn send(&self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// The next message; `None`: none came.
    pub async fn receive(&self) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        let length = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await.ok()?.ok()?;
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        // The independent judge: whatever we emit must be SIP to another parser.
        rsip::SipMessage::try_from(judged(&text)).unwrap_or_else(|e| panic!("rsip: {e}\n{text}"));
        Some(text)
    }

    /// What has come and was not read.
    pub fn unread(&self) -> Vec<String> {
        let mut buffer = vec![0; 65_536];
        let next = || {
            let length = self.socket.try_recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }

    /// The next message that is wanted; others are passed over.
    pub async fn receive_where(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let text = self.receive().await.expect("nothing more came");
            if wanted(&text) {
                return text;
            }
        }
    }

    /// The next response with this status.
    pub async fn expect(&self, code: u16) -> String {
        self.receive_where(|text| text.starts_with("SIP/2.0 ") && status(text) == code).await
    }

    /// The next request of this method.
    pub async fn expect_request(&self, method: &str) -> String {
        self.receive_where(|text| text.starts_with(&format!("{method} "))).await
    }

    /// A request outside any dialog; `extra` are headers, each with its line end.
    pub fn request(&self, method: &str, call_id: &str, cseq: u32, extra: &str, body: &str) -> String {
        self.to(method, call_id, cseq, "<sip:+12125550100@127.0.0.1>", extra, body)
    }

    pub fn to(&self, method: &str, call_id: &str, cseq: u32, to: &str, extra: &str, body: &str) -> String {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:+12125550100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{call_id}{cseq}{m}\r\n\
             From: \"Pat\" <sip:+16462530142@127.0.0.1>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:pat%40home@{here}>\r\nMax-Forwards: 70\r\n{extra}{kind}Content-Length: {length}\r\n\r\n{body}",
            here = self.here,
            tag = self.tag,
            m = if method == "CANCEL" { "INVITE" } else { method },
            length = body.len(),
        )
    }

    pub fn options(&self, call_id: &str) -> String {
        self.request("OPTIONS", call_id, 1, "", "")
    }

    /// An answer to a request of the box's.
    pub async fn answer(&self, request: &str, status_line: &str, extra: &str, body: &str) {
        let mut out = format!("SIP/2.0 {status_line}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            out += &format!("{name}: {}\r\n", header(request, name).unwrap());
        }
        out += &format!("Contact: <sip:{}>\r\n{extra}Content-Length: {}\r\n\r\n{body}", self.here, body.len());
        self.send(&out).await;
    }

    /// A call up to the ACK.
    async fn establish(&self, box_: &mut TestBox, call_id: &str, extra: &str) -> (Dialog, String) {
        self.send(&self.request("INVITE", call_id, 1, extra, SDP)).await;
        let call = box_.call().await;
        let mut dialog = call.answer(SDP.to_owned()).await.unwrap();
        let ok = self.expect(200).await;
        self.ack(&ok, 1, "").await;
        assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { sdp: None }));
        (dialog, ok)
    }

    pub async fn ack(&self, ok: &str, cseq: u32, body: &str) {
        let ack = self.to("ACK", header(ok, "Call-ID").unwrap(), cseq, header(ok, "To").unwrap(), "", body);
        self.send(&ack).await;
    }
}

async fn event(dialog: &mut Dialog) -> DialogEvent {
    tokio::time::timeout(PATIENCE, dialog.next()).await.expect("no event")
}

async fn ended(dialog: &mut Dialog) -> (Ended, String) {
    loop {
        if let DialogEvent::Ended { by, cause } = event(dialog).await {
            return (by, cause);
        }
    }
}
