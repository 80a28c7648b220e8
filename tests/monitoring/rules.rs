//! The alerts do what they say, by Prometheus' own judgement.

use std::collections::BTreeSet;
use std::process::Command;

use tidegate_test_support::assets;

use crate::files::{alerts, text};

/// Cases of promtool, beside this file.
const CASES: [&str; 4] = ["access.yaml", "controller.yaml", "gateway.yaml", "clusters.yaml"];
/// Those with two clusters.
const CLUSTERS: [&str; 1] = ["clusters.yaml"];

fn case(name: &str) -> String {
    format!("tests/monitoring/alerts/{name}")
}

/// The outcome of promtool with these arguments, run beside the files.
fn promtool(args: &[&str]) -> (bool, String) {
    let program = assets::prometheus_programs().unwrap().join("promtool");
    let output = Command::new(program).args(args).current_dir(assets::repository()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() {
    let cases = CASES.map(|name| text(&case(name))).concat();
    let names: BTreeSet<String> = alerts().into_iter().map(|rule| rule.alert).collect();
    for alert in names {
        for does in ["fires", "is silent"] {
            assert!(cases.contains(&format!("name: \"{alert} {does}: ")), "no case in which {alert} {does}");
        }
    }
}

#[test]
#[ignore = "make test-monitoring builds promtool for it"]
fn the_rules_are_well_formed() {
    let (good, said) = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "charts/tidegate/files/rules.yaml"]);
    assert!(good, "{said}");
}

#[test]
#[ignore = "make test-monitoring builds promtool for it"]
fn the_alerts_fire_and_are_silent_as_the_cases_say() {
    let cases = CASES.map(case);
    let (good, said) = promtool(&[&["test", "rules"], &cases.each_ref().map(String::as_str)[..]].concat());
    assert!(good, "{said}");
}

/// What promtool says of these cases where every alert has another expression.
fn said_with(cases: &[&str], another: impl Fn(&str) -> String) -> String {
    let mut rules: serde_json::Value = serde_saphyr::from_str(&text("charts/tidegate/files/rules.yaml")).unwrap();
    for rule in rules["groups"].as_array_mut().unwrap().iter_mut().flat_map(|g| g["rules"].as_array_mut().unwrap()) {
        rule["expr"] = another(rule["expr"].as_str().unwrap()).into();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules.to_string()).unwrap();
    let mut args = vec!["test".to_owned(), "rules".to_owned()];
    for name in cases {
        let file = folder.path().join(name);
        std::fs::write(&file, text(&case(name)).replace("../../../charts/tidegate/files/", "")).unwrap();
        args.push(file.to_str().unwrap().to_owned());
    }
    let (good, said) = promtool(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!good, "{said}");
    said
}

#[test]
#[ignore = "make test-monitoring builds promtool for it"]
fn the_cases_notice_an_alert_that_never_or_always_fires() {
    let said_always = |expression: &str| said_with(&CASES, |_as_it_is| expression.to_owned());
    let (never, always) = (said_always("vector(0) > 1"), said_always("vector(1)"));
    for rule in alerts() {
        let alert = rule.alert;
        assert!(never.contains(&format!("{alert} fires: ")), "no case notices that {alert} never fires:\n{never}");
        let silent = always.contains(&format!("{alert} is silent: "));
        assert!(silent, "no case notices that {alert} always fires:\n{always}");
    }
}

/// As if there were one cluster.
fn over_all_clusters(expression: &str) -> String {
    expression.replace(" by (cluster)", "").replace("by (cluster, ", "by (")
}

#[test]
fn whatever_is_summed_is_summed_by_cluster() {
    for rule in alerts() {
        // An aggregation is a word with a parenthesis behind it, or with a list of labels.
        let over_all = ["sum(", "max(", "min(", "count(", "avg("].into_iter().find(|word| rule.expr.contains(word));
        assert_eq!(over_all, None, "{}: {}", rule.alert, rule.expr);
        let grouped: Vec<&str> = rule.expr.split(" by (").skip(1).collect();
        assert!(grouped.iter().all(|labels| labels.starts_with("cluster")), "{}: {}", rule.alert, rule.expr);
    }
}

#[test]
#[ignore = "make test-monitoring builds promtool for it"]
fn the_cases_notice_an_alert_that_sums_over_clusters() {
    let said = said_with(&CLUSTERS, over_all_clusters);
    let summing: Vec<_> = alerts().into_iter().filter(|rule| over_all_clusters(&rule.expr) != rule.expr).collect();
    assert!(summing.len() > 10, "{} sum", summing.len());
    for rule in summing {
        let alert = rule.alert;
        assert!(said.contains(&format!("{alert} fires: ")), "no case notices that {alert} sums over clusters:\n{said}");
    }
}
