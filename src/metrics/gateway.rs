//! What the gateway reports.

use std::time::Duration;

use http::StatusCode;
use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge};
use tidegate_core::interval::Instant;
use tidegate_core::refusal::RefusalCode;

use super::words::words;
use super::{Label, Metrics, StatusClass, Word, one};

/// What the gateway reports.
#[derive(Debug, Clone)]
pub struct GatewayMetrics {
    waiters: IntGauge,
    connections: IntGauge,
    connections_refused: IntCounterVec,
    handshakes: IntCounterVec,
    answers: Answers,
    rejected: IntCounterVec,
    propagation: HistogramVec,
    as_of_lag: IntGauge,
    render: Histogram,
    parts: IntGauge,
    parts_bytes: IntGauge,
    certificate: Certificate,
}

/// Of the certificate that agents are shown.
#[derive(Debug, Clone)]
struct Certificate {
    not_before: IntGauge,
    expiry: IntGauge,
}

/// Of the answers to agents.
#[derive(Debug, Clone)]
struct Answers {
    requests: IntCounterVec,
    seconds: HistogramVec,
    limited: IntCounterVec,
    enrolments: IntCounterVec,
}

words! {
    /// How one TLS handshake went.
    Handshake {
        /// Completed.
        Ok = "ok",
        /// Refused by either side.
        Refused = "refused",
        /// Not completed in time.
        Timeout = "timeout",
    }
}

words! {
    /// Why a connection was closed before it was served.
    Excess {
        /// There are as many connections as there may be.
        Connections = "connections",
        /// There are as many without a certificate as there may be.
        Anonymous = "anonymous",
    }
}

words! {
    /// A stretch of the way from the controller's signature to the endpoint.
    Stage {
        /// From the signature until this gateway has the part. Whole seconds.
        CommitToGateway = "commit_to_gateway",
        /// Until the waiting poll is answered.
        GatewayToWake = "gateway_to_wake",
        /// Until the agent says that it has applied the manifest.
        WakeToApplied = "wake_to_applied",
    }
}

words! {
    /// Why a call was turned away.
    Limited {
        /// The caller asks too often.
        TooMany = "429",
        /// This gateway or the API server cannot now.
        Unavailable = "503",
    }
}

words! {
    /// What an agent got that asked for a certificate.
    Enrolled {
        /// The certificate.
        Issued = "issued",
        /// A person has to approve.
        Pending = "pending",
        /// A person has refused, or somebody else's request is in its place.
        Denied = "denied",
        /// What it sent is not right.
        Refused = "refused",
        /// Too often, or not now.
        TurnedAway = "turned_away",
        /// Our own fault.
        Failed = "failed",
    }
}

/// Answers that agents get.
const ANSWERED: [StatusClass; 4] =
    [StatusClass::Success, StatusClass::Redirection, StatusClass::ClientError, StatusClass::ServerError];
/// Seconds of work.
const SHORT: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];
/// Seconds on the way to an endpoint.
const WAY: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

// === impl GatewayMetrics ===

impl GatewayMetrics {
    /// Registers the gateway's metrics. `routes` are the rows of the route table, and what is counted for none of them.
    ///
    /// # Errors
    /// They were registered before.
    pub fn new(metrics: &Metrics, routes: &[&str]) -> Result<Self, prometheus::Error> {
        let plain = |name, help| Ok::<_, prometheus::Error>(one(&metrics.gauge(name, help, Vec::new())?));
        let connections = plain("gateway_connections", "Connections of agents that are open now.")?;
        let waiters = plain("gateway_waiters", "Polls that are held now.")?;
        let help = "Connections that were one too many.";
        let labels = vec![Label::of::<Excess>("cause")];
        let connections_refused = metrics.counter("gateway_connections_refused_total", help, labels)?;
        let labels = vec![Label::of::<Handshake>("result")];
        let handshakes = metrics.counter("gateway_handshakes_total", "TLS handshakes.", labels)?;
        let answers = Answers::new(metrics, routes)?;
        let help = "The way of a change to an endpoint, stage by stage: from signing a part until this gateway has it (in whole \
                    seconds), until a waiting poll is answered, until the agent says that it has applied it.";
        let propagation =
            metrics.histogram("gateway_propagation_seconds", help, vec![Label::of::<Stage>("stage")], &WAY)?;
        let help = "How old the view of the cluster can be: since the API server last answered the watch that it answered longest ago. \
                    At most 60 in health.";
        let as_of_lag = plain("gateway_as_of_lag_seconds", help)?;
        let help = "Manifests that an agent refused, by the code it gave.";
        let labels = vec![Label::of::<RefusalCode>("code")];
        let rejected = metrics.counter("gateway_rejected_total", help, labels)?;
        let help = "How long it took to render a manifest.";
        let render = one(&metrics.histogram("gateway_render_seconds", help, Vec::new(), &SHORT)?);
        let parts = plain("gateway_parts", "Signed parts that are kept, earlier versions in force included.")?;
        let parts_bytes = plain("gateway_parts_bytes", "Bytes of these parts as they are served.")?;
        let help = "First second of the certificate that this gateway shows to agents, in seconds since 1970.";
        let not_before = plain("gateway_certificate_not_before_timestamp_seconds", help)?;
        let help = "When that certificate ends, in seconds since 1970; whoever issued it. Changed files are taken within a minute.";
        let expiry = plain("gateway_certificate_expiry_timestamp_seconds", help)?;
        Ok(Self {
            waiters,
            connections,
            connections_refused,
            handshakes,
            answers,
            rejected,
            propagation,
            as_of_lag,
            render,
            parts,
            parts_bytes,
            certificate: Certificate { not_before, expiry },
        })
    }

