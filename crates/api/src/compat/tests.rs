//! Each class of break, made in one place of the real definitions.

use serde_json::{Value, json};

use super::*;
use crate::all_crds;

fn definitions() -> Vec<Value> {
    all_crds().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect()
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// The schema at a dotted path of a kind, in definitions that may be changed.
fn at<'a>(definitions: &'a mut [Value], kind: &str, path: &str) -> &'a mut Value {
    let definition = definitions.iter_mut().find(|d| d["spec"]["names"]["kind"] == kind).unwrap();
    let pointer: String = path.split('.').map(|part| format!("/properties/{}", part.replace("[]", "/items"))).collect();
    definition.pointer_mut(&format!("{SCHEMA}{pointer}")).unwrap()
}

/// What is found when the schema at `path` of JitPolicy becomes another.
fn found(path: &str, change: impl Fn(&mut Value)) -> Vec<Finding> {
    let old = definitions();
    let mut new = old.clone();
    change(at(&mut new, "JitPolicy", path));
    compare(&old, &new)
}

fn without(schema: &mut Value, member: &str) {
    schema.as_object_mut().unwrap().remove(member).unwrap();
}

#[test]
fn what_is_the_same_is_no_finding() {
    assert_eq!(compare(&definitions(), &definitions()), []);
}

#[test]
fn each_class_of_break_is_found_where_it_is() {
    let minimum = "spec.access.onRequest.reason.minLength";
    let platforms = "spec.targets.platforms";
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 16] = [
        (minimum, |s| s["type"] = json!("string"), "type changed from \"integer\" to \"string\""),
        (minimum, |s| s["maximum"] = json!(511), "maximum narrowed from 512.0 to 511"),
        (minimum, |s| s["minimum"] = json!(1), "minimum narrowed from 0.0 to 1"),
        (minimum, |s| s["default"] = json!(11), "default changed from 10 to 11"),
        (minimum, |s| without(s, "default"), "default changed from 10 to none"),
        ("spec.description", |s| s["maxLength"] = json!(10), "maxLength narrowed from 1024 to 10"),
        ("spec.description", |s| s["minLength"] = json!(1), "minLength narrowed from none to 1"),
        ("spec.description", |s| s["pattern"] = json!("^a"), "pattern changed from none to \"^a\""),
        ("spec.description", |s| s["enum"] = json!(["a"]), "only [\"a\"] are allowed now"),
        ("spec.suspended", |s| s["default"] = json!(true), "default changed from none to true"),
        (platforms, |s| s["maxItems"] = json!(1), "maxItems narrowed from 8 to 1"),
        (platforms, |s| s["x-kubernetes-list-type"] = json!("atomic"), "x-kubernetes-list-type changed"),
        ("spec.targets.platforms[]", |s| s["enum"] = json!(["Linux"]), "enum lost \"Windows\""),
        (
            "spec",
            |s| s["required"] = json!(["access", "description", "elevation", "targets"]),
            "\"description\" is required now",
        ),
        ("spec.access", |s| without(&mut s["properties"], "window"), "the field was removed"),
        ("spec.elevation.mode", |s| s["format"] = json!("uuid"), "format changed from none to \"uuid\""),
    ];
    for (path, change, what) in cases {
        let findings = found(path, change);
        assert!(!findings.is_empty(), "{path}: {what}");
        for finding in findings {
            assert!(finding.breaks && finding.path.starts_with(&format!("JitPolicy.{path}")), "{finding}");
            assert!(
                finding.what.contains(what) || finding.what.contains("enum lost \"macOS\""),
                "{finding}, not {what}"
            );
        }
    }
}

#[test]
fn what_lets_more_through_is_no_finding() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 6] = [
        ("spec.description", |s| s["maxLength"] = json!(2048)),
        ("spec.elevation.runAs", |s| without(s, "pattern")),
        ("spec.elevation.mode", |s| s["enum"].as_array_mut().unwrap().push(json!("Nothing"))),
        ("spec.access", |s| s["properties"]["new"] = json!({"type": "object", "required": ["x"]})),
        ("spec", |s| s["required"] = json!([])),
        ("spec.elevation", |s| without(s, "x-kubernetes-validations")),
    ];
    for (path, change) in cases {
        assert_eq!(found(path, change), [], "{path}");
    }
}

#[test]
fn a_new_or_changed_rule_is_for_a_person_to_judge() {
    let findings = found("spec.access.window", |s| s["x-kubernetes-validations"][0]["rule"] = json!("false"));
    assert_eq!(findings.len(), 1);
    assert!(!findings[0].breaks && findings[0].what.ends_with(": false"), "{}", findings[0]);
    assert_eq!(not_allowed(&findings, ""), Vec::<&Finding>::new());
}

#[test]
fn names_versions_and_kinds_stay() {
    let old = definitions();
    let mut fewer = old.clone();
    let lost = fewer.remove(0);
    let whats = |new: &[Value]| compare(&old, new).into_iter().map(|f| f.what).collect::<Vec<_>>();
    assert_eq!(whats(&fewer), ["the kind was removed"]);
    assert_eq!(compare(&fewer, &old), []);

    let changed = |pointer: &str, value: Value| {
        let mut one = lost.clone();
        *one.pointer_mut(pointer).unwrap() = value;
        whats(&[vec![one], fewer.clone()].concat())
    };
    assert_eq!(changed("/spec/scope", json!("Cluster")), ["/scope changed from \"Namespaced\" to \"Cluster\""]);
    assert_eq!(changed("/spec/names/shortNames", json!([])), ["shortNames lost \"jp\""]);
    assert_eq!(changed("/spec/versions/0/name", json!("v1")), ["version \"v1alpha1\" is no longer served"]);
    assert_eq!(changed("/spec/versions/0/served", json!(false)), ["version \"v1alpha1\" is no longer served"]);
}

#[test]
fn a_line_with_a_reason_allows_a_break_at_its_path_only() {
    let findings = found("spec", |s| {
        without(&mut s["properties"], "suspended");
        without(&mut s["properties"], "description");
    });
    let left = |allow: &str| not_allowed(&findings, allow).iter().map(|f| f.path.as_str()).collect::<Vec<_>>();
    let both = ["JitPolicy.spec.description", "JitPolicy.spec.suspended"];
    assert_eq!(left(""), both);
    assert_eq!(left("# a comment\nJitPolicy.spec.suspended: never released\n"), both[..1]);
    assert_eq!(left("JitPolicy.spec.suspended\nJitPolicy.spec.description: "), both);
    assert_eq!(left("JitPolicy.spec: too wide"), both);
}
