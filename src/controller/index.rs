//! Which objects of a kind refer to another one, kept beside the cache: looking through all of them at each change of each object
//! that they refer to would cost the one number times the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

/// Names of objects by namespace and name of what they refer to.
type Names = HashMap<(String, String), BTreeSet<String>>;

/// Objects by what in their namespace they refer to, as the cache has them: [`super::watch::Watch`] keeps both.
#[derive(Clone)]
pub struct Index<K> {
    refers_to: fn(&K) -> Option<String>,
    names: Arc<Mutex<Names>>,
}

// === impl Index ===

impl<K: Resource<DynamicType = ()>> Index<K> {
    /// An empty one. `refers_to` says the name of what an object refers to; `None`: it is not to be found by it.
    #[must_use]
    pub fn new(refers_to: fn(&K) -> Option<String>) -> Self {
        Self { refers_to, names: Arc::default() }
    }

    /// The objects that refer to this one.
    pub fn of(&self, other: &impl ResourceExt) -> Vec<ObjectRef<K>> {
        let key = (other.namespace().unwrap_or_default(), other.name_any());
        let names = self.lock();
        let names = names.get(&key).into_iter().flatten();
        names.map(|name| ObjectRef::new(name).within(&key.0)).collect()
    }

    /// An object has changed, is new or is gone.
    pub fn replace(&self, before: Option<&K>, after: Option<&K>) {
        let mut names = self.lock();
        if let Some((key, name)) = before.and_then(|object| self.entry(object))
            && let Some(others) = names.get_mut(&key)
        {
            others.remove(&name);
            if others.is_empty() {
                names.remove(&key);
            }
        }
        if let Some((key, name)) = after.and_then(|object| self.entry(object)) {
            names.entry(key).or_default().insert(name);
        }
    }

    /// These and no others.
    pub fn fill(&self, all: &[Arc<K>]) {
        let mut names = Names::new();
        for (key, name) in all.iter().filter_map(|object| self.entry(object)) {
            names.entry(key).or_default().insert(name);
        }
        *self.lock() = names;
    }

    fn entry(&self, object: &K) -> Option<((String, String), String)> {
        let other = (self.refers_to)(object)?;
        Some(((object.namespace().unwrap_or_default(), other), object.name_any()))
    }

    /// Poisoning is ignored: nothing in here panics half way through a change.
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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
        index.of(&object(namespace, name, None)).into_iter().map(|reference| reference.name).collect()
    }

    #[test]
    fn objects_are_found_by_what_they_refer_to_in_their_namespace_as_long_as_they_do() {
        let index = Index::new(|object: &ConfigMap| object.labels().get("on").cloned());
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
