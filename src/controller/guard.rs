//! The admission guard: are the policies that make decisions trustworthy in force, and were they all the time? It compares
//! what the API server holds with what this version was built with, and has the API server refuse forgeries, in every fleet. What
//! follows for a request is core's (`tidegate_core::guard`).

mod expected;
mod memory;
mod probe;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::Client;
use kube::runtime::{WatchStreamExt, watcher};
use tidegate_core::guard::Guard;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::expected::Expected;
use self::memory::Memory;
use self::probe::Probe;
pub use self::seal::Seal;
use super::Context;
use super::live::Reads;
use super::wiring::changes;
use crate::clock;
use crate::metrics::ControllerMetrics;
use crate::runtime::{Readiness, Replica, WatchRetry, watch_config};

/// How often everything is tried again, changed or not.
const EVERY: Duration = Duration::from_secs(300);
/// How soon after a check that did not pass. Policies take some seconds to come into force.
const RETRY: Duration = Duration::from_secs(2);

/// How often the caches are asked at start whether they are filled.
const FILLED: Duration = Duration::from_millis(50);

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
pub enum NotPassed {
    /// Something is missing, different, or let a forgery through. The text names it and what to do.
    #[error("{0}")]
    Unprotected(String),
    /// It could not be found out.
    #[error("{what}: {source}")]
    Unknown {
        /// What was tried.
        what: String,
        /// The API server's answer.
        source: kube::Error,
    },
}

/// What the guard last found, and how to ask it to look again.
#[derive(Debug)]
pub struct AdmissionGuard {
    verdict: watch::Sender<Guard>,
    seal: watch::Sender<Option<Seal>>,
    /// Seals on their way, for those who are about to give access.
    now: Arc<Reads<Result<Seal, Arc<NotPassed>>>>,
    look: Notify,
}

/// The part that looks.
pub struct Watchman {
    client: Client,
    expected: Expected,
    probe: Probe,
    memory: Memory,
    readiness: Arc<Readiness>,
    metrics: ControllerMetrics,
}

// === impl AdmissionGuard ===

impl AdmissionGuard {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::knowing(unchecked(), None)
    }

    /// A guard that found this.
    #[cfg(test)]
    pub fn found(verdict: Guard, seal: Option<Seal>) -> Self {
        Self::knowing(verdict, seal)
    }

    fn knowing(verdict: Guard, seal: Option<Seal>) -> Self {
        let (verdict, seal) = (watch::Sender::new(verdict), watch::Sender::new(seal));
        Self { verdict, seal, now: Arc::default(), look: Notify::new() }
    }

    /// What was last found.
    #[must_use]
    pub fn verdict(&self) -> Guard {
        self.verdict.borrow().clone()
    }

    /// What is to be relied on for something that gives access: the last finding, if the policies are this very moment the ones that
    /// were probed. The watch that would tell of a change may be late, so this asks the API server.
    ///
    /// # Errors
    /// [`NotPassed::Unknown`]: nothing may be granted now.
    pub async fn confirm(&self, client: &Client) -> Result<Guard, Arc<NotPassed>> {
        let verdict = self.verdict();
        if verdict != Guard::Passed {
            return Ok(verdict);
        }
        let client = client.clone();
        let now = self.now.read("", async move { Seal::read(&client).await.map_err(Arc::new) }).await?;
        if self.seal.borrow().as_ref() == Some(&now) {
            return Ok(Guard::Passed);
        }
        self.look.notify_one();
        Ok(Guard::Waiting("the admission policies have just changed".to_owned()))
    }

    /// A tick whenever the finding changes.
    pub fn changes(&self) -> BoxStream<'static, ()> {
        changes(self.verdict.subscribe())
    }

    /// Waits until the first check has found something.
    pub async fn checked(&self) {
        let mut verdict = self.verdict.subscribe();
        // Never closed: the sender lives as long as this does.
        let _found = verdict.wait_for(|verdict| *verdict != unchecked()).await;
    }

    fn find(&self, verdict: Guard, metrics: &ControllerMetrics) {
        metrics.guard(verdict == Guard::Passed);
        let before = self.verdict();
        if before == verdict {
            return;
        }
        match &verdict {
            Guard::Passed => tracing::info!("the admission guard has passed"),
            Guard::Waiting(why) => tracing::warn!(why, "the admission guard waits: nothing new is granted"),
            Guard::Open(why) => tracing::error!(why, "admission is unprotected: nothing new is granted"),
            // Only while what is there is taken up (`super::request::sweep`), never published.
            Guard::Repaired => {}
        }
        self.verdict.send_replace(verdict);
    }
}

