//! The dashboard, from its short form to Grafana's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// The short form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    title: String,
    uid: String,
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
    draw: Draw,
    /// Of Grafana's list.
    unit: String,
    /// Expressions by their legend.
    queries: BTreeMap<String, String>,
    /// Why there is no data in the check that runs every query.
    empty: Option<String>,
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

/// Grafana's form.
pub fn grafana(source: &Source) -> Value {
    let mut place = Place { id: 0, x: 0, y: 0, height: 0 };
    let mut panels = Vec::new();
    for row in &source.rows {
        let (id, at) = place.take(COLUMNS, 1);
        panels.push(json!({
            "id": id, "type": "row", "title": row.question, "collapsed": false, "gridPos": at, "panels": [],
        }));
        panels.extend(row.panels.iter().map(|panel| drawn(panel, &mut place)));
    }
    json!({
        "uid": source.uid, "title": source.title, "tags": [source.uid], "editable": false, "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION, "version": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        }]},
        "annotations": {"list": []},
        "panels": panels,
    })
}

fn drawn(panel: &Panel, place: &mut Place) -> Value {
    let Panel { title, draw, unit, queries, empty } = panel;
    let datasource = json!({"type": "prometheus", "uid": "${datasource}"});
    let targets: Vec<Value> = queries
        .iter()
        .zip('A'..)
        .map(|((legend, expr), name)| {
            json!({
                "refId": name.to_string(), "expr": expr, "legendFormat": legend, "datasource": datasource,
                "format": draw.format(), "instant": draw.is_instant(), "range": !draw.is_instant(),
            })
        })
        .collect();
    let (width, height) = draw.size();
    let (id, at) = place.take(width, height);
    json!({
        "id": id, "type": draw.word(), "title": title, "gridPos": at, "datasource": datasource, "targets": targets,
        "description": empty.as_deref().unwrap_or_default(),
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": draw.options(),
    })
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

    fn size(self) -> (u64, u64) {
        match self {
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
