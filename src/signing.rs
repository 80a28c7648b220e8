//! The controller's keys at work: the signing key signs parts through core, the certificate authority signs certificates and
//! the trust bundle. Where keys come from is `controller::keys`; nothing here reads or writes anything.

use std::collections::BTreeSet;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use tidegate_core::interval::Instant;
use tidegate_core::key::{PublicKey, SigningKey};
use tidegate_core::keyring::TrustedKey;
use tidegate_core::name::Digest;
use tidegate_core::part::PartKind;
use tidegate_core::spiffe::EndpointId;
use tidegate_core::trust::{TrustBundle, pin_of_spki};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::args::Host;

/// Validity of a certificate authority that the controller makes.
pub const AUTHORITY_LIFETIME: Duration = days(3650);
/// Validity of the gateway's certificate; renewed when a third of it is left.
pub const GATEWAY_LIFETIME: Duration = days(90);
/// Longest validity of an endpoint's certificate, and the default.
pub const ENDPOINT_LIFETIME: Duration = days(7);
/// Certificates begin this much early, for clocks that are a little slow.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

/// Why key material cannot be used or a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A private key is not an Ed25519 key in PEM (PKCS #8).
    #[error("the private key is not an unencrypted Ed25519 key in PKCS #8 PEM form")]
    Key,
    /// The authority's certificate is not a PEM certificate, or not of this key.
    #[error("the certificate is not one PEM certificate of the private key beside it")]
    Certificate,
    /// The system gives no random numbers.
    #[error("no random numbers from the system")]
    Random,
    /// The certificate library refused; its text.
    #[error("certificate: {0}")]
    Rcgen(#[from] rcgen::Error),
    /// The trust bundle does not serialise.
    #[error(transparent)]
    Part(#[from] tidegate_core::part::PartError),
}

/// A freshly made key with its certificate, both PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// The certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    key: SigningKey,
    spki: Vec<u8>,
    not_after: Instant,
}

/// A new Ed25519 private key, PKCS #8 PEM.
///
/// # Errors
/// [`SigningError::Rcgen`] without entropy.
pub fn generate_key() -> Result<String, SigningError> {
    Ok(KeyPair::generate_for(&PKCS_ED25519)?.serialize_pem())
}

/// The signing key of a PEM text.
///
/// # Errors
/// [`SigningError::Key`]
pub fn signing_key(pem: &str) -> Result<SigningKey, SigningError> {
    let pair = key_pair(pem)?;
    SigningKey::from_pkcs8(pair.serialized_der()).map_err(|_| SigningError::Key)
}

fn key_pair(pem: &str) -> Result<KeyPair, SigningError> {
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ED25519).map_err(|_| SigningError::Key)
}

// === impl Authority ===

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// No entropy.
    pub fn generate(trust_domain: &str, now: Instant) -> Result<Issued, SigningError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = params(&format!("Tidegate CA of {trust_domain}"), now, now.plus(AUTHORITY_LIFETIME))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        Ok(Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    }

    /// Takes up an authority from its PEM certificate and key.
    ///
    /// # Errors
    /// [`SigningError::Key`], or [`SigningError::Certificate`] where the two do not belong together.
    pub fn load(certificate: &str, key: &str) -> Result<Self, SigningError> {
        let pair = key_pair(key)?;
        let signing = SigningKey::from_pkcs8(pair.serialized_der()).map_err(|_| SigningError::Key)?;
        let (_, block) =
            x509_parser::pem::parse_x509_pem(certificate.as_bytes()).map_err(|_| SigningError::Certificate)?;
        let parsed = block.parse_x509().map_err(|_| SigningError::Certificate)?;
        let spki = parsed.public_key();
        if spki.subject_public_key.data.as_ref() != signing.public_key().as_bytes() {
            return Err(SigningError::Certificate);
        }
        Ok(Self {
            certificate: certificate.to_owned(),
            spki: spki.raw.to_vec(),
            not_after: Instant::from_second(parsed.validity().not_after.timestamp()),
            issuer: Issuer::from_ca_cert_pem(certificate, pair)?,
            key: signing,
        })
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// When its certificate ends.
    #[must_use]
    pub fn not_after(&self) -> Instant {
        self.not_after
    }

    /// Verifies what the authority signs.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// What people pin: SHA-256 of the public key.
    #[must_use]
    pub fn pin(&self) -> Digest {
        pin_of_spki(&self.spki)
    }

    /// Vouches for the signing key, as long as the authority itself lasts.
    ///
    /// # Errors
    /// [`SigningError::Part`]
    pub fn trust_bundle(
        &self,
        trust_domain: &str,
        signing: &SigningKey,
        now: Instant,
    ) -> Result<TrustBundle, SigningError> {
        let roles = BTreeSet::from([PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant]);
        let key = TrustedKey { public_key: signing.public_key(), roles, expiration_time: self.not_after };
        let authorities = vec![self.certificate.clone()];
        Ok(TrustBundle::seal(trust_domain, authorities, vec![key], &self.key, now)?)
    }

    /// A certificate for the gateway: server authentication only, for these names.
    ///
    /// # Errors
    /// No entropy, or a name that is none.
    pub fn issue_gateway(&self, hosts: &[Host], now: Instant) -> Result<Issued, SigningError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = params("tidegate-gateway", now, now.plus(GATEWAY_LIFETIME).min(self.not_after))?;
        for host in hosts {
            params.subject_alt_names.push(match host {
                Host::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
                Host::Ip(address) => SanType::IpAddress(*address),
            });
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A certificate for an endpoint: client authentication only. Nothing is taken from a request but the key (DER
    /// `SubjectPublicKeyInfo`).
    ///
    /// # Errors
    /// No entropy, or a key of a kind that is not supported.
    pub fn issue_endpoint(
        &self,
        id: &EndpointId,
        spki: &[u8],
        lifetime: Duration,
        now: Instant,
    ) -> Result<String, SigningError> {
        let end = now.plus(lifetime.min(ENDPOINT_LIFETIME)).min(self.not_after);
        let common_name: String = id.endpoint.as_str().chars().take(64).collect();
        let mut params = params(&common_name, now, end)?;
        params.subject_alt_names = vec![SanType::URI(id.to_string().as_str().try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&SubjectPublicKeyInfo::from_der(spki)?, &self.issuer)?.pem())
    }
}

fn params(common_name: &str, now: Instant, end: Instant) -> Result<CertificateParams, SigningError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| SigningError::Random)?;
    // RFC 5280: a positive integer; the first bits are set so that it has always the same length.
    serial[0] = serial[0] & 0x3f | 0x40;
    let epoch = Instant::from_second(0);
    let date = |instant| rcgen::date_time_ymd(1970, 1, 1) + epoch.until(instant);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date(now.minus(CLOCK_SKEW));
    params.not_after = date(end);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What a certificate says, as far as statuses and renewals need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Serial number, lower case hex.
    pub serial: String,
    /// SHA-256 of the public key.
    pub key: Digest,
    /// First second of validity.
    pub not_before: Instant,
    /// End of validity.
    pub not_after: Instant,
    /// URI names.
    pub uris: Vec<String>,
    /// DNS names and IP addresses.
    pub hosts: BTreeSet<Host>,
}

