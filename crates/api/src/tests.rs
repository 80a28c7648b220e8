//! What must hold for every field of every kind, read off the schemas that get installed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{all_crds, names};

/// Calls `check` with each schema below `schema` and its path.
fn walk(path: &str, schema: &Value, check: &mut dyn FnMut(&str, &Value)) {
    check(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, check);
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[part].is_object() {
            walk(&format!("{path}{suffix}"), &schema[part], check);
        }
    }
}

fn for_each_schema(check: &mut dyn FnMut(&str, &Value)) {
    for crd in all_crds() {
        let value = serde_json::to_value(&crd).unwrap();
        let kind = crd.spec.names.kind;
        walk(&kind, &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"], check);
    }
}

/// Every path for which `wrong` says so, so that one run names them all.
fn offenders(wrong: impl Fn(&str, &Value) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for_each_schema(&mut |path, schema| {
        if wrong(path, schema) {
            found.insert(path.to_owned());
        }
    });
    found
}

#[test]
fn every_string_list_and_map_is_bounded() {
    let unbounded = offenders(|_, s| match s["type"].as_str() {
        Some("string") => s["maxLength"].is_null() && s["enum"].is_null() && s["format"] != "date-time",
        Some("array") => s["maxItems"].is_null(),
        Some("object") => s["additionalProperties"].is_object() && s["maxProperties"].is_null(),
        _ => false,
    });
    assert_eq!(unbounded, BTreeSet::new());
}

#[test]
fn every_field_is_explained() {
    let silent =
        offenders(|path, s| !path.ends_with(['[', ']', '}']) && s["description"].as_str().is_none_or(str::is_empty));
    assert_eq!(silent, BTreeSet::new());
}

#[test]
fn nothing_is_nullable_and_unions_are_no_one_of() {
    let found = offenders(|_, s| ["nullable", "oneOf", "anyOf", "allOf"].iter().any(|key| !s[*key].is_null()));
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn no_default_lies_inside_a_list_item() {
    let found = offenders(|path, s| path.contains("[]") && !s["default"].is_null());
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn number_formats_are_those_of_the_api_server() {
    let found = offenders(|_, s| s["type"] == "integer" && s["format"] != "int64" && s["format"] != "int32");
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn every_validation_rule_has_a_message_of_ours() {
    let found = offenders(|_, s| {
        let rules = s["x-kubernetes-validations"].as_array();
        rules.into_iter().flatten().any(|rule| rule["message"].is_null() && rule["messageExpression"].is_null())
    });
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn every_kind_starts_with_an_unseen_status() {
    let with_default =
        offenders(|path, s| path.ends_with(".status") && path.matches('.').count() == 1 && !s["default"].is_null());
    let kinds = ["ElevationRequest", "Fleet", "JitPolicy", "Lock", "ManagedEndpoint"];
    assert_eq!(with_default, kinds.map(|kind| format!("{kind}.status")).into());
}

#[test]
fn group_and_version_are_those_of_names() {
    for crd in all_crds() {
        assert_eq!(crd.spec.group, names::GROUP);
        assert_eq!(crd.spec.versions.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), [names::VERSION]);
        assert!(names::DECISION_PREFIX.ends_with(&format!(".{}/", names::GROUP)));
    }
}

#[test]
fn a_definition_fits_plain_kubectl_apply() {
    for crd in all_crds() {
        let size = serde_json::to_vec(&crd).unwrap().len();
        assert!(size < 200 * 1024, "{:?} has {size} bytes", crd.metadata.name);
    }
}

/// The limits that docs/reference.md and the design state, apart from the schemas they are compared with.
const LIMITS: [(&str, &str, i64); 30] = [
    ("ElevationRequest.spec.account", "maxLength", 256),
    ("ElevationRequest.spec.application.path", "maxLength", 1024),
    ("ElevationRequest.spec.attestation.certificate", "maxLength", 8192),
    ("ElevationRequest.spec.endpointName", "maxLength", 253),
    ("ElevationRequest.spec.policyName", "maxLength", 253),
    ("ElevationRequest.spec.reason", "maxLength", 512),
    ("ElevationRequest.spec.requester", "maxLength", 253),
    ("ElevationRequest.spec.ticket", "maxLength", 64),
    ("ElevationRequest.status.decisions[].comment", "maxLength", 512),
    ("Fleet.spec.accounts", "maxItems", 512),
    ("Fleet.spec.blocklists", "maxItems", 16),
    ("Fleet.spec.description", "maxLength", 1024),
    ("Fleet.spec.maxOpenRequests", "maximum", 16),
    ("JitPolicy.spec.access.onRequest.approval.automatic", "maxItems", 16),
    ("JitPolicy.spec.access.onRequest.approval.stages", "maxItems", 8),
    ("JitPolicy.spec.access.onRequest.approval.stages[].approvals", "maximum", 8),
    ("JitPolicy.spec.access.onRequest.approval.stages[].approvals", "minimum", 1),
    ("JitPolicy.spec.access.onRequest.reason.minLength", "maximum", 512),
    ("JitPolicy.spec.access.recurring.windows", "maxItems", 16),
    ("JitPolicy.spec.description", "maxLength", 1024),
    ("JitPolicy.spec.elevation.applications", "maxItems", 64),
    ("JitPolicy.spec.elevation.applications[].except", "maxItems", 8),
    ("JitPolicy.spec.elevation.applications[].folderPath.path", "maxLength", 1024),
    ("JitPolicy.spec.targets.accounts.groups", "maxItems", 64),
    ("JitPolicy.spec.targets.accounts.groups[]", "maxLength", 256),
    ("JitPolicy.spec.targets.accounts.names", "maxItems", 64),
    ("JitPolicy.spec.targets.endpoints.names", "maxItems", 256),
    ("JitPolicy.spec.targets.endpoints.names[]", "maxLength", 253),
    ("Lock.spec.message", "maxLength", 512),
    ("ManagedEndpoint.spec.owner", "maxLength", 253),
];

#[test]
fn the_limits_are_those_stated() {
    let mut met = BTreeSet::new();
    for_each_schema(&mut |path, schema| {
        for (at, bound, value) in LIMITS.into_iter().filter(|(at, _, _)| *at == path) {
            assert_eq!(schema[bound].as_f64(), Some(value as f64), "{bound} of {at}");
            met.insert((at, bound));
        }
    });
    assert_eq!(met.len(), LIMITS.len(), "only {met:?} exist");
}

#[test]
fn a_default_is_told_in_its_field() {
    let silent = offenders(|path, s| {
        let is_told = s["description"].as_str().is_some_and(|text| text.contains("efault"));
        // The status of an object nobody has looked at, and what says so.
        !s["default"].is_null() && !is_told && !path.contains(".status")
    });
    assert_eq!(silent, BTreeSet::new());
}
