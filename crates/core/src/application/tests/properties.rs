//! What holds of every rule and every program. The values are few, so that matches, near misses and overlaps are
//! common.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::application::*;
use crate::target::{EndpointTarget, Platform, Selector};

const VENDORS: [&str; 2] = ["Example GmbH", "Other AG"];

fn digest(n: u8) -> Sha256 {
    Hex::from_bytes([n; 32])
}

fn platform() -> impl Strategy<Value = Option<Platform>> {
    prop_oneof![4 => Just(Some(Platform::Linux)), 2 => Just(Some(Platform::MacOs)), 1 => Just(None)]
}

fn path_text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "B", "ab", "bin", "usr"]), 1..5)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

fn pattern_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "ab", "bin", "usr", "*", "?", "a*", "*b", "**", "**"]),
        1..6,
    )
    .prop_map(|parts| format!("/{}", parts.join("/")))
}

fn attr<T: Clone + std::fmt::Debug>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Attr<T>> {
    prop_oneof![6 => known.prop_map(Attr::Known), 1 => Just(Attr::Absent), 1 => Just(Attr::Error), 1 => Just(Attr::Unstated)]
}

fn vendor_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VENDORS.to_vec())
}

fn some_arguments() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(Just("install".to_owned()), 0..2)
}

fn facts() -> impl Strategy<Value = Facts> {
    let path = || attr(path_text().prop_map(|text| text.parse::<FilePath>().unwrap()));
    let arguments = prop_oneof![4 => some_arguments().prop_map(Arguments::These), 1 => Just(Arguments::Any)];
    let text = || attr(vendor_name().prop_map(str::to_owned));
    let version = attr(prop::sample::select(vec!["1", "2"]).prop_map(|text| text.parse().unwrap()));
    (
        platform(),
        path(),
        path(),
        any::<bool>(),
        attr((0u8..2).prop_map(digest)),
        text(),
        text(),
        version,
        attr(arguments),
        attr(any::<bool>()),
    )
        .prop_map(|(platform, path, resolved, is_link, sha256, vendor, product, version, arguments, secure)| {
            Facts {
                resolved_path: if is_link { resolved } else { path.clone() },
                path,
                sha256,
                vendor,
                product,
                version,
                arguments,
                secure,
                ..Facts::unstated(platform)
            }
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    let maybe = |weight| prop::option::weighted(weight, Just(()));
    let digests = prop::collection::btree_set((0u8..2).prop_map(digest), 1..3);
    let min = prop::option::of(Just("2").prop_map(|text| text.parse().unwrap()));
    (
        prop::option::weighted(0.7, pattern_text()),
        prop::option::weighted(0.3, digests),
        maybe(0.3),
        maybe(0.2),
        min,
        vendor_name(),
        prop::option::weighted(0.2, some_arguments()),
    )
        .prop_filter_map("no rule type", |(path, sha256, vendor, product, min_version, name, arguments)| {
            let name: Text = name.parse().unwrap();
            Rule::try_from(RuleForm {
                folder_path: path.map(|text| FolderPath { path: text.parse().unwrap() }),
                file_hash: sha256.map(|sha256| FileHash { sha256, sha512: BTreeSet::new() }),
                vendor: vendor.map(|()| Vendor { name: name.clone() }),
                product: product.map(|()| Product { name, min_version }),
                arguments,
                ..RuleForm::default()
            })
            .ok()
        })
}

fn item() -> impl Strategy<Value = Application> {
    (prop::sample::select(vec!["a", "b", "c"]), rule(), prop::collection::vec(rule(), 0..3))
        .prop_map(|(name, rule, except)| Application::new(name.parse().unwrap(), rule, except).unwrap())
}

fn requested() -> impl Strategy<Value = Requested> {
    let stated = |weight| prop::option::weighted(weight, Just(()));
    (
        path_text(),
        prop::option::of(some_arguments()),
        stated(0.5),
        stated(0.5),
        (0u8..2).prop_map(digest),
        vendor_name(),
    )
        .prop_map(|(path, arguments, sha256, vendor, digest, name)| {
            let argument_match = if arguments.is_some() { ArgumentMatch::Exact } else { ArgumentMatch::Any };
            let form = RequestedForm {
                path,
                arguments: arguments.unwrap_or_default(),
                argument_match,
                sha256: sha256.map(|()| digest),
                vendor: vendor.map(|()| name.parse().unwrap()),
                product: None,
                version: None,
            };
            Requested::try_from(form).unwrap()
        })
}

fn with_except(item: &Application, except: Vec<Rule>) -> Application {
    Application::new(item.name.clone(), item.rule().clone(), except).unwrap()
}

fn list(name: &str, absolute: bool, applications: Vec<Application>) -> Blocklist {
    let endpoints = EndpointTarget::Selector(Selector::default());
    Blocklist { name: name.parse().unwrap(), endpoints, platforms: BTreeSet::new(), applications, absolute }
}

fn blocks<'a>(lists: &'a [Blocklist], facts: &Facts) -> Blocks<'a> {
    blocked(lists, &"ws-042".parse().unwrap(), &Default::default(), facts)
}

