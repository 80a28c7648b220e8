//! The trust bundle: which keys may sign which parts, signed in turn by the certificate authority, so that an agent
//! which pinned the authority follows every rotation of signing keys. Reading certificates is the caller's: this module
//! sees only raw public keys.

use serde::{Deserialize, Serialize};

use crate::envelope::{Envelope, OpenError};
use crate::interval::Instant;
use crate::key::{PublicKey, SigningKey};
use crate::keyring::{KeyRing, TrustedKey};
use crate::name::Digest;
use crate::part::{PartError, PartKind, SCHEMA};

/// The payload that the authority signs. It belongs to the installation, not to a fleet, so it is not a
/// [`crate::part::Part`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustBody {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The installation.
    pub trust_domain: String,
    /// When the authority signed it.
    pub issued_time: Instant,
    /// Sorted by key id.
    pub keys: Vec<TrustedKey>,
}

/// What `GET /v1/trust` serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustBundle {
    /// The installation. Unsigned here: [`TrustBundle::open`] compares it with the signed one.
    pub trust_domain: String,
    /// The authorities' certificates in PEM, one each. Not trusted before their keys match the pin.
    pub certificate_authorities: Vec<String>,
    /// A [`TrustBody`], signed by an authority's key.
    pub keys: Envelope,
}

/// What a person pins: SHA-256 over the DER of an authority's SubjectPublicKeyInfo (as in RFC 7469), written
/// `sha256:<64 hex digits>`.
#[must_use]
pub fn pin_of_spki(der: &[u8]) -> Digest {
    Digest::of(der)
}

// === impl TrustBody ===

impl TrustBody {
    fn parse(payload: &[u8]) -> Result<Self, PartError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        let not_understood = |e: serde_json::Error| PartError::NotUnderstood(PartKind::Trust, e.to_string());
        let Schema { schema } = serde_json::from_slice(payload).map_err(not_understood)?;
        if schema != SCHEMA {
            return Err(PartError::UnknownSchema(schema));
        }
        serde_json::from_slice(payload).map_err(not_understood)
    }
}

// === impl TrustBundle ===

