//! One watch per kind: its cache, and those who want to know what it touched. They are told after the cache has the change, so that
//! the pass that follows sees it. (Two watches of one kind, as kube-runtime's Controller makes them, tell before the other's cache
//! has it, and nothing tells again.)

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::channel::mpsc::{self, UnboundedSender};
use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use crate::clock;
use crate::runtime::Readiness;

/// A watch, before it runs.
pub struct Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    cache: Writer<K>,
    listeners: Vec<UnboundedSender<Arc<K>>>,
}

// === impl Watch ===

impl<K> Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// An empty cache that nobody listens to.
    #[must_use]
    pub fn new() -> Self {
        Self { cache: Writer::default(), listeners: Vec::new() }
    }

    /// The cache.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.cache.as_reader()
    }

    /// Every object that is new, changed or gone; after a full list all that were or are in the cache. Not bounded: a listener
    /// only notes the name and goes on.
    pub fn touched(&mut self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        let (tell, told) = mpsc::unbounded();
        self.listeners.push(tell);
        told
    }

    /// Takes events until there are no more. The first full list makes this kind ready.
    pub async fn run(mut self, events: impl Stream<Item = watcher::Result<Event<K>>>, readiness: Arc<Readiness>) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    self.take(&event);
                    if matches!(event, Event::InitDone) {
                        readiness.filled(&K::plural(&()), clock::monotonic());
                    }
                }
                Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch failed; trying again"),
            }
        }
    }

    fn take(&mut self, event: &Event<K>) {
        let before = if matches!(event, Event::InitDone) { self.store().state() } else { Vec::new() };
        self.cache.apply_watcher_event(event);
        match event {
            // Not in the cache before the list is complete.
            Event::Init | Event::InitApply(_) => {}
            Event::Apply(object) | Event::Delete(object) => self.tell(&Arc::new(object.clone())),
            // What is missing in the list went while nobody watched.
            Event::InitDone => {
                let all = before.into_iter().chain(self.store().state());
                let all: HashMap<_, _> = all.map(|object| (ObjectRef::from_obj(object.as_ref()), object)).collect();
                all.values().for_each(|object| self.tell(object));
            }
        }
    }

    fn tell(&self, object: &Arc<K>) {
        for listener in &self.listeners {
            // A listener that is gone is one whose passes have stopped: so does the process.
            let _gone = listener.unbounded_send(Arc::clone(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;
    use kube::api::ObjectMeta;

    use super::*;

    fn object(name: &str) -> ConfigMap {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn names(told: &mut (impl Stream<Item = Arc<ConfigMap>> + Unpin)) -> Vec<String> {
        let next = std::iter::from_fn(|| told.next().now_or_never().flatten());
        let mut names: Vec<String> = next.map(|object| object.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_list_is_told_when_it_is_complete_and_with_what_it_lacks() {
        let mut watch = Watch::<ConfigMap>::new();
        let (store, mut told) = (watch.store(), watch.touched());
        for event in [Event::Init, Event::InitApply(object("a")), Event::InitApply(object("b"))] {
            watch.take(&event);
            assert!(names(&mut told).is_empty(), "told of what the cache does not have");
        }
        watch.take(&Event::InitDone);
        assert_eq!(names(&mut told), ["a", "b"]);

        for event in [Event::Init, Event::InitApply(object("b")), Event::InitDone] {
            watch.take(&event);
        }
        assert_eq!(names(&mut told), ["a", "b"], "a is gone, and somebody may have to know");
        assert!(store.get(&ObjectRef::new("a")).is_none());
    }

    #[test]
    fn whoever_is_told_finds_the_cache_up_to_date() {
        let mut watch = Watch::<ConfigMap>::new();
        let (store, mut told) = (watch.store(), watch.touched());
        watch.take(&Event::Apply(object("a")));
        assert_eq!(names(&mut told), ["a"]);
        assert!(store.get(&ObjectRef::new("a")).is_some());
        watch.take(&Event::Delete(object("a")));
        assert_eq!(names(&mut told), ["a"]);
        assert!(store.get(&ObjectRef::new("a")).is_none());
    }
}
