//! Where a decision stands: the next slot, one at a time, while there is room.

use serde_json::json;

use super::super::attempt::Target::{Decided, Deleting, Fresh, Full32, Full48};
use super::super::attempt::{Case, How, case, decide, no, not, note, ok};
use super::super::cast::Who::{Admin, Alice, Bob, Controller, Rita};
use super::{DELETING, FINALIZER, ONE, ONLY, RECORD, ROOM, next};

pub fn cases() -> Vec<Case> {
    [keys(), order(), room(), being_deleted()].concat()
}

/// Keys that would lie there and do nothing, and keys that are none.
fn keys() -> Vec<Case> {
    let idle = [
        "tidegate.dev/Decide",
        "tidegate.dev/approve",
        "tidegate.dev/decision",
        "decisions.tidegate.dev/1",
        "xtidegate.dev/1",
        "decision.tidegate.dev.evil.example/1",
        "Decision.tidegate.dev/1",
        "decision.tidegate.dev/0",
        "decision.tidegate.dev/01",
        "decision.tidegate.dev/1.0",
        "decision.tidegate.dev/1a",
        "decision.tidegate.dev/one",
        "decision.tidegate.dev/33",
        "decision.tidegate.dev/2147483648",
        "decision",
        "example.org/note",
    ];
    let invalid = [
        "decision.tidegate.dev/-1",
        "decision.tidegate.dev/+1",
        "decision.tidegate.dev/ 1",
        "decision.tidegate.dev/1 ",
        "decision.tidegate.dev/",
        "decision.tidegate.dev/1/1",
        "decision.tidegate.dev/\u{ff11}",
        "decisi\u{43e}n.tidegate.dev/1",
    ];
    let refused = |key: &&str| case(format!("key {key}"), Bob, Fresh, note(key, "bob@corp approve"), no(next(key, 1)));
    let no_key = |key: &&str| {
        case(
            format!("key {key:?}"),
            Bob,
            Fresh,
            note(key, "bob@corp approve"),
            not("metadata.annotations", "Invalid value"),
        )
    };
    let mut cases: Vec<Case> = idle.iter().map(refused).chain(invalid.iter().map(no_key)).collect();
    for who in [Admin, Controller, Alice] {
        let what = format!("a foreign annotation by {who:?}");
        cases.push(case(what, who, Fresh, note("example.org/note", "seen"), no(next("example.org/note", 1))));
    }
    cases
}

fn order() -> Vec<Case> {
    let two = json!({"metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp deny", "decision.tidegate.dev/2": "bob@corp approve"}}});
    let with_note =
        json!({"metadata": {"annotations": {"decision.tidegate.dev/1": "bob@corp deny", "example.org/note": "x"}}});
    let with_kubectls = json!({"metadata": {"annotations": {
        "decision.tidegate.dev/1": "bob@corp deny", "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }}});
    let last_applied = note("kubectl.kubernetes.io/last-applied-configuration", "{}");
    vec![
        case("slot 1", Bob, Fresh, decide(1, "bob@corp approve"), ok()),
        case("slot 2 before slot 1", Bob, Fresh, decide(2, "bob@corp deny"), no(next("decision.tidegate.dev/2", 1))),
        case("slot 2, by the same person", Bob, Decided, decide(2, "bob@corp approve for=30m"), ok()),
        case("slot 2, by another person", Rita, Decided, decide(2, "rita@corp revoke"), ok()),
        case("a slot that is taken", Rita, Decided, decide(1, "rita@corp revoke"), no(RECORD)),
        case("the same words into the taken slot", Bob, Decided, decide(1, "bob@corp approve"), ok()),
        case("slot 3 before slot 2", Bob, Decided, decide(3, "bob@corp deny"), no(next("decision.tidegate.dev/3", 2))),
        case("slot 0 after slot 1", Bob, Decided, decide(0, "bob@corp deny"), no(next("decision.tidegate.dev/0", 2))),
        case("two decisions in one request", Bob, Fresh, How::Merge(two), no(ONE)),
        case("a decision and a note", Bob, Fresh, How::Merge(with_note), no(ONE)),
        case("a decision and kubectl's annotation", Bob, Fresh, How::Merge(with_kubectls), ok()),
        case("kubectl's annotation alone", Bob, Fresh, last_applied, ok()),
        case("nothing", Bob, Fresh, How::Merge(json!({})), ok()),
        case("nothing, where there is a decision", Bob, Decided, How::Merge(json!({})), ok()),
    ]
}

fn room() -> Vec<Case> {
    vec![
        case("approve as 33rd decision", Bob, Full32, decide(33, "bob@corp approve"), no(ROOM)),
        case(
            "approve as 33rd decision by a cluster admin",
            Admin,
            Full32,
            decide(33, "tidegate-test-admin approve"),
            no(ROOM),
        ),
        case("deny as 33rd", Bob, Full32, decide(33, "bob@corp deny"), ok()),
        case("approve as 49th", Bob, Full48, decide(49, "bob@corp approve"), no(ROOM)),
        case("deny as 49th", Bob, Full48, decide(49, "bob@corp deny"), no(ROOM)),
        case("revoke as 49th", Bob, Full48, decide(49, "bob@corp revoke"), ok()),
        case("end as 49th", Alice, Full48, decide(49, "alice@corp end"), ok()),
    ]
}

fn being_deleted() -> Vec<Case> {
    let label = How::Merge(json!({"metadata": {"labels": {"team": "dev"}}}));
    let free = How::Merge(json!({"metadata": {"finalizers": []}}));
    vec![
        case("approve while being deleted", Bob, Deleting, decide(1, "bob@corp approve"), no(DELETING)),
        case("revoke while being deleted", Bob, Deleting, decide(1, "bob@corp revoke"), no(DELETING)),
        case("end while being deleted", Alice, Deleting, decide(1, "alice@corp end"), no(DELETING)),
        case(
            "a cluster admin decides while being deleted",
            Admin,
            Deleting,
            decide(1, "tidegate-test-admin deny"),
            no(DELETING),
        ),
        case("nothing while being deleted", Bob, Deleting, How::Merge(json!({})), ok()),
        case("a label while being deleted", Bob, Deleting, label, no(ONLY)),
        case("the requester strips the finalizer while being deleted", Alice, Deleting, free.clone(), no(FINALIZER)),
        case("a cluster admin strips it", Admin, Deleting, free.clone(), no(FINALIZER)),
        case("the controller takes it off", Controller, Deleting, free, ok()),
    ]
}
