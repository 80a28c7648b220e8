//! The admission guard: whoever takes the lock off the API server gets nothing granted by it, not even in the moment between the
//! change and its coming into force, and nothing is lost.

use std::ffi::OsStr;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidegate_test_support::{Controller, assets, eventually, servers};

use crate::agent::SOON;
use crate::fleet::{Fleet, condition};
use crate::installation::{READY, breakable};

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";
const DEFINITION: &str = "CustomResourceDefinition";
const DECISIONS: &str = "decisions.tidegate.dev";

/// What an administrator who may change policies does to the lock.
pub struct Attack {
    what: &'static str,
    kind: &'static str,
    name: &'static str,
    /// A JSON patch; `None` deletes.
    patch: Option<Value>,
}

fn attacks() -> Vec<Attack> {
    let attack = |what, kind, name, patch| Attack { what, kind, name, patch };
    let add = |path: &str, value: Value| Some(json!([{"op": "add", "path": path, "value": value}]));
    let replace = |path: &str, value: Value| Some(json!([{"op": "replace", "path": path, "value": value}]));
    let excluded =
        json!([{"apiGroups": ["tidegate.dev"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["*"]}]);
    let elsewhere = json!({"matchLabels": {"nowhere": "to-be-found"}});
    let immutable = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations";
    vec![
        attack("deleted policy", POLICY, DECISIONS, None),
        attack("deleted binding", BINDING, DECISIONS, None),
        attack("binding that only audits", BINDING, DECISIONS, replace("/spec/validationActions", json!(["Audit"]))),
        attack(
            "binding to another policy",
            BINDING,
            DECISIONS,
            replace("/spec/policyName", json!("status.tidegate.dev")),
        ),
        attack(
            "binding for other namespaces",
            BINDING,
            DECISIONS,
            add("/spec/matchResources", json!({"namespaceSelector": elsewhere})),
        ),
        attack(
            "policy without a rule",
            POLICY,
            DECISIONS,
            Some(json!([{"op": "remove", "path": "/spec/validations/0"}])),
        ),
        attack(
            "policy under a condition",
            POLICY,
            DECISIONS,
            add("/spec/matchConditions", json!([{"name": "never", "expression": "false"}])),
        ),
        attack(
            "policy for other namespaces",
            POLICY,
            DECISIONS,
            replace("/spec/matchConstraints/namespaceSelector", elsewhere),
        ),
        attack(
            "policy for named objects",
            POLICY,
            DECISIONS,
            add("/spec/matchConstraints/resourceRules/0/resourceNames", json!(["a"])),
        ),
        attack(
            "policy with an exception",
            POLICY,
            DECISIONS,
            add("/spec/matchConstraints/excludeResourceRules", excluded),
        ),
        attack("policy that fails open", POLICY, DECISIONS, replace("/spec/failurePolicy", json!("Ignore"))),
        attack("deleted policy on status", POLICY, "status.tidegate.dev", None),
        attack(
            "weaker policy on certificates",
            POLICY,
            "gateway-csr.tidegate.dev",
            replace("/spec/failurePolicy", json!("Ignore")),
        ),
        attack(
            "definition without immutability",
            DEFINITION,
            "elevationrequests.tidegate.dev",
            Some(json!([{"op": "remove", "path": immutable}])),
        ),
    ]
}

impl Attack {
    /// Does it.
    pub async fn carry_out(&self, fleet: &Fleet<'_>) -> Result<()> {
        let group = if self.kind == DEFINITION { "apiextensions.k8s.io" } else { "admissionregistration.k8s.io" };
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", self.kind));
        if self.kind == POLICY {
            "validatingadmissionpolicies".clone_into(&mut resource.plural);
        }
        let api = Api::<DynamicObject>::all_with(fleet.admin().client().await?, &resource);
        match &self.patch {
            None => {
                api.delete(self.name, &DeleteParams::default()).await?;
            }
            Some(patch) => {
                let patch = Patch::Json::<()>(serde_json::from_value(patch.clone())?);
                api.patch(self.name, &PatchParams::default(), &patch).await.with_context(|| self.what)?;
            }
        }
        Ok(())
    }
}

/// The manifests of this version again, and proof that the guard has seen it. Applying leaves in place what somebody else has added, so
/// the policies are made anew; a definition must not be deleted, its objects would go with it.
pub async fn repair(fleet: &Fleet<'_>) -> Result<()> {
    let control_plane = fleet.installation.control_plane;
    for (folder, args) in [("config/admission", &["delete", "--ignore-not-found"][..]), ("crds", &["replace"])] {
        let path = assets::repository().join(folder);
        let said =
            fleet.admin().kubectl(args.iter().map(OsStr::new).chain([OsStr::new("-k"), path.as_os_str()])).await?;
        said.ok().with_context(|| format!("{args:?} {folder}"))?;
    }
    control_plane.apply("config/admission").await?;
    guard_is(&fleet.installation.controller, true).await
}

async fn guard_is(controller: &Controller, ok: bool) -> Result<()> {
    let line = format!("\ntidegate_admission_guard_ok {}\n", u8::from(ok));
    eventually(&format!("the metric {}", line.trim()), SOON * 3, async || {
        let metrics = servers::admin_get(controller.admin, "/metrics").await?.1;
        if metrics.contains(&line) { Ok(()) } else { bail!("{metrics}") }
    })
    .await
}

#[tokio::test]
async fn whatever_is_done_to_the_lock_nothing_is_granted_from_that_moment_until_the_repair() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "guard").await?;
    for (index, attack) in attacks().iter().enumerate() {
        let (decided, asked) = (format!("er-decided-{index}"), format!("er-asked-{index}"));
        fleet.ask(&decided, "5m").await?;
        fleet.in_state(&decided, "Pending", SOON).await?;

        attack.carry_out(&fleet).await?;
        // bob is honest and the old rules may still be in force for a second: even so, nobody can know that.
        fleet.decide(&fleet.bob, &decided, "approve").await?;
        fleet.ask(&asked, "5m").await?;
        guard_is(&broken.installation.controller, false).await.context(attack.what)?;
        eventually("a message that names what is wrong", SOON, async || {
            let held = fleet.in_state(&asked, "Held", SOON).await?;
            let message = condition(&held, "Accepted")?.message;
            ensure!(message.contains(attack.name), "{message}");
            Ok(())
        })
        .await
        .context(attack.what)?;

        repair(&fleet).await.context(attack.what)?;
        let decision = fleet.decision(&decided, 1).await.context(attack.what)?;
        ensure!(!decision.counted, "{}: {decision:?}", attack.what);
        assert_eq!(decision.reason.as_deref(), Some("AdmissionUnprotected"), "{}", attack.what);
        let declined = fleet.in_state(&asked, "Declined", SOON).await.context(attack.what)?;
        assert_eq!(condition(&declined, "Accepted")?.reason, "AdmissionUnprotected");
        // Nothing is lost: given again, it counts.
        fleet.decide(&fleet.bob, &decided, "approve").await?;
        fleet.in_state(&decided, "Active", SOON).await.context(attack.what)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_decision_forged_while_nobody_checked_never_counts_and_access_that_was_granted_goes_on() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "forged").await?;
    fleet.granted("er-granted", "5m").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    delete_binding().carry_out(&fleet).await?;
    forge(&fleet, "er-1").await?;
    let granted = fleet.requests().await?.get("er-granted").await?.status.unwrap_or_default();
    assert_eq!(granted.state.as_deref(), Some("Active"), "what was granted keeps its deadline");
    // What ends access works all the time.
    fleet.decide(&fleet.bob, "er-granted", "revoke").await?;
    fleet.in_state("er-granted", "Revoked", SOON).await?;

    repair(&fleet).await?;
    let forged = fleet.decision("er-1", 1).await?;
    assert_eq!((forged.counted, forged.reason.as_deref()), (false, Some("AdmissionUnprotected")));
    fleet.in_state("er-1", "Pending", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_status_forged_while_nobody_checked_grants_nothing() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "record").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    Attack { name: "status.tidegate.dev", ..delete_binding() }.carry_out(&fleet).await?;
    let forged = Patch::Merge(json!({"status": {
        "state": "Scheduled", "startTime": "2026-01-01T00:00:00Z", "expirationTime": "2036-01-01T00:00:00Z",
    }}));
    let requests = fleet.requests().await?;
    eventually("the forgery is let through", SOON * 3, async || {
        requests.patch_status("er-1", &PatchParams::default(), &forged).await?;
        Ok(())
    })
    .await?;
    repair(&fleet).await?;
    let revoked = fleet.in_state("er-1", "Revoked", SOON).await?.status.unwrap_or_default();
    assert!(revoked.signed.is_none());
    assert!(condition(&fleet.requests().await?.get("er-1").await?, "Active")?.message.contains("cannot be believed"));
    Ok(())
}

