//! The dashboard shows something: a real Prometheus scrapes the real servers under a small load, and every panel's queries are run.
//! `TIDEGATE_WRITE_GOLDEN=1` draws what they gave into docs/images.

mod board;
mod load;
mod picture;
mod prometheus;

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tidegate_test_support::{assets, clock, servers};

use self::picture::Drawn;
use self::prometheus::{Prometheus, Series};
use crate::installation::{Installation, shared};

const REGENERATE: &str = "TIDEGATE_WRITE_GOLDEN";

#[tokio::test]
#[ignore = "make test-monitoring builds Prometheus for it"]
async fn every_panel_of_the_dashboard_shows_something() -> Result<()> {
    let installation = shared().await?;
    let prometheus = Prometheus::start(installation).await?;
    let began = clock::now().as_second();
    let _lives = load::run(installation, &prometheus).await?;
    let span = (began, clock::now().as_second());
    let mut silent = Vec::new();
    for (number, row) in board::read()?.into_iter().enumerate() {
        let mut panels = Vec::new();
        for panel in row.panels {
            let mut found: Vec<Series> = Vec::new();
            for (expression, legend) in &panel.queries {
                let series = prometheus.range(expression, legend, span).await?;
                if series.iter().all(|series| series.points.is_empty()) {
                    silent.push(format!("{} / {}: {expression}: {} series", row.question, panel.title, series.len()));
                }
                found.extend(series);
            }
            panels.push(Drawn { panel, series: found });
        }
        if picture::wanted(REGENERATE) {
            picture::write(number + 1, &row.question, &panels, span)?;
        }
    }
    ensure!(silent.is_empty(), "no data:\n{}", silent.join("\n"));
    scrapes_are_well_formed(installation).await
}

/// Both servers' metrics pass `promtool check metrics`.
async fn scrapes_are_well_formed(installation: &Installation) -> Result<()> {
    for address in [installation.controller.admin, installation.gateways[0].admin] {
        let (status, text) = servers::admin_get(address, "/metrics").await?;
        ensure!(status == 200, "{text}");
        let mut check = Command::new(assets::prometheus_programs()?.join("promtool"));
        let mut check = check.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = check.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        let said = check.wait_with_output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}
