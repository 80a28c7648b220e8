//! The Kubernetes client. Its watches are short, so that a dead connection is noticed, and whatever arrives on one counts as
//! progress for [`Readiness`]; the watcher itself hides bookmarks and renewals.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use kube::client::ClientBuilder;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;
use kube::{Client, Config};
use tower::{Layer, Service};

use super::readiness::Readiness;
use super::server_time::HearTime;
use crate::clock;
use crate::metrics::{KubeMetrics, KubeVerb};

/// The API server ends a watch after this long, and the watcher starts the next.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than a silent watch, so that only a connection that is dead is cut. A dead one, the wait before the next and its first sign
/// of life, at its end at the latest, are together less than what counts as stale.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// Waits between attempts to list or watch: from 0.2 s doubling to 5 s, each up to a quarter longer. The library's own
/// back-off reaches 30 s, too long for a revocation after an outage.
#[derive(Debug, Clone, Default)]
pub struct WatchRetry {
    failures: u32,
}

/// The gateway's client: in the cluster by its ServiceAccount, elsewhere by `KUBECONFIG`.
///
/// # Errors
/// No usable configuration, or TLS cannot be set up from it.
pub async fn client(readiness: Arc<Readiness>, metrics: KubeMetrics) -> anyhow::Result<Client> {
    let count = CountProgress { readiness, metrics, clock: clock::monotonic };
    Ok(ClientBuilder::try_from(config().await?)?.with_layer(&count).with_layer(&HearTime).build())
}

/// What every client here starts from: who this process is and where the API server is, and after how long a dead connection is cut.
/// Nothing is tried again inside of the client, which would wait ever longer, up to minutes, and hold a place meanwhile: passes, watches
/// ([`WatchRetry`]) and agents do so themselves, within seconds.
pub(super) async fn config() -> Result<Config, kube::Error> {
    let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    Ok(config)
}

/// Says at each scrape when the watches last made progress.
pub fn watch_progress(metrics: KubeMetrics, readiness: Arc<Readiness>) -> impl Fn() + Send + 'static {
    move || {
        let now = clock::now();
        for (plural, age) in readiness.ages(clock::monotonic()) {
            metrics.watched(plural, now.minus(age));
        }
    }
}

/// The settings of every watch.
#[must_use]
pub fn watch_config() -> watcher::Config {
    let seconds = u32::try_from(WATCH_TIMEOUT.as_secs()).unwrap_or(u32::MAX);
    watcher::Config::default().timeout(seconds)
}

/// Any of 0 to 255. Without entropy there is no spread, and still an answer.
pub(super) fn random() -> u8 {
    let mut random = [0];
    let _ = aws_lc_rs::rand::fill(&mut random);
    random[0]
}

/// Counts what arrives of each answer to a watch as progress.
#[derive(Clone)]
pub(super) struct CountProgress {
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: KubeMetrics,
    pub(super) clock: fn() -> Duration,
}

/// The body of an answer. Of a watch each piece that arrives is progress, and so is its end; that it was begun is not: a connection
/// that is dead from then on looks the same.
pub(super) struct Counted<B> {
    inner: Pin<Box<B>>,
    /// The plural that is watched.
    watched: Option<String>,
    count: CountProgress,
}

#[derive(Clone)]
pub(super) struct Counting<S> {
    inner: S,
    count: CountProgress,
}

// === impl CountProgress ===

impl<S> Layer<S> for CountProgress {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting { inner, count: self.clone() }
    }
}

// === impl Counting ===

impl<S, Q, B> Service<Request<Q>> for Counting<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Counted<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let verb = KubeVerb::of(request.method(), request.uri());
        let watched = watched_plural(verb, request.uri()).map(str::to_owned);
        let answer = self.inner.call(request);
        let count = self.count.clone();
        Box::pin(async move {
            let answer = answer.await;
            count.metrics.asked(verb, answer.as_ref().ok().map(Response::status));
            let response = answer?;
            let watched = watched.filter(|_| response.status().is_success());
            Ok(response.map(|body| Counted { inner: Box::pin(body), watched, count }))
        })
    }
}

// === impl Counted ===

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let arrived = std::task::ready!(self.inner.as_mut().poll_frame(cx));
        if let (Some(plural), None | Some(Ok(_))) = (&self.watched, &arrived) {
            let CountProgress { readiness, clock, metrics: _ } = &self.count;
            readiness.progress(plural, clock());
        }
        Poll::Ready(arrived)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The plural that a watch request is about: the last part of its path.
