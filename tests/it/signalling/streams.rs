//! Calls that come in over TCP and TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn a_call_over_tcp_in_pieces() {
    let mut box_ = TestBox::start(|_| ()).await;
    let mut stream = TcpStream::connect(box_.tcp).await.unwrap();
    let here = stream.local_addr().unwrap();
    let peer = Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), here, tag: "t".into() };
    let invite = peer.request("INVITE", "tcp", 1, "", SDP).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let (first, second) = invite.split_at(invite.len() / 2);
    stream.write_all(format!("\r\n\r\n{first}").as_bytes()).await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    // The rest, and the next message in the same write.
    let options = peer.options("tcp2").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(format!("{second}{options}").as_bytes()).await.unwrap();
    let mut dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let mut read = String::new();
    let mut buffer = [0; 4096];
    while !(read.contains("Call-ID: tcp2") && read.contains(SDP)) {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(n > 0, "closed: {read}");
        read += std::str::from_utf8(&buffer[..n]).unwrap();
    }
    let ok = &read[read.find("CSeq: 1 INVITE").and_then(|at| read[..at].rfind("SIP/2.0 200")).unwrap()..];
    assert!(header(ok, "Contact").unwrap().contains(&format!("{};transport=tcp", box_.tcp)), "{ok}");
    let ack = peer.to("ACK", "tcp", 1, header(ok, "To").unwrap(), "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(ack.as_bytes()).await.unwrap();
    assert!(matches!(event(&mut dialog).await, DialogEvent::Confirmed { .. }));
    dialog.bye("").await;
    loop {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(n > 0);
        if std::str::from_utf8(&buffer[..n]).unwrap().contains("BYE sip:") {
            break;
        }
    }
}

#[tokio::test]
async fn a_call_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut box_ = TestBox::start(|settings| {
        settings.sip.listen = vec![Listen { transport: Transport::Tls, address: "127.0.0.1:0".parse().unwrap() }];
        settings.sip.certificate = Some(certificate);
        settings.sip.key = Some(key);
    })
    .await;
    let address = box_.endpoint.local_addresses()[0].address;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let here = stream.local_addr().unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let peer = Peer { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), here, tag: "t".into() };
    let invite = peer.request("INVITE", "tls", 1, "", SDP).replace("SIP/2.0/UDP", "SIP/2.0/TLS");
    stream.write_all(invite.as_bytes()).await.unwrap();
    let _dialog = box_.call().await.answer(SDP.to_owned()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let n = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
    let ok = std::str::from_utf8(&buffer[..n]).unwrap();
    assert!(ok.starts_with("SIP/2.0 200 "), "{ok}");
    assert!(header(ok, "Contact").unwrap().ends_with(";transport=tls>"), "{ok}");
}
