//! What has to be there before the story begins: Tidegate installed and running, the sample fleet, and its people.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use tidegate_test_support::{Agent, ControlPlane, Controller, Gateway, Identity, eventually};

use crate::narrator::Narrator;
use crate::screen::Screen;

/// The fleet of `config/samples`.
pub const FLEET: &str = "berlin";
/// Its endpoint.
pub const ENDPOINT: &str = "ws-042";
/// Nothing of this takes longer, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
/// Every start and end comes within this of its instant at the endpoint, and within twice this in the status.
pub const PUNCTUAL: SignedDuration = SignedDuration::from_secs(1);
/// Width of the agent's terminal.
const COLUMNS: u16 = 120;

/// The running installation and the people. Fields are dropped in this order.
pub struct Stage<'a> {
    /// Two replicas.
    pub gateways: [Gateway; 2],
    /// The one controller.
    pub controller: Controller,
    /// Member of `system:masters`.
    pub admin: &'a Identity,
    /// May ask.
    pub alice: Identity,
    /// May approve.
    pub bob: Identity,
    /// May approve as well, and is up to no good.
    pub mallory: Identity,
    /// What all of it runs on.
    pub control_plane: &'a ControlPlane,
}

// === impl Stage ===

impl<'a> Stage<'a> {
    /// Installs and starts Tidegate and the sample fleet.
    pub async fn set(narrator: &Narrator, control_plane: &'a ControlPlane) -> Result<Self> {
        narrator.note(&format!("Kubernetes 1.{} serves at {}", control_plane.minor(), control_plane.server()));

        narrator.step("Tidegate is installed: its kinds, its roles, and the admission policies that guard decisions");
        narrator.command("admin", "kubectl apply --server-side -k config/default");
        if control_plane.minor() >= 36 {
            narrator.command("admin", "kubectl apply --server-side -k config/admission/mutating");
        }
        control_plane.install().await?;
        narrator.note("in force: a probe of each policy has been refused by it");

        narrator.step("one controller and two gateways start, with exactly the rights that are shipped");
        let controller = Controller::start(control_plane).await?;
        let gateways = [Gateway::start(control_plane).await?, Gateway::start(control_plane).await?];
        controller.ready(SOON).await?;
        controller.guard_passes(SOON).await?;
        narrator.note("controller  ready; it has made its signing key and its certificate authority");
        for gateway in &gateways {
            gateway.ready(SOON).await?;
            narrator.note(&format!("gateway     ready; agents connect to https://{}", gateway.agents));
        }

        narrator.step("a fleet to try it with: one computer, two policies, alice may ask, bob may approve");
        let admin = control_plane.admin();
        let [alice, bob, mallory] = ["alice@corp", "bob@corp", "mallory@corp"].map(|user| control_plane.person(user));
        let stage = Self { gateways, controller, admin, alice: alice?, bob: bob?, mallory: mallory?, control_plane };
        stage.fleet(narrator).await?;
        Ok(stage)
    }

    async fn fleet(&self, narrator: &Narrator) -> Result<()> {
        narrator.kubectl(self.admin, &["apply", "--server-side", "-k", "config/samples"]).await?.ok()?;
        let role = ["--clusterrole=tidegate-approver", "--user=mallory@corp", "-n", FLEET];
        let said = self.admin.kubectl(["create", "rolebinding", "mallory-approves"].iter().chain(&role)).await?;
        said.ok()?;
        for (who, verb) in [(&self.alice, "create"), (&self.bob, "patch"), (&self.mallory, "patch")] {
            eventually(&format!("the right of {} to {verb}", who.user()), SOON, async || {
                let said = who.kubectl(["auth", "can-i", verb, "elevationrequests", "-n", FLEET]).await?;
                ensure!(said.stdout.trim() == "yes", "{}{}", said.stdout, said.stderr);
                Ok(())
            })
            .await?;
        }
        let reached = "--for=jsonpath={.status.endpoints.matched}=1";
        self.admin.kubectl(["wait", reached, "jp", "--all", "-n", FLEET, "--timeout=30s"]).await?.ok()?;
        narrator.kubectl(&self.bob, &["get", "jitpolicies", "-n", FLEET]).await?.ok()?;
        Ok(())
    }

    /// The agent enrols; an administrator approves its certificate.
    pub async fn enrol(&self, narrator: &Narrator) -> Result<Screen> {
        let gateways: Vec<&Gateway> = self.gateways.iter().collect();
        let args = Agent::watch_args(&gateways, &format!("{FLEET}/{ENDPOINT}"))?;
        narrator.command(ENDPOINT, &format!("tidegate-agent {}", args.join(" \\\n               ")));
        let agent = Agent::start_on_terminal(self.control_plane, COLUMNS, args)?;
        narrator.note("its key was made on the computer and stays there; who it is, a person has to say");
        let stderr = &agent.process.stderr;
        let asks = |line: &str| line.contains("kubectl certificate approve ");
        let line = stderr.wait_for("the agent's wish for an approval", 0, SOON, asks).await?;
        narrator.output(&stderr.lines().join("\n"));
        let name = line.rsplit(' ').next().unwrap_or_default();
        narrator.kubectl(self.admin, &["certificate", "approve", name]).await?.ok()?;
        let enrolled = stderr.wait_for("the certificate", 0, SOON, |line| line.contains("enrolled as")).await?;
        narrator.output(&enrolled);
        Ok(Screen { agent })
    }
}
