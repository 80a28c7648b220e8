//! One full course of a request, from the wish to its release, as people drive it; patient, because the controller may die in between.
//! And what is left of it, with everything taken out that differs from one run to the next.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tidegate_api::ElevationRequest;
use tidegate_api::names::{DECISION_PREFIX, FLEET};
use tidegate_test_support::{Identity, eventually};

use crate::fleet::{ENDPOINT, Fleet, POLICY};

/// The request of every course.
pub const REQUEST: &str = "er-1";
/// Longer than a controller takes to come back and to be done with what waits.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What differs from run to run: instants, and what is derived from them or from names.
const DIFFERS: [&str; 9] = [
    "lastTransitionTime",
    "observedTime",
    "startTime",
    "expirationTime",
    "appliedTime",
    "uid",
    "digest",
    "sequence",
    "envelope",
];

/// How a course ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// bob takes it back.
    Revoked,
    /// By itself, after 3 s.
    Expired,
}

/// Create, Pending, approve, Active, revoke or expiry, released.
pub async fn run(fleet: &Fleet<'_>, ending: Ending) -> Result<()> {
    let (duration, finally) = match ending {
        Ending::Revoked => ("5m", "Revoked"),
        Ending::Expired => ("3s", "Expired"),
    };
    let asking = requests(fleet, &fleet.alice).await?;
    asking.create(&PostParams::default(), &fleet.wish(REQUEST, duration)?).await?;
    state(fleet, &["Pending"]).await?;
    decide(fleet, 1, "approve: go ahead").await?;
    state(fleet, &["Active", finally]).await?;
    if ending == Ending::Revoked {
        decide(fleet, 2, "revoke: enough").await?;
    }
    state(fleet, &[finally]).await?;
    let api = fleet.requests().await?;
    eventually("the release", PATIENCE, async || {
        let left = api.get(REQUEST).await?.finalizers().to_vec();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
    .with_context(|| format!("in {}", fleet.name()))
}

/// Waits until everything that a grant hangs on is signed and in force.
pub async fn settled(fleet: &Fleet<'_>) -> Result<()> {
    let (policies, endpoints, fleets) = (fleet.policies().await?, fleet.endpoints().await?, fleet.fleets().await?);
    eventually("the fleet's signed parts", PATIENCE, async || {
        let policy = policies.get(POLICY).await?.status.and_then(|status| status.signed).context("no policy part")?;
        let placement = endpoints.get(ENDPOINT).await?.status.and_then(|status| status.signed);
        placement.context("no placement")?;
        let part = fleets.get(FLEET).await?.status.and_then(|status| status.signed).context("no fleet part")?;
        let part: Value = serde_json::from_slice(&STANDARD.decode(part.envelope.payload)?)?;
        let in_force = part["policies"].as_array().context("no policies in the fleet part")?;
        let named = in_force.iter().any(|named| named["sequence"] == policy.sequence);
        ensure!(named, "the fleet part does not name the policy's part {}: {in_force:?}", policy.sequence);
        Ok(())
    })
    .await
    .with_context(|| format!("in {}", fleet.name()))
}

/// bob writes decision `slot`.
pub async fn decide(fleet: &Fleet<'_>, slot: u32, decision: &str) -> Result<()> {
    let api = requests(fleet, &fleet.bob).await?;
    let line = format!("{} {decision}", fleet.bob.user());
    let patch = Patch::Merge(json!({"metadata": {"annotations": {format!("{DECISION_PREFIX}{slot}"): line}}}));
    api.patch(REQUEST, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits until the request is in one of these states.
pub async fn state(fleet: &Fleet<'_>, wanted: &[&str]) -> Result<()> {
    let api = fleet.requests().await?;
    eventually(&format!("{wanted:?} in {}", fleet.name()), PATIENCE, async || {
        let status = api.get(REQUEST).await?.status.unwrap_or_default();
        let state = status.state.as_deref().unwrap_or_default();
        ensure!(wanted.contains(&state), "{}", serde_json::to_string(&status)?);
        Ok(())
    })
    .await
}

async fn requests(fleet: &Fleet<'_>, who: &Identity) -> Result<Api<ElevationRequest>> {
    Ok(Api::namespaced(who.client().await?, fleet.name()))
}

/// The fleet's objects after the course, to be compared with those of another run.
pub async fn outcome(fleet: &Fleet<'_>) -> Result<Value> {
    let request = fleet.requests().await?.get(REQUEST).await?;
    let mut policy = fleet.policies().await?.get(POLICY).await?.status.unwrap_or_default();
    let mut settings = fleet.fleets().await?.get(FLEET).await?.status.unwrap_or_default();
    // Numbers come seconds later.
    (policy.requests, settings.requests) = (None, None);
    let all = json!({
        "annotations": request.metadata.annotations,
        "finalizers": request.metadata.finalizers,
        "status": request.status,
        "policy": policy,
        "endpoint": fleet.endpoints().await?.get(ENDPOINT).await?.status,
        "fleet": settings,
    });
    Ok(comparable(all, fleet.name()))
}

fn comparable(value: Value, namespace: &str) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let value =
                    if DIFFERS.contains(&key.as_str()) { json!("differs") } else { comparable(value, namespace) };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| comparable(item, namespace)).collect(),
        Value::String(text) => {
            let words = text.split(' ').map(|word| {
                let bare = word.trim_end_matches([',', ';', '.']);
                if bare.parse::<Timestamp>().is_ok() { "<time>" } else { word }
            });
            Value::String(words.collect::<Vec<_>>().join(" ").replace(namespace, "<fleet>"))
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}
