//! A fleet of its own for each test, with the people of the samples in it, and what it takes to try something and to read
//! who refused it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidegate_api::ElevationRequest;
use tidegate_api::names::{CONTROLLER, DECISION_PREFIX};
use tidegate_test_support::objects;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, Identity, Namespace, control_plane, eventually};

/// The policy that all requests here name. It does not exist: admission asks RBAC only.
pub const POLICY: &str = "dev-tools";

/// A namespace with alice, who may ask, and bob, who may decide.
pub struct Fleet {
    /// The control plane it is on.
    pub control_plane: &'static ControlPlane,
    /// The namespace.
    pub namespace: Namespace<'static>,
    /// `tidegate-requester`.
    pub alice: Identity,
    /// `tidegate-approver`.
    pub bob: Identity,
}

// === impl Fleet ===

impl Fleet {
    /// A new one on the shared control plane.
    pub async fn new(prefix: &str) -> Result<Self> {
        Self::on(control_plane().await?, prefix).await
    }

    /// A new one on this control plane.
    pub async fn on(control_plane: &'static ControlPlane, prefix: &str) -> Result<Self> {
        let namespace = control_plane.namespace(prefix).await?;
        let alice = namespace.person("alice@corp", "tidegate-requester").await?;
        let bob = namespace.person("bob@corp", "tidegate-approver").await?;
        Ok(Self { control_plane, namespace, alice, bob })
    }

    /// The controller, as its ServiceAccount.
    pub async fn controller(&self) -> Result<Identity> {
        self.control_plane.service_account(SYSTEM_NAMESPACE, CONTROLLER).await
    }

    /// Requests of this fleet as `who` may reach them.
    pub async fn requests(&self, who: &Identity) -> Result<Api<ElevationRequest>> {
        Ok(Api::namespaced(who.client().await?, self.namespace.name()))
    }

    /// Alice's request for dev-tools on ws-042.
    pub async fn request(&self, name: &str) -> Result<ElevationRequest> {
        let request = wish(name, &self.alice)?;
        Ok(self.requests(&self.alice).await?.create(&PostParams::default(), &request).await?)
    }

    /// Alice's request, once the policy on decisions is in force: on a control plane that was not waited for.
    pub async fn request_in_force(&self, name: &str, deadline: Duration) -> Result<()> {
        self.request(name).await?;
        let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
        let forged = annotate(&format!("{DECISION_PREFIX}1"), "somebody@else deny");
        let requests = self.requests(&self.bob).await?;
        eventually("the policy on decisions", deadline, async || {
            let tried = requests.patch(name, &dry_run, &Patch::Merge(&forged)).await;
            tried.refused("a forged decision", "decisions.tidegate.dev", "your own user name")
        })
        .await
    }

    /// `who` merges `patch` into request `name`.
    pub async fn merge(&self, who: &Identity, name: &str, patch: &Value) -> Result<Tried<ElevationRequest>> {
        Ok(self.requests(who).await?.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    /// `who` writes `text` as decision `slot` of request `name`.
    pub async fn decide(&self, who: &Identity, name: &str, slot: usize, text: &str) -> Result<Tried<ElevationRequest>> {
        self.merge(who, name, &annotate(&format!("{DECISION_PREFIX}{slot}"), text)).await
    }
}

/// A request by `requester` for the account alice on ws-042.
pub fn wish(name: &str, requester: &Identity) -> Result<ElevationRequest> {
    objects::request(name, POLICY, "ws-042", "alice", requester.user())
}

/// A merge patch that sets one annotation.
pub fn annotate(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

/// What the API server answered.
pub type Tried<T> = kube::Result<T>;

/// The judgement of one attempt.
pub trait Judged<T> {
    /// It worked.
    fn allowed(self, what: &str) -> Result<T>;
    /// It was refused, and the message has both `by` (who refused) and `text` (the rule).
    fn refused(self, what: &str, by: &str, text: &str) -> Result<()>;
}

// === impl Judged ===

impl<T> Judged<T> for Tried<T> {
    fn allowed(self, what: &str) -> Result<T> {
        self.with_context(|| format!("{what}: this had to be allowed"))
    }

    fn refused(self, what: &str, by: &str, text: &str) -> Result<()> {
        let Err(error) = self else { bail!("{what}: this had to be refused with `{text}`, but it worked") };
        let message = error.to_string();
        ensure!(
            message.contains(by) && message.contains(text),
            "{what}: wanted a refusal by {by} with `{text}`, got: {message}"
        );
        Ok(())
    }
}
