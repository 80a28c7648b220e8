//! Who may create a request, and with what in it.

use serde_json::{Value, json};

use super::super::STAMPING_LABEL;
use super::super::attempt::Target::New;
use super::super::attempt::{Case, How, Needs, case, no, not, ok, shows};
use super::super::cast::Who::{
    Admin, AdminAsBob, AdminAsMaster, Alice, Bot, Carol, CarolAsBob, Gateway, Hana, Nina, Nobody, Olaf, Robot, Star,
    Wild,
};
use super::{BEHALF, BORN, MANY, OWNED, REQUEST, requester};

fn post(change: fn(&mut Value)) -> How {
    How::Post(change)
}

fn as_it_is(_: &mut Value) {}

/// A good request of this person, applied: an apply may create, too.
fn applied(user: &str, more: Value) -> How {
    let mut fields = json!({"metadata": more, "spec": {
        "policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": user, "reason": "a test of the table",
    }});
    if fields["metadata"].is_null() {
        fields["metadata"] = json!({});
    }
    How::Apply("kubectl", false, fields)
}

pub fn cases() -> Vec<Case> {
    [who(), for_whom(), with_what(), beside()].concat()
}

/// `request` on the policy.
fn who() -> Vec<Case> {
    vec![
        case("a good request", Alice, New, post(as_it_is), ok()),
        case("no right on the policy", Olaf, New, post(as_it_is), no(REQUEST)),
        case("no right on the policy, applied", Olaf, New, applied("olaf@corp", Value::Null), no(REQUEST)),
        case("a right on the policy by its name", Nina, New, post(as_it_is), ok()),
        case(
            "a right on another policy",
            Nina,
            New,
            post(|o| o["spec"]["policyName"] = json!("other-tools")),
            no("request on jitpolicies/other-tools is required"),
        ),
        case("every verb by *", Star, New, post(as_it_is), ok()),
        case("a cluster admin in his own name", Admin, New, post(as_it_is), ok()),
        case("a program without the right", Robot, New, post(as_it_is), no(REQUEST)),
        case("no right at all", Nobody, New, post(as_it_is), not("elevationrequests", "cannot create resource")),
        case(
            "a policy name with a slash",
            Alice,
            New,
            post(|o| o["spec"]["policyName"] = json!("a/b")),
            not("spec.policyName", "should match"),
        ),
        case("applied into being", Alice, New, applied("alice@corp", Value::Null), ok()),
        case("a generated name", Alice, New, post(|o| o["metadata"] = json!({"generateName": "er-"})), ok()),
    ]
}

/// spec.requester and spec.onBehalf.
fn for_whom() -> Vec<Case> {
    let of_bob = |o: &mut Value| o["spec"]["requester"] = json!("bob@corp");
    let without = |o: &mut Value| {
        o["spec"].as_object_mut().map(|spec| spec.remove("requester"));
    };
    let unstamped = |o: &mut Value| {
        o["spec"].as_object_mut().map(|spec| spec.remove("requester"));
        o["metadata"]["labels"] = json!({STAMPING_LABEL: "off"});
    };
    let behalf = |o: &mut Value| o["spec"]["onBehalf"] = json!(true);
    let not_behalf = |o: &mut Value| o["spec"]["onBehalf"] = json!(false);
    let behalf_of_bob = |o: &mut Value| {
        o["spec"]["onBehalf"] = json!(true);
        o["spec"]["requester"] = json!("bob@corp");
    };
    let alike = |o: &mut Value| o["spec"]["requester"] = json!("alice@corp\u{200b}");
    let capital = |o: &mut Value| o["spec"]["requester"] = json!("Alice@corp");
    let shorter = |o: &mut Value| o["spec"]["requester"] = json!("alice@corp:x");
    vec![
        case("requester absent, stamped", Alice, New, post(without), shows("/spec/requester", "alice@corp"))
            .needs(Needs::Stamping),
        case("requester absent, not stamped", Alice, New, post(unstamped), no(requester("alice@corp")))
            .needs(Needs::NoStamping),
        case("another requester", Alice, New, post(of_bob), no(requester("alice@corp"))),
        case("another requester by a cluster admin", Admin, New, post(of_bob), no(requester("tidegate-test-admin"))),
        case("another requester by *", Star, New, post(of_bob), no(requester("star@corp"))),
        case("another requester, applied", Alice, New, applied("bob@corp", Value::Null), no(requester("alice@corp"))),
        case(
            "the requester with an invisible character",
            Alice,
            New,
            post(alike),
            not("spec.requester", "should match"),
        ),
        case("the requester with a capital", Alice, New, post(capital), no(requester("alice@corp"))),
        case("a requester that begins like the caller", Alice, New, post(shorter), no(requester("alice@corp"))),
        case(
            "an admin who impersonates bob asks as admin",
            AdminAsBob,
            New,
            post(|o| o["spec"]["requester"] = json!("tidegate-test-admin")),
            no(requester("bob@corp")),
        ),
        case(
            "impersonation without the right",
            CarolAsBob,
            New,
            post(as_it_is),
            not("carol@corp", "cannot impersonate"),
        ),
        case(
            "in a group of masters by impersonation, another requester",
            AdminAsMaster,
            New,
            post(of_bob),
            no(requester("mallory@corp")),
        ),
        case("onBehalf without create-for-others", Alice, New, post(behalf), no(BEHALF)),
        case("onBehalf said to be false", Alice, New, post(not_behalf), ok()),
        case("onBehalf with create-for-others", Hana, New, post(behalf), ok()),
        case(
            "onBehalf with create-for-others and another requester",
            Hana,
            New,
            post(behalf_of_bob),
            no(requester("hana@corp")),
        ),
        case("onBehalf by a program that decides", Bot, New, post(behalf), no(BEHALF)),
        case("the gateway creates without request on the policy", Gateway, New, post(behalf), no(REQUEST)),
    ]
}

