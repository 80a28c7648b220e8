//! What the controller reports.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tidegate_core::decision::Verb;
use tidegate_core::interval::Instant;
use tidegate_core::lock::Effect;
use tidegate_core::part::PartKind;
use tidegate_core::reason::DeclineReason;
use tidegate_core::state::State;

use super::words::words;
use super::{Kind, Label, Metrics, Word, one};

/// What the controller reports.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    leader: IntGauge,
    suspended: IntGauge,
    admission_guard_ok: IntGauge,
    passes: Passes,
    lives: Lives,
    held: Held,
    signed: IntCounterVec,
    key_loaded: IntGaugeVec,
    key_expiry: IntGaugeVec,
    certificates: IntCounterVec,
    clock_jumps: IntCounter,
}

/// Of the passes over objects.
#[derive(Debug, Clone)]
struct Passes {
    reconciles: IntCounterVec,
    seconds: HistogramVec,
    errors: IntCounterVec,
    depth: IntGaugeVec,
    wait: HistogramVec,
}

/// Of what happens to requests.
#[derive(Debug, Clone)]
struct Lives {
    declined: IntCounterVec,
    decisions: IntCounterVec,
    latency: HistogramVec,
    expiry_lag: Histogram,
    delivery: Histogram,
}

/// Of what there is now.
#[derive(Debug, Clone)]
struct Held {
    requests: IntGaugeVec,
    oldest_pending: IntGauge,
    overdue: IntGauge,
    policies: IntGaugeVec,
    endpoints: IntGaugeVec,
    locks: IntGaugeVec,
}

/// What there is at one moment. What is not named there is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Requests by state.
    pub requests: BTreeMap<State, i64>,
    /// When the oldest request that is Pending was created.
    pub oldest_pending: Option<Instant>,
    /// Requests that are Active long past their end.
    pub overdue: i64,
    /// Policies by the reason of their `Ready` condition.
    pub policies: BTreeMap<PolicyStanding, i64>,
    /// Endpoints by what is known of them.
    pub endpoints: BTreeMap<EndpointState, i64>,
    /// Locks in force: those that decline what is new, and those that end access.
    pub locks: (i64, i64),
}

words! {
    /// How one pass went.
    Outcome {
        /// Judged; written if it differed.
        Ok = "ok",
        /// Somebody wrote meanwhile: judged again at once.
        Conflict = "conflict",
        /// Could not judge or write; tried again.
        Error = "error",
    }
}

words! {
    /// The step of a pass that failed.
    FailedStep {
        /// The stored object is not of the form this version reads.
        Read = "read",
        /// A field does not parse.
        Parse = "parse",
        /// Something it refers to could not be fetched.
        Fetch = "fetch",
        /// A part or certificate could not be signed.
        Sign = "sign",
        /// A write was refused.
        Write = "write",
    }
}

words! {
    /// The reason of a policy's `Ready` condition.
    PolicyStanding {
        /// In force, or ready to be asked under.
        Compiled = "Compiled",
        /// Switched off.
        Suspended = "Suspended",
        /// Its time is over.
        Closed = "Closed",
        /// It reaches no endpoint.
        NoEndpoints = "NoEndpoints",
        /// It does not compile.
        Invalid = "Invalid",
        /// It cannot be sent to an endpoint.
        TooLarge = "TooLarge",
        /// Its last change has not been judged yet.
        NotJudged = "NotJudged",
    }
}

words! {
    /// What is known of an endpoint; the first that fits.
    EndpointState {
        /// A Lock stops everything there.
        Locked = "Locked",
        /// Its agent has no certificate in force.
        NotEnrolled = "NotEnrolled",
        /// Its agent refuses what it was sent.
        Rejected = "Rejected",
        /// None of these.
        Enrolled = "Enrolled",
    }
}

words! {
    /// What decisions made of a pending request.
    Settled {
        /// Granted.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
    }
}

words! {
    /// Who decided.
    By {
        /// People.
        Person = "person",
        /// A rule of the policy.
        Rule = "rule",
    }
}

words! {
    /// Keys that end.
    KeyName {
        /// Signs parts.
        Signing = "signing",
        /// Signs certificates and the trust bundle.
        Authority = "ca",
        /// The gateway's certificate.
        Gateway = "gateway",
    }
}

words! {
    /// What became of an approved certificate request.
    CertificateResult {
        /// Signed.
        Signed = "signed",
        /// It can never be signed, and says so.
        Failed = "failed",
    }
}

/// Kinds with passes.
const RECONCILED: [Kind; 6] = [Kind::Policy, Kind::Request, Kind::Endpoint, Kind::Fleet, Kind::Lock, Kind::Certificate];
/// The only way to a certificate so far.
const JOIN: &str = "join";
/// A line that is no decision.
const MALFORMED: &str = "malformed";

/// Seconds of a pass and of waiting for one.
const SHORT: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Seconds until something is true elsewhere.
const LAG: [f64; 10] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// Seconds that people take: up to a week.
const PATIENCE: [f64; 11] = [1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0];

