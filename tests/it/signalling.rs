//! The SIP endpoint over loopback sockets, against peers that speak the wire by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use threadline::clock::Clock;
use threadline::model::Caller;
use threadline::settings::{Listen, SecretPlaces, Settings, Strangers, Transport};
use threadline::sip::{AnswerError, Dialog, DialogEvent, Ended, Endpoint, Incoming, Timers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

const SDP: &str =
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
        Self::start_with(change, Timers { t1: Duration::from_millis(20), ..Timers::default() }, Clock::system()).await
    }

    async fn start_with(change: impl FnOnce(&mut Settings), timers: Timers, clock: Clock) -> TestBox {
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
    here: SocketAddr,
    tag: String,
}

/// The status of a response.
pub fn status(text: &str) -> u16 {
    let response = rsip::Response::try_from(text.as_bytes().to_vec()).unwrap_or_else(|e| panic!("rsip: {e}\n{text}"));
    response.status_code.into()
}

/// A header's first value.
fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().take_while(|l| !l.is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Peer {
    pub async fn new(server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
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
        rsip::SipMessage::try_from(text.as_bytes().to_vec()).unwrap_or_else(|e| panic!("rsip: {e}\n{text}"));
        Some(text)
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
    async fn expect(&self, code: u16) -> String {
        self.receive_where(|text| text.starts_with("SIP/2.0 ") && status(text) == code).await
    }

    /// The next request of this method.
    async fn expect_request(&self, method: &str) -> String {
        self.receive_where(|text| text.starts_with(&format!("{method} "))).await
    }

    /// A request outside any dialog; `extra` are headers, each with its line end.
    fn request(&self, method: &str, call_id: &str, cseq: u32, extra: &str, body: &str) -> String {
        self.to(method, call_id, cseq, "<sip:+12125550100@127.0.0.1>", extra, body)
    }

    fn to(&self, method: &str, call_id: &str, cseq: u32, to: &str, extra: &str, body: &str) -> String {
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
    async fn answer(&self, request: &str, status_line: &str, extra: &str, body: &str) {
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

    async fn ack(&self, ok: &str, cseq: u32, body: &str) {
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

#[tokio::test]
async fn a_call_is_answered_talks_and_ends() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let routes = "Record-Route: <sip:p2.example.com;lr>\r\nRecord-Route: <sip:p1.example.com;lr>\r\n";
    peer.send(&peer.request("INVITE", "basic", 1, routes, SDP)).await;
    let mut call = box_.call().await;
    assert_eq!(call.trunk, "carrier");
    assert!(matches!(&call.from, Caller::Number(n) if n.as_str() == "+16462530142"), "{:?}", call.from);
    assert_eq!(call.to.as_ref().unwrap().as_str(), "+12125550100");
    assert_eq!((call.dialled.as_str(), call.call_id.as_str()), ("+12125550100", "basic"));
    assert_eq!(call.offer.as_deref(), Some(SDP));
    assert_eq!((call.local_address.to_string().as_str(), call.peer), ("127.0.0.1", peer.here));
    call.ringing().await;
    let ringing = peer.expect(180).await;
    let mut dialog = call.answer(SDP.to_owned()).await.unwrap();
    let ok = peer.expect(200).await;
    assert_eq!(header(&ringing, "To"), header(&ok, "To"), "one To tag for the dialog");
    let order: Vec<_> = ok.lines().filter(|l| l.starts_with("Record-Route")).collect();
    assert_eq!(order, ["Record-Route: <sip:p2.example.com;lr>", "Record-Route: <sip:p1.example.com;lr>"]);
    assert!(header(&ok, "Contact").unwrap().contains(&box_.udp.to_string()), "{ok}");
    assert!(header(&ok, "Via").unwrap().contains(&format!("rport={}", peer.here.port())), "{ok}");
    assert!(ok.ends_with(SDP));
    peer.ack(&ok, 1, "").await;
    assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { sdp: None }));

    let info = peer.to("INFO", "basic", 2, header(&ok, "To").unwrap(), "", "Signal=1\r\n");
    peer.send(&info.replace("application/sdp", "application/dtmf-relay")).await;
    peer.expect(200).await;
    let DialogEvent::Info { content_type, body } = event(&mut dialog).await else { panic!() };
    assert_eq!((content_type.as_str(), &body[..]), ("application/dtmf-relay", &b"Signal=1\r\n"[..]));

    assert_eq!(box_.endpoint.calls(), 1);
    let bye = peer.to("BYE", "basic", 3, header(&ok, "To").unwrap(), "Reason: Q.850;cause=16;text=\"bye\"\r\n", "");
    peer.send(&bye).await;
    peer.receive_where(|t| status(t) == 200 && header(t, "CSeq") == Some("3 BYE")).await;
    assert_eq!(ended(&mut dialog).await, (Ended::Remote, "bye".to_owned()));
    // Repeated, it is answered again; another one knows no dialog.
    peer.send(&bye).await;
    peer.expect(200).await;
    peer.send(&peer.to("BYE", "basic", 4, header(&ok, "To").unwrap(), "", "")).await;
    peer.expect(481).await;
    assert_eq!(box_.endpoint.counters().calls, 1);
}

#[tokio::test]
async fn we_hang_up_to_the_contact_as_it_was_written() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "ours", "").await;
    dialog.bye("done").await;
    let bye = peer.expect_request("BYE").await;
    assert!(bye.starts_with(&format!("BYE sip:pat%40home@{} SIP/2.0\r\n", peer.here)), "{bye}");
    assert_eq!(header(&bye, "From"), header(&ok, "To"));
    assert!(header(&bye, "Reason").unwrap().contains("text=\"done\""));
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);
}