/// Annotations, owners, finalizers at birth.
fn with_what() -> Vec<Case> {
    let decided = json!({"annotations": {"decision.tidegate.dev/1": "alice@corp approve"}});
    let owner = json!({"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "00000000-0000-0000-0000-000000000000"}]});
    let annotated = [
        ("a decision", "decision.tidegate.dev/1"),
        ("decide", "tidegate.dev/decide"),
        ("a foreign annotation", "example.org/note"),
        ("a restored backup's", "velero.io/backup-name"),
        ("slot 0", "decision.tidegate.dev/0"),
    ];
    let with = |key: &str| applied("alice@corp", json!({"annotations": {key: "alice@corp approve"}}));
    let mut cases: Vec<Case> = annotated
        .iter()
        .map(|(what, key)| case(format!("born with {what}"), Alice, New, with(key), no(BORN)))
        .collect();
    cases.extend([
        case(
            "born with kubectl's annotation",
            Alice,
            New,
            with("kubectl.kubernetes.io/last-applied-configuration"),
            ok(),
        ),
        case("born approved by its approver", Wild, New, How::Post(born_decided), no(BORN)),
        case(
            "born decided, with a generated name",
            Carol,
            New,
            How::Post(|o| {
                born_decided(o);
                o["metadata"]["generateName"] = json!("er-");
                o["metadata"].as_object_mut().map(|m| m.remove("name"));
            }),
            no(BORN),
        ),
        case("born decided by a cluster admin", Admin, New, How::Post(born_decided), no(BORN)),
        case("born decided, applied", Alice, New, applied("alice@corp", decided), no(BORN)),
        case(
            "born with 65 annotations",
            Alice,
            New,
            How::Post(|o| {
                o["metadata"]["annotations"] =
                    (0..65).map(|n| (format!("example.org/{n}"), json!(""))).collect::<serde_json::Map<_, _>>().into();
            }),
            no(MANY),
        ),
        case(
            "born with a finalizer",
            Alice,
            New,
            How::Post(|o| o["metadata"]["finalizers"] = json!(["tidegate.dev/revoke"])),
            no(OWNED),
        ),
        case(
            "born with a foreign finalizer",
            Admin,
            New,
            How::Post(|o| o["metadata"]["finalizers"] = json!(["example.org/hold"])),
            no(OWNED),
        ),
        case("born with an owner", Alice, New, applied("alice@corp", owner), no(OWNED)),
        case("born with a label", Alice, New, How::Post(|o| o["metadata"]["labels"] = json!({"team": "dev"})), ok()),
    ]);
    cases
}

fn born_decided(object: &mut Value) {
    object["metadata"]["annotations"] = json!({"decision.tidegate.dev/1": "bob@corp approve"});
}

/// What is dropped in silence, because it is the API server's.
fn beside() -> Vec<Case> {
    let status = |o: &mut Value| o["status"] = json!({"state": "Active", "observedGeneration": 7});
    let deleting = |o: &mut Value| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    vec![
        case("born with a status", Alice, New, post(status), shows("/status/state", Value::Null)),
        case("born with a status, by a cluster admin", Admin, New, post(status), shows("/status/state", Value::Null)),
        case("born being deleted", Alice, New, post(deleting), shows("/metadata/deletionTimestamp", Value::Null)),
    ]
}
