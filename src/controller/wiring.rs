//! Which change makes which pass run: the watches of all kinds, what listens to which, and the loop that runs a kind's passes.

mod wire;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidegate_api::names::{FLEET, SIGNER_NAME};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, Lock, ManagedEndpoint};
use tidegate_core::state::State;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::wire::Wire;
use super::index::{Index, Other};
use super::timekeeper::Timekeeper;
use super::turns::Turn;
use super::watch::Watch;
use super::{Context, Guarded, certificate, counts, endpoint, fleet, lock, policy, request};
use crate::convert;
use crate::metrics::Kind;
use crate::runtime::{Readiness, vital, watch_anew, watch_config};

/// The kinds with passes, before they run.
pub struct Wiring {
    /// JitPolicies.
    pub policies: Wire<Guarded<JitPolicy>>,
    /// ElevationRequests.
    pub requests: Wire<Guarded<ElevationRequest>>,
    /// ManagedEndpoints.
    pub endpoints: Wire<Guarded<ManagedEndpoint>>,
    /// Fleets.
    pub fleets: Wire<Guarded<Fleet>>,
    /// Locks.
    pub locks: Wire<Guarded<Lock>>,
    /// CertificateSigningRequests of our signer.
    pub certificates: Wire<CertificateSigningRequest>,
    /// They, by the endpoint that they name.
    pub certified: Index<CertificateSigningRequest>,
    gone: BoxStream<'static, Arc<Guarded<ElevationRequest>>>,
    /// Namespaces have no passes.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// The watches of our kinds, while what listens to them is put together.
struct Kinds {
    policies: Watch<Guarded<JitPolicy>>,
    requests: Watch<Guarded<ElevationRequest>>,
    endpoints: Watch<Guarded<ManagedEndpoint>>,
    fleets: Watch<Guarded<Fleet>>,
    locks: Watch<Guarded<Lock>>,
    certificates: Watch<CertificateSigningRequest>,
}

impl Wiring {
    /// Starts the watches.
    #[must_use]
    pub fn new(watches: &Watches<'_>) -> Self {
        let mut kinds = Kinds {
            policies: Watch::new(),
            requests: Watch::new(),
            endpoints: Watch::new(),
            fleets: Watch::new(),
            locks: Watch::new(),
            certificates: Watch::new(),
        };
        let namespaces = Watch::<PartialObjectMeta<Namespace>>::new();
        let wiring = Self {
            policies: kinds.wire_policies(),
            requests: kinds.wire_requests(),
            endpoints: kinds.wire_endpoints(),
            fleets: kinds.wire_fleets(),
            locks: kinds.wire_locks(),
            certificates: Wire::new(kinds.certificates.store(), [itself(&mut kinds.certificates)]),
            certified: kinds.certificates.index(certified_endpoint),
            gone: kinds.requests.touched().boxed(),
            namespaces: namespaces.store(),
        };
        let Kinds { policies, requests, endpoints, fleets, locks, certificates } = kinds;
        watches.start(policies, watch_config());
        watches.start(requests, watch_config());
        watches.start(endpoints, watch_config());
        watches.start(fleets, watch_config());
        watches.start(locks, watch_config());
        watches.start(certificates, watch_config().fields(&format!("spec.signerName={SIGNER_NAME}")));
        watches.start(namespaces, watch_config());
        wiring
    }

    /// Keeps the caches, and forgets what would make passes run: whoever leads next looks at everything first.
    pub async fn stand_by(&mut self) -> Infallible {
        tokio::join!(
            ignore(&mut self.policies.triggers),
            ignore(&mut self.requests.triggers),
            ignore(&mut self.endpoints.triggers),
            ignore(&mut self.fleets.triggers),
            ignore(&mut self.locks.triggers),
            ignore(&mut self.certificates.triggers),
            ignore(&mut self.gone),
        )
        .0
    }

