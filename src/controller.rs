//! The controller: watches the three kinds and CertificateSigningRequests, and wires each to its pass. Deciding is core's, every
//! write goes through `apply`, `certificate` and `keys`.

mod apply;
mod certificate;
mod endpoint;
mod error;
mod guard;
mod keys;
mod policy;
mod request;
#[cfg(test)]
mod tests;
mod watch;
mod wiring;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DeserializeGuard;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};
use tidegate_api::names::CONTROLLER;
use tidegate_api::{JitPolicy, ManagedEndpoint};
use tidegate_core::envelope::{Issuer, sign_if_changed};
use tidegate_core::interval::Instant;
use tidegate_core::name::{FleetName, FleetRef, Named};
use tidegate_core::part::Body;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::error::Error;
use self::guard::{AdmissionGuard, Watchman};
use self::keys::{KeyStore, Keys};
use self::wiring::{Watches, Wiring, vital};
use crate::args::ControllerArgs;
use crate::metrics::{ControllerMetrics, Metrics};
use crate::runtime::{self, Readiness, WatchRetry};
use crate::{clock, convert};

/// An object that may not parse: one bad object must not stop the list it is in.
type Guarded<K> = DeserializeGuard<K>;

/// The longest an object goes unlooked at. A timer is a hint; this is the net under it.
const LONGEST_REQUEUE: Duration = Duration::from_secs(300);
/// How often certificates and the trust bundle are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(3600);
/// The kinds whose watches make this process ready.
const WATCHED: [&str; 5] =
    ["jitpolicies", "elevationrequests", "managedendpoints", "certificatesigningrequests", "namespaces"];

/// What every pass has at hand.
struct Context {
    client: Client,
    keys: Keys,
    trust_domain: String,
    policies: Store<Guarded<JitPolicy>>,
    endpoints: Store<Guarded<ManagedEndpoint>>,
    certificates: Store<CertificateSigningRequest>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    recorder: Recorder,
    metrics: ControllerMetrics,
    guard: Arc<AdmissionGuard>,
}

/// Runs until told to stop.
///
/// # Errors
/// The cluster cannot be reached, or the keys are unusable.
pub async fn run(args: ControllerArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let hosts = args.gateway_hosts();
    let ControllerArgs { common, namespace, trust_domain, gateway_hostname: _ } = args;
    let readiness = Arc::new(Readiness::new(&WATCHED));
    let metrics = Arc::new(Metrics::new("controller")?);
    let controller_metrics = ControllerMetrics::new(&metrics)?;
    let tasks = TaskTracker::new();
    let admin = runtime::serve_admin(common.admin_address, metrics, Arc::clone(&readiness)).await?;
    let client = runtime::client(Arc::clone(&readiness)).await?;
    let watchman = Watchman::new(client.clone(), &namespace, Arc::clone(&readiness), controller_metrics.clone())?;
    let store = KeyStore::new(client.clone(), namespace, trust_domain.clone(), hosts);
    let Some(keys) = load_keys(&store, &stop).await else { return Ok(()) };
    let wiring = Wiring::new(&Watches { client: &client, readiness: &readiness, tasks: &tasks, stop: &stop });
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), Reporter { controller: CONTROLLER.to_owned(), instance: None }),
        client,
        keys,
        trust_domain,
        policies: wiring.policies.store.clone(),
        endpoints: wiring.endpoints.store.clone(),
        certificates: wiring.certificates.store.clone(),
        namespaces: wiring.namespaces.clone(),
        metrics: controller_metrics,
        guard: Arc::new(AdmissionGuard::new()),
    });
    tasks.spawn(renew_keys(store, Arc::clone(&context), stop.clone()));
    let watching = watchman.run(Arc::clone(&context.guard), Arc::clone(&context), stop.clone());
    tasks.spawn(vital(&stop, watching));
    // Judging before the guard's first word would only write that everything waits for it.
    if stop.run_until_cancelled(context.guard.checked()).await.is_some() {
        wiring.run(&context, &tasks, &stop);
    }
    tasks.close();
    tasks.wait().await;
    admin.abort();
    Ok(())
}

