//! Values: which are refused and what is said, and that none is without an effect or a description.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_test_support::assets;

use crate::helm::{Helm, chart, objects};

/// What somebody sets, and what has to be in the refusal.
const REFUSED: [(&str, &str); 23] = [
    ("--set=nonsense=1", "additional properties 'nonsense' not allowed"),
    ("--set=controller.replica=1", "at '/controller': additional properties 'replica' not allowed"),
    ("--set=gateway.tls.secret=mine", "at '/gateway/tls': additional properties 'secret' not allowed"),
    ("--set=monitoring.rules.on=true", "at '/monitoring/rules': additional properties 'on' not allowed"),
    (
        "--set=networkPolicy.agentsFrom[0].cidr=a",
        "at '/networkPolicy/agentsFrom/0': additional properties 'cidr' not allowed",
    ),
    ("--set=controller.replicas=two", "at '/controller/replicas': got string, want integer"),
    ("--set=controller.replicas=0", "at '/controller/replicas': minimum: got 0, want 1"),
    ("--set=controller.replicas=null", "at '/controller': missing property 'replicas'"),
    ("--set=monitoring=null", "missing property 'monitoring'"),
    ("--set=gateway.replicas=0", "at '/gateway/replicas': minimum: got 0, want 1"),
    ("--set=gateway.service.type=ExternalName", "at '/gateway/service/type': value must be one of"),
    ("--set=gateway.service.port=70000", "at '/gateway/service/port': maximum"),
    ("--set=gateway.hostnames[0]=https://gate", "at '/gateway/hostnames/0'"),
    ("--set=image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
    ("--set=admission.mutating=yes", "at '/admission/mutating': value must be one of"),
    ("--set=admission.enabled=false", "set admission.iKnowDecisionsCanBeForged: true as well"),
    ("--set=monitoring.monitor=podmonitor", "at '/monitoring/monitor': value must be one of"),
    ("--set=controller.retention=30d", "at '/controller/retention': '30d' does not match pattern"),
    ("--set=controller.extraArgs[0]=suspended", "at '/controller/extraArgs/0': 'suspended' does not match pattern"),
    ("--set-json=networkPolicy.apiServer.ports=[]", "at '/networkPolicy/apiServer/ports': minItems: got 0, want 1"),
    ("--set=tracing.endpoint=collector:4317", "at '/tracing/endpoint': 'collector:4317' does not match pattern"),
    ("--set=commonLabels.app\\.kubernetes\\.io/name=mine", "invalid propertyName 'app.kubernetes.io/name'"),
    ("--kube-version=1.29.9", "requires kubeVersion: >=1.30.0-0"),
];

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn what_makes_no_sense_is_refused_and_the_place_is_named() -> Result<()> {
    let helm = Helm::alone()?;
    for (setting, said) in REFUSED {
        helm.template(&[setting]).await?.refused(said).with_context(|| setting)?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn the_chart_can_be_part_of_another_one_and_be_switched_off_there() -> Result<()> {
    let helm = Helm::alone()?;
    let parent = helm.folder().join("parent");
    fs::create_dir_all(parent.join("templates"))?;
    let dependency = format!(
        "{{name: tidegate, version: \">=0.0.0-0\", repository: \"file://{}\", condition: tidegate.enabled}}",
        chart()
    );
    fs::write(
        parent.join("Chart.yaml"),
        format!("apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{dependency}]\n"),
    )?;
    fs::write(parent.join("values.yaml"), "global: {registry: here}\ntidegate: {enabled: true}\n")?;
    let parent = parent.display().to_string();
    helm.run(["dependency", "update", &parent]).await?.ok()?;
    for (enabled, expected) in [("true", true), ("false", false)] {
        let set = format!("tidegate.enabled={enabled}");
        let rendered =
            helm.run(["template", "parent", &parent, "--kube-version", "1.36.3", "--set", &set]).await?.ok()?;
        assert_eq!(!objects(&rendered)?.is_empty(), expected, "{set}");
    }
    Ok(())
}

/// The schema is strict, so a value that it does not know would be refused as it is shipped; this is the reverse.
#[test]
#[ignore = "part of make test-chart"]
fn every_value_of_the_schema_has_a_default() -> Result<()> {
    let read = |file: &str| fs::read_to_string(assets::repository().join("charts/tidegate").join(file));
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?)?;
    let mut missing = BTreeSet::new();
    undefined(&schema, &values, "", &mut missing);
    // What a parent chart may set.
    let of_parents = BTreeSet::from(["/enabled".to_owned(), "/global".to_owned()]);
    assert_eq!(missing, of_parents);
    Ok(())
}

fn undefined(schema: &Value, values: &Value, path: &str, missing: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        match values.get(name) {
            None => drop(missing.insert(path)),
            Some(value) => undefined(property, value, &path, missing),
        }
    }
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn every_value_changes_what_is_rendered() -> Result<()> {
    let helm = Helm::alone()?;
    let read = |file: &str| -> Result<Value> {
        let path = assets::repository().join("charts/tidegate").join(file);
        Ok(serde_saphyr::from_str(&fs::read_to_string(path)?)?)
    };
    // The example says another value for each.
    let (defaults, example) = (read("values.yaml")?, read("ci/everything-values.yaml")?);
    let mut leaves = Vec::new();
    leaves_of(&defaults, &example, "", &mut leaves);
    ensure!(leaves.len() > 50, "only {}: {leaves:?}", leaves.len());
    // Without a monitor its settings are for nothing.
    let base = ["--set-json", "monitoring.monitor=\"PodMonitor\""];
    let before = helm.template(&base).await?.ok()?;
    for (path, value) in leaves {
        let set = format!("--set-json={}={value}", path.trim_start_matches('.'));
        let rendered = helm.template(&[base[0], base[1], &set]).await?.ok().with_context(|| set.clone())?;
        ensure!(rendered != before, "{set} changes nothing");
    }
    Ok(())
}

/// Every value that the example changes, as `.a.b`, and what it says.
fn leaves_of(defaults: &Value, values: &Value, path: &str, leaves: &mut Vec<(String, Value)>) {
    match (defaults, values) {
        (Value::Object(defaults), Value::Object(values)) if !defaults.is_empty() => {
            for (name, value) in values {
                if let Some(default) = defaults.get(name) {
                    leaves_of(default, value, &format!("{path}.{name}"), leaves);
                }
            }
        }
        (default, value) => {
            if default != value {
                leaves.push((path.to_owned(), value.clone()));
            }
        }
    }
}
