//! A namespace (a fleet) for one test, and rights in it. It goes with the control plane; nothing else uses its name.

use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, RoleBinding, RoleRef, Subject};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::identity::Identity;

/// The API server's RBAC authorizer reads from watches; they lag by milliseconds.
const RBAC_DEADLINE: Duration = Duration::from_secs(10);

/// A namespace that only this test uses.
pub struct Namespace<'a> {
    control_plane: &'a ControlPlane,
    name: String,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// A new namespace named `<prefix>-<random>`.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace<'_>> {
        let api: Api<KubeNamespace> = Api::all(self.admin().client().await?);
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let wanted = KubeNamespace { metadata, ..KubeNamespace::default() };
        let created = api.create(&PostParams::default(), &wanted).await?;
        match created.metadata.name {
            Some(name) => Ok(Namespace { control_plane: self, name }),
            None => bail!("the API server created a namespace without a name"),
        }
    }
}

// === impl Namespace ===

impl Namespace<'_> {
    /// Its name, for `-n` and `Api::namespaced`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A person who has a shipped ClusterRole (`tidegate-requester`, `tidegate-approver`, …) here; returns once the API
    /// server honours it.
    ///
    /// # Errors
    /// When the role does not exist or is not in force within 10 s.
    pub async fn person(&self, user: &str, cluster_role: &str) -> Result<Identity> {
        let person = self.control_plane.person(user)?;
        self.bind(&person, cluster_role).await?;
        Ok(person)
    }

    /// Gives `identity` one more ClusterRole here; returns once the API server honours it.
    ///
    /// # Errors
    /// When the role does not exist or is not in force within 10 s.
    pub async fn bind(&self, identity: &Identity, cluster_role: &str) -> Result<()> {
        let admin = self.control_plane.admin().client().await?;
        let wanted = Api::<ClusterRole>::all(admin.clone()).get(cluster_role).await?.rules.unwrap_or_default();
        let binding = RoleBinding {
            metadata: ObjectMeta { generate_name: Some(format!("{cluster_role}-")), ..ObjectMeta::default() },
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "ClusterRole".to_owned(),
                name: cluster_role.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "User".to_owned(),
                name: identity.user().to_owned(),
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                namespace: None,
            }]),
        };
        Api::<RoleBinding>::namespaced(admin, &self.name).create(&PostParams::default(), &binding).await?;
        self.in_force(identity, cluster_role, &wanted).await
    }

    /// Waits until the authorizer itself lists every rule of the role for this identity.
    async fn in_force(&self, identity: &Identity, cluster_role: &str, wanted: &[PolicyRule]) -> Result<()> {
        let api: Api<SelfSubjectRulesReview> = Api::all(identity.client().await?);
        let spec = SelfSubjectRulesReviewSpec { namespace: Some(self.name.clone()) };
        let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
        eventually(&format!("{cluster_role} for {}", identity.user()), RBAC_DEADLINE, async || {
            let rules = api.create(&PostParams::default(), &review).await?.status.unwrap_or_default().resource_rules;
            let has = |rule: &PolicyRule| {
                rules.iter().any(|given| {
                    Some(&given.verbs) == Some(&rule.verbs)
                        && given.resources == rule.resources
                        && given.api_groups == rule.api_groups
                        && given.resource_names == rule.resource_names
                })
            };
            match wanted.iter().find(|rule| !has(rule)) {
                None => Ok(()),
                Some(missing) => bail!("no rule yet for {:?} on {:?}", missing.verbs, missing.resources),
            }
        })
        .await
    }
}
