//! Parts: signed documents named by the digest of their payload. Every payload is one flat JSON object: the header's five
//! fields, then the body's.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::interval::Instant;
use crate::name::FleetRef;

/// The schema of payloads this version writes and reads.
pub const SCHEMA: u32 = 1;

/// Kinds of signed documents. A key's roles are such kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PartKind {
    /// Who an endpoint is.
    Placement,
    /// What is in force, locked, revoked and blocked in the fleet.
    Fleet,
    /// A compiled policy.
    Policy,
    /// An approved request's permission.
    Grant,
    /// The signing keys, signed by the certificate authority. Not part of a manifest.
    Trust,
}

/// The content of a part, apart from its header. Its types refuse unknown fields: what an agent does not understand it must
/// not enforce by half.
pub trait Body: Serialize + DeserializeOwned {
    /// Which kind of part this is.
    const KIND: PartKind;
}

/// What every payload begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The installation, as in the SPIFFE ids of its certificates.
    pub trust_domain: String,
    /// The fleet this part belongs to; the uid is the namespace's.
    pub fleet: FleetRef,
    /// Rises with every signature of the same object; below 2^53. See [`next_sequence`].
    pub sequence: u64,
    /// When the controller signed this content: a floor under agents' clocks.
    pub issued_time: Instant,
}

/// A header and a body; what is signed is [`Part::to_bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<B> {
    /// The common fields.
    pub header: Header,
    /// The content.
    pub body: B,
}

/// Why verified bytes are not a part this version can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// Written by a newer version.
    #[error("schema {0} is not known here; {SCHEMA} is")]
    UnknownSchema(u32),
    /// Not JSON of the expected form, or with fields this version does not know.
    #[error("the {0} part is not understood: {1}")]
    NotUnderstood(PartKind, String),
}

/// The sequence of a new signature: `max(previous + 1, milliseconds since 1970)`, so that it also rises after a restore of the
/// cluster from a backup. An object without a previous one begins a second ahead, above everything that was signed in this second for
/// one that is gone and stood in its place.
#[must_use]
pub fn next_sequence(previous: Option<u64>, now: Instant) -> u64 {
    let clock = u64::try_from(now.as_second().saturating_mul(1000)).unwrap_or(0);
    previous.map_or(clock.saturating_add(1000), |p| clock.max(p.saturating_add(1)))
}

impl<B: Body> Part<B> {
    /// The payload: one flat JSON object. Equal parts give equal bytes in every version of this schema.
    ///
    /// # Errors
    /// [`PartError::NotUnderstood`] if the body is not a JSON object, which none of ours is.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PartError> {
        #[derive(Serialize)]
        struct Flat<'a, B> {
            #[serde(flatten)]
            header: &'a Header,
            #[serde(flatten)]
            body: &'a B,
        }
        serde_json::to_vec(&Flat { header: &self.header, body: &self.body })
            .map_err(|e| PartError::NotUnderstood(B::KIND, e.to_string()))
    }

    /// Parses a payload whose signature has been verified.
    ///
    /// # Errors
    /// [`PartError::UnknownSchema`] for a newer schema, whatever else it holds; [`PartError::NotUnderstood`] otherwise.
    pub fn parse(payload: &[u8]) -> Result<Self, PartError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        let not_understood = |e: serde_json::Error| PartError::NotUnderstood(B::KIND, e.to_string());
        let Schema { schema } = serde_json::from_slice(payload).map_err(not_understood)?;
        if schema != SCHEMA {
            return Err(PartError::UnknownSchema(schema));
        }
        let header: Header = serde_json::from_slice(payload).map_err(not_understood)?;
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(payload).map_err(not_understood)?;
        for field in ["schema", "trustDomain", "fleet", "sequence", "issuedTime"] {
            fields.remove(field);
        }
        let body = serde_json::from_value(fields.into()).map_err(not_understood)?;
        Ok(Self { header, body })
    }
}

impl PartKind {
    /// The DSSE payload type.
    #[must_use]
    pub fn payload_type(self) -> &'static str {
        match self {
            Self::Placement => "application/vnd.tidegate.placement.v1+json",
            Self::Fleet => "application/vnd.tidegate.fleet.v1+json",
            Self::Policy => "application/vnd.tidegate.policy.v1+json",
            Self::Grant => "application/vnd.tidegate.grant.v1+json",
            Self::Trust => "application/vnd.tidegate.trust.v1+json",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placement => "placement",
            Self::Fleet => "fleet",
            Self::Policy => "policy",
            Self::Grant => "grant",
            Self::Trust => "trust",
        })
    }
}
