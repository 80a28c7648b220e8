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

use super::index::{Index, Other};
use crate::clock;
use crate::runtime::Readiness;

/// A watch, before it runs.
pub struct Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    cache: Writer<K>,
    indexes: Vec<Index<K>>,
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
        Self { cache: Writer::default(), indexes: Vec::new(), listeners: Vec::new() }
    }

    /// The cache.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.cache.as_reader()
    }

    /// Its objects by what they refer to; `None`: not to be found by it. Whoever is told of a change finds the index changed.
    pub fn index(&mut self, refers_to: fn(&K) -> Option<Other>) -> Index<K> {
        let index = Index::new(refers_to);
        self.indexes.push(index.clone());
        index
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
        let store = self.store();
        match event {
            // Not in the cache before the list is complete.
            Event::Init | Event::InitApply(_) => self.cache.apply_watcher_event(event),
            Event::Apply(object) | Event::Delete(object) => {
                let reference = ObjectRef::from_obj(object);
                let before = store.get(&reference);
                self.cache.apply_watcher_event(event);
                let after = store.get(&reference);
                self.indexes.iter().for_each(|index| index.replace(before.as_deref(), after.as_deref()));
                self.tell(&Arc::new(object.clone()));
            }
            // What is missing in the list went while nobody watched.
            Event::InitDone => {
                let before = store.state();
                self.cache.apply_watcher_event(event);
                let after = store.state();
                self.indexes.iter().for_each(|index| index.fill(&after));
                let all = before.into_iter().chain(after);
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
    fn whoever_is_told_finds_the_cache_up_to_date_and_the_index() {
        let mut watch = Watch::<ConfigMap>::new();
        let index = watch.index(|_| Some((String::new(), "other".to_owned())));
        let (store, mut told) = (watch.store(), watch.touched());
        let mut found = |there: bool| {
            assert_eq!(names(&mut told), ["a"]);
            assert_eq!(store.get(&ObjectRef::new("a")).is_some(), there);
            assert_eq!(index.of(&object("other")).len(), usize::from(there));
        };
        watch.take(&Event::Apply(object("a")));
        found(true);
        watch.take(&Event::Delete(object("a")));
        found(false);
        for event in [Event::Init, Event::InitApply(object("a")), Event::InitDone] {
            watch.take(&event);
        }
        found(true);
    }
}
