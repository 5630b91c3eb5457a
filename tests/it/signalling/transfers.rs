//! Transfers by REFER, asked of us and by us; calls that take another's place; what is kept of a call's messages.

use threadline::sip::outbound::{Call, Outbound, Step, Target};
use threadline::sip::{ReferError, Replaces, TraceDirection, digest};

use super::*;

/// In one dialog with the box: requests of the peer's, and what the box answers.
struct Leg<'p> {
    peer: &'p Peer,
    call_id: &'static str,
    ok: String,
}

impl Leg<'_> {
    async fn send(&self, method: &str, cseq: u32, extra: &str) {
        self.peer.send(&self.peer.to(method, self.call_id, cseq, header(&self.ok, "To").unwrap(), extra, "")).await;
    }

    /// The answer to a request of this method.
    async fn answer_to(&self, method: &str, cseq: u32) -> String {
        let wanted = format!("{cseq} {method}");
        self.peer.receive_where(|t| t.starts_with("SIP/2.0 ") && header(t, "CSeq") == Some(&wanted)).await
    }

    /// The box's next NOTIFY, answered: its state and its body.
    async fn notified(&self) -> (String, String) {
        let notify = self.peer.expect_request("NOTIFY").await;
        self.peer.answer(&notify, "200 OK", "", "").await;
        assert_eq!(header(&notify, "Content-Type"), Some("message/sipfrag;version=2.0"));
        assert!(header(&notify, "Event").unwrap().starts_with("refer"), "{notify}");
        let body = notify.split_once("\r\n\r\n").unwrap().1.to_owned();
        (header(&notify, "Subscription-State").unwrap().to_owned(), body)
    }

    /// Tells the box how far its REFER is.
    async fn notify(&self, cseq: u32, state: &str, fragment: &str) {
        let to = header(&self.ok, "To").unwrap();
        let extra = format!("Event: refer\r\nSubscription-State: {state}\r\n");
        let text = self.peer.to("NOTIFY", self.call_id, cseq, to, &extra, fragment);
        self.peer.send(&text.replace("application/sdp", "message/sipfrag")).await;
        assert_eq!(status(&self.answer_to("NOTIFY", cseq).await), 200);
    }
}

#[tokio::test]
async fn a_transfer_that_is_asked_of_us() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "refer", "").await;
    let leg = Leg { peer: &peer, call_id: "refer", ok };
    leg.send("REFER", 2, "Refer-To: <sip:202@127.0.0.1?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n").await;
    let DialogEvent::Refer { to, replaces, mut reply } = event(&mut dialog).await else { panic!() };
    assert_eq!(to, "sip:202@127.0.0.1");
    assert_eq!(replaces, Some(Replaces { call_id: "x@y".into(), to_tag: "1".into(), from_tag: "2".into() }));
    // One at a time.
    leg.send("REFER", 3, "Refer-To: <sip:203@127.0.0.1>\r\n").await;
    assert_eq!(status(&leg.answer_to("REFER", 3).await), 491);
    reply.accept().await;
    assert_eq!(status(&leg.answer_to("REFER", 2).await), 202);
    let (state, body) = leg.notified().await;
    assert!(state.starts_with("active"), "{state}");
    assert_eq!(body, "SIP/2.0 100 Trying\r\n");
    reply.finish(486).await;
    assert_eq!(leg.notified().await, ("terminated;reason=noresource".into(), "SIP/2.0 486 Busy Here\r\n".into()));

    // Refused; and refused by whoever forgets it.
    leg.send("REFER", 4, "Refer-To: <sip:203@127.0.0.1>\r\n").await;
    let DialogEvent::Refer { reply, .. } = event(&mut dialog).await else { panic!() };
    reply.refuse(403).await;
    assert_eq!(status(&leg.answer_to("REFER", 4).await), 403);
    leg.send("REFER", 5, "Refer-To: <sip:203@127.0.0.1>\r\n").await;
    assert!(matches!(event(&mut dialog).await, DialogEvent::Refer { .. }));
    assert_eq!(status(&leg.answer_to("REFER", 5).await), 603);
    leg.send("REFER", 6, "").await;
    assert_eq!(status(&leg.answer_to("REFER", 6).await), 400);
    assert_eq!(box_.endpoint.counters().refers_refused, 4);
}

