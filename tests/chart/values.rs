//! Values: which are refused and what is said, and that none is without an effect or a description.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use tidegate::args::GatewayArgs;
use tidegate_test_support::assets;

use crate::helm::{Helm, chart, objects};

/// What somebody sets, and what has to be in the refusal.
const REFUSED: [(&str, &str); 42] = [
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
    ("--set=image.repository=", "at '/image/repository': '' does not match pattern"),
    ("--set=image.repository=tidegate:1", "at '/image/repository': 'tidegate:1' does not match pattern"),
    ("--set=image.repository=tidegate@sha256:0", "at '/image/repository': 'tidegate@sha256:0' does not match pattern"),
    ("--set=image.repository=localhost:5000", "at '/image/repository': 'localhost:5000' does not match pattern"),
    ("--set=image.digest=sha256:0123", "at '/image/digest': 'sha256:0123' does not match pattern"),
    ("--set=controller.pdb.maxUnavailable=0", "at '/controller/pdb/maxUnavailable': minimum: got 0, want 1"),
    ("--set=gateway.pdb.maxUnavailable=0%", "at '/gateway/pdb/maxUnavailable': '0%' does not match pattern"),
    ("--set=gateway.service.loadBalancerClass=a b", "at '/gateway/service/loadBalancerClass': 'a b' does not match"),
    ("--set=gateway.service.loadBalancerSourceRanges[0]=here", "at '/gateway/service/loadBalancerSourceRanges/0'"),
    (
        "--set=gateway.service.externalTrafficPolicy=local",
        "at '/gateway/service/externalTrafficPolicy': value must be one of",
    ),
    ("--set=gateway.service.ipFamilyPolicy=DualStack", "at '/gateway/service/ipFamilyPolicy': value must be one of"),
    ("--set=gateway.service.ipFamilies[0]=ipv6", "at '/gateway/service/ipFamilies/0': value must be one of"),
    ("--set=gateway.service.nodePort=70000", "at '/gateway/service/nodePort': maximum"),
    (
        "--set=gateway.service.nodePort=30443",
        "gateway.service.nodePort is for gateway.service.type LoadBalancer or NodePort",
    ),
    (
        "--set=gateway.service.externalTrafficPolicy=Local",
        "gateway.service.externalTrafficPolicy is for gateway.service.type LoadBalancer or NodePort",
    ),
    (
        "--set=gateway.service.type=NodePort,gateway.service.loadBalancerClass=ours",
        "gateway.service.loadBalancerClass is for gateway.service.type LoadBalancer; here the type is NodePort",
    ),
    (
        "--set=gateway.service.type=NodePort,gateway.service.loadBalancerSourceRanges[0]=192.0.2.0/24",
        "gateway.service.loadBalancerSourceRanges is for gateway.service.type LoadBalancer; here the type is NodePort",
    ),
    (
        "--set=gateway.serviceAccount.name=mine",
        "at '/gateway/serviceAccount': additional properties 'name' not allowed",
    ),
    ("--set=monitoring.dashboard.label=x", "at '/monitoring/dashboard': additional properties 'label' not allowed"),
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

/// What looks as if it could be refused by mistake.
const ACCEPTED: [&str; 8] = [
    "--set=image.repository=localhost:5000/x",
    "--set=image.repository=[::1]:5000/tidegate",
    "--set=image.repository=Registry.example.com/team-a/tide_gate/tidegate",
    "--set=gateway.pdb.maxUnavailable=1%",
    "--set=gateway.pdb.maxUnavailable=100%",
    "--set=gateway.service.type=NodePort,gateway.service.nodePort=30443,gateway.service.externalTrafficPolicy=Local",
    "--set=gateway.service.ipFamilyPolicy=RequireDualStack,gateway.service.ipFamilies={IPv6,IPv4}",
    "--set=gateway.service.loadBalancerClass=",
];

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn what_makes_sense_is_accepted() -> Result<()> {
    let helm = Helm::alone()?;
    for setting in ACCEPTED {
        objects(&helm.template(&[setting]).await?.ok().with_context(|| setting)?)?;
    }
    Ok(())
}

/// What is logged, and whether the chart lets it through.
const LOG_LEVELS: [(&str, bool); 16] = [
    ("info", true),
    ("Info", true),
    ("TRACE", true),
    ("off", true),
    ("info,kube_client=warn,tidegate::gateway=debug", true),
    ("info,", true),
    ("tidegate[{uid}]=trace", true),
    ("tidegate::gateway", true),
    ("=warn", true),
    ("warn=4", true),
    // For the program this is a target, of which everything is logged; who writes it means a level.
    ("warning", false),
    ("info,kube_client", false),
    ("", false),
    ("loud=9", false),
    ("a=info=debug", false),
    ("tidegate[{uid]=trace", false),
];

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn log_levels_that_the_chart_lets_through_are_those_that_the_program_understands() -> Result<()> {
    let helm = Helm::alone()?;
    for (level, accepted) in LOG_LEVELS {
        let said = helm.template(&[&format!("--set-json=gateway.logLevel={}", Value::from(level))]).await?;
        assert_eq!(said.success, accepted, "{level:?}: {}", said.stderr);
        let argument = format!("--log-level={level}");
        let starts = GatewayArgs::try_parse_from(["gateway", "--tls-dir=a", "--trust-dir=b", &argument]).is_ok();
        ensure!(starts || !accepted, "the gateway would not start with {argument}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn a_value_that_is_null_is_empty_or_refused_by_name() -> Result<()> {
    let helm = Helm::alone()?;
    let path = assets::repository().join("charts/tidegate/values.yaml");
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(path)?)?;
    let mut paths = Vec::new();
    paths_of(&values, "", &mut paths);
    ensure!(paths.len() > 100, "only {}: {paths:?}", paths.len());
    let file = assets::repository().join("charts/tidegate/ci/everything-values.yaml").display().to_string();
    let all = "--set-json=monitoring.rules.enabled=true,monitoring.dashboard.enabled=true";
    for path in paths {
        let set = format!("--set-json={path}=null");
        let said = helm.template(&["-f", &file, all, &set]).await?;
        let name = path.rsplit('.').next().unwrap_or(&path);
        match said.success {
            true => drop(objects(&said.stdout).with_context(|| set)?),
            false => ensure!(
                [format!("missing property '{name}'"), format!("{path}: ")]
                    .iter()
                    .any(|text| said.stderr.contains(text)),
                "{set}: {}",
                said.stderr
            ),
        }
    }
    Ok(())
}

/// Every value, groups included, as `a.b`.
fn paths_of(values: &Value, path: &str, paths: &mut Vec<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        paths_of(value, &path, paths);
        paths.push(path);
    }
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
    // Without a monitor and a dashboard their settings are for nothing, and some of a Service's are for one type.
    // helm reads every --set after every --set-json, so there is only the latter.
    let base = r#"--set-json=monitoring.monitor="PodMonitor",monitoring.dashboard.enabled=true,gateway.service.type="#;
    let (inside, outside) = (format!(r#"{base}"ClusterIP""#), format!(r#"{base}"LoadBalancer""#));
    for (path, value) in leaves {
        let of_type = path.starts_with(".gateway.service.") && path != ".gateway.service.type";
        let base = if of_type { &outside } else { &inside };
        let before = helm.template(&[base]).await?.ok()?;
        let set = format!("--set-json={}={value}", path.trim_start_matches('.'));
        let rendered = helm.template(&[base, &set]).await?.ok().with_context(|| set.clone())?;
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
