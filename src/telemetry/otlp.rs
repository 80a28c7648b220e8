//! Sends traces to a collector, by OTLP over gRPC: the one module that knows OpenTelemetry. Whoever tells a span never waits: spans
//! queue up, go out in batches, and are lost where the collector does not take them.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::traces::{Span, Told};

/// Most spans in one batch.
const BATCH: usize = 512;
/// How long a batch waits for more spans.
const GATHER: Duration = Duration::from_secs(1);
/// Longest time that one batch may take, whatever OTEL_EXPORTER_OTLP_TIMEOUT says.
const SEND: Duration = Duration::from_secs(30);
/// Longest time that the end of the process waits for what has not been sent.
const FLUSH: Duration = Duration::from_secs(1);
/// Losses are told at most so often.
const TELL: Duration = Duration::from_secs(60);

/// Sends in the background until it is told to stop.
#[derive(Debug)]
pub struct Sending {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// `service.name`
    pub name: &'static str,
    /// `service.instance.id`
    pub instance: &'a str,
}

struct Sender {
    exporter: SpanExporter,
    instance: String,
    scope: InstrumentationScope,
    losses: Losses,
}

/// Spans that were lost and not told of yet.
#[derive(Debug, Default)]
struct Losses {
    spans: u64,
    told_at: Option<Duration>,
}

/// Sends what is told to the collector at `endpoint`, which need not be there.
///
/// # Errors
/// The endpoint is no address, or asks for TLS where no certificate authority is known.
pub fn send(told: Told, endpoint: &str, service: Service<'_>) -> Result<Sending, ExporterBuildError> {
    let mut builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    if endpoint.starts_with("https:") {
        builder = builder.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    let mut exporter = builder.build()?;
    let own = [("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", service.instance)];
    let own = own.map(|(name, value)| KeyValue::new(name, value.to_owned()));
    exporter.set_resource(&Resource::builder().with_service_name(service.name).with_attributes(own).build());
    let sender = Sender {
        exporter,
        instance: service.instance.to_owned(),
        scope: InstrumentationScope::builder("tidegate").with_version(env!("CARGO_PKG_VERSION")).build(),
        losses: Losses::default(),
    };
    let stop = CancellationToken::new();
    Ok(Sending { task: tokio::spawn(sender.run(told, stop.clone())), stop })
}

// === impl Sending ===

impl Sending {
    /// Sends what is left, for a second at most, and ends.
    pub async fn flush(self) {
        self.stop.cancel();
        if tokio::time::timeout(FLUSH, self.task).await.is_err() {
            tracing::warn!("the last traces were not taken in time and are lost");
        }
    }
}

// === impl Sender ===

impl Sender {
    async fn run(mut self, mut told: Told, stop: CancellationToken) {
        let mut batch = Vec::new();
        while stop.run_until_cancelled(gather(&mut told.queue, &mut batch)).await.is_some() {
            self.send(&mut batch, &told).await;
        }
        told.queue.close();
        while let Ok(span) = told.queue.try_recv() {
            batch.push(span);
        }
        if !batch.is_empty() {
            self.send(&mut batch, &told).await;
        }
    }

    async fn send(&mut self, batch: &mut Vec<Span>, told: &Told) {
        let sent: Vec<SpanData> = batch.drain(..).map(|span| data(span, &self.instance, &self.scope)).collect();
        let spans = u64::try_from(sent.len()).unwrap_or(u64::MAX);
        let error = match tokio::time::timeout(SEND, self.exporter.export(sent)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(late) => Some(late.to_string()),
        };
        let left_out = told.left_out.swap(0, std::sync::atomic::Ordering::Relaxed);
        let lost = left_out + if error.is_some() { spans } else { 0 };
        if let Some(spans) = self.losses.note(lost, clock::monotonic()) {
            tracing::warn!(spans, error, "traces were lost: the collector did not take them; nothing else is held up");
        }
    }
}

/// At least one span, and what else comes soon.
async fn gather(queue: &mut Receiver<Span>, batch: &mut Vec<Span>) {
    if queue.recv_many(batch, BATCH).await == 0 {
        // Nobody can tell anything any more; the end is near.
        return std::future::pending().await;
    }
    let more = async { while batch.len() < BATCH && queue.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    let _full = tokio::time::timeout(GATHER, more).await;
}

/// A span as the library has it. Every trace is sent, so every span is marked as sampled.
fn data(span: Span, instance: &str, scope: &InstrumentationScope) -> SpanData {
    let (trace, id) = (TraceId::from_bytes(span.trace().0), SpanId::from_bytes(span.id(instance).0));
    let attributes = span.attributes().into_iter().map(|(name, value)| KeyValue::new(name, value)).collect();
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: span.parent().map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.0)),
        // Which process makes it is not known where it is named.
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.stretch.as_str().into(),
        start_time: SystemTime::from(span.from),
        end_time: SystemTime::from(span.to),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

// === impl Losses ===

impl Losses {
    /// So many more; how many are to be told of now.
    fn note(&mut self, lost: u64, now: Duration) -> Option<u64> {
        self.spans += lost;
        let told_lately = self.told_at.is_some_and(|at| now.saturating_sub(at) < TELL);
        if self.spans == 0 || told_lately {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.spans))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_at_once_and_then_once_a_minute_all_together() {
        let at = Duration::from_secs;
        let mut losses = Losses::default();
        assert_eq!(losses.note(0, at(1)), None);
        assert_eq!(losses.note(3, at(2)), Some(3));
        assert_eq!(losses.note(4, at(3)), None);
        assert_eq!(losses.note(0, at(4)), None);
        assert_eq!(losses.note(5, at(62)), Some(9));
        assert_eq!(losses.note(0, at(200)), None);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_an_error_and_one_that_is_not_there_is_none() {
        let service = Service { name: "tidegate-gateway", instance: "a" };
        assert!(send(crate::traces::Traces::told().1, "http://", service).is_err());
        let sending = send(crate::traces::Traces::told().1, "http://127.0.0.1:9", service).unwrap();
        sending.flush().await;
    }
}