#[tokio::test]
async fn a_dropped_dialog_hangs_up_and_a_dropped_call_is_refused() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, _) = peer.establish(&mut box_, "dropped", "").await;
    drop(dialog);
    peer.expect_request("BYE").await;
    peer.send(&peer.request("INVITE", "undecided", 1, "", SDP)).await;
    drop(box_.call().await);
    peer.expect(480).await;
}

#[tokio::test]
async fn cancel_gets_200_and_the_invite_487() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "c", 1, "", SDP)).await;
    let mut call = box_.call().await;
    call.ringing().await;
    peer.expect(180).await;
    peer.send(&peer.request("CANCEL", "c", 1, "", "")).await;
    peer.receive_where(|t| status(t) == 200 && header(t, "CSeq") == Some("1 CANCEL")).await;
    peer.receive_where(|t| status(t) == 487 && header(t, "CSeq") == Some("1 INVITE")).await;
    tokio::time::timeout(PATIENCE, call.cancelled()).await.unwrap();
    assert!(matches!(call.answer(SDP.to_owned()).await, Err(AnswerError::Cancelled)));
}

#[tokio::test]
async fn without_an_ack_the_200_is_repeated_and_then_the_call_is_given_up() {
    let timers = Timers { t1: Duration::from_millis(5), t2: Duration::from_millis(40), ..Timers::default() };
    let mut box_ = TestBox::start_with(|_| (), timers, Clock::system()).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "noack", 1, "", SDP)).await;
    let mut dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    for _ in 0..4 {
        peer.expect(200).await;
    }
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::NoAck);
}

#[tokio::test]
async fn a_late_offer_is_answered_in_the_ack() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "late", 1, "", "")).await;
    let call = box_.call().await;
    assert_eq!(call.offer, None);
    let mut dialog = call.answer(SDP.to_owned()).await.unwrap();
    let ok = peer.expect(200).await;
    peer.ack(&ok, 1, SDP).await;
    let DialogEvent::Confirmed { sdp } = event(&mut dialog).await else { panic!() };
    assert_eq!(sdp.as_deref(), Some(SDP));
}

#[tokio::test]
async fn a_reinvite_and_an_update_come_to_the_call_as_offers() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "re", "").await;
    let to = header(&ok, "To").unwrap();
    let hold = SDP.replace("40000", "40002");
    peer.send(&peer.to("INVITE", "re", 2, to, "", &hold)).await;
    let DialogEvent::Offer { sdp, reply } = event(&mut dialog).await else { panic!() };
    assert_eq!(sdp.as_deref(), Some(hold.as_str()));
    // While that waits: an overlapping INVITE, and one that is older.
    peer.send(&peer.to("INVITE", "re", 3, to, "", SDP)).await;
    let overlapping = peer.expect(500).await;
    assert!(header(&overlapping, "Retry-After").is_some());
    peer.send(&peer.to("INVITE", "re", 1, to, "X-Other: 1\r\n", SDP).replace("z9hG4bKre1", "z9hG4bKold")).await;
    assert_eq!(header(&peer.receive_where(|t| t.contains("z9hG4bKold")).await, "CSeq"), Some("1 INVITE"));
    reply.accept(Some(SDP.to_owned())).await;
    let ok2 = peer.receive_where(|t| header(t, "CSeq") == Some("2 INVITE") && status(t) == 200).await;
    assert!(ok2.ends_with(SDP));
    peer.ack(&ok2, 2, "").await;
    // An UPDATE with an offer asks the call, one without is answered by itself.
    peer.send(&peer.to("UPDATE", "re", 4, to, "", SDP)).await;
    let DialogEvent::Offer { reply, .. } = event(&mut dialog).await else { panic!() };
    reply.refuse(488).await;
    peer.receive_where(|t| header(t, "CSeq") == Some("4 UPDATE") && status(t) == 488).await;
    peer.send(&peer.to("UPDATE", "re", 5, to, "", "")).await;
    peer.receive_where(|t| header(t, "CSeq") == Some("5 UPDATE") && status(t) == 200).await;
}

