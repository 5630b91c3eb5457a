//! The routes on a listener, with limits on slow and many clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::ByTls;
use super::live::Connection;
use super::tls::Tls;
use super::{Web, router};

/// Header fields in a request; more get 431.
const MOST_HEADERS: usize = 64;
/// Bytes in a request's head; more get 431.
const LONGEST_HEAD: usize = 32 * 1024;
/// The wait after a failed accept (out of file descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// A request's head must arrive within this, and so must the next one on a kept connection.
    pub head: Duration,
    /// A form must arrive within this, however its bytes come; later is 408.
    pub form: Duration,
    /// A connection older than this ends after its present request, so that a client that reads nothing holds no place
    /// for ever. A live stream has bounds of its own and is left until the next time.
    pub oldest: Duration,
    /// How long a present request may still take then, and at shutdown.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            head: Duration::from_secs(10),
            form: Duration::from_secs(30),
            oldest: Duration::from_secs(120),
            grace: Duration::from_secs(3),
        }
    }
}

/// Serves until `shutdown`, then lets running requests finish, for [`Limits::grace`] at most.
pub async fn serve(listener: TcpListener, web: Web, shutdown: CancellationToken) {
    serve_within(Limits::default(), listener, web, shutdown).await;
}

/// The same with other limits.
pub async fn serve_within(limits: Limits, listener: TcpListener, web: Web, shutdown: CancellationToken) {
    let router = router(web.clone()).layer(Extension(limits));
    let mut tls = Tls::of(&web);
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    while let Some((stream, peer, place)) = next(&listener, &places, &shutdown).await {
        let acceptor = tls.current(&web);
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            let Some(acceptor) = acceptor else {
                return connection(limits, stream, peer, router, shutdown, place).await;
            };
            // Who does not finish the handshake holds a place no longer than who sends no request.
            match tokio::time::timeout(limits.head, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    connection(limits, stream, peer, router.layer(Extension(ByTls)), shutdown, place).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a web connection's TLS failed"),
                Err(_) => tracing::debug!("a web connection's TLS took too long"),
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// The next connection and its place, or nothing at shutdown.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                Err(error) => {
                    tracing::warn!(%error, "the web listener cannot accept; check the limit on open files");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn connection(
    limits: Limits,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let live = Connection::new(shutdown.clone());
    let router = router.layer(Extension(ConnectInfo(peer))).layer(Extension(live.clone()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(MOST_HEADERS).max_buf_size(LONGEST_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.cancelled() => None,
        () = too_old(&live, limits.oldest) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(limits.grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a web connection broke off");
    }
}

async fn too_old(live: &Connection, oldest: Duration) {
    tokio::time::sleep(oldest).await;
    while live.has_stream() {
        tokio::time::sleep(oldest).await;
    }
}
