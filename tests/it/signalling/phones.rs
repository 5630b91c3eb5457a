//! The clinic's own phones: they register, are called, call, and whoever only guesses gets nowhere.

use threadline::model::{PhoneNumber, Private};
use threadline::settings::Extension;
use threadline::sip::digest::{self, Credentials, Signed};
use threadline::sip::outbound::{Call, Outbound, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const PASSWORD: &str = "swordfish-17";
/// Brisk: a phone is asked every quarter of a second.
const BRISK: Timers =
    Timers { t1: Duration::from_millis(5), t2: Duration::from_millis(40), t4: Duration::from_millis(50) };

fn extension(name: &str) -> Extension {
    Extension {
        name: name.to_owned(),
        shown_as: "Front desk".to_owned(),
        password: Private::new(PASSWORD.to_owned()),
        may_call: vec![],
        contacts: 2,
        srtp: threadline::model::SrtpPolicy::Off,
    }
}

/// Two extensions; whoever is here on the loopback is a stranger.
pub fn with_phones(settings: &mut Settings) {
    settings.extensions = ["201", "202"].map(extension).to_vec();
    settings.trunks[0].accept_from = vec!["198.51.100.0/24".parse().unwrap()];
}

/// As [`with_phones`], but the trunk is here too.
fn with_phones_beside_the_trunk(settings: &mut Settings) {
    settings.extensions = ["201", "202"].map(extension).to_vec();
    settings.trunks[0].numbers = vec![PhoneNumber::e164("+12125550100").unwrap()];
}

/// The header that answers a 401 for a request of this method and URI.
pub fn credentials(challenge: &str, name: &str, password: &str, method: &str, uri: &str) -> String {
    let values: Vec<&str> = challenge.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
    assert_eq!(values.len(), 2, "SHA-256 and MD5: {challenge}");
    let credentials = Credentials { username: name.into(), password: Private::new(password.into()) };
    let signed = Signed { method, uri, body: b"" };
    format!("Authorization: {}\r\n", digest::challenges(&values)[0].answer(&credentials, signed, "c", 1))
}

fn register(peer: &Peer, name: &str, cseq: u32, extra: &str) -> String {
    format!(
        "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{name}r{cseq}\r\n\
         From: <sip:{name}@127.0.0.1>;tag={tag}\r\nTo: <sip:{name}@127.0.0.1>\r\nCall-ID: register-{here}\r\n\
         CSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: Desk phone 1.0\r\n{extra}Content-Length: 0\r\n\r\n",
        here = peer.here,
        tag = peer.tag,
    )
}

/// Registers with the second of two requests; gives the last answer.
pub async fn sign_in(peer: &Peer, name: &str, password: &str, cseq: u32, contact: &str) -> String {
    peer.send(&register(peer, name, cseq, contact)).await;
    let challenge = peer.expect(401).await;
    let answer = credentials(&challenge, name, password, "REGISTER", "sip:127.0.0.1");
    peer.send(&register(peer, name, cseq + 1, &(answer + contact))).await;
    let wanted = format!("{} REGISTER", cseq + 1);
    peer.receive_where(|text| text.starts_with("SIP/2.0 ") && header(text, "CSeq") == Some(&wanted)).await
}

pub fn call_to(box_: &TestBox, extension: &str) -> Outbound {
    let call = Call {
        targets: box_.endpoint.phones().targets(extension),
        from: "+16462530142".into(),
        display: Some("(646) 253-0142 · \"Billing\"".into()),
        offer: SDP.into(),
        ring_for: Duration::from_secs(30),
        ..Call::default()
    };
    Outbound::dial(&box_.endpoint, call)
}

pub async fn answered(call: &mut Outbound) -> Dialog {
    loop {
        match tokio::time::timeout(PATIENCE, call.next()).await.expect("no step") {
            Some(Step::Progress { .. }) => {}
            Some(Step::Answered { dialog, .. }) => return dialog,
            other => panic!("{other:?}"),
        }
    }
}

async fn failed(call: &mut Outbound) -> u16 {
    loop {
        match tokio::time::timeout(PATIENCE, call.next()).await.expect("no step") {
            Some(Step::Progress { .. }) => {}
            Some(Step::Failed { status }) => return status,
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for something that the endpoint does by itself.
async fn until(what: &str, done: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// A contact that nobody can reach: the phone is behind a NAT.
const INSIDE: &str = "Contact: <sip:desk%2F1@10.9.9.9:5062;ob>\r\n";

#[tokio::test]
async fn a_phone_registers_and_is_reached_by_its_way() {
    let box_ = TestBox::start(with_phones).await;
    let phones = box_.endpoint.phones().clone();
    let mut news = phones.watch();
    let phone = Peer::new(box_.udp).await;
    assert!(!phones.registered("201") && phones.targets("201").is_empty());
    let ok = sign_in(&phone, "201", PASSWORD, 1, INSIDE).await;
    assert_eq!((status(&ok), header(&ok, "Contact")), (200, Some("<sip:desk%2F1@10.9.9.9:5062;ob>;expires=3600")));
    news.changed().await.unwrap();
    assert!(phones.registered("201") && !phones.registered("202"));
    let [state] = &phones.list()[..] else { panic!() };
    assert_eq!(
        (state.extension.as_str(), state.source, state.user_agent.as_str()),
        ("201", phone.here, "Desk phone 1.0")
    );
    assert!(state.expires > state.since);

    let mut call = call_to(&box_, "201");
    let invite = phone.expect_request("INVITE").await;
    assert!(invite.starts_with("INVITE sip:desk%2F1@10.9.9.9:5062;ob SIP/2.0\r\n"), "{invite}");
    let shown = "\"(646) 253-0142 · \\\"Billing\\\"\" <sip:+16462530142@";
    assert!(header(&invite, "From").unwrap().starts_with(shown), "{invite}");
    assert!(header(&invite, "P-Asserted-Identity").unwrap().starts_with(shown), "{invite}");
    let to = header(&invite, "To").unwrap();
    let tagged = invite.replace(to, &format!("{to};tag=a"));
    let sdp = format!("Content-Type: application/sdp\r\n{INSIDE}");
    phone.answer(&tagged, "200 OK", &sdp, SDP).await;
    let mut dialog = answered(&mut call).await;
    phone.expect_request("ACK").await;
    dialog.bye("").await;
    let bye = phone.expect_request("BYE").await;
    phone.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);

    let gone = sign_in(&phone, "201", PASSWORD, 7, "Contact: *\r\nExpires: 0\r\n").await;
    assert_eq!((status(&gone), header(&gone, "Contact")), (200, None));
    assert!(!phones.registered("201"));
    assert_eq!((box_.endpoint.counters().registrations, box_.endpoint.counters().registrations_refused), (2, 0));
}

#[tokio::test]
async fn a_guess_learns_nothing_and_is_locked_out() {
    let box_ = TestBox::start(with_phones).await;
    let scanner = Peer::new(box_.udp).await;
    let mut refusals = Vec::new();
    for (turn, name) in (0..10).zip(["201", "999"].into_iter().cycle()) {
        let refusal = sign_in(&scanner, name, "guess", 1 + 2 * turn, INSIDE).await;
        // All but the name, the branch and what is random must be the same.
        let lines = refusal.lines().filter(|l| !["Via", "From", "To", "CSeq"].iter().any(|n| l.starts_with(n)));
        refusals.push(lines.map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(refusals[0][0].starts_with("SIP/2.0 403"), "{refusals:?}");
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
    let counted = box_.endpoint.counters();
    assert_eq!((counted.registrations_refused, counted.lockouts), (10, 1));
    // From now on it is not even answered.
    scanner.send(&register(&scanner, "201", 50, INSIDE)).await;
    until("the locked source is ignored", || box_.endpoint.counters().rate_limited > counted.rate_limited).await;
    assert!(!box_.endpoint.phones().registered("201"));
}

#[tokio::test]
async fn a_stranger_may_register_or_call_and_nothing_else() {
    let mut box_ = TestBox::start(with_phones).await;
    let stranger = Peer::new(box_.udp).await;
    for (method, extra) in
        [("OPTIONS", ""), ("REFER", "Refer-To: <sip:911@elsewhere>\r\n"), ("SUBSCRIBE", ""), ("BYE", "")]
    {
        stranger.send(&stranger.request(method, method, 1, extra, "")).await;
    }
    stranger.send("SIP/2.0 nonsense").await;
    stranger.send(&stranger.to("BYE", "in", 1, "<sip:a@b>;tag=guess", "", "")).await;
    until("five were strange", || box_.endpoint.counters().strangers == 5).await;
    assert_eq!(box_.endpoint.counters().refers_refused, 1);
    // The first answer of all is to the INVITE, and it is a challenge.
    stranger.send(&stranger.request("INVITE", "call", 1, "", SDP)).await;
    let challenge = stranger.receive().await.unwrap();
    assert_eq!(status(&challenge), 401);
    stranger.ack(&challenge, 1, "").await;
    let answer = credentials(&challenge, "201", "guess", "INVITE", "sip:+12125550100@127.0.0.1");
    stranger.send(&stranger.request("INVITE", "call", 2, &answer, SDP)).await;
    stranger.expect(403).await;
    assert_eq!(box_.endpoint.counters().calls_unauthenticated, 1);
    assert!(box_.incoming.as_mut().unwrap().try_recv().is_err(), "nothing was placed");
    assert_eq!((box_.endpoint.calls(), box_.endpoint.counters().calls), (0, 0));
}

#[tokio::test]
async fn a_phone_that_proves_itself_places_a_call() {
    // Also from a trunk's own address: it is never taken for the trunk.
    for beside in [false, true] {
        let mut box_ = TestBox::start(if beside { with_phones_beside_the_trunk } else { with_phones }).await;
        let phone = Peer::new(box_.udp).await;
        let invite = |cseq, extra: &str| {
            let invite = phone.request("INVITE", "call", cseq, extra, SDP);
            invite.replace("sip:+16462530142@", "sip:201@").replace("+12125550100@127.0.0.1", "202@127.0.0.1")
        };
        phone.send(&invite(1, "")).await;
        let challenge = phone.expect(401).await;
        phone.ack(&challenge, 1, "").await;
        let answer = credentials(&challenge, "201", PASSWORD, "INVITE", "sip:202@127.0.0.1");
        phone.send(&invite(2, &answer)).await;
        let call = box_.call().await;
        assert_eq!((call.extension.as_deref(), call.trunk.as_str(), call.dialled.as_str()), (Some("201"), "", "202"));
        let mut dialog = call.answer(SDP.to_owned()).await.unwrap();
        let ok = phone.expect(200).await;
        phone.ack(&ok, 2, "").await;
        assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { .. }));
        let bye = phone.to("BYE", "call", 3, header(&ok, "To").unwrap(), "", "");
        phone.send(&bye).await;
        assert_eq!(ended(&mut dialog).await.0, Ended::Remote);
    }
}

#[tokio::test]
async fn an_emergency_call_finds_room_where_no_other_does() {
    let full = |settings: &mut Settings| {
        with_phones(settings);
        settings.sip.max_calls = 0;
        settings.phones.emergency = vec!["911".to_owned()];
    };
    let mut box_ = TestBox::start(full).await;
    box_.endpoint.set_accepting(false);
    let phone = Peer::new(box_.udp).await;
    for (dialled, served) in [("202", false), ("911", true)] {
        let invite = |cseq, extra: &str| {
            let invite = phone.request("INVITE", dialled, cseq, extra, SDP);
            let to = format!("{dialled}@127.0.0.1");
            invite.replace("sip:+16462530142@", "sip:201@").replace("+12125550100@127.0.0.1", &to)
        };
        phone.send(&invite(1, "")).await;
        let challenge = phone.expect(401).await;
        phone.ack(&challenge, 1, "").await;
        let uri = format!("sip:{dialled}@127.0.0.1");
        phone.send(&invite(2, &credentials(&challenge, "201", PASSWORD, "INVITE", &uri))).await;
        if served {
            assert_eq!(box_.call().await.dialled, "911");
        } else {
            let busy = phone.expect(503).await;
            phone.ack(&busy, 2, "").await;
        }
    }
}

#[tokio::test]
async fn a_trunks_own_calls_come_in_as_before() {
    let mut box_ = TestBox::start(with_phones_beside_the_trunk).await;
    let carrier = Peer::new(box_.udp).await;
    carrier.send(&carrier.request("INVITE", "patient", 1, "", SDP)).await;
    let call = box_.call().await;
    assert_eq!((call.extension.as_deref(), call.trunk.as_str()), (None, "carrier"));
    // A PBX whose extensions are called as ours, to the clinic's number.
    let other = Peer::new(box_.udp).await;
    let pbx = other.request("INVITE", "pbx", 1, "", SDP).replace("sip:+16462530142@", "sip:201@");
    other.send(&pbx).await;
    assert_eq!(box_.call().await.trunk, "carrier");
}

#[tokio::test]
async fn a_phone_that_falls_silent_is_gone() {
    let box_ = TestBox::start_with(with_phones, BRISK, Clock::system()).await;
    let phones = box_.endpoint.phones().clone();
    let phone = Peer::new(box_.udp).await;
    sign_in(&phone, "201", PASSWORD, 1, INSIDE).await;
    // As long as it answers, whatever it answers, it is there.
    for turn in 0..5 {
        let ask = phone.expect_request("OPTIONS").await;
        assert!(ask.starts_with("OPTIONS sip:desk%2F1@10.9.9.9:5062;ob SIP/2.0"), "{ask}");
        let tagged = ask.replace(header(&ask, "To").unwrap(), &format!("{};tag=a", header(&ask, "To").unwrap()));
        phone.answer(&tagged, if turn == 2 { "404 Not Found" } else { "200 OK" }, "", "").await;
        assert!(phones.registered("201"));
    }
    let mut news = phones.watch();
    tokio::time::timeout(PATIENCE, news.changed()).await.expect("it is forgotten").unwrap();
    assert!(!phones.registered("201") && phones.list().is_empty());
}

#[tokio::test]
async fn a_phone_on_a_connection_is_called_on_it_and_gone_with_it() {
    let box_ = TestBox::start(with_phones).await;
    let phones = box_.endpoint.phones().clone();
    let mut stream = TcpStream::connect(box_.tcp).await.unwrap();
    let here = stream.local_addr().unwrap();
    let peer = Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), here, tag: "t".into() };
    let read = async |stream: &mut TcpStream, wanted: &str| {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !(text.contains(wanted) && text.contains("\r\n\r\n")) {
            let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("silence").unwrap();
            assert!(n > 0, "closed: {text}");
            text += std::str::from_utf8(&buffer[..n]).unwrap();
        }
        text
    };
    let tcp = |text: String| text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(tcp(register(&peer, "202", 1, INSIDE)).as_bytes()).await.unwrap();
    let challenge = read(&mut stream, "SIP/2.0 401").await;
    let answer = credentials(&challenge, "202", PASSWORD, "REGISTER", "sip:127.0.0.1");
    stream.write_all(tcp(register(&peer, "202", 2, &(answer + INSIDE))).as_bytes()).await.unwrap();
    read(&mut stream, "SIP/2.0 200").await;
    stream.write_all(b"\r\n\r\n").await.unwrap();
    read(&mut stream, "\r\n").await;
    assert_eq!((phones.list()[0].transport, phones.list()[0].source), (Transport::Tcp, here));
    let call = call_to(&box_, "202");
    read(&mut stream, "INVITE sip:desk%2F1@10.9.9.9:5062;ob SIP/2.0").await;
    drop(call);
    let mut news = phones.watch();
    drop(stream);
    tokio::time::timeout(PATIENCE, news.changed()).await.expect("it is gone").unwrap();
    assert!(!phones.registered("202"));
}

#[tokio::test]
async fn times_are_bounded_and_accounts_are_ones_own() {
    let box_ = TestBox::start(with_phones).await;
    let phone = Peer::new(box_.udp).await;
    let brief = sign_in(&phone, "201", PASSWORD, 1, &format!("{INSIDE}Expires: 30\r\n")).await;
    assert_eq!((status(&brief), header(&brief, "Min-Expires")), (423, Some("60")));
    let long = sign_in(&phone, "201", PASSWORD, 3, &format!("{INSIDE}Expires: 86400\r\n")).await;
    assert!(header(&long, "Contact").unwrap().ends_with(";expires=3600"), "{long}");
    let malformed = sign_in(&phone, "201", PASSWORD, 5, "Contact: *\r\n").await;
    assert_eq!(status(&malformed), 400);
    // 202's password for 201's account.
    phone.send(&register(&phone, "201", 7, INSIDE)).await;
    let challenge = phone.expect(401).await;
    let answer = credentials(&challenge, "202", PASSWORD, "REGISTER", "sip:127.0.0.1");
    phone.send(&register(&phone, "201", 8, &(answer.clone() + INSIDE))).await;
    phone.expect(403).await;
    // The same answer again, in another request: a replay.
    phone.send(&register(&phone, "202", 9, &(answer + INSIDE))).await;
    let again = phone.expect(401).await;
    assert!(again.contains("stale=true"), "{again}");
    assert_eq!(box_.endpoint.phones().list().len(), 1);
}

#[tokio::test]
async fn another_phone_was_faster() {
    let box_ = TestBox::start(with_phones).await;
    let phone = Peer::new(box_.udp).await;
    sign_in(&phone, "201", PASSWORD, 1, INSIDE).await;
    let mut call = call_to(&box_, "201");
    let invite = phone.expect_request("INVITE").await;
    let tagged = invite.replace(header(&invite, "To").unwrap(), &format!("{};tag=a", header(&invite, "To").unwrap()));
    phone.answer(&tagged, "180 Ringing", "", "").await;
    assert!(matches!(call.next().await, Some(Step::Progress { status: 180, .. })));
    call.hang_up_elsewhere();
    let cancel = phone.expect_request("CANCEL").await;
    assert_eq!(header(&cancel, "Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    phone.answer(&cancel, "200 OK", "", "").await;
    // It was picked up at that very moment: acknowledged and hung up.
    phone.answer(&tagged, "200 OK", "Content-Type: application/sdp\r\n", SDP).await;
    phone.expect_request("ACK").await;
    let bye = phone.expect_request("BYE").await;
    phone.answer(&bye, "200 OK", "", "").await;
    assert_eq!(failed(&mut call).await, 487);
}

#[tokio::test]
async fn what_a_phone_answers_is_reported_as_it_is() {
    let box_ = TestBox::start(with_phones).await;
    let phone = Peer::new(box_.udp).await;
    sign_in(&phone, "201", PASSWORD, 1, INSIDE).await;
    for (line, reported) in [
        ("486 Busy Here", 486),
        ("600 Busy Everywhere", 600),
        ("603 Decline", 603),
        ("480 Temporarily Unavailable", 480),
        ("302 Moved Temporarily", 302),
        ("488 Not Acceptable Here", 488),
    ] {
        let mut call = call_to(&box_, "201");
        let invite = phone.expect_request("INVITE").await;
        // Before its answer, what nobody can make sense of.
        phone.send_bytes(b"SIP/2.0 200 OK\r\nVia: \xff\xfe\r\n\r\n").await;
        phone.send("SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n").await;
        let to = header(&invite, "To").unwrap();
        phone.answer(&invite.replace(to, &format!("{to};tag=a")), line, "", "").await;
        phone.expect_request("ACK").await;
        assert_eq!(failed(&mut call).await, reported, "{line}");
    }
}

#[tokio::test]
async fn a_phone_that_never_acknowledges_is_hung_up_on() {
    let mut box_ = TestBox::start_with(with_phones, BRISK, Clock::system()).await;
    let phone = Peer::new(box_.udp).await;
    phone.send(&phone.request("INVITE", "noack", 1, "", SDP)).await;
    let challenge = phone.expect(401).await;
    phone.ack(&challenge, 1, "").await;
    let answer = credentials(&challenge, "201", PASSWORD, "INVITE", "sip:+12125550100@127.0.0.1");
    phone.send(&phone.request("INVITE", "noack", 2, &answer, SDP)).await;
    let mut dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let bye = phone.expect_request("BYE").await;
    phone.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::NoAck);
    until("its place is free", || box_.endpoint.calls() == 0).await;
}

#[tokio::test]
async fn a_reload_forgets_whoever_has_another_password() {
    let box_ = TestBox::start(with_phones).await;
    let phone = Peer::new(box_.udp).await;
    sign_in(&phone, "201", PASSWORD, 1, INSIDE).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let text = std::fs::read_to_string(folder.join("threadline.toml")).unwrap();
    let mut settings =
        Settings::parse(&folder.join("threadline.toml"), &text, &SecretPlaces::of_process(&folder)).unwrap();
    with_phones(&mut settings);
    box_.endpoint.reload(&settings);
    assert!(box_.endpoint.phones().registered("201"), "nothing has changed");
    settings.extensions[0].password = Private::new("another one".into());
    box_.endpoint.reload(&settings);
    assert!(!box_.endpoint.phones().registered("201"));
    assert_eq!(status(&sign_in(&phone, "201", PASSWORD, 3, INSIDE).await), 403);
}
