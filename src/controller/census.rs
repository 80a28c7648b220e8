//! What there is now, counted over the caches when the metrics are scraped. The leader counts alone: the others have no passes and
//! report 0, so a sum over all of them is right.

use std::time::Duration;

use kube::runtime::reflector::Store;
use tidegate_api::names::condition;
use tidegate_api::{ElevationRequest, JitPolicy, Lock, ManagedEndpoint};
use tidegate_core::interval::Instant;
use tidegate_core::lock::Effect;
use tidegate_core::state::State;

use super::{Context, Guarded, read};
use crate::convert;
use crate::metrics::{Census, EndpointState, PolicyStanding, Word};

/// Later than this past its end an Active request is overdue: the promise is that status says Expired within 10 s.
const OVERDUE: Duration = Duration::from_secs(10);

/// Counts everything.
pub fn take(context: &Context, now: Instant) -> Census {
    let mut census = Census::default();
    each(&context.requests, |request| add_request(&mut census, request, now));
    each(&context.policies, |policy| *census.policies.entry(standing(policy)).or_default() += 1);
    each(&context.endpoints, |endpoint| *census.endpoints.entry(state(endpoint)).or_default() += 1);
    each(&context.locks, |lock| add_lock(&mut census, lock, now));
    census
}

/// Every object that parses.
fn each<K>(store: &Store<Guarded<K>>, mut look: impl FnMut(&K))
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    store.state().iter().filter_map(|object| read(object).ok()).for_each(&mut look);
}

fn add_request(census: &mut Census, request: &ElevationRequest, now: Instant) {
    let status = request.status.as_ref();
    let word = status.and_then(|status| status.state.as_deref());
    // Before the first judgement it has no state, and is in none.
    let Some(state) = State::ALL.into_iter().find(|state| word == Some(state.as_str())) else { return };
    *census.requests.entry(state).or_default() += 1;
    match state {
        State::Pending => {
            let created = request.metadata.creation_timestamp.as_ref().map(convert::instant);
            census.oldest_pending = census.oldest_pending.into_iter().chain(created).min();
        }
        State::Active => {
            let end = status.and_then(|status| status.expiration_time.as_ref()).map(convert::instant);
            census.overdue += i64::from(end.is_some_and(|end| end.plus(OVERDUE) < now));
        }
        State::Held
        | State::Declined
        | State::Denied
        | State::Withdrawn
        | State::TimedOut
        | State::Scheduled
        | State::Expired
        | State::Revoked
        | State::Ended => {}
    }
}

fn standing(policy: &JitPolicy) -> PolicyStanding {
    let judged = policy.status.as_ref().filter(|status| status.observed_generation == policy.metadata.generation);
    let ready = judged.and_then(|status| status.conditions.iter().find(|c| c.type_ == condition::READY));
    let reason = ready.and_then(|ready| PolicyStanding::ALL.iter().find(|standing| standing.word() == ready.reason));
    reason.copied().unwrap_or(PolicyStanding::NotJudged)
}

