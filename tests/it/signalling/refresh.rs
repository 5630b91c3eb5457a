//! Session timers (RFC 4028): agreed, refreshed in both roles, and what a failed refresh comes to.

use super::*;

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

/// A box whose clock is moved by hand, and a call in it; `asked` are headers of the INVITE.
async fn at_a_standstill(call_id: &str, asked: &str) -> (Clock, TestBox, Peer, Dialog, String) {
    let clock = Clock::manual("2026-11-01T06:00:00Z".parse().unwrap());
    let mut box_ = TestBox::start_with(|_| (), Timers::default(), clock.clone()).await;
    let peer = Peer::new(box_.udp).await;
    let (dialog, ok) = peer.establish(&mut box_, call_id, asked).await;
    let to = header(&ok, "To").unwrap().to_owned();
    (clock, box_, peer, dialog, to)
}

impl Peer {
    /// Moves the clock and makes the leg look at it: a message does. Two, so that what was due at the first is done.
    async fn pass(&self, clock: &Clock, seconds: u64, call_id: &str, to: &str, cseq: &mut u32) {
        clock.advance(Duration::from_secs(seconds));
        for _ in 0..2 {
            *cseq += 1;
            self.send(&self.to("OPTIONS", call_id, *cseq, to, "", "")).await;
            let named = format!("{cseq} OPTIONS");
            self.receive_where(|text| header(text, "CSeq") == Some(&named) && status(text) == 200).await;
        }
    }
}

const PEER_REFRESHES: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\nSession-Expires: 120;refresher=uac\r\n";
const WE_REFRESH_BY_INVITE: &str =
    "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\nSession-Expires: 120;refresher=uas\r\n";
const WE_REFRESH_BY_UPDATE: &str =
    "Supported: timer\r\nAllow: INVITE, UPDATE\r\nSession-Expires: 120;refresher=uas\r\n";

#[tokio::test]
async fn a_peer_refreshes_by_reinvite_with_and_without_an_offer() {
    let (clock, _box, peer, mut dialog, to) = at_a_standstill("peer", PEER_REFRESHES).await;
    let mut cseq = 1;
    for offer in [SDP, "", SDP, ""] {
        // Of 120 s each, 32 s before the end the call would be given up.
        peer.pass(&clock, 70, "peer", &to, &mut cseq).await;
        cseq += 1;
        let again = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
        peer.send(&peer.to("INVITE", "peer", cseq, &to, again, offer)).await;
        let DialogEvent::Offer { sdp, reply } = event(&mut dialog).await else { panic!() };
        assert_eq!(sdp.as_deref(), Some(offer).filter(|offer| !offer.is_empty()));
        reply.accept(Some(SDP.to_owned())).await;
        let named = format!("{cseq} INVITE");
        let ok = peer.receive_where(|t| header(t, "CSeq") == Some(&named) && status(t) == 200).await;
        assert_eq!(header(&ok, "Session-Expires"), Some("120;refresher=uac"));
        assert!(ok.ends_with(SDP), "an answer, or the offer that was asked for: {ok}");
        peer.ack(&ok, cseq, if offer.is_empty() { SDP } else { "" }).await;
        if offer.is_empty() {
            let DialogEvent::Confirmed { sdp } = event(&mut dialog).await else { panic!() };
            assert_eq!(sdp.as_deref(), Some(SDP), "the answer came with the ACK");
        }
    }
    // Too short a session is refused, and what was agreed goes on.
    cseq += 1;
    let short = "Supported: timer\r\nSession-Expires: 60\r\n";
    peer.send(&peer.to("INVITE", "peer", cseq, &to, short, SDP)).await;
    assert_eq!(header(&peer.expect(422).await, "Min-SE"), Some("90"));
    peer.pass(&clock, 80, "peer", &to, &mut cseq).await;
    clock.advance(Duration::from_secs(10));
    peer.send(&peer.to("OPTIONS", "peer", cseq + 1, &to, "", "")).await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await, (Ended::SessionExpired, "session timer expired".to_owned()));
}

