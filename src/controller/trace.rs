//! What the traces say of a request's new status, once it is written: the way from the decision to the delivery. Pure: the moments are
//! read by whoever runs the pass.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use tidegate_api::ElevationRequest;
use tidegate_api::names::DECISION_PREFIX;
use tidegate_core::lifecycle::EventKind;
use tidegate_core::request::{FoldedDecision, Request};

use super::measure::Written;
use crate::convert;
use crate::traces::{About, Detail, Span, Stretch};

/// When a pass took up its object, and when it was done with which step.
#[derive(Debug, Clone)]
pub struct Course {
    began: Timestamp,
    done: Vec<(Stretch, Timestamp)>,
}

/// A status that was written.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// What was written.
    pub written: Written<'a>,
    /// The request that was judged.
    pub request: &'a Request,
    /// The object as the API server has it since: it knows who wrote which annotation when.
    pub object: &'a ElevationRequest,
    /// The pass.
    pub course: &'a Course,
}

// === impl Course ===

impl Course {
    /// A pass begins.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self { began: now, done: Vec::new() }
    }

    /// This step is done; the next one begins.
    pub fn done(&mut self, step: Stretch, now: Timestamp) {
        self.done.push((step, now));
    }

    fn signed(&self) -> bool {
        self.done.iter().any(|(step, _)| *step == Stretch::Sign)
    }

    fn ended(&self) -> Timestamp {
        self.done.last().map_or(self.began, |(_, at)| *at)
    }

    fn steps(&self) -> impl Iterator<Item = (Stretch, Timestamp, Timestamp)> {
        let begins = std::iter::once(self.began).chain(self.done.iter().map(|(_, at)| *at));
        self.done.iter().zip(begins).map(|((step, to), from)| (*step, from, *to))
    }
}

// === impl Traced ===

impl Traced<'_> {
    /// The decisions that were taken up, the steps of a pass that took up one or granted, and the whole way where it ends here. Nothing
    /// of any other write.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = self.written.fresh().map(|decision| self.decision(decision)).collect();
        if !spans.is_empty() || self.course.signed() {
            spans.extend(self.course.steps().map(|(step, from, to)| self.step(step, from, to)));
        }
        spans.extend(self.whole());
        spans
    }

    fn decision(&self, decision: &FoldedDecision) -> Span {
        let outcome = decision.ignored.as_ref().map_or_else(|| "Counted".to_owned(), |(why, _)| why.to_string());
        let span = self.span(Stretch::Decision, self.decided_at(decision), self.course.began);
        let span = span.with(Detail::Slot(decision.slot)).with(Detail::Outcome(outcome));
        decision.verb.into_iter().fold(span, |span, verb| span.with(Detail::Verb(verb)))
    }

    fn step(&self, step: Stretch, from: Timestamp, to: Timestamp) -> Span {
        let span = self.span(step, from, to);
        if step == Stretch::Write { span.with(Detail::Outcome(self.written.status.state.to_string())) } else { span }
    }

    /// The whole way, told once: when the endpoint's word is recorded, or when the request ends and there can be none any more. A request
    /// that nobody decided upon has no way.
    fn whole(&self) -> Option<Span> {
        let Written { before, status, events } = self.written;
        let told_before = before.is_some_and(|before| before.state.is_final());
        let decided = !status.decisions.is_empty() || status.rule.is_some();
        if told_before || !decided {
            return None;
        }
        let applied = convert::recorded_delivery(self.object).applied_at.is_some();
        let outcome = if events.iter().any(|event| event.kind == EventKind::Applied) {
            EventKind::Applied.as_str()
        } else if status.state.is_final() && !applied {
            status.state.as_str()
        } else {
            return None;
        };
        let counted = status.decisions.iter().filter(|decision| decision.ignored.is_none());
        let created = || self.object.creation_timestamp().map(|time| time.0);
        let from = counted.map(|decision| self.decided_at(decision)).min().or_else(created);
        let span = self.span(Stretch::Request, from.unwrap_or(self.course.began), self.course.ended());
        Some(span.with(Detail::Outcome(outcome.to_owned())))
    }

    /// When the API server took the decision, as far as it still says; at the latest when it was first seen. Whole seconds.
    fn decided_at(&self, decision: &FoldedDecision) -> Timestamp {
        let seen = decision.observed_at.into();
        written_at(self.object.managed_fields(), decision.slot).map_or(seen, |written| written.min(seen))
    }

    fn span(&self, stretch: Stretch, from: Timestamp, to: Timestamp) -> Span {
        let Request { reference, wish, .. } = self.request;
        let about = About {
            request: reference.uid.clone(),
            namespace: self.object.namespace().unwrap_or_default(),
            policy: wish.policy.clone(),
            endpoint: wish.endpoint.clone(),
            endpoint_uid: self.written.status.endpoint_uid.clone(),
        };
        Span::new(stretch, about, from, to)
    }
}

