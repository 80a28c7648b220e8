//! Vectors of the specifications, tampering, keys that do not fit, and the sequence.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::fixture::{self, TRUST_DOMAIN, at, header, key, key_of_seed, ring, signed, stranger, trusted};
use super::*;
use crate::grant::GrantBody;
use crate::interval::Instant;
use crate::key::{KeyError, PublicKey};
use crate::part::Header;
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;

fn issuer<'a>(key: &'a SigningKey, fleet: &'a crate::name::FleetRef) -> Issuer<'a> {
    Issuer { trust_domain: TRUST_DOMAIN, fleet, key }
}

fn sealed() -> Envelope {
    signed(fixture::grant(), 1).envelope
}

// === specifications ===

#[test]
fn the_pre_authentication_encoding_is_that_of_the_dsse_specification() {
    let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    assert_eq!(pre_authentication_encoding("é", "ü\n".as_bytes()), "DSSEv1 2 é 3 ü\n".as_bytes());
}

#[test]
fn signatures_are_those_of_rfc_8032_section_7_1() {
    let vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in vectors {
        let bytes = |text| hex::decode::<&str>(text).unwrap();
        let key = key_of_seed(&bytes(seed).try_into().unwrap());
        assert_eq!(hex::encode(key.public_key().as_bytes()), public);
        assert_eq!(hex::encode(key.sign(&bytes(message))), signature);
        assert!(key.public_key().verifies(&bytes(message), &bytes(signature)));
    }
}

// === keys ===

#[test]
fn a_key_is_32_bytes_of_base64_and_named_by_their_sha_256() {
    let public = key().public_key();
    let json = serde_json::to_string(&public).unwrap();
    assert_eq!(json, format!("\"{}\"", STANDARD.encode(public.as_bytes())));
    assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), public);
    assert_eq!(public.key_id(), Digest::of(public.as_bytes()).to_hex());
    for bad in ["", "AAAA", "not base64", &STANDARD.encode([0; 33])] {
        assert_eq!(PublicKey::try_from(bad.to_owned()), Err(KeyError::Public), "{bad}");
    }
}

#[test]
fn a_private_key_is_read_or_refused_and_never_printed() {
    assert!(matches!(SigningKey::from_pkcs8(b""), Err(KeyError::Private)));
    assert!(matches!(SigningKey::from_pkcs8(&[7; 48]), Err(KeyError::Private)));
    let shown = format!("{:?}", key());
    assert_eq!(shown, format!("SigningKey(\"{}\")", key().key_id()));
}

// === tampering ===

#[test]
fn no_byte_of_type_payload_or_signature_can_be_changed() {
    let (good, ring) = (sealed(), ring());
    assert!(good.open::<GrantBody>(&ring).is_ok());
    for index in 0..good.payload.len() {
        let mut bad = good.clone();
        bad.payload[index] ^= 1;
        assert_eq!(bad.open::<GrantBody>(&ring), Err(OpenError::BadSignature(PartKind::Grant)), "payload byte {index}");
    }
    for index in 0..good.payload_type.len() {
        let mut bytes = good.payload_type.clone().into_bytes();
        bytes[index] ^= 1;
        let bad = Envelope { payload_type: String::from_utf8(bytes).unwrap(), ..good.clone() };
        assert_eq!(bad.open::<GrantBody>(&ring), Err(OpenError::WrongType(PartKind::Grant)), "type byte {index}");
    }
    for index in 0..64 {
        let mut bad = good.clone();
        bad.signatures[0].sig[index] ^= 1;
        assert_eq!(
            bad.open::<GrantBody>(&ring),
            Err(OpenError::BadSignature(PartKind::Grant)),
            "signature byte {index}"
        );
    }
    for index in 0..64 {
        let mut bad = good.clone();
        let mut id = bad.signatures[0].keyid.clone().into_bytes();
        id[index] ^= 1;
        bad.signatures[0].keyid = String::from_utf8(id).unwrap();
        assert_eq!(bad.open::<GrantBody>(&ring), Err(OpenError::WrongKey(PartKind::Grant)), "key id byte {index}");
    }
}

