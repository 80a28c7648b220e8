//! What applies now: the state machine between verified snapshots and what is reported. Pure: [`Watch::apply`] takes a
//! snapshot, [`Watch::tick`] the time; both answer with the events of the change. It holds no clock, no file and no
//! connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::interval::{Instant, Interval, Position};
use tidegate_core::name::{Account, Uid};
use tidegate_core::snapshot::{PartRefusal, Snapshot};
use tidegate_core::state::State;

use crate::clock::Now;
use crate::deadline::{Deadline, Floor, Trusted};
use crate::event::{EndReason, Event, RightReport, Source};

/// What is over is remembered this long after its end, so that a clock set back cannot make it new.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// The longest nap of whoever drives the watch: a wall clock set forward is noticed within this time.
const NAP: Duration = Duration::from_secs(1);

/// What the network side has verified, complete: it replaces what was in force before.
#[derive(Debug, Clone)]
pub struct View {
    /// The snapshot in force; none if nothing may be in force.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The manifest's ETag without quotes; empty without a snapshot.
    pub manifest: String,
    /// Parts of it that count as absent.
    pub refused: Vec<PartRefusal>,
    /// The newest moment signed by somebody trusted.
    pub signed: Instant,
    /// Why rights that are not in the snapshot are over.
    pub absence: EndReason,
}

/// The state machine.
#[derive(Debug)]
pub struct Watch {
    boot_id: String,
    floor: Floor,
    view: Option<View>,
    sights: BTreeMap<Key, Sight>,
    /// Requests of the last snapshot; none before the first.
    requests: Option<BTreeMap<Uid, (State, String)>>,
    clock_sound: bool,
}

/// What must survive a restart of the agent: without it a restart would set deadlines anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    boot_id: String,
    floor: Floor,
    sights: Vec<Sight>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The right.
    pub right: RightReport,
    /// Where it stands.
    pub standing: Standing,
    /// Until it begins or, once it has begun, until it ends.
    pub left: Duration,
}

/// Where a right of the table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Begins later.
    Upcoming,
    /// Holds.
    Active,
    /// Would hold, but the wall clock is behind signed time.
    Withheld,
}

/// Which right: one source gives one account at most one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_grant: bool,
    uid: Uid,
    account: Account,
}

/// A right since it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sight {
    right: RightReport,
    deadline: Deadline,
    phase: Phase,
    /// This process has reported the phase.
    #[serde(skip)]
    reported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Phase {
    /// Seen, not begun.
    Waiting,
    /// Begun, not over.
    Begun,
    /// Not in the snapshot. It may come back, under its first deadline.
    Gone,
    /// Over for good.
    Over,
}

// === impl Watch ===

impl Watch {
    /// Starts from what an earlier run remembered. The events are the ends that happened in between.
    #[must_use]
    pub fn resume(memory: Option<Memory>, boot_id: String) -> (Self, Vec<Event>) {
        let mut events = Vec::new();
        let (mut floor, mut sights) = (Floor::none(), BTreeMap::new());
        if let Some(memory) = memory {
            let same_boot = memory.boot_id == boot_id;
            floor = if same_boot { memory.floor } else { memory.floor.after_reboot() };
            for mut sight in memory.sights {
                if same_boot || sight.outlives_boot(&mut events) {
                    sights.insert(Key::of(&sight.right), sight);
                }
            }
        }
        (Self { boot_id, floor, view: None, sights, requests: None, clock_sound: true }, events)
    }