#[tokio::test]
async fn a_transfer_by_somebody_else_is_refused() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "mine", "").await;
    let other = Peer::new(box_.udp).await;
    let to = header(&ok, "To").unwrap();
    let refer = "Refer-To: <sip:203@127.0.0.1>\r\n";
    other.send(&other.to("REFER", "mine", 9, to, refer, "")).await;
    other.expect(481).await;
    other.send(&other.request("REFER", "none", 1, refer, "")).await;
    other.expect(403).await;
    assert_eq!(box_.endpoint.counters().refers_refused, 2);
    dialog.bye("").await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local, "nothing else came");
}

#[tokio::test]
async fn a_transfer_that_we_ask_for() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, ok) = peer.establish(&mut box_, "ours", "Allow: INVITE, REFER\r\n").await;
    assert!(dialog.takes_refer());
    let leg = Leg { peer: &peer, call_id: "ours", ok };
    let to = "sip:+12125550199@carrier.example";
    // It goes well.
    let asking = dialog.refer(to);
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        assert_eq!(header(&refer, "Refer-To"), Some("<sip:+12125550199@carrier.example>"));
        assert!(header(&refer, "Referred-By").is_some());
        peer.answer(&refer, "202 Accepted", "", "").await;
        leg.notify(2, "active;expires=60", "SIP/2.0 100 Trying\r\n").await;
        leg.notify(3, "active;expires=60", "SIP/2.0 180 Ringing\r\n").await;
        leg.notify(4, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n").await;
    };
    assert_eq!(tokio::join!(asking, answering).0, Ok(()));
    // Nobody answers there; and the NOTIFY overtakes the 202.
    let asking = dialog.refer(to);
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        leg.notify(5, "terminated;reason=noresource", "SIP/2.0 480 Temporarily Unavailable\r\n").await;
        peer.answer(&refer, "202 Accepted", "", "").await;
    };
    assert_eq!(tokio::join!(asking, answering).0, Err(ReferError::Failed(480)));
    // The peer does not do that, or not now.
    for line in ["405 Method Not Allowed", "603 Decline"] {
        let answering = async {
            let refer = peer.expect_request("REFER").await;
            peer.answer(&refer, line, "", "").await;
        };
        let expected = line.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(tokio::join!(dialog.refer(to), answering).0, Err(ReferError::Refused(expected)));
    }
    assert_eq!(dialog.refer("nowhere").await, Err(ReferError::Target));
    // It agrees and never says another word.
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        peer.answer(&refer, "202 Accepted", "", "").await;
    };
    assert_eq!(tokio::join!(dialog.refer(to), answering).0, Err(ReferError::Silent));
    // It agrees and hangs up.
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        peer.answer(&refer, "202 Accepted", "", "").await;
        leg.notify(6, "active;expires=60", "SIP/2.0 100 Trying\r\n").await;
        leg.send("BYE", 7, "").await;
    };
    assert_eq!(tokio::join!(dialog.refer(to), answering).0, Err(ReferError::HungUp));
    assert_eq!(dialog.refer(to).await, Err(ReferError::Over));
}