#[tokio::test]
async fn a_gap_while_no_controller_was_running_is_noticed_by_the_next() -> Result<()> {
    let broken = breakable().await?;
    let fleet = Fleet::new(&broken.installation, "downtime").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    broken.installation.controller.process.kill9()?;
    delete_binding().carry_out(&fleet).await?;
    forge(&fleet, "er-1").await?;
    let control_plane = broken.installation.control_plane;
    control_plane.apply("config/admission").await?;

    let next = Controller::start(control_plane).await?;
    next.ready(READY).await?;
    guard_is(&next, true).await?;
    let forged = fleet.decision("er-1", 1).await?;
    assert_eq!((forged.counted, forged.reason.as_deref()), (false, Some("AdmissionUnprotected")));
    Ok(())
}

#[tokio::test]
async fn a_fleet_that_cannot_be_probed_does_not_stop_the_others() -> Result<()> {
    let broken = breakable().await?;
    let controller = &broken.installation.controller;
    let full = Fleet::new(&broken.installation, "full").await?;
    // Somebody else's policy, in this namespace alone.
    let name = format!("nothing.{}.example.com", full.name());
    let policy = json!({"metadata": {"name": name}, "spec": {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": full.name()}},
            "resourceRules": [{
                "apiGroups": ["tidegate.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["elevationrequests"],
            }],
        },
        "validations": [{"expression": "false", "message": "no requests here"}],
    }});
    let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let admin = full.admin().client().await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(admin.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(admin);
    policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
    bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
    let wish = serde_json::to_string(&full.wish("er-1", "5m")?)?;
    let file = full.installation.control_plane.sandbox().fresh_file("manifests", "request.json", &wish)?;
    let file = file.to_str().context("the sandbox's path is no text")?;
    eventually("somebody else's policy", SOON, async || {
        full.kubectl(&full.alice, &["create", "--dry-run=server", "-f", file]).await?.refused("no requests here")?;
        Ok(())
    })
    .await?;

    // Whatever happens to a policy makes the guard look, an annotation too.
    let before = controller.process.stderr.position();
    let touch = Patch::Merge(json!({"metadata": {"annotations": {"example.com/touched": "yes"}}}));
    policies.patch(DECISIONS, &PatchParams::default(), &touch).await?;
    let told = |line: &str| line.contains("a fleet could not be probed") && line.contains(full.name());
    controller.process.stderr.wait_for("the fleet that is full", before, SOON * 3, told).await?;
    guard_is(controller, true).await?;
    let other = Fleet::new(&broken.installation, "other").await?;
    other.granted("er-1", "5m").await?;
    bindings.delete(&name, &DeleteParams::default()).await?;
    policies.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

/// The decisions are not guarded any more.
pub fn delete_binding() -> Attack {
    Attack { what: "deleted binding", kind: BINDING, name: DECISIONS, patch: None }
}

/// alice approves her own request in bob's name, as soon as the API server lets her.
async fn forge(fleet: &Fleet<'_>, name: &str) -> Result<()> {
    let er = format!("er/{name}");
    let line = format!("decision.tidegate.dev/1={} approve", fleet.bob.user());
    eventually("the forgery is let through", SOON * 3, async || {
        fleet.kubectl(&fleet.alice, &["annotate", &er, &line]).await?.ok()?;
        Ok(())
    })
    .await
}
