//! The only place of this crate that reads clocks: deadlines of waits, seconds since the start, and the wall clock
//! against which a test states when a grant ends.
#![expect(clippy::disallowed_methods, reason = "this is the file that reads the clocks")]

use std::time::{Duration, Instant};

/// Measures from when it was started, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

// === impl Stopwatch ===

impl Stopwatch {
    /// Begins at zero, now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The wall clock, UTC, as the processes under test read it.
#[must_use]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
