//! ManagedEndpoint to a checked endpoint.

use std::collections::BTreeMap;

use kube::ResourceExt;
use tidegate_api as api;
use tidegate_core::endpoint::{AccountEntry, Endpoint};
use tidegate_core::interval::Instant;
use tidegate_core::name::Digest;

use super::{ConvertError, named, parse, parse_all, time};

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
    })
}

/// A certificate for a status; `serial` as lower case hex.
#[must_use]
pub fn certificate(serial: String, key: Digest, end: Instant) -> api::Certificate {
    api::Certificate { serial_number: serial, public_key_digest: key.to_string(), expiration_time: time(end) }
}