impl TrustBundle {
    /// Signs the keys by the authority. The order of `keys` does not matter.
    ///
    /// # Errors
    /// [`PartError`] if the keys do not serialise.
    pub fn seal(
        trust_domain: &str,
        certificate_authorities: Vec<String>,
        mut keys: Vec<TrustedKey>,
        authority: &SigningKey,
        now: Instant,
    ) -> Result<Self, PartError> {
        keys.sort_by_key(|key| key.public_key.key_id());
        let body = TrustBody { schema: SCHEMA, trust_domain: trust_domain.to_owned(), issued_time: now, keys };
        let payload =
            serde_json::to_vec(&body).map_err(|e| PartError::NotUnderstood(PartKind::Trust, e.to_string()))?;
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            certificate_authorities,
            keys: Envelope::seal(PartKind::Trust, payload, authority),
        })
    }

    /// The keys that one of these authorities vouches for. The caller has compared the authorities with its pin.
    ///
    /// # Errors
    /// Those of [`Envelope::verify`]; [`OpenError::WrongTrustDomain`] if the bundle names another trust domain than
    /// what is signed; [`OpenError::Part`] for content that this version does not understand.
    pub fn open(&self, authorities: &[PublicKey]) -> Result<KeyRing, OpenError> {
        let may_vouch = |public_key: &PublicKey| TrustedKey {
            public_key: *public_key,
            roles: [PartKind::Trust].into(),
            expiration_time: Instant::MAX,
        };
        let ring = KeyRing::new(self.trust_domain.as_str(), authorities.iter().map(may_vouch).collect());
        let verified = self.keys.verify(PartKind::Trust, &ring)?;
        let body = TrustBody::parse(verified.payload())?;
        if body.trust_domain != self.trust_domain {
            return Err(OpenError::WrongTrustDomain(PartKind::Trust));
        }
        Ok(KeyRing::new(body.trust_domain, body.keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::fixture::{self, TRUST_DOMAIN, at, key, key_of_seed, ring, stranger, trusted};
    use crate::grant::GrantBody;

    fn authority() -> SigningKey {
        key_of_seed(&[1; 32])
    }

    fn bundle(keys: Vec<TrustedKey>) -> TrustBundle {
        TrustBundle::seal(TRUST_DOMAIN, vec!["PEM".to_owned()], keys, &authority(), at(0)).unwrap()
    }

    fn with_payload(change: impl FnOnce(String) -> String, signer: &SigningKey) -> TrustBundle {
        let mut bundle = bundle(vec![trusted(&key())]);
        let text = change(String::from_utf8(bundle.keys.payload).unwrap());
        bundle.keys = Envelope::seal(PartKind::Trust, text.into_bytes(), signer);
        bundle
    }

    #[test]
    fn a_bundle_opens_to_the_keys_that_the_authority_signed() {
        let text = serde_json::to_string(&bundle(vec![trusted(&key())])).unwrap();
        let read: TrustBundle = serde_json::from_str(&text).unwrap();
        let opened = read.open(&[stranger().public_key(), authority().public_key()]).unwrap();
        assert_eq!(opened, ring());
        assert!(fixture::signed(fixture::grant(), 1).envelope.open::<GrantBody>(&opened).is_ok());
    }

    #[test]
    fn the_order_of_the_keys_never_shows() {
        let (one, two) = (trusted(&key()), trusted(&stranger()));
        assert_eq!(bundle(vec![one.clone(), two.clone()]), bundle(vec![two, one]));
    }

    #[test]
    fn only_a_pinned_authority_vouches() {
        let bundle = bundle(vec![trusted(&key())]);
        let wrong_key = Err(OpenError::WrongKey(PartKind::Trust));
        assert_eq!(bundle.open(&[]), wrong_key);
        assert_eq!(bundle.open(&[stranger().public_key()]), wrong_key);
        assert_eq!(bundle.open(&[key().public_key()]), wrong_key, "a signing key does not vouch for itself");
        let mut forged = with_payload(|text| text, &stranger());
        forged.keys.signatures[0].keyid = authority().key_id();
        assert_eq!(forged.open(&[authority().public_key()]), Err(OpenError::BadSignature(PartKind::Trust)));
    }

    #[test]
    fn an_authority_signs_no_parts_unless_it_is_listed_for_them() {
        let header = fixture::header(1);
        let by_authority = crate::envelope::sign(fixture::grant(), header, &authority()).unwrap().envelope;
        let opened = bundle(vec![trusted(&key())]).open(&[authority().public_key()]).unwrap();
        assert_eq!(by_authority.open::<GrantBody>(&opened), Err(OpenError::WrongKey(PartKind::Grant)));
    }

    #[test]
    fn the_unsigned_trust_domain_has_to_be_the_signed_one() {
        let renamed = TrustBundle { trust_domain: "elsewhere.local".to_owned(), ..bundle(Vec::new()) };
        assert_eq!(renamed.open(&[authority().public_key()]), Err(OpenError::WrongTrustDomain(PartKind::Trust)));
    }

    #[test]
    fn signed_content_that_is_not_understood_opens_nothing() {
        let open = |change: fn(String) -> String| with_payload(change, &authority()).open(&[authority().public_key()]);
        assert!(open(|text| text).is_ok());
        let newer = open(|text| text.replacen("\"schema\":1", "\"schema\":2", 1));
        assert_eq!(newer, Err(OpenError::Part(PartError::UnknownSchema(2))));
        let changes: [fn(String) -> String; 5] = [
            |text| text.replacen('{', "{\"unheardOf\":1,", 1),
            |text| text.replacen("\"keyid\":\"", "\"keyid\":\"0", 1),
            |text| text.replacen("\"keyid\":", "\"unheardOf\":1,\"keyid\":", 1),
            |text| text.replacen("\"grant\"", "\"everything\"", 1),
            |text| text[..text.len() - 1].to_owned(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let result = open(change);
            assert!(matches!(result, Err(OpenError::Part(PartError::NotUnderstood(..)))), "change {index}: {result:?}");
        }
    }

    #[test]
    fn a_pin_is_the_sha_256_of_the_public_key_info() {
        assert_eq!(pin_of_spki(b"abc"), Digest::of(b"abc"));
    }
}
