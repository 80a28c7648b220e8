//! What is written stays written: decisions, finalizers, owners, labels, by every way of writing.

use serde_json::{Value, json};

use super::super::attempt::Target::{Behalf, Decided, Early, Foreign, Fresh, Gap, Held};
use super::super::attempt::{Case, How, Needs, case, decide, no, not, note, ok, shows};
use super::super::cast::Who::{Admin, Alice, Bob, Controller, Star, Wild};
use super::{FINALIZER, IMMUTABLE, ONLY, OTHER_NOTE, RECORD, form, next};

const SLOT_1: &str = "/metadata/annotations/decision.tidegate.dev~11";

pub fn cases() -> Vec<Case> {
    [decisions(), applied(), metadata(), wish(), early()].concat()
}

fn decisions() -> Vec<Case> {
    let slot_2 = "/metadata/annotations/decision.tidegate.dev~12";
    let removal = || How::Merge(json!({"metadata": {"annotations": {"decision.tidegate.dev/1": null}}}));
    let swap = json!({"metadata": {"annotations": {"decision.tidegate.dev/1": null, "decision.tidegate.dev/2": "bob@corp deny"}}});
    let mut cases = vec![
        case("edit", Bob, Decided, decide(1, "bob@corp deny"), no(RECORD)),
        case("a blank more", Bob, Decided, decide(1, "bob@corp approve "), no(RECORD)),
        case("annotations null", Bob, Decided, How::Merge(json!({"metadata": {"annotations": null}})), no(RECORD)),
        case(
            "metadata null",
            Bob,
            Decided,
            How::Merge(json!({"metadata": null})),
            not("undeterminable", "name must be provided"),
        ),
        case("removal and another", Bob, Decided, How::Merge(swap), no(RECORD)),
        case("JSON patch remove", Bob, Decided, How::Json(json!([{"op": "remove", "path": SLOT_1}])), no(RECORD)),
        case(
            "JSON patch move",
            Bob,
            Decided,
            How::Json(json!([{"op": "move", "from": SLOT_1, "path": slot_2}])),
            no(RECORD),
        ),
        case(
            "JSON patch replace",
            Bob,
            Decided,
            How::Json(json!([{"op": "replace", "path": SLOT_1, "value": "bob@corp deny"}])),
            no(RECORD),
        ),
        case(
            "JSON patch on the whole map",
            Bob,
            Decided,
            How::Json(json!([{"op": "replace", "path": "/metadata/annotations", "value": {}}])),
            no(RECORD),
        ),
        case(
            "JSON patch copy into the next slot",
            Bob,
            Decided,
            How::Json(json!([{"op": "copy", "from": SLOT_1, "path": slot_2}])),
            ok(),
        ),
        case(
            "JSON patch copy by another person",
            Star,
            Decided,
            How::Json(json!([{"op": "copy", "from": SLOT_1, "path": slot_2}])),
            no("a decision must start with your own user name, star@corp"),
        ),
        case(
            "JSON patch remove and add again",
            Bob,
            Decided,
            How::Json(
                json!([{"op": "remove", "path": SLOT_1}, {"op": "add", "path": SLOT_1, "value": "bob@corp deny"}]),
            ),
            no(RECORD),
        ),
        case(
            "JSON patch add",
            Bob,
            Decided,
            How::Json(json!([{"op": "add", "path": slot_2, "value": "bob@corp deny"}])),
            ok(),
        ),
        case(
            "JSON patch add of no text",
            Bob,
            Decided,
            How::Json(json!([{"op": "add", "path": slot_2, "value": ""}])),
            no(form("bob@corp")),
        ),
        case(
            "PUT without annotations",
            Bob,
            Decided,
            How::Put(|o| o["metadata"]["annotations"] = Value::Null),
            no(RECORD),
        ),
        case(
            "PUT with a decision",
            Bob,
            Decided,
            How::Put(|o| o["metadata"]["annotations"]["decision.tidegate.dev/2"] = json!("bob@corp deny")),
            ok(),
        ),
        case(
            "PUT of an old version",
            Bob,
            Decided,
            How::Put(|o| o["metadata"]["resourceVersion"] = json!("1")),
            not("decided", "the object has been modified"),
        ),
        case("PUT as it is", Bob, Decided, How::Put(|_| ()), ok()),
    ];
    for who in [Bob, Alice, Admin, Star, Wild, Controller] {
        cases.push(case(format!("removal by {who:?}"), who, Decided, removal(), no(RECORD)));
    }
    cases
}