// === impl ControllerMetrics ===

impl ControllerMetrics {
    /// Registers the controller's metrics.
    ///
    /// # Errors
    /// They were registered before.
    pub fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let help = "1 when this process leads: it alone judges and writes.";
        let leader = one(&metrics.gauge("leader", help, Vec::new())?);
        let help = "1 when the controller that leads was started with --suspended: nothing is granted, in no fleet.";
        let suspended = one(&metrics.gauge("suspended", help, Vec::new())?);
        let help = "1 when the admission policies hold; while it is 0 nothing new is granted. Only the leader looks.";
        let admission_guard_ok = one(&metrics.gauge("admission_guard_ok", help, Vec::new())?);
        let passes = Passes::new(metrics)?;
        let held = Held::new(metrics)?;
        let lives = Lives::new(metrics)?;
        let signed = metrics.counter("signed_total", "Signatures made.", vec![Label::of::<PartKind>("part")])?;
        let help = "1 when the leader has loaded the key (gateway: has seen to its certificate and the trust bundle). Nothing is judged before.";
        let key_loaded = metrics.gauge("key_loaded", help, vec![Label::of::<KeyName>("key")])?;
        let help = "When the key ends, in seconds since 1970; 0 before it is known. gateway: the certificate that the controller makes, whether \
                    or not a gateway serves it.";
        let key_expiry = metrics.gauge("key_expiry_timestamp_seconds", help, vec![Label::of::<KeyName>("key")])?;
        let join = Label { name: "kind", words: vec![JOIN.to_owned()] };
        let help = "Approved certificate requests of endpoints that were answered.";
        let labels = vec![join, Label::of::<CertificateResult>("result")];
        let certificates = metrics.counter("certificates_total", help, labels)?;
        let help = "Corrections of the time by more than 2 s.";
        let clock_jumps = one(&metrics.counter("clock_jumps_total", help, Vec::new())?);
        Ok(Self {
            leader,
            suspended,
            admission_guard_ok,
            passes,
            lives,
            held,
            signed,
            key_loaded,
            key_expiry,
            certificates,
            clock_jumps,
        })
    }

    /// One pass over an object.
    pub fn reconciled(&self, kind: Kind, outcome: Outcome, took: Duration) {
        let labels = [kind.word(), outcome.word()];
        self.passes.reconciles.with_label_values(&labels).inc();
        self.passes.seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A step of a pass failed.
    pub fn failed(&self, kind: Kind, step: FailedStep) {
        self.passes.errors.with_label_values(&[kind.word(), step.word()]).inc();
    }

    /// So many objects of this kind are due now.
    pub fn due(&self, kind: Kind, objects: usize) {
        self.passes.depth.with_label_values(&[kind.word()]).set(whole(objects));
    }

    /// A pass began so long after its object was due.
    pub fn waited(&self, kind: Kind, wait: Duration) {
        self.passes.wait.with_label_values(&[kind.word()]).observe(wait.as_secs_f64());
    }

    /// Whether this process leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Whether elevation is switched off by what this process was started with.
    pub fn suspended(&self, suspended: bool) {
        self.suspended.set(i64::from(suspended));
    }

    /// Whether the admission guard has passed.
    pub fn guard(&self, passed: bool) {
        self.admission_guard_ok.set(i64::from(passed));
    }

    /// A request was declined.
    pub fn declined(&self, reason: DeclineReason) {
        self.lives.declined.with_label_values(&[reason.to_string()]).inc();
    }

    /// A line was judged; `None`: it is no decision.
    pub fn decided(&self, verb: Option<Verb>, counted: bool) {
        let verb = verb.map_or(MALFORMED, Verb::word);
        self.lives.decisions.with_label_values(&[verb, counted.word()]).inc();
    }

    /// A request that could be asked was decided upon, so long after it was accepted.
    pub fn settled(&self, outcome: Settled, by: By, after: Duration) {
        self.lives.latency.with_label_values(&[outcome.word(), by.word()]).observe(after.as_secs_f64());
    }

    /// A grant was written as `Expired` this long after its deadline.
    pub fn expired(&self, lag: Duration) {
        self.lives.expiry_lag.observe(lag.as_secs_f64());
    }

    /// An endpoint's word that access holds there was recorded, so long after access began.
    pub fn delivered(&self, after: Duration) {
        self.lives.delivery.observe(after.as_secs_f64());
    }

    /// A part was signed.
    pub fn signed(&self, part: PartKind) {
        self.signed.with_label_values(&[part.word()]).inc();
    }

    /// Whether this key could be loaded.
    pub fn key_loaded(&self, key: KeyName, loaded: bool) {
        self.key_loaded.with_label_values(&[key.word()]).set(i64::from(loaded));
    }

    /// This key ends then.
    pub fn key_expires(&self, key: KeyName, at: Instant) {
        self.key_expiry.with_label_values(&[key.word()]).set(at.as_second());
    }

    /// The time was corrected by more than 2 s.
    pub fn clock_jumped(&self) {
        self.clock_jumps.inc();
    }

    /// A certificate request was answered.
    pub fn certified(&self, result: CertificateResult) {
        self.certificates.with_label_values(&[JOIN, result.word()]).inc();
    }

    /// What there is now.
    pub fn holds(&self, census: &Census) {
        let Held { requests, oldest_pending, overdue, policies, endpoints, locks } = &self.held;
        set(requests, &census.requests);
        oldest_pending.set(census.oldest_pending.map_or(0, Instant::as_second));
        overdue.set(census.overdue);
        set(policies, &census.policies);
        set(endpoints, &census.endpoints);
        let (decline_new, end_access) = census.locks;
        locks.with_label_values(&[Effect::DeclineNew.word()]).set(decline_new);
        locks.with_label_values(&[Effect::EndAccess.word()]).set(end_access);
    }
}

