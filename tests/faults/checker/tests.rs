//! A good history passes, and each way to break an invariant is caught and named.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("an instant")
}

fn version(version: u64, state: &str) -> Version {
    let line = |text: &str| BTreeMap::from([(1, text.to_owned())]);
    let decided = ["Active", "Expired", "Revoked"].contains(&state);
    Version {
        uid: "u1".to_owned(),
        name: "berlin/er-1".to_owned(),
        version,
        decisions: if version > 1 { line("bob@corp approve: pairing") } else { BTreeMap::new() },
        recorded: if decided { line("bob@corp Approve") } else { BTreeMap::new() },
        state: state.to_owned(),
        grant: (state == "Active").then(|| ("sha256:a".to_owned(), at(60))),
    }
}

fn said(started: bool, second: i64) -> Said {
    Said { agent: "ws-042".to_owned(), uid: "u1".to_owned(), started, at: at(second), end: at(60) }
}

fn floor(sequence: u64) -> Floor {
    Floor { agent: "ws-042".to_owned(), part: "fleet".to_owned(), sequence }
}

/// Asked, approved, active, expired; the agent did as it was told.
fn good() -> History {
    History {
        requests: vec![version(1, "Pending"), version(2, "Pending"), version(3, "Active"), version(4, "Expired")],
        agents: vec![said(true, 1), said(false, 60)],
        floors: vec![floor(1), floor(2), floor(2)],
        until: at(100),
    }
}

#[track_caller]
fn caught(broken: History, invariant: Invariant, words: &str) {
    let found = check(&broken);
    assert!(!found.is_empty(), "not caught: {words}");
    for violation in &found {
        assert_eq!(violation.invariant, invariant, "{violation}");
    }
    assert!(found.iter().any(|violation| violation.to_string().contains(words)), "{found:?}");
}

#[test]
fn a_good_history_passes_in_any_order_and_with_repetitions() {
    assert_eq!(check(&good()), []);
    let mut shuffled = good();
    shuffled.requests.reverse();
    shuffled.requests.push(version(3, "Active"));
    assert_eq!(check(&shuffled), []);
    // Restarted: it says again what still holds.
    let mut restarted = good();
    restarted.agents.insert(1, said(true, 20));
    assert_eq!(check(&restarted), []);
}

#[test]
fn access_past_its_deadline_is_i1() {
    let mut late = good();
    late.agents = vec![said(true, 1), said(false, 71)];
    caught(late, Invariant::I1, "was to end at");
    let mut never = good();
    never.agents.truncate(1);
    caught(never.clone(), Invariant::I1, "has not ended");
    never.until = at(70);
    assert_eq!(check(&never), [], "its time has not come");
}

#[test]
fn a_lost_decision_is_i2() {
    let mut not_recorded = good();
    not_recorded.requests[3].recorded.clear();
    caught(not_recorded, Invariant::I2, "is recorded as None");
    let mut somebody_else = good();
    somebody_else.requests[3].recorded.insert(1, "eve@corp Approve".to_owned());
    caught(somebody_else, Invariant::I2, "eve@corp");
    let mut removed = good();
    removed.requests[3].decisions.clear();
    caught(removed, Invariant::I2, "is None at 4");
    let mut edited = good();
    edited.requests[2].decisions.insert(1, "bob@corp approve for=9h".to_owned());
    caught(edited, Invariant::I2, "for=9h");
}

#[test]
fn a_decision_after_the_end_need_not_be_recorded() {
    let mut late = good();
    let mut after = version(5, "Expired");
    after.decisions.insert(2, "bob@corp revoke".to_owned());
    late.requests.push(after);
    assert_eq!(check(&late), []);
}

#[test]
fn what_is_granted_twice_or_comes_back_is_i3() {
    let mut twice = good();
    let mut again = version(5, "Active");
    again.grant = Some(("sha256:b".to_owned(), at(60)));
    twice.requests.insert(3, Version { version: 3, ..again.clone() });
    twice.requests[2].version = 2;
    twice.requests.remove(1);
    caught(twice, Invariant::I3, "was granted 2 times");
    let mut revived = good();
    revived.requests.push(version(5, "Active"));
    caught(revived, Invariant::I3, "went from Expired to \"Active\"");
    let mut kept = good();
    kept.requests.push(Version { grant: version(3, "Active").grant, ..version(5, "Expired") });
    caught(kept, Invariant::I3, "has a grant");
    let mut again_at_the_agent = good();
    again_at_the_agent.agents.extend([said(true, 61), said(false, 62)]);
    caught(again_at_the_agent, Invariant::I3, "began again");
}

#[test]
fn access_that_nobody_granted_is_i3() {
    let mut invented = good();
    for said in &mut invented.agents {
        said.uid = "u2".to_owned();
    }
    caught(invented, Invariant::I3, "which nobody granted");
    let mut longer = good();
    for said in &mut longer.agents {
        said.end = at(61);
    }
    caught(longer, Invariant::I3, "which nobody granted");
}

#[test]
fn a_sequence_that_falls_is_i4() {
    let mut fallen = good();
    fallen.floors.push(floor(1));
    caught(fallen, Invariant::I4, "fleet fell from 2 to 1");
    let mut other = good();
    other.floors.push(Floor { agent: "ws-043".to_owned(), ..floor(1) });
    other.floors.push(Floor { part: "placement".to_owned(), ..floor(1) });
    assert_eq!(check(&other), []);
}

#[test]
fn a_stored_request_is_read_as_it_is() {
    let object = serde_json::json!({
        "metadata": {
            "uid": "u1", "namespace": "berlin", "name": "er-1", "resourceVersion": "3",
            "annotations": {"decision.tidegate.dev/1": "bob@corp approve: pairing", "example.com/other": "x"},
        },
        "status": {
            "state": "Active", "expirationTime": at(60).to_string(), "signed": {"digest": "sha256:a"},
            "decisions": [{"slot": 1, "by": "bob@corp", "verb": "Approve"}],
        },
    });
    assert_eq!(Version::read(&object), Some(version(3, "Active")));
    assert_eq!(Version::read(&serde_json::json!({"kind": "Status", "status": "Success"})), None);
}
