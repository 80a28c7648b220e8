//! Lock: the stop switch. It lives apart from policies and requests, so that no sync from Git undoes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::targets::EndpointTargets;

/// What is stopped. Immutable as a whole: for another stop create another Lock; deleting it lifts it.
#[expect(clippy::duplicated_attributes, reason = "the lint takes the columns' arguments for attributes")]
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "Lock",
    plural = "locks",
    category = "tidegate",
    namespaced,
    status = "LockStatus",
    derive = "PartialEq",
    doc = "Lock stops elevation in its namespace at once: new requests are declined, and with effect EndAccess running \
           access ends too. It holds until it is deleted or expires.",
    printcolumn(name = "Effect", type_ = "string", json_path = ".spec.effect", description = "What it stops."),
    printcolumn(name = "Ended", type_ = "integer", json_path = ".status.ended", description = "Grants it has ended."),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".spec.expirationTime",
        description = "When it lifts by itself (UTC)."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".spec.message",
        description = "What people who ask are told."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("spec is immutable: create another Lock, then delete this one")
    .reason(Reason::FieldValueForbidden))]
pub struct LockSpec {
    /// What is stopped: every member given must match; {} is the whole fleet.
    pub target: LockTarget,
    /// DeclineNew: new and pending requests are declined (JitDisabled). EndAccess: granted access is revoked as well, also what was
    /// granted ahead. May grow.
    pub effect: LockEffect,
    /// Why, for the person who asks: one line of at most 512 characters. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = crate::schema::one_line())]
    pub message: String,
    /// When the lock lifts by itself: RFC 3339 in UTC, whole seconds. Default: never, somebody deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub expiration_time: Option<Time>,
}

/// What a lock is about. Every member given must match.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockTarget {
    /// Endpoints: exactly one of names and selector. Default: all of the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointTargets>,
    /// Kubernetes users, 1 to 64: as requester, as the person behind the account, or as approver. Default: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = schema::IDENTITY)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub identities: Vec<String>,
    /// Names of JitPolicies, 1 to 64. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub policies: Vec<String>,
}

/// What a lock does. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LockEffect {
    /// Requests are declined; what is granted runs on.
    DeclineNew,
    /// Requests are declined, and what is granted is revoked.
    EndAccess,
}

/// What the lock has done. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Ready: the lock is in force, or has expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// How many grants it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ended: Option<i64>,
}
