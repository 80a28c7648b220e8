//! Round trips between the API and core, and the fields that must not parse.

use serde_json::{Value, json};
use tidegate_api as api;
use tidegate_core::grant::Requires;
use tidegate_core::guard::Guard;
use tidegate_core::interval::Instant;
use tidegate_core::ledger::OpenRequests;
use tidegate_core::lifecycle::{Context, Fleet, step};
use tidegate_core::request::{Lookup, Request};
use tidegate_core::state::State;

use super::*;

fn at(second: i64) -> Instant {
    Instant::from_second(1_800_000_000 + second)
}

fn policy_object(access: Value) -> api::JitPolicy {
    serde_json::from_value(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy",
        "metadata": {"name": "dev-tools", "namespace": "berlin", "uid": "p-1", "generation": 3},
        "spec": {
            "targets": {
                "endpoints": {"selector": {
                    "matchLabels": {"team": "dev"},
                    "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["high"]}],
                }},
                "accounts": {"groups": ["developers"], "except": {"names": ["root"]}},
            },
            "elevation": {"mode": "AnyApplication"},
            "access": access,
        },
    }))
    .unwrap()
}

fn on_request() -> Value {
    json!({"type": "OnRequest", "onRequest": {"duration": {"min": "5s"}}})
}

fn endpoint_object() -> api::ManagedEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
        "metadata": {"name": "ws-042", "namespace": "berlin", "uid": "e-1", "labels": {"team": "dev"}},
        "spec": {"owner": "olga@corp", "accounts": [
            {"name": "alice", "identities": ["alice@corp"], "groups": ["developers"]},
        ]},
    }))
    .unwrap()
}

fn request_object(extra: Value) -> api::ElevationRequest {
    let mut object = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
        "metadata": {"name": "er-1", "namespace": "berlin", "uid": "r-1", "generation": 1},
        "spec": {
            "policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": "alice@corp",
            "reason": "Installing the toolchain", "duration": "30s",
        },
    });
    merge_json(&mut object, extra);
    serde_json::from_value(object).unwrap()
}

