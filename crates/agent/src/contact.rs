//! How long this endpoint has been without a gateway, and what may still begin then: pure rules over readings that the
//! caller took. What has begun is not asked about here: it runs to its own deadline.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::interval::Instant;
use tidegate_core::wire::limit;

use crate::clock::Now;
use crate::deadline::{TOLERANCE, Trusted};
use crate::poll;

/// The longest that an answer may take. A gateway without news holds a poll for so long, and a held poll is contact:
/// without this allowance an endpoint that tolerates nothing would be offline between two answers of a gateway that is
/// there all the time.
pub const LONGEST_ANSWER: Duration = limit::POLL_HOLD.saturating_add(poll::GRACE);

/// The last authenticated answer of a gateway, remembered over restarts: to start anew is no contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// By trusted time: what counts in a later boot.
    at: Instant,
    /// By the boot-time clock; none if it was in an earlier boot.
    boot: Option<Duration>,
}

impl Contact {
    /// A gateway answered at this moment of the boot-time clock, which is not after `now`.
    #[must_use]
    pub fn heard(boot: Duration, trusted: Trusted, now: Now) -> Self {
        Self { at: trusted.instant().minus(now.boot.saturating_sub(boot)), boot: Some(boot) }
    }

    /// The same contact in a later boot, whose boot-time says nothing about it.
    #[must_use]
    pub fn after_reboot(self) -> Self {
        Self { boot: None, ..self }
    }

    /// May what tolerates this long without contact still begin? Not if nobody can say how long ago the contact was,
    /// because by the clock of this boot it has not happened yet.
    #[must_use]
    pub fn allows(&self, tolerance: Duration, trusted: Trusted, now: Now) -> bool {
        self.age(trusted, now).is_some_and(|age| age <= tolerance.saturating_add(LONGEST_ANSWER))
    }

    fn age(&self, trusted: Trusted, now: Now) -> Option<Duration> {
        match self.boot {
            Some(boot) => Some(now.boot.saturating_sub(boot)),
            None if trusted.instant().plus(TOLERANCE) < self.at => None,
            None => Some(self.at.until(trusted.instant())),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::deadline::Floor;

    const HOUR: Duration = Duration::from_secs(3600);

    fn read(wall: i64, boot: u64) -> (Trusted, Now) {
        let wall = Timestamp::from(Instant::from_second(1_800_000_000 + wall));
        let now = Now { wall, boot: Duration::from_secs(boot) };
        (Floor::none().trusted(now), now)
    }

    fn heard(wall: i64, boot: u64) -> Contact {
        let (trusted, now) = read(wall, boot);
        Contact::heard(now.boot, trusted, now)
    }

    fn allows(contact: &Contact, tolerance: Duration, (trusted, now): (Trusted, Now)) -> bool {
        contact.allows(tolerance, trusted, now)
    }

    #[test]
    fn a_poll_that_is_held_is_contact_even_where_nothing_is_tolerated() {
        let contact = heard(0, 1000);
        assert!(allows(&contact, Duration::ZERO, read(75, 1075)));
        assert!(!allows(&contact, Duration::ZERO, read(76, 1076)));
        assert!(allows(&contact, HOUR, read(3675, 4675)) && !allows(&contact, HOUR, read(3676, 4676)));
    }

    #[test]
    fn within_a_boot_the_wall_clock_changes_nothing() {
        let contact = heard(0, 1000);
        assert!(!allows(&contact, HOUR, read(-9000, 1000 + 3676)));
        assert!(allows(&contact, HOUR, read(90_000, 1010)));
    }

    #[test]
    fn in_a_later_boot_trusted_time_counts_and_what_lies_ahead_of_it_counts_for_nothing() {
        let contact = heard(0, 90_000).after_reboot();
        assert!(allows(&contact, HOUR, read(3675, 5)) && !allows(&contact, HOUR, read(3676, 5)));
        assert!(allows(&contact, HOUR, read(-60, 5)), "two clocks are never the same");
        assert!(!allows(&contact, HOUR, read(-61, 5)));
    }

    #[test]
    fn an_answer_that_was_handed_on_late_is_as_old_as_it_is() {
        let (trusted, now) = read(0, 5000);
        let contact = Contact::heard(Duration::from_secs(1400), trusted, now).after_reboot();
        assert!(allows(&contact, HOUR, read(75, 5)) && !allows(&contact, HOUR, read(76, 5)));
    }
}