    /// Runs the passes of all kinds until told to stop: over every object once, and again when the clocks call for it.
    pub fn run(self, context: &Arc<Context>, clocks: &Timekeeper, tasks: &TaskTracker, stop: &CancellationToken) {
        let requests = self.requests.also(context.guard.changes()).also(clocks.ticks()).all_once().in_turns(turn_of);
        let policies = self.policies.also(clocks.ticks()).all_once();
        let endpoints = self.endpoints.also(clocks.ticks()).all_once();
        let fleets = self.fleets.also(clocks.ticks()).all_once();
        let locks = self.locks.also(clocks.ticks()).all_once();
        let certificates = self.certificates.also(clocks.ticks()).all_once();
        tasks.spawn(vital(stop, policies.drive(policy::reconcile, Kind::Policy, context, stop)));
        tasks.spawn(vital(stop, requests.drive(request::reconcile, Kind::Request, context, stop)));
        tasks.spawn(vital(stop, endpoints.drive(endpoint::reconcile, Kind::Endpoint, context, stop)));
        tasks.spawn(vital(stop, fleets.drive(fleet::reconcile, Kind::Fleet, context, stop)));
        tasks.spawn(vital(stop, locks.drive(lock::reconcile, Kind::Lock, context, stop)));
        tasks.spawn(vital(stop, certificates.drive(certificate::reconcile, Kind::Certificate, context, stop)));
        tasks.spawn(vital(stop, forget(self.gone, Arc::clone(context), stop.clone())));
    }
}

impl Kinds {
    /// Which endpoints a policy reaches is in its status; so are numbers of its requests.
    fn wire_policies(&mut self) -> Wire<Guarded<JitPolicy>> {
        let all = self.policies.store();
        let reaching = move |e: &Guarded<ManagedEndpoint>| in_namespace(&all, e, |_| true);
        let numbers = counts::of_policies(self.requests.store(), self.policies.store());
        let triggers = [itself(&mut self.policies), others_on(&mut self.endpoints, reach_of, reaching), numbers];
        Wire::new(self.policies.store(), triggers)
    }

    /// A changed policy or endpoint may change a request; so may the fleet and its Locks.
    fn wire_requests(&mut self) -> Wire<Guarded<ElevationRequest>> {
        let all = self.requests.store();
        let under =
            move |p: &Guarded<JitPolicy>| in_namespace(&all, p, |r| is_open(r) && r.spec.policy_name == p.name_any());
        // Endpoints are as many as requests, and say much.
        let on = self.requests.index(awaited_endpoint);
        let on = move |e: &Guarded<ManagedEndpoint>| on.of(e);
        let all = self.requests.store();
        let stopped = move |l: &Guarded<Lock>| in_namespace(&all, l, is_open);
        let all = self.requests.store();
        let waiting = move |f: &Guarded<Fleet>| in_namespace(&all, f, awaits_fleet);
        let triggers = [
            itself(&mut self.requests),
            others_on(&mut self.policies, signed_policy, under),
            others(&mut self.endpoints, on),
            others_on(&mut self.locks, spec_of, stopped),
            others_on(&mut self.fleets, signed_fleet, waiting),
        ];
        Wire::new(self.requests.store(), triggers)
    }

    /// A certificate is told by its endpoint; the fleet says who its accounts are, Locks whether they are stopped.
    fn wire_endpoints(&mut self) -> Wire<Guarded<ManagedEndpoint>> {
        let all = self.endpoints.store();
        let mapped = move |f: &Guarded<Fleet>| in_namespace(&all, f, |_| true);
        let certified = |csr: &CertificateSigningRequest| certificate::endpoint_of(csr).into_iter().collect();
        let all = self.endpoints.store();
        let locked = move |l: &Guarded<Lock>| in_namespace(&all, l, |_| true);
        let triggers = [
            itself(&mut self.endpoints),
            others(&mut self.certificates, certified),
            others_on(&mut self.fleets, spec_of, mapped),
            others_on(&mut self.locks, spec_of, locked),
        ];
        Wire::new(self.endpoints.store(), triggers)
    }

    /// The fleet part names policies, Locks, whom they stop where, and what ended before its time.
    fn wire_fleets(&mut self) -> Wire<Guarded<Fleet>> {
        let numbers = counts::of_fleets(self.requests.store(), self.fleets.store());
        let ended = |request: &Guarded<ElevationRequest>| {
            let early = request.0.as_ref().is_ok_and(|request| is_in(request, &[State::Revoked, State::Ended]));
            if early { fleet_of(request) } else { Vec::new() }
        };
        let triggers = [
            itself(&mut self.fleets),
            others_on(&mut self.policies, signed_policy, fleet_of),
            others_on(&mut self.endpoints, reach_of, fleet_of),
            others_on(&mut self.locks, spec_of, fleet_of),
            others(&mut self.requests, ended),
            numbers,
        ];
        Wire::new(self.fleets.store(), triggers)
    }

