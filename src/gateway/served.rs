//! The one shared piece of state: the index, what was rendered from it, and who waits for which endpoint. Every method takes
//! the lock for a moment and never waits; polls sleep on a channel of their endpoint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::name::Uid;
use tokio::sync::watch;

use super::index::{Changed, EndpointKey, Index, Key, Kind, Object};
use super::manifest::Rendered;

/// What is served now, and to whom a change matters.
#[derive(Debug, Default)]
pub struct Served {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    rendered: HashMap<EndpointKey, Arc<Rendered>>,
    waiting: HashMap<EndpointKey, watch::Sender<()>>,
}

// === impl Served ===

impl Served {
    /// An object was added or changed: wakes those whose manifest it touches.
    pub fn apply(&self, object: Object) {
        self.change(|index| index.apply(object));
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

    /// What this endpoint receives now; `None` if it does not exist or its placement is not signed yet.
    #[must_use]
    pub fn manifest(&self, key: &EndpointKey) -> Option<Arc<Rendered>> {
        let mut state = self.lock();
        if let Some(rendered) = state.rendered.get(key) {
            return Some(Arc::clone(rendered));
        }
        let rendered = match Rendered::new(state.index.view(key)?) {
            Ok(rendered) => Arc::new(rendered),
            Err(error) => {
                tracing::error!(fleet = %key.fleet, endpoint = %key.name, %error, "a manifest cannot be written");
                return None;
            }
        };
        state.rendered.insert(key.clone(), Arc::clone(&rendered));
        Some(rendered)
    }

    /// Changes of this endpoint from now on. To miss none: subscribe, then look, then wait.
    #[must_use]
    pub fn subscribe(&self, key: &EndpointKey) -> watch::Receiver<()> {
        self.lock().waiting.entry(key.clone()).or_default().subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Index) -> Changed) {
        let mut state = self.lock();
        for key in change(&mut state.index) {
            state.rendered.remove(&key);
            let Some(sender) = state.waiting.get(&key) else { continue };
            if sender.send(()).is_err() {
                state.waiting.remove(&key);
            }
        }
    }

    /// Poisoning is ignored: a handler that panics only reads, and a feed that panics ends the process.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
