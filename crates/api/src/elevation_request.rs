//! ElevationRequest: one wish for elevation, from creation to its end. Decisions on it are annotations, not fields; the
//! controller folds them into the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::path;
use crate::schema;
use crate::signed::Signed;

/// What is wished for. Immutable as a whole: a different wish is a different request.
#[expect(clippy::duplicated_attributes, reason = "the lint takes the columns' arguments for attributes")]
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "ElevationRequest",
    plural = "elevationrequests",
    shortname = "er",
    category = "tidegate",
    namespaced,
    status = "ElevationRequestStatus",
    derive = "PartialEq",
    doc = "ElevationRequest asks for elevation of one account on one endpoint under one JitPolicy. People decide it with \
           annotations: decision.tidegate.dev/1=\"bob@corp approve\". Deleting it revokes what was granted.",
    selectable = ".status.state",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "Where the request stands."
    ),
    printcolumn(
        name = "Account",
        type_ = "string",
        json_path = ".spec.account",
        description = "The login on the endpoint."
    ),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".spec.endpointName",
        description = "The ManagedEndpoint."
    ),
    printcolumn(
        name = "Application",
        type_ = "string",
        json_path = ".spec.application.path",
        description = "The program that is asked for."
    ),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = "..['status.duration','spec.duration']",
        description = "How long: granted, else asked."
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.expirationTime",
        description = "When access ends (UTC)."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].reason",
        description = "Whether the request may be decided, else why not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyName",
        description = "The JitPolicy.",
        priority = 1
    ),
    printcolumn(
        name = "Requester",
        type_ = "string",
        json_path = ".spec.requester",
        description = "Who created the request.",
        priority = 1
    ),
    printcolumn(
        name = "Ticket",
        type_ = "string",
        json_path = ".spec.ticket",
        description = "The ticket it belongs to.",
        priority = 1
    ),
    printcolumn(
        name = "Applied",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Applied\")].reason",
        description = "The endpoint's word: Waiting, Applied, NotEnforceable or Ended.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Active\")].message",
        description = "What happened and what to do, for people.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("spec is immutable: a different wish is a different request")
    .reason(Reason::FieldValueForbidden))]
pub struct ElevationRequestSpec {
    /// The JitPolicy of this namespace that the request is made under.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub policy_name: String,
    /// The ManagedEndpoint of this namespace where access is wished for.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub endpoint_name: String,
    /// The login name on the endpoint. At most 256 characters.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub account: String,
    /// The Kubernetes user who creates the request. Stamped by the API server (Kubernetes 1.36 and newer) or given; it must
    /// be the caller's own user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::IDENTITY))]
    pub requester: Option<String>,
    /// True when the requester is not the person behind the account (help desk, gateway); needs the right
    /// create-for-others. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_behalf: bool,
    /// The program that is to run with elevated rights. Required under a policy of mode Application; exactly this one is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<RequestedApplication>,
    /// How long access is wished for, 1s to 24h, such as 45m or 1h30m. Default: the policy's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "24h"))]
    pub duration: Option<String>,
    /// Why access is needed, for those who decide: one line of at most 512 characters. The policy says whether it must be given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = crate::schema::one_line())]
    pub reason: String,
    /// The ticket it belongs to, such as INC-2211: at most 64 printable characters. The policy says whether it must be given, and
    /// in which form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::ACCOUNT))]
    pub ticket: Option<String>,
    /// When access is to begin, at most 7 days ahead: RFC 3339 in UTC, whole seconds. Default: as soon as it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Option<Time>,
    /// The endpoint's proof that the request was made there. Written by its agent; people leave it out. Without it a request on
    /// behalf of somebody is never approved automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// The one program that is wished for: what is stated here must hold when it is started.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.arguments) || size(self.arguments) == 0 || !has(self.argumentMatch) \
    || self.argumentMatch == 'Exact'")
    .message("argumentMatch: Any takes no arguments: leave them out, or say Exact"))]
pub struct RequestedApplication {
    /// The program's absolute path as people type it, such as /opt/toolchain/setup: at most 1,024 characters, no wildcards and no
    /// part that is empty, . or ..
    #[schemars(schema_with = "path::literal_path")]
    pub path: String,
    /// The arguments it is to be started with, in this order, at most 64 of 1,024 characters. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024), regex(pattern = schema::ONE_LINE)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub arguments: Vec<String>,
    /// Exact (default): it is started with these arguments and no others. Any: with any arguments.
    #[serde(default)]
    pub argument_match: ArgumentMatch,
    /// SHA-256 of the file: 64 hex digits. Needed where the policy asks for a file hash. Default: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(equal = 64), regex(pattern = schema::HEX))]
    pub sha256: Option<String>,
    /// Who made the program, as the endpoint reads it. At most 256 characters; default: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub vendor: Option<String>,
    /// Which product it is part of, as the endpoint reads it. At most 256 characters; default: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub product: Option<String>,
    /// The product's version, such as "2.1.7". At most 64 characters; default: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::VERSION))]
    pub version: Option<String>,
}

