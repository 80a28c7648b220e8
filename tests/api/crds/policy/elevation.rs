//! What a policy lets people run: modes and what belongs to them, the seven rule types, paths.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Case, Expect, Passes, Says};
use super::judge_policy;

const ONE_TYPE: &str =
    "give at least one of vendor, product, verifiedExecutable, fileHash, storeApp, folderPath, clsid";

/// A policy with mode Application and these items.
fn applications(items: Value) -> Value {
    json!({"elevation": {"mode": "Application", "applications": items}})
}

/// A policy whose one item has this rule.
fn rule(rule: Value) -> Value {
    let mut item = json!({"name": "tool"});
    super::super::merge(&mut item, &rule);
    applications(json!([item]))
}

fn path(text: &str) -> Value {
    rule(json!({"folderPath": {"path": text}}))
}

/// `count` items with names that differ.
fn items(count: usize) -> Value {
    super::names(count).iter().map(|name| json!({"name": name, "vendor": {"name": "v"}})).collect()
}

#[tokio::test]
async fn scope_and_applications_belong_to_the_modes_that_choose() -> Result<()> {
    let elevation = |members: Value| json!({"elevation": members});
    let one = items(1);
    let scope = "scope belongs to the modes Application and Allowlisting";
    let listed = "applications belong to the modes Application and Allowlisting";
    let none = "list at least one application, or say scope: Any";
    let any = "scope: Any takes no applications: leave them out, or say scope: Listed";
    let blocklisted = "includeBlocklisted belongs to mode Allowlisting";
    judge_policy(vec![
        ("AnyApplication", elevation(json!({"mode": "AnyApplication"})), Passes),
        ("AdminSession", elevation(json!({"mode": "AdminSession"})), Passes),
        ("Application", elevation(json!({"mode": "Application", "applications": one})), Passes),
        ("Listed", elevation(json!({"mode": "Allowlisting", "scope": "Listed", "applications": one})), Passes),
        ("Any", elevation(json!({"mode": "Application", "scope": "Any"})), Passes),
        (
            "Any unmanaged",
            elevation(json!({"mode": "Allowlisting", "scope": "Any", "includeBlocklisted": true})),
            Passes,
        ),
        ("an empty list", elevation(json!({"mode": "AdminSession", "applications": []})), Passes),
        ("another mode", elevation(json!({"mode": "Everything"})), Says("Unsupported value: \"Everything\"")),
        ("AdminSession with a scope", elevation(json!({"mode": "AdminSession", "scope": "Any"})), Says(scope)),
        ("AnyApplication with a list", elevation(json!({"mode": "AnyApplication", "applications": one})), Says(listed)),
        ("Application without a list", elevation(json!({"mode": "Application"})), Says(none)),
        ("an empty list of Listed", elevation(json!({"mode": "Allowlisting", "applications": []})), Says(none)),
        ("Any with a list", elevation(json!({"mode": "Application", "scope": "Any", "applications": one})), Says(any)),
        ("blocklisted ones elevated", elevation(json!({"includeBlocklisted": true})), Says(blocklisted)),
        ("no blocklisted ones", elevation(json!({"includeBlocklisted": false})), Passes),
    ])
    .await
}

#[tokio::test]
async fn the_other_members_of_elevation_are_choices() -> Result<()> {
    let elevation = |name: &str, value: Value| json!({"elevation": {name: value}});
    judge_policy(vec![
        ("another account", elevation("runAs", json!("CORP\\Install Service")), Passes),
        ("no account", elevation("runAs", json!("")), Says("should be at least 1 chars long")),
        ("a blank before", elevation("runAs", json!(" root")), Says("should match")),
        ("no password", elevation("authentication", json!("None")), Passes),
        ("half a password", elevation("authentication", json!("Sometimes")), Says("\"Required\", \"None\"")),
        ("no children", elevation("childProcesses", json!("Deny")), Passes),
        ("other children", elevation("childProcesses", json!("Allow")), Says("\"Track\", \"Deny\"")),
        ("both protections", elevation("protections", json!(["PrivilegedAccounts", "Agent"])), Passes),
        ("a protection twice", elevation("protections", json!(["Agent", "Agent"])), Says("Duplicate value")),
        ("another protection", elevation("protections", json!(["Disk"])), Says("\"PrivilegedAccounts\", \"Agent\"")),
        ("the harshest end", elevation("onExpiry", json!("LogOff")), Passes),
        ("another end", elevation("onExpiry", json!("Reboot")), Says("\"Revoke\", \"Terminate\", \"LogOff\"")),
    ])
    .await
}

