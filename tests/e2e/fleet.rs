//! A fleet of its own for each test: people, a policy, an endpoint; and what they do, with kubectl, as themselves.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tidegate_api::names::{DECISION_PREFIX, SIGNER_NAME};
use tidegate_api::{self as api, Decision, ElevationRequest, JitPolicy, Lock, ManagedEndpoint};
use tidegate_test_support::{Gateway, Identity, Namespace, Said, clock, eventually, objects};

use crate::agent::{SOON, Watching};
use crate::installation::Installation;

/// The endpoint of every fleet: owned by alice, whose account is `alice`.
pub const ENDPOINT: &str = "ws-042";
/// The policy of every fleet, on request, 1 s to 1 h.
pub const POLICY: &str = "dev-tools";

/// A namespace with a policy, an endpoint and people.
pub struct Fleet<'a> {
    /// What serves it.
    pub installation: &'a Installation,
    /// The namespace.
    pub namespace: Namespace<'static>,
    /// `tidegate-requester`; the person behind account `alice`.
    pub alice: Identity,
    /// `tidegate-approver`.
    pub bob: Identity,
    /// `tidegate-endpoint-admin`, and may approve certificates of endpoints.
    pub carol: Identity,
}

// === impl Fleet ===

impl<'a> Fleet<'a> {
    /// A new one.
    pub async fn new(installation: &'a Installation, prefix: &str) -> Result<Self> {
        let namespace = installation.control_plane.namespace(prefix).await?;
        let alice = namespace.person("alice@corp", "tidegate-requester").await?;
        let bob = namespace.person("bob@corp", "tidegate-approver").await?;
        let carol = namespace.person("carol@corp", "tidegate-endpoint-admin").await?;
        let fleet = Self { installation, namespace, alice, bob, carol };
        fleet.fleets().await?.create(&PostParams::default(), &objects::fleet(16)?).await?;
        fleet.may_approve_certificates(&fleet.carol).await?;
        fleet.policies().await?.create(&PostParams::default(), &objects::policy_on_request(POLICY)?).await?;
        let endpoint = objects::endpoint(ENDPOINT, "alice@corp", "alice")?;
        fleet.endpoints().await?.create(&PostParams::default(), &endpoint).await?;
        Ok(fleet)
    }

    /// Its namespace's name.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Somebody whom RBAC does not bind.
    pub fn admin(&self) -> &Identity {
        self.installation.control_plane.admin()
    }

    // --- the administrator's view ---

    /// Its requests.
    pub async fn requests(&self) -> Result<Api<ElevationRequest>> {
        Ok(Api::namespaced(self.admin().client().await?, self.name()))
    }

    /// Its policies.
    pub async fn policies(&self) -> Result<Api<JitPolicy>> {
        Ok(Api::namespaced(self.admin().client().await?, self.name()))
    }

    /// Its endpoints.
    pub async fn endpoints(&self) -> Result<Api<ManagedEndpoint>> {
        Ok(Api::namespaced(self.admin().client().await?, self.name()))
    }

    /// Its settings.
    pub async fn fleets(&self) -> Result<Api<api::Fleet>> {
        Ok(Api::namespaced(self.admin().client().await?, self.name()))
    }

    /// Its locks.
    pub async fn locks(&self) -> Result<Api<Lock>> {
        Ok(Api::namespaced(self.admin().client().await?, self.name()))
    }

