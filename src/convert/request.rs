//! ElevationRequest to a checked request with what is recorded of it, and a judgement back into a status.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use tidegate_api as api;
use tidegate_api::names::{DECISION_PREFIX, MAX_SLOT, REVOKE_FINALIZER, condition};
use tidegate_core::decision::Verb;
use tidegate_core::delivery::{Applied, Delivery};
use tidegate_core::grant::PinnedPolicy;
use tidegate_core::interval::{Instant, Interval, format_duration, parse_duration};
use tidegate_core::reason::{DeclineReason, IgnoredReason};
use tidegate_core::request::{FoldedDecision, Request, StageProgress, Status, Wish};
use tidegate_core::retention::Record;
use tidegate_core::state::State;

use super::{ConvertError, Wanted, instant, merge, named, parse, same, time};

/// Checks an ElevationRequest.
///
/// # Errors
/// The first field of spec or status that is not as it should be: it is not judged then, and nothing changes.
pub fn request(object: &api::ElevationRequest) -> Result<Request, ConvertError> {
    let spec = &object.spec;
    let duration = spec.duration.as_deref().map(|text| duration("spec.duration", text)).transpose()?;
    Ok(Request {
        reference: named(object)?,
        wish: Wish {
            policy: parse("spec.policyName", &spec.policy_name)?,
            endpoint: parse("spec.endpointName", &spec.endpoint_name)?,
            account: parse("spec.account", &spec.account)?,
            requester: parse("spec.requester", spec.requester.as_deref().unwrap_or_default())?,
            on_behalf: spec.on_behalf,
            application: spec.application.as_ref().map(|asked| same("spec.application", asked)).transpose()?,
            duration,
            reason: spec.reason.clone(),
            ticket: spec.ticket.clone().unwrap_or_default(),
            start: spec.start_time.as_ref().map(instant),
        },
        decisions: decisions(object),
        deleting: object.metadata.deletion_timestamp.is_some(),
        // Verified by whoever has the keys for it.
        attested: false,
        status: object.status.as_ref().map(|status| recorded(object, status)).transpose()?.flatten(),
    })
}

fn duration(field: &str, text: &str) -> Result<std::time::Duration, ConvertError> {
    parse_duration(text).map_err(|e| ConvertError::new(field, e))
}

/// The decision annotations by slot. A key that is no slot cannot pass admission; it is nobody's decision.
fn decisions(object: &api::ElevationRequest) -> BTreeMap<u32, String> {
    let slots = object.annotations().iter().filter_map(|(key, line)| {
        let digits = key.strip_prefix(DECISION_PREFIX)?;
        let slot: u32 = digits.parse().ok()?;
        ((1..=MAX_SLOT).contains(&slot) && slot.to_string() == digits).then(|| (slot, line.clone()))
    });
    slots.collect()
}

/// What is recorded, or `None` for a status that holds no judgement yet.
fn recorded(
    object: &api::ElevationRequest,
    status: &api::ElevationRequestStatus,
) -> Result<Option<Status>, ConvertError> {
    let Some(word) = status.state.as_deref() else { return Ok(None) };
    let state = State::ALL.into_iter().find(|state| state.as_str() == word);
    let state =
        state.ok_or_else(|| ConvertError::new("status.state", format!("{word:?} is not known to this version")))?;
    let find = |type_: &str| status.conditions.iter().find(|c| c.type_ == type_);
    let accepted = find(condition::ACCEPTED);
    let is_true = |c: &&Condition| c.status == "True";
    let folded = status.decisions.iter().map(decision);
    let approval = status.approval.clone().unwrap_or_default();
    Ok(Some(Status {
        state,
        message: find(condition::ACTIVE).map(|c| c.message.clone()).unwrap_or_default(),
        declined: accepted.filter(|c| c.status == "False").map(|c| word_of("Accepted", &c.reason)).transpose()?,
        denied: find(condition::DENIED).is_some_and(|c| is_true(&c)),
        accepted_at: accepted.filter(is_true).map(|c| instant(&c.last_transition_time)),
        identity: status.identity.as_deref().map(|text| parse("status.identity", text)).transpose()?,
        policy: status.policy.as_ref().map(|pinned| policy(object, pinned)).transpose()?,
        endpoint_uid: status.endpoint.as_ref().map(|e| parse("status.endpoint.uid", &e.uid)).transpose()?,
        decisions: folded.collect::<Result<_, ConvertError>>()?,
        rule: approval.rule.as_deref().map(|name| parse("status.approval.rule", name)).transpose()?,
        stages: approval.stages.iter().map(stage).collect::<Result<_, ConvertError>>()?,
        granted: granted(status.start_time.as_ref(), status.expiration_time.as_ref()),
        signed: status.signed.is_some(),
    }))
}

