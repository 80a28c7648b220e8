//! The agent of one endpoint. Thin start: settings, log, runtime, exit status. It never links a Kubernetes client.

mod about;
mod args;
mod backoff;
mod clock;
mod contact;
mod deadline;
mod enroll;
mod event;
mod gateway;
mod held;
mod identity;
mod network;
mod output;
mod poll;
mod report;
mod run;
mod store;
mod text;
mod tls;
mod trust;
mod watch;

#[cfg(test)]
#[path = "../tests/loopback/fixture.rs"]
mod fixture;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::text::shown;

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli { command: Command::Watch(args) } = Cli::parse();
    tracing_subscriber::fmt().with_max_level(args.log_level).with_writer(std::io::stderr).init();
    match run::watch(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-agent: {}", shown(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
