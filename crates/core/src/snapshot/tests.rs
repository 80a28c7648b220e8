//! What refuses a manifest, what refuses a part, that absence always counts, and when rights hold.

use proptest::prelude::*;

use super::*;
use crate::envelope::fixture::{
    self, POLICY_UID, REQUEST_UID, WINDOW_UID, at, body, fleet_of_old, header, key, manifest, me, parts, placement,
    ring, signed, stranger, uid,
};
use crate::envelope::{Signed, sign};
use crate::floor::Floors;
use crate::key::SigningKey;
use crate::keyring::KeyRing;
use crate::name::FleetRef;
use crate::part::{Header, PartKind, SCHEMA};
use crate::refusal::RefusalCode;
use crate::wire::limit;

type Parts = Vec<(PartName, Signed)>;

fn accept_first(parts: &Parts) -> Result<Acceptance, ManifestRefusal> {
    accept(&body(&manifest(parts), parts), &ring(), &me(), None, &Floors::default())
}

fn good() -> Acceptance {
    accept_first(&parts()).unwrap()
}

/// The usual parts with this one in the place of its namesake.
fn with(name: PartName, signed: Signed) -> Parts {
    let mut parts = parts();
    parts.retain(|(other, _)| *other != name);
    parts.push((name, signed));
    parts
}

fn grant_name() -> PartName {
    PartName::Grant(uid(REQUEST_UID))
}

fn policy_name() -> PartName {
    PartName::Policy(uid(POLICY_UID))
}

fn payload(kind: PartKind, payload: &str, key: &SigningKey) -> Signed {
    let envelope = Envelope::seal(kind, payload.as_bytes().to_vec(), key);
    Signed { digest: envelope.digest(), sequence: 0, envelope }
}

fn all_names() -> BTreeSet<PartName> {
    parts().into_iter().map(|(name, _)| name).collect()
}

// === accepted ===

#[test]
fn a_proven_snapshot_is_accepted_with_all_its_parts() {
    let Acceptance { snapshot, floors, refused } = good();
    assert_eq!(refused, []);
    assert_eq!(snapshot.manifest, manifest(&parts()));
    assert_eq!(snapshot.placement.as_ref().map(|p| &p.body), Some(&placement()));
    assert_eq!(snapshot.policies.keys().collect::<Vec<_>>(), [&uid(POLICY_UID), &uid(WINDOW_UID)]);
    assert_eq!(snapshot.grants[&uid(REQUEST_UID)].body, fixture::grant());
    assert_eq!(snapshot.issued_time(), Some(at(0)));
    assert_eq!(floors.get(&PartName::Placement), 5);
    assert_eq!(floors.get(&policy_name()), 5);
}

#[test]
fn the_newest_issued_time_of_any_part_counts() {
    for name in all_names() {
        let later = Header { issued_time: at(30), ..header(6) };
        let signed = match &name {
            PartName::Placement => sign(placement(), later, &key()),
            PartName::Policy(uid) if uid.as_str() == POLICY_UID => sign(fixture::policy(), later, &key()),
            PartName::Policy(_) => sign(fixture::window(), later, &key()),
            PartName::Grant(_) => sign(fixture::grant(), later, &key()),
        };
        let snapshot = accept_first(&with(name.clone(), signed.unwrap())).unwrap().snapshot;
        assert_eq!(snapshot.issued_time(), Some(at(30)), "{name}");
    }
}

#[test]
fn what_is_stored_gives_the_same_snapshot_again() {
    let first = good();
    let text = serde_json::to_string(&first.snapshot.to_body().unwrap()).unwrap();
    let stored: SnapshotBody = serde_json::from_str(&text).unwrap();
    let again = accept(&stored, &ring(), &me(), None, &first.floors).unwrap();
    assert_eq!(again, first);
}

#[test]
fn a_part_that_the_body_leaves_out_is_taken_from_the_previous_snapshot() {
    let first = good();
    let empty = body(&manifest(&parts()), &[]);
    let again = accept(&empty, &ring(), &me(), Some(&first.snapshot), &first.floors).unwrap();
    assert_eq!(again.snapshot, first.snapshot);
    let refusal = accept(&empty, &ring(), &me(), None, &first.floors).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Truncated);
}

