//! JitPolicy: fetch, parse, compile, sign, apply. A generation that does not compile keeps the last good signed part.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api::names::condition;
use tidegate_api::{AccessSpan, EndpointCounts, JitPolicy, JitPolicyStatus};
use tidegate_core::endpoint::Endpoint;
use tidegate_core::interval::Instant;
use tidegate_core::policy::Policy;

use super::error::Error;
use super::{Context, Guarded, apply, read, requeue};
use crate::clock;
use crate::convert::{self, ConvertError, Wanted};

/// What a part's header takes at most, in bytes, beside the policy itself.
const HEADER: usize = 1024;

/// One pass over a policy.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<JitPolicy>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let now = clock::now();
    let (status, wake) = match convert::policy(object) {
        Ok(policy) => {
            let wake = policy.wake(now);
            match compiled(object, policy, &context, now).await {
                Err(error @ Error::Sign(_)) => {
                    let status = with_conditions(object, unsigned(&error), now);
                    apply::status_if_changed(&context.client, object, status).await?;
                    return Err(error);
                }
                judged => (judged?, wake),
            }
        }
        Err(error) => (stuck(object, "Invalid", &error.to_string(), now), None),
    };
    apply::status_if_changed(&context.client, object, status).await?;
    Ok(requeue(wake))
}

/// A policy that people can ask under: it parses, and what it compiles to can be sent to an endpoint.
///
/// # Errors
/// Why it is not ready.
pub fn ready_to_ask(object: &JitPolicy) -> Result<Policy, ConvertError> {
    let policy = convert::policy(object)?;
    match too_large(&policy) {
        None => Ok(policy),
        Some(message) => Err(ConvertError::new("spec", message)),
    }
}

fn too_large(policy: &Policy) -> Option<String> {
    let body = policy.compile();
    let bytes = serde_json::to_vec(&body).map_or(usize::MAX, |json| json.len().saturating_add(HEADER));
    body.too_large(bytes)
}

async fn compiled(
    object: &JitPolicy,
    policy: Policy,
    context: &Context,
    now: Instant,
) -> Result<JitPolicyStatus, Error> {
    if let Some(message) = too_large(&policy) {
        return Ok(stuck(object, "TooLarge", &message, now));
    }
    let body = policy.compile();
    let policy = Policy { suspended: policy.suspended || context.suspended, ..policy };
    let namespace = object.namespace();
    let fleet = context.fleet(namespace.as_deref().unwrap_or_default()).await?;
    let previous = object.status.as_ref().and_then(|status| status.signed.clone());
    let endpoints = super::in_fleet(&context.endpoints, namespace.as_deref());
    let endpoints: Vec<Endpoint> =
        endpoints.iter().filter_map(|endpoint| convert::endpoint(read(endpoint).ok()?).ok()).collect();
    let reach = policy.reach(&endpoints);
    let (standing, message) = policy.standing(reach, now);
    let ready = vec![ready(true, standing.as_str(), message)];
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let name = object.name_any();
    let span = policy.rules.access.span(now);
    Ok(JitPolicyStatus {
        observed_generation: object.metadata.generation,
        conditions: convert::merge(conditions_of(object), ready, object.metadata.generation, &convert::time(now)),
        access: span
            .map(|span| AccessSpan { start_time: convert::time(span.start), end_time: convert::time(span.end) }),
        endpoints: Some(EndpointCounts { matched: count(reach.matched), withheld: count(reach.withheld) }),
        requests: Some(context.counts(namespace, |request| request.spec.policy_name == name)),
        signed: context.sign(previous, body, &fleet, now)?,
    })
}

/// The generation cannot be used; what was signed last stays in force.
fn stuck(object: &JitPolicy, reason: &'static str, message: &str, now: Instant) -> JitPolicyStatus {
    let kept = object.status.as_ref().is_some_and(|status| status.signed.is_some());
    let stays = if kept { "the last version that was right stays in force" } else { "nothing is in force" };
    with_conditions(
        object,
        vec![ready(false, reason, format!("{message}; {stays}")), stalled(reason, "the policy")],
        now,
    )
}

/// What is recorded, with these conditions.
fn with_conditions(object: &JitPolicy, wanted: Vec<Wanted>, now: Instant) -> JitPolicyStatus {
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = object.metadata.generation;
    status.conditions = convert::merge(conditions_of(object), wanted, object.metadata.generation, &convert::time(now));
    status
}

/// Nothing gets better until somebody changes the object.
pub(super) fn stalled(reason: &str, what: &str) -> Wanted {
    Wanted {
        type_: condition::STALLED,
        status: Some(true),
        reason: reason.to_owned(),
        message: format!("it stays so until {what} is changed"),
    }
}

/// What was signed last stays in force; it is tried again by itself.
pub(super) fn unsigned(error: &Error) -> Vec<Wanted> {
    const REASON: &str = "SigningUnavailable";
    let again = "what was signed last stays in force, and it is tried again".to_owned();
    let reconciling =
        Wanted { type_: condition::RECONCILING, status: Some(true), reason: REASON.to_owned(), message: again };
    vec![ready(false, REASON, error.to_string()), reconciling]
}

/// The `Ready` condition of a kind that has one.
pub(super) fn ready(status: bool, reason: &str, message: String) -> Wanted {
    Wanted { type_: condition::READY, status: Some(status), reason: reason.to_owned(), message }
}

fn conditions_of(object: &JitPolicy) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
    object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}
