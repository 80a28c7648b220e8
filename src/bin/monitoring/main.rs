//! `monitoring metrics docs/metrics.md` writes the page of every metric that the servers define; `monitoring dashboard
//! hack/monitoring/dashboard.yaml charts/tidegate/files/dashboard.json` writes the dashboard. The same bytes every time.
//! `make generate` and `make lint` run it.

mod dashboard;

use std::path::{Path, PathBuf};

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
    /// Writes the dashboard as Grafana reads it.
    Dashboard {
        /// Where it is written for people.
        source: PathBuf,
        /// The file to write.
        file: PathBuf,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Metrics { page } => {
            let controller = controller::Instruments::new()?.metrics.defined();
            let gateway = gateway::Instruments::new()?.metrics.defined();
            put(&page, &metrics::page(&controller, &gateway))
        }
        Command::Dashboard { source, file } => {
            let text = std::fs::read_to_string(&source).with_context(|| format!("reading {}", source.display()))?;
            let board: dashboard::Source = serde_saphyr::from_str(&text)?;
            put(&file, &format!("{:#}\n", dashboard::grafana(&board)))
        }
    }
}

fn put(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
