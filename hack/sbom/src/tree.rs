//! Which crates are linked into the programs of a package, and which asks for which, as cargo resolves them: without tests, build
//! scripts, procedural macros and what only other platforms need.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A crate by name and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
}

/// Crates with their licences, and edges from who asks to who is asked for.
#[derive(Debug, Default)]
pub struct Tree {
    pub root: Option<Crate>,
    pub licences: BTreeMap<Crate, String>,
    pub edges: BTreeSet<(Crate, Crate)>,
}

/// What cargo says of a package for a target, a line for each edge: its depth, `|name vVersion ...|licence|`.
///
/// # Errors
/// When cargo does not know the package.
pub fn of_cargo(package: &str, target: &str) -> Result<String> {
    let args = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "|{p}|{l}|"];
    let output = Command::new("cargo").args(args).args(["--package", package, "--target", target]).output();
    let output = output.context("running cargo")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

// === impl Tree ===

impl Tree {
    /// Adds what cargo said; targets add up.
    ///
    /// # Errors
    /// When a line is not of that form.
    pub fn add(&mut self, said: &str) -> Result<()> {
        // Who stands at each depth above the line.
        let mut above: Vec<Crate> = Vec::new();
        for line in said.lines() {
            let (depth, krate, licence) = parse(line).with_context(|| format!("not a line of cargo tree: {line:?}"))?;
            above.truncate(depth);
            ensure!(above.len() == depth, "nothing stands above {line:?}");
            match above.last() {
                Some(above) => drop(self.edges.insert((above.clone(), krate.clone()))),
                None => self.root = Some(krate.clone()),
            }
            self.licences.insert(krate.clone(), licence);
            above.push(krate);
        }
        Ok(())
    }
}

fn parse(line: &str) -> Option<(usize, Crate, String)> {
    let mut parts = line.split('|');
    let depth = parts.next()?.parse().ok()?;
    let mut words = parts.next()?.split_whitespace();
    let (name, version) = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
    // What crates wrote before SPDX had a word for it.
    let licence = parts.next()?.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
    Some((depth, Crate { name, version }, licence))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A package of this repository, a crate that two others ask for, and another version of it.
    pub const SAID: &str = "0|ours v0.1.0 (/src)|Apache-2.0|\n1|a v1.2.3|MIT/Apache-2.0|\n2|syn v1.0.0|MIT|\n1|b v2.0.0|MIT|\n\
        2|syn v1.0.0|MIT| (*)\n2|syn v2.0.0|MIT|\n";

    fn pairs(tree: &Tree) -> Vec<String> {
        tree.edges.iter().map(|(from, to)| format!("{}>{}@{}", from.name, to.name, to.version)).collect()
    }

    #[test]
    fn depths_become_edges_and_a_licence_is_written_as_spdx_wants_it() {
        let mut tree = Tree::default();
        tree.add(SAID).expect("a tree");
        assert_eq!(pairs(&tree), ["a>syn@1.0.0", "b>syn@1.0.0", "b>syn@2.0.0", "ours>a@1.2.3", "ours>b@2.0.0"]);
        assert_eq!(tree.root.as_ref().map(|root| root.name.as_str()), Some("ours"));
        let a = Crate { name: "a".to_owned(), version: "1.2.3".to_owned() };
        assert_eq!(tree.licences[&a], "MIT OR Apache-2.0");
    }

    #[test]
    fn targets_add_up() {
        let mut tree = Tree::default();
        tree.add("0|ours v0.1.0|MIT|\n1|a v1.0.0|MIT|\n").expect("a tree");
        tree.add("0|ours v0.1.0|MIT|\n1|b v1.0.0|MIT|\n").expect("a tree");
        assert_eq!(pairs(&tree), ["ours>a@1.0.0", "ours>b@1.0.0"]);
    }

    #[test]
    fn what_cargo_does_not_say_is_an_error() {
        for said in ["ours v0.1.0", "0|ours|MIT|", "0|ours v1.0.0|MIT|\n2|a v1.0.0|MIT|"] {
            assert!(Tree::default().add(said).is_err(), "{said:?}");
        }
    }
}
