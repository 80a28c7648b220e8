//! The manifests for Flux and Argo CD, which are theirs to read. Their own definitions, from their Go modules, say whether they are right; that
//! every name in them meets what it names, and that the fleets come after Tidegate, is held here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tidegate_test_support::{Identity, assets, go};

use crate::block::{By, Run};
use crate::reader::Reader;

const PAGE: &str = "docs/gitops.md";
/// What a person copies into their own repository.
const FOLDER: &str = "config/gitops";
const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3@v3.5.7";
/// Where the tools define their kinds: module and file.
const DEFINITIONS: [(&str, &str); 5] = [
    ("github.com/fluxcd/source-controller@v1.9.6", "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"),
    ("github.com/fluxcd/source-controller@v1.9.6", "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml"),
    (
        "github.com/fluxcd/kustomize-controller@v1.9.6",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    ("github.com/fluxcd/helm-controller@v1.6.4", "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"),
    (ARGO_CD, "manifests/crds/application-crd.yaml"),
];

/// An object and the file it stands in, from `FOLDER`.
struct Manifest {
    file: PathBuf,
    object: Value,
}

// === impl Manifest ===

impl Manifest {
    fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    fn is(&self, kind: &str, namespace: &Value, name: &Value) -> bool {
        let metadata = &self.object["metadata"];
        self.kind() == kind && metadata["namespace"] == *namespace && metadata["name"] == *name
    }

    /// The folder that a Kustomization or an Application applies, from `FOLDER`.
    fn path(&self) -> Option<PathBuf> {
        let spec = &self.object["spec"];
        let path = match self.kind() {
            "Kustomization" => spec["path"].as_str()?,
            "Application" if spec["source"]["repoURL"].as_str()?.starts_with("https://") => {
                spec["source"]["path"].as_str()?
            }
            _ => return None,
        };
        Some(path.trim_start_matches("./").into())
    }

    fn wave(&self) -> i64 {
        let wave = self.object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str();
        wave.and_then(|wave| wave.parse().ok()).unwrap_or_default()
    }
}

/// Everything in `FOLDER` that is an object; a patch has no kind.
fn manifests() -> Result<Vec<Manifest>> {
    let root = assets::repository().join(FOLDER);
    let mut found = Vec::new();
    for path in assets::files_below(&root)? {
        let text = std::fs::read_to_string(&path)?;
        let file = path.strip_prefix(&root)?.to_owned();
        for document in text.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document).with_context(|| file.display().to_string())?;
            found.extend(object["kind"].is_string().then(|| Manifest { file: file.clone(), object }));
        }
    }
    Ok(found)
}

/// The names in a manifest that meet nothing: of another object, of a folder.
fn dangling(manifest: &Manifest, all: &[Manifest]) -> Vec<String> {
    let (spec, here) = (&manifest.object["spec"], &manifest.object["metadata"]["namespace"]);
    let mut named: Vec<(&str, &Value)> = Vec::new();
    // What is depended on is of one's own kind.
    named.extend(spec["dependsOn"].as_array().into_iter().flatten().map(|on| (manifest.kind(), on)));
    for reference in [&spec["sourceRef"], &spec["chartRef"]] {
        named.extend(reference["kind"].as_str().map(|kind| (kind, reference)));
    }
    let missing = named.into_iter().filter(|(kind, named)| {
        let namespace = if named["namespace"].is_null() { here } else { &named["namespace"] };
        !all.iter().any(|other| other.is(kind, namespace, &named["name"]))
    });
    let mut problems: Vec<String> =
        missing.map(|(kind, named)| format!("there is no {kind} {}", named["name"])).collect();
    let path = manifest.path();
    let empty = path.filter(|path| !all.iter().any(|other| other.file.starts_with(path)));
    problems.extend(empty.map(|path| format!("there is nothing in {}", path.display())));
    problems
}

