//! Envelopes: DSSE v1 around a payload, Ed25519 only (specification: secure-systems-lab/dsse). No header
//! picks an algorithm, and nothing of a payload is parsed before a signature over its raw bytes has been verified. One
//! exception: gateway and controller read what the API server gave them, the root of trust, by
//! [`Envelope::read_unverified`].

#[cfg(test)]
pub(crate) mod fixture;
mod sign;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::sign::{Issuer, SignError, Signed, sequence_after, sign, sign_if_changed, sign_next};
use crate::key::SigningKey;
use crate::keyring::{KeyRing, TrustedKey};
use crate::name::Digest;
use crate::part::{Body, Part, PartError, PartKind};
use crate::refusal::RefusalCode;

/// An envelope with more signatures than this is refused unread: each costs a pass over the payload.
pub const MAX_SIGNATURES: usize = 8;

/// A payload and its signatures. In JSON `payload` and `sig` are standard base64 with padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// [`PartKind::payload_type`] of the content; covered by the signature.
    pub payload_type: String,
    /// The exact bytes that were signed.
    #[serde(with = "standard_base64")]
    pub payload: Vec<u8>,
    /// At most [`MAX_SIGNATURES`]; one that verifies is enough.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// [`crate::key::PublicKey::key_id`] of the key; finds the key, proves nothing.
    pub keyid: String,
    /// 64 bytes.
    #[serde(with = "standard_base64")]
    pub sig: Vec<u8>,
}

/// A payload whose signature has been verified for one kind of part. Only [`Envelope::verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    payload: &'a [u8],
    key: &'a TrustedKey,
}

/// Why an envelope does not open. All but [`OpenError::Part`] mean: not proven to come from the controller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No signature, too many, or one that is not of these bytes by the key it names.
    #[error("no signature of the {0} part is right")]
    BadSignature(PartKind),
    /// By a key that is unknown, may not sign this kind, or had expired when the content was signed.
    #[error("the {0} part is signed by a key that is unknown, expired or not meant for it")]
    WrongKey(PartKind),
    /// The payload is of another kind than the one asked for.
    #[error("a {0} part was expected, the envelope says otherwise")]
    WrongType(PartKind),
    /// Signed for another installation.
    #[error("the {0} part belongs to another trust domain")]
    WrongTrustDomain(PartKind),
    /// Proven, but not of a form that this version understands.
    #[error(transparent)]
    Part(#[from] PartError),
}

/// Why a text is not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an envelope: {0}")]
pub struct EnvelopeError(String);

/// DSSE's pre-authentication encoding: what is signed.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

// === impl Envelope ===

impl Envelope {
    /// Signs a payload.
    #[must_use]
    pub fn seal(kind: PartKind, payload: Vec<u8>, key: &SigningKey) -> Self {
        let payload_type = kind.payload_type().to_owned();
        let sig = key.sign(&pre_authentication_encoding(&payload_type, &payload));
        Self { payload_type, payload, signatures: vec![Signature { keyid: key.key_id(), sig }] }
    }

    /// SHA-256 of the payload: the part's name in manifests.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// Proves that a key of this ring with the role `kind` signed exactly this payload as that kind. Key expiry is
    /// [`Envelope::open`]'s: it needs the payload's `issuedTime`.
    ///
    /// # Errors
    /// [`OpenError::WrongType`], [`OpenError::WrongKey`] if no signature is by a fitting key, else
    /// [`OpenError::BadSignature`].
    pub fn verify<'a>(&'a self, kind: PartKind, ring: &'a KeyRing) -> Result<Verified<'a>, OpenError> {
        if self.payload_type != kind.payload_type() {
            return Err(OpenError::WrongType(kind));
        }
        if self.signatures.is_empty() || self.signatures.len() > MAX_SIGNATURES {
            return Err(OpenError::BadSignature(kind));
        }
        let message = pre_authentication_encoding(&self.payload_type, &self.payload);
        let mut error = OpenError::WrongKey(kind);
        for Signature { keyid, sig } in &self.signatures {
            let Some(key) = ring.key(keyid, kind) else {
                continue;
            };
            if key.public_key.verifies(&message, sig) {
                return Ok(Verified { payload: &self.payload, key });
            }
            error = OpenError::BadSignature(kind);
        }
        Err(error)
    }

    /// Verifies, then parses: the only way from an envelope to content that may be enforced.
    ///
    /// # Errors
    /// Those of [`Envelope::verify`]; [`OpenError::WrongKey`] also for a key that had expired at the content's
    /// `issuedTime`; [`OpenError::WrongTrustDomain`]; [`OpenError::Part`] for proven content that this version does not
    /// understand.
    pub fn open<B: Body>(&self, ring: &KeyRing) -> Result<Part<B>, OpenError> {
        let verified = self.verify(B::KIND, ring)?;
        let part = Part::<B>::parse(verified.payload)?;
        if part.header.trust_domain != ring.trust_domain() {
            return Err(OpenError::WrongTrustDomain(B::KIND));
        }
        if part.header.issued_time >= verified.key.expiration_time {
            return Err(OpenError::WrongKey(B::KIND));
        }
        Ok(part)
    }

    /// Parses without verifying: only for what comes straight from the API server.
    ///
    /// # Errors
    /// [`OpenError::WrongType`] and [`OpenError::Part`].
    pub fn read_unverified<B: Body>(&self) -> Result<Part<B>, OpenError> {
        if self.payload_type != B::KIND.payload_type() {
            return Err(OpenError::WrongType(B::KIND));
        }
        Ok(Part::parse(&self.payload)?)
    }

    /// The envelope as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of strings always serialises; an empty text would be refused wherever it is read.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Envelope::to_json`] wrote.
    ///
    /// # Errors
    /// [`EnvelopeError`]: not JSON, a member is missing, or the base64 is not canonical.
    pub fn from_json(text: &str) -> Result<Self, EnvelopeError> {
        serde_json::from_str(text).map_err(|e| EnvelopeError(e.to_string()))
    }
}

impl<'a> Verified<'a> {
    /// The bytes that were signed.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

// === impl OpenError ===

impl OpenError {
    /// The code that an agent answers with (protocol.md).
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::BadSignature(_) => RefusalCode::BadSignature,
            Self::WrongKey(_) | Self::WrongType(_) => RefusalCode::WrongKey,
            Self::WrongTrustDomain(_) => RefusalCode::WrongEndpoint,
            Self::Part(PartError::UnknownSchema(_)) => RefusalCode::UnknownSchema,
            Self::Part(PartError::NotUnderstood(..)) => RefusalCode::UnknownRule,
        }
    }
}

/// Standard base64 with padding. Only the canonical form is read: one payload has one text.
mod standard_base64 {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
