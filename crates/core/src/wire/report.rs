//! What an agent says of itself and of its grants: the body of `PUT /v1/status`. It is the agent's word, unproven; it decides what the
//! endpoint receives and what people see, never whether a right holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::limit;
use crate::decision::is_one_line;
use crate::interval::Instant;
use crate::name::{Digest, Uid};

/// Most characters of a version.
const MAX_VERSION: usize = 64;
/// Most characters of a platform, an architecture and a capability.
const MAX_WORD: usize = 32;
/// Most characters of a refusal's code.
const MAX_CODE: usize = 64;
/// Most characters of a refusal's message.
const MAX_MESSAGE: usize = 512;

/// `PUT /v1/status`: everything the agent has to say, in full; what it leaves out is no longer so. Only [`StatusReport::parse`]
/// holds one to its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReport {
    /// What it is and can do.
    pub agent: AgentReport,
    /// What it has applied; `None` before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedReport>,
    /// What it refuses of that, the most important first; at most [`limit::REJECTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedReport>,
    /// The grants that it has put in place or ended, each once; at most [`limit::GRANTS`].
    pub grants: Vec<GrantReport>,
}

/// What an agent is and can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentReport {
    /// 1 to 64 printable ASCII characters; one that reads as a [`crate::version::Version`] is compared with what policies want.
    pub version: String,
    /// A word of [`crate::target::Platform`], or another of 1 to 32 printable ASCII characters.
    pub platform: String,
    /// The processor, such as `x86_64`: 1 to 32 printable ASCII characters.
    pub architecture: String,
    /// What it can enforce, words of [`crate::elevation::capability`] and others: at most [`limit::CAPABILITIES`] of 1 to 32 lower
    /// case letters, digits and dashes.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
}

/// What an agent has applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedReport {
    /// SHA-256 of the manifest's bytes.
    pub manifest: Digest,
}

/// What an agent refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectedReport {
    /// Of the part's payload, or of the manifest's bytes.
    pub digest: Digest,
    /// A [`crate::refusal::RefusalCode`], or a word of a newer agent: 1 to 64 lower case letters, digits and `_`, a letter first.
    pub code: String,
    /// Why, for people: at most 512 characters, none of them a control, format or private one; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What became of a grant on the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantReport {
    /// Of the ElevationRequest, or of the JitPolicy for access that is granted ahead.
    pub request_uid: Uid,
    /// When it was put in place, by the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_time: Option<Instant>,
    /// When it was ended, by the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_time: Option<Instant>,
    /// How many processes were ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminated_processes: Option<u32>,
}

/// Why bytes are not a report. Shown to the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Above [`limit::STATUS`].
    #[error("a report has at most {max} bytes, not {0}", max = limit::STATUS)]
    TooLarge(usize),
    /// Not JSON of the expected form, or with fields this version does not know.
    #[error("not a report: {0}")]
    NotUnderstood(String),
    /// A field is out of its bounds.
    #[error("{field}: {expected}")]
    OutOfBounds {
        /// Its path.
        field: &'static str,
        /// What is expected of it.
        expected: &'static str,
    },
}

// === impl StatusReport ===

impl StatusReport {
    /// Reads a report and holds it to its bounds.
    ///
    /// # Errors
    /// [`ReportError`], each variant as it says.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        if bytes.len() > limit::STATUS {
            return Err(ReportError::TooLarge(bytes.len()));
        }
        let report: Self = serde_json::from_slice(bytes).map_err(|e| ReportError::NotUnderstood(e.to_string()))?;
        report.check().map(|()| report)
    }

    /// Is it within its bounds? For an agent before it sends.
    ///
    /// # Errors
    /// [`ReportError::OutOfBounds`] for the first field that is not.
    pub fn check(&self) -> Result<(), ReportError> {
        self.agent.check()?;
        holds("rejected", "at most 16 are expected", self.rejected.len() <= limit::REJECTED)?;
        self.rejected.iter().try_for_each(RejectedReport::check)?;
        holds("grants", "at most 64 are expected", self.grants.len() <= limit::GRANTS)?;
        self.grants.iter().try_for_each(GrantReport::check)?;
        let named: BTreeSet<&Uid> = self.grants.iter().map(|grant| &grant.request_uid).collect();
        holds("grants", "each requestUid is expected once", named.len() == self.grants.len())
    }
}

