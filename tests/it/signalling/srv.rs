//! Trunks without a port: SRV records of a name server of our own (RFC 3263), and failover along them.

use std::sync::Arc;

use threadline::model::PhoneNumber;
use threadline::settings::TrunkAddress;
use threadline::sip::outbound::{Call, Outbound, Step, Target};
use threadline::sip::{TrunkState, Trunks};

use super::*;

/// What the name server knows: SRV records as priority, weight, port and host, and addresses.
#[derive(Default)]
struct Zone {
    servers: Vec<(&'static str, u16, u16, u16, &'static str)>,
    hosts: Vec<&'static str>,
}

fn name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

impl Zone {
    /// The answer to a query of one question (RFC 1035 section 4.1), all of it authoritative.
    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let mut labels = Vec::new();
        let mut at = 12;
        while query[at] > 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap().to_ascii_lowercase());
            at = end;
        }
        let (asked, kind) = (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]));
        let records: Vec<Vec<u8>> = match kind {
            1 if self.hosts.contains(&asked.as_str()) => vec![vec![127, 0, 0, 1]],
            33 => (self.servers.iter().filter(|(service, ..)| *service == asked))
                .map(|(_, priority, weight, port, host)| {
                    let mut data: Vec<u8> = [priority, weight, port].iter().flat_map(|n| n.to_be_bytes()).collect();
                    data.extend(name(host));
                    data
                })
                .collect(),
            _ => vec![],
        };
        let known = self.hosts.contains(&asked.as_str()) || self.servers.iter().any(|(service, ..)| *service == asked);
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let status = if known { 0x80 } else { 0x83 };
        let mut out = [&query[..2], &[0x85, status, 0, 1], &count, &[0; 4], &query[12..at + 5]].concat();
        for data in records {
            out.extend(name(&asked));
            out.extend([kind.to_be_bytes(), [0, 1], [0, 0], [0, 60]].concat());
            out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            out.extend(data);
        }
        out
    }

    async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let here = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(&self.answer(&buffer[..length]), from).await;
            }
        });
        here
    }
}

async fn box_with(zone: Zone, account: bool) -> (TestBox, Settings) {
    let mut kept = None;
    let timers = Timers { t1: Duration::from_millis(40), ..Timers::default() };
    let change = |settings: &mut Settings| {
        settings.trunks.truncate(1);
        settings.trunks[0].address =
            TrunkAddress { host: "carrier.example".into(), port: None, transport: Transport::Udp };
        settings.trunks[0].register = account.then(super::trunks::account);
        kept = Some(settings.clone());
    };
    let box_ = TestBox::start_with(change, timers, Clock::system()).await;
    box_.endpoint.ask_name_server(zone.serve().await);
    (box_, kept.unwrap())
}

/// A peer that nobody has spoken to yet.
async fn listener() -> (Arc<UdpSocket>, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    (Arc::new(socket), port)
}

/// The next request of this method, and an answer to it.
async fn serve(socket: &UdpSocket, method: &str, answer: &str) -> String {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
        let (length, from) = received.unwrap_or_else(|_| panic!("no {method} came")).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        if !text.starts_with(&format!("{method} ")) {
            continue;
        }
        if !answer.is_empty() {
            let mut out = format!("SIP/2.0 {answer}\r\n");
            for name in ["Via", "From", "Call-ID", "CSeq"] {
                out += &format!("{name}: {}\r\n", header(&text, name).unwrap());
            }
            out += &format!(
                "To: {};tag=there\r\nContact: <sip:there@{}>\r\n",
                header(&text, "To").unwrap(),
                socket.local_addr().unwrap()
            );
            socket.send_to(format!("{out}Content-Length: 0\r\n\r\n").as_bytes(), from).await.unwrap();
        }
        return text;
    }
}

