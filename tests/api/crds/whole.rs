//! Objects as a whole, of every kind: empty, nonsensical, and the largest one applied again. And that no rule is
//! without a refusal in these files.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt, Resource};
use serde_json::{Value, json};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, Lock, ManagedEndpoint, all_crds};
use tidegate_test_support::assets;

use super::bounds::variants;
use super::place::{Place, smallest};
use crate::fleet::Judged as _;

/// What the API server says about an empty spec: the members that are missing, or nothing.
async fn missing<K: Resource<DynamicType = ()>>() -> Result<BTreeSet<String>> {
    let place = Place::new::<K>("empty").await?;
    let answer = place.try_part("spec", &json!({})).await?;
    let causes = answer.err().and_then(|status| status.details).map(|details| details.causes).unwrap_or_default();
    let missing = causes.into_iter().filter(|cause| cause.message.contains("Required value"));
    Ok(missing.map(|cause| cause.field).collect())
}

#[tokio::test]
async fn an_empty_object_is_told_what_it_lacks() -> Result<()> {
    let fields = |names: &[&str]| names.iter().map(|name| format!("spec.{name}")).collect::<BTreeSet<_>>();
    assert_eq!(missing::<JitPolicy>().await?, fields(&["access", "elevation", "targets"]));
    // An administrator may not ask without a name, but that is admission's to say.
    assert_eq!(missing::<ElevationRequest>().await?, fields(&["account", "endpointName", "policyName"]));
    assert_eq!(missing::<Lock>().await?, fields(&["effect", "target"]));
    assert_eq!(missing::<ManagedEndpoint>().await?, fields(&[]));
    assert_eq!(missing::<Fleet>().await?, fields(&[]));
    Ok(())
}

async fn nonsense<K: Resource<DynamicType = ()>>() -> Result<()> {
    let place = Place::new::<K>("nonsense").await?;
    for (spec, says) in [
        (json!("banana"), "spec in body must be of type object"),
        (json!([]), "spec in body must be of type object"),
        (json!(null), "spec: Required value"),
    ] {
        let answer = place.try_part("spec", &spec).await?;
        let message = answer.err().with_context(|| format!("{spec} passed"))?.message;
        ensure!(message.contains(says), "{spec}: {message}");
    }
    // kubectl asks for this, so a misspelt member does not go unnoticed.
    let mut spec = place.own("spec", smallest(&K::kind(&())));
    spec["banana"] = json!(7);
    let strict = PatchParams {
        dry_run: true,
        field_manager: Some("test".to_owned()),
        ..PatchParams::apply("test").validation_strict()
    };
    let tried = place.objects.patch("fleet", &strict, &Patch::Apply(&place.object("fleet", &spec)?)).await;
    tried.refused("a member nobody knows", "spec.banana", "field not declared in schema")
}

#[tokio::test]
async fn a_nonsensical_object_is_refused() -> Result<()> {
    nonsense::<JitPolicy>().await?;
    nonsense::<ElevationRequest>().await?;
    nonsense::<ManagedEndpoint>().await?;
    nonsense::<Fleet>().await?;
    nonsense::<Lock>().await
}

/// The spec that is stored of `spec`.
async fn stored<K: Resource<DynamicType = ()>>(spec: Value) -> Result<(Value, Value)> {
    let place = Place::new::<K>("defaults").await?;
    let spec = place.own("spec", spec);
    // A new object of its own, for the status to be new as well.
    place.objects.delete("fleet", &Default::default()).await?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut object = place.object("fleet", &spec)?;
    if K::kind(&()) == "ElevationRequest" {
        object.metadata.name = Some("other".to_owned());
    }
    let mut stored = place.objects.create(&dry_run, &object).await?;
    Ok((stored.data["spec"].take(), stored.data["status"].take()))
}

#[tokio::test]
async fn defaults_are_those_that_the_docs_name() -> Result<()> {
    let unseen = json!({"observedGeneration": -1});
    let expected = json!({
        "targets": {"endpoints": {"selector": {}}, "accounts": {"everyone": true}},
        "elevation": {
            "mode": "AnyApplication", "runAs": "root", "authentication": "Required", "childProcesses": "Track",
            "onExpiry": "Terminate",
        },
        "access": {"type": "OnRequest", "onRequest": {
            "reason": {"required": true, "minLength": 10},
            "duration": {"min": "5m", "max": "24h", "default": "30m"},
            "pendingTimeout": "1h",
        }},
        "reminders": ["5m", "1m"],
        "offlineTolerance": "24h",
    });
    let policy = stored::<JitPolicy>(smallest("JitPolicy")).await?;
    assert_eq!(policy, (expected.clone(), unseen.clone()));
    // The structs fill in the same, for those who read a file and not the API server.
    let typed: tidegate_api::JitPolicySpec = serde_json::from_value(smallest("JitPolicy"))?;
    assert_eq!(serde_json::to_value(typed)?, expected);

    let fleet = stored::<Fleet>(json!({})).await?;
    assert_eq!(fleet, (json!({"maxOpenRequests": 1, "freshness": "15m"}), unseen.clone()));
    assert_eq!(serde_json::to_value(tidegate_api::FleetSpec::default())?, fleet.0);

    let mut asked = smallest("ElevationRequest");
    asked["application"] = json!({"path": "/opt/setup"});
    let (request, status) = stored::<ElevationRequest>(asked).await?;
    assert_eq!(request["application"], json!({"path": "/opt/setup", "argumentMatch": "Exact"}));
    assert_eq!(status, unseen);

    assert_eq!(stored::<Lock>(smallest("Lock")).await?, (smallest("Lock"), unseen.clone()));
    assert_eq!(stored::<ManagedEndpoint>(json!({})).await?, (json!({}), unseen));
    Ok(())
}

