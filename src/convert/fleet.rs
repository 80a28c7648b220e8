//! Fleet to checked settings, and Lock to a checked lock.

use kube::ResourceExt;
use tidegate_api as api;
use tidegate_core::application::Blocklist;
use tidegate_core::endpoint::{AccountEntry, FleetAccount};
use tidegate_core::fleet::Settings;
use tidegate_core::lock::{Effect, Lock, LockTarget};

use super::access::duration;
use super::elevation::applications;
use super::targets::endpoints;
use super::{ConvertError, at, instant, parse, parse_all, same_all};

/// Checks a Fleet.
///
/// # Errors
/// The first field that is not as it should be.
pub fn settings(object: &api::Fleet) -> Result<Settings, ConvertError> {
    let spec = &object.spec;
    let max_open_requests = u32::try_from(spec.max_open_requests).ok().filter(|max| (1..=16).contains(max));
    Ok(Settings {
        max_open_requests: max_open_requests
            .ok_or_else(|| ConvertError::new("spec.maxOpenRequests", "1 to 16 are possible"))?,
        freshness: duration("spec.freshness", &spec.freshness)?,
        accounts: fleet_accounts(object)?,
        blocklists: spec.blocklists.iter().map(blocklist).collect::<Result<_, _>>()?,
    })
}

/// Who is who, apart from everything else that a Fleet says.
///
/// # Errors
/// The first field that is not as it should be.
pub fn fleet_accounts(object: &api::Fleet) -> Result<Vec<FleetAccount>, ConvertError> {
    object.spec.accounts.iter().map(account).collect()
}

fn account(from: &api::FleetAccount) -> Result<FleetAccount, ConvertError> {
    let field = |name: &str| format!("spec.accounts[{}].{name}", from.name);
    Ok(FleetAccount {
        name: parse(&field("name"), &from.name)?,
        entry: AccountEntry {
            identities: parse_all(&field("identities"), &from.identities)?,
            groups: parse_all(&field("groups"), &from.groups)?,
        },
        endpoints: endpoints(&field("endpoints"), &from.endpoints)?,
    })
}

fn blocklist(from: &api::Blocklist) -> Result<Blocklist, ConvertError> {
    let field = |name: &str| format!("spec.blocklists[{}].{name}", from.name);
    Ok(Blocklist {
        name: parse(&field("name"), &from.name)?,
        endpoints: endpoints(&field("endpoints"), &from.endpoints)?,
        platforms: same_all(&field("platforms"), &from.platforms)?,
        applications: applications(&field("applications"), &from.applications)?,
        absolute: from.absolute,
    })
}

/// Checks a Lock.
///
/// # Errors
/// The first field that is not as it should be.
pub fn lock(object: &api::Lock) -> Result<Lock, ConvertError> {
    let api::LockSpec { target, effect, message, expiration_time } = &object.spec;
    let on = target.endpoints.as_ref().map(|target| endpoints("spec.target.endpoints", target));
    Ok(Lock {
        name: parse("metadata.name", &object.name_any())?,
        target: LockTarget {
            endpoints: on.transpose()?,
            identities: parse_all(&at("spec.target", "identities"), &target.identities)?,
            policies: parse_all(&at("spec.target", "policies"), &target.policies)?,
        },
        effect: match effect {
            api::LockEffect::DeclineNew => Effect::DeclineNew,
            api::LockEffect::EndAccess => Effect::EndAccess,
        },
        message: message.clone(),
        expires_at: expiration_time.as_ref().map(instant),
    })
}
