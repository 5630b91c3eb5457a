//! Requests that are refused: what cannot be served, strangers, too many calls.

use threadline::settings::Strangers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

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
