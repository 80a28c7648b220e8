//! One kind's passes: what triggers them, in whose turn, and the loop that runs and measures them.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::{self, UnboundedSender};
use futures::stream::{self, BoxStream, SelectAll, select_all};
use kube::runtime::applier;
use kube::runtime::controller::{self, Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::controller::Context;
use crate::controller::error::Error;
use crate::controller::queue::Queue;
use crate::controller::turns::{Key, Turn, in_turns};
use crate::metrics::{Kind, Outcome};

/// Passes at the same time, per kind.
const CONCURRENCY: u16 = 8;

/// Over requests: each waits for the API server most of its time, and the more wait together, the more share one read.
const CONCURRENCY_OF_REQUESTS: u16 = 32;

/// What makes the passes of a kind run: names of its objects.
type Triggers<K> = SelectAll<BoxStream<'static, ObjectRef<K>>>;

/// One kind's cache and what triggers its passes.
pub struct Wire<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// The cache.
    pub store: Store<K>,
    pub(super) triggers: Triggers<K>,
    /// Where passes wait in turns: told of each that is over.
    turns: Option<UnboundedSender<Key>>,
}

// === impl Wire ===

impl<K> Wire<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    pub(super) fn new<const N: usize>(store: Store<K>, triggers: [BoxStream<'static, ObjectRef<K>>; N]) -> Self {
        Self { store, triggers: select_all(triggers), turns: None }
    }

    /// Every object, at each of these ticks too.
    pub(super) fn also(mut self, ticks: BoxStream<'static, ()>) -> Self {
        let store = self.store.clone();
        let all = ticks.flat_map(move |()| {
            let all = store.state();
            stream::iter(all.into_iter().map(|object| ObjectRef::from_obj(object.as_ref())))
        });
        self.triggers.push(all.boxed());
        self
    }

    /// Every object, when the passes begin.
    pub(super) fn all_once(self) -> Self {
        self.also(stream::once(ready(())).boxed())
    }

    /// Passes wait in turns, each in the one that `turn_of` says.
    pub(super) fn in_turns(self, turn_of: impl Fn(&K) -> Turn + Send + 'static) -> Self {
        let (tell, passed) = mpsc::unbounded();
        let places = usize::from(CONCURRENCY_OF_REQUESTS);
        let turns = in_turns(self.triggers, self.store.clone(), places, passed, turn_of);
        Self { store: self.store, triggers: select_all([turns.boxed()]), turns: Some(tell) }
    }

    /// Runs the passes until told to stop, then those that have begun to their end, measuring each.
    pub(super) fn drive<F, R>(
        self,
        reconcile: F,
        kind: Kind,
        context: &Arc<Context>,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<K, F, R>
    where
        F: Fn(Arc<K>, Arc<Context>) -> R + Send + 'static,
        R: Future<Output = Result<Action, Error>> + Send + 'static,
    {
        let waiting = Arc::new(Queue::new(kind, context.metrics.clone()));
        let begun = Arc::clone(&waiting);
        let measured = move |object: Arc<K>, context: Arc<Context>| {
            begun.begins(object.namespace().as_deref(), &object.name_any(), clock::monotonic());
            let pass = reconcile(object, Arc::clone(&context));
            Box::pin(async move {
                let started = clock::monotonic();
                let result = pass.await;
                let outcome = match &result {
                    Ok(_) => Outcome::Ok,
                    Err(error) if error.is_conflict() => Outcome::Conflict,
                    Err(error) => {
                        context.metrics.failed(kind, error.step());
                        Outcome::Error
                    }
                };
                context.metrics.reconciled(kind, outcome, clock::monotonic().saturating_sub(started));
                result
            })
        };
        let on_error = move |object: Arc<K>, error: &Error, context: Arc<Context>| {
            let (namespace, name, uid) = (object.namespace().unwrap_or_default(), object.name_any(), object.uid());
            let traced = uid.as_ref().filter(|_| kind == Kind::Request).and_then(|uid| context.traces.of(uid));
            let trace_id = traced.map(tracing::field::display);
            if error.is_conflict() {
                tracing::debug!(?kind, namespace, name, uid, trace_id, %error, "changed meanwhile; looking again");
            } else {
                tracing::warn!(?kind, namespace, name, uid, trace_id, %error, "could not judge; trying again");
            }
            error.retry()
        };
        let noted = Arc::clone(&waiting);
        let note = move |due: &ObjectRef<K>| noted.due(due.namespace.as_deref(), &due.name, clock::monotonic());
        let queue = self.triggers.inspect(note).map(Ok::<_, Infallible>).take_until(stop.clone().cancelled_owned());
        let concurrency = if kind == Kind::Request { CONCURRENCY_OF_REQUESTS } else { CONCURRENCY };
        let config = Config::default().concurrency(concurrency);
        let turns = self.turns;
        // What is gone from the cache needs no pass, but had its turn; what went wrong in one has been told.
        applier(measured, on_error, Arc::clone(context), self.store, queue, config).for_each(move |passed| {
            if let Err(controller::Error::ObjectNotFound(gone)) = &passed {
                waiting.gone(gone.namespace.as_deref(), &gone.name);
            }
            if let (Some(turns), Some(key)) = (&turns, key_of(passed)) {
                // Nobody listens when everything stops.
                let _stopped = turns.unbounded_send(key);
            }
            ready(())
        })
    }
}

/// Of what a pass was, or would have been.
fn key_of<K>(passed: Result<(ObjectRef<K>, Action), controller::Error<Error, Infallible>>) -> Option<Key>
where
    K: Resource<DynamicType = ()>,
{
    match passed {
        Ok((object, _)) => Some((object.namespace, object.name)),
        Err(controller::Error::ObjectNotFound(object) | controller::Error::ReconcilerFailed(_, object)) => {
            Some((object.namespace, object.name))
        }
        Err(controller::Error::QueueError(_) | controller::Error::RunnerError(_)) => None,
    }
}
