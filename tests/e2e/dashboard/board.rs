//! The dashboard as it is shipped: rows of panels with their queries.

use anyhow::{Context, Result};
use serde_json::Value;
use tidegate_test_support::assets::repository;

/// A row: a question.
pub struct Row {
    pub question: String,
    pub panels: Vec<Panel>,
}

/// What answers it.
pub struct Panel {
    pub title: String,
    /// `stat`, `timeseries` or `heatmap`.
    pub draw: String,
    pub unit: String,
    /// Why there is no data here; empty where there has to be some.
    pub why_empty: String,
    /// Expression and legend.
    pub queries: Vec<(String, String)>,
}

/// Reads it.
pub fn read() -> Result<Vec<Row>> {
    let file = repository().join("charts/tidegate/files/dashboard.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let mut rows: Vec<Row> = Vec::new();
    for panel in board["panels"].as_array().context("no panels")? {
        if panel["type"] == "row" {
            rows.push(Row { question: text(&panel["title"])?, panels: Vec::new() });
        } else {
            rows.last_mut().context("a panel before the first row")?.panels.push(read_panel(panel)?);
        }
    }
    Ok(rows)
}

fn read_panel(panel: &Value) -> Result<Panel> {
    let targets = panel["targets"].as_array().context("no targets")?;
    let query = |target: &Value| Ok((text(&target["expr"])?, text(&target["legendFormat"])?));
    Ok(Panel {
        title: text(&panel["title"])?,
        draw: text(&panel["type"])?,
        unit: text(&panel["fieldConfig"]["defaults"]["unit"])?,
        why_empty: text(&panel["description"])?,
        queries: targets.iter().map(query).collect::<Result<_>>()?,
    })
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text: {value}"))?.to_owned())
}