/// Every word of the gauge's label: one that is not counted is 0.
fn set<W: Word + Ord>(gauge: &IntGaugeVec, counts: &BTreeMap<W, i64>) {
    for word in W::ALL {
        gauge.with_label_values(&[word.word()]).set(counts.get(word).copied().unwrap_or_default());
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

// === impl Passes ===

impl Passes {
    fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let kind = || Label::among("kind", &RECONCILED);
        let outcome = || Label::of::<Outcome>("result");
        let help = "Passes over one object; conflict: somebody wrote meanwhile, and it is judged again.";
        let reconciles = metrics.counter("reconcile_total", help, vec![kind(), outcome()])?;
        let help = "How long a pass took.";
        let seconds = metrics.histogram("reconcile_duration_seconds", help, vec![kind(), outcome()], &SHORT)?;
        let help = "Passes that failed, by the step that did.";
        let labels = vec![kind(), Label::of::<FailedStep>("reason")];
        let errors = metrics.counter("reconcile_errors_total", help, labels)?;
        let help = "Objects that a change made due and whose pass has not begun.";
        let depth = metrics.gauge("queue_depth", help, vec![kind()])?;
        let help = "From the change that made an object due until its pass began.";
        let wait = metrics.histogram("queue_wait_seconds", help, vec![kind()], &SHORT)?;
        Ok(Self { reconciles, seconds, errors, depth, wait })
    }
}

// === impl Lives ===

impl Lives {
    fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let reasons = DeclineReason::ALL.iter().map(ToString::to_string).collect();
        let reasons = vec![Label { name: "reason", words: reasons }];
        let declined =
            metrics.counter("declined_total", "Requests that were declined, by the first reason.", reasons)?;
        let mut verbs = Label::of::<Verb>("verb");
        verbs.words.push(MALFORMED.to_owned());
        let labels = vec![verbs, Label::of::<bool>("counted")];
        let help =
            "Decisions that were judged; counted=false: they changed nothing, and the request's status says why.";
        let decisions = metrics.counter("decisions_total", help, labels)?;
        let labels = vec![Label::of::<Settled>("outcome"), Label::of::<By>("by")];
        let help = "From accepting a request until it was decided upon, in whole seconds.";
        let latency = metrics.histogram("decision_latency_seconds", help, labels, &PATIENCE)?;
        let help =
            "From a grant's deadline until status says Expired, in whole seconds. Access itself ends at the deadline.";
        let expiry_lag = one(&metrics.histogram("expiry_lag_seconds", help, Vec::new(), &LAG)?);
        let help = "From the start of access until the endpoint's word that it holds there was recorded, in whole seconds; for an \
                    endpoint that was switched off this is long.";
        let delivery = one(&metrics.histogram("delivery_seconds", help, Vec::new(), &LAG)?);
        Ok(Self { declined, decisions, latency, expiry_lag, delivery })
    }
}

// === impl Held ===

impl Held {
    fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let help = "ElevationRequests by state. This and what follows about objects is counted by the leader alone, at the scrape.";
        let requests = metrics.gauge("elevation_requests", help, vec![Label::of::<State>("state")])?;
        let help = "When the oldest Pending request was created, in seconds since 1970; 0: none is Pending.";
        let oldest_pending = one(&metrics.gauge("oldest_pending_timestamp_seconds", help, Vec::new())?);
        let help = "Requests that are still Active more than 10 s past their end.";
        let overdue = one(&metrics.gauge("overdue_grants", help, Vec::new())?);
        let help =
            "JitPolicies by the reason of their Ready condition; NotJudged: the last change has not been judged yet.";
        let policies = metrics.gauge("policies", help, vec![Label::of::<PolicyStanding>("reason")])?;
        let help = "ManagedEndpoints by the first that fits: a Lock stops everything there, the agent has no certificate in force, it \
                    refuses what it was sent, none of these.";
        let endpoints = metrics.gauge("endpoints", help, vec![Label::of::<EndpointState>("state")])?;
        let locks = metrics.gauge("locks", "Locks in force.", vec![Label::of::<Effect>("effect")])?;
        Ok(Self { requests, oldest_pending, overdue, policies, endpoints, locks })
    }
}