    /// An administrator locks: `spec` as people write it.
    pub async fn lock(&self, name: &str, spec: serde_json::Value) -> Result<()> {
        let lock =
            json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, "spec": spec});
        self.locks().await?.create(&PostParams::default(), &serde_json::from_value(lock)?).await?;
        Ok(())
    }

    /// An administrator adds a policy for every account on the endpoint: `access` as people write it.
    pub async fn policy(&self, name: &str, access: serde_json::Value) -> Result<JitPolicy> {
        Ok(self.policies().await?.create(&PostParams::default(), &objects::policy(name, access)?).await?)
    }

    /// What a cluster administrator gives those who enrol endpoints: certificates are cluster-scoped.
    async fn may_approve_certificates(&self, who: &Identity) -> Result<()> {
        let admin = self.admin().client().await?;
        let name = format!("approves-endpoints-{}", self.name());
        let role: ClusterRole = serde_json::from_value(json!({
            "metadata": {"name": name},
            "rules": [
                {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["get", "list"]},
                {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/approval"], "verbs": ["update"]},
                {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": [SIGNER_NAME], "verbs": ["approve"]},
            ],
        }))?;
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": who.user()}],
        }))?;
        Api::all(admin.clone()).create(&PostParams::default(), &role).await?;
        Api::all(admin).create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    // --- people ---

    /// `who` runs kubectl in this fleet.
    pub async fn kubectl(&self, who: &Identity, args: &[&str]) -> Result<Said> {
        who.kubectl(["-n", self.name()].iter().chain(args)).await
    }

    /// alice asks for `duration` on the endpoint.
    pub async fn ask(&self, name: &str, duration: &str) -> Result<()> {
        self.ask_for(&self.wish(name, duration)?).await
    }

    /// What alice asks for with `ask`.
    pub fn wish(&self, name: &str, duration: &str) -> Result<ElevationRequest> {
        let mut wish = objects::request(name, POLICY, ENDPOINT, "alice", self.alice.user())?;
        wish.spec.duration = Some(duration.to_owned());
        Ok(wish)
    }

    /// alice creates this request.
    pub async fn ask_for(&self, wish: &ElevationRequest) -> Result<()> {
        let sandbox = self.installation.control_plane.sandbox();
        let file = sandbox.fresh_file("manifests", "request.json", &serde_json::to_string(wish)?)?;
        let file = file.to_str().context("the sandbox's path is no text")?;
        self.kubectl(&self.alice, &["create", "-f", file]).await?.ok()?;
        Ok(())
    }

    /// `who` annotates request `name` with the next decision, such as `approve for=10s: go ahead`.
    pub async fn try_to_decide(&self, who: &Identity, name: &str, decision: &str) -> Result<Said> {
        let request = self.requests().await?.get(name).await?;
        let slot = request.annotations().keys().filter(|key| key.starts_with(DECISION_PREFIX)).count() + 1;
        let annotation = format!("{DECISION_PREFIX}{slot}={} {decision}", who.user());
        self.kubectl(who, &["annotate", &format!("er/{name}"), &annotation]).await
    }

    /// `who` decides, and it is taken.
    pub async fn decide(&self, who: &Identity, name: &str, decision: &str) -> Result<()> {
        self.try_to_decide(who, name, decision).await?.ok()?;
        Ok(())
    }

    /// alice asks, bob approves, the controller has said Active.
    pub async fn granted(&self, name: &str, duration: &str) -> Result<ElevationRequest> {
        self.ask(name, duration).await?;
        self.in_state(name, "Pending", SOON).await?;
        self.decide(&self.bob, name, "approve: pairing with Alice").await?;
        self.in_state(name, "Active", SOON).await
    }

    /// Request `name` as soon as its state is this one.
    pub async fn in_state(&self, name: &str, state: &str, deadline: Duration) -> Result<ElevationRequest> {
        let api = self.requests().await?;
        eventually(&format!("state {state} of {name}"), deadline, async || {
            let request = api.get(name).await?;
            let status = request.status.clone().unwrap_or_default();
            if status.state.as_deref() == Some(state) {
                Ok(request)
            } else {
                bail!("{}", serde_json::to_string(&status)?)
            }
        })
        .await
    }

    /// Waits until the finalizer of request `name` is there, or gone.
    pub async fn finalizer(&self, name: &str, wanted: bool) -> Result<()> {
        let api = self.requests().await?;
        eventually(&format!("finalizer of {name}: {wanted}"), SOON, async || {
            let present = !api.get(name).await?.finalizers().is_empty();
            if present == wanted { Ok(()) } else { bail!("{present}") }
        })
        .await
    }

    /// Decision `slot` of request `name`, as soon as the controller has judged it.
    pub async fn decision(&self, name: &str, slot: i64) -> Result<Decision> {
        let api = self.requests().await?;
        eventually(&format!("decision {slot} of {name}"), SOON, async || {
            let decisions = api.get(name).await?.status.unwrap_or_default().decisions;
            let found = decisions.iter().find(|decision| decision.slot == slot).cloned();
            found.with_context(|| format!("{decisions:?}"))
        })
        .await
    }

    /// Changes the policy and waits until the controller has taken that up.
    pub async fn change_policy(&self, change: impl Fn(&mut JitPolicy)) -> Result<()> {
        let api = self.policies().await?;
        let changed = eventually("the change of the policy", SOON, async || {
            let mut policy = api.get(POLICY).await?;
            change(&mut policy);
            Ok(api.replace(POLICY, &PostParams::default(), &policy).await?)
        })
        .await?;
        eventually("the new generation of the policy", SOON, async || {
            let seen = api.get(POLICY).await?.status.and_then(|status| status.observed_generation);
            if seen == changed.metadata.generation { Ok(()) } else { bail!("observed: {seen:?}") }
        })
        .await
    }

    // --- its endpoint ---

    /// `<namespace>/<name>` of the endpoint, as agents are told.
    pub fn endpoint(&self) -> String {
        format!("{}/{ENDPOINT}", self.name())
    }

    /// The endpoint's agent, enrolled with carol's approval and served its first snapshot.
    pub async fn agent(&self) -> Result<Watching> {
        let gateways: Vec<&Gateway> = self.installation.gateways.iter().collect();
        let agent = Watching::start(self.installation.control_plane, &gateways, &self.endpoint())?;
        let csr = self.certificate_request(&[]).await?;
        self.kubectl(&self.carol, &["certificate", "approve", &csr]).await?.ok()?;
        agent.report("the first snapshot", 0, SOON, |report| report.0["event"] == "snapshot").await?;
        Ok(agent)
    }

    /// The name of the certificate request of this fleet's endpoint, as soon as there is one that is not among `known`.
    pub async fn certificate_request(&self, known: &[&str]) -> Result<String> {
        let api: Api<CertificateSigningRequest> = Api::all(self.carol.client().await?);
        let prefix = format!("{}.{ENDPOINT}.", self.name());
        eventually("the endpoint's certificate request", SOON, async || {
            let all = api.list(&ListParams::default()).await?;
            let names: Vec<String> = all.iter().map(ResourceExt::name_any).filter(|n| n.starts_with(&prefix)).collect();
            let fresh = names.iter().find(|name| !known.contains(&name.as_str()));
            fresh.cloned().with_context(|| format!("there are {names:?}"))
        })
        .await
    }
}

/// Condition `type_` of a request.
pub fn condition(request: &ElevationRequest, type_: &str) -> Result<Condition> {
    let status = request.status.as_ref().context("no status")?;
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.cloned().with_context(|| format!("no condition {type_} in {:?}", status.conditions))
}

/// The first whole second that is at least `seconds` from now.
pub fn in_seconds(seconds: i64) -> Result<Timestamp> {
    Ok(Timestamp::from_second(clock::now().checked_add(SignedDuration::from_secs(seconds + 1))?.as_second())?)
}
