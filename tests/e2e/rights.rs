//! The rights that controller and gateway are shipped with against what they do, by the API server's own audit log of a whole
//! story: no call is denied, and no right is there for nothing.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tidegate_api::names::{CONTROLLER, FLEET, GATEWAY};
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, Controller, eventually};

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{Installation, READY};

/// Rights that this story cannot use, and why they are needed.
const ELSEWHERE: [(&str, &str); 5] = [
    (
        "tidegate-controller: create tidegate.dev/fleets",
        "asked beside patch when an object that is not there is applied",
    ),
    (
        "tidegate-controller: get tidegate.dev/elevationrequests",
        "for a request that changes while what was written in a gap is taken up",
    ),
    ("tidegate-controller: get /namespaces", "for a namespace that its watch has not shown yet"),
    (
        "tidegate-controller: sign certificates.k8s.io/signers tidegate.dev/endpoint",
        "asked by the API server, not called",
    ),
    ("tidegate-controller: patch events.k8s.io/events", "counts up an event that comes again within minutes"),
];

#[tokio::test]
async fn no_call_of_controller_and_gateway_is_denied_and_no_right_of_theirs_is_unused() -> Result<()> {
    // A control plane of this test's own: its log is the story and nothing else.
    let installation = Installation::alone().await?;
    let fleet = Fleet::new(&installation, "rights").await?;
    let agent = fleet.agent().await?;
    fleet.granted("er-1", "5m").await?;
    agent.started("er-1", SOON).await?;
    fleet.requests().await?.delete("er-1", &DeleteParams::default()).await?;
    agent.ended("er-1", SOON).await?;
    fleet.ask("er-2", "5m").await?;
    fleet.in_state("er-2", "Pending", SOON).await?;
    fleet.decide(&fleet.alice, "er-2", "end").await?;
    fleet.lock("freeze", json!({"target": {}, "effect": "DeclineNew"})).await?;
    // It is made anew: a computer has joined.
    fleet.fleets().await?.delete(FLEET, &DeleteParams::default()).await?;
    installation.controller.process.kill9()?;
    damage(&fleet).await?;
    // Short enough that what has ended goes.
    let short = |command: &mut Command| {
        command.arg("--retention=1s");
    };
    let next = Controller::start_anew_with(installation.control_plane, short).await?;
    next.ready(READY).await?;

    let held = rights_of_both(&fleet).await?;
    ensure!(held.len() > 20, "only {} rights: {held:?}", held.len());
    for (right, why) in ELSEWHERE {
        ensure!(held.contains(right), "{right} is missing, {why}");
    }
    eventually("the use of every right", READY, async || {
        let calls = calls(installation.control_plane)?;
        let denied: Vec<_> = calls.iter().filter(|call| call.denied).map(|call| &call.right).collect();
        // The inner error ends the wait: what was denied stays denied.
        if !denied.is_empty() {
            return Ok(Err(anyhow!("denied: {denied:#?}")));
        }
        let used: BTreeSet<&String> = calls.iter().flat_map(|call| [&call.right, &call.named]).collect();
        let elsewhere = |right: &String| ELSEWHERE.iter().any(|(known, _)| known == right);
        let unused: Vec<_> = held.iter().filter(|right| !used.contains(right) && !elsewhere(right)).collect();
        ensure!(unused.is_empty(), "no call needs {unused:#?}");
        Ok(Ok(()))
    })
    .await?
}

/// What the next controller has to mend with its rights to change something: the trust bundle, the gateway's certificate, and
/// what it remembers of the policies.
async fn damage(fleet: &Fleet<'_>) -> Result<()> {
    let admin = fleet.admin().client().await?;
    let merge = PatchParams::default();
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), SYSTEM_NAMESPACE);
    maps.patch("tidegate-trust", &merge, &Patch::Merge(json!({"data": {"trust.json": "{}"}}))).await?;
    let secrets: Api<Secret> = Api::namespaced(admin, SYSTEM_NAMESPACE);
    secrets.patch("tidegate-gateway-tls", &merge, &Patch::Merge(json!({"data": {"ca.crt": ""}}))).await?;
    let binding = ["delete", "validatingadmissionpolicybinding", "decisions.tidegate.dev"];
    fleet.admin().kubectl(binding).await?.ok()?;
    fleet.installation.control_plane.apply("config/admission").await
}

/// Every right of both programs, a line each.
async fn rights_of_both(fleet: &Fleet<'_>) -> Result<BTreeSet<String>> {
    let admin = fleet.admin().client().await?;
    let (wide, own): (Api<ClusterRole>, Api<Role>) =
        (Api::all(admin.clone()), Api::namespaced(admin, SYSTEM_NAMESPACE));
    let mut rights = BTreeSet::new();
    for program in [CONTROLLER, GATEWAY] {
        let rules = wide.get(program).await?.rules.into_iter().flatten();
        let narrow = own.get_opt(program).await?.and_then(|role| role.rules);
        for rule in rules.chain(narrow.into_iter().flatten()) {
            rights.extend(lines(program, &rule));
        }
    }
    Ok(rights)
}

fn lines(program: &str, rule: &PolicyRule) -> Vec<String> {
    let names = rule.resource_names.clone().filter(|names| !names.is_empty());
    let names =
        names.map_or_else(|| vec![String::new()], |names| names.iter().map(|name| format!(" {name}")).collect());
    let mut lines = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                lines.extend(names.iter().map(|name| format!("{program}: {verb} {group}/{resource}{name}")));
            }
        }
    }
    lines
}

/// A call of one of the programs, as the right it needs: of the kind, and of the one object.
struct Call {
    right: String,
    named: String,
    denied: bool,
}

fn calls(control_plane: &ControlPlane) -> Result<Vec<Call>> {
    let path = control_plane.audit_log();
    let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The last line may be half written.
    Ok(log.lines().filter_map(|line| call(&serde_json::from_str(line).ok()?)).collect())
}

fn call(event: &Value) -> Option<Call> {
    let user = event["user"]["username"].as_str()?;
    let program = user.strip_prefix("system:serviceaccount:tidegate-system:")?;
    if ![CONTROLLER, GATEWAY].contains(&program) {
        return None;
    }
    let object = &event["objectRef"];
    let part = |key: &str| object[key].as_str().unwrap_or_default();
    let resource = match part("subresource") {
        "" => part("resource").to_owned(),
        subresource => format!("{}/{subresource}", part("resource")),
    };
    let right = format!("{program}: {} {}/{resource}", event["verb"].as_str()?, part("apiGroup"));
    let named = format!("{right} {}", part("name"));
    let denied = event["annotations"]["authorization.k8s.io/decision"] == "forbid";
    Some(Call { right, named, denied })
}