#[test]
fn a_held_part_is_verified_again_with_the_keys_of_now() {
    let first = good();
    let other_keys = KeyRing::new(me().trust_domain, vec![fixture::trusted(&stranger())]);
    let refusal = accept(&body(&manifest(&parts()), &[]), &other_keys, &me(), Some(&first.snapshot), &first.floors);
    assert_eq!(refusal.unwrap_err().code, RefusalCode::WrongKey);
}

#[test]
fn parts_that_the_manifest_does_not_name_are_ignored() {
    let all = parts();
    let named: Parts = all.iter().filter(|(name, _)| *name != grant_name()).cloned().collect();
    let acceptance = accept(&body(&manifest(&named), &all), &ring(), &me(), None, &Floors::default()).unwrap();
    assert!(acceptance.snapshot.grants.is_empty());
    assert_eq!(acceptance.snapshot.envelopes.len(), named.len());
}

// === the manifest is refused ===

#[test]
fn a_manifest_of_another_endpoint_fleet_or_installation_is_refused_and_says_nothing_about_ours() {
    let body = body(&manifest(&parts()), &parts());
    let mut other_uid = me();
    other_uid.endpoint.uid = uid("re-created");
    let mut other_name = me();
    other_name.endpoint.name = "ws-043".parse().unwrap();
    let other_fleet = Me { fleet: "paris".parse().unwrap(), ..me() };
    let other_domain = Me { trust_domain: "elsewhere.local".to_owned(), ..me() };
    for other in [other_uid, other_name, other_fleet, other_domain] {
        let refusal = accept(&body, &ring(), &other, None, &Floors::default()).unwrap_err();
        assert_eq!((refusal.code, refusal.named), (RefusalCode::WrongEndpoint, None), "{other:?}");
    }
}

#[test]
fn a_part_that_is_not_proven_refuses_the_manifest_and_still_tells_what_it_names() {
    let mut bad_signature = signed(fixture::grant(), 5);
    bad_signature.envelope.signatures[0].sig[0] ^= 1;
    let by_stranger = sign(fixture::grant(), header(5), &stranger()).unwrap();
    let late = Header { issued_time: at(3600), ..header(5) };
    let by_expired_key = sign(fixture::grant(), late, &key()).unwrap();
    let abroad = Header { trust_domain: "elsewhere.local".to_owned(), ..header(5) };
    let other_domain = sign(fixture::grant(), abroad, &key()).unwrap();
    let paris = FleetRef { name: "paris".parse().unwrap(), ..fixture::fleet() };
    let other_fleet = sign(fixture::grant(), Header { fleet: paris, ..header(5) }, &key()).unwrap();
    let gone_fleet = sign(fixture::grant(), Header { fleet: fleet_of_old(), ..header(5) }, &key()).unwrap();
    let mut elsewhere = fixture::grant();
    elsewhere.endpoint.uid = uid("re-created");
    let other_endpoint = signed(elsewhere, 5);
    let mut another = fixture::grant();
    another.request.uid = uid("another");
    let other_request = signed(another, 5);
    let other_kind = signed(fixture::policy(), 5);
    let garbage_by_stranger = payload(PartKind::Grant, "{", &stranger());
    for (what, part, code) in [
        ("signature", bad_signature, RefusalCode::BadSignature),
        ("unknown key", by_stranger, RefusalCode::WrongKey),
        ("expired key", by_expired_key, RefusalCode::WrongKey),
        ("trust domain", other_domain, RefusalCode::WrongEndpoint),
        ("fleet", other_fleet, RefusalCode::WrongEndpoint),
        ("fleet of the same name", gone_fleet, RefusalCode::WrongEndpoint),
        ("endpoint of the same name", other_endpoint, RefusalCode::WrongEndpoint),
        ("request", other_request, RefusalCode::WrongEndpoint),
        ("kind", other_kind, RefusalCode::WrongKey),
        ("unproven garbage", garbage_by_stranger, RefusalCode::WrongKey),
    ] {
        let refusal = accept_first(&with(grant_name(), part)).unwrap_err();
        assert_eq!((refusal.code, refusal.named), (code, Some(all_names())), "{what}: {}", refusal.message);
    }
}

