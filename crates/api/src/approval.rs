//! What a JitPolicy asks before a request is granted: `spec.access.onRequest.approval`. Who may approve is RBAC.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::targets::{AccountTargets, EndpointTargets};

/// What is approved without a person, and what people have to approve.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.stages) || self.stages.map(s, s.approvals).sum() <= 16")
    .message("stages ask for more than 16 approvals in all; ask for fewer"))]
pub struct ApprovalTerms {
    /// Rules that approve without a person, at most 16, tried in this order: the first that matches approves. Default: none, a
    /// person decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub automatic: Vec<AutomaticRule>,
    /// Sets of approvals, all of which must be met, at most 8 with at most 16 approvals in all. Default: one stage called default
    /// with one approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub stages: Vec<Stage>,
}

/// A rule that approves a request without a person, if everything given matches.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AutomaticRule {
    /// What status.approval.rule of an approved request says: a DNS label of at most 63 characters, unique in the list.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// The accounts it approves for. Default: all that the policy is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<AccountTargets>,
    /// The endpoints it approves on. Default: all that the policy reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointTargets>,
    /// Names of items of elevation.applications that it approves, 1 to 64. Default: all that the policy covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub applications: Vec<String>,
    /// The longest duration it approves, 1s to 24h; a longer wish waits for a person. Default: the policy's maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "24h"))]
    pub max_duration: Option<String>,
}

/// A set of approvals to complete.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// A DNS label of at most 63 characters, unique in the list. RBAC gives a stage to people as jitpolicies/NAME, so it cannot
    /// be status or scale.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    #[x_kube(validation = Rule::new("!(self in ['status', 'scale'])")
        .message("a stage cannot be called status or scale: these are subresources with a meaning of their own"))]
    pub name: String,
    /// How many people have to approve, 1 to 8. One person counts once, over all stages.
    #[schemars(range(min = 1, max = 8))]
    pub approvals: i64,
}
