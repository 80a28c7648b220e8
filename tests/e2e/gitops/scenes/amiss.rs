//! What is only there when something is amiss: nobody watches the API server, a stored sequence is impossible, definitions were changed,
//! no controller runs.

use anyhow::{Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tidegate_test_support::eventually;

use super::{Album, api, create, is_ready};
use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, POLICY};

/// More than a day ahead of any clock: nothing can be signed after it.
const FAR_SEQUENCE: i64 = 9_000_000_000_000_000;

/// Changes what the endpoint is, waits until its agent knows, and gives the placement of before.
pub(super) async fn moved(fleet: &Fleet<'_>) -> Result<Value> {
    let endpoints = api(&fleet.admin().client().await?, "ManagedEndpoint", fleet.name());
    let read =
        async || Ok::<Value, anyhow::Error>(serde_json::to_value(endpoints.get(ENDPOINT).await?)?["status"].take());
    let before = read().await?;
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "dev"}}}));
    endpoints.patch(ENDPOINT, &PatchParams::default(), &label).await?;
    eventually("the agent's word on the new placement", SOON, async || {
        let now = read().await?;
        let changed = |pointer: &str| now.pointer(pointer) != before.pointer(pointer);
        ensure!(changed("/signed/digest") && changed("/applied/manifest"), "{now}");
        Ok(())
    })
    .await?;
    Ok(before["signed"].clone())
}

/// An agent refuses what is older than what it has seen. No controller runs that would sign it anew.
pub(super) async fn rolled_back(album: &mut Album<'_>, fleet: &Fleet<'_>, placement: Value) -> Result<()> {
    let endpoints = api(&fleet.admin().client().await?, "ManagedEndpoint", fleet.name());
    let older = Patch::Merge(json!({"status": {"signed": placement}}));
    endpoints.patch_status(ENDPOINT, &PatchParams::default(), &older).await?;
    album.take("rejected", ("ManagedEndpoint", fleet.name(), ENDPOINT), |o| o["status"]["rejected"].is_object()).await
}

/// What only happens once somebody has taken the lock off the API server: requests wait, and a status is not what the controller wrote.
pub(super) async fn broken(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let admin = fleet.admin();
    for name in ["status.tidegate.dev", "decisions.tidegate.dev"] {
        admin.kubectl(["delete", "validatingadmissionpolicybinding", name]).await?.ok()?;
    }
    let client = admin.client().await?;
    let forged = json!({"status": {"signed": {"sequence": FAR_SEQUENCE}}});
    for (kind, name) in [("JitPolicy", POLICY), ("Fleet", "fleet")] {
        let objects = api(&client, kind, fleet.name());
        eventually("a forged status", SOON, async || {
            Ok(objects.patch_status(name, &PatchParams::default(), &Patch::Merge(&forged)).await?)
        })
        .await?;
        album.take("signing-unavailable", (kind, fleet.name(), name), is_ready("SigningUnavailable")).await?;
    }
    fleet.ask("held", "10m").await?;
    album.take("held", ("ElevationRequest", fleet.name(), "held"), |o| o["status"]["state"] == "Held").await
}

/// What these definitions do not let through can still be there, from before they were changed.
pub(super) async fn unreadable(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let client = &fleet.admin().client().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    for (plural, pattern) in [
        ("locks", "target/properties/identities/items/pattern"),
        ("fleets", "blocklists/items/properties/applications/items/properties/folderPath/properties/path/pattern"),
    ] {
        let patch = json!([{"op": "remove", "path": format!("{spec}/{pattern}")}]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
        definitions.patch(&format!("{plural}.tidegate.dev"), &PatchParams::default(), &patch).await?;
    }
    let nobody = json!({"metadata": {"name": "nobody"}, "spec": {"target": {"identities": ["bob corp"]}, "effect": "DeclineNew"}});
    eventually("the changed definition", SOON, async || create(client, "Lock", fleet.name(), nobody.clone()).await)
        .await?;
    album.take("invalid", ("Lock", fleet.name(), "nobody"), is_ready("Invalid")).await?;
    let home = json!([{"name": "home", "folderPath": {"path": "/home/~/wallet"}}]);
    let list = json!({"name": "wallets", "endpoints": {"selector": {}}, "applications": home});
    let blocklists = Patch::Merge(json!({"spec": {"blocklists": [list]}}));
    let own = api(client, "Fleet", fleet.name());
    let change = async || Ok(own.patch("fleet", &PatchParams::default(), &blocklists).await?);
    eventually("the changed definition", SOON, change).await?;
    album.take("invalid", ("Fleet", fleet.name(), "fleet"), is_ready("Invalid")).await
}

/// The spec is newer than what the controller has seen, as it has gone. A request never changes, and its generation moves with its
/// deletion only; of a Lock nothing is left then.
pub(super) async fn changed_without_controller(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let seen = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let changes = [
        ("JitPolicy", POLICY, json!({"spec": {"description": "changed meanwhile"}})),
        ("Fleet", "fleet", json!({"spec": {"description": "changed meanwhile"}})),
        ("ManagedEndpoint", ENDPOINT, json!({"spec": {"owner": "carol@corp"}})),
    ];
    let client = fleet.admin().client().await?;
    for (kind, name, _) in &changes {
        eventually("the first look", SOON * 3, async || {
            let object = serde_json::to_value(api(&client, kind, fleet.name()).get(name).await?)?;
            // Counts follow some seconds later.
            let counted = object["status"]["requests"]["pending"] == 1 || *kind == "ManagedEndpoint";
            ensure!(seen(&object) && object["status"]["signed"].is_object() && counted, "{}", object["status"]);
            Ok(())
        })
        .await?;
    }
    let controller = &fleet.installation.controller.process;
    controller.sigterm()?;
    controller.ended(SOON).await?;
    for (kind, name, change) in changes {
        let params = PatchParams::default();
        api(&client, kind, fleet.name()).patch(name, &params, &Patch::Merge(change)).await?;
        album.take("old-generation", (kind, fleet.name(), name), |object| !seen(object)).await?;
    }
    fleet.requests().await?.delete("deleting", &DeleteParams::default()).await?;
    album.take("deleting", ("ElevationRequest", fleet.name(), "deleting"), |object| !seen(object)).await
}
