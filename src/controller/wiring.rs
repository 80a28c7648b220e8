//! Which change makes which pass run: the watches of all kinds, what listens to which, and the loop that runs a kind's passes.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream, SelectAll, select_all};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, applier, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidegate_api::names::{SIGNER_NAME, condition};
use tidegate_api::{ElevationRequest, JitPolicy, ManagedEndpoint};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::Error;
use super::watch::Watch;
use super::{Context, Guarded, certificate, endpoint, policy, request};
use crate::clock;
use crate::metrics::{Kind, Outcome};
use crate::runtime::{Readiness, WatchRetry, watch_config};

/// Passes at the same time, per kind.
const CONCURRENCY: u16 = 8;

/// What makes the passes of a kind run: names of its objects.
type Triggers<K> = SelectAll<BoxStream<'static, ObjectRef<K>>>;

/// One kind's cache and what triggers its passes.
pub struct Wire<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// The cache.
    pub store: Store<K>,
    triggers: Triggers<K>,
}

/// The kinds with passes, before they run.
pub struct Wiring {
    /// JitPolicies.
    pub policies: Wire<Guarded<JitPolicy>>,
    requests: Wire<Guarded<ElevationRequest>>,
    /// ManagedEndpoints.
    pub endpoints: Wire<Guarded<ManagedEndpoint>>,
    /// CertificateSigningRequests of our signer.
    pub certificates: Wire<CertificateSigningRequest>,
    /// Namespaces have no passes.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

impl Wiring {
    /// Starts the watches. A changed endpoint may be reached by other policies; a changed policy or endpoint may change a request;
    /// a certificate is told by its endpoint.
    #[must_use]
    pub fn new(watches: &Watches<'_>) -> Self {
        let mut policies = Watch::<Guarded<JitPolicy>>::new();
        let mut requests = Watch::<Guarded<ElevationRequest>>::new();
        let mut endpoints = Watch::<Guarded<ManagedEndpoint>>::new();
        let mut certificates = Watch::<CertificateSigningRequest>::new();
        let namespaces = Watch::<PartialObjectMeta<Namespace>>::new();
        let all = policies.store();
        let reaching = move |e: &Guarded<ManagedEndpoint>| in_namespace(&all, e, |_| true);
        let all = requests.store();
        let under =
            move |p: &Guarded<JitPolicy>| in_namespace(&all, p, |r| is_open(r) && r.spec.policy_name == p.name_any());
        let all = requests.store();
        let on = move |e: &Guarded<ManagedEndpoint>| {
            in_namespace(&all, e, |r| is_open(r) && r.spec.endpoint_name == e.name_any())
        };
        let wiring = Self {
            policies: Wire::new(policies.store(), [itself(&mut policies), others(&mut endpoints, reaching)]),
            requests: Wire::new(
                requests.store(),
                [itself(&mut requests), others(&mut policies, under), others(&mut endpoints, on)],
            ),
            endpoints: Wire::new(
                endpoints.store(),
                [
                    itself(&mut endpoints),
                    others(&mut certificates, |csr| certificate::endpoint_of(csr).into_iter().collect()),
                ],
            ),
            certificates: Wire::new(certificates.store(), [itself(&mut certificates)]),
            namespaces: namespaces.store(),
        };
        watches.start(policies, watch_config());
        watches.start(requests, watch_config());
        watches.start(endpoints, watch_config());
        watches.start(certificates, watch_config().fields(&format!("spec.signerName={SIGNER_NAME}")));
        watches.start(namespaces, watch_config());
        wiring
    }

