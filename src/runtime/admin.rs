//! The admin listener: liveness, readiness and metrics, on a port of its own that agents never reach.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::readiness::Readiness;
use crate::clock;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

/// Binds, logs the address and serves until the task is aborted or the process ends: a draining process still answers its
/// probes.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve_admin(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(listener = "admin", %address, "listening");
    let router = router(Admin { metrics, readiness });
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the admin listener failed");
        }
    }))
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.readiness.check(clock::monotonic()) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(causes) => (StatusCode::SERVICE_UNAVAILABLE, format!("{causes}\n")),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let ready = admin.readiness.check(clock::monotonic()).is_ok();
    let text = admin.metrics.render(ready);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(readiness: &Arc<Readiness>, path: &str) -> (u16, String) {
        let metrics = Arc::new(Metrics::new("gateway").unwrap());
        let admin = router(Admin { metrics, readiness: Arc::clone(readiness) });
        let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
        let response = admin.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_that_is_not_ready_is_alive_and_says_why() {
        let readiness = Arc::new(Readiness::new(&["jitpolicies"]));
        assert_eq!(get(&readiness, "/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(get(&readiness, "/readyz").await, (503, "jitpolicies: not listed yet\n".to_owned()));
        assert!(get(&readiness, "/metrics").await.1.contains("\ntidegate_gateway_ready 0\n"));
        readiness.filled("jitpolicies", clock::monotonic());
        assert_eq!(get(&readiness, "/readyz").await, (200, "ok\n".to_owned()));
        assert!(get(&readiness, "/metrics").await.1.contains("\ntidegate_gateway_ready 1\n"));
    }
}
