//! Which objects of a kind refer to another one, kept beside the cache: looking through all of them at each change of each object
//! that they refer to would cost the one number times the other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

/// Namespace and name of what an object refers to.
pub type Other = (String, String);

type References<K> = HashMap<Other, HashSet<ObjectRef<K>>>;

/// Objects by what they refer to, as the cache has them: [`super::watch::Watch`] keeps both.
#[derive(Clone)]
pub struct Index<K: Resource<DynamicType = ()>> {
    refers_to: fn(&K) -> Option<Other>,
    references: Arc<Mutex<References<K>>>,
}

// === impl Index ===

impl<K: Resource<DynamicType = ()>> Index<K> {
    /// An empty one. `refers_to` says what an object refers to; `None`: it is not to be found by it.
    #[must_use]
    pub fn new(refers_to: fn(&K) -> Option<Other>) -> Self {
        Self { refers_to, references: Arc::default() }
    }

    /// The objects that refer to this one.
    pub fn of(&self, other: &impl ResourceExt) -> Vec<ObjectRef<K>> {
        let key = (other.namespace().unwrap_or_default(), other.name_any());
        self.lock().get(&key).into_iter().flatten().cloned().collect()
    }

    /// An object has changed, is new or is gone.
    pub fn replace(&self, before: Option<&K>, after: Option<&K>) {
        let mut references = self.lock();
        if let Some((key, reference)) = before.and_then(|object| self.entry(object))
            && let Some(others) = references.get_mut(&key)
        {
            others.remove(&reference);
            if others.is_empty() {
                references.remove(&key);
            }
        }
        if let Some((key, reference)) = after.and_then(|object| self.entry(object)) {
            references.entry(key).or_default().insert(reference);
        }
    }

    /// These and no others.
    pub fn fill(&self, all: &[Arc<K>]) {
        let mut references = References::new();
        for (key, reference) in all.iter().filter_map(|object| self.entry(object)) {
            references.entry(key).or_default().insert(reference);
        }
        *self.lock() = references;
    }

    fn entry(&self, object: &K) -> Option<(Other, ObjectRef<K>)> {
        Some(((self.refers_to)(object)?, ObjectRef::from_obj(object)))
    }

    /// Poisoning is ignored: nothing in here panics half way through a change.
    fn lock(&self) -> MutexGuard<'_, References<K>> {
        self.references.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    /// An object that refers to what its label says.
    fn object(namespace: &str, name: &str, on: Option<&str>) -> ConfigMap {
        let labels = on.map(|on| [("on".to_owned(), on.to_owned())].into());
        let (namespace, name) = (Some(namespace.to_owned()), Some(name.to_owned()));
        ConfigMap { metadata: ObjectMeta { name, namespace, labels, ..ObjectMeta::default() }, ..ConfigMap::default() }
    }

    fn found(index: &Index<ConfigMap>, namespace: &str, name: &str) -> Vec<String> {
        let found = index.of(&object(namespace, name, None)).into_iter();
        found.map(|reference| reference.name).collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn objects_are_found_by_what_they_refer_to_as_long_as_they_do() {
        let index = Index::new(|object: &ConfigMap| {
            Some((object.namespace().unwrap_or_default(), object.labels().get("on")?.clone()))
        });
        let (a, b, elsewhere) =
            (object("berlin", "a", Some("ws")), object("berlin", "b", Some("ws")), object("rome", "a", Some("ws")));
        for new in [&a, &b, &elsewhere] {
            index.replace(None, Some(new));
        }
        assert_eq!(found(&index, "berlin", "ws"), ["a", "b"]);
        let moved = object("berlin", "a", Some("other"));
        index.replace(Some(&a), Some(&moved));
        assert_eq!(
            (found(&index, "berlin", "ws"), found(&index, "berlin", "other")),
            (vec!["b".into()], vec!["a".into()])
        );
        index.replace(Some(&moved), Some(&object("berlin", "a", None)));
        index.replace(Some(&b), None);
        assert!(found(&index, "berlin", "other").is_empty() && found(&index, "berlin", "ws").is_empty());
        assert_eq!(index.lock().len(), 1, "nothing is kept for what nobody refers to any more");
        index.fill(&[Arc::new(b)]);
        assert_eq!((found(&index, "berlin", "ws"), found(&index, "rome", "ws")), (vec!["b".into()], vec![]));
    }
}
