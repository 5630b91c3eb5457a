//! Signalling over IPv6.

use super::*;

async fn ipv6_box() -> TestBox {
    TestBox::start(|settings| {
        let any = "[::1]:0".parse().unwrap();
        settings.sip.listen = vec![
            Listen { transport: Transport::Udp, address: any },
            Listen { transport: Transport::Tcp, address: any },
        ];
        settings.trunks[0].accept_from = vec!["::1/128".parse().unwrap()];
    })
    .await
}

#[tokio::test]
async fn a_call_over_ipv6() {
    let mut box_ = ipv6_box().await;
    let peer = Peer::new(box_.udp).await;
    peer.send(&peer.request("INVITE", "six", 1, "", SDP)).await;
    let call = box_.call().await;
    assert_eq!((call.local_address.to_string().as_str(), call.peer), ("::1", peer.here));
    assert_eq!(call.to.as_ref().unwrap().as_str(), "+12125550100");
    let mut dialog = call.answer(SDP.to_owned()).await.unwrap();
    let ok = peer.expect(200).await;
    assert_eq!(header(&ok, "Contact"), Some(format!("<sip:threadline@{}>", box_.udp).as_str()));
    peer.ack(&ok, 1, "").await;
    assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { sdp: None }));
    dialog.bye("done").await;
    let bye = peer.expect_request("BYE").await;
    assert!(bye.starts_with(&format!("BYE sip:pat%40home@{} SIP/2.0\r\n", peer.here)), "{bye}");
    assert!(header(&bye, "Via").unwrap().starts_with(&format!("SIP/2.0/UDP {};", box_.udp)), "{bye}");
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);
}

#[tokio::test]
async fn a_port_is_bound_for_each_family_on_its_own() {
    let six = ipv6_box().await;
    let four = format!("127.0.0.1:{}", six.udp.port()).parse().unwrap();
    let box_ = TestBox::start(|settings| {
        settings.sip.listen = vec![
            Listen { transport: Transport::Udp, address: four },
            Listen { transport: Transport::Udp, address: "[::]:0".parse().unwrap() },
        ];
    })
    .await;
    let both = box_.endpoint.local_addresses();
    // IPv4 is not swallowed by [::]: the same port is still free there.
    UdpSocket::bind(("0.0.0.0", both[1].address.port())).await.unwrap();
}
