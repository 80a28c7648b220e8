//! Every metric, label and word that rules, dashboard and pages name exists in the servers, and every metric is on the dashboard or in
//! a rule.

use std::collections::BTreeMap;

use tidegate::metrics::{Defined, Label};
use tidegate::{controller, gateway};

use crate::files::{alerts, panels, text};

/// Labels that Prometheus adds; `cluster` where somebody has set it.
const OF_PROMETHEUS: [&str; 3] = ["le", "instance", "cluster"];

/// What the servers define, by name.
fn exported() -> BTreeMap<String, Defined> {
    let controller = controller::Instruments::new().unwrap().metrics.defined();
    let gateway = gateway::Instruments::new().unwrap().metrics.defined();
    controller.into_iter().chain(gateway).map(|metric| (metric.name.clone(), metric)).collect()
}

/// The metric of a series' name: a histogram has three.
fn metric<'a>(exported: &'a BTreeMap<String, Defined>, series: &str) -> Option<&'a Defined> {
    let of_histogram = ["_bucket", "_count", "_sum"].iter().find_map(|end| exported.get(series.strip_suffix(end)?));
    exported.get(series).or(of_histogram.filter(|metric| metric.kind == "histogram"))
}

/// Every series that is named in a text, each with the matchers behind it.
fn series(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("tidegate_") {
        let name: String = rest[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        rest = &rest[at + name.len()..];
        let matchers =
            rest.strip_prefix('{').and_then(|inside| inside.split_once('}')).map(|(inside, _)| inside.to_owned());
        found.push((name, matchers));
    }
    found
}

/// `label="word"`, `label!="word"`, `label=~"one|other"`.
fn matchers(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for matcher in text.split(',').map(str::trim).filter(|matcher| !matcher.is_empty()) {
        let (label, words) = matcher.split_once('=').unwrap_or_else(|| panic!("no matcher: {matcher}"));
        let words = words.trim_start_matches('~').trim_matches('"').split('|').map(str::to_owned).collect();
        found.push((label.trim_end_matches('!').to_owned(), words));
    }
    found
}

/// What is wrong with what this text names.
fn wrong(exported: &BTreeMap<String, Defined>, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, inside) in series(text) {
        let Some(metric) = metric(exported, &name) else {
            wrong.push(format!("{name} is exported by nobody"));
            continue;
        };
        let matchers = matchers(&inside.unwrap_or_default());
        for (label, words) in matchers.into_iter().filter(|(label, _)| !OF_PROMETHEUS.contains(&label.as_str())) {
            match metric.labels.iter().find(|known| known.name == label) {
                None => wrong.push(format!("{name} has no label {label}")),
                Some(Label { words: known, .. }) => {
                    // A pattern such as 4xx|5xx names words; none of them has a dot or a star.
                    let unknown = words.iter().filter(|word| !known.contains(word));
                    wrong.extend(unknown.map(|word| format!("{name}: {label} is never {word}")));
                }
            }
        }
    }
    wrong
}

/// The labels by which an expression groups: each must be one of the metric's.
fn grouped(exported: &BTreeMap<String, Defined>, expression: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in expression.split(" by (").skip(1) {
        let Some((labels, after)) = part.split_once(')') else { continue };
        let Some((name, _)) = series(after).into_iter().next() else { continue };
        let Some(metric) = metric(exported, &name) else { continue };
        for label in labels.split(',').map(str::trim).filter(|label| !OF_PROMETHEUS.contains(label)) {
            if !metric.labels.iter().any(|known| known.name == label) {
                wrong.push(format!("{name} cannot be grouped by {label}"));
            }
        }
    }
    wrong
}

#[test]
fn rules_and_dashboard_name_only_what_is_exported() {
    let exported = exported();
    let rules = alerts().into_iter().map(|rule| (rule.alert, rule.expr));
    for (title, expression) in rules.chain(panels()) {
        let wrong = [wrong(&exported, &expression), grouped(&exported, &expression)].concat();
        assert_eq!(wrong, [""; 0], "{title}: {expression}");
    }
}

#[test]
fn pages_name_only_what_is_exported() {
    let exported = exported();
    let alerts = alerts();
    let runbooks = alerts.iter().map(|rule| rule.annotations["runbook_url"].as_str());
    for page in runbooks.chain(["docs/metrics.md", "docs/dashboard.md"]) {
        assert_eq!(wrong(&exported, &text(page)), [""; 0], "{page}");
    }
}

#[test]
fn every_metric_is_in_a_rule_or_on_the_dashboard() {
    let exported = exported();
    let expressions: String = alerts()
        .into_iter()
        .map(|rule| rule.expr)
        .chain(panels().into_iter().map(|(_, expr)| expr))
        .collect::<Vec<_>>()
        .join("\n");
    let used: Vec<String> =
        series(&expressions).iter().filter_map(|(name, _)| Some(metric(&exported, name)?.name.clone())).collect();
    let unused: Vec<&String> = exported.keys().filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}

#[test]
fn a_name_that_nobody_exports_is_found() {
    let exported = exported();
    for (expression, expected) in [
        ("sum(tidegate_overdue)", "tidegate_overdue is exported by nobody"),
        ("tidegate_locks{effect=\"End\"}", "tidegate_locks: effect is never End"),
        ("tidegate_locks{state=\"End\"}", "tidegate_locks has no label state"),
        ("rate(tidegate_locks_bucket[5m])", "tidegate_locks_bucket is exported by nobody"),
        ("tidegate_policies{reason=~\"Invalid|Bad\"}", "tidegate_policies: reason is never Bad"),
    ] {
        assert_eq!(wrong(&exported, expression), [expected]);
    }
    let by = "sum by (le, kind) (rate(tidegate_expiry_lag_seconds_bucket[5m]))";
    assert_eq!(grouped(&exported, by), ["tidegate_expiry_lag_seconds_bucket cannot be grouped by kind"]);
}
