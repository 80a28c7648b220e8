//! What an endpoint says of a grant: the `Applied` condition of a request. It is the endpoint's word, never a condition of
//! anything: a grant ends by its own deadline whatever is said here.

use crate::interval::Instant;
use crate::name::EndpointName;
use crate::request::Status;

/// What the agent reported of one grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// When it took effect there.
    pub applied_at: Option<Instant>,
    /// When it ended there.
    pub ended_at: Option<Instant>,
    /// Processes that were ended with it.
    pub terminated_processes: Option<u32>,
}

/// What the endpoint says of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Of its grant.
    pub delivery: Delivery,
    /// Why the agent does not apply the grant.
    pub refused: Option<String>,
}

/// The `Applied` condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// It takes effect there now.
    pub applied: bool,
    /// `Waiting`, `Applied`, `NotEnforceable` or `Ended`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Delivery {
    /// With what was reported before: a report that is gone takes nothing back.
    #[must_use]
    pub fn or(self, before: Self) -> Self {
        Self {
            applied_at: self.applied_at.or(before.applied_at),
            ended_at: self.ended_at.or(before.ended_at),
            terminated_processes: self.terminated_processes.or(before.terminated_processes),
        }
    }
}

/// What the endpoint says of a request that was granted; `None` for one that was not.
#[must_use]
pub fn applied(status: &Status, report: &Report, on: &EndpointName) -> Option<Applied> {
    let granted = status.granted?;
    let Delivery { applied_at, ended_at, terminated_processes } = report.delivery;
    let (applied, reason, message) = match (applied_at, ended_at, &report.refused) {
        (_, Some(ended), _) => {
            let processes = terminated_processes.filter(|count| *count > 0);
            let with = processes.map(|count| format!(", {count} processes with it")).unwrap_or_default();
            (false, "Ended", format!("{on} confirms that it ended at {ended}{with}"))
        }
        (None, None, Some(why)) => (false, "NotEnforceable", format!("{on} does not apply it: {why}")),
        (Some(applied), None, _) if status.state.is_final() => {
            (true, "Applied", format!("applied on {on} at {applied}; not yet confirmed that it ended"))
        }
        (Some(applied), None, _) => (true, "Applied", format!("applied on {on} at {applied}")),
        (None, None, None) if status.state.is_final() => {
            (false, "Ended", format!("{on} never said that it applied it"))
        }
        (None, None, None) => {
            let end = granted.end;
            let message = format!("approved, not yet on {on}; it takes effect on contact and still ends at {end}");
            (false, "Waiting", message)
        }
    };
    Some(Applied { applied, reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::state::State;

    fn at(second: i64) -> Instant {
        Instant::from_second(second)
    }

    fn status(state: State, granted: bool) -> Status {
        let granted = granted.then(|| Interval { start: at(10), end: at(20) });
        Status { state, signed: granted.is_some(), granted, ..Status::new() }
    }

    #[test]
    fn the_endpoint_has_the_word() {
        let on: EndpointName = "ws-042".parse().unwrap();
        let says = |applied: Option<i64>, ended: Option<i64>, refused: Option<&str>| Report {
            delivery: Delivery {
                applied_at: applied.map(at),
                ended_at: ended.map(at),
                terminated_processes: ended.map(|_| 3),
            },
            refused: refused.map(str::to_owned),
        };
        for (state, report, expected) in [
            (State::Active, says(None, None, None), (false, "Waiting", "not yet on ws-042")),
            (State::Active, says(Some(11), None, None), (true, "Applied", "applied on ws-042 at 1970-01-01T00:00:11Z")),
            (State::Active, says(None, None, Some("no protect")), (false, "NotEnforceable", "no protect")),
            (State::Revoked, says(Some(11), None, None), (true, "Applied", "not yet confirmed that it ended")),
            (State::Expired, says(Some(11), Some(20), None), (false, "Ended", "3 processes with it")),
            (State::Expired, says(None, None, None), (false, "Ended", "never said that it applied it")),
        ] {
            let found = applied(&status(state, true), &report, &on).unwrap();
            assert_eq!((found.applied, found.reason), (expected.0, expected.1), "{found:?}");
            assert!(found.message.contains(expected.2), "{found:?}");
        }
        assert_eq!(applied(&status(State::Pending, false), &Report::default(), &on), None);
    }

    #[test]
    fn a_report_that_is_gone_takes_nothing_back() {
        let before = Delivery { applied_at: Some(at(1)), ended_at: None, terminated_processes: None };
        let ended = Delivery { ended_at: Some(at(5)), ..Delivery::default() };
        assert_eq!(Delivery::default().or(before), before);
        assert_eq!(ended.or(before), Delivery { ended_at: Some(at(5)), ..before });
    }
}