fn in_error(facts: &Facts, attribute: Attribute) -> Facts {
    let mut facts = facts.clone();
    match attribute {
        Attribute::Platform => facts.platform = None,
        Attribute::Path => facts.path = Attr::Error,
        Attribute::ResolvedPath => facts.resolved_path = Attr::Error,
        Attribute::Sha256 => facts.sha256 = Attr::Error,
        Attribute::Sha512 => facts.sha512 = Attr::Error,
        Attribute::Vendor => facts.vendor = Attr::Error,
        Attribute::Product => facts.product = Attr::Error,
        Attribute::Version => facts.version = Attr::Error,
        Attribute::VerifiedExecutable => facts.verified_executable = Attr::Error,
        Attribute::StoreApp => facts.store_app = Attr::Error,
        Attribute::Clsid => facts.clsid = Attr::Error,
        Attribute::Arguments => facts.arguments = Attr::Error,
        Attribute::Secure => facts.secure = Attr::Error,
    }
    facts
}

/// The rule of the patterns, as short as it can be said.
fn reference(pattern: &[&str], path: &[&str], ignore_case: bool) -> bool {
    match (pattern, path) {
        ([], _) => path.is_empty(),
        (["**", rest @ ..], _) => {
            reference(rest, path, ignore_case) || (!path.is_empty() && reference(pattern, &path[1..], ignore_case))
        }
        ([part, rest @ ..], [name, names @ ..]) => {
            let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
            reference_name(&part, &name, ignore_case) && reference(rest, names, ignore_case)
        }
        ([_, ..], []) => false,
    }
}

fn reference_name(pattern: &[char], name: &[char], ignore_case: bool) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        (['*', rest @ ..], _) => {
            reference_name(rest, name, ignore_case)
                || (!name.is_empty() && reference_name(pattern, &name[1..], ignore_case))
        }
        ([wanted, rest @ ..], [found, names @ ..]) => {
            let is_same = wanted == found || (ignore_case && wanted.eq_ignore_ascii_case(found));
            (*wanted == '?' || is_same) && reference_name(rest, names, ignore_case)
        }
        ([_, ..], []) => false,
    }
}

