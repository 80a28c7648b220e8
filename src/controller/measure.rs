//! What a request's new status adds to the metrics, once it is written.

use tidegate_core::interval::Instant;
use tidegate_core::lifecycle::{Event, EventKind};
use tidegate_core::request::{FoldedDecision, Status};

use crate::metrics::{By, ControllerMetrics, Settled};

/// The status that was written, the one before it, and what happened in between.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// What was recorded before; `None`: this is the first.
    pub before: Option<&'a Status>,
    /// What is recorded now.
    pub status: &'a Status,
    /// What happened.
    pub events: &'a [Event],
}

// === impl Written ===

impl<'a> Written<'a> {
    /// The decisions that are recorded for the first time.
    pub fn fresh(&self) -> impl Iterator<Item = &'a FoldedDecision> + use<'a> {
        let Self { before, status, .. } = *self;
        let known = move |slot: u32| before.is_some_and(|before| before.decisions.iter().any(|d| d.slot == slot));
        status.decisions.iter().filter(move |decision| !known(decision.slot))
    }

    /// Counts it.
    pub fn measure(&self, metrics: &ControllerMetrics, now: Instant) {
        for decision in self.fresh() {
            metrics.decided(decision.verb, decision.ignored.is_none());
        }
        for event in self.events {
            self.happened(event.kind, metrics, now);
        }
    }

    fn happened(&self, event: EventKind, metrics: &ControllerMetrics, now: Instant) {
        let Status { declined, accepted_at, rule, granted, .. } = self.status;
        let since = |instant: Option<Instant>| instant.map(|instant| instant.until(now));
        match event {
            EventKind::Declined => declined.iter().for_each(|reason| metrics.declined(*reason)),
            EventKind::Approved => {
                let by = if rule.is_some() { By::Rule } else { By::Person };
                since(*accepted_at).iter().for_each(|after| metrics.settled(Settled::Approved, by, *after));
            }
            EventKind::Denied => {
                since(*accepted_at).iter().for_each(|after| metrics.settled(Settled::Denied, By::Person, *after));
            }
            EventKind::Expired => {
                since(granted.map(|granted| granted.end)).iter().for_each(|lag| metrics.expired(*lag))
            }
            EventKind::Applied => {
                since(granted.map(|granted| granted.start)).iter().for_each(|after| metrics.delivered(*after));
            }
            EventKind::Held
            | EventKind::Accepted
            | EventKind::TimedOut
            | EventKind::Withdrawn
            | EventKind::Activated
            | EventKind::Revoked
            | EventKind::Ended
            | EventKind::DecisionIgnored
            | EventKind::Removed => {}
        }
    }
}

/// What tests of what is told of a written status begin with.
#[cfg(test)]
pub mod fixture {
    use tidegate_core::decision::Verb;
    use tidegate_core::interval::Instant;
    use tidegate_core::reason::IgnoredReason;
    use tidegate_core::request::{FoldedDecision, Status};
    use tidegate_core::state::State;

    pub fn pending() -> Status {
        Status {
            state: State::Pending,
            message: String::new(),
            declined: None,
            denied: false,
            accepted_at: None,
            identity: None,
            policy: None,
            endpoint_uid: None,
            decisions: Vec::new(),
            rule: None,
            stages: Vec::new(),
            granted: None,
            signed: false,
        }
    }

    pub fn decision(slot: u32, verb: Option<Verb>, ignored: Option<IgnoredReason>) -> FoldedDecision {
        FoldedDecision {
            slot,
            by: None,
            verb,
            duration: None,
            stage: None,
            comment: None,
            observed_at: Instant::from_second(0),
            ignored: ignored.map(|reason| (reason, String::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::decision::Verb;
    use tidegate_core::interval::Interval;
    use tidegate_core::reason::{DeclineReason, IgnoredReason};
    use tidegate_core::state::State;

    use super::fixture::{decision, pending};
    use super::*;
    use crate::metrics::Metrics;

    fn at(second: i64) -> Instant {
        Instant::from_second(second)
    }

    /// What these metrics say after one write at second 1000.
    fn after(before: Option<&Status>, status: &Status, happened: &[EventKind]) -> String {
        let metrics = Metrics::new("controller").unwrap();
        let controller = ControllerMetrics::new(&metrics).unwrap();
        let event = |kind: &EventKind| Event { kind: *kind, slot: None, by: None, message: String::new() };
        let events: Vec<Event> = happened.iter().map(event).collect();
        Written { before, status, events: &events }.measure(&controller, at(1000));
        metrics.render(true)
    }

    fn assert_lines(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn a_decision_is_counted_when_it_is_first_recorded() {
        let before = Status { decisions: vec![decision(1, Some(Verb::Approve), None)], ..pending() };
        let mut status = before.clone();
        status.decisions.push(decision(2, Some(Verb::Deny), None));
        status.decisions.push(decision(3, Some(Verb::Approve), Some(IgnoredReason::TooLate)));
        status.decisions.push(decision(4, None, Some(IgnoredReason::Malformed)));
        assert_lines(
            &after(Some(&before), &status, &[]),
            &[
                "tidegate_decisions_total{counted=\"true\",verb=\"approve\"} 0",
                "tidegate_decisions_total{counted=\"true\",verb=\"deny\"} 1",
                "tidegate_decisions_total{counted=\"false\",verb=\"approve\"} 1",
                "tidegate_decisions_total{counted=\"false\",verb=\"malformed\"} 1",
            ],
        );
    }

    #[test]
    fn spans_are_counted_from_what_they_are_about() {
        let granted = Some(Interval { start: at(990), end: at(997) });
        let approved = Status { accepted_at: Some(at(940)), granted, state: State::Active, ..pending() };
        assert_lines(
            &after(None, &approved, &[EventKind::Approved, EventKind::Activated, EventKind::Applied]),
            &[
                "tidegate_decision_latency_seconds_sum{by=\"person\",outcome=\"approved\"} 60",
                "tidegate_decision_latency_seconds_count{by=\"rule\",outcome=\"approved\"} 0",
                "tidegate_delivery_seconds_sum 10",
                "tidegate_expiry_lag_seconds_count 0",
            ],
        );
        let by_rule = Status { rule: "daily".parse().ok(), ..approved.clone() };
        let line = "tidegate_decision_latency_seconds_count{by=\"rule\",outcome=\"approved\"} 1";
        assert_lines(&after(None, &by_rule, &[EventKind::Approved]), &[line]);
        assert_lines(&after(Some(&approved), &approved, &[EventKind::Expired]), &["tidegate_expiry_lag_seconds_sum 3"]);
        let line = "tidegate_decision_latency_seconds_count{by=\"person\",outcome=\"denied\"} 1";
        assert_lines(&after(None, &approved, &[EventKind::Denied]), &[line]);
    }

    #[test]
    fn a_declined_request_is_counted_by_its_reason() {
        let status = Status { declined: Some(DeclineReason::ReasonRequired), ..pending() };
        let line = "tidegate_declined_total{reason=\"ReasonRequired\"} 1";
        assert_lines(&after(None, &status, &[EventKind::Declined]), &[line]);
    }
}
