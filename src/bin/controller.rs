//! The controller's process.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use tidegate::args::{ControllerCommand, ControllerTask};
use tidegate::{controller, runtime, telemetry};

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
    Ok(runtime::exit_code(controller::run(args, stopping).await))
}
