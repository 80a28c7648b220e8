//! Reads that are shared: passes that ask for the same thing at the same time get one answer, and never one that was on its way before
//! they asked. So what they get is as live as if each had read for itself.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};

/// Of one thing at the same time, as long as each is for one asker. With few askers nobody waits for a read before their own; with
/// many, one read after the other serves all who have come meanwhile.
const SINGLE: usize = 3;

/// Reads of one sort of thing that are on their way, by what they are of.
#[derive(Debug)]
pub struct Reads<T: Clone> {
    on_their_way: Mutex<HashMap<String, OnTheirWay<T>>>,
}

type Answer<T> = Shared<BoxFuture<'static, T>>;

#[derive(Debug)]
struct OnTheirWay<T: Clone> {
    /// The last number that was given.
    last: u64,
    /// Have begun: too late to join. Each with its number.
    begun: Vec<(u64, Answer<T>)>,
    /// Each of these is for one asker.
    single: bool,
    /// Begins when all of these have ended; whoever asks until then joins it.
    next: Option<Next<T>>,
}

#[derive(Debug)]
struct Next<T: Clone> {
    answer: Answer<T>,
    askers: usize,
}

// === impl Reads ===

impl<T: Clone> Default for Reads<T> {
    fn default() -> Self {
        Self { on_their_way: Mutex::default() }
    }
}

impl<T: Clone> Default for OnTheirWay<T> {
    fn default() -> Self {
        Self { last: 0, begun: Vec::new(), single: true, next: None }
    }
}

impl<T: Clone + Send + Sync + 'static> Reads<T> {
    /// The answer of a read of `key` that begins now or later: this one, or that of somebody who waits already.
    pub fn read(self: &Arc<Self>, key: &str, read: impl Future<Output = T> + Send + 'static) -> Answer<T> {
        let mut all = self.all();
        let here = all.entry(key.to_owned()).or_default();
        if let Some(next) = &mut here.next {
            next.askers += 1;
            return next.answer.clone();
        }
        here.last += 1;
        let (this, of, number) = (Arc::clone(self), key.to_owned(), here.last);
        if here.begun.is_empty() || here.single && here.begun.len() < SINGLE {
            here.single = true;
            let answer = async move {
                let answer = read.await;
                this.ended(&of, number);
                answer
            };
            let answer = answer.boxed().shared();
            here.begun.push((number, answer.clone()));
            return answer;
        }
        let before = join_all(here.begun.iter().map(|(_, answer)| answer.clone()));
        let answer = async move {
            before.await;
            this.begins(&of, number);
            let answer = read.await;
            this.ended(&of, number);
            answer
        };
        let answer = answer.boxed().shared();
        here.next = Some(Next { answer: answer.clone(), askers: 1 });
        answer
    }

    /// From here on nobody joins it any more.
    fn begins(&self, key: &str, number: u64) {
        if let Some(here) = self.all().get_mut(key)
            && let Some(Next { answer, askers }) = here.next.take()
        {
            here.begun.push((number, answer));
            here.single = askers == 1;
        }
    }

    /// Where nobody waits there is nothing to remember.
    fn ended(&self, key: &str, number: u64) {
        let mut all = self.all();
        let Some(here) = all.get_mut(key) else { return };
        here.begun.retain(|(begun, _)| *begun != number);
        if here.begun.is_empty() && here.next.is_none() {
            all.remove(key);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, OnTheirWay<T>>> {
        // Nothing in here panics half way through a change.
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// Reads that are counted when they begin, and answer with their number, from 0 on, once they are let go.
    #[derive(Default)]
    struct Counted {
        reads: Arc<Reads<usize>>,
        begun: Arc<AtomicUsize>,
    }

    impl Counted {
        fn ask(&self, key: &str) -> (Answer<usize>, oneshot::Sender<()>) {
            let (let_go, waits) = oneshot::channel::<()>();
            let begun = Arc::clone(&self.begun);
            let read = async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                let _ = waits.await;
                number
            };
            (self.reads.read(key, read), let_go)
        }

        /// Asks, and lets it begin if it may.
        async fn start(&self, key: &str) -> (Answer<usize>, oneshot::Sender<()>) {
            let (mut answer, let_go) = self.ask(key);
            assert!(futures::poll!(&mut answer).is_pending());
            (answer, let_go)
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }

        fn are_forgotten(&self) -> bool {
            self.reads.all().is_empty()
        }
    }

    #[tokio::test]
    async fn a_few_read_for_themselves_and_wait_for_nobody() {
        let counted = Counted::default();
        let (first, free_first) = counted.start("a").await;
        let (second, free_second) = counted.start("a").await;
        let (third, free_third) = counted.start("a").await;
        for (answer, free, number) in [(third, free_third, 2), (first, free_first, 0), (second, free_second, 1)] {
            free.send(()).unwrap();
            assert_eq!(answer.await, number);
        }
        assert!(counted.are_forgotten());
    }

    #[tokio::test]
    async fn many_share_the_next_one_which_begins_when_all_before_have_ended() {
        let counted = Counted::default();
        let mut singles = Vec::new();
        for _ in 0..SINGLE {
            singles.push(counted.start("a").await);
        }
        let (mut fourth, free_fourth) = counted.start("a").await;
        let (fifth, _shared) = counted.ask("a");
        assert_eq!(counted.begun(), SINGLE, "the fourth waits");
        let last = singles.pop().unwrap();
        for (answer, free) in singles {
            free.send(()).unwrap();
            answer.await;
        }
        assert!(futures::poll!(&mut fourth).is_pending());
        assert_eq!(counted.begun(), SINGLE, "one of those before it goes on");
        last.1.send(()).unwrap();
        assert!(futures::poll!(&mut fourth).is_pending());
        assert_eq!(counted.begun(), SINGLE + 1);

        let (sixth, free_sixth) = counted.start("a").await;
        assert_eq!(counted.begun(), SINGLE + 1, "too late to join, and none begins beside one that is shared");
        free_fourth.send(()).unwrap();
        assert_eq!((fourth.await, fifth.await), (SINGLE, SINGLE));
        let mut waiting = sixth.clone();
        assert!(futures::poll!(&mut waiting).is_pending());
        let (seventh, free_seventh) = counted.start("a").await;
        assert_eq!(counted.begun(), SINGLE + 3, "the sixth is for one asker: the seventh begins beside it");
        free_sixth.send(()).unwrap();
        free_seventh.send(()).unwrap();
        assert_eq!((sixth.await, seventh.await), (SINGLE + 1, SINGLE + 2));
        assert!(counted.are_forgotten());
    }

    #[tokio::test]
    async fn whoever_gives_up_holds_up_nobody() {
        let counted = Counted::default();
        for _ in 0..SINGLE {
            let (given_up, free) = counted.start("a").await;
            drop(given_up);
            free.send(()).unwrap();
        }
        let (answer, free) = counted.ask("a");
        free.send(()).unwrap();
        assert_eq!(answer.await, SINGLE);
        assert!(counted.are_forgotten());
    }

    #[tokio::test]
    async fn what_is_asked_of_one_thing_is_no_answer_for_another() {
        let counted = Counted::default();
        let (_answer, _never) = counted.start("a").await;
        let (other, free) = counted.start("b").await;
        free.send(()).unwrap();
        assert_eq!(other.await, 1);
    }
}
