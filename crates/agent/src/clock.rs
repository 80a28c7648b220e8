//! The only reader of clocks: the wall clock, the boot-time clock (which counts sleep) and the id of this boot.
//! Whatever decides is given a [`Now`] and reads nothing.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, UTC. Anybody with the right to set it may have moved it.
    pub wall: Timestamp,
    /// Time since this boot, suspended time included (`CLOCK_BOOTTIME`). Never goes back within one boot.
    pub boot: Duration,
}

/// Reads both clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of the agent that reads the wall clock")]
pub fn now() -> Now {
    Now { wall: Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH), boot: boot() }
}

/// Time since this boot, suspended time included.
#[must_use]
pub fn boot() -> Duration {
    let read = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(read.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(read.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// The id of this boot, as the kernel names it: boot-time readings of two boots must never be compared.
///
/// # Errors
/// The kernel's file cannot be read (`/proc` is not mounted).
pub fn boot_id() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_never_goes_back_and_the_boot_has_an_id() {
        let (first, second) = (now(), now());
        assert!(first.boot > Duration::ZERO && second.boot >= first.boot);
        assert_eq!(boot_id().unwrap().len(), 36);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}
