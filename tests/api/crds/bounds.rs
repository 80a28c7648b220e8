//! Every bound, form, choice and requirement that a schema states, read off the schema itself: the largest object it
//! allows passes, and each step beyond is refused with the field named. What CEL says is in the files by kind.

mod walk;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::core::Status;
use kube::{CustomResourceExt, Resource};
use serde_json::{Value, json};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, Lock, ManagedEndpoint};

use self::walk::{Attempt, Step, Walk};
use super::place::Place;
use super::sample::{largest, schema_of};

/// Every path of a schema, lists as `[]`.
fn paths(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        paths(member, &format!("{path}.{name}"), found);
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", ".label0")] {
        if schema[part].is_object() {
            paths(&schema[part], &format!("{path}{suffix}"), found);
        }
    }
}

/// So many variants hold every member at least once.
const VARIANTS: usize = 5;

/// Leaves out of the largest object what the rest excludes. What is kept depends on `variant`, so that all of it is
/// kept once.
fn consistent(name: &str, value: &mut Value, variant: usize) {
    if let Value::Array(items) = value {
        for item in items.iter_mut() {
            consistent("", item, variant);
            let named_only = item.as_object().is_some_and(|members| members.keys().all(|key| key == "name"));
            if matches!(name, "applications" | "except") && named_only {
                item["vendor"] = json!({"name": "v"});
            }
        }
    }
    let Value::Object(members) = value else { return };
    let has = |name: &str| members.contains_key(name);
    let mut unwanted: Vec<&str> = Vec::new();
    if has("names") && has("selector") {
        unwanted.push(["selector", "names"][variant % 2]);
    }
    if has("everyone") {
        unwanted.extend([["everyone"].as_slice(), &["names", "groups"]][variant % 2]);
    }
    if has("onRequest") {
        let kept = ["OnRequest", "OnRequest", "Fixed", "Window", "Recurring"][variant % VARIANTS];
        unwanted.extend(
            ["onRequest", "fixed", "window", "recurring"].into_iter().filter(|f| !f.eq_ignore_ascii_case(kept)),
        );
        members.insert("type".to_owned(), json!(kept));
    }
    for name in unwanted {
        members.remove(name);
    }
    if members.contains_key("endTime") {
        members.insert("endTime".to_owned(), json!("2027-01-02T00:00:00Z"));
    }
    if members.contains_key("operator") && !members.contains_key("values") {
        members.insert("operator".to_owned(), json!("Exists"));
    }
    if name == "endpoints" && members.is_empty() {
        members.insert("selector".to_owned(), json!({}));
    }
    for (name, value) in members {
        consistent(name, value, variant);
    }
}

/// The largest values of the member `part` of kind `K`: one for each way to resolve what excludes what.
pub fn variants<K: CustomResourceExt>(part: &str) -> Vec<Value> {
    let schema = schema_of::<K>();
    let mut all: Vec<Value> = Vec::new();
    for variant in 0..VARIANTS {
        let mut value = largest(&schema["properties"][part]);
        consistent(part, &mut value, variant);
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

fn put(value: &mut Value, attempt: &Attempt) -> Result<()> {
    let (parent, name) = attempt.pointer.rsplit_once('/').context("a pointer has a parent")?;
    let parent = value.pointer_mut(parent).with_context(|| format!("{} has no parent", attempt.pointer))?;
    match (parent, &attempt.value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value.clone())),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>()?] = value.clone(),
        (_, _) => anyhow::bail!("{} is not in an object", attempt.pointer),
    }
    Ok(())
}

/// Whether the API server said of every attempt that it is refused, and why.
fn all_refused(step: Step, attempts: &[Attempt], answer: &Status) -> Result<()> {
    let causes: Vec<_> = answer.details.iter().flat_map(|details| &details.causes).collect();
    for attempt in attempts {
        // Kubernetes 1.30 names the fields of a status without it.
        let short = attempt.field.strip_prefix("status.").unwrap_or(&attempt.field);
        let is_told = causes
            .iter()
            .any(|cause| (cause.field == attempt.field || cause.field == short) && cause.message.contains(step.says()));
        let told = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message));
        ensure!(
            is_told,
            "{step:?} at {}: wanted {:?}, got {:#?}",
            attempt.field,
            step.says(),
            told.collect::<Vec<_>>()
        );
    }
    Ok(())
}

/// Tries the largest values of `part`, and every step beyond them.
async fn judge<K: Resource<DynamicType = ()> + CustomResourceExt>(part: &str) -> Result<()> {
    let place = Place::new::<K>("bounds").await?;
    let schema = &schema_of::<K>()["properties"][part];
    let (mut met, mut all) = (BTreeSet::new(), BTreeSet::new());
    paths(schema, part, &mut all);
    for value in variants::<K>(part) {
        let value = place.own(part, value);
        place
            .try_part(part, &value)
            .await?
            .map_err(|answer| anyhow::anyhow!("the largest {part}: {}", answer.message))?;
        let mut walk = Walk::default();
        walk.visit(schema, &value, part, "");
        for (step, attempts) in &walk.attempts {
            let mut beyond = value.clone();
            attempts.iter().try_for_each(|attempt| put(&mut beyond, attempt))?;
            let answer = place.try_part(part, &beyond).await?;
            let answer = answer.err().with_context(|| format!("{step:?} was not refused"))?;
            all_refused(*step, attempts, &answer)?;
        }
        met.append(&mut walk.met);
    }
    ensure!(met == all, "never tried: {:?}", all.difference(&met).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn no_policy_is_larger_than_its_schema_says() -> Result<()> {
    judge::<JitPolicy>("spec").await?;
    judge::<JitPolicy>("status").await
}

#[tokio::test]
async fn no_request_is_larger_than_its_schema_says() -> Result<()> {
    judge::<ElevationRequest>("spec").await?;
    judge::<ElevationRequest>("status").await
}

#[tokio::test]
async fn no_endpoint_is_larger_than_its_schema_says() -> Result<()> {
    judge::<ManagedEndpoint>("spec").await?;
    judge::<ManagedEndpoint>("status").await
}

#[tokio::test]
async fn no_fleet_is_larger_than_its_schema_says() -> Result<()> {
    judge::<Fleet>("spec").await?;
    judge::<Fleet>("status").await
}

#[tokio::test]
async fn no_lock_is_larger_than_its_schema_says() -> Result<()> {
    judge::<Lock>("spec").await?;
    judge::<Lock>("status").await
}
