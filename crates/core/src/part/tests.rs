//! Golden files: the bytes of every kind of payload, of a manifest and of an envelope, the same in every version of
//! this schema. And: what a reader refuses.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::envelope::fixture::{self, TRUST_DOMAIN, at, header, key, manifest, parts, signed, trusted};
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

#[test]
fn payloads_have_the_bytes_of_the_golden_files() {
    golden("placement", &Part { header: header(5), body: fixture::placement() }.to_bytes().unwrap());
    golden("policy-on-request", &Part { header: header(5), body: fixture::policy() }.to_bytes().unwrap());
    golden("policy-window", &Part { header: header(5), body: fixture::window() }.to_bytes().unwrap());
    golden("grant", &Part { header: header(5), body: fixture::grant() }.to_bytes().unwrap());
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
    round_trip(fixture::policy());
    round_trip(fixture::window());
    round_trip(fixture::grant());
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

#[test]
fn an_unknown_or_missing_field_is_not_understood_at_any_depth() {
    let not_understood = |result: Result<Part<GrantBody>, PartError>| {
        assert!(matches!(result, Err(PartError::NotUnderstood(PartKind::Grant, _))), "{result:?}");
    };
    not_understood(grant_with(|f| drop(f.insert("scope".to_owned(), json!("Any")))));
    not_understood(grant_with(|f| f["elevation"]["runAs"] = json!("root")));
    not_understood(grant_with(|f| f["elevation"]["mode"] = json!("AdminSession")));
    not_understood(grant_with(|f| f["endpoint"]["also"] = json!("ws-043")));
    not_understood(grant_with(|f| f["policy"]["also"] = json!(1)));
    for field in
        ["schema", "trustDomain", "fleet", "sequence", "issuedTime", "endpoint", "account", "notBefore", "notAfter"]
    {
        not_understood(grant_with(|f| drop(f.remove(field))));
    }
}

#[test]
fn an_unknown_field_of_a_policy_or_placement_is_not_understood() {
    fn with<B: Body>(body: B, pointer: &str) -> Result<Part<B>, PartError> {
        let bytes = Part { header: header(5), body }.to_bytes().unwrap();
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        let object = value.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
        object["unheardOf"] = json!(true);
        Part::parse(&serde_json::to_vec(&value).unwrap())
    }
    let policy_pointers = [
        "",
        "/policy",
        "/targets",
        "/targets/endpoints",
        "/targets/endpoints/selector",
        "/targets/accounts",
        "/targets/accounts/except",
        "/elevation",
        "/access",
        "/access/onRequest",
        "/access/onRequest/reason",
        "/access/onRequest/duration",
    ];
    for pointer in policy_pointers {
        assert!(
            matches!(with::<PolicyBody>(fixture::policy(), pointer), Err(PartError::NotUnderstood(..))),
            "{pointer}"
        );
    }
    for pointer in ["/access", "/access/window"] {
        assert!(
            matches!(with::<PolicyBody>(fixture::window(), pointer), Err(PartError::NotUnderstood(..))),
            "{pointer}"
        );
    }
    for pointer in ["", "/endpoint", "/accounts/0"] {
        let result = with::<PlacementBody>(fixture::placement(), pointer);
        assert!(matches!(result, Err(PartError::NotUnderstood(..))), "{pointer}");
    }
}

#[test]
fn every_kind_has_its_own_payload_type() {
    let types = [PartKind::Placement, PartKind::Policy, PartKind::Grant, PartKind::Trust].map(|kind| {
        assert_eq!(kind.payload_type(), format!("application/vnd.tidegate.{kind}.v1+json"));
        kind.payload_type()
    });
    assert_eq!(std::collections::BTreeSet::from(types).len(), types.len());
}

proptest! {
    #[test]
    fn the_next_sequence_is_above_the_previous_and_not_below_the_clock(
        previous: Option<u64>,
        second in 0i64..253_402_207_199,
    ) {
        let next = next_sequence(previous, Instant::from_second(second));
        prop_assert!(previous.is_none_or(|p| next > p || p == u64::MAX));
        prop_assert!(next >= u64::try_from(second).unwrap() * 1000);
    }

    #[test]
    fn any_bytes_are_a_part_or_refused_without_panic(bytes: Vec<u8>) {
        prop_assert!(Part::<PolicyBody>::parse(&bytes).is_err());
    }
}
