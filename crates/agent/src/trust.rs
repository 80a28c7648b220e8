//! Whom the agent believes: the authorities that match the pin, and the signing keys they vouch for. Pure; fetching the
//! bundle is the network's.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tidegate_core::envelope::OpenError;
use tidegate_core::key::PublicKey;
use tidegate_core::keyring::KeyRing;
use tidegate_core::name::Digest;
use tidegate_core::trust::{TrustBundle, pin_of_spki};
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A trust bundle that passed its checks.
#[derive(Debug, Clone)]
pub struct Trust {
    /// As received, to be stored.
    pub bundle: TrustBundle,
    /// The signing keys.
    pub ring: KeyRing,
    /// The authorities that match a pin: the only roots for TLS.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// Why a trust bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// None of the authorities is a pinned one.
    #[error(
        "none of its {0} certificate authorities matches --trust (it has {1}): a wrong pin, or somebody in between"
    )]
    NotPinned(usize, String),
    /// An authority's certificate cannot be read.
    #[error("a certificate authority is not a certificate in PEM: {0}")]
    Certificate(String),
    /// No pinned authority has an Ed25519 key, and only such a key can vouch for signing keys.
    #[error("the pinned certificate authority has no Ed25519 key")]
    NotEd25519,
    /// The signing keys are not vouched for.
    #[error("its signing keys are not believed: {0}")]
    Keys(#[from] OpenError),
}

impl Trust {
    /// Checks a bundle: authorities that match no pin are left out; the others' keys must have signed the signing keys.
    ///
    /// # Errors
    /// [`TrustError`], each variant as it says.
    pub fn check(bundle: TrustBundle, pins: &[Digest]) -> Result<Self, TrustError> {
        let mut authorities = Vec::new();
        let mut keys = Vec::new();
        let mut seen = Vec::new();
        for pem in &bundle.certificate_authorities {
            let der =
                CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| TrustError::Certificate(e.to_string()))?;
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| TrustError::Certificate(e.to_string()))?;
            let spki = parsed.public_key();
            let pin = pin_of_spki(spki.raw);
            seen.push(pin.to_string());
            if pins.contains(&pin) {
                if spki.algorithm.algorithm == OID_SIG_ED25519 {
                    keys.extend(PublicKey::from_bytes(&spki.subject_public_key.data));
                }
                authorities.push(der.clone());
            }
        }
        if authorities.is_empty() {
            return Err(TrustError::NotPinned(seen.len(), seen.into_iter().take(4).collect::<Vec<_>>().join(", ")));
        }
        if keys.is_empty() {
            return Err(TrustError::NotEd25519);
        }
        let ring = bundle.open(&keys)?;
        Ok(Self { bundle, ring, authorities })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
    use tidegate_core::interval::Instant;
    use tidegate_core::key::SigningKey;
    use tidegate_core::keyring::TrustedKey;
    use tidegate_core::part::PartKind;

    use super::*;

    struct Authority {
        key: KeyPair,
        pem: String,
    }

    impl Authority {
        fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let pem = params.self_signed(&key).unwrap().pem();
            Self { key, pem }
        }

        fn pin(&self) -> Digest {
            pin_of_spki(&self.key.subject_public_key_info())
        }
    }

    fn bundle(authorities: &[&Authority], signer: &Authority) -> TrustBundle {
        let key = SigningKey::from_pkcs8(signer.key.serialized_der()).unwrap();
        let trusted = TrustedKey {
            public_key: key.public_key(),
            roles: BTreeSet::from([PartKind::Grant]),
            expiration_time: Instant::MAX,
        };
        let certificates = authorities.iter().map(|a| a.pem.clone()).collect();
        TrustBundle::seal("tidegate.test", certificates, vec![trusted], &key, Instant::from_second(0)).unwrap()
    }

    #[test]
    fn a_pinned_authority_is_believed_and_the_others_are_no_roots() {
        let (ours, other) = (Authority::new(&PKCS_ED25519), Authority::new(&PKCS_ED25519));
        let trust = Trust::check(bundle(&[&other, &ours], &ours), &[ours.pin()]).unwrap();
        assert_eq!(trust.authorities.len(), 1);
        assert_eq!(trust.ring.trust_domain(), "tidegate.test");
    }

    #[test]
    fn another_authority_is_refused_and_its_pin_shown() {
        let (ours, other) = (Authority::new(&PKCS_ED25519), Authority::new(&PKCS_ED25519));
        let error = Trust::check(bundle(&[&other], &other), &[ours.pin()]).unwrap_err();
        assert!(error.to_string().contains(&other.pin().to_string()), "{error}");
    }

    #[test]
    fn signing_keys_that_another_authority_signed_are_refused() {
        let (ours, other) = (Authority::new(&PKCS_ED25519), Authority::new(&PKCS_ED25519));
        let error = Trust::check(bundle(&[&ours, &other], &other), &[ours.pin()]).unwrap_err();
        assert!(matches!(error, TrustError::Keys(OpenError::WrongKey(_))), "{error}");
    }

    #[test]
    fn an_authority_that_cannot_vouch_is_refused() {
        let (ours, other) = (Authority::new(&PKCS_ECDSA_P256_SHA256), Authority::new(&PKCS_ED25519));
        assert_eq!(Trust::check(bundle(&[&ours], &other), &[ours.pin()]).unwrap_err(), TrustError::NotEd25519);
    }
}
