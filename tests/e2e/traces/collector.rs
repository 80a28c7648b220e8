//! A collector of traces: takes what is sent by OTLP over gRPC and keeps it, flattened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tidegate_test_support::eventually;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// What processes have sent so far.
#[derive(Clone, Default)]
pub struct Collector {
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// One span and who sent it. Ids are hex digits, times nanoseconds since 1970.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Attributes of the process.
    pub process: BTreeMap<String, String>,
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Empty: it has none.
    pub parent: String,
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// Its attributes.
    pub said: BTreeMap<String, String>,
}

// === impl Collector ===

impl Collector {
    /// Starts one, and gives its URL.
    pub async fn start() -> Result<(Self, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let collector = Self::default();
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(TraceServiceServer::new(serving.clone()));
                let server = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok((collector, url))
    }

    /// The spans about the request of this uid, in the order of their ends.
    pub fn about(&self, uid: &str) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_about = |span: &&Sent| span.said.get("tidegate.request.uid").is_some_and(|said| said == uid);
        let mut about: Vec<Sent> = sent.iter().filter(is_about).cloned().collect();
        about.sort_by_key(|span| span.to);
        about
    }

    /// The same, as soon as one of them is called `name` and comes out as `outcome`.
    pub async fn has(&self, uid: &str, name: &str, outcome: &str, deadline: Duration) -> Result<Vec<Sent>> {
        eventually(&format!("span {name} of {uid} ({outcome})"), deadline, async || {
            let about = self.about(uid);
            let found = about.iter().any(|span| span.name == name && span.outcome() == outcome);
            ensure!(found, "{:?}", about.iter().map(|span| (&span.name, span.outcome())).collect::<Vec<_>>());
            Ok(about)
        })
        .await
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let process = texts(resource.resource.map(|resource| resource.attributes).unwrap_or_default());
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                sent.push(Sent {
                    process: process.clone(),
                    name: span.name,
                    trace: hex::encode(span.trace_id),
                    id: hex::encode(span.span_id),
                    parent: hex::encode(span.parent_span_id),
                    from: span.start_time_unix_nano,
                    to: span.end_time_unix_nano,
                    said: texts(span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| match attribute.value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => (attribute.key, text),
        other => (attribute.key, format!("{other:?}")),
    };
    attributes.into_iter().map(text).collect()
}

// === impl Sent ===

impl Sent {
    /// How it came out; empty where it does not say.
    pub fn outcome(&self) -> &str {
        self.said.get("tidegate.outcome").map_or("", String::as_str)
    }

    /// The program that sent it.
    pub fn service(&self) -> &str {
        self.process.get("service.name").map_or("", String::as_str)
    }
}
