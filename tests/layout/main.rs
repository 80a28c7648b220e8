//! The walls between crates, proven by the dependency graph: what decides cannot reach a clock or a network, and an endpoint
//! never carries the Kubernetes client.

use std::collections::BTreeSet;
use std::process::Command;

/// Every crate that a package is built from, itself included, by name.
fn linked(package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", package, "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{lib}", "--target", "all"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let names = String::from_utf8(tree.stdout).expect("crate names are text");
    names.lines().map(str::to_owned).filter(|name| !name.is_empty()).collect()
}

#[track_caller]
fn assert_without(package: &str, banned: &[&str]) {
    let linked = linked(package);
    assert!(linked.len() > 5, "cargo tree lists what {package} links: {linked:?}");
    let found: Vec<_> = banned.iter().filter(|name| linked.contains(**name)).collect();
    assert!(found.is_empty(), "{package} must not link {found:?}");
}

#[test]
fn core_links_no_kubernetes_no_runtime_no_network_and_no_entropy() {
    let banned = [
        "kube",
        "kube_client",
        "kube_core",
        "k8s_openapi",
        "tokio",
        "hyper",
        "axum",
        "rustls",
        "tracing",
        "clap",
        "rustix",
        "rcgen",
        "tidegate_api",
    ];
    assert_without("tidegate-core", &banned);
}

#[test]
fn core_turns_on_no_clock_of_its_time_library() {
    // Without its `tz-system` feature the library reads no zone files; `now` itself is banned by crates/core/clippy.toml.
    let features = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            "tidegate-core",
            "--edges",
            "normal",
            "--format",
            "{lib} {f}",
        ])
        .args(["--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let features = String::from_utf8_lossy(&features.stdout).into_owned();
    let jiff = features.lines().find(|line| line.starts_with("jiff ")).expect("core uses jiff");
    assert!(!jiff.contains("tz-system") && !jiff.contains("tzdb-zoneinfo"), "{jiff}");
}

#[test]
fn the_agent_links_no_kubernetes_client_and_no_server_of_ours() {
    let banned =
        ["kube", "kube_client", "kube_core", "kube_runtime", "k8s_openapi", "tidegate_api", "tidegate", "axum"];
    assert_without("tidegate-agent", &banned);
}

#[test]
fn the_api_crate_links_no_client_and_no_runtime() {
    assert_without("tidegate-api", &["kube_client", "kube_runtime", "tokio", "hyper", "tidegate_core"]);
}

#[test]
fn nothing_shipped_links_a_banned_library() {
    for package in ["tidegate", "tidegate-agent"] {
        assert_without(package, &["ring", "openssl_sys", "native_tls", "chrono", "protobuf"]);
    }
}
