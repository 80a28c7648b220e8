//! The manifest: the parts of one endpoint by digest, and what became of its requests. A pure function of the objects,
//! sorted, without clock or replica data, so every gateway gives the same bytes and the same ETag. It is not signed:
//! leaving a part out can only take rights away.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::interval::Instant;
use crate::name::{Account, Digest, EndpointRef, FleetName, NameError, RequestName, Uid};
use crate::part::SCHEMA;
use crate::refusal::RefusalCode;
use crate::state::State;
use crate::wire::limit;

/// So many requests that are not over, and so many that are, are listed: of each the latest.
pub const MAX_REQUESTS: usize = 16;
/// A request's message is cut to so many characters.
pub const MAX_MESSAGE: usize = 512;

/// The name of a part in a manifest: `placement`, `fleet`, `policy/<uid>` or `grant/<request uid>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PartName {
    /// Who the endpoint is.
    Placement,
    /// What is in force in the fleet.
    Fleet,
    /// The policy of this uid.
    Policy(Uid),
    /// The grant of the request of this uid.
    Grant(Uid),
}

/// Why a string is not the name of a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartNameError {
    /// Not one of the known forms.
    #[error("not the name of a part: placement, fleet, policy/<uid> or grant/<uid> is expected")]
    Form,
    /// The uid is not one.
    #[error(transparent)]
    Uid(#[from] NameError),
}

/// A part that the endpoint is to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// Which part.
    pub name: PartName,
    /// SHA-256 of its payload.
    pub digest: Digest,
    /// Bytes of its payload.
    pub size: u64,
}

/// A request of this endpoint, for the person who asked. It gives no right: only a grant does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSummary {
    /// `metadata.name`
    pub name: RequestName,
    /// `metadata.uid`
    pub uid: Uid,
    /// The login it was made for.
    pub account: Account,
    /// `status.state`
    pub state: State,
    /// What a person should know about it; at most [`MAX_MESSAGE`] characters.
    pub message: String,
    /// First second after access, once granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Instant>,
}

/// A request with what decides whether it is still listed; `since` itself is not in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedRequest {
    /// When it was created, or when it ended where it has. Taken from the object, never from a clock.
    pub since: Instant,
    /// What the manifest says of it.
    pub summary: RequestSummary,
}

/// What one endpoint is to have, in full: what is not named is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The namespace.
    pub fleet: FleetName,
    /// Whose manifest this is.
    pub endpoint: EndpointRef,
    /// Sorted by name, each name once.
    pub parts: Vec<PartEntry>,
    /// Sorted by name; at most [`MAX_REQUESTS`] that are open and as many that ended.
    pub requests: Vec<RequestSummary>,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Above [`limit::MANIFEST`] bytes.
    #[error("the manifest has {0} bytes, at most {max} are allowed", max = limit::MANIFEST)]
    TooLarge(usize),
    /// Written by a newer version.
    #[error("manifest schema {0} is not known here; {SCHEMA} is: update the agent")]
    UnknownSchema(u32),
    /// Not JSON of the expected form.
    #[error("the manifest is not understood: {0}")]
    NotUnderstood(String),
    /// A part is named twice, or the parts are not sorted.
    #[error("the parts of the manifest are not in strictly rising order of their names")]
    NotSorted,
}

/// The entity tag of a manifest: the quoted hex SHA-256 of its bytes. Opaque to agents.
#[must_use]
pub fn etag(manifest: &[u8]) -> String {
    format!("\"{}\"", Digest::of(manifest).to_hex())
}

// === impl PartName ===

impl FromStr for PartName {
    type Err = PartNameError;
    fn from_str(text: &str) -> Result<Self, PartNameError> {
        match text.split_once('/') {
            None if text == "placement" => Ok(Self::Placement),
            None if text == "fleet" => Ok(Self::Fleet),
            Some(("policy", uid)) => Ok(Self::Policy(uid.parse()?)),
            Some(("grant", uid)) => Ok(Self::Grant(uid.parse()?)),
            None | Some(_) => Err(PartNameError::Form),
        }
    }
}

impl TryFrom<String> for PartName {
    type Error = PartNameError;
    fn try_from(value: String) -> Result<Self, PartNameError> {
        value.parse()
    }
}

impl From<PartName> for String {
    fn from(value: PartName) -> String {
        value.to_string()
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placement => f.write_str("placement"),
            Self::Fleet => f.write_str("fleet"),
            Self::Policy(uid) => write!(f, "policy/{uid}"),
            Self::Grant(uid) => write!(f, "grant/{uid}"),
        }
    }
}

// === impl Manifest ===

impl Manifest {
    /// Sorts, drops what is listed twice (the order of the arguments never shows) and keeps the latest requests.
    #[must_use]
    pub fn new(
        fleet: FleetName,
        endpoint: EndpointRef,
        mut parts: Vec<PartEntry>,
        requests: Vec<ListedRequest>,
    ) -> Self {
        parts.sort();
        parts.dedup_by(|later, kept| later.name == kept.name);
        Self { schema: SCHEMA, fleet, endpoint, parts, requests: latest(requests) }
    }

    /// The bytes that are served and whose hash is the [`etag`]; the same in every version of this schema.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Structs of strings and integers always serialise; no agent accepts an empty manifest.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`], each variant as it says.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        if bytes.len() > limit::MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let not_understood = |e: serde_json::Error| ManifestError::NotUnderstood(e.to_string());
        let Schema { schema } = serde_json::from_slice(bytes).map_err(not_understood)?;
        if schema != SCHEMA {
            return Err(ManifestError::UnknownSchema(schema));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(not_understood)?;
        if !manifest.parts.is_sorted_by(|a, b| a.name < b.name) {
            return Err(ManifestError::NotSorted);
        }
        Ok(manifest)
    }

    /// The entry of this name, if there is one.
    #[must_use]
    pub fn part(&self, name: &PartName) -> Option<&PartEntry> {
        self.parts.iter().find(|entry| entry.name == *name)
    }
}

/// The latest open and the latest ended requests, each sort capped, sorted by name.
fn latest(mut requests: Vec<ListedRequest>) -> Vec<RequestSummary> {
    requests.sort_by(|a, b| b.cmp(a));
    let (ended, open): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| r.summary.state.is_final());
    let mut listed: Vec<RequestSummary> = [open, ended]
        .into_iter()
        .flat_map(|group| group.into_iter().take(MAX_REQUESTS))
        .map(|ListedRequest { summary, .. }| summary)
        .map(|summary| RequestSummary { message: summary.message.chars().take(MAX_MESSAGE).collect(), ..summary })
        .collect();
    listed.sort();
    listed
}

// === impl ManifestError ===

impl ManifestError {
    /// The code that an agent answers with (protocol.md).
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::TooLarge(_) => RefusalCode::TooLarge,
            Self::UnknownSchema(_) => RefusalCode::UnknownSchema,
            Self::NotUnderstood(_) | Self::NotSorted => RefusalCode::Truncated,
        }
    }
}