    /// A Lock counts what it has ended.
    fn wire_locks(&mut self) -> Wire<Guarded<Lock>> {
        let all = self.locks.store();
        let counting = move |request: &Guarded<ElevationRequest>| {
            let revoked = request.0.as_ref().is_ok_and(|request| is_in(request, &[State::Revoked]));
            if revoked { in_namespace(&all, request, |_| true) } else { Vec::new() }
        };
        let triggers = [itself(&mut self.locks), others(&mut self.requests, counting)];
        Wire::new(self.locks.store(), triggers)
    }
}

/// Takes what comes and does nothing about it, for ever.
async fn ignore(stream: &mut (impl Stream + Unpin)) -> Infallible {
    while stream.next().await.is_some() {}
    pending().await
}

/// Requests that are gone leave the ledger.
async fn forget(
    mut touched: BoxStream<'static, Arc<Guarded<ElevationRequest>>>,
    context: Arc<Context>,
    stop: CancellationToken,
) {
    while let Some(Some(object)) = stop.run_until_cancelled(touched.next()).await {
        // Another one may have its name by now.
        let there = context.requests.get(&ObjectRef::from_obj(object.as_ref())).and_then(|object| object.uid());
        if let Some(uid) = object.uid().filter(|uid| there.as_ref() != Some(uid)).and_then(|uid| uid.parse().ok()) {
            context.ledgers.forget(&object.namespace().unwrap_or_default(), &uid);
        }
    }
}

/// What a watch needs to run.
pub struct Watches<'a> {
    /// Reads.
    pub client: &'a Client,
    /// Learns which kind is complete.
    pub readiness: &'a Arc<Readiness>,
    /// How often each begins anew.
    pub relist: Duration,
    /// Runs them.
    pub tasks: &'a TaskTracker,
    /// Ends them.
    pub stop: &'a CancellationToken,
}

impl Watches<'_> {
    fn start<K>(&self, watch: Watch<K>, config: watcher::Config)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let events = watch_anew(Api::<K>::all(self.client.clone()), config, self.relist).modify(prune);
        let running = watch.run(events, Arc::clone(self.readiness));
        let stop = self.stop.clone();
        self.tasks.spawn(vital(self.stop, async move {
            stop.run_until_cancelled(running).await;
        }));
    }
}

/// A tick for each new value, at least one for several in a row.
pub fn changes<T: Send + Sync + 'static>(value: watch::Receiver<T>) -> BoxStream<'static, ()> {
    stream::unfold(value, |mut value| async { value.changed().await.ok().map(|()| ((), value)) }).boxed()
}

/// Who wrote which field is a third of a stored object, and nothing here reads it. Left out of a PUT, the API server keeps it.
fn prune(object: &mut impl Resource) {
    object.meta_mut().managed_fields = None;
}

fn itself<K>(watch: &mut Watch<K>) -> BoxStream<'static, ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    watch.touched().map(|object| ObjectRef::from_obj(object.as_ref())).boxed()
}

fn others<K, O>(
    watch: &mut Watch<O>,
    affected: impl Fn(&O) -> Vec<ObjectRef<K>> + Send + 'static,
) -> BoxStream<'static, ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + 'static,
    O: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    watch.touched().flat_map(move |object| stream::iter(affected(&object))).boxed()
}

/// Likewise, but only where what `what` says of the object has changed, or the object is new or gone: a status that somebody writes
/// often must not make passes over everything.
fn others_on<K, O, D>(
    watch: &mut Watch<O>,
    what: impl Fn(&O) -> D + Send + 'static,
    affected: impl Fn(&O) -> Vec<ObjectRef<K>> + Send + 'static,
) -> BoxStream<'static, ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + 'static,
    O: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    D: PartialEq + Send + 'static,
{
    let (store, mut seen) = (watch.store(), HashMap::new());
    let changed = move |object: &Arc<O>| {
        let reference = ObjectRef::from_obj(object.as_ref());
        if store.get(&reference).is_none() {
            seen.remove(&reference);
            return true;
        }
        let now = what(object);
        let differs = seen.get(&reference) != Some(&now);
        seen.insert(reference, now);
        differs
    };
    let mut changed = changed;
    watch
        .touched()
        .flat_map(move |object| stream::iter(if changed(&object) { affected(&object) } else { Vec::new() }))
        .boxed()
}

