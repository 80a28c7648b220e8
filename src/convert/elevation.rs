//! What is elevated: `spec.elevation` of a JitPolicy. Applications have the same form in the API and in core.

use std::collections::BTreeSet;

use tidegate_api as api;
use tidegate_core::application::{Application, Rule};
use tidegate_core::elevation::{Elevation, Scope};
use tidegate_core::target::Platform;

use super::{ConvertError, at, parse, same, same_all};

pub(super) fn elevation(from: &api::Elevation) -> Result<Elevation, ConvertError> {
    let field = |name: &str| at("spec.elevation", name);
    let scope = from.scope.as_ref().map(|scope| same(&field("scope"), scope)).transpose()?;
    let elevation = Elevation {
        mode: same(&field("mode"), &from.mode)?,
        scope: scope.unwrap_or_default(),
        include_blocklisted: from.include_blocklisted,
        applications: applications(&field("applications"), &from.applications)?,
        run_as: parse(&field("runAs"), &from.run_as)?,
        authentication: same(&field("authentication"), &from.authentication)?,
        child_processes: same(&field("childProcesses"), &from.child_processes)?,
        protections: same_all(&field("protections"), &from.protections)?,
        on_expiry: same(&field("onExpiry"), &from.on_expiry)?,
    };
    match elevation.listed() {
        Some([]) => Err(ConvertError::new(field("applications"), "list at least one application, or say scope: Any")),
        None if elevation.scope == Scope::Listed && !elevation.applications.is_empty() => {
            let message = format!("mode {} takes no applications", elevation.mode);
            Err(ConvertError::new(field("applications"), message))
        }
        Some(_) | None => Ok(elevation),
    }
}

/// A path of a form that no targeted platform has would match nothing, and silently so in an `except`.
pub(super) fn paths_fit(elevation: &Elevation, platforms: &BTreeSet<Platform>) -> Result<(), ConvertError> {
    let rules =
        |item: &Application| [item.rule().clone()].into_iter().chain(item.except().to_vec()).collect::<Vec<Rule>>();
    for item in &elevation.applications {
        for folder in rules(item).iter().filter_map(|rule| rule.members().folder_path.as_ref()) {
            if !platforms.is_empty() && !platforms.iter().any(|platform| folder.path.fits(*platform)) {
                let field = format!("spec.elevation.applications[{}].folderPath.path", item.name);
                let message = format!("{} is no path on any platform of spec.targets.platforms", folder.path);
                return Err(ConvertError::new(field, message));
            }
        }
    }
    Ok(())
}

/// Each item is named in an error.
pub(super) fn applications(field: &str, from: &[api::Application]) -> Result<Vec<Application>, ConvertError> {
    from.iter().map(|item| same(&format!("{field}[{}]", item.name), item)).collect()
}