/// Which arguments a program may be started with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ArgumentMatch {
    /// Exactly those given.
    #[default]
    Exact,
    /// Any.
    Any,
}

/// An agent's signature over the endpoint's uid, the object's name and the fields of the spec.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// The agent's certificate, as one PEM block of at most 8,192 characters.
    #[schemars(length(min = 1, max = 8192), regex(pattern = schema::CERTIFICATE))]
    pub certificate: String,
    /// The signature by the certificate's key, in base64.
    #[schemars(length(min = 1, max = 1024), regex(pattern = schema::BASE64))]
    pub signature: String,
}

/// How far the request has come. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ElevationRequestStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// A summary of the conditions in one word: Held, Pending, Declined, Denied, Withdrawn, TimedOut, Scheduled, Active,
    /// Expired, Revoked or Ended. May grow; never an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::CAMEL_CASE))]
    pub state: Option<String>,
    /// Accepted, Approved, Denied, Active (its reason is state), Applied (the endpoint's word) and Finished (True for every final
    /// state).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The person behind the account, as ManagedEndpoint maps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::IDENTITY))]
    pub identity: Option<String>,
    /// Every decision given, by slot, and whether it counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["slot".to_owned()]))]
    pub decisions: Vec<Decision>,
    /// The policy as it was when the request was accepted: what people saw is what is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PinnedPolicy>,
    /// The endpoint that the request was accepted for, and what its agent reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<RequestEndpoint>,
    /// The automatic rule that approved, or how many approvals each stage has and needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How long access was granted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub duration: Option<String>,
    /// When access begins (UTC); from here on it applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Option<Time>,
    /// When access ends (UTC); at this instant it no longer applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub expiration_time: Option<Time>,
    /// The grant, signed; absent before approval and after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// One decision, folded from the annotation decision.tidegate.dev/N, N being its slot.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The number in the annotation's key, from 1 on: the order in which decisions were given.
    #[schemars(range(min = 1, max = 64))]
    pub slot: i64,
    /// The Kubernetes user who decided, as the API server proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::IDENTITY))]
    pub by: Option<String>,
    /// What was decided. Absent when the annotation does not read as a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<DecisionVerb>,
    /// The stage it was given for; for an approval without one, the stage it was counted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub stage: Option<String>,
    /// How long access is to last by this decision (for=); of several counted approvals the shortest is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub duration: Option<String>,
    /// What the person added, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub comment: Option<String>,
    /// When the controller first saw it (UTC).
    #[schemars(schema_with = "schema::instant")]
    pub observed_time: Time,
    /// Whether it counts.
    pub counted: bool,
    /// Why it does not count, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::CAMEL_CASE))]
    pub reason: Option<String>,
    /// Why it does not count and what to do, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What a person can decide.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DecisionVerb {
    /// Yes.
    Approve,
    /// No.
    Deny,
    /// What was approved ends now.
    Revoke,
    /// The requester gives back or withdraws.
    End,
}

/// A policy as it was at one moment.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedPolicy {
    /// metadata.uid of the JitPolicy.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::UID))]
    pub uid: String,
    /// metadata.generation of the JitPolicy.
    #[schemars(range(min = 0))]
    pub generation: i64,
    /// Digest of its signed content.
    #[schemars(length(equal = 71), regex(pattern = schema::SHA256))]
    pub digest: String,
}

/// The endpoint of a request, and what its agent reports.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEndpoint {
    /// metadata.uid of the ManagedEndpoint that the request was accepted for.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::UID))]
    pub uid: String,
    /// When the agent had put the grant in place (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub applied_time: Option<Time>,
    /// When the agent had ended it (UTC): from here on nothing of it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub ended_time: Option<Time>,
    /// How many processes the agent ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub terminated_processes: Option<i64>,
}

/// How far approval has come.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The automatic rule that approved. Absent when people decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub rule: Option<String>,
    /// The stages, all of which must be met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub stages: Vec<StageApproval>,
}

/// One stage of approval.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageApproval {
    /// The stage's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// Approvals counted so far.
    #[schemars(range(min = 0, max = 64))]
    pub approved: i64,
    /// Approvals needed.
    #[schemars(range(min = 1, max = 8))]
    pub approvals: i64,
}
