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
    /// Colours of a stat: from this value on; the first from below.
    pub steps: Vec<(f64, String)>,
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
    let field = &panel["fieldConfig"]["defaults"];
    let steps = field["thresholds"]["steps"].as_array().into_iter().flatten();
    let step = |step: &Value| Ok((step["value"].as_f64().unwrap_or(f64::NEG_INFINITY), text(&step["color"])?));
    Ok(Panel {
        title: text(&panel["title"])?,
        draw: text(&panel["type"])?,
        unit: text(&field["unit"])?,
        steps: steps.map(step).collect::<Result<_>>()?,
        queries: targets.iter().map(query).collect::<Result<_>>()?,
    })
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text: {value}"))?.to_owned())
}
