use super::*;
use crate::clock::Clock;
use crate::model::{PhoneNumber, Private};
use crate::settings::{Transport, TrunkAddress};
use crate::sip::digest::{Answer, Credentials};
use crate::sip::endpoint::Timers;
use crate::sip::rig::{self, Heard, Peer};
use crate::sip::{DialogEvent, Ended};

const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn sdp(port: u16) -> String {
    OFFER.replace("4000", &port.to_string())
}

fn target(peer: &Peer) -> Target {
    Target::direct(&format!("sip:201@{}", peer.address())).unwrap()
}

async fn dial(targets: Vec<Target>) -> Outbound {
    let endpoint = rig::endpoint(&rig::settings("")).await;
    let call = Call {
        targets,
        from: "thread line".into(),
        display: None,
        offer: OFFER.into(),
        ring_for: Duration::from_secs(30),
        ..Call::default()
    };
    Outbound::dial(&endpoint, call)
}

async fn failed(call: &mut Outbound) -> u16 {
    loop {
        match call.next().await {
            Some(Step::Progress { .. }) => {}
            Some(Step::Failed { status }) => return status,
            other => panic!("{other:?}"),
        }
    }
}

/// Reads up to the ACK and the BYE for the fork `tag`, and answers the BYE.
async fn hung_up_on(peer: &Peer, tag: &str) {
    let ack = loop {
        let ack = peer.next("ACK").await;
        if ack.to_tag() == Some(tag) {
            break ack;
        }
    };
    let bye = peer.next("BYE").await;
    assert_eq!((bye.to_tag(), bye.header("Call-ID")), (Some(tag), ack.header("Call-ID")));
    assert_eq!(ack.uri(), format!("sip:{tag}@{}", peer.address()));
    peer.reply(&bye, 200, "", "", "").await;
}

#[tokio::test]
async fn a_call_rings_is_answered_and_hung_up() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    assert_eq!(invite.uri(), format!("sip:201@{}", peer.address()));
    assert!(invite.header("From").starts_with("<sip:thread%20line@127.0.0.1:"));
    assert_eq!((invite.body(), invite.header("Session-Expires")), (OFFER, "1800"));
    peer.reply(&invite, 100, "", "", "").await;
    peer.reply(&invite, 180, "a", &peer.contact("a"), "").await;
    assert!(matches!(call.next().await, Some(Step::Progress { status: 180, fork: 0, sdp: None })));
    peer.reply(&invite, 200, "a", &peer.contact("a"), &sdp(5000)).await;
    let Some(Step::Answered { mut dialog, sdp: Some(answer), trunk: None }) = call.next().await else { panic!() };
    assert_eq!(answer, sdp(5000));
    assert!(call.next().await.is_none());
    let ack = peer.next("ACK").await;
    assert_eq!((ack.uri(), ack.to_tag()), (format!("sip:a@{}", peer.address()).as_str(), Some("a")));
    assert_eq!(ack.header("CSeq"), "1 ACK");
    dialog.bye("done").await;
    let bye = peer.next("BYE").await;
    assert_eq!(bye.header("CSeq"), "2 BYE");
    peer.reply(&bye, 200, "", "", "").await;
    while !matches!(dialog.next().await, DialogEvent::Ended { .. }) {}
}

#[tokio::test]
async fn a_challenge_is_answered_once() {
    let peer = Peer::new().await;
    let credentials = Credentials { username: "clinic".into(), password: Private::new("secret".into()) };
    let mut call = dial(vec![target(&peer).with_credentials(credentials)]).await;
    let first = peer.next("INVITE").await;
    assert!(first.find("Authorization").is_none());
    let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth,auth-int\"\r\n\
                     Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\"\r\n";
    peer.reply(&first, 407, "x", challenge, "").await;
    let second = loop {
        let invite = peer.next("INVITE").await;
        if invite.header("CSeq") == "2 INVITE" {
            break invite;
        }
    };
    assert_eq!((second.header("Call-ID"), second.header("From")), (first.header("Call-ID"), first.header("From")));
    assert_ne!(second.branch(), first.branch());
    let answer = second.header("Proxy-Authorization");
    assert!(answer.contains("algorithm=SHA-256"));
    assert!(Answer::parse(answer).unwrap().proves("secret", "INVITE", b""));
    assert_eq!(Answer::parse(answer).unwrap().uri, second.uri());
    peer.reply(&second, 407, "y", challenge, "").await;
    assert_eq!(failed(&mut call).await, 407);

    // Without credentials a challenge is the end.
    let mut call = dial(vec![target(&peer)]).await;
    peer.reply(&fresh_invite(&peer, &first).await, 401, "x", "", "").await;
    assert_eq!(failed(&mut call).await, 401);
}

