//! Ed25519 keys (RFC 8032). No generation here: core has no entropy.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::name::Digest;

/// Why bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an unencrypted Ed25519 key in PKCS#8, version 1 or 2.
    #[error("the private key is not an unencrypted Ed25519 key in PKCS#8 form")]
    Private,
    /// Not 32 bytes.
    #[error("the public key is not the standard base64 of 32 bytes")]
    Public,
}

/// An Ed25519 public key; in JSON the standard base64 of its 32 raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// An Ed25519 private key. Its memory is cleared when it is dropped; its `Debug` shows only the key id.
pub struct SigningKey(Ed25519KeyPair);

// === impl PublicKey ===

impl PublicKey {
    /// From the 32 raw bytes, as a certificate's subjectPublicKey holds them.
    ///
    /// # Errors
    /// [`KeyError::Public`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Public)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its name in signatures: the SHA-256 of the raw bytes, 64 lower case hex digits.
    #[must_use]
    pub fn key_id(&self) -> String {
        Digest::of(&self.0).to_hex()
    }

    /// Is this the signature of these bytes by this key?
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(value: String) -> Result<Self, KeyError> {
        Self::from_bytes(&STANDARD.decode(value).map_err(|_| KeyError::Public)?)
    }
}

impl From<PublicKey> for String {
    fn from(value: PublicKey) -> String {
        STANDARD.encode(value.0)
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// Reads an unencrypted PKCS#8 key, version 1 or 2, in DER.
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else, also where the public key inside does not belong to the private one.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(der).map(Self).map_err(|_| KeyError::Private)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// [`PublicKey::key_id`] of the public half.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.public_key().key_id()
    }

    /// The 64 bytes of the signature of these bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.key_id()).finish()
    }
}