/// Loads the keys, trying again while the API server is away. `None`: told to stop meanwhile.
async fn load_keys(store: &KeyStore, stop: &CancellationToken) -> Option<Keys> {
    for wait in WatchRetry::default() {
        match store.ensure(clock::now()).await {
            Ok(keys) => return Some(keys),
            Err(error) => tracing::error!(%error, "keys are not there yet; nothing is judged"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
    None
}

async fn renew_keys(store: KeyStore, context: Arc<Context>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(KEYS_EVERY)).await.is_some() {
        if let Err(error) = store.refresh(&context.keys, clock::now()).await {
            tracing::error!(%error, "the gateway's certificate or the trust bundle could not be brought up to date");
        }
    }
}

// === impl Context ===

impl Context {
    /// The fleet of a namespace: its name and uid.
    async fn fleet(&self, namespace: &str) -> Result<FleetRef, Error> {
        let cached = self.namespaces.get(&ObjectRef::new(namespace)).and_then(|found| found.metadata.uid.clone());
        let uid = match cached {
            Some(uid) => Some(uid),
            None => {
                let api = Api::<Namespace>::all(self.client.clone());
                let found = api.get_metadata_opt(namespace).await;
                found.map_err(|source| Error::Fetch { what: "Namespace", source })?.and_then(|found| found.metadata.uid)
            }
        };
        let unknown = || Error::Fleet(namespace.to_owned());
        let name: FleetName = namespace.parse().map_err(|_| unknown())?;
        let uid = uid.and_then(|uid| uid.parse().ok()).ok_or_else(unknown)?;
        Ok(Named { name, uid })
    }

    /// Signs a part if it says something else than the previous one; else the previous one.
    fn sign<B: Body + PartialEq>(
        &self,
        previous: Option<tidegate_api::Signed>,
        body: B,
        fleet: &FleetRef,
        now: Instant,
    ) -> Result<Option<tidegate_api::Signed>, Error> {
        let recorded = previous.as_ref().map(convert::signed).transpose()?;
        let issuer = Issuer { trust_domain: &self.trust_domain, fleet, key: &self.keys.signing };
        let signed = sign_if_changed(recorded.as_ref(), body, issuer, now)?;
        Ok(signed.as_ref().map(convert::from_signed).or(previous))
    }

    /// The namespaces that hold a policy or an endpoint and are not being deleted, as cached.
    fn fleets(&self) -> Vec<FleetName> {
        let policies = self.policies.state().into_iter().filter_map(|policy| policy.namespace());
        let endpoints = self.endpoints.state().into_iter().filter_map(|endpoint| endpoint.namespace());
        let names: BTreeSet<String> = policies.chain(endpoints).collect();
        let stays = |name: &&String| {
            let namespace = self.namespaces.get(&ObjectRef::new(name));
            namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_none())
        };
        names.iter().filter(stays).filter_map(|name| name.parse().ok()).collect()
    }

    /// The endpoints of an object's namespace, as cached.
    fn endpoints_of(&self, object: &JitPolicy) -> Vec<Arc<Guarded<ManagedEndpoint>>> {
        let namespace = object.namespace();
        self.endpoints.state_filter(|endpoint| endpoint.namespace() == namespace)
    }
}

/// The object, if it parsed.
fn read<K>(guard: &Guarded<K>) -> Result<&K, Error> {
    guard.0.as_ref().map_err(|invalid| Error::Read(invalid.error.clone()))
}

/// Look again at `wake`, and at the latest after [`LONGEST_REQUEUE`].
fn requeue(wake: Option<Instant>) -> Action {
    let wait = wake.map_or(LONGEST_REQUEUE, clock::until);
    Action::requeue(wait.min(LONGEST_REQUEUE))
}