/// Whose turn a pass over a request takes: the person's who asked, so that nobody waits for somebody else's many wishes; where somebody
/// asks on behalf of others, such as a help desk, theirs for whom it is, as in what is counted. What is
/// granted waits for no wish at all: its end must not. What is over has few places, whosever it was: when many end at once, their ends
/// come before what is left to do on those that have ended.
fn turn_of(object: &Guarded<ElevationRequest>) -> Turn {
    let namespace = object.namespace().unwrap_or_default();
    let Ok(request) = &object.0 else { return Turn { whose: namespace, places: 1 } };
    let spec = &request.spec;
    let requester = if spec.on_behalf {
        format!("{} on {}", spec.account, spec.endpoint_name)
    } else {
        spec.requester.clone().unwrap_or_default()
    };
    if is_in(request, &[State::Active, State::Scheduled]) {
        Turn { whose: format!("{namespace} granted to {requester}"), places: 2 }
    } else if is_open(request) {
        // One after the other: a person seldom has more than one, and who asks without end slows all others down by what is done for
        // them at the same time.
        Turn { whose: format!("{namespace} by {requester}"), places: 1 }
    } else {
        Turn { whose: "over".to_owned(), places: 2 }
    }
}

/// Its spec, by uid and generation, and whether it is on its way out.
fn spec_of(object: &impl ResourceExt) -> (Option<String>, Option<i64>, bool) {
    let meta = object.meta();
    (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some())
}

/// What policies ask of an endpoint: its spec, its labels, and what its agent is.
fn reach_of(object: &Guarded<ManagedEndpoint>) -> impl PartialEq + Send + use<> {
    let agent = object.0.as_ref().ok().and_then(|endpoint| endpoint.status.as_ref()?.agent.clone());
    (spec_of(object), object.labels().clone(), agent)
}

/// The spec, and what was signed for it.
fn signed_policy(object: &Guarded<JitPolicy>) -> impl PartialEq + Send + use<> {
    let signed = object.0.as_ref().ok().and_then(|policy| policy.status.as_ref()?.signed.as_ref());
    (spec_of(object), signed.map(|signed| signed.digest.clone()))
}

/// Likewise.
fn signed_fleet(object: &Guarded<Fleet>) -> impl PartialEq + Send + use<> {
    let signed = object.0.as_ref().ok().and_then(|fleet| fleet.status.as_ref()?.signed.as_ref());
    (spec_of(object), signed.map(|signed| signed.digest.clone()))
}

/// References to the objects in the namespace of `other` that parse and fit.
fn in_namespace<K>(
    store: &Store<Guarded<K>>,
    other: &impl ResourceExt,
    fits: impl Fn(&K) -> bool,
) -> Vec<ObjectRef<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let namespace = other.meta().namespace.as_deref();
    let chosen =
        store.state_filter(|guard| guard.meta().namespace.as_deref() == namespace && guard.0.as_ref().is_ok_and(&fits));
    chosen.iter().map(|guard| ObjectRef::from_obj(guard.as_ref())).collect()
}

/// What is over is no longer touched by what it referred to.
fn is_open(request: &ElevationRequest) -> bool {
    convert::finished_at(request).is_none()
}

/// Its grant ended here, and the endpoint has not confirmed it.
fn awaits_end(request: &ElevationRequest) -> bool {
    let endpoint = request.status.as_ref().and_then(|status| status.endpoint.as_ref());
    endpoint.is_some_and(|endpoint| endpoint.applied_time.is_some() && endpoint.ended_time.is_none())
}

/// The endpoint whose changes may change it.
fn awaited_endpoint(request: &Guarded<ElevationRequest>) -> Option<Other> {
    let request = request.0.as_ref().ok()?;
    let endpoint = (request.namespace().unwrap_or_default(), request.spec.endpoint_name.clone());
    (is_open(request) || awaits_end(request)).then_some(endpoint)
}

/// The endpoint that it names.
fn certified_endpoint(csr: &CertificateSigningRequest) -> Option<Other> {
    let endpoint = certificate::endpoint_of(csr)?;
    Some((endpoint.namespace?, endpoint.name))
}