async fn up(trunks: &Trunks) {
    let wait = async {
        while trunks.states()[0].1 != TrunkState::Up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the trunk is not up");
}

#[tokio::test]
async fn the_next_server_is_tried_when_the_first_does_not_answer() {
    let ((silent, first), (live, second)) = (listener().await, listener().await);
    let zone = Zone {
        servers: vec![
            ("_sip._udp.carrier.example", 20, 0, second, "b.carrier.example"),
            ("_sip._udp.carrier.example", 10, 0, first, "a.carrier.example"),
            ("_sip._udp.carrier.example", 5, 0, 9, "gone.carrier.example"),
        ],
        hosts: vec!["a.carrier.example", "b.carrier.example"],
    };
    let (box_, settings) = box_with(zone, true).await;
    let trunks = Trunks::start(&box_.endpoint, &settings, Clock::system());
    serve(&silent, "REGISTER", "").await;
    let register = serve(&live, "REGISTER", "200 OK").await;
    assert!(register.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n"), "{register}");
    up(&trunks).await;

    // A call goes the same way: the first server, and the second when the first is silent.
    let targets = vec![Target::through(&settings.trunks[0], &PhoneNumber::e164("+12125550142").unwrap())];
    let call = Call {
        targets,
        from: "+12125550100".into(),
        display: None,
        offer: SDP.into(),
        ring_for: Duration::from_secs(30),
        ..Call::default()
    };
    let mut call = Outbound::dial(&box_.endpoint, call);
    serve(&silent, "INVITE", "").await;
    let invite = serve(&live, "INVITE", "486 Busy Here").await;
    assert!(invite.starts_with("INVITE sip:+12125550142@carrier.example SIP/2.0\r\n"), "{invite}");
    assert!(matches!(call.next().await, Some(Step::Failed { status: 486 })));
}

#[tokio::test]
async fn a_trunk_without_account_turns_to_the_next_server_at_once() {
    let ((silent, first), (live, second)) = (listener().await, listener().await);
    let zone = Zone {
        servers: vec![
            ("_sip._udp.carrier.example", 1, 0, first, "a.carrier.example"),
            ("_sip._udp.carrier.example", 2, 0, second, "a.carrier.example"),
        ],
        hosts: vec!["a.carrier.example"],
    };
    let (box_, settings) = box_with(zone, false).await;
    let trunks = Trunks::start(&box_.endpoint, &settings, Clock::system());
    serve(&silent, "OPTIONS", "").await;
    // PATIENCE is a third of the half minute between two keepalives.
    serve(&live, "OPTIONS", "200 OK").await;
    up(&trunks).await;
}

#[tokio::test]
async fn without_srv_records_the_name_itself_is_called_and_a_dot_says_no() {
    let (box_, settings) = box_with(Zone { servers: vec![], hosts: vec!["carrier.example"] }, false).await;
    let number = PhoneNumber::e164("+12125550142").unwrap();
    let dial = |box_: &TestBox, settings: &Settings| {
        let targets = vec![Target::through(&settings.trunks[0], &number)];
        let call = Call {
            targets,
            from: "t".into(),
            display: None,
            offer: SDP.into(),
            ring_for: Duration::from_secs(30),
            ..Call::default()
        };
        Outbound::dial(&box_.endpoint, call)
    };
    // Port 5060 of the loopback is nobody's, or somebody's who does not know us: it was called in either case.
    let mut call = dial(&box_, &settings);
    assert!(matches!(call.next().await, Some(Step::Failed { .. })));
    assert_eq!(call.call_ids().list().len(), 1);
    let (box_, settings) = box_with(
        Zone { servers: vec![("_sip._udp.carrier.example", 0, 0, 0, ".")], hosts: vec!["carrier.example"] },
        false,
    )
    .await;
    let mut call = dial(&box_, &settings);
    assert!(matches!(call.next().await, Some(Step::Failed { status: 503 })));
    assert!(call.call_ids().list().is_empty(), "nobody was called");
}
