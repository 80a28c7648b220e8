//! JitPolicy: fetch, parse, compile, sign, apply. A generation that does not parse keeps the last good signed part.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api::names::condition;
use tidegate_api::{AccessSpan, EndpointCounts, JitPolicy, JitPolicyStatus};
use tidegate_core::interval::Instant;
use tidegate_core::policy::{Access, Policy};

use super::error::Error;
use super::{Context, Guarded, apply, read, requeue};
use crate::clock;
use crate::convert::{self, ConvertError, Wanted};

/// One pass over a policy.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<JitPolicy>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let now = clock::now();
    let (status, wake) = match convert::policy(object) {
        Ok(policy) => (compiled(object, &policy, &context, now).await?, policy.wake(now)),
        Err(error) => (invalid(object, &error, now), None),
    };
    if object.status.as_ref() != Some(&status) {
        let mut changed = object.clone();
        changed.status = Some(status);
        apply::status(&context.client, &changed).await?;
    }
    Ok(requeue(wake))
}

async fn compiled(
    object: &JitPolicy,
    policy: &Policy,
    context: &Context,
    now: Instant,
) -> Result<JitPolicyStatus, Error> {
    let fleet = context.fleet(&object.namespace().unwrap_or_default()).await?;
    let previous = object.status.as_ref().and_then(|status| status.signed.clone());
    let endpoints = context.endpoints_of(object);
    let reached = endpoints.iter().filter_map(|endpoint| convert::endpoint(read(endpoint).ok()?).ok());
    let targets = &policy.rules.targets.endpoints;
    let matched = reached.filter(|endpoint| targets.reaches(&endpoint.reference.name, &endpoint.labels)).count();
    let (standing, message) = policy.standing(matched, endpoints.len(), now);
    let ready = vec![ready(true, standing.as_str(), message)];
    Ok(JitPolicyStatus {
        observed_generation: object.metadata.generation,
        conditions: convert::merge(conditions_of(object), ready, object.metadata.generation, &convert::time(now)),
        access: span(policy),
        endpoints: Some(EndpointCounts { matched: i64::try_from(matched).unwrap_or(i64::MAX) }),
        signed: context.sign(previous, policy.compile(), &fleet, now)?,
    })
}

fn invalid(object: &JitPolicy, error: &ConvertError, now: Instant) -> JitPolicyStatus {
    let message = format!("{error}; the last version that was right stays in force");
    let stalled = Wanted {
        type_: condition::STALLED,
        status: Some(true),
        reason: "Invalid".to_owned(),
        message: "it stays so until the policy is changed".to_owned(),
    };
    let wanted = vec![ready(false, "Invalid", message), stalled];
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = object.metadata.generation;
    status.conditions = convert::merge(conditions_of(object), wanted, object.metadata.generation, &convert::time(now));
    status
}

fn ready(status: bool, reason: &str, message: String) -> Wanted {
    Wanted { type_: condition::READY, status: Some(status), reason: reason.to_owned(), message }
}

fn conditions_of(object: &JitPolicy) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
    object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// The span of a right granted ahead.
fn span(policy: &Policy) -> Option<AccessSpan> {
    match &policy.rules.access {
        Access::Window { window } => {
            Some(AccessSpan { start_time: convert::time(window.start), end_time: convert::time(window.end) })
        }
        Access::OnRequest { .. } => None,
    }
}
