//! The controller's process.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use tidegate::args::{ControllerCommand, ControllerTask};
use tidegate::telemetry::{self, Tracing};
use tidegate::{controller, runtime};
use tidegate_api::names::CONTROLLER;

/// Lists come and go beside caches that stay: it gives back what they took, where the system's keeps it (docs/benchmarks.md, Memory).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().map_err(|_| anyhow!("another TLS provider is installed"))?;
    let ControllerCommand { serve: args, instead } = ControllerCommand::parse();
    telemetry::init(&args.common.log_level, args.common.log_format)?;
    if let Some(ControllerTask::Probe(probe)) = instead {
        return Ok(runtime::exit_code(controller::probe(&probe).await));
    }
    let stopping = runtime::shutdown_signal()?;
    let tracing = Tracing::start(&args.common.collector, CONTROLLER, &args.place());
    let code = runtime::exit_code(controller::run(args, tracing.traces.clone(), stopping).await);
    tracing.flush().await;
    Ok(code)
}
