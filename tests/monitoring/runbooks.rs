//! Each alert has its page, and each page its alert.

use std::collections::BTreeSet;

use tidegate_test_support::assets::repository;

use crate::files::{alerts, text};

const SECTIONS: [&str; 5] = ["Meaning", "Effect on access", "Checks", "Repair", "Proof that it is over"];

/// `TidegateNoLeader` -> `docs/runbooks/no-leader.md`
fn page(alert: &str) -> String {
    let mut name = String::new();
    for c in alert.strip_prefix("Tidegate").unwrap_or_else(|| panic!("{alert} is not named Tidegate…")).chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    format!("docs/runbooks/{name}.md")
}

#[test]
fn each_alert_names_its_page_and_the_page_answers_five_questions() {
    for rule in alerts() {
        assert_eq!(rule.annotations["runbook_url"], page(&rule.alert));
        let severity = rule.labels["severity"].as_str();
        assert!(["critical", "warning", "info"].contains(&severity), "{}: {severity}", rule.alert);
        for annotation in ["summary", "description"] {
            assert!(rule.annotations[annotation].len() > 15, "{}: {annotation}", rule.alert);
        }
        let text = text(&page(&rule.alert));
        assert_eq!(text.lines().next(), Some(format!("# {} ({severity})", rule.alert).as_str()));
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, SECTIONS, "{}", rule.alert);
        assert!(rule.lasts.as_deref() != Some("0s"), "{}: leave it out", rule.alert);
    }
}

#[test]
fn each_page_is_about_an_alert_and_links_only_to_pages() {
    let pages: BTreeSet<String> = alerts().iter().map(|rule| page(&rule.alert)).collect();
    for entry in std::fs::read_dir(repository().join("docs/runbooks")).unwrap() {
        let path = format!("docs/runbooks/{}", entry.unwrap().file_name().display());
        assert!(pages.contains(&path), "{path} is about no alert");
        for link in text(&path).split("](").skip(1) {
            let target = format!("docs/runbooks/{}", link.split(')').next().unwrap());
            assert!(pages.contains(&target), "{path} links to {target}");
        }
    }
}
