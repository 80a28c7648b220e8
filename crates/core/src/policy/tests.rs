//! What the rules' digest pins, what compilation keeps, how a policy stands, and what makes it too large.

use super::*;
use crate::access::DurationRule;
use crate::approval::rule::Stage;
use crate::elevation::{Mode, Protection};
use crate::endpoint::Agent;
use crate::envelope::fixture::{self, at};
use crate::name::{Account, EndpointName};
use crate::part::Part;
use crate::target::{EndpointTarget, Platform};

fn checked() -> Policy {
    let PolicyBody { policy, targets, elevation, access, reminders, offline_tolerance } = fixture::policy();
    let approval = ApprovalRules::default();
    let rules = Rules { targets, elevation, access, approval, reminders, offline_tolerance };
    Policy { reference: policy, suspended: false, rules }
}

#[test]
fn compilation_keeps_reference_and_rules() {
    assert_eq!(checked().compile(), fixture::policy());
}

#[test]
fn endpoints_do_not_learn_who_approves() {
    let mut policy = checked();
    let stage = Stage { name: "secret-stage".parse().unwrap(), approvals: 2 };
    policy.rules.approval.stages.push(stage);
    let bytes = Part { header: fixture::header(5), body: policy.compile() }.to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains("secret-stage") && !text.contains("approval"), "{text}");
    assert_eq!(policy.compile(), checked().compile());
}

#[test]
fn the_digest_is_the_same_for_equal_rules_whatever_the_generation() {
    let mut later = checked();
    later.reference.generation += 1;
    assert_eq!(later.rules.digest(), checked().rules.digest());
}

