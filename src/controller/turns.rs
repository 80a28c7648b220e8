//! Whose turn it is: passes wait by person, so one who asks without end waits for themselves. Pure but for `in_turns`, which puts it
//! between what triggers passes and the passes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::task::Poll;

use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::{self, Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};

/// Namespace and name of an object.
pub type Key = (Option<String>, String);

/// Passes at the same time, and how many of them for one person: others always find one free.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For all.
    pub all: usize,
    /// For one.
    pub each: usize,
}

/// Who waits, and who is at it.
#[derive(Debug)]
struct Turns {
    limits: Limits,
    /// Who has something waiting; the first is next.
    order: VecDeque<String>,
    /// What waits, by whose it is, oldest first; never empty.
    waiting: HashMap<String, VecDeque<Key>>,
    /// What waits, whosever it is: what is asked for twice waits once.
    known: HashSet<Key>,
    running: HashMap<Key, String>,
    /// Asked for while it ran: it runs again afterwards.
    again: HashMap<Key, String>,
}

/// These objects, each when its turn has come. `passed` says that a pass is over. What is gone from the cache has no turn.
pub fn in_turns<K>(
    mut asked: impl Stream<Item = ObjectRef<K>> + Unpin + Send + 'static,
    cache: Store<K>,
    limits: Limits,
    mut passed: UnboundedReceiver<Key>,
    whose: impl Fn(&K) -> String + Send + 'static,
) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut turns = Turns::new(limits);
    let mut over = false;
    stream::poll_fn(move |cx| {
        while let Poll::Ready(Some(key)) = passed.poll_next_unpin(cx) {
            turns.passed(&key);
        }
        while !over {
            let Poll::Ready(next) = asked.poll_next_unpin(cx) else { break };
            let Some(reference) = next else {
                over = true;
                break;
            };
            let key = (reference.namespace.clone(), reference.name.clone());
            match cache.get(&reference) {
                Some(object) => turns.ask(whose(&object), key),
                // Its turn may have been given already, and no pass will end it.
                None => turns.passed(&key),
            }
        }
        while let Some(key) = turns.next() {
            let reference = reference(&key);
            if cache.get(&reference).is_some() {
                return Poll::Ready(Some(reference));
            }
            // Gone while it waited.
            turns.passed(&key);
        }
        if over { Poll::Ready(None) } else { Poll::Pending }
    })
}

fn reference<K: Resource<DynamicType = ()>>((namespace, name): &Key) -> ObjectRef<K> {
    let reference = ObjectRef::new(name);
    match namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}

// === impl Turns ===

impl Turns {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            order: VecDeque::new(),
            waiting: HashMap::new(),
            known: HashSet::new(),
            running: HashMap::new(),
            again: HashMap::new(),
        }
    }

    /// A pass over `key` is wanted; it is `whose`.
    fn ask(&mut self, whose: String, key: Key) {
        if self.running.contains_key(&key) {
            self.again.insert(key, whose);
        } else if self.known.insert(key.clone()) {
            let waiting = self.waiting.entry(whose.clone()).or_default();
            if waiting.is_empty() {
                self.order.push_back(whose);
            }
            waiting.push_back(key);
        }
    }

    /// What runs next, if something may.
    fn next(&mut self) -> Option<Key> {
        if self.running.len() >= self.limits.all {
            return None;
        }
        for _ in 0..self.order.len() {
            let whose = self.order.pop_front()?;
            if self.running.values().filter(|other| **other == whose).count() >= self.limits.each {
                self.order.push_back(whose);
                continue;
            }
            let waiting = self.waiting.get_mut(&whose)?;
            let key = waiting.pop_front()?;
            if waiting.is_empty() {
                self.waiting.remove(&whose);
            } else {
                self.order.push_back(whose.clone());
            }
            self.known.remove(&key);
            self.running.insert(key.clone(), whose);
            return Some(key);
        }
        None
    }

    /// The pass over `key` is over.
    fn passed(&mut self, key: &Key) {
        self.running.remove(key);
        if let Some(whose) = self.again.remove(key) {
            self.ask(whose, key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::mpsc;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;

    use super::*;

    fn key(name: &str) -> Key {
        (None, name.to_owned())
    }

    /// Asks for these, each of whom its first letter says.
    fn asked(limits: Limits, names: &[&str]) -> Turns {
        let mut turns = Turns::new(limits);
        names.iter().for_each(|name| turns.ask(name[..1].to_owned(), key(name)));
        turns
    }

    fn next(turns: &mut Turns) -> Vec<String> {
        std::iter::from_fn(|| turns.next()).map(|(_, name)| name).collect()
    }

    #[test]
    fn who_asks_without_end_waits_for_themselves() {
        let mut turns = asked(Limits { all: 4, each: 2 }, &["a1", "a2", "a3", "a4", "a5", "b1", "c1"]);
        assert_eq!(next(&mut turns), ["a1", "b1", "c1", "a2"], "one after the other, not first come first served");
        turns.passed(&key("b1"));
        assert_eq!(next(&mut turns), [""; 0], "a place is free, and a has two");
        turns.ask("b".to_owned(), key("b2"));
        assert_eq!(next(&mut turns), ["b2"]);
        turns.passed(&key("a1"));
        assert_eq!(next(&mut turns), ["a3"]);
    }

    #[test]
    fn what_is_asked_for_twice_runs_once_and_again_if_it_was_running() {
        let mut turns = asked(Limits { all: 4, each: 4 }, &["a1", "a1"]);
        assert_eq!(next(&mut turns), ["a1"]);
        turns.ask("a".to_owned(), key("a1"));
        assert_eq!(next(&mut turns), [""; 0], "never at the same time");
        turns.passed(&key("a1"));
        assert_eq!(next(&mut turns), ["a1"]);
        turns.passed(&key("a1"));
        turns.passed(&key("a1"));
        assert_eq!(next(&mut turns), [""; 0]);
        assert!(
            turns.order.is_empty() && turns.waiting.is_empty() && turns.known.is_empty() && turns.running.is_empty()
        );
    }

    #[test]
    fn what_is_gone_gives_its_place_back() {
        let named = |name: &str| {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            ConfigMap { metadata, ..ConfigMap::default() }
        };
        let mut cache = Writer::<ConfigMap>::default();
        for name in ["a1", "a2", "a3"] {
            cache.apply_watcher_event(&Event::Apply(named(name)));
        }
        let ((ask, asked), (_done, passed)) = (mpsc::unbounded(), mpsc::unbounded());
        let limits = Limits { all: 1, each: 1 };
        let mut turns = in_turns(asked, cache.as_reader(), limits, passed, |_| "a".to_owned());
        let mut told = |name: &str| {
            ask.unbounded_send(ObjectRef::new(name)).unwrap();
            turns.next().now_or_never().flatten().map(|reference| reference.name)
        };
        assert_eq!(told("a1").as_deref(), Some("a1"));
        assert_eq!(told("a2"), None, "the one place is taken");
        assert_eq!(told("a3"), None);
        cache.apply_watcher_event(&Event::Delete(named("a2")));
        cache.apply_watcher_event(&Event::Delete(named("a1")));
        assert_eq!(told("a1").as_deref(), Some("a3"), "told of a deletion; what went while it waited has no turn");
    }
}
