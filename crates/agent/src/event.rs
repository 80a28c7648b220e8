//! What the agent says: one [`Event`] per change, as a line of JSON for programs or a line of text for people.
//! Everything that came from outside is bounded and escaped here.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_core::elevation::Mode;
use tidegate_core::interval::{Instant, Interval};
use tidegate_core::manifest::RequestSummary;
use tidegate_core::name::{Account, Digest, PolicyName, RequestName, Uid};
use tidegate_core::snapshot::{PartRefusal, Right, RightSource};
use tidegate_core::state::State;

use crate::text::{escape_json, shown};

/// A right as it is reported and remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightReport {
    /// Who is elevated.
    pub account: Account,
    /// What gave it.
    pub source: Source,
    /// How much is elevated.
    pub mode: Mode,
    /// When it holds.
    #[serde(flatten)]
    pub interval: Interval,
}

/// What gave a right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Source {
    /// An approved request.
    Grant {
        /// Name of the ElevationRequest.
        request: RequestName,
        /// Its uid.
        uid: Uid,
        /// The policy it was approved under.
        policy: PolicyName,
    },
    /// A policy that grants ahead.
    Policy {
        /// Name of the JitPolicy.
        policy: PolicyName,
        /// Its uid.
        uid: Uid,
    },
}

/// Why a right ended. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    /// Its own deadline.
    Expired,
    /// Its part is no longer in the manifest: revoked, given back or deleted.
    Absent,
    /// A Lock stops it; its message is beside the reason.
    Locked,
    /// The computer was started anew: a grant that had begun does not outlive that.
    Reboot,
    /// The gateway says that this endpoint's certificate is void or that the endpoint may not be served.
    CertificateVoid,
}

/// Why a right that holds does not begin here. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Obstacle {
    /// The wall clock is behind signed time.
    Clock,
    /// No gateway has answered, or the newest fleet part is older, than the policy's `offlineTolerance` allows.
    Offline,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A right that begins later was seen.
    Upcoming(RightReport),
    /// A right holds from now on (or was found to hold when the agent started).
    Started(RightReport),
    /// A right holds, but does not begin here for now. It begins as soon as nothing stands in the way.
    Withheld {
        /// The right.
        #[serde(flatten)]
        right: RightReport,
        /// What stands in the way.
        reason: Obstacle,
    },
    /// A right got another interval, mode or policy.
    Changed(RightReport),
    /// A right is over.
    Ended {
        /// The right.
        #[serde(flatten)]
        right: RightReport,
        /// Why.
        reason: EndReason,
        /// The Lock's message, for people; empty where there is none.
        #[serde(skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// A request of this endpoint is new or in another state.
    Request {
        /// Name of the ElevationRequest.
        request: RequestName,
        /// Its uid.
        uid: Uid,
        /// For whom.
        account: Account,
        /// Its state.
        state: State,
        /// The reason of that state, for people.
        message: String,
        /// When access or waiting ends.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_time: Option<Instant>,
    },
    /// Another snapshot is in force.
    Snapshot {
        /// The manifest's ETag without quotes.
        manifest: String,
        /// How many rights it gives, now or later.
        rights: usize,
        /// Parts that count as absent.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        refused: Vec<RefusedPart>,
    },
    /// A manifest was refused: what was in force stays, except for what the manifest no longer names.
    Refused {
        /// A code of the protocol.
        code: String,
        /// For people.
        message: String,
    },
    /// The wall clock is (no longer) behind signed time: nothing new starts while it is.
    Clock {
        /// False while nothing new may start.
        sound: bool,
    },
    /// Enrolment: what it waits for, or that it is done.
    Enrolment {
        /// `pending`, `enrolled`, `denied` or `void`.
        state: EnrolmentState,
        /// The object to approve, while pending.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate_signing_request: Option<String>,
        /// While pending, what its approver compares: SHA-256 over the DER of the key's SubjectPublicKeyInfo.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
        /// For people; while pending, the command that approves.
        message: String,
    },
    /// The gateway answers, or does not.
    Connection {
        /// Whether the last call was answered.
        up: bool,
        /// Which gateway.
        gateway: String,
        /// For people.
        message: String,
    },
}

/// A part that counts as absent, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedPart {
    /// Its name in the manifest.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// A code of the protocol.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Where enrolment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EnrolmentState {
    /// A person has to approve it.
    Pending,
    /// The certificate is here.
    Enrolled,
    /// A person refused it.
    Denied,
    /// The certificate is void or expired; a new one is asked for.
    Void,
}

