//! Smallest valid objects of our kinds, for tests to change one thing in. Built from JSON as a user writes it, so that a
//! new optional field changes nothing here.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, ManagedEndpoint};

/// A policy for every account on every endpoint: any application, on request, one approval, 1 s to 1 h, default 10 s.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn policy_on_request(name: &str) -> Result<JitPolicy> {
    let on_request = json!({
        "reason": {"required": true, "minLength": 10},
        "duration": {"min": "1s", "max": "1h", "default": "10s"},
        "pendingTimeout": "1h",
    });
    policy(name, json!({"type": "OnRequest", "onRequest": on_request}))
}

/// A policy like `policy_on_request` that gives access from `start` to `end` without a request.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn policy_in_window(name: &str, start: jiff::Timestamp, end: jiff::Timestamp) -> Result<JitPolicy> {
    let window = json!({"startTime": whole_seconds(start), "endTime": whole_seconds(end)});
    policy(name, json!({"type": "Window", "window": window}))
}

/// An endpoint whose one account belongs to its owner.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn endpoint(name: &str, owner: &str, account: &str) -> Result<ManagedEndpoint> {
    let spec = json!({"owner": owner, "accounts": [{"name": account, "identities": [owner]}]});
    object("ManagedEndpoint", name, spec)
}

/// A request for the policy's default duration, with a reason of more than ten characters.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn request(name: &str, policy: &str, endpoint: &str, account: &str, requester: &str) -> Result<ElevationRequest> {
    let spec = json!({
        "policyName": policy,
        "endpointName": endpoint,
        "account": account,
        "requester": requester,
        "reason": "a test of the walking skeleton",
    });
    object("ElevationRequest", name, spec)
}

/// The settings of a fleet where a person may have so many requests open.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn fleet(max_open_requests: u32) -> Result<Fleet> {
    object("Fleet", tidegate_api::names::FLEET, json!({"maxOpenRequests": max_open_requests}))
}

/// A policy for every account on every endpoint: any application; `access` as people write it.
///
/// # Errors
/// When the kind has changed and this builder has not.
pub fn policy(name: &str, access: Value) -> Result<JitPolicy> {
    let spec = json!({
        "targets": {"endpoints": {"selector": {}}, "accounts": {"everyone": true}},
        "elevation": {"mode": "AnyApplication"},
        "access": access,
    });
    object("JitPolicy", name, spec)
}

fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: Value) -> Result<K> {
    let object = json!({
        "apiVersion": format!("{}/{}", tidegate_api::names::GROUP, tidegate_api::names::VERSION),
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    serde_json::from_value(object).with_context(|| format!("the builder of {kind} does not fit the kind"))
}

/// RFC 3339 in UTC, the fraction cut off: the form the schema asks for.
fn whole_seconds(instant: jiff::Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
