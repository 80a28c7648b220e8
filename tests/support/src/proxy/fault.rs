//! What a test wants to go wrong with which calls. A rule works while its handle lives; calls that it holds go on, or are lost,
//! when it goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::sync::watch;

use super::call::Call;
use crate::eventually::eventually;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call waits here; the API server does not see it until the rule goes.
    HoldBefore,
    /// The API server has answered; the caller does not see that until the rule goes.
    HoldAfter,
    /// The call is passed on so much later.
    Delay(Duration),
    /// The connection is closed without an answer; watches that run are cut off.
    Cut,
    /// No answer while the rule stands; of watches that run nothing arrives any more, ever, and the connection stays open.
    Silent,
    /// Watches begin as if all were well, and then nothing arrives: those that run, and those that begin.
    Mute,
    /// This HTTP status and a `Status` object instead of the API server's answer.
    Answer(u16),
    /// A watch is told 410 Gone in its stream and ends.
    Gone,
    /// Every event of a watch comes twice.
    Duplicate,
    /// Of every two events of a watch the second comes first.
    Reorder,
    /// Events of this type (`DELETED`) do not come.
    Hide(&'static str),
}

/// Which calls, and what happens to them.
pub(super) struct Rule {
    pub(super) fault: Fault,
    matches: Box<dyn Fn(&Call) -> bool + Send + Sync>,
    /// Only the call of this number among those that match, from 1 on; all without it.
    only: Option<usize>,
    seen: AtomicUsize,
    hits: AtomicUsize,
    held: AtomicUsize,
    over: watch::Sender<bool>,
}

/// All rules, in the order they were made; the first that matches counts.
#[derive(Default)]
pub(super) struct Rules {
    next: AtomicUsize,
    all: Mutex<BTreeMap<usize, Arc<Rule>>>,
    changed: watch::Sender<()>,
}

/// A rule in force; it ends when this is dropped.
pub struct Handle {
    rules: Arc<Rules>,
    rule: Arc<Rule>,
    id: usize,
}

/// Counts a call as held for as long as it is.
struct Held<'a>(&'a AtomicUsize);

// === impl Rules ===

impl Rules {
    pub(super) fn add(
        self: &Arc<Self>,
        fault: Fault,
        only: Option<usize>,
        matches: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Handle {
        let rule = Arc::new(Rule {
            fault,
            matches: Box::new(matches),
            only,
            seen: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            over: watch::Sender::new(false),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(id, Arc::clone(&rule));
        self.changed.send_replace(());
        Handle { rules: Arc::clone(self), rule, id }
    }

    /// The rule for a new call.
    pub(super) fn of(&self, call: &Call) -> Option<Arc<Rule>> {
        let all = self.all();
        let rule = all.values().find(|rule| rule.takes(call))?;
        rule.hits.fetch_add(1, Ordering::AcqRel);
        Some(Arc::clone(rule))
    }

    /// The fault for a watch that runs.
    pub(super) fn of_running(&self, watch: &Call) -> Option<Fault> {
        let all = self.all();
        all.values().find(|rule| rule.only.is_none() && (rule.matches)(watch)).map(|rule| rule.fault)
    }

    /// Changes whenever a rule comes or goes.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<Rule>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Rule ===

impl Rule {
    fn takes(&self, call: &Call) -> bool {
        if !(self.matches)(call) {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::AcqRel) + 1;
        self.only.is_none_or(|only| only == number)
    }

    /// Waits until the rule goes.
    pub(super) async fn hold(&self) {
        self.held.fetch_add(1, Ordering::AcqRel);
        let _held = Held(&self.held);
        let mut over = self.over.subscribe();
        // The sender lives as long as the rule does.
        let _gone = over.wait_for(|over| *over).await;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Handle ===

impl Handle {
    /// How many calls it has met.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.rule.hits.load(Ordering::Acquire)
    }

    /// How many calls it holds at this moment. A caller that dies or gives up is not held any longer.
    #[must_use]
    pub fn held(&self) -> usize {
        self.rule.held.load(Ordering::Acquire)
    }

    /// Waits until it has met a call.
    ///
    /// # Errors
    /// When it has not by the deadline.
    pub async fn hit(&self, what: &str, deadline: Duration) -> Result<()> {
        eventually(&format!("a call for the rule {what}"), deadline, async || {
            ensure!(self.hits() > 0, "none");
            Ok(())
        })
        .await
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.rules.all().remove(&self.id);
        self.rule.over.send_replace(true);
        self.rules.changed.send_replace(());
    }
}

// === impl Fault ===

impl Fault {
    /// What becomes of one event of a watch: the lines that are passed on now. `kept` is what waits for the next event.
    pub(super) fn change(self, line: Vec<u8>, kept: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
        let type_ = || {
            let event: Value = serde_json::from_slice(&line).unwrap_or_default();
            event["type"].as_str().unwrap_or_default().to_owned()
        };
        match self {
            Self::Duplicate if type_() != "BOOKMARK" => vec![line.clone(), line],
            Self::Hide(hidden) if type_() == hidden => Vec::new(),
            Self::Reorder if type_() != "BOOKMARK" => match kept.take() {
                Some(before) => vec![line, before],
                None => {
                    *kept = Some(line);
                    Vec::new()
                }
            },
            Self::HoldBefore | Self::HoldAfter | Self::Delay(_) | Self::Cut | Self::Silent | Self::Mute => vec![line],
            Self::Answer(_) | Self::Gone | Self::Duplicate | Self::Reorder | Self::Hide(_) => vec![line],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(type_: &str, name: &str) -> Vec<u8> {
        format!("{{\"type\":\"{type_}\",\"object\":{{\"metadata\":{{\"name\":\"{name}\"}}}}}}\n").into_bytes()
    }

    fn through(fault: Fault, lines: &[(&str, &str)]) -> Vec<String> {
        let mut kept = None;
        let changed = lines.iter().flat_map(|(type_, name)| fault.change(line(type_, name), &mut kept));
        let names = changed.map(|line| {
            let event: Value = serde_json::from_slice(&line).unwrap();
            format!("{} {}", event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap())
        });
        names.collect()
    }

    #[test]
    fn events_are_doubled_swapped_and_hidden_and_bookmarks_are_left_alone() {
        let lines = [("ADDED", "a"), ("BOOKMARK", "b"), ("MODIFIED", "a"), ("DELETED", "a")];
        assert_eq!(
            through(Fault::Duplicate, &lines),
            ["ADDED a", "ADDED a", "BOOKMARK b", "MODIFIED a", "MODIFIED a", "DELETED a", "DELETED a"]
        );
        assert_eq!(
            through(Fault::Reorder, &lines),
            ["BOOKMARK b", "MODIFIED a", "ADDED a"],
            "the last waits for its pair"
        );
        assert_eq!(through(Fault::Hide("DELETED"), &lines), ["ADDED a", "BOOKMARK b", "MODIFIED a"]);
        assert_eq!(through(Fault::Delay(Duration::ZERO), &lines).len(), 4);
    }
}
