//! Certificate signing requests of endpoints, checked the same way by the gateway that passes them on and by the controller
//! that signs. Nothing of a request is taken over but its key and the name it asks for.

use tidegate_core::name::Digest;
use tidegate_core::spiffe::EndpointId;
use tidegate_core::wire::limit;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, Oid,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A request whose key is of a kind we sign, whose signature proves possession of that key, and which names one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// The endpoint it asks for: a SPIFFE id without uid. Not yet compared with anything.
    pub id: EndpointId,
    /// The public key as DER `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
}

/// Why a request is not accepted; the text is for whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not one PEM block of the right kind.
    #[error("the certificate signing request is not one PEM block CERTIFICATE REQUEST of at most {} bytes", limit::CSR)]
    Pem,
    /// Not PKCS #10.
    #[error("the certificate signing request is not DER of PKCS #10")]
    Der,
    /// It does not prove possession of the key.
    #[error("the certificate signing request's own signature does not verify")]
    Signature,
    /// Not P-256, Ed25519 or RSA of 3072 to 4096 bits.
    #[error(
        "the key of the certificate signing request is not accepted; use P-256, Ed25519 or RSA of 3072 to 4096 bits"
    )]
    Key,
    /// The subject alternative name is missing, not alone or not an endpoint's.
    #[error("the certificate signing request must have one subject alternative name, a URI {EXPECTED_NAME}: {0}")]
    Name(String),
}

/// How a request may be signed: nothing with SHA-1.
const SIGNATURES: [Oid<'static>; 6] = [
    OID_SIG_ED25519,
    OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384,
    OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA,
];

const EXPECTED_NAME: &str = "spiffe://<trust domain>/fleet/<namespace>/endpoint/<name>";

// === impl Csr ===

impl Csr {
    /// Reads and checks a request in PEM.
    ///
    /// # Errors
    /// See [`CsrError`].
    pub fn parse(pem: &str) -> Result<Self, CsrError> {
        let block = single_block(pem)?;
        let (rest, csr) = X509CertificationRequest::from_der(&block.contents).map_err(|_| CsrError::Der)?;
        if !rest.is_empty() {
            return Err(CsrError::Der);
        }
        let key = &csr.certification_request_info.subject_pki;
        if !is_accepted(key) {
            return Err(CsrError::Key);
        }
        let modern = SIGNATURES.contains(&csr.signature_algorithm.algorithm) && csr.signature_value.unused_bits == 0;
        csr.verify_signature().ok().filter(|()| modern).ok_or(CsrError::Signature)?;
        Ok(Self { id: endpoint_id(&csr)?, spki: key.raw.to_vec() })
    }

    /// SHA-256 of the public key (DER `SubjectPublicKeyInfo`).
    #[must_use]
    pub fn key_digest(&self) -> Digest {
        Digest::of(&self.spki)
    }
}

fn single_block(pem: &str) -> Result<Pem, CsrError> {
    let text = pem.trim();
    let framed =
        text.starts_with("-----BEGIN CERTIFICATE REQUEST-----") && text.ends_with("-----END CERTIFICATE REQUEST-----");
    if pem.len() > limit::CSR || !framed || text.matches("-----BEGIN").count() != 1 {
        return Err(CsrError::Pem);
    }
    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|_| CsrError::Pem)?;
    Ok(block)
}

fn is_accepted(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return key.subject_public_key.data.len() == 32;
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
        return curve == Some(OID_EC_P256);
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION
        && let Ok(PublicKey::RSA(rsa)) = key.parsed()
    {
        return (3072..=4096).contains(&rsa.key_size());
    }
    false
}

