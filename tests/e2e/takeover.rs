//! Two controllers: one leads, one stands by. However the leader ends or stands still, the other follows in time, and the one that
//! led writes nothing any more.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tidegate_api::names::CONTROLLER;
use tidegate_test_support::servers::{SYSTEM_NAMESPACE, admin_get};
use tidegate_test_support::{Controller, clock, eventually};

use crate::agent::SOON;
use crate::fleet::Fleet;
use crate::installation::{Breakable, READY, breakable_for_long};
use crate::writes;

/// Another one leads within this of a leader that died or stands still.
const DEAD: SignedDuration = SignedDuration::from_secs(17);
/// Another one leads within this of a leader that was told to stop.
const TOLD: SignedDuration = SignedDuration::from_secs(2);

/// A leader and one who stands by, and their names.
struct Pair<'a> {
    broken: &'a Breakable,
    leader: &'a Controller,
    leads: String,
    standby: Controller,
    follows: String,
}

// === impl Pair ===

impl<'a> Pair<'a> {
    async fn of(broken: &'a Breakable) -> Result<Self> {
        let leader = &broken.installation.controller;
        let standby = Controller::start(broken.installation.control_plane).await?;
        standby.ready(READY).await?;
        let (leads, follows) = (leader.name().await?, standby.name().await?);
        let pair = Self { broken, leader, leads, standby, follows };
        ensure!(pair.holder().await? == pair.leads, "the first leads");
        ensure!(says_it_leads(pair.leader).await? && !says_it_leads(&pair.standby).await?, "both say who leads");
        Ok(pair)
    }

    async fn leases(&self) -> Result<Api<Lease>> {
        Ok(Api::namespaced(self.broken.installation.control_plane.admin().client().await?, SYSTEM_NAMESPACE))
    }

    async fn lease(&self) -> Result<LeaseSpec> {
        self.leases().await?.get(CONTROLLER).await?.spec.context("a Lease without a spec")
    }

    async fn holder(&self) -> Result<String> {
        Ok(self.lease().await?.holder_identity.unwrap_or_default())
    }

    /// Waits until the one who stood by leads. By its own word in the Lease that was so soon after what was done to the leader.
    async fn follows(&self, what: &str, since: Timestamp, deadline: SignedDuration) -> Result<()> {
        let lease = eventually(&format!("the next leader after {what}"), SOON, async || {
            let lease = self.lease().await?;
            ensure!(lease.holder_identity.as_deref() == Some(&self.follows), "{lease:?}");
            Ok(lease)
        })
        .await?;
        let after = lease.acquire_time.as_ref().context("no acquireTime")?.0.duration_since(since);
        println!("{what}: the next controller led after {:.2} s", after.as_secs_f64());
        ensure!(after <= deadline, "it led {after:#} after {what}");
        ensure!(lease.lease_transitions == Some(1), "it changed hands once: {lease:?}");
        eventually("its own word", SOON, async || {
            ensure!(says_it_leads(&self.standby).await?, "it does not say so");
            Ok(())
        })
        .await
    }

    fn tried_by_the_first(&self) -> Result<Vec<String>> {
        writes::tried_by(self.broken.installation.control_plane, &self.leads)
    }
}

/// The metric.
async fn says_it_leads(controller: &Controller) -> Result<bool> {
    let (_, metrics) = admin_get(controller.admin, "/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tidegate_leader "));
    Ok(line.context("no metric tidegate_leader")? == "1")
}

