//! What every test of an outage needs: a fleet with its agent, all recorded, and the proof that everything works again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tidegate_api::ElevationRequest;

use crate::agent::{SOON, Watching};
use crate::course::PATIENCE;
use crate::fleet::Fleet;
use crate::installation::{Installation, READY, ready_is};
use crate::kept::Kept;
use crate::record::Recorder;

/// A fleet with an agent, recorded.
pub struct Story<'a> {
    /// People and objects.
    pub fleet: Fleet<'a>,
    /// Of its endpoint.
    pub agent: Watching,
    /// Everything.
    pub recorder: Recorder,
}

// === impl Story ===

impl<'a> Story<'a> {
    /// A new one, its agent enrolled.
    pub async fn begin(installation: &'a Installation) -> Result<Self> {
        let recorder = Recorder::start(installation.control_plane).await?;
        let fleet = Fleet::new(installation, "story").await?;
        let agent = fleet.agent().await?;
        recorder.agent(&fleet.endpoint(), &agent);
        Ok(Self { fleet, agent, recorder })
    }

    /// A grant that the agent has begun, and its end.
    pub async fn granted(&self, name: &str, duration: &str) -> Result<Timestamp> {
        self.ask(name, duration).await?;
        self.fleet.decide(&self.fleet.bob, name, "approve: go ahead").await?;
        let request = self.fleet.in_state(name, "Active", PATIENCE).await?;
        self.agent.started(name, PATIENCE).await?;
        self.recorder.look();
        end_of(&request)
    }

    /// A request that waits for a decision.
    pub async fn ask(&self, name: &str, duration: &str) -> Result<()> {
        self.fleet.ask(name, duration).await?;
        self.fleet.in_state(name, "Pending", PATIENCE).await?;
        Ok(())
    }

    /// The agent ends `name` at its end, whatever else is broken.
    pub async fn ends_on_time(&self, name: &str, end: Timestamp, patience: Duration) -> Result<()> {
        let ended = self.agent.ended(name, patience).await?;
        self.recorder.look();
        ended.is_on_time(end)
    }

    /// Both servers are ready by themselves, a new grant reaches the endpoint and can be taken back, and all invariants held.
    pub async fn works_again(&self, controller: &Kept, name: &str) -> Result<()> {
        let gateway = &self.fleet.installation.gateways[0];
        controller.ready_is(true, READY * 2).await.context("the controller")?;
        ready_is(gateway.admin, true, READY * 2).await.context("the gateway")?;
        self.granted(name, "5m").await?;
        self.fleet.decide(&self.fleet.bob, name, "revoke").await?;
        self.fleet.in_state(name, "Revoked", PATIENCE).await?;
        self.agent.ended(name, SOON * 2).await?;
        controller.sound()?;
        gateway.process.lives()?;
        let panic = gateway.process.stderr.lines().into_iter().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "a panic: {panic:?}");
        self.recorder.check().await
    }
}

/// When a request that was granted ends.
pub fn end_of(request: &ElevationRequest) -> Result<Timestamp> {
    let end = request.status.as_ref().and_then(|status| status.expiration_time.as_ref());
    Ok(end.context("no expirationTime")?.0)
}