/// Server-side apply: what a manager no longer lists is removed.
fn applied() -> Vec<Case> {
    let nothing = || json!({"metadata": {}});
    let other = || json!({"metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp deny"}}});
    let both = json!({"metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp approve", "decision.tidegate.dev/2": "bob@corp deny"}}});
    let label = json!({"metadata": {"labels": {"team": "dev"}}});
    let forget = How::Merge(json!({"metadata": {"managedFields": [{}]}}));
    vec![
        case(
            "the manager lists its decision no more",
            Bob,
            Decided,
            How::Apply("bobs-tool", false, nothing()),
            no(RECORD),
        ),
        case(
            "another person under that manager's name",
            Alice,
            Decided,
            How::Apply("bobs-tool", false, nothing()),
            no(RECORD),
        ),
        case(
            "a cluster admin under that manager's name",
            Admin,
            Decided,
            How::Apply("bobs-tool", true, nothing()),
            no(RECORD),
        ),
        case(
            "another manager's conflict",
            Bob,
            Decided,
            How::Apply("kubectl", false, other()),
            not("bobs-tool", "conflict"),
        ),
        case("another manager by force", Bob, Decided, How::Apply("kubectl", true, other()), no(RECORD)),
        case("the next decision, applied", Bob, Decided, How::Apply("bobs-tool", false, both), ok()),
        case("nothing, as another manager", Bob, Decided, How::Apply("kubectl", false, nothing()), ok()),
        case(
            "a label as the controller's manager",
            Bob,
            Decided,
            How::Apply("tidegate-controller", true, label),
            no(ONLY),
        ),
        case("managers forgotten", Bob, Decided, forget, shows(SLOT_1, "bob@corp approve")),
    ]
}

fn metadata() -> Vec<Case> {
    let merge = |what: Value| How::Merge(json!({ "metadata": what }));
    let owner = || {
        merge(
            json!({"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "00000000-0000-0000-0000-000000000000"}]}),
        )
    };
    let mut cases = vec![
        case(
            "JSON patch on the finalizers",
            Bob,
            Held,
            How::Json(json!([{"op": "remove", "path": "/metadata/finalizers"}])),
            no(FINALIZER),
        ),
        case(
            "PUT without finalizers",
            Alice,
            Held,
            How::Put(|o| o["metadata"]["finalizers"] = json!([])),
            no(FINALIZER),
        ),
        case(
            "the finalizer renamed",
            Bob,
            Held,
            merge(json!({"finalizers": ["tidegate.dev/Revoke", "example.org/hold"]})),
            no(FINALIZER),
        ),
        case(
            "finalizers reordered",
            Bob,
            Held,
            merge(json!({"finalizers": ["example.org/hold", "tidegate.dev/revoke"]})),
            ok(),
        ),
        case("a foreign finalizer removed", Bob, Held, merge(json!({"finalizers": ["tidegate.dev/revoke"]})), ok()),
        case("label changed", Bob, Held, merge(json!({"labels": {"team": "ops"}})), no(ONLY)),
        case("labels removed", Bob, Held, merge(json!({"labels": null})), no(ONLY)),
        case("owner removed", Bob, Held, merge(json!({"ownerReferences": null})), no(ONLY)),
        case("owner removed by the controller", Controller, Held, merge(json!({"ownerReferences": null})), ok()),
        case("our finalizer by another", Bob, Fresh, merge(json!({"finalizers": ["tidegate.dev/revoke"]})), no(ONLY)),
        case(
            "a decision and a label",
            Bob,
            Fresh,
            merge(json!({"labels": {"a": "b"}, "annotations": {"decision.tidegate.dev/1": "bob@corp deny"}})),
            no(ONLY),
        ),
        case("nothing on what is held", Bob, Held, How::Merge(json!({})), ok()),
        case("a decision where only a foreign finalizer is", Bob, Foreign, decide(1, "bob@corp deny"), ok()),
        case("that finalizer removed", Bob, Foreign, merge(json!({"finalizers": null})), ok()),
        case("a decision on what was asked on behalf", Bob, Behalf, decide(1, "bob@corp approve"), ok()),
        case("a decision on what is held", Bob, Held, decide(1, "bob@corp revoke"), ok()),
        case(
            "deletion stamped by hand",
            Bob,
            Fresh,
            merge(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})),
            not("metadata.deletionTimestamp", "field is immutable"),
        ),
    ];
    for who in [Bob, Admin, Star] {
        cases.push(case(
            format!("a label by {who:?}"),
            who,
            Fresh,
            merge(json!({"labels": {"team": "dev"}})),
            no(ONLY),
        ));
        cases.push(case(
            format!("a finalizer by {who:?}"),
            who,
            Fresh,
            merge(json!({"finalizers": ["example.org/hold"]})),
            no(ONLY),
        ));
        cases.push(case(
            format!("a second finalizer by {who:?}"),
            who,
            Held,
            merge(json!({"finalizers": ["tidegate.dev/revoke", "example.org/hold", "a.b/c"]})),
            no(ONLY),
        ));
        cases.push(case(format!("an owner by {who:?}"), who, Fresh, owner(), no(ONLY)));
        cases.push(case(
            format!("the finalizer stripped by {who:?}"),
            who,
            Held,
            merge(json!({"finalizers": ["example.org/hold"]})),
            no(FINALIZER),
        ));
        cases.push(case(
            format!("all finalizers stripped by {who:?}"),
            who,
            Held,
            merge(json!({"finalizers": null})),
            no(FINALIZER),
        ));
    }
    cases.extend([
        case("a label by the controller", Controller, Fresh, merge(json!({"labels": {"team": "dev"}})), ok()),
        case(
            "a finalizer by the controller",
            Controller,
            Fresh,
            merge(json!({"finalizers": ["tidegate.dev/revoke"]})),
            ok(),
        ),
        case("an owner by the controller", Controller, Fresh, owner(), ok()),
        case("the finalizer taken off by the controller", Controller, Held, merge(json!({"finalizers": null})), ok()),
    ]);
    cases
}