/// A request's number in its dialog.
fn cseq(text: &str) -> u32 {
    header(text, "CSeq").unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// A trunk that knows us by an account.
fn with_account(settings: &mut Settings) {
    settings.trunks[0].register = Some(super::trunks::account());
}

#[tokio::test]
async fn a_trunk_that_asks_who_wants_a_transfer_is_told() {
    let mut box_ = TestBox::start(with_account).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "asked", "Allow: INVITE, REFER\r\n").await;
    let leg = Leg { peer: &peer, call_id: "asked", ok };
    let to = "sip:+12125550199@carrier.example";
    let asks = |nonce: &str| format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"\r\n");
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        assert!(header(&refer, "Authorization").is_none(), "{refer}");
        peer.answer(&refer, "401 Unauthorized", &asks("n1"), "").await;
        let again = peer.expect_request("REFER").await;
        assert_eq!(cseq(&again), cseq(&refer) + 1);
        assert_eq!(header(&again, "Refer-To"), header(&refer, "Refer-To"));
        let proof = header(&again, "Authorization").unwrap();
        assert!(proof.contains("username=\"clinic\"") && proof.contains("nonce=\"n1\""), "{proof}");
        assert!(digest::Answer::parse(proof).unwrap().proves("secret", "REFER", b""), "{proof}");
        peer.answer(&again, "202 Accepted", "", "").await;
        leg.notify(2, "terminated;reason=noresource", "SIP/2.0 480 Temporarily Unavailable\r\n").await;
    };
    assert_eq!(tokio::join!(dialog.refer(to), answering).0, Err(ReferError::Failed(480)));

    // The next one says so at once; who is refused all the same is not asked for ever.
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        assert!(header(&refer, "Authorization").unwrap().contains("nc=00000002"), "{refer}");
        peer.answer(&refer, "401 Unauthorized", &asks("n2"), "").await;
        let again = peer.expect_request("REFER").await;
        assert!(header(&again, "Authorization").unwrap().contains("nonce=\"n2\""), "{again}");
        peer.answer(&again, "401 Unauthorized", &asks("n3"), "").await;
    };
    assert_eq!(tokio::join!(dialog.refer(to), answering).0, Err(ReferError::Refused(401)));

    // And the BYE, by a proxy on the way.
    dialog.bye("").await;
    let bye = peer.expect_request("BYE").await;
    let by_proxy = asks("p").replace("WWW-", "Proxy-");
    peer.answer(&bye, "407 Proxy Authentication Required", &by_proxy, "").await;
    let again = peer.expect_request("BYE").await;
    assert!(header(&again, "Proxy-Authorization").unwrap().contains("nonce=\"p\""), "{again}");
    peer.answer(&again, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);
}

#[tokio::test]
async fn who_knows_us_by_no_account_is_told_nothing() {
    let mut box_ = TestBox::start(|_| ()).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, _) = peer.establish(&mut box_, "none", "").await;
    let answering = async {
        let refer = peer.expect_request("REFER").await;
        peer.answer(&refer, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "").await;
    };
    assert_eq!(tokio::join!(dialog.refer("sip:a@b"), answering).0, Err(ReferError::Refused(401)));
}

#[tokio::test]
async fn a_call_whose_place_is_gone_goes_to_whoever_was_named() {
    for refusal in ["481 Call/Transaction Does Not Exist", "420 Bad Extension"] {
        let box_ = TestBox::start(|_| ()).await;
        let peer = Peer::new(box_.udp).await;
        let call = Call {
            targets: vec![Target::direct(&format!("sip:202@{}", peer.here)).unwrap()],
            from: "+12125550100".into(),
            offer: SDP.into(),
            ring_for: Duration::from_secs(30),
            replaces: Some(Replaces { call_id: "x@y".into(), to_tag: "1".into(), from_tag: "2".into() }),
            ..Call::default()
        };
        let mut placing = Outbound::dial(&box_.endpoint, call);
        let invite = peer.expect_request("INVITE").await;
        assert_eq!(header(&invite, "Replaces"), Some("x@y;to-tag=1;from-tag=2"));
        peer.answer(&invite, refusal, "", "").await;
        let plain = peer.expect_request("INVITE").await;
        assert!(header(&plain, "Replaces").is_none() && header(&plain, "Require").is_none(), "{plain}");
        assert!(plain.starts_with("INVITE sip:202@"), "{plain}");
        assert_eq!(cseq(&plain), cseq(&invite) + 1);
        // Who says so again has nobody.
        peer.answer(&plain, refusal, "", "").await;
        let expected: u16 = refusal.split(' ').next().unwrap().parse().unwrap();
        let last = tokio::time::timeout(PATIENCE, placing.next()).await.expect("no step");
        assert!(matches!(last, Some(Step::Failed { status }) if status == expected), "{last:?}");
    }
}

