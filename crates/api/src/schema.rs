//! Pieces of schema that several kinds share, and the clean-up of what the derive emits: bounds on borrowed types, our
//! own messages, no `nullable`. Everything here becomes text in `crds/`; nothing runs in a controller.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition,
};
use kube::core::{Message, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// A DNS subdomain, the form of object names. With a looser one `policyName: a/b` would mean something else to RBAC.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A DNS label, the form of stages.
pub(crate) const LABEL_NAME: &str = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// A login name: printable, no white space around it.
pub(crate) const ACCOUNT: &str = r"^[^\p{C}\p{Z}]([^\p{C}\p{Zl}\p{Zp}]*[^\p{C}\p{Z}])?$";
/// A user name known to the API server: printable, without white space.
pub(crate) const IDENTITY: &str = r"^[^\s\p{C}\p{Z}]+$";
/// One line of printable characters.
pub(crate) const ONE_LINE: &str = r"^[^\p{C}\p{Zl}\p{Zp}]*$";
/// CamelCase, the form of reasons and states.
pub(crate) const CAMEL_CASE: &str = "^[A-Z][A-Za-z0-9]*$";
/// SHA-256 in lower case hex.
pub(crate) const SHA256: &str = "^sha256:[0-9a-f]{64}$";
/// An object's uid.
pub(crate) const UID: &str = "^[-A-Za-z0-9]+$";
/// Hex digits.
pub(crate) const HEX: &str = "^[0-9A-Fa-f]+$";
/// A COM class id in braces.
pub(crate) const CLSID: &str = r"^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$";
/// Numbers with dots between them and an optional suffix, as core reads versions.
pub(crate) const VERSION: &str = r"^[vV]?[0-9]+(\.[0-9]+)*([-A-Za-z_+~][-0-9A-Za-z._+~]*)?$";
/// The form of an IANA time zone; whether it exists is checked in core.
pub(crate) const TIME_ZONE: &str = r"^[A-Za-z][-A-Za-z0-9_+]*(/[A-Za-z0-9][-A-Za-z0-9_+]*){0,2}$";
/// 00:00 to 23:59.
pub(crate) const TIME_OF_DAY: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// One certificate in PEM.
pub(crate) const CERTIFICATE: &str = "^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n?$";
/// Standard base64 with padding.
pub(crate) const BASE64: &str = "^[A-Za-z0-9+/]*={0,2}$";

const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// A length of time: what the API server's `duration()` is then given.
pub(crate) const DURATION: &str = "^([0-9]{1,5}(h|m|s)){1,3}$";
const INSTANT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// A length of time as text, such as `45m` or `1h30m`.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 18, "pattern": DURATION})
}

/// An instant: RFC 3339, UTC, whole seconds.
pub(crate) fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 64, "pattern": INSTANT})
}

/// A rule on a field that is a duration. It repeats the pattern, because `duration()` of another string answers with the
/// name of a protobuf type, and because this message says what to write.
pub(crate) fn duration_between(min: &str, max: &str) -> Rule {
    let is_duration = matches_duration("self");
    Rule::new(format!("{is_duration} && duration(self) >= duration('{min}') && duration(self) <= duration('{max}')"))
        .message(format!("give a length of time from {min} to {max}, such as 45m or 1h30m").as_str())
}

/// The same rule on a short list of durations.
pub(crate) fn each_duration_between(min: &str, max: &str) -> Rule {
    let is_duration = matches_duration("d");
    let rule = format!("{is_duration} && duration(d) >= duration('{min}') && duration(d) <= duration('{max}')");
    Rule::new(format!("self.all(d, {rule})"))
        .message(format!("give lengths of time from {min} to {max}, such as 5m or 1h30m").as_str())
}

/// The rule of a range `{min, max, default}`: 1s <= min <= default <= max <= 24h, compared as values.
pub(crate) fn duration_range() -> Rule {
    let are_durations = ["self.min", "self.default", "self.max"].map(matches_duration).join(" && ");
    Rule::new(format!(
        "{are_durations} && duration('1s') <= duration(self.min) && duration(self.min) <= duration(self.default) && \
         duration(self.default) <= duration(self.max) && duration(self.max) <= duration('24h')"
    ))
    .message(Message::Expression(
        "'1s <= min <= default <= max <= 24h is required, but min is ' + self.min + ', default is ' + self.default + \
         ' and max is ' + self.max"
            .to_owned(),
    ))
}

/// A rule on a text that is shown to people: one line without control characters. Such characters can rewrite a terminal.
pub(crate) fn one_line() -> Rule {
    Rule::new(format!("self.matches(r'{ONE_LINE}')")).message("write one line of printable characters")
}

fn matches_duration(field: &str) -> String {
    format!("{field}.matches('{DURATION}')")
}

/// Conditions as in every Kubernetes API, with bounds; the borrowed type has none.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": CAMEL_CASE,
                    "description": "What is true, false or not known.",
                },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it is.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": CAMEL_CASE,
                    "description": "Why, in one word for programs.",
                },
                "message": {
                    "type": "string", "maxLength": 1024,
                    "description": "Why, for people: what is wrong, where, and what to do.",
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time",
                    "description": "When status last changed (UTC).",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The metadata.generation this was judged for.",
                },
            },
        },
    })
}

/// A label selector with bounds; the borrowed type has none, and CEL cost estimates would fail.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
                "description": "Labels the endpoint must carry, all of them.",
            },
            "matchExpressions": {
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "description": "Further conditions on labels; all must hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY,
                            "description": "The label's key.",
                        },
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label's value is compared.",
                        },
                        "values": {
                            "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
                            "description": "The values, for In and NotIn.",
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist must have none",
                    }],
                },
            },
        },
    })
}

/// Takes out of a generated CRD what must not be installed: `nullable` (a null would be stored, and `has()` would deny it)
/// and number formats the API server does not know. Gives `status` its default, so that no tool takes an object nobody has
/// looked at for a finished one.
pub(crate) fn clean(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    // What the API server would fill in: left out, it would be a difference to the file for ever.
    crd.spec.conversion = Some(CustomResourceConversion { strategy: "None".to_owned(), webhook: None });
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|v| v.open_api_v3_schema.as_mut()) else {
            continue;
        };
        let mut value = serde_json::to_value(&*schema).unwrap_or_default();
        clean_value(&mut value);
        if let Some(status) = value.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
            status.insert("default".to_owned(), json!({"observedGeneration": -1}));
        }
        // The value came from the same type. If it ever did not fit, the schema would stay as it was and tests.rs would say so.
        if let Ok(cleaned) = serde_json::from_value(value) {
            *schema = cleaned;
        }
    }
    crd
}

fn clean_value(value: &mut Value) {
    match value {
        Value::Object(map) => {
            clean_object(map);
            map.values_mut().for_each(clean_value);
        }
        Value::Array(items) => items.iter_mut().for_each(clean_value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn clean_object(map: &mut Map<String, Value>) {
    if map.get("nullable").is_some_and(Value::is_boolean) {
        map.remove("nullable");
    }
    if map.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint")) {
        map.remove("format");
    }
    // Line breaks of a doc comment are where the source wraps; in `kubectl explain` they would be in odd places.
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = text.split("\n\n").map(|p| p.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
}
