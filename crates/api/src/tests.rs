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
fn only_a_kind_with_ready_starts_with_an_unseen_status() {
    let with_default =
        offenders(|path, s| path.ends_with(".status") && path.matches('.').count() == 1 && !s["default"].is_null());
    assert_eq!(with_default, BTreeSet::from(["JitPolicy.status".to_owned()]));
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