#[test]
fn any_change_of_the_rules_changes_the_digest() {
    let changes: [fn(&mut Rules); 10] = [
        |rules| rules.elevation.mode = Mode::AdminSession,
        |rules| rules.elevation.run_as = "deploy".parse().unwrap(),
        |rules| rules.approval.stages.push(Stage { name: "security".parse().unwrap(), approvals: 2 }),
        |rules| rules.reminders.clear(),
        |rules| rules.offline_tolerance = Duration::ZERO,
        |rules| rules.targets.accounts.everyone = true,
        |rules| rules.targets.accounts.except.names.extend(["bob".parse().ok()].into_iter().flatten()),
        |rules| rules.access = fixture::window().access,
        |rules| {
            if let Access::OnRequest { on_request } = &mut rules.access {
                on_request.duration.max += Duration::from_secs(1);
            }
        },
        |rules| {
            if let Access::OnRequest { on_request } = &mut rules.access {
                on_request.reason.required = false;
            }
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut rules = checked().rules;
        change(&mut rules);
        assert_ne!(rules.digest(), checked().rules.digest(), "change {index}");
    }
}

#[test]
fn a_duration_is_allowed_from_min_to_max_inclusive() {
    let seconds = Duration::from_secs;
    let rule = DurationRule { min: seconds(5), max: seconds(10), default: seconds(7) };
    for (duration, allowed) in [(4, false), (5, true), (10, true), (11, false)] {
        assert_eq!(rule.allows(seconds(duration)), allowed, "{duration}");
    }
}

// === reach and standing ===

/// Some endpoints of the fleet: three of team dev (one on Linux, one on Windows, one unknown) and one of another team.
fn endpoints() -> Vec<Endpoint> {
    let endpoint = |name: &str, team: &str, platform: Option<Platform>| Endpoint {
        reference: crate::name::Named { name: name.parse::<EndpointName>().unwrap(), uid: fixture::uid(name) },
        labels: [("team".to_owned(), team.to_owned())].into(),
        owner: None,
        people: Vec::new(),
        accounts: [].into(),
        agent: platform.map(|platform| Agent {
            platform: Some(platform),
            version: "1.2".parse().ok(),
            ..Agent::default()
        }),
    };
    vec![
        endpoint("linux", "dev", Some(Platform::Linux)),
        endpoint("windows", "dev", Some(Platform::Windows)),
        endpoint("unknown", "dev", None),
        endpoint("other", "sales", Some(Platform::Linux)),
    ]
}

fn reach(change: impl FnOnce(&mut Rules)) -> (usize, usize, usize) {
    let mut policy = checked();
    change(&mut policy.rules);
    let Reach { total, matched, withheld } = policy.reach(&endpoints());
    (total, matched, withheld)
}

#[test]
fn endpoints_that_are_targeted_and_those_that_do_not_receive_the_policy_are_counted() {
    let names = |names: &[&str]| EndpointTarget::Names(names.iter().map(|name| name.parse().unwrap()).collect());
    assert_eq!(reach(|_| ()), (4, 3, 0));
    assert_eq!(reach(|rules| rules.targets.endpoints = names(&["other", "gone"])), (4, 1, 0));
    assert_eq!(reach(|rules| rules.targets.endpoints = names(&["gone"])), (4, 0, 0));
    assert_eq!(reach(|rules| rules.targets.platforms = [Platform::Linux].into()), (4, 3, 2));
    assert_eq!(
        reach(|rules| rules.targets.min_agent_version = "1.2".parse().ok()),
        (4, 3, 1),
        "nobody knows the third"
    );
    assert_eq!(reach(|rules| rules.targets.min_agent_version = "1.3".parse().ok()), (4, 3, 3));
    assert_eq!(reach(|rules| rules.elevation.protections = [Protection::Agent].into()), (4, 3, 3));
    assert_eq!(checked().reach(&[]), Reach::default());
}

#[test]
fn how_a_policy_stands_is_said_in_words() {
    let some = Reach { total: 12, matched: 3, withheld: 0 };
    let open = checked();
    let closed = Policy { rules: Rules { access: fixture::window().access, ..open.rules.clone() }, ..open.clone() };
    let suspended = Policy { suspended: true, ..closed.clone() };
    let text = "suspended: nobody can ask and nothing is granted ahead; active grants run out";
    for (policy, reach, second, word, message) in [
        (&open, some, 0, "Compiled", "signed for 3 of 12 endpoints"),
        (
            &open,
            Reach { withheld: 1, ..some },
            0,
            "Compiled",
            "signed for 3 of 12 endpoints; withheld from 1 whose platform or agent does not fit or is unknown",
        ),
        (&open, Reach { matched: 0, ..some }, 0, "NoEndpoints", "team=dev matches none of 12 endpoints"),
        (&closed, some, 199, "Compiled", "signed for 3 of 12 endpoints"),
        (&closed, some, 200, "Closed", "access ended at 2026-11-22T10:03:20Z"),
        (&closed, Reach::default(), 200, "Closed", "access ended at 2026-11-22T10:03:20Z"),
        (&suspended, some, 200, "Suspended", text),
        (&suspended, Reach::default(), 0, "Suspended", text),
    ] {
        let (standing, said) = policy.standing(reach, at(second));
        assert_eq!((standing.as_str(), said.as_str()), (word, message));
    }
}

#[test]
fn a_policy_wakes_when_its_access_begins_or_ends() {
    let policy = |body: PolicyBody| Policy { rules: Rules { access: body.access, ..checked().rules }, ..checked() };
    for (what, policy, second, edge) in [
        ("on request", checked(), 0, None),
        ("window", policy(fixture::window()), 0, Some(100)),
        ("window", policy(fixture::window()), 100, Some(200)),
        ("window", policy(fixture::window()), 200, None),
        ("fixed", policy(fixture::fixed()), 399, Some(400)),
        ("recurring", policy(fixture::recurring()), 0, Some(3600)),
        ("recurring", policy(fixture::recurring()), 3600, Some(5400)),
        ("recurring", policy(fixture::recurring()), 5400, Some(3600 + 7 * 86_400)),
    ] {
        assert_eq!(policy.wake(at(second)), edge.map(at), "{what} {second}");
    }
    let weekly = policy(fixture::recurring());
    let reach = Reach { total: 1, matched: 1, withheld: 0 };
    assert_eq!(weekly.standing(reach, at(5400)).0, Standing::Compiled, "what comes back is never closed");
}

// === size ===

#[test]
fn a_part_above_the_limit_names_the_largest_field() {
    assert_eq!(fixture::policy().too_large(MAX_COMPILED), None);
    let accounts = |count: usize| (0..count).map(|n| format!("account-{n}").parse::<Account>().unwrap()).collect();
    let endpoints = |count: usize| (0..count).map(|n| format!("endpoint-{n}").parse().unwrap()).collect();
    let applications = |count| vec![fixture::recurring().elevation.applications[0].clone(); count];
    for (field, many) in
        [("spec.elevation.applications", 0), ("spec.targets.accounts", 1), ("spec.targets.endpoints", 2)]
    {
        let count = |index| if index == many { 200 } else { 3 };
        let mut policy = fixture::policy();
        policy.elevation.applications = applications(count(0));
        policy.targets.accounts.names = accounts(count(1));
        policy.targets.endpoints = EndpointTarget::Names(endpoints(count(2)));
        let message = policy.too_large(MAX_COMPILED + 1).unwrap();
        assert!(message.contains(&format!("of them are {field}: shorten it")), "{message}");
        assert!(message.contains("has 262145 bytes, and at most 262144"), "{message}");
    }
}
