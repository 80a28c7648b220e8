//! Who this endpoint is: its Ed25519 key, the certificate request for it, and the checks a certificate has to pass
//! before it is used. It talks to nobody; `enroll.rs` does.

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use tidegate_core::interval::Instant;
use tidegate_core::name::{Digest, Named};
use tidegate_core::snapshot::Me;
use tidegate_core::spiffe::EndpointId;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use crate::about;
use crate::args::EndpointPath;
use crate::tls;
use crate::trust::Trust;

/// A key and a certificate for it that passed its checks.
#[derive(Debug)]
pub struct Identity {
    /// Who the certificate says this is.
    pub me: Me,
    /// First second of the certificate: signed time, a floor under the clock.
    pub not_before: Instant,
    /// First second after the certificate.
    pub not_after: Instant,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why a certificate is not used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// It is for another key.
    #[error("the certificate is for another key than this endpoint's")]
    OtherKey,
    /// It is for another endpoint.
    #[error("the certificate is for {0}, not for {1}")]
    OtherEndpoint(String, String),
    /// The pinned authority did not issue it for this use.
    #[error("the certificate is not one of the pinned authority's for endpoints: {0}")]
    NotIssued(String),
}

/// A new private key.
///
/// # Errors
/// The system gives no randomness.
pub fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ED25519)
}

/// Reads a private key, PKCS#8 PEM, Ed25519 only.
///
/// # Errors
/// It is not one.
pub fn read_key(pem: &str) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ED25519)
}

/// The private key to be stored, PKCS#8 PEM.
#[must_use]
pub fn write_key(key: &KeyPair) -> Zeroizing<String> {
    Zeroizing::new(key.serialize_pem())
}

/// What a person compares before approving: SHA-256 over the DER of the key's SubjectPublicKeyInfo.
#[must_use]
pub fn digest(key: &KeyPair) -> Digest {
    Digest::of(&key.subject_public_key_info())
}

/// The certificate request (PEM) for this key: its only name is the endpoint's SPIFFE id.
///
/// # Errors
/// The id is not ASCII, or signing fails.
pub fn certificate_request(key: &KeyPair, id: &EndpointId) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.to_string().try_into()?)];
    params.serialize_request(key)?.pem()
}

/// This endpoint as a certificate request names it.
#[must_use]
pub fn requested_id(trust: &Trust, endpoint: &EndpointPath) -> EndpointId {
    EndpointId {
        trust_domain: trust.ring.trust_domain().to_owned(),
        fleet: endpoint.fleet.clone(),
        endpoint: endpoint.name.clone(),
        uid: None,
    }
}

impl Identity {
    /// Checks a certificate chain (PEM, leaf first): own key, own endpoint, issued for clients by a pinned authority.
    /// Whether it is over is [`Identity::is_over`]'s: who this is does not depend on the time.
    ///
    /// # Errors
    /// [`IdentityError`], each variant as it says.
    pub fn check(chain: &str, key: &KeyPair, endpoint: &EndpointPath, trust: &Trust) -> Result<Self, IdentityError> {
        let unreadable = |e: &dyn ToString| IdentityError::Unreadable(e.to_string());
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(|e| unreadable(&e))?;
        let (leaf, intermediates) = chain.split_first().ok_or_else(|| unreadable(&"there is none"))?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|e| unreadable(&e))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(IdentityError::OtherKey);
        }
        let wanted = requested_id(trust, endpoint);
        let id = only_uri(&parsed)?;
        let uid = id.uid.clone().filter(|_| EndpointId { uid: None, ..id.clone() } == wanted);
        let uid = uid.ok_or_else(|| IdentityError::OtherEndpoint(id.to_string(), wanted.to_string()))?;
        let not_before = Instant::from_second(parsed.validity().not_before.timestamp());
        // The last second of a certificate belongs to it.
        let not_after = Instant::from_second(parsed.validity().not_after.timestamp().saturating_add(1));
        is_issued(leaf, intermediates, trust, not_before)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let me = Me {
            trust_domain: wanted.trust_domain,
            fleet: wanted.fleet,
            endpoint: Named { name: wanted.endpoint, uid },
            agent: about::agent(),
        };
        Ok(Self { me, not_before, not_after, chain, key })
    }

    /// Has the certificate expired?
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        Instant::from(now) >= self.not_after
    }

    /// What TLS shows to the gateway.
    #[must_use]
    pub fn for_tls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), self.key.clone_key())
    }
}

/// The identity in the certificate: its only alternative name must be one.
fn only_uri(certificate: &X509Certificate<'_>) -> Result<EndpointId, IdentityError> {
    let names = certificate.subject_alternative_name().map_err(|e| IdentityError::Unreadable(e.to_string()))?;
    match names.map(|names| names.value.general_names.as_slice()) {
        Some([GeneralName::URI(uri)]) => uri.parse().map_err(|e| IdentityError::Unreadable(format!("{e}"))),
        Some(_) | None => Err(IdentityError::Unreadable("its only name is not a SPIFFE id".to_owned())),
    }
}

/// Did a pinned authority issue it for clients? The same check as the gateway's.
fn is_issued(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    trust: &Trust,
    at: Instant,
) -> Result<(), IdentityError> {
    let not_issued = |e: &dyn ToString| IdentityError::NotIssued(e.to_string());
    let roots = tls::roots(&trust.authorities).map_err(|e| not_issued(&e))?;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().map_err(|e| not_issued(&e))?;
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    verifier.verify_client_cert(leaf, intermediates, time).map(drop).map_err(|e| not_issued(&e))
}

#[cfg(test)]
mod tests;