/// The next INVITE of another call than `before`'s.
async fn fresh_invite(peer: &Peer, before: &Heard) -> Heard {
    loop {
        let invite = peer.next("INVITE").await;
        if invite.header("Call-ID") != before.header("Call-ID") {
            return invite;
        }
    }
}

#[tokio::test]
async fn the_next_target_is_tried_when_one_cannot() {
    let (busy, silent, last) = (Peer::new().await, Peer::new().await, Peer::new().await);
    let mut call = dial(vec![target(&busy), target(&silent), target(&last)]).await;
    busy.reply(&busy.next("INVITE").await, 503, "x", "", "").await;
    let unanswered = silent.next("INVITE").await;
    let invite = last.next("INVITE").await;
    // The silent one wakes up: it is too late, and it is told so.
    silent.reply(&unanswered, 200, "late", &silent.contact("late"), &sdp(5000)).await;
    hung_up_on(&silent, "late").await;
    last.reply(&invite, 486, "z", "", "").await;
    assert_eq!(failed(&mut call).await, 486);
}

#[tokio::test]
async fn a_peer_that_wakes_late_to_ring_is_cancelled() {
    let (silent, last) = (Peer::new().await, Peer::new().await);
    let _call = dial(vec![target(&silent), target(&last)]).await;
    let unanswered = silent.next("INVITE").await;
    last.next("INVITE").await;
    silent.reply(&unanswered, 180, "late", "", "").await;
    assert_eq!(silent.next("CANCEL").await.branch(), unanswered.branch());
}

#[tokio::test]
async fn redirects_and_refusals_end_the_call() {
    for status in [302, 404, 488, 603] {
        let (peer, other) = (Peer::new().await, Peer::new().await);
        let mut call = dial(vec![target(&peer), target(&other)]).await;
        let invite = peer.next("INVITE").await;
        peer.reply(&invite, status, "x", &other.contact("elsewhere"), "").await;
        assert_eq!(failed(&mut call).await, status);
        assert_eq!(peer.next("ACK").await.branch(), invite.branch());
    }
}

#[tokio::test]
async fn nobody_there_is_said() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    assert_eq!(failed(&mut call).await, 503, "it has not said a word");
    assert_eq!(failed(&mut dial(vec![]).await).await, 503);
    // The box listens on UDP over IPv4 alone.
    assert_eq!(failed(&mut dial(vec![Target::direct("sip:201@[::1]:5060").unwrap()]).await).await, 503);
}

#[tokio::test]
async fn hanging_up_cancels_what_rings() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    peer.reply(&invite, 180, "a", "", "").await;
    call.next().await;
    call.hang_up();
    let cancel = peer.next("CANCEL").await;
    assert_eq!((cancel.branch(), cancel.uri()), (invite.branch(), invite.uri()));
    assert_eq!((cancel.header("CSeq"), cancel.to_tag()), ("1 CANCEL", None));
    peer.reply(&cancel, 200, "a", "", "").await;
    peer.reply(&invite, 487, "a", "", "").await;
    assert_eq!(failed(&mut call).await, 487);
}

/// Timers so long that whoever waited for one would never come back.
#[tokio::test]
async fn a_phone_that_rang_and_is_gone_holds_nobody() {
    let timers = Timers { t1: Duration::from_secs(600), ..rig::TIMERS };
    for given_up in [true, false] {
        let (endpoint, _calls) = Endpoint::bind_with(&rig::settings(""), Clock::system(), timers).await.unwrap();
        let peer = Peer::new().await;
        let ring_for = if given_up { Duration::from_secs(600) } else { Duration::from_millis(300) };
        let call = Call {
            targets: vec![target(&peer)],
            from: "t".into(),
            display: None,
            offer: OFFER.into(),
            ring_for,
            ..Call::default()
        };
        let mut call = Outbound::dial(&endpoint, call);
        peer.reply(&peer.next("INVITE").await, 180, "a", "", "").await;
        call.next().await;
        if given_up {
            call.hang_up();
        }
        // It never answers the CANCEL.
        let status = tokio::time::timeout(Duration::from_secs(30), failed(&mut call)).await.expect("nobody waits");
        assert_eq!(status, if given_up { 487 } else { 408 });
        peer.next("CANCEL").await;
    }
}