#[tokio::test]
async fn a_leader_killed_with_9_is_followed_within_17_s_and_what_waited_is_granted() -> Result<()> {
    let broken = breakable_for_long().await?;
    let pair = Pair::of(&broken).await?;
    let fleet = Fleet::new(&broken.installation, "killed").await?;
    fleet.ask("er-1", "5m").await?;
    fleet.in_state("er-1", "Pending", SOON).await?;

    pair.leader.process.kill9()?;
    let since = clock::now();
    fleet.decide(&fleet.bob, "er-1", "approve").await?;
    pair.follows("kill -9", since, DEAD).await?;
    fleet.in_state("er-1", "Active", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_leader_told_to_stop_ends_well_and_is_followed_within_2_s() -> Result<()> {
    let broken = breakable_for_long().await?;
    let pair = Pair::of(&broken).await?;
    let fleet = Fleet::new(&broken.installation, "released").await?;
    fleet.granted("er-1", "5m").await?;

    let since = clock::now();
    pair.leader.process.sigterm()?;
    pair.follows("SIGTERM", since, TOLD).await?;
    ensure!(pair.leader.process.ended(SOON).await?.success(), "it was told to stop");
    let last = pair.tried_by_the_first()?.pop();
    assert_eq!(last.as_deref(), Some("update leases: 200"), "giving the Lease back is the last thing it writes");
    fleet.decide(&fleet.bob, "er-1", "revoke").await?;
    fleet.in_state("er-1", "Revoked", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn an_old_controller_that_wakes_up_late_revives_nothing() -> Result<()> {
    let broken = breakable_for_long().await?;
    let pair = Pair::of(&broken).await?;
    let fleet = Fleet::new(&broken.installation, "stale").await?;
    // Ends while it stands still, so that a timer of its own is due when it wakes.
    fleet.granted("er-1", "5s").await?;
    fleet.ask("er-2", "5m").await?;
    fleet.in_state("er-2", "Pending", SOON).await?;

    pair.leader.process.stop()?;
    let since = clock::now();
    fleet.decide(&fleet.bob, "er-2", "approve").await?;
    pair.follows("SIGSTOP", since, DEAD).await?;
    let expired = fleet.in_state("er-1", "Expired", SOON).await?;
    fleet.in_state("er-2", "Active", SOON).await?;
    fleet.decide(&fleet.bob, "er-2", "revoke").await?;
    let revoked = fleet.in_state("er-2", "Revoked", SOON).await?;

    let before = pair.tried_by_the_first()?;
    ensure!(before.iter().any(|write| write == "update elevationrequests: 200"), "it wrote while it led: {before:?}");
    pair.leader.process.cont()?;
    assert_eq!(pair.leader.process.ended(SOON).await?.code(), Some(1), "whoever lost the Lease starts anew");
    let log = pair.leader.process.stderr.lines();
    ensure!(log.iter().any(|line| line.contains("lost the Lease")), "it says why: {log:#?}");
    // Written after its end, so the audit log has by now whatever it did.
    fleet.ask("er-3", "5m").await?;
    fleet.in_state("er-3", "Pending", SOON).await?;
    assert_eq!(pair.tried_by_the_first()?, before, "it wrote after it woke up");
    for (name, as_it_was) in [("er-1", expired), ("er-2", revoked)] {
        assert_eq!(fleet.requests().await?.get(name).await?.status, as_it_was.status);
    }
    Ok(())
}

#[tokio::test]
async fn a_leader_that_is_put_out_of_the_lease_ends_and_who_stands_by_does_not_take_it_from_another() -> Result<()> {
    let broken = breakable_for_long().await?;
    let pair = Pair::of(&broken).await?;
    let somebody = Patch::Merge(json!({"spec": {"holderIdentity": "somebody"}}));
    pair.leases().await?.patch(CONTROLLER, &PatchParams::default(), &somebody).await?;
    assert_eq!(pair.leader.process.ended(SOON).await?.code(), Some(1));
    let log = pair.leader.process.stderr.lines();
    ensure!(log.iter().any(|line| line.contains("the Lease is held by somebody now")), "it says why: {log:#?}");
    assert_eq!(pair.holder().await?, "somebody");
    assert_eq!(admin_get(pair.standby.admin, "/readyz").await?.0, 200, "its caches are warm");
    ensure!(!says_it_leads(&pair.standby).await?, "somebody has the Lease");
    assert_eq!(writes::tried_by(broken.installation.control_plane, &pair.follows)?, Vec::<String>::new());
    Ok(())
}
