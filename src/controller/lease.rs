//! Leader election on the Lease `tidegate-controller`: reads it, renews it, gives it back, and keeps the write gate open for as long as
//! this process leads. What to do is `decide`'s. Every write is compare-and-set, and says in the same write how often the Lease has
//! changed hands.

mod decide;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::anyhow;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource};
use tidegate_api::names::CONTROLLER;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::decide::Loss;
use self::decide::{Action, Known, Record, TIMES, decide};
use crate::clock;
use crate::runtime::WriteGate;

/// Longest time one call may take. A leader can lose one call and still renew in time.
const CALL: Duration = Duration::from_secs(3);
/// Longest time that giving back may take; after that the others wait for the Lease to end.
const GIVE_BACK: Duration = Duration::from_secs(3);

/// A process that leads or would like to.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    gate: WriteGate,
    /// As the API server last gave it; what is written is this with another holder.
    lease: Option<Lease>,
    known: Known,
}

/// This process leads, until it loses the Lease or gives it back.
pub struct Tenure {
    name: String,
    /// The Lease when it was taken.
    taken: Lease,
    give_back: CancellationToken,
    holding: JoinHandle<Result<(), Loss>>,
}

// === impl Candidate ===

impl Candidate {
    /// The process called `name`, whose writes pass `gate`, as a candidate for the Lease in this namespace. `client` passes no gate.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, gate: WriteGate) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), gate, lease: None, known: Known::default() }
    }

    /// Waits until this process leads. `None`: told to stop before.
    ///
    /// # Errors
    /// [`Loss`]: it does not any more.
    pub async fn elected(mut self, stop: &CancellationToken) -> Result<Option<Tenure>, Loss> {
        tracing::info!(replica = self.name, "standing by");
        while !self.known.leads() {
            let wait = self.act().await?;
            // A call is never cut off half way: it may be the one that is taken.
            let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            if waited.is_none() && !self.known.leads() {
                self.give_back().await;
                return Ok(None);
            }
        }
        tracing::info!(replica = self.name, transitions = self.known.transitions(), "took the Lease: leading");
        let (name, taken) = (self.name.clone(), self.lease.clone().unwrap_or_default());
        let give_back = CancellationToken::new();
        let holding = tokio::spawn(self.hold(give_back.clone()));
        Ok(Some(Tenure { name, taken, give_back, holding }))
    }

    /// Renews until it is lost or told to give back.
    async fn hold(mut self, give_back: CancellationToken) -> Result<(), Loss> {
        let ended = self.renew(&give_back).await;
        // From here on nothing is written, whatever goes on elsewhere.
        self.gate.shut();
        let (replica, transitions) = (&self.name, self.known.transitions());
        match ended {
            Ok(()) => self.give_back().await,
            Err(ref loss) => {
                tracing::error!(replica, transitions, %loss, "lost the Lease: nothing is written any more")
            }
        }
        ended
    }

    async fn renew(&mut self, give_back: &CancellationToken) -> Result<(), Loss> {
        while !give_back.is_cancelled() {
            let wait = self.act().await?;
            give_back.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        Ok(())
    }

    /// Does what is to be done now, and says how long there is nothing more to do.
    async fn act(&mut self) -> Result<Duration, Loss> {
        let now = clock::boot();
        match decide(&self.known, &self.name, &TIMES, now) {
            Action::Wait(until) => return Ok(until.saturating_sub(now)),
            Action::StandDown(loss) => return Err(loss),
            Action::Read => self.read().await,
            Action::Create => self.write(0).await,
            Action::Replace { transitions } => self.write(transitions).await,
        }
        Ok(Duration::ZERO)
    }

    async fn read(&mut self) {
        let api = self.api.clone();
        if let Some(lease) = self.answer(api.get_opt(CONTROLLER)).await {
            self.saw(lease);
        }
    }

    /// Writes this process into the Lease as it was last seen, or into a new one.
    async fn write(&mut self, transitions: i32) {
        let started = clock::boot();
        let lease = held(self.lease.as_ref(), &self.name, transitions);
        let api = self.api.clone();
        if let Some(lease) = self.answer(put(&api, &lease)).await {
            self.known.wrote(record(&lease), started, clock::boot());
            self.gate.open_until(started + TIMES.renew_deadline);
            self.lease = Some(lease);
        }
    }

    /// Takes this process out of the Lease, if it may be in it: the next one need not wait for its end.
    async fn give_back(&mut self) {
        if !self.known.may_be_held_by(&self.name) {
            return;
        }
        let given = tokio::time::timeout(GIVE_BACK, async {
            while self.known.may_be_held_by(&self.name) {
                self.give_back_once().await;
            }
        });
        let (given, transitions) = (given.await, self.known.transitions());
        match given {
            Ok(()) => tracing::info!(replica = self.name, transitions, "released the Lease"),
            Err(_) => tracing::warn!(
                replica = self.name,
                transitions,
                "the Lease was not released; the next waits for its end"
            ),
        }
    }

    async fn give_back_once(&mut self) {
        let api = self.api.clone();
        let lease = self.lease.as_ref().filter(|_| !self.known.in_doubt()).map(given_back);
        let answer = match lease {
            Some(lease) => self.answer(async { put(&api, &lease).await.map(Some) }).await,
            None => self.answer(api.get_opt(CONTROLLER)).await,
        };
        match answer {
            Some(lease) => self.saw(lease),
            None => tokio::time::sleep(TIMES.retry).await,
        }
    }

    fn saw(&mut self, lease: Option<Lease>) {
        self.known.saw(lease.as_ref().map(record), clock::boot());
        self.lease = lease;
    }

    /// The answer to a call, if there is one in time. From then on nothing is written before it has been read again.
    async fn answer<T>(&mut self, call: impl Future<Output = kube::Result<T>>) -> Option<T> {
        let failure = match tokio::time::timeout(CALL, call).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => "somebody else has just written it".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CALL.as_secs()),
        };
        tracing::warn!(replica = self.name, failure, "could not read or write the Lease");
        self.known.failed(clock::boot());
        None
    }
}

