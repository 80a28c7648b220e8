//! What lies in Git, applied again after the servers have written all that they write: nothing changes, whichever way it is applied, and
//! what is not from Git stays.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tidegate_test_support::{ControlPlane, Identity, Namespace, Said, assets, eventually};

use crate::agent::SOON;
use crate::installation::shared;

/// What lies in Git beside config/samples. The Lock is applied last, as it would end the grant.
const FURTHER: [&str; 5] = ["fleet", "policy-application", "policy-recurring", "roles-narrow", "rolebindings-narrow"];
const LOCK: &str = "lock";

/// The samples, made for a fleet of this test's own.
struct Repository {
    namespace: Namespace<'static>,
    admin: &'static Identity,
    files: String,
    lock: String,
}

// === impl Repository ===

impl Repository {
    async fn check_out(control_plane: &'static ControlPlane) -> Result<Self> {
        let admin = control_plane.admin();
        let namespace = control_plane.namespace("git").await?;
        let samples = assets::repository().join("config/samples");
        let built = admin.kubectl([Path::new("kustomize"), &samples]).await?.ok()?;
        let read = |name: &str| Ok(std::fs::read_to_string(samples.join(format!("further/{name}.yaml")))?);
        let further = FURTHER.into_iter().map(read).collect::<Result<Vec<String>>>()?;
        // The Fleet before what makes the controller create one (docs/gitops.md).
        let all = further.into_iter().chain([built]).collect::<Vec<_>>().join("\n---\n");
        let file = |name: &str, text: &str| {
            let text = text.replace("berlin", namespace.name());
            let path = control_plane.sandbox().fresh_file("manifests", name, &text)?;
            path.into_os_string().into_string().map_err(|path| anyhow!("{path:?} is no text"))
        };
        let (files, lock) = (file("samples.yaml", &all)?, file("lock.yaml", &read(LOCK)?)?);
        Ok(Self { namespace, admin, files, lock })
    }

    /// kubectl with these words and both files.
    async fn kubectl(&self, words: &[&str]) -> Result<Said> {
        self.admin.kubectl(words.iter().chain(&["-f", &self.files, "-f", &self.lock])).await
    }

    /// The metadata of everything applied, by kind and name.
    async fn metadata(&self) -> Result<BTreeMap<String, Value>> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", "-o", "json"]).await?.ok()?)?;
        let items = list["items"].as_array().context("no list")?;
        Ok(items
            .iter()
            .map(|item| (format!("{} {}", item["kind"], item["metadata"]["name"]), item["metadata"].clone()))
            .collect())
    }

    async fn member(&self, name: &str) -> Result<BTreeMap<String, Value>> {
        Ok(self.metadata().await?.into_iter().map(|(key, metadata)| (key, metadata[name].clone())).collect())
    }

    /// alice asks, bob approves: the controller writes what it writes.
    async fn grant(&self, control_plane: &ControlPlane) -> Result<()> {
        let (alice, bob) = (control_plane.person("alice@corp")?, control_plane.person("bob@corp")?);
        let request = format!(
            r#"{{"apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest", "metadata": {{"name": "er-1", "namespace": "{}"}},
            "spec": {{"policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": "alice@corp",
            "duration": "10m", "reason": "Installing the toolchain"}}}}"#,
            self.namespace.name()
        );
        let file = control_plane.sandbox().fresh_file("manifests", "request.json", &request)?;
        let ask = ["create", "-f", file.to_str().context("the sandbox's path is no text")?];
        // The rights were given a moment ago.
        eventually("alice's request", SOON, async || alice.kubectl(ask).await?.ok()).await?;
        self.state("Pending").await?;
        let approve = ["-n", self.namespace.name(), "annotate", "er/er-1", "decision.tidegate.dev/1=bob@corp approve"];
        eventually("bob's approval", SOON, async || bob.kubectl(approve).await?.ok()).await?;
        self.state("Active").await
    }

    async fn state(&self, state: &str) -> Result<()> {
        let wanted = format!("--for=jsonpath={{.status.state}}={state}");
        self.admin.kubectl(["-n", self.namespace.name(), "wait", "er/er-1", &wanted, "--timeout=30s"]).await?.ok()?;
        Ok(())
    }

    /// Every object of our kinds has a controller's status.
    async fn observed(&self) -> Result<()> {
        eventually("the controller's look at everything", SOON, async || {
            let words = ["get", "jp,managedendpoints,fleets,locks", "-n", self.namespace.name(), "-o", "json"];
            let list: Value = serde_json::from_str(&self.admin.kubectl(words).await?.ok()?)?;
            let items = list["items"].as_array().context("no list")?;
            let unseen = |item: &&Value| item["status"]["observedGeneration"] != item["metadata"]["generation"];
            ensure!(items.len() == 7, "{} objects", items.len());
            let unseen = items.iter().find(unseen);
            unseen.map_or(Ok(()), |item| Err(anyhow!("{} {} is not observed", item["kind"], item["metadata"]["name"])))
        })
        .await
    }

    /// The same once more, with `words`: no difference, no new generation, and no write at all.
    async fn nothing_changes(&self, apply: &[&str], diff: &[&str]) -> Result<String> {
        let generations = self.member("generation").await?;
        let differences = self.kubectl(diff).await?;
        ensure!(differences.success, "kubectl diff: {}{}", differences.stdout, differences.stderr);
        let said = self.kubectl(apply).await?.ok()?;
        ensure!(self.member("generation").await? == generations, "a spec has changed");
        // The controller may write a status in between, but not for ever.
        eventually("an apply that writes nothing", SOON * 3, async || {
            let before = self.member("resourceVersion").await?;
            self.kubectl(apply).await?.ok()?;
            let after = self.member("resourceVersion").await?;
            let changed: Vec<_> = after.iter().filter(|(key, version)| before.get(*key) != Some(version)).collect();
            ensure!(changed.is_empty(), "{changed:?}");
            Ok(())
        })
        .await?;
        Ok(said)
    }
}

