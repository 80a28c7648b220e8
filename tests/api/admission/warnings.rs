//! What the API server tells whoever applies a policy that will surprise. Nothing is refused, and a policy that is what it looks
//! like is written without a word.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tidegate_api::JitPolicy;
use tidegate_test_support::{Identity, eventually};

use crate::fleet::{Fleet, Judged as _};
use crate::refusals::Warned;

/// An instant is noted in whole seconds, so one second after it comes soon.
const OVER_DEADLINE: Duration = Duration::from_secs(10);

/// A change of a policy that gives no warning, and the beginning of each that it then gives.
#[derive(Clone)]
pub struct Surprise {
    /// For people; unique.
    pub what: &'static str,
    change: fn(&mut Value),
    says: &'static [&'static str],
}

/// A policy of which nothing surprises.
fn quiet() -> Value {
    let program = json!({
        "name": "toolchain", "folderPath": {"path": "/opt/toolchain/**"}, "fileHash": {"sha256": ["0".repeat(64)]},
    });
    let rule = json!({"name": "trusted", "accounts": {"groups": ["staff"]}, "maxDuration": "8h"});
    json!({
        "targets": {"endpoints": {"selector": {"matchLabels": {"team": "dev"}}}, "accounts": {"everyone": true}},
        "elevation": {"mode": "Application", "applications": [program]},
        "access": {"type": "OnRequest", "onRequest": {
            "duration": {"min": "5m", "max": "8h", "default": "30m"},
            "approval": {"automatic": [rule], "stages": [{"name": "managers", "approvals": 1}]},
        }},
    })
}

/// Each warning, with what comes closest and gives none.
pub fn surprises() -> Vec<Surprise> {
    [targets(), elevation(), programs(), windows(), spans(), rules()].concat()
}

