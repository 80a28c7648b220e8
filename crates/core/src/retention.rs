//! How long the object of a request stays after its end. What is open never goes, and neither does an end that the fleet part may
//! still have to name.

use std::time::Duration;

use crate::interval::Instant;
use crate::state::State;

/// What was declined by itself held nothing and was decided by nobody: it is kept so long at most.
pub const DECLINED: Duration = Duration::from_secs(3600);

/// What counts for how long a request stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where it stands; `None` before its first judgement.
    pub state: Option<State>,
    /// By the API server's clock. A record of an end that is older than the request itself counts from here.
    pub created_at: Instant,
    /// When its end was recorded.
    pub ended_at: Option<Instant>,
    /// Somebody still needs the object, or it is on its way out already.
    pub held: bool,
}

// === impl Record ===

impl Record {
    /// When the object may go, given how long ended requests are kept; `None` while it has to stay whatever the time.
    #[must_use]
    pub fn due_at(&self, retention: Duration) -> Option<Instant> {
        let state = self.state.filter(|state| state.is_final() && !self.held)?;
        let kept = if state == State::Declined { retention.min(DECLINED) } else { retention };
        Some(self.ended_at?.max(self.created_at).plus(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Duration = Duration::from_secs(720 * 3600);

    fn at(second: i64) -> Instant {
        Instant::from_second(second)
    }

    fn ended(state: State) -> Record {
        Record { state: Some(state), created_at: at(1_000), ended_at: Some(at(5_000)), held: false }
    }

    #[test]
    fn what_is_open_or_not_judged_never_goes_and_everything_that_ended_does() {
        for state in State::ALL {
            let due = ended(state).due_at(MONTH);
            let expected = match state {
                State::Held | State::Pending | State::Scheduled | State::Active => None,
                State::Declined => Some(at(5_000).plus(DECLINED)),
                State::Denied | State::Withdrawn | State::TimedOut | State::Expired | State::Revoked | State::Ended => {
                    Some(at(5_000).plus(MONTH))
                }
            };
            assert_eq!(due, expected, "{state}");
        }
        assert_eq!(Record { state: None, ..ended(State::Expired) }.due_at(MONTH), None);
    }

    #[test]
    fn what_is_held_stays_and_so_does_an_end_without_its_time() {
        assert_eq!(Record { held: true, ..ended(State::Revoked) }.due_at(MONTH), None);
        assert_eq!(Record { ended_at: None, ..ended(State::Revoked) }.due_at(MONTH), None);
    }

    #[test]
    fn a_retention_shorter_than_that_of_declined_ones_holds_for_them_too() {
        let short = Duration::from_secs(60);
        assert_eq!(ended(State::Declined).due_at(short), Some(at(5_060)));
    }

    #[test]
    fn an_end_recorded_before_the_request_was_made_shortens_nothing() {
        let early = Record { ended_at: Some(at(-1_000_000)), ..ended(State::Ended) };
        assert_eq!(early.due_at(MONTH), Some(at(1_000).plus(MONTH)));
    }
}
