//! How long to wait before the next try: full jitter, first inside the gateway's last reconnect window, then
//! exponentially up to a cap. Pure but for [`roll`], the only source of randomness.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The reconnect window of a gateway that has not named one.
const WINDOW: Duration = Duration::from_secs(1);
/// The base of the exponential steps.
const BASE: Duration = Duration::from_secs(1);

/// The state of one retry loop.
#[derive(Debug, Clone)]
pub struct Backoff {
    cap: Duration,
    window: Duration,
    failures: u32,
}

/// A random fraction: [`Roll::of`] of a span is uniform in `[0, span)`.
#[derive(Debug, Clone, Copy)]
pub struct Roll(pub u32);

/// A fresh random fraction. If the system gives no randomness the whole span is waited.
#[must_use]
pub fn roll() -> Roll {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Roll(u32::from_le_bytes(bytes)),
        Err(_) => Roll(u32::MAX),
    }
}

impl Roll {
    /// This fraction of `span`.
    #[must_use]
    pub fn of(self, span: Duration) -> Duration {
        span.mul_f64(f64::from(self.0) / 4_294_967_296.0)
    }
}

impl Backoff {
    /// A loop that never waits longer than `cap`.
    #[must_use]
    pub fn new(cap: Duration) -> Self {
        Self { cap, window: WINDOW.min(cap), failures: 0 }
    }

    /// The reconnect window that the gateway named last, held under the cap.
    pub fn set_window(&mut self, window: Duration) {
        self.window = window.min(self.cap);
    }

    /// All is well again: the next failure waits inside the reconnect window.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure; `asked` is the gateway's Retry-After, which is never undercut (unless
    /// it exceeds the cap).
    pub fn failed(&mut self, asked: Option<Duration>, roll: Roll) -> Duration {
        let span = if self.failures == 0 { self.window } else { self.exponential() };
        self.failures = self.failures.saturating_add(1);
        let asked = asked.unwrap_or_default().min(self.cap);
        (asked + roll.of(span)).min(self.cap.max(asked))
    }

    /// A wait inside the reconnect window that counts as no failure: for an answer that came too early.
    #[must_use]
    pub fn pause(&self, roll: Roll) -> Duration {
        roll.of(self.window)
    }

    fn exponential(&self) -> Duration {
        BASE.saturating_mul(1u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: Roll = Roll(u32::MAX);
    const CAP: Duration = Duration::from_secs(300);

    #[test]
    fn the_first_try_falls_inside_the_reconnect_window_and_the_next_ones_double_up_to_the_cap() {
        let mut backoff = Backoff::new(CAP);
        backoff.set_window(Duration::from_secs(40));
        let waits: Vec<u64> = (0..11).map(|_| backoff.failed(None, MOST).as_secs_f64().round() as u64).collect();
        assert_eq!(waits, [40, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        backoff.succeeded();
        assert_eq!(backoff.failed(None, MOST).as_secs_f64().round() as u64, 40);
    }

    #[test]
    fn retry_after_is_waited_for_and_spread() {
        let mut backoff = Backoff::new(CAP);
        let asked = Some(Duration::from_secs(20));
        assert_eq!(backoff.failed(asked, Roll(0)), Duration::from_secs(20));
        assert!(backoff.failed(asked, MOST) > Duration::from_secs(21));
        assert_eq!(backoff.failed(Some(Duration::from_secs(90_000)), MOST), CAP);
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_cap(window in 0u64..100_000, asked in 0u64..100_000, roll: u32, failures in 0u32..70) {
            let mut backoff = Backoff::new(CAP);
            backoff.set_window(Duration::from_secs(window));
            for _ in 0..failures {
                backoff.failed(None, Roll(roll));
            }
            prop_assert!(backoff.failed(Some(Duration::from_secs(asked)), Roll(roll)) <= CAP);
            prop_assert!(backoff.pause(Roll(roll)) <= CAP);
        }
    }
}
