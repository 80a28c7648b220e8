//! The one shared piece of state: the index, what was rendered from it, who waits for which endpoint, and what the applied
//! manifests said. Every method takes the lock for a moment and never waits; polls sleep on a channel of their endpoint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::name::{Digest, Uid};
use tokio::sync::watch;

use super::index::{Changed, EndpointKey, Index, Key, Kind, Object, Reported};
use super::manifest::Rendered;
use super::trace;
use crate::clock;
use crate::metrics::{GatewayMetrics, Stage};
use crate::traces::{About, Traces};

/// What is served now, and to whom a change matters.
#[derive(Debug, Default)]
pub struct Served {
    state: Mutex<State>,
    metrics: Option<GatewayMetrics>,
    traces: Traces,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    rendered: HashMap<EndpointKey, Arc<Rendered>>,
    /// Only of endpoints with a [`Subscription`]; with the time of the last change on the monotonic clock.
    waiting: HashMap<EndpointKey, watch::Sender<Duration>>,
    /// Of the manifests that statuses name as applied, as far as they were rendered here.
    applied: HashMap<EndpointKey, Said>,
}

/// What a manifest said apart from the fleet part.
#[derive(Debug, Clone, Copy)]
struct Said {
    manifest: Digest,
    rest: Digest,
}

/// A place among those who wait for changes of one endpoint. The last one to leave leaves nothing behind.
#[derive(Debug)]
pub struct Subscription<'a> {
    served: &'a Served,
    key: EndpointKey,
    /// `None` once it was dropped.
    changes: Option<watch::Receiver<Duration>>,
}

// === impl Served ===

impl Served {
    /// Nothing yet; what happens is measured.
    #[must_use]
    pub fn measured(metrics: GatewayMetrics) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    /// The ways of grants are told to these.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Who is told of the ways of grants.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// An object was added or changed: wakes those whose manifest it touches.
    pub fn apply(&self, object: Object) {
        let came = clock::fine();
        let applied = applied(&object);
        let key = object.key();
        let before = self.lock().index.newest(&key);
        self.change(|index| index.apply(object));
        let after = self.lock().index.newest(&key).filter(|after| before.as_ref() != Some(after));
        if let Some((metrics, (_, signed_at))) = self.metrics.as_ref().zip(after) {
            metrics.propagated(Stage::CommitToGateway, signed_at.until(clock::now()));
        }
        if let Some((_, signed_at)) = after {
            self.traces.tell(|| {
                let about = self.lock().index.granted(&key);
                about.into_iter().map(|about| trace::reached(about, signed_at, came)).collect()
            });
        }
        if let Some((key, manifest)) = applied {
            self.remember(&key, manifest);
        }
    }

    /// An object is gone: wakes those whose manifest it touched.
    pub fn delete(&self, key: &Key) {
        self.change(|index| index.delete(key));
    }

    /// These are all the objects of this kind: wakes those whose manifest differs by it.
    pub fn reset(&self, kind: Kind, objects: Vec<Object>) {
        self.change(|index| index.reset(kind, objects));
    }

    /// The uid of this endpoint, if it exists.
    #[must_use]
    pub fn endpoint_uid(&self, key: &EndpointKey) -> Option<Uid> {
        self.lock().index.endpoint_uid(key).cloned()
    }

    /// What the status of this endpoint says that gateways write; `None` if the endpoint does not exist.
    #[must_use]
    pub fn reported(&self, key: &EndpointKey) -> Option<Arc<Reported>> {
        self.lock().index.reported(key).cloned()
    }

    /// Is this the uid of a request of this endpoint, or of a policy that selects it?
    #[must_use]
    pub fn concerns(&self, key: &EndpointKey, uid: &Uid) -> bool {
        self.lock().index.concerns(key, uid)
    }

    /// What the grant is about that the request of this uid gives this endpoint.
    #[must_use]
    pub fn grant_of(&self, key: &EndpointKey, uid: &Uid) -> Option<About> {
        self.lock().index.grant_of(key, uid)
    }

    /// Do these two manifests of the endpoint differ in nothing but the fleet part? `before` is the one that its status names, `now`
    /// the one that its agent reports. False too if this gateway does not know both.
    #[must_use]
    pub fn only_fleet_differs(&self, key: &EndpointKey, before: Digest, now: Digest) -> bool {
        self.remember(key, before);
        let rendered = self.manifest(key).filter(|rendered| rendered.digest() == now);
        let said = self.lock().applied.get(key).copied().filter(|said| said.manifest == before);
        rendered.zip(said).is_some_and(|(rendered, said)| rendered.rest() == said.rest)
    }

