//! JitPolicy: who may get which elevation on which endpoints, and how access is given. Who may approve is not here: that
//! is RBAC.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::counts::RequestCounts;
use crate::elevation::Elevation;
use crate::schema;
use crate::signed::Signed;
use crate::targets::Targets;

/// What is allowed, to whom, and how access is given. Written by people who administer policies, usually from Git.
#[expect(clippy::duplicated_attributes, reason = "the lint takes the columns' arguments for attributes")]
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "JitPolicy",
    plural = "jitpolicies",
    shortname = "jp",
    category = "tidegate",
    namespaced,
    status = "JitPolicyStatus",
    derive = "PartialEq",
    doc = "JitPolicy says who may be elevated on which endpoints of its namespace (the fleet), and how: ahead, at \
           times it names, or on request after a decision. Who may approve is RBAC: the verb approve on jitpolicies.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.elevation.mode",
        description = "What may be run with elevated rights."
    ),
    printcolumn(
        name = "Access",
        type_ = "string",
        json_path = ".spec.access.type",
        description = "How access is given."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Whether the policy is in force, in one word."
    ),
    printcolumn(
        name = "Endpoints",
        type_ = "integer",
        json_path = ".status.endpoints.matched",
        description = "Endpoints the policy reaches."
    ),
    printcolumn(
        name = "Withheld",
        type_ = "integer",
        json_path = ".status.endpoints.withheld",
        description = "Of these, endpoints that do not get it: their agent cannot enforce it, or is unknown."
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.requests.pending",
        description = "Requests that wait for decisions."
    ),
    printcolumn(
        name = "Active",
        type_ = "integer",
        json_path = ".status.requests.active",
        description = "Requests whose access applies now."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "The same for people.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.access.onRequest) || !has(self.access.onRequest.approval) \
    || !has(self.access.onRequest.approval.automatic) || self.access.onRequest.approval.automatic.all(r, \
    !has(r.applications) || r.applications.all(n, has(self.elevation.applications) && \
    self.elevation.applications.exists(a, a.name == n)))")
    .message("an automatic rule names an application that elevation.applications does not list"))]
pub struct JitPolicySpec {
    /// What the policy is for, for people. At most 1,024 characters; default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub description: String,
    /// True switches the policy off: pending requests are declined (JitDisabled), rights granted ahead end; what was granted on
    /// request runs out. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Where and for whom the policy applies.
    pub targets: Targets,
    /// What may be run with elevated rights, and how.
    pub elevation: Elevation,
    /// How access is given.
    pub access: Access,
    /// How long before its end people are told that access ends, at most 8 of 1s to 24h; [] is never. Default [5m, 1m].
    #[serde(default = "default_reminders")]
    #[schemars(length(max = 8), inner(length(max = 18), regex(pattern = schema::DURATION)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = crate::schema::each_duration_between("1s", "24h"))]
    pub reminders: Vec<String>,
    /// How long after its last authenticated contact an agent still starts elevation under this policy, 0s to 168h. What runs, runs
    /// to its end. Default 24h; 0s suits a server, a day a laptop.
    #[serde(default = "default_offline_tolerance")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("0s", "168h"))]
    pub offline_tolerance: String,
}

fn default_reminders() -> Vec<String> {
    vec!["5m".to_owned(), "1m".to_owned()]
}

fn default_offline_tolerance() -> String {
    "24h".to_owned()
}

/// What the controller made of the policy. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JitPolicyStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Ready (True with the reasons Compiled, Suspended, Closed, NoEndpoints; False with Invalid, TooLarge, SigningUnavailable),
    /// Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The current or next span of access, for a policy that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessSpan>,
    /// How many endpoints the policy reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointCounts>,
    /// How many requests under the policy are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestCounts>,
    /// The compiled policy, signed. The last good one stays while a newer generation does not compile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// A span of access, half open.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessSpan {
    /// When it begins (UTC).
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Time,
    /// When it ends (UTC).
    #[schemars(schema_with = "schema::instant")]
    pub end_time: Time,
}

/// Numbers of endpoints.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCounts {
    /// Endpoints that targets.endpoints reaches.
    #[schemars(range(min = 0))]
    pub matched: i64,
    /// Of these, endpoints that do not get the policy: platform or agent do not fit or are unknown, or cannot enforce it.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub withheld: i64,
}
