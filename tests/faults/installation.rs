//! Tidegate on a control plane of the test's own, each server behind a proxy. Everything may be stopped, killed and lied to.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tidegate_test_support::servers::{self, SYSTEM_NAMESPACE, admin_get};
use tidegate_test_support::{ControlPlane, Gateway, Identity, Proxy, eventually};

use crate::kept::{Kept, Start};

/// How long a started process may take to be ready on a busy machine.
pub const READY: Duration = Duration::from_secs(60);

/// An argument of both servers: everything is listed anew so often that a test can wait for it.
pub const RELIST: [&str; 2] = ["--relist-interval", "20s"];

/// A control plane, a gateway, and the ways to the API server.
pub struct Installation {
    /// Where they run. It is left over when this goes; its processes are not.
    pub control_plane: &'static ControlPlane,
    /// Serves agents, behind `gateways_way`.
    pub gateways: [Gateway; 1],
    /// The controller's way to the API server.
    pub way: Proxy,
    /// The gateway's.
    pub gateways_way: Proxy,
    controller: Start,
    gateway: Identity,
}

// === impl Installation ===

impl Installation {
    /// A new one, with its first controller; both servers are ready, and what people write counts.
    pub async fn start() -> Result<(Self, Kept)> {
        Self::start_with(&[]).await
    }

    /// Likewise, with more arguments for both servers.
    pub async fn start_with(more: &'static [&'static str]) -> Result<(Self, Kept)> {
        let started = ControlPlane::start().await?;
        // Namespaces of tests borrow it for good.
        let control_plane: &'static ControlPlane = Box::leak(Box::new(started));
        control_plane.install().await?;
        let (way, gateways_way) = (control_plane.proxy()?, control_plane.proxy()?);
        let behind = async |name: &str, way: &Proxy| {
            let identity = control_plane.service_account(SYSTEM_NAMESPACE, name).await?;
            identity.behind(control_plane.sandbox(), &way.server())
        };
        let (identity, gateway) = (behind(CONTROLLER, &way).await?, behind(GATEWAY, &gateways_way).await?);
        let start = Start { control_plane, identity, more };
        let controller = Kept::start(start.clone()).await?;
        let gateways = [Gateway::start_as(control_plane, &gateway, with(more)).await?];
        let installation = Self { control_plane, gateways, way, gateways_way, controller: start, gateway };
        controller.ready_is(true, READY).await?;
        installation.gateways[0].ready(READY).await?;
        guard_passes(&controller).await?;
        Ok((installation, controller))
    }

    /// Another controller, after the end of the one before. Nobody waits for the Lease of a dead one to run out: how long that takes
    /// is not what is tested here.
    pub async fn controller(&self) -> Result<Kept> {
        let leases: Api<Lease> = Api::namespaced(self.control_plane.admin().client().await?, SYSTEM_NAMESPACE);
        match leases.delete(CONTROLLER, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            deleted => drop(deleted?),
        }
        Kept::start(self.controller.clone()).await
    }

    /// Another gateway, beside the first.
    pub async fn gateway(&self) -> Result<Gateway> {
        Gateway::start_as(self.control_plane, &self.gateway, with(self.controller.more)).await
    }
}

/// Adds these arguments to a server's.
pub fn with(more: &'static [&'static str]) -> impl FnOnce(&mut std::process::Command) {
    move |command| {
        command.args(more);
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let ControlPlane { api_server, etcd, controller_manager, .. } = self.control_plane;
        for process in [controller_manager, api_server, etcd] {
            // Some have ended in the test.
            let _ended = process.kill9();
        }
    }
}

/// Waits until the admission guard of a controller has passed: from then on what people write counts.
pub async fn guard_passes(controller: &Kept) -> Result<()> {
    servers::guard_passes(controller.admin(), READY).await
}

/// Waits until `/readyz` of a server says 200 or, for `false`, 503.
pub async fn ready_is(address: std::net::SocketAddr, wanted: bool, deadline: Duration) -> Result<()> {
    eventually(&format!("readiness {wanted}"), deadline, async || {
        let (code, body) = admin_get(address, "/readyz").await?;
        ensure!((code == 200) == wanted, "{code}: {body}");
        Ok(())
    })
    .await
}