// === impl Tenure ===

impl Tenure {
    /// Waits until this process leads no longer, and says why.
    pub async fn lost(&mut self) -> anyhow::Error {
        match (&mut self.holding).await {
            Ok(Err(loss)) => loss.into(),
            Ok(Ok(())) => anyhow!("the Lease was released"),
            Err(panicked) => panicked.into(),
        }
    }

    /// Lets nothing be written any more, and makes room for the next at once.
    pub async fn release(self) {
        self.give_back.cancel();
        if let Err(panicked) = self.holding.await {
            tracing::error!(error = %panicked, "the Lease could not be released");
        }
    }

    /// Tells who leads, as an Event on the Lease. One that cannot be written is logged: it is news, not state.
    pub fn tell(&self, recorder: Recorder) -> impl Future<Output = ()> + Send + use<> {
        let transitions = self.taken.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or_default();
        let news = Event {
            type_: EventType::Normal,
            reason: "LeaderElected".to_owned(),
            note: Some(format!("{} leads now; the Lease has changed hands {transitions} times", self.name)),
            action: "Elect".to_owned(),
            secondary: None,
        };
        let about = self.taken.object_ref(&());
        async move {
            if let Err(error) = recorder.publish(&news, &about).await {
                tracing::warn!(%error, "the Event about the new leader was not written");
            }
        }
    }
}

/// Writes a Lease over the version it was made from, or as a new one.
async fn put(api: &Api<Lease>, lease: &Lease) -> kube::Result<Lease> {
    let params = PostParams { field_manager: Some(CONTROLLER.to_owned()), ..PostParams::default() };
    match lease.metadata.resource_version {
        Some(_) => api.replace(CONTROLLER, &params, lease).await,
        None => api.create(&params, lease).await,
    }
}

/// What counts of a Lease.
fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        transitions: spec.lease_transitions.unwrap_or_default(),
        lasts: Duration::from_secs(spec.lease_duration_seconds.and_then(|s| s.try_into().ok()).unwrap_or_default()),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// The Lease with this process in it, or a new one.
fn held(lease: Option<&Lease>, name: &str, transitions: i32) -> Lease {
    let metadata = ObjectMeta { name: Some(CONTROLLER.to_owned()), ..ObjectMeta::default() };
    let mut lease = lease.cloned().unwrap_or(Lease { metadata, spec: None });
    let now = MicroTime(clock::stamp());
    let before = lease.spec.take().unwrap_or_default();
    let stays = before.holder_identity.as_deref() == Some(name);
    lease.spec = Some(LeaseSpec {
        acquire_time: before.acquire_time.clone().filter(|_| stays).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: i32::try_from(TIMES.lease.as_secs()).ok(),
        lease_transitions: Some(transitions),
        ..before
    });
    lease
}

/// The Lease with nobody in it.
fn given_back(lease: &Lease) -> Lease {
    let mut lease = lease.clone();
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.renew_time = Some(MicroTime(clock::stamp()));
    lease
}