fn state(endpoint: &ManagedEndpoint) -> EndpointState {
    let status = endpoint.status.as_ref();
    let is = |type_: &str| {
        status.is_some_and(|status| status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True"))
    };
    if is(condition::LOCKED) {
        EndpointState::Locked
    } else if !is(condition::ENROLLED) {
        EndpointState::NotEnrolled
    } else if status.is_some_and(|status| status.rejected.is_some()) {
        EndpointState::Rejected
    } else {
        EndpointState::Enrolled
    }
}

fn add_lock(census: &mut Census, lock: &Lock, now: Instant) {
    let Ok(lock) = convert::lock(lock) else { return };
    if lock.is_in_force(now) {
        let (decline_new, end_access) = &mut census.locks;
        match lock.effect {
            Effect::DeclineNew => *decline_new += 1,
            Effect::EndAccess => *end_access += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Instant {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn request(state: Option<&str>, created: &str, end: Option<&str>) -> ElevationRequest {
        let mut status = json!({"state": state});
        if let Some(end) = end {
            status["expirationTime"] = json!(end);
        }
        serde_json::from_value(json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
            "metadata": {"name": "er", "namespace": "berlin", "creationTimestamp": created},
            "spec": {"policyName": "dev-tools", "endpointName": "ws-1", "account": "alice", "requester": "alice@corp"},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn requests_are_counted_by_state_the_oldest_that_waits_and_those_long_past_their_end() {
        let mut census = Census::default();
        for request in [
            request(None, "2026-11-01T00:00:00Z", None),
            request(Some("Pending"), "2026-11-22T09:30:00Z", None),
            request(Some("Pending"), "2026-11-22T09:10:00Z", None),
            request(Some("Declined"), "2026-11-21T00:00:00Z", None),
            request(Some("Active"), "2026-11-22T09:00:00Z", Some("2026-11-22T10:00:01Z")),
            request(Some("Active"), "2026-11-22T09:00:00Z", Some("2026-11-22T09:59:50Z")),
            request(Some("Active"), "2026-11-22T09:00:00Z", Some("2026-11-22T09:59:49Z")),
            request(Some("Expired"), "2026-11-22T09:00:00Z", Some("2026-11-22T09:30:00Z")),
        ] {
            add_request(&mut census, &request, now());
        }
        let counted: Vec<_> = census.requests.iter().map(|(state, count)| (state.as_str(), *count)).collect();
        assert_eq!(counted, [("Pending", 2), ("Declined", 1), ("Active", 3), ("Expired", 1)]);
        assert_eq!(census.oldest_pending, "2026-11-22T09:10:00Z".parse().ok());
        assert_eq!(census.overdue, 1, "10 s are allowed");
    }

    fn policy(status: Value) -> JitPolicy {
        serde_json::from_value(json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy",
            "metadata": {"name": "dev-tools", "namespace": "berlin", "generation": 2},
            "spec": {
                "targets": {"endpoints": {"selector": {}}, "accounts": {"everyone": true}},
                "elevation": {"mode": "AnyApplication"},
                "access": {"type": "OnRequest", "onRequest": {"duration": {"min": "1s"}}},
            },
            "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        let time = "2026-11-22T09:00:00Z";
        json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": time})
    }

    #[test]
    fn a_policy_stands_as_its_ready_condition_says_of_this_generation() {
        let says = |generation: i64, reason: &str| {
            policy(json!({"observedGeneration": generation, "conditions": [condition("Ready", "True", reason)]}))
        };
        assert_eq!(standing(&says(2, "NoEndpoints")), PolicyStanding::NoEndpoints);
        assert_eq!(standing(&says(2, "Invalid")), PolicyStanding::Invalid);
        assert_eq!(standing(&says(1, "Compiled")), PolicyStanding::NotJudged, "that was the one before");
        assert_eq!(standing(&policy(json!(null))), PolicyStanding::NotJudged);
    }

    #[test]
    fn of_an_endpoint_the_first_that_fits_is_said() {
        let with = |locked: &str, enrolled: &str, rejected: bool| -> ManagedEndpoint {
            let refused = json!({"digest": format!("sha256:{}", "0".repeat(64)), "code": "rollback", "message": "old"});
            let conditions = [condition("Locked", locked, "x"), condition("Enrolled", enrolled, "x")];
            let mut status = json!({"conditions": conditions});
            if rejected {
                status["rejected"] = refused;
            }
            serde_json::from_value(json!({
                "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
                "metadata": {"name": "ws-1", "namespace": "berlin"}, "spec": {}, "status": status,
            }))
            .unwrap()
        };
        assert_eq!(state(&with("True", "False", true)), EndpointState::Locked);
        assert_eq!(state(&with("False", "False", true)), EndpointState::NotEnrolled);
        assert_eq!(state(&with("False", "True", true)), EndpointState::Rejected);
        assert_eq!(state(&with("False", "True", false)), EndpointState::Enrolled);
    }

    #[test]
    fn a_lock_counts_while_it_is_in_force() {
        let mut census = Census::default();
        for (effect, expires) in [
            ("DeclineNew", None),
            ("EndAccess", Some("2026-11-22T11:00:00Z")),
            ("EndAccess", Some("2026-11-22T09:00:00Z")),
        ] {
            let mut spec = json!({"target": {}, "effect": effect, "message": "stop"});
            if let Some(expires) = expires {
                spec["expirationTime"] = json!(expires);
            }
            let object = json!({
                "apiVersion": "tidegate.dev/v1alpha1", "kind": "Lock",
                "metadata": {"name": "stop", "namespace": "berlin", "uid": "l-1"}, "spec": spec,
            });
            let lock: Lock = serde_json::from_value(object).unwrap();
            assert!(convert::lock(&lock).is_ok(), "{:?}", convert::lock(&lock).err());
            add_lock(&mut census, &lock, now());
        }
        assert_eq!(census.locks, (1, 1));
    }
}
