//! Objects made from a schema: as large as it allows, so that every bound in it is met by something real.

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};
use tidegate_api::all_crds;

/// The cleaned schema of kind `K`, as it is installed.
pub fn schema_of<K: CustomResourceExt>() -> Value {
    let crd = all_crds().into_iter().find(|crd| crd.metadata.name.as_deref() == Some(K::crd_name()));
    let value = serde_json::to_value(crd).unwrap_or_default();
    value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The largest value: every member, every list full, the first item of a list as large as can be and the others
/// small, so that the whole stays below what a request may hold.
pub fn largest(schema: &Value) -> Value {
    value(schema, 0, false)
}

/// The value at position `index` of a list (0 outside of lists); `key` when it tells the items of its list apart.
fn value(schema: &Value, index: usize, key: bool) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words.get(index % words.len()).cloned().unwrap_or_default();
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, index),
        Some("array") => Value::Array(items(schema, index)),
        Some("integer") => integer(schema, index, key),
        Some("boolean") => json!(true),
        _ => json!(text(schema, index)),
    }
}

fn object(schema: &Value, index: usize) -> Value {
    let entries = schema["maxProperties"].as_u64().filter(|_| schema["additionalProperties"].is_object());
    let of_map = (0..entries.unwrap_or_default())
        .map(|n| (format!("label{n}"), text(&schema["additionalProperties"], usize::try_from(n).unwrap_or_default())));
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let wanted = |name: &str| index == 0 || required.iter().any(|r| r == name);
    let members = schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| wanted(name));
    let members = members.map(|(name, member)| (name.clone(), value(member, index, false)));
    Value::Object(members.chain(of_map.map(|(k, v)| (k, json!(v)))).collect::<Map<_, _>>())
}

fn items(schema: &Value, index: usize) -> Vec<Value> {
    let item = &schema["items"];
    let most = schema["maxItems"].as_u64().unwrap_or_default();
    // A set cannot hold more than there are words.
    let words = item["enum"].as_array().map_or(most, |words| words.len() as u64);
    let least = schema["minItems"].as_u64().unwrap_or_default();
    let count = if index == 0 { most.min(words) } else { least };
    let keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
    let numbered = |n: usize| {
        let mut value = value(item, n, false);
        for key in keys.iter().filter_map(Value::as_str) {
            value[key] = self::value(&item["properties"][key], n, true);
        }
        value
    };
    (0..usize::try_from(count).unwrap_or_default()).map(numbered).collect()
}

fn integer(schema: &Value, index: usize, key: bool) -> Value {
    let bound = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
    let least = bound("minimum").unwrap_or_default();
    match (index, key) {
        (0, _) => json!(bound("maximum").unwrap_or((1 << 53) - 1)),
        (_, true) => json!(least + i64::try_from(index).unwrap_or_default() - 1),
        (_, false) => json!(least),
    }
}

/// What each pattern begins with, and what fits it: what stands before and after the filling, and the filling.
const FORMS: [(&str, &str, &str, &str); 13] = [
    ("^sha256:", "sha256:", "a", ""),
    ("^[vV]?[0-9]", "", "1", ""),
    (r"^\{", "{3AD05575-8857-4850-9277-11B85BDB8E", "0", "}"),
    ("^([01][0-9]", "18:00", "", ""),
    ("^-----BEGIN", "-----BEGIN CERTIFICATE-----\n", "A", "\n-----END CERTIFICATE-----\n"),
    // A prefix of 253 and a name of 63.
    ("^([a-z0-9]([-a-z0-9.]*", "", "a", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("^([0-9]{1,5}(h|m|s))", "00001h00000m00000s", "", ""),
    ("^[0-9]{4}-[0-9]{2}", "2027-01-01T00:00:00Z", "", ""),
    ("^((/", "/", "ä", ""),
    ("^[A-Z]", "A", "a", ""),
    // Two bytes each: bounds count characters.
    (r"^[^\p{C}", "", "ä", ""),
    (r"^[^\s", "", "ä", ""),
    ("^", "", "a", ""),
];

/// The longest text, or at an `index` above 0 a short one of its own.
fn text(schema: &Value, index: usize) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or(r"^[^\p{C}");
    let (_, before, filling, after) = FORMS.into_iter().find(|form| pattern.starts_with(form.0)).unwrap_or_default();
    let longest = schema["maxLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let is_fixed = schema["minLength"] == schema["maxLength"];
    if filling.is_empty() || schema["format"] == "date-time" {
        return if filling.is_empty() { before.to_owned() } else { "2027-01-01T00:00:00Z".to_owned() };
    }
    let number = if index == 0 { String::new() } else { index.to_string() };
    let room = longest.saturating_sub(before.chars().count() + after.chars().count() + number.len());
    let filled = if index == 0 || is_fixed { room } else { 1 };
    format!("{before}{}{number}{after}", filling.repeat(filled))
}
