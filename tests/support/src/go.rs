//! Programs in Go under hack/ that tests ask what another project's library makes of something of ours.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::assets;

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
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Past the test runner, which keeps what a passing test prints to itself.
            let _closed = writeln!(std::io::stderr(), "skipped: go is not installed, so {folder} cannot be asked");
            Ok(None)
        }
        Err(error) => Err(error).context("go does not start"),
        Ok(output) if output.status.success() => Ok(Some(program)),
        Ok(output) => bail!("{folder} does not build:\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}
