//! JitPolicy: who may get which elevation on which endpoints, and how access is given. Who may approve is not here: that
//! is RBAC.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::signed::Signed;

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
    doc = "JitPolicy says who may be elevated on which endpoints of its namespace (the fleet), and how: in a window, or on \
           request after a decision. Who may approve is RBAC: the verb approve on jitpolicies.",
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
pub struct JitPolicySpec {
    /// What the policy is for, for people. At most 1,024 characters; default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub description: String,
    /// Where and for whom the policy applies.
    pub targets: Targets,
    /// What may be run with elevated rights.
    pub elevation: Elevation,
    /// How access is given.
    pub access: Access,
}

/// Where and for whom a policy applies: an account on an endpoint must be in both.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// The endpoints: exactly one of names and selector.
    pub endpoints: EndpointTargets,
    /// The accounts on those endpoints: everyone, or names and/or groups.
    pub accounts: AccountTargets,
}

/// The endpoints of the fleet that a policy reaches.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.names) != has(self.selector)")
    .message("give exactly one of names and selector (selector: {} is every endpoint of the fleet)"))]
pub struct EndpointTargets {
    /// Names of ManagedEndpoints, 1 to 256. A name that does not exist yet is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Selects ManagedEndpoints by their labels; {} selects every endpoint of the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

/// The accounts on the endpoints that a policy is for.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.everyone) && self.everyone) != (has(self.names) || has(self.groups))")
    .message("give either everyone: true, or names and/or groups"))]
pub struct AccountTargets {
    /// Every account that the endpoint lists. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
    /// Login names on the endpoint, 1 to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Groups recorded with the account in ManagedEndpoint (not the operating system's groups), 1 to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
    /// Accounts left out although named above. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<AccountExceptions>,
}

/// Accounts left out of a policy.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountExceptions {
    /// Login names that the policy is not for, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Groups that the policy is not for, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
}

/// What may be run with elevated rights.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elevation {
    /// AnyApplication: any program may be run with elevated rights. More modes will come.
    pub mode: ElevationMode,
}

/// The kinds of elevation. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ElevationMode {
    /// Any program may be run with elevated rights.
    AnyApplication,
}

/// How access is given: `type` says how, and the member of that name holds its settings.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Window') == has(self.window)")
    .message("window belongs to type: Window, and is required there"))]
#[x_kube(validation = Rule::new("(self.type == 'OnRequest') == has(self.onRequest)")
    .message("onRequest belongs to type: OnRequest, and is required there (onRequest: {} takes every default)"))]
pub struct Access {
    /// Window: once, from one instant to another, without a request. OnRequest: after a person has approved an
    /// ElevationRequest. More types will come.
    #[serde(rename = "type")]
    pub access_type: AccessType,
    /// The span in which access is given, for type Window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What a request must bring, for type OnRequest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_request: Option<OnRequest>,
}

/// The ways of giving access. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AccessType {
    /// Once, from one instant to another, without a request.
    Window,
    /// After a person has approved an ElevationRequest.
    OnRequest,
}

/// One span of access, half open: the end itself is outside.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.endTime > self.startTime").message("endTime must be after startTime"))]
pub struct Window {
    /// When access begins: RFC 3339 in UTC, whole seconds, such as 2027-01-31T18:00:00Z.
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Time,
    /// When access ends, after startTime; same form.
    #[schemars(schema_with = "schema::instant")]
    pub end_time: Time,
}

/// What a request under this policy must bring, and how long it waits.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnRequest {
    /// The reason people must give. Default {required: true, minLength: 10}.
    #[serde(default)]
    pub reason: ReasonRule,
    /// How long access may last: 1s <= min <= default <= max <= 24h. Default {min: 5m, max: 24h, default: 30m}.
    #[serde(default)]
    pub duration: DurationRange,
    /// How long a request waits for its decisions before it is TimedOut, 1s to 168h. Default 1h.
    #[serde(default = "default_pending_timeout")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "168h"))]
    pub pending_timeout: String,
}

impl Default for OnRequest {
    fn default() -> Self {
        Self {
            reason: ReasonRule::default(),
            duration: DurationRange::default(),
            pending_timeout: default_pending_timeout(),
        }
    }
}

fn default_pending_timeout() -> String {
    "1h".to_owned()
}

/// What is asked of the reason of a request.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonRule {
    /// Whether a request must give a reason. Default true.
    #[serde(default = "default_reason_required")]
    pub required: bool,
    /// The least number of characters of a reason that is given, 0 to 512. Default 10.
    #[serde(default = "default_reason_min_length")]
    #[schemars(range(min = 0, max = 512))]
    pub min_length: i64,
}

impl Default for ReasonRule {
    fn default() -> Self {
        Self { required: default_reason_required(), min_length: default_reason_min_length() }
    }
}

fn default_reason_required() -> bool {
    true
}

fn default_reason_min_length() -> i64 {
    10
}

/// How long access may last.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = crate::schema::duration_range())]
pub struct DurationRange {
    /// The shortest that may be asked for or granted, at least 1s. Default 5m.
    #[serde(default = "default_min")]
    #[schemars(schema_with = "schema::duration")]
    pub min: String,
    /// The longest that may be asked for or granted, at most 24h. Default 24h.
    #[serde(default = "default_max")]
    #[schemars(schema_with = "schema::duration")]
    pub max: String,
    /// What a request gets that asks for no duration. Default 30m.
    #[serde(default = "default_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub default: String,
}

impl Default for DurationRange {
    fn default() -> Self {
        Self { min: default_min(), max: default_max(), default: default_duration() }
    }
}

fn default_min() -> String {
    "5m".to_owned()
}

fn default_max() -> String {
    "24h".to_owned()
}

fn default_duration() -> String {
    "30m".to_owned()
}

/// What the controller made of the policy. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JitPolicyStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Ready (reasons Compiled, NoEndpoints, Closed, Invalid, TooLarge, SigningUnavailable), Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The current or next span of access, for a policy that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessSpan>,
    /// How many endpoints the policy reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointCounts>,
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
}
