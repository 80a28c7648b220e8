//! What counts: stages, the person who may not, bounds, the cap, and what a record must show before anything is signed.

mod earned;
mod rules;

use std::time::Duration;

use super::*;
use crate::lifecycle::EventKind;
use crate::lifecycle::fixture::*;
use crate::lock::{Effect, LockTarget};
use crate::reason::DeclineReason;

/// A world with a request that waits under these stages.
fn waiting_for(stages: &[(&str, u32)]) -> World {
    let mut world = World::new(request());
    world.stages(stages);
    assert_eq!(world.step(0), State::Pending);
    world
}

/// The stages as `name approved/approvals`.
fn stages(world: &World) -> Vec<String> {
    world.status().stages.iter().map(|s| format!("{} {}/{}", s.name, s.approved, s.approvals)).collect()
}

/// Takes the line up, and tells why it does not count.
fn ignored(world: &mut World, line: &str) -> (IgnoredReason, String) {
    let before = world.status().state;
    world.decide(line);
    assert_eq!(world.step(1), before, "{line}");
    let (reason, message) = world.last_ignored();
    (reason, message.to_owned())
}

fn counts(world: &mut World, line: &str) -> State {
    world.decide(line);
    let state = world.step(1);
    assert_eq!(world.status().decisions.last().unwrap().ignored, None, "{line}");
    state
}

#[test]
fn without_a_name_an_approval_counts_for_the_first_stage_that_is_not_met() {
    let mut world = waiting_for(&[("managers", 1), ("security", 2)]);
    assert_eq!(stages(&world), ["managers 0/1", "security 0/2"]);
    let wanted = "waiting for 1 approval (stage managers) and 2 approvals (stage security) until 1970-01-12T14:46:40Z";
    assert_eq!(world.status().message, wanted);
    assert_eq!(counts(&mut world, "bob@corp approve: go"), State::Pending);
    assert_eq!(stages(&world), ["managers 1/1", "security 0/2"]);
    assert_eq!(world.status().decisions[0].stage.as_ref().unwrap().as_str(), "managers");
    let wanted = "approved by bob@corp: go; waiting for 2 approvals (stage security) until 1970-01-12T14:46:40Z";
    assert_eq!(world.status().message, wanted);
    assert_eq!(counts(&mut world, "carol@corp approve"), State::Pending);
    assert!(world.status().message.contains("waiting for 1 approval (stage security)"), "{}", world.status().message);
    assert_eq!(counts(&mut world, "dan@corp approve"), State::Active);
    assert_eq!(stages(&world), ["managers 1/1", "security 2/2"]);
    assert_eq!(world.signed.len(), 1);
}

#[test]
fn a_named_stage_is_met_in_any_order() {
    let mut world = waiting_for(&[("managers", 1), ("security", 1)]);
    assert_eq!(counts(&mut world, "carol@corp approve stage=security"), State::Pending);
    assert_eq!(stages(&world), ["managers 0/1", "security 1/1"]);
    assert_eq!(counts(&mut world, "bob@corp approve stage=managers"), State::Active);
}

#[test]
fn more_approvals_of_one_stage_do_not_meet_another() {
    let mut world = waiting_for(&[("managers", 1), ("security", 1)]);
    counts(&mut world, "bob@corp approve stage=security");
    let (reason, message) = ignored(&mut world, "carol@corp approve stage=security");
    assert_eq!(reason, IgnoredReason::StageMet);
    assert_eq!(message, "stage security has its approvals already; another stage may need one");
    assert_eq!(counts(&mut world, "carol@corp approve"), State::Active, "who did not count may try again");
}

#[test]
fn one_person_counts_once_over_all_stages_under_whatever_name() {
    let mut world = World::new(request());
    let two = crate::endpoint::AccountEntry {
        identities: ["bob@corp", "bob-admin@corp"].map(|name| name.parse().unwrap()).into(),
        ..Default::default()
    };
    world.endpoint().accounts.insert("bob".parse().unwrap(), two);
    world.stages(&[("managers", 1), ("security", 1)]);
    world.step(0);
    counts(&mut world, "bob@corp approve stage=managers");
    for line in ["bob@corp approve", "bob@corp approve stage=security", "bob-admin@corp approve stage=security"] {
        let (reason, message) = ignored(&mut world, line);
        assert_eq!(reason, IgnoredReason::DuplicateApproval);
        assert_eq!(message, "decision 1 by bob@corp counts already: one person approves once");
    }
    assert_eq!(counts(&mut world, "carol@corp approve"), State::Active);
}

