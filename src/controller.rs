//! The controller: watches the five kinds and CertificateSigningRequests, stands by until it leads (`lease`), and then runs each kind's
//! passes (`leading`). Deciding is core's, every write goes through `apply`, `certificate` and `keys`.

mod apply;
mod attestation;
mod census;
mod certificate;
mod counts;
mod endpoint;
mod error;
mod events;
mod fleet;
mod guard;
mod index;
mod keys;
mod leading;
mod lease;
mod ledger;
mod live;
mod lock;
mod measure;
mod policy;
mod probe;
mod queue;
mod request;
mod retention;
#[cfg(test)]
mod tests;
mod timekeeper;
mod trace;
mod turns;
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
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use tidegate_api::names::{CONTROLLER, FLEET};
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, Lock, ManagedEndpoint, RequestCounts};
use tidegate_core::envelope::{Issuer, sign_if_changed};
use tidegate_core::fleet::{FleetBody, Settings};
use tidegate_core::interval::Instant;
use tidegate_core::lock::Switches;
use tidegate_core::name::{FleetName, FleetRef, Named};
use tidegate_core::part::Body;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::error::Error;
use self::events::Events;
use self::guard::{AdmissionGuard, Watchman};
use self::index::Index;
use self::keys::{KeySettings, KeyStore, Keys};
use self::leading::Leading;
use self::lease::Candidate;
use self::ledger::Ledgers;
use self::live::Live;
pub use self::probe::run as probe;
use self::wiring::{Watches, Wiring};
use crate::args::ControllerArgs;
use crate::metrics::{ControllerMetrics, Kind, KubeMetrics, Metrics};
use crate::runtime::{self, Readiness, Replica};
use crate::traces::Traces;
use crate::{clock, convert};

/// An object that may not parse: one bad object must not stop the list it is in.
type Guarded<K> = DeserializeGuard<K>;

/// The longest an object goes unlooked at. A timer is a hint; this is the net under it.
const LONGEST_REQUEUE: Duration = Duration::from_secs(300);
/// The kinds whose watches make this process ready.
const WATCHED: [&str; 7] = [
    "jitpolicies",
    "elevationrequests",
    "managedendpoints",
    "fleets",
    "locks",
    "certificatesigningrequests",
    "namespaces",
];

/// What every pass has at hand.
struct Context {
    client: Client,
    keys: Keys,
    trust_domain: String,
    policies: Store<Guarded<JitPolicy>>,
    requests: Store<Guarded<ElevationRequest>>,
    endpoints: Store<Guarded<ManagedEndpoint>>,
    fleets: Store<Guarded<Fleet>>,
    locks: Store<Guarded<Lock>>,
    certificates: Store<CertificateSigningRequest>,
    certified: Index<CertificateSigningRequest>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    events: Events,
    live: Live,
    metrics: ControllerMetrics,
    traces: Traces,
    guard: Arc<AdmissionGuard>,
    ledgers: Ledgers,
    /// `--suspended`
    suspended: bool,
    /// `--retention`
    retention: Duration,
}

/// What the controller reports: the registry, and the two that measure.
#[derive(Debug)]
pub struct Instruments {
    /// The registry.
    pub metrics: Metrics,
    /// Of what it does.
    pub controller: ControllerMetrics,
    /// Of its dealings with the API server.
    pub kube: KubeMetrics,
}

impl Instruments {
    /// New ones.
    ///
    /// # Errors
    /// One of them is defined twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new("controller")?;
        let controller = ControllerMetrics::new(&metrics)?;
        let kinds: Vec<Kind> = WATCHED.iter().filter_map(|plural| Kind::of_plural(plural)).collect();
        let kube = KubeMetrics::new(&metrics, &kinds)?;
        Ok(Self { metrics, controller, kube })
    }
}

