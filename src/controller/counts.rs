//! Numbers of requests in the statuses of policies and fleets. Requests change often, so a change of a number by itself makes no pass:
//! every few seconds the objects whose numbers are not right any more are looked at.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, RequestCounts};
use tidegate_core::state::State;

use super::{Guarded, read};

/// How old a number can get.
const EVERY: Duration = Duration::from_secs(5);

/// Numbers of requests by namespace and policy; those of a whole namespace under an empty name.
type Numbers = HashMap<(String, String), RequestCounts>;

/// Policies whose numbers are not right, looked for every few seconds.
pub fn of_policies(
    requests: Store<Guarded<ElevationRequest>>,
    policies: Store<Guarded<JitPolicy>>,
) -> BoxStream<'static, ObjectRef<Guarded<JitPolicy>>> {
    let shown = |policy: &JitPolicy| (policy.name_any(), policy.status.as_ref().and_then(|status| status.requests));
    differing(requests, policies, shown)
}

/// Fleets likewise.
pub fn of_fleets(
    requests: Store<Guarded<ElevationRequest>>,
    fleets: Store<Guarded<Fleet>>,
) -> BoxStream<'static, ObjectRef<Guarded<Fleet>>> {
    let shown = |fleet: &Fleet| (String::new(), fleet.status.as_ref().and_then(|status| status.requests));
    differing(requests, fleets, shown)
}

fn differing<K>(
    requests: Store<Guarded<ElevationRequest>>,
    objects: Store<Guarded<K>>,
    shown: impl Fn(&K) -> (String, Option<RequestCounts>) + Send + Copy + 'static,
) -> BoxStream<'static, ObjectRef<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let ticks = stream::unfold((), |()| async { Some((tokio::time::sleep(EVERY).await, ())) });
    let looked = move |()| {
        let numbers = count(&requests.state());
        let wrong = |object: &Arc<Guarded<K>>| {
            let Ok(object) = read(object) else { return false };
            let (name, shown) = shown(object);
            let key = (object.meta().namespace.clone().unwrap_or_default(), name);
            shown.is_some_and(|shown| shown != numbers.get(&key).copied().unwrap_or_default())
        };
        let wrong: Vec<_> =
            objects.state().iter().filter(|object| wrong(object)).map(|o| ObjectRef::from_obj(o.as_ref())).collect();
        stream::iter(wrong)
    };
    ticks.flat_map(looked).boxed()
}

/// Counts one request.
pub fn add(counts: &mut RequestCounts, request: &ElevationRequest) {
    let state = request.status.as_ref().and_then(|status| status.state.as_deref());
    counts.pending += i64::from(state == Some(State::Pending.as_str()));
    counts.active += i64::from(state == Some(State::Active.as_str()));
}

fn count(requests: &[Arc<Guarded<ElevationRequest>>]) -> Numbers {
    let mut numbers = Numbers::new();
    for request in requests.iter().filter_map(|request| read(request).ok()) {
        let namespace = request.namespace().unwrap_or_default();
        for name in [request.spec.policy_name.clone(), String::new()] {
            add(numbers.entry((namespace.clone(), name)).or_default(), request);
        }
    }
    numbers
}
