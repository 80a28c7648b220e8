//! The scripts of a release, each in a folder of its own that has only the files it reads.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use tidegate_test_support::assets;

const CARGO: &str =
    "[workspace.package]\nversion = \"1.2.3\"\nedition = \"2024\"\n\n[dependencies]\nother = { version = \"9.9.9\" }\n";
const CHART: &str = "name: tidegate\nversion: 1.2.3\nappVersion: \"1.2.3\"\nkubeVersion: \">=1.30.0-0\"\n";
const DOCKERFILE: &str = "FROM scratch\nARG VERSION=1.2.3\nARG REVISION\n";
const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- to come\n\n## 1.2.3 - 2026-12-01\n\n### Added\n- this\n\n## 1.2.2 - 2026-11-01\n\n- before\n";

/// A checkout with a script, these three files and a Dockerfile.
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
    write("Dockerfile", DOCKERFILE);
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
fn a_dockerfile_of_another_version_is_refused() {
    let folder = checkout(VERSION, CARGO, CHART, CHANGELOG);
    std::fs::write(folder.path().join("Dockerfile"), DOCKERFILE.replace("1.2.3", "1.2.2")).expect("written");
    refused(&run(folder.path(), VERSION, &[]), "VERSION in Dockerfile says 1.2.2");
}

#[test]
fn without_a_tag_the_changelog_may_still_be_open() {
    let folder = checkout(VERSION, CARGO, CHART, "# Changelog\n\n## Unreleased\n");
    assert_eq!(out(&run(folder.path(), VERSION, &[])), "1.2.3\n");
}

const ON_MAIN: &str = "hack/release/on-main.sh";

#[test]
fn a_commit_that_is_not_on_main_is_no_release() {
    let folder = checkout(ON_MAIN, CARGO, CHART, CHANGELOG);
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@corp.example", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").current_dir(folder.path()).args(who).args(args).output().expect("git");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet"]);
    for message in ["reviewed", "reviewed later"] {
        git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }
    refused(&run(folder.path(), ON_MAIN, &[]), "");
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    assert!(run(folder.path(), ON_MAIN, &[]).status.success(), "the newest of main");
    git(&["checkout", "--quiet", "--detach", "HEAD~1"]);
    assert!(run(folder.path(), ON_MAIN, &[]).status.success(), "an older one of main");
    git(&["commit", "--quiet", "--allow-empty", "--message", "by nobody"]);
    refused(&run(folder.path(), ON_MAIN, &[]), "is not on main");
}

#[test]
fn settings_that_would_end_up_in_a_file_as_something_else_are_refused() {
    let settings = |set: &[(&str, &str)]| {
        let mut bash = Command::new("bash");
        bash.current_dir(assets::repository()).env_remove("REGISTRY").env_remove("SOURCE").envs(set.iter().copied());
        let script = ". hack/release/settings.sh; echo \"$REGISTRY $SOURCE\"";
        bash.args(["-euo", "pipefail", "-c", script]).output().expect("bash")
    };
    assert_eq!(out(&settings(&[])), "localhost:5000 \n", "what nobody has set is nobody else's");
    let given = [("REGISTRY", "ghcr.io/some-owner"), ("SOURCE", "https://github.com/Some-Owner/tidegate")];
    assert_eq!(out(&settings(&given)), "ghcr.io/some-owner https://github.com/Some-Owner/tidegate\n");
    for (name, value) in [
        ("REGISTRY", "ghcr.io/Some-Owner"),
        ("REGISTRY", "ghcr.io/owner/"),
        ("REGISTRY", "https://ghcr.io/owner"),
        ("REGISTRY", "ghcr.io/owner\nother"),
        ("SOURCE", "github.com/owner/tidegate"),
        ("SOURCE", "https://github.com/owner/tidegate/"),
        ("SOURCE", "https://github.com/owner/a b"),
        ("SOURCE", "https://github.com/owner/\"tidegate"),
    ] {
        refused(&settings(&[(name, value)]), &format!("{name} is {value}"));
    }
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
