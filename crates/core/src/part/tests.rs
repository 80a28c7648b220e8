//! Golden files: the bytes of every kind of payload, of a manifest and of an envelope, the same in every version of
//! this schema. And: what a reader refuses.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::access::Access;
use crate::envelope::fixture::{self, TRUST_DOMAIN, at, header, key, manifest, parts, signed, trusted};
use crate::fleet::FleetBody;
use crate::grant::GrantBody;
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;
use crate::trust::TrustBundle;

/// Set it to write the golden files instead of comparing; agents in the field read the old bytes, so a change needs a
/// new schema.
const REGENERATE: &str = "TIDEGATE_WRITE_GOLDEN";

#[expect(clippy::disallowed_methods, reason = "golden files are files; only this test reads or writes them")]
fn golden(name: &str, bytes: &[u8]) {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let expected = std::fs::read(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&expected), "{name}: see {REGENERATE}");
}

fn bytes_of<B: Body>(body: B) -> Vec<u8> {
    Part { header: header(5), body }.to_bytes().unwrap()
}

#[test]
fn payloads_have_the_bytes_of_the_golden_files() {
    golden("placement", &bytes_of(fixture::placement()));
    golden("fleet", &bytes_of(fixture::full_fleet_part()));
    golden("policy-on-request", &bytes_of(fixture::policy()));
    golden("policy-window", &bytes_of(fixture::window()));
    golden("policy-fixed", &bytes_of(fixture::fixed()));
    golden("policy-recurring", &bytes_of(fixture::recurring()));
    golden("grant", &bytes_of(fixture::grant()));
    golden("grant-application", &bytes_of(fixture::grant_of_application()));
    let trust = TrustBundle::seal(TRUST_DOMAIN, Vec::new(), vec![trusted(&key())], &key(), at(0)).unwrap();
    golden("trust", &trust.keys.payload);
}

#[test]
fn manifest_and_envelope_have_the_bytes_of_the_golden_files() {
    golden("manifest", &manifest(&parts()).to_bytes());
    golden("envelope", signed(fixture::grant(), 5).envelope.to_json().as_bytes());
}

#[test]
fn a_part_reads_back_as_it_was_written() {
    fn round_trip<B: Body + Clone + PartialEq + fmt::Debug>(body: B) {
        let part = Part { header: header(5), body };
        assert_eq!(Part::parse(&part.to_bytes().unwrap()), Ok(part));
    }
    round_trip(fixture::placement());
    round_trip(fixture::fleet_part());
    round_trip(fixture::full_fleet_part());
    round_trip(fixture::policy());
    round_trip(fixture::window());
    round_trip(fixture::fixed());
    round_trip(fixture::recurring());
    round_trip(fixture::grant());
    round_trip(fixture::grant_of_application());
}

fn grant_with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<Part<GrantBody>, PartError> {
    let bytes = Part { header: header(5), body: fixture::grant() }.to_bytes().unwrap();
    let mut fields = serde_json::from_slice(&bytes).unwrap();
    change(&mut fields);
    Part::parse(&serde_json::to_vec(&fields).unwrap())
}

#[test]
fn another_schema_is_unknown_whatever_else_it_holds() {
    assert!(grant_with(|_| ()).is_ok());
    for schema in [0, 2, u32::MAX] {
        let newer = grant_with(|f| {
            f.clear();
            f.insert("schema".to_owned(), json!(schema));
        });
        assert_eq!(newer, Err(PartError::UnknownSchema(schema)));
    }
}

