//! Objects that were stored under another definition of their kind: unknown words, fields of the wrong type, of a newer schema, of a
//! megabyte. What cannot be read is named in a condition or a log line and grants nothing; everything else goes on.

use std::ffi::OsStr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tidegate_api::names::{GROUP, VERSION};
use tidegate_test_support::{Identity, assets, eventually, objects};

use crate::course::{self, PATIENCE, REQUEST};
use crate::fleet::{ENDPOINT, Fleet, POLICY};
use crate::installation::{Installation, READY, guard_passes};
use crate::kept::Kept;
use crate::record::Recorder;

/// An object that this version cannot read, or that is larger than it may be.
struct Strange {
    kind: &'static str,
    name: &'static str,
    spec: Value,
    /// It has to be named somewhere.
    unreadable: bool,
}

/// In one fleet: each kind but Fleet and Lock, which speak for a whole namespace.
fn strange() -> Result<Vec<Strange>> {
    let policy = |change: &dyn Fn(&mut Value)| -> Result<Value> {
        let mut spec = serde_json::to_value(objects::policy_on_request("any")?.spec)?;
        change(&mut spec);
        Ok(spec)
    };
    let wish = |change: &dyn Fn(&mut Value)| -> Result<Value> {
        let mut spec = serde_json::to_value(objects::request("any", POLICY, ENDPOINT, "alice", ASKED_BY)?.spec)?;
        change(&mut spec);
        Ok(spec)
    };
    let strange = |kind, name, spec, unreadable| Strange { kind, name, spec, unreadable };
    let megabyte = "x".repeat(1_000_000);
    Ok(vec![
        strange("JitPolicy", "unknown-mode", policy(&|spec| spec["elevation"]["mode"] = json!("Quantum"))?, true),
        strange("JitPolicy", "unknown-access", policy(&|spec| spec["access"]["type"] = json!("Sometimes"))?, true),
        strange("JitPolicy", "wrong-type", policy(&|spec| spec["targets"] = json!("everything"))?, true),
        strange("JitPolicy", "newer", policy(&|spec| spec["quorum"] = json!({"of": 3}))?, false),
        strange("JitPolicy", "huge", policy(&|spec| spec["description"] = json!(megabyte))?, false),
        strange("ManagedEndpoint", "wrong-accounts", json!({"owner": "alice@corp", "accounts": "alice"}), true),
        strange("ManagedEndpoint", "newer-endpoint", json!({"owner": "alice@corp", "tier": {"of": 1}}), false),
        strange("ElevationRequest", "er-wrong-type", wish(&|spec| spec["duration"] = json!(45))?, true),
        strange("ElevationRequest", "er-newer", wish(&|spec| spec["urgency"] = json!("high"))?, false),
        strange("ElevationRequest", "er-huge", wish(&|spec| spec["reason"] = json!(megabyte))?, false),
    ])
}

/// Requests are created by the administrator, in the own name.
const ASKED_BY: &str = "tidegate-test-admin";

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_grants_nothing_and_everything_else_goes_on() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;
    let fleets = ["strange", "strange-lock", "strange-fleet", "healthy"];
    let fleets = futures::future::try_join_all(fleets.map(|prefix| Fleet::new(&installation, prefix))).await?;
    let [here, locked, unset, healthy] = fleets.as_slice() else { anyhow::bail!("four fleets") };
    let admin = installation.control_plane.admin();
    let mut all = strange()?;

    loosen(admin).await?;
    for Strange { kind, name, spec, unreadable: _ } in &all {
        store(admin, here.name(), kind, name, spec).await?;
    }
    store(admin, locked.name(), "Lock", "explosive", &json!({"target": {}, "effect": "Explode"})).await?;
    replace(admin, unset.name(), "Fleet", "fleet", &json!({"maxOpenRequests": "many"})).await?;
    restore(&installation, &controller).await?;

    named(admin, &controller, here, &all).await?;
    let unlocked = Strange { kind: "Lock", name: "explosive", spec: json!({}), unreadable: true };
    named(admin, &controller, locked, std::slice::from_ref(&unlocked)).await?;
    let unsettled = Strange { kind: "Fleet", name: "fleet", spec: json!({}), unreadable: true };
    named(admin, &controller, unset, std::slice::from_ref(&unsettled)).await?;

    nothing_hangs_on_it(here, locked, unset).await?;
    course::run(healthy, course::Ending::Revoked).await.context("a fleet without anything strange")?;
    controller.sound()?;

    // One that starts with all this there, too.
    controller.kill9().await;
    let next = installation.controller().await?;
    next.ready_is(true, READY).await?;
    nothing_hangs_on_it_still(here, locked, unset).await?;
    let again = Fleet::new(&installation, "again").await?;
    course::run(&again, course::Ending::Expired).await.context("beside everything strange, after a restart")?;
    next.sound()?;

    all.extend([unlocked]);
    for Strange { kind, name, .. } in &all {
        let fleet = if *kind == "Lock" { locked } else { here };
        gone(admin, fleet.name(), kind, name).await?;
    }
    recorder.check().await
}

