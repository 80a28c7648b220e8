//! What the controller asked of the API server, from the API server's own audit log.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::fleet::Fleet;

/// Which calls are counted. Watches never are, nor dry runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// What changes something.
    Writes,
}

/// The controller's calls so far, by verb and resource.
pub fn calls(fleet: &Fleet<'_>, which: Which) -> Result<BTreeMap<String, usize>> {
    let path = fleet.control_plane.audit_log();
    let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut calls = BTreeMap::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let verb = event["verb"].as_str().unwrap_or_default();
        let is_left_out = verb == "watch" || which == Which::Writes && ["get", "list"].contains(&verb);
        let is_dry = event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All"));
        if is_left_out || is_dry || event["user"]["username"] != fleet.controller.user() {
            continue;
        }
        let object = &event["objectRef"];
        let what = [&object["resource"], &object["subresource"]].map(|part| part.as_str().unwrap_or_default());
        let what = what.join("/");
        *calls.entry(format!("{verb} {}", what.trim_end_matches('/'))).or_default() += 1;
    }
    Ok(calls)
}

/// What came between two counts.
pub fn more(before: &BTreeMap<String, usize>, after: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let more = |(what, count): (&String, &usize)| (what.clone(), count - before.get(what).copied().unwrap_or_default());
    after.iter().map(more).filter(|(_, count)| *count > 0).collect()
}