#[test]
fn an_unknown_stage_is_answered_with_those_there_are() {
    let mut world = waiting_for(&[("managers", 1), ("security", 1)]);
    let text = |named: &str| {
        format!("dev-tools has no stage {named}; it has managers, security. Decide again for one of them")
    };
    for (line, named) in [("bob@corp approve stage=legal", "legal"), ("bob@corp deny stage=default", "default")] {
        assert_eq!(ignored(&mut world, line), (IgnoredReason::UnknownStage, text(named)));
    }
    let mut plain = World::pending();
    let (reason, message) = ignored(&mut plain, "bob@corp approve stage=managers");
    assert_eq!(reason, IgnoredReason::UnknownStage);
    assert_eq!(message, "dev-tools has no stage managers; it has default. Decide again for one of them");
    assert_eq!(counts(&mut plain, "bob@corp approve stage=default"), State::Active);
}

#[test]
fn a_deny_by_any_stage_denies_and_after_approval_revokes() {
    for line in ["dan@corp deny", "dan@corp deny stage=security: no"] {
        let mut world = waiting_for(&[("managers", 1), ("security", 1)]);
        counts(&mut world, "bob@corp approve");
        assert_eq!(counts(&mut world, line), State::Denied);
        assert!(world.status().denied && world.signed.is_empty());
    }
    // Whatever has become of the stages meanwhile: an end of access is not refused for a name.
    let mut world = World::active();
    assert_eq!(counts(&mut world, "dan@corp deny stage=gone"), State::Revoked);
    assert!(world.status().denied);
}

#[test]
fn who_has_approved_may_still_deny() {
    let mut world = waiting_for(&[("managers", 2)]);
    counts(&mut world, "bob@corp approve");
    assert_eq!(counts(&mut world, "bob@corp deny: on second thoughts"), State::Denied);
}

#[test]
fn the_granted_duration_is_the_smallest_and_an_approval_without_one_stands_for_what_was_asked() {
    for (asked, lines, seconds) in [
        (None, ["bob@corp approve", "carol@corp approve"], 1800),
        (Some(600), ["bob@corp approve", "carol@corp approve"], 600),
        (Some(600), ["bob@corp approve for=5m", "carol@corp approve"], 300),
        (Some(600), ["bob@corp approve for=2h", "carol@corp approve for=1h"], 3600),
        (Some(600), ["bob@corp approve for=2h", "carol@corp approve"], 600),
        (None, ["bob@corp approve for=4h", "carol@corp approve for=1m"], 60),
    ] {
        let mut world = World::new(request());
        world.request.wish.duration = asked.map(Duration::from_secs);
        world.stages(&[("managers", 2)]);
        world.step(0);
        for line in lines {
            world.decide(line);
        }
        world.step(0);
        assert_eq!(world.status().granted.unwrap().end, at(seconds), "{asked:?} {lines:?}");
    }
}

#[test]
fn an_approval_that_does_not_count_shortens_nothing() {
    let mut world = World::pending();
    ignored(&mut world, "alice@corp approve for=1m");
    assert_eq!(counts(&mut world, "bob@corp approve for=1h"), State::Active);
    assert_eq!(world.status().granted.unwrap().end, at(3601));
}

#[test]
fn approvals_outside_the_terms_do_not_count_and_say_what_would() {
    for (line, reason, wanted) in [
        (
            "bob@corp approve for=48h",
            IgnoredReason::DurationOutOfRange,
            "48h is above the maximum of 4h in dev-tools; this approval does not count. Approve again with 4h or less",
        ),
        (
            "bob@corp approve for=5s",
            IgnoredReason::DurationOutOfRange,
            "5s is below the minimum of 1m in dev-tools; this approval does not count. Approve again with 1m or more",
        ),
        (
            "nonsense",
            IgnoredReason::Malformed,
            "a decision must read \"<your user name> approve|deny|revoke|end[ for=45m][ stage=name][: comment]\"",
        ),
    ] {
        let mut world = World::pending();
        assert_eq!(ignored(&mut world, line), (reason, wanted.to_owned()));
        assert_eq!(world.events, [EventKind::Accepted, EventKind::DecisionIgnored]);
        world.step(2);
        assert_eq!(world.events.len(), 2, "an ignored decision is told once");
    }
}

#[test]
fn nobody_approves_for_themselves_on_any_path() {
    for (who, wanted) in [
        ("alice@corp", "alice@corp asked for it"),
        ("alice-admin@corp", "alice-admin@corp is alice@corp under another name"),
        ("olga@corp", "olga@corp owns ws-042"),
        ("olga-admin@corp", "olga-admin@corp owns ws-042"),
    ] {
        let mut world = World::new(request());
        let two = crate::endpoint::AccountEntry {
            identities: ["olga@corp", "olga-admin@corp"].map(|name| name.parse().unwrap()).into(),
            ..Default::default()
        };
        world.endpoint().accounts.insert("olga".parse().unwrap(), two);
        world.step(0);
        let (reason, message) = ignored(&mut world, &format!("{who} approve"));
        assert_eq!(reason, IgnoredReason::SelfApproval);
        assert_eq!(message, format!("{wanted}; nobody approves for themselves. Somebody else has to approve"));
        assert!(world.signed.is_empty());
        // A decision that did not count locks nobody out.
        assert_eq!(counts(&mut world, "bob@corp approve"), State::Active);
    }
}

