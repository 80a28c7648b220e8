//! The controller's process.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use tidegate::args::ControllerArgs;
use tidegate::{controller, runtime, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().map_err(|_| anyhow!("another TLS provider is installed"))?;
    let args = ControllerArgs::parse();
    telemetry::init(&args.common.log_level, args.common.log_format)?;
    let stopping = runtime::shutdown_signal()?;
    Ok(runtime::exit_code(controller::run(args, stopping).await))
}
