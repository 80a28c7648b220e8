//! The steps beyond a schema, read off it beside a value that it allows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A kind of step beyond a schema. The number is how deep the place lies, where a missing parent would hide a missing
/// child.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    Longer,
    Shorter,
    MoreItems,
    FewerItems(usize),
    MoreMembers,
    Greater,
    Smaller,
    OtherForm,
    OtherWord,
    OtherType,
    Missing(usize),
}

/// One step at one place.
#[derive(Clone)]
pub struct Attempt {
    /// The place in the words of the API server, such as `spec.names[0]`.
    pub field: String,
    /// The same as a JSON pointer.
    pub pointer: String,
    /// What is put there; `None` takes it away.
    pub value: Option<Value>,
}

// === impl Step ===

impl Step {
    /// What the API server says.
    pub fn says(self) -> &'static str {
        match self {
            Self::Longer => "Too long",
            Self::Shorter => "should be at least",
            Self::MoreItems | Self::MoreMembers => "must have at most",
            Self::FewerItems(_) => "should have at least",
            Self::Greater => "should be less than or equal to",
            Self::Smaller => "should be greater than or equal to",
            Self::OtherForm => "should match",
            Self::OtherWord => "Unsupported value",
            Self::OtherType => "must be of type",
            Self::Missing(_) => "Required value",
        }
    }
}

/// Collects the steps beyond `schema` at a value, and below it.
#[derive(Default)]
pub struct Walk {
    /// What is to be tried; attempts of one step do not hide each other.
    pub attempts: BTreeMap<Step, Vec<Attempt>>,
    /// Paths of the schema that were met, without positions in lists.
    pub met: BTreeSet<String>,
}

// === impl Walk ===

impl Walk {
    fn add(&mut self, step: Step, field: &str, pointer: &str, value: Option<Value>) {
        let attempt = Attempt { field: field.to_owned(), pointer: pointer.to_owned(), value };
        self.attempts.entry(step).or_default().push(attempt);
    }

    /// Adds the steps beyond `schema` at `value`, which lies at `field` (and `pointer`), and below it.
    pub fn visit(&mut self, schema: &Value, value: &Value, field: &str, pointer: &str) {
        self.met.insert(field.replace("[0]", "[]"));
        match value {
            Value::String(_) => self.text(schema, field, pointer),
            Value::Number(_) | Value::Bool(_) => self.scalar(schema, field, pointer),
            Value::Array(items) => self.list(schema, items, field, pointer),
            Value::Object(members) => self.members(schema, members, field, pointer),
            Value::Null => {}
        }
    }

    fn text(&mut self, schema: &Value, field: &str, pointer: &str) {
        let bound = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(most) = bound("maxLength") {
            self.add(Step::Longer, field, pointer, Some(json!("a".repeat(most + 1))));
        }
        if let Some(least) = bound("minLength") {
            self.add(Step::Shorter, field, pointer, Some(json!("a".repeat(least - 1))));
        }
        if schema["pattern"].is_string() {
            self.add(Step::OtherForm, field, pointer, Some(json!("\u{7}".repeat(bound("minLength").unwrap_or(1)))));
        }
        if schema["enum"].is_array() {
            self.add(Step::OtherWord, field, pointer, Some(json!("Nonsense")));
        }
        self.add(Step::OtherType, field, pointer, Some(json!(7)));
    }

    fn scalar(&mut self, schema: &Value, field: &str, pointer: &str) {
        if let Some(most) = schema["maximum"].as_f64() {
            self.add(Step::Greater, field, pointer, Some(json!(most as i64 + 1)));
        }
        if let Some(least) = schema["minimum"].as_f64() {
            self.add(Step::Smaller, field, pointer, Some(json!(least as i64 - 1)));
        }
        self.add(Step::OtherType, field, pointer, Some(json!("seven")));
    }

    fn list(&mut self, schema: &Value, items: &[Value], field: &str, pointer: &str) {
        if let (Some(most), Some(item)) = (schema["maxItems"].as_u64(), items.first()) {
            let more = items.iter().chain(std::iter::repeat(item));
            let more: Vec<&Value> = more.take(usize::try_from(most).unwrap_or_default() + 1).collect();
            self.add(Step::MoreItems, field, pointer, Some(json!(more)));
        }
        if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
            self.add(Step::FewerItems(pointer.matches('/').count()), field, pointer, Some(json!([])));
        }
        if let Some(first) = items.first() {
            self.visit(&schema["items"], first, &format!("{field}[0]"), &format!("{pointer}/0"));
        }
    }

    fn members(&mut self, schema: &Value, members: &serde_json::Map<String, Value>, field: &str, pointer: &str) {
        if schema["additionalProperties"].is_object() {
            let most = schema["maxProperties"].as_u64().unwrap_or_default();
            let more: Value = (0..=most).map(|n| (format!("more{n}"), json!("a"))).collect();
            self.add(Step::MoreMembers, field, pointer, Some(more));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let step = Step::Missing(pointer.matches('/').count());
            self.add(step, &format!("{field}.{name}"), &format!("{pointer}/{name}"), None);
        }
        for (name, value) in members {
            let (field, pointer) = (format!("{field}.{name}"), format!("{pointer}/{name}"));
            let member = &schema["properties"][name];
            if member.is_object() {
                self.visit(member, value, &field, &pointer);
            } else if name == "label0" {
                self.visit(&schema["additionalProperties"], value, &field, &pointer);
            }
        }
    }
}