#[tokio::test]
async fn dropping_the_handle_hangs_up() {
    let peer = Peer::new().await;
    let call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    drop(call);
    // Before the peer has spoken there is nothing to cancel (RFC 3261 section 9.1).
    peer.reply(&invite, 180, "a", "", "").await;
    assert_eq!(peer.next("CANCEL").await.branch(), invite.branch());
}

#[tokio::test]
async fn a_phone_that_hangs_up_right_behind_its_answer_has_hung_up() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    let bye = format!(
        "BYE sip:x@{box_} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKbye\r\nFrom: <sip:201@h>;tag=a\r\nTo: {ours}\r\n\
         Call-ID: {id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        box_ = invite.from,
        here = peer.address(),
        ours = invite.header("From"),
        id = invite.header("Call-ID"),
    );
    // Before anybody can have read the answer.
    peer.send(&bye, invite.from).await;
    peer.reply(&invite, 200, "a", &peer.contact("a"), &sdp(5000)).await;
    let Some(Step::Answered { mut dialog, .. }) = call.next().await else { panic!("it was answered") };
    while !matches!(dialog.next().await, DialogEvent::Ended { by: Ended::Remote, .. }) {}
    let answer = loop {
        let heard = peer.any().await;
        if heard.header("CSeq") == "1 BYE" {
            break heard;
        }
    };
    assert!(answer.text.starts_with("SIP/2.0 200 "), "{}", answer.text);
}

#[tokio::test]
async fn an_answer_that_crosses_our_cancel_is_hung_up_on() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    peer.reply(&invite, 180, "a", "", "").await;
    call.next().await;
    call.hang_up();
    peer.next("CANCEL").await;
    peer.reply(&invite, 200, "a", &peer.contact("a"), &sdp(5000)).await;
    hung_up_on(&peer, "a").await;
    assert_eq!(failed(&mut call).await, 487);
}

#[tokio::test]
async fn ringing_ends_when_it_has_lasted_long_enough() {
    let peer = Peer::new().await;
    let endpoint = rig::endpoint(&rig::settings("")).await;
    let ring_for = Duration::from_millis(300);
    let call = Call {
        targets: vec![target(&peer)],
        from: "t".into(),
        display: None,
        offer: OFFER.into(),
        ring_for,
        ..Call::default()
    };
    let mut call = Outbound::dial(&endpoint, call);
    let invite = peer.next("INVITE").await;
    peer.reply(&invite, 180, "a", "", "").await;
    peer.next("CANCEL").await;
    peer.reply(&invite, 487, "a", "", "").await;
    assert_eq!(failed(&mut call).await, 408);
}

/// 403, 404 and the like are one trunk's word: an emergency call asks the next.
#[tokio::test]
async fn what_one_trunk_refuses_the_next_is_asked_for_where_it_must_not_fail() {
    for (insist, last) in [(false, 403), (true, 486)] {
        let (first, second) = (Peer::new().await, Peer::new().await);
        let endpoint = rig::endpoint(&rig::settings("")).await;
        let targets = vec![target(&first), target(&second)];
        let ring_for = Duration::from_secs(30);
        let call = Call { targets, from: "t".into(), offer: OFFER.into(), ring_for, insist, ..Call::default() };
        let mut call = Outbound::dial(&endpoint, call);
        let invite = first.next("INVITE").await;
        first.reply(&invite, 403, "a", "", "").await;
        if insist {
            let invite = second.next("INVITE").await;
            second.reply(&invite, 486, "b", "", "").await;
        }
        assert_eq!(failed(&mut call).await, last);
    }
}