/// spec, which the schema keeps.
fn wish() -> Vec<Case> {
    let spec = |what: Value| How::Merge(json!({ "spec": what }));
    let immutable = || not("spec", IMMUTABLE);
    vec![
        case("another duration", Alice, Fresh, spec(json!({"duration": "8h"})), immutable()),
        case("another account", Admin, Fresh, spec(json!({"account": "root"})), immutable()),
        case("another requester later", Bob, Fresh, spec(json!({"requester": "mallory@corp"})), immutable()),
        case("another policy", Controller, Fresh, spec(json!({"policyName": "other-tools"})), immutable()),
        case("no reason", Alice, Fresh, spec(json!({"reason": null})), immutable()),
        case("onBehalf later", Star, Fresh, spec(json!({"onBehalf": true})), immutable()),
        case("PUT with another account", Bob, Decided, How::Put(|o| o["spec"]["account"] = json!("root")), immutable()),
        case(
            "an approval with another duration",
            Bob,
            Fresh,
            How::Merge(json!({
                "metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp approve"}}, "spec": {"duration": "8h"},
            })),
            immutable(),
        ),
    ]
}

/// What was there before the policies.
fn early() -> Vec<Case> {
    let gone = || How::Merge(json!({"metadata": {"annotations": {"example.org/note": null}}}));
    let cases = vec![
        case("an early annotation changed", Bob, Early, note("example.org/note", "after"), no(OTHER_NOTE)),
        case(
            "an early annotation changed by a cluster admin",
            Admin,
            Early,
            note("example.org/note", "after"),
            no(OTHER_NOTE),
        ),
        case(
            "an early annotation changed by the controller",
            Controller,
            Early,
            note("example.org/note", "after"),
            ok(),
        ),
        case("an early annotation removed", Bob, Early, gone(), ok()),
        case("nothing, where a slot was left out", Alice, Gap, How::Merge(json!({})), ok()),
        // Its text would be judged by nobody: the rules read the decision in the next slot.
        case(
            "the slot that was left out",
            Bob,
            Gap,
            decide(1, "bob@corp deny"),
            no(next("decision.tidegate.dev/1", 2)),
        ),
        case("a decision beside an early annotation", Bob, Early, decide(1, "bob@corp deny"), ok()),
        case(
            "kubectl's beside an early annotation",
            Bob,
            Early,
            note("kubectl.kubernetes.io/last-applied-configuration", "{}"),
            ok(),
        ),
    ];
    cases.into_iter().map(|case| case.needs(Needs::Before)).collect()
}