impl AgentReport {
    fn check(&self) -> Result<(), ReportError> {
        let version = is_printable(&self.version, MAX_VERSION);
        holds(
            "agent.version",
            "1 to 64 printable ASCII characters are expected, the first and last no blank",
            version,
        )?;
        let word = "1 to 32 printable ASCII characters without blanks are expected";
        holds("agent.platform", word, is_word(&self.platform))?;
        holds("agent.architecture", word, is_word(&self.architecture))?;
        let few = self.capabilities.len() <= limit::CAPABILITIES;
        holds("agent.capabilities", "at most 32 are expected", few)?;
        let expected = "words of 1 to 32 lower case letters, digits and dashes are expected";
        holds("agent.capabilities", expected, self.capabilities.iter().all(|word| is_capability(word)))
    }
}

impl RejectedReport {
    fn check(&self) -> Result<(), ReportError> {
        let expected = "1 to 64 lower case letters, digits and _ are expected, a letter first";
        holds("rejected.code", expected, is_code(&self.code))?;
        // Shown to people with kubectl: what cannot be seen could make it read as something else.
        let message = self.message.chars().count() <= MAX_MESSAGE && is_one_line(&self.message);
        holds("rejected.message", "at most 512 characters, none of them invisible, are expected", message)
    }
}

impl GrantReport {
    fn check(&self) -> Result<(), ReportError> {
        let since_1970 = |time: Option<Instant>| time.is_none_or(|time| time >= Instant::from_second(0));
        let expected = "an instant since 1970 is expected";
        holds("grants.appliedTime", expected, since_1970(self.applied_time))?;
        holds("grants.endedTime", expected, since_1970(self.ended_time))
    }
}

fn holds(field: &'static str, expected: &'static str, it_does: bool) -> Result<(), ReportError> {
    if it_does { Ok(()) } else { Err(ReportError::OutOfBounds { field, expected }) }
}

fn is_printable(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~')) && text.trim() == text
}

fn is_word(text: &str) -> bool {
    is_printable(text, MAX_WORD) && !text.contains(' ')
}

