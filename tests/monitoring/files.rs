//! The files that are looked at.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate_test_support::assets::repository;

/// The rule file of Prometheus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub alert: String,
    pub expr: String,
    #[serde(default, rename = "for")]
    pub lasts: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// The text of a file of the repository.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every alert.
pub fn alerts() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&text("charts/tidegate/files/rules.yaml")).unwrap();
    let groups: Vec<&str> = rules.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups, ["tidegate-access", "tidegate-controller", "tidegate-gateway"]);
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// The expressions of the dashboard, each with the title of its panel.
pub fn panels() -> Vec<(String, String)> {
    let board: Value = serde_json::from_str(&text("charts/tidegate/files/dashboard.json")).unwrap();
    let mut found = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    found
}
