//! Who may write a status: the controller, and the gateway what it alone knows of an endpoint.

use serde_json::{Value, json};

use super::super::attempt::Target::{Bare, Decided, Endpoint, Fresh, Held, Partly, Policy, Settings, Stop};
use super::super::attempt::{Answer, Case, How, Target, case, no, not, ok, shows};
use super::super::cast::Who::{Admin, AdminAsMaster, Alice, Bob, Bot, Controller, Gateway, Probe, Star, Wild};
use super::FINALIZER;

pub fn cases() -> Vec<Case> {
    [foreign(), ways(), gateways(), reports(), controllers()].concat()
}

fn only() -> Answer {
    not("status.tidegate.dev", "only the controller writes this status")
}

fn keys() -> Answer {
    not("status.tidegate.dev", "the gateway must not write observedGeneration, conditions, certificate or signed")
}

fn status(what: Value) -> How {
    How::Merge(json!({ "status": what }))
}

fn foreign() -> Vec<Case> {
    let mut cases = Vec::new();
    for who in [Admin, AdminAsMaster, Star, Wild, Bot, Bob, Alice] {
        for on in [Policy, Fresh, Endpoint, Settings, Stop] {
            let what = format!("status of {on:?} by {who:?}");
            cases.push(case(what, who, on, status(json!({"observedGeneration": 7})), only()).status());
        }
    }
    for on in [Policy, Fresh, Settings, Stop] {
        cases.push(
            case(
                format!("status of {on:?} by the gateway"),
                Gateway,
                on,
                status(json!({"observedGeneration": 7})),
                only(),
            )
            .status(),
        );
    }
    cases.push(case("status by the probe", Probe, Fresh, status(json!({"state": "Active"})), only()).status());
    cases
}

/// Every way of writing it.
fn ways() -> Vec<Case> {
    let active = json!([{"op": "add", "path": "/status", "value": {"state": "Active"}}]);
    let decision = json!({"metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp approve"}}});
    let applied = json!({"metadata": {}, "status": {"state": "Active"}});
    let cases = vec![
        case("status, PUT", Admin, Fresh, How::Put(|o| o["status"] = json!({"state": "Active"})), only()),
        case("status, JSON patch", Admin, Fresh, How::Json(active), only()),
        case("status, applied", Admin, Fresh, How::Apply("tidegate-controller", true, applied), only()),
        case("status, removed", Admin, Endpoint, status(Value::Null), only()),
        case("status, nothing", Admin, Fresh, How::Merge(json!({})), only()),
        case("status, a decision beside it", Bob, Fresh, How::Merge(decision), only()),
        case(
            "status, the finalizers beside it",
            Bob,
            Held,
            How::Merge(json!({"metadata": {"finalizers": null}})),
            only(),
        ),
    ];
    let mut cases: Vec<Case> = cases.into_iter().map(Case::status).collect();
    let released = |o: &mut Value| {
        o["metadata"]["finalizers"] = json!([]);
        o["status"] = json!({"state": "Active"});
    };
    cases.push(case("status through the object, by the way", Bob, Held, How::Put(released), no(FINALIZER)));
    cases
}

