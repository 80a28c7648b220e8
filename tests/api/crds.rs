//! Every rule and bound of the kinds: one object that passes beside one that is refused, and what the person is told.

mod bounds;
mod columns;
mod endpoint;
mod fleet;
mod lock;
mod place;
mod policy;
mod request;
mod sample;
mod whole;

use std::fmt::Debug;

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Resource};
use serde_json::{Value, json};
use tidegate_test_support::{Identity, control_plane};

use crate::fleet::Judged as _;

/// Whether a change of a valid object is fine, or what the refusal has to say.
enum Expect {
    Passes,
    Says(&'static str),
}
use Expect::{Passes, Says};

/// One change of a valid object: what it is, a JSON merge patch of its spec, and what comes of it.
type Case = (&'static str, Value, Expect);

/// Tries `cases`, each on a fresh copy of the valid object of kind `K` with this `spec`, as a dry run.
async fn judge<K: Resource<DynamicType = ()>>(who: &Identity, spec: &Value, cases: Vec<Case>) -> Result<()> {
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(who.client().await?, "default", &resource);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    for (what, change, expect) in cases {
        let mut spec = spec.clone();
        merge(&mut spec, &change);
        let object = object(&resource, &spec)?;
        let tried = api.create(&dry_run, &object).await;
        match expect {
            Passes => drop(tried.allowed(what)?),
            Says(text) => tried.refused(what, "spec", text)?,
        }
    }
    Ok(())
}

/// The administrator of the shared control plane.
async fn admin() -> Result<&'static Identity> {
    Ok(control_plane().await?.admin())
}

fn object(resource: &ApiResource, spec: &Value) -> Result<DynamicObject> {
    // A Fleet has one name only.
    let name = if resource.kind == "Fleet" { json!({"name": "fleet"}) } else { json!({"generateName": "case-"}) };
    let object = json!({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": name, "spec": spec});
    serde_json::from_value(object).with_context(|| format!("not an object: {spec}"))
}

/// JSON merge patch (RFC 7386): null removes.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match target.as_object_mut() {
            Some(members) if value.is_null() => drop(members.remove(key)),
            Some(members) => merge(members.entry(key).or_insert(Value::Null), value),
            None => {}
        }
    }
}

/// The spec of a typed object, as JSON.
fn spec_of(object: &(impl serde::Serialize + Debug)) -> Result<Value> {
    let value = serde_json::to_value(object)?;
    value.get("spec").cloned().with_context(|| format!("no spec in {object:?}"))
}

/// `count` names that differ, such as `n0`.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n}")).collect()
}