#[tokio::test]
async fn applying_the_samples_again_by_client_side_apply_changes_nothing() -> Result<()> {
    let control_plane = shared().await?.control_plane;
    let repository = Repository::check_out(control_plane).await?;
    let apply = ["apply"];
    repository.admin.kubectl(["apply", "-f", &repository.files]).await?.ok()?;
    repository.grant(control_plane).await?;
    repository.kubectl(&apply).await?.ok()?;
    repository.observed().await?;
    let said = repository.nothing_changes(&apply, &["diff"]).await?;
    let changed: Vec<_> = said.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    ensure!(changed.is_empty() && said.lines().count() == repository.metadata().await?.len(), "{said}");
    Ok(())
}

#[tokio::test]
async fn applying_the_samples_again_by_server_side_apply_changes_nothing() -> Result<()> {
    let control_plane = shared().await?.control_plane;
    let repository = Repository::check_out(control_plane).await?;
    let apply = ["apply", "--server-side", "--field-manager=argocd-controller"];
    repository.admin.kubectl(apply.iter().chain(&["-f", &repository.files])).await?.ok()?;
    repository.grant(control_plane).await?;
    repository.kubectl(&apply).await?.ok()?;
    repository.observed().await?;
    repository.nothing_changes(&apply, &["diff", "--server-side", "--field-manager=argocd-controller"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_not_in_git_survives_what_flux_applies() -> Result<()> {
    let control_plane = shared().await?.control_plane;
    let repository = Repository::check_out(control_plane).await?;
    let namespace = repository.namespace.name();
    let flux = [
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
        "--force-conflicts",
        "-f",
        &repository.files,
    ];
    repository.admin.kubectl(flux).await?.ok()?;
    repository.grant(control_plane).await?;
    repository.admin.kubectl(["create", "-f", &repository.lock]).await?.ok()?;
    repository.state("Revoked").await?;
    let lock = async || {
        repository
            .admin
            .kubectl(["get", "lock/stolen-laptop", "-n", namespace, "-o", "jsonpath={.metadata.uid} {.spec}"])
            .await?
            .ok()
    };
    let before = lock().await?;
    repository.admin.kubectl(flux).await?.ok()?;
    ensure!(lock().await? == before, "the Lock is another one");
    Ok(())
}
