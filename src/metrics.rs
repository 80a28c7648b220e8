//! Every metric of both servers, with closed labels: no object, person or message ever becomes one.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tidegate_core::refusal::RefusalCode;

/// What both servers report, and the registry behind `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    ready: IntGauge,
}

/// What the controller reports.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    reconciles: IntCounterVec,
    reconcile_seconds: HistogramVec,
    expiry_lag: Histogram,
    admission_guard_ok: IntGauge,
    clock_jumps: IntCounter,
}

/// What the gateway reports.
#[derive(Debug, Clone)]
pub struct GatewayMetrics {
    waiters: IntGauge,
    requests: IntCounterVec,
    handshakes: IntCounterVec,
    connections: IntGauge,
    connections_refused: IntCounterVec,
    rejected: IntCounterVec,
}

/// Something that exists now, counted from its creation to its drop, however it ends.
#[derive(Debug)]
pub struct Counted(IntGauge);

/// Kinds that the controller reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JitPolicy
    Policy,
    /// ElevationRequest
    Request,
    /// ManagedEndpoint
    Endpoint,
    /// Fleet
    Fleet,
    /// Lock
    Lock,
    /// CertificateSigningRequest
    Certificate,
}

/// How one reconcile went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Judged; written if it differed.
    Ok,
    /// Could not judge or write; tried again.
    Error,
}

/// How one TLS handshake went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Completed.
    Ok,
    /// Refused by either side.
    Refused,
    /// Not completed in time.
    Timeout,
}

/// Why a connection was closed before it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// There are as many connections as there may be.
    Connections,
    /// There are as many without a certificate as there may be.
    Anonymous,
}

// === impl Metrics ===

impl Metrics {
    /// The metrics of this process, named `controller` or `gateway`.
    ///
    /// # Errors
    /// The name is no part of a metric name.
    pub fn new(process: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("tidegate".to_owned()), None)?;
        let build = IntGaugeVec::new(Opts::new("build_info", "1 for the running version."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register(&registry, &build)?;
        let ready = IntGauge::new(format!("{process}_ready"), "1 when caches are filled and watches make progress.")?;
        register(&registry, &ready)?;
        Ok(Self { registry, ready })
    }

    /// Everything as Prometheus text (version 0.0.4); `ready` is the state of this moment.
    #[must_use]
    pub fn render(&self, ready: bool) -> String {
        self.ready.set(i64::from(ready));
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: &C) -> Result<(), prometheus::Error> {
    registry.register(Box::new(collector.clone()))
}

// === impl ControllerMetrics ===

impl ControllerMetrics {
    /// Registers the controller's metrics.
    ///
    /// # Errors
    /// They were registered before.
    pub fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let reconciles =
            IntCounterVec::new(Opts::new("reconcile_total", "Passes over one object."), &["kind", "result"])?;
        let options = HistogramOpts::new("reconcile_duration_seconds", "How long a pass took.");
        let reconcile_seconds = HistogramVec::new(options, &["kind"])?;
        let buckets = vec![0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];
        let options = HistogramOpts::new("expiry_lag_seconds", "From a grant's deadline until status says Expired.");
        let expiry_lag = Histogram::with_opts(options.buckets(buckets))?;
        let admission_guard_ok = IntGauge::new("admission_guard_ok", "1 when the admission policies hold.")?;
        let clock_jumps = IntCounter::new("clock_jumps_total", "Corrections of the time by more than 2 s.")?;
        register(&metrics.registry, &clock_jumps)?;
        register(&metrics.registry, &admission_guard_ok)?;
        register(&metrics.registry, &reconciles)?;
        register(&metrics.registry, &reconcile_seconds)?;
        register(&metrics.registry, &expiry_lag)?;
        Ok(Self { reconciles, reconcile_seconds, expiry_lag, admission_guard_ok, clock_jumps })
    }

    /// One pass over an object.
    pub fn reconciled(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.reconciles.with_label_values(&[kind.label(), outcome.label()]).inc();
        self.reconcile_seconds.with_label_values(&[kind.label()]).observe(took.as_secs_f64());
    }

    /// Whether the admission guard has passed.
    pub fn guard(&self, passed: bool) {
        self.admission_guard_ok.set(i64::from(passed));
    }

    /// The time was corrected by more than 2 s.
    pub fn clock_jumped(&self) {
        self.clock_jumps.inc();
    }

    /// A grant was written as `Expired` this long after its deadline.
    pub fn expired(&self, lag: Duration) {
        self.expiry_lag.observe(lag.as_secs_f64());
    }
}

// === impl GatewayMetrics ===

impl GatewayMetrics {
    /// Registers the gateway's metrics.
    ///
    /// # Errors
    /// They were registered before.
    pub fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let waiters = IntGauge::new("gateway_waiters", "Polls that are held now.")?;
        let options = Opts::new("gateway_requests_total", "Answered requests by route and class of status.");
        let requests = IntCounterVec::new(options, &["route", "class"])?;
        let options = Opts::new("gateway_handshakes_total", "TLS handshakes.");
        let handshakes = IntCounterVec::new(options, &["result"])?;
        let connections = IntGauge::new("gateway_connections", "Connections of agents that are open now.")?;
        let options = Opts::new("gateway_connections_refused_total", "Connections that were one too many.");
        let connections_refused = IntCounterVec::new(options, &["cause"])?;
        let options = Opts::new("gateway_rejected_total", "Manifests that an agent refused, by the code it gave.");
        let rejected = IntCounterVec::new(options, &["code"])?;
        register(&metrics.registry, &waiters)?;
        register(&metrics.registry, &requests)?;
        register(&metrics.registry, &handshakes)?;
        register(&metrics.registry, &connections)?;
        register(&metrics.registry, &connections_refused)?;
        register(&metrics.registry, &rejected)?;
        Ok(Self { waiters, requests, handshakes, connections, connections_refused, rejected })
    }

