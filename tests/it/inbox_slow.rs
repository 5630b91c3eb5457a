//! Clients that are slow on purpose: whatever they hold is taken from them, and others are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use threadline::web::{self, Limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;

/// What is waited for in earnest is waited for here in moments.
const SHORT: Limits = Limits {
    connections: 4,
    head: Duration::from_millis(200),
    form: Duration::from_millis(200),
    oldest: Duration::from_millis(400),
    grace: Duration::from_millis(100),
};
/// Between two bytes of a slow client.
const PAUSE: Duration = Duration::from_millis(20);
/// More of these than every buffer on the way holds.
const LONG_PAGE: &str = "GET /assets/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
const MANY: usize = 2_000;
const HEAD: &str = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
const FORM: &str = "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\nname=";

/// In which way a client is slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// It says nothing: of TLS, not even hello.
    Silent,
    /// Its headers never end.
    Head,
    /// Its form never ends.
    Form,
    /// It asks and asks and never reads.
    Reader,
}

/// A site with short limits, and how to speak to it.
struct Site {
    _desk: Desk,
    _folder: TempDir,
    address: SocketAddr,
    tls: Option<TlsConnector>,
    client: Client,
    shutdown: CancellationToken,
}

impl Site {
    async fn open(limits: Limits, encrypted: bool) -> Site {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("web.pem"), folder.path().join("web.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let desk = Desk::open_with(|settings| {
            if encrypted {
                (settings.web.certificate, settings.web.key) = (Some(certificate), Some(key));
            }
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(web::serve_within(limits, listener, desk.web.clone(), shutdown.clone()));
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let root = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([root]).pool_max_idle_per_host(0).build().unwrap();
        Site {
            _desk: desk,
            _folder: folder,
            address,
            tls: encrypted.then(|| TlsConnector::from(Arc::new(config))),
            client,
            shutdown,
        }
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// Somebody who is quick is served.
    async fn serves(&self, what: &str) {
        let answer = self.client.get(self.url("/sign-in")).send().await;
        assert_eq!(answer.unwrap_or_else(|error| panic!("{what}: {error}")).status(), StatusCode::OK, "{what}");
    }

    /// A slow client, which stays slow for as long as it is let.
    async fn slow(&self, how: Slow) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let tls = self.tls.clone();
        tokio::spawn(async move {
            match tls {
                Some(tls) if !matches!(how, Slow::Silent) => {
                    let name = ServerName::try_from("localhost").unwrap();
                    // While all places are taken, nobody answers the handshake.
                    if let Ok(stream) = tls.connect(name, stream).await {
                        dawdle(stream, how).await;
                    }
                }
                _ => dawdle(stream, how).await,
            }
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Is slow for as long as the other side stands it.
async fn dawdle(mut stream: impl AsyncRead + AsyncWrite + Unpin, how: Slow) {
    let begins = match how {
        Slow::Silent => String::new(),
        Slow::Head => HEAD.to_owned(),
        Slow::Form => FORM.to_owned(),
        Slow::Reader => LONG_PAGE.repeat(MANY),
    };
    if matches!(how, Slow::Silent | Slow::Reader) {
        // The place is held as long as this end is open, which is for ever.
        let _ = stream.write_all(begins.as_bytes()).await;
        return std::future::pending().await;
    }
    let mut going = stream.write_all(begins.as_bytes()).await;
    while going.is_ok() {
        tokio::time::sleep(PAUSE).await;
        going = stream.write_all(b"x").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_lose_their_places_and_others_are_served() {
    for encrypted in [false, true] {
        let site = Site::open(SHORT, encrypted).await;
        for how in [Slow::Silent, Slow::Head, Slow::Form, Slow::Reader] {
            let what = format!("{how:?}, by TLS: {encrypted}");
            for _ in 0..SHORT.connections - 1 {
                site.slow(how).await;
            }
            site.serves(&format!("{what}, while one place is free")).await;
            // Twice as many as there are places: whoever comes after them waits until theirs are free.
            for _ in 0..2 * SHORT.connections {
                site.slow(how).await;
            }
            site.serves(&format!("{what}, after all places were taken")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_comes_too_slowly_is_told_so_and_one_that_comes_in_pieces_is_taken() {
    for encrypted in [false, true] {
        let site = Site::open(Limits { connections: 100, oldest: Duration::from_secs(60), ..SHORT }, encrypted).await;
        let stream = TcpSocket::new_v4().unwrap().connect(site.address).await.unwrap();
        let answer = match &site.tls {
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                answer_to_slow_form(tls.connect(name, stream).await.unwrap()).await
            }
            None => answer_to_slow_form(stream).await,
        };
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("took too long to arrive") && answer.contains("content-security-policy"), "{answer}");
    }

    let site = Site::open(Limits { form: Duration::from_secs(60), ..SHORT }, false).await;
    let mut stream = TcpSocket::new_v4().unwrap().connect(site.address).await.unwrap();
    let form = "name=nobody&password=wrong";
    let head = FORM.replace("60000", &form.len().to_string());
    stream.write_all(head.trim_end_matches("name=").as_bytes()).await.unwrap();
    for byte in form.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

/// Sends a form byte by byte and reads what it comes to.
async fn answer_to_slow_form(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> String {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        let mut going = writer.write_all(FORM.as_bytes()).await;
        while going.is_ok() {
            tokio::time::sleep(PAUSE).await;
            going = writer.write_all(b"x").await;
        }
    });
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("</html>") {
        match reader.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend(&part[..count]),
        }
    }
    writing.abort();
    String::from_utf8_lossy(&answer).into_owned()
}
