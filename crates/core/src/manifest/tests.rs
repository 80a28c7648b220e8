//! Order never shows, only the latest requests are listed, and what is not a manifest is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::envelope::fixture::{self, at, endpoint, fleet, manifest, parts, request};

fn of(entries: Vec<PartEntry>, requests: Vec<ListedRequest>) -> Manifest {
    Manifest::new(fleet().name, endpoint(), entries, requests)
}

fn listed(manifest: &Manifest) -> Vec<&str> {
    manifest.requests.iter().map(|r| r.name.as_str()).collect()
}

#[test]
fn part_names_are_written_and_read_in_one_form() {
    let uid = || fixture::uid("u-1");
    for (text, name) in [
        ("placement", PartName::Placement),
        ("fleet", PartName::Fleet),
        ("policy/u-1", PartName::Policy(uid())),
        ("grant/u-1", PartName::Grant(uid())),
    ] {
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
    }
    for bad in [
        "",
        "fleets",
        "Fleet",
        "fleet/",
        "fleet/u",
        "Placement",
        "placement/",
        "placement/u",
        "policy",
        "policy/",
        "policy/a/b",
        "grant/a b",
        "/u",
        "lock/u",
    ] {
        assert!(bad.parse::<PartName>().is_err(), "{bad:?}");
    }
}

#[test]
fn placement_and_fleet_come_before_the_parts_that_they_judge() {
    let mut names = ["grant/a", "policy/b", "fleet", "policy/a", "placement"].map(|name| name.parse().unwrap());
    names.sort();
    assert_eq!(names.map(|name: PartName| name.to_string()), ["placement", "fleet", "policy/a", "policy/b", "grant/a"]);
}

#[test]
fn at_most_16_open_and_the_16_latest_ended_requests_are_listed() {
    let open = (0..20).map(|n| request(&format!("open-{n:02}"), State::Pending, n));
    let ended = (0..20).map(|n| request(&format!("over-{n:02}"), State::Expired, n));
    let manifest = of(Vec::new(), open.chain(ended).collect());
    let expected: Vec<String> =
        ["open", "over"].iter().flat_map(|s| (4..20).map(move |n| format!("{s}-{n:02}"))).collect();
    assert_eq!(listed(&manifest), expected);
}

#[test]
fn a_message_is_cut_at_a_character() {
    let mut long = request("er-1", State::Declined, 0);
    long.summary.message = "ü".repeat(MAX_MESSAGE + 1);
    assert_eq!(of(Vec::new(), vec![long]).requests[0].message, "ü".repeat(MAX_MESSAGE));
}

#[test]
fn a_part_named_twice_is_listed_once_whichever_came_first() {
    let entry = |byte: &[u8]| PartEntry { name: PartName::Placement, digest: Digest::of(byte), size: 1 };
    let one = of(vec![entry(b"a"), entry(b"b")], Vec::new());
    assert_eq!(one.parts.len(), 1);
    assert_eq!(one, of(vec![entry(b"b"), entry(b"a")], Vec::new()));
}

#[test]
fn the_etag_is_the_quoted_digest_of_the_bytes() {
    assert_eq!(etag(b"abc"), "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
}

#[test]
fn what_is_not_a_manifest_is_refused_with_its_code() {
    let good: Value = serde_json::from_slice(&manifest(&parts()).to_bytes()).unwrap();
    let parse = |value: &Value| Manifest::parse(&serde_json::to_vec(value).unwrap());
    assert!(parse(&good).is_ok());
    let with = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        bad
    };
    let mut unknown = good.clone();
    unknown["unheardOf"] = json!(1);
    let mut unsorted = good.clone();
    unsorted["parts"].as_array_mut().unwrap().reverse();
    let mut twice = good.clone();
    let first = twice["parts"][0].clone();
    twice["parts"].as_array_mut().unwrap().insert(0, first);
    for (what, value, code) in [
        ("newer schema", with("/schema", json!(2)), "unknown_schema"),
        ("unknown field", unknown, "truncated"),
        ("unknown part", with("/parts/0/name", json!("lock/u")), "truncated"),
        ("no digest", with("/parts/0/digest", json!("md5:00")), "truncated"),
        ("negative size", with("/parts/0/size", json!(-1)), "truncated"),
        ("no fleet", with("/fleet", json!("Not A Fleet")), "truncated"),
        ("unknown state", with("/requests/0/state", json!("Blessed")), "truncated"),
        ("unsorted parts", unsorted, "truncated"),
        ("a part named twice", twice, "truncated"),
    ] {
        assert_eq!(parse(&value).map_err(|e| e.code().as_str()), Err(code), "{what}");
    }
    let bytes = manifest(&parts()).to_bytes();
    assert_eq!(Manifest::parse(&bytes[..bytes.len() - 1]).map_err(|e| e.code()), Err(RefusalCode::Truncated));
}

#[test]
fn a_manifest_above_its_limit_is_refused_unread() {
    let mut bytes = manifest(&parts()).to_bytes();
    bytes.resize(limit::MANIFEST, b' ');
    assert!(Manifest::parse(&bytes).is_ok());
    bytes.push(b' ');
    assert_eq!(Manifest::parse(&bytes), Err(ManifestError::TooLarge(limit::MANIFEST + 1)));
}

fn any_entry() -> impl Strategy<Value = PartEntry> {
    let name = prop_oneof![Just("placement".to_owned()), Just("fleet".to_owned()), "policy/[ab]", "grant/[ab]"];
    (name, any::<u8>(), 0u64..3).prop_map(|(name, byte, size)| PartEntry {
        name: name.parse().unwrap(),
        digest: Digest::of(&[byte]),
        size,
    })
}

fn any_request() -> impl Strategy<Value = ListedRequest> {
    ("er-[0-9]{1,2}", prop::sample::select(State::ALL.to_vec()), 0i64..4)
        .prop_map(|(name, state, since)| ListedRequest { since: at(since), ..request(&name, state, since) })
}

proptest! {
    #[test]
    fn the_order_of_the_input_never_shows(
        (entries, other_entries) in prop::collection::vec(any_entry(), 0..8)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        (requests, other_requests) in prop::collection::vec(any_request(), 0..60)
            .prop_flat_map(|requests| (Just(requests.clone()), Just(requests).prop_shuffle())),
    ) {
        let manifest = of(entries, requests);
        let bytes = manifest.to_bytes();
        prop_assert_eq!(&bytes, &of(other_entries, other_requests).to_bytes());
        prop_assert_eq!(Manifest::parse(&bytes), Ok(manifest));
    }

    #[test]
    fn any_text_is_a_part_name_or_refused_without_panic(text in "\\PC{0,80}") {
        if let Ok(name) = text.parse::<PartName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn any_bytes_are_a_manifest_or_refused_without_panic(bytes: Vec<u8>) {
        prop_assert!(Manifest::parse(&bytes).is_err());
    }
}
