//! What gateway and agent say to each other apart from parts: paths' bodies, header names and forms, limits, and the
//! closed lists of problem and refusal codes. HTTP itself is not known here.

mod problem;
mod rejected;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::problem::{Problem, ProblemCode};
pub use self::rejected::Rejected;
pub use self::report::{AgentReport, AppliedReport, GrantReport, RejectedReport, ReportError, StatusReport};
use crate::envelope::Envelope;
use crate::name::{Digest, EndpointName, FleetName};

/// Sizes in bytes, numbers and times that both sides keep to.
pub mod limit {
    use std::time::Duration;

    /// A manifest.
    pub const MANIFEST: usize = 256 * 1024;
    /// The payload of a part.
    pub const PART: usize = 1024 * 1024;
    /// All headers of a request or an answer.
    pub const HEADER: usize = 32 * 1024;
    /// The body of an enrolment.
    pub const ENROLL: usize = 16 * 1024;
    /// The certificate request inside an enrolment, PEM.
    pub const CSR: usize = 8 * 1024;
    /// The body of a status report.
    pub const STATUS: usize = 64 * 1024;
    /// Refusals in a status report; a number.
    pub const REJECTED: usize = 16;
    /// Grants in a status report; a number.
    pub const GRANTS: usize = 64;
    /// Capabilities in a status report; a number.
    pub const CAPABILITIES: usize = 32;
    /// The longest that a poll is held.
    pub const POLL_HOLD: Duration = Duration::from_secs(55);
}

/// Our header names, in lower case.
pub mod header {
    /// Request: the parts that the agent has, see [`super::Have`].
    pub const HAVE: &str = "tidegate-have";
    /// Request: `<version>; capabilities=<list>`.
    pub const AGENT: &str = "tidegate-agent";
    /// Request: the manifest that the agent refused last, see [`super::Rejected`].
    pub const REJECTED: &str = "tidegate-rejected";
    /// Answer: seconds until the next poll should begin.
    pub const NEXT_POLL: &str = "tidegate-next-poll";
    /// Answer: seconds over which reconnections should be spread.
    pub const RECONNECT_WINDOW: &str = "tidegate-reconnect-window";
    /// Request (RFC 7240): see [`super::parse_prefer_wait`].
    pub const PREFER: &str = "prefer";
    /// Answer (RFC 7240): `wait=<seconds>`.
    pub const PREFERENCE_APPLIED: &str = "preference-applied";
}

/// `POST /v1/enroll`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// The namespace.
    pub fleet: FleetName,
    /// The ManagedEndpoint, which exists already.
    pub endpoint: EndpointName,
    /// PEM, at most [`limit::CSR`] bytes; its only SAN is the endpoint's SPIFFE id without a uid.
    pub csr: String,
}

/// 200 of `POST /v1/enroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollResponse {
    /// PEM chain, leaf first.
    pub certificate: String,
}

/// 202 of `POST /v1/enroll`, with `Retry-After`: somebody has to approve. The same call repeated asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollPending {
    /// Name of the CertificateSigningRequest that waits.
    pub certificate_signing_request: String,
    /// What a person has to do.
    pub message: String,
}

/// 200 of `GET /v1/snapshot`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotBody {
    /// The manifest's exact bytes.
    pub manifest: Box<RawValue>,
    /// Every part of the manifest that the agent has not said to have.
    pub parts: BTreeMap<Digest, Envelope>,
}

/// `Tidegate-Have`: parts by the first 16 hex digits of their digests, separated by commas. Too few bits to trust,
/// enough to leave a part out of an answer; an agent that then misses one asks again without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Have(BTreeSet<String>);

/// Hex digits of a digest in [`Have`].
const HAVE_DIGITS: usize = 16;

// === impl Have ===

impl Have {
    /// Names these parts, as many as fit into half of [`limit::HEADER`].
    #[must_use]
    pub fn of<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Self {
        let most = limit::HEADER / 2 / (HAVE_DIGITS + 1);
        Self(digests.into_iter().map(prefix).take(most).collect())
    }

    /// Reads the header's value; what is not 16 lower case hex digits counts for nothing.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let is_prefix = |text: &&str| {
            text.len() == HAVE_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        Self(value.split(',').map(str::trim).filter(is_prefix).map(str::to_owned).collect())
    }

    /// Does the agent say that it has the part of this digest?
    #[must_use]
    pub fn holds(&self, digest: &Digest) -> bool {
        self.0.contains(&prefix(digest))
    }
}

fn prefix(digest: &Digest) -> String {
    digest.to_hex().chars().take(HAVE_DIGITS).collect()
}

impl fmt::Display for Have {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, prefix) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{prefix}")?;
        }
        Ok(())
    }
}

/// The seconds of `Prefer: wait=<seconds>` (RFC 7240, section 4.3): the first `wait` of a list counts, names in any
/// case, the value bare or quoted, parameters ignored. `None` if there is none, or it is not a number of at most 9
/// digits.
#[must_use]
pub fn parse_prefer_wait(header: &str) -> Option<Duration> {
    let value = header.split(',').find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let digits = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let ok = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| digits.parse().ok().map(Duration::from_secs)).flatten()
}