fn stage(from: &api::StageApproval) -> Result<StageProgress, ConvertError> {
    let count = |count: i64| u32::try_from(count).map_err(|e| ConvertError::new("status.approval.stages", e));
    Ok(StageProgress {
        name: parse("status.approval.stages.name", &from.name)?,
        approved: count(from.approved)?,
        approvals: count(from.approvals)?,
    })
}

fn from_stage(from: &StageProgress) -> api::StageApproval {
    let (approved, approvals) = (i64::from(from.approved), i64::from(from.approvals));
    api::StageApproval { name: from.name.to_string(), approved, approvals }
}

/// Does our finalizer keep its object until its end is known?
#[must_use]
pub fn is_kept(object: &api::ElevationRequest) -> bool {
    object.finalizers().iter().any(|name| name == REVOKE_FINALIZER)
}

/// When its end was recorded.
#[must_use]
pub fn finished_at(object: &api::ElevationRequest) -> Option<Instant> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let finished = conditions.iter().find(|c| c.type_ == condition::FINISHED && c.status == "True");
    finished.map(|c| instant(&c.last_transition_time))
}

/// What counts for how long the object of this request stays.
#[must_use]
pub fn record(object: &api::ElevationRequest, request: &Request) -> Record {
    let created = object.metadata.creation_timestamp.as_ref();
    Record {
        state: request.status.as_ref().map(|status| status.state),
        // The API server gives every object one; without it the object stays.
        created_at: created.map_or(Instant::MAX, instant),
        ended_at: finished_at(object),
        held: request.deleting || is_kept(object),
    }
}

/// What was recorded of the endpoint's word.
#[must_use]
pub fn recorded_delivery(object: &api::ElevationRequest) -> Delivery {
    let endpoint = object.status.as_ref().and_then(|status| status.endpoint.clone()).unwrap_or_default();
    Delivery {
        applied_at: endpoint.applied_time.as_ref().map(instant),
        ended_at: endpoint.ended_time.as_ref().map(instant),
        terminated_processes: endpoint.terminated_processes.and_then(|count| u32::try_from(count).ok()),
    }
}

fn granted(start: Option<&Time>, end: Option<&Time>) -> Option<Interval> {
    Some(Interval { start: instant(start?), end: instant(end?) })
}

fn policy(object: &api::ElevationRequest, pinned: &api::PinnedPolicy) -> Result<PinnedPolicy, ConvertError> {
    Ok(PinnedPolicy {
        name: parse("spec.policyName", &object.spec.policy_name)?,
        uid: parse("status.policy.uid", &pinned.uid)?,
        generation: pinned.generation,
        digest: parse("status.policy.digest", &pinned.digest)?,
    })
}

fn decision(from: &api::Decision) -> Result<FoldedDecision, ConvertError> {
    let verb = from.verb.map(|verb| match verb {
        api::DecisionVerb::Approve => Verb::Approve,
        api::DecisionVerb::Deny => Verb::Deny,
        api::DecisionVerb::Revoke => Verb::Revoke,
        api::DecisionVerb::End => Verb::End,
    });
    let ignored = match (from.counted, from.reason.as_deref()) {
        (true, _) => None,
        (false, reason) => {
            let reason: IgnoredReason = word_of("status.decisions.reason", reason.unwrap_or_default())?;
            Some((reason, from.message.clone().unwrap_or_default()))
        }
    };
    Ok(FoldedDecision {
        slot: u32::try_from(from.slot).map_err(|e| ConvertError::new("status.decisions.slot", e))?,
        by: from.by.as_deref().map(|by| parse("status.decisions.by", by)).transpose()?,
        verb,
        duration: from.duration.as_deref().map(|text| duration("status.decisions.duration", text)).transpose()?,
        stage: from.stage.as_deref().map(|stage| parse("status.decisions.stage", stage)).transpose()?,
        comment: from.comment.clone(),
        observed_at: instant(&from.observed_time),
        ignored,
    })
}

/// A closed word of core, by its serde form.
fn word_of<T: serde::de::DeserializeOwned>(field: &str, word: &str) -> Result<T, ConvertError> {
    let unknown = |_| ConvertError::new(field, format!("{word:?} is not known to this version"));
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(unknown)
}

/// What a judgement is recorded with.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The grant to serve; it is dropped once the request has ended.
    pub signed: Option<api::Signed>,
    /// What the endpoint reported.
    pub delivery: Delivery,
    /// The `Applied` condition.
    pub applied: Option<Applied>,
}