#[test]
fn parts_that_all_belong_to_another_fleet_refuse_the_manifest() {
    let paris = FleetRef { name: "paris".parse().unwrap(), ..fixture::fleet() };
    let theirs = sign(placement(), Header { fleet: paris, ..header(5) }, &key()).unwrap();
    let refusal = accept_first(&vec![(PartName::Placement, theirs)]).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongEndpoint);
}

#[test]
fn a_proven_part_of_the_same_size_under_the_digest_of_another_refuses_the_manifest() {
    let mut parts = parts();
    let named = manifest(&parts);
    let other = signed(GrantBody { account: "elice".parse().unwrap(), ..fixture::grant() }, 5);
    let (_, grant) = parts.iter_mut().find(|(name, _)| *name == grant_name()).unwrap();
    assert_eq!(grant.envelope.payload.len(), other.envelope.payload.len());
    grant.envelope = other.envelope;
    let refusal = accept(&body(&named, &parts), &ring(), &me(), None, &Floors::default()).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Truncated);
}

#[test]
fn a_placement_or_policy_of_another_object_refuses_the_manifest() {
    let mut elsewhere = placement();
    elsewhere.endpoint.uid = uid("re-created");
    let refusal = accept_first(&with(PartName::Placement, signed(elsewhere, 5))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongEndpoint);
    let refusal = accept_first(&with(policy_name(), signed(fixture::window(), 5))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongEndpoint);
    let of_old = sign(fixture::policy(), Header { fleet: fleet_of_old(), ..header(5) }, &key()).unwrap();
    let refusal = accept_first(&with(policy_name(), of_old)).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongEndpoint);
}

#[test]
fn a_part_that_is_missing_or_not_as_named_refuses_the_manifest() {
    let parts = parts();
    let refusal = |manifest: &Manifest, parts: &Parts| {
        accept(&body(manifest, parts), &ring(), &me(), None, &Floors::default()).unwrap_err().code
    };
    let named = manifest(&parts);
    for index in 0..parts.len() {
        let mut fewer = parts.clone();
        fewer.remove(index);
        assert_eq!(refusal(&named, &fewer), RefusalCode::Truncated, "part {index} is missing");
        let mut other_size = named.clone();
        other_size.parts[index].size += 1;
        assert_eq!(refusal(&other_size, &parts), RefusalCode::Truncated, "part {index} has another size");
        let mut swapped = parts.clone();
        swapped[index].1.envelope = parts[(index + 1) % parts.len()].1.envelope.clone();
        assert_eq!(refusal(&named, &swapped), RefusalCode::Truncated, "part {index} has another digest");
    }
}

