//! Whatever order, age and damage parts come in: no right without its part, none that the newest fleet part does not allow.

mod lying;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static GOOD: LazyLock<Acceptance> = LazyLock::new(good);
static PARTS: LazyLock<Parts> = LazyLock::new(parts);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn absence_from_a_manifest_ends_a_right_accepted_or_refused(
        present in prop::array::uniform5(any::<bool>()),
        broken in any::<bool>(),
        second in -10i64..210,
    ) {
        let kept = PARTS.iter().zip(present).filter(|(_, is_present)| *is_present);
        let mut named: Parts = kept.map(|(part, _)| part.clone()).collect();
        if broken && let Some((_, signed)) = named.first_mut() {
            signed.envelope.signatures.clear();
        }
        let after = match accept_next(Some(&GOOD), &named) {
            Ok(acceptance) => vec![acceptance.snapshot],
            Err(refusal) => vec![GOOD.snapshot.keep_named(&refusal.named.unwrap()), refusal.left.unwrap().snapshot],
        };
        let named: BTreeSet<PartName> = named.into_iter().map(|(name, _)| name).collect();
        for after in after {
            for right in after.rights(at(second)) {
                let by = match right.source {
                    RightSource::Grant { request, .. } => PartName::Grant(request.uid),
                    RightSource::Policy { uid, .. } => PartName::Policy(uid),
                };
                prop_assert!(named.contains(&by), "{by} gives a right and is not named");
                prop_assert!(named.contains(&PartName::Fleet) && named.contains(&PartName::Placement));
            }
            let held: BTreeSet<PartName> = after.manifest.parts.iter().map(|entry| entry.name.clone()).collect();
            prop_assert!(held.is_subset(&named), "{held:?}");
        }
    }

    #[test]
    fn no_right_holds_outside_its_interval(start in 0i64..40, end in 0i64..40, second in -5i64..45) {
        let grant = GrantBody { not_before: at(start), not_after: at(end), ..fixture::grant() };
        let parts = vec![PARTS[0].clone(), PARTS[1].clone(), (grant_name(), signed(grant, 5))];
        let snapshot = accept_first(&parts).unwrap().snapshot;
        let holds = snapshot.rights(at(second)).iter().any(|r| r.interval.position(at(second)) == Position::Inside);
        prop_assert_eq!(holds, start <= second && second < end);
        prop_assert!(snapshot.next_edge(at(second)).is_none_or(|edge| edge > at(second)));
    }

    #[test]
    fn sequences_in_use_never_fall(sequences in prop::collection::vec(1u64..6, 1..8)) {
        let mut state: Option<Acceptance> = None;
        for sequence in sequences {
            let named = signed(naming(&[(POLICY_UID, sequence)]), sequence);
            let parts: Parts =
                vec![(PartName::Fleet, named), (policy_name(), signed(fixture::policy(), sequence))];
            let next = accept_next(state.as_ref(), &parts).unwrap();
            let before = state.as_ref().map(|before| before.snapshot.policies[&uid(POLICY_UID)].header.sequence);
            let used = next.snapshot.policies[&uid(POLICY_UID)].header.sequence;
            prop_assert_eq!(Some(used), before.max(Some(sequence)));
            prop_assert_eq!(next.snapshot.fleet.as_ref().map(|fleet| fleet.header.sequence), Some(used));
            prop_assert_eq!((next.floors.get(&policy_name()), next.floors.get(&PartName::Fleet)), (used, used));
            state = Some(next);
        }
    }

    #[test]
    fn any_json_in_the_place_of_a_manifest_is_refused_without_panic(text in "\\PC{0,60}", number: i64) {
        for value in [serde_json::json!(text), serde_json::json!({ "schema": number }), serde_json::json!([number])] {
            let manifest = serde_json::value::to_raw_value(&value).unwrap();
            let body = SnapshotBody { manifest, parts: BTreeMap::new() };
            prop_assert!(accept(&body, &ring(), &me(), None, &Floors::default()).is_err());
        }
    }
}
