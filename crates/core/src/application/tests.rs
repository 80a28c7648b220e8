//! Values, JSON, requests, blocklists and messages. The matcher itself is held by the corpus and the properties.

mod corpus;
mod properties;

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::target::{EndpointTarget, Labels, Platform, Selector};

fn item(value: serde_json::Value) -> Application {
    serde_json::from_value(value).unwrap()
}

fn refusal<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> String {
    serde_json::from_value::<T>(value).err().expect("refused").to_string()
}

fn folder(name: &str, path: &str) -> Application {
    item(json!({"name": name, "folderPath": {"path": path}}))
}

fn asked(mut value: serde_json::Value) -> Requested {
    value["path"] = value.get("path").cloned().unwrap_or(json!("/opt/toolchain/setup"));
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_json_of_an_item_is_that_of_the_api() {
    let written = json!({
        "name": "toolchain",
        "vendor": {"name": "Example GmbH"},
        "product": {"name": "toolchain", "minVersion": "2.1"},
        "verifiedExecutable": {"name": "setup"},
        "fileHash": {"sha256": ["ab".repeat(32)], "sha512": ["cd".repeat(64)]},
        "storeApp": {"id": "org.example.Toolchain"},
        "folderPath": {"path": "/opt/toolchain/**"},
        "clsid": {"id": "{3AD05575-8857-4850-9277-11B85BDB8E09}"},
        "arguments": ["install"],
        "except": [{"folderPath": {"path": "/opt/toolchain/old/**"}, "arguments": []}],
    });
    assert_eq!(serde_json::to_value(item(written.clone())).unwrap(), written);
    let short = json!({"name": "a", "vendor": {"name": "b"}});
    assert_eq!(serde_json::to_value(item(short.clone())).unwrap(), short);
}

#[test]
fn an_item_that_says_too_little_or_too_much_is_refused() {
    let rule = json!({"vendor": {"name": "v"}});
    let digests: Vec<String> = (0..65).map(|n| format!("{n:064x}")).collect();
    for (value, says) in [
        (json!({"name": "a"}), "no rule type is given"),
        (json!({"name": "a", "arguments": ["x"]}), "no rule type is given"),
        (json!({"name": "a", "vendor": {"name": "v"}, "except": [{"arguments": ["x"]}]}), "no rule type is given"),
        (json!({"name": "a", "fileHash": {}}), "names no digest"),
        (json!({"name": "a", "fileHash": {"md5": ["x"]}}), "unknown field `md5`"),
        (json!({"name": "a", "fileHash": {"sha256": ["a".repeat(40)]}}), "MD5 or SHA-1, which are refused"),
        (json!({"name": "a", "fileHash": {"sha256": ["a".repeat(63)]}}), "64 hex digits"),
        (json!({"name": "a", "fileHash": {"sha512": ["a".repeat(64)]}}), "128 hex digits"),
        (json!({"name": "a", "fileHash": {"sha256": digests}}), "fileHash.sha256 has 65 entries, and at most 64"),
        (json!({"name": "a", "vendor": {"name": "v"}, "except": vec![rule; 9]}), "except has 9 entries, and at most 8"),
        (json!({"name": "a", "vendor": {"name": "v"}, "arguments": vec!["x"; 65]}), "arguments has 65 entries"),
        (json!({"name": "a", "vendor": {"name": "v"}, "arguments": ["a\nb"]}), "none of them control or invisible"),
        (json!({"name": "a", "vendor": {"name": "v"}, "path": "/x"}), "unknown field `path`"),
        (json!({"name": "a", "vendor": {"name": " v"}}), "without surrounding blanks"),
        (json!({"name": "a", "vendor": {"name": "a\u{202e}b"}}), "1 to 256 visible characters"),
        (json!({"name": "a", "vendor": {"name": ""}}), "1 to 256 visible characters"),
        (json!({"name": "A", "vendor": {"name": "v"}}), "lower case DNS label"),
        (json!({"name": "a", "clsid": {"id": "3AD05575-8857-4850-9277-11B85BDB8E09"}}), "{3AD05575"),
        (json!({"name": "a", "clsid": {"id": "{3AD05575-8857-4850-9277-11B85BDB8E0}"}}), "{3AD05575"),
        (json!({"name": "a", "clsid": {"id": "{3AD055758-857-4850-9277-11B85BDB8E09}"}}), "{3AD05575"),
        (json!({"name": "a", "clsid": {"id": "{+AD05575-8857-4850-9277-11B85BDB8E09}"}}), "{3AD05575"),
        (json!({"name": "a", "product": {"name": "p", "minVersion": "banana"}}), "does not begin with a number"),
        (json!({"name": "a", "folderPath": {"path": format!("/{}", "a".repeat(1024))}}), "at most 1024 characters"),
        (json!({"name": "a", "except": [{"vendor": {"name": "v"}, "except": []}]}), "unknown field `except`"),
    ] {
        let text = refusal::<Application>(value.clone());
        assert!(text.contains(says), "{value}: {text}");
    }
}

#[test]
fn a_rule_names_its_types_the_strongest_first() {
    let all = item(json!({
        "name": "a", "vendor": {"name": "v"}, "product": {"name": "p"}, "verifiedExecutable": {"name": "e"},
        "fileHash": {"sha256": ["00".repeat(32)]}, "storeApp": {"id": "s"}, "folderPath": {"path": "/x"},
        "clsid": {"id": "{00000000-0000-0000-0000-000000000000}"},
    }));
    let types: Vec<RuleType> = all.rule().types().collect();
    assert!(types.is_sorted() && types.len() == 7, "{types:?}");
    assert_eq!(types.last(), Some(&RuleType::ExactPath));
    assert_eq!(folder("a", "/x/*").rule().strongest(), RuleType::FolderPath);
    assert!(RuleType::FolderPath < RuleType::NoList);
}

#[test]
fn the_best_item_is_the_one_that_says_most_for_the_program() {
    let hash = |name: &str| item(json!({"name": name, "fileHash": {"sha256": ["aa".repeat(32)]}}));
    let both = item(json!({"name": "both", "vendor": {"name": "v"}, "fileHash": {"sha256": ["aa".repeat(32)]}}));
    let excepted = item(
        json!({"name": "ex", "folderPath": {"path": "/opt/**"}, "except": [{"folderPath": {"path": "/opt/toolchain/**"}}]}),
    );
    let stated = asked(json!({"sha256": "aa".repeat(32)})).facts(Some(Platform::Linux));
    let open = asked(json!({})).facts(Some(Platform::Linux));
    let best = |items: &[Application], facts: &Facts| {
        best_cover(items, facts).map(|(item, coverage)| (item.name.to_string(), coverage))
    };
    let wide = folder("wide", "/opt/**");
    let items = [wide.clone(), hash("z"), hash("y")];
    assert_eq!(best(&items, &stated), Some(("y".into(), Coverage::Covered(RuleType::FileHash))));
    assert_eq!(best(&items, &open), Some(("wide".into(), Coverage::Covered(RuleType::FolderPath))));
    let missing = Coverage::Missing(Attribute::Sha256.into());
    assert_eq!(best(&[both, hash("y"), excepted.clone()], &open), Some(("y".into(), missing)));
    assert_eq!(best(&[folder("a", "/srv/*"), excepted], &open), Some(("ex".into(), Coverage::Excepted(0))));
    assert_eq!(best(&[], &open), None);
}

#[test]
fn a_request_names_one_program_that_can_be_read() {
    for (value, says) in [
        (json!({"path": "/opt/*/setup"}), "names one program"),
        (json!({"path": "/opt/**"}), "names one program"),
        (json!({"path": "setup"}), "absolute path"),
        (json!({"path": "~/x.run"}), "~"),
        (json!({"path": "/opt/../x"}), ". and .."),
        (json!({"path": "/opt/\u{200b}x"}), "invisible"),
        (json!({"path": "/opt/x", "arguments": ["a\u{1b}[31m"]}), "invisible"),
        (json!({"path": "/opt/x", "arguments": ["a"], "argumentMatch": "Any"}), "leave the arguments out"),
        (json!({"path": "/opt/x", "sha1": "a"}), "unknown field"),
    ] {
        let text = refusal::<Requested>(value.clone());
        assert!(text.contains(says) && !text.contains('\u{1b}'), "{value}: {text}");
    }
}

#[test]
fn a_request_may_name_an_installer_in_a_folder_with_braces() {
    let path = r"C:\ProgramData\Package Cache\{3AD05575-8857-4850-9277-11B85BDB8E09}\setup.exe";
    assert_eq!(asked(json!({"path": path})).path().as_str(), path);
    assert!(path.parse::<PathPattern>().is_err());
}

#[test]
fn what_a_request_does_not_state_is_unstated() {
    let facts = asked(json!({"vendor": "Example GmbH"})).facts(Some(Platform::Linux));
    assert_eq!(facts.path, facts.resolved_path);
    assert_eq!(facts.arguments, Attr::Known(Arguments::These(Vec::new())));
    assert_eq!((facts.sha256, facts.secure, facts.clsid), (Attr::Unstated, Attr::Unstated, Attr::Absent));
    let facts = asked(json!({"argumentMatch": "Any"})).facts(Some(Platform::Windows));
    assert_eq!((facts.arguments, facts.clsid), (Attr::Known(Arguments::Any), Attr::Unstated));
}

#[test]
fn a_grant_permits_the_one_program_that_was_asked_for() {
    let granted = asked(
        json!({"arguments": ["install"], "sha256": "aa".repeat(32), "vendor": "V", "product": "P", "version": "2.1"}),
    )
    .as_rule();
    let right = Facts {
        sha512: Attr::Error,
        secure: Attr::Known(true),
        ..asked(json!({"arguments": ["install"], "sha256": "aa".repeat(32), "vendor": "V", "product": "P", "version": "2.1.0"}))
            .facts(Some(Platform::Linux))
    };
    assert_eq!(granted.matches(&right), Match::Yes);
    let other: FilePath = "/opt/toolchain/other".parse().unwrap();
    let wrong = [
        Facts { path: Attr::Known(other.clone()), ..right.clone() },
        Facts { resolved_path: Attr::Known(other), ..right.clone() },
        Facts { arguments: Attr::Known(Arguments::These(Vec::new())), ..right.clone() },
        Facts { arguments: Attr::Known(Arguments::Any), ..right.clone() },
        Facts { sha256: Attr::Known("bb".repeat(32).parse().unwrap()), ..right.clone() },
        Facts { vendor: Attr::Absent, ..right.clone() },
        Facts { product: Attr::Known("p".to_owned()), ..right.clone() },
        Facts { version: Attr::Known("2.2".parse().unwrap()), ..right.clone() },
        Facts { secure: Attr::Known(false), ..right.clone() },
    ];
    for facts in wrong {
        assert_eq!(granted.matches(&facts), Match::No, "{facts:?}");
    }
    let unread = Facts { sha256: Attr::Error, secure: Attr::Error, ..right };
    assert_eq!(granted.matches(&unread), Match::Error([Attribute::Sha256, Attribute::Secure].into_iter().collect()));
}

#[test]
fn the_json_of_a_grant_leaves_out_what_was_not_stated() {
    let any = asked(json!({"argumentMatch": "Any"})).as_rule();
    assert_eq!(serde_json::to_value(&any).unwrap(), json!({"path": "/opt/toolchain/setup"}));
    let none = asked(json!({})).as_rule();
    assert_eq!(serde_json::to_value(&none).unwrap(), json!({"path": "/opt/toolchain/setup", "arguments": []}));
    for granted in [any, none] {
        let text = serde_json::to_string(&granted).unwrap();
        assert_eq!(serde_json::from_str::<GrantedApplication>(&text).unwrap(), granted);
    }
}

#[test]
fn a_granted_path_in_bin_is_the_one_in_usr_bin() {
    let granted = asked(json!({"path": "/bin/ls"})).as_rule();
    let facts = |path: &str, platform| asked(json!({"path": path})).facts(platform);
    assert_eq!(granted.matches(&facts("/usr/bin/ls", Some(Platform::Linux))), Match::Yes);
    assert_eq!(granted.matches(&facts("/usr/bin/ls", Some(Platform::MacOs))), Match::No);
    assert_eq!(granted.matches(&facts("/BIN/ls", Some(Platform::MacOs))), Match::Yes);
    assert_eq!(granted.matches(&facts("/bin/ls/x", Some(Platform::Linux))), Match::No);
    assert_eq!(granted.matches(&facts("/usr/bin/ls", None)), Match::Unknown(Attribute::Platform.into()));
}

#[test]
fn a_blocklist_is_in_force_where_it_says() {
    let endpoint = "ws-042".parse().unwrap();
    let labels: Labels = [("team".to_owned(), "dev".to_owned())].into();
    let dev = Selector { match_labels: labels.clone(), ..Selector::default() };
    let all = EndpointTarget::Selector(Selector::default());
    let list = |name: &str, endpoints: EndpointTarget, platforms: &[Platform], absolute| Blocklist {
        name: name.parse().unwrap(),
        endpoints,
        platforms: platforms.iter().copied().collect(),
        applications: vec![folder("tools", "/opt/**")],
        absolute,
    };
    let elsewhere = EndpointTarget::Names(["ws-043".parse().unwrap()].into());
    let lists = [
        list("elsewhere", elsewhere, &[], true),
        list("mac", all.clone(), &[Platform::MacOs], true),
        list("wide", EndpointTarget::Selector(dev), &[Platform::Linux], false),
        list("alike", all, &[], false),
    ];
    let facts = asked(json!({})).facts(Some(Platform::Linux));
    let hit = blocked(&lists, &endpoint, &labels, &facts);
    assert_eq!(hit.absolute, None);
    assert_eq!(hit.ordinary.map(|block| (block.list.as_str(), block.answer)), Some(("alike", Match::Yes)));
    // An unknown platform may be the one.
    let unknown = blocked(&lists, &endpoint, &labels, &asked(json!({})).facts(None));
    assert_eq!(unknown.absolute.map(|block| block.list.as_str()), Some("mac"));
    let elsewhere = asked(json!({"path": "/srv/x"})).facts(Some(Platform::Linux));
    assert_eq!(blocked(&lists, &endpoint, &labels, &elsewhere), Blocks::default());
}

#[test]
fn the_surest_item_of_the_blocklists_is_named() {
    let list = |name: &str, applications| Blocklist {
        name: name.parse().unwrap(),
        endpoints: EndpointTarget::Selector(Selector::default()),
        platforms: BTreeSet::new(),
        applications,
        absolute: true,
    };
    let hash = item(json!({"name": "hash", "fileHash": {"sha256": ["aa".repeat(32)]}}));
    let vendor = item(json!({"name": "vendor", "vendor": {"name": "v"}}));
    let open = list("a", vec![hash.clone(), vendor]);
    let sure = list("z", vec![folder("sure", "/opt/**")]);
    let facts = Facts { vendor: Attr::Error, ..asked(json!({})).facts(Some(Platform::Linux)) };
    let told = |lists: &[Blocklist]| {
        blocked(lists, &"ws-042".parse().unwrap(), &Labels::new(), &facts)
            .absolute
            .map(|block| (block.item.to_string(), block.answer))
    };
    assert_eq!(told(&[open.clone(), sure]), Some(("sure".into(), Match::Yes)));
    assert_eq!(told(&[open]), Some(("vendor".into(), Match::Error(Attribute::Vendor.into()))));
    assert_eq!(told(&[list("a", vec![hash])]), Some(("hash".into(), Match::Unknown(Attribute::Sha256.into()))));
}

#[test]
fn a_message_says_what_would_be_accepted_and_stays_short() {
    assert_eq!(describe(&[]), "nothing");
    assert_eq!(describe(&[folder("a", "/opt/toolchain/**")]), "/opt/toolchain/**");
    let rich = item(json!({
        "name": "a", "vendor": {"name": "Example GmbH"}, "product": {"name": "toolchain", "minVersion": "2.1"},
        "folderPath": {"path": "/opt/**"}, "arguments": ["install", "a b"],
    }));
    let text =
        r#"/opt/**, product toolchain from version 2.1 on, vendor Example GmbH with arguments ["install", "a b"]"#;
    assert_eq!(describe(&[rich]), text);
    let digests = item(
        json!({"name": "a", "fileHash": {"sha256": ["ab".repeat(32)], "sha512": ["cd".repeat(64)]}, "arguments": []}),
    );
    assert_eq!(describe(&[digests]), "sha256 abababababab or sha512 cdcdcdcdcdcd without arguments");
    let long = vec![folder("a", &format!("/{}", "ü".repeat(1000))); 64];
    let text = describe(&long);
    assert!(text.ends_with("; and 59 more") && text.chars().count() < 5 * 130, "{text}");
}

#[test]
fn what_is_missing_is_asked_for_by_its_field() {
    let advice = |attributes: &[Attribute]| attributes.iter().copied().collect::<Attributes>().advice();
    assert_eq!(advice(&[Attribute::Sha256]), "state spec.application.sha256");
    assert_eq!(
        advice(&[Attribute::Vendor, Attribute::Sha256]),
        "state spec.application.sha256 and spec.application.vendor"
    );
    assert_eq!(
        advice(&[Attribute::Clsid, Attribute::Version]),
        "state spec.application.version; only the endpoint itself can tell clsid"
    );
    let every: Attributes = Attribute::ALL.into_iter().collect();
    assert_eq!(every.len(), 13);
    for attribute in Attribute::ALL {
        assert!(every.contains(attribute));
        assert_eq!(serde_json::to_value(attribute).unwrap(), json!(attribute.as_str()), "one word everywhere");
    }
}