#[test]
fn the_type_is_part_of_what_is_signed() {
    let relabelled = Envelope { payload_type: PartKind::Policy.payload_type().to_owned(), ..sealed() };
    assert_eq!(relabelled.open::<PolicyBody>(&ring()), Err(OpenError::BadSignature(PartKind::Policy)));
}

#[test]
fn a_cut_or_longer_payload_or_signature_is_refused() {
    let (good, ring) = (sealed(), ring());
    let refused = |change: &dyn Fn(&mut Envelope)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(bad.open::<GrantBody>(&ring), Err(OpenError::BadSignature(PartKind::Grant)));
    };
    refused(&|e| e.payload.truncate(e.payload.len() - 1));
    refused(&|e| e.payload.push(b' '));
    refused(&|e| e.payload.clear());
    refused(&|e| e.signatures[0].sig.truncate(63));
    refused(&|e| e.signatures[0].sig.push(0));
    refused(&|e| e.signatures[0].sig.clear());
    refused(&|e| e.signatures.clear());
    refused(&|e| e.signatures = vec![e.signatures[0].clone(); MAX_SIGNATURES + 1]);
}

#[test]
fn one_right_signature_among_others_is_enough() {
    let mut envelope = sealed();
    let right = envelope.signatures[0].clone();
    let foreign = Envelope::seal(PartKind::Grant, envelope.payload.clone(), &stranger()).signatures[0].clone();
    let broken = Signature { sig: vec![0; 64], ..right.clone() };
    envelope.signatures = vec![foreign, broken, right];
    assert!(envelope.open::<GrantBody>(&ring()).is_ok());
}

// === keys that do not fit ===

#[test]
fn a_key_opens_only_what_it_may_sign_while_it_is_valid() {
    let envelope = sealed();
    let good = trusted(&key());
    let wrong = Err(OpenError::WrongKey(PartKind::Grant));
    let open = |keys| envelope.open::<GrantBody>(&KeyRing::new(TRUST_DOMAIN, keys));
    assert!(open(vec![good.clone()]).is_ok());
    assert_eq!(open(vec![]), wrong, "no key");
    assert_eq!(open(vec![trusted(&stranger())]), wrong, "unknown key");
    for roles in [vec![], vec![PartKind::Policy, PartKind::Placement, PartKind::Trust]] {
        let key = TrustedKey { roles: roles.into_iter().collect(), ..good.clone() };
        assert_eq!(open(vec![key]), wrong, "wrong role");
    }
    assert_eq!(open(vec![TrustedKey { expiration_time: at(0), ..good.clone() }]), wrong, "expired when it was signed");
    assert!(open(vec![TrustedKey { expiration_time: at(1), ..good }]).is_ok(), "expired later");
}

#[test]
fn a_stranger_cannot_sign_under_a_trusted_key_id() {
    let mut envelope = Envelope::seal(PartKind::Grant, sealed().payload, &stranger());
    envelope.signatures[0].keyid = key().key_id();
    assert_eq!(envelope.open::<GrantBody>(&ring()), Err(OpenError::BadSignature(PartKind::Grant)));
}

#[test]
fn a_part_of_another_trust_domain_is_refused() {
    let header = Header { trust_domain: "elsewhere.local".to_owned(), ..header(1) };
    let envelope = sign(fixture::grant(), header, &key()).unwrap().envelope;
    assert_eq!(envelope.open::<GrantBody>(&ring()), Err(OpenError::WrongTrustDomain(PartKind::Grant)));
}