fn unchecked() -> Guard {
    Guard::Waiting("the admission policies have not been checked yet".to_owned())
}

// === impl Watchman ===

impl Watchman {
    /// Looks after the policies of an installation in this namespace.
    ///
    /// # Errors
    /// The manifests this version was built with do not parse, which no build that passed its tests has.
    pub fn new(
        client: Client,
        replica: Replica,
        namespace: &str,
        readiness: Arc<Readiness>,
        metrics: ControllerMetrics,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            expected: Expected::built_in(namespace)?,
            probe: Probe::new(client.clone(), replica, namespace),
            memory: Memory::new(client.clone(), namespace),
            client,
            readiness,
            metrics,
        })
    }

    /// Checks at start, every 5 minutes, and at every change of what it looks after, until told to stop.
    pub async fn run(self, guard: Arc<AdmissionGuard>, context: Arc<Context>, stop: CancellationToken) {
        stop.run_until_cancelled(self.fleets_known()).await;
        let mut changes = std::pin::pin!(self.changes());
        // Something was let through, or may have been, since the guard last passed.
        let mut gap = false;
        loop {
            let next = match self.check(&guard, &context, gap).await {
                Ok(()) => {
                    gap = false;
                    EVERY
                }
                Err(NotPassed::Unprotected(why)) => {
                    gap = true;
                    guard.find(Guard::Open(why), &self.metrics);
                    RETRY
                }
                Err(unknown @ NotPassed::Unknown { .. }) => {
                    // What is known to be open stays open until it is known to be repaired.
                    if !gap {
                        guard.find(Guard::Waiting(unknown.to_string()), &self.metrics);
                    }
                    RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(next) => {}
                () = guard.look.notified() => {}
                _ = changes.next() => {}
            }
        }
    }

    /// Which fleets there are is known once the caches are filled.
    async fn fleets_known(&self) {
        while self.readiness.check(clock::monotonic()).is_err() {
            tokio::time::sleep(FILLED).await;
        }
    }

    async fn check(&self, guard: &AdmissionGuard, context: &Arc<Context>, gap: bool) -> Result<(), NotPassed> {
        let seal = Seal::read(&self.client).await?;
        let known = guard.seal.borrow().clone();
        if known.as_ref().is_some_and(|known| *known != seal) && guard.verdict() == Guard::Passed {
            guard.find(Guard::Waiting("the admission policies have changed".to_owned()), &self.metrics);
        }
        self.expected.compare(&self.client).await?;
        self.probe.run(&context.fleets()).await?;
        // Changed while it was probed: what was probed is not what is there.
        if Seal::read(&self.client).await? != seal {
            return Err(NotPassed::Unprotected("the admission policies change at this moment".to_owned()));
        }
        let changed = self.memory.recall().await?.as_ref() != Some(&seal);
        if gap || changed {
            // What is written from here on is proven again; until all that is there is taken up, it waits.
            tracing::warn!("admission may have been unprotected; what was written meanwhile does not count");
            let sweep = super::request::sweep(context).await;
            sweep.map_err(|error| {
                NotPassed::Unprotected(format!("what was written in a gap is not taken up yet: {error}"))
            })?;
        }
        if changed {
            self.memory.keep(&seal).await?;
        }
        guard.seal.send_replace(Some(seal));
        guard.find(Guard::Passed, &self.metrics);
        Ok(())
    }

    /// Ticks when a policy, a binding or a definition of ours may have changed.
    fn changes(&self) -> BoxStream<'static, ()> {
        let watches = seal::kinds(&self.client).into_iter().map(|api| {
            let events = watcher(api, watch_config()).backoff(WatchRetry::default());
            events.filter_map(|event| async { event.is_ok_and(|event| is_ours(&event)).then_some(()) }).boxed()
        });
        stream::select_all(watches).boxed()
    }
}

fn is_ours(event: &watcher::Event<seal::Meta>) -> bool {
    match event {
        watcher::Event::Apply(object) | watcher::Event::Delete(object) => seal::is_ours(object),
        watcher::Event::InitDone => true,
        watcher::Event::Init | watcher::Event::InitApply(_) => false,
    }
}
