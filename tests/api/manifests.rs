//! What is shipped against what the API server makes of it: nothing that a GitOps tool would see as a difference for ever, and
//! no right that has no reason.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{Identity, assets, control_plane};

/// What kustomize builds of a folder, as the API server would take it, without any default filled in.
async fn built(admin: &Identity, folder: &str) -> Result<Vec<Value>> {
    let path = assets::repository().join(folder);
    let yaml = admin.kubectl([std::ffi::OsStr::new("kustomize"), path.as_os_str()]).await?.ok()?;
    yaml.split("\n---\n").map(|document| serde_saphyr::from_str(document).with_context(|| folder.to_owned())).collect()
}

#[tokio::test]
async fn the_api_server_adds_nothing_to_what_we_ship() -> Result<()> {
    let control_plane = control_plane().await?;
    let admin = control_plane.admin();
    let mut shipped = built(admin, "config/default").await?;
    if control_plane.minor() >= 36 {
        shipped.extend(built(admin, "config/admission/mutating").await?);
    }
    let mut compared = 0;
    for object in shipped {
        let kind = object["kind"].as_str().unwrap_or_default();
        let is_policy = kind.contains("AdmissionPolicy");
        // Selectable fields are dropped by servers before 1.31.
        let is_definition = kind == "CustomResourceDefinition" && control_plane.minor() >= 31;
        let member = if is_policy || is_definition { "spec" } else { "rules" };
        if object[member].is_null() {
            continue;
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut args = vec!["get", kind, name, "-o", "json"];
        args.extend(object["metadata"]["namespace"].as_str().map(|namespace| ["-n", namespace]).into_iter().flatten());
        let live: Value = serde_json::from_str(&admin.kubectl(args).await?.ok()?)?;
        ensure!(
            live[member] == object[member],
            "{kind} {name} is not as written: {:#}\n{:#}",
            live[member],
            object[member]
        );
        compared += 1;
    }
    ensure!(compared >= 15, "only {compared} objects were compared");
    Ok(())
}

async fn shipped_roles() -> Result<Vec<ClusterRole>> {
    let api: Api<ClusterRole> = Api::all(control_plane().await?.admin().client().await?);
    let ours = |role: &ClusterRole| role.metadata.labels.iter().flatten().any(|(_, value)| value == "tidegate");
    Ok(api.list(&ListParams::default()).await?.items.into_iter().filter(ours).collect())
}

/// `role/resource:verb` of every rule of ours.
fn rights(role: &ClusterRole) -> BTreeSet<String> {
    let name = role.metadata.name.as_deref().unwrap_or_default();
    let of_rule = |rule: &PolicyRule| {
        let resources = rule.resources.clone().unwrap_or_default();
        let verbs = rule.verbs.clone();
        resources
            .into_iter()
            .flat_map(move |resource| verbs.clone().into_iter().map(move |verb| format!("{resource}:{verb}")))
    };
    role.rules.iter().flatten().flat_map(of_rule).map(|right| format!("{name}/{right}")).collect()
}

#[tokio::test]
async fn no_shipped_role_has_a_wildcard_or_a_right_that_is_given_one_by_one() -> Result<()> {
    let roles = shipped_roles().await?;
    assert_eq!(roles.len(), 9, "roles: {:?}", roles.iter().map(|r| &r.metadata.name).collect::<Vec<_>>());
    for right in roles.iter().flat_map(rights) {
        let reserved = ["create-for-others", "end-for-others", "decide-as-serviceaccount", "elevationrequests:delete"];
        // The controller deletes what ended longer ago than --retention.
        let is_reserved =
            reserved.iter().any(|r| right.contains(r)) && right != "tidegate-controller/elevationrequests:delete";
        ensure!(!right.contains('*') && !is_reserved, "{right}");
        // The gateway reports what it alone knows of an endpoint; the probe may try a status, so that only admission can refuse it.
        let writers = ["tidegate-controller/", "tidegate-probe/", "tidegate-gateway/managedendpoints/status:patch"];
        ensure!(writers.iter().any(|start| right.starts_with(start)) || !right.contains("/status:"), "{right}");
    }
    Ok(())
}

/// Every object under config/ that gives rights.
fn written_roles() -> Result<Vec<(PathBuf, Value)>> {
    let mut roles = Vec::new();
    let files = assets::files_below(&assets::repository().join("config"))?;
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(&path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| path.display().to_string())?;
        roles.extend(documents.into_iter().filter(is_role).map(|role| (path.clone(), role)));
    }
    Ok(roles)
}

