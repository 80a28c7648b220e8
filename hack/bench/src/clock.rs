//! The only reader of clocks here: wall time, which nothing sets, and the time that this thread was on a processor.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Times since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    wall: Instant,
    cpu: Duration,
}

impl Watch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    /// Processor time of this thread since the start.
    pub fn cpu(&self) -> Duration {
        cpu().saturating_sub(self.cpu)
    }
}

/// How long the work takes by the wall clock. Some 20 ns of it are the clock's own.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn wall(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

impl Watch {
    /// Wall time since the start.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn wall(&self) -> Duration {
        self.wall.elapsed()
    }
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
