//! What the rules' digest pins, what compilation keeps, and the bounds of a duration.

use super::*;
use crate::envelope::fixture;

fn checked() -> Policy {
    let PolicyBody { policy, targets, elevation, access } = fixture::policy();
    Policy { reference: policy, rules: Rules { targets, elevation, access } }
}

#[test]
fn compilation_keeps_reference_and_rules() {
    assert_eq!(checked().compile(), fixture::policy());
}

#[test]
fn the_digest_is_the_same_for_equal_rules_whatever_the_generation() {
    let mut later = checked();
    later.reference.generation += 1;
    assert_eq!(later.rules.digest(), checked().rules.digest());
}

#[test]
fn any_change_of_the_rules_changes_the_digest() {
    let changes: [fn(&mut Rules); 5] = [
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
