//! Everything that the chart can render against the schemas of the API server that judges it, strictly, twice: by kubeconform with the
//! schemas that the server publishes, and by the server itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_test_support::{ControlPlane, Identity, Said, assets, eventually};

use super::know_monitors;
use crate::helm::{Helm, examples};
use crate::installation::READY;

#[tokio::test]
#[ignore = "needs helm and kubeconform: make test-chart"]
async fn every_example_conforms_to_the_schemas_of_the_api_server() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    for folder in ["config/crd", "config/namespace"] {
        control_plane.apply(folder).await?;
    }
    know_monitors(control_plane.admin()).await?;
    let schemas = control_plane.sandbox().fresh_folder("schemas")?;
    write_schemas(&control_plane, &schemas).await?;
    let mutating = if control_plane.minor() >= 36 { "always" } else { "never" };
    let helm = Helm::alone()?;
    for (name, file) in examples()? {
        let set = format!("admission.mutating={mutating}");
        let alerts = ["--set", "monitoring.rules.enabled=true,monitoring.dashboard.enabled=true"];
        let rendered = helm.template(&["-f", &file, "--set", &set, alerts[0], alerts[1]]).await?.ok()?;
        let path = control_plane.sandbox().fresh_file("rendered", &format!("{name}.yaml"), &rendered)?;
        conforms(&schemas, &path).await?.ok().with_context(|| name.clone())?;
        let path = path.display().to_string();
        let apply =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", &path];
        control_plane.admin().kubectl(apply).await?.ok().with_context(|| name.clone())?;

        let wrong = rendered.replace("  replicas: ", "  replicaz: ").replace("  policyTypes: ", "  policyTypez: ");
        let wrong = wrong.replace("serviceAccountName: ", "serviceAccountNames: ");
        let path = control_plane.sandbox().fresh_file("rendered", "wrong.yaml", &wrong)?;
        let said = conforms(&schemas, &path).await?;
        ensure!(!said.success && said.stdout.contains("serviceAccountNames"), "{said:?}");
    }
    Ok(())
}

async fn conforms(schemas: &Path, file: &Path) -> Result<Said> {
    let mut command = tokio::process::Command::new(assets::tool("bin/kubeconform")?);
    let location = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    command.args(["-strict", "-summary", "-schema-location", &location]).arg(file);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let said = Said::of(&command.output().await?);
    Ok(Said { stderr: format!("{}{}", said.stderr, said.stdout), ..said })
}

/// One file for each kind that the chart renders, with what it refers to, as the server publishes it.
async fn write_schemas(control_plane: &ControlPlane, folder: &Path) -> Result<()> {
    // Published some moments after a kind is established.
    eventually("the schemas of all kinds", READY, async || {
        let mut missing: BTreeSet<&str> = SHIPPED.into();
        if control_plane.minor() < 36 {
            missing.retain(|kind| !kind.starts_with("Mutating"));
        }
        for document in documents(control_plane.admin()).await? {
            let schemas = &document["components"]["schemas"];
            for (name, schema) in schemas.as_object().into_iter().flatten() {
                for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                    let part = |name: &str| kind[name].as_str().unwrap_or_default();
                    if SHIPPED.contains(&part("kind")) {
                        let whole =
                            json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": schemas}});
                        let file = folder.join(file_name(part("group"), part("version"), part("kind")));
                        std::fs::write(&file, whole.to_string()).with_context(|| file.display().to_string())?;
                        missing.remove(part("kind"));
                    }
                }
            }
        }
        ensure!(missing.is_empty(), "not published yet: {missing:?}");
        Ok(())
    })
    .await
}

/// What the server publishes of each group and version, made strict.
async fn documents(admin: &Identity) -> Result<Vec<Value>> {
    let index: Value = serde_json::from_str(&admin.kubectl(["get", "--raw", "/openapi/v3"]).await?.ok()?)?;
    let mut documents = Vec::new();
    for (_, place) in index["paths"].as_object().context("no paths")?.iter().filter(|(path, _)| path.starts_with("api"))
    {
        let url = place["serverRelativeURL"].as_str().context("no address")?;
        let mut document: Value = serde_json::from_str(&admin.kubectl(["get", "--raw", url]).await?.ok()?)?;
        strict(&mut document["components"]);
        documents.push(document);
    }
    Ok(documents)
}

/// As kubeconform asks for it: the kind, the first word of its group, the version.
fn file_name(group: &str, version: &str, kind: &str) -> String {
    let kind = kind.to_lowercase();
    match group.split('.').next() {
        None | Some("") => format!("{kind}-{version}.json"),
        Some(word) => format!("{kind}-{word}-{version}.json"),
    }
}

/// The kinds that the chart renders.
const SHIPPED: [&str; 19] = [
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "ConfigMap",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "Pod",
    "Deployment",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "PodMonitor",
    "ServiceMonitor",
    "PrometheusRule",
];

/// What is not named is refused; the published schemas leave that open.
fn strict(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        let closed = object.contains_key("properties") && !object.contains_key("additionalProperties");
        let any = object.get("x-kubernetes-preserve-unknown-fields").is_some_and(|any| any == true);
        if closed && !any && object.get("type").is_some_and(|of| of == "object") {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        object.values_mut().for_each(strict);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(strict);
    }
}
