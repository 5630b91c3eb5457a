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
