//! Programs in Go under hack/ that tests ask what another project's library makes of something of ours.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::assets;

/// The folder with the files of a module, such as `github.com/fluxcd/helm-controller@v1.6.0`, fetched once and checked against Go's public
/// record of sums; `None`, said on standard error, where there is no Go.
///
/// # Errors
/// When it cannot be fetched; the text is Go's.
pub fn module(module: &str) -> Result<Option<PathBuf>> {
    // In no module of ours: it would have to name this one.
    let folder = assets::temporary_root()?;
    let fetched =
        Command::new("go").args(["mod", "download", "-json", module]).env("GOFLAGS", "").current_dir(folder).output();
    let output = match fetched {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(without_go(module)),
        other => other.context("go does not start")?,
    };
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).context("go says no JSON")?;
    let folder = said["Dir"].as_str().with_context(|| format!("{module} cannot be fetched: {}", said["Error"]))?;
    Ok(Some(folder.into()))
}

/// Past the test runner, which keeps what a passing test prints to itself.
fn without_go(what: &str) -> Option<PathBuf> {
    let _closed = writeln!(std::io::stderr(), "skipped: go is not installed, so {what} cannot be asked");
    None
}

/// Builds the module in `folder` of the repository and gives the program; `None`, said on standard error, where there is no Go.
///
/// # Errors
/// When it does not build; the text is the compiler's.
pub fn build(folder: &str) -> Result<Option<PathBuf>> {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let program = assets::temporary_root()?.join(format!("go-{name}"));
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(assets::repository().join(folder))
        .output();
    match built {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(without_go(folder)),
        Err(error) => Err(error).context("go does not start"),
        Ok(output) if output.status.success() => Ok(Some(program)),
        Ok(output) => bail!("{folder} does not build:\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}
