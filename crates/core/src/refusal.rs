//! Why an agent refuses a manifest or a part of it: a closed list of codes, the same in the protocol and as metric labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why an agent refuses a manifest or a part (protocol.md, "What an agent must do"). May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Manifest: a signature is not right.
    BadSignature,
    /// Manifest: signed by a key that is unknown, expired, or not meant for this kind of part.
    WrongKey,
    /// Manifest: of another endpoint, fleet or installation.
    WrongEndpoint,
    /// Manifest: not readable, or a part is missing or not the one that was named.
    Truncated,
    /// Manifest: it or a part is above its limit.
    TooLarge,
    /// Part: older than one that was accepted before.
    Rollback,
    /// Part or manifest: written by a newer version.
    UnknownSchema,
    /// Part: says something that this version cannot enforce.
    UnknownRule,
    /// Part: asks for something that this agent cannot do, or is not for its platform or version.
    NotEnforceable,
    /// Part: the fleet part names another version, or none, or calls it revoked; or the part requires newer ones.
    NotInForce,
}

/// A word that is no code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of a refusal")]
pub struct UnknownCode;

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::BadSignature,
        Self::WrongKey,
        Self::WrongEndpoint,
        Self::Truncated,
        Self::TooLarge,
        Self::Rollback,
        Self::UnknownSchema,
        Self::UnknownRule,
        Self::NotEnforceable,
        Self::NotInForce,
    ];

    /// The word, as in the protocol; also a closed metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::WrongKey => "wrong_key",
            Self::WrongEndpoint => "wrong_endpoint",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::Rollback => "rollback",
            Self::UnknownSchema => "unknown_schema",
            Self::UnknownRule => "unknown_rule",
            Self::NotEnforceable => "not_enforceable",
            Self::NotInForce => "not_in_force",
        }
    }
}

impl FromStr for RefusalCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
