//! What Argo CD's health scripts and kstatus say of the fixtures, by hack/gitops; no cluster is needed.

use std::process::Command;

use anyhow::{Result, ensure};
use tidegate_test_support::{assets, go};

#[test]
fn argo_cd_and_kstatus_judge_every_fixture_as_expected() -> Result<()> {
    let Some(program) = go::build("hack/gitops")? else { return Ok(()) };
    let judged = Command::new(program).args(["check", "config/argocd"]).current_dir(assets::repository()).output()?;
    let said = String::from_utf8_lossy(&judged.stdout);
    ensure!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stderr));
    println!("{said}");
    Ok(())
}
