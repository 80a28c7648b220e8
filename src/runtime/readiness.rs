//! Readiness: every cache was filled once, and every watch has made progress lately. A stale view of the cluster must not be
//! served as if it were the truth.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A watch without progress for longer than this is stale. Watches are renewed every minute
/// ([`super::WATCH_TIMEOUT`]), so a healthy one cannot be.
const STALE_AFTER: Duration = Duration::from_secs(90);

/// What this process watches and how fresh it is. Instants are readings of [`crate::clock::monotonic`].
#[derive(Debug)]
pub struct Readiness {
    watches: BTreeMap<&'static str, Watch>,
    draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Watch {
    filled: AtomicBool,
    /// Milliseconds on the monotonic clock.
    progress: AtomicU64,
}

/// Why a process is not ready, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady(Vec<String>);

// === impl Readiness ===

impl Readiness {
    /// Watches are named by the plural of their kind, such as `jitpolicies`.
    #[must_use]
    pub fn new(plurals: &[&'static str]) -> Self {
        let watches = plurals.iter().map(|plural| (*plural, Watch::default())).collect();
        Self { watches, draining: AtomicBool::new(false) }
    }

    /// The cache of this kind holds a complete list. A kind that is not watched is ignored.
    pub fn filled(&self, plural: &str, now: Duration) {
        self.progress(plural, now);
        if let Some(watch) = self.watches.get(plural) {
            watch.filled.store(true, Ordering::Release);
        }
    }

    /// The API server answered a watch of this kind. A kind that is not watched is ignored.
    pub fn progress(&self, plural: &str, now: Duration) {
        if let Some(watch) = self.watches.get(plural) {
            let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            watch.progress.fetch_max(millis, Ordering::AcqRel);
        }
    }

    /// From now on not ready for good: the process is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// How long ago each watch last made progress; one that never did, since this process first looked at the clock.
    pub fn ages(&self, now: Duration) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        self.watches.iter().map(move |(plural, watch)| (*plural, watch.age(now)))
    }

    /// Should new work be sent here: fresh, and not stopping?
    ///
    /// # Errors
    /// [`NotReady`] names every cause.
    pub fn check(&self, now: Duration) -> Result<(), NotReady> {
        if self.draining.load(Ordering::Acquire) {
            return Err(NotReady(vec!["stopping".to_owned()]));
        }
        self.fresh(now)
    }

    /// Is what this process knows complete and recent? A stopping process still answers what it holds.
    ///
    /// # Errors
    /// [`NotReady`] names every cause.
    pub fn fresh(&self, now: Duration) -> Result<(), NotReady> {
        let mut causes = Vec::new();
        for (plural, watch) in &self.watches {
            let age = watch.age(now);
            if !watch.filled.load(Ordering::Acquire) {
                causes.push(format!("{plural}: not listed yet"));
            } else if age > STALE_AFTER {
                causes.push(format!("{plural}: no watch progress for {}s", age.as_secs()));
            }
        }
        if causes.is_empty() { Ok(()) } else { Err(NotReady(causes)) }
    }
}

// === impl Watch ===

impl Watch {
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.progress.load(Ordering::Acquire)))
    }
}

// === impl NotReady ===

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 2] = ["jitpolicies", "elevationrequests"];

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ready_needs_every_cache_filled() {
        let readiness = Readiness::new(&KINDS);
        readiness.progress("elevationrequests", at(1));
        readiness.filled("jitpolicies", at(1));
        readiness.filled("pods", at(1));
        let causes = readiness.check(at(1)).unwrap_err().to_string();
        assert_eq!(causes, "elevationrequests: not listed yet");
        readiness.filled("elevationrequests", at(2));
        assert_eq!(readiness.check(at(2)), Ok(()));
    }

    #[test]
    fn one_watch_without_progress_for_more_than_90_s_ends_readiness_until_it_moves_again() {
        let readiness = Readiness::new(&KINDS);
        for kind in KINDS {
            readiness.filled(kind, at(10));
        }
        readiness.progress("jitpolicies", at(70));
        assert_eq!(readiness.check(at(100)), Ok(()));
        let causes = readiness.check(at(101)).unwrap_err().to_string();
        assert_eq!(causes, "elevationrequests: no watch progress for 91s");
        readiness.progress("elevationrequests", at(101));
        assert_eq!(readiness.check(at(101)), Ok(()));
    }

    #[test]
    fn a_stopping_process_takes_no_new_work_and_still_knows_enough_to_answer() {
        let readiness = Readiness::new(&[]);
        assert_eq!(readiness.check(at(0)), Ok(()));
        readiness.drain();
        assert_eq!(readiness.check(at(0)).unwrap_err().to_string(), "stopping");
        assert_eq!(readiness.fresh(at(0)), Ok(()));
    }
}
