//! One right since it was first seen: what was reported of it, when it began, when it has to end, and which of its
//! spans are over. Pure; [`super::Watch`] decides what is given and drives it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::interval::{Instant, Interval, Position};
use tidegate_core::name::{Account, Uid};

use super::{Row, Standing};
use crate::clock::Now;
use crate::deadline::{Deadline, Trusted};
use crate::event::{EndReason, Event, Obstacle, RightReport, Source};

/// Which right: one source gives one account at most one at a time. A right that recurs is one right with many spans.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) is_grant: bool,
    pub(super) uid: Uid,
    account: Account,
}

/// What the snapshot gives now.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) right: RightReport,
    /// Sequence of the part that gives it.
    pub(super) version: u64,
    /// What keeps it from beginning now.
    pub(super) obstacle: Option<Obstacle>,
}

/// Why a right is over, and what people are told about it.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) reason: EndReason,
    pub(super) message: String,
}

/// A right since it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sight {
    pub(super) right: RightReport,
    deadline: Deadline,
    phase: Phase,
    /// Sequence of the part that gave it: another interval by the same policy part is another span of a right that
    /// recurs.
    #[serde(default)]
    version: u64,
    /// The latest end of a span that is over: no span that ends by then is taken for new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over_until: Option<Instant>,
    /// When this span began here, by trusted time; kept if it ends and comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) applied_at: Option<Instant>,
    /// When it ended after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<Instant>,
    /// A gateway knows that end.
    #[serde(default)]
    pub(super) settled: bool,
    /// This process has reported the phase.
    #[serde(skip)]
    reported: bool,
    /// What this process has reported to stand in the way.
    #[serde(skip)]
    withheld: Option<Obstacle>,
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
    /// Over for good, as far as this span goes.
    Over,
}

impl From<EndReason> for End {
    fn from(reason: EndReason) -> Self {
        Self { reason, message: String::new() }
    }
}

impl Key {
    pub(super) fn of(right: &RightReport) -> Self {
        let (is_grant, uid) = match &right.source {
            Source::Grant { uid, .. } => (true, uid),
            Source::Policy { uid, .. } => (false, uid),
        };
        Self { is_grant, uid: uid.clone(), account: right.account.clone() }
    }
}

// === impl Sight ===

impl Sight {
    pub(super) fn new(given: &Given, trusted: Trusted, now: Now) -> Self {
        Self {
            right: given.right.clone(),
            deadline: Deadline::at_first_sight(given.right.interval, trusted, now),
            phase: Phase::Waiting,
            version: given.version,
            over_until: None,
            applied_at: None,
            ended_at: None,
            settled: false,
            reported: false,
            withheld: None,
        }
    }

    /// The computer was started anew. True if there is something to remember. A grant that has ever begun is over; one
    /// that has not, and what a policy grants ahead, is judged anew, but for the spans of it that are over.
    pub(super) fn outlives_boot(&mut self, events: &mut Vec<Event>) -> bool {
        match (&self.right.source, self.phase) {
            (_, Phase::Over) => true,
            (Source::Grant { .. }, phase) => {
                let has_begun = phase == Phase::Begun || self.applied_at.is_some();
                events.extend(has_begun.then(|| self.end(EndReason::Reboot.into())).flatten());
                has_begun
            }
            (Source::Policy { .. }, Phase::Waiting | Phase::Begun | Phase::Gone) => {
                let Some(end) = self.over_until else { return false };
                self.right.interval = Interval { start: end, end };
                (self.phase, self.applied_at, self.ended_at) = (Phase::Over, None, None);
                true
            }
        }
    }

    /// Is the end of this span reached on either clock?
    fn is_reached(&self, trusted: Trusted, now: Now) -> bool {
        self.deadline.is_reached(trusted, now)
    }

    /// How long this span still lasts, by the clock that runs out first.
    pub(super) fn left(&self, trusted: Trusted, now: Now) -> Duration {
        self.deadline.left(trusted, now)
    }

    /// The right is not given any more, or its time is up.
    pub(super) fn end(&mut self, end: End) -> Option<Event> {
        let End { reason, message } = end;
        let next = match reason {
            EndReason::Expired | EndReason::Reboot => Phase::Over,
            EndReason::Absent | EndReason::Locked | EndReason::CertificateVoid => Phase::Gone,
        };
        let is_news = match self.phase {
            Phase::Over => return None,
            Phase::Gone => false,
            Phase::Begun => true,
            Phase::Waiting => self.reported,
        };
        (self.phase, self.withheld) = (next, None);
        if next == Phase::Over {
            self.over_until = self.over_until.max(Some(self.right.interval.end));
        }
        is_news.then(|| Event::Ended { right: self.right.clone(), reason, message })
    }

