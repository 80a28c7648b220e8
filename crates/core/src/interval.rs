//! Time as Tidegate counts it: instants and durations in whole seconds, and half-open intervals. No clock: whoever needs
//! `now` is given it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in whole UTC seconds. Fractions are cut off (towards the past), so that a value survives a round trip through
/// the API server, which stores whole seconds. Written as RFC 3339, `2026-11-22T10:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "jiff::Timestamp", into = "jiff::Timestamp")]
pub struct Instant(i64);

impl Instant {
    /// The latest instant that can be written down (year 9999).
    pub const MAX: Self = Self(253_402_207_199);

    /// From seconds since 1970-01-01T00:00:00Z, held inside the range that RFC 3339 can write.
    #[must_use]
    pub fn from_second(second: i64) -> Self {
        Self(second.clamp(-Self::MAX.0, Self::MAX.0))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_second(self) -> i64 {
        self.0
    }

    /// This instant and `duration` later, whole seconds, saturating at [`Instant::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_second(self.0.saturating_add(seconds))
    }

    /// This instant and `duration` earlier, whole seconds, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_second(self.0.saturating_sub(seconds))
    }

    /// How long from this instant until `later`; zero if `later` is not later.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(value: jiff::Timestamp) -> Self {
        let floor = if value.subsec_nanosecond() < 0 { -1 } else { 0 };
        Self::from_second(value.as_second() + floor)
    }
}

impl From<Instant> for jiff::Timestamp {
    fn from(value: Instant) -> Self {
        Self::from_second(value.0).unwrap_or(if value.0 < 0 { Self::MIN } else { Self::MAX })
    }
}

impl FromStr for Instant {
    type Err = jiff::Error;
    fn from_str(value: &str) -> Result<Self, jiff::Error> {
        value.parse::<jiff::Timestamp>().map(Self::from)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&jiff::Timestamp::from(*self), f)
    }
}

/// `[start, end)`: the start belongs to it, the end does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interval {
    /// First second inside.
    #[serde(rename = "startTime")]
    pub start: Instant,
    /// First second outside.
    #[serde(rename = "endTime")]
    pub end: Instant,
}

/// Where `now` stands relative to an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The interval has not begun.
    Before,
    /// `start <= now < end`.
    Inside,
    /// The end is reached.
    After,
}

impl Interval {
    /// Where `now` stands. An interval whose end is not after its start is never [`Position::Inside`].
    #[must_use]
    pub fn position(&self, now: Instant) -> Position {
        if now >= self.end {
            Position::After
        } else if now < self.start {
            Position::Before
        } else {
            Position::Inside
        }
    }

    /// The next instant at which [`Interval::position`] changes, or `None` once it is over.
    #[must_use]
    pub fn next_edge(&self, now: Instant) -> Option<Instant> {
        match self.position(now) {
            Position::Before => Some(self.start),
            Position::Inside => Some(self.end),
            Position::After => None,
        }
    }
}

/// Why a string is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write for example 45m, 1h30m or 90s")]
pub struct DurationError(String);

/// Parses `([0-9]{1,5}(h|m|s)){1,3}`, the form of every duration in the API (`45m`, `1h30m`, `90s`), as whole seconds.
///
/// # Errors
/// [`DurationError`] for anything else; the message shows at most 32 characters of the input.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.chars().take(32).collect());
    let mut seconds = 0u64;
    let mut digits = String::new();
    let mut units = 0;
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(bad()),
        };
        units += 1;
        if digits.is_empty() || digits.len() > 5 || units > 3 {
            return Err(bad());
        }
        seconds += digits.parse::<u64>().map_err(|_| bad())? * unit;
        digits.clear();
    }
    if units == 0 || !digits.is_empty() {
        return Err(bad());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a duration in the shortest form that [`parse_duration`] reads back: `45m`, `1h30m`, `90s` becomes `1m30s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let total = duration.as_secs();
    let mut out = String::new();
    for (value, unit) in [(total / 3600, 'h'), (total / 60 % 60, 'm'), (total % 60, 's')] {
        if value > 0 {
            out.push_str(&value.to_string());
            out.push(unit);
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// Serde form of a duration on the wire to agents: whole seconds as an integer.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole seconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.as_secs())
    }

    /// Reads whole seconds.
    ///
    /// # Errors
    /// Not an unsigned integer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fractions_are_cut_off_towards_the_past() {
        for (text, expected) in [
            ("2026-11-22T10:00:00.999Z", "2026-11-22T10:00:00Z"),
            ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:58Z"),
            ("2026-11-22T10:00:00+01:00", "2026-11-22T09:00:00Z"),
        ] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn an_interval_holds_its_start_and_not_its_end() {
        let at = Instant::from_second;
        let interval = Interval { start: at(10), end: at(20) };
        assert_eq!(interval.position(at(9)), Position::Before);
        assert_eq!(interval.position(at(10)), Position::Inside);
        assert_eq!(interval.position(at(19)), Position::Inside);
        assert_eq!(interval.position(at(20)), Position::After);
        assert_eq!(interval.next_edge(at(9)), Some(at(10)));
        assert_eq!(interval.next_edge(at(10)), Some(at(20)));
        assert_eq!(interval.next_edge(at(20)), None);
        let reversed = Interval { start: at(20), end: at(10) };
        assert!((0..30).all(|s| reversed.position(at(s)) != Position::Inside));
    }

    #[test]
    fn durations_are_read_as_the_schema_allows_them() {
        for (text, seconds) in
            [("45m", 2700), ("1h30m", 5400), ("90s", 90), ("0s", 0), ("99999h", 359_996_400), ("1h1h1h", 10800)]
        {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in ["", "45", "m", "1d", "-5m", "1.5h", "100000s", "1s1s1s1s", "5 m", "٤s", "5m "] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(seconds in 0u64..359_996_400) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,40}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn instants_round_trip_through_text(second in -60_000_000_000i64..253_402_207_199) {
            let instant = Instant::from_second(second);
            prop_assert_eq!(instant.to_string().parse::<Instant>().unwrap(), instant);
        }
    }
}