#[tokio::test]
async fn our_offer_is_sent_and_meets_glare() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, ok) = peer.establish(&mut box_, "glare", "").await;
    let asking = tokio::spawn(async move { (dialog.offer(SDP.to_owned()).await, dialog) });
    let invite = peer.expect_request("INVITE").await;
    peer.send(&peer.to("INVITE", "glare", 2, header(&ok, "To").unwrap(), "", SDP)).await;
    peer.expect(491).await;
    peer.answer(&invite, "200 OK", "Content-Type: application/sdp\r\n", SDP).await;
    let ack = peer.expect_request("ACK").await;
    assert_eq!(header(&ack, "CSeq").unwrap().split(' ').next(), header(&invite, "CSeq").unwrap().split(' ').next());
    let (answer, _dialog) = asking.await.unwrap();
    assert_eq!(answer.as_deref(), Ok(SDP));
    // The ACK was lost: the 200 comes again and so must the ACK.
    peer.answer(&invite, "200 OK", "Content-Type: application/sdp\r\n", SDP).await;
    peer.expect_request("ACK").await;
}

#[tokio::test]
async fn a_caller_that_requires_100rel_gets_it() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "rel", 1, "Require: 100rel\r\n", SDP)).await;
    let mut call = box_.call().await;
    call.ringing().await;
    let ringing = peer.expect(180).await;
    assert_eq!((header(&ringing, "Require"), header(&ringing, "RSeq")), (Some("100rel"), Some("1")));
    peer.expect(180).await;
    let to = header(&ringing, "To").unwrap();
    peer.send(&peer.to("PRACK", "rel", 2, to, "RAck: 7 1 INVITE\r\n", "")).await;
    peer.expect(481).await;
    peer.send(&peer.to("PRACK", "rel", 3, to, "RAck: 1 1 INVITE\r\n", "")).await;
    peer.receive_where(|t| header(t, "CSeq") == Some("3 PRACK") && status(t) == 200).await;
    let _dialog = call.answer(SDP.to_owned()).await.unwrap();
    peer.receive_where(|t| header(t, "CSeq") == Some("1 INVITE") && status(t) == 200).await;
}

#[tokio::test]
async fn session_timers_are_agreed_or_refused() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let asked = "Supported: timer\r\nSession-Expires: 300\r\n";
    let (_dialog, ok) = peer.establish(&mut box_, "st", asked).await;
    assert_eq!(header(&ok, "Session-Expires"), Some("300;refresher=uac"));
    assert_eq!(header(&ok, "Require"), Some("timer"));
    peer.send(&peer.request("INVITE", "st2", 1, "Supported: timer\r\nSession-Expires: 60\r\n", SDP)).await;
    assert_eq!(header(&peer.expect(422).await, "Min-SE"), Some("90"));
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_as_the_rfc_says() {
    let mut box_ =
        TestBox::start(|settings| settings.trunks[0].numbers = vec!["+12125550100".to_owned().try_into().unwrap()])
            .await;
    let peer = Peer::new(box_.udp).await;
    let invite = |call_id: &str, extra: &str| peer.request("INVITE", call_id, 1, extra, SDP);
    for (message, code, has) in [
        (invite("r1", "Require: telepathy, timer\r\n"), 420, "Unsupported: telepathy\r\n"),
        (invite("r2", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), 483, ""),
        (invite("r3", "").replace("application/sdp", "text/plain"), 415, "Accept: application/sdp\r\n"),
        (invite("r4", "").replace("INVITE sip:", "INVITE data:"), 416, ""),
        (invite("r5", "").replace("+12125550100", "+12125550199"), 404, ""),
        (invite("r6", "").replace("INVITE", "SUMMON"), 501, "Allow: INVITE"),
        (peer.request("REGISTER", "r7", 1, "", ""), 405, "Allow: INVITE"),
        (peer.request("BYE", "r8", 1, "", ""), 481, ""),
        (peer.to("INFO", "r9", 1, "<sip:a@b>;tag=none", "", ""), 481, ""),
        (peer.request("OPTIONS", "r10", 1, "", ""), 200, "Accept: application/sdp"),
        (invite("r11", "Accept: text/plain\r\n"), 406, ""),
    ] {
        let call_id = header(&message, "Call-ID").unwrap().to_owned();
        peer.send(&message).await;
        let answer = peer.receive_where(|t| header(t, "Call-ID") == Some(&call_id)).await;
        assert_eq!(status(&answer), code, "{answer}");
        assert!(answer.contains(has), "{answer}");
    }
    assert!(box_.incoming.as_mut().unwrap().try_recv().is_err());
    assert_eq!(box_.endpoint.calls(), 0);
}