    /// Polls that are held now; counted up and down by [`crate::gateway`].
    #[must_use]
    pub fn waiters(&self) -> &IntGauge {
        &self.waiters
    }

    /// Connections that are open now; counted up and down by [`crate::gateway`].
    #[must_use]
    pub fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// Where the time of rendering goes.
    #[must_use]
    pub fn render(&self) -> &Histogram {
        &self.render
    }

    /// A request was answered after so much work; what it was held is not counted. `route` is a row of the route table, or `none`.
    pub fn answered(&self, route: &'static str, status: StatusCode, work: Duration) {
        let labels = [route, StatusClass::of(status).word()];
        self.answers.requests.with_label_values(&labels).inc();
        self.answers.seconds.with_label_values(&labels).observe(work.as_secs_f64());
        let limited = match status {
            StatusCode::TOO_MANY_REQUESTS => Limited::TooMany,
            StatusCode::SERVICE_UNAVAILABLE => Limited::Unavailable,
            _ => return,
        };
        self.answers.limited.with_label_values(&[limited.word()]).inc();
    }

    /// An enrolment was answered.
    pub fn enrolled(&self, status: StatusCode) {
        let result = match status {
            StatusCode::ACCEPTED => Enrolled::Pending,
            StatusCode::FORBIDDEN => Enrolled::Denied,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Enrolled::TurnedAway,
            status if status.is_success() => Enrolled::Issued,
            status if status.is_client_error() => Enrolled::Refused,
            _ => Enrolled::Failed,
        };
        self.answers.enrolments.with_label_values(&[result.word()]).inc();
    }

    /// A handshake ended.
    pub fn handshake(&self, handshake: Handshake) {
        self.handshakes.with_label_values(&[handshake.word()]).inc();
    }

    /// A connection was closed because there are too many.
    pub fn connection_refused(&self, excess: Excess) {
        self.connections_refused.with_label_values(&[excess.word()]).inc();
    }

    /// An agent refused a manifest.
    pub fn rejected(&self, code: RefusalCode) {
        self.rejected.with_label_values(&[code.as_str()]).inc();
    }

    /// A change has come through this stage.
    pub fn propagated(&self, stage: Stage, took: Duration) {
        self.propagation.with_label_values(&[stage.word()]).observe(took.as_secs_f64());
    }

    /// What is served: so old a view, so many parts of so many bytes.
    pub fn serves(&self, lag: Duration, parts: usize, bytes: usize) {
        self.as_of_lag.set(i64::try_from(lag.as_secs()).unwrap_or(i64::MAX));
        self.parts.set(i64::try_from(parts).unwrap_or(i64::MAX));
        self.parts_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Agents are shown a certificate with this validity.
    pub fn shows(&self, not_before: Instant, not_after: Instant) {
        self.certificate.not_before.set(not_before.as_second());
        self.certificate.expiry.set(not_after.as_second());
    }
}

// === impl Answers ===

impl Answers {
    fn new(metrics: &Metrics, routes: &[&str]) -> Result<Self, prometheus::Error> {
        let labels = || {
            let routes = Label { name: "route", words: routes.iter().map(|&route| route.to_owned()).collect() };
            vec![routes, Label::among("class", &ANSWERED)]
        };
        let help = "Answered requests by row of the route table (none: no such row) and class of status.";
        let requests = metrics.counter("gateway_requests_total", help, labels())?;
        let help = "How long an answer took; the time that a poll or an enrolment was held is left out.";
        let seconds = metrics.histogram("gateway_request_duration_seconds", help, labels(), &SHORT)?;
        let help = "Calls that were turned away for now, by status.";
        let limited = metrics.counter("gateway_limited_total", help, vec![Label::of::<Limited>("class")])?;
        let help = "Answers to agents that ask for a certificate; an agent asks again until it is issued.";
        let enrolments = metrics.counter("gateway_enroll_total", help, vec![Label::of::<Enrolled>("result")])?;
        Ok(Self { requests, seconds, limited, enrolments })
    }
}