/// Reads the first certificate of a PEM text.
///
/// # Errors
/// [`SigningError::Certificate`]
pub fn facts(pem: &[u8]) -> Result<Facts, SigningError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem).map_err(|_| SigningError::Certificate)?;
    let (_, parsed) = X509Certificate::from_der(&block.contents).map_err(|_| SigningError::Certificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| SigningError::Certificate)?;
    let mut facts = Facts {
        serial: hex::encode(parsed.raw_serial()),
        key: pin_of_spki(parsed.public_key().raw),
        not_before: Instant::from_second(parsed.validity().not_before.timestamp()),
        not_after: Instant::from_second(parsed.validity().not_after.timestamp()),
        uris: Vec::new(),
        hosts: BTreeSet::new(),
    };
    for name in names.iter().flat_map(|extension| &extension.value.general_names) {
        use x509_parser::extensions::GeneralName;
        if let GeneralName::URI(uri) = name {
            facts.uris.push((*uri).to_owned());
        } else if let GeneralName::DNSName(dns) = name {
            facts.hosts.insert(Host::Dns((*dns).to_owned()));
        } else if let GeneralName::IPAddress(bytes) = name {
            facts.hosts.extend(ip(bytes).map(Host::Ip));
        }
    }
    Ok(facts)
}

fn ip(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn authority() -> Authority {
        let issued = Authority::generate("tidegate.test", now()).unwrap();
        Authority::load(&issued.certificate, &issued.key).unwrap()
    }

    #[test]
    fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
        let (a, b) = (Authority::generate("a", now()).unwrap(), Authority::generate("b", now()).unwrap());
        assert!(matches!(Authority::load(&a.certificate, &b.key), Err(SigningError::Certificate)));
        assert!(matches!(Authority::load(&a.certificate, "nonsense"), Err(SigningError::Key)));
        let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        assert!(matches!(signing_key(&p256), Err(SigningError::Key)));
    }

    #[test]
    fn the_trust_bundle_opens_with_the_authority_and_trusts_the_signing_key() {
        let authority = authority();
        let signing = signing_key(&generate_key().unwrap()).unwrap();
        let bundle = authority.trust_bundle("tidegate.test", &signing, now()).unwrap();
        let ring = bundle.open(&[authority.key.public_key()]).unwrap();
        assert_eq!(ring.trust_domain(), "tidegate.test");
        let other = self::authority();
        assert!(bundle.open(&[other.key.public_key()]).is_err());
    }

    #[test]
    fn an_endpoint_certificate_says_what_the_controller_decides_and_ends_in_time() {
        let authority = authority();
        let id: EndpointId = "spiffe://tidegate.test/fleet/berlin/endpoint/ws-042/u-1".parse().unwrap();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        let pem = authority.issue_endpoint(&id, &spki, days(400), now()).unwrap();
        let facts = facts(pem.as_bytes()).unwrap();
        assert_eq!(facts.uris, [id.to_string()]);
        assert_eq!(facts.not_after, now().plus(ENDPOINT_LIFETIME));
        assert_eq!(facts.not_before, now().minus(CLOCK_SKEW));
        assert_eq!(facts.key, pin_of_spki(&spki));
        assert_eq!(facts.serial.len(), 32);
        assert!(facts.hosts.is_empty());
        let der = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1;
        let parsed = der.parse_x509().unwrap();
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
        assert!(!parsed.is_ca());
    }

    #[test]
    fn the_gateway_certificate_is_for_servers_only_and_names_its_hosts() {
        let hosts = [Host::Dns("gateway.example.com".into()), Host::Ip([127, 0, 0, 1].into())];
        let issued = authority().issue_gateway(&hosts, now()).unwrap();
        let facts = facts(issued.certificate.as_bytes()).unwrap();
        assert_eq!(facts.hosts, BTreeSet::from(hosts));
        let der = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap().1;
        let parsed = der.parse_x509().unwrap();
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth);
    }
}
