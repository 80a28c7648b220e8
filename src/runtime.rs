//! What every server process needs around its work: the shutdown signal, readiness, the admin listener and the Kubernetes
//! client whose watches count as progress and whose answers tell the time; for one of several controllers also the gate that its
//! writes pass.

mod admin;
mod anew;
mod client;
mod gate;
mod readiness;
mod replica;
mod server_time;
mod vital;

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use admin::serve_admin;
pub use anew::watch_anew;
pub use client::{WATCH_TIMEOUT, WatchRetry, client, watch_config, watch_progress};
pub use gate::{Shut, WriteGate};
pub use readiness::{NotReady, Readiness};
pub use replica::Replica;
pub use server_time::ask_time;
pub use vital::{told_to_stop, vital};

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once, with 130.
///
/// # Errors
/// The handlers cannot be installed.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        for received in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if received > 1 {
                std::process::exit(130);
            }
            tracing::info!("stopping");
            cancel.cancel();
        }
    });
    Ok(token)
}

/// How the process ends: a failure is logged with its causes, as everything is, and exits with 1.
#[must_use]
pub fn exit_code(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}
