//! The whole route table of the agents' listener, and what surrounds every route: metrics, and an answer even to a panic.
//! No route has a time-out layer: it would cut the long poll.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, Version, header};
use tidegate_core::wire::ProblemCode;
use tower_http::catch_panic::CatchPanicLayer;

use super::App;
use super::error::HttpError;
use super::{enroll, poll, report};
use crate::clock;

const TRUST: &str = "/v1/trust";
const ENROLL: &str = "/v1/enroll";
const SNAPSHOT: &str = "/v1/snapshot";
const STATUS: &str = "/v1/status";
/// What is no row of the table.
const NONE: &str = "none";

/// The rows of the route table, as they are counted.
pub const ROUTES: [&str; 5] = [TRUST, ENROLL, SNAPSHOT, STATUS, NONE];

/// How long the answer to a request was held back on purpose, which is no work.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<AtomicU64>);

/// It is held back until this is dropped.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    held: &'a Held,
    since: Duration,
}

/// All routes over this state.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(TRUST, get(trust))
        .route(ENROLL, post(enroll::enroll))
        .route(SNAPSHOT, get(poll::snapshot))
        .route(STATUS, put(report::status))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn trust(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], app.trust.raw()).into_response()
}

async fn no_route() -> HttpError {
    HttpError::new(ProblemCode::NotFound, format!("The routes are {}.", routes()))
}

async fn no_method() -> HttpError {
    let text = format!("The routes are {}; this path exists with another method.", routes());
    HttpError::new(ProblemCode::MethodNotAllowed, text)
}

fn routes() -> String {
    format!("GET {TRUST}, POST {ENROLL}, GET {SNAPSHOT} and PUT {STATUS}")
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    HttpError::internal(format!("panic: {}", text.unwrap_or("no text"))).into_response()
}

/// Counts the answer by its row of the route table, and closes the connection of an HTTP/1 caller that is turned away.
async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let (held, began) = (Held::default(), clock::monotonic());
    request.extensions_mut().insert(held.clone());
    let route = row(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let version = request.version();
    let mut response = next.run(request).await;
    let work = clock::monotonic().saturating_sub(began).saturating_sub(held.so_far());
    app.metrics.answered(route, response.status(), work);
    if route == ENROLL {
        app.metrics.enrolled(response.status());
    }
    let turned_away = matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    if turned_away && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn row(matched: Option<&str>) -> &'static str {
    match matched {
        Some(TRUST) => TRUST,
        Some(ENROLL) => ENROLL,
        Some(SNAPSHOT) => SNAPSHOT,
        Some(STATUS) => STATUS,
        Some(_) | None => NONE,
    }
}

// === impl Held ===

impl Held {
    /// From now until the answer is dropped nothing is done but waiting.
    pub(super) fn begin(&self) -> Holding<'_> {
        Holding { held: self, since: clock::monotonic() }
    }

    fn so_far(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let held = clock::monotonic().saturating_sub(self.since);
        self.held.0.fetch_add(u64::try_from(held.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
