//! Measures the controller on a real API server: what it writes when nothing happens, what an object costs it, how fast approvals and
//! ends get through. Each figure has its peer in the same run. Nothing is asserted: a target that was missed is told as missed.

mod calls;
mod crowd;
mod fleet;
mod grants;
mod memory;
#[path = "../page.rs"]
mod page;
mod processor;
mod quiet;
mod table;
mod ttl;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use tidegate_test_support::{ControlPlane, Controller};

/// Nothing that is measured takes longer, so something is broken.
pub const DEADLINE: Duration = Duration::from_secs(600);

#[derive(Parser)]
struct Args {
    /// So many requests at once, and after them ten times as many.
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Rounds of the smaller number; the greater one is measured once.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Put the section into this file, in place of the one it holds.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Leave the approvals out, as the file has them: what to do when a run broke off after them.
    #[arg(long)]
    from_ends: bool,
    /// Only this, on a new API server, and write nothing: a look at one thing.
    #[arg(long, conflicts_with_all = ["write", "from_ends"])]
    only: Option<Only>,
}

/// What can be looked at alone.
#[derive(Clone, Copy, ValueEnum)]
enum Only {
    /// Approvals at once.
    Approvals,
    /// What an object costs, ten times the requests at most.
    Memory,
    /// What others notice of one person's many requests.
    Crowd,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { requests, rounds, write, from_ends, only } = Args::parse();
    let control_plane = ControlPlane::start().await?;
    control_plane.install().await?;
    if let Some(only) = only {
        let section = match only {
            Only::Approvals => grants::section(&control_plane, requests, rounds).await?,
            Only::Memory => {
                grants::approved(&control_plane, requests * 10).await?;
                memory::section(&control_plane).await?
            }
            Only::Crowd => crowd::section(&control_plane, requests * 10).await?,
        };
        println!("{section}");
        return Ok(());
    }
    let mut sections = Vec::new();
    let mut tell = |section: String| {
        println!("{section}");
        sections.push(section);
        // One by one: it is a long way to the end.
        let change = |page: &mut page::Page| {
            let before = page.cluster.split_once(grants::ENDS).map_or(page.cluster.as_str(), |(before, _)| before);
            let before = if from_ends { before.to_owned() } else { format!("## On an API server\n{}\n\n", about()) };
            page.cluster = before + &sections.join("\n");
        };
        write.as_ref().map_or(Ok(()), |path| page::Page::edit(path, change))
    };
    if !from_ends {
        tell(grants::section(&control_plane, requests, rounds).await?)?;
    }
    tell(grants::ends(&control_plane, requests).await?)?;
    tell(quiet::section(&control_plane, requests).await?)?;
    tell(memory::section(&control_plane).await?)?;
    tell(crowd::section(&control_plane, requests * 10).await?)
}

/// What it was measured on.
#[expect(clippy::disallowed_methods, reason = "the Makefile says which version, to the tests' harness too")]
fn about() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = std::env::var("TIDEGATE_K8S").unwrap_or_default();
    format!(
        "Written by `make bench-cluster`, on the machine named above: kube-apiserver {version} with its store, audit log and \
         kube-controller-manager, the controller and the measuring program share its {cores} cores, so every ratio is one of work to be \
         done as well. Release build. Nothing here is asserted by a test."
    )
}

/// A controller that is ready, and on whose guard what people write counts.
pub async fn controller(control_plane: &ControlPlane) -> Result<Controller> {
    let controller = Controller::start(control_plane).await?;
    controller.ready(DEADLINE).await?;
    controller.guard_passes(DEADLINE).await?;
    Ok(controller)
}

/// Ends a controller as Kubernetes does, so that the next one need not wait for its lease.
pub async fn stop(controller: &Controller) -> Result<()> {
    controller.process.sigterm()?;
    controller.process.ended(DEADLINE).await?;
    Ok(())
}
