//! What helm says after an installation from a package: every command in it is typed in the folder of the package, or named here with the
//! reason why not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, assets};

use super::{get, processes};
use crate::helm::{Helm, RELEASE};
use crate::package::pack;

/// How a block begins that is not typed: nothing here runs Pods, or stays in the foreground.
const NOT_TYPED: [&str; 4] = [
    "kubectl -n tidegate-system rollout status ",
    "helm test ",
    "kubectl -n tidegate-system port-forward ",
    "tidegate-agent watch ",
];
const KEYS: [&str; 2] = ["tidegate-signing", "tidegate-ca"];

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn the_notes_say_what_is_true_of_the_values_and_their_commands_work() -> Result<()> {
    let control_plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await?));
    let helm = Helm::of(control_plane.admin())?;
    let package = pack(&helm).await?.display().to_string();
    they_say_what_is_true(&helm, &package).await?;

    helm.run(["install", RELEASE, &package, "--create-namespace", "--wait=false"]).await?.ok()?;
    control_plane.in_force().await?;
    let _installation = processes::start(control_plane).await?;
    let notes = helm.run(["get", "notes", RELEASE]).await?.ok()?;
    let mut typed = 0;
    for block in blocks(&notes) {
        if !NOT_TYPED.iter().any(|start| block.starts_with(start)) {
            type_in(control_plane, &helm, &block).await.with_context(|| block.clone())?;
            typed += 1;
        }
    }
    assert_eq!(typed, 6, "of {:#?}", blocks(&notes));
    Ok(())
}

/// Paragraphs that are indented: commands.
fn blocks(notes: &str) -> Vec<String> {
    let commands = notes.split("\n\n").filter(|paragraph| paragraph.starts_with("  "));
    commands.map(|paragraph| paragraph.trim_end().replace("\n  ", "\n").trim_start().to_owned()).collect()
}

/// Types a block and looks at what it has done.
async fn type_in(control_plane: &ControlPlane, helm: &Helm, block: &str) -> Result<()> {
    let admin = control_plane.admin();
    let restores = block.contains("apply -f tidegate-keys.yaml");
    let before = if restores { Some(keys(control_plane).await?) } else { None };
    if restores {
        lose(control_plane).await?;
    }
    let said = admin.shell(helm.folder(), block).await?.ok()?;
    if let Some(before) = before {
        assert_eq!(keys(control_plane).await?, before, "what was restored is not what was backed up");
    }
    if block.contains("> tidegate-keys.yaml") {
        let mode = fs::metadata(helm.folder().join("tidegate-keys.yaml"))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others can read the keys");
        as_the_page_says(block)?;
    }
    for (part, expected) in [("/samples", "dev-tools"), ("{.data.pin}", "sha256:")] {
        ensure!(!block.contains(part) || said.contains(expected), "{expected} is not in {said}");
    }
    Ok(())
}

/// What the two Secrets hold.
async fn keys(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    let both = get(control_plane.admin(), &["-n", SYSTEM_NAMESPACE, "secret", KEYS[0], KEYS[1]]).await?;
    let all = both["items"].as_array().context("no Secrets")?;
    Ok(all.iter().map(|secret| secret["data"].clone()).collect())
}

/// As in a new cluster whose controller was faster: Secrets of the same names, with other keys and identities of their own.
async fn lose(control_plane: &ControlPlane) -> Result<()> {
    let admin = control_plane.admin();
    let mut both = get(admin, &["-n", SYSTEM_NAMESPACE, "secret", KEYS[0], KEYS[1]]).await?;
    for secret in both["items"].as_array_mut().into_iter().flatten() {
        secret["metadata"] = json!({"name": secret["metadata"]["name"], "namespace": SYSTEM_NAMESPACE});
        secret["data"].as_object_mut().context("no data")?.values_mut().for_each(|value| *value = json!("b3RoZXI="));
    }
    let file = control_plane.sandbox().fresh_file("manifests", "other-keys.json", &both.to_string())?;
    admin.kubectl(["-n", SYSTEM_NAMESPACE, "delete", "secret"].iter().chain(&KEYS)).await?.ok()?;
    admin.kubectl(["create", "-f", &file.display().to_string()]).await?.ok()?;
    Ok(())
}

/// The commands of the backup are those of the documentation, which another test types.
fn as_the_page_says(block: &str) -> Result<()> {
    let page = fs::read_to_string(assets::repository().join("docs/backup-and-restore.md"))?;
    let section = page.split("## Back up the keys").nth(1).context("no such section")?;
    let commands =
        section.split("```bash\n").nth(1).and_then(|rest| rest.split("```").next()).context("no commands")?;
    for line in commands.lines() {
        ensure!(block.lines().any(|typed| typed == line), "docs/backup-and-restore.md has another line: {line}");
    }
    Ok(())
}

async fn they_say_what_is_true(helm: &Helm, package: &str) -> Result<()> {
    let open = "may reach any address on the ports of the API server (443, 6443)";
    let (at, forward) = ("watch --gateway=https://", "port-forward service/tidegate-gateway 8443:");
    let on_nodes = "gateway.hostnames={gate.example.com},gateway.service.type=NodePort,gateway.service.nodePort=30443";
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("gateway.service.port=443", &[&format!("{at}localhost:8443 "), &format!("{forward}443\n")], &[]),
        (on_nodes, &["gate.example.com, port 30443.", &format!("{at}gate.example.com:30443 ")], &[forward]),
        ("suspended=false", &[open, &format!("{at}localhost:8443 "), forward], &["WARNING", "suspended is true"]),
        ("networkPolicy.enabled=false", &[], &[open, "endpointslices"]),
        ("networkPolicy.apiServer.cidrs={198.51.100.1/32}", &[], &[open, "endpointslices"]),
        ("gateway.hostnames={gate.example.com,192.0.2.7}", &[&format!("{at}gate.example.com:8443 ")], &[forward]),
        ("gateway.hostnames={2001:db8::7}", &[&format!("{at}[2001:db8::7]:8443 ")], &[forward]),
    ];
    for (set, said, unsaid) in cases {
        let args = ["install", RELEASE, package, "--create-namespace", "--dry-run=server", "--set", set];
        let all = helm.run(args).await?.ok()?;
        let notes = all.split("\nNOTES:\n").nth(1).context("no notes")?;
        for text in said {
            ensure!(notes.contains(text), "{set}: {text} is not in {notes}");
        }
        for text in unsaid {
            ensure!(!notes.contains(text), "{set}: {text} is in {notes}");
        }
    }
    Ok(())
}
