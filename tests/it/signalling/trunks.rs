//! Trunks over TCP and TLS against a carrier that listens: registered, kept alive, called through, and reconnected when
//! the carrier closes the connection.

use std::sync::Arc;

use threadline::model::{PhoneNumber, Private};
use threadline::settings::{Register, TrunkAddress};
use threadline::sip::outbound::{Call, Outbound, Step, Target};
use threadline::sip::{TrunkState, Trunks};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Brisk, and yet a loaded machine answers within 12 T1.
const TIMERS: Timers =
    Timers { t1: Duration::from_millis(200), t2: Duration::from_millis(800), t4: Duration::from_millis(800) };

/// `clinic`, `secret`.
pub fn account() -> Register {
    Register {
        username: "clinic".into(),
        password: Private::new("secret".into()),
        auth_username: None,
        expires: Duration::from_secs(600),
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A carrier's listener.
struct Carrier {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// A connection that was made to it.
struct Connection {
    stream: Box<dyn Stream>,
    here: SocketAddr,
    read: Vec<u8>,
}

impl Carrier {
    async fn accept(&self) -> Connection {
        let (stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("no connection").unwrap();
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.accept(stream).await.expect("a handshake")),
            None => Box::new(stream),
        };
        Connection { stream, here: self.listener.local_addr().unwrap(), read: Vec::new() }
    }
}

impl Connection {
    /// The next message.
    async fn next(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length: usize = header(&text, "Content-Length").unwrap().parse().unwrap();
                if rest.len() >= length {
                    self.read.drain(..head.len() + 4 + length);
                    let message = format!("{head}\r\n\r\n{}", &rest[..length]);
                    rsip::SipMessage::try_from(message.as_bytes().to_vec()).expect("SIP");
                    return message;
                }
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read));
            assert!(read.await.expect("nothing came").unwrap() > 0, "closed: {text}");
        }
    }

    /// The next request of this method; OPTIONS is answered on the way.
    async fn request(&mut self, method: &str) -> String {
        loop {
            let text = self.next().await;
            if text.starts_with(&format!("{method} ")) {
                return text;
            }
            if text.starts_with("OPTIONS ") {
                self.answer(&text, "200 OK", "", "").await;
            }
        }
    }

    async fn answer(&mut self, request: &str, status_line: &str, extra: &str, body: &str) {
        let mut out = format!("SIP/2.0 {status_line}\r\n");
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            out += &format!("{name}: {}\r\n", header(request, name).unwrap());
        }
        let to = header(request, "To").unwrap();
        let tag = if to.contains(";tag=") { "" } else { ";tag=there" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        out += &format!("To: {to}{tag}\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(out.as_bytes()).await.unwrap();
    }

    /// Grants a REGISTER once it has answered the challenge.
    async fn register(&mut self) {
        let mut register = self.request("REGISTER").await;
        if header(&register, "Authorization").is_none() {
            self.answer(&register, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "")
                .await;
            register = self.request("REGISTER").await;
        }
        assert!(header(&register, "Authorization").unwrap().contains("username=\"clinic\""), "{register}");
        let contact = format!("Contact: {};expires=600\r\n", header(&register, "Contact").unwrap());
        self.answer(&register, "200 OK", &contact, "").await;
    }

    /// Takes a call up to its ACK.
    async fn take_call(&mut self) -> String {
        let invite = self.request("INVITE").await;
        self.answer(&invite, "180 Ringing", "", "").await;
        let contact = format!("Contact: <sip:there@{}>\r\n", self.here);
        self.answer(&invite, "200 OK", &contact, SDP).await;
        self.request("ACK").await;
        invite
    }
}

/// A carrier on the loopback, and a box with a trunk to it.
async fn carrier(
    transport: Transport,
    trusted: bool,
    timers: Timers,
) -> (Carrier, TestBox, Settings, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = (transport == Transport::Tls).then(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    });
    let port = listener.local_addr().unwrap().port();
    let mut kept = None;
    let change = |settings: &mut Settings| {
        settings.trunks.truncate(1);
        settings.trunks[0].address = TrunkAddress { host: "localhost".into(), port: Some(port), transport };
        settings.trunks[0].register = Some(account());
        settings.sip.ca = (tls.is_some() && trusted).then(|| ca.clone());
        kept = Some(settings.clone());
    };
    let box_ = TestBox::start_with(change, timers, Clock::system()).await;
    (Carrier { listener, tls }, box_, kept.unwrap(), folder)
}

