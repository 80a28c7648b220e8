//! One weekly window: its days, when it opens by wall time, and how long it stays open. Knows no zone.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::interval::seconds;

/// A window is open at most this long: one week.
const MAX_DURATION: Duration = Duration::from_secs(7 * 86_400);

/// One window: on which days it opens, when, and how long it stays open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedWindow")]
pub struct WeeklyWindow {
    days: BTreeSet<Weekday>,
    start: TimeOfDay,
    #[serde(with = "seconds")]
    duration: Duration,
}

/// A day of the week, by local wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Weekday {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

/// A time of day by local wall time, written `HH:MM`, 00:00 to 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

/// Why something is not a weekly window. Display says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A window that opens on no day.
    #[error("a window has no days; at least one of Mon, Tue, Wed, Thu, Fri, Sat and Sun is expected")]
    NoDays,
    /// A window shorter than a second or longer than a week.
    #[error("a window is open for {0} seconds; 1s to 168h are expected")]
    Duration(u64),
    /// Not a day.
    #[error("{0:?} is not a day; one of Mon, Tue, Wed, Thu, Fri, Sat and Sun is expected")]
    Day(String),
    /// Not a time of day.
    #[error("{0:?} is not a time of day; HH:MM from 00:00 to 23:59 is expected, such as 18:00")]
    TimeOfDay(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedWindow {
    days: BTreeSet<Weekday>,
    start: TimeOfDay,
    #[serde(with = "seconds")]
    duration: Duration,
}

// === impl WeeklyWindow ===

impl WeeklyWindow {
    /// A window that opens at `start` on these days. Fractions of a second of the duration are cut off.
    ///
    /// # Errors
    /// [`WindowError::NoDays`], or [`WindowError::Duration`] unless it is 1s to 168h.
    pub fn new(days: BTreeSet<Weekday>, start: TimeOfDay, duration: Duration) -> Result<Self, WindowError> {
        if days.is_empty() {
            return Err(WindowError::NoDays);
        }
        let duration = Duration::from_secs(duration.as_secs());
        if duration.is_zero() || duration > MAX_DURATION {
            return Err(WindowError::Duration(duration.as_secs()));
        }
        Ok(Self { days, start, duration })
    }

    /// The days on which it opens, at least one.
    #[must_use]
    pub fn days(&self) -> &BTreeSet<Weekday> {
        &self.days
    }

    /// When it opens, by wall time.
    #[must_use]
    pub fn start(&self) -> TimeOfDay {
        self.start
    }

    /// How long it stays open, elapsed time: whole seconds, 1s to 168h.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl TryFrom<UncheckedWindow> for WeeklyWindow {
    type Error = WindowError;
    fn try_from(value: UncheckedWindow) -> Result<Self, WindowError> {
        Self::new(value.days, value.start, value.duration)
    }
}

// === impl Weekday ===

impl Weekday {
    /// All seven, Monday first.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "Mon",
            Self::Tue => "Tue",
            Self::Wed => "Wed",
            Self::Thu => "Thu",
            Self::Fri => "Fri",
            Self::Sat => "Sat",
            Self::Sun => "Sun",
        }
    }
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(value: jiff::civil::Weekday) -> Self {
        match value {
            jiff::civil::Weekday::Monday => Self::Mon,
            jiff::civil::Weekday::Tuesday => Self::Tue,
            jiff::civil::Weekday::Wednesday => Self::Wed,
            jiff::civil::Weekday::Thursday => Self::Thu,
            jiff::civil::Weekday::Friday => Self::Fri,
            jiff::civil::Weekday::Saturday => Self::Sat,
            jiff::civil::Weekday::Sunday => Self::Sun,
        }
    }
}

impl FromStr for Weekday {
    type Err = WindowError;
    fn from_str(value: &str) -> Result<Self, WindowError> {
        Self::ALL.into_iter().find(|day| day.as_str() == value).ok_or_else(|| WindowError::Day(shown(value)))
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl TimeOfDay ===

impl TimeOfDay {
    /// 0 to 23.
    #[must_use]
    pub fn hour(self) -> i8 {
        self.hour
    }

    /// 0 to 59.
    #[must_use]
    pub fn minute(self) -> i8 {
        self.minute
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = WindowError;
    fn try_from(value: String) -> Result<Self, WindowError> {
        value.parse()
    }
}

impl FromStr for TimeOfDay {
    type Err = WindowError;
    fn from_str(value: &str) -> Result<Self, WindowError> {
        let two = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok());
        let parts = value.split_once(':').and_then(|(hour, minute)| two(hour).flatten().zip(two(minute).flatten()));
        match parts {
            Some((hour @ 0..=23, minute @ 0..=59)) => Ok(Self { hour, minute }),
            Some(_) | None => Err(WindowError::TimeOfDay(shown(value))),
        }
    }
}

impl From<TimeOfDay> for String {
    fn from(value: TimeOfDay) -> String {
        value.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// As much of a refused text as a message shows.
fn shown(text: &str) -> String {
    text.chars().take(32).collect()
}