#[test]
fn a_part_above_its_limit_refuses_the_manifest() {
    let spaces = |count| payload(PartKind::Grant, &" ".repeat(count), &key());
    let refusal = accept_first(&with(grant_name(), spaces(limit::PART + 1))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
    let at_limit = accept_first(&with(grant_name(), spaces(limit::PART))).unwrap();
    assert_eq!(at_limit.refused[0].code, RefusalCode::UnknownRule, "proven, only not understood");
}

#[test]
fn a_refused_manifest_raises_no_floor_and_changes_nothing() {
    let first = good();
    let newer: Parts = vec![
        (PartName::Placement, signed(placement(), 9)),
        (grant_name(), sign(fixture::grant(), header(9), &stranger()).unwrap()),
    ];
    let refusal = accept(&body(&manifest(&newer), &newer), &ring(), &me(), Some(&first.snapshot), &first.floors);
    assert!(refusal.is_err());
    let older = accept(&body(&manifest(&parts()), &parts()), &ring(), &me(), None, &first.floors).unwrap();
    assert_eq!(older.refused, []);
}

// === a part is refused ===

#[test]
fn a_proven_part_that_is_not_understood_counts_as_absent_and_the_others_apply() {
    let bytes = String::from_utf8(signed(fixture::grant(), 6).envelope.payload).unwrap();
    let newer = bytes.replacen(&format!("\"schema\":{SCHEMA}"), "\"schema\":2", 1);
    let richer = bytes.replacen("\"mode\":", "\"runAs\":\"root\",\"mode\":", 1);
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
    let second = accept_first(&newer).unwrap();
    let old = body(&manifest(&parts()), &parts());
    let third = accept(&old, &ring(), &me(), Some(&second.snapshot), &second.floors).unwrap();
    assert_eq!(
        third.refused.iter().map(|r| (&r.name, r.code)).collect::<Vec<_>>(),
        [(&policy_name(), RefusalCode::Rollback)]
    );
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
    assert_eq!(acceptance.refused[0].code, RefusalCode::Rollback);
    assert_eq!(acceptance.snapshot.placement, None);
    assert!(rights_at(&acceptance.snapshot, 150).is_empty(), "without a placement no policy is selected");
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

// === absence ===

#[test]
fn absence_ends_a_right_at_once() {
    let mut fewer = parts();
    fewer.retain(|(name, _)| *name != grant_name());
    let first = good();
    assert!(!rights_at(&first.snapshot, 15).is_empty());
    let body = body(&manifest(&fewer), &[]);
    let second = accept(&body, &ring(), &me(), Some(&first.snapshot), &first.floors).unwrap();
    assert!(second.snapshot.grants.is_empty());
    assert_eq!(rights_at(&second.snapshot, 15).iter().filter(|r| r.interval.start == at(10)).count(), 0);
}

#[test]
fn absence_counts_in_a_refused_manifest_too() {
    let first = good().snapshot;
    let bad = vec![
        (PartName::Placement, sign(placement(), header(6), &stranger()).unwrap()),
        (PartName::Policy(uid(WINDOW_UID)), signed(fixture::window(), 5)),
    ];
    let refusal = accept(&body(&manifest(&bad), &bad), &ring(), &me(), Some(&first), &Floors::default()).unwrap_err();
    let kept = first.keep_named(&refusal.named.unwrap());
    assert!(kept.grants.is_empty());
    assert_eq!(kept.policies.keys().collect::<Vec<_>>(), [&uid(WINDOW_UID)]);
    assert_eq!(kept.placement, first.placement, "the last good one stays");
    assert_eq!(kept.manifest.parts.len(), 2);
    assert_eq!(kept.envelopes.len(), 2);
    let nothing = first.keep_named(&BTreeSet::new());
    assert_eq!((nothing.placement, nothing.policies.len(), nothing.envelopes.len()), (None, 0, 0));
}

// === rights ===

fn rights_at(snapshot: &Snapshot, second: i64) -> Vec<Right> {
    snapshot.rights(at(second))
}

fn right_names(snapshot: &Snapshot, second: i64) -> Vec<String> {
    let name = |right: Right| match right.source {
        RightSource::Grant { request, .. } => format!("{}: {}", right.account, request.name),
        RightSource::Policy { policy, .. } => format!("{}: {policy}", right.account),
    };
    rights_at(snapshot, second).into_iter().map(name).collect()
}

#[test]
fn rights_are_current_and_upcoming_and_never_over() {
    let snapshot = good().snapshot;
    for (second, expected, edge) in [
        (0, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(10)),
        (10, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(20)),
        (19, vec!["alice: er-7d2kq", "alice: night-maintenance"], Some(20)),
        (20, vec!["alice: night-maintenance"], Some(100)),
        (199, vec!["alice: night-maintenance"], Some(200)),
        (200, vec![], None),
    ] {
        assert_eq!(right_names(&snapshot, second), expected, "{second}");
        assert_eq!(snapshot.next_edge(at(second)), edge.map(at), "{second}");
    }
}

#[test]
fn a_window_gives_rights_to_the_accounts_it_reaches_on_a_selected_endpoint_only() {
    let window_at = |change: &dyn Fn(&mut PlacementBody, &mut PolicyBody)| {
        let (mut placement, mut window) = (placement(), fixture::window());
        change(&mut placement, &mut window);
        let mut parts = with(PartName::Placement, signed(placement, 5));
        parts.retain(|(name, _)| *name != PartName::Policy(uid(WINDOW_UID)) && *name != grant_name());
        parts.push((PartName::Policy(uid(WINDOW_UID)), signed(window, 5)));
        right_names(&accept_first(&parts).unwrap().snapshot, 150)
    };
    let (alice, bob) = ("alice: night-maintenance", "bob: night-maintenance");
    assert_eq!(window_at(&|_, _| ()), [alice]);
    assert_eq!(window_at(&|_, w| w.targets.accounts.everyone = true), [alice, bob]);
    let except_alice = |w: &mut PolicyBody| w.targets.accounts.except.names = ["alice".parse().unwrap()].into();
    assert_eq!(window_at(&|_, w| except_alice(w)), [""; 0]);
    assert_eq!(window_at(&|p, _| p.labels.clear()), [""; 0]);
    assert_eq!(window_at(&|p, _| p.accounts.clear()), [""; 0]);
    assert_eq!(window_at(&|_, w| w.access = fixture::policy().access), [""; 0], "what is on request is not a right");
}

#[test]
fn an_interval_that_ends_before_it_starts_gives_no_right() {
    for (not_before, not_after) in [(20, 10), (20, 20)] {
        let grant = GrantBody { not_before: at(not_before), not_after: at(not_after), ..fixture::grant() };
        let parts = vec![(PartName::Placement, signed(placement(), 5)), (grant_name(), signed(grant, 5))];
        let snapshot = accept_first(&parts).unwrap().snapshot;
        assert!((0..30).all(|second| rights_at(&snapshot, second).is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn absence_from_a_manifest_ends_a_right_accepted_or_refused(
        present in prop::collection::vec(any::<bool>(), 4),
        broken in any::<bool>(),
        second in -10i64..210,
    ) {
        let first = good();
        let mut keep = present.into_iter();
        let mut named = parts();
        named.retain(|_| keep.next() == Some(true));
        if broken && let Some((_, signed)) = named.first_mut() {
            signed.envelope.signatures.clear();
        }
        let body = body(&manifest(&named), &named);
        let after = match accept(&body, &ring(), &me(), Some(&first.snapshot), &first.floors) {
            Ok(acceptance) => acceptance.snapshot,
            Err(refusal) => first.snapshot.keep_named(&refusal.named.unwrap()),
        };
        let left: BTreeSet<PartName> = named.into_iter().map(|(name, _)| name).collect();
        for right in after.rights(at(second)) {
            let by = match right.source {
                RightSource::Grant { request, .. } => PartName::Grant(request.uid),
                RightSource::Policy { uid, .. } => PartName::Policy(uid),
            };
            prop_assert!(left.contains(&by), "{by} gives a right and is not named");
        }
        prop_assert_eq!(after.manifest.parts.iter().map(|e| e.name.clone()).collect::<BTreeSet<_>>(), left);
    }

    #[test]
    fn no_right_holds_outside_its_interval(start in 0i64..40, end in 0i64..40, second in -5i64..45) {
        let grant = GrantBody { not_before: at(start), not_after: at(end), ..fixture::grant() };
        let snapshot = accept_first(&vec![(grant_name(), signed(grant, 5))]).unwrap().snapshot;
        let holds = snapshot.rights(at(second)).iter().any(|r| r.interval.position(at(second)) == Position::Inside);
        prop_assert_eq!(holds, start <= second && second < end);
        prop_assert!(snapshot.next_edge(at(second)).is_none_or(|edge| edge > at(second)));
    }

    #[test]
    fn sequences_in_use_never_fall(sequences in prop::collection::vec(1u64..6, 1..8)) {
        let mut state: Option<Acceptance> = None;
        for sequence in sequences {
            let parts = with(policy_name(), signed(fixture::policy(), sequence));
            let (previous, floors) = state.map_or((None, Floors::default()), |a| (Some(a.snapshot), a.floors));
            let before = previous.as_ref().map(|s| s.policies[&uid(POLICY_UID)].header.sequence);
            let next = accept(&body(&manifest(&parts), &parts), &ring(), &me(), previous.as_ref(), &floors).unwrap();
            let used = next.snapshot.policies[&uid(POLICY_UID)].header.sequence;
            prop_assert_eq!(Some(used), before.max(Some(sequence)));
            prop_assert_eq!(next.floors.get(&policy_name()), used);
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