#[tokio::test]
async fn an_attended_transfer_names_the_other_call() {
    let mut box_ = TestBox::start(|_| ()).await;
    let (first, second) = (Peer::new(box_.udp).await, Peer::new(box_.udp).await);
    let (dialog, _) = first.establish(&mut box_, "first", "").await;
    let (other, ok) = second.establish(&mut box_, "second", "").await;
    let ours = header(&ok, "To").unwrap().split("tag=").nth(1).unwrap().to_owned();
    assert_eq!(
        other.identity(),
        Replaces { call_id: "second".into(), to_tag: ours.clone(), from_tag: second.tag.clone() }
    );
    let answering = async {
        let refer = first.expect_request("REFER").await;
        let expected = format!("<sip:lab@127.0.0.1?Replaces=second%3Bto-tag%3D{}%3Bfrom-tag%3D{ours}>", second.tag);
        assert_eq!(header(&refer, "Refer-To"), Some(expected.as_str()));
        first.answer(&refer, "603 Decline", "", "").await;
    };
    let came = tokio::join!(dialog.refer_replacing("sip:lab@127.0.0.1", other.identity()), answering).0;
    assert_eq!(came, Err(ReferError::Refused(603)));

    // A call that comes to take the second one's place names it so.
    let third = Peer::new(box_.udp).await;
    let replaces = format!("Require: replaces\r\nReplaces: second;to-tag={ours};from-tag={}\r\n", second.tag);
    third.send(&third.request("INVITE", "third", 1, &replaces, SDP)).await;
    let call = box_.call().await;
    assert_eq!(call.replaces.as_ref(), Some(&other.identity()));
    call.reject(481, "").await;
    third.expect(481).await;
    third.send(&third.request("INVITE", "bad", 1, "Replaces: second\r\n", SDP)).await;
    third.expect(400).await;
}

#[tokio::test]
async fn a_calls_messages_are_kept_without_its_secrets() {
    let mut box_ = TestBox::start(phones::with_phones).await;
    let phone = Peer::new(box_.udp).await;
    phone.send(&phone.request("INVITE", "traced", 1, "", SDP)).await;
    let challenge = phone.expect(401).await;
    assert!(box_.endpoint.trace("traced").is_empty(), "a stranger's call is not kept");
    phone.ack(&challenge, 1, "").await;
    let answer = phones::credentials(&challenge, "201", "swordfish-17", "INVITE", "sip:+12125550100@127.0.0.1");
    phone.send(&phone.request("INVITE", "traced", 2, &answer, SDP)).await;
    let mut dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let ok = phone.expect(200).await;
    phone.ack(&ok, 2, "").await;
    assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { .. }));
    let info = phone.to("INFO", "traced", 3, header(&ok, "To").unwrap(), "", "Signal=7\r\n");
    phone.send(&info.replace("application/sdp", "application/dtmf-relay")).await;
    phone.receive_where(|t| header(t, "CSeq") == Some("3 INFO")).await;
    dialog.bye("done").await;
    let bye = phone.expect_request("BYE").await;
    phone.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);

    let trace = box_.endpoint.trace("traced");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let ladder: Vec<_> = trace
        .iter()
        .map(|message| (message.direction, text(&message.bytes).split(' ').take(2).next().unwrap().to_owned()))
        .collect();
    let first = |direction, word: &str| ladder.iter().position(|(d, w)| *d == direction && w == word);
    assert_eq!(first(TraceDirection::Received, "INVITE"), Some(0), "{ladder:?}");
    assert!(first(TraceDirection::Sent, "SIP/2.0").is_some() && first(TraceDirection::Sent, "BYE").is_some());
    assert!(first(TraceDirection::Received, "ACK") < first(TraceDirection::Received, "INFO"));
    assert!(trace.iter().all(|message| message.peer == phone.here));
    let all: String = trace.iter().map(|message| text(&message.bytes)).collect();
    assert!(all.contains("Authorization: [removed]") && !all.contains("response="), "{all}");
    assert!(all.contains("Signal=*") && !all.contains("Signal=7"), "{all}");
    assert_eq!(trace.iter().filter(|message| message.masked).count(), 1);
}
