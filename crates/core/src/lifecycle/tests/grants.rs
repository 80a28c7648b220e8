//! What a grant says: exactly what people saw and approved, and what the agent must know before it believes it.

use super::*;
use crate::application::Requested;
use crate::elevation::{Elevation, Mode};
use crate::part::{Header, Part, SCHEMA};

fn asked(json: serde_json::Value) -> Requested {
    serde_json::from_value(json).unwrap()
}

/// A world with a policy for two programs, under which `application` was asked for and approved.
fn granted(application: Option<Requested>) -> World {
    let mut world = World::new(request());
    let elevation = &mut world.policy().rules.elevation;
    elevation.mode = Mode::Application;
    let items = ["toolchain", "editor"]
        .map(|name| format!(r#"{{"name": "{name}", "folderPath": {{"path": "/opt/{name}/**"}}}}"#));
    elevation.applications = items.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
    if application.is_none() {
        elevation.mode = Mode::AnyApplication;
    }
    world.request.wish.application = application;
    world.request.wish.ticket = "INC-2211".into();
    world.policy().rules.reminders = vec![Duration::from_secs(300), Duration::from_secs(60)];
    world.step(0);
    world.decide("bob@corp approve");
    assert_eq!(world.step(10), State::Active, "{}", world.status().message);
    world
}

#[test]
fn a_grant_holds_exactly_the_one_program_asked_for() {
    let digest = "a".repeat(64);
    let application =
        asked(serde_json::json!({"path": "/opt/toolchain/setup", "arguments": ["install"], "sha256": digest}));
    let mut world = granted(Some(application.clone()));
    let grant = world.signed.remove(0);
    assert_eq!(grant.application, Some(application.as_rule()));
    assert_eq!(grant.elevation.applications, [], "never the policy's whole list");
    let policy = world.policy().rules.elevation.clone();
    assert_eq!(grant.elevation, Elevation { applications: Vec::new(), ..policy });
    let trust_domain = "tidegate.local".to_owned();
    let header = Header {
        schema: SCHEMA,
        trust_domain,
        fleet: crate::envelope::fixture::fleet(),
        sequence: 7,
        issued_time: at(10),
    };
    let bytes = Part { header, body: grant }.to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("/opt/toolchain/setup") && !text.contains("editor") && !text.contains("/**"), "{text}");
}

#[test]
fn where_no_program_is_asked_for_the_grant_says_what_the_policy_does() {
    let mut world = granted(None);
    let grant = world.signed.remove(0);
    assert_eq!(grant.application, None);
    assert_eq!(grant.elevation, world.policy().rules.elevation);
}

#[test]
fn a_grant_says_for_whom_where_how_long_and_by_which_policy() {
    let mut world = granted(None);
    let grant = world.signed.remove(0);
    assert_eq!((grant.not_before, grant.not_after), (at(10), at(1810)));
    assert_eq!((grant.endpoint.name.as_str(), grant.endpoint.uid.as_str()), ("ws-042", "e-1"));
    assert_eq!((grant.request.name.as_str(), grant.request.uid.as_str()), ("er-1", "r-1"));
    assert_eq!((grant.request.ticket.as_str(), grant.account.as_str()), ("INC-2211", "alice"));
    assert_eq!(Some(&grant.policy), world.status().policy.as_ref());
    assert_eq!(grant.policy.digest, world.policy().rules.digest());
    assert_eq!(grant.reminders, [Duration::from_secs(300), Duration::from_secs(60)]);
    assert_eq!(grant.offline_tolerance, Duration::from_secs(24 * 3600));
}

#[test]
fn a_grant_requires_the_parts_that_were_in_force_and_waits_for_them() {
    let mut world = World::pending();
    world.fleet.requires = None;
    world.decide("bob@corp approve");
    assert_eq!(world.step(10), State::Scheduled, "approved, and nothing to deliver it with");
    assert!(world.signed.is_empty());
    world.fleet.requires = Some(crate::envelope::fixture::requires(7, 9));
    assert_eq!(world.step(20), State::Active);
    assert_eq!(world.signed[0].requires, crate::envelope::fixture::requires(7, 9));
    assert_eq!(world.signed[0].not_before, at(10), "the interval stays where it was");
}

#[test]
fn nothing_is_signed_while_a_lock_cannot_be_read() {
    let mut world = World::scheduled();
    world.fleet.switches.unreadable.insert("newer".into());
    assert_eq!(world.step(10_000), State::Scheduled);
    assert!(world.signed.is_empty());
    world.fleet.switches.unreadable.clear();
    assert_eq!(world.step(10_001), State::Active);
}

#[test]
fn what_ends_in_the_step_that_approves_it_is_not_recorded_as_signed() {
    for line in ["bob@corp deny", "eve@corp revoke", "alice@corp end"] {
        let mut world = World::pending();
        world.decide("bob@corp approve");
        world.decide(line);
        assert!(world.step(10).is_final());
        assert!(!world.status().signed && world.signed.is_empty(), "{line}");
    }
    let mut world = World::active();
    world.decide("eve@corp revoke");
    assert_eq!(world.step(20), State::Revoked);
    assert!(world.status().signed, "what was signed stays recorded");
}

#[test]
fn a_grant_is_signed_an_hour_ahead_at_the_most() {
    let mut world = World::scheduled();
    assert_eq!(world.step(6_399), State::Scheduled);
    assert!(world.signed.is_empty());
    assert_eq!(world.wake, Some(at(6_400)));
    assert_eq!(world.step(6_400), State::Scheduled);
    assert_eq!((world.signed[0].not_before, world.signed[0].not_after), (at(10_000), at(11_800)));
}

#[test]
fn a_lock_on_who_approves_leaves_no_moment_of_access() {
    let mut world = World::pending();
    world.lock(Effect::EndAccess, identities(&["bob@corp"]));
    world.decide("bob@corp approve");
    assert_ne!(world.step(10), State::Active);
    assert!(world.signed.is_empty());
}

#[test]
fn what_is_due_and_cannot_be_signed_wakes_at_its_start_and_not_at_once() {
    let mut world = World::scheduled();
    let due = 10_000 - i64::try_from(SIGN_AHEAD.as_secs()).unwrap();
    world.lock(Effect::DeclineNew, identities(&["alice@corp"]));
    for second in [due, due + 100] {
        assert_eq!(world.step(second), State::Scheduled);
        assert!(world.signed.is_empty());
        assert_eq!(world.wake, Some(at(10_000)), "at {second}");
    }
    world.step(due - 1);
    assert_eq!(world.wake, Some(at(due)), "a clock that was set back");
}

#[test]
fn what_refuses_or_takes_away_is_a_warning_and_what_was_meant_is_news() {
    let warnings = [
        EventKind::Held,
        EventKind::Declined,
        EventKind::Denied,
        EventKind::TimedOut,
        EventKind::Revoked,
        EventKind::DecisionIgnored,
    ];
    assert!(warnings.iter().all(|kind| kind.is_warning()));
    let news = [
        EventKind::Accepted,
        EventKind::Approved,
        EventKind::Withdrawn,
        EventKind::Activated,
        EventKind::Expired,
        EventKind::Ended,
        EventKind::Applied,
        EventKind::Removed,
    ];
    assert!(!news.iter().any(|kind| kind.is_warning()));
}
