//! `monitoring metrics docs/metrics.md` writes the page of every metric that the servers define, the same bytes every time.
//! `make generate` and `make lint` run it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use tidegate::{controller, gateway, metrics};

/// Writes what is generated for those who watch Tidegate.
#[derive(Parser)]
enum Command {
    /// Writes the page of every metric.
    Metrics {
        /// The page to write, usually docs/metrics.md.
        page: PathBuf,
    },
}

fn main() -> Result<()> {
    let Command::Metrics { page } = Command::parse();
    let controller = controller::Instruments::new()?.metrics.defined();
    let gateway = gateway::Instruments::new()?.metrics.defined();
    std::fs::write(&page, metrics::page(&controller, &gateway)).with_context(|| format!("writing {}", page.display()))
}
