//! Reads of the API server of this moment. Passes that ask for the same thing at the same time share one answer, and never one
//! that was on its way before they asked: what they get is as live as if each had read for itself. A read that gets no answer is
//! given up, so that it does not hold up those who ask after it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tidegate_api::{Fleet, JitPolicy, Lock, ManagedEndpoint};

use super::Guarded;
use super::error::Error;

/// A read of one object or a fleet's Locks that takes longer will not come: its pass fails and is tried again, and whoever waits for
/// this read to end begins one of their own.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a request hangs on, read live.
#[derive(Debug, Default)]
pub struct Live {
    policies: Arc<Reads<Found<JitPolicy>>>,
    endpoints: Arc<Reads<Found<ManagedEndpoint>>>,
    fleets: Arc<Reads<Found<Fleet>>>,
    locks: Arc<Reads<Listed<Lock>>>,
}

/// An object, if there is one.
type Found<K> = Result<Option<Arc<Guarded<K>>>, Arc<kube::Error>>;

/// All objects of a fleet.
type Listed<K> = Result<Arc<Vec<Guarded<K>>>, Arc<kube::Error>>;

/// Reads of one sort of thing that are on their way, by what they are of.
#[derive(Debug)]
pub struct Reads<T: Clone> {
    on_their_way: Mutex<HashMap<String, OnItsWay<T>>>,
}

type Answer<T> = Shared<BoxFuture<'static, T>>;

#[derive(Debug)]
struct OnItsWay<T: Clone> {
    /// Has begun: too late to join.
    begun: Answer<T>,
    /// Begins when that one has ended; whoever asks until then joins it.
    next: Option<Answer<T>>,
}

// === impl Live ===

impl Live {
    /// A policy.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn policy(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<JitPolicy>>>, Error> {
        get(&self.policies, client, namespace, name, "JitPolicy").await
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn endpoint(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<ManagedEndpoint>>>, Error> {
        get(&self.endpoints, client, namespace, name, "ManagedEndpoint").await
    }

    /// The settings of a fleet.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn fleet(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Guarded<Fleet>>>, Error> {
        get(&self.fleets, client, namespace, name, "Fleet").await
    }

    /// The Locks of a fleet.
    ///
    /// # Errors
    /// [`Error::Fetch`]
    pub async fn locks(&self, client: &Client, namespace: &str) -> Result<Arc<Vec<Guarded<Lock>>>, Error> {
        let api = Api::<Guarded<Lock>>::namespaced(client.clone(), namespace);
        let read = async move {
            let list = in_time(PATIENCE, async move { api.list(&ListParams::default()).await }).await;
            list.map(|list| Arc::new(list.items)).map_err(Arc::new)
        };
        let answer = self.locks.read(namespace, read).await;
        answer.map_err(|source| Error::Fetch { what: "the Locks", source })
    }
}

async fn get<K>(
    reads: &Arc<Reads<Found<K>>>,
    client: &Client,
    namespace: &str,
    name: &str,
    what: &'static str,
) -> Result<Option<Arc<Guarded<K>>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api = Api::<Guarded<K>>::namespaced(client.clone(), namespace);
    let object = name.to_owned();
    let read = async move {
        let found = in_time(PATIENCE, async move { api.get_opt(&object).await }).await;
        found.map(|found| found.map(Arc::new)).map_err(Arc::new)
    };
    let answer = reads.read(&format!("{namespace}/{name}"), read).await;
    answer.map_err(|source| Error::Fetch { what, source })
}