    /// The snapshot gives this right.
    pub(super) fn follow(&mut self, given: Given, trusted: Trusted, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
        let Given { right, version, obstacle } = given;
        let changed = self.right != right;
        if self.right.interval != right.interval {
            // What is told of a span that is over is its own end, not that there is another one.
            if self.is_reached(trusted, now) {
                events.extend(self.end(EndReason::Expired.into()));
            }
            let recurs = version == self.version && matches!(right.source, Source::Policy { .. });
            events.extend(self.reschedule(right.interval, recurs, trusted, now));
        }
        (self.right, self.version) = (right, version);
        if self.phase == Phase::Over {
            return events;
        }
        if self.is_reached(trusted, now) {
            events.extend(self.end(EndReason::Expired.into()));
            return events;
        }
        let advanced = self.advance(obstacle, trusted, now);
        events.extend(advanced.or_else(|| changed.then(|| Event::Changed(self.right.clone()))));
        events
    }

    /// Begins, withholds or announces what the time asks for; none if that was done before.
    fn advance(&mut self, obstacle: Option<Obstacle>, trusted: Trusted, now: Now) -> Option<Event> {
        if self.phase == Phase::Gone {
            (self.phase, self.reported) = (Phase::Waiting, false);
        }
        let inside = self.right.interval.position(trusted.instant()) == Position::Inside;
        let obstacle = obstacle.filter(|_| self.phase == Phase::Waiting && inside);
        let is_new_obstacle = self.withheld != obstacle;
        self.withheld = obstacle;
        if let Some(reason) = obstacle {
            self.reported = true;
            return is_new_obstacle.then(|| Event::Withheld { right: self.right.clone(), reason });
        }
        if self.phase == Phase::Waiting && inside {
            (self.phase, self.reported) = (Phase::Begun, false);
            self.deadline = self.deadline.begun(self.right.interval, now);
        }
        let report = !std::mem::replace(&mut self.reported, true);
        match self.phase {
            Phase::Begun if report => Some(Event::Started(self.right.clone())),
            Phase::Waiting if report => Some(Event::Upcoming(self.right.clone())),
            Phase::Begun | Phase::Waiting | Phase::Gone | Phase::Over => None,
        }
    }

    /// Another interval is another first sight: of an edited right, or of another span of one that recurs. What holds
    /// and now begins later is over until then, and a span that ends no later than one that is over is over as well.
    fn reschedule(&mut self, interval: Interval, recurs: bool, trusted: Trusted, now: Now) -> Option<Event> {
        let is_later = interval.position(trusted.instant()) == Position::Before;
        let was_begun = self.phase == Phase::Begun;
        if recurs && self.applied_at.is_some() {
            // The clock was set back out of a span that has begun here: it has had its turn.
            self.over_until = self.over_until.max(Some(self.right.interval.end));
        }
        self.deadline = Deadline::at_first_sight(interval, trusted, now);
        if self.over_until.is_some_and(|end| interval.end <= end) {
            self.phase = Phase::Over;
        } else if recurs || is_later || self.phase == Phase::Over {
            (self.phase, self.reported, self.withheld) = (Phase::Waiting, false, None);
            (self.applied_at, self.ended_at, self.settled) = (None, None, false);
        }
        (was_begun && self.phase != Phase::Begun).then(|| Event::Ended {
            right: self.right.clone(),
            reason: EndReason::Absent,
            message: String::new(),
        })
    }

    /// Notes when it began and ended, once the phase says so.
    pub(super) fn stamp(&mut self, at: Instant) {
        match self.phase {
            Phase::Begun => {
                self.applied_at.get_or_insert(at);
                (self.ended_at, self.settled) = (None, false);
            }
            Phase::Waiting | Phase::Gone | Phase::Over => {
                self.ended_at = self.ended_at.or(self.applied_at.map(|_| at));
            }
        }
    }

    /// The line of the table; none for what is gone or over.
    pub(super) fn row(&self, trusted: Trusted, now: Now) -> Option<Row> {
        let left = self.deadline.left(trusted, now);
        let (standing, left) = match (self.phase, self.withheld) {
            (Phase::Gone | Phase::Over, _) => return None,
            (Phase::Begun, _) => (Standing::Active, left),
            (Phase::Waiting, Some(obstacle)) => (Standing::Withheld(obstacle), left),
            (Phase::Waiting, None) => (Standing::Upcoming, trusted.until(self.right.interval.start)),
        };
        Some(Row { right: self.right.clone(), standing, left })
    }
}