    /// Runs the passes of all kinds until told to stop.
    pub fn run(self, context: &Arc<Context>, tasks: &TaskTracker, stop: &CancellationToken) {
        let requests = self.requests.also(context.guard.changes());
        tasks.spawn(vital(stop, self.policies.drive(policy::reconcile, Kind::Policy, context, stop)));
        tasks.spawn(vital(stop, requests.drive(request::reconcile, Kind::Request, context, stop)));
        tasks.spawn(vital(stop, self.endpoints.drive(endpoint::reconcile, Kind::Endpoint, context, stop)));
        tasks.spawn(vital(stop, self.certificates.drive(certificate::reconcile, Kind::Certificate, context, stop)));
    }
}

/// What a watch needs to run.
pub struct Watches<'a> {
    /// Reads.
    pub client: &'a Client,
    /// Learns which kind is complete.
    pub readiness: &'a Arc<Readiness>,
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
        let events = watcher(Api::<K>::all(self.client.clone()), config).backoff(WatchRetry::default());
        let running = watch.run(events, Arc::clone(self.readiness));
        let stop = self.stop.clone();
        self.tasks.spawn(vital(self.stop, async move {
            stop.run_until_cancelled(running).await;
        }));
    }
}

/// A task without which the process must not go on: when it ends, by a panic too, everything stops and the process is started anew.
pub fn vital<F>(stop: &CancellationToken, task: F) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = ()> + Send,
{
    let stops = stop.clone().drop_guard();
    async move {
        let _stops = stops;
        task.await;
    }
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

/// References to the objects in the namespace of `other` that parse and fit.
fn in_namespace<K>(
    store: &Store<Guarded<K>>,
    other: &impl ResourceExt,
    fits: impl Fn(&K) -> bool,
) -> Vec<ObjectRef<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let namespace = other.namespace();
    let chosen = store.state_filter(|guard| guard.namespace() == namespace && guard.0.as_ref().is_ok_and(&fits));
    chosen.iter().map(|guard| ObjectRef::from_obj(guard.as_ref())).collect()
}

/// What is over is no longer touched by what it referred to.
fn is_open(request: &ElevationRequest) -> bool {
    let finished = |c: &Condition| c.type_ == condition::FINISHED && c.status == "True";
    !request.status.as_ref().is_some_and(|status| status.conditions.iter().any(finished))
}

// === impl Wire ===

impl<K> Wire<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    fn new<const N: usize>(store: Store<K>, triggers: [BoxStream<'static, ObjectRef<K>>; N]) -> Self {
        Self { store, triggers: select_all(triggers) }
    }

    /// Every object, at each of these ticks too.
    fn also(mut self, ticks: BoxStream<'static, ()>) -> Self {
        let store = self.store.clone();
        let all = ticks.flat_map(move |()| {
            let all = store.state();
            stream::iter(all.into_iter().map(|object| ObjectRef::from_obj(object.as_ref())))
        });
        self.triggers.push(all.boxed());
        self
    }

    /// Runs the passes until told to stop, then those that have begun to their end, measuring each.
    fn drive<F, R>(
        self,
        reconcile: F,
        kind: Kind,
        context: &Arc<Context>,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<K, F, R>
    where
        F: Fn(Arc<K>, Arc<Context>) -> R + Send + 'static,
        R: Future<Output = Result<Action, Error>> + Send + 'static,
    {
        let measured = move |object: Arc<K>, context: Arc<Context>| {
            let pass = reconcile(object, Arc::clone(&context));
            Box::pin(async move {
                let started = clock::monotonic();
                let result = pass.await;
                let outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Error };
                context.metrics.reconciled(kind, outcome, clock::monotonic().saturating_sub(started));
                result
            })
        };
        let on_error = move |object: Arc<K>, error: &Error, _: Arc<Context>| {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            if error.is_conflict() {
                tracing::debug!(?kind, namespace, name, %error, "changed meanwhile; looking again");
            } else {
                tracing::warn!(?kind, namespace, name, %error, "could not judge; nothing was changed");
            }
            error.retry()
        };
        let queue = self.triggers.map(Ok::<_, Infallible>).take_until(stop.clone().cancelled_owned());
        let config = Config::default().concurrency(CONCURRENCY);
        // What is gone from the cache needs no pass, and what went wrong in one has been told.
        applier(measured, on_error, Arc::clone(context), self.store, queue, config).for_each(|_| ready(()))
    }
}