/// It needs a newer fleet part: for its grant, for its judgement, or to be let go.
fn awaits_fleet(request: &ElevationRequest) -> bool {
    if is_open(request) { !is_in(request, &[State::Active]) } else { convert::is_kept(request) }
}

fn is_in(request: &ElevationRequest, states: &[State]) -> bool {
    let state = request.status.as_ref().and_then(|status| status.state.as_deref());
    states.iter().any(|known| state == Some(known.as_str()))
}

/// The Fleet of an object's namespace.
fn fleet_of(object: &impl ResourceExt) -> Vec<ObjectRef<Guarded<Fleet>>> {
    object.namespace().map(|namespace| ObjectRef::new(FLEET).within(&namespace)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;

    use futures::channel::mpsc;
    use futures::poll;
    use kube::runtime::controller::Action;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};
    use tokio::time::timeout;

    use super::*;
    use crate::controller::tests::scenario::scenario;

    #[tokio::test(start_paused = true)]
    async fn what_goes_between_its_turn_and_its_pass_gives_its_place_back() {
        let (mut cache, (ask, asked), (tell, mut told)) = (Writer::default(), mpsc::unbounded(), mpsc::unbounded());
        let wire = Wire::new(cache.as_reader(), [asked.boxed()]);
        let in_turns = wire.in_turns(|_| Turn { whose: "everybody".to_owned(), places: 1 });
        let pass = move |object: Arc<Guarded<ElevationRequest>>, _| {
            tell.unbounded_send(object.name_any()).unwrap();
            ready(Ok(Action::await_change()))
        };
        let (context, stop) = (scenario(None, &[]).context, CancellationToken::new());
        let mut passes = pin!(in_turns.drive(pass, Kind::Request, &context, &stop));
        let asked_for = request(None, false);
        let reference = ObjectRef::from_obj(&asked_for);
        cache.apply_watcher_event(&Event::Apply(asked_for.clone()));
        ask.unbounded_send(reference.clone()).unwrap();
        assert!(poll!(&mut passes).is_pending());
        assert!(told.try_recv().is_err(), "no pass begins before a list is complete");
        [Event::Init, Event::InitDone].iter().for_each(|empty| cache.apply_watcher_event(empty));
        timeout(Duration::from_secs(1), &mut passes).await.unwrap_err();
        assert!(told.try_recv().is_err(), "there is nothing to pass over");
        cache.apply_watcher_event(&Event::Apply(asked_for));
        ask.unbounded_send(reference).unwrap();
        timeout(Duration::from_secs(1), &mut passes).await.unwrap_err();
        assert_eq!(told.try_recv().unwrap(), "er", "one made anew under its name has its turn");
    }

    fn request(state: Option<&str>, finished: bool) -> Guarded<ElevationRequest> {
        let conditions = json!([{
            "type": "Finished", "status": if finished { "True" } else { "False" }, "reason": "Any", "message": "",
            "lastTransitionTime": "2026-11-22T10:00:00Z",
        }]);
        let object: Value = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
            "metadata": {"name": "er", "namespace": "berlin"},
            "spec": {"policyName": "dev-tools", "endpointName": "ws-1", "account": "alice", "requester": "alice@corp"},
            "status": state.map(|state| json!({"state": state, "conditions": conditions})),
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn wishes_wait_by_person_what_is_granted_for_no_wish_and_what_is_over_for_all() {
        let turn = |state, finished| turn_of(&request(state, finished)).whose;
        assert_eq!([turn(None, false), turn(Some("Pending"), false)], ["berlin by alice@corp", "berlin by alice@corp"]);
        assert_eq!(
            [turn(Some("Scheduled"), false), turn(Some("Active"), false)],
            ["berlin granted to alice@corp", "berlin granted to alice@corp"]
        );
        assert_eq!([turn(Some("Expired"), true), turn(Some("Declined"), true)], ["over", "over"]);
    }

    #[test]
    fn an_endpoint_touches_what_is_open_on_it() {
        let endpoint = ("berlin".to_owned(), "ws-1".to_owned());
        assert_eq!(awaited_endpoint(&request(Some("Active"), false)), Some(endpoint));
        assert_eq!(awaited_endpoint(&request(Some("Expired"), true)), None, "no agent is to confirm anything");
    }
}