/// What installs Tidegate and what applies objects of its kinds, and in which order, as far as a tool is told.
fn fleets_come_last(all: &[Manifest]) -> Result<()> {
    let holds = |path: &Path, what: &dyn Fn(&Value) -> bool| {
        all.iter().any(|other| other.file.starts_with(path) && what(&other.object))
    };
    let ours =
        |object: &Value| object["apiVersion"].as_str().is_some_and(|version| version.starts_with("tidegate.dev/"));
    let release = |object: &Value| object["kind"] == "HelmRelease";
    for fleets in all.iter().filter(|manifest| manifest.path().is_some_and(|path| holds(&path, &ours))) {
        match fleets.kind() {
            "Kustomization" => {
                let on = fleets.object["spec"]["dependsOn"].as_array().context("it depends on nothing")?;
                let first = all.iter().filter(|other| {
                    other.kind() == "Kustomization"
                        && on.iter().any(|on| on["name"] == other.object["metadata"]["name"])
                });
                let waits = |other: &Manifest| other.object["spec"]["wait"] == true;
                let mut installs =
                    first.filter(|other| waits(other) && other.path().is_some_and(|path| holds(&path, &release)));
                ensure!(installs.next().is_some(), "it depends on no Kustomization that waits for a HelmRelease");
            }
            "Application" => {
                let installs = |other: &Manifest| other.kind() == "Application" && other.path().is_none();
                let first = all.iter().find(|other| installs(other)).context("no Application installs the chart")?;
                ensure!(fleets.file.parent() == first.file.parent(), "nothing applies both");
                ensure!(fleets.wave() > first.wave(), "its wave is not later than that of {}", first.file.display());
            }
            other => bail!("a {other} applies them"),
        }
    }
    Ok(())
}

#[test]
fn every_name_in_the_manifests_meets_what_it_names_and_fleets_come_last() -> Result<()> {
    let all = manifests()?;
    ensure!(all.len() > 8, "only {} manifests", all.len());
    let mut problems = Vec::new();
    for manifest in &all {
        problems.extend(dangling(manifest, &all).into_iter().map(|why| format!("{}: {why}", manifest.file.display())));
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    fleets_come_last(&all)
}

#[test]
fn the_manifests_install_the_chart_of_this_version() -> Result<()> {
    for manifest in manifests()? {
        let spec = &manifest.object["spec"];
        let version = match manifest.kind() {
            "OCIRepository" => &spec["ref"]["tag"],
            "Application" if manifest.path().is_none() => &spec["source"]["targetRevision"],
            _ => continue,
        };
        ensure!(version == env!("CARGO_PKG_VERSION"), "{}: version {version}", manifest.file.display());
    }
    Ok(())
}

/// Each file of the folder is in the page; which is what the reader sees, so it is the same.
#[test]
fn the_page_shows_the_manifests_as_they_are() -> Result<()> {
    crate::files::are_shown(PAGE, FOLDER)
}

#[tokio::test]
async fn flux_and_argo_cd_have_every_field_of_the_manifests() -> Result<()> {
    let mut definitions = Vec::new();
    for (module, file) in DEFINITIONS {
        let Some(folder) = go::module(module)? else { return Ok(()) };
        definitions.push(folder.join(file));
    }
    let mut reader = Reader::new("kubectl").await?;
    let admin = reader.control_plane().admin().clone();
    for file in definitions {
        apply(&admin, &["-f", &file.display().to_string()]).await?;
    }
    apply(&admin, &["-k", &assets::repository().join("crds").display().to_string()]).await?;
    admin.kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).await?.ok()?;
    for namespace in ["flux-system", "argocd"] {
        admin.kubectl(["create", "namespace", namespace]).await?.ok()?;
    }
    // As the page says, and then what the tools would apply: namespaces first.
    let mut blocks = crate::blocks(Path::new(PAGE))?;
    blocks.retain(|block| block.run == Run::Elsewhere("their tools".to_owned()));
    ensure!(blocks.len() == 2, "the page has {} blocks for their tools", blocks.len());
    for block in &mut blocks {
        block.run = Run::As(By { person: "admin".to_owned(), ..By::default() });
    }
    reader.reads(&blocks).await?;
    let root = assets::repository().join(FOLDER);
    for file in ["flux/tidegate/namespace.yaml", "flux/tidegate/release.yaml", "argocd/applications", "fleets"] {
        apply(&admin, &["-f", &root.join(file).display().to_string()]).await?;
    }
    Ok(())
}

async fn apply(admin: &Identity, args: &[&str]) -> Result<()> {
    admin
        .kubectl(["apply", "--server-side", "--validate=strict"].iter().chain(args))
        .await?
        .ok()
        .map(drop)
        .context(args.join(" "))
}