#[tokio::test]
async fn a_merged_request_gets_482() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let invite = peer.request("INVITE", "merged", 1, "", SDP);
    peer.send(&invite).await;
    let _call = box_.call().await;
    peer.send(&invite.replace("z9hG4bK", "z9hG4bKother")).await;
    peer.expect(482).await;
    assert!(box_.incoming.as_mut().unwrap().try_recv().is_err());
}

#[tokio::test]
async fn too_many_calls_and_a_box_about_to_stop_give_503() {
    let mut box_ = TestBox::start(|settings| settings.sip.max_calls = 1).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, _) = peer.establish(&mut box_, "one", "").await;
    peer.send(&peer.request("INVITE", "two", 1, "", SDP)).await;
    assert!(header(&peer.expect(503).await, "Retry-After").is_some());
    dialog.bye("").await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    while box_.endpoint.calls() > 0 {
        tokio::task::yield_now().await;
    }
    box_.endpoint.set_accepting(false);
    peer.send(&peer.request("INVITE", "three", 1, "", SDP)).await;
    peer.receive_where(|t| header(t, "Call-ID") == Some("three") && status(t) == 503).await;
    assert_eq!(box_.endpoint.counters().calls_rejected_busy, 2);
}

#[tokio::test]
async fn a_latin_1_byte_and_a_missing_content_length_do_no_harm() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let text = peer.request("INVITE", "latin", 1, "", SDP);
    let text = text.replace(&format!("Content-Length: {}\r\n", SDP.len()), "");
    let mut bytes = text.into_bytes();
    let at = bytes.windows(3).position(|w| w == b"Pat").unwrap();
    bytes[at + 1] = 0xe9;
    peer.send_bytes(&bytes).await;
    assert_eq!(box_.call().await.offer.as_deref(), Some(SDP));
}

#[tokio::test]
async fn strangers_get_nothing_or_403_and_no_call_slot() {
    let stranger = |strangers| {
        move |settings: &mut Settings| {
            settings.trunks[0].accept_from = vec!["192.0.2.0/24".parse().unwrap()];
            settings.sip.strangers = strangers;
        }
    };
    let box_ = TestBox::start(stranger(Strangers::Reject)).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "s", 1, "", SDP)).await;
    peer.expect(403).await;
    for n in 0..50 {
        peer.send(&peer.options(&format!("s{n}"))).await;
    }
    while box_.endpoint.counters().strangers < 51 {
        tokio::task::yield_now().await;
    }
    assert!(box_.endpoint.counters().rate_limited >= 45);

    let mut box_ = TestBox::start(stranger(Strangers::Drop)).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "s", 1, "", SDP)).await;
    while box_.endpoint.counters().strangers < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!((box_.endpoint.counters().requests, box_.endpoint.calls()), (0, 0));
    assert!(box_.incoming.as_mut().unwrap().try_recv().is_err());
    let mut byte = [0];
    assert!(peer.socket.try_recv(&mut byte).is_err(), "a stranger was answered");
    // Nor does a stranger get a connection.
    let mut stream = TcpStream::connect(box_.tcp).await.unwrap();
    let _ = stream.write_all(peer.options("tcp").as_bytes()).await;
    assert!(!matches!(stream.read(&mut byte).await, Ok(n) if n > 0));
}

