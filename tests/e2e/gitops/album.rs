//! The fixtures of one run, and whether they are those in config/argocd. TIDEGATE_WRITE_GOLDEN=1 writes them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_test_support::{Identity, assets, eventually};

use super::fixture;
use crate::agent::SOON;

const FOLDER: &str = "config/argocd/tidegate.dev";

/// Objects as the API server gives them, by kind and name of the fixture.
pub struct Album<'a> {
    admin: &'a Identity,
    taken: BTreeMap<PathBuf, String>,
}

// === impl Album ===

impl<'a> Album<'a> {
    pub fn new(admin: &'a Identity) -> Self {
        Self { admin, taken: BTreeMap::new() }
    }

    /// Who takes them.
    pub fn admin(&self) -> &'a Identity {
        self.admin
    }

    /// Takes object `name` in `namespace` as soon as it is `wanted`.
    pub async fn take(
        &mut self,
        fixture: &str,
        (kind, namespace, name): (&str, &str, &str),
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        let admin = self.admin;
        let what = format!("{kind} {name} to be {fixture}");
        let object = eventually(&what, SOON * 3, async || {
            let said = admin.kubectl(["get", kind, name, "-n", namespace, "-o", "json"]).await?.ok()?;
            let object: Value = serde_json::from_str(&said)?;
            ensure!(wanted(&object), "{}", object["status"]);
            Ok(object)
        });
        let text = fixture::of(object.await?, namespace)?;
        self.taken.insert(PathBuf::from(kind).join("testdata").join(format!("{fixture}.yaml")), text);
        Ok(())
    }

    /// The same object as it was before the API server gave it a status, for clusters that serve older definitions.
    pub fn without_status(&mut self, kind: &str) -> Result<()> {
        let of = |name: &str| PathBuf::from(kind).join("testdata").join(name);
        let unseen = self.taken.get(&of("unseen.yaml")).context("take unseen first")?;
        let mut object: Value = serde_saphyr::from_str(unseen)?;
        object.as_object_mut().context("no object")?.remove("status");
        self.taken.insert(of("no-status.yaml"), serde_saphyr::to_string(&object)?);
        Ok(())
    }

    /// Compares what was taken with what lies in the repository, or writes it there.
    pub fn keep(self) -> Result<()> {
        let root = assets::repository().join(FOLDER);
        let mut different = Vec::new();
        for (path, text) in &self.taken {
            let file = root.join(path);
            if assets::writes_golden() {
                std::fs::create_dir_all(file.parent().context("a fixture lies in a folder")?)?;
                std::fs::write(&file, text)?;
            } else if std::fs::read_to_string(&file).ok().as_ref() != Some(text) {
                different.push(format!("{}: the servers write\n{text}", path.display()));
            }
        }
        ensure!(
            different.is_empty(),
            "{} of {} fixtures are not what the servers write; `make golden` after a wanted change\n{}",
            different.len(),
            self.taken.len(),
            different.join("\n")
        );
        self.nothing_else()
    }

    fn nothing_else(&self) -> Result<()> {
        let root = assets::repository().join(FOLDER);
        for kind in std::fs::read_dir(&root)? {
            let folder = kind?.path().join("testdata");
            for file in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = file?.path();
                ensure!(self.taken.contains_key(path.strip_prefix(&root)?), "nobody takes {}", path.display());
            }
        }
        Ok(())
    }
}
