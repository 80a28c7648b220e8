//! What the traces say of the way of a grant through a gateway. Pure: whoever serves reads the clocks.

use jiff::Timestamp;
use tidegate_api::GrantReport;
use tidegate_core::interval::Instant;

use super::index::Reported;
use crate::traces::{About, Span, Stretch};

/// A grant that was signed in this second has come to this gateway.
#[must_use]
pub fn reached(about: About, signed_at: Instant, now: Timestamp) -> Span {
    Span::new(Stretch::Reach, about, signed_at.into(), now)
}

/// It is in the answer to a poll that waited for it, or began, since then.
#[must_use]
pub fn handed_out(about: About, since: Timestamp, now: Timestamp) -> Span {
    Span::new(Stretch::HandOut, about, since, now)
}

/// The agent says that it holds since this second. Where this gateway handed it out, the way began there.
#[must_use]
pub fn applied(about: About, handed_out: Option<Timestamp>, said: Timestamp, now: Timestamp) -> Span {
    Span::new(Stretch::Apply, about, handed_out.unwrap_or(said), now)
}

/// Requests whose grants hold by this report and did not by the one before, and since when.
pub fn newly_applied<'a>(before: &'a Reported, told: &'a Reported) -> impl Iterator<Item = (&'a str, Timestamp)> {
    let known = |uid: &str| before.grants.iter().any(|grant| grant.request_uid == uid && grant.applied_time.is_some());
    told.grants.iter().filter_map(move |GrantReport { request_uid, applied_time, .. }| {
        applied_time.as_ref().filter(|_| !known(request_uid)).map(|time| (request_uid.as_str(), time.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::time;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn about() -> About {
        About {
            request: "uid-1".parse().unwrap(),
            namespace: "berlin".to_owned(),
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            endpoint_uid: "e-1".parse().ok(),
        }
    }

    fn reported(grants: &[(&str, Option<i64>)]) -> Reported {
        let grant = |(uid, applied): &(&str, Option<i64>)| GrantReport {
            request_uid: (*uid).to_owned(),
            applied_time: applied.map(|second| time(Instant::from_second(second))),
            ended_time: None,
            terminated_processes: None,
        };
        Reported { grants: grants.iter().map(grant).collect(), ..Reported::default() }
    }

    #[test]
    fn a_grant_is_told_when_it_is_first_said_to_hold() {
        let before = reported(&[("known", Some(5)), ("waits", None)]);
        let told = reported(&[("known", Some(5)), ("waits", Some(7)), ("new", Some(8)), ("to come", None)]);
        let fresh: Vec<_> = newly_applied(&before, &told).collect();
        assert_eq!(fresh, [("waits", at(7)), ("new", at(8))]);
    }

    #[test]
    fn an_agent_applies_from_the_answer_on_or_as_it_says_itself() {
        let ends = |span: Span| (span.from, span.to);
        assert_eq!(ends(applied(about(), Some(at(6)), at(7), at(9))), (at(6), at(9)));
        assert_eq!(ends(applied(about(), None, at(7), at(9))), (at(7), at(9)));
        assert_eq!(ends(applied(about(), None, at(99), at(9))), (at(9), at(9)), "its clock is ahead");
    }
}