/// Every spelling of a path, on Linux.
fn spellings(path: &str, platform: Platform) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    if platform == Platform::Linux {
        if path.starts_with("/bin/") || path == "/bin" {
            all.push(format!("/usr{path}"));
        }
        if path.starts_with("/usr/bin/") || path == "/usr/bin" {
            all.push(path["/usr".len()..].to_owned());
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_further_except_never_covers_more(item in item(), except in rule(), facts in facts()) {
        let more = item.except().iter().cloned().chain([except]).collect();
        prop_assert!(item.covers(&facts).allows() || !with_except(&item, more).covers(&facts).allows());
    }

    #[test]
    fn a_further_blocklist_item_never_frees(a in item(), b in item(), absolute in any::<bool>(), facts in facts()) {
        let before = [list("one", absolute, vec![a.clone()])];
        let (longer, more) = ([list("one", absolute, vec![a, b.clone()])], [before[0].clone(), list("two", !absolute, vec![b])]);
        for after in [blocks(&longer, &facts), blocks(&more, &facts)] {
            let before = blocks(&before, &facts);
            prop_assert!(before.absolute.is_none() || after.absolute.is_some());
            prop_assert!(before.ordinary.is_none() || after.ordinary.is_some());
        }
    }

    #[test]
    fn an_attribute_in_error_never_allows_more(
        item in item(), facts in facts(), attribute in prop::sample::select(Attribute::ALL.to_vec()),
    ) {
        let worse = in_error(&facts, attribute);
        prop_assert!(item.covers(&facts).allows() || !item.covers(&worse).allows());
        prop_assert!(item.rule().matches(&facts).allows() || !item.rule().matches(&worse).allows());
        prop_assert!(!item.rule().excludes(&facts).denies() || item.rule().excludes(&worse).denies());
        prop_assert!(!item.blocks(&facts).denies() || item.blocks(&worse).denies());
    }

    #[test]
    fn what_is_missing_decides_and_nothing_else_does(item in item(), facts in facts()) {
        if let Coverage::Missing(attributes) = item.covers(&facts) {
            prop_assert!(!attributes.is_empty());
            for attribute in attributes.iter().filter(|attribute| *attribute != Attribute::Platform) {
                let is_error = matches!(item.covers(&in_error(&facts, attribute)), Coverage::Error(_));
                prop_assert!(is_error, "{} is named and does not matter", attribute);
            }
        }
    }

    #[test]
    fn the_order_of_items_and_exceptions_does_not_matter(
        mut items in prop::collection::vec(item(), 1..4), facts in facts(), turn in 0usize..3,
    ) {
        for (index, item) in items.iter_mut().enumerate() {
            *item = Application::new(format!("i{index}").parse().unwrap(), item.rule().clone(), item.except().to_vec()).unwrap();
        }
        let told = |items: &[Application]| best_cover(items, &facts).map(|(item, coverage)| (item.name.clone(), coverage));
        let mut turned = items.clone();
        turned.rotate_left(turn % items.len());
        prop_assert_eq!(told(&items), told(&turned));
        let lists = [list("one", false, items.clone()), list("two", false, turned.clone())];
        let reversed = [list("two", false, items.iter().rev().cloned().collect()), list("one", false, turned)];
        prop_assert_eq!(blocks(&lists, &facts), blocks(&reversed, &facts));
        for item in &items {
            let other = with_except(item, item.except().iter().rev().cloned().collect());
            let without_index = |coverage| match coverage {
                Coverage::Excepted(_) => Coverage::Excepted(0),
                Coverage::Covered(_) | Coverage::Missing(_) | Coverage::Error(_) | Coverage::Not => coverage,
            };
            prop_assert_eq!(without_index(item.covers(&facts)), without_index(other.covers(&facts)));
            prop_assert_eq!(item.blocks(&facts), other.blocks(&facts));
        }
    }

    #[test]
    fn patterns_match_as_the_short_rule_says(pattern in pattern_text(), path in path_text(), mac in any::<bool>()) {
        let platform = if mac { Platform::MacOs } else { Platform::Linux };
        let parts: Vec<&str> = pattern[1..].split('/').collect();
        let expected = spellings(&path, platform)
            .iter()
            .any(|spelling| reference(&parts, &spelling[1..].split('/').collect::<Vec<_>>(), mac));
        let found = pattern.parse::<PathPattern>().unwrap().matches(&path.parse().unwrap(), platform);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn names_match_as_the_short_rule_says(pattern in "(\\*?[ab?]){1,5}\\*?", name in "[abA]{1,8}", mac in any::<bool>()) {
        let platform = if mac { Platform::MacOs } else { Platform::Linux };
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let found = format!("/{pattern}").parse::<PathPattern>().unwrap().matches(&format!("/{name}").parse().unwrap(), platform);
        prop_assert_eq!(found, reference_name(&chars(&pattern), &chars(&name), mac));
    }

    #[test]
    fn an_exact_pattern_and_a_path_agree(a in path_text(), b in path_text(), mac in any::<bool>()) {
        let platform = if mac { Platform::MacOs } else { Platform::Linux };
        let (one, other): (FilePath, FilePath) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert_eq!(a.parse::<PathPattern>().unwrap().matches(&other, platform), one.is_same(&other, platform));
        prop_assert_eq!(one.is_same(&other, platform), other.is_same(&one, platform));
        prop_assert!(one.is_same(&one, platform));
    }

    #[test]
    fn a_pattern_prints_as_it_was_read_and_any_text_is_read_or_refused(
        text in "(/|C:\\\\|)[a-b*?./\\\\ ~$\\[:]{0,12}|\\PC{0,20}|(/[ab*?.]{1,4}){1,5}",
    ) {
        if let Ok(pattern) = text.parse::<PathPattern>() {
            prop_assert_eq!(pattern.to_string(), text.as_str());
            let json = serde_json::to_string(&pattern).unwrap();
            prop_assert_eq!(&serde_json::from_str::<PathPattern>(&json).unwrap(), &pattern);
            // Whatever is accepted as exact is a path, and the only one.
            if pattern.is_exact() {
                let platform = if pattern.fits(Platform::Windows) { Platform::Windows } else { Platform::Linux };
                prop_assert!(pattern.matches(&text.parse().unwrap(), platform));
            }
        }
        if let Ok(path) = text.parse::<FilePath>() {
            prop_assert_eq!(path.as_str(), text.as_str());
        }
    }

    #[test]
    fn a_program_that_a_grant_permits_is_covered_by_every_item_that_covered_the_request(
        item in item(), requested in requested(), facts in facts(),
    ) {
        let stated = requested.facts(facts.platform);
        // The granted program as somebody might find it: what the request did not state can be anything.
        let found = Facts {
            path: stated.path.clone(),
            resolved_path: stated.resolved_path.clone(),
            sha256: if stated.sha256 == Attr::Unstated { facts.sha256 } else { stated.sha256.clone() },
            vendor: if stated.vendor == Attr::Unstated { facts.vendor } else { stated.vendor.clone() },
            arguments: if facts.secure == Attr::Error { facts.arguments } else { stated.arguments.clone() },
            secure: Attr::Known(true),
            ..facts
        };
        let is_granted = requested.as_rule().matches(&found).allows();
        prop_assert!(!(item.covers(&stated).allows() && is_granted) || item.covers(&found).allows());
    }

    #[test]
    fn a_request_reads_back_and_is_permitted_by_its_own_grant(requested in requested(), platform in platform()) {
        let form = RequestedForm::from(requested.clone());
        prop_assert_eq!(&Requested::try_from(form).unwrap(), &requested);
        let granted = requested.as_rule();
        prop_assert!(granted.matches(&requested.facts(platform)).allows());
        let json = serde_json::to_string(&granted).unwrap();
        prop_assert_eq!(serde_json::from_str::<GrantedApplication>(&json).unwrap(), granted);
    }
}
