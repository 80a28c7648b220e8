//! A running gateway on a free port, fed by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use prometheus::IntGauge;
use tempfile::TempDir;
use tidegate::clock;
use tidegate::gateway::index::{EndpointKey, Key, Object};
use tidegate::gateway::{App, Enroller, Limits, Listener, ROUTES, Reporter, Served, Tls, Trust, Waits, router};
use tidegate::metrics::{GatewayMetrics, Metrics};
use tidegate::runtime::Readiness;
use tidegate_core::interval::Instant;
use tidegate_core::keyring::TrustedKey;
use tidegate_core::part::PartKind;
use tidegate_core::trust::TrustBundle;
use tidegate_test_support::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::csr_store::CsrStore;
use crate::endpoint_store::EndpointStore;
use crate::objects::{TRUST_DOMAIN, fleet, in_force};
use crate::pki::{Authority, Identity};

/// Nothing in these tests takes longer, unless it is broken.
pub const SOON: Duration = Duration::from_secs(10);

/// How long a report waits for the API server.
const REPORT_WAIT: Duration = Duration::from_secs(1);

const WATCHED: &str = "managedendpoints";

pub struct Gate {
    pub address: SocketAddr,
    pub authority: Authority,
    pub served: Arc<Served>,
    pub registry: Metrics,
    pub metrics: GatewayMetrics,
    pub csrs: CsrStore,
    pub endpoints: EndpointStore,
    pub stopping: CancellationToken,
    pub running: JoinHandle<()>,
    pub tls: Arc<Tls>,
    pub folder: TempDir,
    readiness: Arc<Readiness>,
}

impl Gate {
    /// Ready, with these objects.
    pub async fn with(objects: impl IntoIterator<Item = Object>) -> Self {
        Self::limited(Limits::default(), objects).await
    }

    /// The same; clients may take so much.
    pub async fn limited(limits: Limits, objects: impl IntoIterator<Item = Object>) -> Self {
        let endpoints = EndpointStore::new();
        let reporter = Reporter::new(endpoints.client(), REPORT_WAIT);
        let gate = Self::start_limited(Duration::from_secs(55), limits, endpoints, reporter).await;
        objects.into_iter().for_each(|object| gate.served.apply(object));
        gate.becomes_ready();
        gate
    }

    /// Ready, with these objects; reports are written through this client.
    pub async fn writing(client: kube::Client, objects: impl IntoIterator<Item = Object>) -> Self {
        let (hold, limits) = (Duration::from_secs(55), Limits::default());
        let gate = Self::start_limited(hold, limits, EndpointStore::new(), Reporter::new(client, SOON)).await;
        objects.into_iter().for_each(|object| gate.served.apply(object));
        gate.becomes_ready();
        gate
    }

    /// Not ready yet.
    pub async fn start(poll_hold: Duration) -> Self {
        let endpoints = EndpointStore::new();
        let reporter = Reporter::new(endpoints.client(), REPORT_WAIT);
        Self::start_limited(poll_hold, Limits::default(), endpoints, reporter).await
    }

    /// Its fleet part names the first versions of dev-tools and ops-tools.
    async fn start_limited(poll_hold: Duration, limits: Limits, endpoints: EndpointStore, reporter: Reporter) -> Self {
        // One of many tests in this process is the first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Authority::new("the test's authority");
        let folder = TempDir::new().unwrap();
        write_files(&folder, &authority, &authority.server());
        let registry = Metrics::new("gateway").unwrap();
        let metrics = GatewayMetrics::new(&registry, &ROUTES).unwrap();
        let tls = Arc::new(Tls::load(folder.path()).unwrap());
        let served = Arc::new(Served::measured(metrics.clone()));
        served.apply(in_force(1, &[("dev-tools", 1), ("ops-tools", 1)]));
        let readiness = Arc::new(Readiness::new(&[WATCHED]));
        let csrs = CsrStore::new();
        let stopping = CancellationToken::new();
        let app = App {
            served: Arc::clone(&served),
            readiness: Arc::clone(&readiness),
            trust: Arc::new(Trust::load(folder.path()).unwrap()),
            enroller: Enroller::new(csrs.client(), Waits { first: Duration::from_millis(50), later: SOON * 2 }),
            reporter,
            metrics: metrics.clone(),
            poll_hold,
            stopping: stopping.clone(),
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let (router, metrics) = (router(Arc::new(app)), metrics);
        let listener = Listener { tcp, tls: Arc::clone(&tls), router, metrics: metrics.clone(), limits };
        let running = tokio::spawn(listener.serve(stopping.clone()));
        Self {
            address,
            authority,
            served,
            registry,
            metrics,
            csrs,
            endpoints,
            stopping,
            running,
            tls,
            folder,
            readiness,
        }
    }

    pub fn becomes_ready(&self) {
        self.readiness.filled(WATCHED, clock::monotonic());
    }

    /// The uid that certificates must have now.
    pub fn uid(&self, name: &str) -> String {
        let key = EndpointKey { fleet: fleet(), name: name.parse().unwrap() };
        self.served.endpoint_uid(&key).unwrap().to_string()
    }

    /// The tag of what this endpoint receives now.
    pub fn tag(&self, name: &str) -> String {
        let key = EndpointKey { fleet: fleet(), name: name.parse().unwrap() };
        self.served.manifest(&key).unwrap().etag().to_owned()
    }

    /// A certificate of the endpoint as it exists now.
    pub fn identity(&self, name: &str) -> Identity {
        self.authority.endpoint(name, &self.uid(name))
    }

    pub fn delete_request(&self, name: &str) {
        self.served.delete(&Key::Request(fleet(), name.parse().unwrap()));
    }

    /// Waits until exactly so many polls are held.
    pub async fn waiters(&self, expected: i64) {
        reaches("held polls", self.metrics.waiters(), expected).await;
    }

    /// Waits until exactly so many connections are open.
    pub async fn connections(&self, expected: i64) {
        reaches("connections", self.metrics.connections(), expected).await;
    }

    /// This line is among the metrics.
    pub fn assert_metric(&self, line: &str) {
        let text = self.registry.render(true);
        assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
    }
}

async fn reaches(what: &str, gauge: &IntGauge, expected: i64) {
    eventually(what, SOON, async || {
        let now = gauge.get();
        ensure!(now == expected, "{now}, {expected} expected");
        Ok(())
    })
    .await
    .unwrap();
}

/// What the controller leaves in the gateway's folders.
pub fn write_files(folder: &TempDir, authority: &Authority, server: &Identity) {
    let key = authority.signing_key();
    let trusted = TrustedKey {
        public_key: key.public_key(),
        roles: [PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant].into(),
        expiration_time: Instant::MAX,
    };
    let now = Instant::from_second(1_000);
    let bundle = TrustBundle::seal(TRUST_DOMAIN, vec![authority.pem()], vec![trusted], &key, now).unwrap();
    let files = [
        ("tls.crt", server.chain_pem.clone()),
        ("tls.key", server.key_pem.clone()),
        ("ca.crt", authority.pem()),
        ("trust.json", serde_json::to_string(&bundle).unwrap()),
    ];
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
}
