//! What refuses a manifest as a whole: whatever is not proven to be the controller's for this endpoint.

use super::*;
use crate::wire::limit;

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
    let old = || Header { fleet: fleet_of_old(), ..header(5) };
    let policy_of_old = sign(fixture::policy(), old(), &key()).unwrap();
    let fleet_part_of_old = sign(fixture::fleet_part(), old(), &key()).unwrap();
    for (name, of_old) in [(policy_name(), policy_of_old), (PartName::Fleet, fleet_part_of_old)] {
        assert_eq!(accept_first(&with(name, of_old)).unwrap_err().code, RefusalCode::WrongEndpoint);
    }
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
