//! Calls that come in: answered, refused by the caller, hung up.

use threadline::sip::AnswerError;

use super::*;

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
