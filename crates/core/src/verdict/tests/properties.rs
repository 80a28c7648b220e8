//! What holds of every snapshot and every question. The values are few, so that rights overlap, miss and stand in each other's
//! way all the time.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::super::index::{Index, Paths};
use super::corpus::set;
use super::*;
use crate::application::{Application, Attribute, Blocklist, Match, Rule};
use crate::fleet::Locked;
use crate::interval::Position;
use crate::policy::PolicyBody;

use self::world::{Question as Asked, World, block, excepting, lock, policies, question, rule, world};

/// One more thing that denies.
#[derive(Debug, Clone)]
enum Deny {
    /// An item leaves out what the rule matches; which item, counted over all policies.
    Except(usize, Box<Rule>),
    /// A policy leaves an account out.
    Account(usize, Account),
    Blocklist(Blocklist),
    Lock(Locked),
    /// A grant is revoked: it is not there.
    Revoked(usize),
    /// A policy is not in force any more.
    Withdrawn(usize),
    Contact(Duration),
}

fn deny() -> impl Strategy<Value = Deny> {
    prop_oneof![
        4 => (0usize..8, rule()).prop_map(|(place, rule)| Deny::Except(place, Box::new(rule))),
        1 => (0usize..4, prop::sample::select(vec!["alice", "bob"])).prop_map(|(place, name)| Deny::Account(place, name.parse().unwrap())),
        3 => block("zz-more").prop_map(Deny::Blocklist),
        1 => lock().prop_map(Deny::Lock),
        1 => (0usize..3).prop_map(Deny::Revoked),
        1 => (0usize..4).prop_map(Deny::Withdrawn),
        1 => (0u64..200).prop_map(|age| Deny::Contact(Duration::from_secs(age))),
    ]
}

impl Deny {
    fn add(self, world: &mut World, asked: &mut Asked) {
        match self {
            Self::Except(place, rule) => {
                let mut items = world.policies.iter_mut().flat_map(|policy| &mut policy.elevation.applications);
                if let Some(item) = items.nth(place) {
                    *item = excepting(item, *rule);
                }
            }
            Self::Account(place, account) => {
                if let Some(policy) = world.policies.get_mut(place) {
                    policy.targets.accounts.except.names.insert(account);
                }
            }
            Self::Blocklist(list) => world.fleet.blocklists.push(list),
            Self::Lock(lock) => world.fleet.locked.push(lock),
            Self::Revoked(place) if place < world.grants.len() => drop(world.grants.remove(place)),
            Self::Withdrawn(place) if place < world.policies.len() => drop(world.policies.remove(place)),
            Self::Revoked(_) | Self::Withdrawn(_) => {}
            Self::Contact(age) => asked.contact.age = asked.contact.age.max(age),
        }
    }
}

