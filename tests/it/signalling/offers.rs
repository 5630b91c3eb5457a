//! Offers within a call: late ones, re-INVITE and UPDATE, glare.

use super::*;

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
