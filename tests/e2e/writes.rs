//! What was written to a request, by whom and in which order, and what one controller tried to write, from the API server's own audit
//! log.

use anyhow::{Context, Result};
use serde_json::Value;
use tidegate_test_support::ControlPlane;

use crate::fleet::Fleet;

/// The writes to request `name` that the API server took, oldest first, such as `bob: patch` or `controller: update status`.
pub fn of(fleet: &Fleet<'_>, name: &str) -> Result<Vec<String>> {
    let attempts = attempts(fleet.installation.control_plane)?;
    let taken = attempts.into_iter().filter(|event| {
        let object = &event["objectRef"];
        object["resource"] == "elevationrequests"
            && object["namespace"] == fleet.name()
            && object["name"] == name
            && event["responseStatus"]["code"].as_i64().is_some_and(|code| code < 300)
    });
    taken.map(|event| write(&event).with_context(|| format!("not understood: {event}"))).collect()
}

/// What the controller called `name` tried to write anywhere, taken or not, oldest first, such as `update leases: 200`.
pub fn tried_by(control_plane: &ControlPlane, name: &str) -> Result<Vec<String>> {
    let own = |event: &&Value| event["userAgent"].as_str().is_some_and(|agent| agent.ends_with(&format!("({name})")));
    let attempts = attempts(control_plane)?;
    let line = |event: &Value| {
        let (verb, resource) = (event["verb"].as_str()?, event["objectRef"]["resource"].as_str()?);
        Some(format!("{verb} {resource}: {}", event["responseStatus"]["code"]))
    };
    let lines =
        attempts.iter().filter(own).map(|event| line(event).with_context(|| format!("not understood: {event}")));
    lines.collect()
}

/// Every call that could have changed something.
fn attempts(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    let path = control_plane.audit_log();
    let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The last line may be half written.
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(events.filter(|event| !["get", "list", "watch"].iter().any(|read| event["verb"] == *read)).collect())
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
