//! The gateway's process.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use tidegate::args::GatewayArgs;
use tidegate::telemetry::{self, Tracing};
use tidegate::{gateway, runtime};
use tidegate_api::names::GATEWAY;

/// Lists come and go beside caches that stay: it gives back what they took, where the system's keeps it (docs/benchmarks.md, Memory).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().map_err(|_| anyhow!("another TLS provider is installed"))?;
    let args = GatewayArgs::parse();
    telemetry::init(&args.common.log_level, args.common.log_format)?;
    let stopping = runtime::shutdown_signal()?;
    let tracing = Tracing::start(&args.common.collector, GATEWAY, &args.place());
    let code = runtime::exit_code(gateway::run(args, tracing.traces.clone(), stopping).await);
    tracing.flush().await;
    Ok(code)
}
