//! The harness's own certificate authority: the API server's certificate, people's client certificates, the key of
//! ServiceAccount tokens. Never the product's CA.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Signs for one control plane; made new for each, so that no client talks to another's server by accident.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both PEM.
pub struct Credential {
    /// The leaf certificate alone.
    pub certificate: String,
    /// PKCS#8.
    pub key: String,
}

// === impl Authority ===

impl Authority {
    /// A new self-signed P-256 authority.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn create() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "tidegate-test-control-plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A client certificate for the Kubernetes user `user` (CN), in one group (O) at most: rcgen holds one value of each
    /// part of a name.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Credential> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// A serving certificate for 127.0.0.1.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn loopback_server(&self) -> Result<Credential> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Credential> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credential { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The key pair that signs ServiceAccount tokens (P-256), as the API server wants it: a file for each half.
pub struct TokenKey {
    /// PKCS#8, PEM.
    pub private: String,
    /// SubjectPublicKeyInfo, PEM.
    pub public: String,
}

// === impl TokenKey ===

impl TokenKey {
    /// A new one.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn create() -> Result<Self> {
        let key = KeyPair::generate()?;
        Ok(Self { private: key.serialize_pem(), public: key.public_key_pem() })
    }
}
