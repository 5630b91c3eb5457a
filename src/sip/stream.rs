//! TCP and TLS: our own connections, so that each is counted, framed, repaired and timed.
//!
//! The library sees one as a channel: what it sends comes out of the channel and is written here; what is read here is
//! framed, examined and handed to the endpoint like a datagram.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::SipMessage;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Stream};
use super::guard::{Decision, Standing};
use super::trace::TraceDirection;
use super::wire;
use crate::settings::Transport;

/// Connections at once, accepted and ours together. A further one is closed at once.
pub(super) const MAX_STREAMS: usize = 256;
/// A TLS handshake, a connect or a write that takes longer ends the connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that is silent for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// Connections at once from sources that we do not know, so that they leave room for those that we do.
const MAX_VISITS: usize = 64;
/// How long such a connection may last, in T1: 16 s.
const VISIT: u32 = 32;
/// Messages that wait to be written; a peer that does not read loses its connection after [`PATIENCE`].
const QUEUE: usize = 64;

/// Accepts connections until the endpoint closes.
pub(super) async fn accept(endpoint: Endpoint, listener: TcpListener, local: SocketAddr, transport: Transport) {
    let stop = endpoint.0.stop.clone();
    let visits = Arc::new(Semaphore::new(MAX_VISITS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: waiting lets some go, spinning would not.
                tracing::warn!(%local, %error, "cannot accept a SIP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Strangers get no connection, whatever [sip] strangers says: a 403 is not worth a handshake.
        match endpoint.decide(remote.ip()) {
            Decision::Trunk | Decision::Peer => {}
            Decision::Visitor => match visits.clone().try_acquire_owned() {
                Ok(visit) => drop(tokio::spawn(visit_ends(endpoint.clone(), remote, visit))),
                Err(_) => continue,
            },
            Decision::Reject | Decision::Drop => continue,
        }
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            if transport == Transport::Tls {
                let Some(acceptor) = endpoint.0.tls_server.clone() else { return };
                let acceptor = tokio_rustls::TlsAcceptor::from(acceptor);
                if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                    start(&endpoint, stream, local, remote, transport, None).await;
                }
            } else {
                start(&endpoint, stream, local, remote, transport, None).await;
            }
        });
    }
}

/// A connection from somebody we do not know ends unless they show in time that they are a phone of ours.
async fn visit_ends(endpoint: Endpoint, remote: SocketAddr, _visit: OwnedSemaphorePermit) {
    tokio::time::sleep(endpoint.0.timers.t1 * VISIT).await;
    if endpoint.standing(remote.ip()) == Standing::Visitor {
        endpoint.end_stream(remote);
    }
}

/// Opens a connection; `name` is what its certificate must say.
pub(super) async fn connect(
    endpoint: &Endpoint,
    remote: SocketAddr,
    transport: Transport,
    name: &str,
) -> Result<Stream, std::io::Error> {
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(remote)).await.map_err(|_| late())??;
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr()?;
    let host = Arc::from(name);
    let opened = if transport == Transport::Tls {
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
        let connector = tokio_rustls::TlsConnector::from(endpoint.tls_client().map_err(std::io::Error::other)?);
        let stream = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await.map_err(|_| late())??;
        start(endpoint, stream, local, remote, transport, Some(host)).await
    } else {
        start(endpoint, stream, local, remote, transport, Some(host)).await
    };
    opened.ok_or_else(|| std::io::Error::other("too many SIP connections"))
}

/// Registers a connection and runs it. `None`: there are too many.
async fn start<S: AsyncRead + AsyncWrite + Send + 'static>(
    endpoint: &Endpoint,
    stream: S,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    host: Option<Arc<str>>,
) -> Option<Stream> {
    let (reads, writes) = tokio::io::split(stream);
    let (outgoing, queue) = mpsc::channel(QUEUE);
    // The library wants a receiver that it never reads here: what comes in is handed over by `read`.
    let (_, never) = rsipstack::platform::mpsc::unbounded_channel();
    let kind =
        if transport == Transport::Tls { rsipstack::sip::Transport::Tls } else { rsipstack::sip::Transport::Tcp };
    let stop = endpoint.0.stop.child_token();
    let channel = ChannelConnection::create_connection_bounded(
        never,
        outgoing,
        SipAddr::new(kind, remote.into()),
        Some(stop.clone()),
    )
    .await
    .ok()?;
    let stream = Stream { connection: SipConnection::Channel(channel), transport, local, host, stop: stop.clone() };
    if !endpoint.register_stream(remote, stream.clone()) {
        return None;
    }
    let tap = endpoint.0.tap.clone();
    let tap = move |bytes: &[u8]| tap.note(TraceDirection::Sent, remote, transport, bytes, false);
    tokio::spawn(write(writes, queue, stop.clone(), tap));
    let endpoint = endpoint.clone();
    let reading = stream.clone();
    tokio::spawn(async move {
        read(&endpoint, reads, &reading, remote).await;
        reading.stop.cancel();
        endpoint.forget_stream(remote, &reading);
    });
    Some(stream)
}

async fn write<W: AsyncWrite + Unpin>(
    mut writes: W,
    mut queue: mpsc::Receiver<TransportEvent>,
    stop: CancellationToken,
    tap: impl Fn(&[u8]),
) {
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = queue.recv() => event,
        };
        let Some(TransportEvent::Incoming(message, ..)) = event else { break };
        let bytes = match message {
            // An empty-bodied message with no headers is how `read` asks for a pong.
            SipMessage::Request(request) if request.headers.is_empty() => b"\r\n".to_vec(),
            message => message.to_bytes(),
        };
        tap(&bytes);
        let written = tokio::time::timeout(PATIENCE, async {
            writes.write_all(&bytes).await?;
            writes.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            break;
        }
    }
    stop.cancel();
    let _ = tokio::time::timeout(PATIENCE, writes.shutdown()).await;
}

async fn read<R: AsyncRead + Unpin>(endpoint: &Endpoint, mut reads: R, stream: &Stream, remote: SocketAddr) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let got = tokio::select! {
            () = stream.stop.cancelled() => return,
            got = tokio::time::timeout(IDLE, reads.read_buf(&mut buffer)) => got,
        };
        if !matches!(got, Ok(Ok(n)) if n > 0) {
            return;
        }
        let mut from = 0;
        loop {
            let rest = buffer.get(from..).unwrap_or_default();
            // Keep-alive (RFC 5626 section 4.4.1): a double CRLF asks for one CRLF.
            if rest.starts_with(b"\r\n\r\n") {
                from += 4;
                let ping = super::message::request(rsipstack::sip::Method::Options, "", Vec::new());
                if stream.connection.send(ping.into(), None).await.is_err() {
                    return;
                }
                continue;
            }
            if rest.starts_with(b"\r\n") && rest.len() > 2 && !rest.starts_with(b"\r\n\r") {
                from += 2;
                continue;
            }
            match wire::frame(rest) {
                Ok(Some(length)) => {
                    let message = rest.get(..length).unwrap_or(rest);
                    if endpoint.receive(message, remote, &stream.connection, true).await.is_err() {
                        return;
                    }
                    from += length;
                }
                Ok(None) => break,
                Err(()) => {
                    endpoint.count(|counters| &counters.malformed);
                    return;
                }
            }
        }
        buffer.drain(..from);
    }
}
