//! The committed corpus, `corpus/applications.yaml`: its header says what the format means.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::application::*;
use crate::target::Platform;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    cases: Vec<Case<Cover>>,
    blocks: Vec<Case<Hit>>,
    patterns: Patterns,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<E> {
    name: String,
    platform: Option<Platform>,
    item: Application,
    facts: Stated,
    #[serde(default)]
    absent: BTreeSet<Attribute>,
    #[serde(default)]
    error: BTreeSet<Attribute>,
    #[serde(default)]
    unstated: BTreeSet<Attribute>,
    expect: E,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stated {
    path: Option<FilePath>,
    resolved_path: Option<FilePath>,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
    vendor: Option<String>,
    product: Option<String>,
    version: Option<crate::version::Version>,
    verified_executable: Option<String>,
    store_app: Option<String>,
    clsid: Option<ClassId>,
    arguments: Option<StatedArguments>,
    secure: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StatedArguments {
    These(Vec<String>),
    Word(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Cover {
    Covered(RuleType),
    Excepted(usize),
    Missing(Vec<Attribute>),
    Error(Vec<Attribute>),
    Not,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Hit {
    Blocked,
    Free,
    Unknown(Vec<Attribute>),
    Error(Vec<Attribute>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patterns {
    accepted: Vec<String>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    path: String,
    says: String,
}

fn corpus() -> Corpus {
    serde_saphyr::from_str(include_str!("../../../corpus/applications.yaml")).unwrap()
}

impl<E> Case<E> {
    fn facts(&self) -> Facts {
        let known = &self.facts;
        let resolved = known.resolved_path.as_ref().or(known.path.as_ref()).cloned();
        let arguments = known.arguments.as_ref().map(|stated| match stated {
            StatedArguments::These(these) => Arguments::These(these.clone()),
            StatedArguments::Word(word) => {
                assert_eq!(word, "any", "{}", self.name);
                Arguments::Any
            }
        });
        Facts {
            platform: self.platform,
            path: self.attr(Attribute::Path, known.path.clone()),
            resolved_path: self.attr(Attribute::ResolvedPath, resolved),
            sha256: self.attr(Attribute::Sha256, known.sha256),
            sha512: self.attr(Attribute::Sha512, known.sha512),
            vendor: self.attr(Attribute::Vendor, known.vendor.clone()),
            product: self.attr(Attribute::Product, known.product.clone()),
            version: self.attr(Attribute::Version, known.version.clone()),
            verified_executable: self.attr(Attribute::VerifiedExecutable, known.verified_executable.clone()),
            store_app: self.attr(Attribute::StoreApp, known.store_app.clone()),
            clsid: self.attr(Attribute::Clsid, known.clsid),
            arguments: self.attr(Attribute::Arguments, arguments),
            secure: self.attr(Attribute::Secure, known.secure),
        }
    }

    fn attr<T>(&self, attribute: Attribute, known: Option<T>) -> Attr<T> {
        match known {
            _ if self.absent.contains(&attribute) => Attr::Absent,
            _ if self.error.contains(&attribute) => Attr::Error,
            _ if self.unstated.contains(&attribute) => Attr::Unstated,
            known => known.into(),
        }
    }
}

fn set(attributes: &[Attribute]) -> Attributes {
    attributes.iter().copied().collect()
}

/// Runs every case before it fails, so that one look shows all that changed.
fn run<E>(cases: &[Case<E>], judge: impl Fn(&Case<E>) -> Result<(), String>) {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names of cases are unique");
    let failed = cases.iter().filter_map(|case| Some(format!("{}: {}", case.name, judge(case).err()?)));
    assert_eq!(failed.collect::<Vec<_>>(), [""; 0]);
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}")) }
}

#[test]
fn every_item_of_the_corpus_covers_what_it_should() {
    let cases = corpus().cases;
    assert!(cases.len() >= 60, "{}", cases.len());
    run(&cases, |case| {
        let wanted = match &case.expect {
            Cover::Covered(rule_type) => Coverage::Covered(*rule_type),
            Cover::Excepted(index) => Coverage::Excepted(*index),
            Cover::Missing(attributes) => Coverage::Missing(set(attributes)),
            Cover::Error(attributes) => Coverage::Error(set(attributes)),
            Cover::Not => Coverage::Not,
        };
        same(case.item.covers(&case.facts()), wanted)
    });
}

#[test]
fn every_blocklist_item_of_the_corpus_names_what_it_should() {
    run(&corpus().blocks, |case| {
        let wanted = match &case.expect {
            Hit::Blocked => Match::Yes,
            Hit::Free => Match::No,
            Hit::Unknown(attributes) => Match::Unknown(set(attributes)),
            Hit::Error(attributes) => Match::Error(set(attributes)),
        };
        same(case.item.blocks(&case.facts()), wanted)
    });
}

#[test]
fn every_pattern_of_the_corpus_is_accepted_or_refused_with_its_text() {
    let Patterns { accepted, refused } = corpus().patterns;
    for text in accepted {
        assert_eq!(text.parse::<PathPattern>().unwrap().to_string(), text);
    }
    for Refused { path, says } in refused {
        let message = path.parse::<PathPattern>().expect_err(&path).to_string();
        assert!(message.contains(&says), "{path:?}: {message}");
    }
}

#[test]
fn items_of_the_corpus_read_back_from_their_own_json() {
    for case in corpus().cases {
        let json = serde_json::to_string(&case.item).unwrap();
        assert_eq!(serde_json::from_str::<Application>(&json).unwrap(), case.item, "{}", case.name);
        assert!(!json.contains("null"), "{json}");
    }
}
