//! The keys that are trusted, each for the kinds of parts it may sign and until its end.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::interval::Instant;
use crate::key::PublicKey;
use crate::part::PartKind;

/// A key that signs parts. In JSON it carries its `keyid` too, which must be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TrustedKeyJson", into = "TrustedKeyJson")]
pub struct TrustedKey {
    /// The key.
    pub public_key: PublicKey,
    /// The kinds of parts it may sign.
    pub roles: BTreeSet<PartKind>,
    /// What was signed (`issuedTime`) at or after this instant is not believed.
    pub expiration_time: Instant,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrustedKeyJson {
    keyid: String,
    public_key: PublicKey,
    roles: BTreeSet<PartKind>,
    expiration_time: Instant,
}

/// The keys that an agent trusts, of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    trust_domain: String,
    keys: BTreeMap<String, TrustedKey>,
}

// === impl TrustedKey ===

impl TryFrom<TrustedKeyJson> for TrustedKey {
    type Error = String;
    fn try_from(json: TrustedKeyJson) -> Result<Self, String> {
        let TrustedKeyJson { keyid, public_key, roles, expiration_time } = json;
        if keyid != public_key.key_id() {
            return Err("the keyid is not the SHA-256 of the public key".to_owned());
        }
        Ok(Self { public_key, roles, expiration_time })
    }
}

impl From<TrustedKey> for TrustedKeyJson {
    fn from(key: TrustedKey) -> Self {
        let TrustedKey { public_key, roles, expiration_time } = key;
        Self { keyid: public_key.key_id(), public_key, roles, expiration_time }
    }
}

// === impl KeyRing ===

impl KeyRing {
    /// A ring of these keys; of two entries for one key the last counts.
    #[must_use]
    pub fn new(trust_domain: impl Into<String>, keys: Vec<TrustedKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.public_key.key_id(), key)).collect();
        Self { trust_domain: trust_domain.into(), keys }
    }

    /// The key of this id, if it may sign this kind of part.
    pub(crate) fn key(&self, keyid: &str, kind: PartKind) -> Option<&TrustedKey> {
        self.keys.get(keyid).filter(|key| key.roles.contains(&kind))
    }

    /// The installation whose parts this ring opens.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }
}
