//! Other ways to the same end: subresources, other parts of the object, the gateway's other rights.

use serde_json::json;

use super::super::attempt::Target::{Certificates, Endpoint, Fresh, Policy, Settings, Stop};
use super::super::attempt::{Case, How, case, decide, not, ok, shows};
use super::super::cast::Who::{Admin, Bob, Controller, Gateway, Probe};

pub fn cases() -> Vec<Case> {
    [subresources(), certificates(), foreign(), switches()].concat()
}

fn subresources() -> Vec<Case> {
    let scale = How::Merge(json!({"spec": {"replicas": 2}}));
    let by_the_side = json!({"status": {"state": "Active"}});
    vec![
        case(
            "a decision through scale",
            Bob,
            Fresh,
            decide(1, "bob@corp approve"),
            not("scale", "cannot patch resource"),
        )
        .subresource("scale"),
        case("scale, by a cluster admin", Admin, Fresh, scale, not("elevationrequests.tidegate.dev", "not found"))
            .subresource("scale"),
        case(
            "a status through the object",
            Bob,
            Fresh,
            How::Merge(by_the_side),
            shows("/status/state", serde_json::Value::Null),
        ),
    ]
}

/// The gateway hands on certificate requests for endpoints and no others.
fn certificates() -> Vec<Case> {
    type Change = fn(&mut serde_json::Value);
    let signers: [(&str, Change); 5] = [
        ("kubernetes.io/kube-apiserver-client", |o| {
            o["spec"]["signerName"] = json!("kubernetes.io/kube-apiserver-client")
        }),
        ("kubernetes.io/kubelet-serving", |o| o["spec"]["signerName"] = json!("kubernetes.io/kubelet-serving")),
        ("tidegate.dev/gateway", |o| o["spec"]["signerName"] = json!("tidegate.dev/gateway")),
        ("tidegate.dev/endpoint2", |o| o["spec"]["signerName"] = json!("tidegate.dev/endpoint2")),
        ("example.org/tidegate.dev-endpoint", |o| o["spec"]["signerName"] = json!("example.org/tidegate.dev-endpoint")),
    ];
    let rule = "the gateway may only ask for tidegate.dev/endpoint certificates";
    let refused = |(signer, change): (&str, Change)| {
        case(
            format!("certificate of {signer}"),
            Gateway,
            Certificates,
            How::Post(change),
            not("gateway-csr.tidegate.dev", rule),
        )
    };
    let generated = |o: &mut serde_json::Value| {
        o["metadata"] = json!({"generateName": "csr-", "labels": o["metadata"]["labels"]});
        o["spec"]["signerName"] = json!("example.org/other");
    };
    let mut cases: Vec<Case> = signers.into_iter().map(refused).collect();
    cases.extend([
        case("certificate of an endpoint", Gateway, Certificates, How::Post(|_| ()), ok()),
        case(
            "certificate of another signer, generated name",
            Gateway,
            Certificates,
            How::Post(generated),
            not("gateway-csr.tidegate.dev", rule),
        ),
        case("certificate of another signer, by a cluster admin", Admin, Certificates, How::Post(generated), ok()),
        case(
            "certificate for the controller",
            Controller,
            Certificates,
            How::Post(|_| ()),
            not("certificatesigningrequests", "cannot create resource"),
        ),
    ]);
    cases
}

/// Rights that the programs do not have.
fn foreign() -> Vec<Case> {
    let spec = || How::Merge(json!({"spec": {"owner": "mallory@corp"}}));
    vec![
        case(
            "the gateway changes an endpoint",
            Gateway,
            Endpoint,
            spec(),
            not("managedendpoints", "cannot patch resource"),
        ),
        case(
            "the controller changes an endpoint",
            Controller,
            Endpoint,
            spec(),
            not("managedendpoints", "cannot patch resource"),
        ),
        case(
            "the controller changes a policy",
            Controller,
            Policy,
            How::Merge(json!({"spec": {}})),
            not("jitpolicies", "cannot patch resource"),
        ),
        case(
            "the gateway deletes a policy",
            Gateway,
            Policy,
            How::Delete,
            not("jitpolicies", "cannot delete resource"),
        ),
        case(
            "the gateway deletes a request",
            Gateway,
            Fresh,
            How::Delete,
            not("elevationrequests", "cannot delete resource"),
        ),
        case(
            "the controller deletes a policy",
            Controller,
            Policy,
            How::Delete,
            not("jitpolicies", "cannot delete resource"),
        ),
        case(
            "the probe deletes a request",
            Probe,
            Fresh,
            How::Delete,
            not("elevationrequests", "cannot delete resource"),
        ),
    ]
}

/// The same for the settings of a fleet and for the stop switch.
fn switches() -> Vec<Case> {
    vec![
        case(
            "the gateway changes the Fleet",
            Gateway,
            Settings,
            How::Merge(json!({"spec": {"accounts": []}})),
            not("fleets", "cannot patch resource"),
        ),
        case("the gateway deletes the Fleet", Gateway, Settings, How::Delete, not("fleets", "cannot delete resource")),
        case("the gateway deletes a Lock", Gateway, Stop, How::Delete, not("locks", "cannot delete resource")),
        case("the controller deletes a Lock", Controller, Stop, How::Delete, not("locks", "cannot delete resource")),
        case(
            "the controller deletes the Fleet",
            Controller,
            Settings,
            How::Delete,
            not("fleets", "cannot delete resource"),
        ),
        case("an approver deletes a Lock", Bob, Stop, How::Delete, not("locks", "cannot delete resource")),
    ]
}
