//! A control plane with Tidegate running on it: one that all tests share and leave alone, and one for the tests that stop or
//! kill a process of it, in turns.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tidegate_test_support::{ControlPlane, Controller, Gateway, control_plane};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long a started process may take to be ready on a busy machine.
pub const READY: Duration = Duration::from_secs(30);

/// One controller and two gateways, ready.
pub struct Installation {
    /// Where they run.
    pub control_plane: &'static ControlPlane,
    /// The controller.
    pub controller: Controller,
    /// Two of them.
    pub gateways: [Gateway; 2],
}

/// An installation that a test may break. The next such test waits until this one is dropped.
pub struct Breakable {
    /// Its processes are this test's own; the control plane is not.
    pub installation: Installation,
    _turn: MutexGuard<'static, ()>,
}

// === impl Installation ===

impl Installation {
    /// One on a control plane that nothing else uses, which goes with the tests.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn alone() -> Result<Self> {
        Self::start(own_control_plane().await?).await
    }

    /// Starts one on a control plane where Tidegate is installed and nothing of it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(control_plane: &'static ControlPlane) -> Result<Self> {
        let controller = Controller::start_anew(control_plane).await?;
        let gateways = [Gateway::start(control_plane).await?, Gateway::start(control_plane).await?];
        controller.ready(READY).await?;
        controller.guard_passes(READY).await?;
        for gateway in &gateways {
            gateway.ready(READY).await?;
        }
        Ok(Self { control_plane, controller, gateways })
    }
}

/// The installation that tests share; started by the first that asks. Nobody may stop a process of it.
///
/// # Errors
/// When it does not start; all callers get the same text.
pub async fn shared() -> Result<&'static Installation> {
    static SHARED: OnceCell<Result<Installation, String>> = OnceCell::const_new();
    let start = async || Installation::start(control_plane().await?).await;
    let shared = SHARED.get_or_init(async || start().await.map_err(|error| format!("{error:#}"))).await;
    shared.as_ref().map_err(|text| anyhow!("{text}"))
}

/// A control plane of one test's own, with Tidegate installed and nothing of it running. It lasts as long as this process, like the
/// shared one.
///
/// # Errors
/// When it does not start.
pub async fn own_control_plane() -> Result<&'static ControlPlane> {
    Ok(Box::leak(Box::new(ControlPlane::start_installed().await?)))
}

/// A control plane on which tests break installations, one after the other.
struct Ground {
    turn: Mutex<()>,
    control_plane: OnceCell<Result<ControlPlane, String>>,
}

// === impl Ground ===

impl Ground {
    const fn new() -> Self {
        Self { turn: Mutex::const_new(()), control_plane: OnceCell::const_new() }
    }

    async fn breakable(&'static self) -> Result<Breakable> {
        let turn = self.turn.lock().await;
        let start = ControlPlane::start_installed;
        let own = self.control_plane.get_or_init(async || start().await.map_err(|error| format!("{error:#}"))).await;
        let control_plane = own.as_ref().map_err(|text| anyhow!("{text}"))?;
        Ok(Breakable { installation: Installation::start(control_plane).await?, _turn: turn })
    }
}

/// An installation of this test's own, on a second control plane.
///
/// # Errors
/// When it does not start.
pub async fn breakable() -> Result<Breakable> {
    static GROUND: Ground = Ground::new();
    GROUND.breakable().await
}

/// Likewise on a third, for tests that wait until a Lease has ended: nobody else waits for them.
///
/// # Errors
/// When it does not start.
pub async fn breakable_for_long() -> Result<Breakable> {
    static GROUND: Ground = Ground::new();
    GROUND.breakable().await
}
