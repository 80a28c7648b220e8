//! What the processes log: enough to follow one request through them, and no secret.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{Process, eventually};

use crate::agent::{SOON, Watching};
use crate::fleet::{ENDPOINT, Fleet};
use crate::installation::shared;

/// Shorter texts are no secrets, and would be found anywhere.
const SECRET: usize = 40;

/// Everything that this process has said.
fn said(process: &Process) -> String {
    [process.stderr.lines(), process.stdout.lines()].concat().join("\n")
}

/// The lines of a PEM text, or the text itself: whoever has half a key has too much.
fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(str::trim).filter(|line| line.len() >= SECRET && !line.starts_with("-----")).map(str::to_owned)
}

/// The values of these names in a kubeconfig.
fn client_keys(kubeconfig: &str) -> Result<Vec<String>> {
    let config: Value = serde_json::from_str(kubeconfig)?;
    let keys =
        config["users"].as_array().into_iter().flatten().filter_map(|user| user["user"]["client-key-data"].as_str());
    let mut secrets = Vec::new();
    for key in keys {
        secrets.push(key.to_owned());
        secrets.extend(lines(&String::from_utf8(STANDARD.decode(key)?)?));
    }
    Ok(secrets)
}

/// Tokens and keys of everybody who has credentials here.
fn credentials(folder: &Path) -> Result<BTreeSet<String>> {
    let mut secrets = BTreeSet::new();
    for entry in std::fs::read_dir(folder.join("identities"))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("token") => drop(secrets.insert(text.trim().to_owned())),
            _ => secrets.extend(client_keys(&text)?),
        }
    }
    Ok(secrets)
}

/// The private keys of the installation and of an agent.
async fn private_keys(fleet: &Fleet<'_>, agent: &Watching) -> Result<BTreeSet<String>> {
    let secrets: Api<Secret> = Api::namespaced(fleet.admin().client().await?, SYSTEM_NAMESPACE);
    let mut keys = BTreeSet::new();
    for secret in secrets.list(&ListParams::default()).await? {
        for (name, bytes) in secret.data.clone().unwrap_or_default() {
            if name.ends_with(".key") {
                keys.extend(lines(&String::from_utf8(bytes.0).context(secret.name_any())?));
            }
        }
    }
    let key = agent.agent.folder.join("state/identity/key.pem");
    keys.extend(lines(&std::fs::read_to_string(&key).with_context(|| key.display().to_string())?));
    Ok(keys)
}

#[tokio::test]
async fn a_request_can_be_followed_by_its_uid_and_no_log_has_a_secret() -> Result<()> {
    let installation = shared().await?;
    let fleet = Fleet::new(installation, "logs").await?;
    let agent = fleet.agent().await?;
    let granted = fleet.granted("er-1", "30m").await?;
    agent.started("er-1", SOON).await?;
    fleet.decide(&fleet.bob, "er-1", "revoke: the ticket was closed").await?;
    agent.ended("er-1", SOON).await?;
    fleet.in_state("er-1", "Revoked", SOON).await?;

    let uid = granted.uid().context("no uid")?;
    let log = &installation.controller.process.stderr;
    // Both servers name what it is about alike.
    let follows = |line: &str, event: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let about = [("request_uid", uid.as_str()), ("endpoint", ENDPOINT), ("fleet", fleet.name()), ("event", event)];
        about.into_iter().all(|(field, value)| line[field] == value)
    };
    for event in ["Accepted", "Approved", "Activated", "Revoked"] {
        log.wait_for(&format!("{event} of {uid}"), 0, SOON, |line| follows(line, event)).await?;
    }

    // The one gateway that the agent polls says so, or both, if the agent went from one to the other.
    let gateways = || installation.gateways.iter().flat_map(|gateway| gateway.process.stderr.lines());
    for event in ["HandedOut", "Reported"] {
        eventually(&format!("{event} of {uid}"), SOON, async || {
            let said = gateways().any(|line| follows(&line, event));
            ensure!(said, "no gateway says so");
            Ok(())
        })
        .await?;
    }

    let keys = private_keys(&fleet, &agent).await?;
    ensure!(keys.len() >= 4, "signing key, authority, gateway, agent: {} were found", keys.len());
    let credentials = credentials(installation.control_plane.sandbox().folder())?;
    ensure!(credentials.len() > 5, "controller, gateway, administrator, people: {} were found", credentials.len());
    let processes = [&installation.controller.process, &agent.agent.process];
    for process in processes.into_iter().chain(installation.gateways.iter().map(|gateway| &gateway.process)) {
        let said = said(process);
        ensure!(!said.is_empty(), "a process said nothing");
        for secret in keys.iter().chain(&credentials) {
            ensure!(!said.contains(secret.as_str()), "a secret is in a log: {}…", &secret[..8]);
        }
        // Of a token or a signed payload that nobody here knows: every one begins with {\" in base64.
        for shape in ["PRIVATE KEY", "Bearer ", "eyJ"] {
            ensure!(!said.contains(shape), "{shape} is in a log:\n{said}");
        }
    }
    Ok(())
}
