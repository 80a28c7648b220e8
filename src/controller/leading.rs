//! What a controller does while it leads: its keys, the admission guard, the count of what is open, and then the passes. It begins
//! with the Lease and ends with it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guard::{AdmissionGuard, Watchman};
use super::keys::{KeyStore, Keys};
use super::ledger::Ledgers;
use super::live::Live;
use super::timekeeper::Timekeeper;
use super::wiring::Wiring;
use super::{Context, census, events};
use crate::clock;
use crate::metrics::{ControllerMetrics, Metrics};
use crate::runtime::{self, WatchRetry, vital};
use crate::traces::Traces;

/// How often certificates and the trust bundle are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(3600);
/// How long passes that have begun may take to end once the process is told to stop. With one look of a standby for the released
/// Lease, the next one leads within 2 seconds of the signal.
const DRAIN: Duration = Duration::from_millis(750);

/// What is ready before a controller leads.
pub struct Leading {
    /// Writes while this process leads.
    pub client: Client,
    /// The keys, loaded or made first of all.
    pub store: KeyStore,
    /// Looks after the admission policies.
    pub watchman: Watchman,
    /// The caches, warm, and the passes, not yet running.
    pub wiring: Wiring,
    /// The registry, what counts, and who is told of requests' ways.
    pub instruments: (Arc<Metrics>, ControllerMetrics, Traces),
    /// Of the installation.
    pub trust_domain: String,
    /// `--suspended`
    pub suspended: bool,
    /// `--retention`
    pub retention: Duration,
}

// === impl Leading ===

impl Leading {
    /// Judges and writes until told to stop, then gives what has begun a moment to end.
    pub async fn run(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let Some(keys) = load_keys(&self.client, &self.store, stop).await else { return };
        let Self { client, store, watchman, wiring, instruments, trust_domain, suspended, retention } = self;
        let (registry, metrics, traces) = instruments;
        let (events, event_writer) = events::events(client.clone(), traces.clone());
        let writing = tokio::spawn(event_writer.run());
        let context = Arc::new(Context {
            client,
            keys,
            trust_domain,
            policies: wiring.policies.store.clone(),
            requests: wiring.requests.store.clone(),
            endpoints: wiring.endpoints.store.clone(),
            fleets: wiring.fleets.store.clone(),
            locks: wiring.locks.store.clone(),
            certificates: wiring.certificates.store.clone(),
            certified: wiring.certified.clone(),
            namespaces: wiring.namespaces.clone(),
            events,
            live: Live::default(),
            metrics,
            traces,
            guard: Arc::new(AdmissionGuard::new()),
            ledgers: Ledgers::default(),
            suspended,
            retention,
        });
        tasks.spawn(vital(stop, renew_keys(store, Arc::clone(&context), stop.clone())));
        let watching = watchman.run(Arc::clone(&context.guard), Arc::clone(&context), stop.clone());
        tasks.spawn(vital(stop, watching));
        // Judging before the guard's first word would only write that everything waits for it.
        if stop.run_until_cancelled(ready_to_judge(&context)).await.is_some() {
            let timekeeper = Timekeeper::default();
            wiring.run(&context, &timekeeper, tasks, stop);
            let (client, metrics) = (context.client.clone(), context.metrics.clone());
            tasks.spawn(vital(stop, timekeeper.run(client, metrics, stop.clone())));
            count_at_scrapes(&registry, &context);
        }
        stop.cancelled().await;
        tasks.close();
        let drained = async {
            tasks.wait().await;
            // Nobody can tell anything any more, so the writer comes to its end.
            drop(context);
            writing.await
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("what has begun takes too long: it is left to the next controller");
        }
    }
}

/// Says at each scrape what there is, as long as this process leads.
fn count_at_scrapes(registry: &Metrics, context: &Arc<Context>) {
    let counted = Arc::downgrade(context);
    registry.on_scrape(move || {
        if let Some(context) = counted.upgrade() {
            context.metrics.holds(&census::take(&context, clock::now()));
        }
    });
}

/// Waits for the guard's first word and for a live list of what is open.
async fn ready_to_judge(context: &Context) {
    context.guard.checked().await;
    for wait in WatchRetry::default() {
        match context.ledgers.load(&context.client).await {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, "open requests could not be counted; nothing is judged"),
        }
        tokio::time::sleep(wait).await;
    }
}

/// Loads the keys, trying again while the API server is away. `None`: told to stop meanwhile.
async fn load_keys(client: &Client, store: &KeyStore, stop: &CancellationToken) -> Option<Keys> {
    for wait in WatchRetry::default() {
        // What is made carries the time: not before the API server has said what time it is.
        let made = match runtime::ask_time(client).await {
            Ok(()) => store.ensure(clock::now()).await.map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        match made {
            Ok(keys) => return Some(keys),
            Err(error) => tracing::error!(error = format!("{error:#}"), "keys are not there yet; nothing is judged"),
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