fn is_role(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Role" | "ClusterRole"))
}

/// What is wrong with a role, whatever it is for: rights that are not spelled out, and rights over rights.
fn objection(role: &Value) -> Option<String> {
    if role.get("aggregationRule").is_some() {
        return Some("its rights are gathered from elsewhere".to_owned());
    }
    let rules = role["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let words =
        rules.iter().flat_map(|rule| ["apiGroups", "resources", "verbs", "nonResourceURLs"].map(|key| &rule[key]));
    let mut words = words.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let bad = |word: &&str| word.contains('*') || ["escalate", "bind", "impersonate"].contains(word);
    words.find(bad).map(|word| format!("it gives {word:?}"))
}

#[test]
fn no_role_in_config_has_a_wildcard_or_a_right_over_rights() -> Result<()> {
    let roles = written_roles()?;
    ensure!(roles.len() >= 13, "only {} roles under config/", roles.len());
    for (path, role) in roles {
        if let Some(objection) = objection(&role) {
            bail!("{} {} in {}: {objection}", role["kind"], role["metadata"]["name"], path.display());
        }
    }
    Ok(())
}

#[test]
fn wildcards_and_rights_over_rights_are_objected_to() {
    let role = |key: &str, word: &str| json!({"kind": "Role", "rules": [{"verbs": ["get"], key: ["pods", word]}]});
    for (key, word) in [
        ("verbs", "*"),
        ("resources", "*"),
        ("resources", "*/status"),
        ("apiGroups", "*"),
        ("nonResourceURLs", "/healthz/*"),
        ("verbs", "escalate"),
        ("verbs", "bind"),
        ("verbs", "impersonate"),
    ] {
        assert!(objection(&role(key, word)).is_some(), "{key}: {word}");
    }
    assert!(objection(&json!({"kind": "ClusterRole", "aggregationRule": {}})).is_some());
    assert_eq!(objection(&role("verbs", "patch")), None);
}

async fn may(who: &Identity, namespace: Option<&str>, group: &str, resource: &str, verb: &str) -> Result<bool> {
    let attributes = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let api: Api<SelfSubjectAccessReview> = Api::all(who.client().await?);
    Ok(api.create(&PostParams::default(), &review).await?.status.is_some_and(|status| status.allowed))
}

#[tokio::test]
async fn neither_process_lists_secrets_or_writes_a_spec() -> Result<()> {
    let control_plane = control_plane().await?;
    let controller = control_plane.service_account(SYSTEM_NAMESPACE, CONTROLLER).await?;
    let gateway = control_plane.service_account(SYSTEM_NAMESPACE, GATEWAY).await?;
    // What they may do shows that the question is asked rightly.
    ensure!(
        may(&controller, None, "tidegate.dev", "elevationrequests", "patch").await?,
        "the controller sets finalizers"
    );
    ensure!(
        may(&controller, Some(SYSTEM_NAMESPACE), "", "secrets", "create").await?,
        "the controller creates its keys"
    );
    ensure!(
        may(&gateway, None, "certificates.k8s.io", "certificatesigningrequests", "create").await?,
        "the gateway enrols"
    );

    ensure!(
        may(&controller, None, "tidegate.dev", "elevationrequests", "delete").await?,
        "the controller removes what ended long ago"
    );
    ensure!(!may(&gateway, None, "tidegate.dev", "elevationrequests", "delete").await?, "the gateway removes nothing");

    let forbidden = [
        ("", "secrets", "get"),
        ("", "secrets", "list"),
        ("tidegate.dev", "jitpolicies", "update"),
        ("tidegate.dev", "jitpolicies", "patch"),
        ("tidegate.dev", "managedendpoints", "patch"),
        ("tidegate.dev", "fleets", "update"),
        ("tidegate.dev", "fleets", "delete"),
        ("tidegate.dev", "locks", "create"),
        ("tidegate.dev", "locks", "patch"),
        ("tidegate.dev", "locks", "delete"),
        ("tidegate.dev", "elevationrequests", "create"),
        ("certificates.k8s.io", "certificatesigningrequests/approval", "update"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies", "delete"),
    ];
    for (group, resource, verb) in forbidden {
        for who in [&controller, &gateway] {
            let allowed = may(who, Some(SYSTEM_NAMESPACE), group, resource, verb).await?;
            ensure!(!allowed, "{} may {verb} {resource}", who.user());
        }
    }
    let deletes = may(&gateway, None, "tidegate.dev", "elevationrequests", "delete").await?;
    ensure!(!deletes, "the gateway may delete requests");
    Ok(())
}
