//! The accept loop of the agents' listener: bounded handshakes with a time-out, the peer's certificate beside every request,
//! connections that end politely, and a drain that answers what is in flight.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tidegate_core::wire::limit;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::auth::Peer;
use super::tls::Tls;
use crate::metrics::{GatewayMetrics, Handshake};

/// Handshakes at the same time; more wait in the listener's queue.
const HANDSHAKES: usize = 256;
/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head that takes longer to arrive is refused; an idle HTTP/1 connection ends with it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// HTTP/2 connections are asked for a sign of life so often, and end when none comes for half as long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Requests at the same time on one HTTP/2 connection.
const STREAMS: u32 = 8;
/// A connection ends politely at a point of its second half hour, so that replicas share the load again.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// After a stop, what is in flight has so long to end.
const DRAIN: Duration = Duration::from_secs(20);

/// After a failed accept: time for descriptors to become free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// [`limit::HEADER`] as HTTP/2 counts it.
const MAX_HEADER_LIST: u32 = 32 * 1024;

/// Serves agents until it is stopped, then drains.
#[derive(Debug)]
pub struct Listener {
    /// Where to accept.
    pub tcp: TcpListener,
    /// TLS settings, looked up for each connection.
    pub tls: Arc<Tls>,
    /// The routes; each request carries a `Peer`.
    pub router: Router,
    /// Counts handshakes.
    pub metrics: GatewayMetrics,
}

/// What one connection needs.
struct Connection {
    tls: TlsAcceptor,
    router: Router,
    metrics: GatewayMetrics,
    stopping: CancellationToken,
}

// === impl Listener ===

impl Listener {
    /// Accepts until `stopping`, then closes the listener and waits for what is in flight, at most 20 s.
    pub async fn serve(self, stopping: CancellationToken) {
        let Self { tcp, tls, router, metrics } = self;
        let open = TaskTracker::new();
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = accept(&tcp, &handshakes) => accepted,
            };
            match accepted {
                Ok((permit, stream)) => {
                    let (router, metrics) = (router.clone(), metrics.clone());
                    let connection = Connection {
                        tls: TlsAcceptor::from(tls.config()),
                        router,
                        metrics,
                        stopping: stopping.clone(),
                    };
                    open.spawn(connection.serve(stream, permit));
                }
                // Out of file descriptors, or gone before it was taken.
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(tcp);
        open.close();
        tracing::info!(connections = open.len(), "no new connections; answering what is held");
        if tokio::time::timeout(DRAIN, open.wait()).await.is_err() {
            tracing::warn!(connections = open.len(), "some connections did not end in time and are cut");
        }
    }
}

/// The next connection, with its right to a handshake.
async fn accept(tcp: &TcpListener, handshakes: &Arc<Semaphore>) -> io::Result<(OwnedSemaphorePermit, TcpStream)> {
    let permit = Arc::clone(handshakes).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = tcp.accept().await?;
    Ok((permit, stream))
}

// === impl Connection ===

impl Connection {
    async fn serve(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let Some(stream) = self.handshake(stream).await else { return };
        drop(permit);
        let peer = Peer::from_chain(stream.get_ref().1.peer_certificates());
        let router = self.router;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            router.clone().call(request)
        });
        let http = http();
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(lifetime()) => {}
        }
        connection.as_mut().graceful_shutdown();
        log_end(connection.await);
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let (result, stream) = match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => (Handshake::Ok, Some(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake was refused");
                (Handshake::Refused, None)
            }
            Err(_) => (Handshake::Timeout, None),
        };
        self.metrics.handshake(result);
        stream
    }
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(limit::HEADER);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE / 2)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEADER_LIST);
    http
}

fn lifetime() -> Duration {
    let mut random = [0];
    // Without entropy all connections live equally long.
    let _ = aws_lc_rs::rand::fill(&mut random);
    LIFETIME + LIFETIME * u32::from(random[0]) / 256
}

/// Ends are noise: agents come and go.
fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
