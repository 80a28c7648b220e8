//! From a report to the keys of a status that gateways write, and what of them differs. Pure: no client, no clock.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use tidegate_api as api;
use tidegate_core::interval::Instant;
use tidegate_core::name::Uid;
use tidegate_core::wire::{AgentReport, GrantReport, RejectedReport, StatusReport};

use super::Reported;
use crate::convert::time;

/// The gateway's keys of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Agent,
    Applied,
    Rejected,
    Grants,
}

/// Keys whose values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differences(BTreeSet<Field>);

/// What the status is to say after this report. `now` is what it says; `concerns` tells the endpoint's own requests and policies
/// from others, of which an agent has nothing to say.
pub(super) fn told(report: StatusReport, now: &Reported, concerns: impl Fn(&Uid) -> bool, at: Instant) -> Reported {
    let StatusReport { agent, applied, rejected, grants } = report;
    let applied = applied.map(|applied| {
        let manifest = applied.manifest.to_string();
        let same = now.applied.clone().filter(|now| now.manifest == manifest);
        same.unwrap_or_else(|| api::Applied { manifest, time: time(at) })
    });
    let mut grants: Vec<GrantReport> = grants.into_iter().filter(|grant| concerns(&grant.request_uid)).collect();
    grants.sort_by(|a, b| a.request_uid.cmp(&b.request_uid));
    Reported {
        agent: Some(facts(agent)),
        applied,
        rejected: rejected.into_iter().next().map(refused),
        grants: grants.into_iter().map(delivered).collect(),
    }
}

/// The keys whose values the status has not yet.
pub(super) fn differences(now: &Reported, told: &Reported) -> Differences {
    let keys = [
        (Field::Agent, now.agent != told.agent),
        (Field::Applied, now.applied != told.applied),
        (Field::Rejected, now.rejected != told.rejected),
        (Field::Grants, now.grants != told.grants),
    ];
    Differences(keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect())
}

fn facts(agent: AgentReport) -> api::AgentFacts {
    let AgentReport { version, platform, architecture, capabilities } = agent;
    api::AgentFacts {
        version: Some(version),
        platform: Some(platform),
        architecture: Some(architecture),
        capabilities: capabilities.into_iter().collect(),
    }
}

fn refused(rejected: RejectedReport) -> api::Rejected {
    let RejectedReport { digest, code, message } = rejected;
    api::Rejected { digest: digest.to_string(), code, message }
}

fn delivered(grant: GrantReport) -> api::GrantReport {
    let GrantReport { request_uid, applied_time, ended_time, terminated_processes } = grant;
    api::GrantReport {
        request_uid: request_uid.to_string(),
        applied_time: applied_time.map(time),
        ended_time: ended_time.map(time),
        terminated_processes: terminated_processes.map(i64::from),
    }
}

// === impl Differences ===

impl Differences {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_only_applied(&self) -> bool {
        self.0.iter().eq([&Field::Applied])
    }

    /// A JSON patch (RFC 6902) that sets these keys, each as a whole, on the object of this uid and no other. A merge patch could not
    /// do that: of a status the API server ignores what it says of metadata, so a `uid` in it holds nobody up.
    ///
    /// # Errors
    /// A value does not serialise, which every one does.
    pub(super) fn operations(&self, uid: &Uid, told: &Reported) -> Result<Vec<Value>, serde_json::Error> {
        let test = json!({"op": "test", "path": "/metadata/uid", "value": uid});
        let add = |field: &Field| {
            let value = match field {
                Field::Agent => value(&told.agent),
                Field::Applied => value(&told.applied),
                Field::Rejected => value(&told.rejected),
                Field::Grants => value(&told.grants),
            };
            Ok(json!({"op": "add", "path": format!("/status/{}", field.as_str()), "value": value?}))
        };
        std::iter::once(Ok(test)).chain(self.0.iter().map(add)).collect()
    }
}

/// `null` for what is not there: the API server drops the key.
fn value<T: Serialize>(of: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(of)
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.0.iter().map(|key| key.as_str()).collect();
        f.write_str(&keys.join(" "))
    }
}

// === impl Field ===

impl Field {
    fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Grants => "grants",
        }
    }
}