    /// What the next run must know. Write it down before acting on the events that came with it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory { boot_id: self.boot_id.clone(), floor: self.floor, sights: self.sights.values().cloned().collect() }
    }

    /// Takes what was verified. The events are in the order of their importance: the snapshot, ends, starts, requests.
    pub fn apply(&mut self, view: View, now: Now) -> Vec<Event> {
        self.floor.raise(view.signed, now);
        let mut events = Vec::new();
        let old = self.view.as_ref().map(|old| (&old.manifest, &old.refused));
        let is_news = old != Some((&view.manifest, &view.refused));
        if let Some(snapshot) = view.snapshot.as_ref().filter(|_| is_news) {
            events.push(Event::Snapshot {
                manifest: view.manifest.clone(),
                rights: snapshot.rights(self.floor.trusted(now).instant()).len(),
                refused: view.refused.iter().map(Into::into).collect(),
            });
        }
        self.view = Some(view);
        events.extend(self.tick(now));
        events.extend(self.changed_requests());
        events
    }

    /// Takes the time: starts what begins, ends what is over.
    pub fn tick(&mut self, now: Now) -> Vec<Event> {
        let trusted = self.floor.trusted(now);
        let mut events = Vec::new();
        if trusted.wall_is_sound != self.clock_sound {
            self.clock_sound = trusted.wall_is_sound;
            events.push(Event::Clock { sound: self.clock_sound });
        }
        let Some(view) = &self.view else { return events };
        let rights: Vec<RightReport> =
            view.snapshot.iter().flat_map(|s| s.rights(trusted.instant())).map(|r| RightReport::from(&r)).collect();
        let given: BTreeSet<Key> = rights.iter().map(Key::of).collect();
        for (_, sight) in self.sights.iter_mut().filter(|(key, _)| !given.contains(*key)) {
            let over = sight.deadline.is_reached(trusted, now);
            events.extend(sight.end(if over { EndReason::Expired } else { view.absence }));
        }
        for right in rights {
            let sight = self.sights.entry(Key::of(&right)).or_insert_with(|| Sight::new(right.clone(), trusted, now));
            events.extend(sight.follow(right, trusted, now));
        }
        let horizon = trusted.instant().minus(REMEMBERED);
        self.sights.retain(|key, sight| given.contains(key) || sight.right.interval.end > horizon);
        events
    }

    /// How long nothing can change by itself, at most a second.
    #[must_use]
    pub fn nap(&self, now: Now) -> Duration {
        self.rows(now).iter().map(|row| row.left).filter(|left| !left.is_zero()).fold(NAP, Duration::min)
    }

    /// What holds now or later, for the table: by account, then by end.
    #[must_use]
    pub fn rows(&self, now: Now) -> Vec<Row> {
        let trusted = self.floor.trusted(now);
        let mut rows: Vec<Row> = self.sights.values().filter_map(|sight| sight.row(trusted, now)).collect();
        rows.sort_by(|a, b| (&a.right.account, a.right.interval.end).cmp(&(&b.right.account, b.right.interval.end)));
        rows
    }

    /// Requests that are new or changed. Of those known at the start only the open ones are news.
    fn changed_requests(&mut self) -> Vec<Event> {
        let Some(snapshot) = self.view.as_ref().and_then(|view| view.snapshot.clone()) else { return Vec::new() };
        let mut events = Vec::new();
        let mut known = BTreeMap::new();
        for summary in &snapshot.manifest.requests {
            let state = (summary.state, summary.message.clone());
            let is_news = match &self.requests {
                Some(known) => known.get(&summary.uid) != Some(&state),
                None => !summary.state.is_final(),
            };
            if is_news {
                events.push(Event::from(summary));
            }
            known.insert(summary.uid.clone(), state);
        }
        self.requests = Some(known);
        events
    }
}

// === impl Sight ===

impl Sight {
    fn new(right: RightReport, trusted: Trusted, now: Now) -> Self {
        let deadline = Deadline::at_first_sight(right.interval, trusted, now);
        Self { right, deadline, phase: Phase::Waiting, reported: false }
    }

    /// The computer was started anew. True if there is something to remember. A grant that had begun is over; what had
    /// not begun, and what a policy grants ahead, is judged anew.
    fn outlives_boot(&mut self, events: &mut Vec<Event>) -> bool {
        match (&self.right.source, self.phase) {
            (_, Phase::Over) => true,
            (Source::Grant { .. }, Phase::Begun) => {
                events.push(Event::Ended { right: self.right.clone(), reason: EndReason::Reboot });
                self.phase = Phase::Over;
                true
            }
            (Source::Grant { .. }, Phase::Waiting | Phase::Gone)
            | (Source::Policy { .. }, Phase::Waiting | Phase::Begun | Phase::Gone) => false,
        }
    }

