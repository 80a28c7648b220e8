//! `chartgen split config < rendered.yaml` writes what Helm rendered of the chart as a kustomize tree; `chartgen readme charts/tidegate`
//! writes the table of values into the chart's README. `hack/generate.sh` runs both.

mod readme;
mod split;

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

/// Writes what is generated from the chart.
#[derive(Parser)]
enum Command {
    /// Reads the output of `helm template` and writes it as a kustomize tree, without Helm's labels.
    Split {
        /// The folder of the tree, usually config.
        folder: PathBuf,
    },
    /// Writes the values with their comments and defaults into README.md.
    Readme {
        /// The folder of the chart.
        chart: PathBuf,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Split { folder } => {
            let mut rendered = String::new();
            std::io::stdin().read_to_string(&mut rendered).context("reading what Helm rendered")?;
            split::write(&rendered, &folder)
        }
        Command::Readme { chart } => readme::write(&chart),
    }
}