#[tokio::test]
async fn we_refresh_by_reinvite_where_the_peer_knows_no_update() {
    let (clock, _box, peer, mut dialog, to) = at_a_standstill("ours", WE_REFRESH_BY_INVITE).await;
    let mut cseq = 1;
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "ours", 2, &to, "", "")).await;
    let invite = peer.expect_request("INVITE").await;
    assert_eq!(header(&invite, "Session-Expires"), Some("120;refresher=uac"));
    assert!(invite.ends_with(SDP), "the session as it is: {invite}");
    // A proxy wants a longer session: asked again with that.
    peer.answer(&invite, "422 Session Interval Too Small", "Min-SE: 300\r\n", "").await;
    peer.expect_request("ACK").await;
    let longer = peer.receive_where(|t| t.starts_with("INVITE ") && header(t, "CSeq") != header(&invite, "CSeq")).await;
    assert_eq!(
        (header(&longer, "Session-Expires"), header(&longer, "Min-SE")),
        (Some("300;refresher=uac"), Some("300"))
    );
    let agreed = "Session-Expires: 300;refresher=uac\r\nRequire: timer\r\nContent-Type: application/sdp\r\n";
    peer.answer(&longer, "200 OK", agreed, SDP).await;
    let ack = peer.receive_where(|t| t.starts_with("ACK ") && t.contains(&cseq_of(&longer))).await;
    assert_eq!(header(&ack, "CSeq"), Some(format!("{} ACK", cseq_of(&longer)).as_str()));

    // The new interval counts from here: nothing is due before its half.
    cseq += 1;
    peer.pass(&clock, 149, "ours", &to, &mut cseq).await;
    clock.advance(Duration::from_secs(1));
    peer.send(&peer.to("OPTIONS", "ours", cseq + 1, &to, "", "")).await;
    let next = peer.receive_where(|t| t.starts_with("INVITE ") && cseq_of(t) != cseq_of(&longer)).await;
    // The peer no longer knows the call.
    peer.answer(&next, "481 Call/Transaction Does Not Exist", "", "").await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "481 Call/Transaction Does Not Exist", "", "").await;
    assert_eq!(ended(&mut dialog).await, (Ended::Lost, "peer does not know the call".to_owned()));
}

fn cseq_of(text: &str) -> String {
    header(text, "CSeq").unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_refused_update_becomes_a_reinvite_and_a_busy_peer_is_asked_again() {
    let (clock, _box, peer, mut dialog, to) = at_a_standstill("busy", WE_REFRESH_BY_UPDATE).await;
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "busy", 2, &to, "", "")).await;
    let update = peer.expect_request("UPDATE").await;
    peer.answer(&update, "405 Method Not Allowed", "", "").await;
    let invite = peer.expect_request("INVITE").await;
    peer.answer(&invite, "500 Server Internal Error", "Retry-After: 7\r\n", "").await;
    peer.expect_request("ACK").await;
    let mut cseq = 2;
    peer.pass(&clock, 6, "busy", &to, &mut cseq).await;
    clock.advance(Duration::from_secs(1));
    peer.send(&peer.to("OPTIONS", "busy", cseq + 1, &to, "", "")).await;
    let again = peer.receive_where(|t| t.starts_with("INVITE ") && cseq_of(t) != cseq_of(&invite)).await;
    peer.answer(&again, "408 Request Timeout", "", "").await;
    let bye = peer.expect_request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await, (Ended::Lost, "peer does not answer".to_owned()));
}

#[tokio::test]
async fn an_update_that_is_too_short_for_a_proxy_is_sent_again_longer() {
    let (clock, _box, peer, _dialog, to) = at_a_standstill("proxy", WE_REFRESH_BY_UPDATE).await;
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "proxy", 2, &to, "", "")).await;
    let update = peer.expect_request("UPDATE").await;
    peer.answer(&update, "422 Session Interval Too Small", "Min-SE: 180\r\n", "").await;
    let longer = peer.receive_where(|t| t.starts_with("UPDATE ") && cseq_of(t) != cseq_of(&update)).await;
    assert_eq!(
        (header(&longer, "Session-Expires"), header(&longer, "Min-SE")),
        (Some("180;refresher=uac"), Some("180"))
    );
}

#[tokio::test]
async fn a_peer_that_is_gone_when_we_refresh_ends_the_call() {
    let clock = Clock::manual("2026-11-01T06:00:00Z".parse().unwrap());
    let timers = Timers { t1: Duration::from_millis(5), t2: Duration::from_millis(40), ..Timers::default() };
    let mut box_ = TestBox::start_with(|_| (), timers, clock.clone()).await;
    let peer = Peer::new(box_.udp).await;
    let (mut dialog, ok) = peer.establish(&mut box_, "gone", WE_REFRESH_BY_INVITE).await;
    clock.advance(Duration::from_secs(60));
    peer.send(&peer.to("OPTIONS", "gone", 2, header(&ok, "To").unwrap(), "", "")).await;
    peer.expect_request("INVITE").await;
    assert_eq!(ended(&mut dialog).await, (Ended::Lost, "peer does not answer".to_owned()));
    peer.expect_request("BYE").await;
}