fn is_capability(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_code(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= MAX_CODE && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn full() -> Value {
        let digest = Digest::of(b"x");
        json!({
            "agent": {
                "version": "0.1.0", "platform": "Linux", "architecture": "x86_64", "capabilities": ["logoff", "protect"],
            },
            "applied": {"manifest": digest},
            "rejected": [{"digest": digest, "code": "not_enforceable", "message": "no cgroup v2 here"}],
            "grants": [{
                "requestUid": "uid-1", "appliedTime": "2026-11-22T10:00:00Z", "endedTime": "2026-11-22T11:00:00Z",
                "terminatedProcesses": 3,
            }],
        })
    }

    /// The full report with the value at this path replaced.
    fn with(path: &str, value: Value) -> Value {
        let mut report = full();
        *report.pointer_mut(path).unwrap() = value;
        report
    }

    fn parse(report: &Value) -> Result<StatusReport, ReportError> {
        StatusReport::parse(report.to_string().as_bytes())
    }

    #[test]
    fn a_report_is_read_as_it_is_written() {
        let report = parse(&full()).unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), full());
        let least = json!({"agent": {"version": "1", "platform": "p", "architecture": "a"}, "grants": []});
        let report = parse(&least).unwrap();
        assert!(report.applied.is_none() && report.rejected.is_empty() && report.agent.capabilities.is_empty());
    }

    #[test]
    fn every_field_is_held_to_its_bounds_and_named_when_it_is_not() {
        let many = |count: usize, value: Value| Value::Array(vec![value; count]);
        let words = |count: usize| (0..count).map(|n| json!(format!("c{n}"))).collect::<Vec<_>>();
        let grants = |count: usize| (0..count).map(|n| json!({"requestUid": format!("u{n}")})).collect::<Vec<_>>();
        let refusal = || json!({"digest": Digest::of(b"x"), "code": "rollback"});
        for (path, most, too_much, field) in [
            ("/agent/version", json!("v".repeat(64)), json!("v".repeat(65)), "agent.version"),
            ("/agent/version", json!("a b"), json!(" a"), "agent.version"),
            ("/agent/version", json!("~"), json!("é"), "agent.version"),
            ("/agent/version", json!("1"), json!(""), "agent.version"),
            ("/agent/platform", json!("p".repeat(32)), json!("p".repeat(33)), "agent.platform"),
            ("/agent/platform", json!("macOS"), json!("mac OS"), "agent.platform"),
            ("/agent/architecture", json!("a".repeat(32)), json!("a\u{1b}"), "agent.architecture"),
            ("/agent/capabilities", json!(words(32)), json!(words(33)), "agent.capabilities"),
            ("/agent/capabilities/0", json!("a-1".repeat(10)), json!("Upper"), "agent.capabilities"),
            ("/agent/capabilities/0", json!("c".repeat(32)), json!("c".repeat(33)), "agent.capabilities"),
            ("/rejected", many(16, refusal()), many(17, refusal()), "rejected"),
            ("/rejected/0/code", json!("c".repeat(64)), json!("c".repeat(65)), "rejected.code"),
            ("/rejected/0/code", json!("from_the_future"), json!("_a"), "rejected.code"),
            ("/rejected/0/message", json!("é".repeat(512)), json!("é".repeat(513)), "rejected.message"),
            ("/rejected/0/message", json!(""), json!("a\nb"), "rejected.message"),
            ("/rejected/0/message", json!("a b"), json!("a\u{202e}b"), "rejected.message"),
            ("/rejected/0/message", json!("é"), json!("a\u{200b}b"), "rejected.message"),
            ("/grants", json!(grants(64)), json!(grants(65)), "grants"),
            ("/grants", json!(grants(2)), many(2, json!({"requestUid": "u"})), "grants"),
            (
                "/grants/0/appliedTime",
                json!("1970-01-01T00:00:00Z"),
                json!("1969-12-31T23:59:59Z"),
                "grants.appliedTime",
            ),
            (
                "/grants/0/endedTime",
                json!("9999-01-01T00:00:00Z"),
                json!("-000100-01-01T00:00:00Z"),
                "grants.endedTime",
            ),
        ] {
            assert!(parse(&with(path, most)).is_ok(), "{path} at its bound");
            let error = parse(&with(path, too_much)).unwrap_err();
            assert!(
                matches!(error, ReportError::OutOfBounds { field: named, .. } if named == field),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn what_has_another_form_is_not_a_report() {
        for (path, bad) in [
            ("", json!([])),
            ("/agent", json!({"version": "1"})),
            ("/agent", json!({"version": "1", "platform": "p", "architecture": "a", "owner": "me"})),
            ("/applied/manifest", json!("0af3")),
            ("/rejected/0", json!({"digest": Digest::of(b"x"), "code": "rollback", "state": "Active"})),
            ("/grants", json!(null)),
            ("/grants/0/requestUid", json!("a/b")),
            ("/grants/0/endedTime", json!("yesterday")),
            ("/grants/0/terminatedProcesses", json!(-1)),
        ] {
            let error = parse(&with(path, bad.clone())).unwrap_err();
            assert!(matches!(error, ReportError::NotUnderstood(_)), "{path} {bad}: {error}");
        }
        let mut more = full();
        more["conditions"] = json!([]);
        assert!(matches!(parse(&more), Err(ReportError::NotUnderstood(_))));
    }

    #[test]
    fn a_report_above_its_size_is_refused_unread() {
        let text = full().to_string();
        let padded = |size: usize| format!("{text}{}", " ".repeat(size - text.len()));
        assert!(StatusReport::parse(padded(limit::STATUS).as_bytes()).is_ok());
        let error = StatusReport::parse(padded(limit::STATUS + 1).as_bytes()).unwrap_err();
        assert_eq!(error, ReportError::TooLarge(limit::STATUS + 1));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
            let _ = parse(&with("/agent/version", json!(text)));
            let _ = StatusReport::parse(text.as_bytes());
        }
    }
}
