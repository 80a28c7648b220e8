//! What applies now: the state machine between verified snapshots and what is reported. Pure: [`Watch::apply`] takes a
//! snapshot, [`Watch::tick`] the time; both answer with the events of the change. It holds no clock, no file and no
//! connection.

mod sight;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::interval::Instant;
use tidegate_core::name::{Digest, Uid};
use tidegate_core::refusal::RefusalCode;
use tidegate_core::snapshot::{PartRefusal, Right, Snapshot};
use tidegate_core::state::State;

use self::sight::{End, Given, Key, Sight};
use crate::clock::Now;
use crate::contact::Contact;
use crate::deadline::{Floor, Trusted};
use crate::event::{EndReason, Event, Obstacle, RightReport, Source};
use crate::text::shown;

/// What is over is remembered this long after its end, so that a clock set back cannot make it new.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// The longest nap of whoever drives the watch: a wall clock set forward is noticed within this time.
const NAP: Duration = Duration::from_secs(1);
/// How far the controller's clock may be ahead for its "Expired" to be the end that was granted: two clocks that each are a second from
/// the true time.
const AHEAD: Duration = Duration::from_secs(2);

/// What the network side has verified, complete: it replaces what was in force before.
#[derive(Debug, Clone)]
pub struct View {
    /// The snapshot in force; none if nothing may be in force.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The manifest's ETag without quotes; empty without a snapshot.
    pub manifest: String,
    /// SHA-256 of the bytes of the manifest that is applied exactly.
    pub applied: Option<Digest>,
    /// Parts of it that count as absent.
    pub refused: Vec<PartRefusal>,
    /// The manifest that was refused last, if none was taken since.
    pub refused_manifest: Option<RefusedManifest>,
    /// The newest moment signed by somebody trusted.
    pub signed: Instant,
    /// The boot-time of the last authenticated answer of a gateway; none if this process has heard of none.
    pub contact: Option<Duration>,
    /// Why rights that are not in the snapshot are over.
    pub absence: EndReason,
}

/// A manifest that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedManifest {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// For the gateway.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

/// The state machine.
#[derive(Debug)]
pub struct Watch {
    boot_id: String,
    floor: Floor,
    contact: Option<Contact>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
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
    /// Would hold, but may not begin here now.
    Withheld(Obstacle),
}

// === impl Watch ===

impl Watch {
    /// Starts from what an earlier run remembered. The events are the ends that happened in between.
    #[must_use]
    pub fn resume(memory: Option<Memory>, boot_id: String) -> (Self, Vec<Event>) {
        let mut events = Vec::new();
        let (mut floor, mut contact, mut sights) = (Floor::none(), None, BTreeMap::new());
        if let Some(memory) = memory {
            let same_boot = memory.boot_id == boot_id;
            floor = if same_boot { memory.floor } else { memory.floor.after_reboot() };
            contact = memory.contact.map(|contact| if same_boot { contact } else { contact.after_reboot() });
            for mut sight in memory.sights {
                if same_boot || sight.outlives_boot(&mut events) {
                    sights.insert(Key::of(&sight.right), sight);
                }
            }
        }
        (Self { boot_id, floor, contact, view: None, sights, requests: None, clock_sound: true }, events)
    }

    /// What the next run must know. Write it down before acting on the events that came with it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let sights = self.sights.values().cloned().collect();
        Memory { boot_id: self.boot_id.clone(), floor: self.floor, contact: self.contact, sights }
    }

    /// Takes what was verified. The events are in the order of their importance: the snapshot, ends, starts, requests.
    pub fn apply(&mut self, view: View, now: Now) -> Vec<Event> {
        self.floor.raise(view.signed, now);
        let trusted = self.floor.trusted(now);
        self.contact = view.contact.map(|boot| Contact::heard(boot, trusted, now)).or(self.contact);
        let mut events = Vec::new();
        let old = self.view.as_ref().map(|old| (&old.manifest, &old.refused));
        let is_news = old != Some((&view.manifest, &view.refused));
        if let Some(snapshot) = view.snapshot.as_ref().filter(|_| is_news) {
            events.push(Event::Snapshot {
                manifest: view.manifest.clone(),
                rights: snapshot.rights(trusted.instant()).len(),
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
        let given = self.given(trusted, now);
        let Some(view) = &self.view else { return events };
        let keys: BTreeSet<Key> = given.iter().map(|given| Key::of(&given.right)).collect();
        for (_, sight) in self.sights.iter_mut().filter(|(key, _)| !keys.contains(*key)) {
            let left = sight.left(trusted, now);
            let end = if left.is_zero() { EndReason::Expired.into() } else { view.absence_of(&sight.right, left) };
            events.extend(sight.end(end));
        }
        for given in given {
            let key = Key::of(&given.right);
            let sight = self.sights.entry(key).or_insert_with(|| Sight::new(&given, trusted, now));
            events.extend(sight.follow(given, trusted, now));
        }
        let horizon = trusted.instant().minus(REMEMBERED);
        self.sights.retain(|key, sight| keys.contains(key) || sight.right.interval.end > horizon);
        self.sights.values_mut().for_each(|sight| sight.stamp(trusted.instant()));
        events
    }

    /// What the snapshot gives now or later, and what keeps each from beginning.
    fn given(&self, trusted: Trusted, now: Now) -> Vec<Given> {
        let Some(snapshot) = self.view.as_ref().and_then(|view| view.snapshot.as_deref()) else { return Vec::new() };
        let given = |right: Right| {
            let report = RightReport::from(&right);
            let Key { is_grant, uid, .. } = Key::of(&report);
            let header = if is_grant {
                snapshot.grants.get(&uid).map(|part| &part.header)
            } else {
                snapshot.policies.get(&uid).map(|part| &part.header)
            };
            let version = header.map_or(0, |header| header.sequence);
            Given { right: report, version, obstacle: self.obstacle(&right, trusted, now) }
        };
        snapshot.rights(trusted.instant()).into_iter().map(given).collect()
    }

    /// What keeps this right from beginning now; what has begun is never asked.
    fn obstacle(&self, right: &Right, trusted: Trusted, now: Now) -> Option<Obstacle> {
        if !trusted.wall_is_sound {
            return Some(Obstacle::Clock);
        }
        let in_touch = self.contact.is_some_and(|contact| contact.allows(right.offline_tolerance, trusted, now));
        let is_fresh = trusted.instant() <= right.fresh_until;
        (!in_touch || !is_fresh).then_some(Obstacle::Offline)
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

// === impl View ===

impl View {
    /// Why a right that is not given is over when so much of its time is left.
    fn absence_of(&self, right: &RightReport, left: Duration) -> End {
        let parts = self.snapshot.as_ref().and_then(|s| s.placement.as_ref().zip(s.fleet.as_ref()));
        let lock = parts
            .and_then(|(placement, fleet)| fleet.body.locked(&placement.body, &right.account, right.source.policy()));
        match lock {
            Some(lock) => End { reason: EndReason::Locked, message: shown(&lock.message) },
            None if left <= AHEAD && self.is_expired(right) => EndReason::Expired.into(),
            None => self.absence.into(),
        }
    }

    /// Does the gateway call its request Expired?
    fn is_expired(&self, right: &RightReport) -> bool {
        let Source::Grant { uid, .. } = &right.source else { return false };
        let requests = self.snapshot.iter().flat_map(|snapshot| &snapshot.manifest.requests);
        requests.into_iter().any(|request| request.uid == *uid && request.state == State::Expired)
    }
}
