//! When a right ends, whatever happens to the clocks: pure rules over readings that the caller took. The wall clock may
//! be set back and forth by hand; the boot-time clock may not, and it counts sleep. Nothing here reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_core::interval::{Instant, Interval, Position};

use crate::clock::Now;

/// The wall clock may lag this far behind signed time before nothing new may start.
pub const TOLERANCE: Duration = Duration::from_secs(60);

/// The earliest that the time can be: the newest moment that somebody trusted has signed, and the boot-time since it
/// was first seen here. Raised by signed `issuedTime`s and the own certificate's `notBefore` alone, never by a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    signed: Instant,
    seen: Duration,
}

/// What both clocks say, held above the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trusted {
    /// max(wall, floor + boot-time since), UTC.
    pub time: Timestamp,
    /// The wall clock is not behind the floor by more than [`TOLERANCE`]. If it is, nothing new may start.
    pub wall_is_sound: bool,
}

/// When one right ends: at its end on any trusted clock, or when its boot-time is used up, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    end: Instant,
    boot: Duration,
}

// === impl Floor ===

impl Floor {
    /// The floor of an agent that has never seen anything signed: it holds nothing back.
    #[must_use]
    pub fn none() -> Self {
        Self { signed: Instant::from_second(0), seen: Duration::ZERO }
    }

    /// Raises the floor to `signed`, if that is later than what the floor says now. It never falls.
    pub fn raise(&mut self, signed: Instant, now: Now) {
        if wall(signed) > self.earliest(now) {
            *self = Self { signed, seen: now.boot };
        }
    }

    /// The same floor in a later boot, whose boot-time began at zero: at least all of it has passed since.
    #[must_use]
    pub fn after_reboot(self) -> Self {
        Self { seen: Duration::ZERO, ..self }
    }

    /// The time that may be relied on.
    #[must_use]
    pub fn trusted(&self, now: Now) -> Trusted {
        let earliest = self.earliest(now);
        Trusted { time: now.wall.max(earliest), wall_is_sound: later(now.wall, TOLERANCE) >= earliest }
    }

    fn earliest(&self, now: Now) -> Timestamp {
        later(wall(self.signed), now.boot.saturating_sub(self.seen))
    }
}

impl Trusted {
    /// The trusted time in whole seconds, as core counts it.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::from(self.time)
    }

    /// How long until `edge`; zero once it is reached.
    #[must_use]
    pub fn until(&self, edge: Instant) -> Duration {
        between(self.time, wall(edge))
    }
}

// === impl Deadline ===

impl Deadline {
    /// The deadline of a right seen for the first time. A right that has begun gets at most its own length from here.
    #[must_use]
    pub fn at_first_sight(interval: Interval, trusted: Trusted, now: Now) -> Self {
        let deadline = Self { end: interval.end, boot: now.boot.saturating_add(trusted.until(interval.end)) };
        match interval.position(trusted.instant()) {
            Position::Before => deadline,
            Position::Inside | Position::After => deadline.begun(interval, now),
        }
    }

    /// The deadline of a right that begins now: at most its own length from here, never later than before.
    #[must_use]
    pub fn begun(self, interval: Interval, now: Now) -> Self {
        let length = interval.start.until(interval.end);
        Self { end: self.end.min(interval.end), boot: self.boot.min(now.boot.saturating_add(length)) }
    }

    /// Is the end reached on either clock?
    #[must_use]
    pub fn is_reached(&self, trusted: Trusted, now: Now) -> bool {
        self.left(trusted, now).is_zero()
    }

    /// How long the right still lasts: what the clock that runs out first says. Zero once it is over.
    #[must_use]
    pub fn left(&self, trusted: Trusted, now: Now) -> Duration {
        trusted.until(self.end).min(self.boot.saturating_sub(now.boot))
    }
}

fn wall(instant: Instant) -> Timestamp {
    Timestamp::from(instant)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// From `from` until `to`; zero if that is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
