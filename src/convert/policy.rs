//! JitPolicy to a checked policy.

use tidegate_api as api;
use tidegate_core::policy::{Policy, PolicyRef, Rules};

use super::access::{access, approval, duration};
use super::elevation::{elevation, paths_fit};
use super::targets::targets;
use super::{ConvertError, named};

/// Checks a JitPolicy.
///
/// # Errors
/// The first field that is not as it should be: the schema holds most of this already, so this is for what a schema cannot hold
/// (time zones, regular expressions, names of items) and for objects stored before a change of it.
pub fn policy(object: &api::JitPolicy) -> Result<Policy, ConvertError> {
    let (named, spec) = (named(object)?, &object.spec);
    let elevation = elevation(&spec.elevation)?;
    let targets = targets(&spec.targets)?;
    paths_fit(&elevation, &targets.platforms)?;
    let reminders = spec.reminders.iter().map(|text| duration("spec.reminders", text));
    Ok(Policy {
        reference: PolicyRef {
            name: named.name,
            uid: named.uid,
            generation: object.metadata.generation.unwrap_or_default(),
        },
        suspended: spec.suspended,
        rules: Rules {
            targets,
            access: access(&spec.access)?,
            approval: approval(&spec.access, &elevation)?,
            elevation,
            reminders: reminders.collect::<Result<_, _>>()?,
            offline_tolerance: duration("spec.offlineTolerance", &spec.offline_tolerance)?,
        },
    })
}
