//! Events on requests, written one after the other beside the passes: they are news, not state, and no grant waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{self, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tidegate_api::ElevationRequest;
use tidegate_api::names::CONTROLLER;
use tidegate_core::lifecycle::Event;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::clock;
use crate::traces::{TraceId, Traces};

/// Longest time one Event may take; the next ones wait behind it.
const WRITE: Duration = Duration::from_secs(2);
/// Events that may wait: what 10,000 requests tell when they are all granted at once, about 1 KiB each.
const WAITING: usize = 32_768;
/// With more passes at the same time, states come first: Events then take a tenth of the time, one after a pause nine times its own.
const MANY: usize = 4;
/// Longest of these pauses.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest note of an Event, in bytes (the API server's limit is 1024).
const MAX_NOTE: usize = 1000;

/// Takes Events to be written.
#[derive(Debug, Clone)]
pub struct Events {
    queue: Sender<Told>,
    passes: Arc<AtomicUsize>,
    traces: Traces,
}

/// A pass that goes on, until it is dropped.
#[must_use]
pub struct Pass(Arc<AtomicUsize>);

/// Writes them.
pub struct EventWriter {
    recorder: Recorder,
    queue: Receiver<Told>,
    passes: Arc<AtomicUsize>,
    traces: Traces,
}

#[derive(Debug)]
struct Told {
    about: ObjectReference,
    event: Event,
}

/// The two ends of one queue.
pub fn events(client: Client, traces: Traces) -> (Events, EventWriter) {
    let (tell, told) = mpsc::channel(WAITING);
    let passes = Arc::new(AtomicUsize::new(0));
    let events = Events { queue: tell, passes: Arc::clone(&passes), traces: traces.clone() };
    (events, EventWriter { recorder: recorder(client), queue: told, passes, traces })
}

/// Writes Events as the controller.
pub fn recorder(client: Client) -> Recorder {
    Recorder::new(client, Reporter { controller: CONTROLLER.to_owned(), instance: None })
}

// === impl Events ===

impl Events {
    /// A pass begins.
    pub fn pass(&self) -> Pass {
        self.passes.fetch_add(1, Ordering::Relaxed);
        Pass(Arc::clone(&self.passes))
    }

    /// Has it told what happened to a request. What does not fit into the queue any more is logged and left out.
    pub fn tell(&self, object: &ElevationRequest, happened: impl IntoIterator<Item = Event>) {
        let about: ObjectReference = object.object_ref(&());
        for event in happened {
            let reason = event.kind.as_str();
            if self.queue.try_send(Told { about: about.clone(), event }).is_err() {
                let trace_id = trace_of(&self.traces, &about).map(tracing::field::display);
                tracing::warn!(
                    request = about.name,
                    trace_id,
                    reason,
                    "an Event was left out: too many wait to be written"
                );
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl EventWriter ===

impl EventWriter {
    /// Writes until nobody can tell anything any more and all is written.
    pub async fn run(mut self) {
        while let Some(told) = self.queue.recv().await {
            let started = clock::monotonic();
            self.write(&told).await;
            let took = clock::monotonic().saturating_sub(started);
            tokio::time::sleep(pause(self.passes.load(Ordering::Relaxed), took)).await;
        }
    }

    /// Writes what waits now.
    #[cfg(test)]
    pub async fn write_waiting(&mut self) {
        while let Ok(told) = self.queue.try_recv() {
            self.write(&told).await;
        }
    }

    async fn write(&self, Told { about, event }: &Told) {
        let news = events::Event {
            type_: if event.kind.is_warning() { EventType::Warning } else { EventType::Normal },
            reason: event.kind.as_str().to_owned(),
            note: Some(cut(&event.message, MAX_NOTE)),
            // Events of one reason and action are counted up as one: two ignored decisions are two.
            action: event.slot.map_or_else(|| event.kind.as_str().to_owned(), |slot| format!("Decision{slot}")),
            secondary: None,
        };
        let published = tokio::time::timeout(WRITE, self.recorder.publish(&news, about)).await;
        let failed = match published {
            Ok(result) => result.err().map(|error| error.to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        if let Some(error) = failed {
            let (reason, trace_id) = (event.kind.as_str(), trace_of(&self.traces, about).map(tracing::field::display));
            tracing::warn!(error, request = about.name, trace_id, reason, "an Event was not written");
        }
    }
}

/// After an Event that took so long, beside so many passes.
fn pause(passes: usize, took: Duration) -> Duration {
    if passes > MANY { (took * 9).min(PAUSE) } else { Duration::ZERO }
}

fn trace_of(traces: &Traces, request: &ObjectReference) -> Option<TraceId> {
    traces.of(request.uid.as_ref()?)
}

fn cut(text: &str, bytes: usize) -> String {
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    text[..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_many_passes_events_take_a_tenth_of_the_time_and_otherwise_all_of_it() {
        let took = Duration::from_millis(20);
        assert_eq!(pause(MANY, took), Duration::ZERO);
        assert_eq!(pause(MANY + 1, took), Duration::from_millis(180));
        assert_eq!(pause(MANY + 1, WRITE), PAUSE);
    }

    #[test]
    fn a_pass_counts_until_it_is_over() {
        let passes = Arc::new(AtomicUsize::new(0));
        let (queue, _told) = mpsc::channel(1);
        let events = Events { queue, passes: Arc::clone(&passes), traces: Traces::off() };
        let two = (events.pass(), events.pass());
        assert_eq!(passes.load(Ordering::Relaxed), 2);
        drop(two);
        assert_eq!(passes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(cut("abc", 10), "abc");
        assert_eq!(cut("aéz", 2), "a");
        assert!(cut(&"é".repeat(2000), MAX_NOTE).len() <= MAX_NOTE);
    }
}