fn merge_json(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge_json(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn a_policy_keeps_every_rule_and_takes_the_defaults_of_the_schema() {
    let parsed = policy(&policy_object(on_request())).unwrap();
    assert_eq!(
        serde_json::to_value(&parsed.rules).unwrap(),
        json!({
            "targets": {
                "endpoints": {"selector": {
                    "matchLabels": {"team": "dev"},
                    "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["high"]}],
                }},
                "accounts": {"everyone": false, "groups": ["developers"], "except": {"names": ["root"]}},
            },
            "elevation": {
                "mode": "AnyApplication", "scope": "Listed", "includeBlocklisted": false, "runAs": "root",
                "authentication": "Required", "childProcesses": "Track", "protections": [], "onExpiry": "Terminate",
            },
            "access": {"type": "OnRequest", "onRequest": {
                "reason": {"required": true, "minLength": 10},
                "ticket": {"required": false},
                "duration": {"min": 5, "max": 86400, "default": 1800},
                "pendingTimeout": 3600,
            }},
            "approval": {},
            "reminders": [300, 60],
            "offlineTolerance": 86400,
        })
    );
    assert_eq!(parsed.reference.generation, 3);
}

#[test]
fn a_window_is_whole_utc_seconds() {
    let access = json!({"type": "Window", "window": {
        "startTime": "2026-11-22T10:00:00.9Z", "endTime": "2026-11-22T11:00:00+01:00",
    }});
    let Err(error) = policy(&policy_object(access)) else { panic!("10:00:00 is not after 10:00:00") };
    assert_eq!(error.field, "spec.access.window.endTime".to_owned());
}

#[test]
fn what_the_schema_should_have_refused_is_an_error_that_names_the_field() {
    let cases = [
        (json!({"type": "Window"}), "spec.access"),
        (
            json!({"type": "OnRequest", "onRequest": {"duration": {"min": "banana"}}}),
            "spec.access.onRequest.duration.min",
        ),
        (
            json!({"type": "OnRequest", "onRequest": {"duration": {"min": "2h", "max": "1h"}}}),
            "spec.access.onRequest.duration",
        ),
        (json!({"type": "OnRequest", "onRequest": {"pendingTimeout": ""}}), "spec.access.onRequest.pendingTimeout"),
        (
            json!({"type": "OnRequest", "onRequest": {"reason": {"minLength": -1}}}),
            "spec.access.onRequest.reason.minLength",
        ),
    ];
    for (access, field) in cases {
        assert_eq!(policy(&policy_object(access.clone())).unwrap_err().field, field, "{access}");
    }
}

#[test]
fn only_canonical_slots_are_decisions() {
    let annotations = json!({"metadata": {"annotations": {
        "decision.tidegate.dev/1": "a deny", "decision.tidegate.dev/01": "b approve", "decision.tidegate.dev/0": "c approve",
        "decision.tidegate.dev/-1": "d approve", "decision.tidegate.dev/+2": "e approve", "tidegate.dev/decide": "approve",
        "xdecision.tidegate.dev/2": "f approve", "decision.tidegate.dev/3x": "g approve",
        "decision.tidegate.dev/65": "h approve", "decision.tidegate.dev/4294967296": "i approve",
    }}});
    let parsed = request(&request_object(annotations)).unwrap();
    assert_eq!(parsed.decisions.into_iter().collect::<Vec<_>>(), [(1, "a deny".to_owned())]);
}

#[test]
fn a_status_of_a_newer_version_is_not_judged() {
    for (status, field) in [
        (json!({"state": "Paused"}), "status.state"),
        (
            json!({"state": "Active", "decisions": [
                {"slot": 1, "observedTime": "2026-11-22T10:00:00Z", "counted": false, "reason": "Sunspots"},
            ]}),
            "status.decisions.reason",
        ),
    ] {
        assert_eq!(request(&request_object(json!({"status": status}))).unwrap_err().field, field);
    }
}

#[test]
fn a_status_without_a_state_was_never_judged() {
    assert_eq!(request(&request_object(json!({"status": {}}))).unwrap().status, None);
}

/// Judges an object as the controller does, and returns it with the status written.
fn judge(object: &api::ElevationRequest, second: i64) -> (api::ElevationRequest, Request) {
    let parsed = request(object).unwrap();
    let policy = Lookup::Found(policy(&policy_object(on_request())).unwrap());
    let endpoint = Lookup::Found(endpoint(&endpoint_object()).unwrap());
    let (fleet, open) = (fleet(), OpenRequests::default());
    let context = Context { policy: &policy, endpoint: &endpoint, fleet: &fleet, open: &open, guard: &Guard::Passed };
    let step = step(&parsed, &context, at(second));
    let beside = Beside { signed: step.sign.is_some().then(any_signed), ..Beside::default() };
    let status = request_status(object, step.status.as_ref().unwrap(), beside, at(second));
    let mut written = object.clone();
    written.status = Some(status);
    (written, Request { status: step.status, ..parsed })
}

fn fleet() -> Fleet {
    Fleet { requires: Some(Requires { placement: 5, fleet: 5, object: "f-1".parse().unwrap() }), ..Fleet::default() }
}

fn any_signed() -> api::Signed {
    let key = crate::signing::signing_key(&crate::signing::generate_key().unwrap()).unwrap();
    let envelope = tidegate_core::envelope::Envelope::seal(tidegate_core::part::PartKind::Grant, b"{}".to_vec(), &key);
    from_signed(&tidegate_core::envelope::Signed { digest: envelope.digest(), sequence: 7, envelope })
}

#[test]
fn every_state_reads_back_as_it_was_written() {
    let line = |line: &str| json!({"metadata": {"annotations": {"decision.tidegate.dev/1": line}}});
    let two = |a: &str, b: &str| json!({"metadata": {"annotations": {"decision.tidegate.dev/1": a, "decision.tidegate.dev/2": b}}});
    let later = json!({"spec": {"startTime": "2027-01-15T09:00:00Z"}});
    let mut scheduled = line("bob@corp approve for=10s");
    merge_json(&mut scheduled, later);
    let cases = [
        (json!({}), 1, State::Pending),
        (json!({"spec": {"reason": "why"}}), 1, State::Declined),
        (line("bob@corp deny stage=default: no"), 1, State::Denied),
        (line("alice@corp end"), 1, State::Withdrawn),
        (json!({}), 3600, State::TimedOut),
        (scheduled, 1, State::Scheduled),
        (line("bob@corp approve for=10s: pairing"), 1, State::Active),
        (line("bob@corp approve"), 4000, State::TimedOut),
        (two("bob@corp approve", "bob@corp deny"), 1, State::Revoked),
        (two("alice@corp approve", "nonsense"), 1, State::Pending),
        (two("bob@corp approve", "alice@corp end"), 1, State::Ended),
    ];
    for (extra, second, state) in cases {
        let (first, _) = judge(&request_object(json!({"spec": extra.get("spec").cloned().unwrap_or(json!({}))})), 0);
        let mut object = first;
        object.metadata = request_object(extra.clone()).metadata;
        let (written, judged) = judge(&object, second);
        assert_eq!(judged.status.as_ref().unwrap().state, state, "{extra}");
        let read = request(&written).unwrap();
        let mut expected = judged.status.unwrap();
        expected.signed &= !state.is_final();
        if state == State::Declined {
            expected.accepted_at = None;
        }
        assert_eq!(read.status.unwrap(), expected, "{extra}");
        // A second judgement at the same moment writes nothing.
        let (again, _) = judge(&written, second);
        let status = |object: &api::ElevationRequest| {
            let mut status = object.status.clone().unwrap();
            status.signed = None;
            status
        };
        assert_eq!(status(&again), status(&written), "{extra}");
    }
}

#[test]
fn a_request_declined_after_its_acceptance_is_written_once() {
    let (pending, _) = judge(&request_object(json!({})), 0);
    let parsed = request(&pending).unwrap();
    let mut changed = policy_object(on_request());
    changed.metadata.uid = Some("p-2".to_owned());
    let (policy, endpoint) = (policy(&changed).unwrap(), endpoint(&endpoint_object()).unwrap());
    let (policy, endpoint) = (Lookup::Found(policy), Lookup::Found(endpoint));
    let (fleet, open) = (fleet(), OpenRequests::default());
    let context = Context { policy: &policy, endpoint: &endpoint, fleet: &fleet, open: &open, guard: &Guard::Passed };
    let declined = step(&parsed, &context, at(1)).status.unwrap();
    let mut written = pending.clone();
    written.status = Some(request_status(&pending, &declined, Beside::default(), at(1)));
    let again = step(&request(&written).unwrap(), &context, at(2)).status.unwrap();
    assert_eq!(Some(request_status(&written, &again, Beside::default(), at(2))), written.status);
}

#[test]
fn conditions_follow_the_table_of_states() {
    let (pending, _) = judge(&request_object(json!({})), 0);
    let words = |object: &api::ElevationRequest| -> Vec<String> {
        let conditions = &object.status.as_ref().unwrap().conditions;
        conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
    };
    assert_eq!(
        words(&pending),
        [
            "Accepted=True/Accepted",
            "Approved=Unknown/Pending",
            "Denied=False/NotDenied",
            "Active=False/Pending",
            "Finished=False/Pending"
        ]
    );
    let (declined, _) = judge(&request_object(json!({"spec": {"duration": "36h", "reason": ""}})), 0);
    assert_eq!(
        words(&declined),
        [
            "Accepted=False/ReasonRequired",
            "Approved=False/Declined",
            "Denied=False/NotDenied",
            "Active=False/Declined",
            "Finished=True/Declined",
        ]
    );
    let message = &declined.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("requires a reason") && message.contains("36h is above the maximum of 24h"), "{message}");
}

#[test]
fn a_transition_time_moves_only_with_its_status() {
    let (pending, _) = judge(&request_object(json!({})), 0);
    let mut object = pending;
    object.metadata.annotations =
        Some([("decision.tidegate.dev/1".to_owned(), "bob@corp approve for=10s".to_owned())].into());
    let (active, _) = judge(&object, 5);
    let (expired, _) = judge(&active, 15);
    let times = |object: &api::ElevationRequest| -> Vec<i64> {
        let conditions = &object.status.as_ref().unwrap().conditions;
        conditions.iter().map(|c| instant(&c.last_transition_time).as_second() - at(0).as_second()).collect()
    };
    assert_eq!(times(&active), [0, 5, 0, 5, 0]);
    assert_eq!(times(&expired), [0, 5, 0, 15, 15]);
    assert!(expired.status.unwrap().signed.is_none(), "an ended request carries no grant");
}

#[test]
fn signed_parts_keep_their_bytes() {
    let api = any_signed();
    let core = signed(&api).unwrap();
    assert_eq!(from_signed(&core), api);
    let mut bad = api.clone();
    bad.envelope.payload.push('!');
    assert_eq!(signed(&bad).unwrap_err().field, "status.signed.envelope.payload");
    let mut bad = api;
    bad.sequence = -1;
    assert_eq!(signed(&bad).unwrap_err().field, "status.signed.sequence");
}