/// Applies the largest objects again and again, as GitOps tools do.
async fn applied_again<K: Resource<DynamicType = ()> + CustomResourceExt>() -> Result<()> {
    let place = Place::new::<K>("again").await?;
    let apply = PatchParams::apply("gitops").force();
    for (number, spec) in variants::<K>("spec").into_iter().enumerate() {
        let name = if K::kind(&()) == "Fleet" { "fleet".to_owned() } else { format!("largest{number}") };
        let object = place.object(&name, &place.own("spec", spec))?;
        let again =
            async || place.objects.patch(&name, &apply, &Patch::Apply(&object)).await.allowed("the largest object");
        let first = again().await?;
        assert_eq!(first.data["spec"], object.data["spec"], "{name} is not stored as it was written");
        // The default of a status is stored by the first write after creation, whatever it writes.
        let second = again().await?;
        assert_eq!(first.metadata.generation, second.metadata.generation, "{name} is another object now");
        let third = again().await?;
        assert_eq!(second.metadata.resource_version, third.metadata.resource_version, "{name} was written again");
    }
    Ok(())
}

#[tokio::test]
async fn applying_the_largest_object_again_changes_nothing() -> Result<()> {
    applied_again::<JitPolicy>().await?;
    applied_again::<ElevationRequest>().await?;
    applied_again::<ManagedEndpoint>().await?;
    applied_again::<Fleet>().await?;
    applied_again::<Lock>().await
}

/// The messages of the rules below a schema; of a computed one what stands before its first value.
fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let computed = || rule["messageExpression"].as_str().and_then(|text| text.split('\'').nth(1));
        found.extend(rule["message"].as_str().or_else(computed).map(str::to_owned));
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| messages(member, found)),
        Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_rule_has_a_refusal_in_these_files() -> Result<()> {
    let tests = [
        include_str!("endpoint.rs"),
        include_str!("fleet.rs"),
        include_str!("lock.rs"),
        include_str!("policy.rs"),
        include_str!("policy/access.rs"),
        include_str!("policy/approval.rs"),
        include_str!("policy/elevation.rs"),
        include_str!("request.rs"),
    ]
    .concat();
    let mut found = BTreeSet::new();
    for crd in all_crds() {
        messages(&serde_json::to_value(crd)?, &mut found);
    }
    ensure!(found.len() >= 30, "only {} rules were found", found.len());
    // A test may name the beginning of a message only.
    let beginning = |message: &str| message.chars().take(28).collect::<String>();
    let untried: Vec<_> = found.iter().filter(|message| !tests.contains(&beginning(message))).collect();
    ensure!(untried.is_empty(), "no test reads {untried:#?}");
    Ok(())
}

#[tokio::test]
async fn every_sample_is_valid_and_says_nothing_unknown() -> Result<()> {
    let place = Place::new::<ManagedEndpoint>("samples").await?;
    let folder = assets::repository().join("config/samples");
    let mut tried = 0;
    for folder in [folder.clone(), folder.join("further")] {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let text = if path.is_file() { std::fs::read_to_string(&path)? } else { String::new() };
            if !text.contains("apiVersion: tidegate.dev/") {
                continue;
            }
            // The fleet of the samples is not there.
            let here = text.replace("namespace: berlin", &format!("namespace: {}", place.fleet.namespace.name()));
            let object: DynamicObject = serde_saphyr::from_str(&here)?;
            let types = object.types.clone().context("a kind")?;
            let resource = ApiResource::from_gvk(&types.try_into()?);
            let admin = place.fleet.control_plane.admin();
            let api: Api<DynamicObject> =
                Api::namespaced_with(admin.client().await?, place.fleet.namespace.name(), &resource);
            let strict = PatchParams { dry_run: true, ..PatchParams::apply("test").validation_strict() };
            let name = object.metadata.name.clone().context("a name")?;
            api.patch(&name, &strict, &Patch::Apply(&object)).await.allowed(&path.display().to_string())?;
            tried += 1;
        }
    }
    ensure!(tried >= 7, "only {tried} samples were found");
    Ok(())
}
