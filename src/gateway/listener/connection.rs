//! One connection of an agent: handshake, the peer's certificate beside every request, and an end, whatever the client does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tidegate_core::wire::limit;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{Life, Limits};
use crate::gateway::auth::Peer;
use crate::metrics::{Counted, Excess, GatewayMetrics, Handshake};

/// Requests at the same time on one HTTP/2 connection.
const STREAMS: u32 = 8;
/// [`limit::HEADER`] as HTTP/2 counts it.
const MAX_HEADER_LIST: u32 = 32 * 1024;
/// How HTTP/2 is named in the handshake.
const HTTP2: &[u8] = b"h2";

/// What one connection needs.
pub(super) struct Connection {
    pub tls: TlsAcceptor,
    pub router: Router,
    pub metrics: GatewayMetrics,
    pub limits: Limits,
    /// Room for connections without a certificate.
    pub anonymous: Arc<Semaphore>,
    pub stopping: CancellationToken,
}

// === impl Connection ===

impl Connection {
    /// Serves the client until one of both ends it. `_place` is its right to exist, given back when this ends.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        handshaking: OwnedSemaphorePermit,
        _place: (OwnedSemaphorePermit, Counted),
    ) {
        let Some(stream) = self.handshake(stream).await else { return };
        drop(handshaking);
        let peer = Peer::from_chain(stream.get_ref().1.peer_certificates());
        let (_anonymous, life) = match &peer {
            Peer::Certified { .. } => (None, self.limits.certified.spread()),
            Peer::Anonymous => match Arc::clone(&self.anonymous).try_acquire_owned() {
                Ok(permit) => (Some(permit), self.limits.anonymous),
                Err(_) => return self.metrics.connection_refused(Excess::Anonymous),
            },
        };
        self.converse(stream, peer, life).await;
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let (result, stream) = match tokio::time::timeout(self.limits.handshake, self.tls.accept(stream)).await {
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

    async fn converse(self, stream: TlsStream<TcpStream>, peer: Peer, life: Life) {
        let http = http(&self.limits, stream.get_ref().1.alpn_protocol());
        let (asked, router) = (CancellationToken::new(), self.router);
        let first = asked.clone();
        let service = service_fn(move |request| {
            first.cancel();
            answer(router.clone(), peer.clone(), request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = silent(&asked, self.limits.head) => return tracing::debug!("a client asked for nothing"),
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(life.serving) => {}
        }
        connection.as_mut().graceful_shutdown();
        match tokio::time::timeout(life.ending, connection).await {
            Ok(ended) => log_end(ended),
            Err(_) => tracing::debug!("a connection did not end in time and is cut"),
        }
    }
}

async fn answer(mut router: Router, peer: Peer, request: Request<Incoming>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    router.call(request).await
}

/// The protocol is the one that the handshake agreed on; it is never guessed from the first bytes, which may not come.
fn http(limits: &Limits, agreed: Option<&[u8]>) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(limit::HEADER);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive / 2)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEADER_LIST);
    if agreed == Some(HTTP2) { http.http2_only() } else { http.http1_only() }
}

/// Ends when no request has come within `most`; never once one has. HTTP/2 itself waits for a client's first bytes for ever.
async fn silent(asked: &CancellationToken, most: Duration) {
    if tokio::time::timeout(most, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Ends are noise: agents come and go.
fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

// === impl Life ===

impl Life {
    /// The same, serving for up to twice as long.
    fn spread(self) -> Self {
        let mut random = [0];
        // Without entropy all connections live equally long.
        let _ = aws_lc_rs::rand::fill(&mut random);
        Self { serving: self.serving + self.serving * u32::from(random[0]) / 256, ..self }
    }
}
