//! The only reader of clocks in the controller and the gateway. Whoever needs the time is given it as an argument.

use std::sync::OnceLock;
use std::time::Duration;

use tidegate_core::interval::Instant;

/// The wall clock, whole UTC seconds. It may jump; nothing measures a span with it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Instant {
    jiff::Timestamp::now().into()
}

/// How long until the wall clock shows this instant; zero once it does. Finer than a second, so that a timer for it is not up to
/// a second late.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn until(instant: Instant) -> Duration {
    Duration::try_from(jiff::Timestamp::from(instant).duration_since(jiff::Timestamp::now())).unwrap_or_default()
}

/// Time since this process first asked, on a clock that never jumps and does not count suspension.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn monotonic() -> Duration {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
