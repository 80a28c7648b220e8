//! The gateway: serves agents what the controller has signed. `watch -> parse -> index -> manifest -> waiters`; it holds no
//! signing key and decides nothing. This file wires the parts together; [`run`] is the process.

mod auth;
mod body;
mod bucket;
mod enroll;
mod error;
mod feed;
pub mod index;
mod listener;
mod log;
mod manifest;
mod poll;
mod report;
mod router;
mod served;
mod tls;
mod trace;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tidegate_core::wire::ProblemCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::auth::{Caller, Peer, authenticate};
pub use self::enroll::{Enroller, Waits};
use self::error::HttpError;
pub use self::listener::{Life, Limits, Listener};
pub use self::report::Reporter;
pub use self::router::{ROUTES, router};
pub use self::served::Served;
pub use self::tls::Tls;
pub use self::trust::Trust;
use crate::args::{Common, GatewayArgs};
use crate::clock;
use crate::metrics::{GatewayMetrics, Kind, KubeMetrics, Metrics};
use crate::runtime::{Readiness, client, serve_admin, told_to_stop, watch_progress};
use crate::traces::Traces;

/// How long an enrolment waits for its certificate.
const ENROLL_WAITS: Waits = Waits { first: Duration::from_secs(2), later: Duration::from_secs(20) };
/// How long a report waits for the API server.
const REPORT_WAIT: Duration = Duration::from_secs(5);
/// Files are read again so often.
const RELOAD: Duration = Duration::from_secs(60);

/// What the routes share.
#[derive(Debug)]
pub struct App {
    /// What is served.
    pub served: Arc<Served>,
    /// Whether it is complete and fresh.
    pub readiness: Arc<Readiness>,
    /// The trust bundle.
    pub trust: Arc<Trust>,
    /// Passes certificate requests on.
    pub enroller: Enroller,
    /// Writes what agents say of themselves.
    pub reporter: Reporter,
    /// Counts.
    pub metrics: GatewayMetrics,
    /// Longest hold of a poll.
    pub poll_hold: Duration,
    /// Cancelled when the process stops: held polls are answered.
    pub stopping: CancellationToken,
}

/// What the gateway reports: the registry, and the two that measure.
#[derive(Debug)]
pub struct Instruments {
    /// The registry.
    pub metrics: Metrics,
    /// Of what it does.
    pub gateway: GatewayMetrics,
    /// Of its dealings with the API server.
    pub kube: KubeMetrics,
}

// === impl Instruments ===

impl Instruments {
    /// New ones.
    ///
    /// # Errors
    /// One of them is defined twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new("gateway")?;
        let gateway = GatewayMetrics::new(&metrics, &ROUTES)?;
        let kinds: Vec<Kind> = feed::WATCHED.iter().filter_map(|plural| Kind::of_plural(plural)).collect();
        let kube = KubeMetrics::new(&metrics, &kinds)?;
        Ok(Self { metrics, gateway, kube })
    }
}

// === impl App ===

impl App {
    fn ready(&self) -> Result<(), HttpError> {
        self.readiness.fresh(clock::monotonic()).map_err(|causes| {
            let text = "This gateway has not seen the whole cluster lately. Try again, or another gateway.";
            HttpError::new(ProblemCode::NotReady, text).because(causes)
        })
    }

    /// Who calls? Readiness comes before the endpoint's existence: an unready gateway must not call a certificate void.
    fn caller(&self, peer: &Peer) -> Result<Caller, HttpError> {
        if !matches!(peer, Peer::Anonymous) {
            self.ready()?;
        }
        authenticate(peer, &self.trust.trust_domain(), clock::now(), |key| self.served.endpoint_uid(key))
    }
}

/// Runs the gateway until `stopping`, then drains. Tells of the ways of grants to `traces`.
///
/// # Errors
/// It cannot start, or its watches ended.
pub async fn run(args: GatewayArgs, traces: Traces, stopping: CancellationToken) -> anyhow::Result<()> {
    let GatewayArgs { common, address, tls_dir, trust_dir, poll_hold } = args;
    let Common { admin_address, log_level: _, log_format: _, relist_interval, collector: _ } = common;
    let readiness = Arc::new(Readiness::new(&feed::WATCHED));
    let Instruments { metrics: registry, gateway: metrics, kube } = Instruments::new()?;
    let registry = Arc::new(registry);
    let tls = Arc::new(Tls::load(&tls_dir)?);
    let trust = Arc::new(Trust::load(&trust_dir)?);
    let client = client(Arc::clone(&readiness), kube.clone()).await.context("no usable Kubernetes configuration")?;
    serve_admin(admin_address, Arc::clone(&registry), Arc::clone(&readiness)).await.context("--admin-address")?;
    let tcp = TcpListener::bind(address).await.context("--address")?;
    tracing::info!(listener = "agents", address = %tcp.local_addr()?, "listening");

    let served = Arc::new(Served::measured(metrics.clone()).traced(traces));
    registry.on_scrape(watch_progress(kube, Arc::clone(&readiness)));
    registry.on_scrape(measure(metrics.clone(), Arc::clone(&served), Arc::clone(&readiness), Arc::clone(&tls)));
    let feed = feed::feed(client.clone(), Arc::clone(&served), Arc::clone(&readiness), relist_interval);
    let mut feeding = tokio::spawn(feed);
    let mut reloading = tokio::spawn(reload_files(Arc::clone(&tls), Arc::clone(&trust)));
    let app = Arc::new(App {
        served,
        readiness: Arc::clone(&readiness),
        trust,
        enroller: Enroller::new(client.clone(), ENROLL_WAITS),
        reporter: Reporter::new(client, REPORT_WAIT),
        metrics: metrics.clone(),
        poll_hold,
        stopping: stopping.clone(),
    });
    let serving =
        Listener { tcp, tls, router: router(app), metrics, limits: Limits::default() }.serve(stopping.clone());
    let draining = async {
        stopping.cancelled().await;
        readiness.drain();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => told_to_stop(&stopping),
        () = draining => Ok(()),
        ended = &mut feeding => anyhow::bail!("the watches ended: {ended:?}"),
        ended = &mut reloading => anyhow::bail!("certificates and keys are looked after no longer: {ended:?}"),
    }
}

/// Says at each scrape how old and how large what is served is, and how long the certificate lasts.
fn measure(
    metrics: GatewayMetrics,
    served: Arc<Served>,
    readiness: Arc<Readiness>,
    tls: Arc<Tls>,
) -> impl Fn() + Send + 'static {
    move || {
        let oldest = readiness.ages(clock::monotonic()).map(|(_, age)| age).max().unwrap_or_default();
        let (parts, bytes) = served.size();
        metrics.serves(oldest, parts, bytes);
        let (not_before, not_after) = tls.validity();
        metrics.shows(not_before, not_after);
    }
}

/// Follows the rotation of certificates and keys.
async fn reload_files(tls: Arc<Tls>, trust: Arc<Trust>) {
    loop {
        tokio::time::sleep(RELOAD).await;
        match tls.reload() {
            Ok(true) => tracing::info!("the TLS files changed; new connections use them"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the TLS files cannot be used; those before stay"),
        }
        match trust.reload() {
            Ok(true) => tracing::info!("the trust bundle changed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the trust bundle cannot be used; the one before stays"),
        }
    }
}
