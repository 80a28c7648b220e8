//! Every state in which Argo CD and Flux can find an object of ours, brought about on real servers and taken as a fixture.
//! What they make of it is said by config/argocd and hack/gitops (see `health`).

mod amiss;

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tidegate_test_support::{Namespace, objects};

use super::album::Album;
use crate::agent::{SOON, Watching};
use crate::fleet::{ENDPOINT, Fleet, POLICY, in_seconds};
use crate::installation::{Installation, own_control_plane};

#[tokio::test]
async fn what_gitops_tools_are_shown_is_what_the_servers_write() -> Result<()> {
    let control_plane = own_control_plane().await?;
    let mut album = Album::new(control_plane.admin());
    unseen(&mut album, &control_plane.namespace("early").await?).await?;

    let installation = Installation::start(control_plane).await?;
    policies(&mut album, &Fleet::new(&installation, "policies").await?).await?;
    locks(&mut album, &Fleet::new(&installation, "locks").await?).await?;
    requests(&mut album, &Fleet::new(&installation, "requests").await?).await?;
    let endpoints = Fleet::new(&installation, "endpoints").await?;
    let _agent = joined(&mut album, &endpoints).await?;
    let later = Fleet::new(&installation, "later").await?;
    later.ask("deleting", "10m").await?;
    later.finalizer("deleting", true).await?;
    let old = Fleet::new(&installation, "old").await?;
    let placement = amiss::moved(&endpoints).await?;
    amiss::broken(&mut album, &endpoints).await?;
    amiss::unreadable(&mut album, &old).await?;
    amiss::changed_without_controller(&mut album, &later).await?;
    amiss::rolled_back(&mut album, &endpoints, placement).await?;
    album.keep()
}

fn reason(object: &Value, condition: &str) -> Option<String> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|c| c["type"] == condition)?["reason"].as_str().map(str::to_owned)
}

fn is_ready(word: &'static str) -> impl Fn(&Value) -> bool {
    move |object| reason(object, "Ready").as_deref() == Some(word)
}

/// Before a controller has ever run.
async fn unseen(album: &mut Album<'_>, namespace: &Namespace<'_>) -> Result<()> {
    let alice = namespace.person("alice@corp", "tidegate-requester").await?;
    let client = album.admin().client().await?;
    let lock = json!({"target": {"endpoints": {"names": ["ws-lost"]}}, "effect": "EndAccess", "message": "Lost"});
    let made: [(&str, Value); 4] = [
        ("JitPolicy", serde_json::to_value(objects::policy_on_request(POLICY)?)?),
        ("Fleet", serde_json::to_value(objects::fleet(2)?)?),
        ("Lock", json!({"metadata": {"name": "lost"}, "spec": lock})),
        ("ManagedEndpoint", serde_json::to_value(objects::endpoint(ENDPOINT, "alice@corp", "alice")?)?),
    ];
    for (kind, object) in made {
        create(&client, kind, namespace.name(), object.clone()).await?;
        let name = object["metadata"]["name"].as_str().context("no name")?;
        album.take("unseen", (kind, namespace.name(), name), |_| true).await?;
        album.without_status(kind)?;
    }
    let wish = objects::request("er-unseen", POLICY, ENDPOINT, "alice", alice.user())?;
    create(&alice.client().await?, "ElevationRequest", namespace.name(), serde_json::to_value(wish)?).await?;
    album.take("unseen", ("ElevationRequest", namespace.name(), "er-unseen"), |_| true).await?;
    album.without_status("ElevationRequest")
}

fn api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tidegate.dev", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