#[test]
fn unproven_content_is_never_parsed() {
    let garbage = Envelope::seal(PartKind::Grant, b"{".to_vec(), &stranger());
    assert_eq!(garbage.open::<GrantBody>(&ring()), Err(OpenError::WrongKey(PartKind::Grant)));
    let proven = Envelope::seal(PartKind::Grant, b"{".to_vec(), &key());
    assert!(matches!(proven.open::<GrantBody>(&ring()), Err(OpenError::Part(PartError::NotUnderstood(..)))));
}

#[test]
fn reading_without_verifying_still_wants_the_right_kind() {
    let envelope = sealed();
    assert_eq!(envelope.read_unverified::<GrantBody>().unwrap().body, fixture::grant());
    assert_eq!(envelope.read_unverified::<PolicyBody>(), Err(OpenError::WrongType(PartKind::Policy)));
}

#[test]
fn every_error_has_its_code_of_the_protocol() {
    let kind = PartKind::Grant;
    for (error, code) in [
        (OpenError::BadSignature(kind), "bad_signature"),
        (OpenError::WrongKey(kind), "wrong_key"),
        (OpenError::WrongType(kind), "wrong_key"),
        (OpenError::WrongTrustDomain(kind), "wrong_endpoint"),
        (OpenError::Part(PartError::UnknownSchema(2)), "unknown_schema"),
        (OpenError::Part(PartError::NotUnderstood(kind, String::new())), "unknown_rule"),
    ] {
        assert_eq!(error.code().as_str(), code);
        assert_eq!(serde_json::to_value(error.code()).unwrap(), code, "the word is also the JSON form");
    }
}

// === JSON ===

