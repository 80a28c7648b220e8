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

/// Whose turn a pass takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Turn {
    /// Who waits for it.
    pub whose: String,
    /// How many of theirs run at the same time, at most: others always find a place free.
    pub places: usize,
}

/// Who waits, and who is at it.
#[derive(Debug)]
struct Turns {
    /// Passes at the same time.
    places: usize,
    /// Who has something waiting; the first is next.
    order: VecDeque<Turn>,
    /// What waits, by whose it is, oldest first; never empty.
    waiting: HashMap<Turn, VecDeque<Key>>,
    /// What waits, whosever it is: what is asked for twice waits once.
    known: HashSet<Key>,
    running: HashMap<Key, Turn>,
    /// Asked for while it ran: it runs again afterwards.
    again: HashMap<Key, Turn>,
}

/// These objects, so many at the same time, each when its turn has come. `passed` says that a pass is over, or that there was none, as the
/// object was gone by then. What is gone from the cache has no turn.
pub fn in_turns<K>(
    mut asked: impl Stream<Item = ObjectRef<K>> + Unpin + Send + 'static,
    cache: Store<K>,
    places: usize,
    mut passed: UnboundedReceiver<Key>,
    turn_of: impl Fn(&K) -> Turn + Send + 'static,
) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut turns = Turns::new(places);
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
            if let Some(object) = cache.get(&reference) {
                turns.ask(turn_of(&object), key);
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
    fn new(places: usize) -> Self {
        Self {
            places,
            order: VecDeque::new(),
            waiting: HashMap::new(),
            known: HashSet::new(),
            running: HashMap::new(),
            again: HashMap::new(),
        }
    }

    /// A pass over `key` is wanted; it takes this turn.
    fn ask(&mut self, turn: Turn, key: Key) {
        if self.running.contains_key(&key) {
            self.again.insert(key, turn);
        } else if self.known.insert(key.clone()) {
            let waiting = self.waiting.entry(turn.clone()).or_default();
            if waiting.is_empty() {
                self.order.push_back(turn);
            }
            waiting.push_back(key);
        }
    }

    /// What runs next, if something may.
    fn next(&mut self) -> Option<Key> {
        if self.running.len() >= self.places {
            return None;
        }
        for _ in 0..self.order.len() {
            let turn = self.order.pop_front()?;
            if self.running.values().filter(|other| **other == turn).count() >= turn.places {
                self.order.push_back(turn);
                continue;
            }
            let waiting = self.waiting.get_mut(&turn)?;
            let key = waiting.pop_front()?;
            if waiting.is_empty() {
                self.waiting.remove(&turn);
            } else {
                self.order.push_back(turn.clone());
            }
            self.known.remove(&key);
            self.running.insert(key.clone(), turn);
            return Some(key);
        }
        None
    }

    /// The pass over `key` is over.
    fn passed(&mut self, key: &Key) {
        self.running.remove(key);
        if let Some(turn) = self.again.remove(key) {
            self.ask(turn, key.clone());
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

    /// Whose it is the first letter of a name says; b has one place, all others two.
    fn turn(name: &str) -> Turn {
        let whose = name[..1].to_owned();
        Turn { places: if whose == "b" { 1 } else { 2 }, whose }
    }

    /// Asks for these, on so many places.
    fn asked(places: usize, names: &[&str]) -> Turns {
        let mut turns = Turns::new(places);
        names.iter().for_each(|name| turns.ask(turn(name), key(name)));
        turns
    }

    fn next(turns: &mut Turns) -> Vec<String> {
        std::iter::from_fn(|| turns.next()).map(|(_, name)| name).collect()
    }

    #[test]
    fn who_asks_without_end_waits_for_themselves() {
        let mut turns = asked(4, &["a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1"]);
        assert_eq!(next(&mut turns), ["a1", "b1", "c1", "a2"], "one after the other, not first come first served");
        turns.passed(&key("c1"));
        assert_eq!(next(&mut turns), [""; 0], "a place is free, a has two and b the one there is for b");
        turns.passed(&key("b1"));
        assert_eq!(next(&mut turns), ["b2"]);
        turns.passed(&key("a1"));
        assert_eq!(next(&mut turns), ["a3"]);
    }

    #[test]
    fn what_is_asked_for_twice_runs_once_and_again_if_it_was_running() {
        let mut turns = asked(4, &["a1", "a1"]);
        assert_eq!(next(&mut turns), ["a1"]);
        turns.ask(turn("a"), key("a1"));
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
        let ((ask, asked), (done, passed)) = (mpsc::unbounded(), mpsc::unbounded());
        let mut turns = in_turns(asked, cache.as_reader(), 1, passed, |_| turn("a"));
        let mut told = |name: &str| {
            ask.unbounded_send(ObjectRef::new(name)).unwrap();
            turns.next().now_or_never().flatten().map(|reference| reference.name)
        };
        assert_eq!(told("a1").as_deref(), Some("a1"));
        assert_eq!(told("a2"), None, "the one place is taken");
        assert_eq!(told("a3"), None);
        cache.apply_watcher_event(&Event::Delete(named("a2")));
        cache.apply_watcher_event(&Event::Delete(named("a1")));
        assert_eq!(told("a1"), None, "told of a deletion, which is no pass");
        done.unbounded_send(key("a1")).unwrap();
        assert_eq!(told("a1").as_deref(), Some("a3"), "what went while it waited has no turn");
    }
}
