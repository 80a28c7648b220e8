//! The tests' only look at the clock: grants have to begin and end in real time.

use std::time::{Duration, Instant as Moment};

use tidegate_core::interval::{Instant, Interval};

/// From now for this many seconds.
#[expect(clippy::disallowed_methods, reason = "a real agent runs on the real clock")]
pub fn from_now(seconds: i64) -> Interval {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let start = Instant::from_second(i64::try_from(now).unwrap());
    Interval { start, end: Instant::from_second(start.as_second() + seconds) }
}

/// Counts from now.
pub struct Stopwatch(Moment);

#[expect(clippy::disallowed_methods, reason = "a real agent runs on the real clock")]
impl Stopwatch {
    pub fn start() -> Self {
        Self(Moment::now())
    }

    pub fn read(&self) -> Duration {
        self.0.elapsed()
    }
}
