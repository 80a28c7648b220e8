//! The only reader of clocks in the controller and the gateway. Whoever needs the time is given it as an argument. The time is kept on
//! the boot-time clock and held to the API server's answers (`tidegate_core::timekeeping`): a wall clock that is wrong or
//! stepped moves nothing.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tidegate_core::interval::Instant;
use tidegate_core::timekeeping::{Answer, Estimate, Readings};

/// How long reading two clocks may take for the readings to count as one moment.
const TOGETHER: Duration = Duration::from_millis(5);
/// How often that is tried.
const TRIES: usize = 4;

/// A correction of the time by more than 2 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// What time it was believed to be.
    pub from: Instant,
    /// What time it is by the API server.
    pub to: Instant,
}

/// What time it is, whole UTC seconds. Before the first answer of the API server what the wall clock says; nothing is judged then.
#[must_use]
pub fn now() -> Instant {
    keeping(|kept| kept.estimate.now(boot()))
}

/// The wall clock as finely as it goes, for people to read. Nothing is decided by it.
#[must_use]
pub fn stamp() -> jiff::Timestamp {
    since_1970(wall())
}

/// What time it is by [`now`], as finely as the clocks go: for traces. Nothing is decided by it.
#[must_use]
pub fn fine() -> jiff::Timestamp {
    since_1970(keeping(|kept| kept.estimate.utc(boot())))
}

/// What time it was by [`fine`] at this reading of [`monotonic`].
#[must_use]
pub fn fine_at(reading: Duration) -> jiff::Timestamp {
    let passed = monotonic().saturating_sub(reading);
    fine().saturating_sub(passed).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn since_1970(time: jiff::SignedDuration) -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH.saturating_add(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// How long until this instant; zero once it is reached. Finer than a second, so that a timer for it is not up to a second late.
#[must_use]
pub fn until(instant: Instant) -> Duration {
    keeping(|kept| kept.estimate.until(instant, boot()))
}

/// Takes in what an answer of the API server says of the time; `Some` if that moved it by more than 2 s.
pub fn heard(answer: &Answer) -> Option<Jump> {
    let readings = readings();
    keeping(|kept| {
        let corrected = kept.estimate.correct(&readings, answer);
        let jumped = corrected.jumped(&kept.estimate);
        let jump = Jump { from: kept.estimate.now(readings.boot), to: corrected.now(readings.boot) };
        kept.estimate = corrected;
        kept.jumps += u64::from(jumped);
        jumped.then_some(jump)
    })
}

/// How often the time has jumped since this process started.
#[must_use]
pub fn jumps() -> u64 {
    keeping(|kept| kept.jumps)
}

/// The clocks of this computer, read as one.
#[must_use]
pub fn readings() -> Readings {
    let mut best = (Duration::MAX, None);
    for _ in 0..TRIES {
        let before = boot();
        let (wall, awake) = (wall(), monotonic());
        let boot = boot();
        let took = boot.saturating_sub(before);
        if took < best.0 {
            best = (took, Some(Readings { wall, boot, awake }));
        }
        if took <= TOGETHER {
            break;
        }
    }
    best.1.unwrap_or_else(|| Readings { wall: wall(), boot: boot(), awake: monotonic() })
}

/// Time since this process first asked, on a clock that never jumps and does not count suspension.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn monotonic() -> Duration {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Time since this computer started, time that it slept included. Never goes back while the process runs.
#[must_use]
pub fn boot() -> Duration {
    let read = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(read.tv_sec).unwrap_or(0), u32::try_from(read.tv_nsec).unwrap_or(0))
}

/// UTC since 1970, as whoever may set this computer's clock has set it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> jiff::SignedDuration {
    jiff::Timestamp::now().as_duration()
}

struct Kept {
    estimate: Estimate,
    jumps: u64,
}

fn keeping<T>(with: impl FnOnce(&mut Kept) -> T) -> T {
    static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
    // Nothing in here panics half way through a change.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    with(kept.get_or_insert_with(|| Kept { estimate: Estimate::by_wall(&readings()), jumps: 0 }))
}
