//! The shipped policies, whole and weakened: every validation and match condition made true, every operand in them and in the
//! variables left out.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tidegate_test_support::assets;

use super::expression::weaker;
use crate::adversary::STAMPING_LABEL;

/// The policies and the files they are in.
pub const POLICIES: [(&str, &str); 5] = [
    ("decisions", "config/admission/decisions.yaml"),
    ("status", "config/admission/status.yaml"),
    ("gateway-csr", "config/admission/gateway-csr.yaml"),
    ("requester", "config/admission/mutating/requester.yaml"),
    ("decide", "config/admission/mutating/decide.yaml"),
];

/// The object that each validating policy here refuses with its own name.
pub const PROBE: &str = "mutant-probe";

/// A policy and its binding, as written or weakened.
#[derive(Clone)]
pub struct Edition {
    /// Which policy it is an edition of.
    pub policy: &'static str,
    /// `shipped`, or `m` and a number: prefix of its name, label of its namespaces, and what its probe says.
    pub label: String,
    /// What was changed, for people and for the list of survivors.
    pub what: String,
    definition: Value,
    binding: Value,
}

/// The policies as they are shipped.
pub fn shipped() -> Result<Vec<Edition>> {
    POLICIES.iter().map(|(policy, file)| read(policy, file)).collect()
}

fn read(policy: &'static str, file: &str) -> Result<Edition> {
    let yaml = std::fs::read_to_string(assets::repository().join(file)).with_context(|| file.to_owned())?;
    let (definition, binding) = yaml.split_once("\n---\n").with_context(|| format!("{file} is not two documents"))?;
    let parse = |document: &str| serde_saphyr::from_str::<Value>(document).with_context(|| file.to_owned());
    Ok(Edition {
        policy,
        label: "shipped".to_owned(),
        what: "as it is shipped".to_owned(),
        definition: parse(definition)?,
        binding: parse(binding)?,
    })
}

/// Every weakened edition of these, numbered.
pub fn mutants(shipped: &[Edition]) -> Vec<Edition> {
    let mut all: Vec<Edition> = shipped.iter().flat_map(Edition::mutants).collect();
    for (index, edition) in all.iter_mut().enumerate() {
        edition.label = format!("m{index}");
    }
    all
}

// === impl Edition ===

impl Edition {
    /// Whether namespaces choose it; certificate requests lie in none.
    pub fn is_namespaced(&self) -> bool {
        self.policy != "gateway-csr"
    }

    /// Whether it can refuse; else it stamps.
    pub fn refuses(&self) -> bool {
        self.definition["spec"]["validations"].is_array()
    }

    fn mutants(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for part in ["validations", "matchConditions", "variables"] {
            let rules = self.definition["spec"][part].as_array().map_or(&[][..], Vec::as_slice);
            for (index, rule) in rules.iter().enumerate() {
                let whole = rule["expression"].as_str().unwrap_or_default();
                let name = ["name", "message", "messageExpression"].iter().find_map(|key| rule[key].as_str());
                let name: String = name.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
                let mut add = |what: &str, expression: String| {
                    let mut mutant = self.clone();
                    mutant.definition["spec"][part][index]["expression"] = json!(expression);
                    let name: String = name.chars().take(60).collect();
                    mutant.what = format!("{}, {part}, \"{name}\": {what}", self.policy);
                    found.push(mutant);
                };
                if part != "variables" {
                    add("always true", "true".to_owned());
                }
                weaker(whole).into_iter().for_each(|weaker| add(&weaker.what, weaker.expression));
            }
        }
        found
    }

    /// The policy and its binding, for the namespaces that carry its label; for certificate requests those with the label
    /// `world` that `worlds` selects.
    pub fn installed(&self, worlds: &Value) -> [Value; 2] {
        let name = format!("{}.{}.tidegate.dev", self.label, self.policy);
        let (mut definition, mut binding) = (self.definition.clone(), self.binding.clone());
        definition["metadata"]["name"] = json!(name);
        binding["metadata"]["name"] = json!(name);
        binding["spec"]["policyName"] = json!(name);
        if let Some(validations) = definition["spec"]["validations"].as_array_mut() {
            // The first that fails gives the message.
            let expression = format!("!has(object.metadata.name) || object.metadata.name != '{PROBE}'");
            validations.insert(0, json!({"expression": expression, "message": self.probe()}));
        }
        let stamped = json!({"matchExpressions": [{"key": STAMPING_LABEL, "operator": "NotIn", "values": ["off"]}]});
        binding["spec"]["matchResources"] = match self.policy {
            "gateway-csr" => json!({ "objectSelector": worlds }),
            "requester" | "decide" => json!({"namespaceSelector": self.selector(), "objectSelector": stamped}),
            _ => json!({ "namespaceSelector": self.selector() }),
        };
        [definition, binding]
    }

    fn selector(&self) -> Value {
        json!({"matchLabels": {self.policy: self.label}})
    }

    /// What it says to the probe.
    pub fn probe(&self) -> String {
        format!("this is edition {} of {}", self.label, self.policy)
    }
}
