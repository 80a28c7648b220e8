//! ManagedEndpoint to a checked endpoint, and what its agent reports.

use std::collections::BTreeMap;

use kube::ResourceExt;
use tidegate_api as api;
use tidegate_core::delivery::{Delivery, Report};
use tidegate_core::endpoint::{AccountEntry, Agent, Endpoint};
use tidegate_core::interval::Instant;
use tidegate_core::name::Digest;

use super::{ConvertError, instant, named, parse, parse_all, time};

/// Checks a ManagedEndpoint.
///
/// # Errors
/// The first field that is not as it should be.
pub fn endpoint(object: &api::ManagedEndpoint) -> Result<Endpoint, ConvertError> {
    let mut accounts = BTreeMap::new();
    for account in &object.spec.accounts {
        let entry = AccountEntry {
            identities: parse_all("spec.accounts.identities", &account.identities)?,
            groups: parse_all("spec.accounts.groups", &account.groups)?,
        };
        accounts.insert(parse("spec.accounts.name", &account.name)?, entry);
    }
    Ok(Endpoint {
        reference: named(object)?,
        labels: object.labels().clone(),
        owner: object.spec.owner.as_deref().map(|owner| parse("spec.owner", owner)).transpose()?,
        accounts,
        agent: object.status.as_ref().and_then(|status| status.agent.as_ref()).map(agent),
        people: Vec::new(),
    })
}

/// What an agent says of itself. What does not read counts as not said: it decides what the endpoint receives, never a right.
#[must_use]
pub fn agent(from: &api::AgentFacts) -> Agent {
    Agent {
        version: from.version.as_deref().and_then(|text| text.parse().ok()),
        platform: from.platform.as_deref().and_then(|text| text.parse().ok()),
        capabilities: from.capabilities.iter().cloned().collect(),
    }
}

/// What the endpoint says of one request: `uid` is the request's, `grant` the digest of its grant.
#[must_use]
pub fn delivery(object: &api::ManagedEndpoint, uid: &str, grant: Option<&str>) -> Report {
    let Some(status) = &object.status else { return Report::default() };
    let report = status.grants.iter().find(|report| report.request_uid == uid);
    let delivery = report.map(|report| Delivery {
        applied_at: report.applied_time.as_ref().map(instant),
        ended_at: report.ended_time.as_ref().map(instant),
        terminated_processes: report.terminated_processes.and_then(|count| u32::try_from(count).ok()),
    });
    let refused = status.rejected.as_ref().filter(|rejected| Some(rejected.digest.as_str()) == grant);
    Report { delivery: delivery.unwrap_or_default(), refused: refused.map(|rejected| rejected.message.clone()) }
}

/// A certificate for a status; `serial` as lower case hex.
#[must_use]
pub fn certificate(serial: String, key: Digest, end: Instant) -> api::Certificate {
    api::Certificate { serial_number: serial, public_key_digest: key.to_string(), expiration_time: time(end) }
}