/// Every object in the payload of one of each kind and form, as a JSON pointer.
fn each_object(mut check: impl FnMut(&'static str, &str, &dyn Fn(&dyn Fn(&mut Value)) -> Result<(), PartError>)) {
    fn objects(value: &Value, pointer: String, out: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (name, child) in children {
            objects(child, format!("{pointer}/{name}"), out);
        }
        if value.is_object() {
            out.push(pointer);
        }
    }
    fn parse<B: Body>(bytes: &[u8]) -> Result<(), PartError> {
        Part::<B>::parse(bytes).map(|_| ())
    }
    type Parse = fn(&[u8]) -> Result<(), PartError>;
    let kinds: [(&str, Vec<u8>, Parse); 8] = [
        ("placement", bytes_of(fixture::placement()), parse::<PlacementBody>),
        ("fleet", bytes_of(fixture::full_fleet_part()), parse::<FleetBody>),
        ("on request", bytes_of(policy_with_patterns()), parse::<PolicyBody>),
        ("window", bytes_of(fixture::window()), parse::<PolicyBody>),
        ("fixed", bytes_of(fixture::fixed()), parse::<PolicyBody>),
        ("recurring", bytes_of(fixture::recurring()), parse::<PolicyBody>),
        ("grant", bytes_of(fixture::grant()), parse::<GrantBody>),
        ("grant of application", bytes_of(fixture::grant_of_application()), parse::<GrantBody>),
    ];
    for (kind, bytes, parse) in kinds {
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        let mut pointers = Vec::new();
        objects(&whole, String::new(), &mut pointers);
        for pointer in pointers {
            let parse_with = |change: &dyn Fn(&mut Value)| {
                let mut changed = whole.clone();
                change(changed.pointer_mut(&pointer).unwrap());
                parse(&serde_json::to_vec(&changed).unwrap())
            };
            assert_eq!(parse_with(&|_| ()), Ok(()));
            check(kind, &pointer, &parse_with);
        }
    }
}

fn policy_with_patterns() -> PolicyBody {
    let mut policy = fixture::policy();
    if let Access::OnRequest { on_request } = &mut policy.access {
        on_request.reason.pattern = Some("x".to_owned().try_into().unwrap());
        on_request.ticket.pattern = Some("^[A-Z]+-[0-9]+$".to_owned().try_into().unwrap());
    }
    policy
}

#[test]
fn an_unknown_field_is_not_understood_at_any_depth() {
    let mut seen = BTreeSet::new();
    each_object(|kind, pointer, parse_with| {
        let result = parse_with(&|object| object["unheardOf"] = json!(true));
        assert!(matches!(result, Err(PartError::NotUnderstood(..))), "{kind} {pointer}: {result:?}");
        seen.insert(pointer.to_owned());
    });
    for pointer in [
        "/fleet",
        "/elevation",
        "/elevation/applications/0",
        "/elevation/applications/0/fileHash",
        "/elevation/applications/0/except/0/folderPath",
        "/access/recurring/windows/0",
        "/access/fixed",
        "/access/window",
        "/access/onRequest/ticket",
        "/targets/endpoints/selector/matchExpressions/0",
        "/targets/accounts/except",
        "/locked/0/endpoints/selector",
        "/revoked/0",
        "/blocklists/0/endpoints",
        "/blocklists/0/applications/0/vendor",
        "/application",
        "/requires",
    ] {
        assert!(seen.contains(pointer), "{pointer} is in none of the payloads");
    }
}

/// What may be missing, because it is left out where it is empty; everything else is always written. `…/` stands for an
/// item of a list of applications.
const OPTIONAL: [&str; 40] = [
    "/access/onRequest/reason/pattern",
    "/access/onRequest/ticket/pattern",
    "/accounts/0/groups",
    "/application",
    "/application/arguments",
    "/application/product",
    "/application/sha256",
    "/application/vendor",
    "/application/version",
    "/blocklists/0/platforms",
    "/elevation/applications",
    "/locked/0/accounts",
    "/locked/0/endpoints",
    "/locked/0/endpoints/selector/matchLabels",
    "/locked/0/message",
    "/locked/0/policies",
    "/reminders",
    "/request/ticket",
    "/targets/accounts/except/groups",
    "/targets/accounts/except/names",
    "/targets/accounts/groups",
    "/targets/accounts/names",
    "/targets/endpoints/selector/matchExpressions",
    "/targets/endpoints/selector/matchExpressions/0/values",
    "/targets/endpoints/selector/matchLabels",
    "/targets/minAgentVersion",
    "/targets/platforms",
    "…/arguments",
    "…/clsid",
    "…/except",
    "…/fileHash",
    "…/fileHash/sha256",
    "…/fileHash/sha512",
    "…/folderPath",
    "…/product",
    "…/product/minVersion",
    "…/storeApp",
    "…/vendor",
    "…/verifiedExecutable",
    "a label, or the accounts of an endpoint",
];

#[test]
fn a_missing_field_is_not_understood_unless_it_is_one_of_those_that_are_left_out() {
    let mut optional = BTreeSet::new();
    each_object(|kind, pointer, parse_with| {
        let fields = RefCell::new(Vec::new());
        parse_with(&|object| fields.borrow_mut().extend(object.as_object().unwrap().keys().cloned())).unwrap();
        for field in fields.into_inner() {
            match parse_with(&|object| drop(object.as_object_mut().unwrap().remove(&field))) {
                Ok(())
                    if ["/labels", "/matchLabels", "/locked/0/accounts"].iter().any(|map| pointer.ends_with(map)) =>
                {
                    optional.insert("a label, or the accounts of an endpoint".to_owned());
                }
                Ok(()) => {
                    let name = format!("{pointer}/{field}");
                    let item = name.split_once("/applications/0/").map(|(_, rest)| format!("…/{rest}"));
                    optional.insert(item.unwrap_or(name));
                }
                Err(PartError::NotUnderstood(..)) => {}
                Err(other @ PartError::UnknownSchema(_)) => panic!("{kind} {pointer}/{field}: {other}"),
            }
        }
    });
    assert_eq!(optional, OPTIONAL.map(str::to_owned).into());
}

#[test]
fn a_word_that_is_not_known_is_not_understood() {
    for (field, word) in [("mode", "Everything"), ("scope", "All"), ("onExpiry", "Never"), ("authentication", "none")] {
        let result = grant_with(|f| f["elevation"][field] = json!(word));
        assert!(matches!(result, Err(PartError::NotUnderstood(PartKind::Grant, _))), "{field}: {result:?}");
    }
}

#[test]
fn every_kind_has_its_own_payload_type() {
    let types =
        [PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant, PartKind::Trust].map(|kind| {
            assert_eq!(kind.payload_type(), format!("application/vnd.tidegate.{kind}.v1+json"));
            kind.payload_type()
        });
    assert_eq!(BTreeSet::from(types).len(), types.len());
}

proptest! {
    #[test]
    fn the_next_sequence_is_above_the_previous_and_not_below_the_clock(
        previous: Option<u64>,
        second in 0i64..253_402_207_199,
    ) {
        let next = next_sequence(previous, Instant::from_second(second));
        prop_assert!(previous.is_none_or(|p| next > p || p == u64::MAX));
        let clock = u64::try_from(second).unwrap() * 1000;
        prop_assert!(next >= clock);
        // One that is signed for the first time is above whatever was signed a thousand times in this second for another.
        prop_assert!(previous.is_some() || next > (0..999).fold(clock, |before, _| next_sequence(Some(before), Instant::from_second(second))));
    }

    #[test]
    fn any_bytes_are_a_part_or_refused_without_panic(bytes: Vec<u8>) {
        prop_assert!(Part::<PolicyBody>::parse(&bytes).is_err());
    }
}