fn gateways() -> Vec<Case> {
    let digest = format!("sha256:{}", "1".repeat(64));
    let signed = json!({"digest": digest, "sequence": 2, "envelope": {
        "payloadType": "application/vnd.tidegate.placement.v1+json", "payload": "e30=", "signatures": [{"keyid": "k", "sig": "AA=="}],
    }});
    let cases = vec![
        case("observedGeneration by the gateway", Gateway, Endpoint, status(json!({"observedGeneration": 2})), keys()),
        case("observedGeneration removed", Gateway, Endpoint, status(json!({"observedGeneration": null})), keys()),
        case("conditions by the gateway", Gateway, Endpoint, status(json!({"conditions": []})), keys()),
        case("conditions removed", Gateway, Endpoint, status(json!({"conditions": null})), keys()),
        case(
            "certificate by the gateway",
            Gateway,
            Endpoint,
            status(json!({"certificate": {"serialNumber": "02"}})),
            keys(),
        ),
        case("certificate removed", Gateway, Endpoint, status(json!({"certificate": null})), keys()),
        case("signed by the gateway", Gateway, Endpoint, status(json!({"signed": signed})), keys()),
        case("signed removed", Gateway, Endpoint, status(json!({"signed": null})), keys()),
        case("the whole status removed", Gateway, Endpoint, status(Value::Null), keys()),
        case(
            "PUT of another status",
            Gateway,
            Endpoint,
            How::Put(|o| o["status"] = json!({"observedGeneration": 1})),
            keys(),
        ),
        case("PUT of the same status", Gateway, Endpoint, How::Put(|_| ()), ok()),
        case(
            "conditions where there were none",
            Gateway,
            Bare,
            status(json!({"conditions": [{
                "type": "Enrolled", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]})),
            keys(),
        ),
        case("the little removed", Gateway, Partly, status(json!({"observedGeneration": null})), keys()),
    ];
    cases.into_iter().map(Case::status).collect()
}

/// What the gateway alone knows of an endpoint, and that it brings nothing else with it.
fn reports() -> Vec<Case> {
    let digest = format!("sha256:{}", "2".repeat(64));
    let agent = json!({"version": "0.2.0", "platform": "Linux", "capabilities": ["sudo"]});
    let own = [
        ("agent", "/status/agent", agent.clone()),
        ("applied", "/status/applied", json!({"manifest": digest, "time": "2026-01-02T00:00:00Z"})),
        ("rejected", "/status/rejected", json!({"digest": digest, "code": "rollback", "message": "older than before"})),
        (
            "grants",
            "/status/grants",
            json!([{"requestUID": "11111111-1111-1111-1111-111111111111", "endedTime": "2026-01-02T00:00:00Z"}]),
        ),
        (
            "contact",
            "/status/contact",
            json!({"startTime": "2026-01-01T00:00:00Z", "lostTime": "2026-01-02T00:00:00Z"}),
        ),
    ];
    let mut cases = Vec::new();
    for (key, pointer, value) in own {
        for on in [Endpoint, Bare, Partly] {
            let what = format!("{key} of {on:?} by the gateway");
            let removed = status(json!({key: null}));
            cases.push(case(format!("{what}, removed"), Gateway, on, removed, shows(pointer, Value::Null)));
            cases.push(case(what, Gateway, on, status(json!({key: value.clone()})), shows(pointer, value.clone())));
        }
        let both = json!({key: value, "observedGeneration": 2});
        cases.push(case(format!("{key} and a key of the controller's"), Gateway, Endpoint, status(both), keys()));
    }
    let operations = json!([{"op": "replace", "path": "/status/agent", "value": agent}]);
    let moved = json!([{"op": "move", "from": "/status/certificate", "path": "/status/agent"}]);
    let applied = |what: Value| How::Apply("tidegate-gateway", true, json!({"metadata": {}, "status": what}));
    let enrolled = json!([{
        "type": "Enrolled", "status": "False", "reason": "Expired", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let beside = json!({"metadata": {"labels": {"team": "dba"}}, "spec": {"owner": "mallory@corp"}, "status": {"agent": {"version": "0.2.0"}}});
    cases.extend([
        case("agent, JSON patch", Gateway, Endpoint, How::Json(operations), shows("/status/agent", agent.clone())),
        case("the certificate moved away, JSON patch", Gateway, Endpoint, How::Json(moved), keys()),
        case(
            "agent, applied",
            Gateway,
            Endpoint,
            applied(json!({"agent": {"version": "0.2.0"}})),
            shows("/status/agent/version", "0.2.0"),
        ),
        case("conditions, applied by force", Gateway, Endpoint, applied(json!({"conditions": enrolled})), keys()),
        case(
            "agent, PUT",
            Gateway,
            Endpoint,
            How::Put(|o| o["status"]["agent"]["version"] = json!("0.2.0")),
            shows("/status/agent/version", "0.2.0"),
        ),
        case(
            "agent, PUT without the rest",
            Gateway,
            Endpoint,
            How::Put(|o| o["status"] = json!({"agent": {"version": "0.2.0"}})),
            keys(),
        ),
        // Labels say which policies an endpoint gets, and spec who is who.
        case(
            "labels beside the gateway's report",
            Gateway,
            Endpoint,
            How::Merge(beside.clone()),
            shows("/metadata/labels", Value::Null),
        ),
        case(
            "an owner beside the gateway's report",
            Gateway,
            Endpoint,
            How::Merge(beside),
            shows("/spec/owner", "alice@corp"),
        ),
    ]);
    cases.into_iter().map(Case::status).collect()
}

/// What the controller may, with the rights that it ships with: PUT, no patch.
fn controllers() -> Vec<Case> {
    let decided = |o: &mut Value| o["metadata"]["annotations"]["decision.tidegate.dev/2"] = json!("bob@corp approve");
    let observed = |(what, on): (&str, Target)| {
        let put = How::Put(|o| o["status"]["observedGeneration"] = json!(1));
        case(format!("status of {what} by the controller"), Controller, on, put, shows("/status/observedGeneration", 1))
    };
    let mut cases: Vec<Case> = [("a policy", Policy), ("the Fleet", Settings), ("a Lock", Stop)].map(observed).into();
    cases.extend([
        case(
            "status of a request by the controller",
            Controller,
            Fresh,
            How::Put(|o| o["status"]["state"] = json!("Pending")),
            shows("/status/state", "Pending"),
        ),
        case(
            "status of an endpoint by the controller",
            Controller,
            Endpoint,
            How::Put(|o| o["status"]["observedGeneration"] = json!(2)),
            shows("/status/observedGeneration", 2),
        ),
        case(
            "all of an endpoint's status by the controller",
            Controller,
            Endpoint,
            How::Put(|o| o["status"] = json!({})),
            ok(),
        ),
        case(
            "status patched by the controller",
            Controller,
            Fresh,
            status(json!({"state": "Active"})),
            not("elevationrequests/status", "cannot patch resource"),
        ),
        case(
            "a decision beside the controller's status",
            Controller,
            Decided,
            How::Put(decided),
            shows("/metadata/annotations/decision.tidegate.dev~12", Value::Null),
        ),
    ]);
    cases.into_iter().map(Case::status).collect()
}