    /// Polls that are held now; counted up and down by [`crate::gateway`].
    #[must_use]
    pub fn waiters(&self) -> &IntGauge {
        &self.waiters
    }

    /// A request was answered. `route` is a row of the route table, or `none`.
    pub fn answered(&self, route: &'static str, status: http::StatusCode) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, class]).inc();
    }

    /// A handshake ended.
    pub fn handshake(&self, handshake: Handshake) {
        let result = match handshake {
            Handshake::Ok => "ok",
            Handshake::Refused => "refused",
            Handshake::Timeout => "timeout",
        };
        self.handshakes.with_label_values(&[result]).inc();
    }

    /// Connections that are open now; counted up and down by [`crate::gateway`].
    #[must_use]
    pub fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// A connection was closed because there are too many.
    pub fn connection_refused(&self, excess: Excess) {
        let cause = match excess {
            Excess::Connections => "connections",
            Excess::Anonymous => "anonymous",
        };
        self.connections_refused.with_label_values(&[cause]).inc();
    }

    /// An agent refused a manifest.
    pub fn rejected(&self, code: RefusalCode) {
        self.rejected.with_label_values(&[code.as_str()]).inc();
    }
}

// === impl Counted ===

impl Counted {
    /// One more, until this is dropped.
    #[must_use]
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Kind, Outcome ===

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Policy => "JitPolicy",
            Self::Request => "ElevationRequest",
            Self::Endpoint => "ManagedEndpoint",
            Self::Fleet => "Fleet",
            Self::Lock => "Lock",
            Self::Certificate => "CertificateSigningRequest",
        }
    }
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_with_the_prefix() {
        let metrics = Metrics::new("controller").unwrap();
        let controller = ControllerMetrics::new(&metrics).unwrap();
        controller.reconciled(Kind::Request, Outcome::Ok, Duration::from_millis(3));
        controller.expired(Duration::from_secs(1));
        controller.clock_jumped();
        let text = metrics.render(true);
        for line in [
            "tidegate_controller_ready 1",
            "tidegate_clock_jumps_total 1",
            "tidegate_reconcile_total{kind=\"ElevationRequest\",result=\"ok\"} 1",
            "tidegate_reconcile_duration_seconds_count{kind=\"ElevationRequest\"} 1",
            "tidegate_expiry_lag_seconds_bucket{le=\"0.5\"} 0",
            "tidegate_expiry_lag_seconds_bucket{le=\"1\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }
        assert!(ControllerMetrics::new(&metrics).is_err());
    }
}
