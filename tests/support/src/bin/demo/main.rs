//! `make demo`: the main job of Tidegate from the first process to the end of a grant, told step by step on the harness that
//! the tests use. It exits with 0 only if every step held. `KEEP=1` leaves everything up for trying by hand.

mod ahead;
mod by_hand;
mod narrator;
mod screen;
mod stage;
mod story;

use std::process::ExitCode;

use anyhow::{Context, Result};
use tidegate_test_support::{ControlPlane, assets};
use tokio::signal::unix::{SignalKind, signal};

use self::narrator::Narrator;

/// What a shell says for a program that was interrupted.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let narrator = Narrator::new(variable("NO_COLOR").is_none());
    let keep = variable("KEEP").is_some_and(|value| value != "0");
    // Whichever ends first, everything the other has started is dropped, and with that ended and removed.
    let outcome = tokio::select! {
        told = tell(&narrator, keep) => told,
        interrupted = interrupt() => interrupted.map(|()| Told::Interrupted),
    };
    match outcome {
        Ok(Told::ToTheEnd) => {
            narrator.close("Every step held. Nothing is left running, and no file is left behind.");
            ExitCode::SUCCESS
        }
        Ok(Told::Interrupted) if keep => {
            narrator.close("Stopped. Nothing is left running, and no file is left behind.");
            ExitCode::SUCCESS
        }
        Ok(Told::Interrupted) => {
            narrator.close("Interrupted. Nothing is left running, and no file is left behind.");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            narrator.failed(&error);
            ExitCode::FAILURE
        }
    }
}

/// How it went.
enum Told {
    ToTheEnd,
    Interrupted,
}

async fn tell(narrator: &Narrator, keep: bool) -> Result<Told> {
    narrator.open();
    narrator.step("a Kubernetes control plane starts: etcd, kube-apiserver, kube-controller-manager");
    let control_plane = ControlPlane::start().await?;
    let told = story::tell(narrator, &control_plane, keep).await;
    if let Err(error) = told {
        return Err(error.context(format!("logs are in {}", keep_logs(&control_plane)?)));
    }
    Ok(Told::ToTheEnd)
}

/// The logs of all processes, where they outlive the control plane.
fn keep_logs(control_plane: &ControlPlane) -> Result<String> {
    let kept = assets::temporary_root()?.join("demo-logs");
    std::fs::create_dir_all(&kept)?;
    for entry in std::fs::read_dir(&kept)? {
        std::fs::remove_file(entry?.path())?;
    }
    for entry in std::fs::read_dir(control_plane.sandbox().folder().join("logs"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), kept.join(entry.file_name())).context("a log cannot be kept")?;
    }
    Ok(kept.display().to_string())
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupt() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the two settings of the demo, read here only")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