/// When whoever wrote the decision of this slot last wrote an annotation.
fn written_at(fields: &[ManagedFieldsEntry], slot: u32) -> Option<Timestamp> {
    let key = format!("f:{DECISION_PREFIX}{slot}");
    let owns = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| !fields.0["f:metadata"]["f:annotations"][&key].is_null())
    };
    Some(fields.iter().find(owns)?.time.as_ref()?.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_core::decision::Verb;
    use tidegate_core::interval::Instant;
    use tidegate_core::lifecycle::Event;
    use tidegate_core::reason::IgnoredReason;
    use tidegate_core::request::Status;
    use tidegate_core::state::State;

    use super::super::measure::fixture::{decision, pending};
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    /// bob's decision was written at second 100, carol's in a second annotation of another program at 103.
    fn object(applied: bool) -> ElevationRequest {
        let fields = |slot: u32, second: i64| {
            json!({
                "manager": format!("kubectl-{slot}"), "operation": "Update", "time": at(second * 1000).to_string(),
                "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{DECISION_PREFIX}{slot}"): {}}}},
            })
        };
        let mut object = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
            "metadata": {
                "name": "er-1", "namespace": "berlin", "uid": "r-1", "creationTimestamp": at(90_000).to_string(),
                "managedFields": [fields(1, 100), fields(2, 103)],
            },
            "spec": {
                "policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": "alice@corp",
                "reason": "Installing the toolchain",
            },
            "status": {"endpoint": {"uid": "e-1"}},
        });
        if applied {
            object["status"]["endpoint"]["appliedTime"] = json!(at(101_000).to_string());
        }
        serde_json::from_value(object).unwrap()
    }

    fn decided(state: State, verb: Verb, ignored: Option<IgnoredReason>) -> Status {
        let decision = FoldedDecision { observed_at: Instant::from_second(104), ..decision(1, Some(verb), ignored) };
        Status { state, decisions: vec![decision], endpoint_uid: "e-1".parse().ok(), ..pending() }
    }

    fn course(steps: &[Stretch]) -> Course {
        let mut course = Course::begin(at(104_500));
        steps.iter().zip(105_000..).for_each(|(step, now)| course.done(*step, at(now)));
        course
    }

    /// Name, begin, end (in milliseconds) and outcome of each span of this write.
    fn told(
        before: Option<&Status>,
        status: &Status,
        (happened, applied): (&[EventKind], bool),
        steps: &[Stretch],
    ) -> Vec<(&'static str, i64, i64, String)> {
        let event = |kind: &EventKind| Event { kind: *kind, slot: None, by: None, message: String::new() };
        let events: Vec<Event> = happened.iter().map(event).collect();
        let object = object(applied);
        let request = convert::request(&object).unwrap();
        let written = Written { before, status, events: &events };
        let spans = Traced { written, request: &request, object: &object, course: &course(steps) }.spans();
        let outcome = |span: &Span| {
            let found = span.attributes().into_iter().find(|(name, _)| *name == "tidegate.outcome");
            found.map(|(_, value)| value).unwrap_or_default()
        };
        let told = |span: &Span| {
            let (from, to) = (span.from.as_millisecond(), span.to.as_millisecond());
            (span.stretch.as_str(), from, to, outcome(span))
        };
        spans.iter().map(told).collect()
    }

    const GRANTS: [Stretch; 3] = [Stretch::Judge, Stretch::Sign, Stretch::Write];
    const WRITES: [Stretch; 2] = [Stretch::Judge, Stretch::Write];

    fn said(name: &'static str, from: i64, to: i64, outcome: &str) -> (&'static str, i64, i64, String) {
        (name, from, to, outcome.to_owned())
    }

    #[test]
    fn an_approval_is_traced_from_the_decision_to_the_write() {
        let active = decided(State::Active, Verb::Approve, None);
        assert_eq!(
            told(Some(&pending()), &active, (&[EventKind::Approved, EventKind::Activated], false), &GRANTS),
            [
                said("decision", 100_000, 104_500, "Counted"),
                said("judge", 104_500, 105_000, ""),
                said("sign grant", 105_000, 105_001, ""),
                said("write status", 105_001, 105_002, "Active"),
            ]
        );
    }

    #[test]
    fn the_whole_way_is_told_when_the_endpoints_word_is_recorded_and_only_then() {
        let active = decided(State::Active, Verb::Approve, None);
        let whole = [said("elevation request", 100_000, 105_001, "Applied")];
        assert_eq!(told(Some(&active), &active, (&[EventKind::Applied], true), &WRITES), whole);
        let expired = Status { state: State::Expired, ..active.clone() };
        assert_eq!(told(Some(&active), &expired, (&[EventKind::Expired], true), &WRITES), []);
        assert_eq!(told(Some(&expired), &expired, (&[EventKind::Applied], true), &WRITES), [], "told when it expired");
        let never = [said("elevation request", 100_000, 105_001, "Expired")];
        assert_eq!(told(Some(&active), &expired, (&[EventKind::Expired], false), &WRITES), never);
    }

    #[test]
    fn a_denial_is_a_whole_way_and_what_a_rule_approves_begins_with_the_request() {
        let denied = decided(State::Denied, Verb::Deny, None);
        let spans = told(Some(&pending()), &denied, (&[EventKind::Denied], false), &WRITES);
        assert_eq!(spans.last(), Some(&said("elevation request", 100_000, 105_001, "Denied")));
        let ruled = Status { state: State::Active, rule: "daily".parse().ok(), ..pending() };
        let spans = told(None, &ruled, (&[EventKind::Approved], false), &GRANTS);
        assert_eq!(spans.iter().map(|span| span.0).collect::<Vec<_>>(), ["judge", "sign grant", "write status"]);
        let whole = [said("elevation request", 90_000, 105_001, "Applied")];
        assert_eq!(told(Some(&ruled), &ruled, (&[EventKind::Applied], true), &WRITES), whole);
    }

    #[test]
    fn a_decision_that_does_not_count_says_why_and_a_write_without_any_is_not_traced() {
        let late = decided(State::Pending, Verb::Approve, Some(IgnoredReason::SelfApproval));
        let spans = told(Some(&pending()), &late, (&[EventKind::DecisionIgnored], false), &WRITES);
        assert_eq!(spans[0], said("decision", 100_000, 104_500, "SelfApproval"));
        assert_eq!(told(None, &pending(), (&[EventKind::Accepted], false), &WRITES), []);
        let timed_out = Status { state: State::TimedOut, ..pending() };
        assert_eq!(told(Some(&pending()), &timed_out, (&[EventKind::TimedOut], false), &WRITES), []);
    }

    #[test]
    fn a_decision_begins_no_later_than_it_was_seen_and_is_found_by_its_slot() {
        let fields = object(false).managed_fields().to_vec();
        assert_eq!(written_at(&fields, 2), Some(at(103_000)));
        assert_eq!(written_at(&fields, 3), None);
        let mut active = decided(State::Active, Verb::Approve, None);
        active.decisions[0].observed_at = Instant::from_second(99);
        let spans = told(Some(&pending()), &active, (&[], false), &GRANTS);
        assert_eq!(spans[0], said("decision", 99_000, 104_500, "Counted"));
    }
}