/// Runs until told to stop: watches and stands by until it leads, then judges and writes, and tells of requests' ways to `traces`.
///
/// # Errors
/// The cluster cannot be reached, this process led and does so no longer, or one of its vital tasks has ended.
pub async fn run(args: ControllerArgs, traces: Traces, told: CancellationToken) -> anyhow::Result<()> {
    // A vital task that ends stops all others, too; that nobody told the process to is how the two are told apart.
    let stop = told.child_token();
    let (hosts, replica) = (args.gateway_hosts(), Replica::new(CONTROLLER, &args.place())?);
    let ControllerArgs {
        common,
        namespace,
        pod_name: _,
        trust_domain,
        own_keys,
        suspended,
        retention,
        gateway_hostname: _,
    } = args;
    let own = KeySettings { trust_domain: trust_domain.clone(), hosts, given: own_keys };
    let readiness = Arc::new(Readiness::new(&WATCHED));
    let Instruments { metrics, controller: controller_metrics, kube } = Instruments::new()?;
    let metrics = Arc::new(metrics);
    let tasks = TaskTracker::new();
    let admin = runtime::serve_admin(common.admin_address, Arc::clone(&metrics), Arc::clone(&readiness)).await?;
    metrics.on_scrape(runtime::watch_progress(kube.clone(), Arc::clone(&readiness)));
    let client = replica.client(Arc::clone(&readiness), kube).await?;
    let for_lease = replica.client_for_lease().await?;
    let candidate = Candidate::new(for_lease, &namespace, replica.name(), replica.gate.clone());
    let watchman =
        Watchman::new(client.clone(), replica, &namespace, Arc::clone(&readiness), controller_metrics.clone())?;
    let store = KeyStore::new(client.clone(), namespace, own, controller_metrics.clone());
    let mut wiring = Wiring::new(&Watches {
        client: &client,
        readiness: &readiness,
        relist: common.relist_interval,
        tasks: &tasks,
        stop: &stop,
    });
    let elected = tokio::select! {
        elected = candidate.elected(&stop) => elected?,
        never = wiring.stand_by() => match never {},
    };
    let Some(mut tenure) = elected else { return runtime::told_to_stop(&told) };
    controller_metrics.leader(true);
    // Of those that stand by it says nothing: they may have been started with something else, and it is not in force.
    controller_metrics.suspended(suspended);
    tasks.spawn(tenure.tell(events::recorder(client.clone())));
    let instruments = (metrics, controller_metrics.clone(), traces);
    let leading = Leading { client, store, watchman, wiring, instruments, trust_domain, suspended, retention };
    let ended = tokio::select! {
        why = tenure.lost() => Err(why.context("this process leads no longer")),
        () = leading.run(&tasks, &stop) => Ok(()),
    };
    controller_metrics.leader(false);
    // Whoever has lost the Lease has nothing to wait for and nothing to give back.
    ended?;
    tenure.release().await;
    admin.abort();
    runtime::told_to_stop(&told)
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
                found
                    .map_err(|source| Error::Fetch { what: "Namespace", source: Arc::new(source) })?
                    .and_then(|found| found.metadata.uid)
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
        let signed = sign_if_changed(recorded.as_ref(), body, self.issuer(fleet), now)?;
        if signed.is_some() {
            self.metrics.signed(B::KIND);
        }
        Ok(signed.as_ref().map(convert::from_signed).or(previous))
    }

    fn issuer<'a>(&'a self, fleet: &'a FleetRef) -> Issuer<'a> {
        Issuer { trust_domain: &self.trust_domain, fleet, key: &self.keys.signing }
    }

    /// The settings of a fleet, as cached.
    fn settings(&self, namespace: &str) -> Settings {
        let fleet = self.fleets.get(&ObjectRef::new(FLEET).within(namespace));
        fleet.and_then(|fleet| Some(fleet::settings_of(read(&fleet).ok()?))).unwrap_or_default()
    }

    /// Everything that stops elevation, of these Locks.
    fn switches<'a>(&self, locks: impl IntoIterator<Item = &'a Guarded<Lock>>) -> Switches {
        let mut switches = Switches { suspended: self.suspended, ..Switches::default() };
        for object in locks {
            match read(object).ok().and_then(|object| convert::lock(object).ok()) {
                Some(lock) => switches.locks.push(lock),
                None => drop(switches.unreadable.insert(object.name_any())),
            }
        }
        switches
    }

    /// The Locks of a fleet, as cached.
    fn locks_of(&self, namespace: Option<&str>) -> Switches {
        let locks = in_fleet(&self.locks, namespace);
        self.switches(locks.iter().map(AsRef::as_ref))
    }

    /// How many requests of a fleet wait and are active, as cached.
    fn counts(&self, namespace: Option<String>, of: impl Fn(&ElevationRequest) -> bool) -> RequestCounts {
        let mut counts = RequestCounts::default();
        for request in in_fleet(&self.requests, namespace.as_deref()) {
            let Ok(request) = read(&request) else { continue };
            if of(request) {
                counts::add(&mut counts, request);
            }
        }
        counts
    }

    /// May a request that ended be let go? Once the fleet part calls its grant revoked or void, or it would be over by now, or it never
    /// had one: then nobody can bring the grant back.
    fn revocation_is_known(&self, request: &ElevationRequest) -> bool {
        let status = request.status.as_ref();
        let end = status.and_then(|status| status.expiration_time.as_ref()).map(convert::instant);
        let namespace = request.namespace().unwrap_or_default();
        // With its namespace a fleet ends for good: agents take nothing of a later one of the same name for its own.
        if self.is_going(&namespace) || end.is_none_or(|end| end <= clock::now()) {
            return true;
        }
        let fleet = self.fleets.get(&ObjectRef::new(FLEET).within(&namespace));
        let part = fleet.and_then(|fleet| {
            let signed = convert::signed(read(&fleet).ok()?.status.as_ref()?.signed.as_ref()?).ok()?;
            signed.envelope.read_unverified::<FleetBody>().ok()
        });
        let uid = request.metadata.uid.as_deref().and_then(|uid| uid.parse().ok());
        let ended_at = convert::finished_at(request);
        part.zip(uid).is_some_and(|(part, uid)| part.body.is_revoked(&uid) || part.body.had_voided(ended_at))
    }

    /// Is the namespace being deleted, as cached?
    fn is_going(&self, namespace: &str) -> bool {
        let namespace = self.namespaces.get(&ObjectRef::new(namespace));
        namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
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
}

/// The objects of a namespace, as cached.
fn in_fleet<K>(store: &Store<Guarded<K>>, namespace: Option<&str>) -> Vec<Arc<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.state_filter(|object| object.meta().namespace.as_deref() == namespace)
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
