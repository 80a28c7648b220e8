//! The scripts of a release, each in a folder of its own that has only the files it reads.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use tidegate_test_support::assets;

const CARGO: &str =
    "[workspace.package]\nversion = \"1.2.3\"\nedition = \"2024\"\n\n[dependencies]\nother = { version = \"9.9.9\" }\n";
const CHART: &str = "name: tidegate\nversion: 1.2.3\nappVersion: \"1.2.3\"\nkubeVersion: \">=1.30.0-0\"\n";
const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- to come\n\n## 1.2.3 - 2026-12-01\n\n### Added\n- this\n\n## 1.2.2 - 2026-11-01\n\n- before\n";

/// A checkout with a script and these three files.
fn checkout(script: &str, cargo: &str, chart: &str, changelog: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    write("Cargo.toml", cargo);
    write("charts/tidegate/Chart.yaml", chart);
    write("CHANGELOG.md", changelog);
    write(script, "");
    std::fs::copy(assets::repository().join(script), folder.path().join(script)).expect("the script");
    folder
}

fn run(folder: &Path, script: &str, args: &[&str]) -> Output {
    Command::new("bash").arg(folder.join(script)).args(args).output().expect("bash")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "it is not refused: {}", out(output));
    assert!(error.contains(why), "{error}");
}

const VERSION: &str = "hack/release/version.sh";

#[test]
fn a_tag_of_the_version_that_everything_is_of_is_a_release() {
    let folder = checkout(VERSION, CARGO, CHART, CHANGELOG);
    for args in [&["v1.2.3"][..], &[]] {
        let output = run(folder.path(), VERSION, args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(out(&output), "1.2.3\n");
    }
}

#[test]
fn a_tag_of_another_version_is_refused() {
    let folder = checkout(VERSION, CARGO, CHART, CHANGELOG);
    for tag in ["v1.2.4", "1.2.3", "v1.2.3-rc.1", "vv1.2.3", "v"] {
        refused(&run(folder.path(), VERSION, &[tag]), &format!("the tag {tag} says"));
    }
}

#[test]
fn a_chart_or_a_changelog_of_another_version_is_refused() {
    for (chart, changelog, why) in [
        (CHART.replace("appVersion: \"1.2.3\"", "appVersion: 1.2.2"), CHANGELOG.to_owned(), "appVersion in"),
        (CHART.replace("\nversion: 1.2.3", "\nversion: 1.2.30"), CHANGELOG.to_owned(), "version in"),
        (CHART.to_owned(), CHANGELOG.replace("## 1.2.3 -", "## 1x2.3 -"), "has no heading"),
        (CHART.to_owned(), CHANGELOG.replace("2026-12-01", "soon"), "has no heading"),
    ] {
        refused(&run(checkout(VERSION, CARGO, &chart, &changelog).path(), VERSION, &["v1.2.3"]), why);
    }
}

#[test]
fn without_a_tag_the_changelog_may_still_be_open() {
    let folder = checkout(VERSION, CARGO, CHART, "# Changelog\n\n## Unreleased\n");
    assert_eq!(out(&run(folder.path(), VERSION, &[])), "1.2.3\n");
}

const NOTES: &str = "hack/release/notes.sh";

#[test]
fn notes_are_the_section_of_the_version_and_nothing_else() {
    let folder = checkout(NOTES, CARGO, CHART, CHANGELOG);
    assert_eq!(out(&run(folder.path(), NOTES, &["1.2.3"])).trim(), "### Added\n- this");
    refused(&run(folder.path(), NOTES, &["1.2"]), "says nothing of 1.2");
}

#[test]
fn what_the_servers_are_made_of_is_written_the_same_twice() {
    let write = || {
        let mut script = Command::new("bash");
        script.arg(assets::repository().join("hack/release/sbom.sh")).args(["tidegate-image", "tidegate"]);
        let output = script.env("SOURCE_DATE_EPOCH", "86400").output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let first = write();
    assert_eq!(first, write());
    let document: serde_json::Value = serde_json::from_slice(&first).expect("JSON");
    assert_eq!(document["creationInfo"]["created"], "1970-01-02T00:00:00Z");
    let names: Vec<_> = document["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    for linked in ["tidegate", "tidegate-core", "kube", "rustls", "aws-lc-sys", "glibc", "rust-std"] {
        assert!(names.contains(&linked), "{linked} is linked in");
    }
    for tool in ["proptest", "tempfile", "serde_derive", "cc", "tidegate-test-support", "tidegate-agent", "windows-sys"]
    {
        assert!(!names.contains(&tool), "{tool} is not linked in");
    }
}
