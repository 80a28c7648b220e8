//! Labels and annotations that values give: each key is there once, also where several places say it, and what is said of fewer objects
//! wins.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::helm::{Helm, called, objects};

const COMMON: &str = "--set=commonLabels.team=all";
const VIEW: &str = "rbac.authorization.k8s.io/aggregate-to-view";

/// What is set, beside `team: all` for every object; the object; where its labels are; a label, and what it says.
const NARROWER: [(&[&str], &str, &str, &str, &str); 8] = [
    (&["monitoring.monitor=PodMonitor,monitoring.labels.team=few"], "PodMonitor/tidegate", LABELS, "team", "few"),
    (
        &["monitoring.monitor=ServiceMonitor,monitoring.labels.team=few"],
        "ServiceMonitor/tidegate",
        LABELS,
        "team",
        "few",
    ),
    (&["monitoring.rules.enabled=true,monitoring.labels.team=few"], "PrometheusRule/tidegate", LABELS, "team", "few"),
    (&["monitoring.dashboard.enabled=true,monitoring.dashboard.labels.team=few"], DASHBOARD, LABELS, "team", "few"),
    (
        &["monitoring.dashboard.enabled=true,commonLabels.grafana_dashboard=x"],
        DASHBOARD,
        LABELS,
        "grafana_dashboard",
        "1",
    ),
    (&["controller.podLabels.team=few"], "Deployment/tidegate-controller", POD_LABELS, "team", "few"),
    (&["gateway.podLabels.team=few"], "Deployment/tidegate-gateway", POD_LABELS, "team", "few"),
    (
        &["commonLabels.rbac\\.authorization\\.k8s\\.io/aggregate-to-view=no"],
        "ClusterRole/tidegate-viewer",
        LABELS,
        VIEW,
        "true",
    ),
];
const LABELS: &str = "/metadata/labels";
const POD_LABELS: &str = "/spec/template/metadata/labels";
const DASHBOARD: &str = "ConfigMap/tidegate-dashboard";

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn a_label_that_is_said_in_two_places_is_there_once_and_the_narrower_wins() -> Result<()> {
    let helm = Helm::alone()?;
    for (settings, object, place, label, expected) in NARROWER {
        let settings: Vec<String> = settings.iter().map(|setting| format!("--set={setting}")).collect();
        let settings: Vec<&str> = settings.iter().map(String::as_str).chain([COMMON]).collect();
        let found = rendered(&helm, &settings, object).await.with_context(|| format!("{settings:?}"))?;
        assert_eq!(found.pointer(place).context("no labels")?[label], expected, "{settings:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn accounts_and_the_dashboard_have_the_annotations_that_are_set() -> Result<()> {
    let helm = Helm::alone()?;
    let cases = [
        ("controller.serviceAccount", "ServiceAccount/tidegate-controller"),
        ("gateway.serviceAccount", "ServiceAccount/tidegate-gateway"),
        ("monitoring.dashboard.enabled=true,monitoring.dashboard", DASHBOARD),
    ];
    for (value, object) in cases {
        let set = format!("--set={value}.annotations.folder=Access");
        let found = rendered(&helm, &[&set], object).await?;
        assert_eq!(found["metadata"]["annotations"]["folder"], "Access", "{object}");
    }
    Ok(())
}

/// An object of the rendered text; the text is refused if a key is in a map twice.
async fn rendered(helm: &Helm, settings: &[&str], name: &str) -> Result<Value> {
    let all = objects(&helm.template(settings).await?.ok()?)?;
    all.into_iter().find(|object| called(object) == name).with_context(|| format!("no {name}"))
}
