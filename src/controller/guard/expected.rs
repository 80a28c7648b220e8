//! What the policies, bindings and definitions must say: the manifests this version was built with. Compared by spec, so that a
//! policy that was weakened, narrowed, re-bound or replaced is noticed, whoever did it.

use std::collections::BTreeSet;

use anyhow::Context;
use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;

use super::NotPassed;
use super::seal::{KINDS, resource};

/// The manifests, for an installation in the namespace that they are written for. `warnings.yaml` is not among them: it protects
/// nothing, so its absence or change holds nothing up.
const MANIFESTS: [&str; 3] = [
    include_str!("../../../config/admission/decisions.yaml"),
    include_str!("../../../config/admission/status.yaml"),
    include_str!("../../../config/admission/gateway-csr.yaml"),
];
const WRITTEN_FOR: &str = "tidegate-system";

/// One object that must be there.
struct Object {
    kind: String,
    name: String,
    spec: Value,
}

/// Everything that must be there.
pub struct Expected(Vec<Object>);

impl Expected {
    /// What this version was built with, for an installation in `namespace`.
    ///
    /// # Errors
    /// A manifest does not parse.
    pub fn built_in(namespace: &str) -> anyhow::Result<Self> {
        let mut objects = Vec::new();
        for manifest in MANIFESTS {
            let manifest = manifest.replace(WRITTEN_FOR, namespace);
            for document in serde_saphyr::from_multiple::<Value>(&manifest)? {
                objects.push(Object::read(&document)?);
            }
        }
        for definition in tidegate_api::all_crds() {
            objects.push(Object::read(&serde_json::to_value(definition)?)?);
        }
        Ok(Self(objects))
    }

    /// Compares each with what the API server holds.
    ///
    /// # Errors
    /// [`NotPassed`], naming the first that is missing or different.
    pub async fn compare(&self, client: &Client) -> Result<(), NotPassed> {
        for Object { kind, name, spec } in &self.0 {
            let unprotected = |problem: &str| {
                let message = format!(
                    "{kind} {name} {problem}; install the manifests of this version again (docs/approvals.md, Held)"
                );
                Err(NotPassed::Unprotected(message))
            };
            let Some(of) = KINDS.iter().find(|(_, _, known)| known == kind) else {
                return unprotected("is of a kind that is not looked after");
            };
            let api = Api::<DynamicObject>::all_with(client.clone(), &resource(*of));
            let found = api.get_opt(name).await;
            let found =
                found.map_err(|source| NotPassed::Unknown { what: format!("reading {kind} {name}"), source })?;
            match found {
                None => return unprotected("is missing"),
                Some(object) if object.metadata.deletion_timestamp.is_some() => return unprotected("is being deleted"),
                Some(object) => {
                    if let Some(path) = difference(&object.data["spec"], spec) {
                        return unprotected(&format!("differs from what this version was built with, at {path}"));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Object {
    fn read(document: &Value) -> anyhow::Result<Self> {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let kind = text("/kind").context("a manifest without kind")?;
        let mut spec = document.get("spec").cloned().context("a manifest without spec")?;
        if kind == "CustomResourceDefinition" {
            spec = versions(&spec).clone();
        }
        Ok(Self { name: text("/metadata/name").context("a manifest without name")?, kind, spec })
    }
}

/// Of a definition its versions count: schema, rules and subresources. The rest is bookkeeping, partly the server's.
fn versions(spec: &Value) -> &Value {
    spec.get("versions").unwrap_or(spec)
}

/// Where the server's spec says something else, as a path; `None` if it says the same.
fn difference(found: &Value, expected: &Value) -> Option<String> {
    let found = if expected.is_array() { versions(found) } else { found };
    let path = if expected.is_array() { "spec.versions" } else { "spec" };
    differs(Some(found), Some(expected), path)
}

/// The first place at or under `path` that differs. Numbers are compared as such (`512` and `512.0` are one bound). Older servers
/// drop `selectableFields`, which protect nothing.
fn differs(found: Option<&Value>, expected: Option<&Value>, path: &str) -> Option<String> {
    match (found, expected) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).filter(|key| *key != "selectableFields").collect();
            keys.into_iter().find_map(|key| differs(a.get(key), b.get(key), &format!("{path}.{key}")))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(index, (a, b))| differs(Some(a), Some(b), &format!("{path}[{index}]")))
        }
        (Some(Value::Number(a)), Some(Value::Number(b))) if a.as_f64() == b.as_f64() => None,
        // Readers of YAML fold long expressions differently; to CEL it is all the same.
        (Some(Value::String(a)), Some(Value::String(b))) if a.split_whitespace().eq(b.split_whitespace()) => None,
        (a, b) => (a != b).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_manifest_is_expected_for_the_own_namespace() {
        let Expected(objects) = Expected::built_in("elsewhere").unwrap();
        let names: Vec<_> = objects.iter().map(|o| format!("{}/{}", o.kind, o.name)).collect();
        for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
            for name in ["decisions.tidegate.dev", "status.tidegate.dev", "gateway-csr.tidegate.dev"] {
                assert!(names.contains(&format!("{kind}/{name}")), "{names:?}");
            }
        }
        assert_eq!(names.iter().filter(|name| name.starts_with("CustomResourceDefinition/")).count(), 5);
        // What only warns may be changed or left out.
        assert!(names.iter().all(|name| !name.contains("warnings")), "{names:?}");
        let all = objects.iter().map(|o| o.spec.to_string()).collect::<String>();
        assert!(all.contains("system:serviceaccount:elsewhere:tidegate-controller") && !all.contains(WRITTEN_FOR));
    }

    #[test]
    fn a_weakened_spec_is_noticed_and_bookkeeping_is_not() {
        let spec = json!({"validationActions": ["Deny", "Audit"], "policyName": "decisions.tidegate.dev"});
        assert_eq!(difference(&spec, &spec), None);
        let weaker = [
            (json!({"validationActions": ["Audit"], "policyName": "decisions.tidegate.dev"}), "spec.validationActions"),
            (json!({"validationActions": ["Deny", "Warn"], "policyName": "other"}), "spec.policyName"),
            (
                json!({"validationActions": ["Deny", "Warn"], "policyName": "decisions.tidegate.dev"}),
                "spec.validationActions[1]",
            ),
            (json!({"validationActions": ["Deny", "Audit"]}), "spec.policyName"),
            (
                json!({
                    "validationActions": ["Deny", "Audit"], "policyName": "decisions.tidegate.dev",
                    "matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}},
                }),
                "spec.matchResources",
            ),
        ];
        for (weak, path) in weaker {
            assert_eq!(difference(&weak, &spec).as_deref(), Some(path), "{weak}");
        }
        let expected = json!([{"schema": {"maxLength": 512.0}, "selectableFields": [{"jsonPath": ".status.state"}]}]);
        let same = json!({"versions": [{"schema": {"maxLength": 512}}], "conversion": {"strategy": "None"}});
        assert_eq!(difference(&same, &expected), None);
        let wider = json!({"versions": [{"schema": {"maxLength": 5120}}]});
        assert_eq!(difference(&wider, &expected).as_deref(), Some("spec.versions[0].schema.maxLength"));
        let folded = json!({"expression": "a\n  || b"});
        assert_eq!(difference(&folded, &json!({"expression": "a || b"})), None);
        assert_eq!(difference(&folded, &json!({"expression": "a | | b"})).as_deref(), Some("spec.expression"));
    }
}
