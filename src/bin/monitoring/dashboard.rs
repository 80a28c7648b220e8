//! The dashboard, from its short form to Grafana's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The short form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    title: String,
    uid: String,
    /// Where the runbooks lie, as the alerts say it.
    runbooks: String,
    rows: Vec<Row>,
}

/// A question and what answers it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    question: String,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    /// What it says, and what to do; one sentence.
    description: String,
    /// The page that goes on from there, without its folder and `.md`.
    runbook: Option<String>,
    draw: Draw,
    /// Of Grafana's list.
    unit: String,
    /// Of a stat, rising.
    #[serde(default)]
    steps: Vec<Step>,
    /// Expressions by their legend.
    queries: BTreeMap<String, String>,
}

/// The colour of a value from here on; of the first step: of every value below.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    from: Option<f64>,
    colour: Colour,
}

/// Grafana knows them by these names.
#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Green,
    Orange,
    Red,
    Blue,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Draw {
    Stat,
    Timeseries,
    Heatmap,
}

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// The schema of dashboards that this is written for.
const SCHEMA_VERSION: u64 = 39;
/// Every series of ours begins so.
const SERIES: &str = "tidegate_";
/// The folder of the runbooks: a variable, as only whoever installs it knows.
const RUNBOOKS: &str = "${runbooks:raw}";

/// Grafana's form.
pub fn grafana(source: &Source) -> Value {
    let mut place = Place { id: 0, x: 0, y: 0, height: 0 };
    let mut panels = Vec::new();
    for row in &source.rows {
        let (id, at) = place.take(COLUMNS, 1);
        panels.push(json!({
            "id": id, "type": "row", "title": row.question, "collapsed": false, "gridPos": at, "panels": [],
        }));
        let stats = row.panels.iter().filter(|panel| matches!(panel.draw, Draw::Stat)).count();
        panels.extend(row.panels.iter().map(|panel| drawn(panel, panel.draw.size(stats), &mut place)));
    }
    json!({
        "uid": source.uid, "title": source.title, "tags": [source.uid], "editable": false, "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION, "version": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables(source)},
        "links": [{
            "title": "Runbooks", "type": "link", "icon": "doc", "url": RUNBOOKS, "targetBlank": true,
            "asDropdown": false, "includeVars": false, "keepTime": false, "tags": [], "tooltip": "",
        }],
        "annotations": {"list": []},
        "panels": panels,
    })
}

/// What its readers choose. `All` clusters is any value of the label, none included: most installations have no such label.
fn variables(source: &Source) -> Value {
    let clusters = "label_values(tidegate_build_info, cluster)";
    let runbooks = &source.runbooks;
    json!([
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "cluster", "label": "Cluster", "type": "query", "datasource": datasource(),
            "definition": clusters, "query": {"query": clusters, "refId": "cluster"}, "refresh": 2, "sort": 1,
            "multi": true, "includeAll": true, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
        },
        {
            "name": "runbooks", "label": "Where runbooks lie", "type": "textbox", "query": runbooks,
            "current": {"text": runbooks, "value": runbooks},
        },
    ])
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// The expression with the chosen clusters as a matcher of each series.
fn in_cluster(expression: &str) -> String {
    let mut rest = expression;
    let mut written = String::new();
    while let Some(at) = rest.find(SERIES) {
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let end = rest[at..].find(ends).map_or(rest.len(), |length| at + length);
        written += &rest[..end];
        rest = &rest[end..];
        written += match rest.strip_prefix('{') {
            Some(matchers) => {
                rest = matchers;
                "{cluster=~\"$cluster\", "
            }
            None => "{cluster=~\"$cluster\"}",
        };
    }
    written + rest
}

fn drawn(panel: &Panel, (width, height): (u64, u64), place: &mut Place) -> Value {
    let Panel { title, description, runbook, draw, unit, steps, queries } = panel;
    let targets: Vec<Value> = queries
        .iter()
        .zip('A'..)
        .map(|((legend, expr), name)| {
            json!({
                "refId": name.to_string(), "expr": in_cluster(expr), "legendFormat": legend, "datasource": datasource(),
                "format": draw.format(), "instant": draw.is_instant(), "range": !draw.is_instant(),
            })
        })
        .collect();
    let (id, at) = place.take(width, height);
    let link = |page| json!({"title": "Runbook", "url": format!("{RUNBOOKS}/{page}.md"), "targetBlank": true});
    json!({
        "id": id, "type": draw.word(), "title": title, "gridPos": at, "datasource": datasource(), "targets": targets,
        "description": description, "links": runbook.iter().map(link).collect::<Vec<_>>(),
        "fieldConfig": {"defaults": field(unit, steps), "overrides": []},
        "options": draw.options(),
    })
}

/// Without steps of its own Grafana calls every value from 80 on red, and what is below green.
fn field(unit: &str, steps: &[Step]) -> Value {
    if steps.is_empty() {
        return json!({"unit": unit});
    }
    let steps: Vec<Value> = steps.iter().map(|step| json!({"color": step.colour, "value": step.from})).collect();
    json!({"unit": unit, "color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}})
}

// === impl Draw ===

impl Draw {
    fn word(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Timeseries => "timeseries",
            Self::Heatmap => "heatmap",
        }
    }

    /// Columns and lines, in a row with so many stats.
    fn size(self, stats: usize) -> (u64, u64) {
        match self {
            Self::Stat if stats > 4 => (4, 6),
            Self::Stat => (6, 6),
            Self::Timeseries | Self::Heatmap => (12, 8),
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Heatmap => "heatmap",
            Self::Stat | Self::Timeseries => "time_series",
        }
    }

    fn is_instant(self) -> bool {
        matches!(self, Self::Stat)
    }

    fn options(self) -> Value {
        match self {
            Self::Stat => json!({"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}),
            Self::Timeseries => {
                json!({"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}})
            }
            // The buckets are Prometheus' own, so nothing is calculated.
            Self::Heatmap => json!({"calculate": false, "yAxis": {"unit": "s"}, "color": {"scheme": "Blues"}}),
        }
    }
}

/// The next free place: from left to right, then the next line.
struct Place {
    id: u64,
    x: u64,
    y: u64,
    /// Of the line.
    height: u64,
}

impl Place {
    fn take(&mut self, width: u64, height: u64) -> (u64, Value) {
        if self.x + width > COLUMNS || width == COLUMNS {
            self.y += self.height;
            (self.x, self.height) = (0, 0);
        }
        let at = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x += width;
        self.height = self.height.max(height);
        self.id += 1;
        (self.id, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_of_the_chosen_clusters() {
        for (written, expected) in [
            ("sum(tidegate_leader)", "sum(tidegate_leader{cluster=~\"$cluster\"})"),
            ("tidegate_a - tidegate_b_c", "tidegate_a{cluster=~\"$cluster\"} - tidegate_b_c{cluster=~\"$cluster\"}"),
            ("rate(tidegate_a_total[5m])", "rate(tidegate_a_total{cluster=~\"$cluster\"}[5m])"),
            ("tidegate_a{state!=\"x\"} > 0", "tidegate_a{cluster=~\"$cluster\", state!=\"x\"} > 0"),
            ("time()", "time()"),
        ] {
            assert_eq!(in_cluster(written), expected);
        }
    }
}
