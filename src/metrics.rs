//! Every metric of both servers, with closed labels: no object, person or message ever becomes one. Here is the registry; what is
//! measured is in `controller`, `gateway` and `kube`. A metric is defined once, by its line there: it is registered, starts at 0 for
//! every word of its labels, and stands in docs/metrics.md (`page`).

mod controller;
mod gateway;
mod kube;
mod page;
mod words;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Metric, MetricVec, MetricVecBuilder};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

pub use self::controller::{
    By, Census, CertificateResult, ControllerMetrics, EndpointState, FailedStep, KeyName, Outcome, PolicyStanding,
    Settled,
};
pub use self::gateway::{Excess, GatewayMetrics, Handshake, Stage};
pub use self::kube::{KubeMetrics, KubeVerb, StatusClass};
pub use self::page::page;
pub use self::words::{Kind, Label, Word};

/// The prefix of every name.
const PREFIX: &str = "tidegate";

/// What both servers report, and the registry behind `/metrics`.
pub struct Metrics {
    registry: Registry,
    ready: IntGauge,
    defined: Mutex<Vec<Defined>>,
    refresh: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

/// A metric as it was defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// Its whole name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels with every word they may have.
    pub labels: Vec<Label>,
    /// What it says.
    pub help: String,
}

/// Something that exists now, counted from its creation to its drop, however it ends.
#[derive(Debug)]
pub struct Counted(IntGauge);

// === impl Metrics ===

impl Metrics {
    /// The metrics of this process, named `controller` or `gateway`.
    ///
    /// # Errors
    /// The name is no part of a metric name.
    pub fn new(process: &str) -> Result<Self, prometheus::Error> {
        let mut metrics = Self {
            registry: Registry::new_custom(Some(PREFIX.to_owned()), None)?,
            ready: IntGauge::new("ready", "Replaced below.")?,
            defined: Mutex::default(),
            refresh: Mutex::default(),
        };
        let version = Label { name: "version", words: vec![env!("CARGO_PKG_VERSION").to_owned()] };
        let build = metrics.gauge("build_info", "1, for the version that runs.", vec![version])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let ready = metrics.gauge(
            &format!("{process}_ready"),
            "1 when every cache is filled and every watch has made progress within 90 s.",
            Vec::new(),
        )?;
        metrics.ready = one(&ready);
        Ok(metrics)
    }

    /// From now on `refresh` sets gauges before each scrape; it must be quick and not wait.
    pub fn on_scrape(&self, refresh: impl Fn() + Send + 'static) {
        lock(&self.refresh).push(Box::new(refresh));
    }

    /// Everything as Prometheus text (version 0.0.4); `ready` is the state of this moment.
    #[must_use]
    pub fn render(&self, ready: bool) -> String {
        self.ready.set(i64::from(ready));
        lock(&self.refresh).iter().for_each(|refresh| refresh());
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }

    /// Every metric that was defined so far, in that order.
    #[must_use]
    pub fn defined(&self) -> Vec<Defined> {
        lock(&self.defined).clone()
    }

    fn counter(&self, name: &str, help: &str, labels: Vec<Label>) -> Result<IntCounterVec, prometheus::Error> {
        let counter = IntCounterVec::new(Opts::new(name, help), &names(&labels))?;
        self.define(&counter, "counter", Defined { name: name.to_owned(), kind: "", labels, help: help.to_owned() })
    }

    fn gauge(&self, name: &str, help: &str, labels: Vec<Label>) -> Result<IntGaugeVec, prometheus::Error> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), &names(&labels))?;
        self.define(&gauge, "gauge", Defined { name: name.to_owned(), kind: "", labels, help: help.to_owned() })
    }

    /// `buckets` are upper bounds in the unit of the name, rising.
    fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: Vec<Label>,
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = HistogramVec::new(options, &names(&labels))?;
        self.define(&histogram, "histogram", Defined { name: name.to_owned(), kind: "", labels, help: help.to_owned() })
    }

    /// Registers it, and makes its series for every word: a rate from 0 to 1 is seen only where there was a 0.
    fn define<T>(
        &self,
        metric: &MetricVec<T>,
        kind: &'static str,
        defined: Defined,
    ) -> Result<MetricVec<T>, prometheus::Error>
    where
        T: MetricVecBuilder + 'static,
        T::M: Metric + 'static,
        MetricVec<T>: Collector,
    {
        self.registry.register(Box::new(metric.clone()))?;
        for words in combinations(&defined.labels) {
            metric.get_metric_with_label_values(&words)?;
        }
        lock(&self.defined).push(Defined { name: format!("{PREFIX}_{}", defined.name), kind, ..defined });
        Ok(metric.clone())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("defined", &self.defined).finish_non_exhaustive()
    }
}

/// The only series of a metric without labels.
fn one<T: MetricVecBuilder>(metric: &MetricVec<T>) -> T::M {
    metric.with_label_values::<&str>(&[])
}

fn names(labels: &[Label]) -> Vec<&'static str> {
    labels.iter().map(|label| label.name).collect()
}

/// Every choice of a word for each label.
fn combinations(labels: &[Label]) -> Vec<Vec<&str>> {
    let mut chosen: Vec<Vec<&str>> = vec![Vec::new()];
    for label in labels {
        let longer = |words: Vec<_>| label.words.iter().map(move |word| [words.as_slice(), &[word.as_str()]].concat());
        chosen = chosen.into_iter().flat_map(longer).collect();
    }
    chosen
}

/// Poisoning is ignored: what is in there is replaced or added to as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests;