/// Requests that name what cannot be read, or live where a Lock or the Fleet cannot be.
async fn nothing_hangs_on_it(here: &Fleet<'_>, locked: &Fleet<'_>, unset: &Fleet<'_>) -> Result<()> {
    for policy in ["unknown-mode", "unknown-access", "wrong-type"] {
        let mut wish = here.wish(&format!("ask-{policy}"), "5m")?;
        wish.spec.policy_name = policy.to_owned();
        here.ask_for(&wish).await?;
    }
    let mut wish = here.wish("ask-wrong-accounts", "5m")?;
    wish.spec.endpoint_name = "wrong-accounts".to_owned();
    here.ask_for(&wish).await?;
    for fleet in [locked, unset] {
        fleet.ask(REQUEST, "5m").await?;
        course::decide(fleet, 1, "approve").await?;
    }
    // What is healthy in the same fleet goes on, and is the proof that the others had their chance.
    here.ask("er-healthy", "5m").await?;
    here.in_state("er-healthy", "Pending", PATIENCE).await?;
    here.decide(&here.bob, "er-healthy", "approve").await?;
    here.in_state("er-healthy", "Active", PATIENCE).await?;
    nothing_hangs_on_it_still(here, locked, unset).await
}

async fn nothing_hangs_on_it_still(here: &Fleet<'_>, locked: &Fleet<'_>, unset: &Fleet<'_>) -> Result<()> {
    for fleet in [here, locked, unset] {
        for request in fleet.requests().await?.list(&ListParams::default()).await.into_iter().flatten() {
            let signed = request.status.as_ref().and_then(|status| status.signed.as_ref());
            let name = request.name_any();
            ensure!(signed.is_none() || name == "er-healthy", "{name} in {} was granted", fleet.name());
        }
    }
    Ok(())
}

/// Each of what cannot be read is named: in a condition of its own, or in a log line.
async fn named(admin: &Identity, controller: &Kept, fleet: &Fleet<'_>, all: &[Strange]) -> Result<()> {
    for Strange { kind, name, .. } in all.iter().filter(|strange| strange.unreadable) {
        eventually(&format!("a word on {kind} {name}"), PATIENCE, async || {
            let object = api(admin, fleet.name(), kind).await?.get(name).await?;
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let invalid = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "False");
            let line =
                |line: &String| line.contains(*name) && line.contains(fleet.name()) && line.contains("could not judge");
            let logged = controller.lines().iter().any(line);
            ensure!(invalid || logged, "neither in {conditions:?} nor in the log");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Definitions that take anything as spec.
async fn loosen(admin: &Identity) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(admin.client().await?);
    for definition in api.list(&ListParams::default()).await?.items {
        if definition.spec.group != GROUP {
            continue;
        }
        let mut loose = serde_json::to_value(&definition)?;
        for version in loose["spec"]["versions"].as_array_mut().context("no versions")? {
            let schema = &mut version["schema"]["openAPIV3Schema"];
            schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            schema.as_object_mut().context("no schema")?.remove("x-kubernetes-validations");
        }
        api.replace(&definition.name_any(), &PostParams::default(), &serde_json::from_value(loose)?).await?;
    }
    Ok(())
}

/// The definitions of this version again, and proof that the guard has passed since.
async fn restore(installation: &Installation, controller: &Kept) -> Result<()> {
    let admin = installation.control_plane.admin();
    let crds = assets::repository().join("crds");
    let args = ["replace", "-k"].map(OsStr::new).into_iter().chain([crds.as_os_str()]);
    admin.kubectl(args).await?.ok()?;
    let passed = |line: &str| line.contains("the admission guard has passed");
    // It noticed: it had to pass again.
    let open = |line: &str| line.contains("admission is unprotected") || line.contains("the admission guard waits");
    controller.says("the guard's alarm", PATIENCE, open).await?;
    guard_passes(controller).await?;
    eventually("word that it passed again", PATIENCE, async || {
        let seen = controller.lines().iter().filter(|line| passed(line)).count();
        ensure!(seen >= 2, "passed {seen} times: at start, and now");
        Ok(())
    })
    .await
}

async fn api(admin: &Identity, namespace: &str, kind: &str) -> Result<Api<DynamicObject>> {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
    if kind == "JitPolicy" {
        "jitpolicies".clone_into(&mut resource.plural);
    }
    Ok(Api::namespaced_with(admin.client().await?, namespace, &resource))
}

fn object(kind: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    Ok(serde_json::from_value(object)?)
}

/// Creates it, as soon as the loosened definition is in force.
async fn store(admin: &Identity, namespace: &str, kind: &str, name: &str, spec: &Value) -> Result<()> {
    let (api, object) = (api(admin, namespace, kind).await?, object(kind, name, spec)?);
    eventually(&format!("{kind} {name} is stored"), PATIENCE, async || {
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    })
    .await
}

async fn replace(admin: &Identity, namespace: &str, kind: &str, name: &str, spec: &Value) -> Result<()> {
    let api = api(admin, namespace, kind).await?;
    eventually(&format!("{kind} {name} is stored"), PATIENCE, async || {
        let mut object = api.get(name).await?;
        object.data["spec"] = spec.clone();
        api.replace(name, &PostParams::default(), &object).await?;
        Ok(())
    })
    .await
}

/// It can be deleted, and goes.
async fn gone(admin: &Identity, namespace: &str, kind: &str, name: &str) -> Result<()> {
    let api = api(admin, namespace, kind).await?;
    api.delete(name, &DeleteParams::default()).await?;
    eventually(&format!("the end of {kind} {name}"), PATIENCE, async || {
        let left = api.get_opt(name).await?;
        ensure!(left.is_none(), "{:?}", left.map(|object| object.metadata.finalizers));
        Ok(())
    })
    .await
}
