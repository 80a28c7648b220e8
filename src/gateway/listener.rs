//! The accept loop of the agents' listener: bounded connections and handshakes, and a drain that answers what is in flight.
//! What one connection may do and for how long is in `connection`.

mod connection;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tidegate_core::wire::limit;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;
use super::tls::Tls;
use crate::metrics::{Counted, Excess, GatewayMetrics};

/// After a failed accept: time for descriptors to become free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves agents until it is stopped, then drains.
#[derive(Debug)]
pub struct Listener {
    /// Where to accept.
    pub tcp: TcpListener,
    /// TLS settings, looked up for each connection.
    pub tls: Arc<Tls>,
    /// The routes; each request carries a `Peer`.
    pub router: Router,
    /// Counts connections and handshakes.
    pub metrics: GatewayMetrics,
    /// What clients may take.
    pub limits: Limits,
}

/// How much clients may take, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; one more is closed at once.
    pub connections: usize,
    /// Those of them without a certificate; one more is closed after its handshake. Fewer, so that strangers do not shut out
    /// endpoints.
    pub anonymous_connections: usize,
    /// Handshakes at the same time; more wait in the listener's queue.
    pub handshakes: usize,
    /// A handshake that takes longer is given up.
    pub handshake: Duration,
    /// A request's head that takes longer to arrive is refused; an idle HTTP/1 connection ends with it, and any connection
    /// whose first request takes longer.
    pub head: Duration,
    /// HTTP/2 connections are asked for a sign of life so often, and end when none comes for half as long.
    pub keep_alive: Duration,
    /// With a certificate: it ends at a point of its second `serving`, so that replicas share the load again.
    pub certified: Life,
    /// Without a certificate.
    pub anonymous: Life,
    /// After a stop, all connections together have so long to end.
    pub drain: Duration,
}

/// The two parts of a connection's life after its handshake.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Requests are taken.
    pub serving: Duration,
    /// Those in flight are answered; then the connection is cut.
    pub ending: Duration,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        let drain = Duration::from_secs(20);
        Self {
            connections: 10_000,
            anonymous_connections: 1_000,
            handshakes: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            keep_alive: Duration::from_secs(30),
            certified: Life { serving: Duration::from_secs(30 * 60), ending: limit::POLL_HOLD + drain },
            // Two minutes in all. An enrolment takes at most half a minute.
            anonymous: Life { serving: Duration::from_secs(90), ending: Duration::from_secs(30) },
            drain,
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Accepts until `stopping`, then closes the listener and waits for what is in flight, at most [`Limits::drain`].
    pub async fn serve(self, stopping: CancellationToken) {
        let Self { tcp, tls, router, metrics, limits } = self;
        let open = TaskTracker::new();
        let handshakes = Arc::new(Semaphore::new(limits.handshakes));
        let connections = Arc::new(Semaphore::new(limits.connections));
        let anonymous = Arc::new(Semaphore::new(limits.anonymous_connections));
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = accept(&tcp, &handshakes) => accepted,
            };
            match accepted {
                Ok((handshaking, stream)) => {
                    let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
                        metrics.connection_refused(Excess::Connections);
                        continue;
                    };
                    let connection = Connection {
                        tls: TlsAcceptor::from(tls.config()),
                        router: router.clone(),
                        metrics: metrics.clone(),
                        limits,
                        anonymous: Arc::clone(&anonymous),
                        stopping: stopping.clone(),
                    };
                    // In this order: who sees one connection less finds room for another.
                    let place = (permit, Counted::new(metrics.connections()));
                    open.spawn(connection.serve(stream, handshaking, place));
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
        if tokio::time::timeout(limits.drain, open.wait()).await.is_err() {
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
