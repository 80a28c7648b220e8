//! Is a document what it has to be? Read as its readers do: knows nothing of how it was written.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lock::Lock;

/// How many crates the document names, if it has all that SPDX 2.3 asks for, its crates are those that were compiled, no more and no less,
/// and their checksums are those of Cargo.lock.
///
/// # Errors
/// The first thing that is wrong.
pub fn document(text: &str, lock: &Lock, compiled: &BTreeSet<String>) -> Result<usize> {
    let document: Value = serde_json::from_str(text)?;
    let packages = document["packages"].as_array().context("no packages")?;
    form(&document, packages)?;
    let mut crates = BTreeSet::new();
    for package in packages {
        let purl = text_of(&package["externalRefs"][0], "referenceLocator")?;
        let Some(name) = purl.strip_prefix("pkg:cargo/") else { continue };
        let (name, version) = name.split_once('@').with_context(|| format!("{purl} has no version"))?;
        let version = version.replace("%2B", "+");
        ensure!((name, version.as_str()) == (text_of(package, "name")?, text_of(package, "versionInfo")?), "{purl}");
        let known = lock.checksum(name, &version).with_context(|| format!("Cargo.lock does not know {purl}"))?;
        let said = package["checksums"][0]["checksumValue"].as_str();
        ensure!(said == known, "{purl} has checksum {said:?}, and {known:?} in Cargo.lock");
        crates.insert(format!("{name}@{version}"));
    }
    let missing: Vec<_> = compiled.difference(&crates).collect();
    ensure!(missing.is_empty(), "compiled and not in the document: {missing:?}");
    let strange: Vec<_> = crates.difference(compiled).collect();
    ensure!(strange.is_empty(), "in the document and not compiled: {strange:?}");
    Ok(crates.len())
}

/// The fields that SPDX 2.3 demands of a document, its packages and relations; identifiers are unique, and relations lead somewhere.
fn form(document: &Value, packages: &[Value]) -> Result<()> {
    for (field, value) in [("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"), ("SPDXID", "SPDXRef-DOCUMENT")] {
        ensure!(text_of(document, field)? == value, "{field} is {}", document[field]);
    }
    text_of(document, "name")?;
    let namespace = text_of(document, "documentNamespace")?;
    ensure!(namespace.starts_with("https://") && !namespace.contains('#'), "documentNamespace is {namespace}");
    let created = text_of(&document["creationInfo"], "created")?;
    ensure!(created.len() == 20 && created.ends_with('Z'), "created is {created}");
    ensure!(document["creationInfo"]["creators"].as_array().is_some_and(|all| !all.is_empty()), "no creators");
    let mut ids = BTreeSet::from(["SPDXRef-DOCUMENT"]);
    for package in packages {
        let id = text_of(package, "SPDXID")?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        ensure!(id.strip_prefix("SPDXRef-").is_some_and(|rest| rest.chars().all(legal)), "{id} is no identifier");
        ensure!(ids.insert(id), "{id} is there twice");
        for field in ["name", "versionInfo", "downloadLocation", "licenseDeclared", "licenseConcluded", "copyrightText"]
        {
            text_of(package, field).with_context(|| id.to_owned())?;
        }
        ensure!(!text_of(package, "licenseDeclared")?.contains('/'), "{id}: licences are joined by OR");
    }
    let relations = document["relationships"].as_array().context("no relationships")?;
    for relation in relations {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            let id = text_of(relation, end)?;
            ensure!(ids.contains(id), "a relation leads to {id}, which is not there");
        }
    }
    let describes = relations.iter().filter(|relation| relation["relationshipType"] == "DESCRIBES").count();
    ensure!(describes == 1, "it describes {describes} packages");
    Ok(())
}

fn text_of<'a>(of: &'a Value, field: &str) -> Result<&'a str> {
    of[field].as_str().filter(|text| !text.is_empty()).with_context(|| format!("no {field}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::small;
    use crate::lock::tests::LOCK;
    use serde_json::json;

    fn said(document: &Value, compiled: &[&str]) -> String {
        let compiled = compiled.iter().map(|name| (*name).to_owned()).collect();
        match self::document(&document.to_string(), &Lock::parse(LOCK), &compiled) {
            Ok(count) => count.to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    const COMPILED: [&str; 2] = ["ours@0.1.0", "syn@2.0.0"];

    #[test]
    fn what_is_written_passes() {
        assert_eq!(said(&small(), &COMPILED), "2");
    }

    #[test]
    fn a_crate_too_many_or_too_few_is_found() {
        let one = said(&small(), &COMPILED[..1]);
        assert_eq!(one, r#"in the document and not compiled: ["syn@2.0.0"]"#);
        let three = said(&small(), &[COMPILED[0], COMPILED[1], "other@1.0.0"]);
        assert_eq!(three, r#"compiled and not in the document: ["other@1.0.0"]"#);
    }

    #[test]
    fn a_fault_is_found_wherever_it_is() {
        for (place, value, why) in [
            ("/spdxVersion", json!("SPDX-2.2"), "spdxVersion is"),
            ("/documentNamespace", json!("https://x#y"), "documentNamespace is"),
            ("/creationInfo/created", json!("today"), "created is"),
            ("/creationInfo/creators", json!([]), "no creators"),
            ("/packages/1/SPDXID", json!("SPDXRef-ours-0.1.0"), "twice"),
            ("/packages/1/SPDXID", json!("SPDXRef-a_b"), "no identifier"),
            ("/packages/1/licenseDeclared", json!("MIT/Apache-2.0"), "joined by OR"),
            ("/packages/1/copyrightText", json!(""), "no copyrightText"),
            ("/packages/1/checksums/0/checksumValue", json!("aa"), "has checksum"),
            ("/packages/0/checksums", json!([{"checksumValue": "aa"}]), "has checksum"),
            ("/packages/1/versionInfo", json!("2.0.1"), "pkg:cargo/syn@2.0.0"),
            ("/packages/1/externalRefs/0/referenceLocator", json!("pkg:cargo/syn@9.0.0"), "pkg:cargo/syn@9.0.0"),
            ("/relationships/1/relatedSpdxElement", json!("SPDXRef-nobody"), "which is not there"),
            ("/relationships/0/relationshipType", json!("DEPENDS_ON"), "describes 0"),
        ] {
            let mut document = small();
            let (parent, field) = place.rsplit_once('/').expect("a place");
            match document.pointer_mut(place) {
                Some(there) => *there = value,
                None => document.pointer_mut(parent).expect("a parent")[field] = value,
            }
            let said = said(&document, &COMPILED);
            assert!(said.contains(why), "{place}: {said}");
        }
    }
}