/// The answer, or an error that says that none came in time.
async fn in_time<T>(limit: Duration, read: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late =
        |_| kube::Error::Service(format!("the API server did not answer within {} s", limit.as_secs_f32()).into());
    tokio::time::timeout(limit, read).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

// === impl Reads ===

impl<T: Clone> Default for Reads<T> {
    fn default() -> Self {
        Self { on_their_way: Mutex::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Reads<T> {
    /// The answer of a read of `key` that begins now or later: this one, or that of somebody who waits already.
    pub fn read(self: &Arc<Self>, key: &str, read: impl Future<Output = T> + Send + 'static) -> Answer<T> {
        let mut all = self.all();
        if let Some(next) = all.get(key).and_then(|on_its_way| on_its_way.next.clone()) {
            return next;
        }
        let (this, of) = (Arc::clone(self), key.to_owned());
        match all.get_mut(key) {
            None => {
                let first = async move {
                    let answer = read.await;
                    this.ended(&of);
                    answer
                };
                let first = first.boxed().shared();
                all.insert(key.to_owned(), OnItsWay { begun: first.clone(), next: None });
                first
            }
            Some(on_its_way) => {
                let before = on_its_way.begun.clone();
                let next = async move {
                    before.await;
                    this.begins(&of);
                    let answer = read.await;
                    this.ended(&of);
                    answer
                };
                let next = next.boxed().shared();
                on_its_way.next = Some(next.clone());
                next
            }
        }
    }

    /// From here on nobody joins it any more.
    fn begins(&self, key: &str) {
        if let Some(on_its_way) = self.all().get_mut(key)
            && let Some(next) = on_its_way.next.take()
        {
            on_its_way.begun = next;
        }
    }

    /// The next one has whom to wait for; without one there is nothing to remember.
    fn ended(&self, key: &str) {
        let mut all = self.all();
        if all.get(key).is_some_and(|on_its_way| on_its_way.next.is_none()) {
            all.remove(key);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, OnItsWay<T>>> {
        // Nothing in here panics half way through a change.
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// A read that begins when it is first polled, and answers how many had begun before it once it is let go.
    fn read(begun: &Arc<AtomicUsize>, let_go: oneshot::Receiver<()>) -> impl Future<Output = usize> + Send + 'static {
        let begun = Arc::clone(begun);
        async move {
            let number = begun.fetch_add(1, Ordering::SeqCst);
            let _ = let_go.await;
            number
        }
    }

    #[tokio::test]
    async fn whoever_asks_while_a_read_is_on_its_way_shares_the_next_one() {
        let (reads, begun) = (Arc::new(Reads::default()), Arc::new(AtomicUsize::new(0)));
        let (free_first, first_freed) = oneshot::channel();
        let (free_second, second_freed) = oneshot::channel();
        let (_never, unused) = oneshot::channel();
        let mut first = reads.read("a", read(&begun, first_freed));
        assert_eq!(futures::poll!(&mut first), std::task::Poll::Pending);
        let second = reads.read("a", read(&begun, second_freed));
        let third = reads.read("a", read(&begun, unused));
        free_first.send(()).unwrap();
        assert_eq!(first.await, 0);
        free_second.send(()).unwrap();
        assert_eq!(futures::join!(second, third), (1, 1), "both began to ask before the second read did");
        assert!(reads.all().is_empty(), "nothing is remembered when nobody waits");
    }

    #[tokio::test]
    async fn a_read_that_has_begun_is_too_late_to_join() {
        let (reads, begun) = (Arc::new(Reads::default()), Arc::new(AtomicUsize::new(0)));
        let done = || {
            let (free, freed) = oneshot::channel();
            free.send(()).unwrap();
            freed
        };
        let (free_second, second_freed) = oneshot::channel();
        let first = reads.read("a", read(&begun, done()));
        let mut second = reads.read("a", read(&begun, second_freed));
        assert_eq!(first.await, 0);
        assert_eq!(futures::poll!(&mut second), std::task::Poll::Pending);
        let third = reads.read("a", read(&begun, done()));
        free_second.send(()).unwrap();
        assert_eq!((second.await, third.await), (1, 2));
    }

    #[tokio::test]
    async fn whoever_gives_up_holds_up_nobody() {
        let (reads, begun) = (Arc::new(Reads::default()), Arc::new(AtomicUsize::new(0)));
        let (free, freed) = oneshot::channel();
        let mut first = reads.read("a", read(&begun, freed));
        assert_eq!(futures::poll!(&mut first), std::task::Poll::Pending);
        drop(first);
        free.send(()).unwrap();
        let (free, freed) = oneshot::channel();
        free.send(()).unwrap();
        assert_eq!(reads.read("a", read(&begun, freed)).await, 1);
    }

    #[tokio::test]
    async fn a_read_without_an_answer_fails_by_name_and_whoever_waited_for_it_reads_anew() {
        let reads = Arc::new(Reads::default());
        let hung = async { in_time(Duration::from_millis(1), std::future::pending()).await.map_err(Arc::new) };
        let mut first = reads.read("a", hung);
        assert!(futures::poll!(&mut first).is_pending());
        let second = reads.read("a", async { Ok("answered") });
        let (first, second) = futures::join!(first, second);
        assert_eq!(first.unwrap_err().to_string(), "ServiceError: the API server did not answer within 0.001 s");
        assert_eq!(second.unwrap(), "answered");
        assert!(reads.all().is_empty(), "nothing is remembered when nobody waits");
    }

    #[tokio::test]
    async fn what_is_asked_of_one_thing_is_no_answer_for_another() {
        let (reads, begun) = (Arc::new(Reads::default()), Arc::new(AtomicUsize::new(0)));
        let (_never, unused) = oneshot::channel();
        let mut first = reads.read("a", read(&begun, unused));
        assert_eq!(futures::poll!(&mut first), std::task::Poll::Pending);
        let (free, freed) = oneshot::channel();
        free.send(()).unwrap();
        assert_eq!(reads.read("b", read(&begun, freed)).await, 1);
    }
}
