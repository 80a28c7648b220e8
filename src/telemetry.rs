//! Logs: one line per event on standard error, as JSON or text. Standard output stays free for the controller's audit lines. And
//! whether there are traces, which `otlp` sends.

mod otlp;

use clap::ValueEnum;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::otlp::{Sending, Service};
use crate::args::Collector;
use crate::traces::Traces;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Starts logging for the whole process; `level` says which targets are logged from which level on.
///
/// # Errors
/// Logging was started before.
pub fn init(level: &Targets, format: LogFormat) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(level.clone())).try_init()
}

/// Traces of this process, and what sends them.
#[derive(Debug, Default)]
pub struct Tracing {
    /// Takes spans.
    pub traces: Traces,
    sending: Option<Sending>,
}

// === impl Tracing ===

impl Tracing {
    /// Sends the traces of `service` where the settings say, or makes none. `place` is where the process runs. A collector that cannot be
    /// used is no reason not to start.
    #[must_use]
    pub fn start(collector: &Collector, service: &'static str, place: &str) -> Self {
        let Some(endpoint) = collector.endpoint() else { return Self::default() };
        let (traces, told) = Traces::told();
        let instance = format!("{place}/{}", std::process::id());
        match otlp::send(told, endpoint, Service { name: service, instance: &instance }) {
            Ok(sending) => {
                tracing::info!(endpoint, instance, "traces are sent");
                Self { traces, sending: Some(sending) }
            }
            Err(error) => {
                tracing::error!(endpoint, %error, "there are no traces: nothing can be sent there");
                Self::default()
            }
        }
    }

    /// Sends what is left, for a second at most: the last thing that the process does.
    pub async fn flush(self) {
        if let Some(sending) = self.sending {
            sending.flush().await;
        }
    }
}