#[tokio::test]
async fn a_call_over_tcp_in_pieces() {
    let mut box_ = TestBox::start(|_| ()).await;
    let mut stream = TcpStream::connect(box_.tcp).await.unwrap();
    let here = stream.local_addr().unwrap();
    let peer = Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), here, tag: "t".into() };
    let invite = peer.request("INVITE", "tcp", 1, "", SDP).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let (first, second) = invite.split_at(invite.len() / 2);
    stream.write_all(format!("\r\n\r\n{first}").as_bytes()).await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    // The rest, and the next message in the same write.
    let options = peer.options("tcp2").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(format!("{second}{options}").as_bytes()).await.unwrap();
    let mut dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let mut read = String::new();
    let mut buffer = [0; 4096];
    while !(read.contains("Call-ID: tcp2") && read.contains(SDP)) {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(n > 0, "closed: {read}");
        read += std::str::from_utf8(&buffer[..n]).unwrap();
    }
    let ok = &read[read.find("CSeq: 1 INVITE").and_then(|at| read[..at].rfind("SIP/2.0 200")).unwrap()..];
    assert!(header(ok, "Contact").unwrap().contains(&format!("{};transport=tcp", box_.tcp)), "{ok}");
    let ack = peer.to("ACK", "tcp", 1, header(ok, "To").unwrap(), "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(ack.as_bytes()).await.unwrap();
    assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { .. }));
    dialog.bye("").await;
    loop {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(n > 0);
        if std::str::from_utf8(&buffer[..n]).unwrap().contains("BYE sip:") {
            break;
        }
    }
}

#[tokio::test]
async fn we_refresh_the_session_and_give_up_when_nobody_does() {
    let clock = Clock::manual("2026-11-01T06:00:00Z".parse().unwrap());
    let mut box_ = TestBox::start_with(|_| (), Timers::default(), clock.clone()).await;
    let peer = Peer::new(box_.udp).await;
    // The peer leaves the refreshing to us and knows UPDATE.
    let asked = "Supported: timer\r\nAllow: INVITE, UPDATE\r\nSession-Expires: 120;refresher=uas\r\n";
    let (mut dialog, ok) = peer.establish(&mut box_, "fresh", asked).await;
    assert_eq!(header(&ok, "Session-Expires"), Some("120;refresher=uas"));
    let to = header(&ok, "To").unwrap().to_owned();
    // The clock is moved by hand; a message makes the leg look at it.
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "fresh", 2, &to, "", "")).await;
    let update = peer.expect_request("UPDATE").await;
    assert_eq!(header(&update, "Session-Expires"), Some("120;refresher=uac"));
    peer.answer(&update, "200 OK", "Session-Expires: 120;refresher=uac\r\n", "").await;
    // Refreshed, it lives on for another half of the interval; and then the peer no longer answers.
    let mut cseq = 2;
    let mut seconds = 0;
    loop {
        cseq += 1;
        peer.send(&peer.to("OPTIONS", "fresh", cseq, &to, "", "")).await;
        let next = peer.receive_where(|t| t.starts_with("SIP/2.0 ") || header(t, "CSeq") == Some("2 UPDATE")).await;
        if next.starts_with("UPDATE ") {
            break;
        }
        clock.advance(Duration::from_secs(5));
        seconds += 5;
        assert!(seconds <= 120, "no second refresh");
    }
    assert!(seconds >= 60, "refreshed after {seconds} s");
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "fresh", cseq + 1, &to, "", "")).await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::SessionExpired);
}

#[tokio::test]
async fn a_bye_before_the_answer_ends_the_call() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "early", 1, "", SDP)).await;
    let mut call = box_.call().await;
    call.ringing().await;
    let ringing = peer.expect(180).await;
    peer.send(&peer.to("BYE", "early", 2, header(&ringing, "To").unwrap(), "", "")).await;
    peer.receive_where(|t| status(t) == 200 && header(t, "CSeq") == Some("2 BYE")).await;
    peer.receive_where(|t| status(t) == 487 && header(t, "CSeq") == Some("1 INVITE")).await;
    assert!(matches!(call.answer(SDP.to_owned()).await, Err(AnswerError::Cancelled)));
}

#[tokio::test]
async fn a_call_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut box_ = TestBox::start(|settings| {
        settings.sip.listen = vec![Listen { transport: Transport::Tls, address: "127.0.0.1:0".parse().unwrap() }];
        settings.sip.certificate = Some(certificate);
        settings.sip.key = Some(key);
    })
    .await;
    let address = box_.endpoint.local_addresses()[0].address;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let here = stream.local_addr().unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let peer = Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), here, tag: "t".into() };
    let invite = peer.request("INVITE", "tls", 1, "", SDP).replace("SIP/2.0/UDP", "SIP/2.0/TLS");
    stream.write_all(invite.as_bytes()).await.unwrap();
    let _dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
    let ok = std::str::from_utf8(&buffer[..n]).unwrap();
    assert!(ok.starts_with("SIP/2.0 200 "), "{ok}");
    assert!(header(ok, "Contact").unwrap().ends_with(";transport=tls>"), "{ok}");
}
