//! Access that comes back every week: windows that open at local wall time in a named zone, and the spans of time
//! that they make. Zones come from the database built into the program, never from the host, so that every process
//! with the same build computes the same spans.

mod window;
mod zone;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::interval::{Instant, Interval};

pub use window::{TimeOfDay, Weekday, WeeklyWindow, WindowError};
pub use zone::{ZoneError, ZoneName};

/// Most windows of one policy.
const MAX_WINDOWS: usize = 16;
/// Windows that overlap or touch make one span up to this length: a week, and a day for clocks that change in it.
const MAX_SPAN: Duration = Duration::from_secs(8 * 86_400);
/// Windows that open this many days before or after `now` are looked at. Backwards: a span that began [`MAX_SPAN`]
/// ago, made by windows of at most a week. Forwards: the next window opens within eight days, and its span lasts up
/// to [`MAX_SPAN`]. Some days more on either side, because local days are not UTC days, and on a day that a zone left
/// out a window opens late.
const REACH_DAYS: i32 = 19;
/// A Monday, 00:00 UTC, in seconds since 1970-01-01T00:00:00Z.
const MONDAY: i64 = 4 * 86_400;
const WEEK: i64 = 7 * 86_400;

/// `access.recurring` of a JitPolicy, checked: 1 to 16 weekly windows in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct Recurring {
    time_zone: ZoneName,
    windows: Vec<WeeklyWindow>,
}

/// Not 1 to 16 windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} windows are given; 1 to {MAX_WINDOWS} are expected")]
pub struct WindowCountError(usize);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    time_zone: ZoneName,
    windows: Vec<WeeklyWindow>,
}

// === impl Recurring ===

impl Recurring {
    /// These windows in this zone.
    ///
    /// # Errors
    /// [`WindowCountError`] unless there are 1 to 16 windows.
    pub fn new(time_zone: ZoneName, windows: Vec<WeeklyWindow>) -> Result<Self, WindowCountError> {
        match windows.len() {
            1..=MAX_WINDOWS => Ok(Self { time_zone, windows }),
            count => Err(WindowCountError(count)),
        }
    }

    /// The zone whose wall time counts.
    #[must_use]
    pub fn time_zone(&self) -> &ZoneName {
        &self.time_zone
    }

    /// The windows, 1 to 16, as they were given.
    #[must_use]
    pub fn windows(&self) -> &[WeeklyWindow] {
        &self.windows
    }

    /// The span of access that contains `now`, or else the next one; `None` where the calendar ends (year 9999).
    ///
    /// A window opens at its wall time on its days and stays open for its duration in elapsed time, whatever the
    /// clocks do. If clocks go forward over the wall time it opens at the first instant after that; if they go back
    /// over it, at the first of the two. Windows that overlap or touch make one span. A pattern without gaps would
    /// make an endless one: what is longer than 8 days is cut at every Monday 00:00 UTC, so there one span ends in
    /// the instant in which the next begins.
    ///
    /// No span depends on `now`: for each instant inside a span the answer is that span.
    #[must_use]
    pub fn span(&self, now: Instant) -> Option<Interval> {
        let whole = merged(self.openings(now)).into_iter().find(|span| now < span.end)?;
        if whole.start.until(whole.end) <= MAX_SPAN {
            return Some(whole);
        }
        // Both ends of a long span may lie beyond what was looked at, but then the Mondays around `inside` are nearer.
        let inside = whole.start.max(now).as_second();
        let monday = inside - (inside - MONDAY).rem_euclid(WEEK);
        Some(Interval {
            start: whole.start.max(Instant::from_second(monday)),
            end: whole.end.min(Instant::from_second(monday + WEEK)),
        })
    }

    /// The next instant at which a span begins or ends: when to look again.
    #[must_use]
    pub fn next_edge(&self, now: Instant) -> Option<Instant> {
        self.span(now)?.next_edge(now)
    }

    /// Every opening of a window on the days around `now`, in no order.
    fn openings(&self, now: Instant) -> Vec<Interval> {
        let today = Offset::UTC.to_datetime(Timestamp::from(now)).date();
        let mut out = Vec::new();
        for date in (-REACH_DAYS..=REACH_DAYS).filter_map(|days| today.checked_add(Span::new().days(days)).ok()) {
            let day = Weekday::from(date.weekday());
            for window in self.windows.iter().filter(|window| window.days().contains(&day)) {
                let Some(start) = first_instant(self.time_zone.zone(), date, window.start()) else { continue };
                let end = start.plus(window.duration());
                // Both are the same where the calendar ends.
                if start < end {
                    out.push(Interval { start, end });
                }
            }
        }
        out
    }
}

impl TryFrom<Unchecked> for Recurring {
    type Error = WindowCountError;
    fn try_from(value: Unchecked) -> Result<Self, WindowCountError> {
        Self::new(value.time_zone, value.windows)
    }
}

/// The first instant that is at or after this wall time; `None` where the calendar ends.
fn first_instant(zone: &TimeZone, date: Date, time: TimeOfDay) -> Option<Instant> {
    let wall = zone.to_ambiguous_timestamp(date.to_datetime(Time::constant(time.hour(), time.minute(), 0, 0)));
    let offset = wall.offset();
    let earlier = wall.earlier().ok()?;
    match offset {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(Instant::from(earlier)),
        // In a gap `earlier` is before the change, as far as the wall time is before the end of the gap.
        AmbiguousOffset::Gap { after, .. } => zone
            .following(earlier)
            .find(|change| change.offset() == after)
            .map(|change| Instant::from(change.timestamp())),
    }
}

/// Sorted, and joined where they overlap or touch.
fn merged(mut openings: Vec<Interval>) -> Vec<Interval> {
    openings.sort_by_key(|opening| opening.start);
    let mut out: Vec<Interval> = Vec::new();
    for opening in openings {
        match out.last_mut() {
            Some(last) if opening.start <= last.end => last.end = last.end.max(opening.end),
            Some(_) | None => out.push(opening),
        }
    }
    out
}
