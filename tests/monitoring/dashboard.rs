//! The dashboard calls good what is good: colours of the stats, a sentence and a page for whoever looks, and the choice of a cluster.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_test_support::assets::repository;

use crate::files::{alerts, panels, text};

/// Values of each stat with the colour they must have.
const COLOURS: [(&str, &[(f64, &str)]); 10] = [
    ("Admission policies hold", &[(0.0, "red"), (1.0, "green")]),
    ("Leaders", &[(0.0, "red"), (1.0, "green"), (2.0, "red")]),
    ("Keys are loaded", &[(0.0, "red"), (1.0, "green")]),
    (
        "Days until keys end",
        &[(-1.0, "red"), (3.0, "red"), (13.9, "red"), (20.0, "orange"), (80.0, "green"), (3650.0, "green")],
    ),
    ("Gateway's certificate", &[(-0.1, "red"), (0.05, "red"), (0.29, "orange"), (0.34, "green"), (1.0, "green")]),
    ("Elevation is switched off", &[(0.0, "green"), (1.0, "red")]),
    ("The oldest waits for", &[(0.0, "green"), (1799.0, "green"), (1801.0, "orange"), (90_000.0, "red")]),
    ("Active past their end", &[(0.0, "green"), (1.0, "red"), (5.0, "red"), (100.0, "red")]),
    ("Ready", &[(0.0, "red"), (1.0, "green"), (100.0, "green")]),
    ("Versions", &[(0.0, "blue"), (100.0, "blue")]),
];

fn board() -> Value {
    serde_json::from_str(&text("charts/tidegate/files/dashboard.json")).unwrap()
}

/// All panels but the rows.
fn drawn(board: &Value) -> Vec<&Value> {
    board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// As Grafana does it: the last step that is not above the value.
fn colour(panel: &Value, value: f64) -> &str {
    let defaults = &panel["fieldConfig"]["defaults"];
    assert_eq!((&defaults["color"]["mode"], &panel["options"]["colorMode"]), (&"thresholds".into(), &"value".into()));
    assert_eq!(defaults["thresholds"]["mode"], "absolute", "{panel}");
    let steps = defaults["thresholds"]["steps"].as_array().unwrap_or_else(|| panic!("no steps in {panel}"));
    let from: Vec<Option<f64>> = steps.iter().map(|step| step["value"].as_f64()).collect();
    assert!(from[0].is_none() && from[1..].iter().all(Option::is_some) && from.is_sorted(), "{panel}");
    let step = steps.iter().rfind(|step| step["value"].as_f64().is_none_or(|from| from <= value));
    step.unwrap()["color"].as_str().unwrap()
}

#[test]
fn each_stat_is_red_where_something_is_wrong_and_green_where_it_is_not() {
    let board = board();
    let stats: Vec<&Value> = drawn(&board).into_iter().filter(|panel| panel["type"] == "stat").collect();
    let titles: BTreeSet<&str> = stats.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles, COLOURS.iter().map(|(title, _)| *title).collect());
    for (title, values) in COLOURS {
        let panel = stats.iter().find(|panel| panel["title"] == title).unwrap();
        for (value, expected) in values {
            assert_eq!(colour(panel, *value), *expected, "{title}: {value}");
        }
    }
}

#[test]
fn each_panel_says_in_a_sentence_what_it_is_about_and_links_to_a_page() {
    let board = board();
    let variable = board["templating"]["list"].as_array().unwrap().iter().find(|v| v["name"] == "runbooks").unwrap();
    // As in the annotations of the alerts, which the chart prefixes alike.
    assert_eq!((&variable["query"], &variable["current"]["value"]), (&"docs/runbooks".into(), &"docs/runbooks".into()));
    let mut linked = BTreeSet::new();
    for panel in drawn(&board) {
        let description = panel["description"].as_str().unwrap();
        let sentences = description.matches(". ").count() + usize::from(description.ends_with('.'));
        assert!(sentences == 1 && description.len() > 40, "{}: {description}", panel["title"]);
        for link in panel["links"].as_array().unwrap() {
            let url = link["url"].as_str().unwrap().replace("${runbooks:raw}", "docs/runbooks");
            assert!(repository().join(&url).is_file(), "{}: {url}", panel["title"]);
            linked.insert(url);
        }
    }
    let pages: BTreeSet<String> = alerts().iter().map(|rule| rule.annotations["runbook_url"].clone()).collect();
    assert_eq!(linked, pages, "pages that a panel leads to, and those of the alerts");
}

#[test]
fn every_series_is_of_the_chosen_clusters_and_all_are_those_without_the_label_too() {
    for (title, expression) in panels() {
        let series = expression.matches("tidegate_").count();
        assert_eq!(expression.matches("{cluster=~\"$cluster\"").count(), series, "{title}: {expression}");
    }
    let board = board();
    let variable = board["templating"]["list"].as_array().unwrap().iter().find(|v| v["name"] == "cluster").unwrap();
    let all = ["allValue", "includeAll"].map(|key| variable[key].clone());
    assert_eq!(all, [Value::from(".*"), Value::from(true)]);
    assert_eq!(variable["current"]["value"], Value::from(vec!["$__all"]));
}

#[test]
fn a_stat_of_several_clusters_shows_each() {
    let board = board();
    for panel in drawn(&board).into_iter().filter(|panel| panel["type"] == "stat" && panel["title"] != "Versions") {
        for target in panel["targets"].as_array().unwrap() {
            let said = (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap());
            assert!(said.0.contains(" by (cluster") && said.1.contains("{{cluster}}"), "{}: {said:?}", panel["title"]);
        }
    }
}