async fn state(trunks: &Trunks, wanted: TrunkState) {
    let wait = async {
        while trunks.states()[0].1 != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{:?}", trunks.states()));
}

fn dial(box_: &TestBox, settings: &Settings) -> Outbound {
    let targets = vec![Target::through(&settings.trunks[0], &PhoneNumber::e164("+12125550142").unwrap())];
    let call = Call {
        targets,
        from: "+12125550100".into(),
        display: None,
        offer: SDP.into(),
        ring_for: Duration::from_secs(30),
        ..Call::default()
    };
    Outbound::dial(&box_.endpoint, call)
}

async fn answered(call: &mut Outbound) -> Dialog {
    loop {
        match call.next().await {
            Some(Step::Progress { .. }) => {}
            Some(Step::Answered { dialog, .. }) => return dialog,
            other => panic!("{other:?}"),
        }
    }
}

async fn lives(transport: Transport) {
    let (carrier, box_, settings, _folder) = carrier(transport, true, TIMERS).await;
    let trunks = Trunks::start(&box_.endpoint, &settings, Clock::system());
    let mut first = carrier.accept().await;
    first.register().await;
    state(&trunks, TrunkState::Up).await;

    // A call goes by the connection that is there, and names the transport.
    let mut call = dial(&box_, &settings);
    let invite = first.take_call().await;
    let named = if transport == Transport::Tls { "tls" } else { "tcp" };
    assert!(header(&invite, "Via").unwrap().starts_with(&format!("SIP/2.0/{} ", named.to_uppercase())), "{invite}");
    assert!(header(&invite, "Contact").unwrap().ends_with(&format!(";transport={named}>")), "{invite}");
    let mut dialog = answered(&mut call).await;
    dialog.bye("").await;
    let bye = first.request("BYE").await;
    first.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);

    // Another is up when the carrier closes the connection.
    let mut call = dial(&box_, &settings);
    first.take_call().await;
    let mut dialog = answered(&mut call).await;
    drop(first);
    // The box comes back by itself, asks, and registers anew: the carrier calls by this connection.
    let mut second = carrier.accept().await;
    second.register().await;
    // What is left of the call goes the new way.
    dialog.bye("").await;
    let bye = second.request("BYE").await;
    second.answer(&bye, "200 OK", "", "").await;
    assert_eq!(ended(&mut dialog).await.0, Ended::Local);
    // And so do new ones.
    let mut call = dial(&box_, &settings);
    second.take_call().await;
    let _dialog = answered(&mut call).await;
    // Requests that were due at the same time have shared their connection.
    assert!(tokio::time::timeout(Duration::ZERO, carrier.listener.accept()).await.is_err(), "one connection too many");
}

#[tokio::test]
async fn a_tcp_trunk_lives_through_a_lost_connection() {
    lives(Transport::Tcp).await;
}

#[tokio::test]
async fn a_tls_trunk_lives_through_a_lost_connection() {
    lives(Transport::Tls).await;
}

#[tokio::test]
async fn a_carrier_whose_certificate_nobody_vouches_for_is_not_spoken_to() {
    let (carrier, box_, settings, _folder) = carrier(Transport::Tls, false, TIMERS).await;
    let trunks = Trunks::start(&box_.endpoint, &settings, Clock::system());
    let (stream, _) = carrier.listener.accept().await.unwrap();
    assert!(carrier.tls.as_ref().unwrap().accept(stream).await.is_err(), "the box took a stranger's certificate");
    state(&trunks, TrunkState::Down).await;
}

#[tokio::test]
async fn a_call_does_not_wait_for_a_connection_that_has_ended() {
    // Silence would be taken for an answer after 10 T1: too long for this test.
    let timers = Timers { t1: PATIENCE, ..Timers::default() };
    let (carrier, box_, settings, _folder) = carrier(Transport::Tcp, true, timers).await;
    let mut call = dial(&box_, &settings);
    let mut connection = carrier.accept().await;
    connection.request("INVITE").await;
    drop(connection);
    let last = tokio::time::timeout(PATIENCE, call.next()).await.expect("it waits");
    assert!(matches!(last, Some(Step::Failed { status: 503 })), "{last:?}");
}