async fn create(client: &Client, kind: &str, namespace: &str, mut object: Value) -> Result<()> {
    object["apiVersion"] = json!("tidegate.dev/v1alpha1");
    object["kind"] = json!(kind);
    api(client, kind, namespace).create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn policies(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let here = |name| ("JitPolicy", fleet.name(), name);
    album.take("compiled", here(POLICY), is_ready("Compiled")).await?;
    let total = |object: &Value| is_ready("Compiled")(object) && object["status"]["endpoints"]["total"] == 1;
    album.take("compiled", ("Fleet", fleet.name(), "fleet"), total).await?;

    let past = json!({"startTime": "2020-01-01T00:00:00Z", "endTime": "2020-01-02T00:00:00Z"});
    fleet.policy("closed", json!({"type": "Window", "window": past})).await?;
    album.take("closed", here("closed"), is_ready("Closed")).await?;
    let windows = json!([{"days": ["Mon"], "start": "18:00", "duration": "1h"}]);
    let nowhere = json!({"timeZone": "Europe/Berlim", "windows": windows});
    fleet.policy("invalid", json!({"type": "Recurring", "recurring": nowhere})).await?;
    album.take("invalid", here("invalid"), is_ready("Invalid")).await?;

    let client = fleet.admin().client().await?;
    let like = |name: &str, change: Value| {
        let mut policy = serde_json::to_value(objects::policy_on_request(name)?)?;
        merge(&mut policy, change);
        anyhow::Ok(policy)
    };
    let changed = [
        ("suspended", "Suspended", json!({"spec": {"suspended": true}})),
        (
            "no-endpoints",
            "NoEndpoints",
            json!({"spec": {"targets": {"endpoints": {"selector": null, "names": ["nowhere"]}}}}),
        ),
        ("too-large", "TooLarge", json!({"spec": {"elevation": {"mode": "Application", "applications": many()}}})),
    ];
    for (name, word, change) in changed {
        create(&client, "JitPolicy", fleet.name(), like(name, change)?).await?;
        album.take(name, here(name), is_ready(word)).await?;
    }
    settings(album, fleet, &client).await
}

/// A Fleet that cannot be sent to endpoints.
async fn settings(album: &mut Album<'_>, fleet: &Fleet<'_>, client: &Client) -> Result<()> {
    let list = json!({"name": "wallets", "endpoints": {"selector": {}}, "applications": many()});
    let blocklists = Patch::Merge(json!({"spec": {"blocklists": [list]}}));
    api(client, "Fleet", fleet.name()).patch("fleet", &PatchParams::default(), &blocklists).await?;
    album.take("too-large", ("Fleet", fleet.name(), "fleet"), is_ready("TooLarge")).await
}

/// More applications than can be sent to an endpoint.
fn many() -> Value {
    let digests: Vec<String> = (0..64).map(|n| format!("{n:0128x}")).collect();
    (0..64).map(|n| json!({"name": format!("item-{n}"), "fileHash": {"sha512": digests}})).collect()
}

/// A merge patch (RFC 7396) of objects.
fn merge(into: &mut Value, from: Value) {
    match from {
        Value::Object(members) => {
            for (key, value) in members {
                if value.is_null() {
                    into.as_object_mut().map(|map| map.remove(&key));
                } else {
                    merge(&mut into[key], value);
                }
            }
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => *into = other,
    }
}

async fn locks(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let target = json!({"endpoints": {"names": [ENDPOINT]}});
    fleet
        .lock("stolen", json!({"target": target, "effect": "EndAccess", "message": "Stolen laptop, INC-4711"}))
        .await?;
    album.take("compiled", ("Lock", fleet.name(), "stolen"), is_ready("Compiled")).await?;
    album
        .take("locked", ("ManagedEndpoint", fleet.name(), ENDPOINT), |o| {
            reason(o, "Locked").as_deref() == Some("EndAccess")
        })
        .await?;
    let end = in_seconds(1)?.to_string();
    fleet.lock("freeze", json!({"target": target, "effect": "DeclineNew", "expirationTime": end})).await?;
    album.take("closed", ("Lock", fleet.name(), "freeze"), is_ready("Closed")).await
}

async fn requests(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<()> {
    let short = json!({"duration": {"min": "1s", "max": "1h", "default": "1s"}, "pendingTimeout": "1s"});
    fleet.policy("impatient", json!({"type": "OnRequest", "onRequest": short})).await?;
    for (name, decision) in [
        ("pending", None),
        ("denied", Some((&fleet.bob, "deny: not today"))),
        ("withdrawn", Some((&fleet.alice, "end"))),
    ] {
        fleet.ask(name, "10m").await?;
        fleet.in_state(name, "Pending", SOON).await?;
        if let Some((who, decision)) = decision {
            fleet.decide(who, name, decision).await?;
        }
    }
    fleet.granted("active", "1h").await?;
    // Cut to the second, it may be Active for a moment only.
    fleet.ask("expired", "1s").await?;
    fleet.in_state("expired", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "expired", "approve: pairing with Alice").await?;
    for (name, who, decision) in [("revoked", &fleet.bob, "revoke: enough"), ("ended", &fleet.alice, "end")] {
        fleet.granted(name, "1h").await?;
        fleet.decide(who, name, decision).await?;
    }
    let mut wish = fleet.wish("declined", "10m")?;
    wish.spec.policy_name = "nobody-wrote-it".to_owned();
    fleet.ask_for(&wish).await?;
    let mut wish = fleet.wish("timed-out", "10m")?;
    wish.spec.policy_name = "impatient".to_owned();
    fleet.ask_for(&wish).await?;
    let mut wish = fleet.wish("scheduled", "10m")?;
    wish.spec.start_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(in_seconds(3600)?));
    fleet.ask_for(&wish).await?;
    fleet.in_state("scheduled", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "scheduled", "approve").await?;
    for (name, state) in [
        ("pending", "Pending"),
        ("denied", "Denied"),
        ("withdrawn", "Withdrawn"),
        ("active", "Active"),
        ("expired", "Expired"),
        ("revoked", "Revoked"),
        ("ended", "Ended"),
        ("declined", "Declined"),
        ("timed-out", "TimedOut"),
        ("scheduled", "Scheduled"),
    ] {
        // An ended request is done when its finalizer is gone, too.
        let open = ["pending", "active", "scheduled"].contains(&name);
        let wanted =
            |object: &Value| object["status"]["state"] == state && object["metadata"]["finalizers"].is_array() == open;
        album.take(name, ("ElevationRequest", fleet.name(), name), wanted).await?;
    }
    Ok(())
}

/// An endpoint without an agent, and one with.
async fn joined(album: &mut Album<'_>, fleet: &Fleet<'_>) -> Result<Watching> {
    let own = ("ManagedEndpoint", fleet.name(), ENDPOINT);
    album.take("not-enrolled", own, |o| reason(o, "Enrolled").as_deref() == Some("NeverJoined")).await?;
    let agent = fleet.agent().await?;
    let told = |object: &Value| {
        reason(object, "Enrolled").as_deref() == Some("Enrolled") && object["status"]["applied"].is_object()
    };
    album.take("enrolled", own, told).await?;
    Ok(agent)
}
