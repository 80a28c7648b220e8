//! The packed chart, which is all that most people have of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tidegate_test_support::assets;

use crate::helm::{Helm, chart};

/// Packs the chart into helm's own folder and says where the package is.
pub async fn pack(helm: &Helm) -> Result<PathBuf> {
    let folder = helm.folder().display().to_string();
    helm.run(["package", &chart(), "--destination", &folder]).await?.ok()?;
    Ok(helm.folder().join(format!("tidegate-{}.tgz", env!("CARGO_PKG_VERSION"))))
}

/// Its unpacked content.
async fn unpacked(helm: &Helm) -> Result<PathBuf> {
    let package = pack(helm).await?;
    let mut tar = tokio::process::Command::new("tar");
    let status = tar.arg("-xzf").arg(&package).current_dir(helm.folder()).status().await?;
    ensure!(status.success(), "tar: {status}");
    Ok(helm.folder().join("tidegate"))
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn the_package_carries_the_samples_byte_for_byte() -> Result<()> {
    let helm = Helm::alone()?;
    let packed = files(&unpacked(&helm).await?.join("samples"))?;
    assert_eq!(packed, files(&assets::repository().join("config/samples"))?);
    ensure!(packed.len() >= 10, "only {} samples", packed.len());
    Ok(())
}

/// Every file below a folder: its path there and its text.
fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let files = assets::files_below(root)?;
    files.iter().map(|path| Ok((path.strip_prefix(root)?.to_owned(), std::fs::read_to_string(path)?))).collect()
}

#[tokio::test]
#[ignore = "needs helm: make test-chart"]
async fn no_link_of_the_readme_leads_out_of_the_package() -> Result<()> {
    let helm = Helm::alone()?;
    let folder = unpacked(&helm).await?;
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let leads_somewhere = link.starts_with("https://") || link.starts_with('#');
        ensure!(leads_somewhere || (!link.starts_with("..") && folder.join(link).exists()), "{link} leads nowhere");
    }
    Ok(())
}

#[test]
fn the_readme_names_the_helm_that_the_chart_is_tested_with() -> Result<()> {
    let read = |file: &str| std::fs::read_to_string(assets::repository().join(file));
    let makefile = read("Makefile")?;
    let pinned = makefile.lines().find_map(|line| line.strip_prefix("HELM_VERSION := ")).context("no version")?;
    let readme = read("charts/tidegate/README.md")?;
    ensure!(readme.contains(&format!("Tested with Helm {pinned};")), "README.md does not say Helm {pinned}");
    Ok(())
}