#[test]
#[ignore = "needs helm and the chart; `make test-chart` runs it"]
fn helm_takes_the_values_of_the_manifests() -> Result<()> {
    let mut taken = 0;
    for manifest in manifests()? {
        let spec = &manifest.object["spec"];
        let values =
            [&spec["values"], &spec["source"]["helm"]["valuesObject"]].into_iter().find(|values| values.is_object());
        let Some(values) = values else { continue };
        // The chart's schema refuses every value that it does not know.
        let file = assets::temporary_root()?.join("gitops-values.json");
        std::fs::write(&file, serde_json::to_vec(values)?)?;
        let mut helm = Command::new(assets::tool("bin/helm")?);
        helm.args(["template", "tidegate", "charts/tidegate", "--kube-version", "1.36.3", "--values"]).arg(file);
        let said = helm.current_dir(assets::repository()).output()?;
        ensure!(said.status.success(), "{}: {}", manifest.file.display(), String::from_utf8_lossy(&said.stderr));
        taken += 1;
    }
    ensure!(taken == 2, "{taken} manifests have values, not those of Flux and of Argo CD");
    Ok(())
}

/// Their names are free text to Argo CD's definition, and a wrong one is passed over; its manual lists them.
#[test]
fn argo_cd_knows_the_options_and_the_script_is_its_own() -> Result<()> {
    let Some(module) = go::module(ARGO_CD)? else { return Ok(()) };
    let known = std::fs::read_to_string(module.join("docs/user-guide/sync-options.md"))?;
    for manifest in manifests()? {
        for option in manifest.object["spec"]["syncPolicy"]["syncOptions"].as_array().into_iter().flatten() {
            let option = option.as_str().context("an option is text")?;
            ensure!(
                known.contains(&format!("- {option}")),
                "{}: Argo CD's manual has no {option}",
                manifest.file.display()
            );
        }
    }
    let patch = std::fs::read_to_string(assets::repository().join(FOLDER).join("argocd/application-health.yaml"))?;
    let (_, script) = patch.split_once("data:\n").context("no data")?;
    let manual = std::fs::read_to_string(module.join("docs/operator-manual/health.md"))?;
    ensure!(manual.contains(script.trim_end()), "Argo CD's manual has another script for an Application");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifests with one of them changed.
    fn with(file: &str, kind: &str, change: impl FnOnce(&mut Value)) -> Vec<Manifest> {
        let mut all = manifests().expect("manifests");
        let one = all.iter_mut().find(|manifest| {
            manifest.file.ends_with(file)
                && manifest.kind() == kind
                && manifest.object["metadata"]["name"] != "tidegate-config"
        });
        let all_of_file = one.expect(file);
        change(&mut all_of_file.object);
        all
    }

    #[test]
    fn a_kustomization_can_depend_on_kustomizations_only() {
        let mut all = manifests().expect("manifests");
        // The HelmRelease of this name stays.
        all.retain(|manifest| {
            !(manifest.kind() == "Kustomization" && manifest.object["metadata"]["name"] == "tidegate")
        });
        let fleets = all.iter().find(|manifest| manifest.kind() == "Kustomization").expect("fleets");
        assert_eq!(dangling(fleets, &all), ["there is no Kustomization \"tidegate\""]);
        fleets_come_last(&all).expect_err("nothing comes first");
    }

    #[test]
    fn a_source_or_folder_that_is_not_there_is_found() {
        for (change, why) in
            [("chartRef", "there is no OCIRepository \"other\""), ("path", "there is nothing in other")]
        {
            let all = if change == "path" {
                with("fleets.yaml", "Application", |object| object["spec"]["source"]["path"] = "other".into())
            } else {
                with("release.yaml", "HelmRelease", |object| object["spec"]["chartRef"]["name"] = "other".into())
            };
            let found: Vec<String> = all.iter().flat_map(|manifest| dangling(manifest, &all)).collect();
            assert_eq!(found, [why]);
        }
    }

    #[test]
    fn fleets_in_the_same_wave_are_found() {
        let all = with("fleets.yaml", "Application", |object| {
            object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] = "0".into();
        });
        let error = fleets_come_last(&all).expect_err("the same wave");
        assert!(error.to_string().contains("not later"), "{error}");
    }
}