    /// What this endpoint receives now; `None` if it does not exist, or its placement or the fleet part is not signed yet.
    #[must_use]
    pub fn manifest(&self, key: &EndpointKey) -> Option<Arc<Rendered>> {
        let mut state = self.lock();
        if let Some(rendered) = state.rendered.get(key) {
            return Some(Arc::clone(rendered));
        }
        let view = state.index.view(key)?;
        let _timed = self.metrics.as_ref().map(|metrics| metrics.render().start_timer());
        let rendered = match Rendered::new(view) {
            Ok(rendered) => Arc::new(rendered),
            Err(error) => {
                tracing::error!(fleet = %key.fleet, endpoint = %key.name, %error, "a manifest cannot be written");
                return None;
            }
        };
        if rendered.withheld() > 0 {
            let withheld = rendered.withheld();
            tracing::error!(fleet = %key.fleet, endpoint = %key.name, withheld, "the manifest is full: let fewer policies select it");
        }
        state.rendered.insert(key.clone(), Arc::clone(&rendered));
        Some(rendered)
    }

    /// Changes of this endpoint from now on. To miss none: subscribe, then look, then wait.
    #[must_use]
    pub fn subscribe(&self, key: &EndpointKey) -> Subscription<'_> {
        let changes = self.lock().waiting.entry(key.clone()).or_default().subscribe();
        Subscription { served: self, key: key.clone(), changes: Some(changes) }
    }

    /// How many parts are kept, and their bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.lock().index.size()
    }

    fn change(&self, change: impl FnOnce(&mut Index) -> Changed) {
        let mut state = self.lock();
        for key in change(&mut state.index) {
            state.rendered.remove(&key);
            if state.index.endpoint_uid(&key).is_none() {
                state.applied.remove(&key);
            }
            if let Some(sender) = state.waiting.get(&key) {
                sender.send_replace(clock::monotonic());
            }
        }
    }

    /// Keeps what this manifest said, which the status names as applied, if it is what the endpoint receives now.
    fn remember(&self, key: &EndpointKey, manifest: Digest) {
        if self.lock().applied.get(key).is_some_and(|said| said.manifest == manifest) {
            return;
        }
        let rendered = self.manifest(key).filter(|rendered| rendered.digest() == manifest);
        let rest = rendered.map(|rendered| rendered.rest());
        self.lock().applied.extend(rest.map(|rest| (key.clone(), Said { manifest, rest })));
    }

    /// Poisoning is ignored: a handler that panics only reads, and a feed that panics ends the process.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The manifest that the status of an endpoint names as applied.
fn applied(object: &Object) -> Option<(EndpointKey, Digest)> {
    match object {
        Object::Endpoint(endpoint) => {
            let manifest = endpoint.reported.applied.as_ref()?.manifest.parse().ok()?;
            Some((EndpointKey { fleet: endpoint.fleet.clone(), name: endpoint.name.clone() }, manifest))
        }
        Object::Fleet(_) | Object::Policy(_) | Object::Request(_) => None,
    }
}

// === impl Subscription ===

impl Subscription<'_> {
    /// Waits for a change that this subscription has not reported yet, and gives its time on the monotonic clock. Safe to drop and to
    /// call again.
    pub async fn changed(&mut self) -> Duration {
        let Some(changes) = &mut self.changes else { return std::future::pending().await };
        // The sender stays as long as somebody waits, so this is a change.
        let _ = changes.changed().await;
        *changes.borrow()
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        let mut state = self.served.lock();
        // Under the lock: of two that leave together one is the last.
        self.changes = None;
        if state.waiting.get(&self.key).is_some_and(|sender| sender.receiver_count() == 0) {
            state.waiting.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::gateway::index::EndpointObject;

    fn key() -> EndpointKey {
        EndpointKey { fleet: "berlin".parse().unwrap(), name: "ws-1".parse().unwrap() }
    }

    fn endpoint(uid: &str) -> Object {
        let EndpointKey { fleet, name } = key();
        let uid = uid.parse().unwrap();
        Object::Endpoint(EndpointObject { fleet, name, uid, agent: None, reported: Arc::default(), signed: None })
    }

    #[test]
    fn the_last_waiter_leaves_nothing_behind_even_of_a_deleted_endpoint() {
        let served = Served::default();
        served.apply(endpoint("uid-1"));
        let (mut one, other) = (served.subscribe(&key()), served.subscribe(&key()));
        served.delete(&Key::Endpoint(key().fleet, key().name));
        assert!(one.changed().now_or_never().is_some(), "it is told of the deletion");
        drop(other);
        served.apply(endpoint("uid-2"));
        assert!(one.changed().now_or_never().is_some(), "it still waits");
        drop(one);
        assert!(served.lock().waiting.is_empty());
    }
}