/// The status that records a judgement.
#[must_use]
pub fn request_status(
    object: &api::ElevationRequest,
    status: &Status,
    beside: Beside,
    now: Instant,
) -> api::ElevationRequestStatus {
    let Beside { signed, delivery, applied } = beside;
    let previous = object.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let generation = object.metadata.generation;
    let accepted = status.accepted_at.is_some() && status.declined.is_none();
    let wanted = conditions(status, applied);
    api::ElevationRequestStatus {
        observed_generation: generation,
        state: Some(status.state.to_string()),
        conditions: merge(previous, wanted, generation, &time(now)),
        identity: status.identity.as_ref().map(ToString::to_string),
        decisions: status.decisions.iter().map(from_decision).collect(),
        policy: status.policy.as_ref().map(|pinned| api::PinnedPolicy {
            uid: pinned.uid.to_string(),
            generation: pinned.generation,
            digest: pinned.digest.to_string(),
        }),
        endpoint: status.endpoint_uid.as_ref().map(|uid| api::RequestEndpoint {
            uid: uid.to_string(),
            applied_time: delivery.applied_at.map(time),
            ended_time: delivery.ended_at.map(time),
            terminated_processes: delivery.terminated_processes.map(i64::from),
        }),
        approval: accepted.then(|| api::Approval {
            rule: status.rule.as_ref().map(ToString::to_string),
            stages: status.stages.iter().map(from_stage).collect(),
        }),
        duration: status.granted.map(|granted| format_duration(granted.start.until(granted.end))),
        start_time: status.granted.map(|granted| time(granted.start)),
        expiration_time: status.granted.map(|granted| time(granted.end)),
        signed: signed.filter(|_| !status.state.is_final()),
    }
}

/// Longest message of a decision, as the schema bounds it.
const MAX_MESSAGE: usize = 1024;

fn from_decision(folded: &FoldedDecision) -> api::Decision {
    let (reason, message) = folded.ignored.clone().unzip();
    api::Decision {
        slot: i64::from(folded.slot),
        by: folded.by.as_ref().map(ToString::to_string),
        verb: folded.verb.map(|verb| match verb {
            Verb::Approve => api::DecisionVerb::Approve,
            Verb::Deny => api::DecisionVerb::Deny,
            Verb::Revoke => api::DecisionVerb::Revoke,
            Verb::End => api::DecisionVerb::End,
        }),
        stage: folded.stage.as_ref().map(ToString::to_string),
        duration: folded.duration.map(format_duration),
        comment: folded.comment.clone(),
        observed_time: time(folded.observed_at),
        counted: folded.ignored.is_none(),
        reason: reason.map(|reason| reason.to_string()),
        // The text may quote a Lock's.
        message: message.map(|text| text.chars().take(MAX_MESSAGE).collect()),
    }
}

/// The conditions of a state (docs/states.md), and the endpoint's word once there is a grant.
fn conditions(status: &Status, delivered: Option<Applied>) -> Vec<Wanted> {
    let state = status.state;
    let (accepted, accepted_reason, accepted_message) = accepted(status);
    let (approved, approved_message) = approved_of(status);
    let word = state.to_string();
    let denied = if status.denied { "Denied" } else { "NotDenied" };
    let denied_message = if status.denied { status.message.clone() } else { "nobody has denied it".to_owned() };
    let approved_reason = if approved == Some(true) { "Approved".to_owned() } else { word.clone() };
    let wanted = |type_, status, reason, message| Wanted { type_, status, reason, message };
    let delivered = delivered
        .map(|applied| wanted(condition::APPLIED, Some(applied.applied), applied.reason.to_owned(), applied.message));
    let own = [
        wanted(condition::ACCEPTED, accepted, accepted_reason, accepted_message),
        wanted(condition::APPROVED, approved, approved_reason, approved_message),
        wanted(condition::DENIED, Some(status.denied), denied.to_owned(), denied_message),
        wanted(condition::ACTIVE, Some(state == State::Active), word.clone(), status.message.clone()),
    ];
    let finished = wanted(condition::FINISHED, Some(state.is_final()), word, status.message.clone());
    own.into_iter().chain(delivered).chain([finished]).collect()
}

fn accepted(status: &Status) -> (Option<bool>, String, String) {
    let reason: Option<DeclineReason> = status.declined;
    match reason {
        Some(reason) => (Some(false), reason.to_string(), status.message.clone()),
        None if status.state == State::Held => (None, "AdmissionUnprotected".to_owned(), status.message.clone()),
        None => (Some(true), "Accepted".to_owned(), "it may be decided".to_owned()),
    }
}

fn approved_of(status: &Status) -> (Option<bool>, String) {
    match status.state {
        State::Held | State::Pending => (None, status.message.clone()),
        State::Declined | State::Denied | State::Withdrawn | State::TimedOut => (Some(false), status.message.clone()),
        State::Scheduled | State::Active | State::Expired | State::Revoked | State::Ended => {
            let by = status.decisions.iter().filter(|d| d.is_counted_approval());
            let people = by.filter_map(|d| d.by.as_ref().map(ToString::to_string));
            let rule = status.rule.as_ref().map(|rule| format!("rule {rule}"));
            (Some(true), format!("approved by {}", rule.into_iter().chain(people).collect::<Vec<_>>().join(", ")))
        }
    }
}