#[test]
fn only_canonical_base64_is_read() {
    let json = |payload: &str| format!(r#"{{"payloadType":"t","payload":"{payload}","signatures":[]}}"#);
    assert_eq!(Envelope::from_json(&json("YQ==")).unwrap().payload, b"a");
    for bad in ["YQ", "YQ=", "YR==", "Y Q==", "_-8=", "*"] {
        assert!(Envelope::from_json(&json(bad)).is_err(), "{bad}");
    }
}

// === signing ===

#[test]
fn equal_content_is_not_signed_again() {
    let (key, fleet) = (key(), fixture::fleet());
    let first = sign_if_changed(None, fixture::placement(), issuer(&key, &fleet), at(0)).unwrap().unwrap();
    assert_eq!(first.digest, first.envelope.digest());
    assert_eq!(first.envelope.open::<PlacementBody>(&ring()).unwrap().header.sequence, first.sequence);
    let again = sign_if_changed(Some(&first), fixture::placement(), issuer(&key, &fleet), at(5000)).unwrap();
    assert_eq!(again, None);
}

#[test]
fn other_content_key_fleet_or_a_damaged_copy_is_signed_anew_and_rises() {
    let (key, other_key, fleet, other_fleet) = (key(), stranger(), fixture::fleet(), fixture::fleet_of_old());
    let first = sign_if_changed(None, fixture::placement(), issuer(&key, &fleet), at(0)).unwrap().unwrap();
    let mut changed = fixture::placement();
    changed.accounts.pop();
    let damaged = Signed { digest: Digest::of(b""), ..first.clone() };
    let renumbered = Signed { sequence: first.sequence + 1, ..first.clone() };
    let mut forged = first.clone();
    forged.envelope.signatures[0].sig[0] ^= 1;
    let same = fixture::placement;
    for (what, previous, body, issuer) in [
        ("content", &first, changed, issuer(&key, &fleet)),
        ("key", &first, same(), issuer(&other_key, &fleet)),
        ("fleet", &first, same(), issuer(&key, &other_fleet)),
        ("trust domain", &first, same(), Issuer { trust_domain: "elsewhere.local", ..issuer(&key, &fleet) }),
        ("digest", &damaged, same(), issuer(&key, &fleet)),
        ("sequence", &renumbered, same(), issuer(&key, &fleet)),
        ("signature", &forged, same(), issuer(&key, &fleet)),
    ] {
        let next = sign_if_changed(Some(previous), body, issuer, at(-50)).unwrap().expect(what);
        assert!(next.sequence > first.sequence, "{what}: also with the clock set back");
    }
}

#[test]
fn a_sequence_more_than_a_day_ahead_is_refused() {
    let (key, fleet) = (key(), fixture::fleet());
    let day_ahead = milliseconds(at(0)) + 86_400_000;
    for (sequence, ok) in [(day_ahead, true), (day_ahead + 1, false), (u64::MAX, false)] {
        let stored = signed(fixture::grant(), sequence);
        let hidden = Signed { sequence: 1, ..stored.clone() };
        for previous in [stored, hidden] {
            let result = sign_if_changed(
                Some(&previous),
                GrantBody { not_after: at(21), ..fixture::grant() },
                issuer(&key, &fleet),
                at(0),
            );
            assert_eq!(result.is_ok(), ok, "{sequence}: {result:?}");
        }
    }
}

#[test]
fn a_previous_part_that_cannot_be_read_still_holds_the_sequence_up() {
    let (key, fleet) = (key(), fixture::fleet());
    let sequence = milliseconds(at(60));
    let unreadable = Signed { sequence, ..signed(fixture::grant(), 1) };
    let unreadable = Signed { envelope: Envelope::seal(PartKind::Grant, b"{".to_vec(), &key), ..unreadable };
    let next = sign_if_changed(Some(&unreadable), fixture::grant(), issuer(&key, &fleet), at(0)).unwrap().unwrap();
    assert_eq!(next.sequence, sequence + 1);
}

fn milliseconds(now: Instant) -> u64 {
    u64::try_from(now.as_second()).unwrap() * 1000
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(payload: Vec<u8>, seed: [u8; 32]) {
        let key = key_of_seed(&seed);
        let envelope = Envelope::seal(PartKind::Grant, payload.clone(), &key);
        let envelope = Envelope::from_json(&envelope.to_json()).unwrap();
        let ring = KeyRing::new(TRUST_DOMAIN, vec![trusted(&key)]);
        prop_assert_eq!(envelope.verify(PartKind::Grant, &ring).unwrap().payload(), payload.as_slice());
        prop_assert_eq!(envelope.digest(), Digest::of(&payload));
    }

    #[test]
    fn no_bit_of_the_text_of_an_envelope_can_be_changed(index: prop::sample::Index, bit in 0u8..8) {
        let mut text = sealed().to_json().into_bytes();
        let index = index.index(text.len());
        text[index] ^= 1 << bit;
        let envelope = String::from_utf8(text).ok().and_then(|text| Envelope::from_json(&text).ok());
        prop_assert!(envelope.is_none_or(|envelope| envelope.open::<GrantBody>(&ring()).is_err()));
    }

    #[test]
    fn the_sequence_never_falls_whatever_the_clock_does(clock in prop::collection::vec(0i64..80_000, 1..20)) {
        let (key, fleet) = (key(), fixture::fleet());
        let mut previous: Option<Signed> = None;
        for (index, second) in clock.into_iter().enumerate() {
            let body = GrantBody { not_after: at(i64::try_from(index).unwrap()), ..fixture::grant() };
            let next = sign_if_changed(previous.as_ref(), body, issuer(&key, &fleet), at(second)).unwrap().unwrap();
            prop_assert!(previous.is_none_or(|p| p.sequence < next.sequence));
            prop_assert!(next.sequence >= milliseconds(at(second)));
            previous = Some(next);
        }
    }

    #[test]
    fn any_text_is_an_envelope_or_refused_without_panic(text in "\\PC{0,200}") {
        let _ = Envelope::from_json(&text);
    }

    #[test]
    fn any_signed_bytes_are_a_part_or_refused_without_panic(payload: Vec<u8>) {
        let envelope = Envelope::seal(PartKind::Grant, payload, &key());
        prop_assert!(matches!(envelope.open::<GrantBody>(&ring()), Err(OpenError::Part(_))));
    }
}
