//! `controller probe`, as `helm test` runs it: as the probe's own ServiceAccount, where everything is in force. That it fails where
//! something is not is tried in tests/chart.

use anyhow::{Result, ensure};
use tidegate_test_support::control_plane;
use tidegate_test_support::servers::{SYSTEM_NAMESPACE, run_probe};

#[tokio::test]
async fn every_forgery_of_the_probe_is_refused_by_name_and_what_is_honest_gets_through() -> Result<()> {
    let control_plane = control_plane().await?;
    let probe = control_plane.service_account(SYSTEM_NAMESPACE, "tidegate-probe").await?;
    let said = run_probe(&probe, &["probe", "--namespace", SYSTEM_NAMESPACE]).await?;
    let expected = [
        "allowed  an honest request",
        "refused  a request in somebody else's name, by decisions.tidegate.dev: spec.requester must be your own user name, \
         system:serviceaccount:tidegate-system:tidegate-probe",
        "allowed  an honest decision",
        "refused  a decision in somebody else's name, by decisions.tidegate.dev: a decision must start with your own user name, \
         system:serviceaccount:tidegate-system:tidegate-probe",
        "refused  an approval of one's own request, by decisions.tidegate.dev: nobody may approve their own request",
        "refused  a status that is not the controller's, by status.tidegate.dev: only the controller writes this status",
    ];
    ensure!(said.success, "it failed: {said:?}");
    assert_eq!(said.stdout.lines().collect::<Vec<_>>(), expected);

    // Somebody else, whom RBAC refuses: that proves nothing, so it is no success.
    let nobody = control_plane.service_account(SYSTEM_NAMESPACE, "default").await?;
    let said = run_probe(&nobody, &["probe", "--namespace", SYSTEM_NAMESPACE]).await?;
    ensure!(!said.success && said.stdout.contains("FAILED   trying an honest request"), "{said:?}");
    Ok(())
}