#[tokio::test]
async fn an_item_has_a_name_of_its_own_and_at_least_one_rule() -> Result<()> {
    let hash = "give at least one digest in sha256 or sha512";
    let digest =
        |name: &str, length: usize| rule(json!({"fileHash": {name: ["0123456789abcDEF".repeat(8)[..length]]}}));
    judge_policy(vec![
        ("64 items", applications(items(64)), Passes),
        ("65 items", applications(items(65)), Says("must have at most 64 items")),
        ("a name twice", applications(json!([items(1)[0], items(1)[0]])), Says("Duplicate value")),
        ("no name", applications(json!([{"vendor": {"name": "v"}}])), Says("name: Required value")),
        ("a name in capitals", applications(json!([{"name": "Tool", "vendor": {"name": "v"}}])), Says("should match")),
        ("nothing but a name", rule(json!({})), Says(ONE_TYPE)),
        ("arguments alone", rule(json!({"arguments": ["install"]})), Says(ONE_TYPE)),
        ("a vendor", rule(json!({"vendor": {"name": "Example GmbH"}})), Passes),
        ("a vendor without name", rule(json!({"vendor": {}})), Says("vendor.name: Required value")),
        ("a product", rule(json!({"product": {"name": "toolchain", "minVersion": "2.1"}})), Passes),
        (
            "a version as a number",
            rule(json!({"product": {"name": "t", "minVersion": 2.1}})),
            Says("must be of type string"),
        ),
        ("a version in words", rule(json!({"product": {"name": "t", "minVersion": "new"}})), Says("should match")),
        ("a verified executable", rule(json!({"verifiedExecutable": {"name": "setup"}})), Passes),
        ("a store app", rule(json!({"storeApp": {"id": "org.example.Toolchain"}})), Passes),
        ("a store app with a blank", rule(json!({"storeApp": {"id": "org example"}})), Says("should match")),
        ("SHA-256", digest("sha256", 64), Passes),
        ("SHA-512", digest("sha512", 128), Passes),
        ("MD5", digest("sha256", 32), Says("should be at least 64 chars long")),
        ("SHA-1", digest("sha256", 40), Says("should be at least 64 chars long")),
        ("SHA-512 for SHA-256", digest("sha256", 128), Says(": Too long")),
        ("no hex", rule(json!({"fileHash": {"sha256": ["g".repeat(64)]}})), Says("should match")),
        ("no digest", rule(json!({"fileHash": {}})), Says(hash)),
        ("a class", rule(json!({"clsid": {"id": "{3AD05575-8857-4850-9277-11B85BDB8E09}"}})), Passes),
        (
            "a class without braces",
            rule(json!({"clsid": {"id": "3AD05575-8857-4850-9277-11B85BDB8E0900"}})),
            Says("should match"),
        ),
    ])
    .await
}

#[tokio::test]
async fn arguments_and_exceptions_follow_their_item() -> Result<()> {
    let with = |member: &str, value: Value| rule(json!({"vendor": {"name": "v"}, member: value}));
    let except = |rules: Value| with("except", rules);
    let one = json!({"vendor": {"name": "v"}, "arguments": []});
    judge_policy(vec![
        ("no arguments allowed", with("arguments", json!([])), Passes),
        ("an empty argument", with("arguments", json!([""])), Passes),
        ("64 arguments", with("arguments", json!(vec!["a"; 64])), Passes),
        ("65 arguments", with("arguments", json!(vec!["a"; 65])), Says("must have at most 64 items")),
        ("a line break", with("arguments", json!(["a\nb"])), Says("should match")),
        ("8 exceptions", except(json!(vec![&one; 8])), Passes),
        ("9 exceptions", except(json!(vec![&one; 9])), Says("must have at most 8 items")),
        ("an exception of nothing", except(json!([{}])), Says(ONE_TYPE)),
        ("arguments left out", except(json!([{"arguments": ["--unsafe"]}])), Says(ONE_TYPE)),
    ])
    .await
}

#[tokio::test]
async fn paths_are_absolute_and_mean_what_they_say() -> Result<()> {
    let good = [
        "/opt",
        "/opt/toolchain/**",
        "/**",
        "/**/bin/*",
        "/opt/*/bin/tool-?.?",
        "/opt/*.d/**/x",
        "/opt/..hidden",
        "/opt/.*",
        "/opt/...",
        "/opt/..*",
        "/opt/Größe (x86)/ß",
        r"C:\Tools\**",
        r"d:\Program Files (x86)\Tool*\setup.exe",
    ];
    let bad = [
        "opt/tool",
        "./tool",
        "",
        "/",
        "//",
        "/opt/",
        "/opt//tool",
        "/opt/./tool",
        "/opt/.",
        "/opt/../etc",
        "/..",
        "/opt/**x",
        "/opt/x**",
        "/opt/***",
        "~/tool",
        "/opt/~alice",
        "/home/$USER/x",
        "/opt/%APPDATA%",
        "/opt/[ab]",
        "/opt/{a,b}",
        "/opt/a|b",
        "/opt/^x",
        "/opt/a\\b",
        "/opt/a\nb",
        "/opt/a\u{202e}b",
        "/opt/a\u{0}b",
        "C:",
        r"C:\",
        "C:/Tools",
        r"C:\Tools\..\x",
        r"C:\Tools\a:b",
        r"\\server\share",
        r"C:\Tools\",
        r#"C:\Tools\a"b"#,
    ];
    let case = |text: &'static str, expect: Expect| -> Case { (text, path(text), expect) };
    let cases = good.into_iter().map(|text| case(text, Passes));
    judge_policy(cases.chain(bad.into_iter().map(|text| case(text, Says("folderPath.path")))).collect()).await
}
