//! Who may give which decision.

use super::super::attempt::Target::{Fresh, Other, Reborn, Renewed};
use super::super::attempt::{Case, How, case, decide, no, not, ok};
use super::super::cast::Who::{
    Alice, Ann, Bob, Bot, Carol, Erin, Gateway, Hana, Nina, Nobody, Rita, Robot, Sam, Star, Wild,
};
use super::{APPROVE, END, PROGRAM, REVOKE};

pub fn cases() -> Vec<Case> {
    [verbs(), stages(), ending(), programs(), policies()].concat()
}

fn verbs() -> Vec<Case> {
    vec![
        case("approve without the right", Carol, Fresh, decide(1, "carol@corp approve"), no(APPROVE)),
        case("deny without the right", Carol, Fresh, decide(1, "carol@corp deny"), no(APPROVE)),
        case("revoke without the right", Carol, Fresh, decide(1, "carol@corp revoke"), no(REVOKE)),
        case("the requester denies without the right", Alice, Fresh, decide(1, "alice@corp deny"), no(APPROVE)),
        case("the requester revokes without the right", Alice, Fresh, decide(1, "alice@corp revoke"), no(REVOKE)),
        case("approve with approve", Ann, Fresh, decide(1, "ann@corp approve"), ok()),
        case("deny with approve", Ann, Fresh, decide(1, "ann@corp deny"), ok()),
        case("revoke with approve", Ann, Fresh, decide(1, "ann@corp revoke"), no(REVOKE)),
        case("approve with revoke", Rita, Fresh, decide(1, "rita@corp approve"), no(APPROVE)),
        case("deny with revoke", Rita, Fresh, decide(1, "rita@corp deny"), no(APPROVE)),
        case("revoke with revoke", Rita, Fresh, decide(1, "rita@corp revoke"), ok()),
        case("approve by *", Star, Fresh, decide(1, "star@corp approve"), ok()),
        case("revoke by *", Star, Fresh, decide(1, "star@corp revoke"), ok()),
        case(
            "approve without patch",
            Nobody,
            Fresh,
            decide(1, "nobody@corp approve"),
            not("elevationrequests", "cannot patch resource"),
        ),
        case("delete without the right", Bob, Fresh, How::Delete, not("elevationrequests", "cannot delete resource")),
    ]
}

/// A right on one stage; only the head of the line names one.
fn stages() -> Vec<Case> {
    let security = format!("{APPROVE}, or on its stage jitpolicies/security");
    let managers = format!("{APPROVE}, or on its stage jitpolicies/managers");
    vec![
        case("approve for one's stage", Sam, Fresh, decide(1, "sam@corp approve stage=security"), ok()),
        case(
            "deny for one's stage",
            Sam,
            Fresh,
            decide(1, "sam@corp deny for=5m stage=security: no stage=managers"),
            ok(),
        ),
        case("the general form by a stage-only approver", Sam, Fresh, decide(1, "sam@corp approve"), no(APPROVE)),
        case("the general denial by a stage-only approver", Sam, Fresh, decide(1, "sam@corp deny"), no(APPROVE)),
        case("another stage", Sam, Fresh, decide(1, "sam@corp approve stage=managers"), no(managers)),
        case(
            "a stage that begins like one's own",
            Sam,
            Fresh,
            decide(1, "sam@corp approve stage=security2"),
            no(APPROVE),
        ),
        case("one's stage in the comment", Sam, Fresh, decide(1, "sam@corp approve: stage=security"), no(APPROVE)),
        case(
            "one's stage behind the comment",
            Sam,
            Fresh,
            decide(1, "sam@corp approve for=5m: yes stage=security"),
            no(APPROVE),
        ),
        case(
            "another stage, one's own in the comment",
            Sam,
            Fresh,
            decide(1, "sam@corp approve stage=managers: x stage=security"),
            no(APPROVE),
        ),
        case("revoke for one's stage", Sam, Fresh, decide(1, "sam@corp revoke stage=security"), no(REVOKE)),
        case("end for one's stage", Sam, Fresh, decide(1, "sam@corp end stage=security"), no(END)),
        case("a stage without any right", Carol, Fresh, decide(1, "carol@corp approve stage=security"), no(security)),
        case("any stage with the general right", Ann, Fresh, decide(1, "ann@corp approve stage=security"), ok()),
    ]
}

