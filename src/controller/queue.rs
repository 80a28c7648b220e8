//! What waits for its pass: since when, kind by kind, for the metrics. The queue itself is the library's; this one watches it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::{ControllerMetrics, Kind};

/// The objects of one kind that a change made due and whose pass has not begun. Passes that a timer makes due are not here: how late
/// they are shows in `expiry_lag_seconds`. Instants are readings of [`crate::clock::monotonic`].
#[derive(Debug)]
pub struct Queue {
    kind: Kind,
    metrics: ControllerMetrics,
    /// By a hash of the object's name: a few bytes an object, and nobody asks which.
    due: Mutex<HashMap<u64, Duration>>,
}

// === impl Queue ===

impl Queue {
    /// Nothing is due.
    #[must_use]
    pub fn new(kind: Kind, metrics: ControllerMetrics) -> Self {
        Self { kind, metrics, due: Mutex::default() }
    }

    /// An object has changed, or something that it depends on.
    pub fn due(&self, namespace: Option<&str>, name: &str, now: Duration) {
        let mut due = self.lock();
        due.entry(key(namespace, name)).or_insert(now);
        self.metrics.due(self.kind, due.len());
    }

    /// Its pass begins.
    pub fn begins(&self, namespace: Option<&str>, name: &str, now: Duration) {
        if let Some(since) = self.leave(namespace, name) {
            self.metrics.waited(self.kind, now.saturating_sub(since));
        }
    }

    /// It is gone, and so there is no pass.
    pub fn gone(&self, namespace: Option<&str>, name: &str) {
        self.leave(namespace, name);
    }

    fn leave(&self, namespace: Option<&str>, name: &str) -> Option<Duration> {
        let mut due = self.lock();
        let since = due.remove(&key(namespace, name));
        self.metrics.due(self.kind, due.len());
        since
    }

    /// Poisoning is ignored: an entry is added or removed as a whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Duration>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: Option<&str>, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn an_object_is_due_once_and_waits_since_the_first_change() {
        let metrics = Metrics::new("controller").unwrap();
        let queue = Queue::new(Kind::Lock, ControllerMetrics::new(&metrics).unwrap());
        let at = Duration::from_secs;
        queue.due(Some("berlin"), "a", at(10));
        queue.due(Some("berlin"), "a", at(12));
        queue.due(Some("rome"), "a", at(12));
        queue.due(None, "a", at(12));
        let shows = |line: &str| {
            let text = metrics.render(true);
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        };
        shows("tidegate_queue_depth{kind=\"Lock\"} 3");
        queue.begins(Some("berlin"), "a", at(14));
        queue.gone(Some("rome"), "a");
        shows("tidegate_queue_depth{kind=\"Lock\"} 1");
        shows("tidegate_queue_wait_seconds_sum{kind=\"Lock\"} 4");
        queue.begins(Some("berlin"), "a", at(20));
        shows("tidegate_queue_wait_seconds_count{kind=\"Lock\"} 1");
    }
}
