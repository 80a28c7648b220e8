//! What the chart renders: the same bytes every time, what is written down for each file of example values, and the same objects as
//! install.yaml.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_test_support::assets;

use crate::helm::{Helm, NEWEST, called, chart, examples, objects};

/// Set it to write the golden files instead of comparing them.
const REGENERATE: &str = "TIDEGATE_WRITE_GOLDEN";

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn helm_finds_nothing_to_object_to() -> Result<()> {
    let helm = Helm::alone()?;
    for (name, file) in examples()? {
        let said = helm.run(["lint", "--strict", "--kube-version", NEWEST, "-f", &file, &chart()]).await?;
        let text = said.ok().with_context(|| name)?;
        ensure!(!text.contains("[WARNING]"), "{text}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn every_example_renders_what_is_written_down_and_the_same_bytes_twice() -> Result<()> {
    let helm = Helm::alone()?;
    let examples = examples()?;
    ensure!(examples.len() >= 4, "only {examples:?}");
    for (name, file) in examples {
        // The definitions are compared as files already; here they would hide the rest.
        let settings = ["-f", &file, "--set", "crds.install=false"];
        let first = helm.template(&settings).await?.ok()?;
        ensure!(first == helm.template(&settings).await?.ok()?, "{name} renders differently the second time");
        golden(&name, &first)?;
    }
    Ok(())
}

fn golden(name: &str, rendered: &str) -> Result<()> {
    let path = assets::repository().join(format!("tests/chart/golden/{name}.yaml"));
    if wanted_anew() {
        return std::fs::write(&path, rendered).with_context(|| format!("writing {}", path.display()));
    }
    let golden = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let difference =
        rendered.lines().zip(golden.lines()).enumerate().find(|(_, (rendered, golden))| rendered != golden);
    ensure!(
        rendered == golden,
        "{name} renders something else than {}, first at {difference:?}; `make golden` writes it anew if that is wanted",
        path.display()
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own; read here only")]
fn wanted_anew() -> bool {
    std::env::var_os(REGENERATE).is_some()
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn chart_and_install_yaml_give_equal_objects() -> Result<()> {
    let always = ["--skip-tests", "--set", "admission.mutating=always"];
    let rendered = by_name(&Helm::alone()?.template(&always).await?.ok()?)?;
    let read = |file: &str| std::fs::read_to_string(assets::repository().join(file)).with_context(|| file.to_owned());
    let mut installed = by_name(&read("install.yaml")?)?;
    installed.extend(by_name(&read("install-mutating.yaml")?)?);
    // The namespace is helm's own business: --create-namespace.
    installed.remove("Namespace/tidegate-system").context("install.yaml has no Namespace")?;
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&rendered), names(&installed));
    ensure!(rendered.len() > 30, "only {} objects", rendered.len());
    for (name, object) in &rendered {
        assert_eq!(folded(object), folded(&installed[name]), "{name}");
    }
    Ok(())
}

/// Readers of YAML fold long expressions differently; to CEL it is all the same.
fn folded(value: &Value) -> Value {
    match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        Value::Array(items) => items.iter().map(folded).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), folded(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// By kind and name, without what only says that Helm installed it.
fn by_name(yaml: &str) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for mut object in objects(yaml)? {
        let metadata = &mut object["metadata"];
        if let Some(labels) = metadata["labels"].as_object_mut() {
            labels.retain(|key, _| !key.starts_with("helm.sh/") && !is_of_release(key));
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("helm.sh/resource-policy");
        }
        all.insert(called(&object), object);
    }
    Ok(all)
}

fn is_of_release(label: &str) -> bool {
    ["instance", "version", "managed-by"].iter().any(|of| label == format!("app.kubernetes.io/{of}"))
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn mutating_policies_are_there_where_the_api_server_knows_them() -> Result<()> {
    let helm = Helm::alone()?;
    let known = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
    let cases: [(&[&str], usize); 5] = [
        (&[], 0),
        (&["--api-versions", known], 4),
        (&["--set", "admission.mutating=always"], 4),
        (&["--set", "admission.mutating=never", "--api-versions", known], 0),
        (&["--set", "admission.enabled=false,admission.iKnowDecisionsCanBeForged=true", "--api-versions", known], 0),
    ];
    for (settings, expected) in cases {
        let rendered = helm.template(settings).await?.ok()?;
        let found = objects(&rendered)?.iter().filter(|object| called(object).starts_with("MutatingAdmission")).count();
        assert_eq!(found, expected, "{settings:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn definitions_stay_unless_told_otherwise() -> Result<()> {
    let helm = Helm::alone()?;
    let definitions = |rendered: &str| -> Result<Vec<Value>> {
        let all = objects(rendered)?;
        Ok(all.into_iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect())
    };
    let kept = definitions(&helm.template(&[]).await?.ok()?)?;
    assert_eq!(kept.len(), 5);
    for definition in &kept {
        let annotations = &definition["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/resource-policy"], "keep", "{}", called(definition));
        assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false");
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    }
    let loose = definitions(&helm.template(&["--set", "crds.keep=false"]).await?.ok()?)?;
    ensure!(loose.len() == 5 && loose.iter().all(|definition| definition["metadata"]["annotations"].is_null()));
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn the_pod_of_helm_test_may_reach_dns_and_the_api_server_and_nothing_else() -> Result<()> {
    let helm = Helm::alone()?;
    let settings = ["--set", "networkPolicy.apiServer.cidrs={198.51.100.1/32},networkPolicy.apiServer.ports={6443}"];
    // What is only for the processes.
    let further = ["--set", "tracing.endpoint=http://collector:4317,networkPolicy.extraEgress[0].ports[0].port=3128"];
    let all = objects(&helm.template(&[settings, further].concat()).await?.ok()?)?;
    let find = |name: &str| all.iter().find(|object| called(object) == name).context(name.to_owned());
    let (pod, policy) = (find("Pod/tidegate-probe")?, &find("NetworkPolicy/tidegate-probe")?["spec"]);
    let selected = policy["podSelector"]["matchLabels"].as_object().context("no labels")?;
    ensure!(!selected.is_empty() && selected.iter().all(|(key, value)| &pod["metadata"]["labels"][key] == value));
    let port = |port: u16, protocol: &str| json!({"port": port, "protocol": protocol});
    let dns = json!({"ports": [port(53, "UDP"), port(53, "TCP")]});
    let api_server = json!({"ports": [port(6443, "TCP")], "to": [{"ipBlock": {"cidr": "198.51.100.1/32"}}]});
    assert_eq!(policy["egress"], json!([dns, api_server]));
    assert_eq!((&policy["policyTypes"], &policy["ingress"]), (&json!(["Ingress", "Egress"]), &Value::Null));
    let none = helm.template(&["--set", "networkPolicy.enabled=false"]).await?.ok()?;
    ensure!(!none.contains("kind: NetworkPolicy"));
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn alerts_are_those_of_the_file_and_one_can_be_left_out_and_its_runbook_lie_elsewhere() -> Result<()> {
    let helm = Helm::alone()?;
    let path = assets::repository().join("charts/tidegate/files/rules.yaml");
    let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    let of = |rendered: &str| -> Result<Value> {
        let all = objects(rendered)?;
        let rule = all.into_iter().find(|object| object["kind"] == "PrometheusRule").context("no PrometheusRule")?;
        Ok(rule["spec"]["groups"].clone())
    };
    let enabled = "monitoring.rules.enabled=true";
    assert_eq!(of(&helm.template(&["--set", enabled]).await?.ok()?)?, file["groups"]);

    let disabled = "monitoring.rules.disabled[0]=TidegateGrantsOverdue";
    let base = "monitoring.rules.runbookBaseUrl=https://runbooks.example.com/tidegate/";
    let groups = of(&helm.template(&["--set", enabled, "--set", disabled, "--set", base]).await?.ok()?)?;
    let rules = |groups: &Value| -> Vec<Value> {
        groups
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect()
    };
    let (all, left) = (rules(&file["groups"]), rules(&groups));
    let gone: Vec<_> = all.iter().filter(|rule| !left.iter().any(|other| other["alert"] == rule["alert"])).collect();
    ensure!(gone.len() == 1 && gone[0]["alert"] == "TidegateGrantsOverdue" && left.len() + 1 == all.len(), "{gone:?}");
    for rule in left.iter().filter(|rule| rule["alert"].is_string()) {
        let link = rule["annotations"]["runbook_url"].as_str().context("no runbook")?;
        let page = link.strip_prefix("https://runbooks.example.com/tidegate/").context("the base is not before it")?;
        ensure!(assets::repository().join("docs/runbooks").join(page).is_file(), "{link}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn the_dashboard_is_the_file() -> Result<()> {
    let rendered = Helm::alone()?.template(&["--set", "monitoring.dashboard.enabled=true"]).await?.ok()?;
    let all = objects(&rendered)?;
    let map = all.iter().find(|object| called(object) == "ConfigMap/tidegate-dashboard").context("no dashboard")?;
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let file = std::fs::read_to_string(assets::repository().join("charts/tidegate/files/dashboard.json"))?;
    let read = |text: &str| serde_json::from_str::<Value>(text);
    assert_eq!(read(map["data"]["tidegate.json"].as_str().context("no text")?)?, read(&file)?);

    let base = "monitoring.rules.runbookBaseUrl=https://runbooks.example.com/tidegate/";
    let settings = ["--set", "monitoring.dashboard.enabled=true", "--set", base];
    let rendered = Helm::alone()?.template(&settings).await?.ok()?;
    let all = objects(&rendered)?;
    let map = all.iter().find(|object| called(object) == "ConfigMap/tidegate-dashboard").context("no dashboard")?;
    let elsewhere = file.replace("\"docs/runbooks\"", "\"https://runbooks.example.com/tidegate\"");
    ensure!(elsewhere != file, "the file says nowhere where runbooks lie");
    assert_eq!(read(map["data"]["tidegate.json"].as_str().context("no text")?)?, read(&elsewhere)?);
    Ok(())
}