fn ending() -> Vec<Case> {
    let gateway = "system:serviceaccount:tidegate-system:tidegate-gateway end";
    vec![
        case("end by the requester", Alice, Fresh, decide(1, "alice@corp end: done"), ok()),
        case("end by another person", Carol, Fresh, decide(1, "carol@corp end"), no(END)),
        case("end with approve only", Ann, Fresh, decide(1, "ann@corp end"), no(END)),
        case("end by a revoker", Rita, Fresh, decide(1, "rita@corp end"), ok()),
        case("end with end-for-others", Hana, Fresh, decide(1, "hana@corp end"), ok()),
        case("end by the gateway", Gateway, Fresh, decide(1, gateway), ok()),
        case("end by an approver of another's request", Erin, Fresh, decide(1, "erin@corp end"), ok()),
    ]
}

/// ServiceAccounts.
fn programs() -> Vec<Case> {
    let as_robot = |rest: &str| decide(1, &format!("system:serviceaccount:adversary-programs:robot {rest}"));
    let as_bot = |rest: &str| decide(1, &format!("system:serviceaccount:adversary-programs:bot {rest}"));
    let as_wild = |rest: &str| decide(1, &format!("system:serviceaccount:adversary-programs:wild {rest}"));
    let nothing = || How::Merge(serde_json::json!({}));
    vec![
        case("a program with approve approves", Robot, Fresh, as_robot("approve"), no(PROGRAM)),
        case("a program with approve denies", Robot, Fresh, as_robot("deny"), no(PROGRAM)),
        case("a program with revoke revokes", Robot, Fresh, as_robot("revoke"), no(PROGRAM)),
        case("a program with revoke ends", Robot, Fresh, as_robot("end"), ok()),
        case("a program changes nothing", Robot, Fresh, nothing(), ok()),
        case("a program with the right by name", Bot, Fresh, as_bot("approve"), ok()),
        case("a program with the right by *", Wild, Fresh, as_wild("approve"), no(PROGRAM)),
        case("a program with the right by * revokes", Wild, Fresh, as_wild("revoke"), no(PROGRAM)),
        case(
            "a program as a person",
            Wild,
            Fresh,
            decide(1, "bob@corp approve"),
            no("a decision must start with your own user name"),
        ),
    ]
}

/// The policy that a request names, and requests and policies that came again.
fn policies() -> Vec<Case> {
    let again = |uid: &str, version: &str| {
        let mut metadata = serde_json::json!({"annotations": {"decision.tidegate.dev/1": "bob@corp approve"}});
        for (key, value) in [("uid", uid), ("resourceVersion", version)] {
            if !value.is_empty() {
                metadata[key] = value.into();
            }
        }
        How::Merge(serde_json::json!({"metadata": metadata}))
    };
    let tested = serde_json::json!([
        {"op": "test", "path": "/metadata/uid", "value": "$UID"},
        {"op": "add", "path": "/metadata/annotations", "value": {"decision.tidegate.dev/1": "bob@corp approve"}},
    ]);
    let put = |object: &mut serde_json::Value| {
        object["metadata"]["uid"] = "$UID".into();
        object["metadata"]["annotations"] = serde_json::json!({"decision.tidegate.dev/1": "bob@corp approve"});
    };
    vec![
        case("approve by the policy's name", Nina, Fresh, decide(1, "nina@corp approve"), ok()),
        case(
            "approve by another policy's name",
            Nina,
            Other,
            decide(1, "nina@corp approve"),
            no("approve on jitpolicies/other-tools is required"),
        ),
        case(
            "revoke on another policy",
            Nina,
            Other,
            decide(1, "nina@corp revoke"),
            no("revoke on jitpolicies/other-tools is required"),
        ),
        case("approve where the policy does not exist", Bob, Other, decide(1, "bob@corp approve"), ok()),
        // Rights are by name; that the request was made under the policy before is the controller's to see.
        case("approve under a policy that was made again", Bob, Renewed, decide(1, "bob@corp approve"), ok()),
        case(
            "approve what was read before it was made again",
            Bob,
            Reborn,
            again("$UID", ""),
            not("metadata.uid", "field is immutable"),
        ),
        case(
            "approve the version that was read",
            Bob,
            Reborn,
            again("", "$VERSION"),
            not("reborn", "the object has been modified"),
        ),
        case(
            "approve it if it is the same, as JSON patch",
            Bob,
            Reborn,
            How::Json(tested),
            not("the server rejected our request", "due to an error in our request"),
        ),
        case(
            "replace what was read before it was made again",
            Bob,
            Reborn,
            How::Put(put),
            not("UID in precondition", ""),
        ),
        case("approve it without having looked", Bob, Reborn, decide(1, "bob@corp approve"), ok()),
    ]
}
