//! An SPDX 2.3 document of a tree.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::lock::Lock;
use crate::tree::{Crate, Tree};

/// Something that is linked in and is no crate, with its licence.
#[derive(Debug, PartialEq, Eq)]
pub struct Library {
    library: Crate,
    licence: String,
}

/// All that a document says.
pub struct Document<'a> {
    pub name: &'a str,
    pub created: &'a str,
    pub tree: &'a Tree,
    pub libraries: &'a [Library],
    pub lock: &'a Lock,
}

/// Libraries from `name@version@licence`, each once.
///
/// # Errors
/// When one is not of that form.
pub fn libraries(given: &[String]) -> Result<Vec<Library>> {
    let mut libraries: Vec<Library> = Vec::new();
    for given in given {
        let [name, version, licence] = given.split('@').collect::<Vec<_>>()[..] else {
            bail!("{given:?} is not name@version@licence")
        };
        let library = Crate { name: name.to_owned(), version: version.to_owned() };
        let library = Library { library, licence: licence.to_owned() };
        if !libraries.contains(&library) {
            libraries.push(library);
        }
    }
    Ok(libraries)
}

fn id(of: &Crate) -> String {
    let Crate { name, version } = of;
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("SPDXRef-{name}-{version}").chars().map(legal).collect()
}

fn package(of: &Crate, kind: &str, licence: &str, checksum: Option<&str>) -> Value {
    let Crate { name, version } = of;
    let mut package = json!({
        "SPDXID": id(of),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": if licence.is_empty() { "NOASSERTION" } else { licence },
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            // A version may have a part after a plus, which would be a blank in an address.
            "referenceLocator": format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B")),
        }],
    });
    if let Some(checksum) = checksum {
        package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": checksum}]);
    }
    package
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

// === impl Document ===

impl Document<'_> {
    /// The document, in the same order every time.
    ///
    /// # Errors
    /// When Cargo.lock does not know a crate.
    pub fn spdx(&self) -> Result<Value> {
        let root = id(self.tree.root.as_ref().context("an empty tree")?);
        let mut packages = Vec::new();
        for (krate, licence) in &self.tree.licences {
            let Crate { name, version } = krate;
            let checksum = self.lock.checksum(name, version);
            let checksum = checksum.with_context(|| format!("Cargo.lock does not know {name} {version}"))?;
            packages.push(package(krate, "cargo", licence, checksum));
        }
        let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", &root)];
        relations.extend(self.tree.edges.iter().map(|(from, to)| relation(&id(from), "DEPENDS_ON", &id(to))));
        for Library { library, licence } in self.libraries {
            packages.push(package(library, "generic", licence, None));
            relations.push(relation(&root, "STATIC_LINK", &id(library)));
        }
        Ok(json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self.name,
            "documentNamespace": format!("https://tidegate.dev/spdx/{}/{}", self.name, self.created),
            "creationInfo": {
                "created": self.created,
                "creators": ["Organization: Tidegate", concat!("Tool: tidegate-sbom-", env!("CARGO_PKG_VERSION"))],
            },
            "packages": packages,
            "relationships": relations,
        }))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::lock::tests::LOCK;

    /// A document with a crate of ours and a fetched one.
    pub fn small() -> Value {
        let mut tree = Tree::default();
        tree.add("0|ours v0.1.0|Apache-2.0|\n1|syn v2.0.0||\n").expect("a tree");
        let libraries = libraries(&["glibc@2.36@LGPL-2.1-or-later".to_owned()]).expect("a library");
        let lock = Lock::parse(LOCK);
        let created = "2026-11-22T06:00:00Z";
        Document { name: "small", created, tree: &tree, libraries: &libraries, lock: &lock }.spdx().expect("a document")
    }

    #[test]
    fn a_fetched_crate_has_the_checksum_of_the_lock_file_and_ours_has_none() {
        let document = small();
        assert_eq!(document["packages"][0]["checksums"], Value::Null);
        assert_eq!(document["packages"][1]["checksums"], json!([{"algorithm": "SHA256", "checksumValue": "bb"}]));
        assert_eq!(document["packages"][1]["licenseDeclared"], "NOASSERTION");
        assert_eq!(document["packages"][1]["externalRefs"][0]["referenceLocator"], "pkg:cargo/syn@2.0.0");
        assert_eq!(document["packages"][2]["externalRefs"][0]["referenceLocator"], "pkg:generic/glibc@2.36");
    }

    #[test]
    fn every_relation_is_between_elements_of_the_document() {
        let document = small();
        let relations: Vec<_> = document["relationships"].as_array().expect("a list").iter().collect();
        let said = |relation: &Value| {
            ["spdxElementId", "relationshipType", "relatedSpdxElement"].map(|field| relation[field].clone())
        };
        assert_eq!(said(relations[0]), ["SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-ours-0.1.0"]);
        assert_eq!(said(relations[1]), ["SPDXRef-ours-0.1.0", "DEPENDS_ON", "SPDXRef-syn-2.0.0"]);
        assert_eq!(said(relations[2]), ["SPDXRef-ours-0.1.0", "STATIC_LINK", "SPDXRef-glibc-2.36"]);
    }

    #[test]
    fn a_crate_that_the_lock_file_does_not_know_is_an_error() {
        let mut tree = Tree::default();
        tree.add("0|ours v0.1.0|MIT|\n1|stranger v1.0.0|MIT|\n").expect("a tree");
        let document = Document { name: "", created: "", tree: &tree, libraries: &[], lock: &Lock::parse(LOCK) };
        assert_eq!(document.spdx().expect_err("unknown").to_string(), "Cargo.lock does not know stranger 1.0.0");
    }

    #[test]
    fn a_library_of_two_compilers_is_named_once() {
        let given = ["glibc@2.36@LGPL", "glibc@2.36@LGPL", "glibc@2.39@LGPL"].map(str::to_owned);
        assert_eq!(libraries(&given).expect("libraries").len(), 2);
        assert!(libraries(&["glibc".to_owned()]).is_err());
    }
}
