//! What was written to a request, by whom and in which order, from the API server's own audit log.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::fleet::Fleet;

/// The writes to request `name` that the API server took, oldest first, such as `bob: patch` or `controller: update status`.
pub fn of(fleet: &Fleet<'_>, name: &str) -> Result<Vec<String>> {
    let path = fleet.installation.control_plane.audit_log();
    let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The last line may be half written.
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let taken = events.filter(|event| {
        let object = &event["objectRef"];
        !["get", "list", "watch"].iter().any(|read| event["verb"] == *read)
            && object["resource"] == "elevationrequests"
            && object["namespace"] == fleet.name()
            && object["name"] == name
            && event["responseStatus"]["code"].as_i64().is_some_and(|code| code < 300)
    });
    taken.map(|event| write(&event).with_context(|| format!("not understood: {event}"))).collect()
}

/// Those of `who`, a person or `controller`.
pub fn by(who: &str, fleet: &Fleet<'_>, name: &str) -> Result<Vec<String>> {
    let prefix = format!("{who}: ");
    Ok(of(fleet, name)?.iter().filter_map(|write| write.strip_prefix(&prefix)).map(str::to_owned).collect())
}

fn write(event: &Value) -> Option<String> {
    let user = event["user"]["username"].as_str()?;
    let who = match user.strip_prefix("system:serviceaccount:tidegate-system:tidegate-") {
        Some(program) => program,
        None => user.split('@').next()?,
    };
    let verb = event["verb"].as_str()?;
    Some(match event["objectRef"]["subresource"].as_str() {
        Some(subresource) => format!("{who}: {verb} {subresource}"),
        None => format!("{who}: {verb}"),
    })
}
