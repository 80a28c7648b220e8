//! The alerts do what they say, by Prometheus' own judgement.

use std::collections::BTreeSet;
use std::process::Command;

use tidegate_test_support::assets;

use crate::files::{alerts, text};

/// The outcome of promtool with these arguments, run beside the files.
fn promtool(args: &[&str]) -> (bool, String) {
    let program = assets::prometheus_programs().unwrap().join("promtool");
    let output = Command::new(program).args(args).current_dir(assets::repository()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() {
    let cases = text("tests/monitoring/alerts.yaml");
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
    let (good, said) = promtool(&["test", "rules", "tests/monitoring/alerts.yaml"]);
    assert!(good, "{said}");
}

/// What promtool says of the cases where every alert has this expression.
fn said_with(expression: &str) -> String {
    let mut rules: serde_json::Value = serde_saphyr::from_str(&text("charts/tidegate/files/rules.yaml")).unwrap();
    for rule in rules["groups"].as_array_mut().unwrap().iter_mut().flat_map(|g| g["rules"].as_array_mut().unwrap()) {
        rule["expr"] = expression.into();
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = text("tests/monitoring/alerts.yaml").replace("../../charts/tidegate/files/", "");
    std::fs::write(folder.path().join("rules.yaml"), rules.to_string()).unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), cases).unwrap();
    let (good, said) = promtool(&["test", "rules", folder.path().join("alerts.yaml").to_str().unwrap()]);
    assert!(!good, "{said}");
    said
}

#[test]
#[ignore = "make test-monitoring builds promtool for it"]
fn the_cases_notice_an_alert_that_never_or_always_fires() {
    let (never, always) = (said_with("vector(0) > 1"), said_with("vector(1)"));
    for rule in alerts() {
        let alert = rule.alert;
        assert!(never.contains(&format!("{alert} fires: ")), "no case notices that {alert} never fires:\n{never}");
        let silent = always.contains(&format!("{alert} is silent: "));
        assert!(silent, "no case notices that {alert} always fires:\n{always}");
    }
}