#[tokio::test]
async fn forks_are_kept_apart_and_the_first_answer_wins() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    for (tag, port) in [("a", 5000), ("b", 6000)] {
        peer.reply(&invite, 183, tag, &peer.contact(tag), &sdp(port)).await;
    }
    for (expected, port) in [(0, 5000), (1, 6000)] {
        let Some(Step::Progress { status: 183, fork, sdp: Some(early) }) = call.next().await else { panic!() };
        assert_eq!((fork, early), (expected, sdp(port)));
    }
    // b's 200 is empty: its SDP came early.
    peer.reply(&invite, 200, "b", &peer.contact("b"), "").await;
    let Some(Step::Answered { mut dialog, sdp: Some(answer), .. }) = call.next().await else { panic!() };
    assert_eq!(answer, sdp(6000));
    peer.next("ACK").await;
    peer.reply(&invite, 200, "a", &peer.contact("a"), &sdp(5000)).await;
    hung_up_on(&peer, "a").await;
    // A repeated 200 of the winner gets its ACK again, and the call goes on until b hangs up.
    peer.reply(&invite, 200, "b", &peer.contact("b"), "").await;
    assert_eq!(peer.next("ACK").await.to_tag(), Some("b"));
    dialog.bye("").await;
    assert_eq!(peer.next("BYE").await.to_tag(), Some("b"));
    while !matches!(dialog.next().await, DialogEvent::Ended { .. }) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_longer_session_timer_is_agreed_to() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let first = peer.next("INVITE").await;
    peer.reply(&first, 422, "x", "Min-SE: 3600\r\n", "").await;
    let second = loop {
        let invite = peer.next("INVITE").await;
        if invite.header("CSeq") == "2 INVITE" {
            break invite;
        }
    };
    assert_eq!(second.header("Session-Expires"), "3600");
    peer.reply(&second, 422, "x", "Min-SE: 3600\r\n", "").await;
    assert_eq!(failed(&mut call).await, 422);
}

#[test]
fn targets_are_read_strictly() {
    for (uri, host, port, transport) in [
        ("sip:201@10.0.0.20", "10.0.0.20", None, Transport::Udp),
        ("sip:201@pbx.example:5080;transport=tcp;user=phone", "pbx.example", Some(5080), Transport::Tcp),
        ("sips:201@pbx.example", "pbx.example", None, Transport::Tls),
        ("sip:pbx.example;transport=TLS", "pbx.example", None, Transport::Tls),
        ("SIP:1@[2001:db8::1]:5070", "[2001:db8::1]", Some(5070), Transport::Udp),
        ("sip:1@[2001:db8::1]", "[2001:db8::1]", None, Transport::Udp),
    ] {
        let target = Target::direct(uri).unwrap();
        let Way::Host(address) = target.way else { panic!() };
        assert_eq!(address, TrunkAddress { host: host.into(), port, transport }, "{uri}");
    }
    for uri in [
        "201",
        "tel:+12125550100",
        "sip:",
        "sip:a@",
        "sip:a@h:x",
        "sip:a b@h",
        "sip:a@h\r\nX: y",
        "sip:a@h;transport=ws",
    ] {
        assert!(Target::direct(uri).is_err(), "{uri}");
    }
    let settings = rig::settings(
        "[[trunk]]\nname = \"c\"\naddress = \"sip.carrier.example:5070;transport=tcp\"\n\
         register = { username = \"u\", password = { env = \"P\" } }\n",
    );
    let target = Target::through(&settings.trunks[0], &PhoneNumber::e164("+12125550142").unwrap());
    assert_eq!(target.uri.expose(), "sip:+12125550142@sip.carrier.example:5070");
    assert!(!format!("{target:?}").contains("142@"), "a number in a log");
    assert_eq!(target.credentials.unwrap().username, "u");
}