fn endpoint_id(csr: &X509CertificationRequest<'_>) -> Result<EndpointId, CsrError> {
    let refused = |why: &str| CsrError::Name(why.to_owned());
    let names: Vec<_> = csr
        .requested_extensions()
        .into_iter()
        .flatten()
        .filter_map(|extension| {
            let ParsedExtension::SubjectAlternativeName(names) = extension else { return None };
            Some(&names.general_names)
        })
        .flatten()
        .collect();
    let [GeneralName::URI(uri)] = names.as_slice() else {
        return Err(refused("it has none, several, or one of another kind"));
    };
    let id: EndpointId = uri.parse().map_err(|e| CsrError::Name(format!("{e}")))?;
    if id.uid.is_some() {
        return Err(refused("the uid is added when the certificate is signed"));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, SignatureAlgorithm};

    use super::*;

    const NAME: &str = "spiffe://tidegate.test/fleet/berlin/endpoint/ws-042";

    fn request(algorithm: &'static SignatureAlgorithm, uris: &[&str]) -> String {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|u| SanType::URI((*u).try_into().unwrap())).collect();
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_request_of_an_accepted_kind_gives_its_key_and_name() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256] {
            let csr = Csr::parse(&request(algorithm, &[NAME])).unwrap();
            assert_eq!(csr.id.to_string(), NAME);
            assert!(SubjectPublicKeyInfo::from_der(&csr.spki).unwrap().0.is_empty());
        }
    }

    #[test]
    fn a_weak_or_unusual_key_is_refused() {
        assert_eq!(Csr::parse(&request(&rcgen::PKCS_ECDSA_P384_SHA384, &[NAME])), Err(CsrError::Key));
        assert_eq!(Csr::parse(&request(&rcgen::PKCS_RSA_SHA256, &[NAME])), Err(CsrError::Key));
    }

    #[test]
    fn rsa_of_3072_bits_is_accepted() {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(NAME.try_into().unwrap())];
        assert!(Csr::parse(&params.serialize_request(&key).unwrap().pem().unwrap()).is_ok());
    }

    #[test]
    fn the_name_must_be_one_endpoint_without_uid() {
        let with_uid = format!("{NAME}/0b6f");
        for uris in [&[][..], &[NAME, NAME], &["https://example.com"], &[with_uid.as_str()]] {
            let refused = Csr::parse(&request(&rcgen::PKCS_ED25519, uris)).unwrap_err();
            assert!(matches!(refused, CsrError::Name(_)), "{uris:?}: {refused}");
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let dns = CertificateParams::new(vec!["ws-042.example.com".to_owned()]).unwrap();
        let pem = dns.serialize_request(&key).unwrap().pem().unwrap();
        assert!(matches!(Csr::parse(&pem), Err(CsrError::Name(_))));
    }

    #[test]
    fn no_changed_byte_changes_what_is_read() {
        let good = request(&rcgen::PKCS_ED25519, &[NAME]);
        let read = Csr::parse(&good).unwrap();
        let der = single_block(&good).unwrap().contents;
        let mut refused = 0;
        for position in 0..der.len() {
            let mut changed = der.clone();
            changed[position] ^= 1;
            match Csr::parse(&pem_of(&changed)) {
                Ok(other) => assert_eq!(other, read, "byte {position}"),
                Err(_) => refused += 1,
            }
        }
        // The parser overlooks a wrong tag in front of the signature algorithm's name, which nothing is read from.
        assert!(refused + 1 >= der.len(), "{refused} of {}", der.len());
    }

    #[test]
    fn what_is_not_one_block_is_refused() {
        let good = request(&rcgen::PKCS_ED25519, &[NAME]);
        let huge = format!("{good}{}", " ".repeat(limit::CSR));
        let other = good.replace("CERTIFICATE REQUEST", "CERTIFICATE");
        for bad in ["", "x", &format!("{good}{good}"), &format!("x{good}"), &huge, &other] {
            assert_eq!(Csr::parse(bad), Err(CsrError::Pem));
        }
        assert_eq!(Csr::parse(&pem_of(b"\x30\x00")), Err(CsrError::Der));
    }

    fn pem_of(der: &[u8]) -> String {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