fn surprise(what: &'static str, change: fn(&mut Value), says: &'static [&'static str]) -> Surprise {
    Surprise { what, change, says }
}

fn targets() -> Vec<Surprise> {
    vec![
        surprise("nothing that surprises", |_| (), &[]),
        surprise(
            "every account on every endpoint",
            |s| s["targets"]["endpoints"] = json!({"selector": {}}),
            &["targets reach every account on every endpoint of the fleet"],
        ),
        surprise(
            "some accounts on every endpoint",
            |s| s["targets"] = json!({"endpoints": {"selector": {}}, "accounts": {"groups": ["dev"]}}),
            &[],
        ),
        surprise("every account on one endpoint", |s| s["targets"]["endpoints"] = json!({"names": ["ws-042"]}), &[]),
        surprise(
            "every account on endpoints with some label",
            |s| {
                let some = json!([{"key": "team", "operator": "Exists"}]);
                s["targets"]["endpoints"] = json!({"selector": {"matchExpressions": some}});
            },
            &[],
        ),
    ]
}

fn elevation() -> Vec<Surprise> {
    vec![
        surprise(
            "any application",
            |s| s["elevation"] = json!({"mode": "AnyApplication"}),
            &["elevation.mode: AnyApplication allows everything that root may do on the endpoint"],
        ),
        surprise(
            "a whole session",
            |s| s["elevation"] = json!({"mode": "AdminSession", "runAs": "operator"}),
            &["elevation.mode: AdminSession allows everything that operator may do on the endpoint"],
        ),
        surprise(
            "every program that no blocklist names",
            |s| s["elevation"] = json!({"mode": "Application", "scope": "Any"}),
            &["elevation.scope: Any lists no program: only the blocklists of the Fleet limit it"],
        ),
        surprise(
            "every unmanaged program, blocklisted ones too",
            |s| s["elevation"] = json!({"mode": "Allowlisting", "scope": "Any", "includeBlocklisted": true}),
            &["elevation.scope: Any lists no program: only the absolute blocklists of the Fleet limit it"],
        ),
        surprise("a list that says so", |s| s["elevation"]["scope"] = json!("Listed"), &[]),
        surprise(
            "no password",
            |s| s["elevation"]["authentication"] = json!("None"),
            &["elevation.authentication: None asks for no password"],
        ),
        surprise("a password", |s| s["elevation"]["authentication"] = json!("Required"), &[]),
    ]
}

fn programs() -> Vec<Surprise> {
    let alone = &["elevation.applications toolchain: folderPath without fileHash or verifiedExecutable"];
    vec![
        surprise("a folder alone", |s| program(s, json!({})), alone),
        surprise("a folder and a vendor", |s| program(s, json!({"vendor": {"name": "Example GmbH"}})), alone),
        surprise("a folder and a signature", |s| program(s, json!({"verifiedExecutable": {"name": "setup"}})), &[]),
        surprise(
            "a signature without a folder",
            |s| s["elevation"]["applications"] = json!([{"name": "a", "verifiedExecutable": {"name": "setup"}}]),
            &[],
        ),
        surprise(
            "two folders and a digest in a third item",
            |s| {
                let folder = |name: &str| json!({"name": name, "folderPath": {"path": "/opt/**"}});
                s["elevation"]["applications"] =
                    json!([folder("one"), folder("two"), {"name": "three", "fileHash": {"sha256": ["0".repeat(64)]}}]);
            },
            &["elevation.applications one, two: folderPath without"],
        ),
    ]
}

/// One item with a folder and these rules.
fn program(spec: &mut Value, rules: Value) {
    let mut item = rules;
    item["name"] = json!("toolchain");
    item["folderPath"] = json!({"path": "/opt/toolchain/**"});
    spec["elevation"]["applications"] = json!([item]);
}

fn windows() -> Vec<Surprise> {
    fn every(spec: &mut Value, windows: Value) {
        spec["access"] = json!({"type": "Recurring", "recurring": {"timeZone": "Europe/Berlin", "windows": windows}});
    }
    vec![
        surprise(
            "a window over midnight",
            |s| every(s, json!([{"days": ["Mon", "Fri"], "start": "18:00", "duration": "14h"}])),
            &["access.recurring, Mon,Fri 18:00 for 14h: lasts over midnight"],
        ),
        surprise(
            "a window that ends at midnight",
            |s| every(s, json!([{"days": ["Mon"], "start": "18:30", "duration": "5h30m"}])),
            &[],
        ),
        surprise(
            "two windows, one a second over midnight",
            |s| {
                let late = json!({"days": ["Tue"], "start": "08:09", "duration": "15h51m1s"});
                every(s, json!([{"days": ["Mon"], "start": "00:00", "duration": "24h"}, late]));
            },
            &["access.recurring, Tue 08:09 for 15h51m1s: lasts over midnight"],
        ),
    ]
}

fn spans() -> Vec<Surprise> {
    fn window(spec: &mut Value, end: &str) {
        let window = json!({"startTime": "2020-01-01T00:00:00Z", "endTime": end});
        spec["access"] = json!({"type": "Window", "window": window});
    }
    fn fixed(spec: &mut Value, start: &str) {
        spec["access"] = json!({"type": "Fixed", "fixed": {"startTime": start, "duration": "36h"}});
    }
    vec![
        surprise(
            "a window that is over",
            |s| window(s, "2020-01-02T00:00:00Z"),
            &["access ended at 2020-01-02T00:00:00Z: nobody gets any by this policy"],
        ),
        surprise("a window that is open", |s| window(s, "2120-01-02T00:00:00Z"), &[]),
        surprise(
            "a fixed access that is over",
            |s| fixed(s, "2020-01-01T00:00:00Z"),
            &["access ended at 2020-01-02T12:00:00Z: nobody gets any by this policy"],
        ),
        surprise("a fixed access that is to come", |s| fixed(s, "2120-01-01T00:00:00Z"), &[]),
    ]
}

fn rules() -> Vec<Surprise> {
    fn by(spec: &mut Value, rules: Value) {
        spec["access"]["onRequest"]["approval"]["automatic"] = rules;
    }
    let all = &["access.onRequest.approval.automatic all: approves everything that may be asked under this policy"];
    vec![
        surprise("a rule without a condition", |s| by(s, json!([{"name": "all"}])), all),
        surprise(
            "a rule for everyone, everywhere",
            |s| by(s, json!([{"name": "all", "accounts": {"everyone": true}, "endpoints": {"selector": {}}}])),
            all,
        ),
        surprise(
            "a rule for everyone but some",
            |s| by(s, json!([{"name": "most", "accounts": {"everyone": true, "except": {"names": ["root"]}}}])),
            &[],
        ),
        surprise("a rule for one program", |s| by(s, json!([{"name": "one", "applications": ["toolchain"]}])), &[]),
        surprise(
            "a rule for one endpoint",
            |s| by(s, json!([{"name": "one", "endpoints": {"names": ["ws-042"]}}])),
            &[],
        ),
        surprise("a rule for what is short", |s| by(s, json!([{"name": "short", "maxDuration": "10m"}])), &[]),
        surprise(
            "a rule that goes beyond the policy",
            |s| by(s, json!([{"name": "long", "accounts": {"groups": ["staff"]}, "maxDuration": "481m"}])),
            &["access.onRequest.approval.automatic long: maxDuration is above duration.max, 8h"],
        ),
    ]
}

impl Surprise {
    /// Applies the policy as a dry run in this fleet and gives the warnings, as kubectl prints them after `Warning: `.
    pub async fn warnings(&self, fleet: &Fleet) -> Result<Vec<String>> {
        let mut spec = quiet();
        (self.change)(&mut spec);
        applied(fleet, self.what, &json!({"metadata": {"name": "surprise"}, "spec": spec})).await
    }
}

/// All of them, as they are told on the control plane that the tests share.
pub async fn all() -> Result<Vec<Warned>> {
    let fleet = Fleet::new("warned").await?;
    let mut all = Vec::new();
    for surprise in surprises() {
        let printed = surprise.warnings(&fleet).await?;
        let printed = printed.iter().map(|text| text.replace(fleet.namespace.name(), "berlin")).collect();
        all.push(Warned { what: surprise.what.to_owned(), printed });
    }
    Ok(all)
}

/// Posts a JitPolicy as a dry run. What is refused is an error.
async fn applied(fleet: &Fleet, what: &str, policy: &Value) -> Result<Vec<String>> {
    let mut policy = policy.clone();
    (policy["apiVersion"], policy["kind"]) = (json!("tidegate.dev/v1alpha1"), json!("JitPolicy"));
    sent(fleet.control_plane.admin(), Request::post(url(fleet, "?dryRun=All")), "application/json", &policy)
        .await
        .with_context(|| what.to_owned())
}

fn url(fleet: &Fleet, rest: &str) -> String {
    format!("/apis/tidegate.dev/v1alpha1/namespaces/{}/jitpolicies{rest}", fleet.namespace.name())
}

async fn sent(who: &Identity, request: http::request::Builder, kind: &str, body: &Value) -> Result<Vec<String>> {
    let request = request.header("content-type", kind).body(body.to_string().into_bytes().into())?;
    let answer = who.client().await?.send(request).await?;
    ensure!(answer.status().is_success(), "this had to be allowed: {}", answer.status());
    let text = |value: &http::HeaderValue| {
        let text = value.to_str().ok()?.strip_prefix("299 - \"")?.strip_suffix('"')?;
        Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    let all: Option<Vec<String>> = answer.headers().get_all("warning").iter().map(text).collect();
    all.context("a warning of another form")
}

/// What a warning says after the name of the policy that gives it.
fn said(warning: &str) -> &str {
    let by = "Validation failed for ValidatingAdmissionPolicy 'warnings.tidegate.dev' with binding 'warnings.tidegate.dev': ";
    warning.strip_prefix(by).unwrap_or(warning)
}

#[tokio::test]
async fn what_will_surprise_is_told_and_nothing_else_is() -> Result<()> {
    let fleet = Fleet::new("surprises").await?;
    for surprise in surprises() {
        let warnings = surprise.warnings(&fleet).await?;
        let told: Vec<&str> = warnings.iter().map(|warning| said(warning)).collect();
        let as_expected = told.len() == surprise.says.len()
            && told.iter().zip(surprise.says).all(|(told, expected)| told.starts_with(expected));
        ensure!(as_expected, "{}: expected {:?}, told {told:#?}", surprise.what, surprise.says);
    }
    Ok(())
}

#[tokio::test]
async fn an_end_that_has_passed_since_the_policy_was_made_is_told_at_the_next_change() -> Result<()> {
    let fleet = Fleet::new("over").await?;
    let admin = fleet.control_plane.admin();
    let policies: Api<JitPolicy> = Api::namespaced(admin.client().await?, fleet.namespace.name());
    let spec = quiet();
    let policy =
        json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy", "metadata": {"name": "p"}, "spec": spec});
    let made = policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await.allowed("the policy")?;
    let made = made.metadata.creation_timestamp.context("no creationTimestamp")?.0;
    let end = made.checked_add(jiff::SignedDuration::from_secs(1))?;
    let window = json!({"startTime": "2020-01-01T00:00:00Z", "endTime": end.to_string()});
    let change = json!({"spec": {"access": {"type": "Window", "onRequest": null, "window": window}}});
    eventually("the warning", OVER_DEADLINE, async || {
        let patch = Request::patch(url(&fleet, "/p?dryRun=All"));
        let told = sent(admin, patch, "application/merge-patch+json", &change).await?;
        ensure!(told.len() == 1 && said(&told[0]).starts_with(&format!("access ended at {end}")), "{told:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_prints_a_warning_and_applies_the_policy() -> Result<()> {
    let fleet = Fleet::new("kubectl-warns").await?;
    let policy = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "JitPolicy", "metadata": {"name": "p"},
        "spec": {
            "targets": {"endpoints": {"names": ["ws-042"]}, "accounts": {"names": ["alice"]}},
            "elevation": {"mode": "AdminSession"}, "access": {"type": "OnRequest", "onRequest": {}},
        },
    });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), policy.to_string())?;
    let path = file.path().to_str().context("a path that is no text")?;
    let said = fleet.control_plane.admin().kubectl(["apply", "-n", fleet.namespace.name(), "-f", path]).await?;
    ensure!(said.success && said.stdout.contains("jitpolicy.tidegate.dev/p created"), "{said:?}");
    let warning = "elevation.mode: AdminSession allows everything that root may do on the endpoint; mode Application with a list allows less";
    ensure!(said.stderr.starts_with("Warning: ") && said.stderr.contains(warning), "{said:?}");
    Ok(())
}
