//! Verifies `spec.attestation`: the endpoint's own agent, with the certificate that was issued to it last, signed exactly this wish.
//! What does not verify counts as not there: it takes nothing away but a rule's approval. What was accepted is verified as of then: an
//! agent that has a newer certificate by now has signed it all the same.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_3072_8192_SHA384, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_api::{Attestation, ElevationRequest, ManagedEndpoint};
use tidegate_core::attestation::statement;
use tidegate_core::interval::Instant;
use tidegate_core::name::EndpointRef;
use tidegate_core::request::Request;
use tidegate_core::spiffe::EndpointId;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::convert;
use crate::signing::{self, Authority};

/// Did the agent of this endpoint sign the request?
#[must_use]
pub fn is_attested(
    object: &ElevationRequest,
    request: &Request,
    endpoint: &ManagedEndpoint,
    trust: (&Authority, &str),
    now: Instant,
) -> bool {
    let attestation = object.spec.attestation.as_ref();
    attestation.and_then(|attestation| verified(attestation, request, endpoint, trust, now)).is_some()
}

fn verified(
    attestation: &Attestation,
    request: &Request,
    endpoint: &ManagedEndpoint,
    (authority, trust_domain): (&Authority, &str),
    now: Instant,
) -> Option<()> {
    let checked = convert::endpoint(endpoint).ok()?;
    let facts = signing::facts(attestation.certificate.as_bytes()).ok()?;
    let accepted_at = request.status.as_ref().and_then(|status| status.accepted_at);
    let at = accepted_at.unwrap_or(now);
    let valid = facts.not_before <= at && at < facts.not_after;
    let latest = endpoint.status.as_ref()?.certificate.as_ref()?;
    let is_latest = latest.public_key_digest == facts.key.to_string() && latest.serial_number == facts.serial;
    if !valid || !(is_latest || accepted_at.is_some()) || !is_of(&facts.uris, trust_domain, &checked.reference) {
        return None;
    }
    let (_, block) = x509_parser::pem::parse_x509_pem(attestation.certificate.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
    let by_authority = authority.public_key();
    let signature = &certificate.signature_value.data;
    if !by_authority.verifies(certificate.tbs_certificate.as_ref(), signature) {
        return None;
    }
    let signed = statement(&checked.reference.uid, &request.reference.name, &request.wish);
    let signature = STANDARD.decode(&attestation.signature).ok()?;
    verifies(&certificate, &signed, &signature).then_some(())
}

fn is_of(uris: &[String], trust_domain: &str, endpoint: &EndpointRef) -> bool {
    let [uri] = uris else { return false };
    uri.parse::<EndpointId>()
        .is_ok_and(|id| id.trust_domain == trust_domain && id.reference().as_ref() == Some(endpoint))
}

/// The kinds of keys that endpoints may have, each with one way of signing.
fn verifies(certificate: &X509Certificate<'_>, message: &[u8], signature: &[u8]) -> bool {
    let key = certificate.public_key();
    let (algorithm, bytes) = (&key.algorithm.algorithm, key.subject_public_key.data.as_ref());
    let verified = if *algorithm == OID_SIG_ED25519 {
        UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature)
    } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).verify(message, signature)
    } else if *algorithm == OID_PKCS1_RSAENCRYPTION {
        UnparsedPublicKey::new(&RSA_PKCS1_3072_8192_SHA384, bytes).verify(message, signature)
    } else {
        return false;
    };
    verified.is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SigningKey};
    use serde_json::json;

    use super::*;

    fn now() -> Instant {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn authority() -> Authority {
        let issued = Authority::generate("tidegate.test", now()).unwrap();
        Authority::load(&issued.certificate, &issued.key).unwrap()
    }

    /// An endpoint whose agent has a key of this kind, and a request that it signed.
    struct World {
        authority: Authority,
        endpoint: ManagedEndpoint,
        request: ElevationRequest,
    }

    impl World {
        fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
            let authority = authority();
            let key = KeyPair::generate_for(algorithm).unwrap();
            let id: EndpointId = "spiffe://tidegate.test/fleet/berlin/endpoint/ws-042/e-1".parse().unwrap();
            let spki = PublicKeyData::subject_public_key_info(&key);
            let pem = authority.issue_endpoint(&id, &spki, Duration::from_secs(3600), now()).unwrap();
            let facts = signing::facts(pem.as_bytes()).unwrap();
            let mut request: ElevationRequest = serde_json::from_value(json!({
                "apiVersion": "tidegate.dev/v1alpha1", "kind": "ElevationRequest",
                "metadata": {"name": "er-1", "namespace": "berlin", "uid": "r-1"},
                "spec": {
                    "policyName": "dev-tools", "endpointName": "ws-042", "account": "alice", "requester": "gw",
                    "onBehalf": true, "reason": "Installing",
                },
            }))
            .unwrap();
            let parsed = convert::request(&request).unwrap();
            let bytes = statement(&"e-1".parse().unwrap(), &parsed.reference.name, &parsed.wish);
            let signature = STANDARD.encode(key.sign(&bytes).unwrap());
            request.spec.attestation = Some(Attestation { certificate: pem, signature });
            let endpoint = serde_json::from_value(json!({
                "apiVersion": "tidegate.dev/v1alpha1", "kind": "ManagedEndpoint",
                "metadata": {"name": "ws-042", "namespace": "berlin", "uid": "e-1"}, "spec": {},
                "status": {"certificate": {
                    "serialNumber": facts.serial, "publicKeyDigest": facts.key.to_string(),
                    "expirationTime": "2026-11-22T11:00:00Z",
                }},
            }))
            .unwrap();
            Self { authority, endpoint, request }
        }

        fn holds(&self) -> bool {
            self.holds_at(now())
        }

        fn holds_at(&self, now: Instant) -> bool {
            let request = convert::request(&self.request).unwrap();
            is_attested(&self.request, &request, &self.endpoint, (&self.authority, "tidegate.test"), now)
        }
    }

    #[test]
    fn the_agents_own_signature_counts_with_every_kind_of_key() {
        for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256] {
            assert!(World::new(algorithm).holds(), "{algorithm:?}");
        }
    }

    #[test]
    fn anything_else_counts_as_not_signed() {
        type Change = (&'static str, fn(&mut World));
        let changes: [Change; 9] = [
            ("nothing", |w| w.request.spec.attestation = None),
            ("another wish", |w| w.request.spec.account = "mallory".into()),
            ("another request", |w| w.request.metadata.name = Some("er-2".into())),
            ("a re-created endpoint", |w| w.endpoint.metadata.uid = Some("e-2".into())),
            ("another endpoint", |w| w.endpoint.metadata.name = Some("ws-043".into())),
            ("another authority", |w| w.authority = authority()),
            ("no certificate known", |w| w.endpoint.status = None),
            ("an older certificate", |w| {
                w.endpoint.status.as_mut().unwrap().certificate.as_mut().unwrap().serial_number = "01".into();
            }),
            ("a broken signature", |w| w.request.spec.attestation.as_mut().unwrap().signature = "AAAA".into()),
        ];
        for (what, change) in changes {
            let mut world = World::new(&PKCS_ED25519);
            change(&mut world);
            assert!(!world.holds(), "{what}");
        }
        let world = World::new(&PKCS_ED25519);
        assert!(!world.holds_at(now().plus(Duration::from_secs(3600))), "an expired certificate");
    }

    #[test]
    fn what_was_accepted_counts_as_of_then() {
        let mut world = World::new(&PKCS_ED25519);
        world.endpoint.status.as_mut().unwrap().certificate.as_mut().unwrap().serial_number = "02".into();
        let later = now().plus(Duration::from_secs(3600));
        assert!(!world.holds_at(later), "the agent has another certificate by now");
        let accepted = |time: &str| {
            let accepted = json!({"type": "Accepted", "status": "True", "reason": "Any", "message": "", "lastTransitionTime": time});
            serde_json::from_value(json!({"state": "Scheduled", "conditions": [accepted]})).unwrap()
        };
        world.request.status = Some(accepted("2026-11-22T10:00:00Z"));
        assert!(world.holds_at(later));
        world.request.status = Some(accepted("2026-11-22T11:00:00Z"));
        assert!(!world.holds_at(later), "its certificate had expired when it was accepted");
    }
}