/// Whoever adds a caller must be sure that nothing from outside reaches it: `call/dial.rs` rings what the phone tree
/// names, what an authenticated phone of the clinic may dial, and whom signed-in staff call.
#[test]
fn only_the_command_line_and_one_place_of_the_call_dial() {
    fn callers(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                callers(&path, found);
            } else if std::fs::read_to_string(&path).unwrap_or_default().contains("Outbound::dial") {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    let mut found = Vec::new();
    callers(source.as_ref(), &mut found);
    let may = ["/src/sip/outbound/", "/src/cli/", "/src/call/dial.rs"];
    found.retain(|path| !may.iter().any(|place| path.contains(place)));
    assert!(found.is_empty(), "{found:?} may place calls");
}

/// A reliable 183 of the fork `tag`.
async fn reliably(peer: &Peer, invite: &Heard, tag: &str, rseq: u32, body: &str) {
    let headers = format!("{}Require: 100rel\r\nRSeq: {rseq}\r\n", peer.contact(tag));
    peer.reply(invite, 183, tag, &headers, body).await;
}

#[tokio::test]
async fn reliable_provisional_responses_are_acknowledged_each_once() {
    let peer = Peer::new().await;
    let mut call = dial(vec![target(&peer)]).await;
    let invite = peer.next("INVITE").await;
    assert!(invite.header("Supported").split(", ").any(|tag| tag == "100rel"));
    // The PRACKs in order of arrival, without repetitions; each is answered.
    let pracks = async |wanted: usize| {
        let mut heard: Vec<(String, String, String)> = Vec::new();
        while heard.len() < wanted {
            let prack = peer.next("PRACK").await;
            peer.reply(&prack, 200, "", "", "").await;
            let tag = prack.to_tag().unwrap().to_owned();
            assert_eq!(prack.uri(), format!("sip:{tag}@{}", peer.address()));
            assert_eq!(
                (prack.header("Call-ID"), prack.header("From")),
                (invite.header("Call-ID"), invite.header("From"))
            );
            let said = (tag, prack.header("RAck").to_owned(), prack.header("CSeq").to_owned());
            if !heard.contains(&said) {
                heard.push(said);
            }
        }
        heard
    };
    let said = |tag: &str, rack: &str, cseq: &str| (tag.to_owned(), rack.to_owned(), cseq.to_owned());

    reliably(&peer, &invite, "a", 70, &sdp(5000)).await;
    assert_eq!(pracks(1).await, [said("a", "70 1 INVITE", "2 PRACK")]);
    // Again, and one that is not its turn: neither gets a PRACK, or it would come before the next ones.
    reliably(&peer, &invite, "a", 70, &sdp(5000)).await;
    reliably(&peer, &invite, "a", 72, "").await;
    reliably(&peer, &invite, "b", 1, &sdp(6000)).await;
    reliably(&peer, &invite, "a", 71, "").await;
    let mut next = pracks(2).await;
    next.retain(|said| said.1 != "70 1 INVITE");
    next.extend(pracks(2 - next.len()).await);
    assert_eq!(next, [said("b", "1 1 INVITE", "2 PRACK"), said("a", "71 1 INVITE", "3 PRACK")]);

    // Who reads PRACKs may send an UPDATE before the answer.
    let update = |cseq: u32, body: &str| {
        format!(
            "UPDATE sip:x@{box_} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKu{cseq}\r\nFrom: <sip:201@h>;tag=a\r\n\
             To: {ours}\r\nCall-ID: {call}\r\nCSeq: {cseq} UPDATE\r\nContact: <sip:a@{here}>\r\nMax-Forwards: 70\r\n\
             {kind}Content-Length: {length}\r\n\r\n{body}",
            box_ = invite.from,
            here = peer.address(),
            ours = invite.header("From"),
            call = invite.header("Call-ID"),
            kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            length = body.len()
        )
    };
    for (cseq, body, status) in [(1, String::new(), "200"), (2, sdp(5002), "488")] {
        peer.send(&update(cseq, &body), invite.from).await;
        let answer = loop {
            let heard = peer.any().await;
            if heard.header("CSeq") == format!("{cseq} UPDATE") {
                break heard;
            }
        };
        assert!(answer.text.starts_with(&format!("SIP/2.0 {status} ")), "{}", answer.text);
    }

    peer.reply(&invite, 200, "a", &peer.contact("a"), "").await;
    let dialog = loop {
        match call.next().await {
            Some(Step::Progress { status: 183, .. }) => {}
            Some(Step::Answered { dialog, sdp: Some(answer), .. }) => {
                assert_eq!(answer, sdp(5000));
                break dialog;
            }
            other => panic!("{other:?}"),
        }
    };
    // The ACK has the INVITE's CSeq, what follows goes on after the PRACKs.
    assert_eq!(peer.next("ACK").await.header("CSeq"), "1 ACK");
    dialog.bye("").await;
    let bye = peer.next("BYE").await;
    assert_eq!((bye.to_tag(), bye.header("CSeq")), (Some("a"), "4 BYE"));
    peer.reply(&bye, 200, "", "", "").await;
    // The other phone picked up too: its BYE comes after its PRACK as well.
    peer.reply(&invite, 200, "b", &peer.contact("b"), &sdp(6000)).await;
    let bye = loop {
        let bye = peer.next("BYE").await;
        if bye.to_tag() == Some("b") {
            break bye;
        }
    };
    assert!(bye.header("CSeq").split(' ').next().unwrap().parse::<u32>().unwrap() > 2, "{}", bye.text);
}