/// Whichever Lock is told: of several that stop somebody it is the first, and their order is by name.
fn any_lock(verdict: Verdict<'_>) -> Verdict<'_> {
    match verdict.outcome {
        Outcome::Deny(denial) => Verdict { outcome: Outcome::Deny(Denial { lock: None, ..denial }), ..verdict },
        Outcome::NotManaged | Outcome::Allow(_) | Outcome::Ask(_) => verdict,
    }
}

fn turned(world: &World) -> World {
    let mut turned = world.clone();
    let reverse = |items: &mut Vec<Application>| {
        items.reverse();
        for item in items {
            let except = item.except().iter().rev().cloned().collect();
            *item = Application::new(item.name.clone(), item.rule().clone(), except).unwrap();
        }
    };
    turned.policies.reverse();
    turned.policies.iter_mut().for_each(|policy| reverse(&mut policy.elevation.applications));
    turned.grants.reverse();
    turned.fleet.locked.reverse();
    turned.fleet.blocklists.reverse();
    turned.fleet.blocklists.iter_mut().for_each(|list| reverse(&mut list.applications));
    turned
}

/// JSON with the members of every object from last to first.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev().map(|(name, value)| format!("{name:?}:{}", backwards(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_index_says_what_a_look_at_every_item_says(world in world(), asked in question()) {
        let snapshot = world.snapshot();
        let by_index = evaluate(&Rights::new(&snapshot), &asked.query(), asked.now);
        let by_looking = evaluate(&Rights::without_index(&snapshot), &asked.query(), asked.now);
        prop_assert_eq!(by_index, by_looking);
    }

    #[test]
    fn the_index_leaves_out_nothing_but_what_certainly_does_not_match(
        rules in prop::collection::vec(rule(), 1..6), asked in question(),
    ) {
        let index = Index::new(rules.iter().zip(0usize..));
        let found = |paths| {
            let mut found = BTreeSet::new();
            index.each(&asked.facts, paths, |place| found.extend([place]));
            found
        };
        let (both, either) = (found(Paths::Both), found(Paths::Either));
        for (place, rule) in rules.iter().enumerate() {
            prop_assert!(rule.matches(&asked.facts) == Match::No || both.contains(&place), "{}", rule);
            prop_assert!(rule.excludes(&asked.facts) == Match::No || either.contains(&place), "{}", rule);
        }
    }

    #[test]
    fn the_order_of_parts_and_items_never_changes_a_verdict(world in world(), asked in question()) {
        let (one, other) = (world.snapshot(), turned(&world).snapshot());
        let verdict = evaluate(&Rights::new(&one), &asked.query(), asked.now);
        prop_assert_eq!(any_lock(verdict), any_lock(evaluate(&Rights::new(&other), &asked.query(), asked.now)));
    }

    #[test]
    fn an_attribute_in_error_never_allows_more(
        world in world(), asked in question(), attribute in prop::sample::select(Attribute::ALL.to_vec()),
    ) {
        let snapshot = world.snapshot();
        let rights = Rights::new(&snapshot);
        let before = evaluate(&rights, &asked.query(), asked.now);
        let mut worse = asked.clone();
        set(&mut worse.facts, attribute, true);
        let after = evaluate(&rights, &worse.query(), worse.now);
        // Whoever asks may not know the platform: that is no error, and leaves open whether there are such paths on it.
        prop_assume!(attribute != Attribute::Platform || asked.kind == Kind::Run);
        prop_assert!(before.allows() || !after.allows(), "{:?} became {:?}", before, after);
    }

    #[test]
    fn one_more_deny_never_turns_a_no_into_a_yes(world in world(), asked in question(), deny in deny()) {
        let mut less = (world.clone(), asked.clone());
        deny.add(&mut less.0, &mut less.1);
        let (before, after) = (world.snapshot(), less.0.snapshot());
        let before = evaluate(&Rights::new(&before), &asked.query(), asked.now);
        let after = evaluate(&Rights::new(&after), &less.1.query(), asked.now);
        prop_assert!(before.allows() || !after.allows(), "{:?} became {:?}", before, after);
        // Where there is no right that an obstacle could move below what can be asked for, that does not appear either.
        let is_on_request = |policy: &PolicyBody| policy.access.terms().is_some();
        if world.grants.is_empty() && world.policies.iter().all(is_on_request) && asked.kind == Kind::Run {
            let can_ask = |verdict: &Verdict<'_>| matches!(verdict.outcome, Outcome::Ask(_));
            prop_assert!(can_ask(&before) || !can_ask(&after), "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn the_order_of_fields_never_changes_a_policy(policies in policies()) {
        for policy in &policies {
            let json = backwards(&serde_json::to_value(policy).unwrap());
            prop_assert_eq!(&serde_json::from_str::<PolicyBody>(&json).unwrap(), policy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_allowed_is_a_right_of_the_snapshot_now(world in world(), asked in question()) {
        let snapshot = world.snapshot();
        if let Outcome::Allow(credit) = evaluate(&Rights::new(&snapshot), &asked.query(), asked.now).outcome {
            let rights = snapshot.rights(asked.now);
            let is_credited = rights.iter().any(|right| {
                right.account == asked.account
                    && right.interval.position(asked.now) == Position::Inside
                    && (right.interval.end, right.mode) == (credit.deadline, credit.obligations.mode)
                    && asked.now <= right.fresh_until
            });
            prop_assert!(is_credited, "{:?}", credit);
        }
    }

    #[test]
    fn every_verdict_has_a_text_of_one_line(world in world(), asked in question()) {
        let snapshot = world.snapshot();
        let rights = Rights::new(&snapshot);
        let text = rights.text(&asked.query(), &evaluate(&rights, &asked.query(), asked.now), asked.now);
        prop_assert!(!text.contains('\n') && (10..4000).contains(&text.len()), "{}", text);
    }
}

/// The questions are not all answered alike, or the properties would say little.
#[test]
fn every_reason_of_the_table_from_line_7_on_is_met() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met = BTreeSet::new();
    for _ in 0..3000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        let asked = question().new_tree(&mut runner).unwrap().current();
        met.insert(evaluate(&Rights::new(&world.snapshot()), &asked.query(), asked.now).reason);
    }
    let unmet: Vec<Reason> = Reason::ALL.into_iter().skip(6).filter(|reason| !met.contains(reason)).collect();
    assert_eq!(unmet, []);
}