fn watched_plural(verb: KubeVerb, uri: &http::Uri) -> Option<&str> {
    (verb == KubeVerb::Watch).then(|| uri.path().rsplit('/').next()).flatten()
}

// === impl WatchRetry ===

impl WatchRetry {
    fn wait(failures: u32, random: u8) -> Duration {
        let millis = 200u64.saturating_mul(1 << failures.min(10)).min(5000);
        Duration::from_millis(millis + millis * u64::from(random) / 1024)
    }
}

impl Iterator for WatchRetry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Self::wait(self.failures, random());
        self.failures = self.failures.saturating_add(1);
        Some(wait)
    }
}

impl Backoff for WatchRetry {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::metrics::Metrics;

    fn kube_metrics() -> (Metrics, KubeMetrics) {
        let registry = Metrics::new("controller").unwrap();
        let kube = KubeMetrics::new(&registry, &[]).unwrap();
        (registry, kube)
    }

    /// Whether the beginning of the answer is progress, and then its body.
    async fn is_progress(path_and_query: &str, status: u16) -> (bool, bool) {
        let readiness = Arc::new(Readiness::new(&["jitpolicies"]));
        readiness.filled("jitpolicies", Duration::ZERO);
        let answer = service_fn(move |_: Request<()>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Full::new(Bytes::from("{}"))).unwrap())
        });
        let metrics = kube_metrics().1;
        let count = CountProgress { readiness: Arc::clone(&readiness), metrics, clock: || Duration::from_secs(1000) };
        let uri = format!("https://kube/apis/tidegate.dev/v1alpha1/{path_and_query}");
        let request = Request::builder().uri(uri).body(()).unwrap();
        let response = count.layer(answer).oneshot(request).await.unwrap();
        let begun = readiness.check(Duration::from_secs(1000)).is_ok();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], b"{}", "passed on as it is");
        (begun, readiness.check(Duration::from_secs(1000)).is_ok())
    }

    #[tokio::test]
    async fn only_what_arrives_on_a_watch_of_a_watched_kind_is_progress() {
        let (never, once_it_arrives) = ((false, false), (false, true));
        assert_eq!(is_progress("jitpolicies?&watch=true&timeoutSeconds=60", 200).await, once_it_arrives);
        let of_a_namespace = "namespaces/a/jitpolicies?allowWatchBookmarks=true&watch=true";
        assert_eq!(is_progress(of_a_namespace, 200).await, once_it_arrives);
        assert_eq!(is_progress("jitpolicies?watch=true", 410).await, never);
        assert_eq!(is_progress("jitpolicies?limit=500", 200).await, never);
        assert_eq!(is_progress("jitpolicies", 200).await, never);
        assert_eq!(is_progress("pods?watch=true", 200).await, never);
    }

    #[tokio::test]
    async fn every_request_is_counted_by_its_answer() {
        let (registry, metrics) = kube_metrics();
        for (method, answer) in [("GET", Some(200)), ("PATCH", Some(409)), ("POST", None)] {
            let inner = service_fn(move |_: Request<()>| async move {
                let response =
                    answer.map(|status: u16| Response::builder().status(status).body(Full::new(Bytes::new())).unwrap());
                response.ok_or("no answer")
            });
            let (readiness, metrics) = (Arc::new(Readiness::new(&[])), metrics.clone());
            let count = CountProgress { readiness, metrics, clock: || Duration::ZERO };
            let request = Request::builder().method(method).uri("https://kube/api/v1/namespaces").body(()).unwrap();
            assert_eq!(count.layer(inner).oneshot(request).await.is_ok(), answer.is_some());
        }
        let text = registry.render(true);
        for (class, verb) in [("2xx", "list"), ("4xx", "patch"), ("none", "create")] {
            let line = format!("tidegate_kube_requests_total{{class=\"{class}\",verb=\"{verb}\"}} 1");
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn waits_double_to_five_seconds_and_start_over_after_success() {
        let waits: Vec<_> = (0..7).map(|n| WatchRetry::wait(n, 0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(WatchRetry::wait(u32::MAX, 255) < Duration::from_millis(6250));
        let mut retry = WatchRetry { failures: 9 };
        retry.reset();
        assert!(retry.next().unwrap() < Duration::from_millis(250));
    }
}