// === impl RightReport ===

impl From<&Right> for RightReport {
    fn from(right: &Right) -> Self {
        let source = match &right.source {
            RightSource::Grant { request, policy } => {
                Source::Grant { request: request.name.clone(), uid: request.uid.clone(), policy: policy.clone() }
            }
            RightSource::Policy { policy, uid } => Source::Policy { policy: policy.clone(), uid: uid.clone() },
        };
        Self { account: right.account.clone(), source, mode: right.mode, interval: right.interval }
    }
}

impl Source {
    /// The policy that gave it, or under which it was approved.
    #[must_use]
    pub fn policy(&self) -> &PolicyName {
        match self {
            Self::Grant { policy, .. } | Self::Policy { policy, .. } => policy,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant { request, policy, uid: _ } => write!(f, "request {request} (policy {policy})"),
            Self::Policy { policy, uid: _ } => write!(f, "policy {policy}"),
        }
    }
}

impl fmt::Display for RightReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, source, mode, interval } = self;
        write!(f, "{account}  {source}  {mode:?}  {} to {}", interval.start, interval.end)
    }
}

impl EndReason {
    /// The reason in words, for people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Expired => "expired: its end is reached",
            Self::Absent => "absent: revoked, given back or deleted",
            Self::Locked => "locked: an administrator stopped this access",
            Self::Reboot => "reboot: a grant that had begun ends with the boot",
            Self::CertificateVoid => "certificate void: the gateway no longer serves this endpoint",
        }
    }
}

impl Obstacle {
    /// The obstacle in words, for people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Clock => "clock: it is behind signed time; set it right",
            Self::Offline => "offline: no gateway answers, or what it serves is too old; connect this computer",
        }
    }
}

// === impl Event ===

impl From<&RequestSummary> for Event {
    fn from(summary: &RequestSummary) -> Self {
        Self::Request {
            request: summary.name.clone(),
            uid: summary.uid.clone(),
            account: summary.account.clone(),
            state: summary.state,
            message: shown(&summary.message),
            end_time: summary.expiration_time,
        }
    }
}

impl From<&PartRefusal> for RefusedPart {
    fn from(refusal: &PartRefusal) -> Self {
        Self {
            name: refusal.name.to_string(),
            digest: refusal.digest,
            code: refusal.code.to_string(),
            message: shown(&refusal.message),
        }
    }
}