    /// The right is not given any more, or its time is up.
    fn end(&mut self, reason: EndReason) -> Option<Event> {
        let ended = Event::Ended { right: self.right.clone(), reason };
        let next = match reason {
            EndReason::Expired | EndReason::Reboot => Phase::Over,
            EndReason::Absent | EndReason::CertificateVoid => Phase::Gone,
        };
        match self.phase {
            Phase::Over => None,
            Phase::Gone => {
                self.phase = next;
                None
            }
            Phase::Begun => {
                self.phase = next;
                Some(ended)
            }
            Phase::Waiting => {
                self.phase = next;
                self.reported.then_some(ended)
            }
        }
    }

    /// The snapshot gives this right.
    fn follow(&mut self, right: RightReport, trusted: Trusted, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
        let changed = self.right != right;
        if self.right.interval != right.interval {
            events.extend(self.reschedule(right.interval, trusted, now));
        }
        self.right = right;
        if self.phase == Phase::Over {
            return events;
        }
        if self.deadline.is_reached(trusted, now) {
            events.extend(self.end(EndReason::Expired));
            return events;
        }
        events.extend(self.advance(trusted, now).or_else(|| changed.then(|| Event::Changed(self.right.clone()))));
        events
    }

    /// Begins or announces what the time asks for; none if that was done before.
    fn advance(&mut self, trusted: Trusted, now: Now) -> Option<Event> {
        if self.phase == Phase::Gone {
            (self.phase, self.reported) = (Phase::Waiting, false);
        }
        let inside = self.right.interval.position(trusted.instant()) == Position::Inside;
        if self.phase == Phase::Waiting && inside && trusted.wall_is_sound {
            (self.phase, self.reported) = (Phase::Begun, false);
            self.deadline = self.deadline.begun(self.right.interval, now);
        }
        let report = !self.reported;
        match self.phase {
            Phase::Begun if report => {
                self.reported = true;
                Some(Event::Started(self.right.clone()))
            }
            Phase::Waiting if report && !inside => {
                self.reported = true;
                Some(Event::Upcoming(self.right.clone()))
            }
            // What would hold but for the clock is no news: the clock is.
            Phase::Begun | Phase::Waiting | Phase::Gone | Phase::Over => None,
        }
    }

    /// Another interval is another first sight. What holds and now begins later is over until then.
    fn reschedule(&mut self, interval: Interval, trusted: Trusted, now: Now) -> Option<Event> {
        self.deadline = Deadline::at_first_sight(interval, trusted, now);
        let later = interval.position(trusted.instant()) == Position::Before;
        let ended = (later && self.phase == Phase::Begun)
            .then(|| Event::Ended { right: self.right.clone(), reason: EndReason::Absent });
        if later || self.phase == Phase::Over {
            (self.phase, self.reported) = (Phase::Waiting, false);
        }
        ended
    }

    fn row(&self, trusted: Trusted, now: Now) -> Option<Row> {
        let left = self.deadline.left(trusted, now);
        let begins = trusted.until(self.right.interval.start);
        let (standing, left) = match self.phase {
            Phase::Gone | Phase::Over => return None,
            Phase::Begun => (Standing::Active, left),
            Phase::Waiting if begins.is_zero() => (Standing::Withheld, left),
            Phase::Waiting => (Standing::Upcoming, begins),
        };
        Some(Row { right: self.right.clone(), standing, left })
    }
}

impl Key {
    fn of(right: &RightReport) -> Self {
        let (is_grant, uid) = match &right.source {
            Source::Grant { uid, .. } => (true, uid),
            Source::Policy { uid, .. } => (false, uid),
        };
        Self { is_grant, uid: uid.clone(), account: right.account.clone() }
    }
}

#[cfg(test)]
mod tests;