fn on_behalf() -> World {
    let mut world = World::new(request());
    world.request.wish.requester = "help@corp".parse().unwrap();
    world.request.wish.on_behalf = true;
    assert_eq!(world.step(0), State::Pending);
    world
}

#[test]
fn asked_on_behalf_neither_the_asker_nor_the_person_approves() {
    for (who, wanted) in [
        ("help@corp", "asked for it"),
        ("alice@corp", "is the person behind \"alice\" on ws-042"),
        ("alice-admin@corp", "is the person behind \"alice\" on ws-042"),
    ] {
        let (reason, message) = ignored(&mut on_behalf(), &format!("{who} approve"));
        assert_eq!(reason, IgnoredReason::SelfApproval);
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn being_taken_off_the_account_makes_nobody_an_approver() {
    let mut world = on_behalf();
    let account = world.endpoint().accounts.get_mut(&"alice".parse().unwrap()).unwrap();
    account.identities = vec!["zoe@corp".parse().unwrap()];
    world.decide("alice@corp approve");
    assert_eq!(world.step(1), State::Declined, "it was asked for somebody else's account");
    assert_eq!(world.status().declined, Some(DeclineReason::AccountUnknown));
    assert!(
        world.status().message.contains("somebody else's account since this was asked"),
        "{}",
        world.status().message
    );
}

#[test]
fn whom_a_lock_stops_approves_nothing_and_may_still_end_access() {
    let target = || LockTarget { policies: ["dev-tools".parse().unwrap()].into(), ..identities(&["bob@corp"]) };
    for effect in [Effect::DeclineNew, Effect::EndAccess] {
        let mut world = World::pending();
        world.lock(effect, target()).expires_at = Some(at(100));
        let (reason, message) = ignored(&mut world, "bob@corp approve");
        assert_eq!(reason, IgnoredReason::Locked);
        assert_eq!(message, "bob@corp is stopped by Lock lock-1 until 1970-01-12T13:48:20Z: INC-4711");
        assert_eq!(counts(&mut world, "bob@corp deny"), State::Denied);
        let mut later = World::pending();
        later.lock(effect, target()).expires_at = Some(at(100));
        later.decide("bob@corp approve");
        assert_eq!(later.step(100), State::Active, "a Lock that has expired stops nobody");
    }
}

#[test]
fn approvals_count_until_slot_32_and_denials_until_48() {
    let filled = |slots: u32| {
        let mut world = World::pending();
        (1..slots).for_each(|_| world.decide("alice@corp approve"));
        world
    };
    assert_eq!(counts(&mut filled(32), "bob@corp approve"), State::Active);
    let (reason, message) = ignored(&mut filled(33), "bob@corp approve");
    assert_eq!(reason, IgnoredReason::TooManyDecisions);
    assert_eq!(message, "decision 33 is too late for approve: the last one that counts is 32. Ask anew");
    assert_eq!(counts(&mut filled(48), "bob@corp deny"), State::Denied);
    let (reason, message) = ignored(&mut filled(49), "bob@corp deny");
    assert_eq!(reason, IgnoredReason::TooManyDecisions);
    assert_eq!(message, "decision 49 is too late for deny: the last one that counts is 48. Ask anew");
    assert_eq!(counts(&mut filled(60), "bob@corp revoke"), State::Denied);
    assert_eq!(counts(&mut filled(60), "alice@corp end"), State::Withdrawn);
}

#[test]
fn what_comes_after_a_decision_that_ends_is_too_late() {
    let mut world = World::pending();
    counts(&mut world, "bob@corp deny");
    let text = "the request is Denied already; this decision changes nothing";
    for line in ["bob@corp approve", "carol@corp deny", "eve@corp revoke", "alice@corp end"] {
        assert_eq!(ignored(&mut world, line), (IgnoredReason::TooLate, text.to_owned()));
    }
}

#[test]
fn the_person_behind_the_account_may_not_approve_under_a_name_of_another_account() {
    let mut world = World::new(request());
    world.request.wish.on_behalf = true;
    world.request.wish.requester = "helpdesk@corp".parse().unwrap();
    let other = crate::endpoint::AccountEntry {
        identities: ["alice@corp", "root-of-alice@corp"].map(|name| name.parse().unwrap()).into(),
        ..Default::default()
    };
    world.endpoint().accounts.insert("admin".parse().unwrap(), other);
    assert_eq!(world.step(0), State::Pending);
    let (reason, message) = ignored(&mut world, "root-of-alice@corp approve");
    assert_eq!(reason, IgnoredReason::SelfApproval);
    assert!(message.contains("is the person behind \"alice\" on ws-042"), "{message}");
}
