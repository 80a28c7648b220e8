//! What refuses a part that is proven: it counts as absent, and the others apply.

use super::*;
use crate::elevation::{Mode, OnExpiry, Protection};
use crate::endpoint::Agent;
use crate::part::SCHEMA;
use crate::target::Platform;

/// A case by name, what it changes, and the agent that cannot do it.
type Case<B, A> = (&'static str, fn(&mut B), A);

#[test]
fn a_proven_part_that_is_not_understood_counts_as_absent_and_the_others_apply() {
    let bytes = String::from_utf8(signed(fixture::grant(), 6).envelope.payload).unwrap();
    let newer = bytes.replacen(&format!("\"schema\":{SCHEMA}"), "\"schema\":2", 1);
    let richer = bytes.replacen("\"mode\":", "\"sandbox\":true,\"mode\":", 1);
    let first = good();
    for (text, code) in [(newer, RefusalCode::UnknownSchema), (richer, RefusalCode::UnknownRule)] {
        let parts = with(grant_name(), payload(PartKind::Grant, &text, &key()));
        let body = body(&manifest(&parts), &parts);
        let acceptance = accept(&body, &ring(), &me(), Some(&first.snapshot), &first.floors).unwrap();
        let refused: Vec<_> = acceptance.refused.iter().map(|r| (r.name.clone(), r.code)).collect();
        assert_eq!(refused, [(grant_name(), code)]);
        assert!(acceptance.snapshot.grants.is_empty(), "its older version counts as absent too");
        assert_eq!(acceptance.snapshot.manifest.part(&grant_name()), None);
        assert_eq!(acceptance.snapshot.policies, first.snapshot.policies);
    }
}

#[test]
fn an_older_part_is_a_rollback_and_the_newer_one_stays() {
    let mut narrower = fixture::policy();
    narrower.targets.accounts.except.names.insert("alice".parse().unwrap());
    let newer = with(policy_name(), signed(narrower.clone(), 6));
    let newer = replaced(newer, PartName::Fleet, signed(naming(&[(POLICY_UID, 6), (WINDOW_UID, 5)]), 6));
    let second = accept_first(&newer).unwrap();
    assert_eq!(codes(&second), []);
    let third = accept_next(Some(&second), &parts()).unwrap();
    assert_eq!(codes(&third), [PartName::Fleet, policy_name()].map(|name| (name, RefusalCode::Rollback)));
    assert_eq!(third.snapshot, second.snapshot);
    assert_eq!(third.snapshot.policies[&uid(POLICY_UID)].body, narrower);
    assert_eq!(third.floors, second.floors);
    let stored = third.snapshot.to_body().unwrap();
    let restarted = accept(&stored, &ring(), &me(), None, &third.floors).unwrap();
    assert_eq!(
        (restarted.snapshot, restarted.refused),
        (third.snapshot, Vec::new()),
        "the newer one is what is on disk"
    );
}

#[test]
fn a_rollback_without_the_newer_part_leaves_the_part_absent() {
    let mut floors = Floors::default();
    floors.raise(&PartName::Placement, 6);
    let acceptance = accept(&body(&manifest(&parts()), &parts()), &ring(), &me(), None, &floors).unwrap();
    let expected = [(PartName::Placement, RefusalCode::Rollback), (grant_name(), RefusalCode::NotInForce)];
    assert_eq!(codes(&acceptance), expected);
    assert_eq!(acceptance.snapshot.placement, None);
    assert!(right_names(&acceptance.snapshot, 15).is_empty(), "without a placement no policy is selected");
}

#[test]
fn what_was_in_use_does_not_stay_if_it_is_below_the_floor_itself() {
    let first = good();
    let mut floors = first.floors.clone();
    floors.raise(&policy_name(), 7);
    let older = with(policy_name(), signed(fixture::policy(), 4));
    let acceptance = accept(&body(&manifest(&older), &older), &ring(), &me(), Some(&first.snapshot), &floors).unwrap();
    assert_eq!(acceptance.refused[0].code, RefusalCode::Rollback);
    assert!(!acceptance.snapshot.policies.contains_key(&uid(POLICY_UID)));
    assert_eq!(acceptance.snapshot.manifest.part(&policy_name()), None);
}

#[test]
fn what_was_in_use_does_not_stay_if_its_key_is_gone() {
    let theirs = sign(placement(), header(9), &stranger()).unwrap();
    let both = KeyRing::new(me().trust_domain, vec![fixture::trusted(&key()), fixture::trusted(&stranger())]);
    let parts = with(PartName::Placement, theirs);
    let first = accept(&body(&manifest(&parts), &parts), &both, &me(), None, &Floors::default()).unwrap();
    assert_eq!(codes(&first), []);
    let second = accept_next(Some(&first), &super::parts()).unwrap();
    assert_eq!(codes(&second)[0], (PartName::Placement, RefusalCode::Rollback));
    assert_eq!(second.snapshot.placement, None);
}

#[test]
fn what_the_agent_cannot_enforce_or_is_not_for_it_counts_as_absent_and_the_others_stay() {
    let able = Agent {
        version: "2.0".parse().ok(),
        platform: Some(Platform::Linux),
        capabilities: ["allowlisting", "protect", "logoff"].map(str::to_owned).into(),
    };
    let unable = |word: &str| {
        let capabilities = able.capabilities.iter().filter(|other| *other != word).cloned().collect();
        Agent { capabilities, ..able.clone() }
    };
    let policy_cases: [Case<PolicyBody, Agent>; 7] = [
        (
            "version",
            |p| p.targets.min_agent_version = "2".parse().ok(),
            Agent { version: "1.9".parse().ok(), ..able.clone() },
        ),
        ("no version", |p| p.targets.min_agent_version = "2".parse().ok(), Agent { version: None, ..able.clone() }),
        (
            "platform",
            |p| p.targets.platforms = [Platform::Linux].into(),
            Agent { platform: Some(Platform::MacOs), ..able.clone() },
        ),
        ("no platform", |p| p.targets.platforms = [Platform::Linux].into(), Agent { platform: None, ..able.clone() }),
        ("mode", |p| p.elevation.mode = Mode::Allowlisting, unable("allowlisting")),
        ("protection", |p| p.elevation.protections = [Protection::Agent].into(), unable("protect")),
        ("end", |p| p.elevation.on_expiry = OnExpiry::LogOff, unable("logoff")),
    ];
    let judged = |parts: &Parts, agent: &Agent| {
        let me = Me { agent: agent.clone(), ..me() };
        accept(&body(&manifest(parts), parts), &ring(), &me, Some(&good().snapshot), &Floors::default()).unwrap()
    };
    for (what, change, agent) in policy_cases {
        let mut policy = fixture::policy();
        change(&mut policy);
        let mut parts = with(policy_name(), signed(policy, 6));
        parts = replaced(parts, PartName::Fleet, signed(naming(&[(POLICY_UID, 6), (WINDOW_UID, 5)]), 6));
        assert_eq!(codes(&judged(&parts, &able)), [], "{what}");
        let refused = judged(&parts, &agent);
        assert_eq!(codes(&refused), [(policy_name(), RefusalCode::NotEnforceable)], "{what}");
        assert_eq!(
            refused.snapshot.policies.keys().collect::<Vec<_>>(),
            [&uid(WINDOW_UID)],
            "{what}: nor its older version"
        );
        assert_eq!(refused.snapshot.grants.len(), 1, "{what}");
        assert_eq!(refused.floors.get(&policy_name()), 0, "{what}");
    }
}

#[test]
fn a_grant_that_the_agent_cannot_enforce_counts_as_absent_and_the_others_stay() {
    let cases: [Case<GrantBody, ()>; 3] = [
        ("allowlisting", |g| g.elevation.mode = Mode::Allowlisting, ()),
        ("protect", |g| g.elevation.protections = [Protection::PrivilegedAccounts].into(), ()),
        ("logoff", |g| g.elevation.on_expiry = OnExpiry::LogOff, ()),
    ];
    for (word, change, ()) in cases {
        let mut grant = fixture::grant();
        change(&mut grant);
        let parts = with(grant_name(), signed(grant, 5));
        let refused = accept_first(&parts).unwrap();
        assert_eq!(codes(&refused), [(grant_name(), RefusalCode::NotEnforceable)]);
        assert!(refused.refused[0].message.contains(word), "{}", refused.refused[0].message);
        assert_eq!((refused.snapshot.grants.len(), refused.snapshot.policies.len()), (0, 2));
        let able = Me { agent: Agent { capabilities: [word.to_owned()].into(), ..Agent::default() }, ..me() };
        let accepted = accept(&body(&manifest(&parts), &parts), &ring(), &able, None, &Floors::default()).unwrap();
        assert_eq!(codes(&accepted), []);
    }
}
