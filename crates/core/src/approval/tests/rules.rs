//! Automatic rules: in order, and only what everything in a rule matches.

use super::*;
use crate::approval::rule::AutomaticRule;
use crate::elevation::Mode;
use crate::target::{AccountSet, AccountTarget, EndpointTarget};

fn rule(name: &str) -> AutomaticRule {
    AutomaticRule {
        name: name.parse().unwrap(),
        accounts: None,
        endpoints: None,
        applications: Vec::new(),
        max_duration: None,
    }
}

/// A world with these rules for alice, of the group staff, who asks for /opt/toolchain/setup.
fn world(rules: Vec<AutomaticRule>) -> World {
    let mut world = World::new(request());
    world.policy().rules.approval.automatic = rules;
    world.endpoint().accounts.get_mut(&"alice".parse().unwrap()).unwrap().groups = ["staff".parse().unwrap()].into();
    let elevation = &mut world.policy().rules.elevation;
    elevation.mode = Mode::Application;
    let items = ["toolchain", "editor"]
        .map(|name| format!(r#"{{"name": "{name}", "folderPath": {{"path": "/opt/{name}/**"}}}}"#));
    elevation.applications = items.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
    let asked = serde_json::json!({"path": "/opt/toolchain/setup"});
    world.request.wish.application = Some(serde_json::from_value(asked).unwrap());
    world
}

fn approved_by(rules: Vec<AutomaticRule>) -> Option<String> {
    let mut world = world(rules);
    let state = world.step(0);
    let rule = world.status().rule.as_ref().map(ToString::to_string);
    assert_eq!(state, if rule.is_some() { State::Active } else { State::Pending });
    assert_eq!(world.signed.len(), usize::from(rule.is_some()));
    assert_eq!(world.status().stages.is_empty(), rule.is_some());
    rule
}

fn groups(groups: &[&str]) -> AccountTarget {
    AccountTarget { groups: groups.iter().map(|group| group.parse().unwrap()).collect(), ..AccountTarget::default() }
}

#[test]
fn a_rule_approves_what_everything_in_it_matches() {
    let hour = Some(Duration::from_secs(3600));
    let here = Some(EndpointTarget::Names(["ws-042".parse().unwrap()].into()));
    let elsewhere = Some(EndpointTarget::Names(["ws-043".parse().unwrap()].into()));
    let except = AccountSet { names: ["alice".parse().unwrap()].into(), ..AccountSet::default() };
    let item = |name: &str| vec![name.parse().unwrap()];
    for (matches, rule) in [
        (true, rule("r")),
        (true, AutomaticRule { accounts: Some(groups(&["staff"])), ..rule("r") }),
        (false, AutomaticRule { accounts: Some(groups(&["interns"])), ..rule("r") }),
        (false, AutomaticRule { accounts: Some(AccountTarget { except, ..groups(&["staff"]) }), ..rule("r") }),
        (true, AutomaticRule { endpoints: here, ..rule("r") }),
        (false, AutomaticRule { endpoints: elsewhere.clone(), ..rule("r") }),
        (true, AutomaticRule { applications: item("toolchain"), ..rule("r") }),
        (false, AutomaticRule { applications: item("editor"), ..rule("r") }),
        (false, AutomaticRule { applications: item("gone"), ..rule("r") }),
        (true, AutomaticRule { max_duration: Some(Duration::from_secs(1800)), ..rule("r") }),
        (false, AutomaticRule { max_duration: Some(Duration::from_secs(1799)), ..rule("r") }),
        (
            false,
            AutomaticRule { endpoints: elsewhere, applications: item("toolchain"), max_duration: hour, ..rule("r") },
        ),
    ] {
        assert_eq!(approved_by(vec![rule.clone()]).is_some(), matches, "{rule:?}");
    }
}

#[test]
fn the_first_rule_that_matches_is_the_one_recorded() {
    let interns = AutomaticRule { accounts: Some(groups(&["interns"])), ..rule("interns") };
    assert_eq!(approved_by(vec![interns.clone(), rule("second"), rule("third")]).as_deref(), Some("second"));
    assert_eq!(approved_by(vec![interns]), None, "people decide");
    assert_eq!(approved_by(Vec::new()), None);
    let mut world = world(vec![rule("trusted")]);
    world.step(0);
    assert_eq!(world.events, [EventKind::Accepted, EventKind::Approved, EventKind::Activated]);
    assert!(world.status().decisions.is_empty());
    assert_eq!(world.status().granted.unwrap().end, at(1800));
}

#[test]
fn the_policys_default_is_what_a_rule_measures_where_nothing_is_asked() {
    let short = AutomaticRule { max_duration: Some(Duration::from_secs(600)), ..rule("short") };
    let mut world = world(vec![short]);
    world.request.wish.duration = Some(Duration::from_secs(600));
    assert_eq!(world.step(0), State::Active);
}

#[test]
fn without_a_program_no_rule_for_programs_matches() {
    let by_item = AutomaticRule { applications: vec!["toolchain".parse().unwrap()], ..rule("items") };
    let mut world = world(vec![by_item]);
    world.policy().rules.elevation.mode = Mode::AnyApplication;
    world.request.wish.application = None;
    assert_eq!(world.step(0), State::Pending);
}

#[test]
fn what_is_asked_on_behalf_needs_the_signature_of_the_endpoints_agent() {
    for (attested, state) in [(false, State::Pending), (true, State::Active)] {
        let mut world = world(vec![rule("trusted")]);
        world.request.wish.requester = "help@corp".parse().unwrap();
        world.request.wish.on_behalf = true;
        world.request.attested = attested;
        assert_eq!(world.step(0), state);
    }
}

#[test]
fn no_rule_approves_what_is_not_accepted() {
    let edits: [fn(&mut World); 4] = [
        |w| {
            w.lock(Effect::DeclineNew, identities(&["alice@corp"]));
        },
        |w| w.request.wish.reason.clear(),
        |w| w.policy().suspended = true,
        |w| w.request.wish.application = None,
    ];
    for edit in edits {
        let mut world = world(vec![rule("trusted")]);
        edit(&mut world);
        assert_eq!(world.step(0), State::Declined);
        assert!(world.signed.is_empty());
    }
}

#[test]
fn what_a_rule_approved_is_ended_like_anything_else() {
    for (line, state) in
        [("bob@corp deny", State::Revoked), ("eve@corp revoke", State::Revoked), ("alice@corp end", State::Ended)]
    {
        let mut world = world(vec![rule("trusted")]);
        world.step(0);
        assert_eq!(counts(&mut world, line), state);
    }
}

#[test]
fn a_request_that_a_rule_did_not_approve_at_once_waits_for_people() {
    let mut world = world(vec![AutomaticRule { accounts: Some(groups(&["trusted"])), ..rule("trusted") }]);
    assert_eq!(world.step(0), State::Pending);
    let account = world.endpoint().accounts.get_mut(&"alice".parse().unwrap()).unwrap();
    account.groups = ["trusted".parse().unwrap()].into();
    assert_eq!(world.step(1), State::Pending, "rules are asked when a request comes in");
}

#[test]
fn a_rule_is_read_as_it_was_written_down() {
    for max_duration in [None, Some(Duration::from_secs(900))] {
        let written = AutomaticRule { max_duration, ..rule("short") };
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(text.contains("\"maxDuration\":900"), max_duration.is_some(), "{text}");
        assert_eq!(serde_json::from_str::<AutomaticRule>(&text).unwrap(), written);
    }
}