impl Event {
    /// One line of JSON: `time` (RFC 3339 UTC, milliseconds), `event`, and the event's own fields.
    #[must_use]
    pub fn to_json(&self, at: Timestamp) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            event: &'a Event,
        }
        let line = Line { time: format!("{at:.3}"), event: self };
        // Structs of strings always serialise; should that ever change, the line says so instead of vanishing.
        let json = serde_json::to_string(&line)
            .unwrap_or_else(|e| format!("{{\"event\":\"unprintable\",\"message\":\"{e}\"}}"));
        escape_json(&json)
    }

    /// One line for people, with the time in UTC.
    #[must_use]
    pub fn to_line(&self, at: Timestamp) -> String {
        let (word, rest) = self.words();
        shown(&format!("{at:.0}  {word:<10}  {rest}"))
    }

    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Upcoming(right) => ("upcoming", right.to_string()),
            Self::Started(right) => ("started", right.to_string()),
            Self::Changed(right) => ("changed", right.to_string()),
            Self::Withheld { right, reason } => ("withheld", format!("{right}  {}", reason.text())),
            Self::Ended { right, reason, message } => {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                ("ended", format!("{right}  {}{said}", reason.text()))
            }
            Self::Request { request, account, state, message, .. } => {
                ("request", format!("{account}  {request}  {state}  {message}"))
            }
            Self::Snapshot { manifest, rights, refused } => {
                let parts: Vec<String> =
                    refused.iter().map(|p| format!("; {} refused: {} ({})", p.name, p.message, p.code)).collect();
                (
                    "snapshot",
                    format!(
                        "{}  rights now or later: {rights}{}",
                        manifest.get(..12).unwrap_or(manifest),
                        parts.concat()
                    ),
                )
            }
            Self::Refused { code, message } => ("refused", format!("manifest refused: {message} ({code})")),
            Self::Clock { sound: false } => {
                ("clock", "the wall clock is behind signed time: nothing new starts; set the clock right".to_owned())
            }
            Self::Clock { sound: true } => ("clock", "the wall clock is right again".to_owned()),
            Self::Enrolment { key, message, .. } => {
                let key = key.map(|key| format!("key {key} "));
                let words: Vec<&str> = message.split_whitespace().collect();
                ("enrolment", key.unwrap_or_default() + &words.join(" "))
            }
            Self::Connection { gateway, message, .. } => ("gateway", format!("{gateway}  {message}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> RightReport {
        RightReport {
            account: "alice".parse().unwrap(),
            source: Source::Grant {
                request: "fix-disk".parse().unwrap(),
                uid: "u-1".parse().unwrap(),
                policy: "dev-tools".parse().unwrap(),
            },
            mode: Mode::AnyApplication,
            interval: Interval {
                start: "2026-11-22T10:00:00Z".parse().unwrap(),
                end: "2026-11-22T11:00:00Z".parse().unwrap(),
            },
        }
    }

    #[test]
    fn the_json_line_has_the_documented_fields() {
        let at: Timestamp = "2026-11-22T11:00:00.0421Z".parse().unwrap();
        let event = Event::Ended { right: right(), reason: EndReason::Expired, message: String::new() };
        assert_eq!(
            event.to_json(at),
            concat!(
                r#"{"time":"2026-11-22T11:00:00.042Z","event":"ended","account":"alice","#,
                r#""source":{"kind":"grant","request":"fix-disk","uid":"u-1","policy":"dev-tools"},"mode":"AnyApplication","startTime":"2026-11-22T10:00:00Z","#,
                r#""endTime":"2026-11-22T11:00:00Z","reason":"expired"}"#
            )
        );
    }

    #[test]
    fn the_line_for_people_says_who_what_and_why() {
        let event = Event::Ended { right: right(), reason: EndReason::Absent, message: String::new() };
        assert_eq!(
            event.to_line("2026-11-22T10:30:00.9Z".parse().unwrap()),
            "2026-11-22T10:30:00Z  ended       alice  request fix-disk (policy dev-tools)  AnyApplication  \
             2026-11-22T10:00:00Z to 2026-11-22T11:00:00Z  absent: revoked, given back or deleted"
        );
    }

    #[test]
    fn a_lock_is_told_with_its_message_and_what_is_withheld_with_what_to_do() {
        let at = Timestamp::UNIX_EPOCH;
        let message = "stolen laptop, call 4711".to_owned();
        let locked = Event::Ended { right: right(), reason: EndReason::Locked, message };
        assert!(locked.to_json(at).ends_with(r#""reason":"locked","message":"stolen laptop, call 4711"}"#));
        assert!(
            locked.to_line(at).ends_with("  locked: an administrator stopped this access: stolen laptop, call 4711")
        );
        let withheld = Event::Withheld { right: right(), reason: Obstacle::Offline };
        assert!(withheld.to_json(at).contains(r#""event":"withheld","account":"alice""#), "{}", withheld.to_json(at));
        assert!(withheld.to_json(at).ends_with(r#""reason":"offline"}"#));
        assert!(withheld.to_line(at).ends_with("connect this computer"), "{}", withheld.to_line(at));
    }

    #[test]
    fn while_enrolment_waits_the_key_to_compare_is_shown_in_full() {
        let event = Event::Enrolment {
            state: EnrolmentState::Pending,
            certificate_signing_request: Some("berlin.ws-042.0123456789abcdef".to_owned()),
            key: Some(Digest::of(b"abc")),
            message: "waiting:\n  approve it".to_owned(),
        };
        let key = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let json = event.to_json(Timestamp::UNIX_EPOCH);
        assert!(json.contains(&format!(r#""key":"{key}""#)), "{json}");
        let line = event.to_line(Timestamp::UNIX_EPOCH);
        assert!(line.ends_with(&format!("  enrolment   key {key} waiting: approve it")), "{line}");
    }

    #[test]
    fn a_hostile_message_moves_no_cursor() {
        let event =
            Event::Refused { code: "bad_signature".to_owned(), message: "\u{1b}[2J\u{9b}31m\u{202e}".to_owned() };
        let at = Timestamp::UNIX_EPOCH;
        for text in [event.to_json(at), event.to_line(at)] {
            assert!(text.is_ascii(), "{text}");
        }
    }
}
